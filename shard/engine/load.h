/* Everything a group has in the store, checked before libraft sees it. */
#ifndef SHARD_ENGINE_LOAD_H
#define SHARD_ENGINE_LOAD_H

#include "shard/engine/engine.h"

struct stored {
    struct log_hard_state hard_state;
    struct log_mark mark; /* index 0: none. conf points into mark_conf. */
    struct bytes mark_conf;
    struct log_bounds bounds; /* Empty: first = last + 1. */
    bool joins;               /* Began with nothing and got no snapshot since. */
    uint64_t applied;
    struct digest digest;
    uint64_t set;
    bool has_set;
    char *distrust;             /* Why the rows are not to be believed; NULL: they are. */
    struct raft_entry *entries; /* Of libraft's heap; terms, types, and changes behind the mark. */
    size_t entries_count;
};

/* Fills s, and what g keeps of it. SG_NOTFOUND: nothing is stored. SG_CORRUPT,
 * SG_IO, SG_BUSY: why says what. Release s in any case. */
MUST_USE enum sg_err load_stored(struct group *g, struct stored *s, char *why, size_t why_size);
void load_release(struct stored *s);

#endif
