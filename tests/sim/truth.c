/* What is known of each group's log: every entry ever seen, and what was committed. */
#include <inttypes.h>
#include <string.h>

#include "proto/base/mem.h"
#include "shard/engine/trail.h"
#include "tests/sim/check.h"

/* --- Tables that grow ---------------------------------------------------------------------- */

void *truth_grow(void *p, uint64_t *cap, uint64_t index, size_t size)
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

uint64_t truth_hash(uint64_t h, struct span data)
{
    size_t i = 0;
    h += data.n;
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

static struct found found_entry(uint64_t term, uint8_t type, struct span data)
{
    return (struct found){true, term, truth_hash((term << 8 | type) * 0x9e3779b97f4a7c15ull, data),
                          type == RAFT_CHANGE ? truth_hash(0, data) : 0};
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

struct found truth_entry_find(struct sim_host *h, struct group *g, uint64_t index)
{
    struct cache_entry *e = cache_get(&g->cache, index);
    struct found f = {false, 0, 0, 0};
    struct log_entry stored;
    struct kv_txn *txn;

    if (e != NULL) {
        return found_entry(e->term, e->type, cache_entry_data(e));
    }
    if (kv_begin(host_kv(h, g->o.id), false, &txn) != SG_OK) {
        return f;
    }
    if (log_get(host_kv(h, g->o.id), txn, g->o.id, index, &stored) == SG_OK) {
        f = found_entry(stored.term, stored.type, stored.data);
    }
    kv_abort(host_kv(h, g->o.id), txn);
    return f;
}

void truth_matches(struct sim_host *h, unsigned number, uint64_t index, const struct found *f)
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
        if (f->conf != 0) {
            conf_saw(t, index, f);
        }
    } else if (slot->hash != f->hash) {
        sim_fail(h->sim, "R-2",
                 "%s has another entry at index %" PRIu64 " of term %" PRIu64 " in group %" PRIu64
                 " than was seen before",
                 h->name, index, f->term, check_group_id(number));
    }
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
    txn = mem_kv_begin_durable(host_lane_of(h, check_group_id(number))->disk, &kv);
    err = log_get(&kv, txn, check_group_id(number), index, &e);
    if (err == SG_OK) {
        durable = e.term == term;
    } else if (log_mark_get(&kv, txn, check_group_id(number), &mark) == SG_OK) {
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
                 h->name, g->commit, check_group_id(number), durable, voters);
    }
}

static void committed(struct sim_host *h, unsigned number, uint64_t index, const struct found *f,
                      uint64_t term)
{
    struct truth *t = &h->sim->checker->truth[number];
    struct truth_entry *e;

    t->committed = truth_grow(t->committed, &t->commit_cap, index, sizeof t->committed[0]);
    e = &t->committed[index];
    if (e->hash == 0) {
        *e = (struct truth_entry){f->term, f->hash, term};
        t->commit = index > t->commit ? index : t->commit;
    } else if (e->hash != f->hash || e->term != f->term) {
        sim_fail(h->sim, "R-4",
                 "%s commits another entry at index %" PRIu64 " of group %" PRIu64 " (term %" PRIu64
                 ", was %" PRIu64 ")",
                 h->name, index, check_group_id(number), f->term, e->term);
    }
}

void truth_commit(struct sim_host *h, unsigned number, struct group *g, struct replica *r)
{
    uint64_t from = r->commit + 1;

    if (g->commit < r->commit) {
        sim_fail(h->sim, "R-4", "%s goes back from commit %" PRIu64 " to %" PRIu64, h->name, r->commit,
                 g->commit);
    }
    if (r->group == NULL && g->commit > 64) {
        from = g->commit - 64; /* A new process: its end must do. */
    }
    for (uint64_t i = from; i <= g->commit; i++) {
        struct found f = truth_entry_find(h, g, i);
        if (f.found) {
            committed(h, number, i, &f, g->raft.current_term);
        }
    }
    if (g->raft.state == RAFT_LEADER) {
        quorum_look(h, number, g);
    }
    r->commit = g->commit;
}
