/* What is durable when: the output gate, reports to libraft, proposals,
 * restarts, damaged records. One replica, peers played by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/base/fault.h"
#include "shard/engine/engine.h"
#include "tests/support/engine_rig.h"
#include "tests/support/guard_check.h"

static const uint64_t ones[8] = {1, 1, 1, 1, 1, 1, 1, 1};

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

/* --- The gate --------------------------------------------------------------------------- */

static bool vote_leaves_early(void)
{
    struct rig *r = opened();
    test_loop_hold(r->loop, WORKER_STORE);
    ask(r, 2, 5);
    rig_run(r);
    bool early = rig_take(r, MESSAGE_REQUEST_VOTE_RESULT) != NULL;
    test_loop_release(r->loop, WORKER_STORE);
    rig_run(r);
    if (!early) {
        const struct message *m = rig_take(r, MESSAGE_REQUEST_VOTE_RESULT);
        assert_non_null(m);
        assert_true(m->request_vote_result.vote_granted);
        assert_int_equal(m->request_vote_result.term, 5);
    }
    rig_free(r);
    return early;
}

static void a_vote_leaves_when_it_is_durable(void **state)
{
    (void)state;
    assert_false(vote_leaves_early());
    fault_set_bugs("message-before-flush");
    assert_true(vote_leaves_early());
    fault_set_bugs("");
}

static void messages_behind_a_vote_wait_in_order(void **state)
{
    (void)state;
    struct rig *r = opened();
    test_loop_hold(r->loop, WORKER_STORE);
    ask(r, 2, 5);
    ask(r, 3, 5); /* Refused, in the same term. */
    rig_append(r, 2, 5, 1, 1, 1, NULL, 0);
    rig_run(r);
    assert_int_equal(r->sent_count, 0);
    test_loop_release(r->loop, WORKER_STORE);
    rig_run(r);
    assert_int_equal(r->sent_count, 3);
    assert_int_equal(r->sent[0].to, 2);
    assert_true(r->sent[0].m.request_vote_result.vote_granted);
    assert_int_equal(r->sent[1].to, 3);
    assert_false(r->sent[1].m.request_vote_result.vote_granted);
    assert_int_equal(r->sent[2].m.kind, MESSAGE_APPEND_ENTRIES_RESULT);
    rig_free(r);
}

/* While its own vote is being written, somebody else wins the term, and the log that
 * the request tells of is not the candidate's any more. */
static void a_candidate_that_lost_asks_nobody(void **state)
{
    (void)state;
    struct rig *r = opened();
    const struct message *asked = NULL;
    for (int i = 0; i < 200 && asked == NULL; i++) {
        rig_advance(r, 50);
        asked = rig_take(r, MESSAGE_REQUEST_VOTE);
    }
    assert_non_null(asked);
    assert_true(asked->request_vote.pre_vote);
    uint64_t term = asked->request_vote.term;
    struct message granted = {.kind = MESSAGE_REQUEST_VOTE_RESULT};
    granted.request_vote_result = (struct message_request_vote_result){
        .version = 2, .term = term, .vote_granted = true, .pre_vote = true};
    test_loop_hold(r->loop, WORKER_STORE);
    rig_forget_sent(r);
    rig_receive(r, 2, &granted);
    rig_run(r);
    assert_int_equal(rig_status(r).term, term);
    rig_append(r, 3, term, 1, 1, 1, &term, 1);
    rig_run(r);
    test_loop_release(r->loop, WORKER_STORE);
    rig_run(r);
    assert_int_equal(rig_count_sent(r, MESSAGE_REQUEST_VOTE), 0);
    assert_int_equal(rig_count_sent(r, MESSAGE_APPEND_ENTRIES_RESULT), 1);
    rig_free(r);
}

static void a_stuck_disk_holds_a_bounded_number(void **state)
{
    (void)state;
    struct rig *r = opened();
    test_loop_hold(r->loop, WORKER_STORE);
    ask(r, 2, 5);
    for (int i = 0; i < HELD_MESSAGES_MAX * 2; i++) {
        ask(r, 3, 5);
    }
    test_loop_release(r->loop, WORKER_STORE);
    rig_run(r);
    assert_int_equal(r->sent_count, HELD_MESSAGES_MAX);
    rig_free(r);
}

