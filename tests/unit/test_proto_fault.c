#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include <cmocka.h>

#include "proto/base/fault.h"

#ifdef SHARDGATE_FAULTS

#define SURVIVED 7

/* A child reads the environment afresh; passes the point so often; exits SURVIVED. */
static int child_status(const char *spec, const char *point, int passages)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(STDERR_FILENO);
        (void)setenv("SHARDGATE_FAULT", spec, 1);
        for (int i = 0; i < passages; i++) {
            FAULT_POINT(point);
        }
        _exit(SURVIVED);
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, WUNTRACED), child);
    if (WIFSTOPPED(status)) {
        int end = 0;
        (void)kill(child, SIGKILL);
        assert_int_equal(waitpid(child, &end, 0), child);
    }
    return status;
}

static void test_environment(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const char *spec;
        const char *point;
        int passages;
        int signal; /* 0: survives. */
    } rows[] = {
        {"no fault set", "", "a.b", 3, 0},
        {"the first passage by default", "a.b=kill", "a.b", 1, SIGKILL},
        {"another point does nothing", "a.b=kill", "a.c", 3, 0},
        {"a longer name is another point", "a.b=kill", "a.bc", 3, 0},
        {"not before the third passage", "a.b=kill:3", "a.b", 2, 0},
        {"at the third passage", "a.b=kill:3", "a.b", 3, SIGKILL},
        {"stop", "a.b=stop:2", "a.b", 2, SIGSTOP},
        {"the second of a list", "x=kill,a.b=kill", "a.b", 1, SIGKILL},
        {"an unknown action aborts", "a.b=die", "other", 1, SIGABRT},
        {"a bad count aborts", "a.b=kill:0", "other", 1, SIGABRT},
        {"a missing count aborts", "a.b=kill:", "other", 1, SIGABRT},
        {"text after the action aborts", "a.b=killer", "other", 1, SIGABRT},
        {"a name alone aborts", "a.b", "other", 1, SIGABRT},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int status = child_status(rows[i].spec, rows[i].point, rows[i].passages);
        bool ok = rows[i].signal == 0         ? WIFEXITED(status) && WEXITSTATUS(status) == SURVIVED
                  : rows[i].signal == SIGSTOP ? WIFSTOPPED(status)
                                              : WIFSIGNALED(status) && WTERMSIG(status) == rows[i].signal;
        if (!ok) {
            fail_msg("%s: status %#x", rows[i].why, (unsigned)status);
        }
    }
}

static void remember(void *impl, const char *name)
{
    const char **last = impl;
    *last = name;
}

static void test_handler(void **state)
{
    (void)state;
    const char *last = "";
    fault_set_handler(remember, &last);
    FAULT_POINT("upload.claimed");
    assert_string_equal(last, "upload.claimed");
    fault_set_handler(NULL, NULL);
    FAULT_POINT("upload.renamed");
    assert_string_equal(last, "upload.claimed");
}

static void test_bugs(void **state)
{
    (void)state;
    assert_true(FAULT_BUG("first"));
    assert_true(FAULT_BUG("second.bug"));
    assert_false(FAULT_BUG("fir"));
    assert_false(FAULT_BUG("second"));
    assert_false(FAULT_BUG("irst"));
    assert_false(FAULT_BUG("third"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_environment), /* First: the environment is read once a process. */
        cmocka_unit_test(test_handler),
        cmocka_unit_test(test_bugs),
    };
    (void)setenv("SHARDGATE_BUG", "first,second.bug", 1);
    (void)unsetenv("SHARDGATE_FAULT");
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

/* What a release build promises: the points are nothing at all. */
static void test_points_are_off(void **state)
{
    (void)state;
    (void)setenv("SHARDGATE_FAULT", "a.b=kill", 1);
    (void)setenv("SHARDGATE_BUG", "first", 1);
    FAULT_POINT("a.b");
    assert_false(FAULT_BUG("first"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_points_are_off)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
