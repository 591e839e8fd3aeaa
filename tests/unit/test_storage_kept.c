/* The bytes of files that a replica keeps beside its state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "proto/base/hash.h"
#include "proto/base/logger.h"
#include "storage/kept.h"
#include "storage/log.h"
#include "storage/mem_kv.h"

static void quiet(void *impl, enum log_level level, const char *line)
{
    (void)impl;
    (void)level;
    (void)line;
}

static void put(struct kv *kv, uint64_t group, uint64_t number, const char *bytes)
{
    struct kv_txn *txn;
    assert_int_equal(kv_begin(kv, true, &txn), SG_OK);
    assert_int_equal(kept_put(kv, txn, group, number, span_str(bytes)), SG_OK);
    assert_int_equal(kv_commit(kv, txn), SG_OK);
}

static void keeps_by_group_and_number(void **state)
{
    (void)state;
    struct mem_kv *disk = mem_kv_new("kept");
    struct kv kv;
    struct kv_txn *txn;
    struct span value;
    struct bytes groups = BYTES_NONE;
    uint64_t mark = 9;
    mem_kv_open(disk, &kv);
    put(&kv, 7, 1, "one");
    put(&kv, 7, 2, "two");
    put(&kv, 8, 1, "other");
    assert_int_equal(kv_begin(&kv, false, &txn), SG_OK);
    assert_int_equal(kept_mark(&kv, txn, 7, &mark), SG_OK);
    assert_int_equal(mark, 2);
    assert_int_equal(kept_mark(&kv, txn, 9, &mark), SG_OK);
    assert_int_equal(mark, 0);
    assert_int_equal(kept_get(&kv, txn, 7, 2, &value), SG_OK);
    assert_true(span_is(value, "two"));
    assert_int_equal(kept_get(&kv, txn, 8, 1, &value), SG_OK);
    assert_true(span_is(value, "other"));
    assert_int_equal(kept_get(&kv, txn, 8, 2, &value), SG_NOTFOUND);
    assert_int_equal(log_groups(&kv, txn, &groups), SG_OK); /* They are no groups. */
    assert_int_equal(groups.n, 0);
    kv_abort(&kv, txn);

    logger_set_sink(quiet, NULL, NULL);
    for (size_t i = 0; i < mem_kv_count(disk, KV_META); i++) {
        assert_true(mem_kv_flip_bit_at(disk, KV_META, i, 3));
    }
    assert_int_equal(kv_begin(&kv, false, &txn), SG_OK);
    assert_int_equal(kept_get(&kv, txn, 7, 2, &value), SG_CORRUPT);
    assert_int_equal(kept_mark(&kv, txn, 7, &mark), SG_CORRUPT);
    kv_abort(&kv, txn);
    logger_set_sink(NULL, NULL, NULL);
    kv_close(&kv);
    mem_kv_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(keeps_by_group_and_number)};
    hash_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
