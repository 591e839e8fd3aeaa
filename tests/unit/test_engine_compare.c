/* Comparing the rows of replicas (I-17): one replica, its peers played by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shard/engine/engine.h"
#include "tests/support/engine_rig.h"

static const uint64_t ones[] = {1, 1, 1, 1, 1, 1};

static void tell(struct rig *r, uint64_t from, enum compare_kind kind, uint64_t index, uint64_t state)
{
    struct message m = {.kind = MESSAGE_COMPARE};
    m.compare = (struct message_compare){
        .kind = kind, .term = rig_status(r).term, .index = index, .index_term = 1, .state = state};
    rig_receive(r, from, &m);
    rig_run(r);
}

/* A leader of three with something applied, which peer 2 has been heard to have. */
static struct rig *leader(void)
{
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    rig_lead(r);
    assert_true(rig_propose(r));
    rig_run(r);
    rig_ack(r, 2, rig_status(r).term, rig_status(r).last_index);
    rig_ack(r, 3, rig_status(r).term, rig_status(r).last_index);
    rig_run(r);
    assert_true(rig_status(r).applied_index == rig_status(r).last_index);
    return r;
}

static uint64_t own_state(struct rig *r)
{
    struct group_status s = rig_status(r);
    return compare_state(&s.digest, s.set);
}

static void a_majority_confirms(void **state)
{
    (void)state;
    struct rig *r = leader();
    uint64_t index = rig_status(r).applied_index;
    rig_forget_sent(r);
    assert_true(group_confirm(r->group, index) < index);
    rig_run(r);
    assert_int_equal(rig_count_sent(r, MESSAGE_COMPARE), 2);
    const struct message *q = rig_take(r, MESSAGE_COMPARE);
    assert_int_equal(q->compare.kind, COMPARE_QUESTION);
    assert_true(q->compare.index == index);
    tell(r, 2, COMPARE_ANSWER, index, own_state(r));
    assert_true(group_confirm(r->group, index) == index); /* Two of three. */
    assert_true(rig_status(r).confirmed_index == index);
    rig_free(r);
}

static void a_question_is_repeated(void **state)
{
    (void)state;
    struct rig *r = leader();
    uint64_t index = rig_status(r).applied_index;
    assert_true(group_confirm(r->group, index) < index);
    rig_forget_sent(r);
    rig_advance(r, HEARTBEAT_MS);
    rig_run(r);
    assert_true(rig_count_sent(r, MESSAGE_COMPARE) > 0);
    rig_free(r);
}

static void nobody_asks_when_all_is_known(void **state)
{
    (void)state;
    struct rig *r = leader();
    uint64_t index = rig_status(r).applied_index;
    tell(r, 2, COMPARE_ANSWER, index, own_state(r));
    tell(r, 3, COMPARE_ANSWER, index, own_state(r));
    rig_advance(r, 2ull * COMPARE_EVERY_MS);
    rig_run(r);
    rig_forget_sent(r);
    rig_ack(r, 2, rig_status(r).term, index);
    rig_ack(r, 3, rig_status(r).term, index);
    rig_advance(r, COMPARE_EVERY_MS);
    rig_run(r);
    assert_int_equal(rig_count_sent(r, MESSAGE_COMPARE), 0);
    rig_free(r);
}

static void the_odd_follower_is_told(void **state)
{
    (void)state;
    struct rig *r = leader();
    uint64_t index = rig_status(r).applied_index;
    rig_forget_sent(r);
    tell(r, 3, COMPARE_ANSWER, index, own_state(r) + 1);
    assert_false(rig_status(r).is_rebuilding); /* One against one: nobody can say. */
    assert_true(rig_status(r).is_undecided);
    rig_forget_sent(r);
    tell(r, 2, COMPARE_ANSWER, index, own_state(r));
    const struct message *m = rig_take(r, MESSAGE_COMPARE);
    assert_non_null(m);
    assert_int_equal(m->compare.kind, COMPARE_DIFFERS);
    assert_true(m->compare.index == index);
    assert_true(m->compare.state == own_state(r));
    assert_false(rig_status(r).is_rebuilding);
    rig_free(r);
}

