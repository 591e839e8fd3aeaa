#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

/* Random windows, whole: order, split, build, verify, parse, and compare with
 * what went in. */
#include <ctype.h>

#include "shard/ach/build.h"
#include "shard/ach/order.h"
#include "shard/ach/parse.h"
#include "shard/ach/validate.h"
#include "shard/ach/verify.h"
#include "tests/support/ach_sample.h"
#include "tests/support/test_random.h"

#define COUNT_MAX 400

struct sums {
    uint64_t entries, addenda;
    int64_t debit, credit;
};

/* 1 to size characters; the first and the last are not blank. */
static struct span random_text(struct test_random *r, struct arena *a, size_t size)
{
    size_t n = 1 + test_random_below(r, size);
    uint8_t *p = arena_alloc(a, n);
    for (size_t i = 0; i < n; i++) {
        bool inner = i > 0 && i + 1 < n;
        p[i] = (uint8_t)(inner ? 0x20 + test_random_below(r, 0x7F - 0x20) : 'a' + test_random_below(r, 26));
    }
    return span_of(p, n);
}

static struct aba random_aba(struct test_random *r)
{
    uint32_t first = 1000000 + (uint32_t)test_random_below(r, 11000000);
    return (struct aba){first * 10 + aba_check_digit(first)};
}

static void random_addenda(struct test_random *r, struct arena *a, struct transfer *t)
{
    static const size_t max[SECS] = {[SEC_PPD] = 1, [SEC_CCD] = 1, [SEC_CTX] = 7, [SEC_WEB] = 1};
    t->addenda_count = test_random_below(r, max[t->sec] + 1);
    t->addenda = arena_array(a, t->addenda_count + 1, sizeof *t->addenda);
    for (size_t i = 0; i < t->addenda_count; i++) {
        t->addenda[i] = random_text(r, a, ADDENDA_TEXT_SIZE);
    }
}

static struct transfer random_transfer(struct test_random *r, struct arena *a)
{
    static const char *const descriptions[] = {"PAYROLL", "Bills", "bills", "PURCHASE"};
    struct transfer t = ach_sample_transfer(0);
    t.originator = span_str(test_random_below(r, 3) == 0 ? "southwind" : "northwind");
    t.entry_description = span_str(descriptions[test_random_below(r, 4)]);
    t.sec = (enum sec)(1 + test_random_below(r, SECS - 1));
    t.side = t.sec == SEC_TEL ? SIDE_DEBIT : (enum side)(1 + test_random_below(r, 2));
    t.account_type = (enum account_type)(1 + test_random_below(r, t.side == SIDE_DEBIT ? 3 : 4));
    t.rdfi = random_aba(r);
    t.account = random_text(r, a, 17);
    t.prenote = test_random_below(r, 10) == 0;
    t.amount.n = t.prenote ? 0 : 1 + (int64_t)test_random_below(r, AMOUNT_MAX_CENTS);
    t.name = random_text(r, a, t.sec == SEC_CTX ? 16 : 22);
    t.individual_id = random_text(r, a, 15);
    t.payment_type = t.sec == SEC_WEB || (t.sec == SEC_TEL && test_random_below(r, 2) == 0) ? 'R' : 0;
    t.discretionary = t.sec == SEC_WEB || t.sec == SEC_TEL ? SPAN_NONE : random_text(r, a, 2);
    random_addenda(r, a, &t);
    return t;
}

enum form { AS_IT_CAME, PACKED, UPPER };

/* As it must stand in the file, without the blanks at its end. */
static void assert_text(struct span found, struct span given, enum form form)
{
    size_t n = 0;
    for (size_t i = 0; i < given.n; i++) {
        if (form == PACKED && given.p[i] == ' ') {
            continue;
        }
        assert_true(n < found.n);
        assert_int_equal(found.p[n++], form == UPPER ? toupper(given.p[i]) : given.p[i]);
    }
    assert_int_equal(n, found.n);
}

static void assert_same(const struct ach_parsed_entry *e, const struct transfer *t)
{
    char type[2] = {t->payment_type, '\0'};
    assert_int_equal(e->code, ach_transaction_code(t));
    assert_int_equal(e->rdfi, t->rdfi.n);
    assert_text(e->account, t->account, PACKED);
    assert_true(e->amount.n == t->amount.n);
    assert_text(e->name, t->name, UPPER);
    assert_text(e->individual_id, t->individual_id, AS_IT_CAME);
    assert_text(e->discretionary, t->payment_type != 0 ? span_str(type) : t->discretionary, AS_IT_CAME);
    assert_int_equal(e->addenda_count, t->addenda_count);
    for (size_t i = 0; i < t->addenda_count; i++) {
        assert_text(e->addenda[i].text, t->addenda[i], AS_IT_CAME);
        assert_int_equal(e->addenda[i].sequence, i + 1);
    }
}