static bool forgets_its_vote(void)
{
    struct rig *r = opened();
    ask(r, 2, 5);
    rig_run(r);
    rig_forget_sent(r);
    rig_close(r);
    assert_int_equal(rig_open(r), SG_OK);
    ask(r, 3, 5);
    rig_run(r);
    const struct message *m = rig_take(r, MESSAGE_REQUEST_VOTE_RESULT);
    assert_non_null(m);
    bool twice = m->request_vote_result.vote_granted;
    rig_free(r);
    return twice;
}

static void a_vote_outlives_a_restart(void **state)
{
    (void)state;
    assert_false(forgets_its_vote());
    fault_set_bugs("vote-not-stored");
    assert_true(forgets_its_vote());
    fault_set_bugs("");
}

/* --- What libraft is told ------------------------------------------------------------------ */

static uint64_t highest_ack(struct rig *r, uint64_t term)
{
    uint64_t highest = 0;
    const struct message *m;
    while ((m = rig_take(r, MESSAGE_APPEND_ENTRIES_RESULT)) != NULL) {
        const struct message_append_entries_result *result = &m->append_entries_result;
        if (result->term == term && result->rejected == 0 && result->last_log_index > highest) {
            highest = result->last_log_index;
        }
    }
    return highest;
}

static void entries_are_acknowledged_when_durable(void **state)
{
    (void)state;
    struct rig *r = opened();
    test_loop_hold(r->loop, WORKER_STORE);
    rig_append(r, 2, 1, 1, 1, 1, ones, 3);
    rig_run(r);
    assert_true(highest_ack(r, 1) <= 1);
    test_loop_release(r->loop, WORKER_STORE);
    rig_run(r);
    assert_int_equal(highest_ack(r, 1), 4);
    rig_free(r);
}

/* The first write holds entries of a leader that lost; the second replaces some. */
static void a_truncated_entry_is_never_acknowledged(void **state)
{
    (void)state;
    static const uint64_t twos[] = {2, 2, 2};
    static const uint64_t threes[] = {3};
    struct rig *r = opened();
    rig_append(r, 2, 2, 1, 1, 1, NULL, 0); /* So that the term is durable. */
    rig_run(r);
    test_loop_hold(r->loop, WORKER_STORE);
    rig_append(r, 2, 2, 1, 1, 1, twos, 3); /* 2, 3, 4 */
    rig_run(r);
    rig_append(r, 3, 3, 2, 2, 1, threes, 1); /* 3 again: 3 and 4 are gone. */
    rig_run(r);
    assert_int_equal(rig_status(r).last_index, 3);
    assert_true(test_loop_step(r->loop, WORKER_STORE)); /* Both may be in one batch or not. */
    rig_run(r);
    while (test_loop_waiting(r->loop, WORKER_STORE) > 0) {
        /* Only the first is durable: of term 3's leader that is entry 2. */
        assert_true(highest_ack(r, 3) <= 2);
        assert_true(r->group->raft.last_stored <= 2);
        assert_true(test_loop_step(r->loop, WORKER_STORE));
        rig_run(r);
    }
    test_loop_release(r->loop, WORKER_STORE);
    rig_run(r);
    assert_int_equal(highest_ack(r, 3), 3);
    assert_int_equal(r->group->raft.last_stored, 3);
    rig_close(r);
    assert_int_equal(rig_open(r), SG_OK);
    assert_int_equal(rig_status(r).last_index, 3);
    assert_int_equal(rig_status(r).term, 3);
    rig_free(r);
}

static void truncated_before_it_is_reported(void **state)
{
    (void)state;
    static const uint64_t twos[] = {2, 2, 2};
    static const uint64_t threes[] = {3};
    struct rig *r = opened();
    rig_append(r, 2, 2, 1, 1, 1, twos, 3);
    rig_run(r);
    rig_append(r, 2, 2, 4, 2, 1, twos, 2); /* 5, 6 */
    rig_run(r);
    r->group->persisted = 6; /* As between done() and the end of its turn. */
    r->group->raft.last_stored = 4;
    rig_append(r, 3, 3, 2, 2, 1, threes, 1);
    assert_int_equal(r->group->persisted, 2);
    rig_run(r);
    assert_int_equal(r->group->raft.last_stored, 3);
    assert_int_equal(rig_status(r).last_index, 3);
    rig_free(r);
}

/* --- Proposals ----------------------------------------------------------------------------- */

