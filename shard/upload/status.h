/* What a shard's leader is doing with files, as its status shows it. */
#ifndef SHARD_UPLOAD_STATUS_H
#define SHARD_UPLOAD_STATUS_H

#include <stdint.h>

struct shard_upload_status {
    uint64_t file;          /* 0: the endpoint is probed. */
    const char *step;       /* As in docs/upload.md: "claim", "witness", "put", ... */
    uint32_t tries;         /* Failures in a row. */
    const char *last_error; /* Of the bank; "" when none. */
    int64_t next_try_ms;    /* Wall clock; 0: now. */
};

#endif
