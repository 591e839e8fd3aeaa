/* An operator ends a hold while an old leader still has the rename in its hand:
 * whenever that is carried out, a payment that was cancelled is never sent, what
 * the bank has from elsewhere never comes twice, and what was delivered is never
 * said to be cancelled. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/support/duty_world.h"
#include "tests/support/test_random.h"

#define SECOND_MS UINT64_C(1000)
#define HOUR_MS (3600 * SECOND_MS)
#define ELSEWHERE ((enum bank_place)77) /* Of files that a wrong mount hides. */
#define TURNS 40u                       /* One turn of the loop is less than a step. */
#define SEEDS UINT64_C(200)

static struct world *world_with_file(void)
{
    struct world *w = world_new(1);
    world_submit_samples(w, "t");
    world_close(w, "M1");
    return w;
}

static void command(struct world *w, enum command_kind kind, bool as_uploaded)
{
    struct command c = {.kind = kind};
    c.file.file = 1;
    c.file.as_uploaded = as_uploaded;
    c.file.reason = span_str("test");
    assert_int_equal(world_apply(w, &c), SG_OK);
    if (w->current != NULL) {
        duties_told(&w->current->duties, kind);
    }
}

static void turns(struct world *w, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        (void)test_loop_turn(w->t);
    }
}

static struct file_row row_of(struct world *w)
{
    struct arena a = ARENA_INIT;
    struct file_row f = world_file_row(w, 1, &a);
    arena_release(&a);
    f.reason = f.claimed_by = f.seal.name = SPAN_NONE;
    return f;
}

static size_t delivered(struct world *w)
{
    size_t others;
    return world_delivered(w, 1, &others);
}

/* --- The bank's side ------------------------------------------------------------------ */

static void stranger_comes(struct world *w)
{
    struct arena a = ARENA_INIT;
    struct file_row f = world_file_row(w, 1, &a);
    char name[FILE_NAME_SIZE_MAX + 1];
    (void)span_cstr(f.seal.name, name, sizeof name);
    if (world_find(w, BANK_DROP, name) == NULL) {
        world_put(w, BANK_DROP, name, "not ours\n");
    }
    arena_release(&a);
}

static void stranger_goes(struct world *w)
{
    for (size_t i = 0; i < WORLD_FILES_MAX; i++) {
        struct world_file *f = &w->files[i];
        if (f->place == BANK_DROP && span_is(span_bytes(&f->content), "not ours\n")) {
            f->place = ELSEWHERE;
        }
    }
    world_purge(w, ELSEWHERE);
}

static void move_all(struct world *w, enum bank_place from, enum bank_place to)
{
    for (size_t i = 0; i < WORLD_FILES_MAX; i++) {
        if (w->files[i].place == from) {
            w->files[i].place = to;
        }
    }
}

static enum world_verdict hold_rename(struct world *w, const struct world_leader *l,
                                      const struct bank_request *r)
{
    (void)w;
    return r->op == BANK_RENAME && l->number == 0 ? WORLD_HOLD : WORLD_RUN;
}

/* Leader A is paused with its rename sent or about to be; a stranger's file makes
 * B hold, and is gone when the operator speaks. */
static struct world *world_on_hold(void)
{
    struct world *w = world_with_file();
    w->on_request = hold_rename;
    (void)world_elect(w);
    world_run(w, SECOND_MS);
    stranger_comes(w);
    (void)world_elect(w);
    world_run(w, SECOND_MS);
    stranger_goes(w);
    assert_int_equal(world_file_state(w, 1), FILE_HOLD);
    assert_int_equal(world_staged(w, ".part"), 1);
    return w;
}

/* --- The paused leader's rename at every moment ------------------------------------------- */

/* Ended by the word alone: nothing may have come to the bank, nor ever will. */
static bool is_ended_by_word(const struct file_row *f)
{
    return f->state == FILE_ABANDONED || (f->state == FILE_UPLOADED && f->staged_attempt == 0);
}

/* NULL, or what must never be. */
static const char *judge(struct world *w)
{
    struct file_row f = row_of(w);
    size_t n = delivered(w);
    if (n > 1) {
        return "delivered twice";
    }
    if (f.state == FILE_ABANDONED && n > 0) {
        return "cancelled and sent";
    }
    if (is_ended_by_word(&f) && n > 0) {
        return "the bank has it from elsewhere, and from us too";
    }
    if (f.state == FILE_UPLOADED && f.staged_attempt != 0 && n == 0) {
        return "lost: recorded as uploaded";
    }
    return NULL;
}

