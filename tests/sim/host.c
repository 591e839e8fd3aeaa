/* One node's process: its loop, its store's thread, its disk and its clocks. */
#include <string.h>

#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "supervisor/verbs/table.h"
#include "tests/sim/sim.h"

#define CALM_FLUSH_MAX_US 20000 /* A slow disk is a fault too. */
#define INSTALL_STALL_US 30000000
#define MONOTONIC_AHEAD_MS 1000000u /* No clock of a machine starts at zero. */

static struct sim_host *host_of(void *impl)
{
    return impl;
}

/* --- Time ------------------------------------------------------------------------------------ */

/* Runs a little fast or slow, anew in each process; starts at no particular time. */
static uint64_t drifted_ms(const struct sim_host *h)
{
    int64_t ms = (int64_t)(h->sim->now_us / 1000);
    return (uint64_t)(ms + (ms - (int64_t)(h->start_us / 1000)) * h->drift_ppm / 1000000) +
           MONOTONIC_AHEAD_MS;
}

int64_t sim_wall_begin_ms(const struct sim *s)
{
    return s->wall_start_ms + (int64_t)MONOTONIC_AHEAD_MS;
}

static uint64_t loop_now(void *impl)
{
    return drifted_ms(host_of(impl));
}

int64_t host_wall_ms(const struct sim_host *h)
{
    return h->sim->wall_start_ms + (int64_t)drifted_ms(h) + h->wall_offset_ms;
}

static int64_t loop_wall(void *impl)
{
    return host_wall_ms(host_of(impl));
}

