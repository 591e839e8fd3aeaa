/* The invariants (architecture.md) that every event must keep.
 *
 * After each event of a host only what changed is looked at: a few numbers of
 * each group are compared with those of the last time. */
#include <inttypes.h>
#include <string.h>

#include "proto/mem.h"
#include "shard/engine/engine.h"
#include "shard/engine/trail.h"
#include "supervisor/parts.h"
#include "tests/sim/sim.h"

struct truth_entry {
    uint64_t term, hash;
    uint64_t by_term; /* Of whoever knew it committed first. */
};

/* (index, term) of any log, committed or not, and what stood there: equal
 * everywhere for ever. Open addressing. */
struct seen_entry {
    uint64_t index, term, hash;
};

struct truth {
    struct truth_entry *committed; /* By index; [0] is unused. */
    uint64_t commit, commit_cap;
    uint64_t *digests; /* By index; 0: nobody stopped there yet. */
    uint64_t digests_cap;
    uint8_t *leaders; /* By term: host + 1. */
    uint64_t leaders_cap;
    struct seen_entry *seen;
    size_t seen_count, seen_cap;
};

/* A replica as it was after the last event. */
struct replica {
    struct group *group;
    uint64_t commit, applied, last_index, last_term, term, installed;
    unsigned state;
    bool failed;
};

struct way_out {
    struct sim_host *host;
    struct transport inner;
};

struct checker {
    struct truth truth[SIM_GROUPS_MAX];
    struct replica replicas[SIM_NODES_MAX][SIM_GROUPS_MAX];
    struct way_out ways_out[SIM_NODES_MAX];
};

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

static uint64_t group_id(unsigned number)
{
    return number == 0 ? 0 : sim_shard_aba(number - 1).n;
}

struct group *check_group(struct sim_host *h, unsigned number)
{
    struct slot *slot;
    if (!h->up || h->node == NULL) {
        return NULL;
    }
    if (number == 0) {
        return h->node->catalog;
    }
    slot = lane_slot(&h->node->lanes[0], group_id(number));
    return slot == NULL || slot->shard == NULL ? NULL : shard_group(slot->shard);
}

/* --- Tables that grow ---------------------------------------------------------------------- */

static void *grown(void *p, uint64_t *cap, uint64_t index, size_t size)
{
    uint64_t bigger = *cap == 0 ? 256 : *cap;
    if (index < *cap) {
        return p;
    }
    while (bigger <= index) {
        bigger *= 2;
    }
    p = mem_realloc(p, bigger * size);
    memset((char *)p + *cap * size, 0, (bigger - *cap) * size);
    *cap = bigger;
    return p;
}

static uint64_t hash_entry(uint64_t term, uint8_t type, struct span data)
{
    uint64_t h = (term << 8 | type) * 0x9e3779b97f4a7c15ull + data.n;
    size_t i = 0;
    for (; i + 8 <= data.n; i += 8) {
        uint64_t v;
        memcpy(&v, data.p + i, 8);
        h = (h ^ v) * 0xff51afd7ed558ccdull;
        h ^= h >> 32;
    }
    for (; i < data.n; i++) {
        h = (h ^ data.p[i]) * 0x100000001b3ull;
    }
    return h | 1;
}

static struct seen_entry *seen_slot(struct truth *t, uint64_t index, uint64_t term)
{
    size_t at = (index * 0x9e3779b97f4a7c15ull ^ term * 0xff51afd7ed558ccdull) & (t->seen_cap - 1);
    while (t->seen[at].index != 0 && (t->seen[at].index != index || t->seen[at].term != term)) {
        at = (at + 1) & (t->seen_cap - 1);
    }
    return &t->seen[at];
}

static void seen_grow(struct truth *t)
{
    struct truth bigger = *t;
    bigger.seen_cap = t->seen_cap == 0 ? 1024 : 2 * t->seen_cap;
    bigger.seen = mem_zalloc(bigger.seen_cap, sizeof bigger.seen[0]);
    for (size_t i = 0; i < t->seen_cap; i++) {
        if (t->seen[i].index != 0) {
            *seen_slot(&bigger, t->seen[i].index, t->seen[i].term) = t->seen[i];
        }
    }
    mem_free(t->seen);
    *t = bigger;
}

