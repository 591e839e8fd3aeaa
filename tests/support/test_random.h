/* Repeatable numbers for property tests: splitmix64. */
#ifndef TESTS_SUPPORT_TEST_RANDOM_H
#define TESTS_SUPPORT_TEST_RANDOM_H

#include <stdint.h>

struct test_random {
    uint64_t state; /* The seed; any will do. */
};

static inline uint64_t test_random_next(struct test_random *r)
{
    uint64_t z = r->state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* 0 to n - 1; n is not 0. */
static inline uint64_t test_random_below(struct test_random *r, uint64_t n)
{
    return test_random_next(r) % n;
}

#endif
