/* What storage/lmdb_kv.c (transactions) and storage/lmdb_open.c (opening and
 * closing) share. For nobody else. LMDB's types are written without lmdb.h,
 * so that only those two know it. */
#ifndef STORAGE_LMDB_STORE_H
#define STORAGE_LMDB_STORE_H

#include <sys/types.h>

#include "storage/kv.h"
#include "storage/lmdb_lock.h"

struct lmdb_store {
    struct MDB_env *env;
    unsigned tables[KV_TABLES]; /* MDB_dbi */
    char *name;
    char *dir;
    char *data_path;
    dev_t device; /* Of the file that is open. */
    ino_t inode;
    struct lmdb_lock *lock;
    unsigned begins_count; /* Of write transactions. */
    atomic_bool is_writing;
    atomic_uint open_count;       /* Transactions. */
    struct lmdb_readers *readers; /* Ended read transactions, for reuse. */
};

extern const struct kv_ops lmdb_store_ops;
void lmdb_store_close(void *impl);
/* Bytes of the pages in use. */
uint64_t lmdb_store_used_bytes(void *impl);

struct lmdb_readers *lmdb_readers_new(void);
/* Ends them and gives up their slots in the environment. */
void lmdb_readers_free(struct lmdb_readers *readers);

#endif