/* --- Entries ---------------------------------------------------------------------------------- */

struct found {
    bool found;
    uint64_t term, hash;
};

/* From memory or, when it is there no more, from the store. */
static struct found entry_find(struct sim_host *h, struct group *g, uint64_t index)
{
    struct entry *e = cache_get(&g->cache, index);
    struct found f = {false, 0, 0};
    struct log_entry stored;
    struct kv_txn *txn;

    if (e != NULL) {
        return (struct found){true, e->term, hash_entry(e->term, e->type, entry_data(e))};
    }
    if (kv_begin(&h->kv, false, &txn) != SG_OK) {
        return f;
    }
    if (log_get(&h->kv, txn, g->o.id, index, &stored) == SG_OK) {
        f = (struct found){true, stored.term, hash_entry(stored.term, stored.type, stored.data)};
    }
    kv_abort(&h->kv, txn);
    return f;
}

/* Log matching: the same index and term is the same entry, wherever it stands. */
static void entry_matches(struct sim_host *h, unsigned number, uint64_t index, const struct found *f)
{
    struct truth *t = &h->sim->checker->truth[number];
    struct seen_entry *slot;

    if (2 * t->seen_count >= t->seen_cap) {
        seen_grow(t);
    }
    slot = seen_slot(t, index, f->term);
    if (slot->index == 0) {
        *slot = (struct seen_entry){index, f->term, f->hash};
        t->seen_count++;
    } else if (slot->hash != f->hash) {
        sim_fail(h->sim, "log matching",
                 "%s has another entry at index %" PRIu64 " of term %" PRIu64 " in group %" PRIu64
                 " than was seen before",
                 h->name, index, f->term, group_id(number));
    }
}

static void tail_look(struct sim_host *h, unsigned number, struct group *g, struct replica *r)
{
    uint64_t from = r->last_index + 1;
    uint64_t last_term = trail_term(&g->raft, g->last_index);

    if (r->group == NULL || g->last_index < from || r->installed != g->snapshots_installed) {
        from = g->last_index; /* Cut, replaced or just opened: its end. */
    }
    for (uint64_t i = from; i > 0 && i <= g->last_index; i++) {
        struct found f = entry_find(h, g, i);
        if (f.found) {
            entry_matches(h, number, i, &f);
        }
    }
    r->last_index = g->last_index;
    r->last_term = last_term;
}

/* --- Commit: a committed entry never changes; what is committed is on a quorum's disks -------------- */

/* Is the entry, or a snapshot behind it, where a crash would leave it? */
static bool is_durable(struct sim_host *h, unsigned number, uint64_t index, uint64_t term)
{
    struct kv kv;
    struct kv_txn *txn;
    struct log_entry e;
    struct log_mark mark;
    enum sg_err err;
    bool durable = false;

    if (h->lost || h->rotted > 0) {
        return true; /* It was when it said so. */
    }
    txn = mem_kv_begin_durable(h->disk, &kv);
    err = log_get(&kv, txn, group_id(number), index, &e);
    if (err == SG_OK) {
        durable = e.term == term;
    } else if (log_mark_get(&kv, txn, group_id(number), &mark) == SG_OK) {
        durable = mark.index >= index;
    }
    kv_abort(&kv, txn);
    kv_close(&kv);
    return durable;
}

static void quorum_look(struct sim_host *h, unsigned number, struct group *g)
{
    uint64_t term = trail_term(&g->raft, g->commit);
    unsigned voters = 0;
    unsigned durable = 0;

    for (unsigned i = 0; i < g->raft.configuration.n; i++) {
        const struct raft_server *server = &g->raft.configuration.servers[i];
        if (server->role == RAFT_VOTER) {
            voters++;
            durable += is_durable(&h->sim->hosts[server->id - 1], number, g->commit, term);
        }
    }
    if (durable <= voters / 2) {
        sim_fail(h->sim, "I-4",
                 "%s commits index %" PRIu64 " of group %" PRIu64 ", which is durable on %u of %u voters",
                 h->name, g->commit, group_id(number), durable, voters);
    }
}

