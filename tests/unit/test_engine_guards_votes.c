/* The guards around votes, time and what comes from outside (G8 to G12, N14):
 * with the guard, and without it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "shard/engine/engine.h"
#include "shard/engine/guards.h"
#include "tests/support/engine_rig.h"
#include "tests/support/guard_check.h"

static const uint64_t ones[16] = {1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1};

/* --- G8, G9 ------------------------------------------------------------------------------- */

static const struct message *ask_for_vote(struct rig *r, uint64_t from, uint64_t candidate, uint64_t term,
                                          uint64_t last_index, bool pre_vote)
{
    struct message m = {.kind = MESSAGE_REQUEST_VOTE};
    m.request_vote = (struct message_request_vote){.version = 2,
                                                   .term = term,
                                                   .candidate_id = candidate,
                                                   .last_log_index = last_index,
                                                   .last_log_term = 1,
                                                   .pre_vote = pre_vote};
    rig_receive(r, from, &m);
    rig_run(r);
    return rig_take(r, MESSAGE_REQUEST_VOTE_RESULT);
}

static bool g8_is_bad(void)
{
    struct rig *r = rig_new(3);
    rig_store_hard_state(r, 9, 0);
    assert_int_equal(rig_open(r), SG_OK);
    rig_run(r);
    const struct message *m = ask_for_vote(r, 2, 2, 3, 50, true);
    assert_non_null(m);
    assert_false(m->request_vote_result.vote_granted);
    bool bad = m->request_vote_result.term != 9; /* The candidate never learns why. */
    rig_free(r);
    return bad;
}

static void g8_refusals_tell_the_term(void **state)
{
    (void)state;
    guard_check("guard-g8", g8_is_bad);
}

/* Node 1 holds a log in whose configuration it does not stand yet. */
static bool g9_is_bad(void)
{
    static const uint64_t others[] = {2, 3, 4};
    struct rig *r = rig_new(0);
    struct kv_txn *txn;
    assert_int_equal(kv_begin(&r->kv, true, &txn), SG_OK);
    assert_int_equal(group_bootstrap(&r->kv, txn, RIG_GROUP, others, 3), SG_OK);
    assert_int_equal(kv_commit(&r->kv, txn), SG_OK);
    assert_int_equal(rig_open(r), SG_OK);
    rig_append(r, 2, 1, 1, 1, 1, NULL, 0); /* It has a leader, which then goes. */
    rig_advance(r, 4ull * ELECTION_TIMEOUT_MS);
    const struct message *m = ask_for_vote(r, 3, 3, 2, 1, false);
    assert_non_null(m);
    bool bad = !m->request_vote_result.vote_granted;
    assert_int_equal(rig_status(r).replicas_count, 3);
    rig_free(r);
    return bad;
}

static void g9_not_yet_voters_vote(void **state)
{
    (void)state;
    guard_check("guard-g9", g9_is_bad);
}

/* --- G10 ------------------------------------------------------------------------------------ */

/* A leader whose third replica was demoted to spare: libraft's timeout stays in the past. */
static void g10_demoted(void)
{
    struct raft_configuration conf;
    struct raft_buffer buffer;
    struct rig *r = rig_new(3);
    CHECK(rig_open(r) == SG_OK);
    rig_lead(r);
    uint64_t term = rig_status(r).term;
    raft_configuration_init(&conf);
    CHECK(raft_configuration_add(&conf, 1, "1", RAFT_VOTER) == 0);
    CHECK(raft_configuration_add(&conf, 2, "2", RAFT_VOTER) == 0);
    CHECK(raft_configuration_add(&conf, 3, "3", RAFT_SPARE) == 0);
    CHECK(raft_configuration_encode(&conf, &buffer) == 0);
    struct cache_entry *e = cache_entry_new(term, RAFT_CHANGE, span_of(buffer.base, buffer.len));
    CHECK(turn_submit(r->group, e) == 0);
    rig_run(r);
    rig_ack(r, 2, term, rig_status(r).last_index);
    rig_run(r);
    for (int i = 0; i < 10; i++) {
        rig_advance(r, HEARTBEAT_MS / 2);
        rig_ack(r, 2, term, rig_status(r).last_index);
    }
    CHECK(rig_status(r).is_leader);
    CHECK(rig_count_sent(r, MESSAGE_APPEND_ENTRIES) < 40);
    raft_free(buffer.base);
    raft_configuration_close(&conf);
    rig_free(r);
}

static bool g10_is_bad(void)
{
    return guard_child_dies(g10_demoted);
}

static void g10_timeouts_keep_a_distance(void **state)
{
    (void)state;
    guard_check("guard-g10", g10_is_bad);
}

/* --- G13 ---------------------------------------------------------------------------------- */

static void answer_as_two(struct rig *r)
{
    for (size_t i = 0; i < r->sent_count; i++) {
        struct rig_sent *sent = &r->sent[i];
        if (sent->to == 2 && sent->m.kind == MESSAGE_APPEND_ENTRIES && !sent->taken) {
            sent->taken = true;
            rig_ack(r, 2, rig_status(r).term, rig_status(r).last_index);
        }
    }
}

