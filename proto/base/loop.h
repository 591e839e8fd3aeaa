/* Where things run: the seam for time, timers, random numbers and other threads.
 *
 * Real: libuv (supervisor/daemon/uv_loop). Simulated: an event heap under a seed.
 *
 * One loop is one thread: every function below except post() is called on it,
 * and every callback runs on it. Code that holds to this seam needs no locks. */
#ifndef PROTO_BASE_LOOP_H
#define PROTO_BASE_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/meter.h"

/* A timer or deferred call. Memory belongs to the caller and must stay valid
 * while armed; zero it before the first use. */
struct task {
    void (*run)(struct task *task);
    bool armed; /* Set by the loop. Read only for others. */
    union {
        void *ptr[16];
        uint64_t u64[16];
    } priv; /* The loop's. */
};

/* Something to do elsewhere: run() on a worker, then done() on the loop.
 * Memory belongs to the caller until done() is called; it may free it there. */
struct work {
    void (*run)(struct work *work);  /* On a worker: may block, must not touch loop state. */
    void (*done)(struct work *work); /* On the loop. */
    union {
        void *ptr[24];
        uint64_t u64[24];
    } priv;
};

enum worker {
    WORKER_STORE, /* One thread, first in first out: the storage writer. */
    WORKER_BANK,  /* A pool: requests to banks, which may take minutes. */
    WORKER_READ,  /* A pool: long reads (snapshots, verification). */
    WORKERS
};

struct loop_ops {
    uint64_t (*now_ms)(void *impl); /* Monotonic. Does not change within a callback. */
    int64_t (*wall_ms)(void *impl); /* Unix time; may jump either way. */
    uint64_t (*random)(void *impl); /* Uniform over 64 bits. */
    /* Arm task once; arming an armed task moves it. delay 0 runs in a later turn. */
    void (*after)(void *impl, struct task *task, uint64_t delay_ms);
    /* Run task once at the end of this turn, after the callbacks that are due;
     * arming it again in the same turn changes nothing. */
    void (*defer)(void *impl, struct task *task);
    void (*cancel)(void *impl, struct task *task); /* No-op if not armed. */
    void (*elsewhere)(void *impl, enum worker worker, struct work *work);
    /* Thread-safe: run task on the loop soon. The task must not be armed. */
    void (*post)(void *impl, struct task *task);
    /* Thread-safe: now, for measuring what something took. Not for decisions. */
    struct stamp (*stamp)(void *impl);
    /* What the turns of this loop took: each from the first callback after the
     * loop woke to the last before it sleeps again. */
    struct meter *(*turns)(void *impl);
};

struct loop {
    const struct loop_ops *ops;
    void *impl;
};

static inline uint64_t loop_now_ms(struct loop *l)
{
    return l->ops->now_ms(l->impl);
}
static inline int64_t loop_wall_ms(struct loop *l)
{
    return l->ops->wall_ms(l->impl);
}
static inline uint64_t loop_random(struct loop *l)
{
    return l->ops->random(l->impl);
}
static inline void loop_after(struct loop *l, struct task *t, uint64_t delay_ms)
{
    l->ops->after(l->impl, t, delay_ms);
}
static inline void loop_defer(struct loop *l, struct task *t)
{
    l->ops->defer(l->impl, t);
}
static inline void loop_cancel(struct loop *l, struct task *t)
{
    l->ops->cancel(l->impl, t);
}
static inline void loop_elsewhere(struct loop *l, enum worker worker, struct work *w)
{
    l->ops->elsewhere(l->impl, worker, w);
}
static inline void loop_post(struct loop *l, struct task *t)
{
    l->ops->post(l->impl, t);
}
static inline struct stamp loop_stamp(struct loop *l)
{
    return l->ops->stamp(l->impl);
}
static inline struct meter *loop_turns(struct loop *l)
{
    return l->ops->turns(l->impl);
}

#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#endif