static void committed(struct sim_host *h, unsigned number, uint64_t index, const struct found *f,
                      uint64_t term)
{
    struct truth *t = &h->sim->checker->truth[number];
    struct truth_entry *e;

    t->committed = grown(t->committed, &t->commit_cap, index, sizeof t->committed[0]);
    e = &t->committed[index];
    if (e->hash == 0) {
        *e = (struct truth_entry){f->term, f->hash, term};
        t->commit = index > t->commit ? index : t->commit;
    } else if (e->hash != f->hash || e->term != f->term) {
        sim_fail(h->sim, "committed never changes",
                 "%s commits another entry at index %" PRIu64 " of group %" PRIu64 " (term %" PRIu64
                 ", was %" PRIu64 ")",
                 h->name, index, group_id(number), f->term, e->term);
    }
}

static void commit_look(struct sim_host *h, unsigned number, struct group *g, struct replica *r)
{
    uint64_t from = r->commit + 1;

    if (g->commit < r->commit) {
        sim_fail(h->sim, "committed never changes", "%s goes back from commit %" PRIu64 " to %" PRIu64,
                 h->name, r->commit, g->commit);
    }
    if (r->group == NULL && g->commit > 64) {
        from = g->commit - 64; /* A new process: its end must do. */
    }
    for (uint64_t i = from; i <= g->commit; i++) {
        struct found f = entry_find(h, g, i);
        if (f.found) {
            committed(h, number, i, &f, g->raft.current_term);
        }
    }
    if (g->raft.state == RAFT_LEADER) {
        quorum_look(h, number, g);
    }
    r->commit = g->commit;
}

/* --- Applied: equal index, equal digest (I-2, I-3) ---------------------------------------------------- */

static void applied_look(struct sim_host *h, unsigned number, struct group *g, struct replica *r)
{
    struct truth *t = &h->sim->checker->truth[number];
    uint64_t digest;

    if (g->applied < r->applied) {
        sim_fail(h->sim, "I-2", "%s goes back from applied %" PRIu64 " to %" PRIu64, h->name, r->applied,
                 g->applied);
    }
    if (g->applied > g->commit) {
        sim_fail(h->sim, "I-4", "%s has applied %" PRIu64 " and committed %" PRIu64, h->name, g->applied,
                 g->commit);
    }
    memcpy(&digest, g->digest.b, sizeof digest);
    t->digests = grown(t->digests, &t->digests_cap, g->applied, sizeof t->digests[0]);
    if (t->digests[g->applied] == 0) {
        t->digests[g->applied] = digest | 1;
    } else if (t->digests[g->applied] != (digest | 1)) {
        sim_fail(h->sim, "I-3",
                 "%s has another digest at applied index %" PRIu64 " of group %" PRIu64 " than others",
                 h->name, g->applied, group_id(number));
    }
    r->applied = g->applied;
}

/* --- Election safety, leader completeness ----------------------------------------------------------------- */

static void leader_look(struct sim_host *h, unsigned number, struct group *g)
{
    struct truth *t = &h->sim->checker->truth[number];
    uint64_t term = g->raft.current_term;

    t->leaders = grown(t->leaders, &t->leaders_cap, term, sizeof t->leaders[0]);
    if (t->leaders[term] == h->index + 1) {
        return;
    }
    if (t->leaders[term] != 0) {
        sim_fail(h->sim, "election safety", "%s and n%u both lead group %" PRIu64 " in term %" PRIu64,
                 h->name, t->leaders[term], group_id(number), term);
    }
    t->leaders[term] = (uint8_t)(h->index + 1);
    h->sim->stats.elections++;
    sim_trace(h->sim, h, "leads group, term", group_id(number), term);
    for (uint64_t i = t->commit; i > 0 && i + 64 > t->commit; i--) {
        const struct truth_entry *e = &t->committed[i];
        uint64_t has = i <= g->last_index ? trail_term(&g->raft, i) : 0;
        if (e->hash != 0 && e->by_term < term && i > g->mark_index && has != e->term) {
            sim_fail(h->sim, "leader completeness",
                     "%s leads group %" PRIu64 " in term %" PRIu64 " without the committed entry %" PRIu64,
                     h->name, group_id(number), term, i);
        }
    }
}

/* --- Limits (I-10) ----------------------------------------------------------------------------------------- */

