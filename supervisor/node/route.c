#include "supervisor/node/route.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/mem.h"
#include "proto/level.h"
#include "supervisor/node/call.h"
#include "supervisor/node/node_impl.h"

#define PARK_RETRY_MS 20
#define FORWARD_HEADSTART_MS 100
#define SILENT_LEADER_MS \
    1000 /* Without an answer for so long, while another node leads: it is not waited for. */
#define SHORT_REPLY_BYTES 1024 /* A reply that only says "not me" is shorter. */

static void call_try(struct call *c);
static void call_locate(struct call *c);

/* --- Waiting ------------------------------------------------------------------------- */

static void call_stopped(struct call *c)
{
    call_fail(c, c->started ? SG_UNKNOWN : SG_STOPPED, "node %s is going down: ask another one",
              c->node->self->name);
}

/* The lane that the call is on, as requests see it. */
static struct route *route_of(const struct call *c)
{
    return &c->node->routes[c->lane->number];
}

void route_init(struct route *r, struct node *n, struct lane *l)
{
    *r = (struct route){.node = n, .lane = l, .next_request_id = loop_random(l->loop)};
}

void route_park(struct call *c)
{
    if (c->lane->leaving_stopped) {
        call_stopped(c); /* No tick would come for it. */
        return;
    }
    c->retry_ms = loop_now_ms(c->lane->loop) + PARK_RETRY_MS;
    c->next = route_of(c)->parked;
    route_of(c)->parked = c;
}

static void call_expire(struct call *c)
{
    char aba[ABA_TEXT_SIZE];
    const char *whose =
        c->request.routing_number.n == 0 ? "the catalog" : aba_text(c->request.routing_number, aba);

    if (c->started) {
        call_fail(c, SG_UNKNOWN, "%s: no answer in time from %s: it may or may not have happened%s",
                  call_name(c), whose,
                  c->verb->facts.repeat == VERB_FOLDS ? "; submit again with the same ids, they fold" : "");
        return;
    }
    if (c->last_err == SG_BUSY) {
        call_fail(c, SG_BUSY, "%s: %s: nothing was done, try again later", call_name(c), c->last_text);
        return;
    }
    call_fail(
        c, SG_UNAVAILABLE,
        "%s: %s has no leader that could be reached in time (%s): see 'shardgate status'; nothing was done, "
        "try again",
        call_name(c), whose, c->last_text[0] != '\0' ? c->last_text : "no election has succeeded");
}

/* --- To another node ------------------------------------------------------------------ */

/* The other node gives up a little before this one, so that it can say what it knows. */
static uint32_t left_for_another(const struct call *c)
{
    uint64_t left = c->sent_ms < c->deadline_ms ? c->deadline_ms - c->sent_ms : 1;
    uint64_t headstart = left / 5 < FORWARD_HEADSTART_MS ? left / 5 : FORWARD_HEADSTART_MS;
    return (uint32_t)(left - headstart);
}

static void forward(struct call *c, uint64_t to)
{
    struct message m = {.kind = MESSAGE_FORWARD, .group = c->request.routing_number.n};

    if (c->hops >= FORWARD_HOPS_MAX) {
        c->last_err = SG_NOTLEADER;
        if (c->started) {
            call_fail(c, SG_UNKNOWN,
                      "the leader moved while the request was looking for it, and an earlier try "
                      "got no answer: it may or may not have happened");
        } else {
            call_fail(c, SG_NOTLEADER, "the leader moved while the request was looking for it");
        }
        return;
    }
    c->request_id = route_of(c)->next_request_id * LANES_MAX + c->lane->number;
    route_of(c)->next_request_id++;
    c->sent_to = to;
    c->sent_ms = loop_now_ms(c->lane->loop);
    m.forward.request_id = c->request_id;
    m.forward.hops = c->hops + 1;
    m.forward.timeout_ms = left_for_another(c);
    m.forward.request = span_bytes(&c->raw);
    transport_send(&c->lane->transport, to, &m);
    c->next = route_of(c)->forwarded;
    route_of(c)->forwarded = c;
}

/* Unlinks and returns the call that was forwarded to a node under this number, or NULL. */
static struct call *forwarded_take(struct route *r, uint64_t to, uint64_t request_id)
{
    for (struct call **p = &r->forwarded; *p != NULL; p = &(*p)->next) {
        if ((*p)->request_id == request_id && (*p)->sent_to == to) {
            struct call *c = *p;
            *p = c->next;
            return c;
        }
    }
    return NULL;
}

