/* What stands in a shard's log: commands, and the results of applying them.
 * Schema: proto/command.proto. Time and level (proto/level.h) are fields, stamped
 * by the proposer. */
#ifndef PROTO_COMMAND_H
#define PROTO_COMMAND_H

#include "proto/client.h"
#include "proto/level.h"
#include "proto/settings.h"

/* Numbers are in the log: append only. */
enum command_kind {
    COMMAND_NONE,
    COMMAND_SUBMIT,      /* Transfers, many at once. */
    COMMAND_CANCEL,      /* One transfer. */
    COMMAND_SETTINGS,    /* The shard's settings changed. */
    COMMAND_CLOSE,       /* A window closes: what is applied before is in. */
    COMMAND_MISSED,      /* A window passed without a quorum; what the policy did. */
    COMMAND_SEAL,        /* One file of a closed window: members and bytes fixed. */
    COMMAND_WINDOW_DONE, /* No eligible transfer of the window is without a file. */
    COMMAND_CLAIM,       /* An attempt; its number is this entry's index. */
    COMMAND_STAGED,
    COMMAND_UPLOADED,
    COMMAND_ABANDONED,
    COMMAND_HOLD,
    COMMAND_VERIFIED,    /* verify_window passed, T stayed absent, nothing of the file is left. */
    COMMAND_FILE_CANCEL, /* An operator wants the file not to be delivered. */
    COMMAND_RESOLVE,     /* An operator ends a HOLD; what was staged is taken back first. */
    COMMAND_ALERT,       /* Something needs a person (upload fails again and again, rolled back server). */
    COMMAND_LEVEL,       /* What follows in this log may be of a higher level. */
    COMMAND_RELEASE,     /* A person lets the files of held windows go. From LEVEL_RELEASE on. */
    COMMAND_KINDS
};

/* A window of a day: the key of its row. */
struct window_id {
    struct day day;
    char name[WINDOW_NAME_SIZE_MAX + 1];
};

struct file_totals {
    uint32_t batches;
    uint32_t entries; /* Entry detail records. */
    uint32_t addenda;
    uint32_t lines; /* Without filler. */
    struct cents debit;
    struct cents credit;
    uint64_t hash; /* Entry hash of the file control record. */
};

struct command_seal {
    struct window_id window;
    uint64_t file;    /* Number of the file in the shard, from 1; the next one. */
    struct span name; /* F, rendered. */
    char modifier;
    struct day creation_day;
    uint16_t creation_minute;
    uint32_t trace_start; /* First trace sequence number. */
    uint64_t settings_version;
    struct span built_by; /* Node name. */
    uint64_t size_bytes;
    struct sha256 sha256;
    struct file_totals totals;
    bool same_day_over; /* Sealed after the creation day's last same-day deadline. From LEVEL_WRITTEN on. */
    uint64_t *members;  /* Transfer sequence numbers in the file's order. */
    size_t members_count;
};

enum missed_outcome { MISSED_TO_NEXT = 1, MISSED_CLOSED_LATE, MISSED_HELD };

struct command {
    enum command_kind kind;
    uint32_t level;   /* Whose rules it is applied by, for ever; that in force when it was made. */
    int64_t time_ms;  /* Unix time at the proposer. */
    struct span node; /* Proposer's name. */
    union {
        struct {
            struct transfer *transfers;
            size_t transfers_count;
        } submit;
        struct {
            struct span id;
            struct span reason;
        } cancel;
        struct {
            struct span encoded; /* settings_encode() */
        } settings;
        struct {
            struct window_id window;
            int64_t scheduled_ms; /* 0: closed by hand. */
            bool manual;
            bool late; /* Caught up after its time. */
            bool hold; /* By missed_window: hold: sealed, not uploaded, until released. */
            struct span reason;
            struct day processing_day; /* Local day on which it really closes and its files go out
                                        * (effective_entry_date); not after window.day: window.day. */
            int64_t upload_by_ms;      /* When its files should be at the bank; 0: no deadline. */
        } close;
        struct {
            struct window_id window;
            enum missed_outcome outcome;
        } missed;
        struct command_seal seal;
        struct {
            struct window_id window;
            uint64_t
                left_behind_count; /* Due, and not taken by the window's settings. From LEVEL_RELEASE on. */
        } window_done;
        struct {
            uint64_t file;
            uint64_t attempt;     /* Not with CLAIM. */
            uint64_t size_bytes;  /* STAGED. */
            struct sha256 sha256; /* STAGED. */
            struct span reason;   /* HOLD, FILE_CANCEL, RESOLVE, ALERT. */
            bool as_uploaded;     /* RESOLVE. */
            bool resolving;       /* HOLD: the bank was looked at after the RESOLVE. */
        } file;
        struct {
            char window[WINDOW_NAME_SIZE_MAX + 1]; /* "": all that are on hold. */
            struct span reason;
        } release;
        struct {
            uint32_t to;
            struct span program; /* The first that speaks it, for one that does not. */
        } level_change;
    };
};

/* Appends. CHECKs level, numbers, names and sizes against their ranges. What people
 * type is cut off instead: reasons at REASON_SIZE_MAX, the id to cancel behind
 * TRANSFER_ID_SIZE_MAX + 1 (so that it stays the id of nothing). */
void command_encode(const struct command *c, struct bytes *out);
/* SG_UNSUPPORTED: made under a level that this program does not speak (out->level
 * says which). SG_INVALID: not a command. All that out points to is in
 * the arena. Transfers are decoded, not judged. */
MUST_USE enum sg_err command_decode(struct span data, struct arena *a, struct command *out);

/* The kind at the front of an encoded command, before anything is judged; COMMAND_NONE: none. */
enum command_kind command_kind_ahead(struct span data);

/* The result of one applied command, made by apply, read by the proposer. */
struct command_result {
    enum sg_err err; /* SG_OK, or why the command was refused. */
    struct span reason;
    uint64_t index;                /* Log index of the command (CLAIM: the attempt). */
    uint64_t file;                 /* CANCEL too late: in this file; SEAL: its number. */
    struct submit_result *results; /* SUBMIT, in the order of the command. */
    size_t results_count;
};
void command_result_encode(const struct command_result *r, struct bytes *out);
/* SG_INVALID. All that out points to is in the arena. */
MUST_USE enum sg_err command_result_decode(struct span data, struct arena *a, struct command_result *out);

#endif
