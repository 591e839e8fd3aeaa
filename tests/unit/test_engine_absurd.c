/* What no sound replica says: terms and indexes nobody has reached, snapshots of
 * nobody, snapshots for which there is no room. One replica, attacked by its peers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/base/fault.h"
#include "shard/engine/engine.h"
#include "tests/support/engine_rig.h"
#include "tests/support/guard_check.h"

static struct rig *opened(void)
{
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    rig_append(r, 2, 1, 1, 1, 1, NULL, 0);
    rig_run(r);
    rig_forget_sent(r);
    return r;
}

/* Each kind with a term and an index, sound but for these. */
static struct message attack(enum message_kind kind, uint64_t term, uint64_t index)
{
    static uint8_t byte;
    struct message m = {.kind = kind};
    uint64_t last_term = index == 0 ? 0 : 1;
    if (kind == MESSAGE_APPEND_ENTRIES) {
        m.append_entries = (struct message_append_entries){
            .term = term, .prev_log_index = index, .prev_log_term = last_term, .leader_commit = index};
    } else if (kind == MESSAGE_APPEND_ENTRIES_RESULT) {
        m.append_entries_result = (struct message_append_entries_result){
            .version = 1, .term = term, .last_log_index = index, .features = 1};
    } else if (kind == MESSAGE_REQUEST_VOTE) {
        m.request_vote = (struct message_request_vote){.version = 2,
                                                       .term = term,
                                                       .candidate_id = 3,
                                                       .last_log_index = index,
                                                       .last_log_term = last_term,
                                                       .disrupt_leader = true};
    } else if (kind == MESSAGE_REQUEST_VOTE_RESULT) {
        m.request_vote_result =
            (struct message_request_vote_result){.version = 2, .term = term, .vote_granted = true};
    } else if (kind == MESSAGE_TIMEOUT_NOW) {
        m.timeout_now = (struct message_timeout_now){
            .version = 1, .term = term, .last_log_index = index, .last_log_term = last_term};
    } else if (kind == MESSAGE_SNAPSHOT_CHUNK) {
        m.snapshot_chunk = (struct message_snapshot_chunk){.version = 1,
                                                           .term = term,
                                                           .last_index = index,
                                                           .last_term = 1,
                                                           .conf_index = 1,
                                                           .total_size = 1 << 20,
                                                           .data = span_of(&byte, 1)};
    } else if (kind == MESSAGE_SNAPSHOT_ACK) {
        m.snapshot_ack = (struct message_snapshot_ack){.term = term, .received = index};
    } else if (kind == MESSAGE_COMPARE) {
        m.compare =
            (struct message_compare){.kind = COMPARE_QUESTION, .term = term, .index = index, .index_term = 1};
    }
    return m;
}

static const enum message_kind kinds[] = {
    MESSAGE_APPEND_ENTRIES, MESSAGE_APPEND_ENTRIES_RESULT, MESSAGE_REQUEST_VOTE, MESSAGE_REQUEST_VOTE_RESULT,
    MESSAGE_TIMEOUT_NOW,    MESSAGE_SNAPSHOT_CHUNK,        MESSAGE_SNAPSHOT_ACK, MESSAGE_COMPARE,
};

/* Does a message of any kind, to a follower or to a leader, change anything? */
static bool changes_anything(uint64_t term, uint64_t index, bool leads)
{
    bool changed = false;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
        struct rig *r = opened();
        if (leads) {
            rig_lead(r);
        }
        struct group_status before = rig_status(r);
        uint64_t t = term == 0 ? before.term : term;
        rig_forget_sent(r);
        struct message m = attack(kinds[i], t, index);
        rig_receive(r, 3, &m);
        rig_run(r);
        struct group_status after = rig_status(r);
        changed |= after.term != before.term || after.is_leader != before.is_leader ||
                   after.commit_index != before.commit_index || after.last_index != before.last_index ||
                   r->group->stage != NULL || r->group->compare.question.index != 0 || r->sent_count != 0;
        rig_free(r);
    }
    return changed;
}

