/* A node's process: how it starts, stands still, leaves and dies. */
#include <string.h>

#include "proto/base/mem.h"
#include "supervisor/verbs/table.h"
#include "tests/sim/sim.h"

static void restart_event(void *arg)
{
    struct sim_host *h = arg;
    struct sim *s = h->sim;
    if (s->now_us < s->dark_until_us) {
        (void)sim_at(s, NULL, s->dark_until_us - s->now_us + sim_below(s, 3000000), restart_event, h);
    } else if (!h->up && h != s->away) {
        host_start(h);
    }
}

static void die_event(void *arg)
{
    host_kill(arg);
}

static void on_fatal(void *impl, enum sg_err err, const char *why)
{
    struct sim_host *h = impl;
    sim_stopped(h, err, why);
    sim_trace_words(h->sim, h, "ends, its store failed: $", sg_err_name(err), "", 0, 0);
    /* The process exits; nothing of it runs any more. */
    (void)sim_at_thread(h, 0, die_event, h);
}

static void on_left(void *impl)
{
    struct sim_host *h = impl;
    sim_trace(h->sim, h, "has left", 0, 0);
    (void)sim_at_thread(h, 0, die_event, h);
}

void host_init(struct sim_host *h, struct sim *s, unsigned index)
{
    memset(h, 0, sizeof *h);
    h->sim = s;
    h->index = index;
    (void)snprintf(h->name, sizeof h->name, "n%u", index + 1);
    h->lanes_count = s->plan.lanes;
    for (unsigned i = 0; i < h->lanes_count; i++) {
        struct sim_lane *l = &h->lanes[i];
        char name[16];
        (void)snprintf(name, sizeof name, i == 0 ? "%s" : "%s-%u", h->name, i);
        l->host = h;
        l->number = i;
        l->disk = mem_kv_new(name);
        mem_kv_set_manual_flush(l->disk, true);
    }
}

static void founders_fill(const struct sim *s, struct founder *founders)
{
    memset(founders, 0, SIM_NODES_MAX * sizeof founders[0]);
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        (void)snprintf(founders[i].name, sizeof founders[i].name, "n%u", i + 1);
        (void)snprintf(founders[i].peer, sizeof founders[i].peer, "sim://n%u", i + 1);
        (void)snprintf(founders[i].client, sizeof founders[i].client, "sim://n%u", i + 1);
    }
}

/* A new process on this machine: what it had in memory is gone. */
static void host_renew(struct sim_host *h)
{
    struct sim *s = h->sim;
    h->life++;
    h->raft_blocks = 0;
    h->memory = 0;
    h->memory_blocks = 0;
    h->paused = false;
    h->leaving = false;
    h->store_ops = 0;
    h->start_us = s->now_us;
    for (unsigned i = 0; i < h->lanes_count; i++) {
        host_renew_lane(&h->lanes[i]);
    }
    h->drift_ppm = 0;
    if (s->plan.drift_ppm > 0) {
        h->drift_ppm = (int32_t)sim_below(s, 2 * (uint64_t)s->plan.drift_ppm + 1) - s->plan.drift_ppm;
    }
    h->link = net_link(h);
}

struct boot {
    struct sim_host *host;
    struct node_options options;
};

static void boot(void *arg)
{
    struct boot *b = arg;
    struct sim_host *h = b->host;
    char why[512] = "";
    enum sg_err err = node_new(&b->options, &h->node, why, sizeof why);

    if (err != SG_OK) {
        sim_stopped(h, err, why);
        if (h->rotted == 0) {
            sim_fail(h->sim, "I-14", "node %s cannot start: %s (%s)", h->name, why, sg_err_name(err));
        }
        sim_trace_words(h->sim, h, "does not start, its own records are damaged: $", sg_err_name(err), "", 0,
                        0);
        h->up = false;
        h->lost = true; /* An operator's work. */
        return;
    }
    check_started(h);
    node_start(h->node);
    net_started(h);
}

void host_start(struct sim_host *h)
{
    struct sim *s = h->sim;
    struct founder founders[SIM_NODES_MAX];
    struct boot b = {.host = h};

    CHECK(!h->up);
    host_renew(h);
    founders_fill(s, founders);
    b.options = (struct node_options){.cluster = "sim",
                                      .name = h->name,
                                      .founders = founders,
                                      .founders_count = s->plan.nodes,
                                      .lanes_count = h->lanes_count,
                                      .link = &h->link,
                                      .verbs = verbs_table(),
                                      .zone = host_zone,
                                      .trailing_entries = s->plan.trailing,
                                      .scrub_every_ms = 4000,
                                      .inflight_entries = s->plan.inflight,
                                      .snapshot_chunk_bytes = s->plan.chunk_bytes,
                                      .election_timeout_ms = s->plan.election_ms,
                                      .heartbeat_ms = s->plan.heartbeat_ms,
                                      .level_max = h->level_max,
                                      .on_fatal = on_fatal,
                                      .on_left = on_left,
                                      .impl = h};
    for (unsigned i = 0; i < h->lanes_count; i++) {
        struct sim_lane *l = &h->lanes[i];
        b.options.lanes[i] = (struct lane_seams){.loop = &l->loop, .kv = &l->kv, .bank = &l->bank};
    }
    sim_trace(s, h, "starts, life #", h->life, 0);
    h->up = true;
    history_started(h);
    sim_enter(h, boot, &b);
}

