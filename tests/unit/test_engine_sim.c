/* Replicas of one group under random faults, many seeds, all invariants on.
 *
 * SHARDGATE_SIM_SEED=N runs one seed; SHARDGATE_SIM_SEEDS=N runs N of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/fault.h"
#include "tests/support/engine_cluster.h"

#define SEEDS_DEFAULT 100
#define FAULTS_DEFAULT 120

struct run {
    struct cluster *c;
    struct cluster_options options;
    size_t nodes_count;
    uint64_t proposed;
    uint64_t crashes, installs, elections;
    const char *refused; /* A node could not be opened again. */
};

static void quiet(void *impl, enum log_level level, const char *line)
{
    (void)impl;
    (void)level;
    (void)line;
}

static uint64_t random_below(struct run *r, uint64_t n)
{
    return cluster_random(r->c, n);
}

static void propose_some(struct run *r)
{
    uint64_t n = random_below(r, 12);
    for (uint64_t i = 0; i < n; i++) {
        size_t node = random_below(r, 4) == 0 ? random_below(r, r->nodes_count) : cluster_leader(r->c, false);
        if (node < r->nodes_count && cluster_is_up(r->c, node)) {
            size_t size = random_below(r, 50) == 0 ? 300000 : 16 + random_below(r, 200);
            r->proposed += cluster_propose(r->c, node, size) ? 1 : 0;
        }
    }
}

/* Enough in one go that a replica which misses it needs a snapshot. */
static void propose_many(struct run *r)
{
    size_t left_out = random_below(r, r->nodes_count);
    for (size_t i = 0; i < r->nodes_count; i++) {
        cluster_cut(r->c, i, left_out, true);
    }
    for (int i = 0; i < 60; i++) {
        size_t leader = cluster_leader(r->c, false);
        for (int j = 0; j < 20 && leader < r->nodes_count; j++) {
            r->proposed += cluster_propose(r->c, leader, 32) ? 1 : 0;
        }
        cluster_advance(r->c, 5);
    }
    cluster_heal(r->c);
}

static void crash(struct run *r, size_t node)
{
    if (cluster_is_up(r->c, node)) {
        cluster_crash(r->c, node, random_below(r, 2) == 0);
        r->crashes++;
    }
}

static void start(struct run *r, size_t node)
{
    if (cluster_start(r->c, node) != SG_OK) {
        r->refused = "a node could not be opened again";
    }
}

/* Faults end, or nothing would ever be elected. */
static void some_recovery(struct run *r)
{
    for (size_t i = 0; i < r->nodes_count; i++) {
        if (!cluster_is_up(r->c, i) && random_below(r, 4) == 0) {
            start(r, i);
        }
        if (random_below(r, 3) == 0) {
            cluster_pause(r->c, i, false);
        }
    }
    if (random_below(r, 5) == 0) {
        cluster_heal(r->c);
    }
}

static void transfer(struct run *r)
{
    size_t leader = cluster_leader(r->c, false);
    if (leader < r->nodes_count) {
        uint64_t to = random_below(r, r->nodes_count + 1); /* 0: choose. */
        enum sg_err err = group_transfer(cluster_group(r->c, leader), to);
        assert_true(err == SG_OK || err == SG_NOTLEADER || err == SG_INVALID || err == SG_BUSY);
    }
}

static void cut_some(struct run *r)
{
    size_t a = random_below(r, r->nodes_count);
    size_t b = random_below(r, r->nodes_count);
    cluster_cut(r->c, a, b, true);
    if (random_below(r, 2) == 0) {
        cluster_cut(r->c, b, a, true);
    }
}

static void peer_lost(struct run *r)
{
    size_t node = random_below(r, r->nodes_count);
    if (cluster_is_up(r->c, node)) {
        group_peer_lost(cluster_group(r->c, node), 1 + random_below(r, r->nodes_count),
                        random_below(r, 2) == 0);
    }
}

/* Replicas stand all at once, on slow disks, and die with their votes in flight. */
static void election_storm(struct run *r)
{
    cluster_set(r->c, &(struct cluster_options){.disk_min_ms = 5, .disk_max_ms = 60, .delay_max_ms = 10});
    for (int round = 0; round < 6; round++) {
        for (size_t i = 0; i < r->nodes_count; i++) {
            if (cluster_is_up(r->c, i)) {
                group_peer_lost(cluster_group(r->c, i), cluster_status(r->c, i).leader,
                                random_below(r, 3) > 0);
            }
        }
        cluster_advance(r->c, 1 + random_below(r, 60));
        size_t victim = random_below(r, r->nodes_count);
        if (cluster_is_up(r->c, victim)) {
            crash(r, victim);
            start(r, victim);
        }
    }
    cluster_set(r->c, &r->options);
}

static void one_fault(struct run *r)
{
    size_t leader = cluster_leader(r->c, false);
    size_t any = random_below(r, r->nodes_count);
    switch (random_below(r, 12)) {
    case 0:
        crash(r, any);
        break;
    case 1:
        crash(r, leader < r->nodes_count ? leader : any);
        break;
    case 2:
        cut_some(r);
        break;
    case 3:
        transfer(r);
        break;
    case 4:
        cluster_pause(r->c, any, true);
        break;
    case 5:
        peer_lost(r);
        break;
    case 6:
        propose_many(r);
        break;
    case 7:
        election_storm(r);
        break;
    default:
        break;
    }
}

