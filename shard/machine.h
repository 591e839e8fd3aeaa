/* What a replicated state machine is to the engine: a pure apply over rows.
 *
 * One kind for routing numbers (shard/state), one for the catalog
 * (supervisor/catalog). The engine owns the transaction, the applied index and
 * the digest; the machine sees rows of its own group only.
 *
 * Rows live in KV_STATE under group(8). The key that starts with byte 0x00 is the
 * engine's (the applied row); a machine's keys start with 0x01 to 0xff.
 *
 * Beside the rows stands their set hash: the sum, modulo 2^64, of a hash of each
 * row. Every put and delete carries it on, so it says what the rows should be
 * without looking at them: a row whose key rotted, or that a damaged page has
 * taken away, answers no get and fails no checksum, but the sum over a walk then
 * differs from the one carried on. Two replicas' sets compare by one number. */
#ifndef SHARD_MACHINE_H
#define SHARD_MACHINE_H

#include "proto/base/hash.h"
#include "proto/level.h"
#include "storage/kv.h"

/* A group's rows in a transaction: for apply (writes allowed) or for a query. */
struct rows {
    struct kv *kv;
    struct kv_txn *txn;
    uint64_t group;
    struct digester *digester; /* NULL in a query: writing is not allowed then. */
    uint64_t set;              /* The set hash; the owner's to begin with, carried on by each write. */
    /* Unless NULL each write appends how it changed the set hash: delta(8), size of the
     * key(2), key. */
    struct bytes *changes;
    struct bytes key_buffer; /* Scratch. */
    uint32_t level_max;      /* The highest level that the machine speaks: LEVEL_MAX, less in tests. */
    uint32_t level;          /* In force after apply, set by the machine: how the engine's own row is
                              * written; LEVEL_MAX unless it says less. */
};

void rows_init(struct rows *r, struct kv *kv, struct kv_txn *txn, uint64_t group);
void rows_release(struct rows *r);
/* SG_NOTFOUND, SG_CORRUPT, SG_IO. value is borrowed until the next write. */
MUST_USE enum sg_err rows_get(struct rows *r, struct span key, struct span *value);
/* Both look at the row that is there, which a put replaces: SG_CORRUPT, SG_IO.
 * rows_del() of a row that is not there is SG_CORRUPT: apply deletes only what it
 * or another row has said to exist. */
MUST_USE enum sg_err rows_put(struct rows *r, struct span key, struct span value);
MUST_USE enum sg_err rows_del(struct rows *r, struct span key);
/* A row's part of the set hash. key: without the group. */
uint64_t row_hash(uint64_t group, struct span key, struct span value);
/* A walk over the group's rows under a prefix; then kv_next() etc. Keys in the
 * cursor carry the group: strip them with rows_key(). */
void rows_cursor(struct rows *r, struct kv_cursor *c, struct span prefix);
/* Start at from (without the group) instead of at the prefix. */
void rows_cursor_from(struct kv_cursor *c, struct span from);
struct span rows_key(const struct kv_cursor *c);

/* The set hash by a walk over all rows. SG_CORRUPT, SG_IO. */
MUST_USE enum sg_err rows_set_of(struct rows *r, uint64_t *set);

struct machine_ops {
    /* On the storage writer. Apply one command of a committed entry. Depends on
     * nothing but command, index, term and rows (I-3); a command that is
     * refused is a result, never an error. result is empty before; what it gets
     * is handed to the proposer.
     * SG_CORRUPT, SG_IO: from the rows. SG_UNSUPPORTED: command or rows are of a
     * later program (kv_newer()); applying it as anything, as nothing too, would
     * make this replica another one, so the group stops here. */
    MUST_USE enum sg_err (*apply)(void *impl, struct rows *rows, uint64_t index, uint64_t term,
                                  struct span command, struct bytes *result);
    /* The rest on the loop. Everything up to index is applied and durable here. */
    void (*applied)(void *impl, uint64_t index);
    /* A snapshot replaced all rows; applied() follows. */
    void (*installed)(void *impl, uint64_t index);
    /* is_leader: this replica leads and an entry of its own term is applied, so
     * it may act on the outside world (I-8). Called at each change of
     * is_leader, term or leader. leader 0: unknown. */
    void (*role)(void *impl, bool is_leader, uint64_t term, uint64_t leader);
    /* More is known to be equal on a majority (group_confirm()). May be NULL. */
    void (*confirmed)(void *impl, uint64_t index);
    /* Of a leader: that replica has lost its rows and gets ours. May be NULL. */
    void (*helps)(void *impl, uint64_t node);
    /* The group stopped for good on this node (damaged record, broken engine). */
    void (*failed)(void *impl, enum sg_err err, const char *why);
};

struct machine {
    const struct machine_ops *ops;
    void *impl;
};

#endif
