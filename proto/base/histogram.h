/* How often which values came: counts in buckets that are at most a sixteenth of
 * their value wide, so that a quantile is right to about 6 %.
 *
 *   0 to 15: a bucket each; from there on 16 buckets to each power of two
 *
 * Values at or above 2^HISTOGRAM_BITS fall into the last bucket; the maximum is
 * kept as it is. Zero it before the first use; it needs no release.
 *
 * Threads: one adds (and clears), any may read meanwhile and finds figures that
 * were right a moment ago. */
#ifndef PROTO_BASE_HISTOGRAM_H
#define PROTO_BASE_HISTOGRAM_H

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define HISTOGRAM_SUB_BITS 4
#define HISTOGRAM_BITS 32
#define HISTOGRAM_BUCKETS ((HISTOGRAM_BITS - HISTOGRAM_SUB_BITS + 1) << HISTOGRAM_SUB_BITS)

struct histogram {
    _Atomic uint64_t counts[HISTOGRAM_BUCKETS];
    _Atomic uint64_t max;
};

void histogram_add(struct histogram *h, uint64_t value);
void histogram_clear(struct histogram *h);
/* Adds what from holds to h. h is the caller's alone. */
void histogram_merge(struct histogram *h, const struct histogram *from);
uint64_t histogram_count(const struct histogram *h);
/* 0 when nothing was added. */
uint64_t histogram_max(const struct histogram *h);
/* The value that per_mille of a thousand do not exceed: the upper end of its
 * bucket, and never more than the maximum. 0 when nothing was added. */
uint64_t histogram_quantile(const struct histogram *h, unsigned per_mille);

#endif
