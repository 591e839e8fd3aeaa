/* Messages of other replicas into events. A sender is known, not infallible: what
 * no sound replica says is dropped here. */
#include <inttypes.h>
#include <stdio.h>

#include "proto/base/fault.h"
#include "shard/engine/engine.h"
#include "shard/engine/guards.h"

static void feed(struct group *g, struct raft_message *rm)
{
    struct event e = {.raft.type = RAFT_RECEIVE};
    char address[24];
    (void)snprintf(address, sizeof(address), "%llu", rm->server_id); /* What libraft knows a server by. */
    rm->server_address = address;
    e.raft.receive.message = rm;
    (void)turn_step(g, &e);
}

/* --- AppendEntries ---------------------------------------------------------- */

/* Is this something a leader can have sent? */
static bool append_entries_is_sane(const struct message_append_entries *a)
{
    uint64_t term = a->prev_log_term;
    if (a->term == 0 || a->entries_count > APPEND_ENTRIES_MAX ||
        (a->prev_log_index == 0) != (a->prev_log_term == 0) || a->prev_log_term > a->term) {
        return false;
    }
    for (size_t i = 0; i < a->entries_count; i++) {
        const struct message_entry *e = &a->entries[i];
        if (e->term == 0 || e->term < term || e->term > a->term || e->data.n > ENTRY_SIZE_MAX_BYTES ||
            (e->type != RAFT_COMMAND && e->type != RAFT_BARRIER && e->type != RAFT_CHANGE) ||
            (e->type == RAFT_CHANGE && !guard_g11_configuration(e->data))) {
            return false;
        }
        term = e->term;
    }
    return true;
}

/* In as many RECEIVEs as G2 wants. The payload stays in the message until the step
 * has copied what is new; libraft frees or hands back the block it is said to lie in. */
static void recv_append_entries(struct group *g, uint64_t from, const struct message_append_entries *a)
{
    struct raft_entry all[APPEND_ENTRIES_MAX];
    struct raft_append_entries args = {
        .version = (unsigned char)a->version,
        .term = a->term,
        .prev_log_index = a->prev_log_index,
        .prev_log_term = a->prev_log_term,
        .leader_commit = a->leader_commit,
        .entries = all,
        .n_entries = (unsigned)a->entries_count,
    };
    for (size_t i = 0; i < a->entries_count; i++) {
        const struct message_entry *e = &a->entries[i];
        all[i] = (struct raft_entry){.term = e->term, .type = (enum raft_entry_type)e->type};
        all[i].buf.base = (void *)(uintptr_t)e->data.p; /* Only read. */
        all[i].buf.len = e->data.n;
    }
    (void)guard_g6_anchor(&g->raft, &args);
    struct raft_entry *entries = args.entries;
    size_t left = args.n_entries;
    for (;;) {
        struct raft_message rm = {.type = RAFT_APPEND_ENTRIES, .server_id = from};
        size_t n = guard_g2_piece(entries, left);
        if (guard_g2_tells_committed(&g->raft, &args, entries, n)) {
            turn_tell_committed(g, args.prev_log_index);
        }
        if (g->stopped) {
            return;
        }
        void *block = n == 0 ? NULL : raft_malloc(1);
        CHECK(n == 0 || block != NULL);
        for (size_t i = 0; i < n; i++) {
            entries[i].batch = block;
        }
        args.entries = entries;
        args.n_entries = (unsigned)n;
        rm.append_entries = args;
        guard_g3_commit(&g->raft, &rm.append_entries);
        feed(g, &rm);
        left -= n;
        if (left == 0 || g->stopped || raft_last_index(&g->raft) < args.prev_log_index + n) {
            return; /* Done, or the piece was refused: so would be the rest. */
        }
        args.prev_log_index += n;
        args.prev_log_term = entries[n - 1].term;
        entries += n;
    }
}

/* --- The others ------------------------------------------------------------- */

static void recv_append_entries_result(struct group *g, uint64_t from,
                                       const struct message_append_entries_result *r)
{
    struct raft_message rm = {.type = RAFT_APPEND_ENTRIES_RESULT, .server_id = from};
    struct peer *p = group_peer(g, from);
    rm.append_entries_result = (struct raft_append_entries_result){
        .version = (unsigned char)r->version,
        .term = r->term,
        .rejected = r->rejected,
        .last_log_index = r->last_log_index,
        .features = (unsigned short)r->features,
        .capacity = (unsigned short)r->capacity,
    };
    if (p != NULL && r->term == g->raft.current_term) {
        p->heard_ms = loop_now_ms(g->o.loop);
    }
    if (!guard_g6_result(&g->raft, from, &rm.append_entries_result)) {
        return;
    }
    feed(g, &rm);
    if (p != NULL && !g->stopped) {
        snapshot_send_heard(g, p);
        compare_look(g);
    }
}

static void recv_request_vote(struct group *g, uint64_t from, const struct message_request_vote *v)
{
    struct raft_message rm = {.type = RAFT_REQUEST_VOTE, .server_id = from};
    rm.request_vote = (struct raft_request_vote){
        .version = (unsigned char)v->version,
        .term = v->term,
        .candidate_id = v->candidate_id,
        .last_log_index = v->last_log_index,
        .last_log_term = v->last_log_term,
        .disrupt_leader = v->disrupt_leader,
        .pre_vote = v->pre_vote,
    };
    if (guard_g12_candidate(from, v->candidate_id) && v->term != 0) {
        feed(g, &rm);
    }
}