static void assert_batch(const struct ach_parsed_batch *b, const struct settings *s,
                         const struct ach_entry *first)
{
    const struct originator_settings *o = settings_originator(s, first->transfer->originator);
    assert_text(b->company_name, o->company_name, UPPER);
    assert_text(b->company_id, o->company_id, AS_IT_CAME);
    assert_text(b->description, first->transfer->entry_description, UPPER);
    assert_true(span_is(b->sec, sec_name(first->transfer->sec)));
    assert_int_equal(b->service_class, first->transfer->side == SIDE_CREDIT ? 220 : 225);
    assert_int_equal(b->odfi, 12210527);
}

/* Every entry of the file is the transfer it was made from, in the order given,
 * with the next trace number. */
static void assert_file(struct span file, const struct settings *s, const struct ach_entry *entries,
                        size_t count, uint32_t trace_start)
{
    struct arena a = ARENA_INIT;
    struct ach_parsed f;
    char why[200] = "";
    size_t n = 0;
    if (ach_parse(file, &a, &f, why, sizeof why) != SG_OK) {
        fail_msg("%s", why);
    }
    for (size_t i = 0; i < f.batches_count; i++) {
        assert_true(n < count);
        assert_batch(&f.batches[i], s, &entries[n]);
        for (size_t j = 0; j < f.batches[i].entries_count; j++, n++) {
            assert_true(n < count);
            assert_same(&f.batches[i].entries[j], entries[n].transfer);
            assert_true(f.batches[i].entries[j].trace == 122105270000000 + trace_start + n);
        }
    }
    assert_int_equal(n, count);
    arena_release(&a);
}

static void add(struct sums *sums, const struct ach_totals *t)
{
    sums->entries += t->entries;
    sums->addenda += t->addenda;
    sums->debit += t->debit.n;
    sums->credit += t->credit.n;
}

/* One file of the leading entries; how many went in. */
static size_t one_file(const struct settings *s, const struct ach_entry *entries, size_t count,
                       uint32_t trace_start, struct sums *sums)
{
    struct ach_file_header header = ach_sample_header();
    struct bytes out = BYTES_NONE;
    struct bytes again = BYTES_NONE;
    struct ach_totals totals;
    struct ach_totals found;
    char why[200] = "";
    size_t n = ach_fit(s, entries, count, trace_start);
    assert_true(n > 0);
    header.trace_start = trace_start;
    assert_int_equal(ach_build(s, &header, entries, n, &out, &totals), SG_OK);
    if (ach_verify(span_bytes(&out), false, &found, why, sizeof why) != SG_OK) {
        fail_msg("%s", why);
    }
    assert_true(ach_totals_eq(&totals, &found));
    assert_true(totals.blocks * 10 <= s->shard.max_lines);
    assert_true(totals.debit.n <= s->shard.max_file_cents.n);
    assert_true(totals.credit.n <= s->shard.max_file_cents.n);
    assert_int_equal(ach_trace_sequence(totals.trace_first), trace_start);
    assert_int_equal(ach_trace_sequence(totals.trace_last), trace_start + n - 1);
    assert_file(span_bytes(&out), s, entries, n, trace_start);
    assert_int_equal(ach_build(s, &header, entries, n, &again, &found), SG_OK);
    assert_true(span_eq(span_bytes(&out), span_bytes(&again)));
    add(sums, &totals);
    bytes_release(&out);
    bytes_release(&again);
    return n;
}

/* Cents in are cents out (I-9), over however many files. */
static void one_window(struct test_random *r)
{
    struct arena a = ARENA_INIT;
    struct settings *s = ach_sample_settings();
    size_t count = 1 + test_random_below(r, COUNT_MAX);
    struct transfer *transfers = arena_array(&a, count, sizeof *transfers);
    struct ach_entry *entries = arena_array(&a, count, sizeof *entries);
    struct sums in = {0};
    struct sums out = {0};
    char why[200] = "";
    s->shard.max_lines = 20 + (uint32_t)test_random_below(r, 400);
    s->shard.max_file_cents.n = AMOUNT_MAX_CENTS * (1 + (int64_t)test_random_below(r, 50));
    s->shard.line_ends = test_random_below(r, 2) == 0 ? LINE_ENDS_LF : LINE_ENDS_CRLF;
    for (size_t i = 0; i < count; i++) {
        transfers[i] = random_transfer(r, &a);
        if (ach_validate(s, &transfers[i], why, sizeof why) != SG_OK) {
            fail_msg("%s", why);
        }
        in.entries++;
        in.addenda += transfers[i].addenda_count;
        *(transfers[i].side == SIDE_DEBIT ? &in.debit : &in.credit) += transfers[i].amount.n;
    }
    ach_sample_entries(transfers, count, entries);
    ach_order(s, entries, count);
    uint32_t trace = 1 + (uint32_t)test_random_below(r, 9000000);
    for (size_t done = 0; done < count;) {
        size_t n = one_file(s, entries + done, count - done, trace, &out);
        done += n;
        trace += (uint32_t)n;
    }
    assert_memory_equal(&in, &out, sizeof in);
    arena_release(&a);
}

static void test_random_windows(void **state)
{
    (void)state;
    struct test_random r = {20261123};
    for (int round = 0; round < 150; round++) {
        one_window(&r);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_windows)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
