/* Questions of somebody whose money goes through this, and of somebody who has to
 * answer the telephone: what if the configuration, the calendar, the clock or an
 * operator changes while a window or a file is under way? docs/what-if.md names
 * the test of each question. */
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
#define MINUTE_MS (60 * SECOND_MS)
#define HOUR_MS (60 * MINUTE_MS)

static struct world *world_with_file(void)
{
    struct world *w = world_new(1);
    world_submit_samples(w, "t");
    world_close(w, "M1");
    return w;
}

/* --- Another endpoint while a file is on its way ----------------------------------------- */

/* The first request of this kind waits at the server while the settings change. */
static const struct moment {
    const char *reason;
    enum bank_op op;
    const char *suffix; /* ".F": the final name. */
    bool is_claimed;    /* It stays where it was claimed. */
} moments[] = {
    {"the old endpoint was probed, the new one was not", BANK_PROBE, ".probe", false},
    {"the witness is made", BANK_CREATE, ".wit", true},
    {"the copy is made", BANK_CREATE, ".part", true},
    {"staged", BANK_STAT, ".F", true},
    {"renamed", BANK_RENAME, ".part", true},
    {"proved", BANK_STAT, ".wit", true},
};

static const struct moment *moment; /* NULL: it has come. */
static size_t probes_of_new, creations_in_new;

static bool is_moment(const struct bank_request *r)
{
    const char *dot = r->place == BANK_DROP ? ".F" : strrchr(r->name, '.');
    return moment != NULL && r->op == moment->op && strcmp(dot, moment->suffix) == 0;
}

static enum world_verdict hold_moment(struct world *w, const struct world_leader *l,
                                      const struct bank_request *r)
{
    (void)w;
    (void)l;
    bool is_new = span_is(r->endpoint->staging_dir, "staging-2");
    probes_of_new += r->op == BANK_PROBE && is_new;
    creations_in_new += r->op == BANK_CREATE && is_new;
    /* Nothing is sent to a directory that was not probed. */
    assert_true(!is_new || r->op != BANK_CREATE || probes_of_new > 0);
    if (!is_moment(r)) {
        return WORLD_RUN;
    }
    moment = NULL;
    return WORLD_HOLD;
}

/* The file is delivered once, to the place it was claimed under (the directories of
 * its endpoint at that time), and nothing of it is left in either. */
static void another_endpoint_under_way(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof moments / sizeof moments[0]; i++) {
        print_message("%s\n", moments[i].reason);
        struct world *w = world_with_file();
        moment = &moments[i];
        probes_of_new = 0;
        creations_in_new = 0;
        w->on_request = hold_moment;
        (void)world_elect(w);
        world_run(w, SECOND_MS);
        assert_null(moment);
        w->settings->endpoint.staging_dir = span_str(WORLD_STAGING_2_DIR);
        world_change_settings(w, 2);
        assert_int_equal(world_release(w), 1);
        world_run(w, 10 * MINUTE_MS);
        assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
        world_must_deliver_once(w, 1);
        assert_int_equal(creations_in_new, moments[i].is_claimed ? 0 : 2);
        world_run(w, 26ull * 60 * MINUTE_MS); /* Behind verify_window. */
        assert_int_equal(world_staged(w, ""), 0);
        world_free(w);
    }
}

/* The put fails in the old place, and the next claim goes to the new one: what the
 * first left is removed where it is. */
static void what_a_claim_left_is_removed_where_it_is(void **state)
{
    (void)state;
    static const struct moment put = {"", BANK_CREATE, ".part", true};
    struct world *w = world_with_file();
    moment = &put;
    creations_in_new = 0;
    w->on_request = hold_moment;
    struct world_leader *first = world_elect(w);
    world_run(w, SECOND_MS);
    assert_null(moment);
    w->settings->endpoint.staging_dir = span_str(WORLD_STAGING_2_DIR);
    world_kill(first); /* With T and W of its attempt in the old place. */
    assert_int_equal(world_release(w), 1);
    world_apply_settings(w, 2);
    assert_int_equal(world_staged(w, ".part"), 1);
    (void)world_elect(w);
    world_run(w, 10 * MINUTE_MS);
    assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
    world_must_deliver_once(w, 1);
    assert_int_equal(creations_in_new, 2);
    world_run(w, 26ull * 60 * MINUTE_MS);
    assert_int_equal(world_staged(w, ""), 0);
    world_free(w);
}

/* A wrong staging directory is applied and taken back at once: the file does not
 * follow, so there is nothing to miss in the wrong one. */
