/* Questions about days, clocks and cut-offs: daylight saving, midnight, leap days,
 * clocks that are wrong, cut-offs that are moved. docs/what-if.md names the test of
 * each question. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "shard/ach/zone_rule.h"
#include "tests/support/duty_world.h"

#define SECOND_MS UINT64_C(1000)
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)

/* --- The calendar and the clock -------------------------------------------------------- */

static void set_windows(struct world *w, int first_minute, int second_minute)
{
    w->settings->shard.every_day = true;
    w->settings->shard.windows_count = 2;
    w->settings->shard.windows[0].close_minute = first_minute;
    w->settings->shard.windows[1].close_minute = second_minute;
    w->settings->shard.windows[0].upload_by_minute = -1;
    w->settings->shard.windows[1].upload_by_minute = -1;
    w->settings->shard.missed = MISSED_HOLD;
    world_apply_settings(w, 2);
}

static void set_wall(struct world *w, struct day day, int utc_hour, int minute)
{
    test_loop_set_wall(w->t,
                       ((int64_t)day.n * 24 + utc_hour) * (int64_t)HOUR_MS + minute * (int64_t)MINUTE_MS);
}

/* On 14 March 2027 New York's clocks go from 02:00 to 03:00, on 7 November from
 * 02:00 back to 01:00. What is skipped closes when it is skipped, all of it;
 * what comes twice closes the first time. */
static void windows_in_the_hour_of_a_clock_change(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        int month, day, first, second, utc_hour, first_at, second_at; /* Minutes of the day, UTC. */
    } rows[] = {
        {"both are skipped: both close at 03:00", 3, 14, 135, 165, 6, 7 * 60, 7 * 60},
        {"one before, one in the gap", 3, 14, 90, 165, 6, 6 * 60 + 30, 7 * 60},
        {"the hour comes twice: once, the first time", 11, 7, 75, 105, 4, 5 * 60 + 15, 5 * 60 + 45},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        print_message("%s\n", rows[i].reason);
        struct world *w = world_new(1);
        struct day day = day_of(2027, rows[i].month, rows[i].day);
        assert_true(zone_rule_parse(span_str("EST5EDT,M3.2.0,M11.1.0"), &w->zone.rule));
        set_wall(w, day, rows[i].utc_hour, 0);
        set_windows(w, rows[i].first, rows[i].second);
        (void)world_elect(w);
        world_run(w, 10 * HOUR_MS);
        struct window_row first, second;
        assert_true(world_window(w, "SD1", day, &first));
        assert_true(world_window(w, "ND", day, &second));
        int64_t midnight_ms = (int64_t)day.n * 24 * (int64_t)HOUR_MS;
        assert_int_equal((first.closed_ms - midnight_ms) / (int64_t)MINUTE_MS, rows[i].first_at);
        assert_int_equal((second.closed_ms - midnight_ms) / (int64_t)MINUTE_MS, rows[i].second_at);
        assert_false(first.late || second.late);
        assert_int_equal(world_events(w, "window.closed"), 2);
        world_free(w);
    }
}

/* One window at the first minute of a day, one at the last: each closes once, on
 * its own day. What is closed before midnight and sealed behind it has the
 * creation date of the new day and the dates of the old one. */
static void windows_around_midnight(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    struct window_row row;
    world_set_clock(w, 23, 23, 58, 0);
    set_windows(w, 0, 24 * 60 - 1);
    world_submit_samples(w, "t");
    (void)world_elect(w);
    test_loop_hold(w->t, WORKER_READ); /* It takes its time to build the file. */
    world_run(w, 90 * SECOND_MS);
    assert_true(world_window(w, "ND", day_of(2026, 11, 23), &row));
    assert_int_equal(row.processing_day.n, day_of(2026, 11, 23).n);
    assert_false(world_window(w, "SD1", day_of(2026, 11, 24), &row));
    test_loop_release(w->t, WORKER_READ);
    world_kill(w->current);
    world_set_clock(w, 24, 0, 0, 1);
    (void)world_elect(w);
    world_run(w, 10 * SECOND_MS);
    assert_true(world_window(w, "SD1", day_of(2026, 11, 24), &row));
    assert_false(row.late);
    struct arena a = ARENA_INIT;
    struct file_row file = world_file_row(w, 1, &a);
    assert_int_equal(file.seal.creation_day.n, day_of(2026, 11, 24).n);
    assert_int_equal(file.seal.modifier, 'A');
    arena_release(&a);
    world_must_deliver_once(w, 1);
    world_run(w, 12 * HOUR_MS);
    assert_int_equal(world_events(w, "window.closed"), 2);
    world_free(w);
}

/* A leader's clock runs a day ahead for a while: tomorrow's windows are used up.
 * Tomorrow nothing closes by itself; closing by hand brings everything out. */
