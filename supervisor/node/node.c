#include "supervisor/node/node.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/mem.h"
#include "supervisor/node/call.h"
#include "supervisor/node/forming.h"
#include "supervisor/node/identity.h"
#include "supervisor/node/node_impl.h"
#include "supervisor/node/reconcile.h"
#include "supervisor/node/upgrade.h"

static const char *const state_names[NODE_STATES] = {
    [NODE_FORMING] = "forming", [NODE_RUNNING] = "running", [NODE_REFUSED] = "refused",
    [NODE_LEAVING] = "leaving", [NODE_LEFT] = "left",
};

const char *node_state_name(enum node_state s)
{
    CHECK(s > 0);
    CHECK(s < NODE_STATES);
    return state_names[s];
}

enum node_state node_state(const struct node *n)
{
    return n->state;
}

const char *node_refusal(const struct node *n)
{
    return n->refusal;
}

uint32_t node_level_max(const struct node *n)
{
    return n->options.level_max != 0 ? n->options.level_max : LEVEL_MAX;
}

struct log_scope node_scope(const struct node *n)
{
    return (struct log_scope){.node = n->self->name};
}

const struct founder *node_founder(const struct node *n, uint64_t id)
{
    return id >= 1 && id <= n->options.founders_count ? &n->founders[id - 1] : NULL;
}

const struct founder *node_founder_named(const struct node *n, struct span name)
{
    for (size_t i = 0; i < n->options.founders_count; i++) {
        if (span_is(name, n->founders[i].name)) {
            return &n->founders[i];
        }
    }
    return NULL;
}

unsigned node_lane_number(uint64_t group, size_t lanes_count)
{
    /* The catalog lives on lane 0; the rest is spread by a multiplicative hash. */
    return group == 0 ? 0 : (unsigned)(((group * 0x9e3779b97f4a7c15ull) >> 32) % lanes_count);
}

struct lane *node_lane_of(struct node *n, uint64_t group)
{
    return &n->lanes[node_lane_number(group, n->options.lanes_count)];
}

char *node_clean_text(char *text)
{
    for (char *p = text; *p != '\0'; p++) {
        if (*p < 0x20 || *p > 0x7e) {
            *p = '?';
        }
    }
    return text;
}

void node_fatal(struct node *n, enum sg_err err, const char *why)
{
    struct log_scope scope = node_scope(n);
    logger_line(LOG_ERROR, &scope, "node.fatal", "err=%s why=%s", sg_err_name(err), LOG_TEXT(why));
    n->options.on_fatal(n->options.impl, err, why);
}

static enum sg_err options_check(const struct node_options *o, char *why, size_t why_size)
{
    /* Every founder holds a replica of the catalog. */
    if (o->founders_count < REPLICAS_MIN || o->founders_count > REPLICAS_MAX) {
        (void)snprintf(why, why_size,
                       "%zu nodes are configured: a cluster is founded by %d to %d (a single node cannot "
                       "survive the loss of one)",
                       o->founders_count, REPLICAS_MIN, REPLICAS_MAX);
        return SG_INVALID;
    }
    if (o->lanes_count < 1 || o->lanes_count > LANES_MAX) {
        (void)snprintf(why, why_size, "lanes: %zu is out of range, 1 to %d", o->lanes_count, LANES_MAX);
        return SG_INVALID;
    }
    if (strlen(o->cluster) < 1 || strlen(o->cluster) > NAME_SIZE_MAX) {
        (void)snprintf(why, why_size, "the cluster's name has %zu characters: 1 to %d are allowed",
                       strlen(o->cluster), NAME_SIZE_MAX);
        return SG_INVALID;
    }
    return SG_OK;
}

