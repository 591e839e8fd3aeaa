#include "shard/engine/engine.h"
#include "shard/engine/guards.h"

/* Entries of one AppendEntries: from the cache, older ones from a read transaction. */
struct reader {
    struct group *g;
    struct kv_txn *txn; /* Begun when it is first needed. */
};

static enum sg_err read_stored(struct reader *r, uint64_t index, struct message_entry *out)
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

static enum sg_err read_entry(struct reader *r, uint64_t index, struct message_entry *out)
{
    const struct entry *e = cache_get(&r->g->cache, index);
    if (e == NULL) {
        return read_stored(r, index, out);
    }
    *out = (struct message_entry){e->term, e->type, entry_data(e)};
    return SG_OK;
}

/* As many of the entries behind prev as one message carries. */
static enum sg_err read_piece(struct reader *r, const struct message_append_entries *a, size_t left,
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
static enum sg_err send_pieces(struct reader *r, uint64_t peer, const struct message *m)
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
    struct reader r = {.g = g};
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

void send_now(struct group *g, uint64_t peer, const struct message *m)
{
    if (is_outdated_candidate(g, m)) {
        return;
    }
    if (m->kind == MESSAGE_APPEND_ENTRIES && m->append_entries.entries_count > 0) {
        send_entries(g, peer, m);
    } else {
        transport_send(g->o.transport, peer, m);
    }
}

static void convert_append_entries(const struct raft_append_entries *a, struct message *m)
{
    m->kind = MESSAGE_APPEND_ENTRIES;
    m->append_entries = (struct message_append_entries){
        .version = a->version,
        .term = a->term,
        .prev_log_index = a->prev_log_index,
        .prev_log_term = a->prev_log_term,
        .leader_commit = a->leader_commit,
        .entries_count = a->n_entries,
    };
}

static void convert_append_entries_result(const struct raft_append_entries_result *r, struct message *m)
{
    m->kind = MESSAGE_APPEND_ENTRIES_RESULT;
    m->append_entries_result = (struct message_append_entries_result){
        .version = r->version,
        .term = r->term,
        .rejected = r->rejected,
        .last_log_index = r->last_log_index,
        .features = r->features,
        .capacity = r->capacity,
    };
}

static void convert_request_vote(const struct raft_request_vote *v, struct message *m)
{
    m->kind = MESSAGE_REQUEST_VOTE;
    m->request_vote = (struct message_request_vote){
        .version = v->version,
        .term = v->term,
        .candidate_id = v->candidate_id,
        .last_log_index = v->last_log_index,
        .last_log_term = v->last_log_term,
        .disrupt_leader = v->disrupt_leader,
        .pre_vote = v->pre_vote,
    };
}

static void convert_request_vote_result(const struct raft_request_vote_result *r, struct message *m)
{
    m->kind = MESSAGE_REQUEST_VOTE_RESULT;
    m->request_vote_result = (struct message_request_vote_result){
        .version = r->version,
        .term = r->term,
        .vote_granted = r->vote_granted,
        .pre_vote = r->pre_vote,
        .features = r->features,
        .capacity = r->capacity,
    };
}

static void convert_timeout_now(const struct raft_timeout_now *t, struct message *m)
{
    m->kind = MESSAGE_TIMEOUT_NOW;
    m->timeout_now = (struct message_timeout_now){
        .version = t->version,
        .term = t->term,
        .last_log_index = t->last_log_index,
        .last_log_term = t->last_log_term,
    };
}

/* false: not a message of its own. */
static bool convert(const struct raft_message *from, struct message *m)
{
    switch (from->type) {
    case RAFT_APPEND_ENTRIES:
        convert_append_entries(&from->append_entries, m);
        return true;
    case RAFT_APPEND_ENTRIES_RESULT:
        convert_append_entries_result(&from->append_entries_result, m);
        return true;
    case RAFT_REQUEST_VOTE:
        convert_request_vote(&from->request_vote, m);
        return true;
    case RAFT_REQUEST_VOTE_RESULT:
        convert_request_vote_result(&from->request_vote_result, m);
        return true;
    case RAFT_TIMEOUT_NOW:
        convert_timeout_now(&from->timeout_now, m);
        return true;
    case RAFT_INSTALL_SNAPSHOT:
        break;
    }
    return false;
}

void send_messages(struct group *g, const struct step *s, const struct raft_update *u)
{
    for (unsigned i = 0; i < u->messages.n && !g->stopped; i++) {
        struct raft_message *rm = &u->messages.batch[i];
        struct message m = {.group = g->o.id};
        if (rm->server_id == 0 || rm->server_id == g->o.node) {
            continue; /* A reply to nobody: the leader is not known any more. */
        }
        if (s->is_stale) {
            guard_g1_patch_reply(rm);
        }
        guard_g8_pre_vote_result(&g->raft, rm);
        if (convert(rm, &m)) {
            gate_send(g, rm->server_id, &m);
        } else {
            snapshot_send_start(g, rm->server_id);
        }
    }
}
