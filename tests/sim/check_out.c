/* What leaves a host: messages, requests to banks, answers, writes. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/node/node_impl.h"
#include "tests/sim/check.h"

/* --- I-1: what a message says is durable ---------------------------------------------------------------------- */

static void says_durable(struct sim_host *h, uint64_t group, uint64_t term, uint64_t vote, uint64_t index)
{
    struct kv kv;
    struct kv_txn *txn = mem_kv_begin_durable(host_lane_of(h, group)->disk, &kv);
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
    case MESSAGE_COMPARE:
        says_durable(h, m->group, m->compare.term, 0, 0);
        break;
    case MESSAGE_READ:
        says_durable(h, m->group, m->read.term, 0, 0);
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
    struct message forged;
    check_lane(w->lane, "the way out");
    message_look(w->lane->host, node, m);
    transport_send(&w->inner, node, faults_forge(w->lane->host, m, &forged) ? &forged : m);
}

static const struct transport_ops checked_ops = {.send = checked_send};

void check_transport(struct sim_host *h)
{
    for (unsigned i = 0; i < h->lanes_count; i++) {
        struct way_out *w = &h->sim->checker->ways_out[h->index][i];
        *w = (struct way_out){&h->lanes[i], h->node->lanes[i].transport};
        h->node->lanes[i].transport = (struct transport){&checked_ops, w};
    }
}

/* --- I-8, I-4, I-11 ----------------------------------------------------------------------------------------------- */

/* The shard whose number stands in a file's name; SIM_SHARDS_MAX: none. */
static unsigned shard_in_name(const char *name)
{
    for (const char *p = name; *p != '\0'; p++) {
        size_t digits = strspn(p, "0123456789");
        if (digits == ABA_TEXT_SIZE - 1) {
            return sim_shard_of(strtoull(p, NULL, 10));
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

/* What the engine told its owner counts: it tells a change at the end of the turn,
 * and a deposed leader may not know anyway. */
static bool may_ask(struct sim_host *h, unsigned shard)
{
    const struct group *g = check_group(h, shard + 1);
    return g != NULL && g->told.is_ready && has_applied_own(&h->sim->checker->truth[shard + 1], g);
}

/* A probe names no file: some shard of this lane and bank must be allowed to ask. */
static void probe_look(const struct sim_lane *l, unsigned bank)
{
    struct sim *s = l->host->sim;
    for (unsigned shard = 0; shard < s->plan.shards; shard++) {
        if (bank_of_shard(s, shard) == bank && host_lane_of(l->host, sim_shard_aba(shard).n) == l &&
            may_ask(l->host, shard)) {
            return;
        }
    }
    sim_fail(s, "I-8", "%s probes bank %u and leads no shard of it with an entry of its term applied",
             l->host->name, bank);
}

void check_bank_request(struct sim_lane *l, unsigned bank, const struct bank_request *r)
{
    struct sim_host *h = l->host;
    unsigned shard = shard_in_name(r->name);
    struct group *g = shard == SIM_SHARDS_MAX ? NULL : check_group(h, shard + 1);

    if (r->op == BANK_PROBE) {
        probe_look(l, bank);
        return;
    }
    if (r->name[0] == '\0') {
        return;
    }
    if (g == NULL) {
        sim_fail(h->sim, "I-8", "%s asks a bank about %s, a shard it does not have", h->name, r->name);
    }
    if (!may_ask(h, shard)) {
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

void check_lane(const struct sim_lane *l, const char *what)
{
    struct sim *s = l->host->sim;
    if (s->running_lane != NULL && s->running_lane != l && s->running == l->host) {
        sim_fail(s, "I-18", "lane %u of %s uses %s of lane %u", s->running_lane->number, l->host->name, what,
                 l->number);
    }
}

void check_disk(struct sim_lane *l, enum mem_kv_op op)
{
    bool writes = op == MEM_KV_BEGIN_WRITE || op == MEM_KV_PUT || op == MEM_KV_DEL || op == MEM_KV_COMMIT;
    if (l->disk_failed && writes) {
        sim_fail(l->host->sim, "I-11", "%s writes on after a failed write", l->host->name);
    }
}
