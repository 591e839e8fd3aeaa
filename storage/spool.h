/* A byte string that may be large: memory up to SPOOL_MEMORY_MAX_BYTES, an
 * unlinked file in dir above it. Written once from the start, read anywhere.
 * One thread at a time. Not durable: it dies with the process. */
#ifndef STORAGE_SPOOL_H
#define STORAGE_SPOOL_H

#include "proto/base/bytes.h"
#include "proto/base/err.h"

struct spool;

/* dir is copied; NULL: memory only (the simulator). */
struct spool *spool_new(const char *dir);
/* SG_IO (the file), SG_TOOBIG (SNAPSHOT_SIZE_MAX_BYTES); the spool is useless
 * then: all that is asked of it is SG_IO, and it can be freed. */
MUST_USE enum sg_err spool_append(struct spool *s, struct span data);
uint64_t spool_size(const struct spool *s);
/* Exactly n bytes at offset into out. SG_INVALID beyond the end, SG_IO. */
MUST_USE enum sg_err spool_read(struct spool *s, uint64_t offset, void *out, size_t n);
void spool_free(struct spool *s);

#endif
