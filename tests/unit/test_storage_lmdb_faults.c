/* LMDB: full and failing disks, readers in other threads and processes, and
 * that what was reported durable is there after kill -9. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/hash.h"
#include "proto/base/limits.h"
#include "proto/base/logger.h"
#include "storage/lmdb_kv.h"
#include "storage/log.h"
#include "tests/support/test_lmdb.h"
#include "tests/support/test_random.h"

/* --- The system's flush and write, as LMDB calls them ------------------------ */

static unsigned flushes_count;
static unsigned synced_writes_count; /* Of the meta page, through a descriptor of its own. */
static bool flush_fails;             /* Once. */
static bool synced_write_fails;      /* Once. */

static bool take(bool *flag)
{
    bool was = *flag;
    *flag = false;
    errno = was ? EIO : errno;
    return was;
}

int fdatasync(int fd)
{
    flushes_count++;
    return take(&flush_fails) ? -1 : fsync(fd);
}

ssize_t pwrite(int fd, const void *data, size_t size, off_t offset)
{
    if ((fcntl(fd, F_GETFL) & O_DSYNC) != 0) {
        synced_writes_count++;
        if (take(&synced_write_fails)) {
            return -1;
        }
    }
    struct iovec part = {.iov_base = (void *)(uintptr_t)data, .iov_len = size};
    return pwritev(fd, &part, 1, offset);
}

static void drop_line(void *impl, enum log_level level, const char *line)
{
    (void)impl;
    (void)level;
    (void)line;
}

/* --- Failing writes ------------------------------------------------------------ */

/* Fill until it refuses; returns how many records were reported durable. */
static unsigned fill(struct kv *kv, unsigned *last_err)
{
    static char value[2000];
    memset(value, 'v', sizeof(value));
    for (unsigned n = 0;; n++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "%08u", n);
        enum sg_err err = test_lmdb_put(kv, key, span_of(value, sizeof(value)));
        if (err != SG_OK || n > 5000) {
            *last_err = err;
            return n;
        }
    }
}

static void test_a_full_store_refuses_and_keeps_what_it_has(void **state)
{
    struct test_lmdb *f = *state;
    const struct lmdb_options options = {.dir = f->store, .name = "lane-0", .map_size_bytes = 1u << 20};
    assert_int_equal(lmdb_kv_open(&options, &f->kv, f->why, sizeof(f->why)), SG_OK);
    uint64_t free_before = f->kv.ops->free_bytes(f->kv.impl);
    assert_true(free_before < 1u << 20);
    assert_true(free_before > 1u << 19);
    unsigned err = SG_OK;
    unsigned count = fill(&f->kv, &err);
    assert_int_equal(err, SG_IO);
    assert_true(count > 100);
    assert_true(f->kv.ops->free_bytes(f->kv.impl) < free_before / 4);
    assert_true(f->kv.ops->used_bytes(f->kv.impl) <= 1u << 20);
    assert_int_equal(test_lmdb_put(&f->kv, "x", span_str("x")), SG_IO);
    assert_int_equal(test_lmdb_get(&f->kv, "00000000"), SG_OK);
    kv_close(&f->kv);
    test_lmdb_open(f); /* With the usual, larger map. */
    char key[16];
    (void)snprintf(key, sizeof(key), "%08u", count - 1);
    assert_int_equal(test_lmdb_get(&f->kv, key), SG_OK);
    (void)snprintf(key, sizeof(key), "%08u", count);
    assert_int_equal(test_lmdb_get(&f->kv, key), SG_NOTFOUND);
    assert_int_equal(test_lmdb_put(&f->kv, "x", span_str("x")), SG_OK);
    kv_close(&f->kv);
}

/* Pages that rows gave back stay in the file, and there is room in them. */
static void test_pages_free_within_are_room(void **state)
{
    struct test_lmdb *f = *state;
    struct lmdb_options options = {.dir = f->store, .name = "lane-0", .map_size_bytes = 1u << 20};
    struct kv_txn *txn;
    unsigned err = SG_OK;
    assert_int_equal(lmdb_kv_open(&options, &f->kv, f->why, sizeof(f->why)), SG_OK);
    unsigned count = fill(&f->kv, &err);
    kv_close(&f->kv);
    options.map_size_bytes += 256u << 10; /* To delete takes pages, too. */
    assert_int_equal(lmdb_kv_open(&options, &f->kv, f->why, sizeof(f->why)), SG_OK);
    uint64_t used = f->kv.ops->used_bytes(f->kv.impl);
    assert_true(f->kv.ops->free_bytes(f->kv.impl) <= 300u << 10);
    assert_int_equal(kv_begin(&f->kv, true, &txn), SG_OK);
    for (unsigned i = 0; i < count; i++) {
        char key[16];
        (void)snprintf(key, sizeof(key), "%08u", i);
        assert_int_equal(kv_del(&f->kv, txn, KV_STATE, span_str(key)), SG_OK);
    }
    assert_int_equal(kv_commit(&f->kv, txn), SG_OK);
    assert_true(f->kv.ops->used_bytes(f->kv.impl) >= used); /* The file keeps them. */
    assert_true(f->kv.ops->free_bytes(f->kv.impl) > 800u << 10);
    kv_close(&f->kv);
}

