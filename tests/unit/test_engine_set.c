/* The set hash beside the rows: carried on by every apply, and what a walk finds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "shard/engine/engine.h"
#include "tests/support/engine_rig.h"

static const uint64_t ones[] = {1, 1, 1, 1, 1, 1};

static uint64_t walked(struct rig *r)
{
    struct kv_txn *txn;
    struct rows rows;
    uint64_t set = 0;
    assert_int_equal(kv_begin(&r->kv, false, &txn), SG_OK);
    rows_init(&rows, &r->kv, txn, RIG_GROUP);
    assert_int_equal(rows_set_of(&rows, &set), SG_OK);
    rows_release(&rows);
    kv_abort(&r->kv, txn);
    return set;
}

static void apply_carries_it_on(void **state)
{
    (void)state;
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    for (uint64_t i = 1; i < 6; i++) {
        rig_append(r, 2, 1, i, 1, i, ones, 1);
        rig_run(r);
        assert_true(rig_status(r).set == walked(r));
    }
    assert_true(rig_status(r).applied_index == 5);
    uint64_t before = rig_status(r).set;
    assert_true(before != 0);
    rig_close(r);
    assert_int_equal(rig_open(r), SG_OK);
    assert_true(rig_status(r).set == before);
    rig_free(r);
}

/* What a version without a set hash has left is walked once, by the next apply. */
static void an_old_row_gets_one(void **state)
{
    (void)state;
    static const uint64_t nodes[] = {1, 2, 3};
    struct rig *r = rig_new(3);
    struct bytes conf = BYTES_NONE;
    struct kv_txn *txn;
    uint8_t key[] = {0, 0, 0, 0, 0, 0, 0, 0, 7};
    conf_encode(nodes, 3, &conf);
    rig_store_entries(r, 2, ones, 3);
    struct applied_row row = {.index = 3, .term = 1, .conf_index = 1, .conf = span_bytes(&conf)};
    be64_put(key, RIG_GROUP);
    assert_int_equal(kv_begin(&r->kv, true, &txn), SG_OK);
    assert_int_equal(applied_row_put(&r->kv, txn, RIG_GROUP, &row), SG_OK);
    assert_int_equal(kv_put(&r->kv, txn, KV_STATE, span_of(key, sizeof key), span_str("old")), SG_OK);
    assert_int_equal(kv_commit(&r->kv, txn), SG_OK);
    bytes_release(&conf);
    assert_int_equal(rig_open(r), SG_OK);
    rig_append(r, 2, 1, 4, 1, 5, ones, 1);
    rig_run(r);
    assert_int_equal(rig_status(r).applied_index, 5);
    assert_true(rig_status(r).set == walked(r));
    rig_free(r);
}

static void a_vanished_row_stays_missed(void **state)
{
    (void)state;
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    rig_append(r, 2, 1, 1, 1, 2, ones, 1);
    rig_run(r);
    assert_true(mem_kv_vanish(r->disk, KV_STATE, 1, 1));
    assert_true(rig_status(r).set != walked(r));
    rig_append(r, 2, 1, 2, 1, 3, ones, 1); /* The row is written anew. */
    rig_run(r);
    assert_int_equal(rig_status(r).applied_index, 3);
    assert_true(rig_status(r).set != walked(r));
    rig_free(r);
}

static void counting_misses_it(void **state)
{
    (void)state;
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    rig_append(r, 2, 1, 1, 1, 2, ones, 1);
    rig_run(r);
    rig_advance(r, 2ull * SCRUB_EVERY_MS);
    rig_run(r);
    assert_false(rig_status(r).stopped);
    assert_true(mem_kv_vanish(r->disk, KV_STATE, 1, 1));
    for (int i = 0; i < 20 && !rig_status(r).is_rebuilding; i++) {
        rig_advance(r, SCRUB_EVERY_MS / 10);
        rig_run(r);
    }
    assert_true(rig_status(r).is_rebuilding);
    rig_free(r);
}

/* A slice is read, rows change under it, and it comes back late: no false alarm. */
static void counting_beside_changes(void **state)
{
    (void)state;
    struct rig *r = rig_new(3);
    assert_int_equal(rig_open(r), SG_OK);
    rig_append(r, 2, 1, 1, 1, 2, ones, 1);
    rig_run(r);
    for (uint64_t i = 2; i < 60; i++) {
        uint64_t passes = r->group->scrub.passes;
        if (i % 2 == 0) {
            test_loop_hold_done(r->loop, WORKER_READ); /* Read, and not back yet. */
        } else {
            test_loop_hold(r->loop, WORKER_READ);
        }
        scrub_want(r->group);
        rig_run(r);
        rig_append(r, 2, 1, i, 1, i + 1, ones, 1);
        rig_advance(r, WRITER_LAZY_MS);
        rig_run(r);
        assert_int_equal(rig_status(r).applied_index, i + 1);
        test_loop_release(r->loop, WORKER_READ);
        rig_run(r);
        rig_advance(r, SCRUB_RETRY_MS);
        rig_run(r);
        assert_false(rig_status(r).is_rebuilding);
        assert_true(r->group->scrub.passes == passes + 1);
        assert_int_equal(r->failed, SG_OK);
    }
    rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(apply_carries_it_on),         cmocka_unit_test(an_old_row_gets_one),
        cmocka_unit_test(a_vanished_row_stays_missed), cmocka_unit_test(counting_misses_it),
        cmocka_unit_test(counting_beside_changes),
    };
    hash_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
