/* Who breaks what, when. Each fault is a loop of its own with a mean time
 * between two, so that scenarios can stack them. */
#include "proto/base/mem.h"
#include "shard/engine/engine.h"
#include "storage/log.h"
#include "tests/sim/forge.h"
#include "tests/sim/sim.h"

static struct sim_host *any_host(struct sim *s)
{
    return &s->hosts[sim_below(s, s->plan.nodes)];
}

/* The one machine that loses data: whoever lost some must be able to rely on
 * the others, or nobody could bring anything back. */
static struct sim_host *victim(struct sim *s)
{
    return &s->hosts[s->plan.seed % s->plan.nodes];
}

/* One of its lanes; with one there is nothing to draw. */
static struct sim_lane *any_lane(struct sim_host *h)
{
    return &h->lanes[h->lanes_count > 1 ? sim_below(h->sim, h->lanes_count) : 0];
}

static bool goes_on(struct sim *s, uint64_t every_ms, void (*run)(void *arg))
{
    if (s->calm) {
        return false;
    }
    (void)sim_at(s, NULL, sim_gap_us(s, every_ms), run, s);
    return true;
}

/* --- Processes ------------------------------------------------------------------------------ */

static void kill_one(void *arg)
{
    struct sim *s = arg;
    if (goes_on(s, s->plan.kill_every_ms, kill_one)) {
        host_kill(any_host(s));
        /* Sometimes two at once, or all of them: the lights go out. */
        for (unsigned i = 0; sim_below(s, 4) == 0 && i < s->plan.nodes; i++) {
            host_kill(any_host(s));
        }
    }
}

/* The whole site is without power for minutes. */
static void lights_out(void *arg)
{
    struct sim *s = arg;
    s->dark_until_us = s->now_us + 1000 * s->plan.dark_ms;
    sim_trace(s, NULL, "the lights go out for # s", s->plan.dark_ms / 1000, 0);
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        host_kill(&s->hosts[i]);
    }
}

/* One of several loops is busy with something else. */
static void stall_lane(void *arg)
{
    struct sim *s = arg;
    struct sim_host *h = any_host(s);
    struct sim_lane *l = any_lane(h);
    if (goes_on(s, s->plan.lane_stall_every_ms, stall_lane)) {
        host_stall_lane(l, 1000 * sim_skewed(s, 1, s->plan.lane_stall_ms));
    }
}

/* Votes were cast for it, and nobody hears from it. */
static void die_elected(void *arg)
{
    host_kill(arg);
}

void faults_elected(struct sim_host *h)
{
    if (!h->sim->calm && sim_chance(h->sim, h->sim->plan.kill_elected)) {
        (void)sim_at_thread(h, 0, die_elected, h);
    }
}

struct wake_up {
    struct sim_host *host;
    uint64_t life;
};

static void resume_one(void *arg)
{
    struct wake_up *w = arg;
    if (w->host->life == w->life) {
        host_resume(w->host);
    }
    mem_free(w);
}

static void pause_one(void *arg)
{
    struct sim *s = arg;
    struct sim_host *h = any_host(s);
    struct wake_up *w;

    if (!goes_on(s, s->plan.pause_every_ms, pause_one) || !h->up || h->paused) {
        return;
    }
    host_pause(h);
    w = mem_zalloc(1, sizeof *w);
    *w = (struct wake_up){h, h->life};
    (void)sim_at(s, NULL, 1000 * sim_skewed(s, 1, s->plan.pause_ms), resume_one, w);
}

static void leave_one(void *arg)
{
    struct sim *s = arg;
    if (goes_on(s, s->plan.leave_every_ms, leave_one)) {
        host_leave(any_host(s));
    }
}

/* --- Network --------------------------------------------------------------------------------- */

struct parting {
    struct sim *sim;
    unsigned a, b;
};

static void part_end(void *arg)
{
    struct parting *p = arg;
    net_cut(p->sim, p->a, p->b, false);
    mem_free(p);
}

