/* Scenarios of a few replicas, end to end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdlib.h>

#include "tests/support/engine_cluster.h"

#define SNAPSHOT_ENTRIES (3 * TRAILING_ENTRIES_MIN)

static void quiet(void *impl, enum log_level level, const char *line)
{
    (void)impl;
    (void)level;
    (void)line;
}

static struct cluster *three(uint64_t seed)
{
    return cluster_new(&(struct cluster_options){.seed = seed, .nodes_count = 3, .disk_max_ms = 2});
}

static void end(struct cluster *c)
{
    assert_null(cluster_violation(c));
    cluster_free(c);
}

static void propose_count(struct cluster *c, unsigned count, size_t size)
{
    for (unsigned done = 0, idle = 0; done < count; idle++) {
        size_t leader = cluster_leader(c, false);
        assert_true(idle < 100000);
        if (leader < 3 && cluster_propose(c, leader, size)) {
            done++;
        } else {
            cluster_advance(c, 1);
        }
    }
}

static size_t other_than(size_t a, size_t b)
{
    for (size_t i = 0; i < 3; i++) {
        if (i != a && i != b) {
            return i;
        }
    }
    abort();
}

static void elects_and_applies(void **state)
{
    (void)state;
    struct cluster *c = three(1);
    size_t leader = cluster_wait_leader(c, 10000);
    assert_int_not_equal(leader, 3);
    assert_true(cluster_propose(c, leader, 100));
    cluster_advance(c, 20);
    assert_int_equal(cluster_acked(c), 1);
    assert_true(cluster_settle(c, 1000));
    for (size_t i = 0; i < 3; i++) {
        struct group_status s = cluster_status(c, i);
        assert_int_equal(s.leader, leader + 1);
        assert_int_equal(s.replicas_count, 3);
        assert_int_equal(cluster_told_leader(c, i), i == leader);
    }
    end(c);
}

/* A broken connection is noticed: no need to wait for an election timeout. */
static void a_killed_leader_is_replaced_at_once(void **state)
{
    (void)state;
    uint64_t worst = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct cluster *c = three(seed);
        size_t leader = cluster_wait_leader(c, 10000);
        propose_count(c, 20, 64);
        cluster_advance(c, cluster_random(c, 30));
        uint64_t start = cluster_now_ms(c);
        cluster_crash(c, leader, true);
        assert_int_not_equal(cluster_wait_leader(c, 5000), 3);
        uint64_t took = cluster_now_ms(c) - start;
        worst = took > worst ? took : worst;
        end(c);
    }
    print_message("worst of 60: %llu virtual ms\n", (unsigned long long)worst);
    assert_true(worst < ELECTION_TIMEOUT_MS);
}

/* Nobody leads after a restart of all: no need to wait for an election timeout. */
static void a_fresh_group_has_a_leader_soon(void **state)
{
    (void)state;
    uint64_t worst = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct cluster *c = three(seed);
        uint64_t start = cluster_now_ms(c);
        assert_int_not_equal(cluster_wait_leader(c, 5000), 3);
        uint64_t took = cluster_now_ms(c) - start;
        worst = took > worst ? took : worst;
        end(c);
    }
    print_message("worst of 60: %llu virtual ms\n", (unsigned long long)worst);
    assert_true(worst < ELECTION_TIMEOUT_MS);
}

/* A replica that comes back must not bother the leader the others have. */
static void a_returning_replica_disturbs_nobody(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct cluster *c = three(seed);
        size_t leader = cluster_wait_leader(c, 10000);
        uint64_t term = cluster_status(c, leader).term;
        size_t other = (leader + 1) % 3;
        cluster_crash(c, other, true);
        cluster_advance(c, 5000);
        cluster_cut(c, leader, other, true); /* It hears the third only, at first. */
        assert_int_equal(cluster_start(c, other), SG_OK);
        cluster_advance(c, 3000);
        cluster_heal(c);
        assert_true(cluster_settle(c, 10000));
        assert_int_equal(cluster_leader(c, true), leader);
        assert_int_equal(cluster_status(c, leader).term, term);
        end(c);
    }
}

