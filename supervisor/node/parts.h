/* The inside of a node: what its parts share. Private to supervisor/.
 *
 * A part is one file: forming.c (identity and the founding of the cluster),
 * members.c (the other nodes), lane.c (groups on a loop), route.c (requests on
 * their way), reconcile.c (the catalog made true), verbs in api/. */
#ifndef SUPERVISOR_NODE_PARTS_H
#define SUPERVISOR_NODE_PARTS_H

#include <stdatomic.h>

#include "proto/base/logger.h"
#include "shard/shard.h"
#include "storage/writer.h"
#include "supervisor/catalog/catalog.h"
#include "supervisor/node/node.h"
#include "supervisor/node/outbox.h"

struct call;
struct lane;

/* Another founding member as this node sees it. Lane 0 only. */
struct node_member {
    const struct founder *founder;
    bool is_linked;           /* A pipe is up. */
    bool is_usable;           /* And it proved to be a running member: the lanes count on it. */
    uint64_t heard_ms;        /* Monotonic, last frame accepted; 0: never. */
    struct identity identity; /* Heard in a HELLO while forming, or settled once formed. */
    bool has_identity;
    bool is_formed; /* By its last HELLO. */
    uint64_t hello_sent_ms;
    uint64_t refusal_sent_ms;
    bool refuses_us;
    struct message_node_status status;
    bool has_status;
    char version[32];
};

/* A group of this lane. */
struct slot {
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
    struct node *node;
    unsigned number;
    struct loop *loop;
    struct kv *kv;
    struct bank *bank;
    struct writer *writer;
    struct outbox *outbox;
    struct transport transport;
    uint32_t snapshot_senders;
    struct slot **slots; /* Ascending by group. */
    size_t slots_count, slots_cap;
    struct call *parked;    /* Calls that wait for a leader. */
    struct call *forwarded; /* Calls that wait for another node's answer. */
    uint64_t next_request_id;
    struct task tick; /* Parked calls, preferred leaders. */
    struct task lost; /* Goes on with lost_peers, some groups a turn. */
    uint64_t lost_peers[NODES_MAX];
    size_t lost_next[NODES_MAX];
    size_t lost_count;
    bool linked[NODES_MAX];                      /* By id - 1. */
    uint64_t each_second_ms;                     /* When store and preferred leaders were last looked at. */
    _Atomic uint32_t leaders, replicas, stopped; /* For lane 0 to read. */
    /* Going down: handing over, then stopping, then left. */
    bool leaving, leaving_stopped, left;
    uint64_t leave_deadline_ms;
    struct task left_note; /* left, then drained: between this lane and lane 0. */
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
    struct node_member members[NODES_MAX]; /* By id - 1; our own is unused. */
    struct lane lanes[LANES_MAX];
    struct arena frame_arena;
    struct task heartbeat;
    struct group *catalog;
    struct catalog_model *model; /* Never NULL once running. */
    uint64_t catalog_leader;
    bool catalog_ready;  /* This node leads it. */
    bool catalog_failed; /* Its replica here is damaged; the shards go on. */
    bool catalog_registering;
    char spool_dir[512];
    char cluster[NAME_SIZE_MAX + 1];
    size_t lanes_left, lanes_drained;
    size_t calls_count, calls_bytes; /* Requests taken and not answered. */
    uint64_t dropped_logged_ms;      /* Of frames that are not for us. */
};

/* --- node.c ---------------------------------------------------------------- */
struct log_scope node_scope(const struct node *n);
const struct founder *node_founder(const struct node *n, uint64_t id);
const struct founder *node_founder_named(const struct node *n, struct span name);
struct lane *node_lane_of(struct node *n, uint64_t group);
/* This member's own words came over its pipe: the lanes may use it from now on.
 * A stranger under a member's name is linked, too, and answers nothing. */
void node_member_usable(struct node *n, struct node_member *m);
void node_fatal(struct node *n, enum sg_err err, const char *why);
/* All groups found in the stores are opened; the catalog last, because its
 * orders are for groups that are open or not there. */
void node_run(struct node *n);

/* Another node's words before they go into JSON and logs: what is not printable
 * ASCII becomes '?'. Returns text. */
char *node_clean_text(char *text);

/* --- identity.c ------------------------------------------------------------ */
#define META_MEMBERS "members" /* Records of a founder's id and its directory's identity. */
#define MEMBER_RECORD_SIZE (8 + IDENTITY_SIZE)
/* Reads or makes this directory's identity and, if formed, the members' ones.
 * One commit in each store: what was read is durable when it returns SG_OK. */
MUST_USE enum sg_err identity_load(struct node *n, char *why, size_t why_size);

/* --- forming.c ------------------------------------------------------------- */
void forming_hello(struct node *n, uint64_t from, const struct identity *identity,
                   const struct message_hello *hello);
void forming_greet(struct node *n, struct node_member *m, bool reply_wanted);
void forming_peer_down(struct node *n, struct node_member *m);
/* May a frame of this sender be used? Answers a stranger with a refusal. */
bool forming_admits(struct node *n, uint64_t from, const struct identity *identity);
void forming_tick(struct node *n);

/* --- members.c ------------------------------------------------------------- */
void members_tick(struct node *n);
void members_status(struct node *n, uint64_t from, const struct message_node_status *status);
void members_peer_down(struct node *n, uint64_t peer);
bool member_is_alive(const struct node *n, uint64_t id);
/* "up", "down", "refused" ...: for people. */
const char *member_state_name(const struct node *n, uint64_t id);

/* --- lane.c ---------------------------------------------------------------- */
void lane_init(struct lane *l, struct node *n, unsigned number);
/* Open every group that this lane's store holds (the catalog excepted). */
void lane_open_all(struct lane *l);
struct slot *lane_slot(struct lane *l, uint64_t group);
void lane_message(struct lane *l, uint64_t from, const struct message *m);
void lane_tick(struct task *t);
void lane_peer_up(struct lane *l, uint64_t peer);
void lane_peer_down(struct lane *l, uint64_t peer);
/* Adds up what the lanes say of themselves. Lane 0. */
void lane_counts(struct node *n, struct message_node_status *status);
/* What the catalog wants of one shard; takes settings over. */
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
void lane_order(struct shard_order *order); /* From lane 0; frees the order. */
struct group_options lane_group_options(struct lane *l, uint64_t group);

/* --- leave.c ---------------------------------------------------------------- */
/* One step of going down; called until l->left. */
void lane_leave_step(struct lane *l);
void lane_release(struct lane *l);

/* --- reconcile.c ------------------------------------------------------------ */
MUST_USE enum sg_err reconcile_open_catalog(struct node *n, char *why, size_t why_size);
/* The catalog's leader brings the founders into it. */
void reconcile_tick(struct node *n);

/* --- route.c ---------------------------------------------------------------- */
void route_forward(struct node *n, uint64_t from, const struct message_forward *f);
void route_reply(struct lane *l, uint64_t from, const struct message_forward_reply *r);
void route_peer_down(struct lane *l, uint64_t peer);
/* A slot's leader changed or it opened: parked calls may go on. */
void route_wake(struct lane *l);
void route_tick(struct lane *l);
void route_abandon(struct lane *l);

#endif
