/* Damaged forms of a valid input, for decoders that must survive anything.
 *
 * decode() gets each of them in a block of exactly its size, so that a sanitizer
 * sees the first byte read behind it. What decode() accepts it should encode and
 * decode again itself: accepted means usable. */
#ifndef TESTS_SUPPORT_TEST_MUTATE_H
#define TESTS_SUPPORT_TEST_MUTATE_H

#include <stdint.h>

#include "proto/base/bytes.h"

typedef void (*test_decode)(struct span data, void *arg);

/* Every truncation of valid (of a long one, a sample), then rounds random
 * damages: bits flipped, bytes set, cut out, put in and copied about. The same
 * seed gives the same damages. */
void test_mutate(struct span valid, test_decode decode, void *arg, unsigned rounds, uint64_t seed);

/* The generator behind it, for other random input. seed is its state, not 0. */
uint64_t test_random(uint64_t *seed);

#endif
