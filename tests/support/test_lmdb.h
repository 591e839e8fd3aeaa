/* A store on LMDB in a directory of its own, for tests of what LMDB does. */
#ifndef TESTS_SUPPORT_TEST_LMDB_H
#define TESTS_SUPPORT_TEST_LMDB_H

#include "storage/kv.h"
#include "tests/support/test_dir.h"

struct test_lmdb {
    struct test_dir dir;
    char store[TEST_DIR_SIZE + 16]; /* Not made yet: "lane-0" in dir. */
    char data[TEST_DIR_SIZE + 32];  /* LMDB's file in it. */
    struct kv kv;
    char why[400];
};

/* Setup and teardown for cmocka; *state is a struct test_lmdb. Nothing is open. */
int test_lmdb_make(void **state);
int test_lmdb_drop(void **state);

enum sg_err test_lmdb_open_as(struct test_lmdb *f, bool read_only, struct kv *out);
/* Writable, into f->kv; the test fails when that fails. */
void test_lmdb_open(struct test_lmdb *f);

/* One transaction in KV_STATE: its first error. */
enum sg_err test_lmdb_put(struct kv *kv, const char *key, struct span value);
enum sg_err test_lmdb_get(struct kv *kv, const char *key);

#endif
