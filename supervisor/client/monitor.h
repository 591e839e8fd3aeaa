/* How the client's callers wait for one another and for time: with connection.h and
 * probe.h all that client.c, gather.c and submit.c know of the world.
 *
 * Real: threads, in monitor.c. The simulator links its own functions of these
 * names instead, and runs many callers on one thread under virtual time
 * (tests/sim/threads.c).
 *
 * A monitor is a lock; a bell wakes those who wait for it under their monitor. A
 * caller holds one monitor at most when it waits. */
#ifndef SUPERVISOR_CLIENT_MONITOR_H
#define SUPERVISOR_CLIENT_MONITOR_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#define MONITOR_FOR_EVER UINT64_MAX

struct monitor {
    pthread_mutex_t lock;
};

struct bell {
    pthread_cond_t cond;
    void *waiters; /* The simulator's. */
};

/* A clock that never jumps. Any thread. */
uint64_t monitor_now_ms(void);

void monitor_init(struct monitor *m);
void monitor_release(struct monitor *m);
void monitor_lock(struct monitor *m);
void monitor_unlock(struct monitor *m);

void bell_init(struct bell *b);
/* Nobody waits for it. */
void bell_release(struct bell *b);
/* Holding m: lets go of it until the bell rings or that moment of monitor_now_ms()
 * has come, and holds it again. false: the time is over. May return without cause. */
bool bell_wait(struct bell *b, struct monitor *m, uint64_t until_ms);
/* Holding its monitor. The bell may be gone once that is let go of. */
void bell_ring(struct bell *b);     /* For one who waits. */
void bell_ring_all(struct bell *b); /* For all. */

#endif