static void a_wrong_endpoint_taken_back(void **state)
{
    (void)state;
    static const struct moment dead = {"", BANK_STAT, ".dead", true};
    if (!world_has_faults()) {
        skip();
    }
    struct world *w = world_with_file();
    struct span right = w->settings->endpoint.staging_dir;
    w->kill_at = "upload.staged";
    (void)world_elect(w);
    world_run(w, SECOND_MS);
    assert_null(w->current);
    w->settings->endpoint.staging_dir = span_str(WORLD_STAGING_2_DIR);
    world_apply_settings(w, 2);
    moment = &dead;
    w->on_request = hold_moment;
    (void)world_elect(w);
    world_run(w, SECOND_MS);
    assert_null(moment);
    w->settings->endpoint.staging_dir = right;
    world_change_settings(w, 3);
    assert_int_equal(world_release(w), 1);
    world_run(w, MINUTE_MS);
    assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
    world_must_deliver_once(w, 1);
    world_free(w);
}

/* --- Other settings between the close and the bank -------------------------------------- */

static void name_of(struct world *w, uint64_t file, char out[FILE_NAME_SIZE_MAX + 1])
{
    struct arena a = ARENA_INIT;
    struct file_row row = world_file_row(w, file, &a);
    (void)span_cstr(row.seal.name, out, FILE_NAME_SIZE_MAX + 1);
    arena_release(&a);
}

/* A closed window keeps its pattern, a sealed file its name; the next window has
 * the new one. */
static void another_file_name_under_way(void **state)
{
    (void)state;
    static const char before[] = "ACH-091000019-20261123-M1-A.ach";
    char name[FILE_NAME_SIZE_MAX + 1];
    for (int sealed = 0; sealed < 2; sealed++) {
        struct world *w = world_new(1);
        w->settings->shard.file_name = span_str("ACH-{routing_number}-{date:%Y%m%d}-{window}-{modifier}.ach");
        world_apply_settings(w, 2);
        world_submit_samples(w, "t");
        world_close(w, "M1");
        w->kill_at = sealed != 0 ? "file.sealed" : NULL;
        if (sealed != 0 && world_has_faults()) {
            (void)world_elect(w);
            world_run(w, SECOND_MS);
            assert_null(w->current);
        }
        w->settings->shard.file_name = span_str("{date}{modifier}.txt");
        world_apply_settings(w, 3);
        (void)world_elect(w);
        world_run(w, SECOND_MS);
        name_of(w, 1, name);
        assert_string_equal(name, before);
        world_must_deliver_once(w, 1);
        world_submit_samples(w, "u");
        world_close(w, "M2");
        duty_wake(&w->current->duties.env, DUTY_SEALING);
        world_run(w, SECOND_MS);
        name_of(w, 2, name);
        assert_string_equal(name, "20261123B.txt");
        world_free(w);
    }
}

/* Accepted, then their originator was taken out of the settings: they wait, and
 * people hear of it at each cut-off; with the originator back they go. */
static void payments_of_a_removed_originator(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    size_t originators = w->settings->shard.originators_count;
    world_submit_samples(w, "t");
    w->settings->shard.originators_count = 0;
    world_apply_settings(w, 2);
    world_close(w, "M1");
    (void)world_elect(w);
    world_run(w, MINUTE_MS);
    assert_int_equal(world_file_state(w, 1), 0);
    assert_int_equal(world_events(w, "alert"), 1);
    w->settings->shard.originators_count = originators;
    world_change_settings(w, 3);
    world_close(w, "M2");
    duty_wake(&w->current->duties.env, DUTY_SEALING);
    world_run(w, MINUTE_MS);
    assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
    assert_int_equal(world_events(w, "alert"), 1);
    world_free(w);
}

/* This machine has no such time zone: cut-offs stand still while it leads. */
static void a_zone_that_this_node_lacks(void **state)
{
    (void)state;
    struct world *w = world_with_file();
    w->settings->shard.zone = span_str("Asia/Nowhere");
    world_apply_settings(w, 2);
    (void)world_elect(w);
    world_run(w, 10 * MINUTE_MS);
    assert_int_equal(world_file_state(w, 1), 0);
    assert_int_equal(world_events(w, "alert"), 1);
    w->settings->shard.zone = span_str("America/New_York");
    world_change_settings(w, 3);
    world_run(w, MINUTE_MS);
    assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
    world_free(w);
}

/* --- Operators and strangers -------------------------------------------------------------- */

static enum sg_err cancel(struct world *w, const char *id)
{
    struct command c = {.kind = COMMAND_CANCEL};
    c.cancel.id = span_str(id);
    return world_apply(w, &c);
}

/* A cancel and the cut-off are proposed in the same moment: whichever comes first
 * in the log wins, and the file is as the answer said. */