/* The machine loses its power, or only the process dies. */
static void disk_crash(struct sim_lane *l, bool power)
{
    struct sim_host *h = l->host;
    struct sim *s = h->sim;
    size_t unflushed = mem_kv_unflushed(l->disk);

    if (!power) {
        mem_kv_crash(l->disk, MEM_KV_KEEP_VISIBLE);
        sim_trace(s, h, unflushed == 0 ? "dies" : "dies, its machine still knows # unflushed commits",
                  unflushed, 0);
    } else {
        size_t keep = sim_below(s, unflushed + 1);
        mem_kv_crash_torn(l->disk, keep);
        sim_trace(s, h, unflushed == 0 ? "loses its power" : "loses its power and # of # unflushed commits",
                  unflushed - keep, unflushed);
        s->stats.torn += unflushed > keep;
    }
}

static void held_drop(struct sim_event **held, size_t *count)
{
    for (size_t i = 0; i < *count; i++) {
        sim_drop(held[i]);
    }
    *count = 0;
}

void host_kill(struct sim_host *h)
{
    struct sim *s = h->sim;
    bool power;

    if (!h->up) {
        return;
    }
    s->stats.kills++;
    h->up = false;
    h->paused = false;
    h->life++; /* Its events vanish; its memory is not used again. */
    held_drop(h->held, &h->held_count);
    power = sim_chance(s, s->plan.power_loss);
    for (unsigned i = 0; i < h->lanes_count; i++) {
        h->lanes[i].stalled = false;
        held_drop(h->lanes[i].held, &h->lanes[i].held_count);
        disk_crash(&h->lanes[i], power);
    }
    sim_buried(h->node);
    h->node = NULL;
    net_died(h);
    connections_lost(h);
    (void)sim_at(s, NULL, s->calm ? 100000 : 1000 * (100 + sim_skewed(s, 0, s->plan.down_ms)), restart_event,
                 h);
}

void host_pause(struct sim_host *h)
{
    if (h->up && !h->paused) {
        sim_trace(h->sim, h, "is paused", 0, 0);
        h->sim->stats.pauses++;
        h->paused = true;
    }
}

static void hold(struct sim_event ***held, size_t *count, size_t *cap, struct sim_event *e)
{
    if (*count == *cap) {
        *cap = *cap == 0 ? 64 : 2 * *cap;
        *held = mem_realloc(*held, *cap * sizeof **held);
    }
    (*held)[(*count)++] = e;
}

void host_hold(struct sim_event *e)
{
    struct sim_host *h = e->host;
    if (h->paused) {
        hold(&h->held, &h->held_count, &h->held_cap, e);
    } else {
        hold(&e->lane->held, &e->lane->held_count, &e->lane->held_cap, e);
    }
}

static void held_run(void *arg)
{
    struct sim_event *e = arg;
    if (e->run != NULL) {
        e->run(e->arg);
    }
}

static void held_release(struct sim_event **held, size_t *count)
{
    for (size_t i = 0; i < *count; i++) {
        struct sim_event *e = held[i];
        if (e->lane != NULL) {
            (void)sim_at_lane(e->lane, 0, held_run, e);
        } else {
            (void)sim_at_thread(e->host, 0, held_run, e);
        }
    }
    *count = 0;
}

void host_resume(struct sim_host *h)
{
    if (!h->paused) {
        return;
    }
    sim_trace(h->sim, h, "goes on after its pause, # events late", h->held_count, 0);
    h->paused = false;
    held_release(h->held, &h->held_count);
}

struct stall {
    struct sim_lane *lane;
    uint64_t life;
};

static void stall_over(void *arg)
{
    struct stall *w = arg;
    if (w->lane->host->life == w->life) {
        host_stall_end(w->lane);
    }
    mem_free(w);
}

void host_stall_lane(struct sim_lane *l, uint64_t for_us)
{
    struct stall *w;
    if (!l->host->up || l->stalled) {
        return;
    }
    sim_trace(l->host->sim, l->host, "lane # stands still for # ms", l->number, for_us / 1000);
    l->host->sim->stats.stalls++;
    l->stalled = true;
    w = mem_zalloc(1, sizeof *w);
    *w = (struct stall){l, l->host->life};
    (void)sim_at(l->host->sim, NULL, for_us, stall_over, w);
}

void host_stall_end(struct sim_lane *l)
{
    if (l->stalled) {
        sim_trace(l->host->sim, l->host, "lane # goes on, # events late", l->number, l->held_count);
        l->stalled = false;
        held_release(l->held, &l->held_count);
    }
}

void host_leave(struct sim_host *h)
{
    if (h->up && !h->paused && !h->leaving) {
        sim_trace(h->sim, h, "is asked to leave", 0, 0);
        h->leaving = true;
        node_leave(h->node);
    }
}

bool host_serves(const struct sim_host *h)
{
    return h->up && !h->paused && !h->leaving && node_state(h->node) == NODE_RUNNING;
}

/* A zone with one rule, as America/New_York has it: the real reader of zone
 * files is tested elsewhere. */
const struct zone *host_zone(void *impl, struct span name)
{
    static const struct zone new_york = {
        .first_s = -5 * 3600,
        .rule = {.present = true,
                 .has_dst = true,
                 .standard_s = -5 * 3600,
                 .dst_s = -4 * 3600,
                 .start = {.kind = ZONE_WEEKDAY, .month = 3, .week = 2, .day = 0, .time_s = 7200},
                 .end = {.kind = ZONE_WEEKDAY, .month = 11, .week = 1, .day = 0, .time_s = 7200}},
    };
    (void)impl;
    return span_is(name, "America/New_York") ? &new_york : NULL;
}
