/* Fault points: places where a test build can die, stop or fail, by name.
 *
 * FAULT_POINT("upload.claimed") costs nothing in a release build. With
 * -DSHARDGATE_FAULTS it asks the handler, which the test program or the
 * environment variable SHARDGATE_FAULT has set:
 *
 *   SHARDGATE_FAULT="upload.claimed=kill,upload.renamed=stop:2"
 *
 * kill sends SIGKILL to this process, stop sends SIGSTOP; ":N" means at the
 * N-th passage (default the first). */
#ifndef PROTO_BASE_FAULT_H
#define PROTO_BASE_FAULT_H

#include <stdbool.h>
#include <stdint.h>

#ifdef SHARDGATE_FAULTS
/* The handler runs on the thread that passes the point. */
void fault_point(const char *name);
/* NULL restores the handler that reads SHARDGATE_FAULT. */
void fault_set_handler(void (*handler)(void *impl, const char *name), void *impl);
/* Is the planted bug of this name switched on (SHARDGATE_BUG, a comma list)?
 * Used to show that tests and the simulator find what they must find. */
bool fault_bug(const char *name);
/* For tests: this list (a literal) from now on instead of the environment's. */
void fault_set_bugs(const char *names);
#define FAULT_POINT(name) fault_point(name)
#define FAULT_BUG(name) fault_bug(name)
/* A clock that code on a lane must not read, for planted bugs that do. */
int64_t fault_clock_ns(void);
#define FAULT_CLOCK_NS() fault_clock_ns()
#else
#define FAULT_POINT(name) ((void)0)
#define FAULT_BUG(name) false
#define FAULT_CLOCK_NS() 0
/* So that tests compile in every build; those that need faults skip without. */
static inline void fault_set_bugs(const char *names)
{
    (void)names;
}
#endif

#endif