static void the_leader_sends_while_it_writes(void **state)
{
    (void)state;
    struct rig *r = opened();
    rig_lead(r);
    uint64_t term = rig_status(r).term;
    test_loop_hold(r->loop, WORKER_STORE);
    assert_true(rig_propose(r));
    rig_run(r);
    uint64_t index = rig_status(r).last_index;
    const struct message *m = rig_take(r, MESSAGE_APPEND_ENTRIES);
    assert_non_null(m);
    assert_int_equal(m->append_entries.entries_count, 1);
    rig_ack(r, 2, term, index);
    rig_run(r);
    assert_int_equal(rig_status(r).commit_index, index - 1); /* One disk of three. */
    rig_ack(r, 3, term, index);
    rig_run(r);
    assert_int_equal(rig_status(r).commit_index, index);
    assert_int_equal(r->answered, 0); /* Not applied and durable here yet. */
    test_loop_release(r->loop, WORKER_STORE);
    rig_run(r);
    assert_int_equal(r->answered_ok, 1);
    assert_int_equal(r->applied, index);
    rig_free(r);
}

static bool answers_without_a_quorum(void)
{
    struct rig *r = opened();
    rig_lead(r);
    assert_true(rig_propose(r));
    rig_run(r);
    bool bad = r->answered_ok > 0;
    rig_free(r);
    return bad;
}

static void an_answer_needs_a_quorum(void **state)
{
    (void)state;
    assert_false(answers_without_a_quorum());
    fault_set_bugs("ack-before-quorum");
    assert_true(answers_without_a_quorum());
    fault_set_bugs("");
}

static void lost_leadership_leaves_the_outcome_unknown(void **state)
{
    (void)state;
    struct rig *r = opened();
    rig_lead(r);
    assert_true(r->told_leader);
    assert_true(rig_propose(r));
    rig_run(r);
    rig_append(r, 3, rig_status(r).term + 1, 1, 1, 1, NULL, 0);
    rig_run(r);
    assert_int_equal(r->answered, 1);
    assert_int_equal(r->last_answer, SG_UNKNOWN);
    assert_false(r->told_leader);
    assert_int_equal(r->told_leader_id, 3);
    assert_false(rig_propose(r));
    rig_free(r);
}

static void a_stopped_group_answers_stopped(void **state)
{
    (void)state;
    struct rig *r = opened();
    rig_lead(r);
    assert_true(rig_propose(r));
    rig_close(r);
    assert_int_equal(r->answered, 1);
    assert_int_equal(r->last_answer, SG_STOPPED);
    rig_free(r);
}

static void proposals_are_limited(void **state)
{
    (void)state;
    static uint8_t large[ENTRY_SIZE_MAX_BYTES + 1];
    struct rig *r = opened();
    struct proposal p = {.command = span_of(large, sizeof(large))};
    assert_int_equal(group_propose(r->group, &p), SG_NOTLEADER);
    rig_lead(r);
    assert_int_equal(group_propose(r->group, &p), SG_TOOBIG);
    p.command.n = 1;
    for (int i = 0; i < PROPOSALS_MAX; i++) {
        assert_true(rig_propose(r));
    }
    assert_int_equal(group_propose(r->group, &p), SG_BUSY);
    rig_ack(r, 2, rig_status(r).term, rig_status(r).last_index);
    rig_run(r);
    rig_ack(r, 2, rig_status(r).term, rig_status(r).last_index);
    rig_run(r);
    assert_int_equal(r->answered_ok, PROPOSALS_MAX);
    /* A full disk takes no new work, but what ends the old. */
    mem_kv_set_free_bytes(r->disk, STORE_FREE_SPACE_MIN_BYTES - 1);
    p.is_early = true;
    assert_int_equal(group_propose(r->group, &p), SG_BUSY);
    assert_true(rig_propose(r));
    rig_free(r);
}

/* With nothing uncommitted libraft appends no barrier, and nothing would ever be of its term. */
static void a_leader_gets_ready_without_a_proposal(void **state)
{
    (void)state;
    struct rig *r = opened();
    assert_int_equal(rig_status(r).last_index, 1);
    rig_lead(r);
    assert_int_equal(rig_status(r).last_index, 2);
    assert_int_equal(rig_status(r).applied_index, 2);
    assert_true(r->told_leader);
    rig_free(r);
}

/* --- The store -------------------------------------------------------------------------------- */

