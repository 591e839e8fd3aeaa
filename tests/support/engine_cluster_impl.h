/* The inside of engine_cluster, shared by its files. */
#ifndef TESTS_SUPPORT_ENGINE_CLUSTER_IMPL_H
#define TESTS_SUPPORT_ENGINE_CLUSTER_IMPL_H

#include "tests/support/engine_cluster.h"

#define NODES 5
#define WHY_SIZE 160

/* What dies with a process. */
struct process {
    struct cluster *c;
    size_t node;
    uint64_t incarnation;
    struct test_loop *loop;
    struct kv kv;
    struct writer *writer;
    struct group *group;
    struct transport transport;
    _Atomic uint32_t snapshot_senders;
    uint64_t disk_due_ms;
    uint64_t open_proposals;
    bool told_leader;
    char failed[WHY_SIZE];
    struct process *next_dead;
};

struct node {
    struct mem_kv *disk;
    struct process *process; /* NULL: down. */
    bool paused;
};

struct packet {
    uint64_t due_ms, order;
    size_t to;
    struct bytes frame;
};

/* What is known of an index, the first time anybody applied it. */
struct fact {
    uint64_t term;
    struct digest content; /* Of the command. */
    struct digest state;   /* After it; zeros: not known. */
    bool has_content;
};

struct test_proposal {
    struct proposal p;
    struct process *process;
    struct digest content;
};

struct cluster {
    struct cluster_options o;
    struct node nodes[NODES];
    bool cut[NODES][NODES];
    uint64_t now_ms;
    uint64_t random_state;
    uint64_t order;
    uint64_t incarnations;
    uint64_t commands;
    struct packet *packets;
    size_t packets_count, packets_cap;
    struct fact *facts; /* By index. */
    size_t facts_count;
    uint64_t *leaders; /* Incarnation by term. */
    size_t leaders_count;
    uint64_t acked, unknown, highest_acked;
    bool (*filter)(void *arg, size_t from, size_t to, const struct message *m);
    void *filter_arg;
    char violation[WHY_SIZE];
};

/* Only the first is kept. */
void cluster_violate(struct cluster *c, const char *fmt, ...) PRINTF_LIKE(2, 3);
uint64_t cluster_between(struct cluster *c, uint64_t min, uint64_t max);
struct fact *cluster_fact(struct cluster *c, uint64_t index);

extern const struct machine_ops cluster_machine_ops; /* impl: struct process. */
void process_check_leader(struct process *p);
struct process *process_new(struct cluster *c, size_t node, const struct transport_ops *transport);
void process_free(struct process *p);
/* Let time pass, with the disk's delays. */
void process_run(struct process *p, uint64_t ms);
/* What ran is on the disk, and its done() comes. */
void process_finish_commit(struct process *p);

#endif
