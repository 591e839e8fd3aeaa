/* What files that were never delivered left in staging: T and W of attempts, D and
 * W of a copy that was taken back. It is removed when verify_window is over, and
 * recorded; a T that was staged never is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/support/duty_world.h"

#define SECOND_MS UINT64_C(1000)
#define HOUR_MS (3600 * SECOND_MS)

static struct world *world_with_file(void)
{
    struct world *w = world_new(1);
    world_submit_samples(w, "t");
    world_close(w, "M1");
    return w;
}

static void cancel_file(struct world *w)
{
    struct command c = {.kind = COMMAND_FILE_CANCEL};
    c.file.file = 1;
    c.file.reason = span_str("test");
    assert_int_equal(world_apply(w, &c), SG_OK);
    if (w->current != NULL) {
        duties_told(&w->current->duties, COMMAND_FILE_CANCEL);
    }
}

static bool is_verified(struct world *w)
{
    struct arena a = ARENA_INIT;
    bool verified = world_file_row(w, 1, &a).verified;
    arena_release(&a);
    return verified;
}

static const struct {
    const char *reason;
    const char *kill_at; /* NULL: the leader stays, with a request under way. */
    size_t soon;         /* Names in staging before the time is over. */
} leftovers[] = {
    {"nothing was made", "upload.claimed", 0},   {"W was made", "upload.witness", 1},
    {"T and W were made", "upload.put", 2},      {"staged: D and W", "upload.staged", 2},
    {"the leader itself was making T", NULL, 2},
};

static enum world_verdict hold_part(struct world *w, const struct world_leader *l,
                                    const struct bank_request *r)
{
    (void)w;
    (void)l;
    return r->op == BANK_CREATE && strstr(r->name, ".part") != NULL ? WORLD_HOLD : WORLD_RUN;
}

static void test_traces_of_cancelled_files_go(void **state)
{
    (void)state;
    if (!world_has_faults()) {
        skip();
    }
    for (size_t i = 0; i < sizeof leftovers / sizeof leftovers[0]; i++) {
        print_message("%s\n", leftovers[i].reason);
        size_t others;
        struct world *w = world_with_file();
        w->kill_at = leftovers[i].kill_at;
        w->on_request = leftovers[i].kill_at == NULL ? hold_part : NULL;
        (void)world_elect(w);
        world_run(w, SECOND_MS);
        cancel_file(w);
        if (leftovers[i].kill_at != NULL) {
            (void)world_elect(w);
        }
        (void)world_release(w);
        world_run(w, 10 * SECOND_MS);
        assert_int_equal(world_file_state(w, 1), FILE_ABANDONED);
        assert_false(is_verified(w));
        assert_int_equal(world_staged(w, ""), leftovers[i].soon);
        world_run(w, 23 * HOUR_MS);
        assert_int_equal(world_staged(w, ""), leftovers[i].soon);
        world_run(w, 2 * HOUR_MS);
        assert_int_equal(world_staged(w, ""), 0);
        assert_true(is_verified(w));
        assert_null(w->current->duties.uploads.head);
        assert_int_equal(world_delivered(w, 1, &others), 0);
        world_free(w);
    }
}

/* A T that was staged is never removed, not even when it should not be there. */
static void test_staged_copy_is_back(void **state)
{
    (void)state;
    if (!world_has_faults()) {
        skip();
    }
    struct world *w = world_with_file();
    w->kill_at = "upload.staged";
    (void)world_elect(w);
    world_run(w, SECOND_MS);
    cancel_file(w);
    (void)world_elect(w);
    world_run(w, SECOND_MS);
    assert_int_equal(world_file_state(w, 1), FILE_ABANDONED);
    for (size_t i = 0; i < WORLD_FILES_MAX; i++) {
        struct world_file *f = &w->files[i];
        size_t n = strlen(f->name);
        if (f->place == BANK_STAGING && n > 5 && strcmp(f->name + n - 5, ".dead") == 0) {
            memcpy(f->name + n - 5, ".part", 5);
        }
    }
    world_run(w, 30 * HOUR_MS);
    assert_int_equal(world_staged(w, ".part"), 1);
    assert_int_equal(world_events(w, "alert"), 1);
    assert_false(is_verified(w));
    /* A person removed it. */
    world_purge(w, BANK_STAGING);
    world_run(w, 2 * HOUR_MS);
    assert_true(is_verified(w));
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traces_of_cancelled_files_go),
        cmocka_unit_test(test_staged_copy_is_back),
    };
    logger_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
