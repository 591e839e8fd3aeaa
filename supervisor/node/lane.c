#include "supervisor/node/lane.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/mem.h"
#include "storage/log.h"
#include "supervisor/node/pace.h"

#define TICK_MS 50
#define LOST_GROUPS_A_TURN 64
#define PREFERRED_AFTER_MS 10000 /* A leader this old gives way to the preferred node. */

#define STORE_LOST                                                                                       \
    "the data directory was moved or deleted while the node was running: what it would acknowledge now " \
    "could not be found again. Bring the same directory back to its place, then start the node"

static void lane_tick(struct task *t);

static struct log_scope lane_scope(const struct lane *l)
{
    return (struct log_scope){.node = l->self->name};
}

static void writer_failed(void *impl, enum sg_err err)
{
    struct lane *l = impl;
    l->events.fatal(
        l->impl, err,
        l->kv->ops->is_in_place(l->kv->impl)
            ? "the store failed to write; what was acknowledged is intact, nothing is retried over it"
            : STORE_LOST);
}

/* A store that writes nothing, since it leads without work or seems to have no
 * room, has to be asked. */
static bool store_is_there(struct lane *l)
{
    if (l->kv->ops->is_in_place(l->kv->impl)) {
        return true;
    }
    kv_fail(l->kv);
    l->events.fatal(l->impl, SG_IO, STORE_LOST);
    return false;
}

/* --- Slots --------------------------------------------------------------------- */

