/* Anomaly loops: one failure at a time, at every place where it can happen.
 *
 * A small scenario is fixed (tests/sim/scenarios/anomaly) and runs once. At each
 * occasion, an allocation or an operation of the store, the process forks: in
 * the child this one fails, and the run goes on to its end with all checks of
 * the simulator; the parent goes on without a failure to the next occasion. So
 * every N is tried, and only what follows it is run again.
 *
 *   anomaly.c    options, children, figures
 *   memory.c     the N-th allocation of a node: the node ends, by policy
 *                (proto/base/mem.h), and starts anew on its disk
 *   store.c      the N-th operation of a node's store: an I/O error, a damaged
 *                record, a full disk */
#ifndef TESTS_SIM_ANOMALY_ANOMALY_H
#define TESTS_SIM_ANOMALY_ANOMALY_H

#include <stdint.h>

#include "tests/sim/sim.h"

/* How a child ended. The first is also the status of a run without a failure. */
enum ending {
    ENDING_WENT_ON, /* No node ended. */
    ENDING_BROKEN,  /* A check failed: sim_fail()'s status. */
    ENDING_USAGE,   /* Of main(). */
    ENDING_POLICY,  /* An allocation failed and its process ended. */
    ENDING_FATAL,   /* A store failed and its node ended. */
    ENDING_STOPPED, /* A group stopped. */
    ENDING_REFUSED, /* A node did not start. */
    ENDINGS
};

/* --- anomaly.c ---------------------------------------------------------------- */

/* At an occasion, with how it would fail: true in the one process in which it
 * must. A loop calls it once for each way. */
bool anomaly_now(const char *how);
/* How the failure of this process ended; the last one said counts. */
void anomaly_ended(enum ending how);

/* --- memory.c ----------------------------------------------------------------- */

extern const struct sim_hooks memory_hooks;
/* From here on allocations are occasions, and no more. Off with sanitizers,
 * which have allocators of their own: false. */
bool memory_season_open(void);
void memory_season_close(void);
/* Allocated and not freed, since the process began. */
int64_t memory_live(void);

/* --- store.c ------------------------------------------------------------------ */

extern const struct sim_hooks store_hooks;
/* At the end of a child: what the failure must have led to. */
void store_judge(struct sim *s);

#endif
