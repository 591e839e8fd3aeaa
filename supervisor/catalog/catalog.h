/* The control plane's state (group 0): the replicated configuration.
 *
 * catalog_apply() is the machine's pure function; the model is what a node
 * keeps in memory of it; the plan says what a configuration file would change. */
#ifndef SUPERVISOR_CATALOG_CATALOG_H
#define SUPERVISOR_CATALOG_CATALOG_H

#include "proto/catalog.h"
#include "shard/machine.h"

/* A shard with what the nodes need to know, resolved. */
struct catalog_shard {
    struct shard_settings settings;
    uint64_t version;                /* Of the newest object that it uses. */
    uint64_t replicas[REPLICAS_MAX]; /* Node ids. */
    size_t replicas_count;
    uint64_t preferred; /* Node id; 0: none. */
};

struct catalog_model {
    struct arena arena;
    uint64_t version;            /* Log index of the last change; 0: never changed. */
    struct level_settings level; /* Where the cluster stands (proto/level.h). */
    struct cluster_settings cluster;
    struct node_settings *nodes;
    size_t nodes_count;
    struct catalog_shard *shards; /* As in cluster.shards, ascending by routing number. */
    uint64_t *endpoint_versions, *originator_versions, *calendar_versions;
};

struct catalog_model *catalog_model_new(void);
void catalog_model_free(struct catalog_model *m);
/* Read everything anew. SG_CORRUPT, SG_IO, SG_UNSUPPORTED (the catalog stands at a
 * level that rows->level_max does not reach): m is as before. */
MUST_USE enum sg_err catalog_model_load(struct catalog_model *m, struct rows *rows);
/* Of everything the catalog holds: equal on nodes that go by the same. SG_CORRUPT, SG_IO. */
MUST_USE enum sg_err catalog_digest(struct rows *rows, struct digest *out);
/* NULL: no such shard. */
const struct catalog_shard *catalog_model_shard(const struct catalog_model *m, struct aba routing_number);
/* A routing number that differs in one or two digits, or a swap; 0: none. */
struct aba catalog_model_nearest(const struct catalog_model *m, struct aba routing_number);
/* Everything this shard needs, encoded (appended to out). */
void catalog_model_compose(const struct catalog_model *m, const struct catalog_shard *s, const char *cluster,
                           struct bytes *out);

/* See machine_ops.apply. result gets catalog_result_encode(). */
MUST_USE enum sg_err catalog_apply(struct rows *rows, uint64_t index, uint64_t term, struct span command,
                                   struct bytes *result);

/* 1 to NAME_SIZE_MAX of A-Z a-z 0-9 - _ . with a letter or digit in front: what a
 * cluster, node, endpoint, originator or calendar may be called. */
bool catalog_is_name(struct span s);

/* By the rules of a level, do these objects fit together: names, references, limits, replicas among the
 * nodes, an ODFI not shared by two shards (their trace numbers would collide),
 * file name templates, a drop_dir in which no two shards' files can have one
 * name and which is nobody's staging_dir? The objects need not be in order.
 * SG_INVALID: why says which object and what to do, after its line ("line 7: ")
 * when that is known. */
MUST_USE enum sg_err catalog_check(uint32_t level, const struct cluster_settings *c,
                                   const struct node_settings *nodes, size_t nodes_count, char *why,
                                   size_t why_size);

/* What bringing wanted into the catalog would change. Objects that the file
 * does not name stay as they are. Shards without replicas get some: three nodes,
 * spread. lines: one a changed object, for people ("+ shard 231380104 ...").
 * SG_INVALID (catalog_check() of the outcome), SG_REFUSED (a change that would
 * need data to move): why says what. Arrays live in the arena. */
struct catalog_plan {
    struct catalog_change *changes;
    size_t changes_count;
    struct span *lines;
    size_t lines_count;
    struct aba *shards; /* Those that get other settings, also through what they refer to. */
    size_t shards_count;
};
MUST_USE enum sg_err catalog_plan(const struct catalog_model *m, const struct cluster_settings *wanted,
                                  struct arena *a, struct catalog_plan *out, char *why, size_t why_size);

#endif
