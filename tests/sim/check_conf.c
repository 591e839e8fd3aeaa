/* Who replicates a group: libraft's configuration is the newest one in its log,
 * and changes come as they must. */
#include <inttypes.h>

#include "proto/base/mem.h"
#include "shard/engine/trail.h"
#include "tests/sim/check.h"

void conf_saw(struct truth *t, uint64_t index, const struct found *f)
{
    if (t->confs_count == t->confs_cap) {
        t->confs_cap = t->confs_cap == 0 ? 16 : 2 * t->confs_cap;
        t->confs = mem_realloc(t->confs, t->confs_cap * sizeof t->confs[0]);
    }
    t->confs[t->confs_count++] = (struct seen_conf){index, f->term, f->conf};
}

/* Is this entry in the replica's log, or in its snapshot? */
static bool is_in_log(const struct truth *t, const struct group *g, const struct seen_conf *c)
{
    uint64_t term = c->index <= g->last_index ? trail_term(&g->raft, c->index) : 0;
    if (term == 0 && c->index < trail_snapshot_index(&g->raft)) {
        term = c->index <= t->commit ? t->committed[c->index].term : 0;
    }
    return term == c->term;
}

/* The newest in the log at or below upto; NULL: none is known. */
static const struct seen_conf *newest(const struct truth *t, const struct group *g, uint64_t upto)
{
    const struct seen_conf *best = NULL;
    for (size_t i = 0; i < t->confs_count; i++) {
        const struct seen_conf *c = &t->confs[i];
        if (c->index <= upto && (best == NULL || c->index > best->index) && is_in_log(t, g, c)) {
            best = c;
        }
    }
    return best;
}

static uint64_t encoded_hash(const struct raft_configuration *conf)
{
    struct raft_buffer encoded;
    uint64_t hash;
    CHECK(raft_configuration_encode(conf, &encoded) == 0);
    hash = truth_hash(0, span_of(encoded.base, encoded.len));
    raft_free(encoded.base);
    return hash;
}

static void compare(struct sim_host *h, unsigned number, const char *which,
                    const struct raft_configuration *conf, const struct seen_conf *wanted)
{
    if (encoded_hash(conf) != wanted->hash) {
        sim_fail(h->sim, "R-5",
                 "the %s configuration of %s in group %" PRIu64 " is not that of entry %" PRIu64, which,
                 h->name, check_group_id(number), wanted->index);
    }
}

static void voters_note(struct truth *t, const struct raft_configuration *conf)
{
    uint32_t voters = 0;
    uint32_t all = 0;
    for (unsigned i = 0; i < conf->n; i++) {
        uint32_t bit = 1u << conf->servers[i].id;
        all |= bit;
        voters |= conf->servers[i].role == RAFT_VOTER ? bit : 0;
    }
    t->home = t->home == 0 ? all : t->home;
    t->voters_seen |= 1ull << (voters >> 1);
}

void conf_look(struct sim_host *h, unsigned number, struct group *g)
{
    struct truth *t = &h->sim->checker->truth[number];
    const struct raft *r = &g->raft;
    const struct seen_conf *c = newest(t, g, g->last_index);

    voters_note(t, &r->configuration);
    if (c == NULL || g->installing != NULL || r->snapshot.installing) {
        return;
    }
    compare(h, number, "newest", &r->configuration, c);
    if (r->configuration_uncommitted_index == 0) {
        return;
    }
    if (r->configuration_uncommitted_index != c->index) {
        sim_fail(h->sim, "R-5",
                 "%s takes the configuration of group %" PRIu64 " for entry %llu, and it is entry %" PRIu64,
                 h->name, check_group_id(number), r->configuration_uncommitted_index, c->index);
    }
    c = newest(t, g, c->index - 1);
    if (c != NULL) {
        compare(h, number, "committed", &r->configuration_committed, c);
    }
}

void conf_appended(struct sim_host *h, unsigned number, struct group *g, uint64_t index,
                   const struct found *f)
{
    if (g->raft.state != RAFT_LEADER || f->term != g->raft.current_term || f->conf == 0 || index == 1) {
        return;
    }
    /* Ongaro, 10 July 2015: "bug in single-server membership changes". */
    if (trail_term(&g->raft, g->raft.commit_index) != f->term) {
        sim_fail(h->sim, "R-5",
                 "%s changes group %" PRIu64 " at entry %" PRIu64 " before an entry of its own term %" PRIu64
                 " is committed",
                 h->name, check_group_id(number), index, f->term);
    }
}