/* Copies the founders in the order of their names, which gives the ids. */
static enum sg_err founders_copy(struct node *n, char *why, size_t why_size)
{
    size_t count = n->options.founders_count;
    memcpy(n->founders, n->options.founders, count * sizeof n->founders[0]);
    for (size_t i = 1; i < count; i++) {
        for (size_t j = i; j > 0 && strcmp(n->founders[j - 1].name, n->founders[j].name) > 0; j--) {
            struct founder swap = n->founders[j];
            n->founders[j] = n->founders[j - 1];
            n->founders[j - 1] = swap;
        }
    }
    for (size_t i = 0; i < count; i++) {
        n->founders[i].id = i + 1;
        n->members[i].founder = &n->founders[i];
        if (i > 0 && strcmp(n->founders[i - 1].name, n->founders[i].name) == 0) {
            (void)snprintf(why, why_size, "node %s is named twice", n->founders[i].name);
            return SG_INVALID;
        }
    }
    n->self = node_founder_named(n, span_str(n->options.name));
    if (n->self == NULL) {
        (void)snprintf(why, why_size, "node %s is not among the nodes of its own configuration",
                       n->options.name);
        return SG_INVALID;
    }
    return SG_OK;
}

/* --- What the lanes ask and tell --------------------------------------------------- */

static void lane_fatal(void *impl, enum sg_err err, const char *why)
{
    /* Lanes above 0 end the process as well: on_fatal is thread-safe by contract. */
    node_fatal(impl, err, why);
}

static void lane_ticked(void *impl, struct lane *l)
{
    struct node *n = impl;
    route_tick(&n->routes[l->number]);
}

static void lane_changed(void *impl, struct lane *l)
{
    struct node *n = impl;
    route_wake(&n->routes[l->number]);
}

static void lane_lost_peer(void *impl, struct lane *l, uint64_t peer)
{
    struct node *n = impl;
    route_peer_down(&n->routes[l->number], peer);
}

static void lane_stopped(void *impl, struct lane *l)
{
    struct node *n = impl;
    route_abandon(&n->routes[l->number]);
}

/* Lane 0 answers the calls of all lanes. */
static bool lane_is_done(void *impl, const struct lane *l)
{
    const struct node *n = impl;
    return l->number != 0 || n->calls_count == 0;
}

static void lanes_init(struct node *n)
{
    struct lane_owner owner = {.options = &n->options,
                               .founders = n->founders,
                               .self = n->self,
                               .identity = n->identity,
                               .snapshot_senders = &n->snapshot_senders,
                               .events = {.fatal = lane_fatal,
                                          .tick = lane_ticked,
                                          .changed = lane_changed,
                                          .peer_down = lane_lost_peer,
                                          .stopped = lane_stopped,
                                          .is_idle = lane_is_done,
                                          .left = node_lane_left},
                               .impl = n};
    for (unsigned i = 0; i < n->options.lanes_count; i++) {
        lane_init(&n->lanes[i], &owner, i);
        route_init(&n->routes[i], n, &n->lanes[i]);
    }
}

enum sg_err node_new(const struct node_options *options, struct node **out, char *why, size_t why_size)
{
    struct node *n;
    enum sg_err err = options_check(options, why, why_size);

    if (err != SG_OK) {
        return err;
    }
    n = mem_zalloc(1, sizeof *n);
    n->options = *options;
    n->frame_arena = ARENA_INIT;
    err = founders_copy(n, why, why_size);
    if (err != SG_OK) {
        goto err_after_alloc;
    }
    (void)snprintf(n->cluster, sizeof n->cluster, "%s", options->cluster);
    n->options.cluster = n->cluster;
    n->options.name = n->self->name;
    if (options->spool_dir != NULL) {
        (void)snprintf(n->spool_dir, sizeof n->spool_dir, "%s", options->spool_dir);
        n->options.spool_dir = n->spool_dir;
    }
    n->state = NODE_FORMING;
    n->started_wall_ms = (uint64_t)loop_wall_ms(options->lanes[0].loop);
    err = identity_load(n, why, why_size);
    if (err != SG_OK) {
        goto err_after_alloc;
    }
    n->model = catalog_model_new();
    lanes_init(n);
    forming_init(n);
    *out = n;
    return SG_OK;

err_after_alloc:
    mem_free(n);
    CHECK(err != SG_OK);
    return err;
}

