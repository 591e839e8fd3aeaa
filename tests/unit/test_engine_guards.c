/* The guards around log and snapshots (G1 to G7): the same scenario with the
 * guard, where the bad thing does not happen, and without it, where it does. */
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

/* --- G1 ------------------------------------------------------------------------------- */

/* Leave a pattern where the next calls have their frames. */
static __attribute__((noinline)) void dirty_stack(void)
{
    volatile uint8_t garbage[16384];
    for (size_t i = 0; i < sizeof(garbage); i++) {
        garbage[i] = 0x5a;
    }
}

static bool g1_is_bad(void)
{
    struct rig *r = rig_new(3);
    rig_store_hard_state(r, 9, 0);
    assert_int_equal(rig_open(r), SG_OK);
    rig_run(r);
    dirty_stack();
    rig_append(r, 2, 5, 0, 0, 0, NULL, 0); /* Of an old term, from the first entry on. */
    rig_run(r);
    const struct message *m = rig_take(r, MESSAGE_APPEND_ENTRIES_RESULT);
    assert_non_null(m);
    assert_int_equal(m->append_entries_result.term, 9);
    dirty_stack();
    rig_append(r, 2, 5, 1, 1, 0, NULL, 0);
    rig_run(r);
    const struct message *n = rig_take(r, MESSAGE_APPEND_ENTRIES_RESULT);
    bool bad = m->append_entries_result.last_log_index != 0 || n->append_entries_result.rejected != 0 ||
               n->append_entries_result.last_log_index != 0;
    rig_free(r);
    return bad;
}

static void g1_stale_replies_say_nothing(void **state)
{
    (void)state;
    guard_check("guard-g1", g1_is_bad);
}

/* --- G2 ------------------------------------------------------------------------------- */

static void append_servers(struct rig *r, uint64_t from, uint64_t term, uint64_t prev_index,
                           uint64_t prev_term, uint64_t commit, size_t servers, size_t commands)
{
    static const uint64_t nodes[] = {1, 2, 3, 4, 5};
    struct bytes conf = BYTES_NONE;
    struct message m = {.kind = MESSAGE_APPEND_ENTRIES};
    conf_encode(nodes, servers, &conf);
    struct message_entry entries[2] = {{term, RAFT_COMMAND, span_str("command")},
                                       {term, RAFT_COMMAND, span_str("command")}};
    entries[commands] = (struct message_entry){term, RAFT_CHANGE, span_bytes(&conf)};
    m.append_entries = (struct message_append_entries){.term = term,
                                                       .prev_log_index = prev_index,
                                                       .prev_log_term = prev_term,
                                                       .leader_commit = commit,
                                                       .entries = entries,
                                                       .entries_count = commands + 1};
    rig_receive(r, from, &m);
    rig_run(r);
    bytes_release(&conf);
}

static void append_change(struct rig *r, uint64_t from, uint64_t term, uint64_t prev_index,
                          uint64_t prev_term, uint64_t commit)
{
    append_servers(r, from, term, prev_index, prev_term, commit, 4, 1);
}

/* A change that is cut off again must not stay in force. */
static bool g2_is_bad(void)
{
    static const uint64_t terms[] = {3};
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    append_change(r, 2, 2, 1, 1, 1); /* 2: command, 3: change. */
    assert_int_equal(rig_status(r).replicas_count, 4);
    rig_append(r, 3, 3, 2, 2, 1, terms, 1); /* Another 3. */
    rig_run(r);
    assert_int_equal(rig_status(r).last_index, 3);
    bool bad = rig_status(r).replicas_count != 3;
    rig_free(r);
    return bad;
}

static void g2_a_change_is_alone_in_its_message(void **state)
{
    (void)state;
    guard_check("guard-g2", g2_is_bad);
}

/* A second change tells that the first is committed: what takes the second back
 * must leave the first. */
/* What replaces a log from a change on replaces the change. */
static void a_change_at_the_cut_is_forgotten(void **state)
{
    static const uint64_t terms[] = {3};
    (void)state;
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    append_change(r, 2, 2, 1, 1, 1); /* 2: command, 3: change. */
    assert_int_equal(r->group->changes_count, 1);
    rig_append(r, 3, 3, 2, 2, 1, terms, 1); /* Another 3. */
    rig_run(r);
    assert_int_equal(r->group->changes_count, 0);
    rig_append(r, 3, 3, 3, 3, 3, NULL, 0); /* Which is committed. */
    rig_run(r);
    assert_int_equal(rig_status(r).applied_index, 3);
    assert_int_equal(rig_status(r).replicas_count, 3);
    rig_free(r);
}