static const char *judge_end(struct world *w, bool as_uploaded)
{
    const char *why = judge(w);
    struct file_row f = row_of(w);
    if (why == NULL && f.state != FILE_UPLOADED && f.state != FILE_ABANDONED) {
        return "the file has no end";
    }
    if (why == NULL && delivered(w) == 0 && (f.state == FILE_UPLOADED) != as_uploaded) {
        return "not as the operator said";
    }
    return why;
}

/* One run: RESOLVE comes after `before` turns, A's rename runs after `renamed`
 * turns, and after `failed` turns B dies or is paused and C leads. */
struct run {
    bool as_uploaded, is_quick, is_killed;
    unsigned before, renamed, failed;
};

static struct {
    unsigned delivered, taken_back;
} seen;

static const char *run_turns(struct world *w, const struct run *r)
{
    struct world_leader *b = w->current;
    const char *why = NULL;
    for (unsigned i = 0; i < TURNS && why == NULL; i++) {
        if (i == r->before) {
            command(w, COMMAND_RESOLVE, r->as_uploaded);
        }
        if (i == r->renamed) {
            (void)world_release(w);
        }
        if (i == r->failed) {
            if (r->is_killed) {
                world_kill(b);
            }
            (void)world_elect(w);
        }
        turns(w, 1);
        why = judge(w);
    }
    return why;
}

static const char *run_one(const struct run *r)
{
    struct world *w = world_on_hold();
    w->is_bank_quick = r->is_quick;
    const char *why = run_turns(w, r);
    for (unsigned i = 0; i < 3 && why == NULL; i++) {
        world_run(w, 10 * SECOND_MS);
        (void)world_release(w);
        why = judge(w);
    }
    if (why == NULL) {
        why = judge_end(w, r->as_uploaded);
    }
    size_t n = delivered(w);
    seen.delivered += n == 1;
    seen.taken_back += n == 0;
    world_run(w, 26 * HOUR_MS);
    if (why == NULL && (!row_of(w).verified || world_staged(w, "") != 0)) {
        why = "its traces are still in staging";
    }
    world_free(w);
    return why;
}

static const char *run_said(const struct run *r, char *text, size_t size)
{
    const char *why = run_one(r);
    if (why == NULL) {
        return NULL;
    }
    (void)snprintf(text, size, "as %s, resolve at %u, rename at %u, next leader at %u (%s): %s",
                   r->as_uploaded ? "uploaded" : "abandoned", r->before, r->renamed, r->failed,
                   r->is_killed ? "killed" : "paused", why);
    return text;
}

static void test_rename_at_every_moment(void **state)
{
    (void)state;
    char text[200];
    seen.delivered = seen.taken_back = 0;
    for (unsigned k = 0; k < 2 * TURNS; k++) {
        struct run r = {
            .as_uploaded = k % 2 == 1, .is_quick = k % 4 < 2, .before = 4, .renamed = k / 2, .failed = TURNS};
        const char *why = run_said(&r, text, sizeof text);
        if (why != NULL) {
            fail_msg("%s", why);
        }
    }
    /* Both ends are in reach, so the moments were the right ones. */
    assert_in_range(seen.delivered, 8, 2 * TURNS - 20);
    assert_in_range(seen.taken_back, 20, 2 * TURNS - 8);
}

/* The resolving leader dies or is paused, too, around each of its own steps. */
static void test_next_leader_resolves(void **state)
{
    (void)state;
    char text[200];
    for (unsigned failed = 0; failed < 24; failed++) {
        for (unsigned renamed = failed % 3; renamed < 30; renamed += 3) {
            struct run r = {.as_uploaded = (failed + renamed) % 2 == 0,
                            .is_quick = renamed % 4 < 2,
                            .is_killed = failed % 2 == 0,
                            .before = 2,
                            .renamed = renamed,
                            .failed = failed};
            const char *why = run_said(&r, text, sizeof text);
            if (why != NULL) {
                fail_msg("%s", why);
            }
        }
    }
}

/* --- What the bank shows when the operator speaks -------------------------------------------- */

