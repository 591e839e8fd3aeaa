#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "proto/level.h"
#include "proto/base/limits.h"
#include "proto/transfer.h"
#include "tests/support/test_mutate.h"

/* Taken from the first version; see test_encoding_is_fixed(). */
#define FULL_DIGEST "488e0ee05bcf0527c52bb72c26a14c1f2edb5949048281ea118d8c49c7b2afa4"

#define LONG_TEXT \
    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

static struct span text_of(size_t n)
{
    return span_of(LONG_TEXT, n);
}

static struct span addenda_pool[TRANSFER_ADDENDA_MAX + 1];

static struct transfer good(void)
{
    for (size_t i = 0; i <= TRANSFER_ADDENDA_MAX; i++) {
        addenda_pool[i] = span_str("RMR*IV*0007**12500.00\\");
    }
    return (struct transfer){
        .id = span_str("pay-1"),
        .routing_number = {231380104},
        .originator = span_str("acme"),
        .sec = SEC_PPD,
        .entry_description = span_str("PAYROLL"),
        .side = SIDE_CREDIT,
        .account_type = ACCOUNT_CHECKING,
        .rdfi = {21000021},
        .account = span_str("4410-023"),
        .amount = {152075},
        .name = span_str("MARIA LOPEZ"),
        .effective_date = DAY_NONE,
        .addenda = addenda_pool,
    };
}

/* Each row changes the good transfer and says what must come of it. */
struct row {
    const char *why;
    void (*change)(struct transfer *t);
    const char *fault; /* How the sentence begins; NULL: good. */
};

#define CHANGE(name, code)               \
    static void name(struct transfer *t) \
    {                                    \
        code;                            \
    }

