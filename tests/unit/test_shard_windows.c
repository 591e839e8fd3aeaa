/* Windows close once, at their time or as the policy for missed ones says;
 * settings come in between, never over an overdue window. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/support/duty_world.h"

#define MINUTE_MS UINT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)

/* Monday, 23 November 2026, 10:00 in New York; SD1 10:15, ND 16:15. */
static struct day monday(void)
{
    return day_of(2026, 11, 23);
}

static struct world *world_with_windows(enum missed_policy missed)
{
    struct world *w = world_new(1);
    w->settings->shard.windows_count = 2;
    w->settings->shard.missed = missed;
    world_apply_settings(w, 2);
    world_submit_samples(w, "t");
    return w;
}

/* --- What to do with one ----------------------------------------------------------- */

static const struct {
    const char *reason;
    enum missed_policy missed;
    int late_until;
    int minutes_after; /* Its close at 16:15. */
    enum window_action action;
} actions[] = {
    {"on time", MISSED_NEXT_WINDOW, 0, 0, WINDOW_CLOSE},
    {"a failover is not a miss", MISSED_HOLD, 0, 0, WINDOW_CLOSE},
    {"a minute late is late", MISSED_NEXT_WINDOW, 0, 1, WINDOW_LEAVE},
    {"hold", MISSED_HOLD, 0, 1, WINDOW_CLOSE_HELD},
    {"before late_until", MISSED_UPLOAD_LATE_UNTIL, 17 * 60, 44, WINDOW_CLOSE_LATE},
    {"at late_until", MISSED_UPLOAD_LATE_UNTIL, 17 * 60, 45, WINDOW_LEAVE},
    {"late_until before its close: never late", MISSED_UPLOAD_LATE_UNTIL, 12 * 60, 1, WINDOW_LEAVE},
    {"the next day", MISSED_UPLOAD_LATE_UNTIL, 17 * 60, 24 * 60, WINDOW_LEAVE},
};

static void test_actions(void **state)
{
    (void)state;
    struct world *w = world_with_windows(MISSED_HOLD);
    struct shard_settings *s = &w->settings->shard;
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++) {
        print_message("%s\n", actions[i].reason);
        s->missed = actions[i].missed;
        s->late_until_minute = actions[i].late_until;
        struct window_time due = {1, monday(), window_close_ms(s, &w->zone, monday(), 1)};
        int64_t now_ms = due.close_ms + actions[i].minutes_after * (int64_t)MINUTE_MS;
        assert_int_equal(window_due_action(s, &w->zone, &due, now_ms), actions[i].action);
    }
    world_free(w);
}

/* --- A day as it should be ------------------------------------------------------------ */

static void test_on_time(void **state)
{
    (void)state;
    struct world *w = world_with_windows(MISSED_HOLD);
    struct world_leader *l = world_elect(w);
    struct window_row row;
    world_run(w, 14 * MINUTE_MS);
    assert_false(world_window(w, "SD1", monday(), &row));
    assert_true(l->duties.windows.has_next);
    world_run(w, 2 * MINUTE_MS);
    assert_true(world_window(w, "SD1", monday(), &row));
    assert_int_equal(row.state, WINDOW_SEALED);
    assert_in_range(row.closed_ms - row.scheduled_ms, 0, 10);
    assert_false(row.late || row.hold || row.manual);
    assert_int_equal(row.files_count, 1);
    world_run(w, 7 * HOUR_MS);
    assert_true(world_window(w, "ND", monday(), &row));
    assert_int_equal(row.files_count, 0); /* Nobody sent anything: no file. */
    world_run(w, 24 * HOUR_MS);
    assert_int_equal(world_events(w, "window.closed"), 4);
    assert_int_equal(world_events(w, "window.missed"), 0);
    world_free(w);
}

/* --- Nobody was there -------------------------------------------------------------------- */

