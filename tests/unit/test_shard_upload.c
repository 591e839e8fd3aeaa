/* The upload protocol: every row of "What the next leader finds", and what doubt,
 * cancels, purges and old leaders do to it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "shard/upload/steps.h"
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

static void assert_once(struct world *w, uint64_t file)
{
    size_t others;
    assert_int_equal(world_delivered(w, file, &others), 1);
    assert_int_equal(others, 0);
}

static uint32_t attempts_of(struct world *w, uint64_t file)
{
    struct arena a = ARENA_INIT;
    uint32_t n = world_file_row(w, file, &a).attempts_count;
    arena_release(&a);
    return n;
}

static void cancel_file(struct world *w, uint64_t file)
{
    struct command c = {.kind = COMMAND_FILE_CANCEL};
    c.file.file = file;
    c.file.reason = span_str("test");
    assert_int_equal(world_apply(w, &c), SG_OK);
}

/* --- The plain way ----------------------------------------------------------------- */

static void test_steps_in_order(void **state)
{
    (void)state;
    struct world *w = world_with_file();
    (void)world_elect(w);
    world_run(w, SECOND_MS);
    assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
    bytes_append(&w->trace, "", 1);
    assert_string_equal((char *)w->trace.p,
                        "A:probe A:create.wit A:create.part A:stat.F A:stat.part A:rename.part A:sync "
                        "A:stat.part A:stat.dead A:stat.wit");
    assert_once(w, 1);
    assert_int_equal(world_staged(w, ".wit"), 1);
    w->trace.n = 0;
    /* Step 11: T stays absent for verify_window, then the witness goes. */
    world_run(w, 23 * HOUR_MS);
    assert_int_equal(world_staged(w, ".wit"), 1);
    world_run(w, 2 * HOUR_MS);
    assert_int_equal(world_staged(w, ".wit"), 0);
    struct arena a = ARENA_INIT;
    assert_true(world_file_row(w, 1, &a).verified);
    arena_release(&a);
    assert_null(w->leaders[0].duties.uploads.head);
    world_free(w);
}

/* --- What the next leader finds ------------------------------------------------------ */

/* What else happened while nobody led. */
static void bank_takes(struct world *w)
{
    world_take(w);
}

static struct world_file *staged(struct world *w, const char *suffix)
{
    for (size_t i = 0; i < WORLD_FILES_MAX; i++) {
        struct world_file *f = &w->files[i];
        size_t n = strlen(f->name);
        if (f->place == BANK_STAGING && n > strlen(suffix) &&
            strcmp(f->name + n - strlen(suffix), suffix) == 0) {
            return f;
        }
    }
    return NULL;
}

static void half_written(struct world *w)
{
    struct world_file *t = staged(w, ".part");
    assert_non_null(t);
    t->content.n /= 2;
}

static void staging_purged(struct world *w)
{
    world_purge(w, BANK_STAGING);
}

static void power_lost(struct world *w)
{
    for (size_t i = 0; i < WORLD_FILES_MAX; i++) {
        if (w->files[i].place == BANK_DROP) {
            struct world_file *wit = staged(w, ".wit");
            char name[BANK_NAME_SIZE];
            (void)snprintf(name, sizeof name, "%.*s.part", (int)(strlen(wit->name) - 4), wit->name);
            world_move(w, &w->files[i], BANK_STAGING, name);
        }
    }
}

static void somebody_else_at_f(struct world *w)
{
    struct arena a = ARENA_INIT;
    struct file_row f = world_file_row(w, 1, &a);
    char name[FILE_NAME_SIZE_MAX + 1];
    world_put(w, BANK_DROP, span_cstr(f.seal.name, name, sizeof name), "not ours\n");
    arena_release(&a);
}

static void operator_cancels(struct world *w)
{
    cancel_file(w, 1);
}

static void cancelled_and_moved_to_d(struct world *w)
{
    cancel_file(w, 1);
    struct world_file *t = staged(w, ".part");
    char name[BANK_NAME_SIZE];
    (void)snprintf(name, sizeof name, "%.*s.dead", (int)(strlen(t->name) - 5), t->name);
    world_move(w, t, BANK_STAGING, name);
}

static enum world_verdict hold_rename(struct world *w, const struct world_leader *l,
                                      const struct bank_request *r)
{
    (void)w;
    return r->op == BANK_RENAME && l->number == 0 ? WORLD_HOLD : WORLD_RUN;
}

static bool power_is_due;

static void power_will_go(struct world *w)
{
    (void)w;
    power_is_due = true;
}