CHANGE(nothing, (void)t)
CHANGE(no_id, t->id = SPAN_NONE)
CHANGE(id_64, t->id = text_of(64))
CHANGE(id_65, t->id = text_of(65))
CHANGE(id_newline, t->id = span_str("a\nb"))
CHANGE(id_utf8, t->id = span_str("caf\xc3\xa9"))
CHANGE(id_zero_byte, t->id = span_of("a\0b", 3))
CHANGE(id_inner_space, t->id = span_str("a b"))
CHANGE(id_blank, t->id = span_str("   "))
CHANGE(no_routing_number, t->routing_number.n = 0)
CHANGE(routing_number_digit, t->routing_number.n = 231380105)
CHANGE(routing_number_huge, t->routing_number.n = UINT32_MAX)
CHANGE(no_originator, t->originator = SPAN_NONE)
CHANGE(originator_64, t->originator = text_of(64))
CHANGE(no_sec, t->sec = SEC_NONE)
CHANGE(foreign_sec, t->sec = SECS)
CHANGE(no_description, t->entry_description = SPAN_NONE)
CHANGE(description_10, t->entry_description = text_of(10))
CHANGE(description_11, t->entry_description = text_of(11))
CHANGE(description_blank, t->entry_description = span_str("     "))
CHANGE(description_zeros, t->entry_description = span_str("0000"))
CHANGE(description_case, t->entry_description = span_str("Payroll "))
CHANGE(description_like_reserved, t->entry_description = span_str("Payroll 7"))
CHANGE(description_reversal, t->entry_description = span_str("REVERSAL"))
CHANGE(no_side, t->side = SIDE_NONE)
CHANGE(foreign_side, t->side = SIDES)
CHANGE(debit, t->side = SIDE_DEBIT)
CHANGE(tel_debit, (t->sec = SEC_TEL, t->side = SIDE_DEBIT))
CHANGE(tel_credit, t->sec = SEC_TEL)
CHANGE(no_account_type, t->account_type = ACCOUNT_NONE)
CHANGE(foreign_account_type, t->account_type = ACCOUNT_TYPES)
CHANGE(loan_credit, t->account_type = ACCOUNT_LOAN)
CHANGE(loan_debit, (t->account_type = ACCOUNT_LOAN, t->side = SIDE_DEBIT))
CHANGE(ledger_debit, (t->account_type = ACCOUNT_LEDGER, t->side = SIDE_DEBIT))
CHANGE(no_rdfi, t->rdfi.n = 0)
CHANGE(rdfi_digit, t->rdfi.n = 21000022)
CHANGE(rdfi_prefix, t->rdfi.n = 990000004)
CHANGE(no_account, t->account = SPAN_NONE)
CHANGE(account_17, t->account = text_of(17))
CHANGE(account_18, t->account = text_of(18))
CHANGE(account_space, t->account = span_str("44 10"))
CHANGE(account_34, t->account = span_str(" 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7"))
CHANGE(account_35, t->account = text_of(35))
CHANGE(account_tab, t->account = span_str("44\t10"))
CHANGE(amount_0, t->amount.n = 0)
CHANGE(amount_1, t->amount.n = 1)
CHANGE(amount_most, t->amount.n = 9999999999)
CHANGE(amount_eleven_digits, t->amount.n = 10000000000)
CHANGE(amount_negative, t->amount.n = -1)
CHANGE(prenote, (t->prenote = true, t->amount.n = 0))
CHANGE(prenote_amount, t->prenote = true)
CHANGE(no_name, t->name = SPAN_NONE)
CHANGE(name_22, t->name = text_of(22))
CHANGE(name_23, t->name = text_of(23))
CHANGE(name_blank, t->name = span_str("  "))
CHANGE(name_zeros, t->name = span_str("000"))
CHANGE(ctx_name_16, (t->sec = SEC_CTX, t->name = text_of(16)))
CHANGE(ctx_name_17, (t->sec = SEC_CTX, t->name = text_of(17)))
CHANGE(individual_id_15, t->individual_id = text_of(15))
CHANGE(individual_id_16, t->individual_id = text_of(16))
CHANGE(individual_id_control, t->individual_id = span_str("a\x1b"))
CHANGE(discretionary_2, t->discretionary = span_str("A1"))
CHANGE(discretionary_3, t->discretionary = span_str("A12"))
CHANGE(web_s, (t->sec = SEC_WEB, t->side = SIDE_DEBIT, t->payment_type = 'S'))
CHANGE(web_without, (t->sec = SEC_WEB, t->side = SIDE_DEBIT))
CHANGE(web_x, (t->sec = SEC_WEB, t->side = SIDE_DEBIT, t->payment_type = 'X'))
CHANGE(web_discretionary, (web_s(t), t->discretionary = span_str("A1")))
CHANGE(tel_r, (t->sec = SEC_TEL, t->side = SIDE_DEBIT, t->payment_type = 'R'))
CHANGE(ppd_r, t->payment_type = 'R')
CHANGE(date, t->effective_date = day_of(2026, 11, 23))
CHANGE(date_1999, t->effective_date = day_of(1999, 12, 31))
CHANGE(date_2099, t->effective_date = day_of(2099, 12, 31))
CHANGE(date_2100, t->effective_date = day_of(2100, 1, 1))
CHANGE(date_negative, t->effective_date.n = -1)
CHANGE(date_huge, t->effective_date.n = INT32_MAX)
CHANGE(same_day, t->same_day = true)
CHANGE(reverses, t->reverses = span_str("pay-0"))
CHANGE(ppd_addendum, t->addenda_count = 1)
CHANGE(ppd_addenda, t->addenda_count = 2)
CHANGE(ccd_addendum, (t->sec = SEC_CCD, t->addenda_count = 1))
CHANGE(ccd_addenda, (t->sec = SEC_CCD, t->addenda_count = 2))
CHANGE(web_addendum, (web_s(t), t->addenda_count = 1))
CHANGE(tel_addendum, (tel_r(t), t->addenda_count = 1))
CHANGE(ctx_999, (t->sec = SEC_CTX, t->addenda_count = TRANSFER_ADDENDA_MAX))
CHANGE(ctx_1000, (t->sec = SEC_CTX, t->addenda_count = TRANSFER_ADDENDA_MAX + 1))
CHANGE(addendum_80, (t->addenda_count = 1, t->addenda[0] = text_of(80)))
CHANGE(addendum_81, (t->addenda_count = 1, t->addenda[0] = text_of(81)))
CHANGE(addendum_empty, (t->addenda_count = 1, t->addenda[0] = SPAN_NONE))
CHANGE(addendum_third, (t->sec = SEC_CTX, t->addenda_count = 3, t->addenda[2] = span_str("\x7f")))

