/* The client of a Shardgate cluster: submit transfers, ask, control.
 *
 * Calling sequence: shardgate_client_new(), any number of calls,
 * shardgate_client_free().
 *
 * One handle may be used by many threads at once; each call blocks its thread
 * until it is answered or its time is over. The library makes threads of its
 * own for the connections, so do not fork() while a handle exists.
 *
 * Any node may be named: the nodes find the leader among themselves. A node
 * that fails is left for the next one; among the connected nodes the one with
 * the fewest errors is asked, then the one with the fewest calls in flight, then
 * the one with the fewest calls made. Errors are forgotten after 30 minutes.
 * Whether a repetition is safe is the library's business: submitting, cancelling
 * a transfer and everything that only reads is repeated until it is answered or
 * the time is over; the rest ends in SHARDGATE_UNKNOWN when a connection breaks
 * after the request left.
 *
 * Structures may grow at their ends in later versions. Each begins with its
 * struct_size, so that a program and a library of different versions agree on what
 * both know: set it with the _INIT macros, or to sizeof of the structure, also in
 * what the library fills. Of an array the first element's holds for all. */
#ifndef SHARDGATE_CLIENT_H
#define SHARDGATE_CLIENT_H

#include <stddef.h>
#include <stdint.h>

#include "shardgate/version.h"

