/* Replicas of one group in one thread: real engine, real writer, memory disks
 * and a network that loses, repeats, delays and cuts. Everything by one seed.
 *
 *   struct cluster *c = cluster_new(&(struct cluster_options){.seed = 1, .nodes_count = 3});
 *   cluster_advance(c, 5000);
 *   ... cluster_propose(), cluster_crash(), cluster_start(), cluster_cut() ...
 *   assert_null(cluster_violation(c));
 *   cluster_free(c);
 *
 * Checked all the time: one leader in a term, committed entries never change,
 * equal digests at equal indexes, nothing applied twice, nothing acknowledged
 * that is not applied. The first violation is kept, nothing stops at it. */
#ifndef TESTS_SUPPORT_ENGINE_CLUSTER_H
#define TESTS_SUPPORT_ENGINE_CLUSTER_H

#include "shard/engine/group.h"
#include "storage/mem_kv.h"
#include "tests/support/test_loop.h"

#define CLUSTER_GROUP 231380104u

struct cluster;

struct cluster_options {
    uint64_t seed;
    size_t nodes_count;
    size_t joiners_count;                /* The last of them: they begin with nothing. */
    uint64_t trailing_entries;           /* 0: the minimum. */
    unsigned delay_min_ms, delay_max_ms; /* Of a message; both 0: one millisecond. */
    unsigned loss_percent, repeat_percent;
    unsigned disk_min_ms, disk_max_ms; /* Until a commit is durable. */
    bool is_slow_at_times;             /* Disks stall, messages straggle. */
};

struct cluster *cluster_new(const struct cluster_options *options);
/* Stops every node in good order and frees everything but crashed processes,
 * whose memory is gone in reality. */
void cluster_free(struct cluster *c);
/* Network and disks from here on. */
void cluster_set(struct cluster *c, const struct cluster_options *options);

void cluster_advance(struct cluster *c, uint64_t ms);
uint64_t cluster_now_ms(const struct cluster *c);
uint64_t cluster_random(struct cluster *c, uint64_t below);

/* Nodes are 0 .. nodes_count - 1; their ids are one more. NULL when down. */
struct group *cluster_group(struct cluster *c, size_t node);
struct mem_kv *cluster_disk(struct cluster *c, size_t node);
struct test_loop *cluster_loop(struct cluster *c, size_t node);
bool cluster_is_up(const struct cluster *c, size_t node);
/* The process is gone; what was not flushed may be gone too. notice: the others
 * see the connection break. */
void cluster_crash(struct cluster *c, size_t node, bool notice);
/* SG_OK, or what group_open() said. */
enum sg_err cluster_start(struct cluster *c, size_t node);
/* Stop in good order. */
void cluster_stop(struct cluster *c, size_t node);
/* Messages from a to b are lost. */
void cluster_cut(struct cluster *c, size_t from, size_t to, bool cut);
void cluster_heal(struct cluster *c);
/* Time stands still for a node; messages to it wait. */
void cluster_pause(struct cluster *c, size_t node, bool paused);

/* The node that leads in the highest term, or nodes_count. ready: and may act. */
size_t cluster_leader(struct cluster *c, bool ready);
/* Advance until one is ready; returns it, or nodes_count after limit_ms. */
size_t cluster_wait_leader(struct cluster *c, uint64_t limit_ms);
/* A fresh command of at least 16 bytes, size in all. false: not taken. */
bool cluster_propose(struct cluster *c, size_t node, size_t size);
uint64_t cluster_acked(const struct cluster *c);   /* Proposals answered SG_OK. */
uint64_t cluster_unknown(const struct cluster *c); /* SG_UNKNOWN or SG_STOPPED. */
uint64_t cluster_open_proposals(const struct cluster *c);
/* Until all nodes that are up have applied the same index, everything acknowledged is in it, and a leader is ready. */
bool cluster_settle(struct cluster *c, uint64_t limit_ms);

struct group_status cluster_status(struct cluster *c, size_t node);
/* The last role() told to a node's machine. */
bool cluster_told_leader(struct cluster *c, size_t node);
/* failed() was called; its reason. */
const char *cluster_failed(struct cluster *c, size_t node);

/* See every message before it is sent; false drops it. */
void cluster_set_filter(struct cluster *c,
                        bool (*filter)(void *arg, size_t from, size_t to, const struct message *m),
                        void *arg);
/* What was found wrong first; NULL: nothing. */
const char *cluster_violation(const struct cluster *c);

#endif