static const struct row rows[] = {
    {"a plain payroll credit", nothing, NULL},
    {"id is the key for repeating", no_id, "id is missing"},
    {"id of 64", id_64, NULL},
    {"id of 65", id_65, "id has 65 characters; at most 64"},
    {"id is shown in lines of text", id_newline, "id has a character that is not printable"},
    {"ASCII only", id_utf8, "id has a character that is not printable"},
    {"a zero byte hides what follows", id_zero_byte, "id has a character that is not printable"},
    {"space is printable", id_inner_space, NULL},
    {"an id nobody can see", id_blank, "id is blank"},
    {"the shard", no_routing_number, "routing_number is missing"},
    {"its check digit", routing_number_digit, "routing_number 231380105: the check digit"},
    {"more than nine digits", routing_number_huge, "routing_number has more than nine"},
    {"originator is a name", no_originator, "originator is missing"},
    {"originator over the limit of names", originator_64, "originator has 64 characters; at most 63"},
    {"sec", no_sec, "sec is missing or not one of PPD"},
    {"a sec of a later version", foreign_sec, "sec is missing or not one of PPD"},
    {"description", no_description, "entry_description is missing"},
    {"description of 10", description_10, NULL},
    {"description of 11", description_11, "entry_description has 11 characters; at most 10"},
    {"the operator rejects blanks", description_blank, "entry_description is blank"},
    {"the operator rejects zeros", description_zeros, "entry_description must not be all zeros"},
    {"reserved words in upper case", description_case, "entry_description must be written PAYROLL"},
    {"reserved only as a whole", description_like_reserved, NULL},
    {"not a way around reverses", description_reversal, "entry_description REVERSAL is for reversals"},
    {"side", no_side, "side is missing or not one of credit"},
    {"foreign side", foreign_side, "side is missing or not one of credit"},
    {"a debit", debit, NULL},
    {"TEL debit, payment type optional", tel_debit, NULL},
    {"TEL credit", tel_credit, "side credit: TEL is for debits only"},
    {"account type", no_account_type, "account_type is missing or not one of checking"},
    {"foreign account type", foreign_account_type, "account_type is missing or not one of checking"},
    {"loan credit", loan_credit, NULL},
    {"loan debit is code 55, reversals only", loan_debit,
     "account_type loan: a loan account is debited only"},
    {"ledger debit", ledger_debit, NULL},
    {"rdfi", no_rdfi, "rdfi is missing"},
    {"rdfi check digit, R28", rdfi_digit, "rdfi 021000022: the check digit"},
    {"rdfi prefix", rdfi_prefix, "rdfi 990000004: no routing number begins"},
    {"account", no_account, "account is missing"},
    {"account of 17", account_17, NULL},
    {"account of 18 is refused, not cut", account_18,
     "account has 18 characters, blanks not counted; at most 17"},
    {"blanks are not counted", account_space, NULL},
    {"17 and 17 blanks", account_34, NULL},
    {"35 are no account", account_35, "account has 35 characters; at most 34"},
    {"control characters", account_tab, "account has a character that is not printable"},
    {"amount 0, R19", amount_0, "amount is 0 or missing"},
    {"one cent", amount_1, NULL},
    {"ten digits", amount_most, NULL},
    {"eleven digits", amount_eleven_digits, "amount 10000000000 has more than ten digits"},
    {"side carries the sign", amount_negative, "amount -1 is negative"},
    {"prenote", prenote, NULL},
    {"a prenote moves no money", prenote_amount, "amount 152075: a prenote has the amount 0"},
    {"name", no_name, "name is missing"},
    {"name of 22", name_22, NULL},
    {"name of 23", name_23, "name has 23 characters; at most 22"},
    {"blank name, R26", name_blank, "name is blank"},
    {"zero name, R26", name_zeros, "name must not be all zeros"},
    {"CTX name of 16", ctx_name_16, NULL},
    {"CTX keeps six characters for itself", ctx_name_17, "name has 17 characters; at most 16"},
    {"individual id of 15", individual_id_15, NULL},
    {"individual id of 16", individual_id_16, "individual_id has 16 characters; at most 15"},
    {"individual id printable", individual_id_control, "individual_id has a character"},
    {"discretionary of 2", discretionary_2, NULL},
    {"discretionary of 3", discretionary_3, "discretionary has 3 characters; at most 2"},
    {"WEB single", web_s, NULL},
    {"WEB needs a payment type", web_without, "payment_type is missing: WEB"},
    {"WEB with another letter", web_x, "payment_type is not one of R, S"},
    {"two fields for one place", web_discretionary, "discretionary is not possible with WEB"},
    {"TEL recurring", tel_r, NULL},
    {"payment type elsewhere", ppd_r, "payment_type is for WEB and TEL only, not for PPD"},
    {"a date", date, NULL},
    {"two digits of year", date_1999, "effective_date is not between"},
    {"the last year", date_2099, NULL},
    {"after it", date_2100, "effective_date is not between"},
    {"not a day", date_negative, "effective_date is not between"},
    {"not a day either", date_huge, "effective_date is not between"},
    {"same day is judged at the window", same_day, NULL},
    {"reversals", reverses, "reverses: reversals are not supported yet in this version"},
    {"PPD with one addendum", ppd_addendum, NULL},
    {"PPD with two, R25", ppd_addenda, "addenda has 2 texts; PPD takes at most 1"},
    {"CCD with one", ccd_addendum, NULL},
    {"CCD with two", ccd_addenda, "addenda has 2 texts; CCD takes at most 1"},
    {"WEB with one", web_addendum, NULL},
    {"TEL with one", tel_addendum, "addenda has 1 texts; TEL takes at most 0"},
    {"CTX with 999", ctx_999, NULL},
    {"CTX with 1000", ctx_1000, "addenda has 1000 texts; CTX takes at most 999"},
    {"addendum of 80", addendum_80, NULL},
    {"addendum of 81", addendum_81, "addenda 1 has 81 characters; at most 80"},
    {"an addendum that says nothing", addendum_empty, "addenda 1 is missing"},
    {"which of them", addendum_third, "addenda 3 has a character that is not printable"},
};

