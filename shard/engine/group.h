/* One Raft group: a host of libraft's raft_step() for one routing number or
 * the catalog.
 *
 * Everything here runs on the group's loop. Steps go in (a message, a timeout,
 * a proposal, durable writes), and what comes out is carried out: entries, term
 * and vote to the writer, messages through the output gate (I-1), committed
 * entries to the machine in the writer's transaction (I-2).
 *
 * Calling sequence: group_bootstrap() once in the life of the group on each
 * founding replica, group_join() on one that is added later; group_open(); group_receive(), group_propose() ...; group_stop(), then group_free() when
 * group_is_idle(). */
#ifndef SHARD_ENGINE_GROUP_H
#define SHARD_ENGINE_GROUP_H

#include "proto/frame.h"
#include "proto/base/logger.h"
#include "proto/base/loop.h"
#include "shard/machine.h"
#include "shard/transport.h"
#include "storage/writer.h"

struct group;

struct group_options {
    uint64_t id;           /* Routing number as an integer; 0: the catalog. */
    uint64_t node;         /* This node's id, > 0. */
    const char *node_name; /* For log lines. Must outlive the group. */
    struct loop *loop;
    struct kv *kv;
    struct writer *writer;
    struct transport *transport;
    struct machine machine;
    uint64_t trailing_entries;   /* Kept behind a snapshot; >= inflight_entries (G6c). */
    unsigned inflight_entries;   /* To a follower, not acknowledged; 0: INFLIGHT_ENTRIES_MAX, the most. */
    size_t snapshot_chunk_bytes; /* Of a message; 0: SNAPSHOT_CHUNK_BYTES, the most. */
    unsigned election_timeout_ms;
    unsigned heartbeat_ms;
    uint64_t scrub_every_ms;            /* All rows are counted about so often; 0: SCRUB_EVERY_MS. */
    const char *spool_dir;              /* For large snapshots; NULL: memory only. */
    _Atomic uint32_t *snapshot_senders; /* Running on this node, of all lanes; <= SNAPSHOT_SENDERS_MAX. */
};

/* libraft allocates by proto/base/mem.h from here on: by itself it is left half
 * changed when it gets no memory. Once in a process, before the first group and
 * while no other thread uses libraft. */
void group_use_memory(void);

/* Write term 1, no vote, and entry 1 (the configuration with these voters,
 * byte-identical on every replica whatever the order of nodes) in the caller's
 * transaction. SG_EXISTS: the group has been bootstrapped here. SG_INVALID: fewer than
 * REPLICAS_MIN or more than REPLICAS_MAX nodes, or one twice (G5). */
MUST_USE enum sg_err group_bootstrap(struct kv *kv, struct kv_txn *txn, uint64_t id, const uint64_t *nodes,
                                     size_t nodes_count);

/* Write, in the caller's transaction, what a replica begins with that a running
 * group is about to add: no term and no entry; all it will know comes from the
 * leader. SG_EXISTS: the group has been bootstrapped or joined here. */
MUST_USE enum sg_err group_join(struct kv *kv, struct kv_txn *txn, uint64_t id);

/* Load from the store and start. Reads the whole log and checks every record of
 * it. SG_NOTFOUND: never bootstrapped or joined here. SG_CORRUPT: a record is damaged or
 * contradicts another; why names it. SG_BUSY: too many readers. SG_IO. In each
 * of these cases nothing is running and nothing was written. */
MUST_USE enum sg_err group_open(const struct group_options *options, struct group **out, char *why,
                                size_t why_size);

/* A message of this group from a node. Anything may come: late, twice, out of
 * order, from a term long gone. m is borrowed. */
void group_receive(struct group *g, uint64_t from, const struct message *m);

/* A command on its way through the log. Caller-allocated; the caller's again in
 * done(), which is called exactly once, never before group_propose() returns. */