/* Between the look at F, which is there, and the look at T. */
static enum world_verdict power_goes_between(struct world *w, const struct world_leader *l,
                                             const struct bank_request *r)
{
    (void)l;
    if (power_is_due && r->op == BANK_STAT && strstr(r->name, ".part") != NULL) {
        power_is_due = false;
        power_lost(w);
    }
    return WORLD_RUN;
}

static const struct {
    const char *reason;
    const char *kill_at;
    void (*meanwhile)(struct world *w);
    enum world_verdict (*on_request)(struct world *w, const struct world_leader *l,
                                     const struct bank_request *r);
    enum file_state state;
    size_t delivered, others;
    uint32_t attempts;
} finds[] = {
    {"before CLAIM: nothing was begun", "file.sealed", NULL, NULL, FILE_UPLOADED, 1, 0, 1},
    {"after CLAIM, before W", "upload.claimed", NULL, NULL, FILE_UPLOADED, 1, 0, 2},
    {"W made, T not", "upload.witness", NULL, NULL, FILE_UPLOADED, 1, 0, 2},
    {"T half written", "upload.put", half_written, NULL, FILE_UPLOADED, 1, 0, 2},
    {"T whole, STAGED not committed: the old one never renames", "upload.put", NULL, NULL, FILE_UPLOADED, 1,
     0, 2},
    {"STAGED committed, rename not sent: the same T goes out", "upload.staged", NULL, NULL, FILE_UPLOADED, 1,
     0, 1},
    {"the same, killed right before the rename", "upload.before-rename", NULL, NULL, FILE_UPLOADED, 1, 0, 1},
    {"rename done, the bank has not taken F", "upload.renamed", NULL, NULL, FILE_UPLOADED, 1, 0, 1},
    {"rename done, the bank took F", "upload.renamed", bank_takes, NULL, FILE_UPLOADED, 1, 0, 1},
    {"synced, evidence not looked at", "upload.synced", bank_takes, NULL, FILE_UPLOADED, 1, 0, 1},
    {"evidence complete, UPLOADED not committed", "upload.before-uploaded", bank_takes, NULL, FILE_UPLOADED,
     1, 0, 1},
    {"UPLOADED committed", "upload.uploaded", bank_takes, NULL, FILE_UPLOADED, 1, 0, 1},
    {"staging purged after the rename: nobody can know", "upload.renamed", staging_purged, NULL, FILE_HOLD, 1,
     0, 1},
    {"staging purged before the rename: nobody can know", "upload.staged", staging_purged, NULL, FILE_HOLD, 0,
     0, 1},
    {"the server lost power, the rename was undone", "upload.renamed", power_lost, NULL, FILE_UPLOADED, 1, 0,
     1},
    {"the same, between the looks at F and T: no stranger's file", "upload.renamed", power_will_go,
     power_goes_between, FILE_UPLOADED, 1, 0, 1},
    {"a stranger's file at F: T is not moved", "upload.staged", somebody_else_at_f, NULL, FILE_HOLD, 0, 1, 1},
    {"cancelled after STAGED: T is taken back", "upload.staged", operator_cancels, NULL, FILE_ABANDONED, 0, 0,
     1},
    {"T moved to D, ABANDONED not committed", "upload.staged", cancelled_and_moved_to_d, NULL, FILE_ABANDONED,
     0, 0, 1},
    {"cancelled too late: the rename was done", "upload.renamed", operator_cancels, NULL, FILE_UPLOADED, 1, 0,
     1},
    {"cancelled before anything was staged", "upload.claimed", operator_cancels, NULL, FILE_ABANDONED, 0, 0,
     1},
};

static void test_next_leader(void **state)
{
    (void)state;
    if (!world_has_faults()) {
        skip();
    }
    for (size_t i = 0; i < sizeof finds / sizeof finds[0]; i++) {
        print_message("%s\n", finds[i].reason);
        struct world *w = world_with_file();
        w->kill_at = finds[i].kill_at;
        w->on_request = finds[i].on_request;
        (void)world_elect(w);
        world_run(w, SECOND_MS);
        assert_int_equal(w->passed_count, 1);
        if (finds[i].meanwhile != NULL) {
            finds[i].meanwhile(w);
        }
        (void)world_elect(w);
        world_run(w, 10 * SECOND_MS);
        size_t others;
        assert_int_equal(world_file_state(w, 1), finds[i].state);
        assert_int_equal(world_delivered(w, 1, &others), finds[i].delivered);
        assert_int_equal(others, finds[i].others);
        assert_int_equal(attempts_of(w, 1), finds[i].attempts);
        assert_true(world_events(w, "alert") == 0);
        world_free(w);
    }
}