static void bootstrap_is_refused_where_it_must_be(void **state)
{
    (void)state;
    static const uint64_t good[] = {3, 1, 2};
    static const uint64_t twice[] = {1, 2, 2};
    static const uint64_t zero[] = {1, 0, 2};
    static const uint64_t many[] = {1, 2, 3, 4, 5, 6};
    struct rig *r = rig_new(0);
    struct kv_txn *txn;
    assert_int_equal(rig_open(r), SG_NOTFOUND);
    assert_int_equal(kv_begin(&r->kv, true, &txn), SG_OK);
    assert_int_equal(group_bootstrap(&r->kv, txn, RIG_GROUP, twice, 3), SG_INVALID);
    assert_int_equal(group_bootstrap(&r->kv, txn, RIG_GROUP, zero, 3), SG_INVALID);
    assert_int_equal(group_bootstrap(&r->kv, txn, RIG_GROUP, many, 6), SG_INVALID);
    assert_int_equal(group_bootstrap(&r->kv, txn, RIG_GROUP, good, 1), SG_INVALID);
    assert_int_equal(group_bootstrap(&r->kv, txn, RIG_GROUP, good, 0), SG_INVALID);
    assert_int_equal(group_bootstrap(&r->kv, txn, RIG_GROUP, good, 3), SG_OK);
    assert_int_equal(group_bootstrap(&r->kv, txn, RIG_GROUP, good, 3), SG_EXISTS);
    assert_int_equal(kv_commit(&r->kv, txn), SG_OK);
    assert_int_equal(rig_open(r), SG_OK);
    rig_free(r);
}

static void every_damaged_record_is_found_at_open(void **state)
{
    (void)state;
    struct rig *r = opened();
    rig_append(r, 2, 1, 1, 1, 4, ones, 5);
    rig_run(r);
    rig_close(r);
    for (int table = KV_META; table < KV_TABLES; table++) {
        /* Of the state the engine reads its own row at open; the machine's are read when they are used. */
        size_t count = table == KV_STATE ? 1 : mem_kv_count(r->disk, (enum kv_table)table);
        for (size_t n = 0; n < count; n++) {
            assert_true(mem_kv_flip_bit_at(r->disk, (enum kv_table)table, n, 13));
            if (table == KV_STATE) { /* Rows can be had from others; what Raft builds on can't. */
                assert_int_equal(rig_open(r), SG_OK);
                assert_true(rig_status(r).is_rebuilding);
                rig_close(r);
            } else {
                assert_int_equal(rig_open(r), SG_CORRUPT);
                assert_true(r->why[0] != '\0');
            }
            assert_true(mem_kv_flip_bit_at(r->disk, (enum kv_table)table, n, 13));
        }
    }
    assert_int_equal(rig_open(r), SG_OK);
    assert_int_equal(rig_status(r).applied_index, 4);
    rig_free(r);
}

/* The log, the term and the vote are kept, and with them all that this replica may say;
 * nothing is applied until new rows are there, also after a restart. */
static void a_damaged_row_stops_applying(void **state)
{
    (void)state;
    struct rig *r = opened();
    rig_append(r, 2, 1, 1, 1, 3, ones, 4);
    rig_run(r);
    assert_int_equal(rig_status(r).applied_index, 3);
    assert_true(mem_kv_flip_bit_at(r->disk, KV_STATE, 0, 13));
    rig_forget_sent(r);
    rig_append(r, 2, 1, 5, 1, 5, ones, 1); /* Commits two more, in one batch with an append. */
    rig_run(r);
    assert_true(rig_status(r).is_rebuilding);
    assert_false(rig_status(r).stopped);
    for (int life = 0; life < 2; life++) {
        rig_forget_sent(r);
        rig_append(r, 2, 1, 6 + (uint64_t)life, 1, 6 + (uint64_t)life, ones, 1);
        rig_advance(r, REBUILD_ASK_MS);
        rig_run(r);
        assert_true(rig_count_sent(r, MESSAGE_APPEND_ENTRIES_RESULT) > 0);
        assert_int_equal(rig_status(r).applied_index, 3);
        const struct message *m = rig_take(r, MESSAGE_COMPARE);
        assert_non_null(m);
        assert_int_equal(m->compare.kind, COMPARE_ROWS_WANTED);
        assert_false(rig_propose(r));
        rig_close(r);
        assert_int_equal(rig_open(r), SG_OK);
        assert_true(rig_status(r).is_rebuilding);
    }
    rig_free(r);
}

