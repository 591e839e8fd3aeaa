/* A snapshot on its way: the head that every chunk carries, and the rows as one
 * byte string in a spool.
 *
 * The spool holds the group's rows in key order, the engine's applied row first:
 * key size (4 bytes, big endian), value size (4), key without the group, value.
 * Its checksum is the first eight bytes of the digest over all of it. */
#ifndef SHARD_ENGINE_SNAPSHOT_H
#define SHARD_ENGINE_SNAPSHOT_H

#include "shard/engine/engine.h"

#define SNAPSHOT_ROW_HEAD_SIZE 8
#define SNAPSHOT_VERSION 1

struct snapshot_head {
    uint64_t index, term, conf_index;
    struct bytes conf;
    uint64_t total_size;
    uint64_t checksum;
};

static inline uint64_t snapshot_checksum(struct digester *d)
{
    struct digest digest = digester_end(d);
    return be64_get(digest.b);
}

#endif
