#include "shard/engine/guards.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/fault.h"
#include "proto/base/limits.h"
#include "shard/engine/trail.h"

bool guard_g1_is_stale(const struct raft *r, const struct raft_message *m)
{
    if (FAULT_BUG("guard-g1")) {
        return false;
    }
    if (m->type == RAFT_APPEND_ENTRIES) {
        return m->append_entries.term < r->current_term;
    }
    return m->type == RAFT_INSTALL_SNAPSHOT && m->install_snapshot.term < r->current_term;
}

/* libraft leaves last_log_index uninitialised here, and rejected is 0 when the
 * message began at entry 1. An old sender that leads again takes that for an
 * acknowledgement. 0 and 0 say nothing to a leader, and the term still deposes
 * an older one. */
void guard_g1_patch_reply(struct raft_message *reply)
{
    if (reply->type == RAFT_APPEND_ENTRIES_RESULT) {
        reply->append_entries_result.rejected = 0;
        reply->append_entries_result.last_log_index = 0;
    }
}

/* libraft stores the index of the first new entry of a message for every
 * change in it, which leaves it with the wrong configuration for ever. */
size_t guard_g2_piece(const struct raft_entry *entries, size_t n)
{
    for (size_t i = 1; i < n && !FAULT_BUG("guard-g2"); i++) {
        if (entries[i].type == RAFT_CHANGE) {
            return i;
        }
    }
    return n;
}

bool guard_g2_tells_committed(const struct raft *r, const struct raft_append_entries *m,
                              const struct raft_entry *entries, size_t n)
{
    return !FAULT_BUG("guard-g2") && n > 0 && entries[0].type == RAFT_CHANGE && m->term >= r->current_term &&
           m->prev_log_index > 0 && trail_term(r, m->prev_log_index) == m->prev_log_term;
}

/* libraft takes min(leader_commit, prev + n) without looking at what it has. */
void guard_g3_commit(const struct raft *r, struct raft_append_entries *m)
{
    if (!FAULT_BUG("guard-g3") && m->prev_log_index + m->n_entries < r->commit_index &&
        m->leader_commit > r->commit_index) {
        m->leader_commit = r->commit_index;
    }
}

/* A change before an entry of the leader's own term is committed breaks single
 * server changes (Ongaro 2015). */
bool guard_g4_may_change(const struct raft *r)
{
    return FAULT_BUG("guard-g4") ||
           (r->commit_index > 0 && trail_term(r, r->commit_index) == r->current_term);
}

/* A sole voter elects itself without a new term and without a vote. */
bool guard_g5_voters(size_t voters_count)
{
    return FAULT_BUG("guard-g5") || (voters_count >= REPLICAS_MIN && voters_count <= REPLICAS_MAX);
}

/* A probing leader believes it and takes back what was acknowledged; its count
 * of entries in flight then wraps around and only heartbeats go out. */
bool guard_g6_result(const struct raft *r, uint64_t from, struct raft_append_entries_result *m)
{
    raft_index match = 0;
    if (FAULT_BUG("guard-g6") || m->term != r->current_term || m->rejected == 0) {
        return true;
    }
    if (raft_match_index(r, from, &match) != 0) {
        return true; /* Not ours to judge: libraft ignores it. */
    }
    if (m->last_log_index < match) {
        m->last_log_index = match;
    }
    return m->rejected > match;
}

/* libraft does not know terms below its snapshot and would reject the message,
 * or worse, append entries it has compacted away. All up to the snapshot is
 * committed, so it equals what the leader has. */
size_t guard_g6_anchor(const struct raft *r, struct raft_append_entries *m)
{
    uint64_t snapshot = trail_snapshot_index(r);
    if (FAULT_BUG("guard-g6") || r->snapshot.installing || m->term < r->current_term) {
        return 0;
    }
    if (m->prev_log_index >= snapshot || m->prev_log_index >= trail_first(r)) {
        return 0;
    }
    size_t skip = (size_t)(snapshot - m->prev_log_index);
    skip = skip < m->n_entries ? skip : m->n_entries;
    m->prev_log_index = snapshot;
    m->prev_log_term = r->trail.snapshot.term;
    m->entries = m->entries == NULL ? NULL : m->entries + skip;
    m->n_entries -= (unsigned)skip;
    return skip;
}

/* libraft leaks what a second one carries. */
bool guard_g7_may_install(const struct raft *r)
{
    return FAULT_BUG("guard-g7") || !r->snapshot.installing;
}

/* A refusal that carries the candidate's own term keeps a low term with the
 * longer log and a high term with the shorter one apart for ever. */
void guard_g8_pre_vote_result(const struct raft *r, struct raft_message *m)
{
    struct raft_request_vote_result *result = &m->request_vote_result;
    if (FAULT_BUG("guard-g8") || m->type != RAFT_REQUEST_VOTE_RESULT) {
        return;
    }
    if (result->pre_vote && !result->vote_granted && r->current_term > result->term) {
        result->term = r->current_term;
    }
}

static bool is_voter(const struct raft *r)
{
    for (unsigned i = 0; i < r->configuration.n; i++) {
        if (r->configuration.servers[i].id == r->id) {
            return r->configuration.servers[i].role == RAFT_VOTER;
        }
    }
    return false;
}