static void test_check(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct transfer t = good();
        char why[160] = "";
        rows[i].change(&t);
        enum sg_err err = transfer_check(LEVEL_MAX, &t, why, sizeof(why));
        if (rows[i].fault == NULL
                ? err != SG_OK
                : err != SG_INVALID || strncmp(why, rows[i].fault, strlen(rows[i].fault)) != 0) {
            fail_msg("%s: %s, '%s'", rows[i].why, sg_err_name(err), why);
        }
    }
}

/* What may end in a log line or a reply must not show who is paid where. */
static void test_check_keeps_secrets(void **state)
{
    (void)state;
    char why[160] = "";
    struct transfer t = good();
    t.account = span_str("123456789 0 SECRET 123");
    assert_int_equal(transfer_check(LEVEL_MAX, &t, why, sizeof(why)), SG_INVALID);
    assert_null(strstr(why, "SECRET"));
    t = good();
    t.name = span_str("SECRET NAME THAT IS TOO LONG");
    assert_int_equal(transfer_check(LEVEL_MAX, &t, why, sizeof(why)), SG_INVALID);
    assert_null(strstr(why, "SECRET"));
}

static void test_check_metadata_size(void **state)
{
    (void)state;
    char why[160] = "";
    uint8_t text[TRANSFER_METADATA_SIZE_MAX + 1] = {0};
    struct transfer t = good();
    t.metadata = span_of(text, TRANSFER_METADATA_SIZE_MAX);
    assert_int_equal(transfer_check(LEVEL_MAX, &t, why, sizeof(why)), SG_OK);
    t.metadata.n++;
    assert_int_equal(transfer_check(LEVEL_MAX, &t, why, sizeof(why)), SG_INVALID);
    assert_string_equal(why, "metadata has 1025 bytes; at most 1024 are kept");
}

