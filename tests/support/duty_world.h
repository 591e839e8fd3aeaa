/* A shard's duties without an engine: leaders that follow each other over one
 * log, one state, one bank, all under virtual time.
 *
 * The log is a single replica: what the current leader proposes is applied in a
 * later turn. A leader that was deposed and does not know it (a paused process)
 * goes on: its proposals go nowhere, its bank requests are carried out. A dead
 * one does nothing more; what it had sent to the bank may still happen. */
#ifndef TESTS_SUPPORT_DUTY_WORLD_H
#define TESTS_SUPPORT_DUTY_WORLD_H

#include "shard/duties.h"
#include "storage/mem_kv.h"
#include "tests/support/test_loop.h"

#define WORLD_LEADERS_MAX 8
#define WORLD_FILES_MAX 64
#define WORLD_TAKEN_MAX 8

/* What happens to a bank request. */
enum world_verdict {
    WORLD_RUN,         /* Carried out and answered. */
    WORLD_RUN_UNHEARD, /* Carried out, the answer is lost. */
    WORLD_LOST,        /* Not carried out, the sender can't know. */
    WORLD_FAIL,        /* Refused by the server. */
    WORLD_HALF,        /* CREATE: half of the data, then the line drops. */
    WORLD_HOLD         /* Queued at the server until world_release(). */
};

struct world_file {
    enum bank_place place; /* 0: unused. */
    char name[BANK_NAME_SIZE];
    struct bytes content;
};

struct world_leader {
    struct world *world;
    unsigned number; /* From 0. */
    uint64_t term;
    bool is_dead;
    bool is_damaged; /* A row could not be read: duty_env.damaged(). */
    struct bank bank;
    struct duties duties;
};

struct world {
    struct test_loop *t;
    struct loop *loop;
    struct mem_kv *disk;
    struct kv kv;
    struct zone zone;
    struct settings *settings; /* Change, then world_settings(). */
    struct bytes catalog;      /* What the catalog says, encoded. */
    uint64_t catalog_version;

    uint64_t index, term;
    struct world_leader leaders[WORLD_LEADERS_MAX];
    size_t leaders_count;
    struct world_leader *current;        /* NULL: no leader. */
    struct world_entry *log, **log_tail; /* Proposed, not yet applied. */
    struct world_entry *orphans;         /* Of deposed leaders: never answered. */
    struct task apply;
    /* May refuse a proposal before it is taken; NULL: none is. */
    enum sg_err (*on_propose)(struct world *w);
    bool is_log_held; /* Nothing is applied. */
    size_t proposed_count;
    uint64_t confirms_upto; /* A majority has the same rows up to this index; default: all. */

    struct world_file files[WORLD_FILES_MAX];
    struct world_file taken[WORLD_TAKEN_MAX]; /* By the bank. */
    size_t taken_count;
    bool is_bank_quick; /* Takes what appears at once. */
    /* A rename that a power loss at the server would undo; the bank does not see
     * it before it is flushed (what no client can close is not tested here). */
    bool has_power_losses;
    bool is_unsynced;
    char unsynced_from[BANK_NAME_SIZE], unsynced_to[BANK_NAME_SIZE];
    enum bank_place unsynced_place;
    struct world_request *requests;
    /* NULL: everything is WORLD_RUN. */
    enum world_verdict (*on_request)(struct world *w, const struct world_leader *l,
                                     const struct bank_request *r);
    uint64_t (*delay_ms)(struct world *w); /* Of a bank request; NULL: none. */
    struct bytes trace;                    /* "A:create.part B:stat.F ...": as carried out. */

    const char *kill_at;   /* Fault point at which the current leader dies; once. */
    unsigned passed_count; /* Times it was passed. */
    void *impl;
};

/* The sample shard at the highest level: New York at UTC-5, a directory endpoint, no
 * windows. Its settings are applied. */
struct world *world_new(uint64_t seed);
/* Ends every leader, answers what is open, checks that nothing leaks. */
void world_free(struct world *w);

/* Apply a command as if by a leader of the current term; the decoded error. */
enum sg_err world_apply(struct world *w, struct command *c);
/* Encode w->settings as the catalog's, with this version. */
void world_settings(struct world *w, uint64_t version);
/* The same, and they are applied. */
void world_apply_settings(struct world *w, uint64_t version);
/* The same, but it is left to the leader to bring them into the log: within a second. */
void world_change_settings(struct world *w, uint64_t version);
/* The sample's four transfers with ids "<prefix>1".. . */
void world_submit_samples(struct world *w, const char *prefix);
/* CLOSE by hand with this name, today. */
void world_close(struct world *w, const char *name);

/* The next leader, of the next term; the one before is deposed and unaware of
 * it. Its proposals that are not applied are lost. */
struct world_leader *world_elect(struct world *w);
/* It learns that it lost its office. */
void world_tell(struct world_leader *l);
void world_kill(struct world_leader *l);
/* What deposed leaders proposed ends with SG_UNKNOWN, as when they learn of it. */
void world_forget(struct world *w);
/* The wall clock reads this New York time of a day in November 2026 from now on. */
void world_set_clock(struct world *w, int day, int hour, int minute, int second);
/* Let virtual time pass. */
void world_run(struct world *w, uint64_t ms);
/* Carry out what WORLD_HOLD kept; answers are sent. Returns how many. */
size_t world_release(struct world *w);

/* The bank. */
extern const struct bank_ops world_bank_ops; /* impl: struct world_leader. */
/* Every request that is still open is answered BANK_DOUBT; all are freed. */
void world_end_requests(struct world *w);
/* Where requests go whose endpoint has the staging directory WORLD_STAGING_2_DIR. */
#define WORLD_STAGING_2 ((enum bank_place)98)
#define WORLD_STAGING_2_DIR "staging-2"
struct world_file *world_find(struct world *w, enum bank_place place, const char *name);
void world_put(struct world *w, enum bank_place place, const char *name, const char *content);
void world_move(struct world *w, struct world_file *f, enum bank_place place, const char *name);
void world_purge(struct world *w, enum bank_place place);
/* The server loses power: the last rename is undone unless it was flushed. */
void world_power_loss(struct world *w);
/* The bank takes everything from the drop directory. */
void world_take(struct world *w);
/* Names in staging with this suffix. */
size_t world_staged(struct world *w, const char *suffix);

/* Are fault points and planted bugs compiled in? Tests that need them skip() otherwise. */
bool world_has_faults(void);
/* "" for none. */
void world_set_bugs(const char *names);

/* The state. */
struct file_row world_file_row(struct world *w, uint64_t file, struct arena *a);
enum file_state world_file_state(struct world *w, uint64_t file);
bool world_window(struct world *w, const char *name, struct day day, struct window_row *out);
/* How often this file was delivered whole, taken or still in the drop
 * directory; *others counts anything else that is or was there. */
size_t world_delivered(struct world *w, uint64_t file, size_t *others);
/* The bank has this file once, whole, and nothing else. */
void world_must_deliver_once(struct world *w, uint64_t file);
size_t world_events(struct world *w, const char *kind);

#endif
