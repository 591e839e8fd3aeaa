/* How long the turns of a thread take: by the clock, and in CPU of the thread.
 *
 * The clock says what others felt; on a machine that has more to do than this
 * program it says also what the machine's scheduler did. CPU says what the turn
 * itself cost. Both since the start and of the last one to two minutes.
 *
 * Zero it before the first use; it needs no release. Threads: as a histogram. */
#ifndef PROTO_BASE_METER_H
#define PROTO_BASE_METER_H

#include "proto/base/histogram.h"

#define METER_RECENT_US 60000000

/* A moment, in microseconds: of a monotonic clock, and of CPU that the thread
 * which asked had used by then. */
struct stamp {
    uint64_t clock_us;
    uint64_t cpu_us;
};

/* One minute of two. */
struct meter_recent {
    _Atomic uint64_t number; /* Of the minute, plus one; 0: nothing was added. */
    struct histogram clock, cpu;
};

struct meter {
    struct histogram clock, cpu;
    struct meter_recent recent[2];
    _Atomic uint64_t longest_us; /* By the clock, since meter_take_longest(). */
};

/* A turn from one moment to another; returns the latter, where the next may begin. */
struct stamp meter_lap(struct meter *m, struct stamp from, struct stamp to);
/* The longest by the clock since this was last asked. Any thread. */
uint64_t meter_take_longest(struct meter *m);

struct meter_figures {
    uint64_t count, p50_us, p99_us, max_us; /* By the clock. */
    uint64_t cpu_p99_us, cpu_max_us;
};
struct meter_figures meter_all(const struct meter *m);
/* Of this minute and the one before. */
struct meter_figures meter_recent(const struct meter *m, struct stamp now);

#endif
