#include "supervisor/client/monitor.h"

#include <time.h>

#include "proto/base/check.h"

uint64_t monitor_now_ms(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

void monitor_init(struct monitor *m)
{
    CHECK(pthread_mutex_init(&m->lock, NULL) == 0);
}

void monitor_release(struct monitor *m)
{
    (void)pthread_mutex_destroy(&m->lock);
}

void monitor_lock(struct monitor *m)
{
    (void)pthread_mutex_lock(&m->lock);
}

void monitor_unlock(struct monitor *m)
{
    (void)pthread_mutex_unlock(&m->lock);
}

void bell_init(struct bell *b)
{
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(&b->cond, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
    b->waiters = NULL;
}

void bell_release(struct bell *b)
{
    (void)pthread_cond_destroy(&b->cond);
}

bool bell_wait(struct bell *b, struct monitor *m, uint64_t until_ms)
{
    struct timespec limit = {.tv_sec = (time_t)(until_ms / 1000),
                             .tv_nsec = (long)(until_ms % 1000) * 1000000};
    if (until_ms == MONITOR_FOR_EVER) {
        return pthread_cond_wait(&b->cond, &m->lock) == 0;
    }
    return pthread_cond_timedwait(&b->cond, &m->lock, &limit) == 0;
}

void bell_ring(struct bell *b)
{
    (void)pthread_cond_signal(&b->cond);
}

void bell_ring_all(struct bell *b)
{
    (void)pthread_cond_broadcast(&b->cond);
}
