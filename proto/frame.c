#include "proto/frame.h"

#include "proto/base/hash.h"
#include "proto/base/units.h"
#include "proto/base/wire.h"
#include "frame.pb-c.h"

#define FIELD_MESSAGES 15

_Static_assert((int)MESSAGE_READ + 1 == (int)SHARDGATE__V1__MESSAGE__BODY_READ,
               "a body's number is its kind plus one");

#define TABLE(name, type, ...)                                                                         \
    static const struct wire_message name##_message = {.schema = &shardgate__v1__##name##__descriptor, \
                                                       WIRE_TABLE(name##_fields),                      \
                                                       .size = sizeof(struct type),                    \
                                                       __VA_ARGS__}

#define ENTRY_AT(member) offsetof(struct message_entry, member)
static const struct wire_field entry_fields[] = {
    {1, WIRE_U64, ENTRY_AT(term), 0, UINT64_MAX},
    {2, WIRE_U8, ENTRY_AT(type), 0, UINT8_MAX},
    {3, WIRE_SPAN, ENTRY_AT(data), 0, ENTRY_SIZE_MAX_BYTES},
};
TABLE(entry, message_entry, );

#define APPEND_ENTRIES_AT(member) offsetof(struct message_append_entries, member)
static const struct wire_field append_entries_fields[] = {
    {1, WIRE_U32, APPEND_ENTRIES_AT(version), 0, UINT32_MAX},
    {2, WIRE_U64, APPEND_ENTRIES_AT(term), 0, UINT64_MAX},
    {3, WIRE_U64, APPEND_ENTRIES_AT(prev_log_index), 0, UINT64_MAX},
    {4, WIRE_U64, APPEND_ENTRIES_AT(prev_log_term), 0, UINT64_MAX},
    {5, WIRE_U64, APPEND_ENTRIES_AT(leader_commit), 0, UINT64_MAX},
    {6, WIRE_MANY, APPEND_ENTRIES_AT(entries), 0, APPEND_ENTRIES_MAX, &entry_message,
     APPEND_ENTRIES_AT(entries_count)},
};
TABLE(append_entries, message_append_entries, .is_valid = NULL);

#define APPEND_ENTRIES_RESULT_AT(member) offsetof(struct message_append_entries_result, member)
static const struct wire_field append_entries_result_fields[] = {
    {1, WIRE_U32, APPEND_ENTRIES_RESULT_AT(version), 0, UINT32_MAX},
    {2, WIRE_U64, APPEND_ENTRIES_RESULT_AT(term), 0, UINT64_MAX},
    {3, WIRE_U64, APPEND_ENTRIES_RESULT_AT(rejected), 0, UINT64_MAX},
    {4, WIRE_U64, APPEND_ENTRIES_RESULT_AT(last_log_index), 0, UINT64_MAX},
    {5, WIRE_U32, APPEND_ENTRIES_RESULT_AT(features), 0, UINT32_MAX},
    {6, WIRE_U32, APPEND_ENTRIES_RESULT_AT(capacity), 0, UINT32_MAX},
};
TABLE(append_entries_result, message_append_entries_result, .is_valid = NULL);

#define REQUEST_VOTE_AT(member) offsetof(struct message_request_vote, member)
static const struct wire_field request_vote_fields[] = {
    {1, WIRE_U32, REQUEST_VOTE_AT(version), 0, UINT32_MAX},
    {2, WIRE_U64, REQUEST_VOTE_AT(term), 0, UINT64_MAX},
    {3, WIRE_U64, REQUEST_VOTE_AT(candidate_id), 0, UINT64_MAX},
    {4, WIRE_U64, REQUEST_VOTE_AT(last_log_index), 0, UINT64_MAX},
    {5, WIRE_U64, REQUEST_VOTE_AT(last_log_term), 0, UINT64_MAX},
    {6, WIRE_BOOL, REQUEST_VOTE_AT(disrupt_leader), 0, 1},
    {7, WIRE_BOOL, REQUEST_VOTE_AT(pre_vote), 0, 1},
};
TABLE(request_vote, message_request_vote, .is_valid = NULL);

#define REQUEST_VOTE_RESULT_AT(member) offsetof(struct message_request_vote_result, member)
static const struct wire_field request_vote_result_fields[] = {
    {1, WIRE_U32, REQUEST_VOTE_RESULT_AT(version), 0, UINT32_MAX},
    {2, WIRE_U64, REQUEST_VOTE_RESULT_AT(term), 0, UINT64_MAX},
    {3, WIRE_BOOL, REQUEST_VOTE_RESULT_AT(vote_granted), 0, 1},
    {4, WIRE_BOOL, REQUEST_VOTE_RESULT_AT(pre_vote), 0, 1},
    {5, WIRE_U32, REQUEST_VOTE_RESULT_AT(features), 0, UINT32_MAX},
    {6, WIRE_U32, REQUEST_VOTE_RESULT_AT(capacity), 0, UINT32_MAX},
};
TABLE(request_vote_result, message_request_vote_result, .is_valid = NULL);