/* Does this answer only say "not me" or "done before"? Then the call goes on, or ends, otherwise. */
static bool reply_is_diverted(struct call *c, struct span encoded)
{
    struct arena a = ARENA_INIT;
    struct reply r;
    char text[192];
    enum sg_err err;
    bool diverted = true;

    if (encoded.n >= SHORT_REPLY_BYTES) {
        return false;
    }
    err = reply_decode(encoded, &a, &r);
    if (err != SG_OK) {
        call_retry(c, SG_UNKNOWN, "the leader's answer could not be read");
    } else if (r.err == SG_NOTLEADER || r.err == SG_UNAVAILABLE || r.err == SG_STOPPED ||
               (c->started &&
                (r.err == SG_BUSY || (r.err == SG_REFUSED && c->verb->facts.repeat == VERB_FOLDS)))) {
        /* Nothing was done by this try; an earlier one may have. */
        call_retry(c, r.err, span_cstr(r.text, text, sizeof text));
    } else {
        diverted = call_done_before(c, r.err, span_cstr(r.text, text, sizeof text));
    }
    arena_release(&a);
    return diverted;
}

void route_reply(struct route *r, uint64_t from, const struct message_forward_reply *m)
{
    struct call *c = forwarded_take(r, from, m->request_id);

    /* NULL: answered, given up or repeated before. */
    if (c != NULL && !reply_is_diverted(c, m->reply)) {
        call_reply_encoded(c, m->reply);
    }
}

void route_peer_down(struct route *r, uint64_t peer)
{
    struct call **p = &r->forwarded;
    while (*p != NULL) {
        struct call *c = *p;
        if (c->sent_to != peer) {
            p = &c->next;
            continue;
        }
        *p = c->next;
        call_retry(c, SG_UNKNOWN, "the connection to the leader broke");
    }
}

/* A replica of the call's shard that this node is connected to; 0: none. */
static uint64_t replica_linked(const struct call *c)
{
    for (size_t i = 0; i < c->replicas_count; i++) {
        uint64_t id = c->replicas[(i + c->hops) % c->replicas_count];
        if (id != c->node->self->id && c->lane->linked[id - 1]) {
            return id;
        }
    }
    return 0;
}

/* --- On the lane of the group ------------------------------------------------------------ */

static void call_elsewhere(struct call *c, const char *why)
{
    uint64_t to = replica_linked(c);
    (void)snprintf(c->last_text, sizeof c->last_text, "%s", why);
    if (to == 0) {
        route_park(c);
    } else {
        forward(c, to);
    }
}

static void call_try_shard(struct call *c)
{
    struct lane_slot *s = lane_slot(c->lane, c->request.routing_number.n);
    bool leader_only = c->verb->facts.where == VERB_LEADER;

    if (s == NULL) {
        call_elsewhere(c, "this node holds no replica of it");
    } else if (s->why[0] != '\0') {
        call_elsewhere(c, s->why); /* Not open or stopped: damaged here, not everywhere. */
    } else if (s->shard != NULL && (!leader_only || s->led_since_ms != 0)) {
        c->verb->run(c, s);
    } else if (s->leader != 0 && s->leader != c->node->self->id && c->lane->linked[s->leader - 1]) {
        forward(c, s->leader);
    } else {
        route_park(c);
    }
}

/* Who is asked for what the catalog knows: its leader, or anybody while this node's own copy of the catalog is of no use. */
static uint64_t catalog_guide(const struct call *c)
{
    const struct node *n = c->node;
    if (n->catalog_leader != 0 && n->catalog_leader != n->self->id) {
        return c->lane->linked[n->catalog_leader - 1] ? n->catalog_leader : 0;
    }
    for (size_t i = 0; n->catalog_failed && i < n->options.founders_count; i++) {
        uint64_t id = (n->self->id + i) % n->options.founders_count + 1;
        if (id != n->self->id && c->lane->linked[id - 1]) {
            return id;
        }
    }
    return 0;
}

static void call_try_catalog(struct call *c)
{
    struct node *n = c->node;
    if (n->catalog_ready) {
        c->verb->run(c, NULL);
    } else if (catalog_guide(c) != 0) {
        forward(c, catalog_guide(c));
    } else {
        route_park(c);
    }
}

static void call_try(struct call *c)
{
    if (c->lane->leaving_stopped) {
        call_stopped(c);
    } else if (c->verb->facts.where == VERB_CATALOG) {
        call_try_catalog(c);
    } else if (c->replicas_count == 0) {
        call_locate(c);
    } else {
        call_try_shard(c);
    }
}

static void call_arrive(struct task *t)
{
    struct call *c = CONTAINER_OF(t, struct call, task);
    call_try(c);
}