static uint64_t loop_rng(void *impl)
{
    struct sim_host *h = host_of(impl);
    uint64_t z = (h->rng += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* Virtual time stands still while code runs; what the code asks of the store is
 * what must not grow with the data, so each such operation counts as a microsecond. */
static struct stamp loop_stamp_(void *impl)
{
    const struct sim_host *h = impl;
    return (struct stamp){h->sim->now_us + h->store_ops, h->store_ops};
}

static struct meter *loop_turns_(void *impl)
{
    return &host_of(impl)->turns;
}

/* --- Tasks. priv.ptr[0]: the event; priv.ptr[1]: the host; priv.u64[2]: its life ---------- */

static void task_event(void *arg)
{
    struct task *t = arg;
    t->armed = false;
    t->priv.ptr[0] = NULL;
    t->run(t);
}

static void task_disarm(struct sim_host *h, struct task *t)
{
    if (t->armed && t->priv.ptr[0] != NULL) {
        sim_cancel(h->sim, t->priv.ptr[0]);
    }
    t->armed = false;
    t->priv.ptr[0] = NULL;
}

static void loop_after_(void *impl, struct task *t, uint64_t delay_ms)
{
    struct sim_host *h = host_of(impl);
    task_disarm(h, t);
    t->armed = true;
    /* Never in this turn, which ends with this moment. */
    t->priv.ptr[0] = sim_at(h->sim, h, delay_ms == 0 ? 1 : delay_ms * 1000, task_event, t);
}

static void loop_cancel_(void *impl, struct task *t)
{
    task_disarm(host_of(impl), t);
}

static void loop_post_(void *impl, struct task *t)
{
    struct sim_host *h = host_of(impl);
    t->armed = true;
    t->priv.ptr[0] = sim_at(h->sim, h, 1, task_event, t);
}

/* End of the turn: the same moment, after the running event. */
static void loop_defer_(void *impl, struct task *t)
{
    struct sim_host *h = host_of(impl);
    if (t->armed) {
        return;
    }
    t->armed = true;
    t->priv.ptr[0] = sim_at_turn_end(h->sim, h, task_event, t);
}

/* --- Workers ------------------------------------------------------------------------------------ */

static void work_done(void *arg)
{
    struct work *w = arg;
    w->done(w);
}

static void store_done(void *arg)
{
    struct work *w = arg;
    struct sim_host *h = w->priv.ptr[0];
    if (h->up) {
        mem_kv_flush(h->disk);
    }
    w->done(w);
}

/* The transaction is made here; until done() a crash may drop it. */
static void store_run(void *arg)
{
    struct work *w = arg;
    struct sim_host *h = w->priv.ptr[0];
    uint64_t flush_us = w->priv.u64[1];
    h->store_is_at_work = true;
    w->run(w);
    h->store_is_at_work = false;
    flush_us += h->stall_us;
    h->store_free_us += h->stall_us;
    h->stall_us = 0;
    (void)sim_at(h->sim, h, flush_us, store_done, w);
}

/* A snapshot is the largest write there is, and takes a disk longest. */
static void fault_passed(void *impl, const char *name)
{
    struct sim *s = impl;
    struct sim_host *h = s->running;
    if (strcmp(name, "engine.before-install") == 0 && !s->calm && sim_chance(s, s->plan.stall_install)) {
        h->stall_us = sim_below(s, INSTALL_STALL_US);
        sim_trace(s, h, "disk stalls for # ms at a snapshot", h->stall_us / 1000, 0);
    }
}

void host_watch(struct sim *s)
{
    fault_set_handler(fault_passed, s);
}

static void read_run(void *arg)
{
    struct work *w = arg;
    struct sim_host *h = w->priv.ptr[0];
    h->reader_is_at_work = true;
    w->run(w);
    h->reader_is_at_work = false;
    (void)sim_at(h->sim, h, sim_skewed(h->sim, 50, 3000), work_done, w);
}

static void loop_elsewhere_(void *impl, enum worker worker, struct work *w)
{
    struct sim_host *h = host_of(impl);
    struct sim *s = h->sim;
    const struct sim_plan *p = &s->plan;

    w->priv.ptr[0] = h;
    if (worker != WORKER_STORE) {
        (void)sim_at(s, h, sim_skewed(s, 20, 2000), read_run, w);
        return;
    }
    /* One thread, first in first out: a job starts when the one before is done. */
    uint64_t flush_us = sim_skewed(s, p->flush_min_us, p->flush_max_us);
    uint64_t start_us = h->store_free_us > s->now_us ? h->store_free_us : s->now_us;
    if (s->calm && flush_us > CALM_FLUSH_MAX_US) {
        flush_us = CALM_FLUSH_MAX_US;
    }
    if (!s->calm && sim_chance(s, p->stall)) {
        flush_us += sim_below(s, p->stall_us + 1);
        sim_trace(s, h, "disk stalls for # ms", flush_us / 1000, 0);
    }
    w->priv.u64[1] = flush_us;
    h->store_free_us = start_us + 10 + flush_us;
    (void)sim_at(s, h, start_us - s->now_us + 10, store_run, w);
}

static const struct loop_ops host_loop_ops = {
    .now_ms = loop_now,
    .wall_ms = loop_wall,
    .random = loop_rng,
    .after = loop_after_,
    .defer = loop_defer_,
    .cancel = loop_cancel_,
    .elsewhere = loop_elsewhere_,
    .post = loop_post_,
    .stamp = loop_stamp_,
    .turns = loop_turns_,
};

/* --- The disk's faults ------------------------------------------------------------------------------ */

static enum sg_err disk_fault(void *impl, enum mem_kv_op op)
{
    struct sim_host *h = impl;
    bool is_commit = op == MEM_KV_COMMIT || op == MEM_KV_COMMITTED;
    check_disk(h, op);
    h->store_ops++;
    h->loop_ops += !h->store_is_at_work && !h->reader_is_at_work;
    if (op == MEM_KV_COMMITTED && !h->store_is_at_work) {
        mem_kv_flush(h->disk); /* On the loop, before anything runs: it waits for the flush. */
    }
    if (sim_hooks != NULL) {
        enum sg_err err = sim_hooks->disk(h, op);
        if (err != SG_OK) {
            return err;
        }
    }
    if (op == MEM_KV_COMMITTED && !h->store_is_at_work) {
        return SG_OK;
    }
    if (is_commit && h->disk_will_fail && sim_chance(h->sim, 500000)) {
        h->disk_will_fail = false;
        h->disk_failed = true;
        h->sim->stats.io_errors++;
        sim_trace(h->sim, h,
                  op == MEM_KV_COMMITTED ? "disk fails a commit that took effect" : "disk fails a commit", 0,
                  0);
        return SG_IO;
    }
    return SG_OK;
}

void host_set_disk_full(struct sim_host *h, bool full)
{
    h->disk_is_full = full;
    sim_trace(h->sim, h, full ? "disk is nearly full" : "disk has room again", 0, 0);
    mem_kv_set_free_bytes(h->disk, full ? STORE_FREE_SPACE_MIN_BYTES / 2 : 1ull << 40);
}

/* --- Life ---------------------------------------------------------------------------------------------- */

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
    (void)sim_at(h->sim, h, 0, die_event, h);
}

static void on_left(void *impl)
{
    struct sim_host *h = impl;
    sim_trace(h->sim, h, "has left", 0, 0);
    (void)sim_at(h->sim, h, 0, die_event, h);
}

void host_init(struct sim_host *h, struct sim *s, unsigned index)
{
    memset(h, 0, sizeof *h);
    h->sim = s;
    h->index = index;
    (void)snprintf(h->name, sizeof h->name, "n%u", index + 1);
    h->disk = mem_kv_new(h->name);
    mem_kv_set_manual_flush(h->disk, true);
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
    h->disk_will_fail = false;
    h->disk_failed = false;
    h->stall_us = 0;
    h->store_free_us = 0;
    h->store_ops = 0;
    h->loop_ops = 0;
    h->turns = (struct meter){.longest_us = 0};
    h->start_us = s->now_us;
    h->rng = sim_random(s);
    h->drift_ppm = 0;
    if (s->plan.drift_ppm > 0) {
        h->drift_ppm = (int32_t)sim_below(s, 2 * (uint64_t)s->plan.drift_ppm + 1) - s->plan.drift_ppm;
    }
    mem_kv_open(h->disk, &h->kv);
    mem_kv_set_fault(h->disk, disk_fault, h);
    h->loop = (struct loop){.ops = &host_loop_ops, .impl = h};
    h->link = net_link(h);
    h->bank = bank_seam(h);
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
                                      .lanes_count = 1,
                                      .link = &h->link,
                                      .verbs = verbs_table(),
                                      .zone = host_zone,
                                      .trailing_entries = s->plan.trailing,
                                      .inflight_entries = s->plan.inflight,
                                      .snapshot_chunk_bytes = s->plan.chunk_bytes,
                                      .election_timeout_ms = s->plan.election_ms,
                                      .heartbeat_ms = s->plan.heartbeat_ms,
                                      .on_fatal = on_fatal,
                                      .on_left = on_left,
                                      .impl = h};
    b.options.lanes[0] = (struct lane_seams){.loop = &h->loop, .kv = &h->kv, .bank = &h->bank};
    sim_trace(s, h, "starts, life #", h->life, 0);
    h->up = true;
    sim_enter(h, boot, &b);
}

