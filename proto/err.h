/* Errors of the whole program: one table, one enum.
 *
 * A function that can fail returns enum sg_err and says in its header what is
 * true afterwards. Foreign codes (errno, MDB_*, nng, RAFT_*) are translated
 * where they enter and go no further. */
#ifndef PROTO_ERR_H
#define PROTO_ERR_H

#include <stdbool.h>

/* name, stable text, may the same call succeed later without a change? */
#define SG_ERR_TABLE(X)                                       \
    X(SG_OK, "done", false)                                   \
    X(SG_INVALID, "invalid input", false)                     \
    X(SG_NOTFOUND, "not found", false)                        \
    X(SG_EXISTS, "exists already", false)                     \
    X(SG_CONFLICT, "conflicts with what is stored", false)    \
    X(SG_TOOBIG, "over a limit", false)                       \
    X(SG_IO, "input or output failed", false)                 \
    X(SG_CORRUPT, "damaged data", false)                      \
    X(SG_NOTLEADER, "not the leader", true)                   \
    X(SG_UNAVAILABLE, "no leader or no quorum reached", true) \
    X(SG_REFUSED, "refused by a safety check", false)         \
    X(SG_UNKNOWN, "outcome unknown", true)                    \
    X(SG_TIMEOUT, "timed out", true)                          \
    X(SG_BUSY, "too much is waiting already", true)           \
    X(SG_STOPPED, "stopped", true)                            \
    X(SG_UNSUPPORTED, "not supported", false)

#define SG_ERR_ENUM(name, text, retry) name,
enum sg_err { SG_ERR_TABLE(SG_ERR_ENUM) SG_ERRS };
#undef SG_ERR_ENUM

/* The stable text of err. Never NULL; "unknown error" for a foreign number. */
const char *sg_err_text(enum sg_err err);

/* The name in lower case without the prefix ("notleader"), for logs, wire and JSON. */
const char *sg_err_name(enum sg_err err);

/* May the same call succeed later without any change of its input? */
bool sg_err_retry(enum sg_err err);

#endif