static void limit(struct sim_host *h, unsigned number, const char *what, uint64_t value, uint64_t max)
{
    if (value > max) {
        sim_fail(h->sim, "I-10", "%s, group %" PRIu64 ": %s has %" PRIu64 ", at most %" PRIu64 " are allowed",
                 h->name, group_id(number), what, value, max);
    }
}

static void limits_look(struct sim_host *h, unsigned number, struct group *g)
{
    limit(h, number, "the list of proposals", g->waiting.count, PROPOSALS_MAX);
    limit(h, number, "the gate", g->held_count, HELD_MESSAGES_MAX);
    limit(h, number, "the list of peers", g->peers_count, PEERS_MAX);
}

static void host_limits_look(struct sim_host *h)
{
    struct lane *l = &h->node->lanes[0];
    limit(h, 0, "the node's list of calls", h->node->calls_count, 2 * REQUESTS_INFLIGHT_MAX + 1);
    /* A snapshot's installation and what apply needs come on top of proposals. */
    limit(h, 0, "the writer's queue", writer_pending_bytes(l->writer),
          WRITER_QUEUE_MAX_BYTES + (uint64_t)SIM_GROUPS_MAX * (APPLY_SIZE_MAX_BYTES + CACHE_SIZE_MAX_BYTES));
    limit(h, 0, "the list of snapshot senders", l->snapshot_senders, SNAPSHOT_SENDERS_MAX);
}

/* --- One event ---------------------------------------------------------------------------------------------- */

static void failed_look(struct sim_host *h, unsigned number, struct group *g, struct replica *r)
{
    if (h->rotted == 0) {
        sim_fail(h->sim, "no damage", "%s stops group %" PRIu64 " though nothing of its disk is damaged: %s",
                 h->name, group_id(number), g->why);
    }
    sim_trace(h->sim, h, "stops a group over a damaged record", group_id(number), 0);
    r->failed = true;
}

static void replica_look(struct sim_host *h, unsigned number, struct group *g)
{
    struct replica *r = &h->sim->checker->replicas[h->index][number];
    bool is_new = r->group != g;

    if (is_new) {
        memset(r, 0, sizeof *r);
    }
    if (r->failed) {
        return;
    }
    if (g->failed != SG_OK) {
        failed_look(h, number, g, r);
        return;
    }
    if (g->raft.state == RAFT_LEADER && (r->state != RAFT_LEADER || r->term != g->raft.current_term)) {
        leader_look(h, number, g);
    }
    r->term = g->raft.current_term;
    r->state = (unsigned)g->raft.state;
    if (g->last_index != r->last_index || trail_term(&g->raft, g->last_index) != r->last_term) {
        tail_look(h, number, g, r);
        limits_look(h, number, g);
    }
    if (g->commit != r->commit || is_new) {
        commit_look(h, number, g, r);
    }
    if (g->applied != r->applied || is_new) {
        applied_look(h, number, g, r);
        limits_look(h, number, g);
    }
    if (r->installed != g->snapshots_installed) {
        h->sim->stats.installs += g->snapshots_installed - r->installed;
        r->installed = g->snapshots_installed;
    }
    r->group = g;
}

void check_host(struct sim_host *h)
{
    struct lane *l = &h->node->lanes[0];

    if (h->node->catalog != NULL && h->node->state != NODE_LEFT) {
        replica_look(h, 0, h->node->catalog);
    }
    for (size_t i = 0; i < l->slots_count; i++) {
        struct slot *slot = l->slots[i];
        if (slot->shard != NULL) {
            replica_look(h, sim_shard_of(slot->group) + 1, shard_group(slot->shard));
        }
    }
    host_limits_look(h);
}

bool check_is_excused(struct sim_host *h, unsigned number)
{
    struct slot *slot;
    if (h->lost) {
        return true;
    }
    if (h->rotted == 0 || !h->up) {
        return false;
    }
    if (h->sim->checker->replicas[h->index][number].failed) {
        return true;
    }
    slot = number == 0 ? NULL : lane_slot(&h->node->lanes[0], group_id(number));
    /* What is damaged may also keep it from being opened. */
    return h->node->state != NODE_RUNNING || (number == 0 && h->node->catalog == NULL) ||
           (number > 0 && (slot == NULL || (slot->shard == NULL && !slot->opening)));
}

/* --- I-1: what a message says is durable ---------------------------------------------------------------------- */