static void part(struct sim *s, unsigned a, unsigned b, uint64_t for_us)
{
    struct parting *p = mem_zalloc(1, sizeof *p);
    *p = (struct parting){s, a, b};
    net_cut(s, a, b, true);
    (void)sim_at(s, NULL, for_us, part_end, p);
}

/* One node from all, one way or both; or a single link. */
static void partition(void *arg)
{
    struct sim *s = arg;
    unsigned who = (unsigned)sim_below(s, s->plan.nodes);
    unsigned only = (unsigned)sim_below(s, UINT64_C(2) * s->plan.nodes); /* Half of the time a single link. */
    uint64_t ways = 1 + sim_below(s, 3);
    uint64_t for_us = 1000 * sim_skewed(s, 100, s->plan.partition_ms);

    if (!goes_on(s, s->plan.partition_every_ms, partition)) {
        return;
    }
    s->stats.partitions++;
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        if (i == who || (only < s->plan.nodes && only != i)) {
            continue;
        }
        if ((ways & 1) != 0) {
            part(s, who, i, for_us);
        }
        if ((ways & 2) != 0) {
            part(s, i, who, for_us);
        }
    }
}

static void reset_one(void *arg)
{
    struct sim *s = arg;
    unsigned a = (unsigned)sim_below(s, s->plan.nodes);
    unsigned b = (unsigned)sim_below(s, s->plan.nodes);
    if (goes_on(s, s->plan.reset_every_ms, reset_one) && a != b) {
        net_reset(s, a, b);
    }
}

/* Entries with a configuration cut short; NULL: there is none among them. */
static struct message_entry *forge_entries(struct sim *s, const struct message_append_entries *a)
{
    static struct message_entry entries[APPEND_ENTRIES_MAX];
    bool found = false;
    for (size_t i = 0; i < a->entries_count; i++) {
        entries[i] = a->entries[i];
        if (entries[i].type == RAFT_CHANGE) {
            entries[i].data.n = sim_below(s, entries[i].data.n);
            found = true;
        }
    }
    return found ? entries : NULL;
}

/* Believed, it is the last term or the last entry there can be. */
static bool forge_absurd(struct message *m)
{
    const uint64_t last = UINT64_MAX - 1;
    if (m->kind == MESSAGE_APPEND_ENTRIES) {
        m->append_entries.term = last;
    } else if (m->kind == MESSAGE_APPEND_ENTRIES_RESULT) {
        m->append_entries_result.term = last;
    } else if (m->kind == MESSAGE_REQUEST_VOTE) {
        m->request_vote.term = last;
    } else if (m->kind == MESSAGE_REQUEST_VOTE_RESULT) {
        m->request_vote_result.term = last;
    } else {
        return false;
    }
    return true;
}

bool faults_forge(struct sim_host *h, const struct message *m, struct message *out)
{
    struct sim *s = h->sim;
    if (s->calm || !sim_chance(s, s->plan.forge)) {
        return false;
    }
    *out = *m;
    if (sim_below(s, 4) == 0) {
        return forge_absurd(out);
    }
    if (m->kind == MESSAGE_REQUEST_VOTE) { /* In another's name. */
        out->request_vote.candidate_id = 1 + (h->index + 1) % s->plan.nodes;
        return true;
    }
    if (m->kind == MESSAGE_APPEND_ENTRIES) {
        out->append_entries.entries = forge_entries(s, &m->append_entries);
        return out->append_entries.entries != NULL;
    }
    return false;
}

static void clog_one(void *arg)
{
    struct sim_host *h = arg;
    struct sim *s = h->sim;
    if (!s->calm) {
        net_clog(s, h->index, 1000 * sim_skewed(s, s->plan.clog_ms / 4, s->plan.clog_ms));
    }
}

/* It moves around: some of the nodes, one after the other, and they come free in
 * another order. */
