/* The verbs: one table, which the node, the offline reader, the client library and
 * the tool's help and dispatch read.
 *
 * A new verb is a row here, and its kind and name in proto/client.h. */
#ifndef SUPERVISOR_VERBS_TABLE_H
#define SUPERVISOR_VERBS_TABLE_H

#include "supervisor/base/verb.h"

/* X(kind, where, repeat, right, run, done_before, view)
 *
 *   run         carries it out on a node (verbs_*.c)
 *   done_before see struct verb; NULL for most
 *   view        makes its answer from a shard's rows alone, so that it can be asked of
 *               the files of a dead machine, too (view_*.c); NULL: needs a running node */
#define VERB_TABLE(X)                                                                                        \
    X(REQUEST_PING, VERB_ITSELF, VERB_AGAIN, RIGHT_READ, verb_ping, NULL, NULL)                              \
    X(REQUEST_STATUS, VERB_ITSELF, VERB_AGAIN, RIGHT_READ, verb_status, NULL, NULL)                          \
    X(REQUEST_NODES_LIST, VERB_ITSELF, VERB_AGAIN, RIGHT_READ, verb_nodes_list, NULL, NULL)                  \
    X(REQUEST_NODES_SHOW, VERB_ITSELF, VERB_AGAIN, RIGHT_READ, verb_nodes_show, NULL, NULL)                  \
    X(REQUEST_SHARDS_LIST, VERB_NODE, VERB_AGAIN, RIGHT_READ, verb_shards_list, NULL, NULL)                  \
    X(REQUEST_SHARDS_SHOW, VERB_LEADER, VERB_AGAIN, RIGHT_READ, verb_read, NULL, view_of_shard)              \
    X(REQUEST_LEADER_SHOW, VERB_REPLICA, VERB_AGAIN, RIGHT_READ, verb_leader_show, NULL, NULL)               \
    X(REQUEST_LEADER_TRANSFER, VERB_LEADER, VERB_ONCE, RIGHT_OPERATE, verb_leader_transfer, NULL, NULL)      \
    X(REQUEST_SUBMIT, VERB_LEADER, VERB_FOLDS, RIGHT_SUBMIT, verb_submit, NULL, NULL)                        \
    X(REQUEST_CANCEL, VERB_LEADER, VERB_AGAIN, RIGHT_SUBMIT, verb_command, NULL, NULL)                       \
    X(REQUEST_TRANSFERS_SHOW, VERB_LEADER, VERB_AGAIN, RIGHT_READ, verb_read, NULL, view_of_transfer)        \
    X(REQUEST_TRANSFERS_LIST, VERB_LEADER, VERB_AGAIN, RIGHT_READ, verb_read, NULL, view_of_transfers)       \
    X(REQUEST_TRANSFERS_TRACE, VERB_LEADER, VERB_AGAIN, RIGHT_READ, verb_read, NULL, view_of_trace)          \
    X(REQUEST_WINDOWS_CLOSE, VERB_LEADER, VERB_NAMED, RIGHT_OPERATE, verb_command, verb_closed_before, NULL) \
    X(REQUEST_WINDOWS_RELEASE, VERB_LEADER, VERB_ONCE, RIGHT_RELEASE, verb_command, NULL, NULL)              \
    X(REQUEST_WINDOWS_LIST, VERB_LEADER, VERB_AGAIN, RIGHT_READ, verb_read, NULL, view_of_windows)           \
    X(REQUEST_FILES_LIST, VERB_LEADER, VERB_AGAIN, RIGHT_READ, verb_read, NULL, view_of_files)               \
    X(REQUEST_FILES_SHOW, VERB_LEADER, VERB_AGAIN, RIGHT_READ, verb_read, NULL, view_of_file)                \
    X(REQUEST_FILES_GET, VERB_LEADER, VERB_AGAIN, RIGHT_REVEAL, verb_read, NULL, view_of_file_bytes)         \
    X(REQUEST_FILES_VERIFY, VERB_LEADER, VERB_AGAIN, RIGHT_READ, verb_read, NULL, view_of_file_verify)       \
    X(REQUEST_FILES_CANCEL, VERB_LEADER, VERB_AGAIN, RIGHT_RELEASE, verb_command, NULL, NULL)                \
    X(REQUEST_FILES_RESOLVE, VERB_LEADER, VERB_AGAIN, RIGHT_RELEASE, verb_command, NULL, NULL)               \
    X(REQUEST_EVENTS, VERB_LEADER, VERB_AGAIN, RIGHT_READ, verb_read, NULL, view_of_events)                  \
    X(REQUEST_LOG_DUMP, VERB_REPLICA, VERB_AGAIN, RIGHT_READ, verb_read, NULL, view_of_log)                  \
    X(REQUEST_APPLY, VERB_CATALOG, VERB_AGAIN, RIGHT_CONFIGURE, verb_apply, NULL, NULL)                      \
    X(REQUEST_EXPORT, VERB_NODE, VERB_AGAIN, RIGHT_READ, verb_export, NULL, NULL)                            \
    X(REQUEST_UPGRADE_STATUS, VERB_NODE, VERB_AGAIN, RIGHT_READ, verb_upgrade_status, NULL, NULL)            \
    X(REQUEST_UPGRADE_FINALIZE, VERB_CATALOG, VERB_AGAIN, RIGHT_CONFIGURE, verb_upgrade_finalize, NULL,      \
      NULL)                                                                                                  \
    X(REQUEST_HASH, VERB_REPLICA, VERB_AGAIN, RIGHT_READ, verb_read, NULL, view_of_hash)

/* kind REQUEST_NONE for a kind that is no verb. */
const struct verb_facts *verb_facts(enum request_kind kind);

struct verb;
struct view;
struct view_args;
struct view_answer;

/* REQUEST_KINDS of them, by kind: what a node is given. */
const struct verb *verbs_table(void);

/* What a verb shows of a shard's rows; NULL: nothing without a running node. false:
 * v->err and v->why are set. */
typedef bool verb_view(struct view *v, const struct view_args *args, struct view_answer *out);
verb_view *verb_view_of(enum request_kind kind);

#endif