static void nothing(struct world *w)
{
    (void)w;
}

static void hide_staging(struct world *w)
{
    move_all(w, BANK_STAGING, ELSEWHERE);
}

static void show_staging(struct world *w)
{
    move_all(w, ELSEWHERE, BANK_STAGING);
}

static void deliver_and_hide(struct world *w)
{
    (void)world_release(w);
    hide_staging(w);
}

/* `when_held` makes the next leader hold, `when_said` is what it finds after the
 * operator's word. */
static const struct {
    const char *reason;
    void (*when_held)(struct world *w);
    void (*when_said)(struct world *w);
    bool as_uploaded;
    enum file_state state;
    bool is_proved; /* UPLOADED by the evidence, not by the word. */
    size_t delivered;
    const char *event;
} holds[] = {
    {"a stranger's file at F stays there: our copy is taken back", stranger_comes, nothing, false,
     FILE_ABANDONED, false, 0, "file.abandoned"},
    {"the file at F was brought by hand: our copy is taken back, it does not come twice", stranger_comes,
     nothing, true, FILE_UPLOADED, false, 0, "file.resolved"},
    {"staging is lost for good: the word stands", hide_staging, nothing, false, FILE_ABANDONED, false, 0,
     "file.abandoned"},
    {"the same, as uploaded", hide_staging, nothing, true, FILE_UPLOADED, false, 0, "file.resolved"},
    {"staging is mounted again with our copy in it: taken back", hide_staging, show_staging, false,
     FILE_ABANDONED, false, 0, "file.abandoned"},
    {"delivered, then staging was lost: the word is all there is", deliver_and_hide, nothing, true,
     FILE_UPLOADED, false, 1, "file.resolved"},
    {"delivered, and staging is mounted again: the evidence overrules the operator", deliver_and_hide,
     show_staging, false, FILE_UPLOADED, true, 1, "file.uploaded"},
};

static void test_what_the_bank_shows(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof holds / sizeof holds[0]; i++) {
        print_message("%s\n", holds[i].reason);
        struct world *w = world_with_file();
        w->on_request = hold_rename;
        (void)world_elect(w);
        world_run(w, SECOND_MS);
        holds[i].when_held(w);
        (void)world_elect(w);
        world_run(w, SECOND_MS);
        assert_int_equal(world_file_state(w, 1), FILE_HOLD);
        command(w, COMMAND_RESOLVE, holds[i].as_uploaded);
        assert_int_equal(world_events(w, "file.resolving"), 1);
        holds[i].when_said(w);
        world_run(w, 10 * SECOND_MS);
        struct file_row f = row_of(w);
        assert_int_equal(f.state, holds[i].state);
        assert_true((f.staged_attempt != 0) == holds[i].is_proved);
        assert_int_equal(delivered(w), holds[i].delivered);
        assert_int_equal(world_events(w, holds[i].event), 1);
        assert_int_equal(world_events(w, "alert"), 0);
        world_run(w, 26 * HOUR_MS);
        assert_true(row_of(w).verified);
        assert_int_equal(world_staged(w, ""), 0);
        world_purge(w, ELSEWHERE);
        world_free(w);
    }
}

/* The trace of it: step D with the full evidence, W strictly last; no look at F,
 * no push. */
static void test_steps_of_a_resolve(void **state)
{
    (void)state;
    struct world *w = world_on_hold();
    w->trace.n = 0;
    command(w, COMMAND_RESOLVE, false);
    world_run(w, SECOND_MS);
    assert_int_equal(world_file_state(w, 1), FILE_ABANDONED);
    bytes_append(&w->trace, "", 1);
    assert_non_null(strstr((char *)w->trace.p, "B:rename.part B:sync B:stat.part B:stat.dead"));
    assert_null(strstr((char *)w->trace.p, ".F"));
    assert_int_equal(world_staged(w, ".dead"), 1);
    world_free(w);
}

/* The server loses power before T's move to D is flushed: T is back, and the end
 * is not recorded before it is gone again. */
static void test_power_loss_while_resolving(void **state)
{
    (void)state;
    for (unsigned k = 0; k < TURNS; k++) {
        struct world *w = world_on_hold();
        w->has_power_losses = true;
        command(w, COMMAND_RESOLVE, false);
        turns(w, k);
        world_power_loss(w);
        (void)world_release(w);
        world_run(w, 10 * SECOND_MS);
        const char *why = judge_end(w, false);
        if (why != NULL) {
            fail_msg("power loss at %u: %s", k, why);
        }
        world_free(w);
    }
}