static bool g2_forgets_the_first(void)
{
    static const uint64_t terms[] = {3};
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    append_servers(r, 2, 2, 1, 1, 1, 4, 0); /* 2: four servers. */
    append_servers(r, 2, 2, 2, 2, 1, 5, 0); /* 3: five servers. */
    assert_int_equal(rig_status(r).replicas_count, 5);
    rig_append(r, 3, 3, 2, 2, 1, terms, 1); /* Another 3. */
    rig_run(r);
    bool bad = rig_status(r).replicas_count != 4;
    rig_free(r);
    return bad;
}

static void g2_the_change_before_is_committed(void **state)
{
    (void)state;
    guard_check("guard-g2", g2_forgets_the_first);
}

static void g2_a_change_commits(void **state)
{
    (void)state;
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    append_change(r, 2, 2, 1, 1, 3);
    assert_int_equal(r->group->raft.configuration_uncommitted_index, 0);
    assert_int_equal(r->group->raft.configuration_committed_index, 3);
    assert_int_equal(rig_status(r).applied_index, 3);
    rig_close(r);
    assert_int_equal(rig_open(r), SG_OK);
    assert_int_equal(rig_status(r).replicas_count, 4);
    rig_free(r);
}

/* --- G3 ------------------------------------------------------------------------------- */

static bool g3_is_bad(void)
{
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    rig_append(r, 2, 1, 1, 1, 11, ones, 10);
    rig_run(r);
    assert_int_equal(r->group->raft.commit_index, 11);
    rig_append(r, 2, 1, 4, 1, 12, ones, 1); /* Sent again. */
    rig_run(r);
    bool bad = r->group->raft.commit_index < 11;
    assert_int_equal(rig_status(r).commit_index, 11); /* Ours never goes back. */
    rig_free(r);
    return bad;
}

static void g3_commit_never_goes_back(void **state)
{
    (void)state;
    guard_check("guard-g3", g3_is_bad);
}

/* --- G4, G5 ------------------------------------------------------------------------------ */

static bool g4_is_bad(void)
{
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    /* Wins, but nothing of its own term is committed yet. */
    for (int i = 0; i < 100 && !rig_status(r).is_leader; i++) {
        rig_advance(r, 50);
        for (const struct message *q; (q = rig_take(r, MESSAGE_REQUEST_VOTE)) != NULL;) {
            struct message m = {.kind = MESSAGE_REQUEST_VOTE_RESULT};
            m.request_vote_result =
                (struct message_request_vote_result){.version = 2,
                                                     .term = q->request_vote.term,
                                                     .vote_granted = true,
                                                     .pre_vote = q->request_vote.pre_vote};
            rig_receive(r, 2, &m);
            rig_run(r);
        }
    }
    assert_true(rig_status(r).is_leader);
    bool bad = guard_g4_may_change(&r->group->raft);
    rig_ack(r, 2, rig_status(r).term, rig_status(r).last_index);
    rig_run(r);
    assert_true(guard_g4_may_change(&r->group->raft));
    rig_free(r);
    return bad;
}

static void g4_no_change_before_an_own_entry(void **state)
{
    (void)state;
    guard_check("guard-g4", g4_is_bad);
}

static bool g5_is_bad(void)
{
    static const uint64_t one[] = {1};
    struct rig *r = rig_new(0);
    struct kv_txn *txn;
    assert_int_equal(kv_begin(&r->kv, true, &txn), SG_OK);
    enum sg_err err = group_bootstrap(&r->kv, txn, RIG_GROUP, one, 1);
    assert_true(err == SG_OK || err == SG_INVALID);
    assert_int_equal(kv_commit(&r->kv, txn), SG_OK);
    bool bad = false;
    if (err == SG_OK) {
        assert_int_equal(rig_open(r), SG_OK);
        /* A leader for which nobody voted, in a term that others may use too. */
        bad = rig_status(r).is_leader && rig_status(r).term == 1 && rig_status(r).voted_for == 0;
    }
    rig_free(r);
    return bad;
}

static void g5_never_a_sole_voter(void **state)
{
    (void)state;
    guard_check("guard-g5", g5_is_bad);
}

/* --- G6 -------------------------------------------------------------------------------- */

