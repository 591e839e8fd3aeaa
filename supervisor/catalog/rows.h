/* Row keys of the catalog: the kind's byte, then the object's name. Private. */
#ifndef SUPERVISOR_CATALOG_ROWS_H
#define SUPERVISOR_CATALOG_ROWS_H

#include "supervisor/catalog/catalog.h"

static inline uint8_t catalog_row_prefix(enum catalog_kind kind)
{
    return (uint8_t)kind; /* 0x01 and up; 0x00 is the engine's. */
}

#define CATALOG_KEY_SIZE_MAX (1 + NAME_SIZE_MAX)
/* Writes the key of an object; returns its size. name is at most NAME_SIZE_MAX. */
size_t catalog_row_key(enum catalog_kind kind, struct span name, uint8_t key[CATALOG_KEY_SIZE_MAX]);

/* Does an object of a change decode, and is it the one it is said to be? So
 * that damage, which one replica may have met, is not taken for a bad change. */
bool catalog_is_sound(enum catalog_kind kind, struct span name, struct span encoded);

/* Something of a level above rows->level_max; program: the first that speaks it, when
 * known. SG_UNSUPPORTED with kv_damage(). */
enum sg_err catalog_newer(const struct rows *rows, uint32_t level, struct span program);

/* Objects that begin with their name (a span) and ascend by it, each size bytes:
 * the place of the one with this name, or count. */
size_t catalog_find(const void *objects, size_t count, size_t size, struct span name);

#endif
