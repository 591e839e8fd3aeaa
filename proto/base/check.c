#include "proto/base/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

void check_failed(const char *file, int line, const char *condition)
{
    char text[512];
    int n = snprintf(text, sizeof(text), "CHECK failed: %s:%d: %s\n", file, line, condition);
    size_t size = n < 0 ? 0 : (size_t)n;
    if (size >= sizeof(text)) {
        size = sizeof(text) - 1;
    }
    /* One write(2): stdio may hold the lock of the thread that broke. A failure
     * to print changes nothing, the process ends here. */
    ssize_t written = write(STDERR_FILENO, text, size);
    (void)written;
    abort();
}