/* The row "rename sent, still queued at the server": it runs before, between or
 * after the next leader's own steps. */
static void test_rename_still_queued(void **state)
{
    (void)state;
    for (unsigned ms = 0; ms < 30; ms++) {
        struct world *w = world_with_file();
        w->on_request = hold_rename;
        struct world_leader *a = world_elect(w);
        world_run(w, SECOND_MS);
        assert_int_equal(world_file_state(w, 1), FILE_STAGED);
        world_kill(a);
        (void)world_elect(w);
        /* One turn of the loop is less than a step. */
        for (unsigned turn = 0; turn < ms; turn++) {
            (void)test_loop_turn(w->t);
        }
        w->is_bank_quick = ms % 2 == 0;
        assert_int_equal(world_release(w), 1);
        world_run(w, 10 * SECOND_MS);
        assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
        assert_once(w, 1);
        assert_int_equal(attempts_of(w, 1), 1);
        world_free(w);
    }
}

/* A leader paused before its rename goes on an hour later: the token is gone. */
static void test_paused_leader(void **state)
{
    (void)state;
    struct world *w = world_with_file();
    w->on_request = hold_rename;
    w->is_bank_quick = true;
    struct world_leader *a = world_elect(w);
    world_run(w, SECOND_MS);
    (void)world_elect(w);
    world_run(w, HOUR_MS);
    assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
    assert_int_equal(world_release(w), 1);
    world_run(w, HOUR_MS);
    assert_once(w, 1);
    assert_true(a->duties.env.is_ready); /* It never learned. */
    world_free(w);
}

/* An answer that comes after the office is lost is not looked at, even when the
 * same replica leads again. */
static void test_late_answer_is_dropped(void **state)
{
    (void)state;
    struct world *w = world_with_file();
    w->on_request = hold_rename;
    struct world_leader *a = world_elect(w);
    world_run(w, SECOND_MS);
    world_tell(a);
    assert_null(a->duties.uploads.head);
    duties_role(&a->duties, true, true, ++w->term);
    w->on_request = NULL;
    world_run(w, SECOND_MS);
    assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
    assert_int_equal(world_release(w), 1);
    world_run(w, SECOND_MS);
    assert_once(w, 1);
    world_free(w);
}

/* --- Doubt ---------------------------------------------------------------------------- */

static struct {
    enum bank_op op;
    const char *suffix; /* "": the final name. */
    enum world_verdict verdict;
    unsigned left; /* Times. */
} doubt;

static enum world_verdict on_doubt(struct world *w, const struct world_leader *l,
                                   const struct bank_request *r)
{
    (void)w;
    (void)l;
    const char *dot = strrchr(r->name, '.');
    bool is_it =
        r->op == doubt.op &&
        (doubt.suffix == NULL || strcmp(r->place == BANK_DROP || dot == NULL ? "" : dot, doubt.suffix) == 0);
    if (!is_it || doubt.left == 0) {
        return WORLD_RUN;
    }
    doubt.left--;
    return doubt.verdict;
}

static const struct {
    const char *reason;
    enum bank_op op;
    const char *suffix;
    enum world_verdict verdict;
    unsigned times;
    uint32_t attempts;
} doubts[] = {
    {"probe fails: nothing is claimed until it passes", BANK_PROBE, NULL, WORLD_FAIL, 3, 1},
    {"W made, answer lost: a new name", BANK_CREATE, ".wit", WORLD_RUN_UNHEARD, 3, 4},
    {"W refused", BANK_CREATE, ".wit", WORLD_FAIL, 3, 4},
    {"T half, line lost: a new name", BANK_CREATE, ".part", WORLD_HALF, 3, 4},
    {"T whole, answer lost: a new name", BANK_CREATE, ".part", WORLD_RUN_UNHEARD, 3, 4},
    {"F can't be looked at: looked at again", BANK_STAT, "", WORLD_LOST, 3, 1},
    {"T can't be looked at: looked at again", BANK_STAT, ".part", WORLD_LOST, 3, 1},
    {"rename done, answer lost: the evidence decides", BANK_RENAME, NULL, WORLD_RUN_UNHEARD, 1, 1},
    {"rename lost: T is there, so once more", BANK_RENAME, NULL, WORLD_LOST, 3, 1},
    {"rename refused: T is there, so once more", BANK_RENAME, NULL, WORLD_FAIL, 3, 1},
    {"sync failed: once more", BANK_SYNC, NULL, WORLD_FAIL, 3, 1},
    {"D can't be looked at", BANK_STAT, ".dead", WORLD_FAIL, 3, 1},
    {"W can't be looked at", BANK_STAT, ".wit", WORLD_LOST, 3, 1},
};

