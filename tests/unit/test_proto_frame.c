#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "proto/frame.h"
#include "tests/support/test_mutate.h"

#define TEXT(literal)                                   \
    {                                                   \
        (const uint8_t *)(literal), sizeof(literal) - 1 \
    }

static struct message_entry entries[] = {
    {3, 1, TEXT("one")},
    {4, 2, TEXT("")},
    {5, 3, TEXT("\0\xff")},
};

static struct hello_member members[] = {
    {1, {{1, 2, 3}}},
    {UINT64_MAX, {{0xff}}},
};

/* One of each kind, every field another number. */
static const struct message messages[] = {
    {.kind = MESSAGE_APPEND_ENTRIES,
     .group = 231380104,
     .append_entries = {1, 2, 3, 4, 5, entries, sizeof(entries) / sizeof(entries[0])}},
    {.kind = MESSAGE_APPEND_ENTRIES, .group = 0, .append_entries = {.term = 9}},
    {.kind = MESSAGE_APPEND_ENTRIES_RESULT, .group = 999999999, .append_entries_result = {1, 2, 3, 4, 5, 6}},
    {.kind = MESSAGE_APPEND_ENTRIES_RESULT},
    {.kind = MESSAGE_REQUEST_VOTE, .group = 1, .request_vote = {1, 2, 3, 4, 5, true, false}},
    {.kind = MESSAGE_REQUEST_VOTE, .group = 1, .request_vote = {1, 2, 3, 4, 5, false, true}},
    {.kind = MESSAGE_REQUEST_VOTE_RESULT, .group = 1, .request_vote_result = {2, 3, true, false, 4, 5}},
    {.kind = MESSAGE_REQUEST_VOTE_RESULT, .group = 1, .request_vote_result = {2, 3, false, true, 4, 5}},
    {.kind = MESSAGE_TIMEOUT_NOW, .group = 1, .timeout_now = {1, 2, 3, 4}},
    {.kind = MESSAGE_SNAPSHOT_CHUNK,
     .group = 1,
     .snapshot_chunk = {1, 2, 3, 4, 5, 6, TEXT("conf"), 7, 100, UINT64_MAX, TEXT("chunk")}},
    {.kind = MESSAGE_SNAPSHOT_ACK, .group = 1, .snapshot_ack = {1, 2, UINT64_MAX}},
    {.kind = MESSAGE_HELLO,
     .hello = {HELLO_REFUSED,
               true,
               TEXT("n1"),
               TEXT("0123456789abcdef0123456789abcdef"),
               members,
               2,
               TEXT("another disk"),
               {1, 2, TEXT("0.2.0"), TEXT("0123456789abcdef0123456789abcdef"), 9,
                TEXT("0123456789abcdef0123456789abcdef")}}},
    {.kind = MESSAGE_NODE_STATUS,
     .node_status =
         {1795446000000, 1, 2, 3, true, TEXT("0.1.0"), {1, 3, TEXT("0.3.0"), {NULL, 0}, 4, {NULL, 0}}, 5, 2}},
    {.kind = MESSAGE_FORWARD, .group = 231380104, .forward = {1, 2, TEXT("request"), 700}},
    {.kind = MESSAGE_FORWARD_REPLY, .forward_reply = {1, TEXT("reply")}},
    {.kind = MESSAGE_COMPARE, .group = 1, .compare = {COMPARE_ANSWER, 1, 2, 3, UINT64_MAX, true}},
    {.kind = MESSAGE_READ, .group = 231380104, .read = {3, UINT64_MAX, true}},
};
#define MESSAGES_COUNT (sizeof(messages) / sizeof(messages[0]))

static const struct frame header = {
    .version = FRAME_VERSION,
    .cluster = TEXT("demo"),
    .from = 1,
    .to = 2,
    .identity = {{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}},
};

/* The header, then all messages; so each is in the encoding of all of them. */
static void encode(const struct frame *head, const struct message *list, size_t count, struct bytes *out)
{
    frame_begin(head, out);
    for (size_t i = 0; i < count; i++) {
        frame_add(&list[i], out);
    }
}