static void heartbeat_run(struct task *t)
{
    struct node *n = CONTAINER_OF(t, struct node, heartbeat);
    forming_tick(n);
    members_tick(n);
    if (n->state == NODE_RUNNING) {
        reconcile_tick(n);
        upgrade_tick(n);
    }
    loop_after(n->lanes[0].loop, &n->heartbeat, NODE_HEARTBEAT_MS);
}

void node_start(struct node *n)
{
    struct log_scope scope = node_scope(n);
    logger_line(LOG_INFO, &scope, "node.starting", "cluster=%s lanes=%zu formed=%s", n->cluster,
                n->options.lanes_count, n->formed ? "yes" : "no");
    if (n->formed) {
        node_run(n);
    }
    n->heartbeat.run = heartbeat_run;
    loop_after(n->lanes[0].loop, &n->heartbeat, 0);
}

static void lane_open_run(struct task *t)
{
    struct lane *l = CONTAINER_OF(t, struct lane, tick);
    lane_open_all(l);
}

void node_run(struct node *n)
{
    struct log_scope scope = node_scope(n);
    char why[256];
    enum sg_err err;

    CHECK(n->formed);
    n->state = NODE_RUNNING;
    lane_open_all(&n->lanes[0]);
    for (size_t i = 1; i < n->options.lanes_count; i++) {
        n->lanes[i].tick.run = lane_open_run;
        loop_post(n->lanes[i].loop, &n->lanes[i].tick);
    }
    err = reconcile_open_catalog(n, why, sizeof why);
    if (err != SG_OK) {
        node_fatal(n, err, why);
        return;
    }
    logger_line(LOG_INFO, &scope, "node.running", "groups=%zu", n->lanes[0].slots_count);
    members_tick(n);
}

/* --- Frames ------------------------------------------------------------------ */

/* One frame for several lanes: decoded once, read by all, freed by the last. */
struct shared_frame {
    struct node *node;
    struct bytes bytes;
    struct arena arena;
    struct frame frame;
    size_t readers; /* Counted down on lane 0 only. */
    struct frame_reader {
        struct task task;
        struct shared_frame *shared;
        struct lane *lane;
    } reader[LANES_MAX];
};

/* On the lane's loop. */
static void group_message(struct node *n, struct lane *l, uint64_t from, const struct message *m)
{
    if (m->kind == MESSAGE_FORWARD_REPLY) {
        route_reply(&n->routes[l->number], from, &m->forward_reply);
    } else {
        lane_message(l, from, m);
    }
}

/* Which lane a message is for; NULL: it was the node's own and is done. */
static struct lane *message_lane(struct node *n, uint64_t from, const struct message *m)
{
    switch (m->kind) {
    case MESSAGE_NODE_STATUS:
        members_status(n, from, &m->node_status);
        return NULL;
    case MESSAGE_FORWARD:
        route_forward(n, from, &m->forward);
        return NULL;
    case MESSAGE_FORWARD_REPLY:
        /* The id's low bits say which lane asked. */
        return &n->lanes[(m->forward_reply.request_id % LANES_MAX) % n->options.lanes_count];
    case MESSAGE_APPEND_ENTRIES:
    case MESSAGE_APPEND_ENTRIES_RESULT:
    case MESSAGE_REQUEST_VOTE:
    case MESSAGE_REQUEST_VOTE_RESULT:
    case MESSAGE_TIMEOUT_NOW:
    case MESSAGE_SNAPSHOT_CHUNK:
    case MESSAGE_SNAPSHOT_ACK:
    case MESSAGE_COMPARE:
    case MESSAGE_READ:
        return node_lane_of(n, m->group);
    case MESSAGE_HELLO:
    case MESSAGE_NONE:
    case MESSAGE_KINDS:
        break;
    }
    return NULL;
}

/* What it counts for while lanes have not looked at it. */
static size_t shared_size(size_t frame_bytes)
{
    return frame_bytes + sizeof(struct shared_frame);
}

