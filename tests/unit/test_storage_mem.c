/* The store in memory: crashes, rot, failing operations; and the log over it
 * when every single operation fails once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "proto/base/hash.h"
#include "proto/base/logger.h"
#include "proto/base/mem.h"
#include "storage/log.h"
#include "storage/mem_kv.h"
#include "storage/mem_tree.h"
#include "tests/support/test_random.h"

static struct kv_txn *begin(struct kv *kv, bool write)
{
    struct kv_txn *txn = NULL;
    assert_int_equal(kv_begin(kv, write, &txn), SG_OK);
    return txn;
}

static void commit_one(struct kv *kv, const char *key, const char *value)
{
    struct kv_txn *txn = begin(kv, true);
    assert_int_equal(kv_put(kv, txn, KV_STATE, span_str(key), span_str(value)), SG_OK);
    assert_int_equal(kv_commit(kv, txn), SG_OK);
}

static bool has(struct kv *kv, const char *key, const char *value)
{
    struct kv_txn *txn = begin(kv, false);
    struct span found = SPAN_NONE;
    enum sg_err err = kv_get(kv, txn, KV_STATE, span_str(key), &found);
    bool same = err == SG_OK && span_is(found, value);
    kv_abort(kv, txn);
    return same;
}

static const struct {
    const char *reason;
    bool manual;
    int flush_after; /* Commits 1 and 2 are made; mem_kv_flush() after this one. */
    enum mem_kv_crash_how how;
    bool has_first;
    bool has_second;
} crashes[] = {
    {"commits are durable when they return", false, 0, MEM_KV_DROP_UNFLUSHED, true, true},
    {"a crash keeps what was committed", true, 0, MEM_KV_KEEP_COMMITTED, true, true},
    {"or loses what was never flushed", true, 0, MEM_KV_DROP_UNFLUSHED, false, false},
    {"a flush stands for all before it", true, 1, MEM_KV_DROP_UNFLUSHED, true, false},
    {"up to the last", true, 2, MEM_KV_DROP_UNFLUSHED, true, true},
    {"where only the process died, all is seen", true, 1, MEM_KV_KEEP_VISIBLE, true, true},
};

static void test_crashes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(crashes) / sizeof(crashes[0]); i++) {
        print_message("%s\n", crashes[i].reason);
        struct mem_kv *disk = mem_kv_new("test");
        struct kv dead;
        struct kv kv;
        mem_kv_open(disk, &dead);
        mem_kv_set_manual_flush(disk, crashes[i].manual);
        for (int n = 1; n <= 2; n++) {
            commit_one(&dead, n == 1 ? "first" : "second", "x");
            if (n == crashes[i].flush_after) {
                mem_kv_flush(disk);
            }
        }
        struct kv_txn *reader = begin(&dead, false);
        struct kv_txn *writer = begin(&dead, true);
        assert_int_equal(kv_put(&dead, writer, KV_STATE, span_str("open"), span_str("x")), SG_OK);
        mem_kv_crash(disk, crashes[i].how);
        mem_kv_open(disk, &kv);
        assert_int_equal(has(&kv, "first", "x"), crashes[i].has_first);
        assert_int_equal(has(&kv, "second", "x"), crashes[i].has_second);
        assert_false(has(&kv, "open", "x"));
        /* The dead process can do no harm any more, and the new one is free to write. */
        commit_one(&kv, "new", "x");
        struct span value;
        assert_int_equal(kv_get(&dead, reader, KV_STATE, span_str("first"), &value), SG_IO);
        assert_int_equal(kv_put(&dead, writer, KV_STATE, span_str("open"), span_str("x")), SG_IO);
        assert_int_equal(kv_commit(&dead, writer), SG_IO);
        kv_abort(&dead, reader);
        assert_int_equal(kv_begin(&dead, false, &reader), SG_IO);
        assert_int_equal(kv_begin(&dead, true, &writer), SG_IO);
        assert_true(has(&kv, "new", "x"));
        assert_false(has(&kv, "open", "x"));
        kv_close(&dead);
        kv_close(&kv);
        mem_kv_free(disk);
    }
}

