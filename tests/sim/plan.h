/* What a run is made of: from the seed or from a scenario file. */
#ifndef TESTS_SIM_PLAN_H
#define TESTS_SIM_PLAN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Rates are a million-th for each occasion; "every" is the mean time between
 * two, 0: never. */
struct sim_plan {
    uint64_t seed;
    char scenario[128];
    char sets[128]; /* " --set KEY=VALUE" of each that was given. */
    unsigned nodes, shards, banks;
    uint64_t storm_ms; /* Faults and work. */
    uint64_t calm_ms;  /* At most, for each waiting after everything healed; see run.c. */
    unsigned heartbeat_ms, election_ms;
    uint64_t trailing;
    /* Configuration. */
    unsigned windows;   /* Of a shard a day, most of them within the run. */
    unsigned max_lines; /* Of a file. */
    /* People. */
    uint64_t submit_every_ms, cancel_every_ms, close_every_ms, transfer_every_ms, apply_every_ms,
        read_every_ms, file_cancel_every_ms, resolve_every_ms;
    unsigned batch_max;
    unsigned metadata_max; /* Bytes, to make requests large. */
    unsigned closes_max;   /* Windows closed by hand, of one shard. */
    uint32_t repeat_id, change_content, bad_content, answer_lost;
    uint64_t accept_max; /* Transfers submitted, then people rest. */
    /* Network. */
    uint32_t loss, duplicate, cut, straggle;
    uint64_t delay_min_us, delay_max_us, straggle_us;
    uint64_t partition_every_ms, partition_ms, reset_every_ms, clog_every_ms, clog_ms;
    /* Disk. */
    uint64_t flush_min_us, flush_max_us, stall_us;
    uint32_t stall;
    uint64_t io_error_every_ms, full_every_ms;
    bool rot, wipe;
    /* Processes. */
    uint64_t kill_every_ms, down_ms, pause_every_ms, pause_ms, leave_every_ms;
    uint64_t dark_ms;    /* Once all are down for this long, and cut-offs pass; 0: never. */
    uint32_t power_loss; /* Of a kill: what was not flushed is lost, all or some. */
    /* Clocks. */
    int64_t clock_jump_ms;
    uint64_t clock_every_ms;
    int32_t drift_ppm;
    /* Bank. */
    uint64_t bank_min_us, bank_max_us, take_us;
    uint32_t line_drop_before, line_drop_after, late_execution, bank_fails;
    uint64_t purge_every_ms, backup_every_ms, power_every_ms, directory_full_every_ms;
    uint64_t stranger_every_ms, forge_every_ms; /* Files under our names; frames under members' names. */
    bool rename_in_two_steps;                   /* A server that breaks the promise: for the planted bug. */
    /* Replicas. */
    unsigned inflight;    /* Entries to a follower, not acknowledged. */
    unsigned chunk_bytes; /* Of a snapshot. */
    uint64_t move_every_ms;
    unsigned voters_min;    /* That people leave a group. */
    uint32_t kill_elected;  /* A node dies at the moment it is elected. */
    uint32_t late;          /* A frame comes once more, long after. */
    uint32_t stall_install; /* A disk stalls when a snapshot is installed. */
    uint32_t forge;         /* A message comes with a field that cannot be. */
    bool stays_away;        /* After the storm a quorum must do alone at first. */
    /* Lanes of each node. */
    unsigned lanes;
    uint64_t post_us;                            /* Until a loop sees what another one posted. */
    uint64_t lane_stall_every_ms, lane_stall_ms; /* One loop stands still, the others go on. */
    unsigned earlier;                            /* Bit by bit: nodes that begin with a program of level 1. */
    uint64_t program_every_ms, finalize_every_ms;
    unsigned history; /* Entries with a transfer each, in the log of shard 0 from the beginning. */
    unsigned callers; /* Of the client library. */
    uint64_t caller_every_ms;
};

void plan_draw(struct sim_plan *p, uint64_t seed);
/* Lines "key value" and '#' comments over plan_draw(); "all_faults 0" clears
 * what breaks something. false with why. */
bool plan_read(struct sim_plan *p, const char *path, char *why, size_t why_size);
/* "KEY=VALUE" over all that. */
bool plan_set(struct sim_plan *p, const char *text, char *why, size_t why_size);

#endif
