/* LMDB: who may open it, and what damage looks like. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/hash.h"
#include "proto/base/logger.h"
#include "proto/base/mem.h"
#include "tests/support/test_lmdb.h"

static void drop_line(void *impl, enum log_level level, const char *line)
{
    (void)impl;
    (void)level;
    (void)line;
}

static void write_file(const char *path, const char *text, off_t size)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, text, strlen(text)), (ssize_t)strlen(text));
    assert_int_equal(ftruncate(fd, size), 0);
    (void)close(fd);
}

/* Change to other bytes wherever the data file holds text; returns how often. */
static unsigned edit_file(struct test_lmdb *f, const char *text, const char *other)
{
    size_t n = strlen(text);
    int fd = open(f->data, O_RDWR);
    struct stat st;
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    size_t size = (size_t)st.st_size;
    char *content = mem_alloc(size);
    assert_int_equal(pread(fd, content, size, 0), st.st_size);
    unsigned count = 0;
    for (size_t at = 0; at + n <= size; at++) {
        if (memcmp(content + at, text, n) == 0) {
            assert_int_equal(pwrite(fd, other, n, (off_t)at), (ssize_t)n);
            count++;
        }
    }
    (void)close(fd);
    mem_free(content);
    return count;
}

/* What a process of its own answers when it opens the store. */
static int open_in_child(struct test_lmdb *f, bool read_only)
{
    pid_t pid = fork();
    if (pid == 0) {
        struct kv kv;
        enum sg_err err = test_lmdb_open_as(f, read_only, &kv);
        if (err == SG_OK) {
            err = test_lmdb_get(&kv, "key");
            kv_close(&kv);
        }
        _exit((int)err);
    }
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    return WEXITSTATUS(status);
}

/* --- Opening ---------------------------------------------------------------- */

static void test_only_one_may_have_it_open(void **state)
{
    struct test_lmdb *f = *state;
    struct kv second;
    test_lmdb_open(f);
    assert_int_equal(test_lmdb_put(&f->kv, "key", span_str("x")), SG_OK);
    assert_int_equal(test_lmdb_open_as(f, false, &second), SG_BUSY);
    assert_non_null(strstr(f->why, "this process"));
    assert_int_equal(test_lmdb_open_as(f, true, &second), SG_BUSY); /* It would drop LMDB's locks. */
    assert_int_equal(open_in_child(f, false), SG_BUSY);
    assert_int_equal(test_lmdb_put(&f->kv, "key", span_str("y")), SG_OK);
    kv_close(&f->kv);
    assert_int_equal(open_in_child(f, false), SG_OK);
    test_lmdb_open(f);
    kv_close(&f->kv);
}

static void test_a_store_of_another_process_is_busy(void **state)
{
    struct test_lmdb *f = *state;
    int ready[2];
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        if (test_lmdb_open_as(f, false, &f->kv) != SG_OK || write(ready[1], "r", 1) != 1) {
            _exit(1);
        }
        for (;;) {
            (void)pause();
        }
    }
    char byte;
    (void)close(ready[1]);
    assert_int_equal(read(ready[0], &byte, 1), 1);
    assert_int_equal(test_lmdb_open_as(f, false, &f->kv), SG_BUSY);
    assert_non_null(strstr(f->why, "another process"));
    assert_int_equal(test_lmdb_open_as(f, true, &f->kv), SG_OK); /* Looking in is allowed. */
    kv_close(&f->kv);
    assert_int_equal(kill(pid, SIGKILL), 0);
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    test_lmdb_open(f); /* The lock died with it. */
    kv_close(&f->kv);
    (void)close(ready[0]);
}

static void test_read_only_beside_the_writer(void **state)
{
    struct test_lmdb *f = *state;
    test_lmdb_open(f);
    assert_int_equal(open_in_child(f, true), SG_NOTFOUND); /* The key. */
    assert_int_equal(test_lmdb_put(&f->kv, "key", span_str("x")), SG_OK);
    assert_int_equal(open_in_child(f, true), SG_OK);
    assert_int_equal(test_lmdb_put(&f->kv, "key", span_str("y")), SG_OK);
    kv_close(&f->kv);
    assert_int_equal(test_lmdb_open_as(f, true, &f->kv), SG_OK);
    struct kv_txn *txn;
    assert_int_equal(kv_begin(&f->kv, true, &txn), SG_IO);
    assert_int_equal(test_lmdb_get(&f->kv, "key"), SG_OK);
    kv_close(&f->kv);
}