/* --- By chance ----------------------------------------------------------------------------------- */

static struct test_random chance;
static unsigned ends[3]; /* Delivered, as uploaded by word, abandoned. */

static enum world_verdict by_chance(struct world *w, const struct world_leader *l,
                                    const struct bank_request *r)
{
    (void)l;
    if (w->impl == NULL) {
        return WORLD_RUN; /* All faults have healed. */
    }
    if (r->op == BANK_RENAME && test_random_below(&chance, 2) == 0) {
        return WORLD_HOLD;
    }
    switch (test_random_below(&chance, 16)) {
    case 0:
        return WORLD_RUN_UNHEARD;
    case 1:
        return WORLD_LOST;
    case 2:
        return WORLD_FAIL;
    default:
        return WORLD_RUN;
    }
}

static uint64_t some_delay(struct world *w)
{
    return w->impl == NULL ? 0 : test_random_below(&chance, 10);
}

static void something_happens(struct world *w)
{
    bool may_elect = w->leaders_count < WORLD_LEADERS_MAX - 1;
    switch (test_random_below(&chance, 10)) {
    case 0:
    case 1:
        if (may_elect) {
            (void)world_elect(w); /* The old one is paused. */
        }
        break;
    case 2:
        if (may_elect) {
            world_kill(w->current);
            (void)world_elect(w);
        }
        break;
    case 3:
        (void)world_release(w);
        break;
    case 4:
    case 5:
        stranger_comes(w);
        break;
    case 6:
    case 7:
        stranger_goes(w);
        break;
    case 8:
        world_power_loss(w);
        break;
    default:
        if (world_file_state(w, 1) == FILE_HOLD) {
            command(w, COMMAND_RESOLVE, test_random_below(&chance, 2) == 0);
        }
        break;
    }
}

static void settle(struct world *w)
{
    stranger_goes(w);
    world_run(w, 20 * SECOND_MS);
    if (world_file_state(w, 1) == FILE_HOLD) {
        command(w, COMMAND_RESOLVE, test_random_below(&chance, 2) == 0);
    }
    (void)world_release(w);
}

static const char *one_seed(uint64_t seed)
{
    chance.state = seed;
    struct world *w = world_new(seed);
    const char *why = NULL;
    w->impl = w;
    w->on_request = by_chance;
    w->delay_ms = some_delay;
    w->has_power_losses = true;
    world_submit_samples(w, "t");
    world_close(w, "M1");
    (void)world_elect(w);
    world_run(w, 5);
    for (unsigned i = 0; i < 100 && why == NULL; i++) {
        if (world_file_state(w, 1) != 0) {
            something_happens(w);
        }
        world_run(w, test_random_below(&chance, 30));
        why = world_file_state(w, 1) != 0 ? judge(w) : NULL;
    }
    w->impl = NULL;
    (void)world_elect(w);
    for (unsigned i = 0; i < 20 && why == NULL; i++) {
        settle(w);
        why = judge(w);
    }
    struct file_row f = row_of(w);
    if (why == NULL && f.state != FILE_UPLOADED && f.state != FILE_ABANDONED) {
        why = "no end after all faults healed";
    }
    ends[f.state == FILE_ABANDONED ? 2 : f.staged_attempt == 0 ? 1 : 0]++;
    world_free(w);
    return why;
}

static void test_by_chance(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const char *why = one_seed(seed);
        if (why != NULL) {
            fail_msg("seed %llu: %s", (unsigned long long)seed, why);
        }
    }
    print_message("delivered %u, uploaded by word %u, abandoned %u\n", ends[0], ends[1], ends[2]);
    for (size_t i = 0; i < 3; i++) {
        assert_in_range(ends[i], SEEDS / 20, SEEDS);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rename_at_every_moment),     cmocka_unit_test(test_next_leader_resolves),
        cmocka_unit_test(test_what_the_bank_shows),        cmocka_unit_test(test_steps_of_a_resolve),
        cmocka_unit_test(test_power_loss_while_resolving), cmocka_unit_test(test_by_chance),
    };
    logger_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
