/* What all shards of a node look like, gathered from its lanes. */
#ifndef SUPERVISOR_VERBS_SUMMARY_H
#define SUPERVISOR_VERBS_SUMMARY_H

#include "supervisor/node/call.h"

struct shard_summary {
    bool is_open;
    uint64_t group, leader, term, commit_index, applied_index;
    uint64_t pending_count;
    struct cents pending_debit, pending_credit;
    int64_t next_close_ms;
    char why[256];      /* Why it is stopped or not open, or rebuilds its rows. */
    bool is_rebuilding; /* It gets its leader's rows, as its own were wrong. */
    /* Files on hold or overdue, uploads that fail again and again. */
    struct shard_trouble {
        const char *kind; /* "upload", "overdue" or "capacity". */
        char text[320];
    } trouble[SUMMARY_TROUBLE_MAX];
    size_t trouble_count; /* May be more than there is room for. */
};

struct summary {
    struct shard_summary *shards; /* Ascending by routing number. */
    size_t shards_count;
};

/* Calls done on lane 0, later; the summary is borrowed. Rows are read on read workers. */
void summary_gather(struct call *c, void (*done)(struct call *c, const struct summary *s));

#endif
