/* A cluster in one process, under a seed: whole nodes over simulated time,
 * disks, network, clocks, banks and people.
 *
 * Everything that happens is an event on one heap; what happens at random comes
 * from one generator. So a seed gives the same run to the last event. The
 * nodes are the product's own (supervisor/node/node.h); only what is behind the
 * seams is made here:
 *
 *   world.c    events, time, random numbers, the trace
 *   plan.c     what a run is made of: from the seed or from a scenario file
 *   host.c     what one node's process runs on: loops, workers, disks, clocks
 *   life.c     its start, pause, leaving and death
 *   net.c      links that lose, repeat, delay, reorder, cut and part
 *   bank.c     endpoints that are slow, drop the line and take files;
 *              bank_world.c: what happens to their servers
 *   config.c   the configuration file that people apply
 *   client.c   calls with time limits that are repeated with the same ids
 *   people.c   who submits, repeats, cancels, closes, looks; what was promised
 *   library.c  programs that use the client library; threads.c, connections.c: what
 *              it sees of the world
 *   history.c  a shard with a long past
 *   moves.c    replicas that are added, promoted, demoted, removed
 *   faults.c   who breaks what, when
 *   check.c    the invariants of every event, by their numbers; truth.c: of the
 *              log, check_conf.c: of who replicates it, check_out.c: of what
 *              leaves a host, check_level.c: at the end
 *   heap.c     what libraft allocates
 *   memory.c   what a node allocates, check_memory.c: how much that may be
 *   rows.c     the invariants of the stored state, at fixed points
 *   check_pace.c   how much one turn of a loop asks of the store
 *   settle.c   what was promised against what the bank got, at the end
 *   run.c      one run from beginning to end
 *   main.c     seeds, jobs, figures */
#ifndef TESTS_SIM_SIM_H
#define TESTS_SIM_SIM_H

#include <stdio.h>

#include "proto/client.h"
#include "proto/base/hash.h"
#include "proto/base/loop.h"
#include "shard/upload/bank.h"
#include "storage/mem_kv.h"
#include "supervisor/node/node.h"
#include "tests/sim/plan.h"

#define SIM_NODES_MAX 5
#define SIM_SHARDS_MAX 16
#define SIM_GROUPS_MAX (SIM_SHARDS_MAX + 1) /* The catalog is number 0. */
#define SIM_BANKS_MAX 4
#define SIM_LANES_MAX 3
#define SIM_TRACE_LINES 200

struct rows;
struct sim;
struct sim_host;
struct sim_lane;

/* --- world.c --------------------------------------------------------------------------- */

struct sim_event {
    uint64_t at_us;
    uint64_t order;        /* Ties: first armed, first run. */
    struct sim_host *host; /* NULL: the world's own. Dead hosts' events vanish. */
    struct sim_lane *lane; /* Whose loop runs it; NULL: another thread, or the world. */
    uint64_t life;         /* The host's incarnation when it was armed. */
    void (*run)(void *arg);
    void (*drop)(void *arg); /* Instead of run() when the host died; may be NULL. */
    void *arg;
    size_t slot; /* In the heap; SIZE_MAX: not in it. */
};

uint64_t sim_random(struct sim *s);
/* 0 to n - 1; n > 0. */
uint64_t sim_below(struct sim *s, uint64_t n);
/* true in per_million of a million cases. */
bool sim_chance(struct sim *s, uint32_t per_million);
/* low to high, most values near low: delays look like that. */
uint64_t sim_skewed(struct sim *s, uint64_t low, uint64_t high);
/* When the next of something happens that comes every so often. */
uint64_t sim_gap_us(struct sim *s, uint64_t every_ms);

/* Schedules, on a host's first loop; the event is freed after it ran or was cancelled. */
struct sim_event *sim_at(struct sim *s, struct sim_host *host, uint64_t delay_us, void (*run)(void *arg),
                         void *arg);