static void says_durable(struct sim_host *h, uint64_t group, uint64_t term, uint64_t vote, uint64_t index)
{
    struct kv kv;
    struct kv_txn *txn = mem_kv_begin_durable(h->disk, &kv);
    struct log_hard_state hs = {0, 0};
    struct log_bounds bounds;
    struct log_mark mark;
    bool good = h->rotted > 0;

    if (log_hard_state_get(&kv, txn, group, &hs) == SG_OK) {
        good = good || (hs.term >= term && (vote == 0 || hs.term > term || hs.voted_for == vote));
    }
    if (!good) {
        sim_fail(h->sim, "I-1",
                 "%s tells of term %" PRIu64 " and vote %" PRIu64 " in group %" PRIu64
                 "; durable are %" PRIu64 " and %" PRIu64,
                 h->name, term, vote, group, hs.term, hs.voted_for);
    }
    if (index > 0 && h->rotted == 0 && log_bounds(&kv, txn, group, &bounds) == SG_OK && bounds.last < index &&
        (log_mark_get(&kv, txn, group, &mark) != SG_OK || mark.index < index)) {
        sim_fail(h->sim, "I-1", "%s tells of entry %" PRIu64 " in group %" PRIu64 "; durable is %" PRIu64,
                 h->name, index, group, bounds.last);
    }
    kv_abort(&kv, txn);
    kv_close(&kv);
}

static void message_look(struct sim_host *h, uint64_t to, const struct message *m)
{
    switch (m->kind) {
    case MESSAGE_REQUEST_VOTE:
        if (!m->request_vote.pre_vote) {
            says_durable(h, m->group, m->request_vote.term, h->index + 1, m->request_vote.last_log_index);
        }
        break;
    case MESSAGE_REQUEST_VOTE_RESULT:
        if (m->request_vote_result.vote_granted && !m->request_vote_result.pre_vote) {
            says_durable(h, m->group, m->request_vote_result.term, to, 0);
        }
        break;
    case MESSAGE_APPEND_ENTRIES:
        if (m->append_entries.entries_count > 0) {
            says_durable(h, m->group, m->append_entries.term, 0, 0);
        }
        break;
    case MESSAGE_APPEND_ENTRIES_RESULT:
        says_durable(h, m->group, m->append_entries_result.term, 0,
                     m->append_entries_result.rejected == 0 ? m->append_entries_result.last_log_index : 0);
        break;
    case MESSAGE_TIMEOUT_NOW:
        says_durable(h, m->group, m->timeout_now.term, 0, 0);
        break;
    case MESSAGE_NONE:
    case MESSAGE_SNAPSHOT_CHUNK:
    case MESSAGE_SNAPSHOT_ACK:
    case MESSAGE_HELLO:
    case MESSAGE_NODE_STATUS:
    case MESSAGE_FORWARD:
    case MESSAGE_FORWARD_REPLY:
    case MESSAGE_KINDS:
        break;
    }
}

static void checked_send(void *impl, uint64_t node, const struct message *m)
{
    struct way_out *w = impl;
    message_look(w->host, node, m);
    transport_send(&w->inner, node, m);
}

static const struct transport_ops checked_ops = {.send = checked_send};

void check_transport(struct sim_host *h)
{
    struct way_out *w = &h->sim->checker->ways_out[h->index];
    *w = (struct way_out){h, h->node->lanes[0].transport};
    h->node->lanes[0].transport = (struct transport){&checked_ops, w};
}

/* --- I-8, I-4, I-11 ----------------------------------------------------------------------------------------------- */

/* The shard whose number stands in a file's name; SIM_SHARDS_MAX: none. */
static unsigned shard_in_name(const char *name)
{
    for (const char *p = name; *p != '\0'; p++) {
        size_t digits = strspn(p, "0123456789");
        if (digits == ABA_TEXT_SIZE - 1) {
            uint64_t n = 0;
            (void)sscanf(p, "%" SCNu64, &n);
            return sim_shard_of(n);
        }
        p += digits > 0 ? digits - 1 : 0;
    }
    return SIM_SHARDS_MAX;
}

static bool has_applied_own(const struct truth *t, const struct group *g)
{
    uint64_t i = g->applied < t->commit ? g->applied : t->commit;
    while (i > 0 && (t->committed[i].hash == 0 || t->committed[i].term > g->told.term)) {
        i--;
    }
    return i > 0 && t->committed[i].term == g->told.term;
}