static void test_every_commit_is_flushed(void **state)
{
    struct test_lmdb *f = *state;
    test_lmdb_open(f);
    for (int i = 0; i < 5; i++) {
        unsigned flushes = flushes_count;
        unsigned synced = synced_writes_count;
        char key[2] = {(char)('a' + i), '\0'};
        assert_int_equal(test_lmdb_put(&f->kv, key, span_str("x")), SG_OK);
        assert_int_equal(flushes_count, flushes + 1);      /* The pages, */
        assert_int_equal(synced_writes_count, synced + 1); /* then the meta page. */
    }
    kv_close(&f->kv);
}

/* The disk says EIO once and would say "done" ever after: nobody asks it again. */
static void test_a_failed_flush_is_final(void **state)
{
    bool *const switches[] = {&flush_fails, &synced_write_fails};
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(test_lmdb_make(state), 0);
        struct test_lmdb *f = *state;
        test_lmdb_open(f);
        assert_int_equal(test_lmdb_put(&f->kv, "before", span_str("x")), SG_OK);
        *switches[i] = true;
        assert_int_equal(test_lmdb_put(&f->kv, "during", span_str("x")), SG_IO);
        assert_false(*switches[i]);
        unsigned flushes = flushes_count;
        assert_true(kv_is_failed(&f->kv));
        assert_int_equal(test_lmdb_put(&f->kv, "after", span_str("x")), SG_IO);
        assert_int_equal(flushes_count, flushes);
        kv_close(&f->kv);
        test_lmdb_open(f);
        assert_int_equal(test_lmdb_get(&f->kv, "before"), SG_OK);
        assert_int_equal(test_lmdb_get(&f->kv, "after"), SG_NOTFOUND);
        assert_int_equal(test_lmdb_put(&f->kv, "again", span_str("x")), SG_OK);
        kv_close(&f->kv);
        assert_int_equal(test_lmdb_drop(state), 0);
    }
}

static void move(const char *from, const char *to)
{
    assert_int_equal(rename(from, to), 0);
}

static void put_another_in_its_place(const struct test_lmdb *f, const char *away)
{
    move(f->store, away);
    assert_int_equal(mkdir(f->store, 0700), 0);
    FILE *other = fopen(f->data, "w");
    assert_non_null(other);
    assert_int_equal(fclose(other), 0);
}

static void delete_it(const struct test_lmdb *f, const char *away)
{
    (void)away;
    assert_int_equal(unlink(f->data), 0);
}

static void move_it(const struct test_lmdb *f, const char *away)
{
    move(f->store, away);
}

/* LMDB would write on and report success. */
static void test_a_store_that_is_gone_commits_nothing(void **state)
{
    static const struct {
        const char *why;
        void (*lose)(const struct test_lmdb *f, const char *away);
    } rows[] = {
        {"the directory was moved", move_it},
        {"the file was deleted", delete_it},
        {"another one stands there", put_another_in_its_place},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char away[TEST_DIR_SIZE + 16];
        print_message("%s\n", rows[i].why);
        assert_int_equal(test_lmdb_make(state), 0);
        struct test_lmdb *f = *state;
        (void)snprintf(away, sizeof(away), "%s/away", f->dir.path);
        test_lmdb_open(f);
        assert_int_equal(test_lmdb_put(&f->kv, "before", span_str("x")), SG_OK);
        assert_true(f->kv.ops->is_in_place(f->kv.impl));
        rows[i].lose(f, away);
        assert_false(f->kv.ops->is_in_place(f->kv.impl));
        assert_int_equal(test_lmdb_put(&f->kv, "during", span_str("x")), SG_IO);
        assert_true(kv_is_failed(&f->kv));
        kv_close(&f->kv);
        assert_int_equal(test_lmdb_drop(state), 0);
    }
}

static void test_too_many_readers_are_turned_away(void **state)
{
    struct test_lmdb *f = *state;
    struct kv_txn *readers[STORE_READERS_MAX];
    test_lmdb_open(f);
    assert_int_equal(test_lmdb_put(&f->kv, "key", span_str("x")), SG_OK);
    for (size_t i = 0; i < STORE_READERS_MAX; i++) {
        assert_int_equal(kv_begin(&f->kv, false, &readers[i]), SG_OK);
    }
    struct kv_txn *more;
    assert_int_equal(kv_begin(&f->kv, false, &more), SG_BUSY);
    assert_int_equal(test_lmdb_put(&f->kv, "key", span_str("y")), SG_OK); /* Writing goes on. */
    for (size_t i = 0; i < STORE_READERS_MAX; i++) {
        kv_abort(&f->kv, readers[i]);
    }
    assert_int_equal(test_lmdb_get(&f->kv, "key"), SG_OK);
    kv_close(&f->kv);
}