static void g6_stale_rejection(void)
{
    struct rig *r = rig_new(3);
    CHECK(rig_open(r) == SG_OK);
    rig_lead(r);
    uint64_t term = rig_status(r).term;
    for (int i = 0; i < 8; i++) {
        CHECK(rig_propose(r));
    }
    rig_run(r);
    uint64_t last = rig_status(r).last_index;
    rig_ack(r, 2, term, last);
    rig_ack(r, 3, term, last);
    rig_run(r);
    /* Node 2 is silent, so the leader probes it; then an old rejection comes. */
    for (int i = 0; i < 4; i++) {
        rig_advance(r, HEARTBEAT_MS);
        rig_ack(r, 3, term, last);
    }
    struct message m = {.kind = MESSAGE_APPEND_ENTRIES_RESULT};
    m.append_entries_result = (struct message_append_entries_result){
        .version = 1, .term = term, .rejected = last, .last_log_index = last - 5, .features = 1};
    rig_receive(r, 2, &m);
    rig_advance(r, 2ull * HEARTBEAT_MS);
    rig_free(r);
}

static bool g6a_is_bad(void)
{
    return guard_child_dies(g6_stale_rejection);
}

static void g6_stale_rejections_are_dropped(void **state)
{
    (void)state;
    guard_check("guard-g6", g6a_is_bad);
}

/* Log 6..10, snapshot at 8: entries before 6 are compacted away. */
static struct rig *compacted(void)
{
    struct rig *r = rig_new(3);
    struct kv_txn *txn;
    static const uint64_t nodes[] = {1, 2, 3};
    struct bytes conf = BYTES_NONE;
    rig_store_entries(r, 2, ones, 9);
    conf_encode(nodes, 3, &conf);
    assert_int_equal(kv_begin(&r->kv, true, &txn), SG_OK);
    struct log_mark mark = {.index = 8, .term = 1, .conf_index = 1, .conf = span_bytes(&conf)};
    assert_int_equal(log_mark_put(&r->kv, txn, RIG_GROUP, &mark), SG_OK);
    struct applied_row row = {.index = 8, .term = 1, .conf_index = 1, .conf = span_bytes(&conf)};
    assert_int_equal(applied_row_put(&r->kv, txn, RIG_GROUP, &row), SG_OK);
    assert_int_equal(log_trim(&r->kv, txn, RIG_GROUP, 5, 100, NULL), SG_OK);
    assert_int_equal(kv_commit(&r->kv, txn), SG_OK);
    bytes_release(&conf);
    assert_int_equal(rig_open(r), SG_OK);
    rig_run(r);
    return r;
}

static bool g6b_is_bad(void)
{
    struct rig *r = compacted();
    assert_int_equal(rig_status(r).first_index, 6);
    rig_append(r, 2, 1, 3, 1, 3, ones, 7); /* 4..10, as after a lost acknowledgement. */
    rig_run(r);
    const struct message *m = rig_take(r, MESSAGE_APPEND_ENTRIES_RESULT);
    assert_non_null(m);
    bool bad = m->append_entries_result.rejected != 0 || m->append_entries_result.last_log_index != 10;
    rig_free(r);
    return bad;
}

static void g6_entries_below_the_snapshot_are_known(void **state)
{
    (void)state;
    guard_check("guard-g6", g6b_is_bad);
}

static void g6_anchors_at_the_snapshot(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        uint64_t prev;
        unsigned n;
        uint64_t want_prev;
        unsigned want_n;
    } rows[] = {
        {"from the very first entry", 0, 10, 8, 2},
        {"a heartbeat below the snapshot", 3, 0, 8, 0},
        {"all of it is below the snapshot", 2, 3, 8, 0},
        {"the term before the first is not known", 5, 4, 8, 1},
        {"the first is known", 6, 2, 6, 2},
        {"behind the snapshot", 9, 1, 9, 1},
    };
    struct rig *r = compacted();
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct raft_entry entries[16] = {{0}};
        struct raft_append_entries m = {.term = 1,
                                        .prev_log_index = rows[i].prev,
                                        .prev_log_term = rows[i].prev == 0 ? 0 : 1,
                                        .entries = entries,
                                        .n_entries = rows[i].n};
        size_t skip = guard_g6_anchor(&r->group->raft, &m);
        if (m.prev_log_index != rows[i].want_prev || m.n_entries != rows[i].want_n || m.prev_log_term != 1 ||
            m.entries != entries + skip || skip != rows[i].n - rows[i].want_n) {
            fail_msg("%s: prev %llu n %u skip %zu", rows[i].reason, m.prev_log_index, m.n_entries, skip);
        }
    }
    rig_free(r);
}

/* --- G7 --------------------------------------------------------------------------------- */

static long heap_blocks;

static void *counting_malloc(void *data, size_t size)
{
    (void)data;
    heap_blocks++;
    return malloc(size);
}

static void counting_free(void *data, void *p)
{
    (void)data;
    heap_blocks -= p == NULL ? 0 : 1;
    free(p);
}

