/* What a node allocates, counted for each process.
 *
 * The linker puts these in front of proto/base/mem.h's functions (CMakeLists.txt).
 * What runs as a host's event belongs to it, wherever it is freed; what the world
 * allocates, which sees proto/base/mem.h under other names, belongs to nobody. */
#include <stdlib.h>
#include <string.h>

#include "proto/base/mem.h"
#include "tests/sim/sim.h"

void *counted_alloc(size_t size) __asm__("__wrap_mem_alloc");
void *counted_zalloc(size_t count, size_t size) __asm__("__wrap_mem_zalloc");
void *counted_realloc(void *p, size_t size) __asm__("__wrap_mem_realloc");
char *counted_strdup(const char *s) __asm__("__wrap_mem_strdup");
void counted_free(void *p) __asm__("__wrap_mem_free");
void *world_alloc(size_t size);
void *world_zalloc(size_t count, size_t size);
void *world_realloc(void *p, size_t size);
char *world_strdup(const char *s);

struct block {
    struct sim_host *host;
    uint64_t life;
    size_t size;
    max_align_t data[];
};

static struct sim *memory_of;

void memory_start(struct sim *s)
{
    memory_of = s;
}

static void count(const struct block *b, bool more)
{
    if (b->host != NULL && b->host->life == b->life) {
        b->host->memory += more ? b->size : -b->size;
        b->host->memory_blocks += more ? 1 : UINT64_MAX;
    }
}

static void *block_new(size_t size, struct sim_host *host)
{
    struct block *b = calloc(1, sizeof *b + size);
    CHECK(b != NULL);
    b->host = host;
    b->life = host == NULL ? 0 : host->life;
    b->size = size;
    count(b, true);
    return b->data;
}

static void *block_resize(void *p, size_t size)
{
    struct block *b = CONTAINER_OF(p, struct block, data);
    count(b, false);
    b = realloc(b, sizeof *b + size);
    CHECK(b != NULL);
    b->size = size;
    count(b, true);
    return b->data;
}

static struct sim_host *owner(void)
{
    return memory_of == NULL ? NULL : memory_of->running;
}

void *counted_alloc(size_t size)
{
    return block_new(size, owner());
}

void *counted_zalloc(size_t n, size_t size)
{
    CHECK(size == 0 || n <= SIZE_MAX / size);
    return block_new(n * size, owner());
}

void *counted_realloc(void *p, size_t size)
{
    return p == NULL ? block_new(size, owner()) : block_resize(p, size);
}

char *counted_strdup(const char *s)
{
    size_t size = strlen(s) + 1;
    return memcpy(block_new(size, owner()), s, size);
}

void counted_free(void *p)
{
    if (p != NULL) {
        struct block *b = CONTAINER_OF(p, struct block, data);
        count(b, false);
        free(b);
    }
}

void *world_alloc(size_t size)
{
    return block_new(size, NULL);
}

void *world_zalloc(size_t n, size_t size)
{
    return block_new(n * size, NULL);
}

void *world_realloc(void *p, size_t size)
{
    return p == NULL ? block_new(size, NULL) : block_resize(p, size);
}

char *world_strdup(const char *s)
{
    size_t size = strlen(s) + 1;
    return memcpy(block_new(size, NULL), s, size);
}