struct proposal {
    struct span command; /* Copied by group_propose(). */
    /* Answer when the entry is applied, without waiting until that is flushed
     * here: it is durable on a quorum, so it will be applied with the same result
     * whatever dies. Rows read right after may not show it yet (ran_index). */
    bool is_early;
    /* SG_OK: applied and durable here; index and result are set (result is
     *   borrowed for the call).
     * SG_NOTLEADER: not taken; nothing happened.
     * SG_UNKNOWN: leadership was lost with the entry under way: it may or may
     *   not be applied later.
     * SG_STOPPED: the group stopped; like SG_UNKNOWN when it had been taken. */
    void (*done)(struct proposal *p, enum sg_err err);
    uint64_t index;
    struct span result;
    uint64_t term; /* The engine's from here. */
    struct proposal *next;
};

/* SG_OK: taken, done() will come. SG_NOTLEADER, SG_BUSY (PROPOSALS_MAX, the
 * writer is too far behind; an early one also when the store has less than
 * STORE_FREE_SPACE_MIN_BYTES left), SG_TOOBIG, SG_STOPPED: not taken, done() will
 * not come. */
MUST_USE enum sg_err group_propose(struct group *g, struct proposal *p);

/* A question that this leader may answer from its rows when done(SG_OK) comes: they
 * show then whatever anybody was told before group_read() was called, and a majority
 * has said since that nobody leads behind its back. Caller-allocated, the caller's
 * again in done(), which is called exactly once, never before group_read() returns. */
struct group_read {
    /* SG_OK: read now; what is durable here shows it (applied_index).
     * SG_NOTLEADER: leadership was lost: ask the next one.
     * SG_STOPPED. */
    void (*done)(struct group_read *r, enum sg_err err);
    uint64_t term, round, index; /* The engine's. */
    struct group_read *next;
};

/* SG_OK: done() will come; one round of messages answers all reads of a turn, and it is
 * asked for again until a majority hears it, so set a time limit of your own.
 * SG_NOTLEADER, SG_BUSY (READS_MAX), SG_STOPPED: not taken. */
MUST_USE enum sg_err group_read(struct group *g, struct group_read *r);

/* Ask for leadership to move to node (0: the replica that is furthest). It
 * happened when the role changes; it failed when group_status().transferee is 0
 * again and this node still leads. SG_NOTLEADER, SG_INVALID (not a voter),
 * SG_BUSY (a transfer is under way). */
MUST_USE enum sg_err group_transfer(struct group *g, uint64_t node);

/* One step in changing who replicates the group. To move a replica: group_join()
 * and group_open() on the new node; here, on the leader, GROUP_ADD, GROUP_PROMOTE
 * and then, for the old one, GROUP_REMOVE. Half-way it may stop for ever: each
 * step leaves a group that works. */
enum group_change {
    GROUP_ADD,     /* As a standby: it gets everything and does not vote. */
    GROUP_PROMOTE, /* A standby that has caught up becomes a voter. */
    GROUP_DEMOTE,  /* A voter becomes a standby. */
    GROUP_REMOVE,
};

/* SG_OK: it is in the log, and decided when group_status().is_changing is false
 *   again. With the leadership it may be lost: look at the replicas, ask again.
 * SG_NOTLEADER, SG_STOPPED.
 * SG_BUSY: not now: another change or a transfer of leadership is under way, the
 *   leader is new (G4), or the replica to be promoted is behind (G9): the leader
 *   now sees to it that it catches up. Ask again.
 * SG_INVALID: the node has not the part that the change is about; it leads (move
 *   leadership first); fewer than REPLICAS_MIN voters would be left (G5), or more
 *   than REPLICAS_MAX; the group would have too many replicas.
 * Unless SG_OK nothing happened. */
MUST_USE enum sg_err group_change(struct group *g, enum group_change change, uint64_t node);

/* The connection to node broke: if it led this group, or nobody is known to,
 * don't wait for the whole election timeout. likeliest: this replica should stand first; the others give
 * it a head start. Never disturbs a leader that is heard. */
