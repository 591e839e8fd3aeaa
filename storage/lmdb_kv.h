/* The store seam on LMDB. lmdb.h is included in lmdb_kv.c and lmdb_open.c only. */
#ifndef STORAGE_LMDB_KV_H
#define STORAGE_LMDB_KV_H

#include "storage/kv.h"

struct lmdb_options {
    const char *dir;         /* Made (0700) when absent, unless read_only. Its parent must be there. */
    const char *name;        /* For messages; copied. */
    bool read_only;          /* Beside a live daemon or on a dead machine's disk. */
    uint64_t map_size_bytes; /* 0: STORE_MAP_SIZE_BYTES. Less in tests of a full store. */
};

/* Default durability: data pages with fdatasync, then the meta page; never
 * NOSYNC, NOMETASYNC or WRITEMAP. Takes an exclusive lock file when writable,
 * because a second open in one process would drop LMDB's own locks; for the
 * same reason this process may have dir open once only, read-only or not.
 *
 * A file that was cut short is extended with zeros when writable, so that what
 * is missing reads as damage and not as SIGBUS. Read-only that cannot be done:
 * inspect a foreign disk in a child process. A damaged page may also make LMDB
 * abort the process; the line before it names the store.
 *
 * Threads: read transactions on any; LMDB keeps a slot for each of them
 * (STORE_READERS_MAX, SG_BUSY above it), and a few ended ones are kept for reuse.
 *
 * SG_BUSY: another process (or this one) has it open. SG_NOTFOUND: read_only
 * and not there. SG_CORRUPT: not an LMDB environment or of another format.
 * SG_IO: the rest. why (why_size bytes) says which file and why; nothing stays
 * open. */
MUST_USE enum sg_err lmdb_kv_open(const struct lmdb_options *options, struct kv *out, char *why,
                                  size_t why_size);

#endif
