/* What the duties of one shard's leader have in common. Private to shard/.
 *
 * A duty is something that only a ready leader does: bring settings into the
 * log, close windows, seal files, upload them, tell what is late. Duties act on the world and on
 * the log, never on the rows: they propose, and apply decides.
 *
 * The rule that keeps an old leader harmless (I-8): everything that takes time
 * (a proposal, work elsewhere, a request to the bank) remembers the term it was
 * begun in, and its outcome is looked at only while this replica is still the
 * ready leader of that term. duty_is_current() is that test. */
#ifndef SHARD_DUTIES_DUTY_H
#define SHARD_DUTIES_DUTY_H

#include "proto/command.h"
#include "proto/base/logger.h"
#include "proto/base/loop.h"
#include "shard/ach/zone.h"
#include "shard/engine/group.h"
#include "shard/state/state.h"

struct bank;

/* Settings from the log, shared by whoever still works with them. */
struct duty_settings {
    unsigned refs_count;
    struct arena arena;
    struct settings s;
    const struct zone *zone; /* NULL: this node does not know the zone. */
};

/* What duty_wake() asks for. They run once, at the end of the turn, in this order. */
enum duty_bit {
    DUTY_WINDOWS = 1u << 0,
    DUTY_CONFIGURE = 1u << 1,
    DUTY_SEALING = 1u << 2,
    DUTY_UPLOADS = 1u << 3,
    DUTY_RETRY = 1u << 4, /* A person changed something: what was put off is tried again. */
    DUTY_OVERDUE = 1u << 5,
    DUTY_SUBMIT = 1u << 6,
    DUTY_CONFIRMED = 1u << 7 /* A majority has the rows that were waited for. */
};

/* The duties' view of their shard. Filled by its owner. */
struct duty_env {
    struct loop *loop;
    struct kv *kv;
    struct bank *bank;
    struct aba routing_number;
    const char *cluster;
    const char *node_name;
    /* group_propose() or, in tests, a log of one replica. */
    enum sg_err (*propose)(void *impl, struct proposal *p);
    /* The newest index that is applied here, and group_confirm(): up to where a majority
     * has the same rows (I-17). duties_confirmed() follows. */
    uint64_t (*applied)(void *impl);
    uint64_t (*confirm)(void *impl, uint64_t index);
    /* A row is damaged: the shard stops here, so that a replica with good rows
     * leads. What is under way ends as when leadership is lost. */
    void (*damaged)(void *impl, const char *why);
    /* Run these duties at the end of the turn. */
    void (*wake)(struct duty_env *e, unsigned duties);
    const struct zone *(*zone)(void *impl, struct span name);
    struct span (*catalog_settings)(void *impl, struct aba routing_number, uint64_t *version);
    uint32_t (*catalog_level)(void *impl, struct span *program); /* As shard_options.level. */
    void *impl;       /* Of propose, applied, confirm and damaged. */
    void *names_impl; /* Of zone, catalog_settings and catalog_level. */

    bool is_ready;                  /* Leads, and an entry of its own term is applied. */
    uint64_t term;                  /* Meaningful while is_ready. */
    uint32_t level;                 /* In force as this log says it; what is proposed carries it. */
    struct duty_settings *settings; /* While ready; NULL: none in the log yet. */
    size_t outstanding_count;       /* Proposals, works and requests not yet answered. */
};

static inline bool duty_is_current(const struct duty_env *e, uint64_t term)
{
    return e->is_ready && e->term == term;
}

/* Does the wall clock read a day that a file can have? Where it does not, nothing is
 * closed, sealed or configured by it. */
bool duty_clock_is_sane(const struct duty_env *e);
/* The wall clock as a command may carry it: not before 1970. */
int64_t duty_stamp_ms(const struct duty_env *e);

static inline void duty_wake(struct duty_env *e, unsigned duties)
{
    e->wake(e, duties);
}

struct log_scope duty_scope(const struct duty_env *e);

/* A read transaction over the shard's rows, on the calling thread. */
struct duty_read {
    struct kv *kv;
    struct kv_txn *txn;
    struct rows rows;
};
/* SG_IO; then there is nothing to end. */
MUST_USE enum sg_err duty_read_begin(struct duty_read *r, struct kv *kv, uint64_t group);
void duty_read_end(struct duty_read *r);

/* After a read, on the loop: does nothing unless err is SG_CORRUPT, which no
 * retry on this replica can mend. why: kv_damage() of the thread that read. */
void duty_judge(struct duty_env *e, enum sg_err err, const char *why);

/* Load the level and the newest settings of the log; env->settings is NULL where
 * there are none. SG_CORRUPT, SG_IO: as before. */
MUST_USE enum sg_err duty_settings_load(struct duty_env *e);
/* The current settings (not NULL) for work that may outlast them. */
struct duty_settings *duty_settings_ref(struct duty_env *e);
/* Those of an earlier version, for what was begun under them; a reference, from r's
 * rows. Version 0, or that of the current ones: these. *out is NULL unless SG_OK. */
MUST_USE enum sg_err duty_settings_at(struct duty_env *e, struct duty_read *r, uint64_t version,
                                      struct duty_settings **out);
void duty_settings_unref(struct duty_settings *s); /* NULL is allowed. */
void duty_settings_drop(struct duty_env *e);

/* How a proposal of a duty ended. Called on the loop, only while the term in
 * which it was made still holds; else the outcome is dropped, because the next
 * leader starts from the rows.
 *
 * err SG_OK: applied; result is the decoded answer of apply (borrowed), whose
 * own err may be a refusal. Any other err: not taken or unknown. */
typedef void (*duty_done)(void *owner, enum sg_err err, const struct command_result *result);

/* Propose c, stamped with the wall clock (unless c->time_ms is set), the level in
 * force (unless c->level is set) and this node's name. done comes later, never from within. owner must live as long as
 * the shard. */
void duty_propose(struct duty_env *e, struct command *c, duty_done done, void *owner);

/* Tell people, through the replicated events. file 0: about the shard or its
 * endpoint. Its outcome interests nobody: an alert that is lost is given again
 * by whoever meets the cause next. */
void duty_alert(struct duty_env *e, uint64_t file, const char *reason);

/* Failures in a row to the next wait: doubles from UPLOAD_RETRY_MIN_MS to
 * UPLOAD_RETRY_MAX_MS, the upper half of it by chance. */
uint64_t duty_backoff_ms(struct duty_env *e, uint32_t tries);

#endif
