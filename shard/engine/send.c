/* Messages on their way out, behind the output gate (I-1): one leaves only after
 * every term and vote that was gathered before it is durable. */
#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "shard/engine/engine.h"
#include "shard/engine/guards.h"

/* --- Into the queue ------------------------------------------------------------ */

void send_hold(struct group *g, uint64_t peer, const struct message *m)
{
    if (g->held_count == HELD_MESSAGES_MAX) {
        return; /* Messages may be lost; the queue must not grow behind a stuck disk. */
    }
    if (g->held_count == g->held_cap) {
        g->held_cap = g->held_cap == 0 ? 8 : g->held_cap * 2;
        g->held = mem_realloc(g->held, g->held_cap * sizeof(*g->held));
    }
    g->held[g->held_count++] = (struct held_message){g->hard_states_queued, peer, *m};
}

bool send_gather(struct group *g, const struct raft_message *rm)
{
    struct message m = {.group = g->o.id};
    switch (rm->type) {
    case RAFT_APPEND_ENTRIES:
        m.kind = MESSAGE_APPEND_ENTRIES;
        m.append_entries = (struct message_append_entries){
            .version = rm->append_entries.version,
            .term = rm->append_entries.term,
            .prev_log_index = rm->append_entries.prev_log_index,
            .prev_log_term = rm->append_entries.prev_log_term,
            .leader_commit = rm->append_entries.leader_commit,
            .entries_count = rm->append_entries.n_entries, /* The entries themselves are not set. */
        };
        break;
    case RAFT_APPEND_ENTRIES_RESULT:
        m.kind = MESSAGE_APPEND_ENTRIES_RESULT;
        m.append_entries_result = (struct message_append_entries_result){
            .version = rm->append_entries_result.version,
            .term = rm->append_entries_result.term,
            .rejected = rm->append_entries_result.rejected,
            .last_log_index = rm->append_entries_result.last_log_index,
            .features = rm->append_entries_result.features,
            .capacity = rm->append_entries_result.capacity,
        };
        break;
    case RAFT_REQUEST_VOTE:
        m.kind = MESSAGE_REQUEST_VOTE;
        m.request_vote = (struct message_request_vote){
            .version = rm->request_vote.version,
            .term = rm->request_vote.term,
            .candidate_id = rm->request_vote.candidate_id,
            .last_log_index = rm->request_vote.last_log_index,
            .last_log_term = rm->request_vote.last_log_term,
            .disrupt_leader = rm->request_vote.disrupt_leader,
            .pre_vote = rm->request_vote.pre_vote,
        };
        break;
    case RAFT_REQUEST_VOTE_RESULT:
        m.kind = MESSAGE_REQUEST_VOTE_RESULT;
        m.request_vote_result = (struct message_request_vote_result){
            .version = rm->request_vote_result.version,
            .term = rm->request_vote_result.term,
            .vote_granted = rm->request_vote_result.vote_granted,
            .pre_vote = rm->request_vote_result.pre_vote,
            .features = rm->request_vote_result.features,
            .capacity = rm->request_vote_result.capacity,
        };
        break;
    case RAFT_TIMEOUT_NOW:
        m.kind = MESSAGE_TIMEOUT_NOW;
        m.timeout_now = (struct message_timeout_now){
            .version = rm->timeout_now.version,
            .term = rm->timeout_now.term,
            .last_log_index = rm->timeout_now.last_log_index,
            .last_log_term = rm->timeout_now.last_log_term,
        };
        break;
    case RAFT_INSTALL_SNAPSHOT:
        return false;
    }
    send_hold(g, rm->server_id, &m);
    return true;
}

/* --- Out of it ------------------------------------------------------------------ */

/* Entries of one AppendEntries: from the cache, older ones from a read transaction. */
struct send_reader {
    struct group *g;
    struct kv_txn *txn; /* Begun when it is first needed. */
};

static enum sg_err read_stored(struct send_reader *r, uint64_t index, struct message_entry *out)
{
    struct group *g = r->g;
    struct log_entry entry;
    enum sg_err err = r->txn == NULL ? kv_begin(g->o.kv, false, &r->txn) : SG_OK;
    if (err != SG_OK) {
        r->txn = NULL;
        return err;
    }
    err = log_get(g->o.kv, r->txn, g->o.id, index, &entry);
    if (err == SG_OK) {
        *out = (struct message_entry){entry.term, entry.type, entry.data};
    }
    return err == SG_NOTFOUND ? SG_CORRUPT : err;
}

