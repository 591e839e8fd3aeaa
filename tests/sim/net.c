/* Links between nodes: lost, repeated, delayed, reordered, cut off, parted.
 *
 * A link's contract (supervisor/node/link.h) promises order while a connection
 * stands; the world here is harsher, since the product must not lean on it for
 * safety. Connections break when a node dies, when a reset is drawn, and
 * sometimes when a partition begins. */
#include <string.h>

#include "proto/base/mem.h"
#include "tests/sim/forge.h"
#include "tests/sim/sim.h"

#define CONNECT_US 3000
#define NOTICE_US 500
#define LATE_US 20000000
#define STACK_BYTES 32768 /* Deeper than the way from a frame into libraft. */

struct pair {
    bool connected;   /* Both directions; symmetric. */
    bool cut;         /* From a to b. */
    bool owed;        /* b died in silence: a learns it when b is back. */
    uint64_t last_us; /* Arrival of the last frame: later ones come later. */
    uint64_t note_us; /* When a is told of the last change. */
    uint64_t clogged_until_us;
    size_t pending_bytes; /* Sent and not arrived. */
};

struct net {
    struct pair pairs[SIM_NODES_MAX][SIM_NODES_MAX];
};

struct net_frame {
    struct sim *sim;
    struct bytes bytes;
    unsigned from, to;
};

struct net_note {
    struct sim_host *host;
    uint64_t peer;
    bool up;
};

static struct pair *pair_of(struct sim *s, unsigned a, unsigned b)
{
    if (s->net == NULL) {
        s->net = mem_zalloc(1, sizeof *s->net);
    }
    return &s->net->pairs[a][b];
}

/* In order, as one connection has it, unless this frame is a straggler. */
static uint64_t arrival_us(struct sim *s, struct pair *p)
{
    const struct sim_plan *plan = &s->plan;
    uint64_t at_us = s->now_us + sim_skewed(s, plan->delay_min_us, plan->delay_max_us);
    if (at_us < p->clogged_until_us) {
        at_us = p->clogged_until_us;
    } else if (!s->calm && sim_chance(s, plan->straggle)) {
        return at_us + sim_below(s, plan->straggle_us + 1);
    }
    if (at_us <= p->last_us) {
        at_us = p->last_us + 1;
    }
    p->last_us = at_us;
    return at_us;
}

static void frame_free(void *arg)
{
    struct net_frame *f = arg;
    bytes_release(&f->bytes);
    mem_free(f);
}

static void frame_deliver(struct net_frame *f)
{
    f->sim->stats.frames++;
    node_frame(f->sim->hosts[f->to].node, &f->bytes);
    frame_free(f);
}

static void frame_leave(struct net_frame *f)
{
    pair_of(f->sim, f->from, f->to)->pending_bytes -= f->bytes.n;
}

static void frame_drop(void *arg)
{
    frame_leave(arg);
    frame_free(arg);
}

static void frame_arrive(void *arg)
{
    frame_leave(arg);
    frame_deliver(arg);
}

/* What memory holds that nobody has written yet is anything. */
static void __attribute__((noinline)) stack_dirty(uint8_t with)
{
    volatile uint8_t stack[STACK_BYTES];
    for (size_t i = 0; i < sizeof stack; i++) {
        stack[i] = with;
    }
}

static void frame_arrive_late(void *arg)
{
    struct net_frame *f = arg;
    if (f->sim->calm) {
        frame_free(f);
        return;
    }
    stack_dirty((uint8_t)sim_random(f->sim));
    frame_deliver(f);
}

/* The same frame once more, when nobody expects it any longer: its sender's queue
 * does not hold it. */
static void frame_repeat_late(struct sim *s, unsigned from, unsigned to, struct span data)
{
    struct net_frame *f = mem_zalloc(1, sizeof *f);
    *f = (struct net_frame){.sim = s, .from = from, .to = to};
    bytes_append(&f->bytes, data.p, data.n);
    sim_at(s, &s->hosts[to], 1 + sim_below(s, LATE_US), frame_arrive_late, f)->drop = frame_free;
}