static void recv_request_vote_result(struct group *g, uint64_t from,
                                     const struct message_request_vote_result *r)
{
    struct raft_message rm = {.type = RAFT_REQUEST_VOTE_RESULT, .server_id = from};
    rm.request_vote_result = (struct raft_request_vote_result){
        .version = (unsigned char)r->version,
        .term = r->term,
        .vote_granted = r->vote_granted,
        .pre_vote = r->pre_vote,
        .features = (unsigned short)r->features,
        .capacity = (unsigned short)r->capacity,
    };
    /* Below version 2 a late pre-vote would count as a vote. */
    if (!guard_n14_drop_vote(&g->raft) && r->version >= 2) {
        feed(g, &rm);
    }
}

static void recv_timeout_now(struct group *g, uint64_t from, const struct message_timeout_now *t)
{
    struct raft_message rm = {.type = RAFT_TIMEOUT_NOW, .server_id = from};
    rm.timeout_now = (struct raft_timeout_now){
        .version = (unsigned char)t->version,
        .term = t->term,
        .last_log_index = t->last_log_index,
        .last_log_term = t->last_log_term,
    };
    feed(g, &rm);
}

static void recv_snapshot_chunk(struct group *g, uint64_t from, const struct message_snapshot_chunk *c)
{
    if (!snapshot_recv_chunk(g, from, c)) {
        return;
    }
    struct raft_message rm;
    snapshot_recv_message(g, &rm);
    feed(g, &rm);
    snapshot_recv_stop(g); /* Unless the installation has taken it. */
}

static bool is_far(uint64_t n, uint64_t ours, uint64_t most)
{
    return n > ours && n - ours > most;
}

/* Terms and indexes that nobody has reached (TERM_AHEAD_MAX): the term is adopted from
 * any message, and an index becomes a promise about the log. */
static bool is_absurd(const struct group *g, const struct message *m)
{
    uint64_t term = 0;
    uint64_t index = 0;
    uint64_t other = 0;
    switch (m->kind) {
    case MESSAGE_APPEND_ENTRIES:
        term = m->append_entries.term;
        index = m->append_entries.prev_log_index;
        other = m->append_entries.leader_commit;
        break;
    case MESSAGE_APPEND_ENTRIES_RESULT:
        term = m->append_entries_result.term;
        index = m->append_entries_result.last_log_index;
        other = m->append_entries_result.rejected;
        break;
    case MESSAGE_REQUEST_VOTE:
        term = m->request_vote.term;
        index = m->request_vote.last_log_index;
        break;
    case MESSAGE_REQUEST_VOTE_RESULT:
        term = m->request_vote_result.term;
        break;
    case MESSAGE_TIMEOUT_NOW:
        term = m->timeout_now.term;
        index = m->timeout_now.last_log_index;
        break;
    case MESSAGE_SNAPSHOT_CHUNK:
        term = m->snapshot_chunk.term;
        index = m->snapshot_chunk.last_index;
        break;
    case MESSAGE_SNAPSHOT_ACK:
        term = m->snapshot_ack.term;
        break;
    case MESSAGE_READ:
        term = m->read.term;
        break;
    case MESSAGE_COMPARE:
        term = m->compare.term;
        index = m->compare.index;
        break;
    case MESSAGE_NONE:
    case MESSAGE_HELLO:
    case MESSAGE_NODE_STATUS:
    case MESSAGE_FORWARD:
    case MESSAGE_FORWARD_REPLY:
    case MESSAGE_KINDS:
        break;
    }
    return !FAULT_BUG("absurd-believed") &&
           (is_far(term, g->raft.current_term, TERM_AHEAD_MAX) ||
            is_far(index, g->last_index, INDEX_AHEAD_MAX) || is_far(other, g->last_index, INDEX_AHEAD_MAX));
}

void group_receive(struct group *g, uint64_t from, const struct message *m)
{
    if (g->stopped || from == 0 || from == g->o.node || m->group != g->o.id) {
        return;
    }
    if (is_absurd(g, m)) {
        logger_line(LOG_WARN, &g->scope, "message.absurd", "kind=%d from=%" PRIu64, (int)m->kind, from);
        return;
    }
    switch (m->kind) {
    case MESSAGE_APPEND_ENTRIES:
        if (append_entries_is_sane(&m->append_entries)) {
            recv_append_entries(g, from, &m->append_entries);
        } else {
            logger_line(LOG_WARN, &g->scope, "message.malformed", "kind=append_entries from=%" PRIu64, from);
        }
        break;
    case MESSAGE_APPEND_ENTRIES_RESULT:
        recv_append_entries_result(g, from, &m->append_entries_result);
        break;
    case MESSAGE_REQUEST_VOTE:
        recv_request_vote(g, from, &m->request_vote);
        break;
    case MESSAGE_REQUEST_VOTE_RESULT:
        recv_request_vote_result(g, from, &m->request_vote_result);
        break;
    case MESSAGE_TIMEOUT_NOW:
        recv_timeout_now(g, from, &m->timeout_now);
        break;
    case MESSAGE_SNAPSHOT_CHUNK:
        recv_snapshot_chunk(g, from, &m->snapshot_chunk);
        break;
    case MESSAGE_SNAPSHOT_ACK:
        snapshot_send_ack(g, from, &m->snapshot_ack);
        break;
    case MESSAGE_READ:
        read_receive(g, from, &m->read);
        break;
    case MESSAGE_COMPARE:
        if (m->compare.kind == COMPARE_ROWS_WANTED && m->compare.term == g->raft.current_term &&
            g->raft.state == RAFT_LEADER) {
            snapshot_send_rows(g, from, m->compare.index);
        }
        if (compare_receive(g, from, &m->compare)) {
            turn_tell_committed(g, m->compare.index);
            group_later(g);
        }
        break;
    case MESSAGE_NONE:
    case MESSAGE_HELLO:
    case MESSAGE_NODE_STATUS:
    case MESSAGE_FORWARD:
    case MESSAGE_FORWARD_REPLY:
    case MESSAGE_KINDS:
        break;
    }
}