static void make_nothing(struct test_lmdb *f)
{
    (void)f;
}

static void make_directory(struct test_lmdb *f)
{
    assert_int_equal(mkdir(f->store, 0700), 0);
}

static void make_file_in_its_place(struct test_lmdb *f)
{
    write_file(f->store, "x", 1);
}

static void make_empty_file(struct test_lmdb *f)
{
    make_directory(f);
    write_file(f->data, "", 0);
}

static void make_text(struct test_lmdb *f)
{
    make_directory(f);
    write_file(f->data, "This is no store.", 65536);
}

static void make_zeros(struct test_lmdb *f)
{
    make_directory(f);
    write_file(f->data, "", 65536);
}

static void make_good(struct test_lmdb *f)
{
    test_lmdb_open(f);
    assert_int_equal(test_lmdb_put(&f->kv, "key", span_str("x")), SG_OK);
    kv_close(&f->kv);
}

static void make_other_format(struct test_lmdb *f)
{
    make_good(f);
    assert_true(edit_file(f, "state.1", "state.9") > 0);
}

static void make_lock_a_directory(struct test_lmdb *f)
{
    char path[sizeof(f->store) + 32];
    make_directory(f);
    (void)snprintf(path, sizeof(path), "%s/writer.lock", f->store);
    assert_int_equal(mkdir(path, 0700), 0);
}

static const struct {
    const char *reason;
    void (*make)(struct test_lmdb *f);
    enum sg_err writable;
    enum sg_err read_only;
} opens[] = {
    {"nothing there: made, but not by who only looks", make_nothing, SG_OK, SG_NOTFOUND},
    {"an empty directory", make_directory, SG_OK, SG_NOTFOUND},
    {"an empty file, as a crash while making it leaves", make_empty_file, SG_OK, SG_NOTFOUND},
    {"a store", make_good, SG_OK, SG_OK},
    {"a file where the directory should be", make_file_in_its_place, SG_IO, SG_NOTFOUND},
    {"text", make_text, SG_CORRUPT, SG_CORRUPT},
    {"zeros", make_zeros, SG_CORRUPT, SG_CORRUPT},
    {"a later format", make_other_format, SG_CORRUPT, SG_CORRUPT},
    {"a lock file that cannot be opened", make_lock_a_directory, SG_IO, SG_NOTFOUND},
};

static void test_what_may_be_opened(void **state)
{
    for (size_t i = 0; i < 2 * sizeof(opens) / sizeof(opens[0]); i++) {
        bool read_only = i % 2 == 1;
        print_message("%s%s\n", opens[i / 2].reason, read_only ? ", read-only" : "");
        assert_int_equal(test_lmdb_make(state), 0);
        struct test_lmdb *f = *state;
        opens[i / 2].make(f);
        f->why[0] = '\0';
        enum sg_err err = test_lmdb_open_as(f, read_only, &f->kv);
        assert_int_equal(err, read_only ? opens[i / 2].read_only : opens[i / 2].writable);
        if (err == SG_OK) {
            assert_int_equal(test_lmdb_put(&f->kv, "new", span_str("x")), read_only ? SG_IO : SG_OK);
            kv_close(&f->kv);
        } else {
            assert_non_null(strstr(f->why, f->store));
            /* Nothing stays locked: the same answer again. */
            assert_int_equal(test_lmdb_open_as(f, read_only, &f->kv), err);
        }
        assert_int_equal(test_lmdb_drop(state), 0);
    }
}

/* --- Damage ------------------------------------------------------------------ */

static void test_changed_bytes_are_found(void **state)
{
    struct test_lmdb *f = *state;
    char big[9000];
    memset(big, 'B', sizeof(big));
    test_lmdb_open(f);
    assert_int_equal(test_lmdb_put(&f->kv, "good", span_str("nothing happens to this")), SG_OK);
    assert_int_equal(test_lmdb_put(&f->kv, "small", span_str("one hundred dollars")), SG_OK);
    assert_int_equal(test_lmdb_put(&f->kv, "large", span_of(big, sizeof(big))), SG_OK);
    kv_close(&f->kv);
    assert_true(edit_file(f, "one hundred dollars", "six hundred dollars") > 0);
    assert_true(edit_file(f, "BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB",
                          "BBBBBBBBBBBBBBBBBBBBBbBBBBBBBBBBBBBBBBBB") > 0);
    test_lmdb_open(f);
    assert_int_equal(test_lmdb_get(&f->kv, "small"), SG_CORRUPT);
    assert_string_equal(kv_damage(), "store=lane-0 table=state key=736d616c6c reason=\"checksum\"");
    assert_int_equal(test_lmdb_get(&f->kv, "large"), SG_CORRUPT);
    assert_int_equal(test_lmdb_get(&f->kv, "good"), SG_OK);
    assert_false(kv_is_failed(&f->kv)); /* Others may still write. */
    assert_int_equal(test_lmdb_put(&f->kv, "small", span_str("repaired")), SG_OK);
    assert_int_equal(test_lmdb_get(&f->kv, "small"), SG_OK);
    kv_close(&f->kv);
}