static void frame_reader_back(struct task *t)
{
    struct frame_reader *r = CONTAINER_OF(t, struct frame_reader, task);
    struct shared_frame *s = r->shared;
    if (--s->readers == 0) {
        s->node->shared_bytes -= shared_size(s->bytes.n);
        arena_release(&s->arena);
        bytes_release(&s->bytes);
        mem_free(s);
    }
}

static void frame_reader_run(struct task *t)
{
    struct frame_reader *r = CONTAINER_OF(t, struct frame_reader, task);
    struct node *n = r->shared->node;
    const struct frame *f = &r->shared->frame;
    for (size_t i = 0; i < f->messages_count; i++) {
        const struct message *m = &f->messages[i];
        if (m->kind == MESSAGE_FORWARD_REPLY
                ? (m->forward_reply.request_id % LANES_MAX) % n->options.lanes_count == r->lane->number
                : m->kind != MESSAGE_NONE && node_lane_of(n, m->group) == r->lane) {
            group_message(n, r->lane, f->from, m);
        }
    }
    r->task.run = frame_reader_back;
    loop_post(n->lanes[0].loop, &r->task);
}

/* Whoever can connect can cause this line: not more than one a second. */
static void frame_dropped(struct node *n, enum sg_err err, size_t size)
{
    struct log_scope scope = node_scope(n);
    uint64_t now = loop_now_ms(n->lanes[0].loop);
    if (n->dropped_logged_ms == 0 || now - n->dropped_logged_ms >= 1000) {
        n->dropped_logged_ms = now;
        logger_line(LOG_WARN, &scope, "frame.dropped", "err=%s bytes=%zu", sg_err_name(err), size);
    }
}

/* Hands the frame to the lanes above 0 that it has messages for; takes it over. */
static void frame_share(struct node *n, struct bytes *bytes, const bool *wanted)
{
    struct shared_frame *s;
    enum sg_err err;

    if (n->shared_bytes + shared_size(bytes->n) > LANE_FRAMES_MAX_BYTES) {
        /* A lane stands still; the others must not wait for it. Raft repeats. */
        frame_dropped(n, SG_BUSY, bytes->n);
        return;
    }
    s = mem_zalloc(1, sizeof *s);
    n->shared_bytes += shared_size(bytes->n);
    s->node = n;
    s->bytes = *bytes;
    *bytes = BYTES_NONE;
    s->arena = ARENA_INIT;
    err = frame_decode(span_bytes(&s->bytes), &s->arena, &s->frame);
    CHECK(err == SG_OK); /* It was decoded a moment ago. */
    /* Node messages are done: only groups' ones are left for the readers. */
    for (size_t i = 0; i < s->frame.messages_count; i++) {
        enum message_kind kind = s->frame.messages[i].kind;
        if (kind == MESSAGE_HELLO || kind == MESSAGE_NODE_STATUS || kind == MESSAGE_FORWARD) {
            s->frame.messages[i].kind = MESSAGE_NONE;
        }
    }
    for (size_t i = 1; i < n->options.lanes_count; i++) {
        s->readers += wanted[i];
    }
    for (size_t i = 1; i < n->options.lanes_count; i++) {
        if (wanted[i]) {
            s->reader[i] = (struct frame_reader){.shared = s, .lane = &n->lanes[i]};
            s->reader[i].task.run = frame_reader_run;
            loop_post(n->lanes[i].loop, &s->reader[i].task);
        }
    }
}

static bool frame_is_ours(const struct node *n, const struct frame *f)
{
    return span_is(f->cluster, n->cluster) && f->to == n->self->id && f->from != n->self->id &&
           node_founder(n, f->from) != NULL;
}

