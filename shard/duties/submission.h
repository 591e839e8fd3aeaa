/* What a client submits to a shard: shard_submit() takes it, duties/submit answers it. */
#ifndef SHARD_DUTIES_SUBMISSION_H
#define SHARD_DUTIES_SUBMISSION_H

#include "proto/client.h"

/* A submission of one client: all its transfers, one answer each, in order.
 * Caller-allocated, the caller's again in done(). The transfers and what they
 * point to must stay valid until then. */
struct shard_submit {
    const struct transfer *transfers;
    size_t transfers_count;
    /* SG_OK: results (transfers_count of them, borrowed for the call) are set.
     * SG_NOTLEADER, SG_BUSY, SG_UNAVAILABLE (no settings yet): nothing was taken.
     * SG_UNKNOWN: ask again with the same ids; they fold. */
    void (*done)(struct shard_submit *s, enum sg_err err, const struct submit_result *results);
    struct shard_submit *next; /* The shard's. */
    struct submit_result *checked;
    size_t proposed_count, answered_count, size_bytes;
};

#endif