static void test_doubt(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof doubts / sizeof doubts[0]; i++) {
        print_message("%s\n", doubts[i].reason);
        struct world *w = world_with_file();
        doubt.op = doubts[i].op;
        doubt.suffix = doubts[i].suffix;
        doubt.verdict = doubts[i].verdict;
        doubt.left = doubts[i].times;
        w->on_request = on_doubt;
        w->is_bank_quick = true;
        (void)world_elect(w);
        world_run(w, 60 * SECOND_MS);
        assert_int_equal(doubt.left, 0);
        assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
        assert_once(w, 1);
        assert_int_equal(attempts_of(w, 1), doubts[i].attempts);
        world_free(w);
    }
}

/* People are told after UPLOAD_ALERT_TRIES, once; waits grow to the limit and no
 * further; the log does not fill with claims. */
static void test_bank_is_down(void **state)
{
    (void)state;
    struct world *w = world_with_file();
    doubt.op = BANK_PROBE;
    doubt.suffix = NULL;
    doubt.verdict = WORLD_FAIL;
    doubt.left = UINT32_MAX;
    w->on_request = on_doubt;
    struct world_leader *l = world_elect(w);
    world_run(w, HOUR_MS);
    assert_int_equal(world_file_state(w, 1), FILE_SEALED);
    assert_int_equal(attempts_of(w, 1), 0);
    assert_int_equal(world_events(w, "alert"), 1);
    unsigned asked = UINT32_MAX - doubt.left;
    assert_in_range(asked, 60, 150); /* Between half a minute and a minute apart. */
    struct shard_upload_status status[8];
    assert_int_equal(uploads_status(&l->duties.uploads, status, 8), 2);
    assert_string_equal(status[0].step, "probe");
    assert_int_equal(status[1].file, 1);
    doubt.left = 0;
    world_run(w, 120 * SECOND_MS);
    assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
    world_free(w);
}

/* A request that is never answered: nothing else is begun, people are told, and
 * the next leader is not held up. */
static void test_bank_hangs(void **state)
{
    (void)state;
    struct world *w = world_with_file();
    w->on_request = hold_rename;
    struct world_leader *l = world_elect(w);
    world_run(w, BANK_SLOW_MS - SECOND_MS);
    assert_int_equal(world_events(w, "alert"), 0);
    world_run(w, HOUR_MS);
    assert_int_equal(world_events(w, "alert"), 1);
    struct shard_upload_status status[8];
    assert_int_equal(uploads_status(&l->duties.uploads, status, 8), 1);
    assert_non_null(strstr(status[0].last_error, "does not answer"));
    (void)world_elect(w);
    world_run(w, SECOND_MS);
    assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
    world_free(w);
}

static void test_alert_when_t_does_not_move(void **state)
{
    (void)state;
    struct world *w = world_with_file();
    doubt.op = BANK_RENAME;
    doubt.suffix = NULL;
    doubt.verdict = WORLD_FAIL;
    doubt.left = UPLOAD_ALERT_TRIES + 3;
    w->on_request = on_doubt;
    (void)world_elect(w);
    world_run(w, HOUR_MS);
    assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
    assert_int_equal(world_events(w, "alert"), 1);
    assert_once(w, 1);
    world_free(w);
}

/* --- After the upload ------------------------------------------------------------------- */

/* Garbage of a dead leader's attempt goes soon; what the same leader left, only
 * when the file's time is over; what was staged, never before. */
static void test_garbage(void **state)
{
    (void)state;
    if (!world_has_faults()) {
        skip();
    }
    struct world *w = world_with_file();
    w->kill_at = "upload.put";
    (void)world_elect(w);
    world_run(w, SECOND_MS);
    doubt.op = BANK_CREATE;
    doubt.suffix = ".part";
    doubt.verdict = WORLD_HALF;
    doubt.left = 1;
    w->on_request = on_doubt;
    (void)world_elect(w);
    world_run(w, 30 * SECOND_MS);
    assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
    assert_int_equal(attempts_of(w, 1), 3);
    assert_int_equal(world_staged(w, ".part"), 1); /* Of term 2, where no newer term claimed. */
    assert_int_equal(world_staged(w, ".wit"), 2);
    world_run(w, 25 * HOUR_MS);
    assert_int_equal(world_staged(w, ".part"), 0);
    assert_int_equal(world_staged(w, ".wit"), 0);
    world_free(w);
}

