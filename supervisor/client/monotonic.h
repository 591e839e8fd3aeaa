/* The monotonic clock and conditions that wait by it. Real time: never on a lane. */
#ifndef SUPERVISOR_CLIENT_MONOTONIC_H
#define SUPERVISOR_CLIENT_MONOTONIC_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "proto/base/check.h"

static inline uint64_t monotonic_ms(void)
{
    struct timespec now;
    CHECK(clock_gettime(CLOCK_MONOTONIC, &now) == 0);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* For pthread_cond_timedwait() on a condition made below. */
static inline struct timespec monotonic_timespec(uint64_t ms)
{
    return (struct timespec){.tv_sec = (time_t)(ms / 1000), .tv_nsec = (long)(ms % 1000) * 1000000};
}

static inline void monotonic_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attributes;
    CHECK(pthread_condattr_init(&attributes) == 0);
    CHECK(pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC) == 0);
    CHECK(pthread_cond_init(cond, &attributes) == 0);
    (void)pthread_condattr_destroy(&attributes);
}

#endif
