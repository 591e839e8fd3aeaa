/* The guards around libraft 0.22.1: each closes a defect of that version which
 * would lose money or stop a group (docs/raft.md).
 *
 * Pure functions over libraft's public structures; nothing here is kept. In a
 * test build the planted bug "guard-gN" (proto/base/fault.h) switches guard N off. */
#ifndef SHARD_ENGINE_GUARDS_H
#define SHARD_ENGINE_GUARDS_H

#include <raft.h>
#include <stdbool.h>
#include <stddef.h>

#include "proto/base/bytes.h"

/* G1 (N1): is message from an older term, so that its reply tells nothing? Ask before the step. */
bool guard_g1_is_stale(const struct raft *r, const struct raft_message *m);
/* G1 (N1): the reply to such a message: say neither "rejected" nor "stored". */
void guard_g1_patch_reply(struct raft_message *reply);

/* G2 (N3): how many of the n entries one RECEIVE may carry: a configuration
 * change must be the first entry of its message. >= 1 when n > 0. */
size_t guard_g2_piece(const struct raft_entry *entries, size_t n);

/* G2 (N3): do these entries, which begin with a change, tell that all changes up
 * to prev are committed? libraft keeps one that is not, and would forget the one
 * before; a leader appends a change only when the one before is committed. */
bool guard_g2_tells_committed(const struct raft *r, const struct raft_append_entries *m,
                              const struct raft_entry *entries, size_t n);

/* G3 (N5): keep the commit index from going back. */
void guard_g3_commit(const struct raft *r, struct raft_append_entries *m);

/* G4 (N4): may the leader submit a configuration change now? If not, a barrier
 * of its own term must be committed first. */
bool guard_g4_may_change(const struct raft *r);

/* G5 (N2): voters enough for a configuration, and not too many. */
bool guard_g5_voters(size_t voters_count);

/* G6a (N6): false: this rejection is older than what the peer has acknowledged,
 * drop it. Raises the peer's hint to what it has acknowledged. */
bool guard_g6_result(const struct raft *r, uint64_t from, struct raft_append_entries_result *m);
/* G6b (N6): anchor entries below the snapshot of a compacted follower at the
 * snapshot. Returns how many leading entries are to be left out. */
size_t guard_g6_anchor(const struct raft *r, struct raft_append_entries *m);

/* G7 (N7): may an InstallSnapshot be fed? */
bool guard_g7_may_install(const struct raft *r);

/* G8 (N11): a refused pre-vote tells the candidate our term when that is higher. */
void guard_g8_pre_vote_result(const struct raft *r, struct raft_message *m);

/* G9 (N12): a server that is not a voter in its own configuration must vote
 * all the same when asked. Swaps the configuration for the call. */
struct guard_g9 {
    struct raft_server self;
    struct raft_configuration saved;
    bool swapped;
};
void guard_g9_begin(struct raft *r, const struct raft_message *m, struct guard_g9 *g9);
void guard_g9_end(struct raft *r, struct guard_g9 *g9);
/* G9 (N12): such a server forgets its leader when its timer fires. */
void guard_g9_timeout(struct raft *r);

/* G9 (N12): may this standby become a voter? Not before it has the entries. One
 * that has all of them is never "finished" for libraft while nothing new comes. */
bool guard_g9_may_promote(const struct raft *r, uint64_t id);

/* G10 (N13): what a voter becomes that is demoted. */
int guard_g10_demoted(void);
/* G10 (N13): the earliest time for the next TIMEOUT. */
uint64_t guard_g10_earliest(const struct raft *r, uint64_t last_fired, uint64_t due);

/* G11: are the bytes of a configuration safe to hand to libraft, which does not
 * check bounds? Addresses must be the decimal ids. */
bool guard_g11_configuration(struct span data);

/* G12: nobody asks for votes in another's name. */
bool guard_g12_candidate(uint64_t from, uint64_t candidate);

/* G13 (B26): at each TIMEOUT a leader takes for silent who has not answered since
 * the last one, and sends to it no more than one message a heartbeat. Peers that
 * are out of step (one is down) bring TIMEOUTs closer than answers, so that new
 * entries wait for the next heartbeat. Around a leader's TIMEOUT: an answer counts
 * for window_ms, which must be below the election timeout; when to step down stays
 * what it was. now: the group's clock. */
struct guard_g13 {
    raft_time saved;
    raft_time widened;
    bool applied;
};
void guard_g13_begin(struct raft *r, raft_time now, raft_time window_ms, struct guard_g13 *g13);
void guard_g13_end(struct raft *r, const struct guard_g13 *g13);

/* N14: a vote that nobody waits for reads another state's memory. */
bool guard_n14_drop_vote(const struct raft *r);

#endif
