/* The replicated state of a routing number: apply, and questions about it.
 *
 * Pure functions over rows. apply sees no clock, file, socket or random number;
 * time is a field of the command. Refusing a command is a result. */
#ifndef SHARD_STATE_STATE_H
#define SHARD_STATE_STATE_H

#include "proto/rows.h"
#include "shard/ach/effective.h"
#include "shard/machine.h"

/* See machine_ops.apply. result gets command_result_encode(). */
MUST_USE enum sg_err state_apply(struct rows *rows, uint64_t index, uint64_t term, struct span command,
                                 struct bytes *result);

/* A part of a list. An answer's work is bounded however long the list is and however
 * few of its records are wanted: at most rows_max rows, LIST_VISITS_MAX records
 * looked at, and not many more bytes of them than LIST_SIZE_SOFT_BYTES. */
struct page {
    uint64_t after;  /* Go on behind this record (newest first: below it); 0: at the beginning. */
    size_t rows_max; /* At least 1. */
    uint64_t next;   /* Answer: the last record looked at, `after` of the next page. */
    bool more;       /* Answer: records behind it were not looked at. */
};

/* --- Questions (read or write transactions). Spans and arrays live in the
 * arena. SG_NOTFOUND where there is no such thing; SG_CORRUPT, SG_IO. -------- */

MUST_USE enum sg_err state_counters(struct rows *r, struct counters_row *out);
/* The newest settings, or those of a version, to be taken by the rules of a
 * level; level 0: that in force. */
MUST_USE enum sg_err state_settings(struct rows *r, uint32_t level, struct arena *a, struct settings *out);
MUST_USE enum sg_err state_settings_at(struct rows *r, uint64_t version, uint32_t level, struct arena *a,
                                       struct settings *out);
/* The level in force, by which commands are to be made. */
uint32_t state_level(const struct counters_row *counters);

MUST_USE enum sg_err state_transfer_by_seq(struct rows *r, uint64_t seq, struct arena *a,
                                           struct transfer_row *out);
MUST_USE enum sg_err state_transfer_by_id(struct rows *r, struct span id, struct arena *a,
                                          struct transfer_row *out);
/* Up to max transfers with seq > after, in order; state 0: all. count 0 at the end. */
MUST_USE enum sg_err state_transfers(struct rows *r, uint64_t after, enum transfer_state state, size_t max,
                                     struct arena *a, struct transfer_row **out, size_t *count);
/* A page of them. */
MUST_USE enum sg_err state_transfers_page(struct rows *r, struct page *page, enum transfer_state state,
                                          struct arena *a, struct transfer_row **out, size_t *count);

MUST_USE enum sg_err state_window(struct rows *r, const struct window_id *id, struct window_row *out);
/* Newest first, up to max. */
MUST_USE enum sg_err state_windows(struct rows *r, size_t max, struct arena *a, struct window_row **out,
                                   size_t *count);
MUST_USE enum sg_err state_windows_page(struct rows *r, struct page *page, struct arena *a,
                                        struct window_row **out, size_t *count);
/* The windows that are closed and not yet done (sealing is unfinished), oldest first. */
MUST_USE enum sg_err state_windows_open_work(struct rows *r, struct arena *a, struct window_row **out,
                                             size_t *count);

/* Members of a closed window that have no file yet, dated and in the order of a
 * file that is made then (not before the window's processing day); the settings are
 * those of the window. */
struct member {
    uint64_t seq;
    struct transfer transfer;
    struct day effective;
    bool same_day; /* With effective: what effective_entry_date() says. */
};
MUST_USE enum sg_err state_window_members(struct rows *r, const struct window_row *w,
                                          const struct settings *settings, struct processing p,
                                          struct arena *a, struct member **out, size_t *count);

/* The same for one file, however many members wait: pending transfers are judged in
 * the order of acceptance, until more than one file's lines or cents are found or
 * SEALING_VISITS_MAX were judged. */
struct member_walk {
    uint64_t after; /* Go on behind this number: what lies before was judged; 0: begin. In and out. */
    bool more;      /* Answer: not all up to the window's last were judged. */
    /* Pending ones that were due and are no members, because the window's settings take
     * them no more (originator removed, limit lowered); why: of the first. Added to. */
    uint64_t unfit_count;
    uint64_t counted; /* Unfit ones up to here are in unfit_count. */
    char why[256];
};
MUST_USE enum sg_err state_window_file(struct rows *r, const struct window_row *w,
                                       const struct settings *settings, struct processing p,
                                       struct member_walk *walk, struct arena *a, struct member **out,
                                       size_t *count);

