/* The durable log, term and vote of many groups in one store.
 *
 * Bytes and indexes: nothing of Raft's rules or of ACH. All writes happen in
 * the caller's write transaction. Keys: see the top of log.c.
 *
 * Errors: SG_IO (final for the environment), SG_CORRUPT (a damaged record: the
 * caller stops that group), SG_NOTFOUND where said. */
#ifndef STORAGE_LOG_H
#define STORAGE_LOG_H

#include "storage/kv.h"

struct log_entry {
    uint64_t index;
    uint64_t term;
    uint8_t type; /* The engine's entry type; a number here. */
    struct span data;
};

/* Term and vote: what Figure 2 of the Raft paper calls persistent state. */
struct log_hard_state {
    uint64_t term;
    uint64_t voted_for; /* 0: nobody. */
};

/* The prefix of the log that the state rows stand for. */
struct log_mark {
    uint64_t index; /* 0: no snapshot was ever taken or installed. */
    uint64_t term;
    uint64_t conf_index; /* Index of the last committed configuration at index. */
    struct span conf;    /* Its encoding; borrowed from the transaction when read. */
};

/* What the log holds: entries first..last. When it holds none, first is the
 * index that the next entry must have (1, or the mark's and one more) and last
 * is first - 1. */
struct log_bounds {
    uint64_t first;
    uint64_t last;
};

/* Entries must follow the last one without a gap. Whether the store still holds that
 * one is looked at in builds with SHARDGATE_FAULTS only, as it costs a read: SG_CORRUPT
 * when its end is lost. Loading finds it in every build. */
MUST_USE enum sg_err log_append(struct kv *kv, struct kv_txn *txn, uint64_t group,
                                const struct log_entry *entries, size_t entries_count);
/* Remove from..last, however many they are. from is not 0; nothing happens when
 * it lies beyond last. */
MUST_USE enum sg_err log_truncate(struct kv *kv, struct kv_txn *txn, uint64_t group, uint64_t from);
/* Remove first..upto, at most max entries; removed (may be NULL) tells how
 * many. upto must not lie beyond the mark: only what the state rows stand for
 * may go (CHECKed). */
MUST_USE enum sg_err log_trim(struct kv *kv, struct kv_txn *txn, uint64_t group, uint64_t upto, size_t max,
                              size_t *removed);
/* SG_NOTFOUND: no such entry (inside the bounds: a record whose key is damaged;
 * the caller treats it as SG_CORRUPT). out->data is borrowed from the transaction. */
MUST_USE enum sg_err log_get(struct kv *kv, struct kv_txn *txn, uint64_t group, uint64_t index,
                             struct log_entry *out);
MUST_USE enum sg_err log_bounds(struct kv *kv, struct kv_txn *txn, uint64_t group, struct log_bounds *out);

/* Term and vote. SG_NOTFOUND: never stored (a group that has not been
 * bootstrapped here). SG_CORRUPT also when there are none beside entries or a
 * mark: the record was lost, and with it a vote that may have been given. */
MUST_USE enum sg_err log_hard_state_get(struct kv *kv, struct kv_txn *txn, uint64_t group,
                                        struct log_hard_state *out);
MUST_USE enum sg_err log_hard_state_put(struct kv *kv, struct kv_txn *txn, uint64_t group,
                                        struct log_hard_state hs);
/* SG_NOTFOUND: no mark yet. */
MUST_USE enum sg_err log_mark_get(struct kv *kv, struct kv_txn *txn, uint64_t group, struct log_mark *out);
MUST_USE enum sg_err log_mark_put(struct kv *kv, struct kv_txn *txn, uint64_t group,
                                  const struct log_mark *mark);

/* The state rows of the group are not to be read any more: found wrong when applied
 * was the applied index, and to be replaced. why is for people; borrowed from the
 * transaction when read. SG_NOTFOUND: they are good, as far as is known. */
MUST_USE enum sg_err log_distrust_get(struct kv *kv, struct kv_txn *txn, uint64_t group, uint64_t *applied,
                                      struct span *why);
MUST_USE enum sg_err log_distrust_put(struct kv *kv, struct kv_txn *txn, uint64_t group, uint64_t applied,
                                      struct span why);
/* They were replaced. */
MUST_USE enum sg_err log_distrust_del(struct kv *kv, struct kv_txn *txn, uint64_t group);

/* Every group that has a hard state here, in order, also a damaged one (its
 * log_hard_state_get() then says so). Grows out (an array of uint64_t in
 * out->p, out->n in bytes). */
MUST_USE enum sg_err log_groups(struct kv *kv, struct kv_txn *txn, struct bytes *out);

/* Node-wide named records in KV_META (identity, members, ...): the name has 1 to
 * NAME_SIZE_MAX bytes, the value may be empty. SG_NOTFOUND. */
MUST_USE enum sg_err meta_get(struct kv *kv, struct kv_txn *txn, const char *name, struct span *value);
MUST_USE enum sg_err meta_put(struct kv *kv, struct kv_txn *txn, const char *name, struct span value);

#endif
