#include "tests/support/test_lmdb.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "proto/base/mem.h"
#include "storage/lmdb_kv.h"

int test_lmdb_make(void **state)
{
    struct test_lmdb *f = mem_zalloc(1, sizeof(*f));
    test_dir_make(&f->dir);
    (void)snprintf(f->store, sizeof(f->store), "%s/lane-0", f->dir.path);
    (void)snprintf(f->data, sizeof(f->data), "%s/data.mdb", f->store);
    *state = f;
    return 0;
}

int test_lmdb_drop(void **state)
{
    struct test_lmdb *f = *state;
    test_dir_remove(&f->dir);
    mem_free(f);
    return 0;
}

enum sg_err test_lmdb_open_as(struct test_lmdb *f, bool read_only, struct kv *out)
{
    const struct lmdb_options options = {.dir = f->store, .name = "lane-0", .read_only = read_only};
    return lmdb_kv_open(&options, out, f->why, sizeof(f->why));
}

void test_lmdb_open(struct test_lmdb *f)
{
    assert_int_equal(test_lmdb_open_as(f, false, &f->kv), SG_OK);
}

enum sg_err test_lmdb_put(struct kv *kv, const char *key, struct span value)
{
    struct kv_txn *txn;
    enum sg_err err = kv_begin(kv, true, &txn);
    if (err != SG_OK) {
        return err;
    }
    err = kv_put(kv, txn, KV_STATE, span_str(key), value);
    if (err != SG_OK) {
        kv_abort(kv, txn);
        return err;
    }
    return kv_commit(kv, txn);
}

enum sg_err test_lmdb_get(struct kv *kv, const char *key)
{
    struct kv_txn *txn;
    struct span found;
    enum sg_err err = kv_begin(kv, false, &txn);
    if (err != SG_OK) {
        return err;
    }
    err = kv_get(kv, txn, KV_STATE, span_str(key), &found);
    kv_abort(kv, txn);
    return err;
}
