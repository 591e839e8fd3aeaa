/* Log entries in memory: the tail that is not durable yet, always, and recent
 * ones that a peer or the machine will want soon.
 *
 * Loop only, apart from the content of an entry, which never changes and may
 * be read by a job that holds a reference. */
#ifndef SHARD_ENGINE_CACHE_H
#define SHARD_ENGINE_CACHE_H

#include "proto/base/bytes.h"

struct cache_entry {
    uint32_t refs;
    uint8_t type;
    uint64_t term;
    size_t size;
    uint8_t data[];
};

/* A copy of data with one reference. */
struct cache_entry *cache_entry_new(uint64_t term, uint8_t type, struct span data);
struct cache_entry *cache_entry_ref(struct cache_entry *e);
void cache_entry_unref(struct cache_entry *e);
static inline struct span cache_entry_data(const struct cache_entry *e)
{
    return span_of(e->data, e->size);
}

/* Entries first .. first + count - 1 of the log, up to its end. */
struct cache {
    struct cache_entry **ring;
    size_t cap; /* A power of two, or 0. */
    uint64_t first;
    size_t count;
    size_t size_bytes;
};

/* Zeroed memory is an empty cache. */
void cache_release(struct cache *c);
/* Takes over the caller's reference. index follows the last one, unless empty. */
void cache_append(struct cache *c, uint64_t index, struct cache_entry *e);
/* Borrowed; NULL when it is not here. */
struct cache_entry *cache_get(const struct cache *c, uint64_t index);
/* Drop from and all that follow. */
void cache_truncate(struct cache *c, uint64_t from);
/* Drop the oldest one. */
void cache_evict(struct cache *c);
void cache_clear(struct cache *c);

#endif
