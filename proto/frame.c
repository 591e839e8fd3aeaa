#include "proto/frame.h"

#include <string.h>

#include "proto/base/arena_pb.h"
#include "proto/base/hash.h"
#include "proto/base/limits.h"
#include "proto/base/units.h"
#include "frame.pb-c.h"

/* Field 15, length-delimited: the tag before each message of a frame. */
#define MESSAGES_TAG 0x7a
#define MESSAGES_FIELD 15
#define VARINT_SIZE_MAX 10

_Static_assert(MESSAGES_TAG == (MESSAGES_FIELD << 3 | 2), "protobuf's tag");
_Static_assert((int)MESSAGE_FORWARD_REPLY + 1 == (int)SHARDGATE__V1__MESSAGE__BODY_FORWARD_REPLY,
               "a body's number is its kind plus one");

/* Everything the encoded form of one message points to. */
struct message_pb {
    Shardgate__V1__Message message;
    union {
        Shardgate__V1__AppendEntries append_entries;
        Shardgate__V1__AppendEntriesResult append_entries_result;
        Shardgate__V1__RequestVote request_vote;
        Shardgate__V1__RequestVoteResult request_vote_result;
        Shardgate__V1__TimeoutNow timeout_now;
        Shardgate__V1__SnapshotChunk snapshot_chunk;
        Shardgate__V1__SnapshotAck snapshot_ack;
        Shardgate__V1__Hello hello;
        Shardgate__V1__NodeStatus node_status;
        Shardgate__V1__Forward forward;
        Shardgate__V1__ForwardReply forward_reply;
    } body;
    union {
        struct {
            Shardgate__V1__Entry *list[APPEND_ENTRIES_MAX];
            Shardgate__V1__Entry entries[APPEND_ENTRIES_MAX];
        } log;
        struct {
            Shardgate__V1__HelloMember *list[NODES_MAX];
            Shardgate__V1__HelloMember members[NODES_MAX];
        } hello;
    } parts;
};

/* --- Encoding ------------------------------------------------------------ */

static void put_append_entries(const struct message_append_entries *m, struct message_pb *out)
{
    Shardgate__V1__AppendEntries *pb = &out->body.append_entries;
    CHECK(m->entries_count <= APPEND_ENTRIES_MAX);
    shardgate__v1__append_entries__init(pb);
    pb->version = m->version;
    pb->term = m->term;
    pb->prev_log_index = m->prev_log_index;
    pb->prev_log_term = m->prev_log_term;
    pb->leader_commit = m->leader_commit;
    pb->n_entries = m->entries_count;
    pb->entries = out->parts.log.list;
    for (size_t i = 0; i < m->entries_count; i++) {
        Shardgate__V1__Entry *entry = &out->parts.log.entries[i];
        CHECK(m->entries[i].data.n <= ENTRY_SIZE_MAX_BYTES);
        shardgate__v1__entry__init(entry);
        entry->term = m->entries[i].term;
        entry->type = m->entries[i].type;
        entry->data = pb_of_span(m->entries[i].data);
        out->parts.log.list[i] = entry;
    }
    out->message.append_entries = pb;
}

static void put_append_entries_result(const struct message_append_entries_result *m, struct message_pb *out)
{
    Shardgate__V1__AppendEntriesResult *pb = &out->body.append_entries_result;
    shardgate__v1__append_entries_result__init(pb);
    pb->version = m->version;
    pb->term = m->term;
    pb->rejected = m->rejected;
    pb->last_log_index = m->last_log_index;
    pb->features = m->features;
    pb->capacity = m->capacity;
    out->message.append_entries_result = pb;
}

static void put_request_vote(const struct message_request_vote *m, struct message_pb *out)
{
    Shardgate__V1__RequestVote *pb = &out->body.request_vote;
    shardgate__v1__request_vote__init(pb);
    pb->version = m->version;
    pb->term = m->term;
    pb->candidate_id = m->candidate_id;
    pb->last_log_index = m->last_log_index;
    pb->last_log_term = m->last_log_term;
    pb->disrupt_leader = m->disrupt_leader;
    pb->pre_vote = m->pre_vote;
    out->message.request_vote = pb;
}

static void put_request_vote_result(const struct message_request_vote_result *m, struct message_pb *out)
{
    Shardgate__V1__RequestVoteResult *pb = &out->body.request_vote_result;
    shardgate__v1__request_vote_result__init(pb);
    pb->version = m->version;
    pb->term = m->term;
    pb->vote_granted = m->vote_granted;
    pb->pre_vote = m->pre_vote;
    pb->features = m->features;
    pb->capacity = m->capacity;
    out->message.request_vote_result = pb;
}