/* It was sent to the leader of then, who says nothing, and somebody else leads now. */
static bool waits_for_a_past_leader(const struct call *c, uint64_t now)
{
    enum verb_where where = c->verb->facts.where;
    const struct lane_slot *s = where == VERB_LEADER ? lane_slot(c->lane, c->request.routing_number.n) : NULL;
    uint64_t leader = where == VERB_CATALOG ? c->node->catalog_leader : s != NULL ? s->leader : 0;

    return leader != 0 && leader != c->sent_to && now - c->sent_ms >= SILENT_LEADER_MS &&
           call_is_repeatable(c);
}

void route_tick(struct route *r)
{
    uint64_t now = loop_now_ms(r->lane->loop);
    struct call *waiting = r->parked;

    r->parked = NULL;
    while (waiting != NULL) {
        struct call *c = waiting;
        waiting = c->next;
        if (now >= c->deadline_ms) {
            call_expire(c);
        } else if (now >= c->retry_ms) {
            call_try(c);
        } else {
            c->next = r->parked;
            r->parked = c;
        }
    }
    for (struct call **p = &r->forwarded; *p != NULL;) {
        struct call *c = *p;
        bool expired = now >= c->deadline_ms;
        if (!expired && !waits_for_a_past_leader(c, now)) {
            p = &c->next;
            continue;
        }
        *p = c->next;
        if (expired) {
            c->started = true;
            call_expire(c);
        } else {
            call_retry(c, SG_UNKNOWN, "the leader was replaced before it answered");
        }
    }
}

void route_wake(struct route *r)
{
    for (struct call *c = r->parked; c != NULL; c = c->next) {
        c->retry_ms = 0;
    }
    if (r->parked != NULL) {
        lane_tick_soon(r->lane);
    }
}

void route_abandon(struct route *r)
{
    struct call *lists[] = {r->parked, r->forwarded};
    r->parked = NULL;
    r->forwarded = NULL;
    for (size_t i = 0; i < 2; i++) {
        while (lists[i] != NULL) {
            struct call *c = lists[i];
            lists[i] = c->next;
            c->started = c->started || i == 1;
            call_stopped(c);
        }
    }
}

/* --- In --------------------------------------------------------------------------------- */

static void call_unknown(struct call *c)
{
    struct aba nearest = catalog_model_nearest(c->node->model, c->request.routing_number);
    char aba[ABA_TEXT_SIZE];
    char near[ABA_TEXT_SIZE];

    call_fail(c, SG_NOTFOUND, "no shard has the routing number %s%s%s%s: 'shardgate shards list' shows them",
              aba_text(c->request.routing_number, aba), nearest.n != 0 ? " (did you mean " : "",
              nearest.n != 0 ? aba_text(nearest, near) : "", nearest.n != 0 ? "?)" : "");
}

/* A catalog leader that was replaced while it was paused does not know what was applied
 * meanwhile: a majority is asked first, and then the model looked at once more. */
static void unknown_confirmed(struct group_read *r, enum sg_err err)
{
    struct call *c = CONTAINER_OF(r, struct call, exec.read);
    if (err != SG_OK) {
        call_retry(c, SG_NOTLEADER, "the catalog's leader moved");
    } else if (catalog_model_shard(c->node->model, c->request.routing_number) != NULL) {
        call_locate(c);
    } else {
        call_unknown(c);
    }
}

static void call_confirm_unknown(struct call *c)
{
    struct node *n = c->node;
    if (c->lane->level < LEVEL_READ) {
        call_unknown(c);
        return;
    }
    c->exec.read = (struct group_read){.done = unknown_confirmed};
    enum sg_err err = group_read(n->catalog, &c->exec.read);
    if (err != SG_OK) {
        call_retry(c, err == SG_BUSY ? SG_BUSY : SG_NOTLEADER, "the catalog's leader is busy or moved");
    }
}

/* On the lane of the shard, with the replicas known. */
static void call_go(struct call *c)
{
    c->lane = node_lane_of(c->node, c->request.routing_number.n);
    if (c->lane->number == 0) {
        call_try(c);
    } else {
        c->task.run = call_arrive;
        loop_post(c->lane->loop, &c->task);
    }
}

/* Without a catalog this node still serves what it holds; for the rest anybody
 * may have a replica, or knows who has. */
static void call_guess(struct call *c)
{
    const struct node *n = c->node;
    for (size_t i = 0; i + 1 < n->options.founders_count && c->replicas_count < REPLICAS_MAX; i++) {
        c->replicas[c->replicas_count++] = (n->self->id + i) % n->options.founders_count + 1;
    }
    call_go(c);
}

/* Finds the shard's replicas and lane and goes there. This node's copy of the
 * catalog may be behind: only its leader can say that there is no such shard.
 * Lane 0. */
