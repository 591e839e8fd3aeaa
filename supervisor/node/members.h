/* The other nodes: their heartbeats and what they say of themselves. Lane 0 only. */
#ifndef SUPERVISOR_NODE_MEMBERS_H
#define SUPERVISOR_NODE_MEMBERS_H

#include "proto/base/hash.h"
#include "proto/frame.h"
#include "supervisor/config/founder.h"

struct node;

/* What a member said of its program and its catalog. */
struct member_formats {
    uint32_t level_min, level_max; /* proto/level.h */
    char program[32];
    bool has_build, has_catalog;
    struct digest build; /* Of its program. */
    uint64_t catalog_version;
    struct digest catalog;
    uint64_t catalog_behind_ms; /* Monotonic: since when its catalog is older than ours; 0: it is not. */
};

/* A founding member as this node sees it. */
struct node_member {
    const struct founder *founder;
    bool is_linked;           /* A pipe is up. */
    bool is_usable;           /* And it proved to be a running member: the lanes count on it. */
    uint64_t heard_ms;        /* Monotonic, last frame accepted; 0: never. */
    struct identity identity; /* Heard in a HELLO while forming, or settled once formed. */
    bool has_identity;
    bool is_formed; /* By its last HELLO. */
    /* What it must show, and what it wants to be shown by us (forming.c). */
    struct proof ours;
    struct proof theirs; /* When has_theirs. */
    bool has_theirs;
    bool is_proven;     /* It has shown ours, in the life of this process. */
    uint64_t proven_ms; /* Monotonic, when it last did. */
    uint64_t asked_ms;  /* Monotonic, when one that did not show it was last asked. */
    uint64_t hello_sent_ms;
    uint64_t refusal_sent_ms;
    uint64_t refuses_us_ms; /* Monotonic, when it last refused us; 0: it does not. */
    struct message_node_status status;
    bool has_status;
    char version[32];
    struct member_formats formats;
};

void members_tick(struct node *n);
/* A connection came up: what this node is and leads goes with it, so that the other
 * need not call it "starting" until the next heartbeat. */
void members_greet(struct node *n, uint64_t peer);
/* What this node says of itself. */
void members_own_formats(const struct node *n, struct message_formats *out);
/* What m said in a HELLO or its status. */
void member_says(const struct node *n, struct node_member *m, const struct message_formats *f);
void members_status(struct node *n, uint64_t from, const struct message_node_status *status);
void members_peer_down(struct node *n, uint64_t peer);
/* This member's own words came over its pipe: the lanes may use it from now on.
 * A stranger under a member's name is linked, too, and answers nothing. */
void member_usable(struct node *n, struct node_member *m);
bool member_is_alive(const struct node *n, uint64_t id);
/* "up", "down", "refused" ...: for people. */
const char *member_state_name(const struct node *n, uint64_t id);
/* What the lanes of this node say of themselves, added up. */
void members_own_counts(const struct node *n, struct message_node_status *status);

#endif
