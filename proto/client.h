/* What clients ask and nodes answer (client port and, forwarded, between
 * nodes), versioned by proto/client.proto.
 *
 * Submitting is typed, because it is the hot path. Every other verb carries
 * named text arguments and answers with one JSON document, so that the tool
 * prints the same whichever node or data directory it came from. */
#ifndef PROTO_CLIENT_H
#define PROTO_CLIENT_H

#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/transfer.h"

#define CLIENT_VERSION 1

/* Numbers are on the wire: append only. What a node does with each stands in
 * supervisor/verbs/table.h. */
#define REQUEST_TABLE(X)                            \
    X(REQUEST_NONE, "none")                         \
    X(REQUEST_PING, "ping")                         \
    X(REQUEST_STATUS, "status")                     \
    X(REQUEST_NODES_LIST, "nodes list")             \
    X(REQUEST_SHARDS_LIST, "shards list")           \
    X(REQUEST_SHARDS_SHOW, "shards show")           \
    X(REQUEST_LEADER_SHOW, "leader show")           \
    X(REQUEST_LEADER_TRANSFER, "leader transfer")   \
    X(REQUEST_SUBMIT, "transfers submit")           \
    X(REQUEST_CANCEL, "transfers cancel")           \
    X(REQUEST_TRANSFERS_SHOW, "transfers show")     \
    X(REQUEST_TRANSFERS_LIST, "transfers list")     \
    X(REQUEST_TRANSFERS_TRACE, "transfers trace")   \
    X(REQUEST_WINDOWS_CLOSE, "windows close")       \
    X(REQUEST_WINDOWS_LIST, "windows list")         \
    X(REQUEST_FILES_LIST, "files list")             \
    X(REQUEST_FILES_SHOW, "files show")             \
    X(REQUEST_FILES_GET, "files get")               \
    X(REQUEST_FILES_VERIFY, "files verify")         \
    X(REQUEST_FILES_CANCEL, "files cancel")         \
    X(REQUEST_FILES_RESOLVE, "files resolve")       \
    X(REQUEST_EVENTS, "events")                     \
    X(REQUEST_LOG_DUMP, "log dump")                 \
    X(REQUEST_APPLY, "apply")                       \
    X(REQUEST_EXPORT, "export")                     \
    X(REQUEST_HASH, "hash")                         \
    X(REQUEST_NODES_SHOW, "nodes show")             \
    X(REQUEST_UPGRADE_STATUS, "upgrade status")     \
    X(REQUEST_UPGRADE_FINALIZE, "upgrade finalize") \
    X(REQUEST_WINDOWS_RELEASE, "windows release")

#define REQUEST_ENUM(name, text) name,
enum request_kind { REQUEST_TABLE(REQUEST_ENUM) REQUEST_KINDS };
#undef REQUEST_ENUM

const char *request_kind_name(enum request_kind kind);

struct request_arg {
    struct span name;
    struct span value;
};

struct request {
    enum request_kind kind;
    struct aba routing_number; /* 0: none. */
    uint32_t timeout_ms;       /* What the client will wait; 0: the default. */
    struct request_arg *args;
    size_t args_count;
    struct transfer *transfers; /* REQUEST_SUBMIT. */
    size_t transfers_count;
};

/* What has become of a transfer that comes again, when that is not what its sender
 * may think. */
enum submit_state { SUBMIT_STATE_NONE, SUBMIT_STATE_CANCELLED, SUBMIT_STATE_ABANDONED, SUBMIT_STATES };
const char *submit_state_name(enum submit_state state); /* "", "cancelled", "abandoned" */

enum outcome { OUTCOME_NONE, OUTCOME_ACCEPTED, OUTCOME_FOLDED, OUTCOME_REJECTED, OUTCOMES };
const char *outcome_name(enum outcome outcome); /* "accepted" ... */

struct submit_result {
    struct span id;
    struct aba shard;
    enum outcome outcome;
    uint64_t index;          /* Log index of the first acceptance; 0 when rejected. */
    struct span reason;      /* When rejected, or with a state: what, why, what to do. */
    enum submit_state state; /* With OUTCOME_FOLDED: it was not paid. */
    struct span note;        /* For people; nothing is wrong. */
};

struct reply {
    enum sg_err err;
    struct span text;   /* With an error: what, why, what to do next. */
    struct span leader; /* With SG_NOTLEADER: the leader's node name, or empty. */
    struct span json;   /* With SG_OK: one document (not for submit). */
    struct span data;   /* files get: the bytes. */
    struct submit_result *results;
    size_t results_count;
};

/* The value of a named argument, SPAN_NONE when absent. */
struct span request_arg(const struct request *r, const char *name);

void request_encode(const struct request *r, struct bytes *out);
/* SG_INVALID, SG_TOOBIG; why says what. Transfers are decoded but not judged. */
MUST_USE enum sg_err request_decode(struct span data, struct arena *a, struct request *out, const char **why);
void reply_encode(const struct reply *r, struct bytes *out);
MUST_USE enum sg_err reply_decode(struct span data, struct arena *a, struct reply *out);

#endif
