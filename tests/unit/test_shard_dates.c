/* Which dates a file has: counted from the day on which it is sealed, never before
 * its window's close, and the same day only before the deadline. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/support/ach_sample.h"
#include "tests/support/duty_world.h"

#define SECOND_MS UINT64_C(1000)

static struct file_row file_row(struct world *w, uint64_t file)
{
    struct arena a = ARENA_INIT;
    struct file_row row = world_file_row(w, file, &a);
    arena_release(&a); /* Numbers and days only are looked at. */
    return row;
}

/* The effective entry date that each member of the file has in its row. */
static void assert_effective(struct world *w, uint64_t file, struct day day)
{
    struct duty_read r;
    struct arena a = ARENA_INIT;
    uint64_t *members;
    size_t count;
    assert_int_equal(duty_read_begin(&r, &w->kv, w->settings->shard.routing_number.n), SG_OK);
    assert_int_equal(state_file_members(&r.rows, file, &a, &members, &count), SG_OK);
    assert_true(count > 0);
    for (size_t i = 0; i < count; i++) {
        struct transfer_row row;
        assert_int_equal(state_transfer_by_seq(&r.rows, members[i], &a, &row), SG_OK);
        assert_int_equal(row.effective.n, day.n);
    }
    duty_read_end(&r);
    arena_release(&a);
}

/* One credit; same_day or not. */
static void submit_one(struct world *w, const char *id, bool same_day)
{
    struct transfer t = ach_sample_transfer(0);
    struct command c = {.kind = COMMAND_SUBMIT};
    t.id = span_str(id);
    t.same_day = same_day;
    c.submit.transfers = &t;
    c.submit.transfers_count = 1;
    assert_int_equal(world_apply(w, &c), SG_OK);
}

/* Closed on a Thursday, and then nobody is there until Friday: what was meant for
 * Friday can't go there any more, or it would be an entry of the same day. */
static void test_sealed_a_day_later(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    world_set_clock(w, 19, 14, 0, 0);
    world_submit_samples(w, "t");
    world_close(w, "M1");
    world_set_clock(w, 20, 10, 0, 0);
    (void)world_elect(w);
    world_run(w, 5 * SECOND_MS);
    assert_int_equal(file_row(w, 1).seal.creation_day.n, day_of(2026, 11, 20).n);
    assert_effective(w, 1, day_of(2026, 11, 23));
    world_must_deliver_once(w, 1); /* It was built again for the bank, from the rows. */
    world_free(w);
}

/* A window that was missed and is closed late on its own day, and its file. */
static void test_closed_late(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    struct window_row row;
    w->settings->shard.windows[0] = (struct window_settings){
        .name = span_str("ND"), .close_minute = 16 * 60 + 15, .upload_by_minute = -1};
    w->settings->shard.windows_count = 1;
    w->settings->shard.missed = MISSED_HOLD;
    world_set_clock(w, 19, 9, 0, 0);
    world_apply_settings(w, 2);
    world_submit_samples(w, "t");
    world_set_clock(w, 20, 9, 0, 0);
    (void)world_elect(w);
    world_run(w, 5 * SECOND_MS);
    assert_true(world_window(w, "ND", day_of(2026, 11, 19), &row));
    assert_true(row.late);
    assert_int_equal(row.processing_day.n, day_of(2026, 11, 20).n);
    assert_effective(w, 1, day_of(2026, 11, 23));
    world_free(w);
}

/* Membership is the close's: a transfer that would be due by the day of sealing and
 * was not by that of the close stays for a later window. */
static void test_members_are_the_closes(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    struct transfer t = ach_sample_transfer(0);
    struct command c = {.kind = COMMAND_SUBMIT};
    world_set_clock(w, 19, 14, 0, 0);
    submit_one(w, "now", false);
    t.effective_date = day_of(2026, 11, 24);
    c.submit.transfers = &t;
    c.submit.transfers_count = 1;
    assert_int_equal(world_apply(w, &c), SG_OK);
    world_close(w, "M1");
    world_set_clock(w, 20, 10, 0, 0);
    (void)world_elect(w);
    world_run(w, 5 * SECOND_MS);
    assert_int_equal(file_row(w, 1).seal.totals.entries, 1);
    world_free(w);
}