static void a_cancel_and_the_cut_off_at_once(void **state)
{
    (void)state;
    for (int cancel_first = 0; cancel_first < 2; cancel_first++) {
        struct world *w = world_new(1);
        w->settings->shard.windows_count = 2;
        world_apply_settings(w, 2);
        world_submit_samples(w, "t");
        (void)world_elect(w);
        w->is_log_held = cancel_first != 0;
        world_run(w, 15 * MINUTE_MS + SECOND_MS); /* CLOSE is proposed at 10:15. */
        assert_int_equal(cancel(w, "t1"), cancel_first != 0 ? SG_OK : SG_CONFLICT);
        w->is_log_held = false;
        loop_after(w->loop, &w->apply, 0);
        world_run(w, MINUTE_MS);
        struct arena a = ARENA_INIT;
        assert_int_equal(world_file_row(w, 1, &a).seal.totals.entries,
                         ACH_SAMPLE_TRANSFERS - (cancel_first != 0 ? 1 : 0));
        arena_release(&a);
        world_must_deliver_once(w, 1);
        assert_int_equal(cancel(w, "t1"), cancel_first != 0 ? SG_OK : SG_CONFLICT);
        world_free(w);
    }
}

static bool is_put;

/* Somebody is faster by a moment: the name is free when we look, taken when we rename. */
static enum world_verdict put_before_rename(struct world *w, const struct world_leader *l,
                                            const struct bank_request *r)
{
    (void)l;
    if (r->op == BANK_RENAME && !is_put) {
        is_put = true;
        world_put(w, BANK_DROP, r->to_name, "not ours\n");
    }
    return WORLD_RUN;
}

/* The stranger's file is not touched, ours waits; even when the stranger's is gone
 * again it goes nowhere before a person has asked the bank. */
static void a_strangers_file_between_look_and_rename(void **state)
{
    (void)state;
    struct world *w = world_with_file();
    char name[FILE_NAME_SIZE_MAX + 1];
    is_put = false;
    w->on_request = put_before_rename;
    (void)world_elect(w);
    world_run(w, MINUTE_MS);
    assert_true(is_put);
    assert_int_equal(world_file_state(w, 1), FILE_HOLD);
    name_of(w, 1, name);
    assert_true(span_is(span_bytes(&world_find(w, BANK_DROP, name)->content), "not ours\n"));
    assert_int_equal(world_staged(w, ".part"), 1);
    world_purge(w, BANK_DROP);
    (void)world_elect(w);
    world_run(w, HOUR_MS);
    assert_int_equal(world_file_state(w, 1), FILE_HOLD);
    assert_null(world_find(w, BANK_DROP, name));
    world_free(w);
}

/* --- What is in a file ------------------------------------------------------------------ */

/* Accounts are only tried out: no cents at all, and the file goes. */
static void a_file_of_prenotes_alone(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    struct transfer t = ach_sample_transfer(0);
    t.prenote = true;
    t.amount = (struct cents){0};
    struct command c = {.kind = COMMAND_SUBMIT};
    c.submit.transfers = &t;
    c.submit.transfers_count = 1;
    assert_int_equal(world_apply(w, &c), SG_OK);
    world_close(w, "M1");
    (void)world_elect(w);
    world_run(w, SECOND_MS);
    struct arena a = ARENA_INIT;
    struct file_row file = world_file_row(w, 1, &a);
    assert_int_equal(file.state, FILE_UPLOADED);
    assert_int_equal(file.seal.totals.entries, 1);
    assert_int_equal(file.seal.totals.credit.n + file.seal.totals.debit.n, 0);
    assert_int_equal(file.seal.totals.hash, t.rdfi.n / 10);
    arena_release(&a);
    world_must_deliver_once(w, 1);
    world_free(w);
}

/* --- The bank is away for long --------------------------------------------------------- */

static enum world_verdict fail_all(struct world *w, const struct world_leader *l,
                                   const struct bank_request *r)
{
    (void)w;
    (void)l;
    (void)r;
    return WORLD_FAIL;
}

/* Three days behind its dates the file goes out as it was sealed: another one with
 * other dates would be another file of the same payments. People were told. */
static void the_bank_is_down_for_days(void **state)
{
    (void)state;
    struct world *w = world_with_file();
    w->on_request = fail_all;
    (void)world_elect(w);
    world_run(w, 72 * HOUR_MS);
    assert_int_equal(world_file_state(w, 1), FILE_SEALED);
    assert_in_range(world_events(w, "alert"), 1, 3);
    w->on_request = NULL;
    world_run(w, 2 * MINUTE_MS);
    assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
    world_must_deliver_once(w, 1);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_endpoint_under_way),
        cmocka_unit_test(what_a_claim_left_is_removed_where_it_is),
        cmocka_unit_test(a_wrong_endpoint_taken_back),
        cmocka_unit_test(another_file_name_under_way),
        cmocka_unit_test(payments_of_a_removed_originator),
        cmocka_unit_test(a_zone_that_this_node_lacks),
        cmocka_unit_test(a_cancel_and_the_cut_off_at_once),
        cmocka_unit_test(a_strangers_file_between_look_and_rename),
        cmocka_unit_test(a_file_of_prenotes_alone),
        cmocka_unit_test(the_bank_is_down_for_days),
    };
    logger_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