/* What the machine's memory has is on no disk until the next flush. */
static void test_what_is_visible_may_still_be_lost(void **state)
{
    (void)state;
    struct mem_kv *disk = mem_kv_new("test");
    struct kv kv;
    mem_kv_set_manual_flush(disk, true);
    mem_kv_open(disk, &kv);
    commit_one(&kv, "first", "x");
    mem_kv_crash(disk, MEM_KV_KEEP_VISIBLE);
    kv_close(&kv);
    mem_kv_open(disk, &kv);
    assert_true(has(&kv, "first", "x"));
    mem_kv_crash(disk, MEM_KV_DROP_UNFLUSHED);
    kv_close(&kv);
    mem_kv_open(disk, &kv);
    assert_false(has(&kv, "first", "x"));
    kv_close(&kv);
    mem_kv_free(disk);
}

static void test_a_torn_flush_keeps_the_first_commits(void **state)
{
    (void)state;
    static const char *const keys[] = {"a", "b", "c"};
    for (size_t keep = 0; keep <= 3; keep++) {
        struct mem_kv *disk = mem_kv_new("test");
        struct kv kv;
        mem_kv_set_manual_flush(disk, true);
        mem_kv_open(disk, &kv);
        for (size_t i = 0; i < 3; i++) {
            commit_one(&kv, keys[i], "x");
        }
        assert_int_equal(mem_kv_unflushed(disk), 3);
        mem_kv_crash_torn(disk, keep);
        assert_int_equal(mem_kv_unflushed(disk), 0);
        kv_close(&kv);
        mem_kv_open(disk, &kv);
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(has(&kv, keys[i], "x"), i < keep);
        }
        kv_close(&kv);
        mem_kv_free(disk);
    }
}

static void test_wipe_leaves_an_empty_disk(void **state)
{
    (void)state;
    struct mem_kv *disk = mem_kv_new("test");
    struct kv kv;
    mem_kv_open(disk, &kv);
    commit_one(&kv, "a", "x");
    assert_int_equal(mem_kv_count(disk, KV_STATE), 1);
    assert_true(kv.ops->used_bytes(kv.impl) > 0);
    mem_kv_set_free_bytes(disk, 5);
    assert_int_equal(kv.ops->free_bytes(kv.impl), 5);
    kv_close(&kv);
    mem_kv_wipe(disk);
    mem_kv_open(disk, &kv);
    assert_false(has(&kv, "a", "x"));
    assert_int_equal(mem_kv_count(disk, KV_STATE), 0);
    assert_int_equal(kv.ops->used_bytes(kv.impl), 0);
    kv_close(&kv);
    mem_kv_free(disk);
}

/* Whichever bit rots, it is found, and once more the same bit heals it. */
static void test_every_bit_of_a_record_counts(void **state)
{
    (void)state;
    struct mem_kv *disk = mem_kv_new("test");
    struct kv kv;
    mem_kv_open(disk, &kv);
    commit_one(&kv, "key", "value");
    commit_one(&kv, "other", "value");
    const uint64_t bits = UINT64_C(8) * (5 + 8); /* Value and checksum. */
    for (uint64_t bit = 0; bit < bits; bit++) {
        assert_true(mem_kv_flip_bit(disk, KV_STATE, span_str("key"), bit));
        struct kv_txn *txn = begin(&kv, false);
        struct span value;
        assert_int_equal(kv_get(&kv, txn, KV_STATE, span_str("key"), &value), SG_CORRUPT);
        struct kv_cursor c;
        kv_cursor_init(&c, &kv, txn, KV_STATE, SPAN_NONE);
        assert_int_equal(kv_next(&c), SG_CORRUPT);
        assert_true(span_is(c.key, "key"));
        assert_int_equal(c.value.n, 0);
        assert_int_equal(kv_next(&c), SG_OK); /* The walk goes on behind it. */
        assert_true(span_is(c.key, "other"));
        kv_cursor_release(&c);
        kv_abort(&kv, txn);
        assert_true(mem_kv_flip_bit(disk, KV_STATE, span_str("key"), bit + bits));
    }
    assert_true(has(&kv, "key", "value"));
    assert_false(mem_kv_flip_bit(disk, KV_STATE, span_str("none"), 0));
    assert_false(mem_kv_flip_bit_at(disk, KV_STATE, 2, 0));
    kv_close(&kv);
    mem_kv_free(disk);
}

/* --- Every operation fails once -------------------------------------------- */

struct nth {
    uint64_t left; /* Operations until the one that fails. */
    bool fired;
};