/* A record under a key that is not its own: right value, right checksum of it, wrong place. */
static void test_a_changed_key_is_found(void **state)
{
    struct test_lmdb *f = *state;
    test_lmdb_open(f);
    assert_int_equal(test_lmdb_put(&f->kv, "transfer-1", span_str("x")), SG_OK);
    kv_close(&f->kv);
    assert_true(edit_file(f, "transfer-1", "transfer-7") > 0);
    test_lmdb_open(f);
    assert_int_equal(test_lmdb_get(&f->kv, "transfer-7"), SG_CORRUPT);
    kv_close(&f->kv);
}

/* It stands in the wrong place, where no search looks; a walk takes it away. */
static void test_a_changed_key_can_be_deleted(void **state)
{
    struct test_lmdb *f = *state;
    struct kv_txn *txn;
    test_lmdb_open(f);
    for (int i = 1; i < 8; i++) {
        char key[] = "transfer-0";
        key[9] = (char)('0' + i);
        assert_int_equal(test_lmdb_put(&f->kv, key, span_str("x")), SG_OK);
    }
    kv_close(&f->kv);
    assert_true(edit_file(f, "transfer-3", "transferZ3") > 0);
    test_lmdb_open(f);
    assert_int_equal(kv_begin(&f->kv, true, &txn), SG_OK);
    unsigned left = 0;
    for (int walks = 0; walks < 3; walks++) {
        struct kv_cursor c;
        enum sg_err err;
        left = 0;
        kv_cursor_init(&c, &f->kv, txn, KV_STATE, span_str("transfer"));
        while ((err = kv_next(&c)) == SG_OK || err == SG_CORRUPT) {
            assert_int_equal(kv_del(&f->kv, txn, KV_STATE, c.key), SG_OK);
            left++;
        }
        kv_cursor_release(&c);
    }
    assert_int_equal(left, 0);
    assert_int_equal(kv_commit(&f->kv, txn), SG_OK);
    kv_close(&f->kv);
}

static void test_a_shortened_file_is_damage(void **state)
{
    struct test_lmdb *f = *state;
    static char value[100000];
    memset(value, 'v', sizeof(value));
    test_lmdb_open(f);
    assert_int_equal(test_lmdb_put(&f->kv, "early", span_str("x")), SG_OK);
    assert_int_equal(test_lmdb_put(&f->kv, "large", span_of(value, sizeof(value))), SG_OK);
    kv_close(&f->kv);
    struct stat st;
    assert_int_equal(stat(f->data, &st), 0);
    assert_int_equal(truncate(f->data, st.st_size - 60000), 0);
    test_lmdb_open(f);
    assert_int_equal(test_lmdb_get(&f->kv, "large"), SG_CORRUPT);
    kv_close(&f->kv);
}

int main(void)
{
    hash_init();
    logger_set_sink(drop_line, NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_only_one_may_have_it_open, test_lmdb_make, test_lmdb_drop),
        cmocka_unit_test_setup_teardown(test_a_store_of_another_process_is_busy, test_lmdb_make,
                                        test_lmdb_drop),
        cmocka_unit_test_setup_teardown(test_read_only_beside_the_writer, test_lmdb_make, test_lmdb_drop),
        cmocka_unit_test(test_what_may_be_opened),
        cmocka_unit_test_setup_teardown(test_changed_bytes_are_found, test_lmdb_make, test_lmdb_drop),
        cmocka_unit_test_setup_teardown(test_a_changed_key_is_found, test_lmdb_make, test_lmdb_drop),
        cmocka_unit_test_setup_teardown(test_a_changed_key_can_be_deleted, test_lmdb_make, test_lmdb_drop),
        cmocka_unit_test_setup_teardown(test_a_shortened_file_is_damage, test_lmdb_make, test_lmdb_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
