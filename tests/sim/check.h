/* What the checkers share among themselves: what is known of each group, and
 * what each replica looked like after the last event. */
#ifndef TESTS_SIM_CHECK_H
#define TESTS_SIM_CHECK_H

#include "shard/engine/engine.h"
#include "tests/sim/sim.h"

struct truth_entry {
    uint64_t term, hash;
    uint64_t by_term; /* Of whoever knew it committed first. */
};

/* (index, term) of any log, committed or not, and what stood there: equal
 * everywhere for ever. Open addressing. */
struct seen_entry {
    uint64_t index, term, hash;
};

/* A change of configuration, wherever it was seen. */
struct seen_conf {
    uint64_t index, term, hash;
};

struct truth {
    struct truth_entry *committed; /* By index; [0] is unused. */
    uint64_t commit, commit_cap;
    uint64_t *digests; /* By index; 0: nobody stopped there yet. */
    uint64_t digests_cap;
    uint8_t *leaders; /* By term: host + 1. */
    uint64_t leaders_cap;
    struct seen_entry *seen;
    size_t seen_count, seen_cap;
    uint32_t home;        /* Nodes it began with: bit n for node n. */
    uint32_t holders;     /* Nodes that have it on their disks, likewise. */
    uint64_t voters_seen; /* Bit v for each set v of voters it had, bit n - 1 of v for node n. */
    struct seen_conf *confs;
    size_t confs_count, confs_cap;
};

/* A replica as it was after the last event. */
struct replica {
    struct group *group;
    uint64_t commit, applied, last_index, last_term, term, installed;
    uint64_t raft_commit; /* libraft's own. */
    unsigned state;
    bool failed;
};

/* In memory. */
struct kept {
    uint64_t bytes, blocks;
};

struct way_out {
    struct sim_lane *lane;
    struct transport inner;
};

struct checker {
    struct truth truth[SIM_GROUPS_MAX];
    struct replica replicas[SIM_NODES_MAX][SIM_GROUPS_MAX];
    struct way_out ways_out[SIM_NODES_MAX][SIM_LANES_MAX];
    struct kept kept[SIM_NODES_MAX]; /* When all was done. */
};

/* What stands at an index; found false: nothing can be read there. */
struct found {
    bool found;
    uint64_t term, hash;
    uint64_t conf; /* Hash of its data when it is a configuration, else 0. */
};

/* The group's id; number 0 is the catalog. */
uint64_t check_group_id(unsigned number);

/* --- check_conf.c -------------------------------------------------------------------------- */

/* An entry with a configuration was seen for the first time. */
void conf_saw(struct truth *t, uint64_t index, const struct found *f);
/* A new entry stands in a replica's log. */
void conf_appended(struct sim_host *h, unsigned number, struct group *g, uint64_t index,
                   const struct found *f);
/* libraft's configurations against the log. */
void conf_look(struct sim_host *h, unsigned number, struct group *g);

/* --- truth.c ------------------------------------------------------------------------------- */

uint64_t truth_hash(uint64_t h, struct span data);
/* Zeroed room for p[index]. */
void *truth_grow(void *p, uint64_t *cap, uint64_t index, size_t size);
/* From memory or, when it is there no more, from the store. */
struct found truth_entry_find(struct sim_host *h, struct group *g, uint64_t index);
/* Log matching: the same index and term is the same entry, wherever it stands. */
void truth_matches(struct sim_host *h, unsigned number, uint64_t index, const struct found *f);
/* A committed entry never changes; what is committed is on a quorum's disks:
 * I-4. To be called when the commit index has changed. */
void truth_commit(struct sim_host *h, unsigned number, struct group *g, struct replica *r);

#endif
