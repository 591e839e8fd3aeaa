/* File ID modifiers of a creation day as a bit mask: A to Z, then 0 to 9
 * (docs/ach.md). */
#ifndef SHARD_STATE_MODIFIER_H
#define SHARD_STATE_MODIFIER_H

#include <stdint.h>

/* 0: not a modifier. */
uint64_t modifier_bit(char modifier);
/* The first that is not in the mask; 0: all are used. */
char modifier_first_free(uint64_t mask);

#endif