void check_bank_request(struct sim_host *h, const struct bank_request *r)
{
    unsigned shard = shard_in_name(r->name);
    struct group *g = shard == SIM_SHARDS_MAX ? NULL : check_group(h, shard + 1);

    if (r->op == BANK_PROBE || r->name[0] == '\0') {
        return;
    }
    if (g == NULL) {
        sim_fail(h->sim, "I-8", "%s asks a bank about %s, a shard it does not have", h->name, r->name);
    }
    /* What the engine told its owner counts: it tells a change at the end of
     * the turn, and a deposed leader may not know anyway. */
    if (!g->told.is_ready || !has_applied_own(&h->sim->checker->truth[shard + 1], g)) {
        sim_fail(h->sim, "I-8",
                 "%s asks a bank about %s in term %" PRIu64
                 " and is not a leader with an entry of its term applied",
                 h->name, r->name, (uint64_t)g->raft.current_term);
    }
}

void check_accepted(struct sim *s, unsigned shard, uint64_t index)
{
    const struct truth *t = &s->checker->truth[shard + 1];
    if (index == 0 || index > t->commit) {
        sim_fail(s, "I-4", "a client was told of index %" PRIu64 " of shard %u; committed is %" PRIu64, index,
                 shard, t->commit);
    }
}

void check_disk(struct sim_host *h, enum mem_kv_op op)
{
    bool writes = op == MEM_KV_BEGIN_WRITE || op == MEM_KV_PUT || op == MEM_KV_DEL || op == MEM_KV_COMMIT;
    if (h->disk_failed && writes) {
        sim_fail(h->sim, "I-11", "%s writes on after a failed write", h->name);
    }
}

/* --- The end: everybody level --------------------------------------------------------------------------------------- */

static bool replica_level(struct sim_host *h, unsigned number, char *why, size_t why_size)
{
    struct group *g = check_group(h, number);
    const struct truth *t = &h->sim->checker->truth[number];

    if (check_is_excused(h, number)) {
        return true;
    }
    if (g == NULL) {
        (void)snprintf(why, why_size, "%s has not opened group %" PRIu64, h->name, group_id(number));
        return false;
    }
    if (g->applied != t->commit || g->last_index != t->commit) {
        (void)snprintf(
            why, why_size,
            "%s has applied %" PRIu64 " of %" PRIu64 " in group %" PRIu64 ", last %" PRIu64 ", term %" PRIu64,
            h->name, g->applied, t->commit, group_id(number), g->last_index, (uint64_t)g->raft.current_term);
        return false;
    }
    return true;
}

static bool holds_replica(struct sim *s, struct sim_host *h, unsigned number)
{
    struct group *any = NULL;
    for (unsigned i = 0; any == NULL && i < s->plan.nodes; i++) {
        any = check_group(&s->hosts[i], number);
    }
    for (unsigned i = 0; any != NULL && i < any->raft.configuration.n; i++) {
        if (any->raft.configuration.servers[i].id == h->index + 1) {
            return true;
        }
    }
    return any == NULL;
}

static bool group_level(struct sim *s, unsigned number, char *why, size_t why_size)
{
    bool has_leader = false;

    for (unsigned i = 0; i < s->plan.nodes; i++) {
        struct sim_host *h = &s->hosts[i];
        struct group *g = check_group(h, number);
        if (!holds_replica(s, h, number)) {
            continue;
        }
        if (!replica_level(h, number, why, why_size)) {
            return false;
        }
        has_leader = has_leader || (g != NULL && role_is_ready(g));
    }
    if (!has_leader) {
        (void)snprintf(why, why_size, "group %" PRIu64 " has no leader at work", group_id(number));
    }
    return has_leader;
}

bool check_level(struct sim *s, char *why, size_t why_size)
{
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        if (!s->hosts[i].up && !s->hosts[i].lost) {
            (void)snprintf(why, why_size, "%s is down", s->hosts[i].name);
            return false;
        }
    }
    for (unsigned number = 0; number <= s->plan.shards; number++) {
        if (!group_level(s, number, why, why_size)) {
            return false;
        }
    }
    return true;
}
