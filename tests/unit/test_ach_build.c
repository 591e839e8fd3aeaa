#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "proto/level.h"
#include "shard/ach/build.h"
#include "shard/ach/order.h"
#include "shard/ach/verify.h"
#include "tests/support/ach_sample.h"

#define LINE_SIZE (ACH_RECORD_SIZE + 1)
#define ENTRIES_MAX 16

/* A file of count transfers under s. */
static enum sg_err build(const struct settings *s, const struct transfer *transfers, size_t count,
                         struct bytes *out, struct ach_totals *totals)
{
    struct ach_entry entries[ENTRIES_MAX];
    struct ach_file_header header = ach_sample_header();
    assert_true(count <= ENTRIES_MAX);
    ach_sample_entries(transfers, count, entries);
    ach_order(s, entries, count);
    return ach_build(s, &header, entries, count, out, totals);
}

static struct bytes build_ok(const struct settings *s, const struct transfer *transfers, size_t count)
{
    struct bytes out = BYTES_NONE;
    struct ach_totals totals;
    struct ach_totals found;
    char why[200] = "";
    assert_int_equal(build(s, transfers, count, &out, &totals), SG_OK);
    if (ach_verify(span_bytes(&out), false, &found, why, sizeof why) != SG_OK) {
        fail_msg("%s", why);
    }
    assert_true(ach_totals_eq(&totals, &found));
    return out;
}

static void samples(struct transfer *out)
{
    for (size_t i = 0; i < ACH_SAMPLE_TRANSFERS; i++) {
        out[i] = ach_sample_transfer(i);
    }
}

/* Columns first to last (1-based) of a line (1-based) hold this text. */
static void assert_columns(const struct bytes *file, size_t line, size_t first, size_t last, const char *text)
{
    const uint8_t *p = file->p + (line - 1) * LINE_SIZE + first - 1;
    assert_true(line * LINE_SIZE <= file->n);
    assert_int_equal(last - first + 1, strlen(text));
    assert_memory_equal(p, text, strlen(text));
}

static void test_golden_example(void **state)
{
    (void)state;
    char golden[8192];
    struct transfer transfers[ACH_SAMPLE_TRANSFERS];
    FILE *file = fopen(SHARDGATE_TEST_DIR "/golden/nacha_example.ach", "rb");
    assert_non_null(file);
    size_t size = fread(golden, 1, sizeof golden, file);
    (void)fclose(file);
    samples(transfers);
    struct bytes out = build_ok(ach_sample_settings(), transfers, ACH_SAMPLE_TRANSFERS);
    assert_int_equal(out.n, size);
    assert_memory_equal(out.p, golden, size);
    bytes_release(&out);
}

static void test_totals(void **state)
{
    (void)state;
    struct transfer transfers[ACH_SAMPLE_TRANSFERS];
    struct bytes out = BYTES_NONE;
    struct ach_totals t;
    samples(transfers);
    assert_int_equal(build(ach_sample_settings(), transfers, 4, &out, &t), SG_OK);
    assert_int_equal(t.batches, 3);
    assert_int_equal(t.entries, 4);
    assert_int_equal(t.addenda, 1);
    assert_int_equal(t.lines, 13);
    assert_int_equal(t.blocks, 2);
    assert_int_equal(t.debit.n, 2599);
    assert_int_equal(t.credit.n, 1501975);
    assert_int_equal(t.hash, 37567319);
    assert_true(t.trace_first == 122105270000001);
    assert_true(t.trace_last == 122105270000004);
    assert_int_equal(ach_trace_sequence(t.trace_last), 4);
    bytes_release(&out);
}

static void test_crlf(void **state)
{
    (void)state;
    struct transfer transfers[ACH_SAMPLE_TRANSFERS];
    struct settings *s = ach_sample_settings();
    samples(transfers);
    struct bytes lf = build_ok(s, transfers, ACH_SAMPLE_TRANSFERS);
    s->shard.line_ends = LINE_ENDS_CRLF;
    struct bytes crlf = build_ok(s, transfers, ACH_SAMPLE_TRANSFERS);
    assert_int_equal(crlf.n, lf.n + 20);
    for (size_t i = 0; i < 20; i++) {
        assert_memory_equal(crlf.p + i * 96, lf.p + i * LINE_SIZE, ACH_RECORD_SIZE);
        assert_memory_equal(crlf.p + i * 96 + ACH_RECORD_SIZE, "\r\n", 2);
    }
    bytes_release(&lf);
    bytes_release(&crlf);
}

