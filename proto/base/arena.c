#include "proto/base/arena.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/limits.h"
#include "proto/base/mem.h"

#define ARENA_ALIGN alignof(max_align_t)

struct arena_block {
    struct arena_block *next;
    size_t size;      /* Of data. */
    bool is_borrowed; /* The room that arena_over() was given. */
    alignas(max_align_t) uint8_t data[];
};

struct arena arena_over(void *room, size_t size)
{
    struct arena_block *block = room;
    CHECK((uintptr_t)room % ARENA_ALIGN == 0);
    CHECK(size > sizeof(*block));
    *block = (struct arena_block){.size = size - sizeof(*block), .is_borrowed = true};
    return (struct arena){block, 0, 0};
}

static void arena_grow(struct arena *a, size_t size)
{
    size_t block_size = a->head == NULL ? ARENA_BLOCK_MIN_BYTES : a->head->size * 2;
    if (block_size > ARENA_BLOCK_MAX_BYTES) {
        block_size = ARENA_BLOCK_MAX_BYTES;
    }
    if (block_size < size) {
        block_size = size;
    }
    struct arena_block *block = mem_alloc(sizeof(*block) + block_size);
    *block = (struct arena_block){.next = a->head, .size = block_size};
    a->head = block;
    a->used = 0;
}

void *arena_room(struct arena *a, size_t size)
{
    CHECK(size <= SIZE_MAX / 2);
    size_t rounded = size == 0 ? ARENA_ALIGN : (size + ARENA_ALIGN - 1) / ARENA_ALIGN * ARENA_ALIGN;
    if (a->head == NULL || a->head->size - a->used < rounded) {
        arena_grow(a, rounded);
    }
    void *p = a->head->data + a->used;
    a->used += rounded;
    a->total_bytes += rounded;
    return p;
}

void *arena_alloc(struct arena *a, size_t size)
{
    return memset(arena_room(a, size), 0, size);
}

void *arena_array(struct arena *a, size_t count, size_t size)
{
    size_t total = 0;
    CHECK(!__builtin_mul_overflow(count, size, &total));
    return arena_alloc(a, total);
}

struct span arena_dup(struct arena *a, struct span s)
{
    if (s.n == 0) {
        return SPAN_NONE;
    }
    return span_of(memcpy(arena_room(a, s.n), s.p, s.n), s.n);
}

char *arena_cstr(struct arena *a, struct span s)
{
    return span_cstr(s, arena_room(a, s.n + 1), s.n + 1);
}

char *arena_printf(struct arena *a, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    int n = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    CHECK(n >= 0);

    size_t size = (size_t)n + 1;
    char *text = arena_room(a, size);
    va_start(args, fmt);
    int written = vsnprintf(text, size, fmt, args);
    va_end(args);
    CHECK(written == n);
    return text;
}

static void arena_free_blocks(struct arena_block *block)
{
    while (block != NULL) {
        struct arena_block *next = block->next;
        if (!block->is_borrowed) {
            mem_free(block);
        }
        block = next;
    }
}

void arena_reset(struct arena *a)
{
    struct arena_block *kept = a->head;
    if (kept != NULL) {
        arena_free_blocks(kept->next);
        kept->next = NULL;
    }
    a->used = 0;
    a->total_bytes = 0;
}

void arena_release(struct arena *a)
{
    arena_free_blocks(a->head);
    *a = ARENA_INIT;
}
