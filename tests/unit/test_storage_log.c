/* Log, term and vote, mark: what stands in the store after each change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proto/base/hash.h"
#include "proto/base/logger.h"
#include "proto/base/mem.h"
#include "storage/log.h"
#include "storage/mem_kv.h"

#define GROUP 231380104u

struct fixture {
    struct mem_kv *disk;
    struct kv kv;
    struct kv_txn *txn;
};

static int setup(void **state)
{
    struct fixture *f = mem_zalloc(1, sizeof(*f));
    f->disk = mem_kv_new("test");
    mem_kv_open(f->disk, &f->kv);
    *state = f;
    return kv_begin(&f->kv, true, &f->txn) == SG_OK ? 0 : -1;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    kv_abort(&f->kv, f->txn);
    kv_close(&f->kv);
    mem_kv_free(f->disk);
    mem_free(f);
    return 0;
}

/* What is put here is committed, and read in a new transaction. */
static void commit(struct fixture *f)
{
    assert_int_equal(kv_commit(&f->kv, f->txn), SG_OK);
    assert_int_equal(kv_begin(&f->kv, true, &f->txn), SG_OK);
}

static void append(struct fixture *f, uint64_t group, uint64_t first, uint64_t last, uint64_t term)
{
    for (uint64_t index = first; index <= last; index++) {
        char data[32];
        (void)snprintf(data, sizeof(data), "%u:%u", (unsigned)term, (unsigned)index);
        struct log_entry entry = {.index = index, .term = term, .type = 1, .data = span_str(data)};
        assert_int_equal(log_append(&f->kv, f->txn, group, &entry, 1), SG_OK);
    }
}

static void set_mark(struct fixture *f, uint64_t group, uint64_t index)
{
    struct log_mark mark = {.index = index, .term = 1, .conf_index = 1, .conf = span_str("conf")};
    assert_int_equal(log_mark_put(&f->kv, f->txn, group, &mark), SG_OK);
}

static void expect_bounds(struct fixture *f, uint64_t group, uint64_t first, uint64_t last)
{
    struct log_bounds bounds = {77, 77};
    assert_int_equal(log_bounds(&f->kv, f->txn, group, &bounds), SG_OK);
    assert_int_equal(bounds.first, first);
    assert_int_equal(bounds.last, last);
}

static void expect_entry(struct fixture *f, uint64_t group, uint64_t index, const char *data)
{
    struct log_entry entry;
    enum sg_err err = log_get(&f->kv, f->txn, group, index, &entry);
    assert_int_equal(err, data == NULL ? SG_NOTFOUND : SG_OK);
    if (data != NULL) {
        assert_int_equal(entry.index, index);
        assert_true(span_is(entry.data, data));
    }
}

static void test_entries_come_back_as_they_were(void **state)
{
    struct fixture *f = *state;
    const uint8_t bytes[] = {0, 1, 0xff, 0};
    const struct log_entry entries[] = {
        {.index = 1, .term = 1, .type = 3, .data = SPAN_NONE},
        {.index = 2, .term = UINT64_MAX, .type = 255, .data = {bytes, sizeof(bytes)}},
    };
    assert_int_equal(log_append(&f->kv, f->txn, GROUP, entries, 2), SG_OK);
    assert_int_equal(log_append(&f->kv, f->txn, GROUP, NULL, 0), SG_OK);
    commit(f);
    for (size_t i = 0; i < 2; i++) {
        struct log_entry got;
        assert_int_equal(log_get(&f->kv, f->txn, GROUP, i + 1, &got), SG_OK);
        assert_int_equal(got.index, i + 1);
        assert_true(got.term == entries[i].term);
        assert_int_equal(got.type, entries[i].type);
        assert_true(span_eq(got.data, entries[i].data));
    }
    expect_entry(f, GROUP, 3, NULL);
}

static void test_groups_are_apart(void **state)
{
    struct fixture *f = *state;
    append(f, GROUP - 1, 1, 3, 1);
    append(f, GROUP, 1, 2, 2);
    append(f, GROUP + 1, 1, 4, 3);
    append(f, 0, 1, 5, 4); /* The catalog. */
    assert_int_equal(log_truncate(&f->kv, f->txn, GROUP, 1), SG_OK);
    commit(f);
    expect_bounds(f, GROUP - 1, 1, 3);
    expect_bounds(f, GROUP, 1, 0);
    expect_bounds(f, GROUP + 1, 1, 4);
    expect_bounds(f, 0, 1, 5);
    expect_entry(f, GROUP + 1, 1, "3:1");
}

