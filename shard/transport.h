/* The seam "send to a node".
 *
 * Real: messages of all groups to one node leave as one frame per turn, over
 * NNG. Simulated: lost, repeated, delayed, reordered, cut off. Either way a
 * message may be lost silently, arrive twice or arrive late; nothing is
 * reported back. */
#ifndef SHARD_TRANSPORT_H
#define SHARD_TRANSPORT_H

#include "proto/frame.h"

struct transport_ops {
    /* On the loop. m and all it points to are borrowed for the call. Never
     * blocks; drops the message when the node is unknown or too much waits. */
    void (*send)(void *impl, uint64_t node, const struct message *m);
};

struct transport {
    const struct transport_ops *ops;
    void *impl;
};

static inline void transport_send(struct transport *t, uint64_t node, const struct message *m)
{
    t->ops->send(t->impl, node, m);
}

#endif
