#include <ctype.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "proto/level.h"
#include "shard/ach/order.h"
#include "tests/support/ach_sample.h"
#include "tests/support/test_random.h"

#define COUNT 500

static struct transfer transfers[COUNT];
static struct ach_entry entries[COUNT];

/* Eight originators of four headers: case and blanks behind a company's name make
 * no difference to what is written, those of an identification do. */
static const struct {
    const char *name, *company_name, *company_id;
} companies[] = {
    {"A", "ACME", "1"},  {"B", "Acme", "1"}, {"AB", "acme  ", "1"}, {"BA", "ACME", "1a"},
    {"a", "ACME", "1A"}, {"ABC", "B", "1"},  {"C", "b", "1"},       {"D", "B ", "1"},
};
#define COMPANIES (sizeof companies / sizeof *companies)

static struct settings *order_settings(void)
{
    static struct originator_settings originators[COMPANIES];
    struct settings *s = ach_sample_settings();
    for (size_t i = 0; i < COMPANIES; i++) {
        originators[i] = (struct originator_settings){.name = span_str(companies[i].name),
                                                      .company_name = span_str(companies[i].company_name),
                                                      .company_id = span_str(companies[i].company_id)};
    }
    s->originators = originators;
    s->originators_count = COMPANIES;
    return s;
}

/* The batch header's texts at fixed places, as a file has them. */
static int dumb_compare_written(const struct ach_entry *a, const struct ach_entry *b)
{
    char lines[2][160];
    const struct ach_entry *entry[2] = {a, b};
    for (size_t i = 0; i < 2; i++) {
        const struct transfer *t = entry[i]->transfer;
        char name[NAME_SIZE_MAX + 1];
        char description[16];
        size_t c = 0;
        while (strcmp(companies[c].name, span_cstr(t->originator, name, sizeof name)) != 0) {
            c++;
        }
        int n = snprintf(lines[i], sizeof lines[i], "%-16s%-10s", companies[c].company_name,
                         companies[c].company_id);
        for (int j = 0; j < 16; j++) {
            lines[i][j] = (char)toupper(lines[i][j]);
        }
        (void)span_cstr(t->entry_description, description, sizeof description);
        for (size_t j = 0; description[j] != 0; j++) {
            description[j] = (char)toupper(description[j]);
        }
        (void)snprintf(lines[i] + n, sizeof lines[i] - (size_t)n, "%u%-10s%u%09d%d", (unsigned)t->sec,
                       description, (unsigned)t->side, entry[i]->effective.n, entry[i]->same_day ? 1 : 0);
    }
    return strcmp(lines[0], lines[1]);
}

/* The rule as one long comparison, written out again. */
static int dumb_compare(const struct ach_entry *a, const struct ach_entry *b)
{
    const struct transfer *s = a->transfer;
    const struct transfer *t = b->transfer;
    int parts[] = {
        span_cmp(s->originator, t->originator),
        (int)s->sec - (int)t->sec,
        span_cmp(s->entry_description, t->entry_description),
        (int)s->side - (int)t->side,
        a->effective.n - b->effective.n,
        (int)a->same_day - (int)b->same_day,
    };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i] != 0) {
            return parts[i];
        }
    }
    return 0;
}

static void random_entries(struct test_random *r, size_t count, unsigned variety)
{
    static const char *const texts[] = {"A", "B", "AB", "BA", "a", "ABC", "C", "D"};
    for (size_t i = 0; i < count; i++) {
        struct transfer *t = &transfers[i];
        *t = ach_sample_transfer(0);
        t->originator = span_str(texts[test_random_below(r, variety)]);
        t->entry_description = span_str(texts[test_random_below(r, variety)]);
        t->sec = (enum sec)(1 + test_random_below(r, variety < 5 ? variety : 5));
        t->side = (enum side)(1 + test_random_below(r, variety < 2 ? variety : 2));
        entries[i] = (struct ach_entry){
            .transfer = t,
            .seq = i + 1,
            .effective = {20000 + (int32_t)test_random_below(r, variety)},
            .same_day = test_random_below(r, 2) == 0 && variety > 1,
            .batch = 77,
        };
    }
}

static void shuffle(struct test_random *r, struct ach_entry *list, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = test_random_below(r, i);
        struct ach_entry swap = list[i - 1];
        list[i - 1] = list[j];
        list[j] = swap;
    }
}

/* Neighbours are in order, equal keys and only these share a batch, and nothing
 * is lost. */
static void assert_ordered(size_t count, int (*compare)(const struct ach_entry *, const struct ach_entry *))
{
    uint64_t seqs = 0;
    for (size_t i = 0; i < count; i++) {
        seqs += entries[i].seq;
        if (i == 0) {
            assert_int_equal(entries[i].batch, 0);
            continue;
        }
        int order = compare(&entries[i - 1], &entries[i]);
        assert_true(order <= 0);
        assert_int_equal(entries[i].batch, entries[i - 1].batch + (order < 0 ? 1 : 0));
        assert_true(order < 0 || entries[i - 1].seq < entries[i].seq);
    }
    assert_true(seqs == count * (count + 1) / 2);
}

static void check_order(uint32_t level, int (*compare)(const struct ach_entry *, const struct ach_entry *))
{
    struct settings *s = order_settings();
    s->level = level;
    struct test_random r = {11};
    for (unsigned round = 0; round < 60; round++) {
        size_t count = 1 + test_random_below(&r, COUNT);
        struct ach_entry first[COUNT];
        random_entries(&r, count, 1 + round % 8);
        ach_order(s, entries, count);
        assert_ordered(count, compare);
        memcpy(first, entries, count * sizeof *entries);
        shuffle(&r, entries, count);
        ach_order(s, entries, count);
        assert_ordered(count, compare);
        for (size_t i = 0; i < count; i++) {
            assert_true(entries[i].seq == first[i].seq);
        }
    }
    ach_order(s, NULL, 0);
}