static void a_leader_against_two_rebuilds(void **state)
{
    (void)state;
    struct rig *r = leader();
    uint64_t index = rig_status(r).applied_index;
    tell(r, 2, COMPARE_ANSWER, index, own_state(r) + 1);
    tell(r, 3, COMPARE_ANSWER, index, own_state(r) + 2); /* Nobody agrees with anybody. */
    assert_false(rig_status(r).is_rebuilding);
    tell(r, 3, COMPARE_ANSWER, index, own_state(r) + 1);
    assert_true(rig_status(r).is_rebuilding);
    assert_false(rig_status(r).is_ready);
    rig_free(r);
}

static void answers_of_another_term_are_dropped(void **state)
{
    (void)state;
    struct rig *r = leader();
    uint64_t index = rig_status(r).applied_index;
    struct message m = {.kind = MESSAGE_COMPARE};
    m.compare = (struct message_compare){
        .kind = COMPARE_ANSWER, .term = rig_status(r).term - 1, .index = index, .state = own_state(r)};
    rig_receive(r, 2, &m);
    assert_true(group_confirm(r->group, index) < index);
    rig_free(r);
}

/* The question of its leader tells a follower that the index is committed: it applies
 * up to there without waiting for the next heartbeat, and answers then. */
static void a_question_brings_the_commit(void **state)
{
    (void)state;
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    rig_append(r, 2, 1, 1, 1, 1, ones, 3); /* Entries 2 to 4; 1 is committed. */
    rig_run(r);
    assert_true(rig_status(r).applied_index <= 1);
    rig_forget_sent(r);
    tell(r, 3, COMPARE_QUESTION, 3, 0); /* Not from its leader. */
    assert_int_equal(rig_count_sent(r, MESSAGE_COMPARE), 0);
    tell(r, 2, COMPARE_QUESTION, 3, 0);
    assert_true(rig_status(r).ran_index == 3);
    const struct message *m = rig_take(r, MESSAGE_COMPARE);
    assert_non_null(m);
    assert_int_equal(m->compare.kind, COMPARE_ANSWER);
    assert_true(m->compare.index == 3);
    rig_free(r);
}

/* It names the term of its entry: under another one it tells nothing of this log. */
static void a_question_about_another_log_commits_nothing(void **state)
{
    (void)state;
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    rig_append(r, 2, 1, 1, 1, 1, ones, 3);
    rig_run(r);
    uint64_t before = rig_status(r).commit_index;
    struct message m = {.kind = MESSAGE_COMPARE};
    m.compare = (struct message_compare){
        .kind = COMPARE_QUESTION, .term = rig_status(r).term, .index = 3, .index_term = 9};
    rig_receive(r, 2, &m);
    rig_run(r);
    assert_true(rig_status(r).commit_index == before);
    rig_free(r);
}

static void the_odd_one_rebuilds_when_told(void **state)
{
    (void)state;
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    rig_append(r, 2, 1, 1, 1, 3, ones, 3);
    rig_run(r);
    uint64_t index = rig_status(r).applied_index;
    assert_true(index == 3);
    tell(r, 2, COMPARE_DIFFERS, index, own_state(r)); /* It does not. */
    assert_false(rig_status(r).is_rebuilding);
    tell(r, 2, COMPARE_DIFFERS, index, own_state(r) + 1);
    assert_true(rig_status(r).is_rebuilding);
    assert_false(rig_status(r).is_ready);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_majority_confirms),
        cmocka_unit_test(a_question_is_repeated),
        cmocka_unit_test(nobody_asks_when_all_is_known),
        cmocka_unit_test(the_odd_follower_is_told),
        cmocka_unit_test(a_leader_against_two_rebuilds),
        cmocka_unit_test(answers_of_another_term_are_dropped),
        cmocka_unit_test(a_question_brings_the_commit),
        cmocka_unit_test(a_question_about_another_log_commits_nothing),
        cmocka_unit_test(the_odd_one_rebuilds_when_told),
    };
    hash_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