/* Carries out what is for lane 0 or the node; notes which other lanes are wanted. */
static bool frame_dispatch(struct node *n, const struct frame *f, bool *wanted, bool *proved)
{
    uint64_t now = loop_now_ms(n->lanes[0].loop);
    bool any = false;
    for (size_t i = 0; i < f->messages_count; i++) {
        const struct message *m = &f->messages[i];
        struct lane *l;
        /* A HELLO may be what makes us admit the messages behind it. */
        if (m->kind == MESSAGE_HELLO) {
            *proved = forming_hello(n, f, &m->hello) || *proved;
            continue;
        }
        if (!forming_admits(n, f)) {
            continue;
        }
        *proved = true;
        n->members[f->from - 1].heard_ms = now;
        l = message_lane(n, f->from, m);
        if (l == &n->lanes[0]) {
            group_message(n, l, f->from, m);
        } else if (l != NULL) {
            wanted[l->number] = true;
            any = true;
        }
    }
    return any;
}

uint64_t node_frame(struct node *n, struct bytes *bytes)
{
    struct frame f = {.from = 0};
    bool wanted[LANES_MAX] = {false};
    bool proved = false;
    enum sg_err err;

    if (n->state == NODE_LEFT) {
        goto out;
    }
    arena_reset(&n->frame_arena);
    err = frame_decode(span_bytes(bytes), &n->frame_arena, &f);
    if (err != SG_OK || !frame_is_ours(n, &f)) {
        frame_dropped(n, err, bytes->n);
        goto out;
    }
    if (frame_dispatch(n, &f, wanted, &proved)) {
        frame_share(n, bytes, wanted);
    }
out:
    bytes_release(bytes);
    return proved ? f.from : 0;
}

/* --- Peers ------------------------------------------------------------------- */

struct peer_note {
    struct task task;
    struct lane *lane;
    uint64_t peer;
    struct proof proof; /* For prove_run(). */
    void (*tell)(struct lane *l, uint64_t peer);
};

static void peer_note_run(struct task *t)
{
    struct peer_note *note = CONTAINER_OF(t, struct peer_note, task);
    note->tell(note->lane, note->peer);
    mem_free(note);
}

void node_lanes_tell(struct node *n, uint64_t peer, void (*tell)(struct lane *l, uint64_t peer))
{
    tell(&n->lanes[0], peer);
    for (size_t i = 1; i < n->options.lanes_count; i++) {
        struct peer_note *note = mem_zalloc(1, sizeof *note);
        note->lane = &n->lanes[i];
        note->peer = peer;
        note->tell = tell;
        note->task.run = peer_note_run;
        loop_post(n->lanes[i].loop, &note->task);
    }
}

static void prove_run(struct task *t)
{
    struct peer_note *note = CONTAINER_OF(t, struct peer_note, task);
    outbox_prove(note->lane->outbox, note->peer, &note->proof);
    mem_free(note);
}

void node_lanes_prove(struct node *n, uint64_t peer, const struct proof *proof)
{
    outbox_prove(n->lanes[0].outbox, peer, proof);
    for (size_t i = 1; i < n->options.lanes_count; i++) {
        struct peer_note *note = mem_zalloc(1, sizeof *note);
        note->lane = &n->lanes[i];
        note->peer = peer;
        note->proof = *proof;
        note->task.run = prove_run;
        loop_post(n->lanes[i].loop, &note->task);
    }
}

static bool is_other_member(const struct node *n, uint64_t peer)
{
    return node_founder(n, peer) != NULL && peer != n->self->id && n->state != NODE_LEFT;
}

void node_peer_up(struct node *n, uint64_t peer)
{
    struct log_scope scope = node_scope(n);
    if (!is_other_member(n, peer)) {
        return;
    }
    logger_line(LOG_INFO, &scope, "peer.up", "peer=%s", n->founders[peer - 1].name);
    n->members[peer - 1].is_linked = true;
    forming_greet(n, &n->members[peer - 1], true);
    members_greet(n, peer);
}

void node_peer_down(struct node *n, uint64_t peer)
{
    struct log_scope scope = node_scope(n);
    if (!is_other_member(n, peer)) {
        return;
    }
    logger_line(LOG_INFO, &scope, "peer.down", "peer=%s", n->founders[peer - 1].name);
    members_peer_down(n, peer);
    forming_peer_down(n, &n->members[peer - 1]);
    node_lanes_tell(n, peer, lane_peer_down);
}
