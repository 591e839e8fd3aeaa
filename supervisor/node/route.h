/* Requests on their way: from a client or another node to where they are
 * answered, and back.
 *
 * A call belongs to one lane at a time. Lane 0 takes it in, the lane of its
 * group carries it out or sends it on to the leader's node, and its reply goes
 * back through lane 0. A call whose shard has no leader yet waits (parked) until
 * there is one or its time is over. */
#ifndef SUPERVISOR_NODE_ROUTE_H
#define SUPERVISOR_NODE_ROUTE_H

#include "proto/frame.h"

struct call;
struct lane;
struct node;

/* The calls of one lane that wait. On the lane's loop only. */
struct route {
    struct node *node;
    struct lane *lane;
    struct call *parked;    /* For a leader. */
    struct call *forwarded; /* For another node's answer. */
    uint64_t next_request_id;
};

void route_init(struct route *r, struct node *n, struct lane *l);
/* Another node's request. Lane 0. */
void route_forward(struct node *n, uint64_t from, const struct message_forward *f);
/* Its answer to a request of ours. */
void route_reply(struct route *r, uint64_t from, const struct message_forward_reply *m);
void route_peer_down(struct route *r, uint64_t peer);
/* A leader changed or a group opened: parked calls may go on. */
void route_wake(struct route *r);
void route_tick(struct route *r);
/* The lane's groups stopped: nothing is waited for any more. */
void route_abandon(struct route *r);
/* Try again in a moment, or when something changed. For call.c. */
void route_park(struct call *c);

#endif