/* Node 3 is down, node 2 answers everything at once. */
static bool g13_is_bad(void)
{
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    rig_run(r);
    rig_lead(r);
    bool bad = false;
    for (int i = 0; i < 300; i++) {
        rig_advance(r, 7);
        answer_as_two(r);
        if (i % 37 == 36) { /* Out of step with node 3's heartbeats. */
            rig_forget_sent(r);
            assert_true(rig_propose(r));
            rig_run(r);
            bad |= rig_take(r, MESSAGE_APPEND_ENTRIES) == NULL; /* It waits for a heartbeat. */
            rig_ack(r, 2, rig_status(r).term, rig_status(r).last_index);
            rig_run(r);
        }
    }
    assert_true(rig_status(r).is_leader);
    rig_free(r);
    return bad;
}

static void g13_entries_do_not_wait_for_a_dead_peer(void **state)
{
    (void)state;
    guard_check("guard-g13", g13_is_bad);
}

/* --- G11, G12, N14 ----------------------------------------------------------------------------- */

static bool g11_is_bad(void)
{
    static const uint64_t other[] = {2};
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    rig_append(r, 2, 1, 1, 1, 4, ones, 3);
    rig_run(r);
    rig_forget_sent(r);
    rig_append(r, 3, 2, 2, 1, 4, other, 1); /* Entry 3 is committed with term 1. */
    rig_run(r);
    bool bad = !rig_status(r).stopped;
    if (!bad) {
        assert_int_equal(r->failed, SG_CONFLICT);
        assert_int_equal(r->sent_count, 0);
        assert_null(ask_for_vote(r, 3, 3, 9, 50, false)); /* It votes no more. */
    }
    rig_free(r);
    return bad;
}

static void g11_a_broken_engine_stops(void **state)
{
    (void)state;
    guard_check("guard-g11", g11_is_bad);
}

static void g11_configurations_are_checked(void **state)
{
    (void)state;
    static const uint64_t nodes[] = {1, 2, 3};
    struct bytes good = BYTES_NONE;
    conf_encode(nodes, 3, &good);
    assert_true(guard_g11_configuration(span_bytes(&good)));
    for (size_t n = 0; n < good.n; n++) {
        assert_false(guard_g11_configuration(span_of(good.p, n))); /* Cut off anywhere. */
    }
    for (size_t bit = 0; bit < 72; bit++) { /* Version and count. */
        good.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(guard_g11_configuration(span_bytes(&good)));
        good.p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    good.p[17] = '7'; /* The first server's address is not its id. */
    assert_false(guard_g11_configuration(span_bytes(&good)));
    bytes_release(&good);
    static const uint64_t twice[] = {1, 1};
    struct bytes bad = BYTES_NONE;
    conf_encode(twice, 1, &bad); /* One voter. */
    assert_false(guard_g11_configuration(span_bytes(&bad)));
    bytes_release(&bad);
}

static void g11_a_malformed_change_is_dropped(void **state)
{
    (void)state;
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    struct message m = {.kind = MESSAGE_APPEND_ENTRIES};
    struct message_entry entry = {2, RAFT_CHANGE, span_str("\x01\xff\xff\xff\xff\xff\xff\xff\xff")};
    m.append_entries = (struct message_append_entries){.term = 2,
                                                       .prev_log_index = 1,
                                                       .prev_log_term = 1,
                                                       .leader_commit = 1,
                                                       .entries = &entry,
                                                       .entries_count = 1};
    rig_receive(r, 2, &m);
    rig_run(r);
    assert_int_equal(rig_status(r).last_index, 1);
    assert_int_equal(rig_status(r).term, 1);
    rig_free(r);
}

static bool g12_is_bad(void)
{
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    rig_run(r);
    bool bad = ask_for_vote(r, 2, 3, 2, 1, false) != NULL; /* Node 2 in node 3's name. */
    rig_free(r);
    return bad;
}

static void g12_nobody_asks_in_anothers_name(void **state)
{
    (void)state;
    guard_check("guard-g12", g12_is_bad);
}

static bool n14_is_bad(void)
{
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    rig_run(r);
    struct message m = {.kind = MESSAGE_REQUEST_VOTE_RESULT};
    m.request_vote_result =
        (struct message_request_vote_result){.version = 2, .term = 99, .vote_granted = true};
    rig_receive(r, 2, &m);
    bool bad = rig_status(r).term != 1;
    rig_free(r);
    return bad;
}

static void n14_votes_nobody_waits_for_are_dropped(void **state)
{
    (void)state;
    guard_check("guard-n14", n14_is_bad);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(g8_refusals_tell_the_term),
        cmocka_unit_test(g9_not_yet_voters_vote),
        cmocka_unit_test(g10_timeouts_keep_a_distance),
        cmocka_unit_test(g11_a_broken_engine_stops),
        cmocka_unit_test(g11_configurations_are_checked),
        cmocka_unit_test(g11_a_malformed_change_is_dropped),
        cmocka_unit_test(g13_entries_do_not_wait_for_a_dead_peer),
        cmocka_unit_test(g12_nobody_asks_in_anothers_name),
        cmocka_unit_test(n14_votes_nobody_waits_for_are_dropped),
    };
    guard_be_quiet();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
