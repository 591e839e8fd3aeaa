/* At most one owner of a directory: between processes by a lock file, and
 * inside this process by a list of what is open. Any thread. */
#ifndef STORAGE_LMDB_LOCK_H
#define STORAGE_LMDB_LOCK_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/base/check.h"
#include "proto/base/err.h"

struct lmdb_lock;

/* exclusive: also take dir/name (made 0600 when absent) with flock(2), which
 * the kernel drops when the process ends however it ends, and which a forked
 * child shares. Not exclusive: only keep this process from opening dir twice.
 *
 * SG_BUSY: somebody has it. SG_IO: the directory or file cannot be used. why
 * (size bytes) names the path and the reason; *out is untouched on errors. */
MUST_USE enum sg_err lmdb_lock_take(const char *dir, const char *name, bool exclusive, struct lmdb_lock **out,
                                    char *why, size_t why_size);
/* The file stays: removing it would let two processes lock two files. */
void lmdb_lock_release(struct lmdb_lock *lock);

#endif