/* The layouts that the example does not show. */
static void test_ctx(void **state)
{
    (void)state;
    struct span addenda[3] = {span_str("isa*one"), span_str(""), span_str("se~*3\\")};
    struct transfer t = ach_sample_transfer(2);
    t.sec = SEC_CTX;
    t.name = span_str("SIXTEEN LETTERS.");
    t.discretionary = span_str("x1");
    t.addenda = addenda;
    t.addenda_count = 3;
    struct bytes out = build_ok(ach_sample_settings(), &t, 1);
    assert_columns(&out, 2, 51, 53, "CTX");
    assert_columns(&out, 3, 55, 58, "0003");
    assert_columns(&out, 3, 59, 76, "SIXTEEN LETTERS.  ");
    assert_columns(&out, 3, 77, 79, "x11");
    assert_columns(&out, 4, 1, 10, "705isa*one");
    assert_columns(&out, 5, 84, 94, "00020000001");
    assert_columns(&out, 6, 4, 9, "se~*3\\");
    assert_columns(&out, 7, 5, 10, "000004");
    bytes_release(&out);
}

static void test_ctx_without_addenda(void **state)
{
    (void)state;
    struct transfer t = ach_sample_transfer(2);
    t.sec = SEC_CTX;
    t.addenda_count = 0;
    struct bytes out = build_ok(ach_sample_settings(), &t, 1);
    assert_columns(&out, 3, 55, 58, "0000");
    assert_columns(&out, 3, 79, 79, "0");
    bytes_release(&out);
}

static void test_tel_and_prenote(void **state)
{
    (void)state;
    struct transfer t[2] = {ach_sample_transfer(3), ach_sample_transfer(0)};
    t[0].sec = SEC_TEL;
    t[0].payment_type = 0;
    t[1].prenote = true;
    t[1].amount.n = 0;
    struct bytes out = build_ok(ach_sample_settings(), t, 2);
    assert_columns(&out, 3, 1, 3, "623"); /* The prenote's batch: PPD comes first. */
    assert_columns(&out, 3, 30, 39, "0000000000");
    assert_columns(&out, 4, 11, 20, "0002100002"); /* It counts in the hash. */
    assert_columns(&out, 5, 51, 53, "TEL");
    assert_columns(&out, 6, 77, 78, "  ");
    bytes_release(&out);
}

static void test_header_forms(void **state)
{
    (void)state;
    struct settings *s = ach_sample_settings();
    struct transfer t = ach_sample_transfer(0);
    t.originator = span_str("southwind");
    s->shard.origin = span_str("a123456789"); /* As assigned: all ten places. */
    s->shard.odfi = SPAN_NONE;                /* Default: the routing number's first eight. */
    struct bytes out = build_ok(s, &t, 1);
    assert_columns(&out, 1, 4, 23, " 091000019a123456789");
    assert_columns(&out, 2, 5, 50, "SOUTHWIND INC   EXTRA               1123456789");
    assert_columns(&out, 2, 80, 87, "09100001");
    assert_columns(&out, 3, 80, 94, "091000010000001");
    bytes_release(&out);
}

/* An account is somebody else's sign: it goes out as it came, but for blanks. So do
 * identifications and remittance data. Names and descriptions are put in upper case. */
static void test_case(void **state)
{
    (void)state;
    struct settings *s = ach_sample_settings();
    struct transfer t = ach_sample_transfer(2);
    struct span addenda = span_str("RMR*IV*abC\\");
    t.account = span_str("ab 12CD34ef");
    t.individual_id = span_str("inv7x");
    t.discretionary = span_str("q");
    t.entry_description = span_str("Invoice");
    t.name = span_str("Toolworks Inc");
    t.addenda = &addenda;
    for (int keep = 0; keep <= 1; keep++) {
        s->shard.keep_case = keep != 0;
        struct bytes out = build_ok(s, &t, 1);
        assert_columns(&out, 1, 41, 52, keep ? "Dest Bank NA" : "DEST BANK NA");
        assert_columns(&out, 2, 5, 17, keep ? "Northwind LLC" : "NORTHWIND LLC");
        assert_columns(&out, 2, 54, 60, keep ? "Invoice" : "INVOICE");
        assert_columns(&out, 3, 13, 29, "ab12CD34ef       ");
        assert_columns(&out, 3, 40, 45, "inv7x ");
        assert_columns(&out, 3, 55, 67, keep ? "Toolworks Inc" : "TOOLWORKS INC");
        assert_columns(&out, 3, 77, 78, "q ");
        assert_columns(&out, 4, 4, 14, "RMR*IV*abC\\");
        bytes_release(&out);
    }
}

/* A file sealed under the first level is built again as it was: all in upper case. */
static void test_case_of_the_first_level(void **state)
{
    (void)state;
    struct transfer t = ach_sample_transfer(0);
    struct ach_file_header header = ach_sample_header();
    struct ach_entry entry;
    struct bytes out = BYTES_NONE;
    struct ach_totals totals;
    t.account = span_str("ab12CD34ef");
    t.individual_id = span_str("emp1");
    ach_sample_entries(&t, 1, &entry);
    struct settings *s = ach_sample_settings();
    s->level = LEVEL_WRITTEN - 1;
    ach_order(s, &entry, 1);
    assert_int_equal(ach_build(s, &header, &entry, 1, &out, &totals), SG_OK);
    assert_columns(&out, 3, 13, 29, "AB12CD34EF       ");
    assert_columns(&out, 3, 40, 43, "EMP1");
    bytes_release(&out);
}

