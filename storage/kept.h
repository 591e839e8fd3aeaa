/* Bytes that a replica keeps beside the state of a group: its files, by number, as they
 * were made when they were made. They are no part of the state: no digest, no snapshot;
 * each replica has its own and makes them from its rows. Each is one record with a
 * checksum, in KV_META, where programs that know nothing of them pass them over.
 *
 * They are kept in the order of their numbers from 1, without a gap, up to the mark. */
#ifndef STORAGE_KEPT_H
#define STORAGE_KEPT_H

#include "storage/kv.h"

/* SG_NOTFOUND, SG_CORRUPT (its checksum), SG_IO. value is borrowed from the transaction. */
MUST_USE enum sg_err kept_get(struct kv *kv, struct kv_txn *txn, uint64_t group, uint64_t number,
                              struct span *value);
/* Up to which number all are kept; 0: none. SG_CORRUPT, SG_IO. */
MUST_USE enum sg_err kept_mark(struct kv *kv, struct kv_txn *txn, uint64_t group, uint64_t *number);
/* In a write transaction: the next one after the mark, which it becomes. SG_IO. */
MUST_USE enum sg_err kept_put(struct kv *kv, struct kv_txn *txn, uint64_t group, uint64_t number,
                              struct span value);

#endif