static void test_server_rolled_back(void **state)
{
    (void)state;
    struct world *w = world_with_file();
    (void)world_elect(w);
    world_run(w, SECOND_MS);
    power_lost(w);
    world_run(w, 30 * HOUR_MS);
    assert_int_equal(world_events(w, "alert"), 1);
    assert_int_equal(world_staged(w, ".part"), 1); /* Not pushed again: the bank may have read F. */
    assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
    world_free(w);
}

/* --- Several files ------------------------------------------------------------------------ */

static void test_files_in_order(void **state)
{
    (void)state;
    struct world *w = world_new(1);
    w->is_bank_quick = true;
    for (unsigned i = 0; i < 3; i++) {
        char name[8];
        (void)snprintf(name, sizeof name, "M%u", i + 1);
        world_submit_samples(w, name);
        world_close(w, name);
    }
    (void)world_elect(w);
    world_run(w, 5 * SECOND_MS);
    assert_int_equal(w->taken_count, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(world_file_state(w, i + 1), FILE_UPLOADED);
        assert_non_null(strstr(w->taken[i].name, (char[]){'-', (char)('A' + (char)i), '.', 0}));
    }
    world_free(w);
}

static void test_held_file_blocks_no_other(void **state)
{
    (void)state;
    if (!world_has_faults()) {
        skip();
    }
    struct world *w = world_with_file();
    w->kill_at = "file.sealed";
    (void)world_elect(w);
    world_run(w, SECOND_MS);
    somebody_else_at_f(w);
    world_submit_samples(w, "u");
    world_close(w, "M2");
    (void)world_elect(w);
    world_run(w, 5 * SECOND_MS);
    assert_int_equal(world_file_state(w, 1), FILE_HOLD);
    assert_int_equal(world_file_state(w, 2), FILE_UPLOADED);
    world_free(w);
}

/* --- The table ------------------------------------------------------------------------------- */

static const struct {
    const char *reason;
    enum upload_step from, to;
    bool allowed;
} moves[] = {
    {"no rename without STAGED applied", UPLOAD_PUT, UPLOAD_RENAME, false},
    {"no look at F before STAGED", UPLOAD_PUT, UPLOAD_LOOK_FINAL, false},
    {"T is never made before its witness", UPLOAD_CLAIM, UPLOAD_PUT, false},
    {"the rename's answer is no evidence", UPLOAD_RENAME, UPLOAD_UPLOADED, false},
    {"nor is a T that is gone", UPLOAD_CHECK_STAGED, UPLOAD_UPLOADED, false},
    {"nor a D that is absent", UPLOAD_CHECK_DEAD, UPLOAD_UPLOADED, false},
    {"the witness is the last evidence", UPLOAD_CHECK_WITNESS, UPLOAD_UPLOADED, true},
    {"the evidence is durable first", UPLOAD_RENAME, UPLOAD_CHECK_STAGED, false},
    {"D ends the attempt", UPLOAD_CHECK_DEAD, UPLOAD_ABANDONED, true},
    {"the log may always be asked", UPLOAD_SYNC, UPLOAD_START, true},
    {"a claim needs the endpoint's proof", UPLOAD_START, UPLOAD_CLAIM, false},
    {"a cancel goes to its rename", UPLOAD_START, UPLOAD_RENAME, true},
};

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof moves / sizeof moves[0]; i++) {
        print_message("%s\n", moves[i].reason);
        assert_true(upload_may_follow(moves[i].from, moves[i].to) == moves[i].allowed);
    }
    for (enum upload_step s = UPLOAD_START; s < UPLOAD_STEPS; s++) {
        assert_non_null(upload_step_name(s));
        assert_true(s == UPLOAD_ENDED || upload_step_ops(s)->enter != NULL);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_steps_in_order),
        cmocka_unit_test(test_next_leader),
        cmocka_unit_test(test_rename_still_queued),
        cmocka_unit_test(test_paused_leader),
        cmocka_unit_test(test_late_answer_is_dropped),
        cmocka_unit_test(test_doubt),
        cmocka_unit_test(test_bank_is_down),
        cmocka_unit_test(test_bank_hangs),
        cmocka_unit_test(test_alert_when_t_does_not_move),
        cmocka_unit_test(test_garbage),
        cmocka_unit_test(test_server_rolled_back),
        cmocka_unit_test(test_files_in_order),
        cmocka_unit_test(test_held_file_blocks_no_other),
        cmocka_unit_test(test_table),
    };
    logger_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
