/* The store seam: an ordered key-value store with one writer and many readers.
 *
 * Real: one LMDB environment a lane (storage/lmdb_kv). Simulated: memory that
 * loses or tears what was not committed. Tables and keys are bytes here; what
 * they mean is said in storage/log.h and shard/state.
 *
 * Every value carries a checksum over table, key and value. kv_put() adds it,
 * kv_get() and cursors verify it: a damaged record is SG_CORRUPT, is never
 * handed out, and the log line and kv_damage() name it.
 *
 * Errors of the store itself (a failed write, flush or commit) are SG_IO and
 * final: the environment refuses every later write (I-11). Nothing is retried.
 *
 * Threads: one write transaction at a time, begun and ended on one thread.
 * Read transactions may be used on any thread, one thread at a time; keep them
 * under a second (an old reader makes the file grow). */
#ifndef STORAGE_KV_H
#define STORAGE_KV_H

#include <stdatomic.h>
#include <stdbool.h>

#include "proto/base/bytes.h"
#include "proto/base/err.h"

enum kv_table {
    KV_META,  /* Of this data directory: identity, members, groups, hard state, snapshot marks. */
    KV_LOG,   /* group(8) index(8) -> entry. */
    KV_STATE, /* group(8) row key -> row: everything that a snapshot carries. */
    KV_TABLES
};

struct kv_txn; /* Of the implementation. */

/* What an implementation provides: raw bytes, no checksums. Spans handed out
 * are valid until the transaction ends or, in a write transaction, until the
 * next put or del. Keys stored have 1 to KEY_SIZE_MAX_BYTES bytes; a key to
 * seek from may be empty or one byte longer. get and seek may also answer
 * SG_CORRUPT when the store's own pages are damaged. */
struct kv_ops {
    /* SG_IO; SG_BUSY: too many readers. A second write transaction is a broken
     * program (CHECK). */
    MUST_USE enum sg_err (*begin)(void *impl, bool write, struct kv_txn **txn);
    /* Durable when it returns SG_OK. Whatever it returns, txn is gone. */
    MUST_USE enum sg_err (*commit)(void *impl, struct kv_txn *txn);
    void (*abort)(void *impl, struct kv_txn *txn);
    /* SG_NOTFOUND, SG_IO. */
    MUST_USE enum sg_err (*get)(void *impl, struct kv_txn *txn, enum kv_table table, struct span key,
                                struct span *value);
    MUST_USE enum sg_err (*put)(void *impl, struct kv_txn *txn, enum kv_table table, struct span key,
                                struct span value);
    /* Deleting what is not there is SG_OK. The pair that a seek has just found goes
     * also when its key rotted, so that no search finds it. */
    MUST_USE enum sg_err (*del)(void *impl, struct kv_txn *txn, enum kv_table table, struct span key);
    /* The first pair with a key >= key (or, backwards, the last with a key <=
     * key). SG_NOTFOUND when there is none. */
    MUST_USE enum sg_err (*seek)(void *impl, struct kv_txn *txn, enum kv_table table, struct span key,
                                 bool backwards, struct span *found, struct span *value);
    /* Bytes free for new data on the device that holds the store. */
    uint64_t (*free_bytes)(void *impl);
    /* Would whoever opens the store anew find what was committed here? false: its
     * file was moved or deleted meanwhile. commit answers SG_IO then. Any thread;
     * does not wait for the disk. */
    bool (*is_in_place)(void *impl);
    /* Bytes the store occupies. */
    uint64_t (*used_bytes)(void *impl);
    void (*close)(void *impl);
};

struct kv {
    const struct kv_ops *ops;
    void *impl;
    const char *name;    /* For messages: "lane-0". */
    _Atomic bool failed; /* kv.c's: no write any more until it is opened anew. */
};

/* SG_IO: final when write, and what is answered ever after a failed write.
 * SG_BUSY: too many readers at once. */
