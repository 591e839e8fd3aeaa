#include "supervisor/base/memory.h"

#include <jansson.h>

#include "proto/base/mem.h"
#include "shard/engine/group.h"

void memory_begin(void)
{
    json_malloc_t allocate;
    json_free_t release;

    group_use_memory();
    json_get_alloc_funcs(&allocate, &release);
    if (allocate != mem_alloc) {
        json_set_alloc_funcs(mem_alloc, mem_free);
    }
}
