/* When a replica stands, beats and steps down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/support/engine_rig.h"
#include "tests/support/guard_check.h"

static struct rig *opened(void)
{
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    rig_run(r);
    return r;
}

static void ask(struct rig *r, uint64_t from, uint64_t term)
{
    struct message m = {.kind = MESSAGE_REQUEST_VOTE};
    m.request_vote = (struct message_request_vote){
        .version = 2, .term = term, .candidate_id = from, .last_log_index = 1, .last_log_term = 1};
    rig_receive(r, from, &m);
}

static void heartbeats_are_never_early(void **state)
{
    (void)state;
    struct rig *r = opened();
    rig_lead(r);
    uint64_t term = rig_status(r).term;
    for (int i = 0; i < 50; i++) {
        rig_advance(r, 20);
        rig_ack(r, 2, term, rig_status(r).last_index);
        rig_ack(r, 3, term, rig_status(r).last_index);
    }
    /* A second: five heartbeats to each of two. */
    assert_in_range(rig_count_sent(r, MESSAGE_APPEND_ENTRIES), 8, 12);
    rig_free(r);
}

static void a_leader_alone_steps_down(void **state)
{
    (void)state;
    struct rig *r = opened();
    rig_lead(r);
    rig_advance(r, ELECTION_TIMEOUT_MS + 2 * HEARTBEAT_MS);
    assert_false(rig_status(r).is_leader);
    assert_false(r->told_leader);
    rig_free(r);
}

static void the_likeliest_stands_at_once(void **state)
{
    (void)state;
    struct rig *r = opened();
    rig_append(r, 2, 2, 1, 1, 1, NULL, 0);
    rig_run(r);
    rig_forget_sent(r);
    group_peer_lost(r->group, 3, true); /* Not the leader. */
    rig_run(r);
    assert_int_equal(rig_count_sent(r, MESSAGE_REQUEST_VOTE), 0);
    assert_int_equal(rig_status(r).leader, 2);
    group_peer_lost(r->group, 2, true);
    rig_run(r);
    assert_int_equal(rig_count_sent(r, MESSAGE_REQUEST_VOTE), 2);
    assert_int_equal(rig_status(r).leader, 0);
    assert_int_equal(rig_status(r).term, 2); /* It only asked. */
    /* Asked again soon, should nobody have noticed yet; still no new term. */
    rig_advance(r, HEARTBEAT_MS);
    assert_true(rig_count_sent(r, MESSAGE_REQUEST_VOTE) >= 6);
    assert_int_equal(rig_status(r).term, 2);
    /* The leader is alive after all. */
    rig_append(r, 2, 2, 1, 1, 1, NULL, 0);
    rig_run(r);
    assert_int_equal(rig_status(r).leader, 2);
    rig_free(r);
}

static void the_others_give_it_a_head_start(void **state)
{
    (void)state;
    struct rig *r = opened();
    rig_append(r, 2, 2, 1, 1, 1, NULL, 0);
    rig_run(r);
    group_peer_lost(r->group, 2, false);
    ask(r, 3, 3); /* And vote for it. */
    rig_run(r);
    const struct message *m = rig_take(r, MESSAGE_REQUEST_VOTE_RESULT);
    assert_non_null(m);
    assert_true(m->request_vote_result.vote_granted);
    rig_close(r);
    assert_int_equal(rig_open(r), SG_OK);
    rig_append(r, 2, 4, 1, 1, 1, NULL, 0);
    rig_run(r);
    group_peer_lost(r->group, 2, false);
    rig_advance(r, HEARTBEAT_MS - 1);
    assert_int_equal(rig_count_sent(r, MESSAGE_REQUEST_VOTE), 0);
    rig_advance(r, 2);
    assert_int_equal(rig_count_sent(r, MESSAGE_REQUEST_VOTE), 2);
    rig_free(r);
}

static void a_leader_that_died_unheard_is_followed_at_once(void **state)
{
    (void)state;
    struct rig *r = opened();
    ask(r, 3, 2); /* It is elected with our vote, and that is all. */
    rig_run(r);
    assert_non_null(rig_take(r, MESSAGE_REQUEST_VOTE_RESULT));
    assert_int_equal(rig_status(r).leader, 0);
    group_peer_lost(r->group, 3, true);
    rig_run(r);
    assert_int_equal(rig_count_sent(r, MESSAGE_REQUEST_VOTE), 2);
    rig_free(r);
}

static void who_still_writes_stands_when_it_is_done(void **state)
{
    (void)state;
    struct rig *r = opened();
    rig_append(r, 2, 2, 1, 1, 1, NULL, 0);
    rig_run(r);
    static const uint64_t twos[] = {2};
    test_loop_hold(r->loop, WORKER_STORE);
    rig_append(r, 2, 2, 1, 1, 1, twos, 1);
    rig_run(r);
    group_peer_lost(r->group, 2, true);
    rig_advance(r, 100);
    assert_int_equal(rig_count_sent(r, MESSAGE_REQUEST_VOTE), 0);
    test_loop_release(r->loop, WORKER_STORE);
    rig_run(r);
    assert_int_equal(rig_count_sent(r, MESSAGE_REQUEST_VOTE), 2);
    rig_free(r);
}

static void a_leader_ignores_lost_followers(void **state)
{
    (void)state;
    struct rig *r = opened();
    rig_lead(r);
    group_peer_lost(r->group, 2, true);
    group_peer_lost(r->group, 1, true);
    rig_run(r);
    assert_true(rig_status(r).is_ready);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(heartbeats_are_never_early),
        cmocka_unit_test(a_leader_alone_steps_down),
        cmocka_unit_test(the_likeliest_stands_at_once),
        cmocka_unit_test(the_others_give_it_a_head_start),
        cmocka_unit_test(a_leader_that_died_unheard_is_followed_at_once),
        cmocka_unit_test(who_still_writes_stands_when_it_is_done),
        cmocka_unit_test(a_leader_ignores_lost_followers),
    };
    guard_be_quiet();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