MUST_USE enum sg_err kv_begin(struct kv *kv, bool write, struct kv_txn **txn);
/* Of a write transaction. SG_OK: durable, and visible to every read
 * transaction begun later. SG_IO: final; whether it is durable is unknown until
 * the store is opened anew. Refuses (SG_IO, nothing written) when any put or
 * del of the transaction failed. txn is gone in every case. */
MUST_USE enum sg_err kv_commit(struct kv *kv, struct kv_txn *txn);
/* End a transaction of either kind without any effect. */
void kv_abort(struct kv *kv, struct kv_txn *txn);
/* Close the store. No transaction may be open. kv is zeroed. */
void kv_close(struct kv *kv);

/* Refuse every later write, as after a failed one (any thread). */
void kv_fail(struct kv *kv);
bool kv_is_failed(struct kv *kv);

/* SG_OK, SG_NOTFOUND, SG_CORRUPT (checksum), SG_IO. value is borrowed as above. */
MUST_USE enum sg_err kv_get(struct kv *kv, struct kv_txn *txn, enum kv_table table, struct span key,
                            struct span *value);
/* SG_OK, SG_IO. CHECKs the size limits. key and value are copied. */
MUST_USE enum sg_err kv_put(struct kv *kv, struct kv_txn *txn, enum kv_table table, struct span key,
                            struct span value);
MUST_USE enum sg_err kv_del(struct kv *kv, struct kv_txn *txn, enum kv_table table, struct span key);

/* "meta", "log", "state". */
const char *kv_table_name(enum kv_table table);
/* Report a record that is damaged for a reason which only its reader can see
 * (a good checksum over impossible content): one log line that names store,
 * table and key in hexadecimal. Returns SG_CORRUPT. */
enum sg_err kv_corrupt(struct kv *kv, enum kv_table table, struct span key, const char *why);
/* What was read is of a later program (proto/level.h) and no damage: one log line.
 * why says what and which program is needed. Returns SG_UNSUPPORTED. */
enum sg_err kv_newer(const char *fmt, ...) PRINTF_LIKE(1, 2);
/* What the last SG_CORRUPT or SG_UNSUPPORTED on this thread was about, as in its
 * log line: store, table, key in hexadecimal, why. "" when there was none. Valid
 * until the next one on this thread. */
const char *kv_damage(void);
/* The table that it was in; KV_TABLES when there was none. */
enum kv_table kv_damage_table(void);

/* A walk over the pairs whose keys start with a prefix, in order.
 *
 *   struct kv_cursor c;
 *   kv_cursor_init(&c, kv, txn, KV_STATE, prefix);
 *   while ((err = kv_next(&c)) == SG_OK) { c.key, c.value ... }
 *   if (err != SG_NOTFOUND) ...
 *
 * The pairs may be changed during the walk in a write transaction; c.key and
 * c.value are copies owned by the cursor until the next kv_next(). */
struct kv_cursor {
    struct kv *kv;
    struct kv_txn *txn;
    enum kv_table table;
    struct bytes prefix;
    struct bytes at; /* The key last handed out, or where to start. */
    bool started;
    bool ended; /* By a damaged page, behind which nothing can be found. */
    bool backwards;
    struct span key;
    struct span value;
    struct bytes key_copy;
    struct bytes value_copy;
};
void kv_cursor_init(struct kv_cursor *c, struct kv *kv, struct kv_txn *txn, enum kv_table table,
                    struct span prefix);
/* Start at the first key >= from (which begins with the prefix) instead or,
 * backwards, at the last key <= from. Before the first kv_next(). */
void kv_cursor_from(struct kv_cursor *c, struct span from);
/* Walk from the last key of the prefix (or from the one given) to the first.
 * Before the first kv_next(). */
void kv_cursor_backwards(struct kv_cursor *c);
/* SG_OK with key and value set; SG_NOTFOUND at the end; SG_CORRUPT with key
 * set (the walk may go on), or with an empty key when a page of the store is
 * damaged (what follows cannot be reached: the next answer is SG_NOTFOUND); SG_IO. */
MUST_USE enum sg_err kv_next(struct kv_cursor *c);
void kv_cursor_release(struct kv_cursor *c);

#endif