static void call_locate(struct call *c)
{
    struct node *n = c->node;
    const struct catalog_shard *s = catalog_model_shard(n->model, c->request.routing_number);

    if (s != NULL) {
        memcpy(c->replicas, s->replicas, sizeof c->replicas);
        c->replicas_count = s->replicas_count;
        call_go(c);
    } else if (n->catalog_ready) {
        call_confirm_unknown(c);
    } else if (n->catalog_failed) {
        call_guess(c);
    } else if (catalog_guide(c) != 0) {
        forward(c, catalog_guide(c));
    } else {
        route_park(c);
    }
}

static bool call_is_served(struct call *c)
{
    struct node *n = c->node;

    if (n->state == NODE_RUNNING || c->verb->facts.where == VERB_ITSELF) {
        return true;
    }
    call_fail(c, SG_UNAVAILABLE, "node %s is %s%s%s: ask another node", n->self->name,
              node_state_name(n->state), n->refusal[0] != '\0' ? ": " : " and takes no requests yet",
              n->refusal);
    return false;
}

static void call_dispatch(struct call *c)
{
    const struct node *n = c->node;

    c->verb = &n->options.verbs[c->request.kind];
    if (c->verb->run == NULL) {
        call_fail(c, SG_UNSUPPORTED, "node %s does not know the request '%s'", n->self->name, call_name(c));
        return;
    }
    if (!call_is_served(c)) {
        return;
    }
    switch (c->verb->facts.where) {
    case VERB_ITSELF:
    case VERB_NODE:
        c->verb->run(c, NULL);
        break;
    case VERB_CATALOG:
        call_try(c);
        break;
    case VERB_REPLICA:
    case VERB_LEADER:
        if (c->request.routing_number.n == 0) {
            call_fail(c, SG_INVALID, "%s needs a routing number", call_name(c));
        } else {
            call_locate(c);
        }
    }
}

static bool has_room(const struct node *n, size_t size)
{
    return n->calls_count < (size_t)2 * REQUESTS_INFLIGHT_MAX &&
           size <= REQUESTS_INFLIGHT_MAX_BYTES - n->calls_bytes;
}

static uint32_t timeout_of(const struct request *r)
{
    uint32_t ms = r->timeout_ms != 0 ? r->timeout_ms : REQUEST_TIMEOUT_MS;
    return ms < REQUEST_TIMEOUT_MAX_MS ? ms : REQUEST_TIMEOUT_MAX_MS;
}

/* limit_ms: what is left of the request's time, by the node that passed it on; 0: all. */
static void request_take(struct node *n, struct span request, uint32_t hops, uint32_t limit_ms,
                         void (*reply)(void *token, struct bytes *reply), void *token)
{
    bool fits = has_room(n, request.n);
    struct call *c = call_new(n, hops, reply, token);
    const char *why = "";
    uint32_t timeout_ms;
    enum sg_err err;

    if (!fits) {
        call_fail(c, SG_BUSY, "too many requests are under way on node %s: try again in a moment",
                  n->self->name);
        return;
    }
    bytes_set(&c->raw, request);
    n->calls_bytes += c->raw.n;
    err = request_decode(span_bytes(&c->raw), &c->arena, &c->request, &why);
    if (err != SG_OK) {
        call_fail(c, err, "the request cannot be understood: %s", why);
        return;
    }
    timeout_ms = timeout_of(&c->request);
    timeout_ms = limit_ms != 0 && limit_ms < timeout_ms ? limit_ms : timeout_ms;
    c->deadline_ms = loop_now_ms(n->lanes[0].loop) + timeout_ms;
    call_dispatch(c);
}

void node_request(struct node *n, struct span request, void (*reply)(void *token, struct bytes *reply),
                  void *token)
{
    request_take(n, request, 0, 0, reply, token);
}

struct forward_token {
    struct node *node;
    uint64_t from;
    uint64_t request_id;
};

static void forward_answer(void *impl, struct bytes *reply)
{
    struct forward_token *t = impl;
    struct message m = {.kind = MESSAGE_FORWARD_REPLY};

    m.forward_reply.request_id = t->request_id;
    m.forward_reply.reply = span_bytes(reply);
    transport_send(&t->node->lanes[0].transport, t->from, &m);
    bytes_release(reply);
    mem_free(t);
}

void route_forward(struct node *n, uint64_t from, const struct message_forward *f)
{
    struct forward_token *t = mem_zalloc(1, sizeof *t);
    *t = (struct forward_token){.node = n, .from = from, .request_id = f->request_id};
    request_take(n, f->request, f->hops, f->timeout_ms, forward_answer, t);
}