static unsigned cleared_count;

static void count_cleared(void *impl, enum log_level level, const char *line)
{
    (void)impl;
    (void)level;
    cleared_count += strstr(line, "store.dead_readers_cleared") != NULL ? 1 : 0;
}

/* A reader that was killed would keep every page freed since from being used again. */
static void test_slots_of_killed_readers_are_freed(void **state)
{
    struct test_lmdb *f = *state;
    int ready[2];
    test_lmdb_open(f);
    assert_int_equal(test_lmdb_put(&f->kv, "key", span_str("x")), SG_OK);
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        struct kv kv;
        struct kv_txn *txn;
        if (test_lmdb_open_as(f, true, &kv) == SG_OK && kv_begin(&kv, false, &txn) == SG_OK) {
            (void)kill(getpid(), write(ready[1], "r", 1) == 1 ? SIGKILL : SIGABRT);
        }
        _exit(1);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    (void)close(ready[0]);
    (void)close(ready[1]);
    cleared_count = 0;
    logger_set_sink(count_cleared, NULL, NULL);
    for (int i = 0; i < 2000; i++) {
        struct kv_txn *txn;
        assert_int_equal(kv_begin(&f->kv, true, &txn), SG_OK);
        kv_abort(&f->kv, txn);
    }
    logger_set_sink(drop_line, NULL, NULL);
    assert_int_equal(cleared_count, 1);
    kv_close(&f->kv);
}

/* --- Threads ------------------------------------------------------------------- */

#define READERS 3
#define ROUNDS 200

struct reader {
    pthread_t thread;
    struct kv *kv;
    atomic_bool stop;
    unsigned torn_count; /* Times when the two keys of one commit differed. */
    unsigned reads_count;
};

static void *read_pairs(void *arg)
{
    struct reader *r = arg;
    do {
        struct kv_txn *txn;
        struct kv_cursor c;
        char seen[2][24] = {"", ""};
        if (kv_begin(r->kv, false, &txn) != SG_OK) {
            r->torn_count++;
            continue;
        }
        kv_cursor_init(&c, r->kv, txn, KV_STATE, SPAN_NONE);
        for (int i = 0; i < 2 && kv_next(&c) == SG_OK; i++) {
            (void)span_cstr(c.value, seen[i], sizeof(seen[i]));
        }
        kv_cursor_release(&c);
        kv_abort(r->kv, txn);
        r->torn_count += strcmp(seen[0], seen[1]) != 0 ? 1 : 0;
        r->reads_count++;
    } while (!atomic_load(&r->stop));
    return NULL;
}

static void test_readers_on_other_threads_see_whole_commits(void **state)
{
    struct test_lmdb *f = *state;
    struct reader readers[READERS];
    test_lmdb_open(f);
    for (int i = 0; i < READERS; i++) {
        readers[i] = (struct reader){.kv = &f->kv};
        assert_int_equal(pthread_create(&readers[i].thread, NULL, read_pairs, &readers[i]), 0);
    }
    for (int n = 0; n < ROUNDS; n++) {
        struct kv_txn *txn;
        char value[24];
        (void)snprintf(value, sizeof(value), "%d", n);
        assert_int_equal(kv_begin(&f->kv, true, &txn), SG_OK);
        assert_int_equal(kv_put(&f->kv, txn, KV_STATE, span_str("a"), span_str(value)), SG_OK);
        assert_int_equal(kv_put(&f->kv, txn, KV_STATE, span_str("b"), span_str(value)), SG_OK);
        assert_int_equal(kv_commit(&f->kv, txn), SG_OK);
    }
    for (int i = 0; i < READERS; i++) {
        atomic_store(&readers[i].stop, true);
        assert_int_equal(pthread_join(readers[i].thread, NULL), 0);
        assert_int_equal(readers[i].torn_count, 0);
        assert_true(readers[i].reads_count > 0);
    }
    kv_close(&f->kv);
}

/* --- kill -9 -------------------------------------------------------------------- */

#define GROUPS 4
#define KILLS 12

