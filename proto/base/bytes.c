#include "proto/base/bytes.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/mem.h"

#define BYTES_CAP_MIN 64

struct span span_str(const char *s)
{
    return span_of(s, strlen(s));
}

bool span_eq(struct span a, struct span b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

int span_cmp(struct span a, struct span b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int order = n == 0 ? 0 : memcmp(a.p, b.p, n);
    if (order != 0) {
        return order;
    }
    return (a.n > b.n) - (a.n < b.n);
}

bool span_is(struct span a, const char *s)
{
    return span_eq(a, span_str(s));
}

char *span_cstr(struct span s, char *out, size_t size)
{
    CHECK(size > 0);
    size_t n = s.n < size ? s.n : size - 1;
    if (n > 0) {
        memcpy(out, s.p, n);
    }
    out[n] = '\0';
    return out;
}

static void bytes_reserve(struct bytes *b, size_t n)
{
    size_t need = 0;
    CHECK(b->n <= b->cap);
    CHECK(!__builtin_add_overflow(b->n, n, &need));
    if (need <= b->cap) {
        return;
    }
    size_t cap = b->cap < BYTES_CAP_MIN ? BYTES_CAP_MIN : b->cap + b->cap / 2;
    if (cap < need) {
        cap = need;
    }
    b->p = mem_realloc(b->p, cap);
    b->cap = cap;
}

uint8_t *bytes_extend(struct bytes *b, size_t n)
{
    bytes_reserve(b, n);
    if (n == 0) {
        return b->p; /* May be NULL: NULL + 0 is undefined in C. */
    }
    uint8_t *at = b->p + b->n;
    b->n += n;
    return at;
}

void bytes_append(struct bytes *b, const void *p, size_t n)
{
    if (n > 0) {
        memcpy(bytes_extend(b, n), p, n);
    }
}

void bytes_append_span(struct bytes *b, struct span s)
{
    bytes_append(b, s.p, s.n);
}

void bytes_printf(struct bytes *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    CHECK(n >= 0);

    size_t size = (size_t)n + 1;
    bytes_reserve(b, size);
    va_start(args, fmt);
    int written = vsnprintf((char *)b->p + b->n, size, fmt, args);
    va_end(args);
    CHECK(written == n);
    b->n += (size_t)n; /* The final zero is not content. */
}

void bytes_set(struct bytes *b, struct span s)
{
    bytes_clear(b);
    bytes_append_span(b, s);
}

void bytes_release(struct bytes *b)
{
    mem_free(b->p);
    *b = BYTES_NONE;
}

void be16_put(uint8_t *p, uint16_t v)
{
    p[0] = (uint8_t)(v >> 8);
    p[1] = (uint8_t)v;
}

void be32_put(uint8_t *p, uint32_t v)
{
    v = __builtin_bswap32(v);
    memcpy(p, &v, sizeof(v));
}

void be64_put(uint8_t *p, uint64_t v)
{
    v = __builtin_bswap64(v);
    memcpy(p, &v, sizeof(v));
}

uint16_t be16_get(const uint8_t *p)
{
    return (uint16_t)((uint16_t)(p[0] << 8) | p[1]);
}

uint32_t be32_get(const uint8_t *p)
{
    uint32_t v = 0;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap32(v);
}

uint64_t be64_get(const uint8_t *p)
{
    uint64_t v = 0;
    memcpy(&v, p, sizeof(v));
    return __builtin_bswap64(v);
}

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "the swaps above turn little into big");