static size_t slot_position(const struct lane *l, uint64_t group)
{
    size_t low = 0;
    size_t high = l->slots_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (l->slots[middle]->group < group) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct lane_slot *lane_slot(struct lane *l, uint64_t group)
{
    size_t at = slot_position(l, group);
    return at < l->slots_count && l->slots[at]->group == group ? l->slots[at] : NULL;
}

static struct lane_slot *slot_add(struct lane *l, uint64_t group)
{
    size_t at = slot_position(l, group);
    struct lane_slot *s = mem_zalloc(1, sizeof *s);

    s->group = group;
    s->lane = l;
    if (l->slots_count == l->slots_cap) {
        l->slots_cap = l->slots_cap == 0 ? 64 : 2 * l->slots_cap;
        l->slots = mem_realloc(l->slots, l->slots_cap * sizeof l->slots[0]);
    }
    memmove(l->slots + at + 1, l->slots + at, (l->slots_count - at) * sizeof l->slots[0]);
    l->slots[at] = s;
    l->slots_count++;
    atomic_store(&l->replicas, (uint32_t)l->slots_count);
    return s;
}

/* --- What a shard asks of its surroundings ---------------------------------------- */

static const struct zone *shard_zone(void *impl, struct span name)
{
    const struct lane_slot *s = impl;
    const struct node_options *o = s->lane->options;
    return o->zone(o->zone_impl, name);
}

static struct span shard_settings_now(void *impl, struct aba routing_number, uint64_t *version)
{
    const struct lane_slot *s = impl;
    (void)routing_number;
    *version = s->settings_version;
    return span_bytes(&s->settings);
}

static uint32_t shard_level_now(void *impl, struct span *program)
{
    const struct lane_slot *s = impl;
    *program = span_str(s->lane->level_program);
    return s->lane->level;
}

static void count_one(_Atomic uint32_t *figure, bool *counted, bool counts)
{
    if (counts && !*counted) {
        atomic_fetch_add(figure, 1);
    } else if (!counts && *counted) {
        atomic_fetch_sub(figure, 1);
    }
    *counted = counts;
}

static void slot_count(struct lane_slot *s)
{
    count_one(&s->lane->leaders, &s->counted_leader, s->led_since_ms != 0);
    count_one(&s->lane->stopped, &s->counted_stopped, s->why[0] != '\0');
}

static void shard_changed(void *impl, struct shard *shard)
{
    struct lane_slot *s = impl;
    struct group_status status;

    group_status(shard_group(shard), &status);
    s->leader = status.stopped ? 0 : status.leader;
    s->term = status.term;
    if (!status.is_ready) {
        s->led_since_ms = 0;
    } else if (s->led_since_ms == 0) {
        s->led_since_ms = loop_now_ms(s->lane->loop);
    }
    if (status.stopped) {
        (void)snprintf(s->why, sizeof s->why, "%s", status.why);
    }
    slot_count(s);
    s->lane->events.changed(s->lane->impl, s->lane);
}

struct group_options lane_group_options(struct lane *l, uint64_t group)
{
    const struct node_options *o = l->options;
    return (struct group_options){
        .id = group,
        .node = l->self->id,
        .node_name = l->self->name,
        .loop = l->loop,
        .kv = l->kv,
        .writer = l->writer,
        .transport = &l->transport,
        .trailing_entries = o->trailing_entries,
        .scrub_every_ms = o->scrub_every_ms,
        .inflight_entries = o->inflight_entries,
        .snapshot_chunk_bytes = o->snapshot_chunk_bytes,
        .election_timeout_ms = o->election_timeout_ms,
        .heartbeat_ms = o->heartbeat_ms,
        .spool_dir = o->spool_dir,
        .snapshot_senders = l->snapshot_senders,
    };
}

static void slot_open(struct lane_slot *s)
{
    struct log_scope scope = lane_scope(s->lane);
    struct shard_options o = {
        .group = lane_group_options(s->lane, s->group),
        .bank = s->lane->bank,
        .cluster = s->lane->options->cluster,
        .zone = shard_zone,
        .settings = shard_settings_now,
        .level = shard_level_now,
        .level_max = s->lane->options->level_max,
        .changed = shard_changed,
        .impl = s,
    };
    enum sg_err err;

    s->opening = false;
    s->why[0] = '\0';
    err = shard_open(&o, &s->shard, s->why, sizeof s->why);
    if (err != SG_OK) {
        s->shard = NULL;
        scope.group = (uint32_t)s->group;
        scope.has_group = 1;
        logger_line(LOG_ERROR, &scope, "shard.not_opened", "err=%s why=%s", sg_err_name(err),
                    LOG_TEXT(s->why));
    } else if (s->stands_first) {
        group_stand(shard_group(s->shard));
    }
    slot_count(s);
}

void lane_open_all(struct lane *l)
{
    struct bytes groups = BYTES_NONE;
    struct kv_txn *txn;
    enum sg_err err = kv_begin(l->kv, false, &txn);

    if (err == SG_OK) {
        err = log_groups(l->kv, txn, &groups);
        kv_abort(l->kv, txn);
    }
    if (err != SG_OK) {
        l->events.fatal(l->impl, err, "the groups of this lane cannot be read from its store");
        goto out;
    }
    for (size_t i = 0; i < groups.n; i += sizeof(uint64_t)) {
        uint64_t group;
        memcpy(&group, groups.p + i, sizeof group);
        if (group != 0 && lane_slot(l, group) == NULL) {
            slot_open(slot_add(l, group));
        }
    }
    l->tick.run = lane_tick;
    loop_after(l->loop, &l->tick, TICK_MS);
out:
    bytes_release(&groups);
}

/* --- Orders from the catalog -------------------------------------------------------- */

struct bootstrap_job {
    struct writer_job job;
    struct lane_slot *slot;
    uint64_t replicas[REPLICAS_MAX];
    size_t replicas_count;
};

static enum sg_err bootstrap_run(struct writer_job *job, struct kv *kv, struct kv_txn *txn)
{
    struct bootstrap_job *b = CONTAINER_OF(job, struct bootstrap_job, job);
    enum sg_err err = b->replicas_count == 0
                          ? group_join(kv, txn, b->slot->group)
                          : group_bootstrap(kv, txn, b->slot->group, b->replicas, b->replicas_count);
    return err == SG_EXISTS ? SG_OK : err;
}

static void bootstrap_done(struct writer_job *job, enum sg_err err)
{
    struct bootstrap_job *b = CONTAINER_OF(job, struct bootstrap_job, job);
    struct lane_slot *s = b->slot;

    mem_free(b);
    if (err != SG_OK) {
        s->opening = false;
        (void)snprintf(s->why, sizeof s->why, "its first entry could not be written: %s", sg_err_text(err));
        slot_count(s);
    } else if (!s->lane->leaving) {
        slot_open(s);
    } else {
        s->opening = false;
    }
}

static void slot_bootstrap(struct lane_slot *s, const struct shard_order *order)
{
    struct bootstrap_job *b = mem_zalloc(1, sizeof *b);

    s->opening = true;
    /* One replica stands at once: the preferred one, or leaders are spread. */
    s->stands_first =
        order->replicas_count > 0 &&
        (order->preferred != 0 ? order->preferred : order->replicas[order->group % order->replicas_count]) ==
            s->lane->self->id;
    b->slot = s;
    memcpy(b->replicas, order->replicas, sizeof b->replicas);
    b->replicas_count = order->replicas_count;
    b->job = (struct writer_job){.run = bootstrap_run, .done = bootstrap_done, .size_bytes = 512};
    writer_submit(s->lane->writer, &b->job);
}

static void order_run(struct task *t)
{
    struct shard_order *order = CONTAINER_OF(t, struct shard_order, task);
    struct lane *l = order->lane;
    struct lane_slot *s = lane_slot(l, order->group);
    bool is_new = s == NULL;

    if (l->leaving) {
        goto out;
    }
    if (is_new) {
        s = slot_add(l, order->group);
    }
    s->preferred = order->preferred;
    bytes_set(&s->settings, span_bytes(&order->settings));
    s->settings_version = order->settings_version;
    if (is_new) {
        slot_bootstrap(s, order);
    } else if (s->shard != NULL) {
        shard_settings_changed(s->shard);
    }
out:
    bytes_release(&order->settings);
    mem_free(order);
}

void lane_order(struct shard_order *order)
{
    order->task.run = order_run;
    if (order->lane->number == 0) {
        order_run(&order->task);
    } else {
        loop_post(order->lane->loop, &order->task);
    }
}

struct level_order {
    struct task task;
    struct lane *lane;
    uint32_t level;
    char program[NAME_SIZE_MAX + 1];
};

static void level_run(struct task *t)
{
    struct level_order *order = CONTAINER_OF(t, struct level_order, task);
    struct lane *l = order->lane;
    l->level = order->level;
    memcpy(l->level_program, order->program, sizeof l->level_program);
    for (size_t i = 0; !l->leaving && i < l->slots_count; i++) {
        if (l->slots[i]->shard != NULL) {
            shard_settings_changed(l->slots[i]->shard);
        }
    }
    mem_free(order);
}

void lane_level(struct lane *l, const struct level_settings *level)
{
    struct level_order *order = mem_zalloc(1, sizeof *order);
    order->task.run = level_run;
    order->lane = l;
    order->level = level->level;
    (void)span_cstr(level->program, order->program, sizeof order->program);
    if (l->number == 0) {
        level_run(&order->task);
    } else {
        loop_post(l->loop, &order->task);
    }
}

/* --- Messages and lost peers ----------------------------------------------------------- */

void lane_message(struct lane *l, uint64_t from, const struct message *m)
{
    struct lane_slot *s;

    if (m->group == 0) {
        if (l->guest != NULL) {
            group_receive(l->guest, from, m);
        }
        return;
    }
    s = lane_slot(l, m->group);
    if (s != NULL && s->shard != NULL && !l->leaving_stopped) {
        group_receive(shard_group(s->shard), from, m);
    }
}

/* Of the replicas that may still be alive, the one that should stand first: the
 * highest hash of group and node, so that leaders spread. */
static bool is_likeliest(const struct lane *l, const struct group_status *status, uint64_t lost)
{
    uint64_t self = l->self->id;
    uint64_t own = (status->id * 31 + self) * 0x9e3779b97f4a7c15ull;
    for (size_t i = 0; i < status->replicas_count; i++) {
        uint64_t other = status->replicas[i].node;
        if (other != self && other != lost && status->replicas[i].is_voter && l->linked[other - 1] &&
            (status->id * 31 + other) * 0x9e3779b97f4a7c15ull > own) {
            return false;
        }
    }
    return true;
}

static void slot_peer_lost(struct lane_slot *s, uint64_t peer)
{
    struct group_status status;
    if (s->shard == NULL || (s->leader != peer && s->leader != 0)) {
        return;
    }
    group_status(shard_group(s->shard), &status);
    group_peer_lost(shard_group(s->shard), peer, is_likeliest(s->lane, &status, peer));
}

static void guest_peer_lost(struct lane *l, uint64_t peer)
{
    struct group_status status;
    if (l->guest == NULL) {
        return;
    }
    group_status(l->guest, &status);
    if (status.leader == peer || status.leader == 0) {
        group_peer_lost(l->guest, peer, is_likeliest(l, &status, peer));
    }
}

static void lost_run(struct task *t)
{
    struct lane *l = CONTAINER_OF(t, struct lane, lost);
    size_t left = LOST_GROUPS_A_TURN;

    while (l->lost_count > 0 && left > 0) {
        size_t *next = &l->lost_next[l->lost_count - 1];
        if (*next >= l->slots_count) {
            l->lost_count--;
            continue;
        }
        slot_peer_lost(l->slots[(*next)++], l->lost_peers[l->lost_count - 1]);
        left--;
    }
    if (l->lost_count > 0) {
        loop_after(l->loop, &l->lost, 0);
    }
}

void lane_peer_up(struct lane *l, uint64_t peer)
{
    l->linked[peer - 1] = true;
    l->peer_leaves[peer - 1] = false;
}

void lane_peer_leaving(struct lane *l, uint64_t peer)
{
    l->peer_leaves[peer - 1] = true;
}

uint64_t lane_heir(const struct lane *l, const struct group_status *status)
{
    uint64_t heir = 0;
    uint64_t furthest = 0;
    for (size_t i = 0; i < status->replicas_count; i++) {
        const struct group_replica *r = &status->replicas[i];
        bool fits = r->node != l->self->id && r->is_voter && r->is_recent && l->linked[r->node - 1] &&
                    !l->peer_leaves[r->node - 1];
        if (fits && (heir == 0 || r->match_index > furthest)) {
            heir = r->node;
            furthest = r->match_index;
        }
    }
    return heir;
}

void lane_peer_down(struct lane *l, uint64_t peer)
{
    l->linked[peer - 1] = false;
    l->peer_leaves[peer - 1] = false;
    guest_peer_lost(l, peer);
    for (size_t i = 0; i < l->lost_count; i++) {
        if (l->lost_peers[i] == peer) {
            l->lost_next[i] = 0;
            goto out;
        }
    }
    l->lost_peers[l->lost_count] = peer;
    l->lost_next[l->lost_count++] = 0;
out:
    l->lost.run = lost_run;
    loop_after(l->loop, &l->lost, 0);
    l->events.peer_down(l->impl, l, peer);
}

/* --- Tick --------------------------------------------------------------------------------- */

static void slot_prefer(struct lane_slot *s, uint64_t now)
{
    struct group_status status;
    char why[128];

    if (s->preferred == 0 || s->preferred == s->lane->self->id || s->led_since_ms == 0 ||
        now - s->led_since_ms < PREFERRED_AFTER_MS || !s->lane->linked[s->preferred - 1] ||
        s->lane->peer_leaves[s->preferred - 1] || shard_is_near_cutoff(s->shard, why, sizeof why)) {
        return;
    }
    group_status(shard_group(s->shard), &status);
    for (size_t i = 0; i < status.replicas_count; i++) {
        const struct group_replica *r = &status.replicas[i];
        if (r->node == s->preferred && r->is_voter && r->is_recent && r->match_index == status.last_index) {
            enum sg_err err = group_transfer(shard_group(s->shard), s->preferred);
            struct log_scope scope = lane_scope(s->lane);
            scope.group = (uint32_t)s->group;
            scope.has_group = 1;
            s->led_since_ms = now; /* Wait again before the next try. */
            logger_line(LOG_INFO, &scope, "leader.to_preferred", "to=%s err=%s",
                        s->lane->founders[s->preferred - 1].name, sg_err_name(err));
            return;
        }
    }
}

static void lane_tick(struct task *t)
{
    struct lane *l = CONTAINER_OF(t, struct lane, tick);
    uint64_t now = loop_now_ms(l->loop);

    l->events.tick(l->impl, l);
    if (now - l->each_second_ms >= 1000) {
        l->each_second_ms = now;
        if (!store_is_there(l)) {
            return;
        }
        pace_tick(l);
        uint32_t lowest = 0;
        uint64_t missing = 0;
        for (size_t i = 0; !l->leaving && i < l->slots_count; i++) {
            struct lane_slot *s = l->slots[i];
            uint32_t level = s->led_since_ms != 0 ? shard_level(s->shard) : 0;
            lowest = level != 0 && (lowest == 0 || level < lowest) ? level : lowest;
            missing += s->shard != NULL ? shard_files_missing(s->shard) : 0;
            slot_prefer(s, now);
        }
        atomic_store(&l->level_lowest, lowest);
        atomic_store(&l->files_missing, missing);
    }
    if (l->leaving) {
        lane_leave_step(l);
    }
    if (!l->left) {
        loop_after(l->loop, &l->tick, TICK_MS);
    }
}

void lane_tick_soon(struct lane *l)
{
    if (l->tick.run == lane_tick) {
        loop_after(l->loop, &l->tick, 0);
    }
}

void lane_leave(struct lane *l)
{
    l->leaving = true;
    /* A lane that never opened anything has no tick: this is its first. */
    l->tick.run = lane_tick;
    loop_after(l->loop, &l->tick, 0);
}

void lane_init(struct lane *l, const struct lane_owner *owner, unsigned number)
{
    const struct lane_seams *seams = &owner->options->lanes[number];

    l->options = owner->options;
    l->founders = owner->founders;
    l->self = owner->self;
    l->events = owner->events;
    l->snapshot_senders = owner->snapshot_senders;
    l->impl = owner->impl;
    l->number = number;
    l->loop = seams->loop;
    l->kv = seams->kv;
    l->bank = seams->bank;
    l->writer = writer_new(l->loop, l->kv, writer_failed, l);
    l->outbox = outbox_new(&(struct outbox_options){.loop = l->loop,
                                                    .link = owner->options->link,
                                                    .cluster = span_str(owner->options->cluster),
                                                    .self = owner->self->id,
                                                    .identity = owner->identity});
    l->transport = outbox_transport(l->outbox);
}
