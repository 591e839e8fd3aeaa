/* The store seam: one set of cases for every implementation. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proto/base/hash.h"
#include "proto/base/limits.h"
#include "proto/base/logger.h"
#include "proto/base/mem.h"
#include "storage/kv.h"
#include "storage/lmdb_kv.h"
#include "storage/mem_kv.h"
#include "tests/support/test_dir.h"
#include "tests/support/test_random.h"

struct fixture {
    bool is_lmdb;
    struct mem_kv *disk;
    struct test_dir dir;
    struct kv kv;
};

static void fixture_open(struct fixture *f)
{
    if (!f->is_lmdb) {
        mem_kv_open(f->disk, &f->kv);
        return;
    }
    char why[200] = "";
    const struct lmdb_options options = {.dir = f->dir.path, .name = "test"};
    assert_int_equal(lmdb_kv_open(&options, &f->kv, why, sizeof(why)), SG_OK);
}

static int fixture_make(void **state, bool is_lmdb)
{
    struct fixture *f = mem_zalloc(1, sizeof(*f));
    f->is_lmdb = is_lmdb;
    if (is_lmdb) {
        test_dir_make(&f->dir);
    } else {
        f->disk = mem_kv_new("test");
    }
    fixture_open(f);
    *state = f;
    return 0;
}

static int make_mem(void **state)
{
    return fixture_make(state, false);
}

static int make_lmdb(void **state)
{
    return fixture_make(state, true);
}

static int fixture_drop(void **state)
{
    struct fixture *f = *state;
    kv_close(&f->kv);
    if (f->is_lmdb) {
        test_dir_remove(&f->dir);
    } else {
        mem_kv_free(f->disk);
    }
    mem_free(f);
    return 0;
}

static struct kv_txn *begin(struct fixture *f, bool write)
{
    struct kv_txn *txn = NULL;
    assert_int_equal(kv_begin(&f->kv, write, &txn), SG_OK);
    return txn;
}

static void put(struct fixture *f, struct kv_txn *txn, enum kv_table table, const char *key,
                const char *value)
{
    assert_int_equal(kv_put(&f->kv, txn, table, span_str(key), span_str(value)), SG_OK);
}

/* value NULL: not there. */
static void expect(struct fixture *f, struct kv_txn *txn, enum kv_table table, const char *key,
                   const char *value)
{
    struct span found = SPAN_NONE;
    enum sg_err err = kv_get(&f->kv, txn, table, span_str(key), &found);
    assert_int_equal(err, value == NULL ? SG_NOTFOUND : SG_OK);
    assert_true(value == NULL || span_is(found, value));
}

static void test_tables_are_apart(void **state)
{
    struct fixture *f = *state;
    struct kv_txn *txn = begin(f, true);
    put(f, txn, KV_META, "k", "meta");
    put(f, txn, KV_LOG, "k", "log");
    expect(f, txn, KV_STATE, "k", NULL);
    put(f, txn, KV_STATE, "k", "");
    expect(f, txn, KV_META, "k", "meta");
    expect(f, txn, KV_LOG, "k", "log");
    expect(f, txn, KV_STATE, "k", "");
    assert_int_equal(kv_del(&f->kv, txn, KV_LOG, span_str("k")), SG_OK);
    assert_int_equal(kv_del(&f->kv, txn, KV_LOG, span_str("never there")), SG_OK);
    expect(f, txn, KV_LOG, "k", NULL);
    assert_int_equal(kv_commit(&f->kv, txn), SG_OK);
}

static void test_abort_undoes_and_commit_stays(void **state)
{
    struct fixture *f = *state;
    struct kv_txn *txn = begin(f, true);
    put(f, txn, KV_STATE, "a", "1");
    assert_int_equal(kv_commit(&f->kv, txn), SG_OK);
    txn = begin(f, true);
    put(f, txn, KV_STATE, "a", "2");
    put(f, txn, KV_STATE, "b", "2");
    kv_abort(&f->kv, txn);
    kv_close(&f->kv);
    fixture_open(f);
    txn = begin(f, false);
    expect(f, txn, KV_STATE, "a", "1");
    expect(f, txn, KV_STATE, "b", NULL);
    kv_abort(&f->kv, txn);
}

