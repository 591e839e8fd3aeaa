/* Memory.
 *
 * Policy: every allocation is bounded by a limit before it is made, so failure
 * means that the machine is out of memory. A node that cannot get memory stops
 * at once (its peers take over; nothing unflushed was promised), which is why
 * these functions never return NULL and no caller has an error path for them. */
#ifndef PROTO_BASE_MEM_H
#define PROTO_BASE_MEM_H

#include <stdbool.h>
#include <stddef.h>

/* size bytes, uninitialised. size may be 0 (a unique pointer is returned). */
void *mem_alloc(size_t size) __attribute__((malloc, returns_nonnull));
/* count * size bytes of zeros; aborts when the product overflows. */
void *mem_zalloc(size_t count, size_t size) __attribute__((malloc, returns_nonnull));
/* Grow or shrink; p may be NULL. */
void *mem_realloc(void *p, size_t size) __attribute__((returns_nonnull));
/* p may be NULL. */
void mem_free(void *p);
/* A copy of a C string, to be freed with mem_free(). */
char *mem_strdup(const char *s) __attribute__((malloc, returns_nonnull));
/* For libraries that allocate by themselves: ends the process unless they got
 * what they needed. */
void mem_require(bool got);

#endif