MUST_USE enum sg_err state_file(struct rows *r, uint64_t file, struct arena *a, struct file_row *out);
MUST_USE enum sg_err state_file_by_name(struct rows *r, struct span name, struct arena *a,
                                        struct file_row *out);
/* Newest first, up to max. */
MUST_USE enum sg_err state_files(struct rows *r, size_t max, struct arena *a, struct file_row **out,
                                 size_t *count);
MUST_USE enum sg_err state_files_page(struct rows *r, struct page *page, struct arena *a,
                                      struct file_row **out, size_t *count);
/* Files that still need something done (all but those that ended and are
 * verified; those on hold need a person), oldest first. */
MUST_USE enum sg_err state_files_open_work(struct rows *r, struct arena *a, struct file_row **out,
                                           size_t *count);
/* What windows with a deadline (upload_by_ms) still owe the bank: their files
 * that have not ended, and windows that are not all in files yet (file 0).
 * Whether the deadline has passed is for whoever has a clock. Oldest first. */
struct owed {
    struct window_id window;
    int64_t upload_by_ms;
    uint64_t file;
    struct span name;      /* Of the file; else empty. */
    enum file_state state; /* Of the file; else 0. */
};
MUST_USE enum sg_err state_owed(struct rows *r, struct arena *a, struct owed **out, size_t *count);
#define OWED_TEXT_SIZE 192
/* For people, of one that is late. Returns out. */
char *owed_text(const struct owed *o, char out[OWED_TEXT_SIZE]);
/* The reason of a file that was sealed on hold with its window. */
#define FILE_HELD_WITH_WINDOW "its window was missed and is on hold"
/* What of the windows a person should look at: no modifier left, missed, on hold,
 * transfers left behind. files: those of state_files_open_work(). */
struct attention {
    const char *kind;
    char text[320]; /* What, why, and the command that helps. */
};
MUST_USE enum sg_err state_attention(struct rows *r, const struct file_row *files, size_t files_count,
                                     struct arena *a, struct attention **out, size_t *count);
/* Sequence numbers of a file's members, in order. */
MUST_USE enum sg_err state_file_members(struct rows *r, uint64_t file, struct arena *a, uint64_t **out,
                                        size_t *count);
/* All attempts of a file, oldest first. */
MUST_USE enum sg_err state_attempt(struct rows *r, uint64_t file, uint64_t attempt, struct attempt_row *out);
MUST_USE enum sg_err state_attempts_all(struct rows *r, uint64_t file, struct arena *a,
                                        struct attempt_row **out, size_t *count);

/* The bytes of a sealed file, built again from the rows (I-6: the same on every
 * replica), checked against the sealed SHA-256, size and totals.
 * SG_CONFLICT: they differ (why says how): never upload such a file. */
MUST_USE enum sg_err state_file_rebuild(struct rows *r, uint64_t file, struct bytes *out, char *why,
                                        size_t why_size);
/* The same bytes as this replica keeps them (storage/kept.h), compared with the sealed
 * SHA-256; rebuilt where it does not, or what it keeps is damaged. */
MUST_USE enum sg_err state_file_bytes(struct rows *r, uint64_t file, struct bytes *out, char *why,
                                      size_t why_size);

/* Before what time no further file of a closed window may be sealed: its close,
 * and the sealing of the shard's last file. */
MUST_USE enum sg_err state_sealing_not_before(struct rows *r, const struct window_row *w, int64_t *time_ms);

/* The lowest unused File ID modifier of a creation day: 'A'..'Z','0'..'9'; 0: all 36 are used. */
MUST_USE enum sg_err state_modifier(struct rows *r, struct day creation_day, char *out);

/* Events with cursor > after, oldest first, up to max. */
MUST_USE enum sg_err state_events(struct rows *r, uint64_t after, size_t max, struct arena *a,
                                  struct event_row **out, size_t *count);
MUST_USE enum sg_err state_events_page(struct rows *r, struct page *page, struct arena *a,
                                       struct event_row **out, size_t *count);

#endif