static const struct {
    const char *reason;
    uint64_t last;  /* Entries 1..last, then */
    uint64_t mark;  /* a mark when not 0, then */
    uint64_t from;  /* truncate from here when not 0, then */
    uint64_t upto;  /* trim when not 0, */
    size_t max;     /* at most so many. */
    size_t removed; /* By the trim. */
    struct log_bounds bounds;
} changes[] = {
    {"nothing was ever there", 0, 0, 0, 0, 0, 0, {1, 0}},
    {"a log that starts behind an installed snapshot", 0, 40, 0, 0, 0, 0, {41, 40}},
    {"appended only", 9, 0, 0, 0, 0, 0, {1, 9}},
    {"a mark does not change what is there", 9, 5, 0, 0, 0, 0, {1, 9}},
    {"truncate the tail", 9, 0, 7, 0, 0, 0, {1, 6}},
    {"truncate the last", 9, 0, 9, 0, 0, 0, {1, 8}},
    {"truncate behind the end", 9, 0, 10, 0, 0, 0, {1, 9}},
    {"truncate all", 9, 0, 1, 0, 0, 0, {1, 0}},
    {"truncate all behind a mark", 9, 9, 1, 0, 0, 0, {10, 9}},
    {"trim the head", 9, 5, 0, 5, 100, 5, {6, 9}},
    {"trim in portions", 9, 5, 0, 5, 2, 2, {3, 9}},
    {"trim nothing", 9, 5, 0, 5, 0, 0, {1, 9}},
    {"trim all: the mark tells where it goes on", 9, 9, 0, 9, 100, 9, {10, 9}},
    {"trim an empty log", 0, 9, 0, 9, 100, 0, {10, 9}},
    {"truncate, then trim what is left of it", 9, 4, 6, 4, 100, 4, {5, 5}},
};

static void test_bounds_after_changes(void **state)
{
    struct fixture *f = *state;
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++) {
        print_message("%s\n", changes[i].reason);
        uint64_t group = GROUP + i;
        append(f, group, 1, changes[i].last, 1);
        if (changes[i].mark != 0) {
            set_mark(f, group, changes[i].mark);
        }
        if (changes[i].from != 0) {
            assert_int_equal(log_truncate(&f->kv, f->txn, group, changes[i].from), SG_OK);
        }
        if (changes[i].upto != 0) {
            size_t removed = 77;
            enum sg_err err = log_trim(&f->kv, f->txn, group, changes[i].upto, changes[i].max, &removed);
            assert_int_equal(err, SG_OK);
            assert_int_equal(removed, changes[i].removed);
        }
        commit(f);
        expect_bounds(f, group, changes[i].bounds.first, changes[i].bounds.last);
        expect_entry(f, group, changes[i].bounds.first - 1, NULL);
        expect_entry(f, group, changes[i].bounds.last + 1, NULL);
        for (uint64_t index = changes[i].bounds.first; index <= changes[i].bounds.last; index++) {
            char data[32];
            (void)snprintf(data, sizeof(data), "1:%u", (unsigned)index);
            expect_entry(f, group, index, data);
        }
        /* And it goes on from there; in fault builds log_append() checks that it may. */
        append(f, group, changes[i].bounds.last + 1, changes[i].bounds.last + 1, 2);
    }
}

static void test_replaced_tail_is_the_new_one(void **state)
{
    struct fixture *f = *state;
    append(f, GROUP, 1, 5, 1);
    commit(f);
    assert_int_equal(log_truncate(&f->kv, f->txn, GROUP, 3), SG_OK);
    append(f, GROUP, 3, 3, 2);
    commit(f);
    expect_entry(f, GROUP, 2, "1:2");
    expect_entry(f, GROUP, 3, "2:3");
    expect_entry(f, GROUP, 4, NULL);
}

