/* Many steps in one turn: one write, in the end what the last of them left. One
 * replica, peers played by the test. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "shard/engine/engine.h"
#include "shard/engine/trail.h"
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

/* What came with three messages is written and acknowledged once. */
static void a_turn_is_one_write(void **state)
{
    (void)state;
    struct rig *r = opened();
    rig_append(r, 2, 1, 1, 1, 1, NULL, 0);
    rig_run(r);
    rig_forget_sent(r);
    uint64_t jobs = writer_stats(r->writer).jobs;
    rig_append(r, 2, 1, 1, 1, 1, ones, 3);
    rig_append(r, 2, 1, 4, 1, 1, ones, 2);
    ask(r, 3, 5);
    assert_int_equal(rig_status(r).last_index, 6); /* libraft has stepped already. */
    assert_int_equal(r->sent_count, 0);
    rig_run(r);
    assert_int_equal(writer_stats(r->writer).jobs, jobs + 1);
    assert_int_equal(highest_ack(r, 5), 0); /* Node 3 is no leader. */
    rig_append(r, 2, 5, 6, 1, 1, NULL, 0);
    rig_run(r);
    assert_int_equal(highest_ack(r, 5), 6);
    rig_close(r);
    assert_int_equal(rig_open(r), SG_OK);
    assert_int_equal(rig_status(r).last_index, 6);
    assert_int_equal(rig_status(r).term, 5);
    rig_free(r);
}

/* Two leaders within one turn: what the first one's entries took never reaches the
 * store, and what it had there before goes. */
static void a_turn_truncates_what_it_took(void **state)
{
    (void)state;
    static const uint64_t twos[] = {2, 2, 2};
    static const uint64_t threes[] = {3, 3};
    static const uint64_t fours[] = {4};
    struct rig *r = opened();
    rig_append(r, 2, 2, 1, 1, 1, twos, 3); /* 2, 3, 4 */
    rig_run(r);
    rig_append(r, 2, 2, 4, 2, 1, twos, 2);   /* 5, 6 */
    rig_append(r, 3, 3, 4, 2, 1, threes, 2); /* 5, 6 anew. */
    rig_append(r, 3, 3, 6, 3, 1, threes, 1); /* 7 */
    rig_append(r, 2, 4, 5, 3, 1, fours, 1);  /* 6 anew, 7 is gone. */
    rig_run(r);
    assert_int_equal(rig_status(r).last_index, 6);
    assert_int_equal(r->group->raft.last_stored, 6);
    assert_int_equal(highest_ack(r, 4), 6);
    rig_append(r, 3, 5, 2, 2, 1, (const uint64_t[]){5}, 1); /* 3 anew, which the store has. */
    rig_append(r, 3, 5, 3, 5, 1, (const uint64_t[]){5}, 1);
    rig_run(r);
    assert_int_equal(highest_ack(r, 5), 4);
    rig_close(r);
    assert_int_equal(rig_open(r), SG_OK);
    assert_int_equal(rig_status(r).last_index, 4);
    assert_int_equal(trail_term(&r->group->raft, 2), 2);
    assert_int_equal(trail_term(&r->group->raft, 3), 5);
    assert_int_equal(trail_term(&r->group->raft, 4), 5);
    rig_free(r);
}

/* A vote, and then a higher term, before anything was written. */
static void a_turn_stores_the_newest_term(void **state)
{
    (void)state;
    struct rig *r = opened();
    test_loop_hold(r->loop, WORKER_STORE);
    ask(r, 2, 5);
    rig_append(r, 3, 6, 1, 1, 1, NULL, 0);
    rig_run(r);
    assert_int_equal(r->sent_count, 0);
    test_loop_release(r->loop, WORKER_STORE);
    rig_run(r);
    assert_int_equal(r->sent_count, 2); /* The vote holds all the same: term 5 is over here. */
    assert_true(r->sent[0].m.request_vote_result.vote_granted);
    assert_int_equal(r->sent[0].m.request_vote_result.term, 5);
    rig_close(r);
    assert_int_equal(rig_open(r), SG_OK);
    assert_int_equal(rig_status(r).term, 6);
    assert_int_equal(rig_status(r).voted_for, 0);
    rig_forget_sent(r);
    ask(r, 3, 5);
    rig_run(r);
    const struct message *m = rig_take(r, MESSAGE_REQUEST_VOTE_RESULT);
    assert_true(m == NULL || !m->request_vote_result.vote_granted);
    rig_free(r);
}

