/* An operator ends a hold while a leader of old may still deliver the staged
 * copy: it is taken back first, and what is found then is what is recorded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "tests/support/duty_world.h"

#define SECOND_MS UINT64_C(1000)
#define HOUR_MS (3600 * SECOND_MS)

static enum world_verdict hold_rename(struct world *w, const struct world_leader *l,
                                      const struct bank_request *r)
{
    (void)w;
    return r->op == BANK_RENAME && l->number == 0 ? WORLD_HOLD : WORLD_RUN;
}

static void staging_purged(struct world *w)
{
    world_purge(w, BANK_STAGING);
}

static void somebody_else_at_f(struct world *w)
{
    struct arena a = ARENA_INIT;
    struct file_row f = world_file_row(w, 1, &a);
    char name[FILE_NAME_SIZE_MAX + 1];
    world_put(w, BANK_DROP, span_cstr(f.seal.name, name, sizeof name), "not ours\n");
    arena_release(&a);
}

/* A leader stands still right before its rename; the next one holds the file,
 * because of a stranger's at F that the bank then removes. */
static struct world *world_on_hold(void (*meanwhile)(struct world *w))
{
    struct world *w = world_new(1);
    world_submit_samples(w, "t");
    world_close(w, "M1");
    w->on_request = hold_rename;
    (void)world_elect(w);
    world_run(w, SECOND_MS);
    assert_int_equal(world_file_state(w, 1), FILE_STAGED);
    meanwhile(w);
    (void)world_elect(w);
    world_run(w, SECOND_MS);
    assert_int_equal(world_file_state(w, 1), FILE_HOLD);
    world_purge(w, BANK_DROP);
    return w;
}

static enum sg_err resolve(struct world *w, enum file_state as)
{
    struct command c = {.kind = COMMAND_RESOLVE};
    c.file.file = 1;
    c.file.as_uploaded = as == FILE_UPLOADED;
    c.file.reason = span_str("asked the bank");
    enum sg_err err = world_apply(w, &c);
    duties_told(&w->current->duties, COMMAND_RESOLVE);
    return err;
}

static bool is_verified(struct world *w, uint64_t file)
{
    struct arena a = ARENA_INIT;
    bool verified = world_file_row(w, file, &a).verified;
    arena_release(&a);
    return verified;
}

static const struct {
    const char *reason;
    void (*meanwhile)(struct world *w);
    bool is_moved_before; /* The old leader wakes up before the resolve, else after it. */
    enum file_state as, state;
    size_t delivered;
} resolves[] = {
    {"not at the bank: the paused leader finds nothing to move", somebody_else_at_f, false, FILE_ABANDONED,
     FILE_ABANDONED, 0},
    {"brought by hand: the paused leader does not bring it again", somebody_else_at_f, false, FILE_UPLOADED,
     FILE_UPLOADED, 0},
    {"the leader woke up after the bank was asked: the evidence overrules", somebody_else_at_f, true,
     FILE_ABANDONED, FILE_UPLOADED, 1},
    {"the leader woke up, then the bank was asked", somebody_else_at_f, true, FILE_UPLOADED, FILE_UPLOADED,
     1},
    {"staging is lost: there is nothing to go by but the operator's word", staging_purged, false,
     FILE_ABANDONED, FILE_ABANDONED, 0},
    {"the same, as uploaded", staging_purged, false, FILE_UPLOADED, FILE_UPLOADED, 0},
};

static void test_resolve(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof resolves / sizeof resolves[0]; i++) {
        print_message("%s\n", resolves[i].reason);
        size_t others;
        struct world *w = world_on_hold(resolves[i].meanwhile);
        if (resolves[i].is_moved_before) {
            assert_int_equal(world_release(w), 1);
        }
        assert_int_equal(resolve(w, resolves[i].as), SG_OK);
        assert_int_equal(world_file_state(w, 1), FILE_STAGED);
        assert_int_equal(world_events(w, "file.resolving"), 1);
        world_run(w, 10 * SECOND_MS);
        assert_int_equal(world_file_state(w, 1), resolves[i].state);
        assert_int_equal(world_release(w), resolves[i].is_moved_before ? 0 : 1);
        world_run(w, 10 * SECOND_MS);
        assert_int_equal(world_delivered(w, 1, &others), resolves[i].delivered);
        assert_int_equal(others, 0);
        assert_int_equal(world_file_state(w, 1), resolves[i].state);
        assert_false(is_verified(w, 1)); /* Its traces are still there. */
        world_run(w, 25 * HOUR_MS);
        assert_true(is_verified(w, 1));
        assert_int_equal(world_staged(w, ""), 0);
        assert_int_equal(world_events(w, "alert"), 0);
        world_free(w);
    }
}