static void test_why_is_cut_to_its_size(void **state)
{
    (void)state;
    char why[8];
    struct transfer t = good();
    no_sec(&t);
    assert_int_equal(transfer_check(LEVEL_MAX, &t, why, sizeof(why)), SG_INVALID);
    assert_string_equal(why, "sec is ");
}

static void test_names(void **state)
{
    (void)state;
    for (enum sec s = SEC_PPD; s < SECS; s++) {
        assert_int_equal(sec_parse(span_str(sec_name(s))), s);
    }
    for (enum side s = SIDE_CREDIT; s < SIDES; s++) {
        assert_int_equal(side_parse(span_str(side_name(s))), s);
    }
    for (enum account_type a = ACCOUNT_CHECKING; a < ACCOUNT_TYPES; a++) {
        assert_int_equal(account_type_parse(span_str(account_type_name(a))), a);
    }
    assert_string_equal(sec_name(SEC_NONE), "");
    assert_string_equal(sec_name(SECS), "");
    assert_string_equal(side_name(SIDES), "");
    assert_string_equal(account_type_name(ACCOUNT_TYPES), "");
    assert_int_equal(sec_parse(span_str("ppd")), SEC_NONE); /* Case counts. */
    assert_int_equal(sec_parse(span_str("PP")), SEC_NONE);
    assert_int_equal(sec_parse(span_str("IAT")), SEC_NONE);
    assert_int_equal(sec_parse(SPAN_NONE), SEC_NONE);
    assert_int_equal(side_parse(SPAN_NONE), SIDE_NONE);
    assert_int_equal(account_type_parse(span_str("Checking")), ACCOUNT_NONE);
}

/* Every field set, so that one forgotten in the codec shows. */
static struct transfer full(void)
{
    struct transfer t = good();
    t.individual_id = span_str("EMP0001");
    t.discretionary = span_str("A1");
    t.payment_type = 'R';
    t.prenote = true;
    t.same_day = true;
    t.effective_date = day_of(2026, 11, 23);
    t.reverses = span_str("pay-0");
    t.metadata = span_str("{\"k\":1}");
    t.addenda_count = 2;
    return t;
}

static void assert_span_equal(struct span a, struct span b)
{
    assert_true(span_eq(a, b));
}

