/* Latencies of a load generator: counted into buckets 3 % wide, from any
 * thread, and printed with the rates as one JSON object. */
#ifndef TESTS_BENCH_LATENCY_H
#define TESTS_BENCH_LATENCY_H

#include <stdatomic.h>
#include <stdint.h>
#include <time.h>

#include <jansson.h>

#include "proto/base/check.h"

#define LATENCY_SUB_BITS 5
#define LATENCY_BUCKETS (40 << LATENCY_SUB_BITS)

struct latency {
    _Atomic uint64_t counts[LATENCY_BUCKETS];
    _Atomic uint64_t n, sum_us, max_us;
};

static inline uint64_t clock_us(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Below 64 a bucket each; from there on 32 to each power of two. */
static inline size_t latency_bucket(uint64_t us)
{
    if (us < 64) {
        return (size_t)us;
    }
    unsigned shift = 63u - LATENCY_SUB_BITS - (unsigned)__builtin_clzll(us);
    size_t bucket = ((size_t)shift << LATENCY_SUB_BITS) + (size_t)(us >> shift);
    return bucket < LATENCY_BUCKETS ? bucket : LATENCY_BUCKETS - 1;
}

/* The middle of a bucket. */
static inline double latency_of_bucket(size_t bucket)
{
    if (bucket < 64) {
        return (double)bucket;
    }
    size_t shift = (bucket >> LATENCY_SUB_BITS) - 1;
    uint64_t low = ((bucket & 31u) + 32u) << shift;
    return (double)low + (double)((1ull << shift) - 1) / 2;
}

static inline void latency_add(struct latency *l, uint64_t us)
{
    (void)atomic_fetch_add_explicit(&l->counts[latency_bucket(us)], 1, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&l->n, 1, memory_order_relaxed);
    (void)atomic_fetch_add_explicit(&l->sum_us, us, memory_order_relaxed);
    uint64_t max = l->max_us;
    while (us > max && !atomic_compare_exchange_weak(&l->max_us, &max, us)) {
    }
}

static inline double latency_quantile(struct latency *l, double q)
{
    uint64_t rank = (uint64_t)(q * (double)l->n);
    uint64_t seen = 0;
    for (size_t i = 0; i < LATENCY_BUCKETS; i++) {
        seen += l->counts[i];
        if (seen > rank) {
            return latency_of_bucket(i);
        }
    }
    return (double)l->max_us;
}

static inline json_t *latency_json(struct latency *l)
{
    return json_pack("{s:f, s:f, s:f, s:f, s:f, s:I}", "mean",
                     l->n == 0 ? 0.0 : (double)l->sum_us / (double)l->n, "p50", latency_quantile(l, 0.50),
                     "p90", latency_quantile(l, 0.90), "p99", latency_quantile(l, 0.99), "p999",
                     latency_quantile(l, 0.999), "max", (json_int_t)l->max_us);
}

#endif