static const struct {
    const char *reason;
    enum missed_policy missed;
    int day, hour, minute, second; /* When somebody leads again. */
    size_t closed, missed_events;
    bool first_late, first_hold;
    enum window_state first; /* SD1 of Monday; 0: no row. */
    enum file_state file;    /* 0: none. */
} absences[] = {
    {"back before anything was due", MISSED_HOLD, 23, 10, 14, 0, 0, 0, false, false, 0, 0},
    {"back within the grace", MISSED_HOLD, 23, 10, 15, 59, 1, 0, false, false, WINDOW_SEALED, FILE_UPLOADED},
    {"late, before late_until", MISSED_UPLOAD_LATE_UNTIL, 23, 10, 40, 0, 1, 0, true, false, WINDOW_SEALED,
     FILE_UPLOADED},
    {"two late, the first takes all", MISSED_UPLOAD_LATE_UNTIL, 23, 16, 50, 0, 2, 0, true, false,
     WINDOW_SEALED, FILE_UPLOADED},
    {"after late_until: to the next", MISSED_UPLOAD_LATE_UNTIL, 23, 17, 30, 0, 0, 2, false, false,
     WINDOW_MISSED, 0},
    {"next_window", MISSED_NEXT_WINDOW, 23, 12, 0, 0, 0, 1, false, false, WINDOW_MISSED, 0},
    {"next_window, the next one is due now", MISSED_NEXT_WINDOW, 23, 16, 15, 30, 1, 1, false, false,
     WINDOW_MISSED, FILE_UPLOADED},
    {"next_window, a day later", MISSED_NEXT_WINDOW, 24, 9, 0, 0, 0, 2, false, false, WINDOW_MISSED, 0},
    {"hold: sealed and kept", MISSED_HOLD, 23, 12, 0, 0, 1, 0, true, true, WINDOW_SEALED, FILE_HOLD},
    {"a weekend and Thanksgiving have no windows", MISSED_NEXT_WINDOW, 30, 9, 0, 0, 0, 8, false, false,
     WINDOW_MISSED, 0},
    {"no further back than the limit", MISSED_NEXT_WINDOW, 37, 9, 0, 0, 0, 12, false, false, 0, 0},
};

static void test_absences(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof absences / sizeof absences[0]; i++) {
        print_message("%s\n", absences[i].reason);
        struct world *w = world_with_windows(absences[i].missed);
        struct window_row row;
        world_set_clock(w, absences[i].day, absences[i].hour, absences[i].minute, absences[i].second);
        (void)world_elect(w);
        world_run(w, 5000);
        /* A second leader finds nothing left to do. */
        (void)world_elect(w);
        world_run(w, 5000);
        assert_int_equal(world_events(w, "window.closed"), absences[i].closed);
        assert_int_equal(world_events(w, "window.missed"), absences[i].missed_events);
        assert_int_equal(world_window(w, "SD1", monday(), &row) ? row.state : 0, absences[i].first);
        if (absences[i].first == WINDOW_SEALED) {
            assert_int_equal(row.late, absences[i].first_late);
            assert_int_equal(row.hold, absences[i].first_hold);
        }
        assert_int_equal(world_file_state(w, 1), absences[i].file);
        world_free(w);
    }
}

/* --- The clock jumps ------------------------------------------------------------------------ */

static void test_clock_jumps(void **state)
{
    (void)state;
    struct world *w = world_with_windows(MISSED_UPLOAD_LATE_UNTIL);
    struct window_row row;
    (void)world_elect(w);
    world_run(w, MINUTE_MS);
    world_set_clock(w, 23, 10, 20, 0);
    world_run(w, WINDOW_LOOK_MS + 100);
    assert_true(world_window(w, "SD1", monday(), &row));
    assert_true(row.late);
    world_set_clock(w, 23, 10, 0, 0);
    world_run(w, HOUR_MS);
    assert_int_equal(world_events(w, "window.closed"), 1);
    /* A year ahead by mistake, and back: what was closed stays, the rest of the
     * real day still closes. */
    world_set_clock(w, 23 + 300, 9, 0, 0);
    world_run(w, WINDOW_LOOK_MS + 100);
    world_set_clock(w, 23, 16, 14, 0);
    world_run(w, 2 * MINUTE_MS);
    assert_true(world_window(w, "ND", monday(), &row));
    assert_int_equal(row.state, WINDOW_SEALED);
    world_free(w);
}

/* A clock that reads no day of this age closes nothing, stops nothing and is told;
 * when it is right again, all goes on. */
