/* The seam "frames to nodes": what the outbox sends through and what a node
 * hears from.
 *
 * Real: NNG (supervisor/daemon/peers). Simulated: an event heap that loses,
 * repeats, delays and cuts. Frames to one node arrive in order or not at all
 * while its connection stands; nothing is reported back. */
#ifndef SUPERVISOR_NODE_LINK_H
#define SUPERVISOR_NODE_LINK_H

#include "proto/base/bytes.h"

struct link_ops {
    /* Thread-safe, never blocks. frame (at most FRAME_SIZE_MAX_BYTES) is taken
     * over and BYTES_NONE afterwards. Dropped when the node is unknown or not
     * connected. */
    void (*send)(void *impl, uint64_t node, struct bytes *frame);
    /* Thread-safe. Bytes handed over for this node and not yet with the
     * operating system. */
    size_t (*pending_bytes)(void *impl, uint64_t node);
};

struct link {
    const struct link_ops *ops;
    void *impl;
};

static inline void link_send(struct link *l, uint64_t node, struct bytes *frame)
{
    l->ops->send(l->impl, node, frame);
}
static inline size_t link_pending_bytes(struct link *l, uint64_t node)
{
    return l->ops->pending_bytes(l->impl, node);
}

/* What comes in, on one loop chosen when the link was opened. */
struct link_events {
    /* Not yet decoded, from anyone who could connect. Taken over: the receiver
     * releases it. Returns the node that it proved to come from, 0: nobody knows.
     * Only such a frame makes its connection one of that node's. */
    uint64_t (*frame)(void *impl, struct bytes *frame);
    /* Frames to node can leave from now on. Never twice without a peer_down. */
    void (*peer_up)(void *impl, uint64_t node);
    /* A connection between us and node broke, ours to it or one that frames of it
     * came over: its process may have died. Comes only after a peer_up. Frames that were on their way
     * are lost. */
    void (*peer_down)(void *impl, uint64_t node);
};

struct link_sink {
    const struct link_events *events;
    void *impl;
};

#endif
