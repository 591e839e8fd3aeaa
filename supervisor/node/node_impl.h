/* The inside of a node, for the parts of it: forming, members, reconcile, route,
 * and for the verbs that tell of it. What is not said otherwise belongs to the
 * loop of lane 0. */
#ifndef SUPERVISOR_NODE_NODE_IMPL_H
#define SUPERVISOR_NODE_NODE_IMPL_H

#include "proto/base/logger.h"
#include "supervisor/catalog/catalog.h"
#include "supervisor/node/lane.h"
#include "supervisor/node/members.h"
#include "supervisor/node/node.h"
#include "supervisor/node/route.h"

/* How a lane's leaving goes to and fro between its loop and lane 0. */
struct left_note {
    struct task task;
    struct node *node;
    struct lane *lane;
};

struct node {
    struct node_options options;
    struct founder founders[NODES_MAX];
    const struct founder *self;
    enum node_state state;
    struct identity identity;
    bool formed;
    uint64_t started_wall_ms;
    char refusal[256];
    uint64_t refused_ms;                   /* Monotonic, when that was last said. */
    struct node_member members[NODES_MAX]; /* By id - 1; our own is unused. */
    struct lane lanes[LANES_MAX];
    struct route routes[LANES_MAX]; /* One a lane, on its loop. */
    struct arena frame_arena;
    struct task heartbeat;
    struct group *catalog;
    struct catalog_model *model;  /* Never NULL once running. */
    struct digest catalog_digest; /* Of its objects, at the model's version. */
    uint64_t catalog_told;        /* The version of the catalog that the lanes have their orders of; */
    uint32_t catalog_told_level;  /* and its level. 0: none yet. */
    char catalog_why[256];        /* Of catalog_failed. */
    uint64_t catalog_leader;
    bool catalog_ready;        /* This node leads it. */
    uint64_t catalog_ready_ms; /* Monotonic: since when. */
    bool catalog_failed;       /* Its replica here has stopped; the shards go on. */
    bool catalog_registering;
    char spool_dir[512];
    char cluster[NAME_SIZE_MAX + 1];
    struct left_note left_notes[LANES_MAX];
    size_t lanes_left, lanes_drained;
    _Atomic uint32_t snapshot_senders; /* Of all lanes. */
    size_t shared_bytes;               /* Frames that lanes above 0 have not looked at. */
    size_t calls_count, calls_bytes;   /* Requests taken and not answered. */
    uint64_t dropped_logged_ms;        /* Of frames that are not for us. */
};

struct log_scope node_scope(const struct node *n);
/* The highest level that this node speaks. Any thread. */
uint32_t node_level_max(const struct node *n);
const struct founder *node_founder(const struct node *n, uint64_t id);
const struct founder *node_founder_named(const struct node *n, struct span name);
struct lane *node_lane_of(struct node *n, uint64_t group);
/* Any thread. */
void node_fatal(struct node *n, enum sg_err err, const char *why);
/* All groups found in the stores are opened; the catalog last, because its
 * orders are for groups that are open or not there. */
void node_run(struct node *n);
/* Tell every lane on its own loop. */
void node_lanes_tell(struct node *n, uint64_t peer, void (*tell)(struct lane *l, uint64_t peer));
/* What frames to this peer must show from now on, on every lane. */
void node_lanes_prove(struct node *n, uint64_t peer, const struct proof *proof);
/* A lane is through with leaving; on its own loop. */
void node_lane_left(void *impl, struct lane *l);

/* Another node's words before they go into JSON and logs: what is not printable
 * ASCII becomes '?'. Returns text. */
char *node_clean_text(char *text);

#endif