static void test_reader_sees_the_state_at_its_begin(void **state)
{
    struct fixture *f = *state;
    struct kv_txn *before = begin(f, false);
    struct kv_txn *txn = begin(f, true);
    put(f, txn, KV_STATE, "a", "1");
    struct kv_txn *during = begin(f, false);
    assert_int_equal(kv_commit(&f->kv, txn), SG_OK);
    struct kv_txn *after = begin(f, false);
    expect(f, before, KV_STATE, "a", NULL);
    expect(f, during, KV_STATE, "a", NULL);
    expect(f, after, KV_STATE, "a", "1");
    kv_abort(&f->kv, before);
    kv_abort(&f->kv, during);
    kv_abort(&f->kv, after);
    /* A reader that is used again starts anew, cursors included. */
    txn = begin(f, true);
    put(f, txn, KV_STATE, "a", "2");
    assert_int_equal(kv_commit(&f->kv, txn), SG_OK);
    after = begin(f, false);
    struct kv_cursor c;
    kv_cursor_init(&c, &f->kv, after, KV_STATE, SPAN_NONE);
    assert_int_equal(kv_next(&c), SG_OK);
    assert_true(span_is(c.value, "2"));
    kv_cursor_release(&c);
    kv_abort(&f->kv, after);
}

static void test_greatest_key_and_value(void **state)
{
    struct fixture *f = *state;
    uint8_t key[KEY_SIZE_MAX_BYTES];
    memset(key, 0xff, sizeof(key));
    uint8_t *value = mem_alloc(RECORD_SIZE_MAX_BYTES);
    memset(value, 'v', RECORD_SIZE_MAX_BYTES);
    struct kv_txn *txn = begin(f, true);
    struct span k = span_of(key, sizeof(key));
    struct span v = span_of(value, RECORD_SIZE_MAX_BYTES);
    assert_int_equal(kv_put(&f->kv, txn, KV_STATE, k, v), SG_OK);
    struct kv_cursor c;
    kv_cursor_init(&c, &f->kv, txn, KV_STATE, SPAN_NONE);
    kv_cursor_backwards(&c);
    assert_int_equal(kv_next(&c), SG_OK);
    assert_true(span_eq(c.key, k));
    assert_true(span_eq(c.value, v));
    assert_int_equal(kv_next(&c), SG_NOTFOUND);
    kv_cursor_release(&c);
    kv_cursor_init(&c, &f->kv, txn, KV_STATE, k);
    assert_int_equal(kv_next(&c), SG_OK);
    assert_int_equal(kv_next(&c), SG_NOTFOUND);
    kv_cursor_release(&c);
    assert_int_equal(kv_commit(&f->kv, txn), SG_OK);
    mem_free(value);
}

static const struct {
    const char *reason;
    const char *prefix;
    const char *from; /* NULL: not given. */
    bool backwards;
    const char *keys; /* What comes, with blanks between. */
} walks[] = {
    {"everything in order, a prefix before what it begins", "", NULL, false, "a aa ab b ba c"},
    {"and back", "", NULL, true, "c ba b ab aa a"},
    {"the prefix itself is a key", "a", NULL, false, "a aa ab"},
    {"also backwards", "a", NULL, true, "ab aa a"},
    {"a prefix that is no key", "ab", NULL, false, "ab"},
    {"nothing begins so, in the middle", "abc", NULL, false, ""},
    {"nothing begins so, behind the end", "d", NULL, false, ""},
    {"nothing begins so, backwards from behind the end", "d", NULL, true, ""},
    {"nothing begins so, before the start", "Z", NULL, true, ""},
    {"from a key, that key included", "", "ab", false, "ab b ba c"},
    {"from between two keys", "", "abz", false, "b ba c"},
    {"backwards from a key, that key included", "", "b", true, "b ab aa a"},
    {"backwards from between two keys", "", "az", true, "ab aa a"},
    {"from within a prefix stays within it", "b", "b0", false, "ba"},
    {"backwards from within a prefix stays within it", "b", "b0", true, "b"},
    {"from behind the last", "", "zz", false, ""},
};

static void test_walks(void **state)
{
    struct fixture *f = *state;
    struct kv_txn *txn = begin(f, true);
    const char *const keys[] = {"ba", "a", "c", "ab", "b", "aa"};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        put(f, txn, KV_STATE, keys[i], keys[i]);
    }
    for (size_t i = 0; i < sizeof(walks) / sizeof(walks[0]); i++) {
        struct bytes got = BYTES_NONE;
        struct kv_cursor c;
        kv_cursor_init(&c, &f->kv, txn, KV_STATE, span_str(walks[i].prefix));
        if (walks[i].backwards) {
            kv_cursor_backwards(&c);
        }
        if (walks[i].from != NULL) {
            kv_cursor_from(&c, span_str(walks[i].from));
        }
        enum sg_err err;
        while ((err = kv_next(&c)) == SG_OK) {
            bytes_append(&got, " ", got.n > 0 ? 1 : 0);
            bytes_append_span(&got, c.key);
            assert_true(span_eq(c.key, c.value));
        }
        assert_int_equal(err, SG_NOTFOUND);
        assert_int_equal(kv_next(&c), SG_NOTFOUND);
        if (!span_is(span_bytes(&got), walks[i].keys)) {
            fail_msg("%s: got \"%.*s\"", walks[i].reason, (int)got.n, (const char *)got.p);
        }
        kv_cursor_release(&c);
        bytes_release(&got);
    }
    kv_abort(&f->kv, txn);
}

