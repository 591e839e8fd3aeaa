#include "tests/support/test_mutate.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/mem.h"

#define TRUNCATIONS_MAX 1000

uint64_t test_random(uint64_t *seed)
{
    uint64_t x = *seed;
    CHECK(x != 0);
    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *seed = x;
    return x * 2685821657736338717ull;
}

static size_t below(uint64_t *seed, size_t n)
{
    return n == 0 ? 0 : (size_t)(test_random(seed) % n);
}

static void feed(const uint8_t *p, size_t n, test_decode decode, void *arg)
{
    uint8_t *exact = mem_alloc(n);
    if (n > 0) {
        memcpy(exact, p, n);
    }
    decode(span_of(exact, n), arg);
    mem_free(exact);
}

static void damage(struct bytes *b, uint64_t *seed)
{
    static const uint8_t nasty[] = {0x00, 0x01, 0x7f, 0x80, 0xfe, 0xff};
    size_t at = below(seed, b->n);
    size_t n = below(seed, b->n - at) % 16;
    switch (below(seed, 5)) {
    case 0:
        b->p[at] ^= (uint8_t)(1u << below(seed, 8));
        break;
    case 1:
        b->p[at] = nasty[below(seed, sizeof(nasty))];
        break;
    case 2: /* Cut n bytes out. */
        memmove(b->p + at, b->p + at + n, b->n - at - n);
        b->n -= n;
        break;
    case 3: /* Put a byte in. */
        (void)bytes_extend(b, 1);
        memmove(b->p + at + 1, b->p + at, b->n - 1 - at);
        b->p[at] = (uint8_t)test_random(seed);
        break;
    default: /* Copy n bytes to the end: a field twice, a field out of order. */
        (void)bytes_extend(b, n);
        memmove(b->p + b->n - n, b->p + at, n);
        break;
    }
}

void test_mutate(struct span valid, test_decode decode, void *arg, unsigned rounds, uint64_t seed)
{
    size_t step = valid.n / TRUNCATIONS_MAX + 1;
    for (size_t n = 0; n < valid.n; n += step) {
        feed(valid.p, n, decode, arg);
    }
    struct bytes b = BYTES_NONE;
    for (unsigned i = 0; i < rounds; i++) {
        bytes_set(&b, valid);
        for (size_t left = 1 + below(&seed, 4); left > 0 && b.n > 0; left--) {
            damage(&b, &seed);
        }
        feed(b.p, b.n, decode, arg);
    }
    bytes_release(&b);
}