static void test_a_clock_of_1970(void **state)
{
    (void)state;
    static const int64_t walls_ms[] = {0, -1000, INT64_C(-86400000), INT64_C(253402300800000)};
    for (size_t i = 0; i < sizeof walls_ms / sizeof *walls_ms; i++) {
        struct world *w = world_with_windows(MISSED_NEXT_WINDOW);
        struct window_row row;
        world_close(w, "M1");
        test_loop_set_wall(w->t, walls_ms[i]);
        (void)world_elect(w);
        world_run(w, 10 * MINUTE_MS);
        assert_int_equal(world_events(w, "window.closed"), 1);
        assert_int_equal(world_file_state(w, 1), 0);
        assert_true(world_events(w, "alert") > 0);
        world_set_clock(w, 23, 10, 14, 0);
        world_run(w, 3 * MINUTE_MS);
        assert_true(world_window(w, "SD1", monday(), &row));
        assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
        world_free(w);
    }
}

/* A held window goes to the bank when a person says so. */
static void test_release(void **state)
{
    (void)state;
    struct world *w = world_with_windows(MISSED_HOLD);
    world_set_clock(w, 23, 10, 20, 0);
    (void)world_elect(w);
    world_run(w, MINUTE_MS);
    assert_int_equal(world_file_state(w, 1), FILE_HOLD);
    struct command c = {.kind = COMMAND_RELEASE, .release = {.window = "SD1"}};
    assert_int_equal(world_apply(w, &c), SG_OK);
    duties_told(&w->current->duties, COMMAND_RELEASE);
    world_run(w, MINUTE_MS);
    assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
    world_must_deliver_once(w, 1);
    world_free(w);
}

/* A leader that forgets to look at the rows is stopped by them. */
static void test_window_twice(void **state)
{
    (void)state;
    if (!world_has_faults()) {
        skip();
    }
    struct world *w = world_with_windows(MISSED_HOLD);
    world_set_bugs("window-twice");
    (void)world_elect(w);
    world_run(w, 20 * MINUTE_MS);
    world_set_bugs("");
    assert_true(w->proposed_count > 10);
    assert_int_equal(world_events(w, "window.closed"), 1);
    world_free(w);
}

/* --- Settings --------------------------------------------------------------------------------- */

static void test_settings_come_in(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    struct world_leader *l = world_elect(w);
    world_run(w, 100);
    assert_int_equal(l->duties.env.settings->s.version, 1);
    w->settings->shard.windows_count = 2;
    world_settings(w, 7);
    duty_wake(&l->duties.env, DUTY_CONFIGURE);
    world_run(w, 100);
    assert_int_equal(l->duties.env.settings->s.version, 7);
    assert_true(l->duties.windows.has_next);
    size_t proposed = w->proposed_count;
    duty_wake(&l->duties.env, DUTY_CONFIGURE);
    world_run(w, HOUR_MS / 60);
    assert_int_equal(w->proposed_count, proposed); /* Once is enough. */
    world_free(w);
}

static unsigned refusals;

static enum sg_err refuse_some(struct world *w)
{
    (void)w;
    return refusals > 0 && refusals-- > 0 ? SG_BUSY : SG_OK;
}

static void test_settings_lost_are_proposed_again(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    world_settings(w, 2);
    refusals = 3;
    w->on_propose = refuse_some;
    struct world_leader *l = world_elect(w);
    world_run(w, MINUTE_MS);
    assert_int_equal(l->duties.env.settings->s.version, 2);
    world_free(w);
}

static void test_settings_refused_are_left(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    w->settings->shard.balanced = true; /* Not supported: apply refuses. */
    world_settings(w, 2);
    struct world_leader *l = world_elect(w);
    world_run(w, HOUR_MS);
    assert_int_equal(l->duties.env.settings->s.version, 1);
    assert_int_equal(world_events(w, "alert"), 1);
    assert_true(w->proposed_count <= 2);
    world_free(w);
}

/* A window whose time passed before its settings came is new, not missed: also
 * for the leader after the one that brought them. */
static void test_new_window_is_not_missed(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    world_submit_samples(w, "t");
    world_set_clock(w, 23, 15, 0, 0);
    w->settings->shard.windows_count = 2;
    world_apply_settings(w, 2);
    world_run(w, MINUTE_MS);
    (void)world_elect(w);
    world_run(w, MINUTE_MS);
    assert_int_equal(world_events(w, "window.closed") + world_events(w, "window.missed"), 0);
    world_run(w, 2 * HOUR_MS);
    assert_int_equal(world_events(w, "window.closed"), 1);
    world_free(w);
}

