/* The engine's inside: one struct for a group and what its files give each
 * other. Only files of this directory include it (it includes raft.h).
 *
 * The files stand here from the bottom up, and each calls only those that stand
 * before it; scripts/check layers knows the order. What is lower wakes the turn
 * (group_later()) and leaves in the struct what it has to tell.
 *
 * Rules between the functions:
 * - turn.c alone calls raft_step(), and nothing steps inside a step.
 * - Callbacks of the owner are made outside of steps: done() and applied() when the
 *   writer has answered, the others at the end of a turn.
 * - After anything that can step or call the owner, look at g->stopped.
 * - Jobs of a group reach the writer in the order of the steps that made them,
 *   and it keeps that order: {term and vote, truncate, append, install, apply,
 *   mark, trim} is one queue. */
#ifndef SHARD_ENGINE_ENGINE_H
#define SHARD_ENGINE_ENGINE_H

#include <raft.h>

#include "shard/engine/cache.h"
#include "shard/engine/group.h"
#include "storage/log.h"
#include "storage/spool.h"

_Static_assert(RAFT_VERSION_NUMBER == 2201, "memory ownership and guards are those of libraft 0.22.1");

#define PEERS_MAX ((size_t)REPLICAS_MAX * 2)

/* --- Jobs ----------------------------------------------------------------- */

/* A job with the writer. A group that is damaged writes nothing any more, not
 * even what stands behind the damaged job in the same batch. */
struct group_job {
    struct writer_job job;
    struct group *g;
    bool refused;    /* run() did nothing: the group, or the rows it needs, are damaged. */
    bool needs_rows; /* It works on the state rows: damage to them ends it, and not the group. */
};

/* Term and vote, a truncation and entries: what the steps of one turn want
 * stored. logs is the log's tail from logs[0] on, as it is after the last of them. */
struct persist_job {
    struct group_job base;
    struct persist_job *next; /* Appends in flight, oldest first. */
    bool has_hard_state;
    struct log_hard_state hard_state;
    uint64_t gate;                /* Hard states queued up to this one. */
    uint64_t truncate_from;       /* 0: nothing to remove. */
    uint64_t first, last;         /* What to report when durable; 0: nothing (any more). */
    struct cache_entry **entries; /* References. */
    struct log_entry *logs;
    size_t entries_count, entries_cap;
};

/* --- Parts ---------------------------------------------------------------- */

/* What libraft is told in one step. All of it is borrowed for the step. */
struct event {
    struct raft_event raft;
    struct cache_entry *submitted; /* SUBMIT: the one entry; NULL once the log has taken it over. */
    bool is_stale;                 /* G1 */
};

/* A message on its way out. It leaves at the end of the turn, or when term and
 * vote are durable. */
struct held_message {
    uint64_t gate;
    uint64_t peer;
    struct message message; /* Entries of an AppendEntries are read when it leaves. */
};

/* A configuration change in the log that libraft has not been told to be committed. */
struct conf_change {
    uint64_t index;
    struct bytes data;
};

/* The state of a replica after an applied entry: digest and set hash, in 8 bytes. */
struct state_at {
    uint64_t index; /* 0: none. */
    uint64_t state;
};

#define STATES_KEPT 64

/* What the leader of a term found out about a peer's state. */
struct compared {
    struct state_at told;
    uint64_t same_index; /* The newest at which it was equal to ours. */
    bool differs;        /* It was not, at told. */
};

/* compare.c: are the rows of the replicas equal? */
struct compare {
    struct state_at states[STATES_KEPT]; /* Own ones, each at its index modulo STATES_KEPT. */
    struct {
        uint64_t from, term, index; /* Index 0: none. */
    } question;                     /* To be answered when index is applied. */
    uint64_t term;                  /* The rest is of the leader of this one. */
    uint64_t confirmed;             /* A majority is known to be equal up to here. */
    uint64_t wanted;                /* The owner waits for confirmed to come here. */
    uint64_t asked;
    bool is_undecided; /* Replicas differ, and no majority says who is right. */
    struct task timer;
    uint64_t timer_at_ms;
    uint64_t confirmed_told;
};

/* scrub.c: counting the rows anew. */
struct scrub {
    struct task timer;
    bool is_active; /* A pass is under way. */
    bool is_wanted; /* One shall begin now. */
    struct bytes cursor;
    uint64_t sum;        /* Of the rows with a key up to cursor, as of g->applied. */
    uint64_t not_before; /* Slices read at an older applied index don't count. */
    struct scrub_slice *slice;
    bool is_reading;    /* It is on WORKER_READ. */
    bool is_overrun;    /* More changed meanwhile than is put aside. */
    struct bytes aside; /* index(8), then as rows.changes: changes behind cursor while a slice is read. */
    uint64_t passes;    /* That found the rows sound. */
};

