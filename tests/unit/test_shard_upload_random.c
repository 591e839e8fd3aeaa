/* The upload protocol under chance: leaders die, are paused and go on, answers
 * are lost or late, the server loses power, the bank takes files at once. Whatever the order: never
 * twice, never half, never lost, and in the end delivered. Then the same with
 * planted bugs, to show that this would find them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "tests/support/duty_world.h"
#include "tests/support/test_random.h"

#define SEEDS UINT64_C(150)
#define SECOND_MS UINT64_C(1000)

static struct test_random chance;
static bool lost_power;
static unsigned holds_count;

static enum world_verdict by_chance(struct world *w, const struct world_leader *l,
                                    const struct bank_request *r)
{
    (void)l;
    if (w->impl == NULL) {
        return WORLD_RUN; /* All faults have healed. */
    }
    switch (test_random_below(&chance, 12)) {
    case 0:
        return WORLD_RUN_UNHEARD;
    case 1:
        return WORLD_LOST;
    case 2:
        return WORLD_FAIL;
    case 3:
        return r->op == BANK_CREATE ? WORLD_HALF : WORLD_RUN;
    case 4:
        return WORLD_HOLD;
    default:
        return WORLD_RUN;
    }
}

static uint64_t some_delay(struct world *w)
{
    return w->impl == NULL ? 0 : test_random_below(&chance, 40);
}

static enum sg_err some_refusal(struct world *w)
{
    return w->impl != NULL && test_random_below(&chance, 10) == 0 ? SG_BUSY : SG_OK;
}

/* What must hold at every moment. NULL, or what does not. */
static const char *judge(struct world *w)
{
    size_t others;
    if (world_file_state(w, 1) == 0) {
        return NULL;
    }
    size_t whole = world_delivered(w, 1, &others);
    if (whole + others > 1) {
        return "delivered twice";
    }
    if (others > 0) {
        return "something else than the file was delivered";
    }
    if (world_file_state(w, 1) == FILE_UPLOADED && whole == 0) {
        return "lost: recorded as uploaded";
    }
    return NULL;
}

static void something_happens(struct world *w)
{
    switch (test_random_below(&chance, 12)) {
    case 0:
        if (w->leaders_count < WORLD_LEADERS_MAX - 1 && w->current != NULL) {
            (void)world_elect(w); /* The old one is paused, or slow to learn. */
        }
        break;
    case 1:
        if (w->leaders_count < WORLD_LEADERS_MAX - 1 && w->current != NULL) {
            world_kill(w->current);
            (void)world_elect(w);
        }
        break;
    case 2:
        world_tell(&w->leaders[0]);
        if (w->current == &w->leaders[0]) {
            (void)world_elect(w);
        }
        break;
    case 3:
    case 4:
        (void)world_release(w);
        break;
    case 5:
        lost_power |= w->is_unsynced;
        world_power_loss(w);
        break;
    case 6:
        w->is_bank_quick = !w->is_bank_quick;
        break;
    default:
        break;
    }
}

/* One life of one file. NULL: all was well. */
static const char *one_seed(uint64_t seed)
{
    chance.state = seed;
    lost_power = false;
    struct world *w = world_new(seed);
    const char *why = NULL;
    w->impl = w;
    w->on_request = by_chance;
    w->delay_ms = some_delay;
    w->has_power_losses = true;
    w->on_propose = some_refusal;
    world_submit_samples(w, "t");
    world_close(w, "M1");
    (void)world_elect(w);
    for (unsigned i = 0; i < 120 && why == NULL; i++) {
        world_run(w, test_random_below(&chance, 60));
        something_happens(w);
        why = judge(w);
    }
    w->impl = NULL;
    for (unsigned i = 0; i < 20 && why == NULL; i++) {
        (void)world_release(w);
        world_run(w, 20 * SECOND_MS);
        why = judge(w);
    }
    /* A power loss between the looks at F and at T leaves both seen: a person is
     * asked then, which is allowed. */
    bool may_hold = lost_power && world_file_state(w, 1) == FILE_HOLD;
    if (why == NULL && world_file_state(w, 1) != FILE_UPLOADED && !may_hold) {
        why = "not delivered after all faults healed";
    }
    holds_count += may_hold;
    world_free(w);
    return why;
}

static void test_exactly_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const char *why = one_seed(seed);
        if (why != NULL) {
            fail_msg("seed %llu: %s", (unsigned long long)seed, why);
        }
    }
    assert_true(holds_count < SEEDS / 10);
}

static const char *const bugs[] = {
    "upload-without-staged", "delete-staged", "uploaded-on-rename-answer", "tombstone", "drained-buffer",
};

static void test_planted_bugs_are_found(void **state)
{
    (void)state;
    if (!world_has_faults()) {
        skip();
    }
    for (size_t i = 0; i < sizeof bugs / sizeof bugs[0]; i++) {
        const char *why = NULL;
        uint64_t seed = 0;
        world_set_bugs(bugs[i]);
        while (why == NULL && seed < 2 * SEEDS) {
            why = one_seed(++seed);
        }
        world_set_bugs("");
        print_message("%s: seed %llu: %s\n", bugs[i], (unsigned long long)seed,
                      why != NULL ? why : "NOT FOUND");
        assert_non_null(why);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exactly_once),
        cmocka_unit_test(test_planted_bugs_are_found),
    };
    logger_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
