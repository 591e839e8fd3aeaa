#include "shard/ach/verify_part.h"

/* Nine digits with their check digit: the equivalent form of the 3-7-1 rule. */
bool verify_routing_number(const uint8_t *d)
{
    unsigned zeros = 9u * '0';
    unsigned threes = (unsigned)(d[0] + d[3] + d[6]);
    unsigned sevens = (unsigned)(d[1] + d[4] + d[7]);
    unsigned ones = (unsigned)(d[2] + d[5] + d[8]);
    unsigned sum = 3 * threes + 7 * sevens + ones - 11 * (zeros / 3);
    return sum % 10 == 0 && threes + sevens + ones != zeros;
}

bool verify_is_nothing(const uint8_t *p, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (p[i] != ' ' && p[i] != '0') {
            return false;
        }
    }
    return true;
}

enum {
    CODE_CREDIT = 1,
    CODE_DEBIT = 2,
    CODE_PRENOTE = 4,
    CODE_ZERO = 8,     /* Zero-dollar with remittance data: CCD, CTX, with addenda. */
    CODE_REVERSAL = 16 /* In a reversal only. */
};

/* Forward entries only: x1 and x6 are returns and notifications of change. */
static const uint8_t codes[100] = {
    [22] = CODE_CREDIT,
    [23] = CODE_CREDIT | CODE_PRENOTE,
    [24] = CODE_CREDIT | CODE_ZERO,
    [27] = CODE_DEBIT,
    [28] = CODE_DEBIT | CODE_PRENOTE,
    [29] = CODE_DEBIT | CODE_ZERO,
    [32] = CODE_CREDIT,
    [33] = CODE_CREDIT | CODE_PRENOTE,
    [34] = CODE_CREDIT | CODE_ZERO,
    [37] = CODE_DEBIT,
    [38] = CODE_DEBIT | CODE_PRENOTE,
    [39] = CODE_DEBIT | CODE_ZERO,
    [42] = CODE_CREDIT,
    [43] = CODE_CREDIT | CODE_PRENOTE,
    [44] = CODE_CREDIT | CODE_ZERO,
    [47] = CODE_DEBIT,
    [48] = CODE_DEBIT | CODE_PRENOTE,
    [49] = CODE_DEBIT | CODE_ZERO,
    [52] = CODE_CREDIT,
    [53] = CODE_CREDIT | CODE_PRENOTE,
    [54] = CODE_CREDIT | CODE_ZERO,
    [55] = CODE_DEBIT | CODE_REVERSAL,
};

/* May the batch hold an entry of this code? NULL, or what is wrong. */
static const char *code_fault(const struct verifier *v, uint8_t code, bool has_addenda)
{
    bool is_business = v->sec == SEC_CCD || v->sec == SEC_CTX;
    if (code == 0) {
        return "the transaction code is not one of a forward entry";
    }
    if (v->service_class == 220 && (code & CODE_DEBIT) != 0) {
        return "a debit in a batch of service class 220";
    }
    if (v->service_class == 225 && (code & CODE_CREDIT) != 0) {
        return "a credit in a batch of service class 225";
    }
    if ((code & CODE_REVERSAL) != 0 && !v->is_reversal) {
        return "a loan is debited by a REVERSAL only";
    }
    if ((code & CODE_CREDIT) != 0 && v->sec == SEC_TEL && !v->is_reversal) {
        return "a TEL credit is a REVERSAL only";
    }
    if ((code & CODE_ZERO) != 0 && !(is_business && has_addenda)) {
        return "a zero-dollar code needs CCD or CTX and an addenda record";
    }
    return NULL;
}

/* Left justified, without blanks inside: nothing stands behind a blank. */
static bool is_account(const uint8_t *p)
{
    chunk left;
    chunk right;
    CHECK_STATIC(ED_ACCOUNT_SIZE == CHUNK_SIZE + 1, "two overlapping chunks cover the field");
    memcpy(&left, p, CHUNK_SIZE);
    memcpy(&right, p + 1, CHUNK_SIZE);
    return p[0] != ' ' && chunk_is_zero((chunk)(left == ' ') & (chunk)(right != ' '));
}

static bool is_payment_type(const struct verifier *v, const uint8_t *p)
{
    bool is_blank = p[0] == ' ' && p[1] == ' ';
    bool is_type = (p[0] == 'R' || p[0] == 'S') && p[1] == ' ';
    if (v->sec == SEC_WEB) {
        return is_type;
    }
    return v->sec != SEC_TEL || is_type || is_blank;
}

