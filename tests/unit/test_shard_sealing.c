/* Closed windows become sealed files, split, numbered and checked; what cannot
 * be sealed stops nothing else. */
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
#define HOUR_MS (3600 * SECOND_MS)

static void assert_window_done(struct world *w, const char *name, uint64_t files)
{
    struct window_row row;
    assert_true(world_window(w, name, day_of(2026, 11, 23), &row));
    assert_int_equal(row.state, WINDOW_SEALED);
    assert_int_equal(row.files_count, files);
}

static char modifier_of(struct world *w, uint64_t file)
{
    struct arena a = ARENA_INIT;
    char m = world_file_row(w, file, &a).seal.modifier;
    arena_release(&a);
    return m;
}

static void test_no_members_no_file(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    world_close(w, "M1");
    (void)world_elect(w);
    world_run(w, SECOND_MS);
    assert_window_done(w, "M1", 0);
    assert_int_equal(world_file_state(w, 1), 0);
    world_free(w);
}

static void test_windows_oldest_first(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    for (unsigned i = 1; i <= 3; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "M%u", i);
        world_submit_samples(w, name);
        world_close(w, name);
    }
    (void)world_elect(w);
    world_run(w, 5 * SECOND_MS);
    for (unsigned i = 1; i <= 3; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "M%u", i);
        assert_window_done(w, name, 1);
        assert_int_equal(modifier_of(w, i), 'A' + (char)i - 1);
    }
    world_free(w);
}

static void test_split_by_lines(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    w->settings->shard.max_lines = 10;
    world_apply_settings(w, 2);
    for (unsigned i = 0; i < 5; i++) {
        world_submit_samples(w, (char[]){(char)('a' + (char)i), 0});
    }
    world_close(w, "M1");
    (void)world_elect(w);
    world_run(w, 20 * SECOND_MS);
    struct window_row row;
    assert_true(world_window(w, "M1", day_of(2026, 11, 23), &row));
    assert_int_equal(row.state, WINDOW_SEALED);
    assert_true(row.files_count > 2);
    assert_int_equal(row.entries, 5 * ACH_SAMPLE_TRANSFERS);
    for (uint64_t f = 1; f <= row.files_count; f++) {
        struct arena a = ARENA_INIT;
        struct file_row file = world_file_row(w, f, &a);
        assert_true(file.seal.totals.lines <= 10);
        assert_int_equal(file.state, FILE_UPLOADED);
        arena_release(&a);
    }
    world_free(w);
}

/* The result of work begun under an old term is dropped. */
static void test_work_of_an_old_term(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    world_submit_samples(w, "t");
    world_close(w, "M1");
    test_loop_hold(w->t, WORKER_READ);
    struct world_leader *a = world_elect(w);
    world_run(w, SECOND_MS);
    assert_int_equal(test_loop_waiting(w->t, WORKER_READ), 1);
    world_tell(a);
    w->current = NULL;
    size_t proposed = w->proposed_count;
    test_loop_release(w->t, WORKER_READ);
    world_run(w, SECOND_MS);
    assert_int_equal(w->proposed_count, proposed);
    assert_int_equal(a->duties.env.outstanding_count, 0);
    (void)world_elect(w);
    world_run(w, SECOND_MS);
    assert_window_done(w, "M1", 1);
    world_free(w);
}

/* The first leader's SEAL never came into the log: the next one makes its own,
 * and the transfers are in one file. */
static void test_seal_is_lost(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    world_submit_samples(w, "t");
    world_close(w, "M1");
    w->is_log_held = true;
    (void)world_elect(w);
    world_run(w, SECOND_MS);
    (void)world_elect(w); /* The first one's SEAL is lost, this one makes its own. */
    w->is_log_held = false;
    world_run(w, SECOND_MS);
    assert_window_done(w, "M1", 1);
    assert_int_equal(world_events(w, "file.sealed"), 1);
    world_free(w);
}

/* --- Modifiers --------------------------------------------------------------------- */

static void one_more_file(struct world *w, unsigned i)
{
    char name[8];
    (void)snprintf(name, sizeof name, "M%u", i);
    world_submit_samples(w, name);
    world_close(w, name);
    duty_wake(&w->current->duties.env, DUTY_SEALING);
    world_run(w, SECOND_MS);
}

static bool has_attention(struct world *w, const char *kind, const char *text)
{
    struct duty_read r;
    struct arena a = ARENA_INIT;
    struct file_row *files;
    struct attention *list;
    size_t count;
    bool found = false;
    assert_int_equal(duty_read_begin(&r, &w->kv, w->settings->shard.routing_number.n), SG_OK);
    assert_int_equal(state_files_open_work(&r.rows, &a, &files, &count), SG_OK);
    assert_int_equal(state_attention(&r.rows, files, count, &a, &list, &count), SG_OK);
    for (size_t i = 0; i < count; i++) {
        found = found || (strcmp(list[i].kind, kind) == 0 && strstr(list[i].text, text) != NULL);
    }
    duty_read_end(&r);
    arena_release(&a);
    return found;
}