/* On this loop. */
struct sim_event *sim_at_lane(struct sim_lane *lane, uint64_t delay_us, void (*run)(void *arg), void *arg);
/* On a thread of the host beside its loops. */
struct sim_event *sim_at_thread(struct sim_host *host, uint64_t delay_us, void (*run)(void *arg), void *arg);
/* On this loop after all events of this moment, as the end of a turn. */
struct sim_event *sim_at_turn_end(struct sim_lane *lane, void (*run)(void *arg), void *arg);
void sim_cancel(struct sim *s, struct sim_event *e);
/* Instead of running it: its host has died. */
void sim_drop(const struct sim_event *e);
/* Runs the next event. false: there is none. */
bool sim_step(struct sim *s);
/* Runs events until then. */
void sim_run_until(struct sim *s, uint64_t at_us);

/* Notes what happened: into the trace's hash and the last lines. The first '#'
 * in what stands for a, the second for b. what is static. */
void sim_trace(struct sim *s, const struct sim_host *host, const char *what, uint64_t a, uint64_t b);
/* And each '$' for a word, static too. */
void sim_trace_words(struct sim *s, const struct sim_host *host, const char *what, const char *word,
                     const char *word2, uint64_t a, uint64_t b);
/* A broken invariant, by its number (docs/simulator.md): prints seed, number, the
 * last events, the command that repeats it, and ends the process with status 1. */
_Noreturn void sim_fail(struct sim *s, const char *invariant, const char *fmt, ...) PRINTF_LIKE(3, 4);

/* A CHECK that fails, or a bad access, is told in the same way. */
void sim_catch_signals(struct sim *s);

/* --- host.c --------------------------------------------------------------------------------- */

/* A loop of a process with its store. */
struct sim_lane {
    struct sim_host *host;
    unsigned number;
    struct mem_kv *disk;
    struct kv kv;
    struct loop loop;
    struct bank bank;
    uint64_t rng;
    bool store_is_at_work, reader_is_at_work;
    uint64_t loop_ops;      /* Asked of the disk by the loop: the measure of its work here. */
    struct meter turns;     /* Of the loop, in those. */
    uint64_t stall_us;      /* Of the store's job that runs now. */
    uint64_t store_free_us; /* The store's thread is busy until then. */
    uint64_t posted_us;     /* What was posted last is seen then. */
    bool disk_will_fail, disk_failed;
    bool stalled;            /* Its loop stands still. */
    struct sim_event **held; /* Events that came up meanwhile. */
    size_t held_count, held_cap;
};

struct sim_host {
    struct sim *sim;
    unsigned index;
    char name[8];
    uint64_t life; /* Counts starts and ends. */
    bool up, paused, leaving;
    uint32_t level_max; /* Of the program that it starts with; 0: LEVEL_MAX. */
    bool lost;          /* Its disk is gone or its identity damaged: it is refused for good. */
    struct sim_lane lanes[SIM_LANES_MAX];
    unsigned lanes_count;
    struct link link;
    struct node *node;
    int64_t wall_offset_ms;
    int32_t drift_ppm;
    uint64_t store_ops; /* Asked of the disk in this life. */
    bool disk_is_full;
    unsigned rotted;         /* Records damaged. */
    struct sim_event **held; /* Events that came up while paused. */
    size_t held_count, held_cap;
    uint64_t start_us;
    uint64_t has_long_log;          /* Life that begins with a log from history.c. */
    int64_t raft_blocks;            /* That libraft holds in this process. */
    uint64_t memory, memory_blocks; /* Bytes and blocks that this process has allocated and not freed. */
};