static void *counting_calloc(void *data, size_t n, size_t size)
{
    (void)data;
    heap_blocks++;
    return calloc(n, size);
}

static void *counting_realloc(void *data, void *p, size_t size)
{
    (void)data;
    heap_blocks += p == NULL ? 1 : 0;
    return realloc(p, size);
}

static void send_tiny_snapshot(struct rig *r, uint64_t transfer_id, uint64_t index, bool damaged)
{
    static const uint64_t nodes[] = {1, 2, 3};
    struct bytes conf = BYTES_NONE;
    struct bytes rows = BYTES_NONE;
    struct digester d;
    conf_encode(nodes, 3, &conf);
    uint8_t head[58] = {1};
    be64_put(head + 1, index);
    be64_put(head + 9, 2);
    be64_put(head + 17, 1);
    be32_put(bytes_extend(&rows, 4), 1);
    be32_put(bytes_extend(&rows, 4), (uint32_t)(57 + conf.n));
    bytes_append(&rows, "\0", 1);
    bytes_append(&rows, head, 57);
    bytes_append_span(&rows, span_bytes(&conf));
    digester_init(&d);
    digester_add(&d, span_bytes(&rows));
    struct digest digest = digester_end(&d);
    struct message m = {.kind = MESSAGE_SNAPSHOT_CHUNK};
    m.snapshot_chunk = (struct message_snapshot_chunk){.version = 1,
                                                       .term = 2,
                                                       .transfer_id = transfer_id,
                                                       .last_index = index,
                                                       .last_term = 2,
                                                       .conf_index = 1,
                                                       .conf = span_bytes(&conf),
                                                       .total_size = rows.n,
                                                       .checksum = be64_get(digest.b) + (damaged ? 1 : 0),
                                                       .data = span_bytes(&rows)};
    rig_append(r, 2, 2, 1, 1, 1, NULL, 0); /* It leads. */
    rig_receive(r, 2, &m);
    bytes_release(&conf);
    bytes_release(&rows);
}

/* libraft leaks the second one's configuration. */
static void g7_two_at_once(void)
{
    struct raft_heap heap = {.malloc = counting_malloc,
                             .free = counting_free,
                             .calloc = counting_calloc,
                             .realloc = counting_realloc};
    raft_heap_set(&heap);
    struct rig *r = rig_new(3);
    CHECK(rig_open(r) == SG_OK);
    rig_run(r);
    test_loop_hold(r->loop, WORKER_STORE);
    send_tiny_snapshot(r, 1, 20, false);
    CHECK(r->group->raft.snapshot.installing);
    send_tiny_snapshot(r, 2, 30, false);
    test_loop_release(r->loop, WORKER_STORE);
    rig_run(r);
    CHECK(r->installed == 20);
    rig_free(r);
    CHECK(heap_blocks == 0);
}

static bool g7_is_bad(void)
{
    return guard_child_dies(g7_two_at_once);
}

static void g7_one_installation_at_a_time(void **state)
{
    (void)state;
    guard_check("guard-g7", g7_is_bad);
}

static void a_damaged_snapshot_is_refused(void **state)
{
    (void)state;
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    rig_run(r);
    send_tiny_snapshot(r, 1, 20, true);
    rig_run(r);
    assert_int_equal(r->installed, 0);
    assert_int_equal(rig_status(r).last_index, 1);
    send_tiny_snapshot(r, 2, 20, false);
    rig_run(r);
    assert_int_equal(r->installed, 20);
    assert_int_equal(rig_status(r).applied_index, 20);
    assert_int_equal(rig_status(r).mark_index, 20);
    rig_close(r);
    assert_int_equal(rig_open(r), SG_OK);
    assert_int_equal(rig_status(r).last_index, 20);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(g1_stale_replies_say_nothing),
        cmocka_unit_test(g2_a_change_is_alone_in_its_message),
        cmocka_unit_test(g2_the_change_before_is_committed),
        cmocka_unit_test(g2_a_change_commits),
        cmocka_unit_test(a_change_at_the_cut_is_forgotten),
        cmocka_unit_test(g3_commit_never_goes_back),
        cmocka_unit_test(g4_no_change_before_an_own_entry),
        cmocka_unit_test(g5_never_a_sole_voter),
        cmocka_unit_test(g6_stale_rejections_are_dropped),
        cmocka_unit_test(g6_entries_below_the_snapshot_are_known),
        cmocka_unit_test(g6_anchors_at_the_snapshot),
        cmocka_unit_test(g7_one_installation_at_a_time),
        cmocka_unit_test(a_damaged_snapshot_is_refused),
    };
    guard_be_quiet();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
