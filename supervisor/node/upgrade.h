/* Which level the cluster may go to, and taking it there (docs/upgrade.md). Lane 0.
 *
 * Every node knows this of every other from its heartbeats; the catalog's leader
 * acts on it: when all nodes have spoken a higher level for finalize_upgrade_after,
 * or when a person says so. */
#ifndef SUPERVISOR_NODE_UPGRADE_H
#define SUPERVISOR_NODE_UPGRADE_H

#include "proto/base/bytes.h"
#include "proto/base/limits.h"

struct node;

struct upgrade_node {
    const char *name;
    bool is_heard; /* It is up and said what it speaks. */
    uint32_t level_min, level_max;
    const char *program;    /* Its version. */
    uint64_t started_ms;    /* Unix time. */
    uint32_t files_missing; /* Sealed files of its replicas whose bytes it has not stored yet. */
    uint32_t level_lowest;  /* Of the shards that it leads; 0: it leads none. */
};

struct upgrade {
    uint32_t level; /* Where the catalog stands. */
    struct upgrade_node nodes[NODES_MAX];
    size_t nodes_count;
    /* What upgrade_judge() says: */
    uint32_t target;     /* The highest that all nodes that are heard speak; level: there is nothing to do. */
    bool may_finalize;   /* To target, now. */
    bool waits;          /* It may not, and what it waits for comes by itself. */
    int64_t due_ms;      /* Unix time at which the leader does it by itself; 0: not known, or at once. */
    char waits_for[256]; /* Why it may not; "". */
};

/* Pure: fills in the rest from level and nodes. is_empty: the cluster has no shard yet,
 * so that nobody could want to go back. */
void upgrade_judge(struct upgrade *u, int64_t finalize_after_ms, bool is_empty);
/* As this node knows it. */
void upgrade_look(const struct node *n, struct upgrade *u);
/* The catalog's leader: keep what the catalog says of nodes up to date, finalize what is due. */
void upgrade_tick(struct node *n);
/* The command that takes the catalog from where it stands to a level; and the change in
 * it alone. Append. */
void upgrade_encode(const struct node *n, uint32_t level, struct bytes *out);
void upgrade_change(uint32_t level, struct bytes *out);
/* What people should know of node id's program and catalog next to this node's: text, or
 * "" when they are equal or not known. */
void upgrade_difference(const struct node *n, uint64_t id, char *text, size_t text_size);

#endif
