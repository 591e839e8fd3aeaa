/* A call: one request on this node, and its ends; and what a verb is to a node.
 *
 * A call is answered exactly once, by one of its ends below, and is gone then. */
#ifndef SUPERVISOR_NODE_CALL_H
#define SUPERVISOR_NODE_CALL_H

#include "shard/shard.h"
#include "supervisor/base/verb.h"
#include "supervisor/catalog/catalog.h"

struct call;
struct lane;
struct lane_slot;
struct node;

/* How a verb is carried out. */
struct verb {
    struct verb_facts facts;
    /* Called where facts.where says: on lane 0 (VERB_ITSELF, VERB_NODE; VERB_CATALOG
     * with this node leading it), or on the shard's lane with its slot, whose shard is
     * open (VERB_REPLICA; VERB_LEADER with this node leading it). Ends the call, now
     * or later. slot is NULL on lane 0. */
    void (*run)(struct call *c, struct lane_slot *slot);
    /* NULL, or: an earlier try of this call may have done what is now refused (err,
     * text) because it is done already. Then it answers that, and returns true. */
    bool (*done_before)(struct call *c, enum sg_err err, const char *text);
};

struct call {
    struct node *node;
    struct lane *lane;  /* Where it is now. */
    struct arena arena; /* The decoded request lives here. */
    struct bytes raw;   /* The encoded request: what the spans point into. */
    struct request request;
    const struct verb *verb;
    uint32_t hops;                   /* Forwards behind it. */
    uint64_t deadline_ms;            /* Of this node's monotonic clock. */
    uint64_t retry_ms;               /* Parked: not before. */
    uint64_t request_id;             /* Forwarded under this number. */
    uint64_t sent_to, sent_ms;       /* Node it was forwarded to, and when. */
    uint64_t replicas[REPLICAS_MAX]; /* By the catalog, set on lane 0. */
    size_t replicas_count;
    bool started;         /* Something may have happened already. */
    enum sg_err last_err; /* Why it waits. */
    char last_text[192];
    void (*reply)(void *token, struct bytes *reply);
    void *token;
    struct bytes encoded_reply;
    struct task task;  /* Between lanes. */
    struct call *next; /* In a list of the lane. */
    struct {           /* Room for what carries it out. */
        struct shard_submit submit;
        struct shard_command command;
        struct proposal proposal;
        struct group_read read;
        uint64_t number;
        uint64_t started_ms;
        struct arena arena; /* Of the present try. */
        struct catalog_plan plan;
    } exec;
};

/* On lane 0; the call counts as one of the node's until it ends. */
struct call *call_new(struct node *n, uint32_t hops, void (*reply)(void *token, struct bytes *reply),
                      void *token);

/* The call's name, for people. */
const char *call_name(const struct call *c);
bool call_is_repeatable(const struct call *c);

/* --- Ends; from the call's lane --------------------------------------------------- */

/* With this reply; r is borrowed. */
void call_reply(struct call *c, const struct reply *r);
/* With a reply that is encoded already, by another node. Borrowed. */
void call_reply_encoded(struct call *c, struct span reply);
/* With a reply that was encoded elsewhere; taken over. */
void call_reply_made(struct call *c, struct bytes *reply);
/* With an error: what, why, what to do next. */
void call_fail(struct call *c, enum sg_err err, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* With a JSON document. */
void call_json(struct call *c, struct span json);
/* The leader moved on or was lost: find the next one, unless what happened is
 * unknown and repeating could do it twice. */
void call_retry(struct call *c, enum sg_err err, const char *text);
/* Has an earlier try done what is now refused with err and text? Then it is
 * answered so. */
bool call_done_before(struct call *c, enum sg_err err, const char *text);

#endif
