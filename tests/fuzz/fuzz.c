#include "tests/fuzz/fuzz.h"

#include "proto/base/hash.h"
#include "proto/base/logger.h"

static void quiet(void *impl, enum log_level level, const char *line)
{
    (void)impl;
    (void)level;
    (void)line;
}

void fuzz_begin(void)
{
    static bool begun;
    if (!begun) {
        begun = true;
        hash_init();
        logger_set_sink(quiet, NULL, NULL);
        logger_set_level(LOG_ERROR);
    }
}

unsigned fuzz_choose(struct span *in, unsigned count)
{
    if (in->n == 0) {
        return count;
    }
    unsigned choice = in->p[0] % count;
    in->p++;
    in->n--;
    return choice;
}