static enum sg_err entry_fields(struct verifier *v, const uint8_t *record)
{
    bool is_ctx = v->sec == SEC_CTX;
    if (!verify_routing_number(record + ED_RDFI_AT)) {
        return verify_fail(v, "the check digit of the receiving DFI is wrong");
    }
    if (!is_account(record + ED_ACCOUNT_AT)) {
        return verify_fail(v, "the account number is blank, not left justified, or has blanks inside");
    }
    if (is_ctx ? IS_NOTHING(record, CX_NAME) : IS_NOTHING(record, ED_NAME)) {
        return verify_fail(v, "the receiver's name is blank or zeros");
    }
    if (!is_payment_type(v, record + ED_DISCRETIONARY_AT)) {
        return verify_fail(v, "the payment type is not R or S (TEL: or blank)");
    }
    if (record[ED_ADDENDA_AT] > '1') {
        return verify_fail(v, "the addenda indicator is not 0 or 1");
    }
    return SG_OK;
}

/* Both parts have a fixed width, so their order as characters is their order. */
static enum sg_err entry_trace(struct verifier *v, const uint8_t *trace)
{
    if (memcmp(trace, v->header + BH_ODFI_AT, BH_ODFI_SIZE) != 0) {
        return verify_fail(v, "the trace number does not begin with the originating DFI");
    }
    if (v->first_trace != NULL && memcmp(trace, v->trace, ED_TRACE_SIZE) <= 0) {
        return verify_fail(v, "the trace number does not ascend");
    }
    v->first_trace = v->first_trace == NULL ? trace : v->first_trace;
    v->trace = trace;
    return SG_OK;
}

static enum sg_err entry_amount(struct verifier *v, const uint8_t *record)
{
    uint8_t code = codes[verify_number(record + ED_CODE_AT, ED_CODE_SIZE)];
    int64_t cents = (int64_t)NUMBER(record, ED_AMOUNT);
    const char *fault = code_fault(v, code, record[ED_ADDENDA_AT] == '1');
    if (fault != NULL) {
        return verify_fail(v, fault);
    }
    if (((code & (CODE_PRENOTE | CODE_ZERO)) != 0) != (cents == 0)) {
        return verify_fail(v, "the amount must be zero for a prenote or zero-dollar entry, and only then");
    }
    v->batch.debit += (code & CODE_DEBIT) != 0 ? cents : 0;
    v->batch.credit += (code & CODE_CREDIT) != 0 ? cents : 0;
    v->batch.hash += NUMBER(record, ED_RDFI);
    v->batch.records++;
    v->totals.entries++;
    return SG_OK;
}

static size_t addenda_max(enum sec sec)
{
    return sec == SEC_CTX ? 9999 : (sec == SEC_TEL ? 0 : 1);
}

/* The addenda behind an entry: numbered from 1, with the end of its trace. */
static enum sg_err entry_addenda(struct verifier *v, const uint8_t *entry)
{
    size_t count = 0;
    while (verify_peek(v) == '7') {
        const uint8_t *record = verify_take(v, ACH_ADDENDA_05, '7');
        if (record == NULL) {
            return SG_INVALID;
        }
        count++;
        if (!IS(record, AD_CODE, "05") || count > addenda_max(v->sec)) {
            return verify_fail(v, "this entry class does not take this addenda record");
        }
        if (NUMBER(record, AD_SEQUENCE) != count) {
            return verify_fail(v, "the addenda sequence number is not the next one");
        }
        if (memcmp(record + AD_ENTRY_AT, entry + ED_TRACE_AT + BH_ODFI_SIZE, AD_ENTRY_SIZE) != 0) {
            return verify_fail(v, "the addenda does not carry its entry's sequence number");
        }
    }
    if ((count > 0) != (entry[ED_ADDENDA_AT] == '1')) {
        return verify_fail(v, "the addenda indicator of the entry does not tell what follows it");
    }
    if (v->sec == SEC_CTX && NUMBER(entry, CX_ADDENDA_COUNT) != count) {
        return verify_fail(v, "the number of addenda in the entry is not theirs");
    }
    v->batch.records += count;
    v->totals.addenda += (uint32_t)count;
    return SG_OK;
}

enum sg_err verify_entry(struct verifier *v)
{
    const uint8_t *record = verify_take(v, v->sec == SEC_CTX ? ACH_ENTRY_CTX : ACH_ENTRY, '6');
    if (record == NULL) {
        return SG_INVALID;
    }
    enum sg_err err = entry_fields(v, record);
    if (err == SG_OK) {
        err = entry_trace(v, record + ED_TRACE_AT);
    }
    if (err == SG_OK) {
        err = entry_amount(v, record);
    }
    return err == SG_OK ? entry_addenda(v, record) : err;
}