/* read.c: in the order in which they came. */
struct reads {
    struct group_read *head, *tail;
    size_t count;
    uint64_t round; /* The newest one; of all terms, so that old answers are too low. */
    bool is_new;    /* Some wait for the round that this turn's end begins. */
    struct task timer;
};

/* rebuild.c: the rows are not to be believed, and the leader's are wanted. */
struct rebuild {
    bool is_on;
    bool is_begun;      /* The turn has let go of what used the rows. */
    bool is_due;        /* Ask, or give leadership away. */
    bool is_installing; /* New ones are here, or with the writer. */
    char *why;
    uint64_t since_ms;
    struct task timer;
    uint64_t count;    /* Done so far, */
    uint64_t ended_ms; /* the last one then. */
    uint64_t helped;   /* Of a leader: the owner is to hear that this node gets our rows; 0: no. */
};

struct peer {
    uint64_t node;
    uint64_t read_round; /* It was of our term when it heard of this one. */
    uint64_t heard_ms;   /* Loop time of its last AppendEntries result; 0: never. */
    struct compared compared;
    bool rebuilding; /* It wants our rows, and has not told of a state like ours since. */
    struct snapshot_sender *sender;
};

struct role {
    bool is_ready;
    uint64_t term;
    uint64_t leader;
};

struct proposal_list {
    struct proposal *head, *tail;
    size_t count;
};

struct apply_job;
struct snapshot_stage;
struct install_job;
struct mark_job;

struct group {
    struct group_options o;
    struct log_scope scope;
    char address[24]; /* Our id in decimal: what libraft knows a server by. */
    struct raft raft;
    bool stopped;
    bool is_stepping;
    enum sg_err failed; /* SG_OK: not. */
    bool failed_told;
    char *why;
    size_t jobs_count; /* With the writer or elsewhere. */
    struct task turn;  /* End of the loop's turn. */

    /* Time. The group's clock is the loop's plus clock_ahead_ms. */
    struct task timer;
    uint64_t clock_ahead_ms;
    uint64_t timer_at_ms;     /* Loop time the timer is armed for. */
    uint64_t last_timeout_ms; /* Loop time; 0: never fired. */
    uint64_t hurry_until_ms;  /* A leader was lost for certain: pre-votes are repeated soon. */
    uint64_t hurry_pause_ms;
    uint64_t stragglers_until_ms; /* What the lost leader sent before may still come. */
    uint64_t lost_node;
    bool lost_likeliest;
    uint64_t lost_ms; /* Since when there is no leader; 0: there is one. */

    /* The log. */
    struct cache cache;
    uint64_t last_index;
    uint64_t commit; /* Never goes back (G3), never below applied. */
    struct conf_change *changes;
    size_t changes_count;
    uint64_t log_bytes; /* Payload appended since the mark, about. */

    /* Writes under way. */
    struct persist_job *writes; /* Of this turn, not yet with the writer. */
    struct persist_job *appends_head, *appends_tail;
    uint64_t persisted; /* Durable and not yet told to libraft; 0: nothing. */
    uint64_t hard_states_queued, hard_states_durable;
    struct held_message *held;
    size_t held_count, held_cap;

    /* Applied: as durable here. */
    uint64_t applied;
    struct digest digest;
    uint64_t set;                 /* The set hash. */
    bool has_set;                 /* It is known. */
    uint64_t ran;                 /* Applied in the writer's transaction, flushed or not; >= applied. */
    struct apply_job *applying;   /* The newest one, until it ran. */
    struct proposal_list waiting; /* In the order of their indexes. */
    struct proposal_list lost;    /* To be told SG_UNKNOWN or SG_STOPPED. */

    struct compare compare;
    struct scrub scrub;
    struct reads reads;
    struct rebuild rebuild;

    /* Role. */
    uint64_t ready_index; /* Applied up to here, a leader may act (I-8). */
    struct role told;
    uint64_t elections;

    /* Snapshots. */
    uint64_t mark_index;
    struct mark_job *marking; /* With the writer, or durable and not yet told to libraft. */
    bool trimming;
    uint64_t trimmed; /* Entries up to here are gone from the store. */
    struct peer peers[PEERS_MAX];
    size_t peers_count;
    struct snapshot_stage *stage;   /* Being received. */
    struct install_job *installing; /* From the step that wants it until libraft is told. */
    uint64_t snapshots_sent, snapshots_installed;

    /* Of the writer's thread; the loop reads damage after a done(). */
    uint64_t set_known_at, set_known; /* The set hash after applying this entry; at 0: not known. */
    bool rows_damaged;                /* Or not to be believed: until they are replaced. */
    char *rows_damage;                /* NULL: nobody met a damaged record. */
    bool damaged;                     /* Or of a later program: damage_err tells. */
    enum sg_err damage_err;
    char *damage;
};

