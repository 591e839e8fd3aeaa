/* The loop seam for unit tests: one thread, virtual time, nothing by chance.
 *
 *   struct test_loop *t = test_loop_new(1);
 *   struct loop *loop = test_loop_seam(t);
 *   ... start the thing under test on loop ...
 *   test_loop_run(t);            what is due now, no time passes
 *   test_loop_advance(t, 500);   half a virtual second
 *   test_loop_free(t);
 *
 * A turn runs, in this order and each only if it was queued before the turn:
 * done() of works that ran, tasks that are due (by time, then by the order of
 * arming), deferred tasks, run() of works. So every work takes two turns at
 * least, as with a real worker thread. All workers share the test's thread;
 * each is first in first out. Nothing here is thread-safe, post() included. */
#ifndef TESTS_SUPPORT_TEST_LOOP_H
#define TESTS_SUPPORT_TEST_LOOP_H

#include <stddef.h>

#include "proto/base/loop.h"

struct test_loop;

/* Time starts at 1,000,000 ms, wall time at 2026-11-23 15:00:00 UTC. */
struct test_loop *test_loop_new(uint64_t seed);
/* Tasks and works that still wait are dropped, not run. */
void test_loop_free(struct test_loop *t);
/* Borrowed; valid until test_loop_free(). */
struct loop *test_loop_seam(struct test_loop *t);

/* One turn. Returns how many callbacks ran. */
size_t test_loop_turn(struct test_loop *t);
/* Turns until one runs nothing; returns the number of callbacks. CHECKs that
 * this ends (100,000 turns). Time does not move. */
size_t test_loop_run(struct test_loop *t);
/* Let ms of virtual time pass, stopping at each moment when something is due. */
void test_loop_advance(struct test_loop *t, uint64_t ms);
/* Let time pass until done(arg) answers true, at most limit_ms; returns its last answer. */
bool test_loop_until(struct test_loop *t, bool (*done)(void *arg), void *arg, uint64_t limit_ms);

/* Let the wall clock jump; it goes on with virtual time from there. */
void test_loop_set_wall(struct test_loop *t, int64_t unix_ms);

/* Whoever measures now by loop_stamp() finds that this much CPU was used. */
void test_loop_charge(struct test_loop *t, uint64_t us);

/* Works of this worker wait before run() until released. */
void test_loop_hold(struct test_loop *t, enum worker worker);
/* Works of this worker run, but their done() waits until released. */
void test_loop_hold_done(struct test_loop *t, enum worker worker);
/* End both holds; what waited goes on in the next turns. */
void test_loop_release(struct test_loop *t, enum worker worker);
/* run() of the first held work at once, outside any turn; its done() comes in
 * a turn. Returns false when none waits. */
bool test_loop_step(struct test_loop *t, enum worker worker);
/* Works whose run() has not been called, and works whose done() has not. */
size_t test_loop_waiting(const struct test_loop *t, enum worker worker);
size_t test_loop_ran(const struct test_loop *t, enum worker worker);
/* Tasks armed by after() or post(), and deferred ones. */
size_t test_loop_armed(const struct test_loop *t);

#endif
