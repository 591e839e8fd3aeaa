/* The store seam on LMDB. lmdb.h is included in lmdb_kv.c only. */
#ifndef STORAGE_LMDB_KV_H
#define STORAGE_LMDB_KV_H

#include "storage/kv.h"

struct lmdb_options {
    const char *dir;      /* Made (0700) when absent, unless read_only. */
    const char *name;     /* For messages; copied. */
    bool read_only;       /* Beside a live daemon or on a dead machine's disk. */
};

/* Default durability: data pages with fdatasync, then the meta page; never
 * NOSYNC, NOMETASYNC or WRITEMAP. Takes an exclusive lock file when writable,
 * because a second open in one process would drop LMDB's own locks.
 *
 * SG_BUSY: another process (or this one) has it open for writing.
 * SG_NOTFOUND: read_only and not there. SG_CORRUPT: not an LMDB environment
 * or of another format. SG_IO: the rest. why (size bytes) says which file and why. */
MUST_USE enum sg_err lmdb_kv_open(const struct lmdb_options *options, struct kv *out, char *why,
                                  size_t why_size);

#endif