#define TIMEOUT_NOW_AT(member) offsetof(struct message_timeout_now, member)
static const struct wire_field timeout_now_fields[] = {
    {1, WIRE_U32, TIMEOUT_NOW_AT(version), 0, UINT32_MAX},
    {2, WIRE_U64, TIMEOUT_NOW_AT(term), 0, UINT64_MAX},
    {3, WIRE_U64, TIMEOUT_NOW_AT(last_log_index), 0, UINT64_MAX},
    {4, WIRE_U64, TIMEOUT_NOW_AT(last_log_term), 0, UINT64_MAX},
};
TABLE(timeout_now, message_timeout_now, .is_valid = NULL);

#define SNAPSHOT_CHUNK_AT(member) offsetof(struct message_snapshot_chunk, member)
static const struct wire_field snapshot_chunk_fields[] = {
    {1, WIRE_U32, SNAPSHOT_CHUNK_AT(version), 0, UINT32_MAX},
    {2, WIRE_U64, SNAPSHOT_CHUNK_AT(term), 0, UINT64_MAX},
    {3, WIRE_U64, SNAPSHOT_CHUNK_AT(transfer_id), 0, UINT64_MAX},
    {4, WIRE_U64, SNAPSHOT_CHUNK_AT(last_index), 0, UINT64_MAX},
    {5, WIRE_U64, SNAPSHOT_CHUNK_AT(last_term), 0, UINT64_MAX},
    {6, WIRE_U64, SNAPSHOT_CHUNK_AT(conf_index), 0, UINT64_MAX},
    {7, WIRE_SPAN, SNAPSHOT_CHUNK_AT(conf), 0, RAFT_CONFIGURATION_MAX_BYTES},
    {8, WIRE_U64, SNAPSHOT_CHUNK_AT(offset), 0, UINT64_MAX},
    {9, WIRE_U64, SNAPSHOT_CHUNK_AT(total_size), 0, SNAPSHOT_SIZE_MAX_BYTES},
    {10, WIRE_U64, SNAPSHOT_CHUNK_AT(checksum), 0, UINT64_MAX},
    {11, WIRE_SPAN, SNAPSHOT_CHUNK_AT(data), 0, SNAPSHOT_CHUNK_BYTES},
};

static bool snapshot_chunk_is_valid(const void *in)
{
    const struct message_snapshot_chunk *c = in;
    return c->offset <= c->total_size && c->data.n <= c->total_size - c->offset;
}
TABLE(snapshot_chunk, message_snapshot_chunk, .is_input = true, .is_valid = snapshot_chunk_is_valid);

#define SNAPSHOT_ACK_AT(member) offsetof(struct message_snapshot_ack, member)
static const struct wire_field snapshot_ack_fields[] = {
    {1, WIRE_U64, SNAPSHOT_ACK_AT(term), 0, UINT64_MAX},
    {2, WIRE_U64, SNAPSHOT_ACK_AT(transfer_id), 0, UINT64_MAX},
    {3, WIRE_U64, SNAPSHOT_ACK_AT(received), 0, UINT64_MAX},
};

static bool snapshot_ack_is_valid(const void *in)
{
    const struct message_snapshot_ack *a = in;
    return a->received <= SNAPSHOT_SIZE_MAX_BYTES || a->received == UINT64_MAX;
}
TABLE(snapshot_ack, message_snapshot_ack, .is_input = true, .is_valid = snapshot_ack_is_valid);

#define HELLO_MEMBER_AT(member) offsetof(struct hello_member, member)
static const struct wire_field hello_member_fields[] = {
    {1, WIRE_U64, HELLO_MEMBER_AT(node), 0, UINT64_MAX},
    {2, WIRE_FIXED, HELLO_MEMBER_AT(identity), IDENTITY_SIZE, IDENTITY_SIZE},
};
TABLE(hello_member, hello_member, .is_valid = NULL);

/* There when program is. */
#define FORMATS_AT(member) offsetof(struct message_formats, member)
static const struct wire_field formats_fields[] = {
    {1, WIRE_U32, FORMATS_AT(level_min), 1, UINT32_MAX},
    {2, WIRE_U32, FORMATS_AT(level_max), 1, UINT32_MAX},
    {3, WIRE_SPAN, FORMATS_AT(program), 1, NAME_SIZE_MAX},
    {4, WIRE_SPAN, FORMATS_AT(build), 0, DIGEST_SIZE},
    {5, WIRE_U64, FORMATS_AT(catalog_version), 0, UINT64_MAX},
    {6, WIRE_SPAN, FORMATS_AT(catalog), 0, DIGEST_SIZE},
};

