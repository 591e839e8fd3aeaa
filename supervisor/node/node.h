/* A node: everything of one shardgated process except how it reaches the world.
 *
 * The seams come in with the options, so the same code runs in the daemon
 * (libuv, LMDB, NNG, directories) and in the simulator (virtual time, memory).
 *
 * Calling sequence: node_new(), node_start(); node_frame(), node_peer_up/down()
 * and node_request() as they come; node_leave() for an orderly end, then
 * node_free() once on_left was called.
 *
 * Threads: all functions on the loop of lane 0, except where said. */
#ifndef SUPERVISOR_NODE_NODE_H
#define SUPERVISOR_NODE_NODE_H

#include "proto/client.h"
#include "proto/frame.h"
#include "proto/base/hash.h"
#include "proto/base/loop.h"
#include "shard/ach/zone.h"
#include "shard/upload/bank.h"
#include "storage/kv.h"
#include "supervisor/config/founder.h"
#include "supervisor/node/link.h"

struct node;
struct verb;

struct lane_seams {
    struct loop *loop;
    struct kv *kv;
    struct bank *bank;
};

struct node_options {
    const char *cluster;
    const char *name; /* One of the founders. */
    const struct founder *founders;
    size_t founders_count; /* REPLICAS_MIN to REPLICAS_MAX: all hold the catalog. */
    struct lane_seams lanes[LANES_MAX];
    size_t lanes_count; /* Fixed for the life of a data directory. */
    struct link *link;
    /* What can be asked, by kind: REQUEST_KINDS of them (supervisor/verbs/table.h); one
     * whose run is NULL is not known here. Borrowed for the node's life. */
    const struct verb *verbs;
    const struct zone *(*zone)(void *impl, struct span name);
    void *zone_impl;
    const char *spool_dir;       /* NULL: memory only. */
    uint64_t trailing_entries;   /* >= inflight_entries. */
    uint64_t scrub_every_ms;     /* 0: SCRUB_EVERY_MS. */
    unsigned inflight_entries;   /* 0: INFLIGHT_ENTRIES_MAX. */
    size_t snapshot_chunk_bytes; /* 0: SNAPSHOT_CHUNK_BYTES. */
    unsigned election_timeout_ms;
    unsigned heartbeat_ms;
    uint32_t level_max;  /* The highest level it speaks; 0: LEVEL_MAX. Less: an earlier program, for tests. */
    struct digest build; /* Of the program, for others to compare; zeros: unknown. */
    /* The node can't go on (its store failed): end the process. */
    void (*on_fatal)(void *impl, enum sg_err err, const char *why);
    void (*on_left)(void *impl); /* node_leave() is complete. */
    void *impl;
};

/* SG_INVALID (options), SG_REFUSED (the data directory belongs to another node,
 * cluster or lane count), SG_CORRUPT, SG_IO; why says which and what to do. The
 * options' strings and arrays are copied, the seams are borrowed. */
MUST_USE enum sg_err node_new(const struct node_options *options, struct node **out, char *why,
                              size_t why_size);
void node_start(struct node *n);

/* Which lane of a node with so many a group lives on: for ever, because its data
 * lies there. */
unsigned node_lane_number(uint64_t group, size_t lanes_count);

/* A frame from the link; taken over. Returns the node that it was proved to come
 * from, 0: nobody knows. */
uint64_t node_frame(struct node *n, struct bytes *frame);
void node_peer_up(struct node *n, uint64_t peer);
void node_peer_down(struct node *n, uint64_t peer);

/* An encoded request of a client (borrowed). reply is called exactly once, on
 * this loop, with an encoded reply that is taken over, perhaps before this returns. */
void node_request(struct node *n, struct span request, void (*reply)(void *token, struct bytes *reply),
                  void *token);

/* Hand leadership over, finish what is being written, close the groups. */
void node_leave(struct node *n);
/* Frees at once. After on_left, or (simulator) when the whole world of this
 * node is gone with it: nothing pending on its loops may run afterwards. */
void node_free(struct node *n);

enum node_state { NODE_FORMING = 1, NODE_RUNNING, NODE_REFUSED, NODE_LEAVING, NODE_LEFT, NODE_STATES };
const char *node_state_name(enum node_state s);
enum node_state node_state(const struct node *n);
/* Why it is refused; "" otherwise. */
const char *node_refusal(const struct node *n);

#endif
