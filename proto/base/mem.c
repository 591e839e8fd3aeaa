#include "proto/base/mem.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/check.h"

void *mem_alloc(size_t size)
{
    void *p = malloc(size == 0 ? 1 : size);
    CHECK(p != NULL);
    return p;
}

void *mem_zalloc(size_t count, size_t size)
{
    size_t total = 0;
    CHECK(!__builtin_mul_overflow(count, size, &total));
    void *p = calloc(1, total == 0 ? 1 : total);
    CHECK(p != NULL);
    return p;
}

void *mem_realloc(void *p, size_t size)
{
    void *q = realloc(p, size == 0 ? 1 : size);
    CHECK(q != NULL);
    return q;
}

void mem_free(void *p)
{
    free(p);
}

char *mem_strdup(const char *s)
{
    size_t size = strlen(s) + 1;
    char *copy = mem_alloc(size);
    memcpy(copy, s, size);
    return copy;
}

void mem_require(bool got)
{
    CHECK(got);
}