static void clog_some(void *arg)
{
    struct sim *s = arg;
    if (!goes_on(s, s->plan.clog_every_ms, clog_some)) {
        return;
    }
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        if (sim_below(s, 2) == 0) {
            (void)sim_at(s, NULL, sim_below(s, 1000 * s->plan.clog_ms / 2 + 1), clog_one, &s->hosts[i]);
        }
    }
}

/* --- Disks ------------------------------------------------------------------------------------- */

static void io_error(void *arg)
{
    struct sim *s = arg;
    if (goes_on(s, s->plan.io_error_every_ms, io_error)) {
        any_lane(any_host(s))->disk_will_fail = true;
    }
}

static void has_room(void *arg)
{
    host_set_disk_full(arg, false);
}

static void fill_one(void *arg)
{
    struct sim *s = arg;
    struct sim_host *h = any_host(s);
    if (goes_on(s, s->plan.full_every_ms, fill_one) && !h->disk_is_full) {
        host_set_disk_full(h, true);
        (void)sim_at(s, NULL, 1000 * sim_below(s, 8000), has_room, h);
    }
}

static void rot_one(void *arg)
{
    struct sim *s = arg;
    struct sim_host *h = victim(s);
    struct mem_kv *disk = any_lane(h)->disk;
    enum kv_table table = (enum kv_table)sim_below(s, KV_TABLES);
    size_t records = mem_kv_count(disk, table);

    if (s->calm || records == 0) {
        return;
    }
    if (mem_kv_flip_bit_at(disk, table, sim_below(s, records), sim_random(s))) {
        h->rotted++;
        sim_trace_words(s, h, "a bit of a record rots, in table $", kv_table_name(table), "", 0, 0);
    }
    if (sim_below(s, 3) > 0) {
        (void)sim_at(s, NULL, sim_gap_us(s, 5000), rot_one, s);
    }
}

/* The machine comes back with an empty disk: it must never vote again. */
static void wipe_one(void *arg)
{
    struct sim *s = arg;
    struct sim_host *h = victim(s);
    if (s->calm) {
        return;
    }
    sim_trace(s, h, "its disk is lost", 0, 0);
    host_kill(h);
    for (unsigned i = 0; i < h->lanes_count; i++) {
        mem_kv_wipe(h->lanes[i].disk);
    }
    h->lost = true;
}

/* --- Clocks --------------------------------------------------------------------------------------- */

static void clock_jump(void *arg)
{
    struct sim *s = arg;
    struct sim_host *h = any_host(s);
    int64_t jump = (int64_t)sim_below(s, (uint64_t)(2 * s->plan.clock_jump_ms + 1)) - s->plan.clock_jump_ms;
    if (goes_on(s, s->plan.clock_every_ms, clock_jump)) {
        h->wall_offset_ms = sim_below(s, 3) == 0 ? 0 : h->wall_offset_ms + jump;
        sim_trace_words(s, h, "wall clock is # ms $", h->wall_offset_ms < 0 ? "behind" : "ahead", "",
                        (uint64_t)(h->wall_offset_ms < 0 ? -h->wall_offset_ms : h->wall_offset_ms), 0);
    }
}

/* --- Banks ------------------------------------------------------------------------------------------- */

static void purge_one(void *arg)
{
    struct sim *s = arg;
    if (goes_on(s, s->plan.purge_every_ms, purge_one)) {
        bank_purge(s);
    }
}

static void backup_one(void *arg)
{
    struct sim *s = arg;
    if (goes_on(s, s->plan.backup_every_ms, backup_one)) {
        bank_backup(s);
    }
}

static void power_one(void *arg)
{
    struct sim *s = arg;
    if (goes_on(s, s->plan.power_every_ms, power_one)) {
        bank_power_loss(s);
    }
}