static void absurd_terms_change_nothing(void **state)
{
    (void)state;
    const uint64_t terms[] = {UINT64_MAX, UINT64_MAX - 1, UINT64_MAX / 2, 100 + TERM_AHEAD_MAX};
    for (size_t i = 0; i < sizeof(terms) / sizeof(terms[0]); i++) {
        assert_false(changes_anything(terms[i], 1, false));
        assert_false(changes_anything(terms[i], 1, true));
    }
    fault_set_bugs("absurd-believed");
    assert_true(changes_anything(UINT64_MAX - 1, 1, false));
    assert_true(changes_anything(UINT64_MAX - 1, 1, true));
    fault_set_bugs("");
}

static void absurd_indexes_change_nothing(void **state)
{
    (void)state;
    const uint64_t indexes[] = {UINT64_MAX, UINT64_MAX / 2, 100 + INDEX_AHEAD_MAX};
    for (size_t i = 0; i < sizeof(indexes) / sizeof(indexes[0]); i++) {
        assert_false(changes_anything(2, indexes[i], false));
    }
    fault_set_bugs("absurd-believed");
    assert_true(changes_anything(2, UINT64_MAX / 2, false));
    fault_set_bugs("");
}

/* A replica that was away for a year of elections, one every 10 ms, is no liar. */
static void who_was_away_for_a_year_learns(void **state)
{
    (void)state;
    const uint64_t year = 366ull * 86400 * 100;
    struct rig *r = opened();
    rig_append(r, 2, 1 + year, 1, 1, 1, NULL, 0);
    rig_run(r);
    assert_true(rig_status(r).term == 1 + year);
    assert_int_equal(rig_status(r).leader, 2);
    rig_free(r);
}

static struct message chunk(uint64_t term, struct bytes *conf)
{
    const uint64_t nodes[] = {1, 2, 3};
    struct message m = attack(MESSAGE_SNAPSHOT_CHUNK, term, 50);
    conf_encode(nodes, 3, conf);
    m.snapshot_chunk.conf = span_bytes(conf);
    m.snapshot_chunk.transfer_id = 7;
    m.snapshot_chunk.total_size = SNAPSHOT_SIZE_MAX_BYTES;
    return m;
}

static bool begins(uint64_t from, uint64_t term)
{
    struct rig *r = opened();
    struct bytes conf = BYTES_NONE;
    struct message m = chunk(term, &conf);
    rig_receive(r, from, &m);
    rig_run(r);
    bool begun = r->group->stage != NULL;
    bytes_release(&conf);
    rig_free(r);
    return begun;
}

static void a_snapshot_comes_from_the_leader(void **state)
{
    (void)state;
    assert_true(begins(2, 1));
    assert_false(begins(3, 1)); /* Not the leader. */
    assert_false(begins(3, 2)); /* Of no term that there is. */
    fault_set_bugs("snapshot-of-anybody");
    assert_true(begins(3, 2));
    fault_set_bugs("");
}

static void a_snapshot_wants_room(void **state)
{
    (void)state;
    struct rig *r = opened();
    struct bytes conf = BYTES_NONE;
    struct message m = chunk(1, &conf);
    mem_kv_set_free_bytes(r->disk, SNAPSHOT_SIZE_MAX_BYTES);
    rig_receive(r, 2, &m);
    rig_run(r);
    assert_null(r->group->stage);
    const struct message *ack = rig_take(r, MESSAGE_SNAPSHOT_ACK);
    assert_non_null(ack);
    assert_true(ack->snapshot_ack.received == UINT64_MAX);
    mem_kv_set_free_bytes(r->disk, 2 * SNAPSHOT_SIZE_MAX_BYTES);
    rig_receive(r, 2, &m);
    rig_run(r);
    assert_non_null(r->group->stage);
    bytes_release(&conf);
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(absurd_terms_change_nothing),    cmocka_unit_test(absurd_indexes_change_nothing),
        cmocka_unit_test(who_was_away_for_a_year_learns), cmocka_unit_test(a_snapshot_comes_from_the_leader),
        cmocka_unit_test(a_snapshot_wants_room),
    };
    guard_be_quiet();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