static void test_order(void **state)
{
    (void)state;
    check_order(LEVEL_WRITTEN, dumb_compare_written);
}

static void test_order_of_the_first_level(void **state)
{
    (void)state;
    check_order(LEVEL_WRITTEN - 1, dumb_compare);
}

static uint32_t batches_of(const struct settings *s, const char *const *descriptions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        transfers[i] = ach_sample_transfer(0);
        transfers[i].entry_description = span_str(descriptions[i]);
    }
    ach_sample_entries(transfers, count, entries);
    ach_order(s, entries, count);
    return entries[count - 1].batch + 1;
}

static void test_what_is_written_alike_is_one_batch(void **state)
{
    (void)state;
    static const char *const dues[] = {"DUES", "Dues", "dues ", "DUES  "};
    struct settings *s = ach_sample_settings();
    assert_int_equal(batches_of(s, dues, 4), 1);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(entries[i].seq, i + 1);
    }
    s->shard.keep_case = true;
    assert_int_equal(batches_of(s, dues, 4), 3);
}

/* count equal entries of one batch. */
static void plain_entries(size_t count)
{
    for (size_t i = 0; i < count; i++) {
        transfers[i] = ach_sample_transfer(0);
    }
    ach_sample_entries(transfers, count, entries);
    /* The sample's settings are the caller's to change. */
    ach_order(&(struct settings){.level = LEVEL_WRITTEN - 1}, entries, count);
}

static void test_fit_lines(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        uint32_t max_lines;
        size_t count, want;
    } rows[] = {
        {"nothing to do", 10, 0, 0},
        {"ten lines: six entries, four of header and control", 10, 6, 6},
        {"the seventh would need a second block", 10, 7, 6},
        {"19 lines are one block, since filler counts", 19, 7, 6},
        {"20 lines are two", 20, 20, 16},
        {"all of them", 10000, 400, 400},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct settings *s = ach_sample_settings();
        s->shard.max_lines = rows[i].max_lines;
        plain_entries(rows[i].count);
        if (ach_fit(s, entries, rows[i].count, 1) != rows[i].want) {
            fail_msg("%s", rows[i].reason);
        }
    }
}

/* A further batch costs two lines, an addenda record one. */
static void test_fit_batches_and_addenda(void **state)
{
    (void)state;
    struct settings *s = ach_sample_settings();
    s->shard.max_lines = 10;
    plain_entries(6);
    transfers[5].entry_description = span_str("ZZZ");
    ach_order(s, entries, 6);
    assert_int_equal(ach_fit(s, entries, 6, 1), 5); /* 2 + 2 + 5, and 3 more do not fit. */
    struct span addenda[3] = {span_str("a"), span_str("b"), span_str("c")};
    plain_entries(4);
    transfers[1].addenda = addenda;
    transfers[1].addenda_count = 3;
    assert_int_equal(ach_fit(s, entries, 4, 1), 3); /* 4 + 1 + 4 + 1 = 10 */
    transfers[0].addenda_count = 6;                 /* 4 + 7 */
    assert_int_equal(ach_fit(s, entries, 4, 1), 0);
}

static void test_fit_cents(void **state)
{
    (void)state;
    struct settings *s = ach_sample_settings();
    plain_entries(4);
    s->shard.max_file_cents.n = 3ll * 152075;
    assert_int_equal(ach_fit(s, entries, 4, 1), 3);
    s->shard.max_file_cents.n--;
    assert_int_equal(ach_fit(s, entries, 4, 1), 2);
    transfers[2].side = SIDE_DEBIT; /* Each side has the limit for itself. */
    transfers[3].side = SIDE_DEBIT;
    ach_order(s, entries, 4);
    assert_int_equal(ach_fit(s, entries, 4, 1), 4);
    s->shard.max_file_cents.n = 152074;
    assert_int_equal(ach_fit(s, entries, 4, 1), 0);
}

/* Twelve digits, whatever the settings say: a hundred of the largest amount. */
static void test_fit_twelve_digits(void **state)
{
    (void)state;
    struct settings *s = ach_sample_settings();
    s->shard.max_file_cents.n = INT64_MAX;
    plain_entries(200);
    for (size_t i = 0; i < 200; i++) {
        transfers[i].amount.n = AMOUNT_MAX_CENTS;
    }
    assert_int_equal(ach_fit(s, entries, 200, 1), 100);
}

static void test_fit_traces(void **state)
{
    (void)state;
    struct settings *s = ach_sample_settings();
    plain_entries(5);
    assert_int_equal(ach_fit(s, entries, 5, TRACE_SEQUENCE_MAX), 1);
    assert_int_equal(ach_fit(s, entries, 5, TRACE_SEQUENCE_MAX - 3), 4);
    assert_int_equal(ach_fit(s, entries, 5, TRACE_SEQUENCE_MAX - 4), 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_order_of_the_first_level),
        cmocka_unit_test(test_what_is_written_alike_is_one_batch),
        cmocka_unit_test(test_fit_lines),
        cmocka_unit_test(test_fit_batches_and_addenda),
        cmocka_unit_test(test_fit_cents),
        cmocka_unit_test(test_fit_twelve_digits),
        cmocka_unit_test(test_fit_traces),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