static void fill_bank(void *arg)
{
    struct sim *s = arg;
    if (goes_on(s, s->plan.directory_full_every_ms, fill_bank)) {
        bank_fill(s, 1000 * sim_below(s, 6000));
    }
}

static void stranger_one(void *arg)
{
    struct sim *s = arg;
    unsigned shard = (unsigned)sim_below(s, s->plan.shards);
    char name[BANK_NAME_SIZE];
    if (goes_on(s, s->plan.stranger_every_ms, stranger_one) && rows_open_name(s, shard, name)) {
        bank_stranger(s, bank_of_shard(s, shard), name);
    }
}

static void forge_one(void *arg)
{
    struct sim *s = arg;
    if (goes_on(s, s->plan.forge_every_ms, forge_one)) {
        forge_frame(s, any_host(s));
    }
}

/* --- The whole ------------------------------------------------------------------------------------------ */

static void begin(struct sim *s, uint64_t every_ms, void (*run)(void *arg))
{
    if (every_ms > 0) {
        (void)sim_at(s, NULL, 3000000 + sim_gap_us(s, every_ms), run, s);
    }
}

void faults_start(struct sim *s)
{
    const struct sim_plan *p = &s->plan;
    begin(s, p->kill_every_ms, kill_one);
    begin(s, p->pause_every_ms, pause_one);
    begin(s, p->leave_every_ms, leave_one);
    begin(s, p->lanes > 1 ? p->lane_stall_every_ms : 0, stall_lane);
    begin(s, p->partition_every_ms, partition);
    begin(s, p->reset_every_ms, reset_one);
    begin(s, p->clog_every_ms, clog_some);
    begin(s, p->io_error_every_ms, io_error);
    begin(s, p->full_every_ms, fill_one);
    begin(s, p->clock_every_ms, clock_jump);
    begin(s, p->purge_every_ms, purge_one);
    begin(s, p->backup_every_ms, backup_one);
    begin(s, p->power_every_ms, power_one);
    begin(s, p->directory_full_every_ms, fill_bank);
    begin(s, p->stranger_every_ms, stranger_one);
    begin(s, p->forge_every_ms, forge_one);
    begin(s, p->rot ? p->storm_ms / 2 : 0, rot_one);
    if (p->dark_ms > 0) {
        (void)sim_at(s, NULL, 3000000 + sim_below(s, 500 * p->storm_ms), lights_out, s);
    }
    begin(s, p->wipe ? p->storm_ms / 2 : 0, wipe_one);
}

/* Who is down when the storm ends stays so, if every group can do without it. */
static struct sim_host *choose_away(struct sim *s)
{
    unsigned first = (unsigned)sim_below(s, s->plan.nodes);
    struct sim_host *any = NULL;
    if (!s->plan.stays_away || s->plan.rot || s->plan.wipe) {
        return NULL;
    }
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        struct sim_host *h = &s->hosts[(first + i) % s->plan.nodes];
        if (check_can_do_without(s, h) && (any == NULL || (any->up && !h->up))) {
            any = h;
        }
    }
    return any;
}

void faults_return(struct sim *s)
{
    struct sim_host *h = s->away;
    s->away = NULL;
    host_start(h);
}

void faults_heal(struct sim *s)
{
    sim_trace(s, NULL, "all faults heal", 0, 0);
    s->calm = true;
    s->away = choose_away(s);
    if (s->away != NULL) {
        sim_trace(s, s->away, "stays away", 0, 0);
        host_kill(s->away);
    }
    net_heal(s);
    bank_heal(s);
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        struct sim_host *h = &s->hosts[i];
        host_resume(h);
        h->wall_offset_ms = 0;
        for (unsigned k = 0; k < h->lanes_count; k++) {
            h->lanes[k].disk_will_fail = false;
            host_stall_end(&h->lanes[k]);
        }
        if (h->disk_is_full) {
            host_set_disk_full(h, false);
        }
        if (!h->up && !h->lost && h != s->away) {
            host_start(h);
        }
    }
}
