/* A page that leads out of the store ends the process; its last line says which. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "storage/lmdb_trap.h"

/* Touches what is not there in a child; its stderr comes back. */
static int die(bool inside, char *line, size_t size)
{
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct rlimit none = {0, 0};
        (void)setrlimit(RLIMIT_CORE, &none);
        (void)dup2(ends[1], STDERR_FILENO);
        volatile uint8_t *page = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        lmdb_trap_begin("lane-7", "get", KV_STATE, span_str("\x01key"));
        if (!inside) {
            lmdb_trap_end();
        }
        _exit(page[7]);
    }
    (void)close(ends[1]);
    size_t n = 0;
    for (ssize_t got; n < size - 1 && (got = read(ends[0], line + n, size - 1 - n)) > 0;) {
        n += (size_t)got;
    }
    line[n] = '\0';
    (void)close(ends[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status)); /* As without the trap: a service manager sees it. */
    return WTERMSIG(status);
}

static void the_last_line_names_the_store(void **state)
{
    (void)state;
    char line[1024];
    assert_int_equal(die(true, line, sizeof line), SIGSEGV);
    assert_non_null(strstr(line, "Z error store.damaged store=lane-7 op=get table=state key=016b6579 "
                                 "signal=SIGSEGV why="));
    assert_int_equal(line[strlen(line) - 1], '\n');
    assert_true(strlen(line) > 24 && line[10] == 'T' && line[23] == 'Z');
}

static void a_trap_elsewhere_is_none_of_the_store(void **state)
{
    (void)state;
    char line[1024];
    assert_int_equal(die(false, line, sizeof line), SIGSEGV);
    assert_null(strstr(line, "store.damaged"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_last_line_names_the_store),
        cmocka_unit_test(a_trap_elsewhere_is_none_of_the_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
