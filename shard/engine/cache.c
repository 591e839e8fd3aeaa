#include "shard/engine/cache.h"

#include <string.h>

#include "proto/base/mem.h"

#define CACHE_CAP_MIN 8
#define CACHE_CAP_KEPT 64 /* A larger ring is given back when it is empty. */

struct cache_entry *cache_entry_new(uint64_t term, uint8_t type, struct span data)
{
    struct cache_entry *e = mem_alloc(sizeof(*e) + data.n);
    *e = (struct cache_entry){.refs = 1, .type = type, .term = term, .size = data.n};
    if (data.n > 0) {
        memcpy(e->data, data.p, data.n);
    }
    return e;
}

struct cache_entry *cache_entry_ref(struct cache_entry *e)
{
    e->refs++;
    return e;
}

void cache_entry_unref(struct cache_entry *e)
{
    CHECK(e->refs > 0);
    if (--e->refs == 0) {
        mem_free(e);
    }
}

static struct cache_entry **slot(const struct cache *c, uint64_t index)
{
    return &c->ring[index & (c->cap - 1)];
}

static void grow(struct cache *c)
{
    struct cache bigger = *c;
    bigger.cap = c->cap == 0 ? CACHE_CAP_MIN : c->cap * 2;
    bigger.ring = mem_zalloc(bigger.cap, sizeof(struct cache_entry *));
    for (uint64_t i = c->first; i < c->first + c->count; i++) {
        *slot(&bigger, i) = *slot(c, i);
    }
    mem_free(c->ring);
    *c = bigger;
}

static void drop(struct cache *c, uint64_t index)
{
    struct cache_entry *e = *slot(c, index);
    *slot(c, index) = NULL;
    c->size_bytes -= e->size;
    c->count--;
    cache_entry_unref(e);
    if (c->count == 0 && c->cap > CACHE_CAP_KEPT) {
        mem_free(c->ring);
        c->ring = NULL;
        c->cap = 0;
    }
}

void cache_append(struct cache *c, uint64_t index, struct cache_entry *e)
{
    if (c->count == 0) {
        c->first = index;
    }
    CHECK(index == c->first + c->count);
    if (c->count == c->cap) {
        grow(c);
    }
    *slot(c, index) = e;
    c->size_bytes += e->size;
    c->count++;
}

struct cache_entry *cache_get(const struct cache *c, uint64_t index)
{
    if (index < c->first || index - c->first >= c->count) {
        return NULL;
    }
    return *slot(c, index);
}

void cache_truncate(struct cache *c, uint64_t from)
{
    while (c->count > 0 && c->first + c->count > from) {
        drop(c, c->first + c->count - 1);
    }
}

void cache_evict(struct cache *c)
{
    CHECK(c->count > 0);
    c->first++;
    drop(c, c->first - 1);
}

void cache_clear(struct cache *c)
{
    while (c->count > 0) {
        cache_evict(c);
    }
}

void cache_release(struct cache *c)
{
    cache_clear(c);
    mem_free(c->ring);
    *c = (struct cache){0};
}