static bool formats_are_valid(const void *in)
{
    const struct message_formats *f = in;
    return f->level_min <= f->level_max && (f->build.n == 0 || f->build.n == DIGEST_SIZE) &&
           (f->catalog.n == 0 || f->catalog.n == DIGEST_SIZE);
}
TABLE(formats, message_formats, .is_valid = formats_are_valid);
#define FORMATS(at) WIRE_ONE, at(formats), 0, 1, &formats_message, at(formats.program)

#define HELLO_AT(member) offsetof(struct message_hello, member)
static const struct wire_field hello_fields[] = {
    {1, WIRE_ENUM, HELLO_AT(state), HELLO_FORMING, HELLO_REFUSED},
    {2, WIRE_BOOL, HELLO_AT(reply_wanted), 0, 1},
    {3, WIRE_SPAN, HELLO_AT(node_name), 0, NAME_SIZE_MAX},
    {4, WIRE_SPAN, HELLO_AT(founders_digest), 0, DIGEST_SIZE},
    {5, WIRE_MANY, HELLO_AT(members), 0, NODES_MAX, &hello_member_message, HELLO_AT(members_count)},
    {6, WIRE_SPAN, HELLO_AT(reason), 0, REFUSAL_SIZE_MAX},
    {7, FORMATS(HELLO_AT)},
    {8, WIRE_SPAN, HELLO_AT(ask), 0, PROOF_SIZE},
    {9, WIRE_SPAN, HELLO_AT(answer), 0, PROOF_SIZE},
};

static bool is_proof(struct span s)
{
    return s.n == 0 || s.n == PROOF_SIZE;
}

static bool hello_is_valid(const void *in)
{
    const struct message_hello *h = in;
    return is_proof(h->ask) && is_proof(h->answer);
}
TABLE(hello, message_hello, .is_input = true, .is_valid = hello_is_valid);

#define NODE_STATUS_AT(member) offsetof(struct message_node_status, member)
static const struct wire_field node_status_fields[] = {
    {1, WIRE_U64, NODE_STATUS_AT(started_ms), 0, UINT64_MAX},
    {2, WIRE_U32, NODE_STATUS_AT(leaders), 0, UINT32_MAX},
    {3, WIRE_U32, NODE_STATUS_AT(replicas), 0, UINT32_MAX},
    {4, WIRE_U32, NODE_STATUS_AT(stopped_groups), 0, UINT32_MAX},
    {5, WIRE_BOOL, NODE_STATUS_AT(leaving), 0, 1},
    {6, WIRE_SPAN, NODE_STATUS_AT(version), 0, NAME_SIZE_MAX},
    {7, FORMATS(NODE_STATUS_AT)},
    {8, WIRE_U32, NODE_STATUS_AT(files_missing), 0, UINT32_MAX},
    {9, WIRE_U32, NODE_STATUS_AT(level_lowest), 0, UINT32_MAX},
};
TABLE(node_status, message_node_status, .is_valid = NULL);

#define FORWARD_AT(member) offsetof(struct message_forward, member)
static const struct wire_field forward_fields[] = {
    {1, WIRE_U64, FORWARD_AT(request_id), 0, UINT64_MAX},
    {2, WIRE_U32, FORWARD_AT(hops), 0, UINT32_MAX},
    {3, WIRE_SPAN, FORWARD_AT(request), 0, REQUEST_SIZE_MAX_BYTES},
    {4, WIRE_U32, FORWARD_AT(timeout_ms), 0, UINT32_MAX},
};
TABLE(forward, message_forward, .is_valid = NULL);

#define FORWARD_REPLY_AT(member) offsetof(struct message_forward_reply, member)
static const struct wire_field forward_reply_fields[] = {
    {1, WIRE_U64, FORWARD_REPLY_AT(request_id), 0, UINT64_MAX},
    {2, WIRE_SPAN, FORWARD_REPLY_AT(reply), 0, REPLY_SIZE_MAX_BYTES},
};
TABLE(forward_reply, message_forward_reply, .is_valid = NULL);

#define COMPARE_AT(member) offsetof(struct message_compare, member)
static const struct wire_field compare_fields[] = {
    {1, WIRE_ENUM, COMPARE_AT(kind), COMPARE_QUESTION, COMPARE_KINDS - 1},
    {2, WIRE_U64, COMPARE_AT(term), 0, UINT64_MAX},
    {3, WIRE_U64, COMPARE_AT(index), 0, UINT64_MAX},
    {4, WIRE_U64, COMPARE_AT(index_term), 0, UINT64_MAX},
    {5, WIRE_U64, COMPARE_AT(state), 0, UINT64_MAX},
    {6, WIRE_BOOL, COMPARE_AT(counted), 0, 1},
};
TABLE(compare, message_compare, .is_input = true);