static void a_long_turn_loses_no_message(void **state)
{
    (void)state;
    struct rig *r = opened();
    rig_append(r, 2, 1, 1, 1, 1, NULL, 0);
    rig_run(r);
    rig_forget_sent(r);
    for (int i = 0; i < HELD_MESSAGES_MAX * 3; i++) {
        rig_append(r, 2, 1, 1, 1, 1, NULL, 0);
    }
    rig_run(r);
    assert_int_equal(rig_count_sent(r, MESSAGE_APPEND_ENTRIES_RESULT), HELD_MESSAGES_MAX * 3);
    rig_free(r);
}

static void what_stops_within_a_turn_tells_nothing(void **state)
{
    (void)state;
    struct rig *r = opened();
    rig_append(r, 2, 1, 1, 1, 1, ones, 3);
    rig_append(r, 2, 4, 4, 1, 1, ones, 1);
    rig_close(r);
    assert_int_equal(r->sent_count, 0);
    assert_int_equal(rig_open(r), SG_OK);
    assert_int_equal(rig_status(r).last_index, 1);
    assert_int_equal(rig_status(r).term, 1);
    rig_free(r);
}

/* libraft would refuse by itself what it knows to be committed; this replica may
 * know more, from an answer about rows. */
static void what_is_committed_is_not_replaced(void **state)
{
    static const uint64_t threes[] = {3};
    (void)state;
    for (uint64_t commit = 2; commit <= 3; commit++) {
        struct rig *r = opened();
        rig_append(r, 2, 2, 1, 1, 1, (const uint64_t[]){2, 2}, 2);
        rig_run(r);
        r->group->commit = commit;
        rig_append(r, 3, 3, 2, 2, 1, threes, 1); /* Another 3. */
        rig_run(r);
        if (commit < 3) {
            assert_int_equal(r->failed, SG_OK);
            assert_int_equal(rig_status(r).last_index, 3);
        } else {
            assert_int_equal(r->failed, SG_CONFLICT);
            assert_non_null(strstr(r->why, "entry 3 is committed"));
        }
        r->group->commit = 1;
        rig_free(r);
    }
}

/* Of a log that is large before it is long, what followers may still wait for stays. */
static void a_large_log_keeps_what_is_in_flight(void **state)
{
    enum { PIECE = 100 };
    static uint64_t terms[PIECE];
    uint64_t last = 1;
    (void)state;
    struct rig *r = opened();
    r->group->o.trailing_entries = TRAILING_ENTRIES_DEFAULT;
    for (size_t i = 0; i < PIECE; i++) {
        terms[i] = 1;
    }
    while (last < 3 * (uint64_t)PIECE) {
        rig_append(r, 2, 1, last, 1, last + PIECE, terms, PIECE);
        rig_run(r);
        last += PIECE;
    }
    assert_int_equal(rig_status(r).applied_index, last);
    assert_int_equal(rig_status(r).mark_index, 0);
    r->group->log_bytes = LOG_SIZE_SOFT_BYTES - 1000;
    rig_append(r, 2, 1, last, 1, last + 1, terms, 1);
    rig_run(r);
    assert_int_equal(rig_status(r).mark_index, 0);
    r->group->log_bytes = LOG_SIZE_SOFT_BYTES + 1;
    last++;
    rig_append(r, 2, 1, last, 1, last + 1, terms, 1);
    rig_advance(r, 100);
    last++;
    assert_int_equal(rig_status(r).mark_index, last);
    assert_int_equal(rig_status(r).first_index, last - INFLIGHT_ENTRIES_MAX + 1);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_turn_is_one_write),
        cmocka_unit_test(a_turn_truncates_what_it_took),
        cmocka_unit_test(a_turn_stores_the_newest_term),
        cmocka_unit_test(a_long_turn_loses_no_message),
        cmocka_unit_test(what_stops_within_a_turn_tells_nothing),
        cmocka_unit_test(what_is_committed_is_not_replaced),
        cmocka_unit_test(a_large_log_keeps_what_is_in_flight),
    };
    guard_be_quiet();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
