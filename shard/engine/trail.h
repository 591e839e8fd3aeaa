/* What libraft knows of the log: the term of each entry, and of the snapshot.
 * The library keeps these functions to itself; its structure is public. */
#ifndef SHARD_ENGINE_TRAIL_H
#define SHARD_ENGINE_TRAIL_H

#include <raft.h>
#include <stdint.h>

/* Index of the first entry that is (or would be) in the log. */
static inline uint64_t trail_first(const struct raft *r)
{
    return r->trail.offset + 1;
}
static inline uint64_t trail_snapshot_index(const struct raft *r)
{
    return r->trail.snapshot.index;
}
/* 0: not known. index > 0. */
uint64_t trail_term(const struct raft *r, uint64_t index);

#endif
