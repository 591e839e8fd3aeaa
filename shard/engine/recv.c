#include <inttypes.h>
#include <stdio.h>

#include "shard/engine/engine.h"
#include "shard/engine/guards.h"

#define ADDRESS_SIZE 24

/* A message as libraft takes it: a server is known by its id in decimal. */
static void fill(struct raft_message *rm, enum raft_message_type type, uint64_t from, char *address)
{
    (void)snprintf(address, ADDRESS_SIZE, "%" PRIu64, from);
    rm->type = type;
    rm->server_id = from;
    rm->server_address = address;
}

static void feed(struct group *g, struct raft_message *rm)
{
    struct step s = {.event = {.type = RAFT_RECEIVE}};
    s.event.receive.message = rm;
    (void)group_step(g, &s);
}

/* --- AppendEntries ---------------------------------------------------------- */

/* Is this something a leader can have sent? A peer is authenticated, not infallible. */
static bool entries_are_sane(const struct message_append_entries *a)
{
    uint64_t term = a->prev_log_term;
    for (size_t i = 0; i < a->entries_count; i++) {
        const struct message_entry *e = &a->entries[i];
        if (e->term == 0 || e->term < term || e->term > a->term || e->data.n > ENTRY_SIZE_MAX_BYTES) {
            return false;
        }
        if (e->type != RAFT_COMMAND && e->type != RAFT_BARRIER && e->type != RAFT_CHANGE) {
            return false;
        }
        if (e->type == RAFT_CHANGE && !guard_g11_configuration(e->data)) {
            return false;
        }
        term = e->term;
    }
    return true;
}

static bool append_entries_is_sane(const struct message_append_entries *a)
{
    if (a->term == 0 || a->entries_count > APPEND_ENTRIES_MAX) {
        return false;
    }
    if ((a->prev_log_index == 0) != (a->prev_log_term == 0) || a->prev_log_term > a->term) {
        return false;
    }
    if (a->prev_log_index > UINT64_MAX / 2) {
        return false;
    }
    return entries_are_sane(a);
}

static void fill_entries(const struct message_append_entries *a, struct raft_entry *entries)
{
    for (size_t i = 0; i < a->entries_count; i++) {
        const struct message_entry *e = &a->entries[i];
        entries[i] = (struct raft_entry){.term = e->term, .type = (enum raft_entry_type)e->type};
        entries[i].buf.base = (void *)(uintptr_t)e->data.p; /* Only read. */
        entries[i].buf.len = e->data.n;
    }
}

/* One RECEIVE. The payload stays in the message until the step's update copies
 * what is new; libraft frees or hands back the block it is said to lie in. */
static void feed_piece(struct group *g, uint64_t from, struct raft_append_entries *args,
                       struct raft_entry *entries, size_t n)
{
    struct raft_message rm;
    char address[ADDRESS_SIZE];
    fill(&rm, RAFT_APPEND_ENTRIES, from, address);
    args->entries = entries;
    args->n_entries = (unsigned)n;
    void *block = NULL;
    if (n > 0) {
        block = raft_malloc(1);
        CHECK(block != NULL);
    }
    for (size_t i = 0; i < n; i++) {
        entries[i].batch = block;
    }
    rm.append_entries = *args;
    guard_g3_commit(&g->raft, &rm.append_entries);
    feed(g, &rm);
}

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
    fill_entries(a, all);
    (void)guard_g6_anchor(&g->raft, &args);
    struct raft_entry *entries = args.entries;
    size_t left = args.n_entries;
    for (;;) {
        size_t n = guard_g2_piece(entries, left);
        if (guard_g2_tells_committed(&g->raft, &args, entries, n)) {
            conf_feed(g, args.prev_log_index);
        }
        if (g->stopped) {
            return;
        }
        feed_piece(g, from, &args, entries, n);
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
    struct raft_message rm;
    char address[ADDRESS_SIZE];
    struct peer *p = group_peer(g, from);
    fill(&rm, RAFT_APPEND_ENTRIES_RESULT, from, address);
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
    struct raft_message rm;
    char address[ADDRESS_SIZE];
    if (!guard_g12_candidate(from, v->candidate_id) || v->term == 0) {
        return;
    }
    fill(&rm, RAFT_REQUEST_VOTE, from, address);
    rm.request_vote = (struct raft_request_vote){
        .version = (unsigned char)v->version,
        .term = v->term,
        .candidate_id = v->candidate_id,
        .last_log_index = v->last_log_index,
        .last_log_term = v->last_log_term,
        .disrupt_leader = v->disrupt_leader,
        .pre_vote = v->pre_vote,
    };
    feed(g, &rm);
}

static void recv_request_vote_result(struct group *g, uint64_t from,
                                     const struct message_request_vote_result *r)
{
    struct raft_message rm;
    char address[ADDRESS_SIZE];
    /* Below version 2 a late pre-vote would count as a vote. */
    if (guard_n14_drop_vote(&g->raft) || r->version < 2) {
        return;
    }
    fill(&rm, RAFT_REQUEST_VOTE_RESULT, from, address);
    rm.request_vote_result = (struct raft_request_vote_result){
        .version = (unsigned char)r->version,
        .term = r->term,
        .vote_granted = r->vote_granted,
        .pre_vote = r->pre_vote,
        .features = (unsigned short)r->features,
        .capacity = (unsigned short)r->capacity,
    };
    feed(g, &rm);
}

static void recv_timeout_now(struct group *g, uint64_t from, const struct message_timeout_now *t)
{
    struct raft_message rm;
    char address[ADDRESS_SIZE];
    fill(&rm, RAFT_TIMEOUT_NOW, from, address);
    rm.timeout_now = (struct raft_timeout_now){
        .version = (unsigned char)t->version,
        .term = t->term,
        .last_log_index = t->last_log_index,
        .last_log_term = t->last_log_term,
    };
    feed(g, &rm);
}

static void recv_append_entries_checked(struct group *g, uint64_t from,
                                        const struct message_append_entries *a)
{
    if (!append_entries_is_sane(a)) {
        logger_line(LOG_WARN, &g->scope, "message.malformed", "kind=append_entries from=%" PRIu64, from);
        return;
    }
    recv_append_entries(g, from, a);
}

void group_receive(struct group *g, uint64_t from, const struct message *m)
{
    if (g->stopped || from == 0 || from == g->o.node || m->group != g->o.id) {
        return;
    }
    switch (m->kind) {
    case MESSAGE_APPEND_ENTRIES:
        recv_append_entries_checked(g, from, &m->append_entries);
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
        snapshot_recv_chunk(g, from, &m->snapshot_chunk);
        break;
    case MESSAGE_SNAPSHOT_ACK:
        snapshot_send_ack(g, from, &m->snapshot_ack);
        break;
    case MESSAGE_COMPARE:
        compare_receive(g, from, &m->compare);
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
