/* A bump allocator: many small allocations, one release.
 *
 * Decoders put what they make into an arena; spans in a decoded struct point
 * into it (or into the decoder's input where its header says so). Not shared
 * between threads. Memory comes from mem_alloc(), so nothing returns NULL. */
#ifndef PROTO_BASE_ARENA_H
#define PROTO_BASE_ARENA_H

#include "proto/base/bytes.h"

struct arena_block;

struct arena {
    struct arena_block *head;
    size_t used;        /* In the head block. */
    size_t total_bytes; /* Handed out since the last reset. */
};

#define ARENA_INIT ((struct arena){NULL, 0, 0})

/* An arena that hands out the caller's room first, which must be aligned for any
 * type, hold 64 bytes at least, and outlive the arena; then it takes memory like any other. */
struct arena arena_over(void *room, size_t size);

/* size bytes of zeros, aligned for any type. */
void *arena_alloc(struct arena *a, size_t size) __attribute__((returns_nonnull));
/* The same, not cleared. */
void *arena_room(struct arena *a, size_t size) __attribute__((returns_nonnull));
/* count * size, checked for overflow. */
void *arena_array(struct arena *a, size_t count, size_t size) __attribute__((returns_nonnull));
struct span arena_dup(struct arena *a, struct span s);
/* A C string with the span's characters. */
char *arena_cstr(struct arena *a, struct span s);
char *arena_printf(struct arena *a, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Everything handed out becomes invalid; one block is kept for reuse. */
void arena_reset(struct arena *a);
void arena_release(struct arena *a);

#endif
