/* How long this node's loops and store writers take for one thing: all groups of
 * a lane wait meanwhile, so none may depend on how much data there is. */
#ifndef SUPERVISOR_NODE_PACE_H
#define SUPERVISOR_NODE_PACE_H

#include <stdbool.h>

#include "proto/base/meter.h"

struct lane;

enum pace_of {
    PACE_TURN,   /* A turn of the lane's loop. */
    PACE_JOB,    /* One job of its store writer. */
    PACE_COMMIT, /* One commit: its flush waits for the disk. */
    PACE_KINDS
};

/* "loop turn", "writer job", "commit". */
const char *pace_name(enum pace_of of);
/* Valid as long as the lane; any thread may read it. */
struct meter *pace_meter(const struct lane *l, enum pace_of of);
/* Each second, on the lane: a log line for what took longer than TURN_SLOW_US. */
void pace_tick(struct lane *l);
/* Is it the program that was slow in the last minutes? By CPU: what the clock
 * says on a machine that is overloaded is not ours. Not for commits. */
bool pace_is_slow(enum pace_of of, const struct meter_figures *recent);

#endif