static void assert_span_equal(struct span a, struct span b)
{
    assert_true(span_eq(a, b));
}

static void assert_append_entries_equal(const struct message_append_entries *a,
                                        const struct message_append_entries *b)
{
    assert_int_equal(a->version, b->version);
    assert_true(a->term == b->term && a->prev_log_index == b->prev_log_index);
    assert_true(a->prev_log_term == b->prev_log_term && a->leader_commit == b->leader_commit);
    assert_int_equal(a->entries_count, b->entries_count);
    for (size_t i = 0; i < a->entries_count; i++) {
        assert_true(a->entries[i].term == b->entries[i].term);
        assert_int_equal(a->entries[i].type, b->entries[i].type);
        assert_span_equal(a->entries[i].data, b->entries[i].data);
    }
}

static void assert_chunk_equal(const struct message_snapshot_chunk *a, const struct message_snapshot_chunk *b)
{
    assert_int_equal(a->version, b->version);
    assert_true(a->term == b->term && a->transfer_id == b->transfer_id);
    assert_true(a->last_index == b->last_index && a->last_term == b->last_term);
    assert_true(a->conf_index == b->conf_index && a->offset == b->offset);
    assert_true(a->total_size == b->total_size && a->checksum == b->checksum);
    assert_span_equal(a->conf, b->conf);
    assert_span_equal(a->data, b->data);
}

static void assert_hello_equal(const struct message_hello *a, const struct message_hello *b)
{
    assert_int_equal(a->state, b->state);
    assert_int_equal(a->reply_wanted, b->reply_wanted);
    assert_span_equal(a->node_name, b->node_name);
    assert_span_equal(a->founders_digest, b->founders_digest);
    assert_span_equal(a->reason, b->reason);
    assert_int_equal(a->members_count, b->members_count);
    for (size_t i = 0; i < a->members_count; i++) {
        assert_true(a->members[i].node == b->members[i].node);
        assert_memory_equal(a->members[i].identity.b, b->members[i].identity.b, IDENTITY_SIZE);
    }
}

static void assert_result_equal(const struct message_append_entries_result *a,
                                const struct message_append_entries_result *b)
{
    assert_int_equal(a->version, b->version);
    assert_true(a->term == b->term && a->rejected == b->rejected && a->last_log_index == b->last_log_index);
    assert_int_equal(a->features, b->features);
    assert_int_equal(a->capacity, b->capacity);
}

static void assert_vote_equal(const struct message_request_vote *a, const struct message_request_vote *b)
{
    assert_int_equal(a->version, b->version);
    assert_true(a->term == b->term && a->candidate_id == b->candidate_id);
    assert_true(a->last_log_index == b->last_log_index && a->last_log_term == b->last_log_term);
    assert_int_equal(a->disrupt_leader, b->disrupt_leader);
    assert_int_equal(a->pre_vote, b->pre_vote);
}

static void assert_vote_result_equal(const struct message_request_vote_result *a,
                                     const struct message_request_vote_result *b)
{
    assert_int_equal(a->version, b->version);
    assert_true(a->term == b->term);
    assert_int_equal(a->vote_granted, b->vote_granted);
    assert_int_equal(a->pre_vote, b->pre_vote);
    assert_int_equal(a->features, b->features);
    assert_int_equal(a->capacity, b->capacity);
}

static void assert_status_equal(const struct message_node_status *a, const struct message_node_status *b)
{
    assert_true(a->started_ms == b->started_ms);
    assert_int_equal(a->leaders, b->leaders);
    assert_int_equal(a->replicas, b->replicas);
    assert_int_equal(a->stopped_groups, b->stopped_groups);
    assert_int_equal(a->leaving, b->leaving);
    assert_span_equal(a->version, b->version);
}

