/* Replicas that are added, promoted, demoted and removed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/support/engine_cluster.h"

#define LIMIT_MS (5ull * ELECTION_TIMEOUT_MS)

static struct cluster *begin(size_t nodes, size_t joiners, size_t *leader)
{
    struct cluster *c = cluster_new(&(struct cluster_options){
        .seed = 5, .nodes_count = nodes, .joiners_count = joiners, .disk_max_ms = 2});
    *leader = cluster_wait_leader(c, LIMIT_MS);
    assert_int_not_equal(*leader, nodes);
    return c;
}

static void end(struct cluster *c)
{
    cluster_advance(c, 50);
    assert_null(cluster_violation(c));
    cluster_free(c);
}

static enum sg_err change(struct cluster *c, size_t leader, enum group_change what, size_t node)
{
    return group_change(cluster_group(c, leader), what, node + 1);
}

/* Asks until it is decided. */
static void must_change(struct cluster *c, size_t leader, enum group_change what, size_t node)
{
    enum sg_err err = SG_BUSY;
    for (int i = 0; i < 200 && err == SG_BUSY; i++) {
        err = change(c, leader, what, node);
        cluster_advance(c, 20);
    }
    assert_int_equal(err, SG_OK);
    assert_false(cluster_status(c, leader).is_changing);
}

static const struct group_replica *replica(const struct group_status *s, size_t node)
{
    for (size_t i = 0; i < s->replicas_count; i++) {
        if (s->replicas[i].node == node + 1) {
            return &s->replicas[i];
        }
    }
    return NULL;
}

/* A whole move: in, up, and the old one out. */
static void a_replica_moves(void **state)
{
    (void)state;
    size_t leader;
    struct cluster *c = begin(4, 1, &leader);
    size_t old = (leader + 1) % 3;
    for (int i = 0; i < 20; i++) {
        assert_true(cluster_propose(c, leader, 100));
    }
    assert_int_equal(cluster_status(c, 3).term, 0);
    must_change(c, leader, GROUP_ADD, 3);
    struct group_status s = cluster_status(c, leader);
    assert_int_equal(s.replicas_count, 4);
    assert_false(replica(&s, 3)->is_voter);
    must_change(c, leader, GROUP_PROMOTE, 3);
    must_change(c, leader, GROUP_REMOVE, old);
    s = cluster_status(c, leader);
    assert_int_equal(s.replicas_count, 3);
    assert_true(replica(&s, 3)->is_voter);
    assert_null(replica(&s, old));
    cluster_stop(c, old);
    assert_true(cluster_settle(c, LIMIT_MS));
    assert_int_equal(cluster_status(c, 3).applied_index, cluster_status(c, leader).applied_index);
    end(c);
}

/* What was added and has got nothing yet must be found again after a crash. */
static void one_that_joined_starts_again(void **state)
{
    (void)state;
    size_t leader;
    struct cluster *c = begin(4, 1, &leader);
    cluster_crash(c, 3, false);
    assert_int_equal(cluster_start(c, 3), SG_OK);
    must_change(c, leader, GROUP_ADD, 3);
    cluster_advance(c, HEARTBEAT_MS);
    cluster_crash(c, 3, false);
    assert_int_equal(cluster_start(c, 3), SG_OK);
    must_change(c, leader, GROUP_PROMOTE, 3);
    assert_true(cluster_settle(c, LIMIT_MS));
    end(c);
}

static void what_cannot_be_is_refused(void **state)
{
    (void)state;
    size_t leader;
    struct cluster *c = begin(3, 0, &leader);
    size_t a = (leader + 1) % 3;
    size_t b = (leader + 2) % 3;
    const struct {
        size_t at;
        enum group_change change;
        size_t node;
        enum sg_err err;
        const char *why;
    } rows[] = {
        {a, GROUP_REMOVE, b, SG_NOTLEADER, "only the leader changes its group"},
        {leader, GROUP_ADD, a, SG_INVALID, "it is there"},
        {leader, GROUP_ADD, (size_t)-1, SG_INVALID, "no node has the number 0"},
        {leader, GROUP_PROMOTE, a, SG_INVALID, "it is a voter"},
        {leader, GROUP_PROMOTE, 7, SG_INVALID, "nobody knows it"},
        {leader, GROUP_DEMOTE, 7, SG_INVALID, "nobody knows it"},
        {leader, GROUP_REMOVE, 7, SG_INVALID, "nobody knows it"},
        {leader, GROUP_DEMOTE, leader, SG_INVALID, "it leads"},
        {leader, GROUP_REMOVE, leader, SG_INVALID, "it leads"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (change(c, rows[i].at, rows[i].change, rows[i].node) != rows[i].err) {
            fail_msg("row %zu: %s", i, rows[i].why);
        }
    }
    assert_int_equal(change(c, leader, GROUP_REMOVE, a), SG_OK);
    assert_true(cluster_status(c, leader).is_changing);
    assert_int_equal(change(c, leader, GROUP_REMOVE, b), SG_BUSY); /* One at a time. */
    cluster_advance(c, 50);
    assert_int_equal(change(c, leader, GROUP_REMOVE, b), SG_INVALID); /* G5 */
    assert_int_equal(change(c, leader, GROUP_DEMOTE, b), SG_INVALID); /* G5 */
    must_change(c, leader, GROUP_ADD, a);
    must_change(c, leader, GROUP_PROMOTE, a);
    must_change(c, leader, GROUP_DEMOTE, b);
    must_change(c, leader, GROUP_PROMOTE, b);
    assert_true(cluster_settle(c, LIMIT_MS));
    end(c);
}

/* G9: who hears nothing does not become a voter. */
static void only_who_has_caught_up_is_promoted(void **state)
{
    (void)state;
    size_t leader;
    struct cluster *c = begin(4, 1, &leader);
    cluster_stop(c, 3);
    must_change(c, leader, GROUP_ADD, 3);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(change(c, leader, GROUP_PROMOTE, 3), SG_BUSY);
        cluster_advance(c, 500);
    }
    assert_int_equal(cluster_start(c, 3), SG_OK);
    must_change(c, leader, GROUP_PROMOTE, 3);
    end(c);
}

static void a_group_joins_once(void **state)
{
    (void)state;
    const uint64_t nodes[] = {1, 2, 3};
    struct mem_kv *disk = mem_kv_new("lane-0");
    struct kv_txn *txn;
    struct kv kv;
    mem_kv_open(disk, &kv);
    assert_int_equal(kv_begin(&kv, true, &txn), SG_OK);
    assert_int_equal(group_join(&kv, txn, 7), SG_OK);
    assert_int_equal(group_join(&kv, txn, 7), SG_EXISTS);
    assert_int_equal(group_bootstrap(&kv, txn, 7, nodes, 3), SG_EXISTS);
    assert_int_equal(group_bootstrap(&kv, txn, 8, nodes, 3), SG_OK);
    assert_int_equal(group_join(&kv, txn, 8), SG_EXISTS);
    kv_abort(&kv, txn);
    kv_close(&kv);
    mem_kv_free(disk);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_replica_moves),           cmocka_unit_test(one_that_joined_starts_again),
        cmocka_unit_test(what_cannot_be_is_refused), cmocka_unit_test(only_who_has_caught_up_is_promoted),
        cmocka_unit_test(a_group_joins_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