/* However much has happened since the settings came: their time stands in the rows. */
static void test_new_window_after_a_long_history(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    char id[16];
    world_set_clock(w, 23, 15, 0, 0);
    w->settings->shard.windows_count = 2;
    w->settings->shard.missed = MISSED_HOLD;
    world_apply_settings(w, 2);
    for (unsigned i = 0; i < 4300; i++) {
        (void)snprintf(id, sizeof id, "t%u-", i);
        world_submit_samples(w, id);
    }
    world_set_clock(w, 23, 15, 5, 0);
    (void)world_elect(w);
    world_run(w, MINUTE_MS);
    assert_int_equal(world_events(w, "window.closed") + world_events(w, "window.missed"), 0);
    assert_int_equal(world_file_state(w, 1), 0);
    world_free(w);
}

/* Also when its time passed less than a minute ago. */
static void test_new_window_within_its_minute(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    world_set_clock(w, 23, 10, 15, 20);
    w->settings->shard.windows_count = 2;
    world_apply_settings(w, 2);
    world_submit_samples(w, "t");
    world_set_clock(w, 23, 10, 15, 40);
    (void)world_elect(w);
    world_run(w, MINUTE_MS);
    assert_int_equal(world_events(w, "window.closed"), 0);
    world_free(w);
}

/* By the old settings a window was missed: that is settled before new ones,
 * which don't have it, come in. */
static void test_overdue_before_settings(void **state)
{
    (void)state;
    struct world *w = world_with_windows(MISSED_UPLOAD_LATE_UNTIL);
    world_set_clock(w, 23, 12, 0, 0);
    w->settings->shard.windows_count = 0;
    world_settings(w, 3);
    struct world_leader *l = world_elect(w);
    world_run(w, MINUTE_MS);
    struct window_row row;
    assert_true(world_window(w, "SD1", monday(), &row));
    assert_int_equal(row.settings_version, 2);
    assert_int_equal(l->duties.env.settings->s.version, 3);
    world_free(w);
}

/* --- By hand -------------------------------------------------------------------------------------- */

static enum sg_err close_by_hand(struct world *w, const char *name, char *made)
{
    char why[256];
    struct command c = {.kind = COMMAND_CLOSE};
    (void)snprintf(c.close.window.name, sizeof c.close.window.name, "%s", name);
    enum sg_err err = windows_manual(&w->current->duties.windows, &c, why, sizeof why);
    if (err == SG_OK) {
        (void)snprintf(made, WINDOW_NAME_SIZE_MAX + 1, "%s", c.close.window.name);
        assert_int_equal(c.close.window.day.n, monday().n);
        err = world_apply(w, &c);
    }
    return err;
}

static void test_by_hand(void **state)
{
    (void)state;
    struct world *w = world_with_windows(MISSED_HOLD);
    char name[WINDOW_NAME_SIZE_MAX + 1];
    (void)world_elect(w);
    world_run(w, 100);
    assert_int_equal(close_by_hand(w, "", name), SG_OK);
    assert_string_equal(name, "M1");
    assert_int_equal(close_by_hand(w, "", name), SG_OK);
    assert_string_equal(name, "M2");
    assert_int_equal(close_by_hand(w, "XX", name), SG_NOTFOUND);
    assert_int_equal(close_by_hand(w, "ND", name), SG_OK);
    assert_int_equal(close_by_hand(w, "ND", name), SG_EXISTS);
    (void)world_elect(w);
    world_run(w, 100);
    assert_int_equal(close_by_hand(w, "", name), SG_OK);
    assert_string_equal(name, "M3"); /* The rows remember. */
    world_run(w, 8 * HOUR_MS);
    assert_int_equal(world_events(w, "window.closed"), 5); /* SD1 at its time, ND not again. */
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_actions),
        cmocka_unit_test(test_on_time),
        cmocka_unit_test(test_absences),
        cmocka_unit_test(test_clock_jumps),
        cmocka_unit_test(test_a_clock_of_1970),
        cmocka_unit_test(test_release),
        cmocka_unit_test(test_window_twice),
        cmocka_unit_test(test_settings_come_in),
        cmocka_unit_test(test_settings_lost_are_proposed_again),
        cmocka_unit_test(test_settings_refused_are_left),
        cmocka_unit_test(test_new_window_is_not_missed),
        cmocka_unit_test(test_new_window_after_a_long_history),
        cmocka_unit_test(test_new_window_within_its_minute),
        cmocka_unit_test(test_overdue_before_settings),
        cmocka_unit_test(test_by_hand),
    };
    logger_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