/* Both survivors think they are the likeliest. */
static void rivals_agree_soon(void **state)
{
    (void)state;
    uint64_t worst = 0;
    for (uint64_t seed = 1; seed <= 60; seed++) {
        struct cluster *c = three(seed);
        size_t leader = cluster_wait_leader(c, 10000);
        cluster_advance(c, 500);
        cluster_crash(c, leader, false);
        uint64_t start = cluster_now_ms(c);
        for (size_t i = 0; i < 3; i++) {
            if (i != leader) {
                group_peer_lost(cluster_group(c, i), leader + 1, true);
            }
        }
        assert_int_not_equal(cluster_wait_leader(c, 10000), 3);
        uint64_t took = cluster_now_ms(c) - start;
        worst = took > worst ? took : worst;
        end(c);
    }
    print_message("worst of 60: %llu virtual ms\n", (unsigned long long)worst);
    assert_true(worst < ELECTION_TIMEOUT_MS);
}

static void a_silent_leader_is_replaced(void **state)
{
    (void)state;
    struct cluster *c = three(3);
    size_t leader = cluster_wait_leader(c, 10000);
    cluster_pause(c, leader, true);
    uint64_t start = cluster_now_ms(c);
    size_t next = leader;
    while (next == leader || next == 3) {
        cluster_advance(c, 10);
        assert_true(cluster_now_ms(c) - start < 10000);
        for (size_t i = 0; i < 3; i++) {
            next = i != leader && cluster_status(c, i).is_ready ? i : next;
        }
    }
    propose_count(c, 5, 64);
    cluster_advance(c, 100);
    cluster_pause(c, leader, false); /* It wakes, learns of the new term, and follows. */
    assert_true(cluster_settle(c, 10000));
    assert_false(cluster_told_leader(c, leader));
    end(c);
}

static void leadership_moves_where_it_is_asked_to(void **state)
{
    (void)state;
    for (size_t to = 0; to < 3; to++) {
        struct cluster *c = three(10 + to);
        size_t leader = cluster_wait_leader(c, 10000);
        if (leader == to) {
            assert_int_equal(group_transfer(cluster_group(c, leader), to + 1), SG_INVALID);
            end(c);
            continue;
        }
        size_t third = other_than(leader, to);
        assert_int_equal(group_transfer(cluster_group(c, third), to + 1), SG_NOTLEADER);
        assert_int_equal(group_transfer(cluster_group(c, leader), 77), SG_INVALID);
        assert_int_equal(group_transfer(cluster_group(c, leader), to + 1), SG_OK);
        assert_int_equal(group_transfer(cluster_group(c, leader), to + 1), SG_BUSY);
        assert_int_equal(cluster_status(c, leader).transferee, to + 1);
        uint64_t start = cluster_now_ms(c);
        for (int i = 0; i < 1000 && !cluster_told_leader(c, to); i++) {
            cluster_advance(c, 1);
        }
        assert_true(cluster_told_leader(c, to));
        assert_true(cluster_now_ms(c) - start < 60);
        end(c);
    }
}

static void a_transfer_to_a_dead_node_ends(void **state)
{
    (void)state;
    struct cluster *c = three(20);
    size_t leader = cluster_wait_leader(c, 10000);
    size_t dead = (leader + 1) % 3;
    cluster_crash(c, dead, false);
    assert_int_equal(group_transfer(cluster_group(c, leader), dead + 1), SG_OK);
    assert_false(cluster_propose(c, leader, 16));
    cluster_advance(c, ELECTION_TIMEOUT_MS + 2 * HEARTBEAT_MS);
    assert_int_equal(cluster_status(c, leader).transferee, 0);
    assert_true(cluster_status(c, leader).is_ready);
    assert_true(cluster_propose(c, leader, 16));
    end(c);
}

/* The others' logs begin behind what this one has. */
static void lag(struct cluster *c, size_t laggard, size_t size)
{
    for (size_t i = 0; i < 3; i++) {
        cluster_cut(c, i, laggard, true);
        cluster_cut(c, laggard, i, true);
    }
    propose_count(c, SNAPSHOT_ENTRIES, size);
    cluster_advance(c, 3000);
    size_t leader = cluster_leader(c, true);
    assert_true(cluster_status(c, leader).first_index > cluster_status(c, laggard).last_index);
    cluster_heal(c);
}