static void assert_message_equal(const struct message *a, const struct message *b)
{
    assert_int_equal(a->kind, b->kind);
    assert_true(a->group == b->group);
    switch (a->kind) {
    case MESSAGE_APPEND_ENTRIES:
        assert_append_entries_equal(&a->append_entries, &b->append_entries);
        return;
    case MESSAGE_APPEND_ENTRIES_RESULT:
        assert_result_equal(&a->append_entries_result, &b->append_entries_result);
        return;
    case MESSAGE_REQUEST_VOTE:
        assert_vote_equal(&a->request_vote, &b->request_vote);
        return;
    case MESSAGE_REQUEST_VOTE_RESULT:
        assert_vote_result_equal(&a->request_vote_result, &b->request_vote_result);
        return;
    case MESSAGE_TIMEOUT_NOW:
        assert_int_equal(a->timeout_now.version, b->timeout_now.version);
        assert_true(a->timeout_now.term == b->timeout_now.term);
        assert_true(a->timeout_now.last_log_index == b->timeout_now.last_log_index);
        assert_true(a->timeout_now.last_log_term == b->timeout_now.last_log_term);
        return;
    case MESSAGE_SNAPSHOT_CHUNK:
        assert_chunk_equal(&a->snapshot_chunk, &b->snapshot_chunk);
        return;
    case MESSAGE_SNAPSHOT_ACK:
        assert_true(a->snapshot_ack.term == b->snapshot_ack.term);
        assert_true(a->snapshot_ack.transfer_id == b->snapshot_ack.transfer_id);
        assert_true(a->snapshot_ack.received == b->snapshot_ack.received);
        return;
    case MESSAGE_COMPARE:
        assert_int_equal(a->compare.kind, b->compare.kind);
        assert_true(a->compare.term == b->compare.term);
        assert_true(a->compare.index == b->compare.index);
        assert_true(a->compare.index_term == b->compare.index_term);
        assert_true(a->compare.state == b->compare.state);
        assert_int_equal(a->compare.counted, b->compare.counted);
        return;
    case MESSAGE_READ:
        assert_true(a->read.term == b->read.term);
        assert_true(a->read.round == b->read.round);
        assert_int_equal(a->read.is_answer, b->read.is_answer);
        return;
    case MESSAGE_HELLO:
        assert_hello_equal(&a->hello, &b->hello);
        return;
    case MESSAGE_NODE_STATUS:
        assert_status_equal(&a->node_status, &b->node_status);
        return;
    case MESSAGE_FORWARD:
        assert_true(a->forward.request_id == b->forward.request_id);
        assert_int_equal(a->forward.hops, b->forward.hops);
        assert_span_equal(a->forward.request, b->forward.request);
        return;
    case MESSAGE_FORWARD_REPLY:
        assert_true(a->forward_reply.request_id == b->forward_reply.request_id);
        assert_span_equal(a->forward_reply.reply, b->forward_reply.reply);
        return;
    case MESSAGE_NONE:
    case MESSAGE_KINDS:
        break;
    }
    fail_msg("kind %d", (int)a->kind);
}

static void assert_frame_equal(const struct frame *a, const struct frame *b)
{
    assert_int_equal(a->version, b->version);
    assert_span_equal(a->cluster, b->cluster);
    assert_true(a->from == b->from && a->to == b->to);
    assert_memory_equal(a->identity.b, b->identity.b, IDENTITY_SIZE);
    assert_int_equal(a->messages_count, b->messages_count);
    for (size_t i = 0; i < a->messages_count; i++) {
        assert_message_equal(&a->messages[i], &b->messages[i]);
    }
}

static void test_round_trip(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct bytes encoded = BYTES_NONE;
    struct frame decoded;
    bool seen[MESSAGE_KINDS] = {false};
    encode(&header, messages, MESSAGES_COUNT, &encoded);
    assert_int_equal(frame_decode(span_bytes(&encoded), &a, &decoded), SG_OK);
    assert_int_equal(decoded.messages_count, MESSAGES_COUNT);
    assert_true(decoded.from == header.from && decoded.to == header.to);
    assert_span_equal(decoded.cluster, header.cluster);
    assert_memory_equal(decoded.identity.b, header.identity.b, IDENTITY_SIZE);
    for (size_t i = 0; i < MESSAGES_COUNT; i++) {
        assert_message_equal(&decoded.messages[i], &messages[i]);
        seen[messages[i].kind] = true;
    }
    for (enum message_kind k = MESSAGE_APPEND_ENTRIES; k < MESSAGE_KINDS; k++) {
        assert_true(seen[k]); /* A new kind needs a row above. */
    }
    bytes_release(&encoded);
    arena_release(&a);
}