static enum sg_err fail_nth(void *impl, enum mem_kv_op op)
{
    struct nth *n = impl;
    (void)op;
    if (n->left == 0 || --n->left > 0) {
        return SG_OK;
    }
    n->fired = true;
    return SG_IO;
}

#define GROUPS 3
#define STEPS 12

/* One step of a small life: three groups append, truncate, trim and vote in
 * one transaction. After step n, every group's term is n. */
static enum sg_err step(struct kv *kv, struct kv_txn *txn, uint64_t group, uint64_t n)
{
    struct log_bounds bounds;
    enum sg_err err = log_hard_state_put(kv, txn, group, (struct log_hard_state){n, group});
    if (err == SG_OK && n % 4 == 0) {
        err = log_bounds(kv, txn, group, &bounds);
        err = err != SG_OK ? err : log_truncate(kv, txn, group, bounds.last);
    }
    err = err != SG_OK ? err : log_bounds(kv, txn, group, &bounds);
    for (uint64_t i = 1; err == SG_OK && i <= 3; i++) {
        struct log_entry entry = {.index = bounds.last + i, .term = n, .type = 1, .data = span_str("data")};
        err = log_append(kv, txn, group, &entry, 1);
    }
    if (err == SG_OK && n % 3 == 0) {
        struct log_mark mark = {.index = bounds.last - 1, .term = n, .conf_index = 1, .conf = span_str("c")};
        err = log_mark_put(kv, txn, group, &mark);
        err = err != SG_OK ? err : log_trim(kv, txn, group, mark.index, 2, NULL);
    }
    return err;
}

/* How many steps were reported durable. */
static uint64_t live(struct kv *kv)
{
    for (uint64_t n = 1; n <= STEPS; n++) {
        struct kv_txn *txn;
        enum sg_err err = kv_begin(kv, true, &txn);
        if (err != SG_OK) {
            return n - 1;
        }
        for (uint64_t group = 1; group <= GROUPS && err == SG_OK; group++) {
            err = step(kv, txn, group, n);
        }
        if (err != SG_OK) {
            kv_abort(kv, txn);
            return n - 1;
        }
        err = kv_commit(kv, txn);
        if (err != SG_OK) {
            return n - 1;
        }
    }
    return STEPS;
}

/* The term of all groups; they must agree, and every entry in the bounds be there. */
static uint64_t inspect(struct kv *kv)
{
    struct kv_txn *txn = begin(kv, false);
    struct log_hard_state hs = {0, 0};
    for (uint64_t group = 1; group <= GROUPS; group++) {
        struct log_hard_state other = {0, 0};
        enum sg_err err = log_hard_state_get(kv, txn, group, &other);
        assert_true(err == SG_OK || err == SG_NOTFOUND);
        assert_true(group == 1 || other.term == hs.term);
        hs = other;
        struct log_bounds bounds;
        assert_int_equal(log_bounds(kv, txn, group, &bounds), SG_OK);
        for (uint64_t index = bounds.first; index <= bounds.last; index++) {
            struct log_entry entry;
            assert_int_equal(log_get(kv, txn, group, index, &entry), SG_OK);
        }
    }
    kv_abort(kv, txn);
    return hs.term;
}

static void test_each_operation_fails_once(void **state)
{
    (void)state;
    uint64_t failures = 0;
    for (uint64_t n = 1;; n++) {
        struct mem_kv *disk = mem_kv_new("test");
        struct kv kv;
        struct nth nth = {n, false};
        mem_kv_open(disk, &kv);
        mem_kv_set_fault(disk, fail_nth, &nth);
        uint64_t reported = live(&kv);
        mem_kv_set_fault(disk, NULL, NULL);
        kv_close(&kv);
        mem_kv_open(disk, &kv);
        uint64_t stored = inspect(&kv);
        /* All that was reported, and nothing but whole steps; a commit whose
         * answer failed may be there as well. */
        assert_true(stored == reported || stored == reported + 1);
        kv_close(&kv);
        mem_kv_free(disk);
        if (!nth.fired) {
            assert_int_equal(reported, STEPS);
            break;
        }
        assert_true(reported < STEPS);
        failures++;
    }
    assert_true(failures > 500);
}