static void put_timeout_now(const struct message_timeout_now *m, struct message_pb *out)
{
    Shardgate__V1__TimeoutNow *pb = &out->body.timeout_now;
    shardgate__v1__timeout_now__init(pb);
    pb->version = m->version;
    pb->term = m->term;
    pb->last_log_index = m->last_log_index;
    pb->last_log_term = m->last_log_term;
    out->message.timeout_now = pb;
}

static void put_snapshot_chunk(const struct message_snapshot_chunk *m, struct message_pb *out)
{
    Shardgate__V1__SnapshotChunk *pb = &out->body.snapshot_chunk;
    CHECK(m->data.n <= SNAPSHOT_CHUNK_BYTES);
    CHECK(m->conf.n <= RAFT_CONFIGURATION_MAX_BYTES);
    shardgate__v1__snapshot_chunk__init(pb);
    pb->version = m->version;
    pb->term = m->term;
    pb->transfer_id = m->transfer_id;
    pb->last_index = m->last_index;
    pb->last_term = m->last_term;
    pb->conf_index = m->conf_index;
    pb->conf = pb_of_span(m->conf);
    pb->offset = m->offset;
    pb->total_size = m->total_size;
    pb->checksum = m->checksum;
    pb->data = pb_of_span(m->data);
    out->message.snapshot_chunk = pb;
}

static void put_snapshot_ack(const struct message_snapshot_ack *m, struct message_pb *out)
{
    Shardgate__V1__SnapshotAck *pb = &out->body.snapshot_ack;
    shardgate__v1__snapshot_ack__init(pb);
    pb->term = m->term;
    pb->transfer_id = m->transfer_id;
    pb->received = m->received;
    out->message.snapshot_ack = pb;
}

static void put_hello(const struct message_hello *m, struct message_pb *out)
{
    Shardgate__V1__Hello *pb = &out->body.hello;
    CHECK(m->members_count <= NODES_MAX);
    CHECK(m->reason.n <= REFUSAL_SIZE_MAX);
    shardgate__v1__hello__init(pb);
    pb->state = (Shardgate__V1__HelloState)m->state;
    pb->reply_wanted = m->reply_wanted;
    pb->node_name = pb_of_span(m->node_name);
    pb->founders_digest = pb_of_span(m->founders_digest);
    pb->n_members = m->members_count;
    pb->members = out->parts.hello.list;
    for (size_t i = 0; i < m->members_count; i++) {
        Shardgate__V1__HelloMember *member = &out->parts.hello.members[i];
        shardgate__v1__hello_member__init(member);
        member->node = m->members[i].node;
        member->identity = pb_of_span(span_of(m->members[i].identity.b, IDENTITY_SIZE));
        out->parts.hello.list[i] = member;
    }
    pb->reason = pb_of_span(m->reason);
    out->message.hello = pb;
}

static void put_node_status(const struct message_node_status *m, struct message_pb *out)
{
    Shardgate__V1__NodeStatus *pb = &out->body.node_status;
    shardgate__v1__node_status__init(pb);
    pb->started_ms = m->started_ms;
    pb->leaders = m->leaders;
    pb->replicas = m->replicas;
    pb->stopped_groups = m->stopped_groups;
    pb->leaving = m->leaving;
    pb->version = pb_of_span(m->version);
    out->message.node_status = pb;
}

static void put_forward(const struct message_forward *m, struct message_pb *out)
{
    Shardgate__V1__Forward *pb = &out->body.forward;
    CHECK(m->request.n <= REQUEST_SIZE_MAX_BYTES);
    shardgate__v1__forward__init(pb);
    pb->request_id = m->request_id;
    pb->hops = m->hops;
    pb->request = pb_of_span(m->request);
    out->message.forward = pb;
}

static void put_forward_reply(const struct message_forward_reply *m, struct message_pb *out)
{
    Shardgate__V1__ForwardReply *pb = &out->body.forward_reply;
    CHECK(m->reply.n <= REPLY_SIZE_MAX_BYTES);
    shardgate__v1__forward_reply__init(pb);
    pb->request_id = m->request_id;
    pb->reply = pb_of_span(m->reply);
    out->message.forward_reply = pb;
}