static void test_no_messages(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct bytes encoded = BYTES_NONE;
    struct frame decoded;
    frame_begin(&header, &encoded);
    assert_int_equal(frame_decode(span_bytes(&encoded), &a, &decoded), SG_OK);
    assert_int_equal(decoded.messages_count, 0);
    bytes_release(&encoded);
    arena_release(&a);
}

/* A rolling upgrade: what an older node does not know, it leaves out. */
static void test_unknown_kinds_are_left_out(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct bytes encoded = BYTES_NONE;
    struct frame decoded;
    frame_begin(&header, &encoded);
    frame_add(&messages[2], &encoded);
    bytes_append(&encoded, "\x7a\x05\x08\x07\xf2\x06\x00", 7); /* Group 7, field 110: empty. */
    bytes_append(&encoded, "\x7a\x00", 2);                     /* Nothing at all. */
    frame_add(&messages[4], &encoded);
    assert_int_equal(frame_decode(span_bytes(&encoded), &a, &decoded), SG_OK);
    assert_int_equal(decoded.messages_count, 2);
    assert_message_equal(&decoded.messages[0], &messages[2]);
    assert_message_equal(&decoded.messages[1], &messages[4]);
    bytes_release(&encoded);
    arena_release(&a);
}

#define CHANGE(name, code)                               \
    static void name(struct frame *f, struct message *m) \
    {                                                    \
        (void)f;                                         \
        (void)m;                                         \
        code;                                            \
    }

CHANGE(good, (void)0)
CHANGE(no_cluster, f->cluster = SPAN_NONE)
CHANGE(from_nobody, f->from = 0)
CHANGE(to_nobody, f->to = 0)
CHANGE(big_group, m->group = 1000000000)
CHANGE(hello_no_state, (*m = messages[11], m->hello.state = (enum hello_state)0))
CHANGE(hello_foreign_state, (*m = messages[11], m->hello.state = (enum hello_state)4))
CHANGE(chunk_behind_end, (*m = messages[9], m->snapshot_chunk.offset = 96))
CHANGE(chunk_offset_overflow, (*m = messages[9], m->snapshot_chunk.offset = UINT64_MAX - 2))
CHANGE(chunk_at_end, (*m = messages[9], m->snapshot_chunk.offset = 95))
CHANGE(snapshot_endless, (*m = messages[9], m->snapshot_chunk.total_size = SNAPSHOT_SIZE_MAX_BYTES + 1))
CHANGE(compare_nothing, (*m = messages[15], m->compare.kind = (enum compare_kind)0))
CHANGE(compare_foreign, (*m = messages[15], m->compare.kind = COMPARE_KINDS))
CHANGE(ack_endless, (*m = messages[10], m->snapshot_ack.received = SNAPSHOT_SIZE_MAX_BYTES + 1))

static void test_decode_checks_ranges(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        void (*change)(struct frame *f, struct message *m);
        enum sg_err err;
    } rows[] = {
        {"as it should be", good, SG_OK},
        {"no cluster name", no_cluster, SG_INVALID},
        {"from no node", from_nobody, SG_INVALID},
        {"to no node", to_nobody, SG_INVALID},
        {"a group of ten digits", big_group, SG_INVALID},
        {"hello without a state", hello_no_state, SG_INVALID},
        {"hello with a state of a later version", hello_foreign_state, SG_INVALID},
        {"a chunk that ends where the spool ends", chunk_at_end, SG_OK},
        {"a chunk beyond it", chunk_behind_end, SG_INVALID},
        {"offset plus size overflows", chunk_offset_overflow, SG_INVALID},
        {"a spool over the limit", snapshot_endless, SG_INVALID},
        {"a comparison of no kind", compare_nothing, SG_INVALID},
        {"a comparison of an unknown kind", compare_foreign, SG_INVALID},
        {"an ack of more than there can be", ack_endless, SG_INVALID},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct arena a = ARENA_INIT;
        struct bytes encoded = BYTES_NONE;
        struct frame f = header;
        struct message m = messages[2];
        struct frame decoded;
        rows[i].change(&f, &m);
        encode(&f, &m, 1, &encoded);
        enum sg_err err = frame_decode(span_bytes(&encoded), &a, &decoded);
        if (err != rows[i].err) {
            fail_msg("%s: %s", rows[i].why, sg_err_name(err));
        }
        bytes_release(&encoded);
        arena_release(&a);
    }
}

