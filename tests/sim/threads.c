/* Programs that use the client library: each caller a thread of its own, all of
 * them on this one under virtual time. This is supervisor/client/monitor.h as the
 * simulator links it.
 *
 * A thread runs until it waits and goes on as an event of the world, so no two
 * are ever between the same two lines: what locks are for is the business of
 * ThreadSanitizer, and locks do nothing here. */
#include <stdlib.h>
#include <ucontext.h>

#include "proto/base/mem.h"
#include "supervisor/client/monitor.h"
#include "tests/sim/sim.h"

#define STACK_BYTES (256u << 10)
#define MONOTONIC_AHEAD_MS 5000000u /* No clock of a machine starts at zero. */
#define WAKE_US 50

struct thread {
    struct sim *sim;
    ucontext_t context;
    void (*run)(void *arg);
    void *arg;
    struct bell *bell; /* It waits for; NULL: it is about to go on. */
    struct sim_event *timer;
    bool timed_out;
    struct thread *next; /* Of those who wait for the same. */
};

static struct sim *world;
static struct thread *current;
static ucontext_t outside;

static void go_on(void *arg)
{
    current = arg;
    CHECK(swapcontext(&outside, &current->context) == 0);
    current = NULL;
}

static void thread_main(void)
{
    struct thread *t = current;
    t->run(t->arg);
    for (;;) { /* Its stack stays: runs are short. */
        CHECK(swapcontext(&t->context, &outside) == 0);
    }
}

void threads_begin(struct sim *s)
{
    world = s;
}

void thread_start(struct sim *s, void (*run)(void *arg), void *arg)
{
    struct thread *t = mem_zalloc(1, sizeof *t);

    *t = (struct thread){.sim = s, .run = run, .arg = arg};
    CHECK(getcontext(&t->context) == 0);
    t->context.uc_stack.ss_sp = mem_zalloc(1, STACK_BYTES);
    t->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&t->context, thread_main, 0);
    (void)sim_at(s, NULL, sim_below(s, WAKE_US), go_on, t);
}

/* --- supervisor/client/monitor.h ------------------------------------------------------ */

uint64_t monitor_now_ms(void)
{
    return world->now_us / 1000 + MONOTONIC_AHEAD_MS;
}

void monitor_init(struct monitor *m)
{
    (void)m;
}

void monitor_release(struct monitor *m)
{
    (void)m;
}

void monitor_lock(struct monitor *m)
{
    (void)m;
}

void monitor_unlock(struct monitor *m)
{
    (void)m;
}

void bell_init(struct bell *b)
{
    b->waiters = NULL;
}

void bell_release(struct bell *b)
{
    CHECK(b->waiters == NULL);
}

static void bell_forget(struct bell *b, struct thread *t)
{
    struct thread **at = (struct thread **)&b->waiters;
    while (*at != t) {
        at = &(*at)->next;
    }
    *at = t->next;
}

static void time_over(void *arg)
{
    struct thread *t = arg;
    t->timer = NULL;
    t->timed_out = true;
    bell_forget(t->bell, t);
    go_on(t);
}

bool bell_wait(struct bell *b, struct monitor *m, uint64_t until_ms)
{
    struct thread *t = current;
    struct thread **at = (struct thread **)&b->waiters;
    uint64_t until_us = (until_ms - MONOTONIC_AHEAD_MS) * 1000;

    (void)m;
    CHECK(t != NULL);
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = t;
    t->next = NULL;
    t->bell = b;
    t->timed_out = false;
    if (until_ms != MONITOR_FOR_EVER) {
        uint64_t delay_us = until_us > world->now_us ? until_us - world->now_us : 0;
        t->timer = sim_at(world, NULL, delay_us, time_over, t);
    }
    CHECK(swapcontext(&t->context, &outside) == 0);
    return !t->timed_out;
}

void bell_ring(struct bell *b)
{
    struct thread *t = b->waiters;
    if (t == NULL) {
        return;
    }
    b->waiters = t->next;
    if (t->timer != NULL) {
        sim_cancel(world, t->timer);
        t->timer = NULL;
    }
    (void)sim_at(world, NULL, 1 + sim_below(world, WAKE_US), go_on, t);
}

void bell_ring_all(struct bell *b)
{
    while (b->waiters != NULL) {
        bell_ring(b);
    }
}