/* A file of exactly ten records has one block and no filler. */
static void test_no_filler(void **state)
{
    (void)state;
    struct transfer t[6];
    for (size_t i = 0; i < 6; i++) {
        t[i] = ach_sample_transfer(0);
    }
    struct bytes out = build_ok(ach_sample_settings(), t, 6);
    assert_int_equal(out.n, 10 * LINE_SIZE);
    assert_columns(&out, 10, 1, 13, "9000001000001");
    bytes_release(&out);
}

static void test_hash_keeps_ten_digits(void **state)
{
    (void)state;
    static struct transfer t[400];
    static struct ach_entry entries[400];
    struct ach_file_header header = ach_sample_header();
    struct bytes out = BYTES_NONE;
    struct ach_totals totals;
    struct ach_totals found;
    for (size_t i = 0; i < 400; i++) {
        t[i] = ach_sample_transfer(2);
        t[i].addenda_count = 0;
    }
    ach_sample_entries(t, 400, entries);
    ach_order(ach_sample_settings(), entries, 400);
    assert_int_equal(ach_build(ach_sample_settings(), &header, entries, 400, &out, &totals), SG_OK);
    assert_true(totals.hash == 32227162ull * 400 - 10000000000ull);
    assert_int_equal(ach_verify(span_bytes(&out), false, &found, NULL, 0), SG_OK);
    assert_true(ach_totals_eq(&totals, &found));
    bytes_release(&out);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        size_t count;
        struct ach_file_header header;
        const char *originator;
        uint32_t max_lines;
        bool balanced;
        enum sg_err err;
    } rows[] = {
        {"fine", 1, {'Z', {20000}, 0, 1}, "northwind", 10, false, SG_OK},
        {"the last trace number is usable", 1, {'9', {20000}, 1439, 9999999}, "northwind", 10, false, SG_OK},
        {"no entries, no file", 0, {'A', {20000}, 0, 1}, "northwind", 10, false, SG_INVALID},
        {"a small modifier", 1, {'a', {20000}, 0, 1}, "northwind", 10, false, SG_INVALID},
        {"no modifier", 1, {0, {20000}, 0, 1}, "northwind", 10, false, SG_INVALID},
        {"no creation day", 1, {'A', {INT32_MIN}, 0, 1}, "northwind", 10, false, SG_INVALID},
        {"minute 1440", 1, {'A', {20000}, 1440, 1}, "northwind", 10, false, SG_INVALID},
        {"trace numbers begin at 1", 1, {'A', {20000}, 0, 0}, "northwind", 10, false, SG_INVALID},
        {"trace numbers end at seven digits",
         1,
         {'A', {20000}, 0, 10000000},
         "northwind",
         10,
         false,
         SG_INVALID},
        {"an unknown originator", 1, {'A', {20000}, 0, 1}, "eastwind", 10, false, SG_INVALID},
        {"settings that allow no file", 1, {'A', {20000}, 0, 1}, "northwind", 9, false, SG_INVALID},
        {"balanced files are not built", 1, {'A', {20000}, 0, 1}, "northwind", 10, true, SG_INVALID},
        {"more than ach_fit() allows", 7, {'A', {20000}, 0, 1}, "northwind", 10, false, SG_TOOBIG},
        {"would pass the last trace number",
         2,
         {'A', {20000}, 0, 9999999},
         "northwind",
         10,
         false,
         SG_TOOBIG},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct settings *s = ach_sample_settings();
        struct transfer t[8];
        struct ach_entry entries[8];
        struct bytes out = BYTES_NONE;
        struct ach_totals totals = {.lines = 1};
        s->shard.max_lines = rows[i].max_lines;
        s->shard.balanced = rows[i].balanced;
        for (size_t j = 0; j < 8; j++) {
            t[j] = ach_sample_transfer(0);
            t[j].originator = span_str(rows[i].originator);
        }
        ach_sample_entries(t, 8, entries);
        ach_order(s, entries, 8);
        enum sg_err err = ach_build(s, &rows[i].header, entries, rows[i].count, &out, &totals);
        if (err != rows[i].err) {
            fail_msg("%s: %s", rows[i].reason, sg_err_name(err));
        }
        assert_int_equal(out.n > 0, err == SG_OK);
        assert_int_equal(totals.lines > 0, err == SG_OK);
        bytes_release(&out);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden_example),
        cmocka_unit_test(test_totals),
        cmocka_unit_test(test_crlf),
        cmocka_unit_test(test_ctx),
        cmocka_unit_test(test_ctx_without_addenda),
        cmocka_unit_test(test_tel_and_prenote),
        cmocka_unit_test(test_header_forms),
        cmocka_unit_test(test_case),
        cmocka_unit_test(test_case_of_the_first_level),
        cmocka_unit_test(test_no_filler),
        cmocka_unit_test(test_hash_keeps_ten_digits),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