static void test_term_and_vote(void **state)
{
    struct fixture *f = *state;
    struct log_hard_state hs = {77, 77};
    assert_int_equal(log_hard_state_get(&f->kv, f->txn, GROUP, &hs), SG_NOTFOUND);
    const struct log_hard_state puts[] = {{1, 0}, {5, 2}, {UINT64_MAX, UINT64_MAX}};
    for (size_t i = 0; i < sizeof(puts) / sizeof(puts[0]); i++) {
        assert_int_equal(log_hard_state_put(&f->kv, f->txn, GROUP, puts[i]), SG_OK);
        commit(f);
        assert_int_equal(log_hard_state_get(&f->kv, f->txn, GROUP, &hs), SG_OK);
        assert_true(hs.term == puts[i].term);
        assert_true(hs.voted_for == puts[i].voted_for);
    }
    assert_int_equal(log_hard_state_get(&f->kv, f->txn, GROUP + 1, &hs), SG_NOTFOUND);
}

static void test_mark(void **state)
{
    struct fixture *f = *state;
    struct log_mark mark;
    assert_int_equal(log_mark_get(&f->kv, f->txn, GROUP, &mark), SG_NOTFOUND);
    struct log_mark put = {.index = 9, .term = 3, .conf_index = 4, .conf = span_str("abc")};
    assert_int_equal(log_mark_put(&f->kv, f->txn, GROUP, &put), SG_OK);
    commit(f);
    assert_int_equal(log_mark_get(&f->kv, f->txn, GROUP, &mark), SG_OK);
    assert_int_equal(mark.index, 9);
    assert_int_equal(mark.term, 3);
    assert_int_equal(mark.conf_index, 4);
    assert_true(span_is(mark.conf, "abc"));
}

static void test_groups_are_listed_in_order(void **state)
{
    struct fixture *f = *state;
    const uint64_t groups[] = {300, 0, 999999999, 7};
    const uint64_t sorted[] = {0, 7, 300, 999999999};
    struct bytes out = BYTES_NONE;
    assert_int_equal(log_groups(&f->kv, f->txn, &out), SG_OK);
    assert_int_equal(out.n, 0);
    for (size_t i = 0; i < 4; i++) {
        struct log_hard_state hs = {1, 0};
        assert_int_equal(log_hard_state_put(&f->kv, f->txn, groups[i], hs), SG_OK);
        set_mark(f, groups[i] + 1, 1); /* No hard state: not a group here. */
    }
    assert_int_equal(meta_put(&f->kv, f->txn, "hosts", span_str("x")), SG_OK);
    assert_int_equal(log_groups(&f->kv, f->txn, &out), SG_OK);
    assert_int_equal(out.n, sizeof(sorted));
    assert_memory_equal(out.p, sorted, sizeof(sorted));
    bytes_release(&out);
}

static void test_named_records(void **state)
{
    struct fixture *f = *state;
    struct span value;
    assert_int_equal(meta_get(&f->kv, f->txn, "identity", &value), SG_NOTFOUND);
    assert_int_equal(meta_put(&f->kv, f->txn, "identity", span_str("n1")), SG_OK);
    assert_int_equal(meta_put(&f->kv, f->txn, "identity2", SPAN_NONE), SG_OK);
    commit(f);
    assert_int_equal(meta_get(&f->kv, f->txn, "identity", &value), SG_OK);
    assert_true(span_is(value, "n1"));
    assert_int_equal(meta_get(&f->kv, f->txn, "identity2", &value), SG_OK);
    assert_int_equal(value.n, 0);
}

