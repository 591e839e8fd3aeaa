/* What one node's process runs on: its loops, their stores' threads and disks, its clocks. */
#include <string.h>

#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "tests/sim/sim.h"

#define CALM_FLUSH_MAX_US 20000 /* A slow disk is a fault too. */
#define INSTALL_STALL_US 30000000
#define MONOTONIC_AHEAD_MS 1000000u /* No clock of a machine starts at zero. */

/* On its own thread, as the loop seam wants it. */
static struct sim_lane *lane_of(void *impl)
{
    check_lane(impl, "the loop");
    return impl;
}

static struct sim_host *host_of(void *impl)
{
    return lane_of(impl)->host;
}

struct sim_lane *host_lane_of(struct sim_host *h, uint64_t group)
{
    return &h->lanes[node_lane_number(group, h->lanes_count)];
}

struct kv *host_kv(struct sim_host *h, uint64_t group)
{
    return &host_lane_of(h, group)->kv;
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
    struct sim_lane *l = lane_of(impl);
    uint64_t z = (l->rng += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* Virtual time stands still while code runs; what the code asks of the store is
 * what must not grow with the data, so each such operation counts as a microsecond. */
static struct stamp loop_stamp_(void *impl)
{
    const struct sim_host *h = ((struct sim_lane *)impl)->host; /* Any thread may ask. */
    return (struct stamp){h->sim->now_us + h->store_ops, h->store_ops};
}

static struct meter *loop_turns_(void *impl)
{
    return &((struct sim_lane *)impl)->turns;
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
    task_disarm(host_of(impl), t);
    t->armed = true;
    /* Never in this turn, which ends with this moment. */
    t->priv.ptr[0] = sim_at_lane(impl, delay_ms == 0 ? 1 : delay_ms * 1000, task_event, t);
}

static void loop_cancel_(void *impl, struct task *t)
{
    task_disarm(host_of(impl), t);
}

/* A loop sees what was posted in the order of posting, another loop's later than its own. */
static void loop_post_(void *impl, struct task *t)
{
    struct sim_lane *l = impl;
    struct sim *s = l->host->sim;
    uint64_t at_us = s->now_us + 1;

    if (s->running_lane != l && l->host->lanes_count > 1) {
        at_us += sim_skewed(s, 0, s->calm ? 1000 : s->plan.post_us);
    }
    if (at_us < l->posted_us) {
        at_us = l->posted_us;
    }
    l->posted_us = at_us;
    t->armed = true;
    t->priv.ptr[0] = sim_at_lane(l, at_us - s->now_us, task_event, t);
}

/* End of the turn: the same moment, after the running event. */
static void loop_defer_(void *impl, struct task *t)
{
    struct sim_lane *l = lane_of(impl);
    if (t->armed) {
        return;
    }
    t->armed = true;
    t->priv.ptr[0] = sim_at_turn_end(l, task_event, t);
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
    struct sim_lane *l = w->priv.ptr[0];
    if (l->host->up) {
        mem_kv_flush(l->disk);
    }
    w->done(w);
}

/* The transaction is made here; until done() a crash may drop it. */
static void store_run(void *arg)
{
    struct work *w = arg;
    struct sim_lane *l = w->priv.ptr[0];
    uint64_t flush_us = w->priv.u64[1];
    l->store_is_at_work = true;
    w->run(w);
    l->store_is_at_work = false;
    flush_us += l->stall_us;
    l->store_free_us += l->stall_us;
    l->stall_us = 0;
    (void)sim_at_lane(l, flush_us, store_done, w);
}

/* A snapshot is the largest write there is, and takes a disk longest. */
static void fault_passed(void *impl, const char *name)
{
    struct sim *s = impl;
    struct sim_host *h = s->running;
    if (strcmp(name, "engine.before-install") == 0 && !s->calm && sim_chance(s, s->plan.stall_install)) {
        struct sim_lane *l = h->lanes;
        while (!l->store_is_at_work) {
            l++;
        }
        l->stall_us = sim_below(s, INSTALL_STALL_US);
        sim_trace(s, h, "disk stalls for # ms at a snapshot", l->stall_us / 1000, 0);
    }
}

void host_watch(struct sim *s)
{
    fault_set_handler(fault_passed, s);
}

static void read_run(void *arg)
{
    struct work *w = arg;
    struct sim_lane *l = w->priv.ptr[0];
    l->reader_is_at_work = true;
    w->run(w);
    l->reader_is_at_work = false;
    (void)sim_at_lane(l, sim_skewed(l->host->sim, 50, 3000), work_done, w);
}

static void loop_elsewhere_(void *impl, enum worker worker, struct work *w)
{
    struct sim_lane *l = lane_of(impl);
    struct sim_host *h = l->host;
    struct sim *s = h->sim;
    const struct sim_plan *p = &s->plan;

    w->priv.ptr[0] = l;
    if (worker != WORKER_STORE) {
        (void)sim_at_thread(h, sim_skewed(s, 20, 2000), read_run, w);
        return;
    }
    /* One thread, first in first out: a job starts when the one before is done. */
    uint64_t flush_us = sim_skewed(s, p->flush_min_us, p->flush_max_us);
    uint64_t start_us = l->store_free_us > s->now_us ? l->store_free_us : s->now_us;
    if (s->calm && flush_us > CALM_FLUSH_MAX_US) {
        flush_us = CALM_FLUSH_MAX_US;
    }
    if (!s->calm && sim_chance(s, p->stall)) {
        flush_us += sim_below(s, p->stall_us + 1);
        sim_trace(s, h, "disk stalls for # ms", flush_us / 1000, 0);
    }
    w->priv.u64[1] = flush_us;
    l->store_free_us = start_us + 10 + flush_us;
    (void)sim_at_thread(h, start_us - s->now_us + 10, store_run, w);
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
    struct sim_lane *l = impl;
    struct sim_host *h = l->host;
    bool is_commit = op == MEM_KV_COMMIT || op == MEM_KV_COMMITTED;
    check_lane(l, "the store");
    check_disk(l, op);
    h->store_ops++;
    l->loop_ops += !l->store_is_at_work && !l->reader_is_at_work;
    if (op == MEM_KV_COMMITTED && !l->store_is_at_work) {
        mem_kv_flush(l->disk); /* On the loop, before anything runs: it waits for the flush. */
    }
    if (sim_hooks != NULL) {
        enum sg_err err = sim_hooks->disk(h, op);
        if (err != SG_OK) {
            return err;
        }
    }
    if (op == MEM_KV_COMMITTED && !l->store_is_at_work) {
        return SG_OK;
    }
    if (is_commit && l->disk_will_fail && sim_chance(h->sim, 500000)) {
        l->disk_will_fail = false;
        l->disk_failed = true;
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
    for (unsigned i = 0; i < h->lanes_count; i++) {
        mem_kv_set_free_bytes(h->lanes[i].disk, full ? STORE_FREE_SPACE_MIN_BYTES / 2 : 1ull << 40);
    }
}

void host_renew_lane(struct sim_lane *l)
{
    struct sim *s = l->host->sim;
    l->disk_will_fail = false;
    l->disk_failed = false;
    l->stall_us = 0;
    l->store_free_us = 0;
    l->posted_us = 0;
    l->loop_ops = 0;
    l->turns = (struct meter){.longest_us = 0};
    l->rng = sim_random(s);
    mem_kv_open(l->disk, &l->kv);
    mem_kv_set_fault(l->disk, disk_fault, l);
    l->loop = (struct loop){.ops = &host_loop_ops, .impl = l};
    l->bank = bank_seam(l);
}
