/* Scenarios of a few replicas, end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/support/engine_cluster.h"

static struct cluster *three(uint64_t seed)
{
    return cluster_new(&(struct cluster_options){.seed = seed, .nodes_count = 3});
}

static void elects_and_applies(void **state)
{
    (void)state;
    struct cluster *c = three(1);
    size_t leader = cluster_wait_leader(c, 10000);
    assert_int_not_equal(leader, 3);
    assert_true(cluster_propose(c, leader, 100));
    cluster_advance(c, 10);
    assert_int_equal(cluster_acked(c), 1);
    assert_true(cluster_settle(c, 1000));
    assert_null(cluster_violation(c));
    cluster_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elects_and_applies),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
