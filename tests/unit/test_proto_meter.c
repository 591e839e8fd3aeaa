#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/base/mem.h"
#include "proto/base/meter.h"
#include "tests/support/test_random.h"

#define MINUTE_US METER_RECENT_US

static struct histogram *histogram_new(void)
{
    return mem_zalloc(1, sizeof(struct histogram));
}

static void test_nothing_was_added(void **state)
{
    (void)state;
    struct histogram *h = histogram_new();
    assert_int_equal(histogram_count(h), 0);
    assert_int_equal(histogram_max(h), 0);
    assert_int_equal(histogram_quantile(h, 0), 0);
    assert_int_equal(histogram_quantile(h, 1000), 0);
    mem_free(h);
}

static void test_one_value_is_every_quantile(void **state)
{
    (void)state;
    static const uint64_t values[] = {0,
                                      1,
                                      15,
                                      16,
                                      17,
                                      31,
                                      32,
                                      33,
                                      63,
                                      64,
                                      999,
                                      25000,
                                      65535,
                                      65536,
                                      (1ull << 32) - 1,
                                      1ull << 32,
                                      (1ull << 32) + 1,
                                      UINT64_MAX};
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++) {
        struct histogram *h = histogram_new();
        histogram_add(h, values[i]);
        for (unsigned q = 0; q <= 1000; q += 250) {
            assert_int_equal(histogram_quantile(h, q), values[i]); /* Cut at the maximum. */
        }
        assert_int_equal(histogram_max(h), values[i]);
        mem_free(h);
    }
}

static void test_small_values_are_exact(void **state)
{
    (void)state;
    struct histogram *h = histogram_new();
    for (uint64_t v = 0; v < 10; v++) {
        histogram_add(h, v);
    }
    assert_int_equal(histogram_count(h), 10);
    assert_int_equal(histogram_quantile(h, 100), 0);
    assert_int_equal(histogram_quantile(h, 101), 1); /* Ranks are rounded up. */
    assert_int_equal(histogram_quantile(h, 500), 4);
    assert_int_equal(histogram_quantile(h, 900), 8);
    assert_int_equal(histogram_quantile(h, 901), 9);
    mem_free(h);
}

static int by_value(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

/* Against the sorted values: never less than the right one, and at most a
 * sixteenth more. */
static void test_quantiles_against_sorted_values(void **state)
{
    (void)state;
    enum { N = 2000 };
    static uint64_t values[N];
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct test_random r = {seed};
        struct histogram *h = histogram_new();
        for (size_t i = 0; i < N; i++) {
            values[i] = test_random_next(&r) >> (33 + test_random_below(&r, 31));
            histogram_add(h, values[i]);
        }
        qsort(values, N, sizeof values[0], by_value);
        for (unsigned q = 1; q <= 1000; q++) {
            uint64_t right = values[((size_t)N * q + 999) / 1000 - 1];
            uint64_t got = histogram_quantile(h, q);
            assert_true(got >= right);
            assert_true(got <= right + right / 16);
        }
        mem_free(h);
    }
}

static void test_merge_adds_up(void **state)
{
    (void)state;
    struct histogram *a = histogram_new();
    struct histogram *b = histogram_new();
    histogram_add(a, 5);
    histogram_add(b, 7);
    histogram_add(b, 90000);
    histogram_merge(a, b);
    assert_int_equal(histogram_count(a), 3);
    assert_int_equal(histogram_quantile(a, 500), 7);
    assert_int_equal(histogram_max(a), 90000);
    histogram_clear(a);
    assert_int_equal(histogram_count(a), 0);
    assert_int_equal(histogram_max(a), 0);
    mem_free(a);
    mem_free(b);
}

/* A turn that ends at this time. */
static void lap(struct meter *m, uint64_t end_us, uint64_t clock_us, uint64_t cpu_us)
{
    struct stamp end =
        meter_lap(m, (struct stamp){end_us - clock_us, 1000}, (struct stamp){end_us, 1000 + cpu_us});
    assert_int_equal(end.clock_us, end_us);
}

static void test_recent_forgets_after_two_minutes(void **state)
{
    (void)state;
    struct meter *m = mem_zalloc(1, sizeof *m);
    lap(m, 10ull * MINUTE_US + 1, 40000, 9);
    lap(m, 11ull * MINUTE_US + 2, 300, 8);
    struct meter_figures f = meter_recent(m, (struct stamp){11ull * MINUTE_US + 3, 0});
    assert_int_equal(f.count, 2);
    assert_int_equal(f.max_us, 40000);
    assert_int_equal(f.cpu_max_us, 9);
    /* The next minute counts over the place of the first, and leaves the second. */
    lap(m, 12ull * MINUTE_US, 100, 7);
    f = meter_recent(m, (struct stamp){12ull * MINUTE_US, 0});
    assert_int_equal(f.count, 2);
    assert_int_equal(f.max_us, 300);
    assert_int_equal(f.cpu_max_us, 8);
    /* Nobody adds any more: what is old is not told. */
    f = meter_recent(m, (struct stamp){13ull * MINUTE_US, 0});
    assert_int_equal(f.count, 1);
    f = meter_recent(m, (struct stamp){14ull * MINUTE_US, 0});
    assert_int_equal(f.count, 0);
    assert_int_equal(f.max_us, 0);
    f = meter_all(m);
    assert_int_equal(f.count, 3);
    assert_int_equal(f.max_us, 40000);
    assert_int_equal(f.p50_us, 303); /* The end of its bucket. */
    mem_free(m);
}

static void test_longest_is_taken_once(void **state)
{
    (void)state;
    struct meter *m = mem_zalloc(1, sizeof *m);
    lap(m, MINUTE_US, 70, 1);
    lap(m, MINUTE_US + 100, 30, 1);
    assert_int_equal(meter_take_longest(m), 70);
    assert_int_equal(meter_take_longest(m), 0);
    mem_free(m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_was_added),
        cmocka_unit_test(test_one_value_is_every_quantile),
        cmocka_unit_test(test_small_values_are_exact),
        cmocka_unit_test(test_quantiles_against_sorted_values),
        cmocka_unit_test(test_merge_adds_up),
        cmocka_unit_test(test_recent_forgets_after_two_minutes),
        cmocka_unit_test(test_longest_is_taken_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
