#include "shard/ach/verify.h"

#include "shard/ach/verify_part.h"

#define TEN_DIGITS 10000000000u

static bool is_all_digits(const uint8_t *p, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return false;
        }
    }
    return true;
}

/* YYMMDD of this century. */
static bool date_read(const uint8_t *p, struct day *out)
{
    uint8_t text[DAY_TEXT_SIZE - 1] = "20YY-MM-DD";
    memcpy(text + 2, p, 2);
    memcpy(text + 5, p + 2, 2);
    memcpy(text + 8, p + 4, 2);
    return day_parse(span_of(text, sizeof text), out) == SG_OK;
}

/* --- File header ------------------------------------------------------------ */

static bool is_destination(const uint8_t *p)
{
    return p[0] == ' ' && is_all_digits(p + 1, FH_DESTINATION_SIZE - 1) && verify_routing_number(p + 1);
}

/* Whatever the bank has assigned: zeros, ten digits, letters. */
static bool is_origin(const uint8_t *p)
{
    return p[0] != ' ' || is_all_digits(p + 1, FH_ORIGIN_SIZE - 1);
}

static enum sg_err file_header(struct verifier *v)
{
    const uint8_t *record = verify_take(v, ACH_FILE_HEADER, '1');
    if (record == NULL) {
        return SG_INVALID;
    }
    uint8_t modifier = record[FH_MODIFIER_AT];
    if (!IS(record, FH_PRIORITY, "01")) {
        return verify_fail(v, "the priority code is not 01");
    }
    if (!is_destination(record + FH_DESTINATION_AT)) {
        return verify_fail(v, "the immediate destination is not a blank and a routing number");
    }
    if (!is_origin(record + FH_ORIGIN_AT)) {
        return verify_fail(v, "the immediate origin is neither a blank and nine digits nor ten characters");
    }
    if (!date_read(record + FH_DATE_AT, &v->creation)) {
        return verify_fail(v, "the creation date is not a date");
    }
    if (verify_number(record + FH_TIME_AT, 2) > 23 || verify_number(record + FH_TIME_AT + 2, 2) > 59) {
        return verify_fail(v, "the creation time is not a time");
    }
    if (!((modifier >= 'A' && modifier <= 'Z') || (modifier >= '0' && modifier <= '9'))) {
        return verify_fail(v, "the file ID modifier is not A to Z or 0 to 9");
    }
    if (!IS(record, FH_RECORD_SIZE, "094") || !IS(record, FH_BLOCKING, "10") || !IS(record, FH_FORMAT, "1")) {
        return verify_fail(v, "record size, blocking factor and format code are not 094 10 1");
    }
    return SG_OK;
}

/* --- Batch header ----------------------------------------------------------- */

static enum sg_err batch_dates(struct verifier *v, const uint8_t *record)
{
    struct day day;
    if (!date_read(record + BH_EFFECTIVE_AT, &day)) {
        return verify_fail(v, "the effective entry date is not a date");
    }
    if (day_weekday(day) == 0 || day_weekday(day) == 6) {
        return verify_fail(v, "the effective entry date is on a weekend");
    }
    if (!v->open_on_holidays && verify_is_holiday(day)) {
        return verify_fail(v, "the effective entry date is a holiday of the Federal Reserve");
    }
    if (day.n < v->creation.n) {
        return verify_fail(v, "the effective entry date lies before the day on which the file was made");
    }
    return SG_OK;
}

/* Descriptions with a meaning of their own are known by these very letters. */
static bool is_in_wrong_case(const uint8_t *p)
{
    static const char descriptions[][BH_DESCRIPTION_SIZE + 1] = {
        "REVERSAL  ", "RECLAIM   ", "NONSETTLED", "RETURN FEE", "AUTOENROLL", "REDEPCHECK",
        "NO CHECK  ", "PAYROLL   ", "PURCHASE  ", "ACCTVERIFY", "RETRY PYMT",
    };
    for (size_t i = 0; i < sizeof descriptions / sizeof *descriptions; i++) {
        bool same = true;
        bool same_but_case = true;
        for (size_t j = 0; j < BH_DESCRIPTION_SIZE; j++) {
            int wanted = (unsigned char)descriptions[i][j];
            bool is_small = wanted >= 'A' && wanted <= 'Z' && p[j] == wanted - 'A' + 'a';
            same = same && p[j] == wanted;
            same_but_case = same_but_case && (p[j] == wanted || is_small);
        }
        if (same_but_case && !same) {
            return true;
        }
    }
    return false;
}

static enum sg_err batch_header(struct verifier *v)
{
    const uint8_t *record = verify_take(v, ACH_BATCH_HEADER, '5');
    if (record == NULL) {
        return SG_INVALID;
    }
    v->header = record;
    v->batch = (struct batch_sums){0};
    v->sec = sec_parse(span_of(record + BH_SEC_AT, BH_SEC_SIZE));
    v->is_reversal = IS(record, BH_DESCRIPTION, "REVERSAL  ");
    v->totals.batches++;
    v->service_class = (unsigned)NUMBER(record, BH_SERVICE_CLASS);
    if (v->service_class != 200 && v->service_class != 220 && v->service_class != 225) {
        return verify_fail(v, "the service class is not 200, 220 or 225");
    }
    if (IS_NOTHING(record, BH_COMPANY_NAME) || IS_NOTHING(record, BH_COMPANY_ID) ||
        IS_NOTHING(record, BH_DESCRIPTION)) {
        return verify_fail(v, "company name, company identification or entry description is blank or zeros");
    }
    if (is_in_wrong_case(record + BH_DESCRIPTION_AT)) {
        return verify_fail(v, "the entry description has a meaning of its own and must be in upper case");
    }
    if (v->sec == SEC_NONE) {
        return verify_fail(v, "the standard entry class is not PPD, CCD, CTX, WEB or TEL");
    }
    if (record[BH_STATUS_AT] != '1') {
        return verify_fail(v, "the originator status is not 1");
    }
    if (NUMBER(record, BH_ODFI) == 0) {
        return verify_fail(v, "the originating DFI is zero");
    }
    if (NUMBER(record, BH_NUMBER) != v->totals.batches) {
        return verify_fail(v, "the batch number is not the next one");
    }
    return batch_dates(v, record);
}

