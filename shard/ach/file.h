/* What goes into one ACH file and what comes out: shared by order, build and
 * verify. No arithmetic lives here. */
#ifndef SHARD_ACH_FILE_H
#define SHARD_ACH_FILE_H

#include "proto/base/limits.h"
#include "proto/settings.h"
#include "proto/transfer.h"

/* One transfer on its way into a file. The transfer is borrowed. */
struct ach_entry {
    const struct transfer *transfer;
    uint64_t seq;         /* In the order of acceptance; unique. */
    struct day effective; /* From effective_entry_date(). */
    bool same_day;        /* From effective_entry_date(). */
    uint32_t batch;       /* Written by ach_order(): rank of the entry's batch. */
};

/* What a file header takes from the log and not from the settings. */
struct ach_file_header {
    char modifier; /* 'A' to 'Z', then '0' to '9'. */
    struct day creation_day;
    int creation_minute;  /* Of the local day, 0 to 1439. */
    uint32_t trace_start; /* Sequence part of the first trace number, 1 to TRACE_SEQUENCE_MAX. */
};

struct ach_totals {
    uint32_t batches;
    uint32_t entries; /* Entry detail records. */
    uint32_t addenda;
    uint32_t lines;  /* Without filler. */
    uint32_t blocks; /* Of ten records, filler included. */
    struct cents debit;
    struct cents credit;
    uint64_t hash;        /* Entry hash of the file control record, ten digits. */
    uint64_t trace_first; /* All 15 digits. */
    uint64_t trace_last;
};

/* Field by field. */
bool ach_totals_eq(const struct ach_totals *a, const struct ach_totals *b);

/* The sequence part (last seven digits) of a trace number. */
static inline uint32_t ach_trace_sequence(uint64_t trace)
{
    return (uint32_t)(trace % (TRACE_SEQUENCE_MAX + 1));
}

#endif