/* A new process has a new loop over the same disk. */
void host_renew_lane(struct sim_lane *l);
/* Once, before any host. */
void host_watch(struct sim *s);
void host_init(struct sim_host *h, struct sim *s, unsigned index);
void host_start(struct sim_host *h);
void host_kill(struct sim_host *h);
void host_pause(struct sim_host *h);
void host_resume(struct sim_host *h);
/* SIGTERM. */
void host_leave(struct sim_host *h);
/* An event that came up while its host is paused or its loop stalled: it waits. */
void host_hold(struct sim_event *e);
/* This loop stands still for so long. */
void host_stall_lane(struct sim_lane *l, uint64_t for_us);
void host_stall_end(struct sim_lane *l);
/* Where a group lives on this host. */
struct sim_lane *host_lane_of(struct sim_host *h, uint64_t group);
struct kv *host_kv(struct sim_host *h, uint64_t group);
int64_t host_wall_ms(const struct sim_host *h);
/* What a right clock showed when the run began. */
int64_t sim_wall_begin_ms(const struct sim *s);
void host_set_disk_full(struct sim_host *h, bool full);
/* Up, not paused, not refused. */
bool host_serves(const struct sim_host *h);
const struct zone *host_zone(void *impl, struct span name);

/* --- net.c ------------------------------------------------------------------------------------ */

struct link net_link(struct sim_host *h);
void net_started(struct sim_host *h);
void net_died(struct sim_host *h);
/* Nothing from a to b gets through. */
void net_cut(struct sim *s, unsigned a, unsigned b, bool cut);
/* What this node sends, and what is sent to it, arrives when that time is over. */
void net_clog(struct sim *s, unsigned a, uint64_t for_us);
void net_heal(struct sim *s);
/* The connection between two breaks and comes back. */
void net_reset(struct sim *s, unsigned a, unsigned b);

/* --- bank.c ----------------------------------------------------------------------------------- */

struct bank bank_seam(struct sim_lane *l);
void bank_start(struct sim *s);
void bank_heal(struct sim *s);
void bank_purge(struct sim *s);
void bank_backup(struct sim *s);
void bank_power_loss(struct sim *s);
void bank_fill(struct sim *s, uint64_t for_us);

/* Somebody else puts a file under this name into the drop directory, for a while
 * or for good. */
void bank_stranger(struct sim *s, unsigned bank, const char *name);

/* What the bank itself did, for the names that it did it to. */
enum bank_fact_kind {
    BANK_LOST,    /* Took it out of staging: a purge, a roll-back. */
    BANK_STRANGER /* Put a stranger's file there. */
};
bool bank_fact(const struct sim *s, unsigned bank, enum bank_fact_kind kind, const char *name);

/* A file that the bank has, or had, under its final name. */
struct delivery {
    char name[BANK_NAME_SIZE];
    struct bytes data;
    unsigned published; /* Times it came into the drop directory. */
    unsigned taken;     /* Times the bank took it. */
    bool excused;       /* The bank's own roll-back brought it again. */
    bool lost;          /* The bank's own roll-back took it away. */
    struct delivery *next;
};
struct delivery *bank_delivery(struct sim *s, const char *name);
void bank_each(struct sim *s, void (*f)(void *impl, const struct delivery *d), void *impl);
/* Has this bank done what no client can stand: purged, rolled back? */
bool bank_broke_its_word(const struct sim *s, unsigned bank);
/* Nothing lies in a drop directory. */
bool bank_has_taken_all(const struct sim *s);
unsigned bank_of_shard(const struct sim *s, unsigned shard);

/* --- config.c --------------------------------------------------------------------------------- */

struct aba sim_shard_aba(unsigned shard);
/* SIM_SHARDS_MAX: none of them. */
unsigned sim_shard_of(uint64_t group);
/* Apply what people want now; and from then on, again and again, more shards or other settings. */
void config_apply(struct sim *s, unsigned tries);
void config_apply_more(void *sim);

/* --- client.c --------------------------------------------------------------------------------- */

