/* What the upload protocol looks at again: both copies seen together, and the
 * endpoint after a doubt. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/support/duty_world.h"

static struct world *world_with_file(void)
{
    struct world *w = world_new(1);
    world_submit_samples(w, "t");
    world_close(w, "M1");
    return w;
}

static bool is_about(const struct bank_request *r, enum bank_op op, const char *suffix)
{
    const char *dot = strrchr(r->name, '.');
    return r->op == op && strcmp(r->place == BANK_DROP || dot == NULL ? "" : dot, suffix) == 0;
}

static unsigned looks; /* At F. */

/* Somebody's file stands under our name at the first and at the third look. */
static enum world_verdict come_and_go(struct world *w, const struct world_leader *l,
                                      const struct bank_request *r)
{
    (void)l;
    if (is_about(r, BANK_STAT, "")) {
        looks++;
        if (looks % 2 == 1 && looks < 4) {
            world_put(w, BANK_DROP, r->name, "of somebody else");
        } else if (world_find(w, BANK_DROP, r->name) != NULL) {
            world_purge(w, BANK_DROP);
        }
    }
    return is_about(r, BANK_RENAME, ".part") && looks < 3 ? WORLD_LOST : WORLD_RUN;
}

/* F and T together twice in a row are another file under our name; seen together,
 * then F gone, then together again is a bank where files come and go. */
static void test_both_there_but_not_in_a_row(void **state)
{
    (void)state;
    struct world *w = world_with_file();
    size_t others;
    looks = 0;
    w->on_request = come_and_go;
    (void)world_elect(w);
    world_run(w, 60ull * 1000);
    assert_int_equal(looks, 4);
    assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
    assert_int_equal(world_delivered(w, 1, &others), 1);
    world_free(w);
}

static bool is_heard;

static enum world_verdict unheard_once(struct world *w, const struct world_leader *l,
                                       const struct bank_request *r)
{
    (void)w;
    (void)l;
    if (!is_heard && is_about(r, BANK_CREATE, ".part")) {
        is_heard = true;
        return WORLD_RUN_UNHEARD;
    }
    return WORLD_RUN;
}

/* A server that left something in doubt may keep its promises no more. */
static void test_doubt_asks_for_a_probe(void **state)
{
    static const char wanted[] =
        "A:probe A:create.wit A:create.part A:probe A:create.wit A:create.part A:stat.F";
    (void)state;
    struct world *w = world_with_file();
    is_heard = false;
    w->on_request = unheard_once;
    (void)world_elect(w);
    world_run(w, 60ull * 1000);
    assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
    assert_true(w->trace.n >= sizeof wanted - 1);
    assert_memory_equal(w->trace.p, wanted, sizeof wanted - 1);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_both_there_but_not_in_a_row),
        cmocka_unit_test(test_doubt_asks_for_a_probe),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