static void assert_transfer_equal(const struct transfer *a, const struct transfer *b)
{
    assert_span_equal(a->id, b->id);
    assert_int_equal(a->routing_number.n, b->routing_number.n);
    assert_span_equal(a->originator, b->originator);
    assert_int_equal(a->sec, b->sec);
    assert_span_equal(a->entry_description, b->entry_description);
    assert_int_equal(a->side, b->side);
    assert_int_equal(a->account_type, b->account_type);
    assert_int_equal(a->rdfi.n, b->rdfi.n);
    assert_span_equal(a->account, b->account);
    assert_true(a->amount.n == b->amount.n);
    assert_span_equal(a->name, b->name);
    assert_span_equal(a->individual_id, b->individual_id);
    assert_span_equal(a->discretionary, b->discretionary);
    assert_int_equal(a->payment_type, b->payment_type);
    assert_int_equal(a->prenote, b->prenote);
    assert_int_equal(a->same_day, b->same_day);
    assert_int_equal(a->effective_date.n, b->effective_date.n);
    assert_span_equal(a->reverses, b->reverses);
    assert_span_equal(a->metadata, b->metadata);
    assert_int_equal(a->addenda_count, b->addenda_count);
    for (size_t i = 0; i < a->addenda_count; i++) {
        assert_span_equal(a->addenda[i], b->addenda[i]);
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    struct transfer originals[] = {good(), full()};
    for (size_t i = 0; i < sizeof(originals) / sizeof(originals[0]); i++) {
        struct arena a = ARENA_INIT;
        struct bytes encoded = BYTES_NONE;
        struct transfer decoded;
        transfer_encode(&originals[i], &encoded);
        assert_int_equal(transfer_decode(span_bytes(&encoded), &a, &decoded), SG_OK);
        memset(encoded.p, 0xff, encoded.n); /* The header promises copies. */
        assert_transfer_equal(&originals[i], &decoded);
        arena_release(&a);
        bytes_release(&encoded);
    }
}

/* As apply takes it. */
static struct digest content_of(const struct transfer *t)
{
    struct bytes encoding = BYTES_NONE;
    transfer_encode(t, &encoding);
    struct digest digest = digest_of(span_bytes(&encoding));
    bytes_release(&encoding);
    return digest;
}

/* Folding depends on it: any single field makes another content. */
static void test_digest_sees_every_field(void **state)
{
    (void)state;
    static struct span other[1] = {{(const uint8_t *)"other", 5}};
    struct digest seen[32];
    size_t count = 0;
    struct transfer t = full();
    seen[count++] = content_of(&t);
#define ANOTHER(code)                   \
    do {                                \
        t = full();                     \
        code;                           \
        seen[count++] = content_of(&t); \
    } while (0)
    ANOTHER(t.id = other[0]);
    ANOTHER(t.routing_number.n++);
    ANOTHER(t.originator = other[0]);
    ANOTHER(t.sec = SEC_CCD);
    ANOTHER(t.entry_description = other[0]);
    ANOTHER(t.side = SIDE_DEBIT);
    ANOTHER(t.account_type = ACCOUNT_SAVINGS);
    ANOTHER(t.rdfi.n++);
    ANOTHER(t.account = other[0]);
    ANOTHER(t.amount.n++);
    ANOTHER(t.name = other[0]);
    ANOTHER(t.individual_id = other[0]);
    ANOTHER(t.discretionary = other[0]);
    ANOTHER(t.payment_type = 'S');
    ANOTHER(t.prenote = false);
    ANOTHER(t.same_day = false);
    ANOTHER(t.effective_date.n++);
    ANOTHER(t.effective_date = DAY_NONE);
    ANOTHER(t.reverses = other[0]);
    ANOTHER(t.metadata = other[0]);
    ANOTHER(t.addenda = other; t.addenda_count = 1);
    ANOTHER(t.addenda_count = 1);
#undef ANOTHER
    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            assert_memory_not_equal(seen[i].b, seen[j].b, sizeof(seen[i].b));
        }
    }
    t = full();
    struct digest again = content_of(&t);
    assert_memory_equal(seen[0].b, again.b, sizeof(again.b));
}

/* Stored identities depend on the encoding, so it must never change. */
static void test_encoding_is_fixed(void **state)
{
    (void)state;
    struct transfer t = full();
    struct digest digest = content_of(&t);
    char hex[2 * DIGEST_SIZE + 1];
    assert_string_equal(hex_text(span_of(digest.b, sizeof(digest.b)), hex), FULL_DIGEST);
}

CHANGE(too_many_addenda, t->addenda_count = TRANSFER_ADDENDA_MAX + 1)