/* Each pair is deleted, replaced or followed by a new one while the walk is on. */
static void test_changes_during_a_walk(void **state)
{
    struct fixture *f = *state;
    struct kv_txn *txn = begin(f, true);
    char key[8];
    for (unsigned i = 0; i < 600; i++) {
        (void)snprintf(key, sizeof(key), "%04u", i);
        put(f, txn, KV_LOG, key, "old");
    }
    struct kv_cursor c;
    kv_cursor_init(&c, &f->kv, txn, KV_LOG, SPAN_NONE);
    unsigned count = 0;
    for (; kv_next(&c) == SG_OK; count++) {
        assert_true(span_is(c.value, count % 4 == 3 ? "new" : "old"));
        struct bytes next = BYTES_NONE;
        if (c.key.n == 4 && count % 4 == 2) {
            bytes_append_span(&next, c.key);
            bytes_append(&next, "x", 1);
            assert_int_equal(kv_put(&f->kv, txn, KV_LOG, span_bytes(&next), span_str("new")), SG_OK);
        } else if (count % 4 == 0) {
            assert_int_equal(kv_del(&f->kv, txn, KV_LOG, c.key), SG_OK);
        } else {
            assert_int_equal(kv_put(&f->kv, txn, KV_LOG, c.key, span_str("seen")), SG_OK);
        }
        bytes_release(&next);
    }
    assert_int_equal(count, 800); /* A new one after each third of the old. */
    kv_cursor_release(&c);
    kv_abort(&f->kv, txn);
}

/* --- Random operations beside a dumb model -------------------------------- */

#define MODEL_PAIRS 400

struct pair {
    uint8_t key[KEY_SIZE_MAX_BYTES];
    size_t key_n;
    uint64_t value; /* The stored value is value % 7000 bytes of its low byte. */
};

struct model {
    struct pair pairs[MODEL_PAIRS]; /* In no order. */
    size_t n;
};

static struct span pair_key(const struct pair *p)
{
    return span_of(p->key, p->key_n);
}

static struct pair *model_find(struct model *m, struct span key)
{
    for (size_t i = 0; i < m->n; i++) {
        if (span_eq(pair_key(&m->pairs[i]), key)) {
            return &m->pairs[i];
        }
    }
    return NULL;
}

/* The nearest key of the prefix beyond last (NULL: any). */
static struct pair *model_next(struct model *m, struct span prefix, bool backwards, const struct pair *last)
{
    struct pair *best = NULL;
    for (size_t i = 0; i < m->n; i++) {
        struct pair *p = &m->pairs[i];
        int direction = backwards ? -1 : 1;
        bool inside = p->key_n >= prefix.n && span_eq(span_of(p->key, prefix.n), prefix);
        bool beyond = last == NULL || span_cmp(pair_key(p), pair_key(last)) * direction > 0;
        bool nearer = best == NULL || span_cmp(pair_key(p), pair_key(best)) * direction < 0;
        best = inside && beyond && nearer ? p : best;
    }
    return best;
}

static struct span value_bytes(uint64_t value)
{
    static uint8_t buffer[7000];
    size_t n = value % sizeof(buffer);
    memset(buffer, (int)(value & 0xff), n);
    return span_of(buffer, n);
}

/* Few different bytes, so that keys are neighbours, prefixes and extremes of each other. */
static size_t random_key(struct test_random *r, uint8_t *key)
{
    static const uint8_t alphabet[] = {0x00, 0x01, 'a', 0xfe, 0xff};
    size_t n = 1 + test_random_below(r, 5);
    for (size_t i = 0; i < n; i++) {
        key[i] = alphabet[test_random_below(r, sizeof(alphabet))];
    }
    if (test_random_below(r, 20) == 0) {
        memset(key + n, key[0], KEY_SIZE_MAX_BYTES - n);
        n = KEY_SIZE_MAX_BYTES;
    }
    return n;
}

static void compare_walk(struct fixture *f, struct kv_txn *txn, struct model *m, struct span prefix,
                         bool backwards)
{
    struct kv_cursor c;
    kv_cursor_init(&c, &f->kv, txn, KV_STATE, prefix);
    if (backwards) {
        kv_cursor_backwards(&c);
    }
    struct pair *p = NULL;
    while ((p = model_next(m, prefix, backwards, p)) != NULL) {
        assert_int_equal(kv_next(&c), SG_OK);
        assert_true(span_eq(c.key, pair_key(p)));
        assert_true(span_eq(c.value, value_bytes(p->value)));
    }
    assert_int_equal(kv_next(&c), SG_NOTFOUND);
    kv_cursor_release(&c);
}

