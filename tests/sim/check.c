/* The invariants (architecture.md) that every event must keep.
 *
 * After each event of a host only what changed is looked at: a few numbers of
 * each group are compared with those of the last time. */
#include <inttypes.h>
#include <string.h>

#include "proto/base/mem.h"
#include "shard/engine/trail.h"
#include "supervisor/node/node_impl.h"
#include "tests/sim/check.h"

#define FOLLOWERS_EVERY_US 1000000

void check_init(struct sim *s)
{
    s->checker = mem_zalloc(1, sizeof *s->checker);
}

void check_started(struct sim_host *h)
{
    memset(h->sim->checker->replicas[h->index], 0, sizeof h->sim->checker->replicas[h->index]);
    check_transport(h);
}

uint64_t check_commits(const struct sim *s)
{
    uint64_t total = 0;
    for (unsigned i = 0; i < SIM_GROUPS_MAX; i++) {
        total += s->checker->truth[i].commit;
    }
    return total;
}

uint64_t check_committed(const struct sim *s, unsigned shard)
{
    return s->checker->truth[shard + 1].commit;
}

uint64_t check_group_id(unsigned number)
{
    return number == 0 ? 0 : sim_shard_aba(number - 1).n;
}

struct group *check_group(struct sim_host *h, unsigned number)
{
    struct lane_slot *slot;
    if (!h->up || h->node == NULL) {
        return NULL;
    }
    if (number == 0) {
        return h->node->catalog;
    }
    slot = lane_slot(node_lane_of(h->node, check_group_id(number)), check_group_id(number));
    return slot == NULL || slot->shard == NULL ? NULL : shard_group(slot->shard);
}

/* --- The log's end ---------------------------------------------------------------------- */

static void tail_look(struct sim_host *h, unsigned number, struct group *g, struct replica *r)
{
    uint64_t from = r->last_index + 1;
    uint64_t last_term = trail_term(&g->raft, g->last_index);

    if (r->group == NULL || g->last_index < from || r->installed != g->snapshots_installed) {
        from = g->last_index; /* Cut, replaced or just opened: its end. */
    }
    for (uint64_t i = from; i > 0 && i <= g->last_index; i++) {
        struct found f = truth_entry_find(h, g, i);
        if (f.found) {
            truth_matches(h, number, i, &f);
            conf_appended(h, number, g, i, &f);
        }
    }
    r->last_index = g->last_index;
    r->last_term = last_term;
}

/* --- Applied: equal index, equal digest (I-2, I-3) ---------------------------------------------------- */

static void applied_look(struct sim_host *h, unsigned number, struct group *g, struct replica *r)
{
    struct truth *t = &h->sim->checker->truth[number];
    uint64_t digest;

    if (g->rebuild.is_on) {
        return; /* It says nothing of its rows, and nothing of how far they go. */
    }
    if (g->applied < r->applied) {
        sim_fail(h->sim, "I-2", "%s goes back from applied %" PRIu64 " to %" PRIu64, h->name, r->applied,
                 g->applied);
    }
    if (g->applied > g->commit) {
        sim_fail(h->sim, "I-4", "%s has applied %" PRIu64 " and committed %" PRIu64, h->name, g->applied,
                 g->commit);
    }
    memcpy(&digest, g->digest.b, sizeof digest);
    t->digests = truth_grow(t->digests, &t->digests_cap, g->applied, sizeof t->digests[0]);
    if (t->digests[g->applied] == 0) {
        t->digests[g->applied] = digest | 1;
    } else if (t->digests[g->applied] != (digest | 1)) {
        sim_fail(h->sim, "I-3",
                 "%s has another digest at applied index %" PRIu64 " of group %" PRIu64 " than others",
                 h->name, g->applied, check_group_id(number));
    }
    r->applied = g->applied;
}

/* --- Election safety, leader completeness ----------------------------------------------------------------- */

