#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "proto/level.h"
#include "shard/ach/validate.h"
#include "tests/support/ach_sample.h"

static struct span addenda[TRANSFER_ADDENDA_MAX + 1];

/* One change to a transfer (or its settings) that is otherwise fine. */
typedef void (*change)(struct settings *s, struct transfer *t);

#define CHANGE(name, code)                                   \
    static void name(struct settings *s, struct transfer *t) \
    {                                                        \
        (void)s;                                             \
        (void)t;                                             \
        code;                                                \
    }

CHANGE(nothing, (void)0)
CHANGE(other_shard, t->routing_number.n = 21000021)
CHANGE(huge_shard, t->routing_number.n = UINT32_MAX)
CHANGE(other_originator, t->originator = span_str("eastwind"))
CHANGE(originator_left, s->shard.originators_count = 0)
CHANGE(originator_unknown, s->originators_count = 0)
CHANGE(no_sec, t->sec = SEC_NONE)
CHANGE(foreign_sec, t->sec = SECS)
CHANGE(bad_rdfi, t->rdfi.n = 21000022)
CHANGE(no_rdfi, t->rdfi.n = 0)
CHANGE(foreign_account_type, t->account_type = ACCOUNT_TYPES)
CHANGE(no_side, t->side = SIDE_NONE)
CHANGE(loan_credit, t->account_type = ACCOUNT_LOAN)
CHANGE(loan_debit, t->account_type = ACCOUNT_LOAN; t->side = SIDE_DEBIT)
CHANGE(loan_reversal, loan_debit(s, t); t->entry_description = span_str("Reversal"))
CHANGE(loan_debit_prenote, loan_reversal(s, t); t->prenote = true; t->amount.n = 0)
CHANGE(reverses, t->reverses = span_str("t0"))
CHANGE(zero_amount, t->amount.n = 0)
CHANGE(negative_amount, t->amount.n = -1)
CHANGE(largest_amount, t->amount.n = AMOUNT_MAX_CENTS)
CHANGE(huge_amount, t->amount.n = AMOUNT_MAX_CENTS + 1)
CHANGE(prenote, t->prenote = true; t->amount.n = 0)
CHANGE(prenote_with_amount, t->prenote = true)
CHANGE(over_file_limit, s->shard.max_file_cents.n = t->amount.n - 1)
CHANGE(at_file_limit, s->shard.max_file_cents.n = t->amount.n)
CHANGE(long_name, t->name = span_str("12345678901234567890123"))
CHANGE(full_name, t->name = span_str("1234567890123456789012"))
CHANGE(zero_name, t->name = span_str("0 0"))
CHANGE(no_name, t->name = SPAN_NONE)
CHANGE(indented_name, t->name = span_str(" KEN"))
CHANGE(foreign_name, t->name = span_str("K\xC3\x96HLER"))
CHANGE(newline_name, t->name = span_str("KEN\nITO"))
CHANGE(long_account, t->account = span_str("123456789012345678"))
CHANGE(spaced_account, t->account = span_str("1234 5678 9012 3456 7"))
CHANGE(blank_account, t->account = span_str("   "))
CHANGE(newline_account, t->account = span_str("12\n"))
CHANGE(long_id, t->individual_id = span_str("1234567890123456"))
CHANGE(long_discretionary, t->discretionary = span_str("abc"))
CHANGE(zero_description, t->entry_description = span_str("0000"))
CHANGE(long_description, t->entry_description = span_str("ELEVEN LETT"))
CHANGE(micro, t->entry_description = span_str("acctverify"); t->amount.n = 99)
CHANGE(macro, t->entry_description = span_str("ACCTVERIFY"); t->amount.n = 100)
CHANGE(one_addenda, t->addenda_count = 1)
CHANGE(two_addenda, t->addenda_count = 2)
CHANGE(long_addenda, t->addenda_count = 1; addenda[0].n = 81)
CHANGE(bad_addenda, t->addenda_count = 1; addenda[0] = span_str("tab\there"))
CHANGE(ctx, t->sec = SEC_CTX)
CHANGE(ctx_name, t->sec = SEC_CTX; t->name = span_str("SEVENTEEN LETTERS"))
CHANGE(ctx_many, t->sec = SEC_CTX; t->addenda_count = TRANSFER_ADDENDA_MAX)
CHANGE(ctx_more, t->sec = SEC_CTX; t->addenda_count = TRANSFER_ADDENDA_MAX + 1)
CHANGE(ctx_full, ctx(s, t); t->addenda_count = 5; s->shard.max_lines = 10)
CHANGE(ctx_over, ctx(s, t); t->addenda_count = 6; s->shard.max_lines = 10)
CHANGE(tel, t->sec = SEC_TEL; t->side = SIDE_DEBIT)
CHANGE(tel_addenda, tel(s, t); t->addenda_count = 1)
CHANGE(tel_credit, t->sec = SEC_TEL)
CHANGE(tel_credit_reversal, t->sec = SEC_TEL; t->entry_description = span_str("REVERSAL"))
CHANGE(web, t->sec = SEC_WEB; t->payment_type = 'R')
CHANGE(web_untyped, t->sec = SEC_WEB)
CHANGE(web_typed_wrong, t->sec = SEC_WEB; t->payment_type = 'X')
CHANGE(web_discretionary, web(s, t); t->discretionary = span_str("a"))
CHANGE(ppd_typed, t->payment_type = 'R')

