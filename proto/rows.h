/* The rows of a shard's state (schema: proto/rows.proto). Decoders copy nothing:
 * spans point into the record. They answer SG_INVALID for what is no such row,
 * SG_UNSUPPORTED for one of a level that this program does not speak. */
#ifndef PROTO_ROWS_H
#define PROTO_ROWS_H

#include "proto/command.h"

enum transfer_state { TRANSFER_PENDING = 1, TRANSFER_SEALED, TRANSFER_CANCELLED, TRANSFER_STATES };
const char *transfer_state_name(enum transfer_state s); /* "pending" "in_file" "cancelled" */

struct transfer_row {
    uint64_t seq;   /* In the order of acceptance, from 1. */
    uint64_t index; /* Log index of its acceptance. */
    int64_t accepted_ms;
    enum transfer_state state;
    uint64_t file;            /* 0: none. */
    uint32_t trace;           /* Sequence part of its trace number; 0: none. */
    struct day effective;     /* In the file. */
    uint64_t cancelled_index; /* 0: not cancelled. */
    struct span encoded;      /* transfer_encode() */
};

struct fold_row { /* Keyed by transfer id: the answer given for ever. */
    uint64_t seq;
    uint64_t index;
    struct digest content;
};

enum window_state { WINDOW_CLOSED = 1, WINDOW_SEALED, WINDOW_MISSED, WINDOW_STATES };
const char *window_state_name(enum window_state s);

struct window_row {
    struct window_id id;
    enum window_state state;
    uint64_t index;    /* Of CLOSE. */
    uint64_t last_seq; /* Transfers up to here are in. */
    int64_t scheduled_ms, closed_ms;
    bool manual, late, hold;
    uint64_t settings_version;
    uint64_t first_file, files_count;
    struct cents debit, credit;
    uint64_t entries;
    struct day processing_day;  /* For effective dates; see COMMAND_CLOSE. */
    int64_t upload_by_ms;       /* When its files should be at the bank; 0: no deadline. */
    uint64_t left_behind_count; /* Due, and not taken by its settings. */
};

/* Names as in docs/cli.md: sealed|claimed|staged|uploaded|hold|abandoned. */
enum file_state {
    FILE_SEALED = 1,
    FILE_CLAIMED,
    FILE_STAGED,
    FILE_UPLOADED,
    FILE_HOLD,
    FILE_ABANDONED,
    FILE_STATES
};
const char *file_state_name(enum file_state s);

/* What an operator said of a file on hold while its staged copy is being taken
 * back; none before, and again once that is decided. */
enum file_resolve { FILE_RESOLVE_NONE, FILE_RESOLVE_UPLOADED, FILE_RESOLVE_ABANDONED, FILE_RESOLVES };
const char *file_resolve_name(enum file_resolve r); /* "" "uploaded" "abandoned" */

struct file_row {
    struct command_seal seal; /* members live in a row of their own: NULL here. */
    uint64_t seal_index;
    int64_t sealed_ms;
    enum file_state state;
    uint64_t attempt;        /* Newest CLAIM's index; 0: none. */
    uint64_t claim_term;     /* Term of the newest CLAIM. */
    uint64_t staged_attempt; /* The live STAGED; 0: none. */
    uint32_t attempts_count;
    bool cancel_wanted; /* T goes to D: a cancel, or a resolve under way. */
    int64_t uploaded_ms;
    bool verified;          /* UPLOADED or ABANDONED: nothing of it is left to look after. */
    struct span claimed_by; /* Node name. */
    struct span reason;     /* Of HOLD, cancel or resolve. */
    enum file_resolve resolve;
    int64_t abandoned_ms; /* 0: not abandoned. */
    uint32_t level;       /* Of its SEAL: how its bytes are made; 0: 1. */
};

/* One attempt to upload a file; attempt is the index of its CLAIM, term that of
 * the leader that claimed. */
struct attempt_row {
    uint64_t file, attempt, term;
    bool staged;    /* STAGED was applied for it. */
    bool abandoned; /* Its copy was taken back. */
    bool cleaned;   /* VERIFIED said that nothing of it is left at the bank. */
    /* In force when it was claimed: whose directories its names are in. 0: not known
     * (claimed before LEVEL_ATTEMPT_PLACE). */
    uint64_t settings_version;
};

struct counters_row {
    uint64_t next_seq, next_file;
    uint32_t next_trace;
    uint64_t settings_version;
    /* Invariant I-9: accepted = pending + sealed + cancelled, in count and cents, per side. */
    uint64_t accepted_count, pending_count, sealed_count, cancelled_count;
    struct cents accepted_debit, pending_debit, sealed_debit, cancelled_debit;
    struct cents accepted_credit, pending_credit, sealed_credit, cancelled_credit;
    uint64_t next_event;
    uint32_t level;      /* In force for what is proposed; 0: 1. */
    int64_t settings_ms; /* When settings_version came into force; 0: a program that did not note it. */
};

struct event_field {
    struct span name; /* "entries", "reason" ... */
    struct span text; /* One of the two. */
    uint64_t number;
};

struct event_row {
    uint64_t cursor;
    uint64_t index;
    int64_t time_ms;
    struct span kind;           /* "transfer.accepted" (one a command), "window.closed", "file.sealed", ... */
    struct span subject;        /* Transfer id, window, file name; may be empty. */
    struct span text;           /* For people; of level 1. */
    struct event_field *fields; /* From level 2 on: what the sentence is made of (shard/state/event.h). */
    size_t fields_count;
};

void transfer_row_encode(const struct transfer_row *r, struct bytes *out);
MUST_USE enum sg_err transfer_row_decode(struct span data, struct arena *a, struct transfer_row *out);
void fold_row_encode(const struct fold_row *r, struct bytes *out);
MUST_USE enum sg_err fold_row_decode(struct span data, struct fold_row *out);
void window_row_encode(const struct window_row *r, struct bytes *out);
MUST_USE enum sg_err window_row_decode(struct span data, struct window_row *out);
void file_row_encode(const struct file_row *r, struct bytes *out);
MUST_USE enum sg_err file_row_decode(struct span data, struct arena *a, struct file_row *out);
void counters_row_encode(const struct counters_row *r, struct bytes *out);
MUST_USE enum sg_err counters_row_decode(struct span data, struct counters_row *out);
void event_row_encode(const struct event_row *r, struct bytes *out);
MUST_USE enum sg_err event_row_decode(struct span data, struct arena *a, struct event_row *out);
void attempt_row_encode(const struct attempt_row *r, struct bytes *out);
MUST_USE enum sg_err attempt_row_decode(struct span data, struct attempt_row *out);

#endif