static void test_decode_refuses_out_of_range(void **state)
{
    (void)state;
    static const struct row bad[] = {
        {"no id", no_id, ""},
        {"id too long", id_65, ""},
        {"account too long", account_18, ""},
        {"amount too large", amount_eleven_digits, ""},
        {"amount negative", amount_negative, ""},
        {"foreign sec", foreign_sec, ""},
        {"foreign side", foreign_side, ""},
        {"foreign account type", foreign_account_type, ""},
        {"day before the epoch", date_negative, ""},
        {"day after the year 9999", date_huge, ""},
        {"routing number of ten digits", routing_number_huge, ""},
        {"addendum too long", addendum_81, ""},
        {"too many addenda", too_many_addenda, ""},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct arena a = ARENA_INIT;
        struct bytes encoded = BYTES_NONE;
        struct transfer t = good();
        bad[i].change(&t);
        transfer_encode(&t, &encoded);
        if (transfer_decode(span_bytes(&encoded), &a, &t) != SG_INVALID) {
            fail_msg("%s", bad[i].why);
        }
        bytes_release(&encoded);
        arena_release(&a);
    }
}

static void test_decode_refuses_other_versions(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct bytes encoded = BYTES_NONE;
    struct transfer t = good();
    assert_int_equal(transfer_decode(SPAN_NONE, &a, &t), SG_INVALID);
    t = good();
    transfer_encode(&t, &encoded);
    assert_int_equal(encoded.p[0], 0x08); /* Field 1, a varint: the version. */
    encoded.p[1] = 2;
    assert_int_equal(transfer_decode(span_bytes(&encoded), &a, &t), SG_UNSUPPORTED);
    encoded.p[1] = 1;
    assert_int_equal(transfer_decode(span_bytes(&encoded), &a, &t), SG_OK);
    bytes_append(&encoded, "\xf8\x01\x01", 3); /* Field 31, which nobody knows. */
    assert_int_equal(transfer_decode(span_bytes(&encoded), &a, &t), SG_INVALID);
    bytes_release(&encoded);
    arena_release(&a);
}

/* Accepted means usable: it encodes, and what comes of it is the same again. */
static void decode_damaged(struct span data, void *arg)
{
    struct arena a = ARENA_INIT;
    struct transfer t;
    unsigned *accepted = arg;
    if (transfer_decode(data, &a, &t) == SG_OK) {
        struct bytes encoded = BYTES_NONE;
        struct transfer again;
        char why[160];
        transfer_encode(&t, &encoded);
        assert_int_equal(transfer_decode(span_bytes(&encoded), &a, &again), SG_OK);
        assert_transfer_equal(&t, &again);
        assert_int_equal(transfer_check(LEVEL_MAX, &t, why, sizeof(why)),
                         transfer_check(LEVEL_MAX, &again, why, sizeof(why)));
        bytes_release(&encoded);
        ++*accepted;
    }
    arena_release(&a);
}

static void test_damaged_encodings(void **state)
{
    (void)state;
    struct bytes encoded = BYTES_NONE;
    struct transfer t = full();
    unsigned accepted = 0;
    transfer_encode(&t, &encoded);
    test_mutate(span_bytes(&encoded), decode_damaged, &accepted, 30000, 4711);
    assert_true(accepted > 0); /* Or the damages are too coarse to test anything. */
    bytes_release(&encoded);
}

static int setup(void **state)
{
    (void)state;
    hash_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check),
        cmocka_unit_test(test_check_keeps_secrets),
        cmocka_unit_test(test_check_metadata_size),
        cmocka_unit_test(test_why_is_cut_to_its_size),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_digest_sees_every_field),
        cmocka_unit_test(test_encoding_is_fixed),
        cmocka_unit_test(test_decode_refuses_out_of_range),
        cmocka_unit_test(test_decode_refuses_other_versions),
        cmocka_unit_test(test_damaged_encodings),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