/* A failed write is final even when its caller goes on as if nothing had been. */
static void test_a_failed_put_cannot_be_committed(void **state)
{
    (void)state;
    const struct {
        const char *reason;
        bool is_del;
    } rows[] = {{"put", false}, {"del", true}};
    for (size_t i = 0; i < 2; i++) {
        struct mem_kv *disk = mem_kv_new("test");
        struct kv kv;
        mem_kv_open(disk, &kv);
        struct kv_txn *txn = begin(&kv, true);
        assert_int_equal(kv_put(&kv, txn, KV_STATE, span_str("a"), span_str("1")), SG_OK);
        struct nth nth = {1, false};
        mem_kv_set_fault(disk, fail_nth, &nth);
        enum sg_err err = rows[i].is_del ? kv_del(&kv, txn, KV_STATE, span_str("a"))
                                         : kv_put(&kv, txn, KV_STATE, span_str("b"), span_str("2"));
        assert_int_equal(err, SG_IO);
        assert_true(kv_is_failed(&kv));
        assert_int_equal(kv_put(&kv, txn, KV_STATE, span_str("c"), span_str("3")), SG_IO);
        assert_int_equal(kv_commit(&kv, txn), SG_IO);
        assert_int_equal(mem_kv_commits(disk), 0);
        kv_close(&kv);
        mem_kv_open(disk, &kv); /* Only a new open, which verifies, may go on. */
        assert_false(kv_is_failed(&kv));
        assert_false(has(&kv, "a", "1"));
        commit_one(&kv, "a", "2");
        kv_close(&kv);
        mem_kv_free(disk);
    }
}

/* Sharing between copies: what one changes the others do not see. */
static void test_copies_of_a_tree_are_independent(void **state)
{
    (void)state;
    enum { COPIES = 6, KEYS = 64 };
    struct test_random r = {11};
    struct mem_tree trees[COPIES] = {{NULL, 0, 0}};
    int model[COPIES][KEYS] = {{0}}; /* 0: not there. */
    for (int round = 0; round < 4000; round++) {
        size_t at = test_random_below(&r, COPIES);
        size_t from = test_random_below(&r, COPIES);
        uint8_t key = (uint8_t)test_random_below(&r, KEYS);
        struct span k = span_of(&key, 1);
        if (round % 50 == 0 && at != from) {
            mem_tree_release(&trees[at]);
            trees[at] = mem_tree_ref(&trees[from]);
            for (int i = 0; i < KEYS; i++) {
                model[at][i] = model[from][i];
            }
        } else if (round % 3 == 0) {
            assert_int_equal(mem_tree_del(&trees[at], k), model[at][key] != 0);
            model[at][key] = 0;
        } else {
            int value = round + 1;
            mem_tree_put(&trees[at], k, span_of(&value, sizeof(value)));
            model[at][key] = value;
        }
        at = test_random_below(&r, COPIES);
        size_t count = 0;
        for (int i = 0; i < KEYS; i++) {
            uint8_t wanted = (uint8_t)i;
            struct mem_cell *cell = mem_tree_find(&trees[at], span_of(&wanted, 1));
            assert_int_equal(cell != NULL, model[at][i] != 0);
            if (cell != NULL) {
                assert_memory_equal(mem_cell_value(cell).p, &model[at][i], sizeof(int));
                assert_ptr_equal(mem_tree_at(&trees[at], count), cell);
                count++;
            }
        }
        assert_int_equal(trees[at].count, count);
        assert_int_equal(trees[at].size_bytes, count * (1 + sizeof(int)));
    }
    for (int i = 0; i < COPIES; i++) {
        mem_tree_release(&trees[i]);
    }
}

static void drop_line(void *impl, enum log_level level, const char *line)
{
    (void)impl;
    (void)level;
    (void)line;
}

int main(void)
{
    hash_init();
    logger_set_sink(drop_line, NULL, NULL);
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_crashes),
        cmocka_unit_test(test_what_is_visible_may_still_be_lost),
        cmocka_unit_test(test_a_torn_flush_keeps_the_first_commits),
        cmocka_unit_test(test_wipe_leaves_an_empty_disk),
        cmocka_unit_test(test_every_bit_of_a_record_counts),
        cmocka_unit_test(test_each_operation_fails_once),
        cmocka_unit_test(test_a_failed_put_cannot_be_committed),
        cmocka_unit_test(test_copies_of_a_tree_are_independent),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