static void leader_look(struct sim_host *h, unsigned number, struct group *g)
{
    struct truth *t = &h->sim->checker->truth[number];
    uint64_t term = g->raft.current_term;

    /* By term the leaders are kept in an array. */
    if (term > TERM_AHEAD_MAX) {
        sim_fail(h->sim, "R-1", "%s has term %" PRIu64 ", which no election has reached", h->name, term);
        return;
    }
    t->leaders = truth_grow(t->leaders, &t->leaders_cap, term, sizeof t->leaders[0]);
    if (t->leaders[term] == h->index + 1) {
        return;
    }
    if (t->leaders[term] != 0) {
        sim_fail(h->sim, "R-1", "%s and n%u both lead group %" PRIu64 " in term %" PRIu64, h->name,
                 t->leaders[term], check_group_id(number), term);
    }
    t->leaders[term] = (uint8_t)(h->index + 1);
    h->sim->stats.elections++;
    faults_elected(h);
    sim_trace(h->sim, h, "leads group # in term #", check_group_id(number), term);
    for (uint64_t i = t->commit; i > 0 && i + 64 > t->commit; i--) {
        const struct truth_entry *e = &t->committed[i];
        uint64_t has = i <= g->last_index ? trail_term(&g->raft, i) : 0;
        if (e->hash != 0 && e->by_term < term && i > g->mark_index && has != e->term) {
            sim_fail(h->sim, "R-3",
                     "%s leads group %" PRIu64 " in term %" PRIu64 " without the committed entry %" PRIu64,
                     h->name, check_group_id(number), term, i);
        }
    }
}

/* --- Limits (I-10) ----------------------------------------------------------------------------------------- */

static void limit(struct sim_host *h, unsigned number, const char *what, uint64_t value, uint64_t max)
{
    if (value > max) {
        sim_fail(h->sim, "I-10", "%s, group %" PRIu64 ": %s has %" PRIu64 ", at most %" PRIu64 " are allowed",
                 h->name, check_group_id(number), what, value, max);
    }
}

/* Above the limit only entries that are still needed. */
static void cache_look(struct sim_host *h, unsigned number, struct group *g)
{
    uint64_t stored = g->appends_head != NULL ? g->appends_head->logs[0].index - 1 : g->last_index;
    if (g->cache.count > 0 && g->cache.first <= stored && g->cache.first <= g->applied) {
        limit(h, number, "the cache of entries", g->cache.size_bytes, CACHE_SIZE_MAX_BYTES);
    }
}

static void limits_look(struct sim_host *h, unsigned number, struct group *g)
{
    cache_look(h, number, g);
    limit(h, number, "the list of proposals", g->waiting.count, PROPOSALS_MAX);
    limit(h, number, "the gate", g->held_count, HELD_MESSAGES_MAX);
    limit(h, number, "the list of peers", g->peers_count, PEERS_MAX);
}

static void host_limits_look(struct sim_host *h)
{
    limit(h, 0, "the node's list of calls", h->node->calls_count, 2 * REQUESTS_INFLIGHT_MAX + 1);
    limit(h, 0, "the list of snapshot senders", h->node->snapshot_senders, SNAPSHOT_SENDERS_MAX);
    limit(h, 0, "the queue of frames for other lanes", h->node->shared_bytes, LANE_FRAMES_MAX_BYTES);
    for (unsigned i = 0; i < h->lanes_count; i++) {
        /* A snapshot's installation and what apply needs come on top of proposals. */
        limit(h, 0, "the writer's queue", writer_pending_bytes(h->node->lanes[i].writer),
              WRITER_QUEUE_MAX_BYTES +
                  (uint64_t)SIM_GROUPS_MAX * (APPLY_SIZE_MAX_BYTES + CACHE_SIZE_MAX_BYTES));
    }
    memory_look(h);
}

/* --- One event ---------------------------------------------------------------------------------------------- */

static void failed_look(struct sim_host *h, unsigned number, struct group *g, struct replica *r)
{
    sim_stopped(h, g->failed, g->why);
    if (g->failed == SG_UNSUPPORTED && h->level_max != 0 &&
        (h->sim->finalize_asked || levels_are_raised(h->sim))) {
        sim_trace(h->sim, h, "stops group #, which goes on at a level that its program does not speak",
                  check_group_id(number), 0);
        r->group = g;
        r->failed = true;
        return;
    }
    if (h->rotted == 0 || g->failed == SG_UNSUPPORTED) {
        sim_fail(h->sim, "I-14", "%s stops group %" PRIu64 " though nothing of its disk is damaged: %s",
                 h->name, check_group_id(number), g->why);
    }
    sim_trace(h->sim, h, "stops group # over a damaged record", check_group_id(number), 0);
    r->group = g;
    r->failed = true;
}

/* Of the last entry, without trail_term()'s search. */
static inline uint64_t tail_term(const struct raft_trail *t)
{
    return t->front == t->back ? t->snapshot.term : t->records[(t->back == 0 ? t->size : t->back) - 1].term;
}