static void test_decode_refuses_other_versions(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct bytes encoded = BYTES_NONE;
    struct frame decoded;
    frame_begin(&header, &encoded);
    assert_int_equal(encoded.p[0], 0x08);
    encoded.p[1] = FRAME_VERSION + 1;
    assert_int_equal(frame_decode(span_bytes(&encoded), &a, &decoded), SG_INVALID);
    assert_int_equal(frame_decode(SPAN_NONE, &a, &decoded), SG_INVALID);
    bytes_release(&encoded);
    arena_release(&a);
}

/* A batch of small messages and a batch of large ones are both within the memory
 * budget of the decoder; a flood of empty ones is not. */
static void test_sizes(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct bytes encoded = BYTES_NONE;
    struct frame decoded;
    struct message heartbeat = {.kind = MESSAGE_APPEND_ENTRIES, .group = 1, .append_entries = {.term = 1}};
    frame_begin(&header, &encoded);
    for (size_t i = 0; i < FRAME_MESSAGES_MAX; i++) {
        frame_add(&heartbeat, &encoded);
    }
    assert_int_equal(frame_decode(span_bytes(&encoded), &a, &decoded), SG_OK);
    assert_int_equal(decoded.messages_count, FRAME_MESSAGES_MAX);
    frame_add(&heartbeat, &encoded);
    assert_int_equal(frame_decode(span_bytes(&encoded), &a, &decoded), SG_TOOBIG);
    arena_reset(&a);

    bytes_clear(&encoded);
    frame_begin(&header, &encoded);
    while (encoded.n < FRAME_SIZE_MAX_BYTES - 1) {
        bytes_append(&encoded, "\x7a\x00", 2);
    }
    assert_int_equal(frame_decode(span_bytes(&encoded), &a, &decoded), SG_INVALID);
    assert_true(a.total_bytes <= 128u << 20);
    (void)bytes_extend(&encoded, 2);
    assert_int_equal(frame_decode(span_bytes(&encoded), &a, &decoded), SG_TOOBIG);
    bytes_release(&encoded);
    arena_release(&a);
}

/* What is accepted can be sent on (with all its CHECKs) and is the same again. */
static void decode_damaged(struct span data, void *arg)
{
    struct arena a = ARENA_INIT;
    struct frame f;
    unsigned *accepted = arg;
    if (frame_decode(data, &a, &f) == SG_OK) {
        struct bytes encoded = BYTES_NONE;
        struct frame again;
        encode(&f, f.messages, f.messages_count, &encoded);
        assert_int_equal(frame_decode(span_bytes(&encoded), &a, &again), SG_OK);
        assert_frame_equal(&f, &again);
        bytes_release(&encoded);
        ++*accepted;
    }
    arena_release(&a);
}

static void test_damaged_encodings(void **state)
{
    (void)state;
    unsigned accepted = 0;
    for (size_t i = 0; i < MESSAGES_COUNT; i++) { /* One at a time: more damages hit its fields. */
        struct bytes encoded = BYTES_NONE;
        encode(&header, &messages[i], 1, &encoded);
        test_mutate(span_bytes(&encoded), decode_damaged, &accepted, 3000, 100 + i);
        bytes_release(&encoded);
    }
    assert_true(accepted > 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_no_messages),
        cmocka_unit_test(test_unknown_kinds_are_left_out),
        cmocka_unit_test(test_decode_checks_ranges),
        cmocka_unit_test(test_decode_refuses_other_versions),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_damaged_encodings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
