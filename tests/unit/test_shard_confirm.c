/* Rows that only this replica may have: nothing is done at a bank on their word (I-17). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "tests/support/duty_world.h"

#define SECOND_MS UINT64_C(1000)

/* Where a majority stops to agree, the bank sees nothing more: before the probe, before
 * the claim, before the first name, before the rename. */
static void test_nothing_is_done_before_a_majority_has_the_rows(void **state)
{
    static const struct {
        const char *reason;
        uint64_t more;     /* Indexes behind the seal that are confirmed. */
        const char *trace; /* What the bank was asked for meanwhile. */
    } rows[] = {
        {"not even the close", 0, ""},
        {"the seal, and not the claim", 1, "A:probe"},
        {"the claim, and not STAGED", 2, "A:probe A:create.wit A:create.part"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct world *w = world_new(1);
        world_submit_samples(w, "t");
        world_close(w, "M1");
        uint64_t closed = w->index;
        w->confirms_upto = closed - 1;
        (void)world_elect(w);
        world_run(w, SECOND_MS);
        uint64_t sealed = w->index; /* SEAL and WINDOW_DONE: they need no bank. */
        assert_int_equal(world_file_state(w, 1), FILE_SEALED);
        w->confirms_upto = rows[i].more == 0 ? closed - 1 : sealed + rows[i].more - 1;
        duties_confirmed(&w->current->duties);
        world_run(w, SECOND_MS);
        bytes_append(&w->trace, "", 1);
        if (strcmp((char *)w->trace.p, rows[i].trace) != 0) {
            fail_msg("%s: %s", rows[i].reason, (char *)w->trace.p);
        }
        world_run(w, 2ull * CONFIRM_SLOW_MS); /* People are told. */
        assert_non_null(strstr(w->current->duties.uploads.head->last_error, "majority"));
        w->confirms_upto = UINT64_MAX;
        duties_confirmed(&w->current->duties);
        world_run(w, SECOND_MS);
        assert_int_equal(world_file_state(w, 1), FILE_UPLOADED);
        size_t others;
        assert_int_equal(world_delivered(w, 1, &others), 1);
        assert_int_equal(others, 0);
        world_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_done_before_a_majority_has_the_rows),
    };
    logger_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