static void count_installs(struct run *r)
{
    for (size_t i = 0; i < r->nodes_count; i++) {
        if (cluster_is_up(r->c, i)) {
            struct group_status s = cluster_status(r->c, i);
            r->installs += s.snapshots_installed;
            r->elections += s.elections;
        }
    }
}

/* When all faults have healed there is a leader, something new commits, and all
 * replicas are equal. */
static const char *heal(struct run *r)
{
    cluster_heal(r->c);
    cluster_set(r->c, &(struct cluster_options){.nodes_count = r->nodes_count});
    for (size_t i = 0; i < r->nodes_count; i++) {
        if (!cluster_is_up(r->c, i)) {
            start(r, i);
        }
    }
    if (r->refused != NULL) {
        return r->refused;
    }
    if (cluster_wait_leader(r->c, 60000) == r->nodes_count) {
        return "no leader after healing";
    }
    if (!cluster_settle(r->c, 60000)) {
        return "replicas do not become equal after healing";
    }
    if (!cluster_propose(r->c, cluster_leader(r->c, true), 16)) {
        return "a leader takes no proposal after healing";
    }
    if (!cluster_settle(r->c, 5000) || cluster_open_proposals(r->c) != 0) {
        return "a proposal after healing is not answered";
    }
    count_installs(r);
    return NULL;
}

static struct cluster_options options_of(uint64_t seed)
{
    struct cluster_options o = {
        .seed = seed,
        .nodes_count = seed % 5 == 4     ? 5
                       : seed % 11 == 10 ? 2
                                         : 3,
        .delay_min_ms = 0,
        .delay_max_ms = seed % 3 == 0 ? 400 : 20,
        .loss_percent = (unsigned)(seed / 2 % 4) * 6,
        .repeat_percent = (unsigned)(seed / 3 % 3) * 5,
        .disk_max_ms = seed % 7 == 0 ? 60 : 5,
        .is_slow_at_times = seed % 2 == 0,
    };
    return o;
}

/* NULL, or what went wrong; why is kept by the cluster, so it is copied. */
static bool run_seed(uint64_t seed, unsigned faults, struct run *total, char *why, size_t why_size)
{
    struct cluster_options o = options_of(seed);
    struct run r = {.c = cluster_new(&o), .options = o, .nodes_count = o.nodes_count};
    const char *found = NULL;
    for (unsigned i = 0; i < faults && found == NULL; i++) {
        propose_some(&r);
        one_fault(&r);
        some_recovery(&r);
        cluster_advance(r.c, 1 + random_below(&r, random_below(&r, 3) == 0 ? 3000 : 300));
        found = r.refused != NULL ? r.refused : cluster_violation(r.c);
    }
    found = found == NULL ? heal(&r) : found;
    found = found == NULL ? cluster_violation(r.c) : found;
    (void)snprintf(why, why_size, "%s", found == NULL ? "" : found);
    total->proposed += r.proposed;
    total->crashes += r.crashes;
    total->installs += r.installs;
    total->elections += r.elections;
    cluster_free(r.c);
    return found == NULL;
}

static uint64_t from_environment(const char *name, uint64_t otherwise)
{
    const char *value = getenv(name);
    return value == NULL ? otherwise : strtoull(value, NULL, 10);
}

static void survives_random_faults(void **state)
{
    (void)state;
    struct run total = {0};
    uint64_t first = from_environment("SHARDGATE_SIM_SEED", 1);
    uint64_t count =
        getenv("SHARDGATE_SIM_SEED") != NULL ? 1 : from_environment("SHARDGATE_SIM_SEEDS", SEEDS_DEFAULT);
    unsigned failures = 0;
    for (uint64_t seed = first; seed < first + count; seed++) {
        char why[200];
        if (!run_seed(seed, FAULTS_DEFAULT, &total, why, sizeof(why))) {
            print_message("seed %llu: %s\n", (unsigned long long)seed, why);
            failures++;
        }
    }
    print_message("%llu proposals, %llu crashes, %llu elections, %llu installs\n",
                  (unsigned long long)total.proposed, (unsigned long long)total.crashes,
                  (unsigned long long)total.elections, (unsigned long long)total.installs);
    assert_int_equal(failures, 0);
    /* A run in which nothing happens proves nothing. */
    assert_true(count == 1 || (total.installs > 0 && total.elections > count && total.crashes > count));
}

/* Each planted bug must be found within some seeds. */
static bool is_found(const char *bug, uint64_t seeds)
{
    struct run total = {0};
    bool found = false;
    fault_set_bugs(bug);
    for (uint64_t seed = 1; seed <= seeds && !found; seed++) {
        char why[200];
        found = !run_seed(seed, FAULTS_DEFAULT, &total, why, sizeof(why));
        if (found) {
            print_message("%s: seed %llu: %s\n", bug, (unsigned long long)seed, why);
        }
    }
    fault_set_bugs("");
    return found;
}

static void finds_planted_bugs(void **state)
{
    (void)state;
    static const char *const bugs[] = {"ack-before-quorum", "message-before-flush", "snapshot-without-conf",
                                       "vote-not-stored"};
    if (getenv("SHARDGATE_SIM_SEED") != NULL) {
        skip();
    }
    for (size_t i = 0; i < sizeof(bugs) / sizeof(bugs[0]); i++) {
        if (!is_found(bugs[i], 100)) {
            fail_msg("%s was not found", bugs[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_random_faults),
        cmocka_unit_test(finds_planted_bugs),
    };
    logger_set_sink(quiet, NULL, NULL);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
