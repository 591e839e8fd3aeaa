#include "proto/level.h"

#include <stddef.h>

const char *level_program(uint32_t level)
{
    static const char *const programs[LEVEL_MAX + 1] = {[1] = "0.1.0", [2] = "0.2.0"};
    return level <= LEVEL_MAX ? programs[level] : NULL;
}
