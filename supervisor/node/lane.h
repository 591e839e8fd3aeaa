/* A lane: the groups of one loop, one writer and one store.
 *
 * It knows shards and peers, and neither the node it is part of nor requests:
 * what concerns its owner goes through lane_events.
 *
 * Calling sequence: lane_init(); lane_open_all(); lane_order(), lane_message(),
 * lane_peer_up/down() as they come; lane_leave() and, once left() was called,
 * lane_halt(), then lane_release().
 *
 * Threads: on the lane's loop, except where said. */
#ifndef SUPERVISOR_NODE_LANE_H
#define SUPERVISOR_NODE_LANE_H

#include <stdatomic.h>

#include "proto/base/logger.h"
#include "proto/catalog.h"
#include "shard/shard.h"
#include "storage/writer.h"
#include "supervisor/node/node.h"
#include "supervisor/node/outbox.h"

struct lane;

/* What a lane tells and asks its owner; on the lane's loop, but for fatal(). */
struct lane_events {
    /* It can't go on (its store failed). From any thread. */
    void (*fatal)(void *impl, enum sg_err err, const char *why);
    void (*tick)(void *impl, struct lane *l); /* Now and then. */
    /* A group's leader changed, or a group opened: what waits may go on. */
    void (*changed)(void *impl, struct lane *l);
    void (*peer_down)(void *impl, struct lane *l, uint64_t peer);
    /* Its groups take nothing any more (leaving): there will be no tick for what waits. */
    void (*stopped)(void *impl, struct lane *l);
    /* While leaving: does the owner still wait for something of this lane? */
    bool (*is_idle)(void *impl, const struct lane *l);
    void (*left)(void *impl, struct lane *l); /* Leaving is complete. */
};

/* A group of a lane. */
struct lane_slot {
    uint64_t group;
    struct lane *lane;
    struct shard *shard; /* NULL while opening or when it could not be opened. */
    bool opening;
    struct bytes settings; /* By the catalog; empty: not known yet. */
    uint64_t settings_version;
    uint64_t preferred;                   /* Node id; 0: none. */
    uint64_t leader, term;                /* As last seen; leader 0: unknown. */
    uint64_t led_since_ms;                /* Monotonic, when this node leads and is ready; else 0. */
    bool stands_first;                    /* Made just now, and this replica should be its first leader. */
    bool counted_leader, counted_stopped; /* In the lane's figures. */
    char why[256];                        /* Why it is not open, or stopped. */
};

struct lane {
    const struct node_options *options; /* Borrowed for the lane's life. */
    const struct founder *founders;     /* By id - 1; as many as the options say. Borrowed. */
    const struct founder *self;
    struct lane_events events;
    void *impl; /* Of events. */
    unsigned number;
    struct loop *loop;
    struct kv *kv;
    struct bank *bank;
    struct writer *writer;
    struct outbox *outbox;
    struct transport transport;
    _Atomic uint32_t *snapshot_senders; /* Running on the node. */
    struct lane_slot **slots;           /* Ascending by group. */
    size_t slots_count, slots_cap;
    struct group *guest; /* A group that its owner runs here (the catalog); NULL: none. */
    struct task tick;
    struct task lost; /* Goes on with lost_peers, some groups a turn. */
    uint64_t lost_peers[NODES_MAX];
    size_t lost_next[NODES_MAX];
    size_t lost_count;
    bool linked[NODES_MAX];                      /* By id - 1. */
    bool peer_leaves[NODES_MAX];                 /* It said so: it is given no leadership. */
    uint64_t each_second_ms;                     /* When store and preferred leaders were last looked at. */
    _Atomic uint32_t leaders, replicas, stopped; /* For other threads to read. */
    uint32_t level; /* Where the catalog stands, as this node knows it; 0: not known yet. */
    char level_program[NAME_SIZE_MAX + 1]; /* The first that speaks it. */
    _Atomic uint64_t files_missing;        /* Sealed, and their bytes not stored yet. */
    _Atomic uint32_t level_lowest;         /* Of the shards led here; 0: none. For other threads to read. */
    /* Going down: handing over, then stopping, then left. */
    bool leaving, leaving_stopped, left;
    uint64_t leave_deadline_ms;
};

/* founders and self are borrowed for the lane's life, events is copied. */
struct lane_owner {
    const struct node_options *options;
    const struct founder *founders;
    const struct founder *self;
    struct identity identity;           /* Of the data directory. */
    _Atomic uint32_t *snapshot_senders; /* Shared by all lanes of a node. Borrowed. */
    struct lane_events events;
    void *impl;
};
void lane_init(struct lane *l, const struct lane_owner *owner, unsigned number);

/* Open every group that this lane's store holds (the catalog excepted), and begin to tick. */
void lane_open_all(struct lane *l);
struct lane_slot *lane_slot(struct lane *l, uint64_t group);
void lane_message(struct lane *l, uint64_t from, const struct message *m);
void lane_peer_up(struct lane *l, uint64_t peer);
void lane_peer_down(struct lane *l, uint64_t peer);
/* Until its connection breaks or comes up anew. */
void lane_peer_leaving(struct lane *l, uint64_t peer);
/* Of a group that this node leads, the replica to hand it to: linked, heard from,
 * staying, and the furthest of these. 0: there is none. */
uint64_t lane_heir(const struct lane *l, const struct group_status *status);
/* Tick at the end of this turn, for what waits. */
void lane_tick_soon(struct lane *l);

/* What the catalog wants of one shard. */
struct shard_order {
    struct task task;
    struct lane *lane;
    uint64_t group;
    uint64_t replicas[REPLICAS_MAX];
    size_t replicas_count; /* 0: the replica joins a group that has been running. */
    uint64_t preferred;
    struct bytes settings;
    uint64_t settings_version;
};
/* From the loop of lane 0; takes the order and its settings over. */
void lane_order(struct shard_order *order);
/* The catalog stands at this level. From the loop of lane 0. */
void lane_level(struct lane *l, const struct level_settings *level);

/* For a group that the owner runs on this lane. */
struct group_options lane_group_options(struct lane *l, uint64_t group);

/* --- The end (lane_leave.c) ---------------------------------------------------------- */

/* Leadership first, then writes, then the groups; left() is called when there is
 * nothing under way. */
void lane_leave(struct lane *l);
/* One step of it, at each tick. For lane.c. */
void lane_leave_step(struct lane *l);
/* After left(): nothing of this lane runs any more. */
void lane_halt(struct lane *l);
void lane_release(struct lane *l);

#endif