#ifdef __cplusplus
extern "C" {
#endif

/* What a call ended in. New values may be added. */
enum shardgate_err {
    SHARDGATE_OK = 0,
    SHARDGATE_INVALID = 1,  /* The request is malformed; nothing was done. */
    SHARDGATE_NOTFOUND = 2, /* No such routing number, transfer, file ... */
    SHARDGATE_EXISTS = 3,
    SHARDGATE_CONFLICT = 4, /* Contradicts what is stored; nothing was done. */
    SHARDGATE_TOOBIG = 5,   /* Over a limit; nothing was done. */
    SHARDGATE_IO = 6,
    SHARDGATE_CORRUPT = 7, /* Damaged data found; the shard has stopped. */
    SHARDGATE_NOTLEADER = 8,
    SHARDGATE_UNAVAILABLE = 9, /* No node, leader or quorum reached; nothing was done. */
    SHARDGATE_REFUSED = 10,    /* By a safety check; nothing was done. */
    SHARDGATE_UNKNOWN = 11,    /* It may or may not have been done: look, or repeat. */
    SHARDGATE_TIMEOUT = 12,    /* As SHARDGATE_UNKNOWN: the time was over. */
    SHARDGATE_BUSY = 13,       /* Too much is waiting; nothing was done. */
    SHARDGATE_STOPPED = 14,
    SHARDGATE_UNSUPPORTED = 15
};

/* Never NULL. */
const char *shardgate_err_text(int err);

/* SHARDGATE_VERSION_TEXT and _NUMBER of the library in use. */
const char *shardgate_version(void);
int shardgate_version_number(void);

struct shardgate_client;

/* Why a call failed. code is an enum shardgate_err; text is one sentence or
 * two: what, why, what to do next; "" when the call succeeded. One whose struct_size
 * was not set is left alone. */
struct shardgate_error {
    size_t struct_size;
    int code;
    char text[512];
};

/* One payment. All strings are borrowed for the call. Optional strings may be
 * NULL. See docs for the meaning of each field; they are those of the JSON form. */
struct shardgate_transfer {
    size_t struct_size;
    const char *id;             /* 1 to 64 printable ASCII characters: the key for repeating. */
    const char *routing_number; /* Nine digits: the bank our file goes to. */
    const char *originator;
    const char *sec; /* "PPD", "CCD", "CTX", "WEB", "TEL" */
    const char *entry_description;
    const char *side;         /* "credit" or "debit", as the receiver sees it. */
    const char *account_type; /* "checking", "savings", "ledger", "loan" */
    const char *rdfi;         /* Nine digits: the receiver's bank. */
    const char *account;
    int64_t amount_cents;
    const char *name;
    const char *individual_id; /* Optional from here on. */
    const char *discretionary;
    const char *payment_type;   /* "R" or "S" */
    const char *effective_date; /* "YYYY-MM-DD" */
    const char *reverses;       /* Id of the transfer to reverse. */
    const char *metadata;       /* JSON text, comes back in every answer. */
    const char *const *addenda;
    size_t addenda_count;
    int prenote;  /* 0 or 1 */
    int same_day; /* 0 or 1 */
};

enum shardgate_outcome {
    SHARDGATE_NONE = 0,     /* No answer for this one: see the call's error. */
    SHARDGATE_ACCEPTED = 1, /* Durable on a quorum. */
    SHARDGATE_FOLDED = 2,   /* The same id and content came before: its first answer. */
    SHARDGATE_REJECTED = 3
};

struct shardgate_result {
    size_t struct_size;
    int outcome;      /* enum shardgate_outcome */
    uint64_t index;   /* Log index of the first acceptance; 0 when rejected. */
    char reason[256]; /* When rejected. Folded: when the transfer was cancelled or its file abandoned,
                       * so that it is not paid. Else "", or a note that nothing need be done about. */
};

#define SHARDGATE_ERROR_INIT                          \
    {                                                 \
        .struct_size = sizeof(struct shardgate_error) \
    }
#define SHARDGATE_TRANSFER_INIT                          \
    {                                                    \
        .struct_size = sizeof(struct shardgate_transfer) \
    }
#define SHARDGATE_RESULT_INIT                          \
    {                                                  \
        .struct_size = sizeof(struct shardgate_result) \
    }

/* addresses: "tcp://host:port[,tcp://host:port...]", also "ipc:///path"; an
 * address without a scheme is taken as tcp. Starts to connect and does not wait.
 *
 * Returns SHARDGATE_OK and the handle, or SHARDGATE_INVALID (an address is
 * malformed) or SHARDGATE_IO (no descriptors) and no handle. error may be NULL,
 * here and below. */
int shardgate_client_new(const char *addresses, struct shardgate_client **out, struct shardgate_error *error);
/* No call may be under way. NULL is allowed. */
void shardgate_client_free(struct shardgate_client *c);
/* How long each later call may take, connecting and repeating included. 0: the
 * default of 10,000. Not while a call is under way on another thread. */
void shardgate_client_set_timeout_ms(struct shardgate_client *c, uint32_t timeout_ms);

/* Submit count transfers of any shards; results has count elements, in the same
 * order, and the struct_size of its first is set. Waits until each transfer is accepted, folded or rejected. What several
 * threads submit through one handle at the same time leaves together, so many
 * threads on one handle are faster than a handle for each.
 *
 * SHARDGATE_OK: every result has an outcome. Anything else: the results
 * that are not SHARDGATE_NONE stand, the others are open; submit those again
 * with the same ids. A transfer whose fields are not even well-formed (a routing
 * number that is none) is SHARDGATE_REJECTED without asking. SHARDGATE_INVALID: a
 * struct_size was not set, or this library is too old for what the transfers say;
 * nothing was sent, and the results are as they were. */
int shardgate_client_submit(struct shardgate_client *c, const struct shardgate_transfer *transfers,
                            size_t count, struct shardgate_result *results, struct shardgate_error *error);

/* A named argument of a verb. */
struct shardgate_arg { /* This one does not grow. */
    const char *name;
    const char *value;
};

/* Any other verb by its name, for example "status", "shards show", "files get",
 * "windows close". routing_number is NULL where the verb takes none.
 *
 * On SHARDGATE_OK: *json is the answer, one JSON document with a final zero, and
 * *data (may be NULL when not wanted) the bytes of "files get", else NULL. Both
 * belong to the caller: shardgate_free(). On an error both are NULL. */
int shardgate_client_query(struct shardgate_client *c, const char *verb, const char *routing_number,
                           const struct shardgate_arg *args, size_t args_count, char **json, void **data,
                           size_t *data_size, struct shardgate_error *error);

/* Frees what a call above gave. NULL is allowed. */
void shardgate_free(void *p);

#ifdef __cplusplus
}
#endif

#endif
