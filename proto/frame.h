/* What nodes send to each other: frames of messages, versioned by
 * proto/frame.proto.
 *
 * A frame is a header and any number of messages of any number of groups. It is
 * built by appending: frame_begin() once, frame_add() for each message. A
 * message is encoded when it is added, so everything it points to is borrowed
 * for that call only. */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include "proto/base/arena.h"
#include "proto/base/limits.h"
#include "proto/base/err.h"

#define IDENTITY_SIZE 16
#define PROOF_SIZE 16

/* Of a data directory: random, made once when it is first used. */
struct identity {
    uint8_t b[IDENTITY_SIZE];
};

/* Who can put it into a frame hears what is sent to the sender's configured address:
 * random, made by the receiver for this sender when its process starts. */
struct proof {
    uint8_t b[PROOF_SIZE];
};

/* Numbers are on the wire: append only. */
enum message_kind {
    MESSAGE_NONE,
    MESSAGE_APPEND_ENTRIES,
    MESSAGE_APPEND_ENTRIES_RESULT,
    MESSAGE_REQUEST_VOTE,
    MESSAGE_REQUEST_VOTE_RESULT,
    MESSAGE_TIMEOUT_NOW,
    MESSAGE_SNAPSHOT_CHUNK,
    MESSAGE_SNAPSHOT_ACK,
    MESSAGE_HELLO,       /* Who I am and what I know; asks for the same. */
    MESSAGE_NODE_STATUS, /* The node's heartbeat. */
    MESSAGE_FORWARD,     /* A client's request on its way to a leader. */
    MESSAGE_FORWARD_REPLY,
    MESSAGE_COMPARE, /* Are the rows of two replicas equal? */
    MESSAGE_READ,    /* Is the sender's term still the receiver's? */
    MESSAGE_KINDS
};

struct message_entry {
    uint64_t term;
    uint8_t type;
    struct span data;
};

struct message_append_entries {
    uint32_t version;
    uint64_t term, prev_log_index, prev_log_term, leader_commit;
    struct message_entry *entries;
    size_t entries_count;
};

struct message_append_entries_result {
    uint32_t version;
    uint64_t term, rejected, last_log_index;
    uint32_t features, capacity;
};

struct message_request_vote {
    uint32_t version;
    uint64_t term, candidate_id, last_log_index, last_log_term;
    bool disrupt_leader, pre_vote;
};

struct message_request_vote_result {
    uint32_t version;
    uint64_t term;
    bool vote_granted, pre_vote;
    uint32_t features, capacity;
};

struct message_timeout_now {
    uint32_t version;
    uint64_t term, last_log_index, last_log_term;
};

/* Part of a group's state rows. The first chunk (offset 0) and every later one
 * carry the same head, so that a receiver can start or refuse at any chunk. */
struct message_snapshot_chunk {
    uint32_t version;
    uint64_t term;        /* The sender's. */
    uint64_t transfer_id; /* Chosen by the sender; a new one restarts. */
    uint64_t last_index, last_term, conf_index;
    struct span conf; /* Encoded configuration at last_index. */
    uint64_t offset, total_size;
    uint64_t checksum; /* Of the whole spool. */
    struct span data;
};

struct message_snapshot_ack {
    uint64_t term, transfer_id;
    uint64_t received; /* Bytes held without a gap; UINT64_MAX: refused, start anew. */
};

/* What a node runs and what it goes by, so that people are told of nodes that
 * differ. program empty: the sender knows of no levels, and speaks level 1. */
struct message_formats {
    uint32_t level_min, level_max; /* proto/level.h */
    struct span program;           /* Its version. */
    struct span build;             /* Digest of it; empty: unknown. */
    uint64_t catalog_version;
    struct span catalog; /* Digest of the catalog's objects at that version; empty: none yet. */
};

enum hello_state { HELLO_FORMING = 1, HELLO_FORMED, HELLO_REFUSED };

