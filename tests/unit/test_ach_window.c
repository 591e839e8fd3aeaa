#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shard/ach/window.h"
#include "tests/support/ach_sample.h"

#define HOUR_MS 3600000ll

/* Five hours west all year, so that times can be read off. */
static const struct zone eastern = {.first_s = -5 * 3600};

static int64_t at(int month, int day, int hour, int minute)
{
    return (day_of(2026, month, day).n * 24ll + hour + 5) * HOUR_MS + minute * 60000ll;
}

static void test_next(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        int month, day, hour, minute; /* Now. */
        bool every_day;
        int want_month, want_day;
        size_t want_window;
    } rows[] = {
        {"before the first", 11, 23, 9, 0, false, 11, 23, 0},
        {"at the very close: this one", 11, 23, 10, 15, false, 11, 23, 0},
        {"a minute later: the second", 11, 23, 10, 16, false, 11, 23, 1},
        {"after the last: tomorrow", 11, 23, 16, 16, false, 11, 24, 0},
        {"over the weekend", 11, 20, 16, 16, false, 11, 23, 0},
        {"on a Saturday, every day", 11, 21, 9, 0, true, 11, 21, 0},
        {"over Thanksgiving", 11, 25, 17, 0, false, 11, 27, 0},
        {"on a holiday, every day", 11, 26, 12, 0, true, 11, 26, 1},
        {"local midnight, not Greenwich's", 11, 23, 23, 30, false, 11, 24, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct settings *s = ach_sample_settings();
        struct window_time w = {0};
        s->shard.every_day = rows[i].every_day;
        int64_t now = at(rows[i].month, rows[i].day, rows[i].hour, rows[i].minute);
        enum sg_err err = window_next(s, &eastern, now, &w);
        if (err != SG_OK || w.day.n != day_of(2026, rows[i].want_month, rows[i].want_day).n ||
            w.window != rows[i].want_window) {
            fail_msg("%s", rows[i].reason);
        }
        assert_true(w.close_ms >= now);
        assert_true(w.close_ms == window_close_ms(&s->shard, &eastern, w.day, w.window));
    }
}

/* Walking on from each close finds each window once. */
static void test_walk(void **state)
{
    (void)state;
    struct settings *s = ach_sample_settings();
    size_t count = 0;
    int64_t now = at(1, 1, 0, 0);
    struct window_time w;
    while (count < 502) { /* 251 banking days in 2026. */
        assert_int_equal(window_next(s, &eastern, now, &w), SG_OK);
        assert_true(w.close_ms >= now);
        count++;
        now = w.close_ms + 1;
    }
    assert_int_equal(w.day.n, day_of(2026, 12, 31).n);
    assert_int_equal(w.window, 1);
}

static void test_bounds(void **state)
{
    (void)state;
    struct settings *s = ach_sample_settings();
    static struct day extra[CALENDAR_EXTRA_MAX];
    struct window_time w;
    for (int i = 0; i < 30; i++) {
        extra[i].n = day_of(2026, 11, 2).n + i;
    }
    s->calendar.extra = extra;
    s->calendar.extra_count = 30;
    /* Closed from 2 November to 1 December. */
    assert_int_equal(window_next(s, &eastern, at(11, 2, 12, 0), &w), SG_OK);
    assert_int_equal(w.day.n, day_of(2026, 12, 2).n);
    /* A clock that was never set. */
    assert_int_equal(window_next(s, &eastern, 0, &w), SG_NOTFOUND);
    assert_int_equal(window_next(s, &eastern, -1, &w), SG_NOTFOUND);
    s->shard.windows_count = 0;
    assert_int_equal(window_next(s, &eastern, at(11, 2, 12, 0), &w), SG_NOTFOUND);
}

static void test_deadlines(void **state)
{
    (void)state;
    struct settings *s = ach_sample_settings();
    struct shard_settings *shard = &s->shard;
    struct day day = day_of(2026, 11, 23);
    assert_true(window_upload_by_ms(shard, &eastern, day, 0) == at(11, 23, 10, 30));
    assert_true(window_upload_by_ms(shard, &eastern, day, 1) == INT64_MAX);
    shard->windows[1].upload_by_minute = 30; /* Half past midnight. */
    assert_true(window_upload_by_ms(shard, &eastern, day, 1) == at(11, 24, 0, 30));
    assert_true(window_late_until_ms(shard, &eastern, day, 0) == at(11, 23, 17, 0));
    shard->late_until_minute = 12 * 60; /* Before the second window's close. */
    assert_true(window_late_until_ms(shard, &eastern, day, 0) == at(11, 23, 12, 0));
    assert_true(window_late_until_ms(shard, &eastern, day, 1) == at(11, 23, 16, 15));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_next),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_deadlines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