/* Commit n: an entry n in each group, and n as its term. Never returns. */
static void write_until_killed(struct test_lmdb *f, int report_fd)
{
    struct kv kv;
    struct kv_txn *txn;
    struct log_bounds bounds;
    CHECK(test_lmdb_open_as(f, false, &kv) == SG_OK);
    CHECK(kv_begin(&kv, false, &txn) == SG_OK);
    CHECK(log_bounds(&kv, txn, 1, &bounds) == SG_OK);
    kv_abort(&kv, txn);
    static char data[3000];
    for (uint64_t n = bounds.last + 1;; n++) {
        CHECK(kv_begin(&kv, true, &txn) == SG_OK);
        memset(data, (int)(n & 0xff), sizeof(data));
        for (uint64_t group = 1; group <= GROUPS; group++) {
            struct log_entry entry = {.index = n, .term = n, .data = span_of(data, n * 37 % sizeof(data))};
            CHECK(log_append(&kv, txn, group, &entry, 1) == SG_OK);
            CHECK(log_hard_state_put(&kv, txn, group, (struct log_hard_state){n, group}) == SG_OK);
        }
        CHECK(kv_commit(&kv, txn) == SG_OK);
        CHECK(write(report_fd, &n, sizeof(n)) == (ssize_t)sizeof(n));
    }
}

/* Start a writer, kill it after so many reports; returns the last one it made. */
static uint64_t run_and_kill(struct test_lmdb *f, uint64_t reports)
{
    int pipe_fds[2];
    assert_int_equal(pipe(pipe_fds), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(pipe_fds[0]);
        write_until_killed(f, pipe_fds[1]);
    }
    (void)close(pipe_fds[1]);
    uint64_t last = 0;
    for (uint64_t i = 0; i < reports; i++) {
        assert_int_equal(read(pipe_fds[0], &last, sizeof(last)), sizeof(last));
    }
    assert_int_equal(kill(pid, SIGKILL), 0);
    while (read(pipe_fds[0], &last, sizeof(last)) == (ssize_t)sizeof(last)) {
        /* What it reported between our last look and its death. */
    }
    (void)close(pipe_fds[0]);
    int status = 0;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    assert_int_equal(WTERMSIG(status), SIGKILL);
    return last;
}

static void verify_all(struct test_lmdb *f, uint64_t reported)
{
    test_lmdb_open(f);
    struct kv_txn *txn;
    assert_int_equal(kv_begin(&f->kv, false, &txn), SG_OK);
    struct log_bounds first = {0, 0};
    for (uint64_t group = 1; group <= GROUPS; group++) {
        struct log_bounds bounds;
        struct log_hard_state hs;
        assert_int_equal(log_bounds(&f->kv, txn, group, &bounds), SG_OK);
        first = group == 1 ? bounds : first;
        assert_int_equal(bounds.first, 1);
        assert_int_equal(bounds.last, first.last); /* All groups or none. */
        assert_int_equal(log_hard_state_get(&f->kv, txn, group, &hs), SG_OK);
        assert_int_equal(hs.term, bounds.last);
        for (uint64_t index = 1; index <= bounds.last; index++) {
            struct log_entry entry;
            assert_int_equal(log_get(&f->kv, txn, group, index, &entry), SG_OK);
            assert_int_equal(entry.term, index);
        }
    }
    /* Nothing reported is missing; the commit under way may have made it. */
    assert_true(first.last == reported || first.last == reported + 1);
    kv_abort(&f->kv, txn);
    kv_close(&f->kv);
}

static void test_what_was_reported_survives_kill_9(void **state)
{
    struct test_lmdb *f = *state;
    struct test_random r = {9};
    for (int i = 0; i < KILLS; i++) {
        uint64_t reported = run_and_kill(f, 1 + test_random_below(&r, 20));
        verify_all(f, reported);
    }
}

int main(void)
{
    hash_init();
    logger_set_sink(drop_line, NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_full_store_refuses_and_keeps_what_it_has, test_lmdb_make,
                                        test_lmdb_drop),
        cmocka_unit_test_setup_teardown(test_pages_free_within_are_room, test_lmdb_make, test_lmdb_drop),
        cmocka_unit_test_setup_teardown(test_every_commit_is_flushed, test_lmdb_make, test_lmdb_drop),
        cmocka_unit_test(test_a_failed_flush_is_final),
        cmocka_unit_test(test_a_store_that_is_gone_commits_nothing),
        cmocka_unit_test_setup_teardown(test_too_many_readers_are_turned_away, test_lmdb_make,
                                        test_lmdb_drop),
        cmocka_unit_test_setup_teardown(test_slots_of_killed_readers_are_freed, test_lmdb_make,
                                        test_lmdb_drop),
        cmocka_unit_test_setup_teardown(test_readers_on_other_threads_see_whole_commits, test_lmdb_make,
                                        test_lmdb_drop),
        cmocka_unit_test_setup_teardown(test_what_was_reported_survives_kill_9, test_lmdb_make,
                                        test_lmdb_drop),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