struct client_call {
    struct sim *sim;
    struct bytes request;
    enum request_kind kind;
    unsigned tries_left;
    bool once; /* May not be repeated when it may have happened. */
    uint64_t began_us;
    uint64_t timeout_us; /* The client's own, of one try. */
    uint64_t try_number;
    struct sim_event *timer;
    /* r NULL: gave up without an answer that decides. */
    void (*answered)(struct client_call *c, const struct reply *r);
    unsigned shard;
    void *impl;
};
/* Fills the request's time limit; the call frees itself after answered(). */
struct client_call *client_send(struct sim *s, struct request *r, unsigned tries, bool once,
                                void (*answered)(struct client_call *c, const struct reply *r), void *impl);

/* --- people.c ----------------------------------------------------------------------------------- */

enum said { SAID_NOTHING, SAID_ACCEPTED, SAID_REJECTED };
enum cancel_said { CANCEL_NONE, CANCEL_DONE, CANCEL_LATE };

/* One transfer, and what was said of it. */
struct promise {
    unsigned shard;
    uint64_t number; /* In its shard, from 1. */
    char id[24];
    char individual_id[16];
    struct transfer transfer; /* Its texts live as long as the run. */
    bool bad;                 /* Must be rejected. */
    bool may_wait;            /* Its effective date may lie ahead. */
    bool was_changed;         /* Somebody tried the id with other content. */
    enum said said;
    bool heard_accepted; /* Not folded: once only. */
    uint64_t index;
    enum cancel_said cancel;
    uint64_t cancelled_us; /* When that was heard first. */
    unsigned files;        /* Of the bank that hold it. */
    unsigned sends;        /* By anybody. */
    bool not_done;         /* The client library said so of the only one. */
    uint64_t not_before;   /* Then: committed in the shard when it was sent again. */
};

/* A transfer as somebody sends it. */
struct people_item {
    struct promise *promise;
    bool changed; /* With other content than before. */
};

struct people {
    struct promise **of[SIM_SHARDS_MAX];
    size_t count[SIM_SHARDS_MAX], cap[SIM_SHARDS_MAX];
    size_t total, calls_open;
    unsigned shards_applied;    /* Shards that a configuration was sent for. */
    bool known[SIM_SHARDS_MAX]; /* A shard answered for it. */
    unsigned closes[SIM_SHARDS_MAX];
    unsigned generation;
    bool resting;
    size_t apply_open;
};

void people_start(struct sim *s);
void people_rest(struct sim *s); /* Nothing new. */
/* All shards exist, everything ever submitted is submitted again. */
void people_repeat_all(struct sim *s);
/* Close a window of every shard. */
void people_close_all(struct sim *s);
/* Ask an operator's decision for what is on hold. */
void people_resolve(struct sim *s, unsigned shard, uint64_t file, bool as_uploaded);
struct promise *people_promise(struct sim *s, unsigned shard, struct span id);
struct promise *people_promise_of_individual(struct sim *s, struct span individual_id);

/* A shard that there may be, the first one half of the time. */
unsigned people_shard(struct sim *s);
struct promise *people_new(struct sim *s, unsigned shard);
/* Something new or something again; and as it is sent. */
struct people_item people_item(struct sim *s, unsigned shard);
struct transfer people_transfer(struct sim *s, const struct people_item *item);
/* An outcome that a node answered: I-4, I-5, I-13. */
void people_heard(struct sim *s, const struct people_item *item, const struct submit_result *r);

/* --- library.c, threads.c, connections.c --------------------------------------------------------- */

void library_start(struct sim *s);
void threads_begin(struct sim *s);
/* run(arg) on a thread of its own, which may call supervisor/client. */
void thread_start(struct sim *s, void (*run)(void *arg), void *arg);
void connections_start(struct sim *s);
/* The process has ended. */
void connections_lost(struct sim_host *h);

/* --- history.c ---------------------------------------------------------------------------------- */

/* Runs until the past can be made, if the plan wants one. */
void history_make(struct sim *s);
void history_started(struct sim_host *h);

/* --- moves.c ------------------------------------------------------------------------------------- */

void moves_start(struct sim *s);
/* Every group gets back the replicas it began with. */
void moves_restore(struct sim *s);
bool moves_level(struct sim *s, unsigned number, char *why, size_t why_size);