static void a_laggard_gets_a_snapshot(void **state)
{
    (void)state;
    for (uint64_t seed = 30; seed < 36; seed++) {
        struct cluster *c = three(seed);
        size_t leader = cluster_wait_leader(c, 10000);
        size_t laggard = (leader + 1) % 3;
        lag(c, laggard, 200);
        if (seed % 2 == 1) {
            cluster_set(c,
                        &(struct cluster_options){
                            .loss_percent = 15, .repeat_percent = 10, .delay_max_ms = 40, .disk_max_ms = 5});
        }
        cluster_advance(c, 30000);
        cluster_set(c, &(struct cluster_options){0});
        assert_true(cluster_settle(c, 30000));
        assert_true(cluster_status(c, laggard).snapshots_installed >= 1);
        /* What was installed outlives a crash. */
        cluster_crash(c, laggard, false);
        assert_int_equal(cluster_start(c, laggard), SG_OK);
        assert_true(cluster_settle(c, 30000));
        end(c);
    }
}

/* Rows of two megabytes and more: several chunks, under loss. */
static void a_large_snapshot_goes_in_chunks(void **state)
{
    (void)state;
    struct cluster *c = three(40);
    size_t leader = cluster_wait_leader(c, 10000);
    size_t laggard = (leader + 1) % 3;
    lag(c, laggard, 20000); /* Into 256 rows. */
    cluster_set(c, &(struct cluster_options){.loss_percent = 5, .delay_max_ms = 10, .disk_max_ms = 5});
    cluster_advance(c, 30000);
    cluster_set(c, &(struct cluster_options){0});
    assert_true(cluster_settle(c, 60000));
    assert_true(cluster_status(c, laggard).snapshots_installed >= 1);
    end(c);
}

static void senders_and_receivers_of_snapshots_may_die(void **state)
{
    (void)state;
    for (uint64_t seed = 50; seed < 62; seed++) {
        struct cluster *c = three(seed);
        size_t leader = cluster_wait_leader(c, 10000);
        size_t laggard = (leader + 1) % 3;
        lag(c, laggard, 20000);
        cluster_set(c, &(struct cluster_options){.delay_max_ms = 20, .disk_max_ms = 50});
        cluster_advance(c, cluster_random(c, 800));
        size_t victim = seed % 2 == 0 ? laggard : cluster_leader(c, false);
        victim = victim == 3 ? leader : victim;
        cluster_crash(c, victim, seed % 3 == 0);
        cluster_advance(c, cluster_random(c, 2000));
        assert_int_equal(cluster_start(c, victim), SG_OK);
        cluster_set(c, &(struct cluster_options){0});
        assert_true(cluster_settle(c, 90000));
        end(c);
    }
}

/* Entries that do not fit one message, read back from the store. */
static void a_laggard_catches_up_with_large_entries(void **state)
{
    (void)state;
    struct cluster *c = three(70);
    size_t leader = cluster_wait_leader(c, 10000);
    size_t laggard = (leader + 1) % 3;
    cluster_crash(c, laggard, false);
    propose_count(c, 40, 900000);
    cluster_advance(c, 2000);
    assert_int_equal(cluster_start(c, laggard), SG_OK);
    assert_true(cluster_settle(c, 20000));
    assert_int_equal(cluster_status(c, laggard).snapshots_installed, 0);
    end(c);
}

/* Large entries bring the mark forward long before their count would. */
static void large_logs_are_trimmed(void **state)
{
    (void)state;
    struct cluster *c = three(71);
    (void)cluster_wait_leader(c, 10000);
    propose_count(c, LOG_SIZE_SOFT_BYTES / 1000000 + 20, 1000000);
    cluster_advance(c, 3000);
    for (size_t i = 0; i < 3; i++) {
        assert_true(cluster_status(c, i).mark_index > 0);
    }
    end(c);
}