static void message_to_pb(const struct message *m, struct message_pb *out)
{
    shardgate__v1__message__init(&out->message);
    out->message.group = m->group;
    out->message.body_case = (Shardgate__V1__Message__BodyCase)(m->kind + 1);
    switch (m->kind) {
    case MESSAGE_APPEND_ENTRIES:
        put_append_entries(&m->append_entries, out);
        return;
    case MESSAGE_APPEND_ENTRIES_RESULT:
        put_append_entries_result(&m->append_entries_result, out);
        return;
    case MESSAGE_REQUEST_VOTE:
        put_request_vote(&m->request_vote, out);
        return;
    case MESSAGE_REQUEST_VOTE_RESULT:
        put_request_vote_result(&m->request_vote_result, out);
        return;
    case MESSAGE_TIMEOUT_NOW:
        put_timeout_now(&m->timeout_now, out);
        return;
    case MESSAGE_SNAPSHOT_CHUNK:
        put_snapshot_chunk(&m->snapshot_chunk, out);
        return;
    case MESSAGE_SNAPSHOT_ACK:
        put_snapshot_ack(&m->snapshot_ack, out);
        return;
    case MESSAGE_HELLO:
        put_hello(&m->hello, out);
        return;
    case MESSAGE_NODE_STATUS:
        put_node_status(&m->node_status, out);
        return;
    case MESSAGE_FORWARD:
        put_forward(&m->forward, out);
        return;
    case MESSAGE_FORWARD_REPLY:
        put_forward_reply(&m->forward_reply, out);
        return;
    case MESSAGE_NONE:
    case MESSAGE_KINDS:
        break;
    }
    CHECK(m->kind > MESSAGE_NONE && m->kind < MESSAGE_KINDS);
}

static size_t varint_put(uint8_t *p, size_t n)
{
    size_t size = 0;
    while (n >= 0x80) {
        p[size++] = (uint8_t)(n | 0x80);
        n >>= 7;
    }
    p[size++] = (uint8_t)n;
    return size;
}

void frame_begin(const struct frame *header, struct bytes *out)
{
    Shardgate__V1__Frame pb = SHARDGATE__V1__FRAME__INIT;
    CHECK(header->version == FRAME_VERSION);
    pb.version = header->version;
    pb.cluster = pb_of_span(header->cluster);
    pb.from = header->from;
    pb.to = header->to;
    pb.identity = pb_of_span(span_of(header->identity.b, IDENTITY_SIZE));
    pb_append(&pb.base, out);
}

/* Appending a field to an encoded message is protobuf's own way to merge, so a
 * frame can grow message by message without being encoded again. */
void frame_add(const struct message *m, struct bytes *out)
{
    struct message_pb pb;
    uint8_t head[1 + VARINT_SIZE_MAX] = {MESSAGES_TAG};
    message_to_pb(m, &pb);
    size_t size = protobuf_c_message_get_packed_size(&pb.message.base);
    size_t head_size = 1 + varint_put(head + 1, size);
    CHECK(size <= FRAME_SIZE_MAX_BYTES);
    CHECK(out->n + head_size + size <= FRAME_SIZE_MAX_BYTES);
    bytes_append(out, head, head_size);
    if (size > 0) {
        size_t packed = protobuf_c_message_pack(&pb.message.base, bytes_extend(out, size));
        CHECK(packed == size);
    }
}

/* --- Decoding ------------------------------------------------------------ */

static bool identity_of_pb(ProtobufCBinaryData pb, struct identity *out)
{
    if (pb.len != IDENTITY_SIZE) {
        return false;
    }
    memcpy(out->b, pb.data, IDENTITY_SIZE);
    return true;
}

static bool get_append_entries(const Shardgate__V1__AppendEntries *pb, struct arena *a,
                               struct message_append_entries *out)
{
    if (pb->n_entries > APPEND_ENTRIES_MAX) {
        return false;
    }
    *out = (struct message_append_entries){
        .version = pb->version,
        .term = pb->term,
        .prev_log_index = pb->prev_log_index,
        .prev_log_term = pb->prev_log_term,
        .leader_commit = pb->leader_commit,
        .entries = arena_array(a, pb->n_entries, sizeof(*out->entries)),
        .entries_count = pb->n_entries,
    };
    for (size_t i = 0; i < pb->n_entries; i++) {
        const Shardgate__V1__Entry *entry = pb->entries[i];
        if (entry->type > UINT8_MAX || entry->data.len > ENTRY_SIZE_MAX_BYTES) {
            return false;
        }
        out->entries[i] = (struct message_entry){
            .term = entry->term, .type = (uint8_t)entry->type, .data = pb_span(entry->data)};
    }
    return true;
}