/* Whatever the moment at which the old leader wakes up: one end, and the record
 * says which. */
static void test_resolve_against_rename(void **state)
{
    (void)state;
    unsigned ends[FILE_STATES] = {0};
    for (unsigned turns = 0; turns < 30; turns++) {
        size_t others;
        struct world *w = world_on_hold(somebody_else_at_f);
        assert_int_equal(resolve(w, FILE_ABANDONED), SG_OK);
        for (unsigned turn = 0; turn < turns; turn++) {
            (void)test_loop_turn(w->t);
        }
        w->is_bank_quick = turns % 2 == 0;
        assert_int_equal(world_release(w), 1);
        world_run(w, 10 * SECOND_MS);
        size_t delivered = world_delivered(w, 1, &others);
        assert_int_equal(world_file_state(w, 1), delivered == 1 ? FILE_UPLOADED : FILE_ABANDONED);
        assert_in_range(delivered, 0, 1);
        assert_int_equal(others, 0);
        ends[world_file_state(w, 1)]++;
        world_free(w);
    }
    assert_true(ends[FILE_UPLOADED] > 0 && ends[FILE_ABANDONED] > 0);
}

/* Leaders that die while they take the staged copy back. */
static void test_resolve_is_finished_by_the_next(void **state)
{
    static const char *const points[] = {"upload.before-rename", "upload.renamed", "upload.synced"};
    (void)state;
    if (!world_has_faults()) {
        skip();
    }
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        size_t others;
        struct world *w = world_on_hold(somebody_else_at_f);
        w->kill_at = points[i];
        w->passed_count = 0;
        assert_int_equal(resolve(w, FILE_ABANDONED), SG_OK);
        world_run(w, SECOND_MS);
        assert_int_equal(w->passed_count, 1);
        assert_int_equal(world_file_state(w, 1), FILE_STAGED);
        (void)world_elect(w);
        world_run(w, 10 * SECOND_MS);
        assert_int_equal(world_file_state(w, 1), FILE_ABANDONED);
        assert_int_equal(world_release(w), 1);
        world_run(w, SECOND_MS);
        assert_int_equal(world_delivered(w, 1, &others), 0);
        world_free(w);
    }
}

static void test_resolve_said_twice(void **state)
{
    (void)state;
    struct world *w = world_on_hold(somebody_else_at_f);
    assert_int_equal(resolve(w, FILE_ABANDONED), SG_OK);
    assert_int_equal(resolve(w, FILE_ABANDONED), SG_OK);
    assert_int_equal(resolve(w, FILE_UPLOADED), SG_CONFLICT);
    assert_int_equal(world_events(w, "file.resolving"), 1);
    world_run(w, 10 * SECOND_MS);
    assert_int_equal(world_file_state(w, 1), FILE_ABANDONED);
    assert_int_equal(resolve(w, FILE_ABANDONED), SG_OK);
    assert_int_equal(resolve(w, FILE_UPLOADED), SG_CONFLICT);
    assert_int_equal(world_release(w), 1);
    world_run(w, SECOND_MS);
    world_free(w);
}

/* A resolve that ends the file at once: what is abandoned is sent all the same,
 * and what was brought by hand comes a second time. */
static void test_resolve_at_once_is_found(void **state)
{
    static const enum file_state ends[] = {FILE_ABANDONED, FILE_UPLOADED};
    (void)state;
    if (!world_has_faults()) {
        skip();
    }
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        size_t others;
        struct world *w = world_on_hold(somebody_else_at_f);
        world_set_bugs("resolve-at-once");
        assert_int_equal(resolve(w, ends[i]), SG_OK);
        world_set_bugs("");
        world_run(w, 10 * SECOND_MS);
        assert_int_equal(world_file_state(w, 1), ends[i]);
        assert_int_equal(world_release(w), 1);
        world_run(w, SECOND_MS);
        assert_int_equal(world_delivered(w, 1, &others), 1);
        world_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_resolve),
        cmocka_unit_test(test_resolve_against_rename),
        cmocka_unit_test(test_resolve_is_finished_by_the_next),
        cmocka_unit_test(test_resolve_said_twice),
        cmocka_unit_test(test_resolve_at_once_is_found),
    };
    logger_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
