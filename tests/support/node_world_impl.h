/* Private to tests/support/node_world*.c. */
#ifndef TESTS_SUPPORT_NODE_WORLD_IMPL_H
#define TESTS_SUPPORT_NODE_WORLD_IMPL_H

#include "tests/support/node_world.h"

#define STORED_MAX 256

struct packet {
    size_t from, to;
    uint64_t due_ms, epoch;
    struct bytes frame;
    struct packet *next;
};

struct world_call {
    unsigned answers;
    struct bytes encoded;
    struct reply reply;
    struct arena arena;
};

struct world_stored {
    enum bank_place place; /* 0: unused. */
    char name[BANK_NAME_SIZE];
    uint64_t size;
};

/* One process over a machine's disks. */
struct world_process {
    struct node_world *w;
    size_t index;
    struct test_loop *loop;
    struct kv kvs[LANES_MAX];
    struct bank bank;
    struct link link;
    struct node *node;
    bool left, fatal;
    struct world_process *next_dead;
};

struct world_machine {
    struct mem_kv *disks[LANES_MAX];
    struct world_process *p; /* NULL: down. */
    uint64_t life;           /* Counts processes. */
    uint32_t level_max;      /* Of the program; 0: all that it can. */
};

struct node_world {
    size_t count, lanes;
    uint64_t now_ms;
    struct world_machine machines[NODES_MAX];
    bool cut[NODES_MAX][NODES_MAX];
    bool linked[NODES_MAX][NODES_MAX];
    uint64_t epochs[NODES_MAX][NODES_MAX]; /* Frames under way die with their connection. */
    struct packet *packets, **packets_tail;
    struct world_call **calls;
    size_t calls_count;
    struct world_stored stored[STORED_MAX]; /* At the bank. */
    bool (*filter)(void *arg, size_t from, size_t to, struct span frame);
    void *filter_arg;
    char why[512];
};

/* The bank of every process; each answer comes a millisecond later. impl: a world_process. */
extern const struct bank_ops node_world_bank_ops;

#endif
