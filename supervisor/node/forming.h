/* How a cluster comes to be, and who belongs to it; see forming.c. Lane 0 only. */
#ifndef SUPERVISOR_NODE_FORMING_H
#define SUPERVISOR_NODE_FORMING_H

#include "proto/frame.h"

struct node;
struct node_member;

void forming_hello(struct node *n, uint64_t from, const struct identity *identity,
                   const struct message_hello *hello);
void forming_greet(struct node *n, struct node_member *m, bool reply_wanted);
void forming_peer_down(struct node *n, struct node_member *m);
/* May a frame of this sender be used? Answers a stranger with a refusal. */
bool forming_admits(struct node *n, uint64_t from, const struct identity *identity);
void forming_tick(struct node *n);

#endif