static enum sg_err read_entry(struct send_reader *r, uint64_t index, struct message_entry *out)
{
    const struct cache_entry *e = cache_get(&r->g->cache, index);
    if (e == NULL) {
        return read_stored(r, index, out);
    }
    *out = (struct message_entry){e->term, e->type, cache_entry_data(e)};
    return SG_OK;
}

/* As many of the entries behind prev as one message carries. */
static enum sg_err read_piece(struct send_reader *r, const struct message_append_entries *a, size_t left,
                              struct message_entry *entries, size_t *count)
{
    size_t size = 0;
    size_t n = 0;
    while (n < left && n < APPEND_ENTRIES_MAX) {
        enum sg_err err = read_entry(r, a->prev_log_index + 1 + n, &entries[n]);
        if (err != SG_OK) {
            return err;
        }
        size += entries[n].data.n;
        if (n > 0 && size > APPEND_SIZE_MAX_BYTES) {
            break;
        }
        n++;
    }
    *count = n;
    return SG_OK;
}

/* libraft counts what it asked for as sent; what is left out here costs a
 * rejection later and is sent again. */
static enum sg_err send_pieces(struct send_reader *r, uint64_t peer, const struct message *m)
{
    struct message_entry entries[APPEND_ENTRIES_MAX];
    struct message out = *m;
    struct message_append_entries *a = &out.append_entries;
    size_t left = m->append_entries.entries_count;
    for (int piece = 0; piece < APPEND_PIECES_MAX && left > 0; piece++) {
        enum sg_err err = read_piece(r, a, left, entries, &a->entries_count);
        if (err != SG_OK) {
            return err;
        }
        a->entries = entries;
        transport_send(r->g->o.transport, peer, &out);
        left -= a->entries_count;
        a->prev_log_index += a->entries_count;
        a->prev_log_term = entries[a->entries_count - 1].term;
    }
    return SG_OK;
}

static void send_entries(struct group *g, uint64_t peer, const struct message *m)
{
    const struct message_append_entries *a = &m->append_entries;
    struct send_reader r = {.g = g};
    /* Held back while the term went on: the log may be another one now. */
    if (g->raft.state != RAFT_LEADER || a->term != g->raft.current_term ||
        a->prev_log_index + a->entries_count > g->last_index) {
        return;
    }
    enum sg_err err = send_pieces(&r, peer, m);
    if (r.txn != NULL) {
        kv_abort(g->o.kv, r.txn);
    }
    if (err == SG_CORRUPT || err == SG_IO) {
        group_fail(g, err, "log entries behind %llu: %s", (unsigned long long)a->prev_log_index, kv_damage());
    }
}

/* Held back while somebody else was elected: the log that it tells of may be
 * another one now. */
static bool is_outdated_candidate(const struct group *g, const struct message *m)
{
    return m->kind == MESSAGE_REQUEST_VOTE && !m->request_vote.pre_vote &&
           (g->raft.state != RAFT_CANDIDATE || m->request_vote.term != g->raft.current_term);
}

bool send_gate_is_open(const struct group *g)
{
    return g->hard_states_durable == g->hard_states_queued || FAULT_BUG("message-before-flush");
}

void send_held(struct group *g)
{
    size_t n = 0;
    for (; n < g->held_count && !g->stopped; n++) { /* A damaged record stops the group. */
        const struct held_message *held = &g->held[n];
        const struct message *m = &held->message;
        if (held->gate > g->hard_states_durable && !FAULT_BUG("message-before-flush")) {
            break;
        }
        if (is_outdated_candidate(g, m)) {
            continue;
        }
        if (m->kind == MESSAGE_APPEND_ENTRIES && m->append_entries.entries_count > 0) {
            send_entries(g, held->peer, m);
        } else {
            transport_send(g->o.transport, held->peer, m);
        }
    }
    if (n == g->held_count) {
        send_drop(g);
        return;
    }
    for (size_t i = n; i < g->held_count; i++) {
        g->held[i - n] = g->held[i];
    }
    g->held_count -= n;
}

void send_drop(struct group *g)
{
    mem_free(g->held);
    g->held = NULL;
    g->held_count = 0;
    g->held_cap = 0;
}
