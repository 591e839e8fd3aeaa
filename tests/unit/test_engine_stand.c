/* The first leader of a group that was made a moment ago. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "tests/support/engine_cluster.h"

#define SEEDS 40

static struct cluster *three(uint64_t seed)
{
    return cluster_new(&(struct cluster_options){.seed = seed, .nodes_count = 3, .disk_max_ms = 2});
}

static void end(struct cluster *c)
{
    cluster_advance(c, 50);
    assert_null(cluster_violation(c));
    cluster_free(c);
}

static void the_one_that_stands_leads_at_once(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct cluster *c = three(seed);
        size_t first = seed % 3;
        group_stand(cluster_group(c, first));
        cluster_advance(c, 25);
        assert_int_equal(cluster_leader(c, true), first);
        end(c);
    }
}

/* The other replicas are made a little later: it asks again soon. */
static void it_asks_again_until_there_is_a_quorum(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct cluster *c = three(seed);
        cluster_crash(c, 1, false);
        cluster_crash(c, 2, false);
        group_stand(cluster_group(c, 0));
        cluster_advance(c, 100 + seed);
        assert_int_equal(cluster_leader(c, false), 3);
        assert_int_equal(cluster_start(c, 1), SG_OK);
        cluster_advance(c, HEARTBEAT_MS / 5 + 30);
        assert_int_equal(cluster_leader(c, true), 0);
        assert_int_equal(cluster_start(c, 2), SG_OK);
        end(c);
    }
}

static void the_others_do_not_wait_for_it_for_ever(void **state)
{
    (void)state;
    struct cluster *c = three(7);
    group_stand(cluster_group(c, 0));
    cluster_crash(c, 0, false);
    assert_int_not_equal(cluster_wait_leader(c, 3ull * ELECTION_TIMEOUT_MS), 3);
    assert_int_equal(cluster_start(c, 0), SG_OK);
    end(c);
}

static void a_group_that_had_a_leader_is_not_disturbed(void **state)
{
    (void)state;
    struct cluster *c = three(3);
    size_t leader = cluster_wait_leader(c, 3ull * ELECTION_TIMEOUT_MS);
    uint64_t term = cluster_status(c, leader).term;
    for (size_t i = 0; i < 3; i++) {
        group_stand(cluster_group(c, i));
    }
    cluster_advance(c, 100);
    assert_int_equal(cluster_leader(c, true), leader);
    assert_int_equal(cluster_status(c, leader).term, term);
    cluster_crash(c, leader, true);
    group_stand(cluster_group(c, (leader + 1) % 3));
    assert_int_equal(cluster_start(c, leader), SG_OK);
    group_stand(cluster_group(c, leader)); /* Opened anew, but the group is not. */
    cluster_advance(c, 100);
    end(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_one_that_stands_leads_at_once),
        cmocka_unit_test(it_asks_again_until_there_is_a_quorum),
        cmocka_unit_test(the_others_do_not_wait_for_it_for_ever),
        cmocka_unit_test(a_group_that_had_a_leader_is_not_disturbed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