static void test_same_day_deadline(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        int deadline_minute, hour, minute, second;
        bool want_today;
    } rows[] = {
        {"before the last FedACH deadline", 0, 16, 44, 0, true},
        {"at the deadline", 0, 16, 45, 0, true},
        {"just after it", 0, 16, 45, 1, false},
        {"after it", 0, 16, 46, 0, false},
        {"long after it", 0, 17, 30, 0, false},
        {"before the bank's own", 15 * 60, 14, 59, 59, true},
        {"after the bank's own", 15 * 60, 15, 0, 1, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct world *w = world_new(1);
        w->settings->shard.same_day_deadline_minute = rows[i].deadline_minute;
        world_set_clock(w, 19, 9, 0, 0);
        world_apply_settings(w, 2);
        (void)world_elect(w);
        submit_one(w, "t", true);
        world_set_clock(w, 19, rows[i].hour, rows[i].minute, rows[i].second);
        world_close(w, "M1");
        duty_wake(&w->current->duties.env, DUTY_SEALING);
        world_run(w, 1);
        world_run(w, 5 * SECOND_MS);
        if (file_row(w, 1).seal.same_day_over == rows[i].want_today) {
            fail_msg("%s", rows[i].reason);
        }
        assert_effective(w, 1, day_of(2026, 11, rows[i].want_today ? 19 : 20));
        assert_int_equal(world_events(w, "file.same_day_late"), rows[i].want_today ? 0 : 1);
        world_must_deliver_once(w, 1);
        world_free(w);
    }
}

/* The next leader's clock is three days behind. Its files are dated by the log, and
 * people are told once. */
static void behind(const char *bug, size_t files)
{
    struct world *w = world_new(1);
    (void)world_elect(w);
    world_set_clock(w, 23, 14, 0, 0);
    for (unsigned i = 1; i <= 3; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "M%u", i);
        world_submit_samples(w, name);
        world_close(w, name);
    }
    world_set_clock(w, 20, 14, 0, 0);
    world_set_bugs(bug);
    (void)world_elect(w);
    world_run(w, 30 * SECOND_MS);
    world_set_bugs("");
    for (uint64_t f = 1; f <= 3; f++) {
        assert_int_equal(world_file_state(w, f) != 0, f <= files);
        if (f <= files) {
            assert_int_equal(file_row(w, f).seal.creation_day.n, day_of(2026, 11, 23).n);
            assert_int_equal(file_row(w, f).seal.creation_minute, 14 * 60);
            assert_effective(w, f, day_of(2026, 11, 24));
        }
    }
    if (files > 0) {
        assert_int_equal(world_events(w, "alert"), 1);
    }
    world_free(w);
}

static void test_never_before_the_close(void **state)
{
    (void)state;
    behind("", 3);
}

/* Whatever a leader proposes, apply takes no file that is dated before its close. */
static void test_dated_before_close_is_refused(void **state)
{
    (void)state;
    if (!world_has_faults()) {
        skip();
    }
    behind("dated-before-close", 0);
}

/* Nor before the last file, which another leader's clock has dated. */
static void test_never_before_the_last_file(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    (void)world_elect(w);
    world_set_clock(w, 23, 14, 0, 0);
    world_submit_samples(w, "a");
    world_close(w, "M1");
    world_set_clock(w, 23, 14, 30, 0);
    duty_wake(&w->current->duties.env, DUTY_SEALING);
    world_run(w, 5 * SECOND_MS);
    int64_t first_ms = file_row(w, 1).sealed_ms;
    world_set_clock(w, 23, 14, 10, 0);
    world_submit_samples(w, "b");
    world_close(w, "M2");
    (void)world_elect(w);
    world_run(w, 5 * SECOND_MS);
    assert_int_equal(file_row(w, 2).sealed_ms, first_ms);
    assert_int_equal(file_row(w, 2).seal.creation_minute, 14 * 60 + 30);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sealed_a_day_later),
        cmocka_unit_test(test_closed_late),
        cmocka_unit_test(test_members_are_the_closes),
        cmocka_unit_test(test_same_day_deadline),
        cmocka_unit_test(test_never_before_the_close),
        cmocka_unit_test(test_dated_before_close_is_refused),
        cmocka_unit_test(test_never_before_the_last_file),
    };
    logger_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