void group_peer_lost(struct group *g, uint64_t node, bool likeliest);

/* Right after group_open() of a group that was bootstrapped a moment ago: stand
 * for election now, and again soon while other replicas are still making theirs,
 * instead of waiting for a whole election timeout. To be called on one replica;
 * if that one is down, the others' timeouts end as always. Nothing happens when
 * the group has had an election before. */
void group_stand(struct group *g);

struct group_replica {
    uint64_t node;
    bool is_voter; /* Else a standby. */
    bool is_leader;
    uint64_t match_index; /* Known to the leader only; else 0. */
    bool is_recent;       /* Heard within an election timeout (leader only). */
    bool installing;      /* A snapshot is on its way to it (leader only). */
    bool is_rebuilding;   /* Its rows were wrong, and it gets ours (leader only). */
};

struct group_status {
    uint64_t id, term, voted_for, leader, transferee;
    bool is_leader;   /* libraft's state. */
    bool is_ready;    /* Leader with an entry of its own term applied. */
    bool is_changing; /* A change of replicas is not decided, or one catches up. */
    bool stopped;     /* Damaged or broken: see why. */
    const char *why;
    uint64_t first_index, last_index, commit_index, applied_index, mark_index;
    uint64_t ran_index;   /* Applied, flushed here or not: early answers reach this far. */
    struct digest digest; /* At applied_index. */
    uint64_t set;         /* The set hash of the rows there (shard/machine.h). */
    struct group_replica replicas[REPLICAS_MAX * 2];
    size_t replicas_count;
    uint64_t elections, snapshots_sent, snapshots_installed;
    uint64_t confirmed_index; /* Of a leader: a majority has its rows up to here (I-17). */
    bool is_rebuilding;       /* This replica's rows are wrong: see why. The leader's are on their way. */
    uint64_t rebuilds;        /* Done since it was opened. */
    bool is_undecided;        /* Of a leader: replicas differ, and no majority says who is right. */
};
void group_status(const struct group *g, struct group_status *out);

/* The newest index that this replica has applied, flushed or not. */
uint64_t group_ran(const struct group *g);

/* I-17: before a leader acts on what its rows said when group_ran() was index, a
 * majority of replicas, itself included, must have had the same rows at index or
 * behind it. Returns up to where that is known in this term; when it is less than
 * index the others are asked, again and again, and machine_ops.confirmed() follows
 * each time that more is known. Of a replica that does not lead: 0. */
uint64_t group_confirm(struct group *g, uint64_t index);

/* The owner found a damaged record (SG_CORRUPT) among the group's rows: this replica
 * believes none of them any more and gets the leader's, as when the engine finds one;
 * another replica leads meanwhile. Or one of a later program (SG_UNSUPPORTED): the
 * group stops for good. */
void group_damaged(struct group *g, enum sg_err err, const char *why);

/* A person says that this replica's rows are not to be believed: it gets the
 * leader's. Of a leader, whoever leads next. */
void group_distrust(struct group *g, const char *reason);

/* Stop timers and take no more events; proposals end with SG_STOPPED. */
void group_stop(struct group *g);
/* No job is with the writer, no work elsewhere. */
bool group_is_idle(const struct group *g);
/* The group must be stopped and idle. */
void group_free(struct group *g);

/* The applied row, readable without an engine (offline inspection). */
struct applied_row {
    uint64_t index, term;
    uint64_t conf_index;
    struct span conf;
    struct digest digest; /* Chained over all that was applied. */
    uint64_t set;         /* The set hash of the rows (shard/machine.h). */
    bool has_set;         /* false: written by a version that knew none. */
};
MUST_USE enum sg_err applied_row_get(struct rows *r, struct applied_row *out);

/* What a log entry is, for people: "command", "barrier", "change". */
const char *group_entry_type_name(uint8_t type);

#endif