/* From somebody who is none of the nodes: it comes over no connection of theirs. */
void net_inject(struct sim *s, unsigned to, struct span data)
{
    struct net_frame *f = mem_zalloc(1, sizeof *f);
    *f = (struct net_frame){.sim = s, .from = to, .to = to};
    bytes_append(&f->bytes, data.p, data.n);
    sim_at(s, &s->hosts[to], 1, frame_arrive_late, f)->drop = frame_free;
}

static void frame_schedule(struct sim *s, unsigned from, unsigned to, struct span data)
{
    const struct sim_plan *p = &s->plan;
    struct net_frame *f = mem_zalloc(1, sizeof *f);
    uint64_t at_us = arrival_us(s, pair_of(s, from, to));
    size_t n = data.n;
    struct sim_event *e;

    if (!s->calm && sim_chance(s, p->cut)) {
        n = sim_below(s, data.n + 1);
        sim_trace(s, &s->hosts[from], "sends a frame that is cut off at byte # of #", n, data.n);
    }
    *f = (struct net_frame){.sim = s, .from = from, .to = to};
    bytes_append(&f->bytes, data.p, n);
    pair_of(s, from, to)->pending_bytes += n;
    e = sim_at(s, &s->hosts[to], at_us - s->now_us, frame_arrive, f);
    e->drop = frame_drop;
}

static void link_send_frame(void *impl, uint64_t node, struct bytes *frame)
{
    struct sim_host *h = impl;
    struct sim *s = h->sim;
    unsigned to = (unsigned)node - 1;

    CHECK(to < s->plan.nodes);
    if (!pair_of(s, h->index, to)->connected || pair_of(s, h->index, to)->cut || !s->hosts[to].up ||
        (!s->calm && sim_chance(s, s->plan.loss))) {
        goto out;
    }
    frame_schedule(s, h->index, to, span_bytes(frame));
    if (!s->calm && sim_chance(s, s->plan.duplicate)) {
        frame_schedule(s, h->index, to, span_bytes(frame));
    }
    if (!s->calm && sim_chance(s, s->plan.late)) {
        frame_repeat_late(s, h->index, to, span_bytes(frame));
    }
out:
    bytes_release(frame);
}

static size_t link_pending(void *impl, uint64_t node)
{
    struct sim_host *h = impl;
    return pair_of(h->sim, h->index, (unsigned)node - 1)->pending_bytes;
}

static const struct link_ops net_link_ops = {.send = link_send_frame, .pending_bytes = link_pending};

struct link net_link(struct sim_host *h)
{
    return (struct link){.ops = &net_link_ops, .impl = h};
}

/* --- Connections ------------------------------------------------------------------------------ */

static void note_run(void *arg)
{
    struct net_note *n = arg;
    if (n->up) {
        node_peer_up(n->host->node, n->peer);
    } else {
        node_peer_down(n->host->node, n->peer);
    }
    mem_free(n);
}

static void note_drop(void *arg)
{
    mem_free(arg);
}

static void notify(struct sim_host *h, unsigned peer, bool up)
{
    struct net_note *n = mem_zalloc(1, sizeof *n);
    struct pair *p = pair_of(h->sim, h->index, peer);
    uint64_t at_us = h->sim->now_us + (up ? CONNECT_US : NOTICE_US);
    struct sim_event *e;

    /* Up and down come in the order in which they happened. */
    p->note_us = at_us > p->note_us ? at_us : p->note_us + 1;
    *n = (struct net_note){.host = h, .peer = peer + 1, .up = up};
    e = sim_at(h->sim, h, p->note_us - h->sim->now_us, note_run, n);
    e->drop = note_drop;
}