struct hello_member {
    uint64_t node;
    struct identity identity;
};

struct message_hello {
    enum hello_state state;
    bool reply_wanted;
    struct span node_name;
    struct span founders_digest;  /* Of the list of founding members in the configuration. */
    struct hello_member *members; /* What the sender knows: all founders once formed. */
    size_t members_count;
    struct span reason; /* With HELLO_REFUSED: why the receiver is refused. */
    struct message_formats formats;
    /* struct proof each, or empty: of a program that knows of none. */
    struct span ask;    /* What the receiver is to put into its frames to the sender. */
    struct span answer; /* The ask of a hello that came under the receiver's name. */
};

struct message_node_status {
    uint64_t started_ms; /* Wall clock of the sender's start. */
    uint32_t leaders, replicas, stopped_groups;
    bool leaving; /* SIGTERM came: don't hand leadership to it. */
    struct span version;
    struct message_formats formats;
    uint32_t files_missing; /* Sealed files of its replicas whose bytes it has not stored yet. */
    uint32_t level_lowest;  /* Of the shards that it leads; 0: it leads none. */
};

struct message_forward {
    uint64_t request_id; /* Of the sending node. */
    uint32_t hops;
    struct span request; /* proto/client.h */
    uint32_t timeout_ms; /* What is left of the request's own; 0: all of it. */
};

struct message_forward_reply {
    uint64_t request_id;
    struct span reply;
};

/* Numbers are on the wire: append only. */
enum compare_kind {
    COMPARE_QUESTION = 1, /* The leader's: what is your state at index? It is committed. */
    COMPARE_ANSWER,       /* At index, or at the one nearest to it that is still known. */
    COMPARE_DIFFERS,      /* The leader's: a majority has this state there, you have not. */
    COMPARE_UNDECIDED,    /* The leader's: ours differ and no majority decides. Count your rows. */
    COMPARE_ROWS_WANTED,  /* To the leader: my rows are lost; yours, please, of index or later. */
    COMPARE_KINDS
};

struct message_compare {
    enum compare_kind kind;
    uint64_t term, index, index_term;
    uint64_t state; /* Digest and set hash after that entry, in 8 bytes. */
    bool counted;   /* Of an answer: the sender's rows are what its own set hash says. */
};

/* A round of a leader before it answers from its rows. A receiver of the same term
 * sends it back. */
struct message_read {
    uint64_t term, round;
    bool is_answer;
};

struct message {
    enum message_kind kind;
    uint64_t group; /* 0: the catalog, or none for node messages. */
    union {
        struct message_append_entries append_entries;
        struct message_append_entries_result append_entries_result;
        struct message_request_vote request_vote;
        struct message_request_vote_result request_vote_result;
        struct message_timeout_now timeout_now;
        struct message_snapshot_chunk snapshot_chunk;
        struct message_snapshot_ack snapshot_ack;
        struct message_hello hello;
        struct message_node_status node_status;
        struct message_forward forward;
        struct message_forward_reply forward_reply;
        struct message_compare compare;
        struct message_read read;
    };
};

#define FRAME_VERSION 1

struct frame {
    uint32_t version;
    struct span cluster;      /* Name; frames of another cluster are dropped. */
    uint64_t from, to;        /* Node ids. */
    struct identity identity; /* Of the sender's data directory. */
    struct span proof;        /* struct proof, or empty: none is known, or needed. */
    struct message *messages;
    size_t messages_count;
};

/* Appends the header to out (messages of header are ignored). */
void frame_begin(const struct frame *header, struct bytes *out);
/* Appends one message. CHECKs that it keeps the limits. */
void frame_add(const struct message *m, struct bytes *out);
/* SG_INVALID: malformed, another version, a count or value out of range; SG_TOOBIG.
 * Messages of an unknown kind are left out, not an error. Spans point into
 * the arena or into data, which must both outlive out. */
MUST_USE enum sg_err frame_decode(struct span data, struct arena *a, struct frame *out);

#endif
