/* Reading ACH files, ours and those of banks (returns, changes).
 *
 * Forgiving where banks slip: CRLF or LF, lines shorter than 94 characters,
 * missing filler, blank lines at the end, no line end on the last record,
 * addenda whose trace differs from the entry's, lower case. Not forgiving about
 * structure: an unknown record, a field of digits with something else in it, a
 * line that is too long (if by a blank only), filler in the place of the file
 * control or a batch that does not end is an error, never a guess.
 * Controls are read, not judged: ach_verify() does that. */
#ifndef SHARD_ACH_PARSE_H
#define SHARD_ACH_PARSE_H

#include "proto/base/arena.h"
#include "proto/base/units.h"
#include "shard/ach/records.h"

/* One record of a file. */
struct ach_record {
    enum ach_record_kind kind;
    size_t line;         /* 1-based. */
    const uint8_t *text; /* ACH_RECORD_SIZE characters, blank filled; valid until the next call. */
};

/* Reads records one after the other; no memory of its own. The layout of an
 * entry follows the batch header before it. */
struct ach_reader {
    struct span rest;
    size_t line;
    bool in_ctx;
    bool done;
    uint8_t text[ACH_RECORD_SIZE];
};

/* file is borrowed until the last call of ach_reader_next(). */
void ach_reader_init(struct ach_reader *r, struct span file);

/* SG_OK: out is the next record. SG_NOTFOUND: the file is over (the file control
 * was read; filler and blank lines behind it are passed over). SG_INVALID: why
 * (why_size bytes) says what is wrong in which line and column; reading cannot go
 * on. */
MUST_USE enum sg_err ach_reader_next(struct ach_reader *r, struct ach_record *out, char *why,
                                     size_t why_size);

/* A file as a tree. Spans lie in the arena; blanks at their ends are cut off. */
struct ach_parsed_addenda {
    unsigned type;           /* 5, 98 or 99. */
    struct span text;        /* 05: payment related; 98: corrected data; 99: information. */
    struct span reason;      /* 98, 99: change code, return reason ("R03"). */
    uint64_t original_trace; /* 98, 99 */
    uint32_t original_rdfi;  /* 98, 99: eight digits; 0: blank. */
    struct span death;       /* 99: YYMMDD or empty. */
    unsigned sequence;       /* 05 */
    uint64_t trace;          /* 05: seven digits of the entry's; 98, 99: all 15. */
};

struct ach_parsed_entry {
    size_t line;
    unsigned code;
    uint32_t rdfi; /* Nine digits, check digit included. */
    struct span account;
    struct cents amount;
    struct span individual_id;
    struct span name;
    struct span discretionary;
    bool has_addenda; /* The indicator. */
    uint64_t trace;
    struct ach_parsed_addenda *addenda;
    size_t addenda_count;
};

struct ach_parsed_batch {
    unsigned service_class;
    struct span company_name, discretionary, company_id, sec, description, descriptive_date;
    struct span effective;  /* YYMMDD, may be empty or malformed: as received. */
    struct span settlement; /* Empty on origination. */
    char status;
    uint32_t odfi; /* Eight digits. */
    uint32_t number;
    struct ach_parsed_entry *entries;
    size_t entries_count;
    uint32_t control_count; /* As written in the control record. */
    uint64_t control_hash;
    struct cents control_debit, control_credit;
};

struct ach_parsed {
    struct span destination, origin; /* Without the leading blank. */
    struct span date, time;          /* YYMMDD, HHMM. */
    char modifier;
    struct span destination_name, origin_name, reference;
    struct ach_parsed_batch *batches;
    size_t batches_count;
    uint32_t control_batches, control_blocks, control_count;
    uint64_t control_hash;
    struct cents control_debit, control_credit;
};

/* Read a whole file. Entries of each batch, and batches, in the file's order.
 * SG_INVALID: why (why_size bytes) is one sentence with the line; out is
 * undefined. Memory: a few times the file's size, from the arena. */
MUST_USE enum sg_err ach_parse(struct span file, struct arena *a, struct ach_parsed *out, char *why,
                               size_t why_size);

#endif