static void a_clock_a_day_ahead(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    struct window_row row;
    set_windows(w, 10 * 60 + 15, 16 * 60 + 15);
    world_set_clock(w, 24, 10, 14, 50);
    (void)world_elect(w);
    world_run(w, 20 * SECOND_MS);
    assert_true(world_window(w, "SD1", day_of(2026, 11, 24), &row));
    world_set_clock(w, 23, 16, 20, 0);
    (void)world_elect(w);
    world_submit_samples(w, "t");
    world_run(w, 18 * HOUR_MS); /* Past 10:15 of the next day. */
    assert_int_equal(world_file_state(w, 1), 0);
    world_close(w, "M1");
    duty_wake(&w->current->duties.env, DUTY_SEALING);
    world_run(w, MINUTE_MS);
    assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
    world_must_deliver_once(w, 1);
    world_free(w);
}

/* Dates that a calendar gets wrong: in the name, in the header, on the entries. */
static void leap_day_and_new_year(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        struct civil today;
        const char *name, *created, *effective;
    } rows[] = {
        {"the next day is 29 February", {2028, 2, 28}, "28059A", "280228", "280229"},
        {"the file is made on 29 February", {2028, 2, 29}, "28060A", "280229", "280301"},
        {"2027 has no 29 February", {2027, 2, 26}, "27057A", "270226", "270301"},
        {"1 January, a holiday, a weekend", {2026, 12, 31}, "26365A", "261231", "270104"},
        {"the last day of a leap year is a Sunday", {2028, 12, 31}, "28366A", "281231", "290102"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        print_message("%s\n", rows[i].reason);
        struct world *w = world_new(1);
        w->settings->shard.file_name = span_str("{date:%y%j}{modifier}");
        set_wall(w, day_of(rows[i].today.year, rows[i].today.month, rows[i].today.day), 17, 0);
        world_apply_settings(w, 2);
        world_submit_samples(w, "t");
        world_close(w, "M1");
        (void)world_elect(w);
        world_run(w, SECOND_MS);
        const struct world_file *f = world_find(w, BANK_DROP, rows[i].name);
        assert_non_null(f);
        assert_memory_equal(f->content.p + 23, rows[i].created, 6);
        assert_memory_equal(f->content.p + 95 + 69, rows[i].effective, 6);
        world_free(w);
    }
}

/* --- Cut-offs that are set up by a wrong clock, or moved ----------------------------------- */

/* The machine's clock was hours ahead when the settings came in, and is put right
 * afterwards: today's windows are still to come, whoever leads. */
static void settings_by_a_clock_that_was_ahead(void **state)
{
    (void)state;
    for (int fails_over = 0; fails_over < 2; fails_over++) {
        struct world *w = world_new(1);
        struct window_row row;
        world_set_clock(w, 23, 15, 0, 0);
        (void)world_elect(w);
        world_run(w, SECOND_MS);
        w->settings->shard.windows_count = 2;
        w->settings->shard.missed = MISSED_HOLD;
        world_change_settings(w, 2);
        world_submit_samples(w, "t");
        world_set_clock(w, 23, 10, 0, 0);
        world_run(w, MINUTE_MS);
        if (fails_over != 0) {
            world_set_clock(w, 23, 10, 15, 10); /* Dead just before the cut-off. */
            (void)world_elect(w);
        }
        world_run(w, 20 * MINUTE_MS);
        assert_true(world_window(w, "SD1", day_of(2026, 11, 23), &row));
        assert_false(row.late);
        world_must_deliver_once(w, 1);
        world_run(w, 6 * HOUR_MS);
        assert_true(world_window(w, "ND", day_of(2026, 11, 23), &row));
        assert_int_equal(world_events(w, "window.closed"), 2);
        world_free(w);
    }
}

/* Moved to later after it has closed, moved to a time that has passed before it
 * closed: today it does not close (again) by itself, from tomorrow it does. */
static void a_cut_off_that_is_moved(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        int moved_to; /* Minute of the day; at 12:00, SD1 is at 10:15 and ND at 16:15. */
        size_t window, closed_today;
    } rows[] = {
        {"SD1 from 10:15 to 13:00, at noon: it is closed", 13 * 60, 0, 2},
        {"ND from 16:15 to 11:00, at noon: new, and its time has passed", 11 * 60, 1, 1},
        {"ND from 16:15 to 15:00, at noon", 15 * 60, 1, 2},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        print_message("%s\n", rows[i].reason);
        struct world *w = world_new(1);
        struct window_row row;
        set_windows(w, 10 * 60 + 15, 16 * 60 + 15);
        (void)world_elect(w);
        world_run(w, 2 * HOUR_MS);
        w->settings->shard.windows[rows[i].window].close_minute = rows[i].moved_to;
        world_change_settings(w, 3);
        world_run(w, 10 * HOUR_MS);
        assert_int_equal(world_events(w, "window.closed"), rows[i].closed_today);
        world_run(w, 20 * HOUR_MS);
        assert_true(world_window(w, "SD1", day_of(2026, 11, 24), &row));
        assert_true(world_window(w, "ND", day_of(2026, 11, 24), &row));
        assert_int_equal(world_events(w, "window.missed"), 0);
        world_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(windows_in_the_hour_of_a_clock_change),
        cmocka_unit_test(windows_around_midnight),
        cmocka_unit_test(a_clock_a_day_ahead),
        cmocka_unit_test(leap_day_and_new_year),
        cmocka_unit_test(settings_by_a_clock_that_was_ahead),
        cmocka_unit_test(a_cut_off_that_is_moved),
    };
    logger_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