static const struct {
    change change;
    const char *why; /* In the sentence; NULL: accepted. */
} transfer_rows[] = {
    {nothing, NULL},
    {other_shard, "021000021 is not this shard"},
    {huge_shard, "is not this shard"},
    {other_originator, "eastwind"},
    {originator_left, "originator"},
    {originator_unknown, "originator"},
    {no_sec, "sec"},
    {foreign_sec, "sec"},
    {bad_rdfi, "rdfi"},
    {no_rdfi, "rdfi"},
    {foreign_account_type, "account_type"},
    {no_side, "side"},
    {loan_credit, NULL},
    {loan_debit, "REVERSAL"},
    {loan_reversal, NULL},
    {loan_debit_prenote, "prenote"},
    {reverses, "REVERSAL"},
    {zero_amount, "amount"},
    {negative_amount, "amount"},
    {largest_amount, NULL},
    {huge_amount, "amount"},
    {prenote, NULL},
    {prenote_with_amount, "amount"},
    {over_file_limit, "max_file_cents"},
    {at_file_limit, NULL},
    {long_name, "name"},
    {full_name, NULL},
    {zero_name, "name"},
    {no_name, "name"},
    {indented_name, "name"},
    {foreign_name, "name"},
    {newline_name, "name"},
    {long_account, "account"},
    {spaced_account, NULL},
    {blank_account, "account"},
    {newline_account, "account"},
    {long_id, "individual_id"},
    {long_discretionary, "discretionary"},
    {zero_description, "entry_description"},
    {long_description, "entry_description"},
    {micro, NULL},
    {macro, "micro-entry"},
    {one_addenda, NULL},
    {two_addenda, "PPD takes at most 1"},
    {long_addenda, "addenda"},
    {bad_addenda, "addenda"},
    {ctx, NULL},
    {ctx_name, "takes 16"},
    {ctx_many, NULL},
    {ctx_more, "CTX takes at most 999"},
    {ctx_full, NULL},
    {ctx_over, "20 lines"},
    {tel, NULL},
    {tel_addenda, "TEL takes at most 0"},
    {tel_credit, "REVERSAL"},
    {tel_credit_reversal, NULL},
    {web, NULL},
    {web_untyped, "payment_type"},
    {web_typed_wrong, "payment_type"},
    {web_discretionary, "discretionary"},
    {ppd_typed, "payment_type"},
};

static void test_transfers(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof transfer_rows / sizeof *transfer_rows; i++) {
        struct settings *s = ach_sample_settings();
        struct transfer t = ach_sample_transfer(0);
        char why[300] = "";
        addenda[0] =
            span_of("12345678901234567890123456789012345678901234567890123456789012345678901234567890"
                    "1",
                    80);
        t.addenda = addenda;
        transfer_rows[i].change(s, &t);
        enum sg_err err = ach_validate(s, &t, why, sizeof why);
        if (err != (transfer_rows[i].why == NULL ? SG_OK : SG_INVALID) ||
            (transfer_rows[i].why != NULL && strstr(why, transfer_rows[i].why) == NULL)) {
            fail_msg("row %zu, %s: %s", i, transfer_rows[i].why != NULL ? transfer_rows[i].why : "fine", why);
        }
    }
}