/* --- Controls --------------------------------------------------------------- */

static enum sg_err batch_control(struct verifier *v)
{
    const uint8_t *record = verify_take(v, ACH_BATCH_CONTROL, '8');
    if (record == NULL) {
        return SG_INVALID;
    }
    if (memcmp(record + BC_SERVICE_CLASS_AT, v->header + BH_SERVICE_CLASS_AT, BC_SERVICE_CLASS_SIZE) != 0 ||
        memcmp(record + BC_COMPANY_ID_AT, v->header + BH_COMPANY_ID_AT, BC_COMPANY_ID_SIZE) != 0 ||
        memcmp(record + BC_ODFI_AT, v->header + BH_ODFI_AT, BC_ODFI_SIZE) != 0 ||
        memcmp(record + BC_NUMBER_AT, v->header + BH_NUMBER_AT, BC_NUMBER_SIZE) != 0) {
        return verify_fail(v, "the batch control differs from its header");
    }
    if (NUMBER(record, BC_COUNT) != v->batch.records) {
        return verify_fail(v, "the entry/addenda count of the batch is wrong");
    }
    if (NUMBER(record, BC_HASH) != v->batch.hash % TEN_DIGITS) {
        return verify_fail(v, "the entry hash of the batch is wrong");
    }
    if ((int64_t)NUMBER(record, BC_DEBIT) != v->batch.debit ||
        (int64_t)NUMBER(record, BC_CREDIT) != v->batch.credit) {
        return verify_fail(v, "the totals of the batch are not those of its entries");
    }
    v->totals.debit.n += v->batch.debit;
    v->totals.credit.n += v->batch.credit;
    v->hash_sum += NUMBER(record, BC_HASH);
    return SG_OK;
}

static enum sg_err file_control(struct verifier *v)
{
    struct ach_totals *t = &v->totals;
    const uint8_t *record = verify_take(v, ACH_FILE_CONTROL, '9');
    if (record == NULL) {
        return SG_INVALID;
    }
    t->lines = (uint32_t)v->line;
    t->blocks = (uint32_t)(v->lines_count / ACH_BLOCKING_FACTOR);
    t->hash = v->hash_sum % TEN_DIGITS;
    t->trace_first = verify_number(v->first_trace, ED_TRACE_SIZE);
    t->trace_last = verify_number(v->trace, ED_TRACE_SIZE);
    if (NUMBER(record, FC_BATCHES) != t->batches) {
        return verify_fail(v, "the batch count of the file is wrong");
    }
    if (NUMBER(record, FC_BLOCKS) != t->blocks) {
        return verify_fail(v, "the block count of the file is wrong");
    }
    if (NUMBER(record, FC_COUNT) != (uint64_t)t->entries + t->addenda) {
        return verify_fail(v, "the entry/addenda count of the file is wrong");
    }
    if (NUMBER(record, FC_HASH) != t->hash) {
        return verify_fail(v, "the entry hash of the file is wrong");
    }
    if ((int64_t)NUMBER(record, FC_DEBIT) != t->debit.n ||
        (int64_t)NUMBER(record, FC_CREDIT) != t->credit.n) {
        return verify_fail(v, "the totals of the file are not those of its batches");
    }
    return SG_OK;
}

/* Nines up to the end of the block, and not a block more. */
static enum sg_err filler(struct verifier *v)
{
    size_t count = v->lines_count - v->line;
    if (v->lines_count % ACH_BLOCKING_FACTOR != 0 || count >= ACH_BLOCKING_FACTOR) {
        return verify_fail(v, "the file does not end with its block of ten records");
    }
    for (; v->line < v->lines_count; v->line++) {
        const uint8_t *record = v->file.p + v->line * v->stride;
        for (size_t i = 0; i < ACH_RECORD_SIZE; i++) {
            if (record[i] != '9') {
                return verify_fail(v, "something else than filler follows this record");
            }
        }
    }
    return SG_OK;
}

/* --- The whole -------------------------------------------------------------- */

static enum sg_err batch(struct verifier *v)
{
    enum sg_err err = batch_header(v);
    do { /* A batch has at least one entry. */
        err = err == SG_OK ? verify_entry(v) : err;
    } while (err == SG_OK && verify_peek(v) == '6');
    return err == SG_OK ? batch_control(v) : err;
}

static enum sg_err whole(struct verifier *v)
{
    enum sg_err err = verify_lines_init(v);
    if (err == SG_OK) {
        err = file_header(v);
    }
    do { /* No entries, no file. */
        err = err == SG_OK ? batch(v) : err;
    } while (err == SG_OK && verify_peek(v) == '5');
    if (err == SG_OK) {
        err = file_control(v);
    }
    return err == SG_OK ? filler(v) : err;
}

enum sg_err ach_verify(struct span file, bool open_on_holidays, struct ach_totals *found, char *why,
                       size_t why_size)
{
    struct verifier v = {
        .file = file, .open_on_holidays = open_on_holidays, .why = why, .why_size = why_size};
    *found = (struct ach_totals){0};
    enum sg_err err = whole(&v);
    if (err == SG_OK) {
        *found = v.totals;
    }
    return err;
}
