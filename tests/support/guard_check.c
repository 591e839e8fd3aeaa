#include "tests/support/guard_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/fault.h"
#include "proto/base/logger.h"

static void quiet(void *impl, enum log_level level, const char *line)
{
    (void)impl;
    (void)level;
    (void)line;
}

void guard_check(const char *bug, bool (*is_bad)(void))
{
    fault_set_bugs("");
    assert_false(is_bad());
    fault_set_bugs(bug);
    assert_true(is_bad());
    fault_set_bugs("");
}

bool guard_child_dies(void (*body)(void))
{
    int status = 0;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        if (getenv("SHARDGATE_TEST_VERBOSE") == NULL) {
            (void)close(STDERR_FILENO);
        }
        (void)alarm(20);
        body();
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return !WIFEXITED(status) || WEXITSTATUS(status) != 0;
}

void guard_be_quiet(void)
{
    logger_set_sink(quiet, NULL, NULL);
}
