/* What of an endpoint's directories is on the disk when a request is answered: the
 * program's fsync() stands in front of the C library's and notes what it flushed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "supervisor/daemon/banks/directory.h"
#include "tests/support/test_dir.h"

#define FLUSHES_MAX 16
#define PATH_SIZE (TEST_DIR_SIZE + 64)

/* Inode and size of each, in order. */
static struct {
    ino_t inode;
    off_t size;
} flushes[FLUSHES_MAX];
static size_t flushes_count;
static size_t fails_at; /* The flush of this number, from 1, fails; 0: none. */

int fsync(int fd);
int fsync(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    assert_true(flushes_count < FLUSHES_MAX);
    flushes[flushes_count].inode = st.st_ino;
    flushes[flushes_count++].size = st.st_size;
    return flushes_count == fails_at ? -1 : (int)syscall(SYS_fsync, fd);
}

static struct test_dir dir;
static char staging[PATH_SIZE], drop[PATH_SIZE];
static struct endpoint_settings endpoint;

static int make(void **state)
{
    (void)state;
    hash_init();
    test_dir_make(&dir);
    (void)snprintf(staging, sizeof staging, "%s/staging", dir.path);
    (void)snprintf(drop, sizeof drop, "%s/inbox", dir.path);
    endpoint = (struct endpoint_settings){.kind = ENDPOINT_DIRECTORY,
                                          .staging_dir = span_str(staging),
                                          .drop_dir = span_str(drop),
                                          .confirm = CONFIRM_HASH};
    fails_at = 0;
    return mkdir(staging, 0700) != 0 || mkdir(drop, 0700) != 0;
}

static int clear(void **state)
{
    (void)state;
    test_dir_remove(&dir);
    return 0;
}

static enum bank_answer ask(enum bank_op op)
{
    struct bank_request r = {.op = op,
                             .endpoint = &endpoint,
                             .place = BANK_STAGING,
                             .to_place = BANK_DROP,
                             .name = "T",
                             .to_name = "F"};
    r.data = span_str("0123456789");
    r.sha256 = sha256_of(r.data);
    flushes_count = 0;
    directory_execute(&r);
    return r.answer;
}

static ino_t inode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_ino;
}

/* The place among the flushes, from 1; 0: it was not flushed. */
static size_t flushed(const char *path)
{
    for (size_t i = 0; i < flushes_count; i++) {
        if (flushes[i].inode == inode_of(path)) {
            return i + 1;
        }
    }
    return 0;
}

/* All of its bytes first, then its name. */
static void test_create_flushes_file_and_directory(void **state)
{
    char path[PATH_SIZE + 2];
    (void)state;
    (void)snprintf(path, sizeof path, "%s/T", staging);
    assert_int_equal(ask(BANK_CREATE), BANK_OK);
    assert_int_not_equal(flushed(path), 0);
    assert_int_equal(flushes[flushed(path) - 1].size, 10);
    assert_true(flushed(staging) > flushed(path));
}

/* What could not be flushed is no answer that it is there. */
static void test_a_flush_that_fails_is_no_ok(void **state)
{
    (void)state;
    for (fails_at = 1; fails_at <= 2; fails_at++) {
        char path[PATH_SIZE + 2];
        (void)snprintf(path, sizeof path, "%s/T", staging);
        assert_int_not_equal(ask(BANK_CREATE), BANK_OK);
        assert_int_equal(flushes_count >= fails_at, 1);
        (void)unlink(path);
    }
}

/* A rename is made to last by SYNC: both directories, and either failure is told. */
static void test_sync_flushes_both_directories(void **state)
{
    (void)state;
    assert_int_equal(ask(BANK_CREATE), BANK_OK);
    assert_int_equal(ask(BANK_RENAME), BANK_OK);
    assert_int_equal(ask(BANK_SYNC), BANK_OK);
    assert_int_not_equal(flushed(staging), 0);
    assert_int_not_equal(flushed(drop), 0);
    for (fails_at = 1; fails_at <= 2; fails_at++) {
        assert_int_not_equal(ask(BANK_SYNC), BANK_OK);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create_flushes_file_and_directory, make, clear),
        cmocka_unit_test_setup_teardown(test_a_flush_that_fails_is_no_ok, make, clear),
        cmocka_unit_test_setup_teardown(test_sync_flushes_both_directories, make, clear),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
