/* The seam to the bank: requests to an endpoint, one answer each.
 *
 * Real: a directory (supervisor/daemon/banks/directory), later SFTP and FTP.
 * Simulated: answers late, takes files at once, drops the line before or after
 * it acted, executes a request after its sender is gone.
 *
 * An answer says what is known, not what is likely: whoever is not sure answers
 * BANK_DOUBT, and the upload protocol is built so that doubt is harmless. */
#ifndef SHARD_UPLOAD_BANK_H
#define SHARD_UPLOAD_BANK_H

#include "proto/base/hash.h"
#include "proto/base/limits.h"
#include "proto/settings.h"

enum bank_op {
    BANK_CREATE, /* O_EXCL in place, write all, fsync, close, confirm by setting, fsync the directory. */
    BANK_STAT,   /* LSTAT: is it there? size_bytes is set when BANK_OK. */
    BANK_RENAME, /* Atomically from place/name to to_place/to_name; a name that is there already is BANK_EXISTS. */
    BANK_SYNC,   /* fsync both directories over one connection. */
    BANK_REMOVE, /* What is not there: BANK_ABSENT. */
    BANK_PROBE, /* Can this endpoint keep the promise (create O_EXCL twice, rename, fsync, same file system)? */
    BANK_OPS
};

enum bank_place { BANK_STAGING = 1, BANK_DROP };

enum bank_answer {
    BANK_OK = 1,
    BANK_ABSENT, /* Surely not there. */
    BANK_EXISTS, /* O_EXCL or no-replace said so; nothing was changed. */
    BANK_FAILED, /* The server said no; nothing was changed, as far as the server can be believed. */
    BANK_DOUBT   /* Anything else: timeout, disconnect, a mismatch after writing. */
};
const char *bank_answer_name(enum bank_answer a);

#define BANK_NAME_SIZE 192
#define BANK_TEXT_SIZE 256

/* Caller-allocated, the caller's again in done(). Everything it points to must
 * stay valid until then. */
struct bank_request {
    enum bank_op op;
    const struct endpoint_settings *endpoint;
    enum bank_place place;
    char name[BANK_NAME_SIZE]; /* A file name: no slash, not "." or "..". */
    enum bank_place to_place;
    char to_name[BANK_NAME_SIZE];
    struct span data;     /* CREATE. */
    struct sha256 sha256; /* CREATE: of data, to confirm against. */
    void (*done)(struct bank_request *r);
    /* The answer. */
    enum bank_answer answer;
    uint64_t size_bytes;
    char text[BANK_TEXT_SIZE]; /* For people: what was tried, what the bank said. */
    void *impl_data;           /* The implementation's. */
};

struct bank_ops {
    /* On the loop; done() is called on the loop, never before this returns. */
    void (*request)(void *impl, struct bank_request *r);
    /* On the loop. Requests that have not begun, and later ones, are answered
     * BANK_FAILED; what is at work goes on to its own answer. For a lane whose
     * shards have stopped. NULL: no request ever waits here. */
    void (*cancel)(void *impl);
};

struct bank {
    const struct bank_ops *ops;
    void *impl;
};

static inline void bank_send(struct bank *b, struct bank_request *r)
{
    b->ops->request(b->impl, r);
}
static inline void bank_cancel(struct bank *b)
{
    if (b->ops->cancel != NULL) {
        b->ops->cancel(b->impl);
    }
}

#endif
