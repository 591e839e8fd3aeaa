/* Fixed-width stores into a record, for build.c. The record is filled with
 * blanks before. Widths are compile-time constants, so the loops unroll. */
#ifndef SHARD_ACH_PUT_H
#define SHARD_ACH_PUT_H

#include <string.h>

#include "proto/base/bytes.h"

/* size digits with leading zeros. A number is never cut off: too large stops the
 * program. */
static inline __attribute__((always_inline)) void put_digits(uint8_t *p, size_t size, uint64_t n)
{
    static const char pairs[] =
        "00010203040506070809101112131415161718192021222324252627282930313233343536373839"
        "40414243444546474849505152535455565758596061626364656667686970717273747576777879"
        "8081828384858687888990919293949596979899";
    while (size >= 2) {
        size -= 2;
        memcpy(p + size, pairs + n % 100 * 2, 2);
        n /= 100;
    }
    if (size == 1) {
        p[0] = (uint8_t)('0' + n % 10);
        n /= 10;
    }
    CHECK(n == 0);
}

/* A text, left justified. A text is never cut off either. */
static inline void put_text(uint8_t *p, size_t size, struct span s)
{
    CHECK(s.n <= size);
    if (s.n > 0) {
        memcpy(p, s.p, s.n);
    }
}

/* The same without its blanks. */
static inline void put_packed(uint8_t *p, size_t size, struct span s)
{
    size_t n = 0;
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != ' ') {
            CHECK(n < size);
            p[n++] = s.p[i];
        }
    }
}

/* Upper case in place, eight bytes at a time: a letter a to z, and nothing else,
 * has its bit 0x20 cleared. */
static inline void put_upper(uint8_t *p, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        uint64_t x;
        memcpy(&x, p + i, 8);
        uint64_t low = x & 0x7F7F7F7F7F7F7F7Fu;
        uint64_t from_a = low + 0x1F1F1F1F1F1F1F1Fu;  /* Top bit: at least 'a'. */
        uint64_t above_z = low + 0x0505050505050505u; /* Top bit: over 'z'. */
        x ^= (from_a & ~above_z & ~x & 0x8080808080808080u) >> 2;
        memcpy(p + i, &x, 8);
    }
    for (; i < n; i++) {
        p[i] = (uint8_t)(p[i] >= 'a' && p[i] <= 'z' ? p[i] - 0x20 : p[i]);
    }
}

/* By name of the field: PUT_DIGITS(record, BC_COUNT, 7). */
#define PUT_DIGITS(record, field, n) put_digits((record) + field##_AT, field##_SIZE, (n))
#define PUT_TEXT(record, field, s) put_text((record) + field##_AT, field##_SIZE, (s))

#endif