/* Nearly all events leave nearly all groups alone. */
static inline bool is_unchanged(const struct group *g, const struct replica *r)
{
    const struct raft *raft = &g->raft;
    return r->group == g &&
           (r->failed ||
            (g->failed == SG_OK && (unsigned)raft->state == r->state && raft->current_term == r->term &&
             raft->commit_index == r->raft_commit && g->last_index == r->last_index &&
             g->commit == r->commit && g->applied == r->applied && g->snapshots_installed == r->installed &&
             tail_term(&raft->trail) == r->last_term));
}

static void replica_changed(struct sim_host *h, unsigned number, struct group *g, struct replica *r)
{
    bool is_new = r->group != g;
    bool conf_changed;

    if (is_new) {
        memset(r, 0, sizeof *r);
        h->sim->checker->truth[number].holders |= 2u << h->index;
    }
    if (g->failed != SG_OK) {
        failed_look(h, number, g, r);
        return;
    }
    if (g->raft.state == RAFT_LEADER && (r->state != RAFT_LEADER || r->term != g->raft.current_term)) {
        leader_look(h, number, g);
    }
    if (g->raft.commit_index < r->raft_commit) {
        sim_fail(h->sim, "R-4",
                 "libraft on %s goes back from commit %" PRIu64 " to %" PRIu64 " in group %" PRIu64, h->name,
                 r->raft_commit, (uint64_t)g->raft.commit_index, check_group_id(number));
    }
    r->raft_commit = g->raft.commit_index;
    r->term = g->raft.current_term;
    r->state = (unsigned)g->raft.state;
    conf_changed = is_new || g->last_index != r->last_index || r->installed != g->snapshots_installed ||
                   g->commit != r->commit;
    if (g->last_index != r->last_index || trail_term(&g->raft, g->last_index) != r->last_term) {
        tail_look(h, number, g, r);
        limits_look(h, number, g);
    }
    if (g->commit != r->commit || is_new) {
        truth_commit(h, number, g, r);
    }
    if (g->applied != r->applied || is_new) {
        applied_look(h, number, g, r);
        limits_look(h, number, g);
    }
    if (r->installed != g->snapshots_installed) {
        h->sim->stats.installs += g->snapshots_installed - r->installed;
        r->installed = g->snapshots_installed;
    }
    if (conf_changed) {
        conf_look(h, number, g);
    }
    r->group = g;
}

static inline void replica_look(struct sim_host *h, unsigned number, struct group *g)
{
    struct replica *r = &h->sim->checker->replicas[h->index][number];
    if (!is_unchanged(g, r)) {
        replica_changed(h, number, g, r);
    }
}

/* Submissions wait at leaders; status reads rows at all others, so those have
 * their turn now and then. */
static bool may_queue(const struct sim *s, const struct lane_slot *slot)
{
    return slot->shard != NULL &&
           (shard_group(slot->shard)->told.is_ready || s->now_us % FOLLOWERS_EVERY_US == 0);
}

static void lane_queues(struct sim_host *h, const struct lane *l)
{
    for (size_t k = 0; k < l->slots_count; k++) {
        struct lane_slot *slot = l->slots[k];
        struct shard_status status;
        if (may_queue(h->sim, slot)) {
            shard_status(slot->shard, &status);
            limit(h, sim_shard_of(slot->group) + 1, "the queue of submissions", status.submit_queue_bytes,
                  SUBMIT_QUEUE_MAX_BYTES);
        }
    }
}

void check_queues(struct sim *s)
{
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        struct sim_host *h = &s->hosts[i];
        for (unsigned k = 0; h->up && k < h->lanes_count; k++) {
            lane_queues(h, &h->node->lanes[k]);
        }
    }
}

void check_host(struct sim_host *h)
{
    if (h->node->catalog != NULL && h->node->state != NODE_LEFT) {
        replica_look(h, 0, h->node->catalog);
    }
    for (unsigned k = 0; k < h->lanes_count; k++) {
        struct lane *l = &h->node->lanes[k];
        for (size_t i = 0; i < l->slots_count; i++) {
            struct lane_slot *slot = l->slots[i];
            if (slot->shard != NULL) {
                replica_look(h, sim_shard_of(slot->group) + 1, shard_group(slot->shard));
            }
        }
    }
    host_limits_look(h);
    pace_look(h);
}