void guard_g9_begin(struct raft *r, const struct raft_message *m, struct guard_g9 *g9)
{
    g9->swapped = !FAULT_BUG("guard-g9") && m->type == RAFT_REQUEST_VOTE && r->state == RAFT_FOLLOWER &&
                  r->current_term > 0 && !is_voter(r);
    if (g9->swapped) {
        g9->saved = r->configuration;
        g9->self = (struct raft_server){.id = r->id, .address = r->address, .role = RAFT_VOTER};
        r->configuration = (struct raft_configuration){.servers = &g9->self, .n = 1};
    }
}

void guard_g9_end(struct raft *r, struct guard_g9 *g9)
{
    if (g9->swapped) {
        r->configuration = g9->saved;
    }
}

void guard_g9_timeout(struct raft *r)
{
    if (!FAULT_BUG("guard-g9") && r->state == RAFT_FOLLOWER && !is_voter(r)) {
        r->follower_state.current_leader.id = 0;
    }
}

bool guard_g9_may_promote(const struct raft *r, uint64_t id)
{
    int status = RAFT_CATCH_UP_NONE;
    raft_index match = 0;
    if (FAULT_BUG("guard-g9")) {
        return true;
    }
    if (raft_match_index(r, id, &match) == 0 && match == raft_last_index((struct raft *)(uintptr_t)r)) {
        return true;
    }
    return raft_catch_up(r, id, &status) == 0 && status == RAFT_CATCH_UP_FINISHED;
}

/* A spare gets nothing any more, and libraft waits for it all the same. */
int guard_g10_demoted(void)
{
    return FAULT_BUG("guard-g10") ? RAFT_SPARE : RAFT_STANDBY;
}

/* After a replica was demoted libraft's timeout can lie in the past for ever. */
uint64_t guard_g10_earliest(const struct raft *r, uint64_t last_fired, uint64_t due)
{
    uint64_t earliest = last_fired + r->heartbeat_timeout / 5;
    if (FAULT_BUG("guard-g10") || last_fired == 0) {
        return due;
    }
    return due < earliest ? earliest : due;
}

void guard_g13_begin(struct raft *r, raft_time now, raft_time window_ms, struct guard_g13 *g13)
{
    g13->saved = r->election_timer_start;
    g13->widened = now > window_ms ? now - window_ms : 0;
    g13->applied = !FAULT_BUG("guard-g13") && r->state == RAFT_LEADER && g13->widened < g13->saved;
    if (g13->applied) {
        r->election_timer_start = g13->widened;
    }
}

/* Another start now means that a majority was heard, or that it leads no more. */
void guard_g13_end(struct raft *r, const struct guard_g13 *g13)
{
    if (g13->applied && r->state == RAFT_LEADER && r->election_timer_start == g13->widened) {
        r->election_timer_start = g13->saved;
    }
}

/* One server: id (8 bytes, little endian), address with its zero, role. */
static size_t server_size(struct span rest, uint64_t *id, uint8_t *role)
{
    char address[24];
    if (rest.n < sizeof(uint64_t)) {
        return 0;
    }
    *id = 0;
    for (unsigned i = 8; i-- > 0;) {
        *id = *id << 8 | rest.p[i];
    }
    size_t n = (size_t)snprintf(address, sizeof(address), "%" PRIu64, *id) + 1;
    if (*id == 0 || rest.n < 8 + n + 1 || memcmp(rest.p + 8, address, n) != 0) {
        return 0;
    }
    *role = rest.p[8 + n];
    return 8 + n + 1;
}

#define CONFIGURATION_HEAD_SIZE 9 /* Version, and a count like an id. */
#define CONFIGURATION_VERSION 1

static bool read_servers(struct span data, size_t count)
{
    uint64_t ids[REPLICAS_MAX * 2];
    size_t at = CONFIGURATION_HEAD_SIZE;
    size_t voters = 0;
    for (size_t i = 0; i < count; i++) {
        uint8_t role = 0;
        size_t n = server_size(span_of(data.p + at, data.n - at), &ids[i], &role);
        if (n == 0 || (role != RAFT_VOTER && role != RAFT_STANDBY && role != RAFT_SPARE)) {
            return false;
        }
        for (size_t j = 0; j < i; j++) {
            if (ids[j] == ids[i]) {
                return false;
            }
        }
        voters += role == RAFT_VOTER ? 1 : 0;
        at += n;
    }
    return data.n == (at + 7) / 8 * 8 && guard_g5_voters(voters);
}

bool guard_g11_configuration(struct span data)
{
    if (FAULT_BUG("guard-g11")) {
        return true;
    }
    if (data.n < CONFIGURATION_HEAD_SIZE || data.p[0] != CONFIGURATION_VERSION) {
        return false;
    }
    for (size_t i = 2; i < CONFIGURATION_HEAD_SIZE; i++) {
        if (data.p[i] != 0) {
            return false;
        }
    }
    size_t count = data.p[1];
    return count > 0 && count <= (size_t)REPLICAS_MAX * 2 && read_servers(data, count);
}

bool guard_g12_candidate(uint64_t from, uint64_t candidate)
{
    return FAULT_BUG("guard-g12") || from == candidate;
}

/* libraft asks "in pre-vote?" of a union that then belongs to another state. */
bool guard_n14_drop_vote(const struct raft *r)
{
    return !FAULT_BUG("guard-n14") && r->state != RAFT_CANDIDATE;
}
