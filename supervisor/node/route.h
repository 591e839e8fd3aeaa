/* Requests on their way: from a client or another node to where they are
 * answered, and back.
 *
 * A call belongs to one lane at a time. Lane 0 takes it in, the lane of its
 * group carries it out or sends it on to the leader's node, and its reply goes
 * back through lane 0. A call whose shard has no leader yet waits (parked) until
 * there is one or its time is over. */
#ifndef SUPERVISOR_NODE_ROUTE_H
#define SUPERVISOR_NODE_ROUTE_H

#include "supervisor/node/parts.h"

struct call {
    struct node *node;
    struct lane *lane;  /* Where it is now. */
    struct arena arena; /* The decoded request lives here. */
    struct bytes raw;   /* The encoded request: what the spans point into. */
    struct request request;
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
        uint64_t number;
        uint64_t started_ms;
        struct arena arena; /* Of the present try. */
        struct catalog_plan plan;
        size_t plan_next; /* First change not yet proposed. */
    } exec;
};

/* Ends the call with this reply; r is borrowed. From the call's lane. */
void call_reply(struct call *c, const struct reply *r);
/* Ends it with an error: what, why, what to do next. */
void call_fail(struct call *c, enum sg_err err, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* Ends it with a JSON document. */
void call_json(struct call *c, struct span json);
/* The leader moved on or was lost: find the next one, unless what happened is
 * unknown and repeating could do it twice. */
void call_retry(struct call *c, enum sg_err err, const char *text);

/* --- api/: what the verbs do. Called where request_kind_where() says. --------- */
void verb_node(struct call *c);                     /* 'N', on lane 0. */
void verb_catalog(struct call *c);                  /* 'C', on lane 0, this node leads it. */
void verb_shard(struct call *c, struct slot *slot); /* 'L', on the shard's lane, this node leads it. */
/* An earlier try of this call may have done what is now refused, because it is
 * done already: then it answers that, and returns true. */
bool verb_done_before(struct call *c, enum sg_err err, const char *text);

#endif
