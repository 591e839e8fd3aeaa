/* How a cluster comes to be, and who belongs to it; see forming.c. Lane 0 only. */
#ifndef SUPERVISOR_NODE_FORMING_H
#define SUPERVISOR_NODE_FORMING_H

#include "proto/frame.h"

struct node;
struct node_member;

/* What this process will ask the other founders to show. Once, before anything else. */
void forming_init(struct node *n);
/* A HELLO of this frame. false: its sender did not prove to be who it says, and
 * nothing of it was believed. */
bool forming_hello(struct node *n, const struct frame *f, const struct message_hello *hello);
void forming_greet(struct node *n, struct node_member *m, bool reply_wanted);
void forming_peer_down(struct node *n, struct node_member *m);
/* May a message of this frame be used: does its sender hear at its configured
 * address, and is its data directory the one that is known? One who proves the first
 * and fails the second is told so; nobody else is. */
bool forming_admits(struct node *n, const struct frame *f);
void forming_tick(struct node *n);

#endif