/* --- base.c --------------------------------------------------------------- */

/* Run a turn when the callbacks that are due have run. */
void group_later(struct group *g);
/* Stop for good: a damaged record or a broken engine. Only the first counts. The
 * turn that follows lets go of all that is under way. */
void group_fail(struct group *g, enum sg_err err, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The rows are wrong: believe them no more, and get the leader's (rebuild.c). Nothing
 * happens when that is under way. The turn that follows lets go of what used them. */
void group_rows_lost(struct group *g, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* Submit a job; run and done must be set in base.job. */
void group_job_submit(struct group *g, struct group_job *job, size_t size_bytes);
/* At the start of run(): is the group damaged? Then return SG_OK. */
bool group_job_refused(struct group_job *job);
/* At the end of run(): remembers damage. Returns err. */
enum sg_err group_job_result(struct group_job *job, enum sg_err err);
/* At the start of done(): false when the group is stopped or stops now. */
bool group_job_ok(struct group_job *job, enum sg_err err);
/* At the end of done(): the group may be freed after it. */
void group_job_end(struct group *g);
/* The peer's slot; made when it is new and there is room, else NULL. */
struct peer *group_peer(struct group *g, uint64_t node);
void proposal_push(struct proposal_list *list, struct proposal *p);
struct proposal *proposal_pop(struct proposal_list *list);
uint64_t role_leader(const struct group *g);
bool role_is_ready(const struct group *g);
/* The voter that is furthest; of equals one that was heard lately. 0: none. */
uint64_t role_successor(struct group *g);
struct role role_now(const struct group *g);

/* --- conf.c --------------------------------------------------------------- */

/* One more server; its address is its id in decimal. */
void conf_add(struct raft_configuration *conf, uint64_t node, int role);
/* Encoded configuration of voters, the same whatever the order of nodes. */
void conf_encode(const uint64_t *nodes, size_t nodes_count, struct bytes *out);
/* data must have passed guard_g11_configuration(). out is libraft's to free. */
void conf_decode(struct span data, struct raft_configuration *out);
void conf_note(struct group *g, uint64_t index, struct span data);
void conf_truncate(struct group *g, uint64_t from);
/* Forget the oldest one: libraft is told. */
void conf_drop_first(struct group *g);

/* --- persist.c ------------------------------------------------------------ */

/* Take what the step wants stored into the turn's job and the cache. */
void persist_gather(struct group *g, struct event *e, const struct raft_update *u);
/* The turn's job, g->writes, to the writer. */
void persist_submit(struct group *g);
/* The log was replaced: report nothing that is in flight. */
void persist_forget(struct group *g);
/* The group has stopped: what is not with the writer will not be written. */
void persist_drop(struct group *g);

/* --- send.c: the output gate (I-1) ---------------------------------------- */

/* Are all terms and votes durable that a message sent now could tell of? */
bool send_gate_is_open(const struct group *g);
/* Put a message of libraft into the queue; false: INSTALL_SNAPSHOT, which is none of its own. */
bool send_gather(struct group *g, const struct raft_message *rm);
void send_hold(struct group *g, uint64_t peer, const struct message *m);
/* Send, in order, what the gate lets through. */
void send_held(struct group *g);
void send_drop(struct group *g);

/* --- read.c --------------------------------------------------------------- */

/* At the end of a turn: a round for the reads that it brought. */
void read_ask(struct group *g);
void read_receive(struct group *g, uint64_t from, const struct message_read *m);
/* End those whose round a majority answered, or that have lost their leader. */
void read_tell(struct group *g);
void read_timer_run(struct task *task);

/* --- scrub.c -------------------------------------------------------------- */

/* Once, after START. */
void scrub_open(struct group *g);
void scrub_stop(struct group *g);
/* g->applied and g->set moved, by these changes (rows.changes). */
void scrub_applied(struct group *g, struct span changes);
/* The rows were replaced: the pass starts anew. */
void scrub_forget(struct group *g);
/* Count them now. */
void scrub_want(struct group *g);
void scrub_timer_run(struct task *task);

/* --- compare.c ------------------------------------------------------------ */

uint64_t compare_state(const struct digest *digest, uint64_t set);
/* Applied here, flushed or not. */
void compare_note(struct group *g, uint64_t index, uint64_t state);
/* The rows were replaced: what was noted is about others. */
void compare_forget(struct group *g);
/* true: the message says that entries up to its index are committed. */
bool compare_receive(struct group *g, uint64_t from, const struct message_compare *m);
/* Of a leader that applied something, or heard a peer: is there something to ask? */
void compare_look(struct group *g);
void compare_timer_run(struct task *task);

/* --- rebuild.c ------------------------------------------------------------ */

/* Once, after START; why: they were wrong when the group was loaded, or NULL. */
void rebuild_open(struct group *g, const char *why);
/* Within a turn, when the rows were lost. */
void rebuild_begin(struct group *g);
void rebuild_stop(struct group *g);
/* Ask the leader for its rows. */
void rebuild_ask(struct group *g);
/* May rows of this index and term take the place of ours, under our log? */
bool rebuild_fits(const struct group *g, uint64_t index, uint64_t term);
/* New rows are there. */
void rebuild_end(struct group *g);

/* --- apply.c, applied_row.c ----------------------------------------------- */

/* What is committed to the machine, if nothing is on its way there. */
void apply_start(struct group *g);
MUST_USE enum sg_err applied_row_put(struct kv *kv, struct kv_txn *txn, uint64_t group,
                                     const struct applied_row *row);
/* SG_CORRUPT: not a row. Spans point into data. */
MUST_USE enum sg_err applied_row_decode(struct span data, struct applied_row *out);
/* Forget entries that nobody needs from memory. */
void apply_evict(struct group *g);

/* --- snapshot_take.c, snapshot_send.c, snapshot_recv.c --------------------- */

void snapshot_take_maybe(struct group *g);
/* The SNAPSHOT event for a mark that is durable. false: there is none, or libraft may
 * not hear of it. Behind the step, or the false: snapshot_take_end(). */
bool snapshot_take_event(struct group *g, struct event *e);
void snapshot_take_end(struct group *g);
void snapshot_trim(struct group *g);
/* libraft wants peer to have a snapshot. */
void snapshot_send_start(struct group *g, uint64_t peer);
/* The peer wants our rows, of index or later, and keeps its log. */
void snapshot_send_rows(struct group *g, uint64_t peer, uint64_t index);
void snapshot_send_ack(struct group *g, uint64_t from, const struct message_snapshot_ack *ack);
/* The peer answered an AppendEntries: is its installation over? */
void snapshot_send_heard(struct group *g, struct peer *p);
void snapshot_send_stop_all(struct group *g);
/* true: all chunks are there, and libraft is to hear of it: snapshot_recv_message(),
 * then snapshot_recv_stop(). */
bool snapshot_recv_chunk(struct group *g, uint64_t from, const struct message_snapshot_chunk *c);
/* The InstallSnapshot that the stage stands for, but for the sender's address. */
void snapshot_recv_message(struct group *g, struct raft_message *rm);
/* Take the stage for the installation that UPDATE_SNAPSHOT wants. */
void snapshot_recv_gather(struct group *g, const struct raft_update *u);
/* That installation to the writer. */
void snapshot_recv_submit(struct group *g);
/* The PERSISTED_SNAPSHOT event for an installation that is durable; false: there is
 * none. From here on the group's own numbers are the snapshot's. */
bool snapshot_recv_event(struct group *g, struct event *e);
/* Rows that were installed under the log as it is, of which libraft hears nothing, are
 * durable: they are ours from here on. false: there are none. */
bool snapshot_recv_rows(struct group *g);
/* Behind that step. */
void snapshot_recv_end(struct group *g);
/* Nothing more of the snapshot that is being received. */
void snapshot_recv_stop(struct group *g);
/* The group has stopped: nor of one that is not with the writer. */
void snapshot_recv_drop(struct group *g);

/* --- timer.c -------------------------------------------------------------- */

uint64_t timer_clock_ms(struct group *g);
/* Once, after START. */
void timer_open(struct group *g);
/* Is TIMEOUT to be fed now? stored: entries have just become durable. */
bool timer_is_due(struct group *g, bool stored);
/* When to look again. */
void timer_update(struct group *g);
void timer_run(struct task *task);
/* Behind a step, until stragglers_until_ms: a message of a leader whose connection has
 * just broken, sent before it did, is no sign of life. */
void timer_ignore_straggler(struct group *g);

/* --- turn.c --------------------------------------------------------------- */

/* One event now, and what must follow it at once; what they ask for is carried
 * out at the end of the turn. 0, or libraft's refusal of a SUBMIT or TRANSFER
 * (nothing happened then). Any other failure stops the group before a message
 * leaves (G11). Not within a step. */
int turn_step(struct group *g, struct event *e);
/* SUBMIT one entry, and take over e. 0, or libraft's refusal. */
int turn_submit(struct group *g, struct cache_entry *e);
/* Tell libraft that each change up to there is committed. */
void turn_tell_committed(struct group *g, uint64_t upto);
void turn_run(struct task *task);
/* The group has stopped: let go of all that is under way. */
void turn_stop(struct group *g);

/* --- member.c ------------------------------------------------------------- */

/* Of a leader: does it bring a standby up to date? */
bool member_is_catching_up(const struct group *g);

#endif