/* --- heap.c -------------------------------------------------------------------------------------- */

void heap_start(struct sim *s);
/* When nothing is under way. */
void heap_check(struct sim_host *h);

/* --- memory.c ------------------------------------------------------------------------------------ */

/* From now on what hosts allocate is counted. */
void memory_start(struct sim *s);

/* --- check_memory.c ------------------------------------------------------------------------------ */

/* After each event of a host: I-10. */
void memory_look(struct sim_host *h);
/* When nothing is under way; and then with processes that have just started. */
void memory_note(struct sim *s);
void memory_compare(struct sim *s);

/* --- check_pace.c -------------------------------------------------------------------------------- */

/* After each event of a host: L-3. */
void pace_look(struct sim_host *h);

/* --- faults.c ------------------------------------------------------------------------------------ */

void faults_start(struct sim *s);
/* Everything works again; one node may stay away until faults_return(). */
void faults_heal(struct sim *s);
void faults_return(struct sim *s);

/* --- levels.c -------------------------------------------------------------------------- */

/* Before the hosts start. */
void levels_start(struct sim *s);
/* All get the program that speaks most. */
void levels_heal(struct sim *s);
/* Has anybody's catalog left level 1? */
bool levels_are_raised(const struct sim *s);
/* Catalogs and shards stand at the highest level; asks for it while they don't. */
bool levels_raised_all(struct sim *s, char *why, size_t why_size);
/* It was elected. */
void faults_elected(struct sim_host *h);
/* What a node that went wrong in its memory might send instead of m; false: m. */
bool faults_forge(struct sim_host *h, const struct message *m, struct message *out);

/* --- check.c --------------------------------------------------------------------------------------- */

struct group;

void check_init(struct sim *s);
/* A process began: everything it holds is looked at anew. */
void check_started(struct sim_host *h);
/* After each event of a host. */
void check_host(struct sim_host *h);
/* Queues whose length is not seen from event to event: I-10. */
void check_queues(struct sim *s);
/* The group of this number on a host, or NULL. 0 is the catalog. */
struct group *check_group(struct sim_host *h, unsigned number);
/* Wraps the node's way out: I-1. */
void check_transport(struct sim_host *h);
/* Before a request leaves for a bank: I-8. */
void check_bank_request(struct sim_lane *l, unsigned bank, const struct bank_request *r);
/* The bank took a file: I-6, I-7, I-9. */
void check_delivery(struct sim *s, const struct delivery *d);
/* An answer "accepted" or "folded" left a node: I-4. */
void check_accepted(struct sim *s, unsigned shard, uint64_t index);
/* Something of a lane was touched: by its own loop, or beside all loops? I-18. */
void check_lane(const struct sim_lane *l, const char *what);
/* A failed write was followed by another: I-11. */
void check_disk(struct sim_lane *l, enum mem_kv_op op);
uint64_t check_commits(const struct sim *s);
uint64_t check_committed(const struct sim *s, unsigned shard);
/* All replicas level and a leader at work? why says what is missing. */
bool check_level(struct sim *s, char *why, size_t why_size);
/* Replicas of group number that must not be counted on any more. */
bool check_is_excused(struct sim_host *h, unsigned number);
/* Is the host one of the group's replicas, by the replica that is furthest? */
bool check_holds(struct sim *s, struct sim_host *h, unsigned number);
/* Had every group a quorum without this host, with each set of voters it ever had? */
bool check_can_do_without(struct sim *s, const struct sim_host *h);

/* --- rows.c ---------------------------------------------------------------------------------------- */

