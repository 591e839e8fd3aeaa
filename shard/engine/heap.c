#include <stdlib.h>

#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "shard/engine/engine.h"

static void *heap_malloc(void *data, size_t size)
{
    (void)data;
    return mem_alloc(size);
}

static void heap_free(void *data, void *p)
{
    (void)data;
    mem_free(p);
}

static void *heap_calloc(void *data, size_t count, size_t size)
{
    (void)data;
    return mem_zalloc(count, size);
}

static void *heap_realloc(void *data, void *p, size_t size)
{
    (void)data;
    return mem_realloc(p, size);
}

/* Only libraft's own I/O, which is not used, asks for this. */
static void *heap_aligned_alloc(void *data, size_t alignment, size_t size)
{
    void *p = aligned_alloc(alignment, size);
    (void)data;
    CHECK(p != NULL);
    return p;
}

static void heap_aligned_free(void *data, size_t alignment, void *p)
{
    (void)data;
    (void)alignment;
    free(p);
}

void group_use_memory(void)
{
    static struct raft_heap heap = {NULL,         heap_malloc,        heap_free,        heap_calloc,
                                    heap_realloc, heap_aligned_alloc, heap_aligned_free};
    if (raft_heap_get() != &heap) {
        raft_heap_set(&heap);
    }
}
