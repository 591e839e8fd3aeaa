/* What is not at the bank by its window's upload_by is told to people: once,
 * by the leader's clock, and never what is there in time. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "shard/state/event.h"
#include "tests/support/duty_world.h"

#define MINUTE_MS UINT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)

/* Monday, 23 November 2026, 10:00 in New York; SD1 10:15 with upload_by 10:30, ND 16:15 without. */
static struct world *world_with_windows(void)
{
    struct world *w = world_new(1);
    w->settings->shard.windows_count = 2;
    world_settings(w, 2);
    struct command c = {.kind = COMMAND_SETTINGS};
    c.settings.encoded = span_bytes(&w->catalog);
    assert_int_equal(world_apply(w, &c), SG_OK);
    world_submit_samples(w, "t");
    return w;
}

static enum world_verdict refused(struct world *w, const struct world_leader *l, const struct bank_request *r)
{
    (void)w;
    (void)l;
    (void)r;
    return WORLD_FAIL;
}

/* Alerts whose text contains this. */
static size_t alerts(struct world *w, const char *text)
{
    struct duty_read r;
    struct arena a = ARENA_INIT;
    struct event_row *events;
    size_t count;
    size_t found = 0;
    assert_int_equal(duty_read_begin(&r, &w->kv, w->settings->shard.routing_number.n), SG_OK);
    assert_int_equal(state_events(&r.rows, 0, 10000, &a, &events, &count), SG_OK);
    for (size_t i = 0; i < count; i++) {
        char line[512];
        struct bytes sentence = BYTES_NONE;
        event_sentence(&events[i], &sentence);
        found += span_is(events[i].kind, "alert") &&
                 strstr(span_cstr(span_bytes(&sentence), line, sizeof line), text) != NULL;
        bytes_release(&sentence);
    }
    duty_read_end(&r);
    arena_release(&a);
    return found;
}

static size_t owed(struct world *w)
{
    struct duty_read r;
    struct arena a = ARENA_INIT;
    struct owed *list;
    size_t count;
    assert_int_equal(duty_read_begin(&r, &w->kv, w->settings->shard.routing_number.n), SG_OK);
    assert_int_equal(state_owed(&r.rows, &a, &list, &count), SG_OK);
    duty_read_end(&r);
    arena_release(&a);
    return count;
}

static void test_close_sets_the_deadline(void **state)
{
    (void)state;
    struct world *w = world_with_windows();
    struct window_row row;
    (void)world_elect(w);
    world_run(w, 7 * HOUR_MS);
    assert_true(world_window(w, "SD1", day_of(2026, 11, 23), &row));
    assert_int_equal(row.upload_by_ms - row.scheduled_ms, 15 * MINUTE_MS);
    assert_true(world_window(w, "ND", day_of(2026, 11, 23), &row));
    assert_int_equal(row.upload_by_ms, 0); /* None is set. */
    world_free(w);
}

static void test_in_time(void **state)
{
    (void)state;
    struct world *w = world_with_windows();
    (void)world_elect(w);
    world_run(w, 26 * HOUR_MS);
    assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
    assert_int_equal(alerts(w, "overdue"), 0);
    assert_int_equal(owed(w), 0);
    world_free(w);
}

static void test_told_once(void **state)
{
    (void)state;
    struct world *w = world_with_windows();
    struct world_leader *first = world_elect(w);
    w->on_request = refused;
    world_run(w, 29 * MINUTE_MS);
    assert_int_equal(owed(w), 1);
    assert_int_equal(alerts(w, "overdue"), 0); /* 10:29 */
    world_run(w, 2 * MINUTE_MS);
    assert_int_equal(alerts(w, "file 1 of window 2026-11-23/SD1 is overdue: it should be at the bank by "
                               "2026-11-23T15:30:00.000Z and is sealed"),
                     1);
    world_run(w, 3 * HOUR_MS);
    assert_int_equal(alerts(w, "overdue"), 1);
    /* The next leader can't know who was told. */
    (void)world_elect(w);
    world_tell(first);
    world_run(w, HOUR_MS);
    assert_int_equal(alerts(w, "overdue"), 2);
    w->on_request = NULL;
    world_run(w, HOUR_MS);
    assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
    assert_int_equal(owed(w), 0);
    world_run(w, HOUR_MS);
    assert_int_equal(alerts(w, "overdue"), 2);
    world_free(w);
}

/* A window that can't be put into files is late, too. */
static void test_not_sealed(void **state)
{
    (void)state;
    struct world *w = world_with_windows();
    struct command c = {.kind = COMMAND_CLOSE};
    c.close.window = (struct window_id){.day = day_of(2026, 11, 23), .name = "SD1"};
    c.close.processing_day = c.close.window.day;
    c.close.upload_by_ms = loop_wall_ms(w->loop) + (int64_t)MINUTE_MS;
    assert_int_equal(world_apply(w, &c), SG_OK);
    (void)world_elect(w);
    w->is_log_held = true; /* No SEAL comes through. */
    world_run(w, 2 * MINUTE_MS);
    w->is_log_held = false;
    loop_after(w->loop, &w->apply, 0);
    world_run(w, 1000);
    assert_int_equal(alerts(w, "window 2026-11-23/SD1 is overdue"), 1);
    assert_int_equal(alerts(w, "is not all in files yet"), 1);
    world_free(w);
}

static void test_clock_jumps_over_it(void **state)
{
    (void)state;
    struct world *w = world_with_windows();
    (void)world_elect(w);
    w->on_request = refused;
    world_run(w, 16 * MINUTE_MS);
    world_set_clock(w, 23, 10, 31, 0);
    world_run(w, WINDOW_LOOK_MS + 100);
    assert_int_equal(alerts(w, "overdue"), 1);
    world_free(w);
}

/* By hand: before its time a window keeps its deadline, after it there is none to miss. */
static void test_by_hand(void **state)
{
    (void)state;
    static const struct {
        int hour, minute;
        const char *name;
        bool has_deadline;
    } rows[] = {{10, 0, "SD1", true}, {10, 31, "SD1", false}, {10, 0, "ND", false}, {10, 0, "", false}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world *w = world_with_windows();
        char why[256];
        struct command c = {.kind = COMMAND_CLOSE};
        c.close.upload_by_ms = 77;
        (void)snprintf(c.close.window.name, sizeof c.close.window.name, "%s", rows[i].name);
        (void)world_elect(w);
        world_run(w, 100);
        world_set_clock(w, 23, rows[i].hour, rows[i].minute, 0);
        assert_int_equal(windows_manual(&w->current->duties.windows, &c, why, sizeof why), SG_OK);
        assert_int_equal(c.close.upload_by_ms != 0, rows[i].has_deadline);
        world_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_close_sets_the_deadline),
        cmocka_unit_test(test_in_time),
        cmocka_unit_test(test_told_once),
        cmocka_unit_test(test_not_sealed),
        cmocka_unit_test(test_clock_jumps_over_it),
        cmocka_unit_test(test_by_hand),
    };
    logger_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