static void a_minority_takes_nothing(void **state)
{
    (void)state;
    struct cluster *c = three(80);
    size_t leader = cluster_wait_leader(c, 10000);
    cluster_crash(c, (leader + 1) % 3, true);
    cluster_crash(c, (leader + 2) % 3, true);
    assert_true(cluster_propose(c, leader, 16));
    cluster_advance(c, 10000);
    assert_int_equal(cluster_acked(c), 0);
    assert_int_equal(cluster_unknown(c), 1);
    assert_false(cluster_status(c, leader).is_leader);
    assert_false(cluster_propose(c, leader, 16));
    assert_int_equal(cluster_start(c, (leader + 1) % 3), SG_OK);
    assert_true(cluster_settle(c, 20000));
    end(c);
}

/* A replica dies at each of its first commits, the one in flight kept or lost. */
static void any_commit_may_be_the_last(void **state)
{
    (void)state;
    for (uint64_t at = 1; at < 50; at++) {
        struct cluster *c =
            cluster_new(&(struct cluster_options){.seed = at, .nodes_count = 3, .disk_max_ms = 8});
        size_t victim = at % 3;
        uint64_t first = mem_kv_commits(cluster_disk(c, victim));
        for (int i = 0; i < 20000 && mem_kv_commits(cluster_disk(c, victim)) < first + at; i++) {
            size_t leader = cluster_leader(c, false);
            if (i % 20 == 0 && leader < 3) {
                (void)cluster_propose(c, leader, 64);
            }
            cluster_advance(c, 1);
        }
        cluster_crash(c, victim, at % 2 == 0);
        cluster_advance(c, at * 10);
        assert_int_equal(cluster_start(c, victim), SG_OK);
        assert_true(cluster_settle(c, 60000));
        end(c);
    }
}

static void all_may_restart_at_once(void **state)
{
    (void)state;
    struct cluster *c = three(90);
    for (int round = 0; round < 5; round++) {
        assert_int_not_equal(cluster_wait_leader(c, 10000), 3);
        propose_count(c, 30, 100);
        cluster_advance(c, cluster_random(c, 20));
        for (size_t i = 0; i < 3; i++) {
            cluster_crash(c, i, false);
        }
        for (size_t i = 0; i < 3; i++) {
            assert_int_equal(cluster_start(c, (i + (size_t)round) % 3), SG_OK);
        }
    }
    assert_true(cluster_settle(c, 20000));
    end(c);
}

static void two_and_five_replicas_work_too(void **state)
{
    (void)state;
    for (size_t n = 2; n <= 5; n++) {
        struct cluster *c = cluster_new(&(struct cluster_options){.seed = n, .nodes_count = n});
        size_t leader = cluster_wait_leader(c, 10000);
        assert_int_not_equal(leader, n);
        assert_true(cluster_propose(c, leader, 100));
        assert_true(cluster_settle(c, 1000));
        assert_int_equal(cluster_acked(c), 1);
        end(c);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elects_and_applies),
        cmocka_unit_test(a_killed_leader_is_replaced_at_once),
        cmocka_unit_test(a_fresh_group_has_a_leader_soon),
        cmocka_unit_test(a_returning_replica_disturbs_nobody),
        cmocka_unit_test(rivals_agree_soon),
        cmocka_unit_test(a_silent_leader_is_replaced),
        cmocka_unit_test(leadership_moves_where_it_is_asked_to),
        cmocka_unit_test(a_transfer_to_a_dead_node_ends),
        cmocka_unit_test(a_laggard_gets_a_snapshot),
        cmocka_unit_test(a_large_snapshot_goes_in_chunks),
        cmocka_unit_test(senders_and_receivers_of_snapshots_may_die),
        cmocka_unit_test(a_laggard_catches_up_with_large_entries),
        cmocka_unit_test(large_logs_are_trimmed),
        cmocka_unit_test(a_minority_takes_nothing),
        cmocka_unit_test(any_commit_may_be_the_last),
        cmocka_unit_test(all_may_restart_at_once),
        cmocka_unit_test(two_and_five_replicas_work_too),
    };
    logger_set_sink(quiet, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