static bool get_append_entries_result(const Shardgate__V1__AppendEntriesResult *pb,
                                      struct message_append_entries_result *out)
{
    *out = (struct message_append_entries_result){
        .version = pb->version,
        .term = pb->term,
        .rejected = pb->rejected,
        .last_log_index = pb->last_log_index,
        .features = pb->features,
        .capacity = pb->capacity,
    };
    return true;
}

static bool get_request_vote(const Shardgate__V1__RequestVote *pb, struct message_request_vote *out)
{
    *out = (struct message_request_vote){
        .version = pb->version,
        .term = pb->term,
        .candidate_id = pb->candidate_id,
        .last_log_index = pb->last_log_index,
        .last_log_term = pb->last_log_term,
        .disrupt_leader = pb->disrupt_leader != 0,
        .pre_vote = pb->pre_vote != 0,
    };
    return true;
}

static bool get_request_vote_result(const Shardgate__V1__RequestVoteResult *pb,
                                    struct message_request_vote_result *out)
{
    *out = (struct message_request_vote_result){
        .version = pb->version,
        .term = pb->term,
        .vote_granted = pb->vote_granted != 0,
        .pre_vote = pb->pre_vote != 0,
        .features = pb->features,
        .capacity = pb->capacity,
    };
    return true;
}

static bool get_timeout_now(const Shardgate__V1__TimeoutNow *pb, struct message_timeout_now *out)
{
    *out = (struct message_timeout_now){
        .version = pb->version,
        .term = pb->term,
        .last_log_index = pb->last_log_index,
        .last_log_term = pb->last_log_term,
    };
    return true;
}

static bool get_snapshot_chunk(const Shardgate__V1__SnapshotChunk *pb, struct message_snapshot_chunk *out)
{
    *out = (struct message_snapshot_chunk){
        .version = pb->version,
        .term = pb->term,
        .transfer_id = pb->transfer_id,
        .last_index = pb->last_index,
        .last_term = pb->last_term,
        .conf_index = pb->conf_index,
        .conf = pb_span(pb->conf),
        .offset = pb->offset,
        .total_size = pb->total_size,
        .checksum = pb->checksum,
        .data = pb_span(pb->data),
    };
    return out->conf.n <= RAFT_CONFIGURATION_MAX_BYTES && out->data.n <= SNAPSHOT_CHUNK_BYTES &&
           out->total_size <= SNAPSHOT_SIZE_MAX_BYTES && out->offset <= out->total_size &&
           out->data.n <= out->total_size - out->offset;
}

static bool get_snapshot_ack(const Shardgate__V1__SnapshotAck *pb, struct message_snapshot_ack *out)
{
    *out = (struct message_snapshot_ack){
        .term = pb->term,
        .transfer_id = pb->transfer_id,
        .received = pb->received,
    };
    return out->received <= SNAPSHOT_SIZE_MAX_BYTES || out->received == UINT64_MAX;
}

static bool get_hello(const Shardgate__V1__Hello *pb, struct arena *a, struct message_hello *out)
{
    if (pb->n_members > NODES_MAX || pb->state < (int)HELLO_FORMING || pb->state > (int)HELLO_REFUSED) {
        return false;
    }
    *out = (struct message_hello){
        .state = (enum hello_state)pb->state,
        .reply_wanted = pb->reply_wanted != 0,
        .node_name = pb_span(pb->node_name),
        .founders_digest = pb_span(pb->founders_digest),
        .members = arena_array(a, pb->n_members, sizeof(*out->members)),
        .members_count = pb->n_members,
        .reason = pb_span(pb->reason),
    };
    for (size_t i = 0; i < pb->n_members; i++) {
        out->members[i].node = pb->members[i]->node;
        if (!identity_of_pb(pb->members[i]->identity, &out->members[i].identity)) {
            return false;
        }
    }
    return out->node_name.n <= NAME_SIZE_MAX && out->founders_digest.n <= DIGEST_SIZE &&
           out->reason.n <= REFUSAL_SIZE_MAX;
}