static void test_modifiers_used_up(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    (void)world_elect(w);
    for (unsigned i = 1; i <= FILE_MODIFIERS; i++) {
        w->is_bank_quick = false;
        one_more_file(w, i);
        assert_int_equal(world_file_state(w, i), FILE_UPLOADED);
        world_purge(w, BANK_DROP);
        world_purge(w, BANK_STAGING);
    }
    assert_int_equal(modifier_of(w, 1), 'A');
    assert_int_equal(modifier_of(w, 36), '9');
    one_more_file(w, 37);
    world_run(w, HOUR_MS);
    assert_int_equal(world_file_state(w, 37), 0);
    assert_int_equal(world_events(w, "alert"), 1);
    assert_true(has_attention(w, "modifiers", "all 36 file ID modifiers of 2026-11-23 are used"));
    /* The next day begins at midnight in the shard's zone. */
    world_set_clock(w, 24, 0, 0, 1);
    world_run(w, 120 * SECOND_MS);
    assert_int_equal(modifier_of(w, 37), 'A');
    assert_false(has_attention(w, "modifiers", ""));
    assert_int_equal(world_events(w, "alert"), 1);
    world_free(w);
}

static void test_modifier_from_clock_is_found(void **state)
{
    (void)state;
    if (!world_has_faults()) {
        skip();
    }
    struct world *w = world_new(1);
    (void)world_elect(w);
    world_set_bugs("modifier-from-clock");
    one_more_file(w, 1);
    one_more_file(w, 2);
    world_set_bugs("");
    assert_int_not_equal(world_file_state(w, 1), 0);
    assert_int_equal(world_file_state(w, 2), 0); /* The same modifier again: refused. */
    world_free(w);
}

/* However many windows can't be sealed, each is told and none stops the others. */
static void test_many_broken_windows(void **state)
{
    (void)state;
    if (!world_has_faults()) {
        skip();
    }
    struct world *w = world_new(1);
    (void)world_elect(w);
    world_set_bugs("modifier-from-clock");
    one_more_file(w, 1);
    for (unsigned i = 2; i <= 13; i++) {
        one_more_file(w, i); /* The same minute's modifier again: refused, for ever. */
    }
    world_run(w, 20ull * 60 * SECOND_MS);
    world_set_bugs("");
    assert_int_equal(w->current->duties.sealing.parked_count, 12);
    assert_int_equal(world_events(w, "alert"), 12);
    world_free(w);
}

/* --- What goes wrong ------------------------------------------------------------------ */

static enum sg_err fail_reads(void *impl, enum mem_kv_op op)
{
    unsigned *left = impl;
    return op == MEM_KV_GET && *left > 0 && (*left)-- > 0 ? SG_IO : SG_OK;
}

static void test_read_errors_are_retried(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    world_submit_samples(w, "t");
    world_close(w, "M1");
    (void)world_elect(w);
    unsigned left = 3;
    mem_kv_set_fault(w->disk, fail_reads, &left);
    world_run(w, 30 * SECOND_MS);
    mem_kv_set_fault(w->disk, NULL, NULL);
    world_run(w, 60 * SECOND_MS);
    assert_int_equal(left, 0);
    assert_window_done(w, "M1", 1);
    world_free(w);
}

/* The log takes nothing for an hour. */
static enum sg_err nothing_for_a_while(struct world *w)
{
    return w->impl != NULL ? SG_BUSY : SG_OK;
}

static void test_busy_log(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    world_submit_samples(w, "t");
    world_close(w, "M1");
    w->impl = w;
    w->on_propose = nothing_for_a_while;
    (void)world_elect(w);
    world_run(w, HOUR_MS);
    assert_int_equal(world_file_state(w, 1), 0);
    w->impl = NULL;
    world_run(w, 120 * SECOND_MS);
    assert_window_done(w, "M1", 1);
    assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
    world_free(w);
}

/* --- The pure part ----------------------------------------------------------------------- */

static void test_parked_windows_are_passed_over(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    world_submit_samples(w, "t");
    world_close(w, "M1");
    world_submit_samples(w, "u");
    world_close(w, "M2");
    struct window_id parked = {.day = day_of(2026, 11, 23), .name = "M1"};
    struct sealing_job j = {.level = LEVEL_MAX,
                            .group = w->settings->shard.routing_number.n,
                            .kv = &w->kv,
                            .now_ms = loop_wall_ms(w->loop),
                            .zone = &w->zone,
                            .node_name = "n1",
                            .parked = &parked,
                            .parked_count = 1};
    sealing_run(&j);
    assert_int_equal(j.outcome, SEALING_FILE);
    assert_string_equal(j.window.name, "M2");
    struct arena a = ARENA_INIT;
    struct command c;
    assert_int_equal(command_decode(span_bytes(&j.command), &a, &c), SG_OK);
    /* M2 was closed later: what M1 has not taken would go into it as well. */
    assert_int_equal(c.seal.members_count, 2 * ACH_SAMPLE_TRANSFERS);
    assert_int_equal(c.seal.creation_minute, 600);
    assert_int_equal(c.seal.totals.debit.n, 2 * 2599);
    arena_release(&a);
    bytes_release(&j.command);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_members_no_file),
        cmocka_unit_test(test_windows_oldest_first),
        cmocka_unit_test(test_split_by_lines),
        cmocka_unit_test(test_work_of_an_old_term),
        cmocka_unit_test(test_seal_is_lost),
        cmocka_unit_test(test_modifiers_used_up),
        cmocka_unit_test(test_modifier_from_clock_is_found),
        cmocka_unit_test(test_many_broken_windows),
        cmocka_unit_test(test_read_errors_are_retried),
        cmocka_unit_test(test_busy_log),
        cmocka_unit_test(test_parked_windows_are_passed_over),
    };
    logger_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