static void test_damage_is_reported_by_every_reader(void **state)
{
    struct fixture *f = *state;
    append(f, GROUP, 1, 3, 1);
    set_mark(f, GROUP, 2);
    assert_int_equal(log_hard_state_put(&f->kv, f->txn, GROUP, (struct log_hard_state){1, 0}), SG_OK);
    commit(f);
    struct log_entry entry;
    struct log_bounds bounds;
    struct log_hard_state hs;
    struct log_mark mark;
    /* The middle entry: its neighbours and the bounds are still good. */
    assert_true(mem_kv_flip_bit_at(f->disk, KV_LOG, 1, 70));
    assert_int_equal(log_get(&f->kv, f->txn, GROUP, 2, &entry), SG_CORRUPT);
    assert_non_null(strstr(kv_damage(), "store=test table=log key=000000000dca94880000000000000002 "
                                        "reason=\"checksum\""));
    expect_entry(f, GROUP, 3, "1:3");
    expect_bounds(f, GROUP, 1, 3);
    /* The last: nothing may be cut off or added on the strength of it. */
    assert_true(mem_kv_flip_bit_at(f->disk, KV_LOG, 2, 0));
    assert_int_equal(log_bounds(&f->kv, f->txn, GROUP, &bounds), SG_CORRUPT);
    assert_int_equal(log_truncate(&f->kv, f->txn, GROUP, 2), SG_CORRUPT);
    assert_int_equal(log_trim(&f->kv, f->txn, GROUP, 1, 1, NULL), SG_CORRUPT);
    for (size_t i = 0; i < mem_kv_count(f->disk, KV_META); i++) {
        assert_true(mem_kv_flip_bit_at(f->disk, KV_META, i, 5));
    }
    assert_int_equal(log_hard_state_get(&f->kv, f->txn, GROUP, &hs), SG_CORRUPT);
    assert_int_equal(log_mark_get(&f->kv, f->txn, GROUP, &mark), SG_CORRUPT);
    /* It is still listed, so that nobody makes the group anew. */
    struct bytes groups = BYTES_NONE;
    assert_int_equal(log_groups(&f->kv, f->txn, &groups), SG_OK);
    assert_int_equal(groups.n, 8);
    bytes_release(&groups);
}

/* A term and vote that got lost must not look like a group that never was. */
static void test_a_lost_vote_is_damage(void **state)
{
    struct fixture *f = *state;
    struct log_hard_state hs;
    append(f, GROUP, 1, 1, 1);
    set_mark(f, GROUP + 1, 5);
    assert_int_equal(log_hard_state_get(&f->kv, f->txn, GROUP, &hs), SG_CORRUPT);
    assert_int_equal(log_hard_state_get(&f->kv, f->txn, GROUP + 1, &hs), SG_CORRUPT);
    assert_int_equal(log_hard_state_get(&f->kv, f->txn, GROUP + 2, &hs), SG_NOTFOUND);
}

/* A right checksum over what log.c never wrote: another program's mistake. */
static void test_impossible_records_are_damage(void **state)
{
    struct fixture *f = *state;
    uint8_t key[17] = {0};
    struct log_entry entry;
    struct log_bounds bounds;
    struct log_hard_state hs;
    struct log_mark mark;
    be64_put(key + 8, 1);
    assert_int_equal(kv_put(&f->kv, f->txn, KV_LOG, span_of(key, 16), span_str("short")), SG_OK);
    assert_int_equal(log_get(&f->kv, f->txn, 0, 1, &entry), SG_CORRUPT);
    assert_int_equal(kv_put(&f->kv, f->txn, KV_LOG, span_of(key, 17), span_str("long key")), SG_OK);
    assert_int_equal(log_bounds(&f->kv, f->txn, 0, &bounds), SG_CORRUPT);
    const char kinds[] = {'h', 'm'};
    for (size_t i = 0; i < 2; i++) {
        key[0] = (uint8_t)kinds[i];
        memset(key + 1, 0, 8);
        assert_int_equal(kv_put(&f->kv, f->txn, KV_META, span_of(key, 9), span_str("short")), SG_OK);
    }
    assert_int_equal(log_hard_state_get(&f->kv, f->txn, 0, &hs), SG_CORRUPT);
    assert_int_equal(log_mark_get(&f->kv, f->txn, 0, &mark), SG_CORRUPT);
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
        cmocka_unit_test_setup_teardown(test_entries_come_back_as_they_were, setup, teardown),
        cmocka_unit_test_setup_teardown(test_groups_are_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bounds_after_changes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_replaced_tail_is_the_new_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_term_and_vote, setup, teardown),
        cmocka_unit_test_setup_teardown(test_mark, setup, teardown),
        cmocka_unit_test_setup_teardown(test_groups_are_listed_in_order, setup, teardown),
        cmocka_unit_test_setup_teardown(test_named_records, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damage_is_reported_by_every_reader, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_lost_vote_is_damage, setup, teardown),
        cmocka_unit_test_setup_teardown(test_impossible_records_are_damage, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