#define READ_AT(member) offsetof(struct message_read, member)
static const struct wire_field read_fields[] = {
    {1, WIRE_U64, READ_AT(term), 0, UINT64_MAX},
    {2, WIRE_U64, READ_AT(round), 0, UINT64_MAX},
    {3, WIRE_BOOL, READ_AT(is_answer), 0, 1},
};
TABLE(read, message_read, .is_valid = NULL);

#define MESSAGE_AT(member) offsetof(struct message, member)
#define BODY(which, name)                                                                         \
    {                                                                                             \
        (which) + 1, WIRE_BODY, MESSAGE_AT(name), which, which, &name##_message, MESSAGE_AT(kind) \
    }
static const struct wire_field message_fields[] = {
    {1, WIRE_U64, MESSAGE_AT(group), 0, ABA_MAX},
    BODY(MESSAGE_APPEND_ENTRIES, append_entries),
    BODY(MESSAGE_APPEND_ENTRIES_RESULT, append_entries_result),
    BODY(MESSAGE_REQUEST_VOTE, request_vote),
    BODY(MESSAGE_REQUEST_VOTE_RESULT, request_vote_result),
    BODY(MESSAGE_TIMEOUT_NOW, timeout_now),
    BODY(MESSAGE_SNAPSHOT_CHUNK, snapshot_chunk),
    BODY(MESSAGE_SNAPSHOT_ACK, snapshot_ack),
    BODY(MESSAGE_HELLO, hello),
    BODY(MESSAGE_NODE_STATUS, node_status),
    BODY(MESSAGE_FORWARD, forward),
    BODY(MESSAGE_FORWARD_REPLY, forward_reply),
    BODY(MESSAGE_COMPARE, compare),
    BODY(MESSAGE_READ, read),
};
TABLE(message, message, .is_input = true);

#define FRAME_AT(member) offsetof(struct frame, member)
static const struct wire_field frame_fields[] = {
    {1, WIRE_U32, FRAME_AT(version), FRAME_VERSION, FRAME_VERSION},
    {2, WIRE_SPAN, FRAME_AT(cluster), 1, NAME_SIZE_MAX},
    {3, WIRE_U64, FRAME_AT(from), 1, UINT64_MAX},
    {4, WIRE_U64, FRAME_AT(to), 1, UINT64_MAX},
    {5, WIRE_FIXED, FRAME_AT(identity), IDENTITY_SIZE, IDENTITY_SIZE},
    {6, WIRE_SPAN, FRAME_AT(proof), 0, PROOF_SIZE},
    {FIELD_MESSAGES, WIRE_MANY, FRAME_AT(messages), 0, FRAME_MESSAGES_MAX, &message_message,
     FRAME_AT(messages_count)},
};

static bool frame_is_valid(const void *in)
{
    const struct frame *f = in;
    return is_proof(f->proof);
}
TABLE(frame, frame, .is_input = true, .is_valid = frame_is_valid);

void frame_begin(const struct frame *header, struct bytes *out)
{
    struct frame head = *header;
    head.messages = NULL;
    head.messages_count = 0;
    wire_encode(&frame_message, &head, out);
}

/* Appending a field to an encoded message is protobuf's own way to merge, so a
 * frame can grow message by message without being encoded again. */
void frame_add(const struct message *m, struct bytes *out)
{
    CHECK(m->kind > MESSAGE_NONE && m->kind < MESSAGE_KINDS);
    wire_append(FIELD_MESSAGES, &message_message, m, out);
    CHECK(out->n <= FRAME_SIZE_MAX_BYTES);
}

/* Those of a kind of a later version, and empty ones. */
static void leave_out_unknown(struct frame *f)
{
    size_t n = 0;
    for (size_t i = 0; i < f->messages_count; i++) {
        if (f->messages[i].kind != MESSAGE_NONE) {
            f->messages[n++] = f->messages[i];
        }
    }
    f->messages_count = n;
}

enum sg_err frame_decode(struct span data, struct arena *a, struct frame *out)
{
    struct wire_why why;
    if (data.n > FRAME_SIZE_MAX_BYTES) {
        return SG_TOOBIG;
    }
    if (wire_decode(&frame_message, data, WIRE_LENIENT, a, out, &why) != SG_OK) {
        return why.number == FIELD_MESSAGES && why.fault == WIRE_FAULT_COUNT && !why.is_inside ? SG_TOOBIG
                                                                                               : SG_INVALID;
    }
    leave_out_unknown(out);
    return SG_OK;
}
