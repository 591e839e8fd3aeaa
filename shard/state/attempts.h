/* Rows of upload attempts (struct attempt_row of state.h; schema: AttemptRow). */
#ifndef SHARD_STATE_ATTEMPTS_H
#define SHARD_STATE_ATTEMPTS_H

#include "shard/state/state.h"

MUST_USE enum sg_err attempt_put(struct rows *r, const struct attempt_row *row);
/* SG_NOTFOUND, SG_CORRUPT, SG_IO. */
MUST_USE enum sg_err attempt_get(struct rows *r, uint64_t file, uint64_t attempt, struct attempt_row *out);
/* All of a file, oldest first, in the arena. */
MUST_USE enum sg_err attempts_of(struct rows *r, uint64_t file, struct arena *a, struct attempt_row **out,
                                 size_t *count);

#endif
