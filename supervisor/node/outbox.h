/* The transport of one lane over a link: messages of all groups to one node
 * leave as one frame a turn.
 *
 * A message is encoded when it is sent. The frame leaves at the end of the turn
 * (loop_defer()), or at once when it reaches FRAME_SIZE_SOFT_BYTES. A message
 * is dropped, and counted, when PEER_QUEUE_MAX_BYTES already wait for its node,
 * or when there are more than NODES_MAX nodes. Order to one node is kept. */
#ifndef SUPERVISOR_NODE_OUTBOX_H
#define SUPERVISOR_NODE_OUTBOX_H

#include "proto/base/loop.h"
#include "shard/transport.h"
#include "supervisor/node/link.h"

struct outbox;

struct outbox_options {
    struct loop *loop;        /* The lane's. Borrowed for the outbox's life. */
    struct link *link;        /* Borrowed for the outbox's life. */
    struct span cluster;      /* Copied. */
    uint64_t self;            /* This node's id. */
    struct identity identity; /* Of its data directory. */
};

struct outbox_stats {
    uint64_t messages, frames, bytes; /* Handed to the link. */
    uint64_t dropped;                 /* Messages. */
};

struct outbox *outbox_new(const struct outbox_options *options);
/* The seam, on the lane's loop only. */
struct transport outbox_transport(struct outbox *o);
/* Frames to this node carry this proof from now on; what has gathered leaves first. */
void outbox_prove(struct outbox *o, uint64_t node, const struct proof *proof);
/* Hand over what has gathered for all nodes without waiting for the turn's end. */
void outbox_flush(struct outbox *o);
struct outbox_stats outbox_stats(const struct outbox *o);
/* What has gathered and did not leave is dropped. */
void outbox_free(struct outbox *o);

#endif