/* The stored state of one shard on one host, as a whole: I-6, I-7, I-9. */
void rows_check(struct sim_host *h, unsigned shard);
/* The name of a file of the shard that is not at its end; false: there is none. */
bool rows_open_name(struct sim *s, unsigned shard, char name[BANK_NAME_SIZE]);
/* Has everything due gone out? Resolves what may be on hold. */
bool rows_all_out(struct sim *s, char *why, size_t why_size);
/* People decide about a file of the shard that is on hold, by what the bank says. */
void rows_resolve_one(struct sim *s, unsigned shard);
/* The number of a file that has not ended yet; 0: none. */
uint64_t rows_open_file(struct sim *s, unsigned shard);

/* The number of a file that was sealed, or now and then of one that is not there yet. */
uint64_t rows_sealed_file(struct sim *s, unsigned shard);
/* Nobody knows of another content of this file, or the file. */
bool rows_is_as_sealed(struct sim *s, unsigned shard, uint64_t file, struct span data);

/* --- readers.c ------------------------------------------------------------------------------------- */

/* Somebody looks into a file, and from then on again and again. */
void readers_look(void *sim);

/* --- cutoffs.c ------------------------------------------------------------------------------------- */

/* Each window whose time has come was closed or missed, as the shard's policy says: I-16. */
void cutoffs_settle(struct sim *s, unsigned shard, struct rows *rows);

/* --- settle.c -------------------------------------------------------------------------------------- */

/* Everything that was promised is true. */
void settle(struct sim *s);

/* --- The whole ------------------------------------------------------------------------------------- */

struct sim_stats {
    uint64_t events, frames, elections, commits, uploads, kills, pauses, stalls, partitions, installs,
        accepted, folded, rejected, cancelled, holds, io_errors, calls, torn, virtual_ms, changes, clogs,
        missed;
    uint64_t calm_ms; /* The longest wait after the faults; of many runs the longest of all. */
};

struct sim {
    struct sim_plan plan;
    uint64_t rng;
    uint64_t now_us;
    uint64_t order;
    struct sim_event **heap;
    size_t heap_count, heap_cap;
    struct sim_event *unused; /* Freed events, linked by arg. */
    uint64_t trace_hash;
    struct sim_line {
        uint64_t at_us, numbers[2];
        int host;
        const char *what, *words[2];
        uint64_t repeats, last_us; /* The same again, and when. */
    } lines[SIM_TRACE_LINES];
    uint64_t lines_count;
    struct sim_host hosts[SIM_NODES_MAX];
    struct net *net;
    struct sim_bank *banks;
    struct people people;
    struct checker *checker;
    struct ledger *ledger;
    struct sim_host *running;      /* Whose event it is; NULL: the world's. */
    struct sim_lane *running_lane; /* And on which loop; NULL: none. */
    struct sim_host *away;         /* Stays away though all is calm. */
    uint64_t second, second_events;
    uint64_t dark_until_us; /* Nobody starts before. */
    bool finalize_open;     /* A person waits for the answer to upgrade finalize. */
    bool finalize_asked;    /* Somebody has asked for it. */
    bool calm;
    bool verbose;
    int64_t wall_start_ms;
    struct sim_stats stats;
};

/* What a program that looks more closely than seeds do puts in between
 * (tests/sim/anomaly); NULL: nothing. */
struct sim_hooks {
    /* Runs code of a host's process, which may end in it (host_kill()). */
    void (*enter)(struct sim_host *h, void (*run)(void *arg), void *arg);
    /* Before an operation of its store: any answer but SG_OK is its result. */
    enum sg_err (*disk)(struct sim_host *h, enum mem_kv_op op);
    /* It does not start, stops a group or ends over its store, and says why. */
    void (*stopped)(struct sim_host *h, enum sg_err err, const char *why);
    /* Memory of a process that has ended, which nobody frees. */
    void (*buried)(void *p);
};
extern const struct sim_hooks *sim_hooks;
void sim_enter(struct sim_host *h, void (*run)(void *arg), void *arg);
void sim_stopped(struct sim_host *h, enum sg_err err, const char *why);
void sim_buried(void *p);

/* One run; returns when it held. */
void sim_run(struct sim *s, const struct sim_plan *plan, bool verbose);

#endif
