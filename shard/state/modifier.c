#include "shard/state/modifier.h"

#include <string.h>

#include "proto/base/limits.h"

static const char modifiers[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
CHECK_STATIC(sizeof(modifiers) == FILE_MODIFIERS + 1, "every modifier has a bit");

uint64_t modifier_bit(char modifier)
{
    const char *at = modifier == 0 ? NULL : strchr(modifiers, modifier);
    return at == NULL ? 0 : (uint64_t)1 << (at - modifiers);
}

char modifier_first_free(uint64_t mask)
{
    for (unsigned i = 0; i < FILE_MODIFIERS; i++) {
        if ((mask & (uint64_t)1 << i) == 0) {
            return modifiers[i];
        }
    }
    return 0;
}
