#include "proto/base/histogram.h"

#include "proto/base/check.h"

#define SUB (1u << HISTOGRAM_SUB_BITS)

static size_t bucket_of(uint64_t value)
{
    if (value < SUB) {
        return (size_t)value;
    }
    if (value >= 1ull << HISTOGRAM_BITS) {
        return HISTOGRAM_BUCKETS - 1;
    }
    /* The highest five bits: a power of two and one of its sixteen parts. */
    unsigned shift = 63u - HISTOGRAM_SUB_BITS - (unsigned)__builtin_clzll(value);
    return ((size_t)shift << HISTOGRAM_SUB_BITS) + (size_t)(value >> shift);
}

/* The largest value that falls into it. */
static uint64_t bucket_end(size_t bucket)
{
    if (bucket < SUB) {
        return bucket;
    }
    size_t shift = (bucket >> HISTOGRAM_SUB_BITS) - 1;
    uint64_t part = (bucket & (SUB - 1)) + SUB;
    return ((part + 1) << shift) - 1;
}

static void put(_Atomic uint64_t *at, uint64_t value)
{
    atomic_store_explicit(at, value, memory_order_relaxed);
}

static uint64_t get(const _Atomic uint64_t *at)
{
    return atomic_load_explicit(at, memory_order_relaxed);
}

void histogram_add(struct histogram *h, uint64_t value)
{
    _Atomic uint64_t *count = &h->counts[bucket_of(value)];
    put(count, get(count) + 1); /* One thread adds: no other can come between. */
    if (value > get(&h->max)) {
        put(&h->max, value);
    }
}

void histogram_clear(struct histogram *h)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        put(&h->counts[i], 0);
    }
    put(&h->max, 0);
}

void histogram_merge(struct histogram *h, const struct histogram *from)
{
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        put(&h->counts[i], get(&h->counts[i]) + get(&from->counts[i]));
    }
    if (get(&from->max) > get(&h->max)) {
        put(&h->max, get(&from->max));
    }
}

uint64_t histogram_count(const struct histogram *h)
{
    uint64_t n = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS; i++) {
        n += get(&h->counts[i]);
    }
    return n;
}

uint64_t histogram_max(const struct histogram *h)
{
    return get(&h->max);
}

uint64_t histogram_quantile(const struct histogram *h, unsigned per_mille)
{
    CHECK(per_mille <= 1000);
    uint64_t n = histogram_count(h);
    uint64_t max = histogram_max(h);
    /* The rank, from 1: rounded up, so that of few values the larger one is told. */
    uint64_t rank = (n * per_mille + 999) / 1000;
    uint64_t seen = 0;
    for (size_t i = 0; i < HISTOGRAM_BUCKETS && n > 0; i++) {
        seen += get(&h->counts[i]);
        if (seen >= rank && seen > 0) {
            return i == HISTOGRAM_BUCKETS - 1 || bucket_end(i) > max ? max : bucket_end(i);
        }
    }
    return max;
}
