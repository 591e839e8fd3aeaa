/* Errors of the whole program: one table, one enum.
 *
 * A function that can fail returns enum sg_err and says in its header what is
 * true afterwards. Foreign codes (errno, MDB_*, nng, RAFT_*) are translated
 * where they enter and go no further. */
#ifndef PROTO_BASE_ERR_H
#define PROTO_BASE_ERR_H

/* name, stable text */
#define SG_ERR_TABLE(X)                                 \
    X(SG_OK, "done")                                    \
    X(SG_INVALID, "invalid input")                      \
    X(SG_NOTFOUND, "not found")                         \
    X(SG_EXISTS, "exists already")                      \
    X(SG_CONFLICT, "conflicts with what is stored")     \
    X(SG_TOOBIG, "over a limit")                        \
    X(SG_IO, "input or output failed")                  \
    X(SG_CORRUPT, "damaged data")                       \
    X(SG_NOTLEADER, "not the leader")                   \
    X(SG_UNAVAILABLE, "no leader or no quorum reached") \
    X(SG_REFUSED, "refused by a safety check")          \
    X(SG_UNKNOWN, "outcome unknown")                    \
    X(SG_TIMEOUT, "timed out")                          \
    X(SG_BUSY, "too much is waiting already")           \
    X(SG_STOPPED, "stopped")                            \
    X(SG_UNSUPPORTED, "not supported")

#define SG_ERR_ENUM(name, text) name,
enum sg_err { SG_ERR_TABLE(SG_ERR_ENUM) SG_ERRS };
#undef SG_ERR_ENUM

/* The stable text of err. Never NULL; "unknown error" for a foreign number. */
const char *sg_err_text(enum sg_err err);

/* The name in lower case without the prefix ("notleader"), for logs, wire and JSON. */
const char *sg_err_name(enum sg_err err);

#endif