static void compare(struct fixture *f, struct kv_txn *txn, struct model *m, struct test_random *r)
{
    uint8_t prefix[KEY_SIZE_MAX_BYTES];
    size_t n = test_random_below(r, 4);
    (void)random_key(r, prefix);
    compare_walk(f, txn, m, span_of(prefix, n), false);
    compare_walk(f, txn, m, span_of(prefix, n), true);
    uint8_t key[KEY_SIZE_MAX_BYTES];
    struct span k = span_of(key, random_key(r, key));
    struct pair *p = model_find(m, k);
    struct span value = SPAN_NONE;
    assert_int_equal(kv_get(&f->kv, txn, KV_STATE, k, &value), p == NULL ? SG_NOTFOUND : SG_OK);
    assert_true(p == NULL || span_eq(value, value_bytes(p->value)));
}

static void change(struct fixture *f, struct kv_txn *txn, struct model *m, struct test_random *r)
{
    uint8_t key[KEY_SIZE_MAX_BYTES];
    struct span k = span_of(key, random_key(r, key));
    struct pair *p = model_find(m, k);
    if (m->n == MODEL_PAIRS || test_random_below(r, 3) == 0) {
        if (p == NULL && m->n > 0) {
            p = &m->pairs[test_random_below(r, m->n)];
            k = pair_key(p);
        }
        assert_int_equal(kv_del(&f->kv, txn, KV_STATE, k), SG_OK);
        if (p != NULL) {
            *p = m->pairs[--m->n];
        }
        return;
    }
    uint64_t value = test_random_below(r, 8) == 0 ? test_random_next(r) : test_random_below(r, 100);
    assert_int_equal(kv_put(&f->kv, txn, KV_STATE, k, value_bytes(value)), SG_OK);
    if (p == NULL) {
        p = &m->pairs[m->n++];
        memcpy(p->key, k.p, k.n);
        p->key_n = k.n;
    }
    p->value = value;
}

static void test_random_operations_like_the_model(void **state)
{
    struct fixture *f = *state;
    struct test_random r = {20261123};
    struct model *committed = mem_zalloc(1, sizeof(*committed));
    struct model *working = mem_zalloc(1, sizeof(*working));
    struct model *seen = mem_zalloc(1, sizeof(*seen));
    struct kv_txn *reader = begin(f, false);
    for (int round = 0; round < 150; round++) {
        struct kv_txn *txn = begin(f, true);
        *working = *committed;
        for (uint64_t left = test_random_below(&r, 60); left > 0; left--) {
            change(f, txn, working, &r);
            if (test_random_below(&r, 8) == 0) {
                compare(f, txn, working, &r);
            }
        }
        compare(f, txn, working, &r);
        if (test_random_below(&r, 4) == 0) {
            kv_abort(&f->kv, txn);
        } else {
            assert_int_equal(kv_commit(&f->kv, txn), SG_OK);
            *committed = *working;
        }
        compare(f, reader, seen, &r);
        if (test_random_below(&r, 3) == 0) {
            kv_abort(&f->kv, reader);
            if (test_random_below(&r, 10) == 0) {
                kv_close(&f->kv);
                fixture_open(f);
            }
            reader = begin(f, false);
            *seen = *committed;
            compare_walk(f, reader, seen, SPAN_NONE, false);
        }
    }
    kv_abort(&f->kv, reader);
    mem_free(committed);
    mem_free(working);
    mem_free(seen);
}

static void drop_line(void *impl, enum log_level level, const char *line)
{
    (void)impl;
    (void)level;
    (void)line;
}

#define FOR_BOTH(test)                                       \
    {#test " (memory)", test, make_mem, fixture_drop, NULL}, \
    {                                                        \
#test " (LMDB)", test, make_lmdb, fixture_drop, NULL \
    }

int main(void)
{
    hash_init();
    logger_set_sink(drop_line, NULL, NULL);
    const struct CMUnitTest tests[] = {
        FOR_BOTH(test_tables_are_apart),
        FOR_BOTH(test_abort_undoes_and_commit_stays),
        FOR_BOTH(test_reader_sees_the_state_at_its_begin),
        FOR_BOTH(test_greatest_key_and_value),
        FOR_BOTH(test_walks),
        FOR_BOTH(test_changes_during_a_walk),
        FOR_BOTH(test_random_operations_like_the_model),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
