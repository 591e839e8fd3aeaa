/* The table of verbs: whoever reads it finds every verb, with all that must be
 * known of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "supervisor/node/call.h"
#include "supervisor/verbs/table.h"

static void test_every_kind_is_a_verb_with_a_right(void **state)
{
    (void)state;
    for (unsigned k = REQUEST_NONE + 1; k < REQUEST_KINDS; k++) {
        const struct verb_facts *f = verb_facts(k);
        const struct verb *v = &verbs_table()[k];
        if (f->kind != k || f->right == RIGHT_NONE || f->right >= RIGHTS || v->run == NULL) {
            fail_msg("'%s' has no row in the table, or no right", request_kind_name(k));
        }
        assert_memory_equal(&v->facts, f, sizeof *f);
    }
}

static void test_no_verb_is_no_verb(void **state)
{
    (void)state;
    assert_int_equal(verb_facts(REQUEST_NONE)->kind, REQUEST_NONE);
    assert_int_equal(verb_facts(REQUEST_KINDS)->kind, REQUEST_NONE);
    assert_int_equal(verb_facts(REQUEST_KINDS)->right, RIGHT_NONE);
    assert_null(verbs_table()[REQUEST_NONE].run);
    assert_null(verb_view_of(REQUEST_NONE));
    assert_null(verb_view_of(REQUEST_KINDS));
    assert_false(verb_is_repeatable(verb_facts(REQUEST_KINDS), &(struct request){.kind = REQUEST_NONE}));
}

/* What changes something needs more than the right to read, and shows nothing of a
 * dead machine's files. */
static void test_a_view_only_reads(void **state)
{
    (void)state;
    for (unsigned k = REQUEST_NONE + 1; k < REQUEST_KINDS; k++) {
        const struct verb_facts *f = verb_facts(k);
        bool reads = f->right == RIGHT_READ || f->right == RIGHT_REVEAL;
        if (verb_view_of(k) != NULL && (!reads || !verb_is_of_shard(f))) {
            fail_msg("'%s' has a view and is no read of one shard", request_kind_name(k));
        }
        if (reads && f->repeat != VERB_AGAIN) {
            fail_msg("'%s' reads: it can be repeated", request_kind_name(k));
        }
    }
}

static void test_who_answers_and_what_is_repeated(void **state)
{
    (void)state;
    struct request_arg window = {.name = span_str("window"), .value = span_str("morning")};
    struct {
        const char *reason;
        enum request_kind kind;
        bool named;
        enum verb_where where;
        bool repeatable;
        enum verb_right right;
    } rows[] = {
        {"ids fold", REQUEST_SUBMIT, false, VERB_LEADER, true, RIGHT_SUBMIT},
        {"a cut-off right now is a new window each time", REQUEST_WINDOWS_CLOSE, false, VERB_LEADER, false,
         RIGHT_OPERATE},
        {"a window by name closes once", REQUEST_WINDOWS_CLOSE, true, VERB_LEADER, true, RIGHT_OPERATE},
        {"leadership may have moved on since", REQUEST_LEADER_TRANSFER, false, VERB_LEADER, false,
         RIGHT_OPERATE},
        {"said already", REQUEST_FILES_RESOLVE, false, VERB_LEADER, true, RIGHT_RELEASE},
        {"what was applied shows no difference", REQUEST_APPLY, false, VERB_CATALOG, true, RIGHT_CONFIGURE},
        {"a node that is refused says so", REQUEST_STATUS, false, VERB_ITSELF, true, RIGHT_READ},
        {"each replica has a digest of its own", REQUEST_HASH, false, VERB_REPLICA, true, RIGHT_READ},
        {"whole account numbers are in it", REQUEST_FILES_GET, false, VERB_LEADER, true, RIGHT_REVEAL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct verb_facts *f = verb_facts(rows[i].kind);
        struct request r = {.kind = rows[i].kind, .args = &window, .args_count = rows[i].named};
        if (f->where != rows[i].where || verb_is_repeatable(f, &r) != rows[i].repeatable ||
            f->right != rows[i].right) {
            fail_msg("%s: %s", request_kind_name(rows[i].kind), rows[i].reason);
        }
    }
}

static void test_rights_have_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < RIGHTS; i++) {
        for (unsigned k = 0; k < i; k++) {
            assert_string_not_equal(verb_right_name(i), verb_right_name(k));
        }
    }
    assert_string_equal(verb_right_name(RIGHT_RELEASE), "release");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_kind_is_a_verb_with_a_right),
        cmocka_unit_test(test_no_verb_is_no_verb),
        cmocka_unit_test(test_a_view_only_reads),
        cmocka_unit_test(test_who_answers_and_what_is_repeated),
        cmocka_unit_test(test_rights_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