/* The machine loses its power, or only the process dies. */
static void disk_crash(struct sim_host *h)
{
    struct sim *s = h->sim;
    size_t unflushed = mem_kv_unflushed(h->disk);

    if (!sim_chance(s, s->plan.power_loss)) {
        mem_kv_crash(h->disk, MEM_KV_KEEP_VISIBLE);
        sim_trace(s, h, unflushed == 0 ? "dies" : "dies, its machine still knows # unflushed commits",
                  unflushed, 0);
    } else {
        size_t keep = sim_below(s, unflushed + 1);
        mem_kv_crash_torn(h->disk, keep);
        sim_trace(s, h, unflushed == 0 ? "loses its power" : "loses its power and # of # unflushed commits",
                  unflushed - keep, unflushed);
        s->stats.torn += unflushed > keep;
    }
}

void host_kill(struct sim_host *h)
{
    struct sim *s = h->sim;

    if (!h->up) {
        return;
    }
    s->stats.kills++;
    h->up = false;
    h->paused = false;
    h->life++; /* Its events vanish; its memory is not used again. */
    for (size_t i = 0; i < h->held_count; i++) {
        sim_drop(h->held[i]);
    }
    h->held_count = 0;
    disk_crash(h);
    sim_buried(h->node);
    h->node = NULL;
    net_died(h);
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

void host_hold(struct sim_host *h, struct sim_event *e)
{
    if (h->held_count == h->held_cap) {
        h->held_cap = h->held_cap == 0 ? 64 : 2 * h->held_cap;
        h->held = mem_realloc(h->held, h->held_cap * sizeof h->held[0]);
    }
    h->held[h->held_count++] = e;
}

static void held_run(void *arg)
{
    struct sim_event *e = arg;
    if (e->run != NULL) {
        e->run(e->arg);
    }
}

void host_resume(struct sim_host *h)
{
    if (!h->paused) {
        return;
    }
    sim_trace(h->sim, h, "goes on after its pause, # events late", h->held_count, 0);
    h->paused = false;
    for (size_t i = 0; i < h->held_count; i++) {
        (void)sim_at(h->sim, h, 0, held_run, h->held[i]);
    }
    h->held_count = 0;
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