static void connect_pair(struct sim *s, unsigned a, unsigned b)
{
    struct pair *p = pair_of(s, a, b);
    if (a == b || p->connected || !s->hosts[a].up || !s->hosts[b].up) {
        return;
    }
    p->connected = true;
    pair_of(s, b, a)->connected = true;
    p->last_us = pair_of(s, b, a)->last_us = 0;
    notify(&s->hosts[a], b, true);
    notify(&s->hosts[b], a, true);
}

static void disconnect_pair(struct sim *s, unsigned a, unsigned b)
{
    struct pair *p = pair_of(s, a, b);
    if (!p->connected) {
        return;
    }
    p->connected = false;
    pair_of(s, b, a)->connected = false;
    if (s->hosts[a].up) {
        notify(&s->hosts[a], b, false);
    }
    if (s->hosts[b].up) {
        notify(&s->hosts[b], a, false);
    }
}

/* What was owed to the peers of a machine that lost its power, or to itself by
 * a process before it. */
static void settle_debts(struct sim_host *h, unsigned peer)
{
    struct sim *s = h->sim;
    pair_of(s, h->index, peer)->owed = false;
    if (pair_of(s, peer, h->index)->owed) {
        pair_of(s, peer, h->index)->owed = false;
        if (s->hosts[peer].up) {
            notify(&s->hosts[peer], h->index, false);
        }
    }
}

void net_started(struct sim_host *h)
{
    for (unsigned i = 0; i < h->sim->plan.nodes; i++) {
        if (i != h->index) {
            settle_debts(h, i);
            connect_pair(h->sim, h->index, i);
        }
    }
}

/* A process that dies breaks its connections; a machine that loses its power
 * is only silent. */
void net_died(struct sim_host *h)
{
    struct sim *s = h->sim;
    bool silent = sim_chance(s, 300000);
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        if (i != h->index && silent && pair_of(s, i, h->index)->connected) {
            pair_of(s, i, h->index)->connected = false;
            pair_of(s, h->index, i)->connected = false;
            pair_of(s, i, h->index)->owed = true;
        } else {
            disconnect_pair(s, h->index, i);
        }
    }
}

struct reconnect {
    struct sim *sim;
    unsigned a, b;
};

static void reconnect_run(void *arg)
{
    struct reconnect *r = arg;
    connect_pair(r->sim, r->a, r->b);
    mem_free(r);
}

void net_reset(struct sim *s, unsigned a, unsigned b)
{
    if (!pair_of(s, a, b)->connected) {
        return;
    }
    struct reconnect *r = mem_zalloc(1, sizeof *r);
    sim_trace(s, &s->hosts[a], "loses its connection with n#", b + 1, 0);
    *r = (struct reconnect){.sim = s, .a = a, .b = b};
    disconnect_pair(s, a, b);
    (void)sim_at(s, NULL, 1000 * (50 + sim_below(s, 500)), reconnect_run, r);
}

void net_cut(struct sim *s, unsigned a, unsigned b, bool cut)
{
    pair_of(s, a, b)->cut = cut;
    sim_trace(s, &s->hosts[a], cut ? "does not reach n# any more" : "reaches n# again", b + 1, 0);
}

void net_clog(struct sim *s, unsigned a, uint64_t for_us)
{
    sim_trace(s, &s->hosts[a], "is clogged for # ms", for_us / 1000, 0);
    s->stats.clogs++;
    for (unsigned b = 0; b < s->plan.nodes; b++) {
        pair_of(s, a, b)->clogged_until_us = s->now_us + for_us;
        pair_of(s, b, a)->clogged_until_us = s->now_us + for_us;
    }
}

void net_heal(struct sim *s)
{
    for (unsigned a = 0; a < s->plan.nodes; a++) {
        for (unsigned b = 0; b < s->plan.nodes; b++) {
            pair_of(s, a, b)->cut = false;
            pair_of(s, a, b)->clogged_until_us = 0;
            connect_pair(s, a, b);
        }
    }
}
