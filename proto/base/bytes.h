/* Borrowed and owned bytes. The type in a signature is the ownership note:
 * struct span is borrowed, struct bytes is owned by whoever holds the struct. */
#ifndef PROTO_BASE_BYTES_H
#define PROTO_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/base/check.h"

struct span {
    const uint8_t *p; /* May be NULL when n is 0. */
    size_t n;
};

struct bytes {
    uint8_t *p;
    size_t n;   /* Used. */
    size_t cap; /* Allocated. */
};

#define SPAN_NONE ((struct span){NULL, 0})
#define BYTES_NONE ((struct bytes){NULL, 0, 0})

static inline struct span span_of(const void *p, size_t n)
{
    return (struct span){(const uint8_t *)p, n};
}
/* The characters of s without its terminating zero. */
struct span span_str(const char *s);
static inline struct span span_bytes(const struct bytes *b)
{
    return (struct span){b->p, b->n};
}
bool span_eq(struct span a, struct span b);
/* Like memcmp(), a shorter prefix first. */
int span_cmp(struct span a, struct span b);
/* Is s a C string with these characters? */
bool span_is(struct span a, const char *s);
/* Copy into a C string of size bytes, cut off when too long; returns out. */
char *span_cstr(struct span s, char *out, size_t size);

/* b must be BYTES_NONE or used before. All append at the end. */
void bytes_append(struct bytes *b, const void *p, size_t n);
void bytes_append_span(struct bytes *b, struct span s);
/* Room for n more bytes at the end, uninitialised, counted as used. */
uint8_t *bytes_extend(struct bytes *b, size_t n);
void bytes_printf(struct bytes *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Replace the content; s must not lie in b. */
void bytes_set(struct bytes *b, struct span s);
/* Forget the content, keep the memory. */
static inline void bytes_clear(struct bytes *b)
{
    b->n = 0;
}
/* Free the memory; b is BYTES_NONE afterwards. */
void bytes_release(struct bytes *b);

/* Big-endian integers: their order as bytes is their order as numbers. */
void be16_put(uint8_t *p, uint16_t v);
void be32_put(uint8_t *p, uint32_t v);
void be64_put(uint8_t *p, uint64_t v);
uint16_t be16_get(const uint8_t *p);
uint32_t be32_get(const uint8_t *p);
uint64_t be64_get(const uint8_t *p);

#endif