static void a_damaged_entry_stops_the_leader_that_reads_it(void **state)
{
    (void)state;
    struct rig *r = rig_new(3);
    rig_store_entries(r, 2, ones, 8);
    assert_int_equal(rig_open(r), SG_OK);
    rig_lead(r);
    uint64_t term = rig_status(r).term;
    assert_true(mem_kv_flip_bit_at(r->disk, KV_LOG, 4, 13));
    struct message m = {.kind = MESSAGE_APPEND_ENTRIES_RESULT};
    m.append_entries_result = (struct message_append_entries_result){
        .version = 1, .term = term, .rejected = 9, .last_log_index = 1, .features = 1};
    rig_receive(r, 3, &m); /* Node 3 has entry 1 only. */
    rig_run(r);
    assert_int_equal(r->failed, SG_CORRUPT);
    assert_false(r->told_leader);
    rig_free(r);
}

static void applied_entries_are_not_applied_again(void **state)
{
    (void)state;
    struct rig *r = opened();
    rig_append(r, 2, 1, 1, 1, 4, ones, 5);
    rig_run(r);
    struct group_status before = rig_status(r);
    rig_close(r);
    assert_int_equal(rig_open(r), SG_OK);
    assert_int_equal(rig_status(r).applied_index, 4);
    struct group_status after = rig_status(r);
    assert_memory_equal(&after.digest, &before.digest, sizeof(before.digest));
    rig_append(r, 2, 1, 6, 1, 6, NULL, 0); /* libraft learns the commit index anew. */
    rig_run(r);
    assert_int_equal(rig_status(r).applied_index, 6);
    assert_int_equal(r->applied, 6);
    assert_int_equal(r->failed, SG_OK);
    rig_free(r);
}

static void malformed_messages_change_nothing(void **state)
{
    (void)state;
    static const uint64_t falling[] = {2, 1};
    static const uint64_t ahead[] = {9};
    static const uint64_t nought[] = {0};
    struct rig *r = opened();
    rig_append(r, 2, 2, 1, 0, 1, NULL, 0);    /* Entry 1 has a term. */
    rig_append(r, 2, 2, 0, 1, 1, NULL, 0);    /* Entry 0 has none. */
    rig_append(r, 2, 2, 1, 3, 1, NULL, 0);    /* From the future. */
    rig_append(r, 2, 2, 1, 1, 1, falling, 2); /* Terms never fall. */
    rig_append(r, 2, 2, 1, 1, 1, ahead, 1);
    rig_append(r, 2, 2, 1, 1, 1, nought, 1);
    rig_append(r, 2, 2, UINT64_MAX, 1, 1, ones, 1);
    rig_append(r, 1, 2, 1, 1, 1, ones, 1); /* From ourselves. */
    rig_append(r, 0, 2, 1, 1, 1, ones, 1); /* From nobody. */
    rig_run(r);
    assert_int_equal(rig_status(r).term, 1);
    assert_int_equal(rig_status(r).last_index, 1);
    assert_int_equal(r->sent_count, 0);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_vote_leaves_when_it_is_durable),
        cmocka_unit_test(messages_behind_a_vote_wait_in_order),
        cmocka_unit_test(a_candidate_that_lost_asks_nobody),
        cmocka_unit_test(a_stuck_disk_holds_a_bounded_number),
        cmocka_unit_test(a_vote_outlives_a_restart),
        cmocka_unit_test(entries_are_acknowledged_when_durable),
        cmocka_unit_test(a_truncated_entry_is_never_acknowledged),
        cmocka_unit_test(truncated_before_it_is_reported),
        cmocka_unit_test(the_leader_sends_while_it_writes),
        cmocka_unit_test(an_answer_needs_a_quorum),
        cmocka_unit_test(lost_leadership_leaves_the_outcome_unknown),
        cmocka_unit_test(a_stopped_group_answers_stopped),
        cmocka_unit_test(proposals_are_limited),
        cmocka_unit_test(a_leader_gets_ready_without_a_proposal),
        cmocka_unit_test(bootstrap_is_refused_where_it_must_be),
        cmocka_unit_test(every_damaged_record_is_found_at_open),
        cmocka_unit_test(a_damaged_row_stops_applying),
        cmocka_unit_test(a_damaged_entry_stops_the_leader_that_reads_it),
        cmocka_unit_test(applied_entries_are_not_applied_again),
        cmocka_unit_test(malformed_messages_change_nothing),
    };
    guard_be_quiet();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