static bool get_node_status(const Shardgate__V1__NodeStatus *pb, struct message_node_status *out)
{
    *out = (struct message_node_status){
        .started_ms = pb->started_ms,
        .leaders = pb->leaders,
        .replicas = pb->replicas,
        .stopped_groups = pb->stopped_groups,
        .leaving = pb->leaving != 0,
        .version = pb_span(pb->version),
    };
    return out->version.n <= NAME_SIZE_MAX;
}

static bool get_forward(const Shardgate__V1__Forward *pb, struct message_forward *out)
{
    *out = (struct message_forward){
        .request_id = pb->request_id,
        .hops = pb->hops,
        .request = pb_span(pb->request),
    };
    return out->request.n <= REQUEST_SIZE_MAX_BYTES;
}

static bool get_forward_reply(const Shardgate__V1__ForwardReply *pb, struct message_forward_reply *out)
{
    *out = (struct message_forward_reply){
        .request_id = pb->request_id,
        .reply = pb_span(pb->reply),
    };
    return out->reply.n <= REPLY_SIZE_MAX_BYTES;
}

static bool message_of_pb(const Shardgate__V1__Message *pb, struct arena *a, struct message *out)
{
    out->kind = (enum message_kind)(pb->body_case - 1);
    out->group = pb->group;
    if (pb->group > ABA_MAX) {
        return false;
    }
    switch (out->kind) {
    case MESSAGE_APPEND_ENTRIES:
        return get_append_entries(pb->append_entries, a, &out->append_entries);
    case MESSAGE_APPEND_ENTRIES_RESULT:
        return get_append_entries_result(pb->append_entries_result, &out->append_entries_result);
    case MESSAGE_REQUEST_VOTE:
        return get_request_vote(pb->request_vote, &out->request_vote);
    case MESSAGE_REQUEST_VOTE_RESULT:
        return get_request_vote_result(pb->request_vote_result, &out->request_vote_result);
    case MESSAGE_TIMEOUT_NOW:
        return get_timeout_now(pb->timeout_now, &out->timeout_now);
    case MESSAGE_SNAPSHOT_CHUNK:
        return get_snapshot_chunk(pb->snapshot_chunk, &out->snapshot_chunk);
    case MESSAGE_SNAPSHOT_ACK:
        return get_snapshot_ack(pb->snapshot_ack, &out->snapshot_ack);
    case MESSAGE_HELLO:
        return get_hello(pb->hello, a, &out->hello);
    case MESSAGE_NODE_STATUS:
        return get_node_status(pb->node_status, &out->node_status);
    case MESSAGE_FORWARD:
        return get_forward(pb->forward, &out->forward);
    case MESSAGE_FORWARD_REPLY:
        return get_forward_reply(pb->forward_reply, &out->forward_reply);
    case MESSAGE_NONE:
    case MESSAGE_KINDS:
        break;
    }
    return false;
}

static bool header_of_pb(const Shardgate__V1__Frame *pb, struct frame *out)
{
    *out = (struct frame){
        .version = pb->version,
        .cluster = pb_span(pb->cluster),
        .from = pb->from,
        .to = pb->to,
    };
    return out->version == FRAME_VERSION && out->cluster.n >= 1 && out->cluster.n <= NAME_SIZE_MAX &&
           out->from != 0 && out->to != 0 && identity_of_pb(pb->identity, &out->identity);
}

/* Of a kind of a later version, or empty. */
static bool message_is_unknown(const Shardgate__V1__Message *pb)
{
    return pb->body_case == SHARDGATE__V1__MESSAGE__BODY__NOT_SET;
}

enum sg_err frame_decode(struct span data, struct arena *a, struct frame *out)
{
    if (data.n > FRAME_SIZE_MAX_BYTES) {
        return SG_TOOBIG;
    }
    const Shardgate__V1__Frame *pb = (const void *)pb_unpack(&shardgate__v1__frame__descriptor, data, a);
    if (pb == NULL || !header_of_pb(pb, out)) {
        return SG_INVALID;
    }
    if (pb->n_messages > FRAME_MESSAGES_MAX) {
        return SG_TOOBIG;
    }
    out->messages = arena_array(a, pb->n_messages, sizeof(*out->messages));
    for (size_t i = 0; i < pb->n_messages; i++) {
        if (message_is_unknown(pb->messages[i])) {
            continue;
        }
        if (!message_of_pb(pb->messages[i], a, &out->messages[out->messages_count])) {
            return SG_INVALID;
        }
        out->messages_count++;
    }
    return SG_OK;
}
