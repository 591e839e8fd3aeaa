/* Transfers as people write them: one JSON object, an array of them, or one
 * object a line.
 *
 * Strict: unknown keys, keys that come twice, numbers that are no whole cents and
 * everything that transfer_check() can judge make that one transfer bad; the rest
 * goes on. */
#ifndef SUPERVISOR_CLI_TRANSFER_JSON_H
#define SUPERVISOR_CLI_TRANSFER_JSON_H

#include "proto/base/arena.h"
#include "proto/transfer.h"

struct transfer_item {
    size_t line;              /* Where it begins, from 1. */
    struct transfer transfer; /* Complete only when reason is empty. */
    struct span reason; /* Why it is bad: what, why, what to do (without the line). Empty: it is fine. */
};

struct transfer_list {
    struct transfer_item *items; /* In the order of the text. */
    size_t count;
    size_t room;
};

/* shard: the routing number of those that name none; 0: then each must. Spans
 * live in a; text may go.
 *
 * SG_INVALID: the text as a whole is no such thing (why is a sentence);
 * SG_UNSUPPORTED: it is a NACHA file. out is empty then. */
MUST_USE enum sg_err transfer_json_parse(struct span text, struct aba shard, struct arena *a,
                                         struct transfer_list *out, char *why, size_t why_size);
void transfer_list_release(struct transfer_list *l);

/* One object (json_split.h finds them) into item->transfer or item->reason. */
void transfer_json_read(struct span object, struct aba shard, struct arena *a, struct transfer_item *item);

#endif