CHANGE(odfi_default, s->shard.odfi = SPAN_NONE)
CHANGE(odfi_short, s->shard.odfi = span_str("1234567"))
CHANGE(odfi_zeros, s->shard.odfi = span_str("00000000"))
CHANGE(huge_routing_number, s->shard.routing_number.n = 1000000000)
CHANGE(odfi_letters, s->shard.odfi = span_str("1234567A"))
CHANGE(bad_routing_number, s->shard.routing_number.n = 91000018)
CHANGE(origin_ten, s->shard.origin = span_str("A123456789"))
CHANGE(origin_none, s->shard.origin = SPAN_NONE)
CHANGE(origin_zeros, s->shard.origin = span_str("0000000000"))
CHANGE(origin_nine_zeros, s->shard.origin = span_str("000000000"))
CHANGE(origin_blanks, s->shard.origin = span_str("          "))
CHANGE(origin_zeros_once, s->shard.origin = span_str("0000000000"); s->level = LEVEL_ORIGIN_ZEROS - 1)
CHANGE(origin_letters, s->shard.origin = span_str("A12345678"))
CHANGE(origin_eleven, s->shard.origin = span_str("12345678901"))
CHANGE(long_destination_name, s->shard.destination_name = span_str("123456789012345678901234"))
CHANGE(long_origin_name, s->shard.origin_name = span_str("123456789012345678901234"))
CHANGE(no_line_ends, s->shard.line_ends = (enum line_ends)0)
CHANGE(balanced, s->shard.balanced = true)
CHANGE(few_lines, s->shard.max_lines = 9)
CHANGE(many_lines, s->shard.max_lines = FILE_LINES_MAX + 1)
CHANGE(no_cents, s->shard.max_file_cents.n = 0)
CHANGE(many_cents, s->shard.max_file_cents.n = FILE_CENTS_MAX + 1)
CHANGE(negative_same_day, s->shard.same_day_max.n = -1)
CHANGE(no_windows, s->shard.windows_count = 0)
CHANGE(window_name, s->shard.windows[1].name = span_str("a/b"))
CHANGE(window_long_name, s->shard.windows[1].name = span_str("12345678901234567"))
CHANGE(window_no_name, s->shard.windows[1].name = SPAN_NONE)
CHANGE(window_same_name, s->shard.windows[1].name = s->shard.windows[0].name)
CHANGE(window_same_close, s->shard.windows[1].close_minute = s->shard.windows[0].close_minute)
CHANGE(window_late_close, s->shard.windows[1].close_minute = 1440)
CHANGE(late_until, s->shard.late_until_minute = -1)
CHANGE(late_until_unused, s->shard.late_until_minute = -1; s->shard.missed = MISSED_HOLD)
CHANGE(company_name, s->originators[0].company_name = span_str("SEVENTEEN LETTERS"))
CHANGE(company_id, s->originators[0].company_id = span_str("0000000000"))
CHANGE(file_name, s->shard.file_name = span_str("{date}{nonsense}"))

static void test_settings(void **state)
{
    (void)state;
    static const struct {
        change change;
        const char *why;
    } rows[] = {
        {nothing, NULL},
        {odfi_default, NULL},
        {odfi_short, "odfi"},
        {odfi_letters, "odfi"},
        {odfi_zeros, "odfi"},
        {huge_routing_number, "routing_number"},
        {bad_routing_number, "routing_number"},
        {origin_ten, NULL},
        {origin_none, "origin"},
        {origin_zeros, NULL},
        {origin_nine_zeros, NULL},
        {origin_blanks, "origin"},
        {origin_zeros_once, "origin"},
        {origin_letters, "origin"},
        {origin_eleven, "origin"},
        {long_destination_name, "destination_name"},
        {long_origin_name, "origin_name"},
        {no_line_ends, "line_ends"},
        {balanced, "balanced"},
        {few_lines, "max_lines"},
        {many_lines, "max_lines"},
        {no_cents, "max_file_cents"},
        {many_cents, "max_file_cents"},
        {negative_same_day, "same_day_max_cents"},
        {no_windows, NULL},
        {window_name, "windows"},
        {window_long_name, "windows"},
        {window_no_name, "windows"},
        {window_same_name, "same name"},
        {window_same_close, "same close_at"},
        {window_late_close, "windows"},
        {late_until, "missed_window"},
        {late_until_unused, NULL},
        {originator_unknown, "there is no originator northwind"},
        {company_name, "company_name"},
        {company_id, "company_id"},
        {file_name, "{nonsense}"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct settings *s = ach_sample_settings();
        struct originator_settings saved = s->originators[0];
        char why[300] = "";
        rows[i].change(s, NULL);
        enum sg_err err = ach_settings_check(s, why, sizeof why);
        s->originators[0] = saved;
        if (err != (rows[i].why == NULL ? SG_OK : SG_INVALID) ||
            (rows[i].why != NULL && strstr(why, rows[i].why) == NULL)) {
            fail_msg("row %zu, %s: %s", i, rows[i].why != NULL ? rows[i].why : "fine", why);
        }
    }
}

static void test_transaction_codes(void **state)
{
    (void)state;
    static const struct {
        enum account_type account_type;
        unsigned credit, prenote_credit, debit, prenote_debit;
    } rows[] = {
        {ACCOUNT_CHECKING, 22, 23, 27, 28}, {ACCOUNT_SAVINGS, 32, 33, 37, 38},
        {ACCOUNT_LEDGER, 42, 43, 47, 48},   {ACCOUNT_LOAN, 52, 53, 55, 0},
        {ACCOUNT_NONE, 0, 0, 0, 0},         {ACCOUNT_TYPES, 0, 0, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct transfer t = {.account_type = rows[i].account_type, .side = SIDE_CREDIT};
        assert_int_equal(ach_transaction_code(&t), rows[i].credit);
        t.prenote = true;
        assert_int_equal(ach_transaction_code(&t), rows[i].prenote_credit);
        t.side = SIDE_DEBIT;
        assert_int_equal(ach_transaction_code(&t), rows[i].prenote_debit);
        t.prenote = false;
        assert_int_equal(ach_transaction_code(&t), rows[i].debit);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_transfers),
        cmocka_unit_test(test_settings),
        cmocka_unit_test(test_transaction_codes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
