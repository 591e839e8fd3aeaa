/* The loop seam on libuv. The only module that sees libuv.
 *
 * Calling sequence: uvloop_new(); perhaps uvloop_on_signals(); then either
 * uvloop_run() on the calling thread, or uvloop_start() and later
 * uvloop_join(); uvloop_free().
 *
 * (The prefix is uvloop_ because libuv owns uv_loop_.) */
#ifndef SUPERVISOR_DAEMON_UV_LOOP_H
#define SUPERVISOR_DAEMON_UV_LOOP_H

#include "proto/base/loop.h"

struct uvloop;

/* name: of the loop's and its workers' threads in a debugger; cut at 10
 * characters. Aborts when the machine cannot give descriptors for a loop.
 * Threads of workers start when they are first needed and stay: one for
 * WORKER_STORE, up to BANK_WORKERS and READ_WORKERS for the pools. */
struct uvloop *uvloop_new(const char *name);

/* The seam. Valid until uvloop_free(). Before the loop runs, its functions may
 * be called on the thread that made it; afterwards on the loop's thread only
 * (loop_post() on any).
 *
 * Order within a turn: timers that are due (by time, then by the order they
 * were armed), deferred tasks, then what came from outside (posted tasks,
 * finished works, signals), deferred tasks again. cancel() and after() also
 * take back a task that was posted and did not run yet. */
struct loop *uvloop_seam(struct uvloop *u);

/* Runs until uvloop_stop() was called and no work is waiting, running or
 * without its done(): so whatever was handed to the store is finished. Timers
 * still armed do not run afterwards. A process that cannot wait for a slow bank
 * exits instead. */
void uvloop_run(struct uvloop *u);
/* The same on a thread of its own; returns at once. */
void uvloop_start(struct uvloop *u);
/* Waits for the thread that uvloop_start() made to end. */
void uvloop_join(struct uvloop *u);
/* From any thread, any number of times. */
void uvloop_stop(struct uvloop *u);

/* fn(impl, signo) runs on the loop for each of these signals. Before the loop
 * runs, once, for one loop of the process. Up to 4 signals. */
void uvloop_on_signals(struct uvloop *u, const int *signals, unsigned count,
                       void (*fn)(void *impl, int signo), void *impl);

/* Not while it runs. Joins the workers. Tasks still armed or posted are
 * forgotten (they belong to the caller). */
void uvloop_free(struct uvloop *u);

#endif
