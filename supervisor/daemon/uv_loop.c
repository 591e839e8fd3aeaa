#include "supervisor/daemon/uv_loop.h"

#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include <uv.h>

#include "proto/base/check.h"
#include "proto/base/limits.h"
#include "proto/base/mem.h"
#include "supervisor/daemon/task_queue.h"
#include "supervisor/daemon/workers.h"

#define SIGNALS_COUNT 4
#define NAME_SIZE 11

/* Where a task is. POSTED: in a list that other threads append to. */
enum place { PLACE_NONE, PLACE_TIMED, PLACE_DEFERRED, PLACE_POSTED, PLACE_ARRIVED };

#define TASK_PLACE(t) ((t)->priv.u64[TASK_PRIV_FREE])

struct signal_watch {
    uv_signal_t handle;
    struct uvloop *u;
};

struct uvloop {
    struct loop loop;
    char name[NAME_SIZE];
    uv_loop_t uv;
    uv_timer_t timer;
    uv_prepare_t prepare;
    uv_check_t check;
    uv_idle_t idle; /* Active while deferred tasks wait: the loop must not sleep then. */
    uv_async_t async;
    struct signal_watch signals[SIGNALS_COUNT];
    unsigned signals_count;
    void (*on_signal)(void *impl, int signo);
    void *on_signal_impl;

    struct task_heap timed;
    struct task_list deferred, arrived;
    uint64_t order;
    uint64_t random_state[4];
    size_t works_count; /* Handed out and not yet done. */
    struct meter turns;
    struct stamp turn_began; /* clock_us 0: nothing ran yet. */
    uint64_t cpu_us;         /* Of the loop's thread, at the end of the last turn. */

    pthread_mutex_t lock; /* Of the three below. */
    struct task_list posted;
    struct work_list finished;
    bool stopping;

    struct workers pools[WORKERS];
    pthread_t thread;
    bool has_thread;
};

/* --- The seam -------------------------------------------------------------- */

static void disarm(struct uvloop *u, struct task *task)
{
    CHECK(TASK_PLACE(task) != PLACE_NONE);
    switch ((enum place)TASK_PLACE(task)) {
    case PLACE_TIMED:
        task_heap_remove(&u->timed, task);
        break;
    case PLACE_DEFERRED:
        task_list_remove(&u->deferred, task);
        break;
    case PLACE_ARRIVED:
        task_list_remove(&u->arrived, task);
        break;
    case PLACE_POSTED:
        (void)pthread_mutex_lock(&u->lock);
        task_list_remove(&u->posted, task);
        (void)pthread_mutex_unlock(&u->lock);
        break;
    case PLACE_NONE:
        break;
    }
    TASK_PLACE(task) = PLACE_NONE;
    task->armed = false;
}

static uint64_t seam_now_ms(void *impl)
{
    struct uvloop *u = impl;
    return uv_now(&u->uv);
}

static int64_t seam_wall_ms(void *impl)
{
    (void)impl;
    struct timespec now;
    CHECK(clock_gettime(CLOCK_REALTIME, &now) == 0);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static uint64_t clock_us(clockid_t id)
{
    struct timespec now;
    CHECK(clock_gettime(id, &now) == 0);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static struct stamp seam_stamp(void *impl)
{
    (void)impl;
    return (struct stamp){clock_us(CLOCK_MONOTONIC), clock_us(CLOCK_THREAD_CPUTIME_ID)};
}

static struct meter *seam_turns(void *impl)
{
    struct uvloop *u = impl;
    return &u->turns;
}

static uint64_t rotate_left(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

/* xoshiro256**: timers and tie-breaks want speed; secrets are made elsewhere. */
static uint64_t seam_random(void *impl)
{
    struct uvloop *u = impl;
    uint64_t *s = u->random_state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

static void seam_after(void *impl, struct task *task, uint64_t delay_ms)
{
    struct uvloop *u = impl;
    CHECK(task->run != NULL);
    if (task->armed) {
        disarm(u, task);
    }
    task->armed = true;
    TASK_PLACE(task) = PLACE_TIMED;
    TASK_DUE_MS(task) = uv_now(&u->uv) + delay_ms;
    TASK_ORDER(task) = u->order++;
    task_heap_push(&u->timed, task);
}

static void seam_defer(void *impl, struct task *task)
{
    struct uvloop *u = impl;
    CHECK(task->run != NULL);
    if (task->armed && TASK_PLACE(task) == PLACE_DEFERRED) {
        return;
    }
    if (task->armed) {
        disarm(u, task);
    }
    task->armed = true;
    TASK_PLACE(task) = PLACE_DEFERRED;
    TASK_ORDER(task) = u->order++;
    task_list_push(&u->deferred, task);
}

static void seam_cancel(void *impl, struct task *task)
{
    if (task->armed) {
        disarm(impl, task);
    }
}

static void seam_post(void *impl, struct task *task)
{
    struct uvloop *u = impl;
    CHECK(task->run != NULL);
    (void)pthread_mutex_lock(&u->lock);
    CHECK(!task->armed);
    task->armed = true;
    TASK_PLACE(task) = PLACE_POSTED;
    bool was_empty = u->posted.head == NULL;
    task_list_push(&u->posted, task);
    (void)pthread_mutex_unlock(&u->lock);
    if (was_empty) {
        CHECK(uv_async_send(&u->async) == 0);
    }
}

/* --- Workers --------------------------------------------------------------- */

/* On a worker. */
static void on_finished(void *impl, struct work *work)
{
    struct uvloop *u = impl;
    (void)pthread_mutex_lock(&u->lock);
    bool was_empty = u->finished.head == NULL;
    works_push(&u->finished, work);
    (void)pthread_mutex_unlock(&u->lock);
    if (was_empty) {
        CHECK(uv_async_send(&u->async) == 0);
    }
}

static void seam_elsewhere(void *impl, enum worker worker, struct work *work)
{
    struct uvloop *u = impl;
    CHECK((unsigned)worker < WORKERS);
    CHECK(work->run != NULL);
    CHECK(work->done != NULL);
    u->works_count++;
    workers_push(&u->pools[worker], work);
}

/* --- A turn ---------------------------------------------------------------- */

/* Before each callback. The thread uses next to no CPU while it sleeps, so the end
 * of the last turn stands for the beginning of this one: one look at that clock
 * a turn, which costs a system call. */
static void turn_begin(struct uvloop *u)
{
    if (u->turn_began.clock_us == 0) {
        u->turn_began = (struct stamp){clock_us(CLOCK_MONOTONIC), u->cpu_us};
    }
}

static void turn_end(struct uvloop *u)
{
    if (u->turn_began.clock_us != 0) {
        u->cpu_us = meter_lap(&u->turns, u->turn_began, seam_stamp(u)).cpu_us;
        u->turn_began.clock_us = 0;
    }
}

static void run_timed(struct uvloop *u)
{
    uint64_t order_end = u->order; /* What is armed from here on waits a turn. */
    while (u->timed.n > 0) {
        struct task *task = u->timed.v[0];
        if (TASK_DUE_MS(task) > uv_now(&u->uv) || TASK_ORDER(task) >= order_end) {
            return;
        }
        disarm(u, task);
        turn_begin(u);
        task->run(task);
    }
}

static void run_deferred(struct uvloop *u)
{
    uint64_t order_end = u->order;
    while (u->deferred.head != NULL && TASK_ORDER(u->deferred.head) < order_end) {
        struct task *task = u->deferred.head;
        disarm(u, task);
        turn_begin(u);
        task->run(task);
    }
}

static void on_timer(uv_timer_t *handle)
{
    run_timed(handle->data);
}

static void on_check(uv_check_t *handle)
{
    run_deferred(handle->data);
}

static void on_idle(uv_idle_t *handle)
{
    (void)handle;
}

static bool is_done(struct uvloop *u)
{
    (void)pthread_mutex_lock(&u->lock);
    bool stopping = u->stopping;
    (void)pthread_mutex_unlock(&u->lock);
    return stopping && u->works_count == 0;
}

/* Before the loop sleeps: finish the turn of the timers, then say how long. */
static void on_prepare(uv_prepare_t *handle)
{
    struct uvloop *u = handle->data;
    run_deferred(u);
    turn_end(u);
    if (is_done(u)) {
        uv_stop(&u->uv);
        return;
    }
    if (u->deferred.head != NULL) {
        CHECK(uv_idle_start(&u->idle, on_idle) == 0);
    } else {
        CHECK(uv_idle_stop(&u->idle) == 0);
    }
    if (u->timed.n == 0) {
        CHECK(uv_timer_stop(&u->timer) == 0);
        return;
    }
    uint64_t due_ms = TASK_DUE_MS(u->timed.v[0]);
    uint64_t now_ms = uv_now(&u->uv);
    CHECK(uv_timer_start(&u->timer, on_timer, due_ms > now_ms ? due_ms - now_ms : 0, 0) == 0);
}

static struct work_list take_arrivals(struct uvloop *u)
{
    (void)pthread_mutex_lock(&u->lock);
    struct task_list posted = u->posted;
    struct work_list finished = u->finished;
    u->posted = (struct task_list){NULL, NULL};
    u->finished = (struct work_list){NULL, NULL, 0};
    for (struct task *task = posted.head; task != NULL; task = TASK_NEXT(task)) {
        TASK_PLACE(task) = PLACE_ARRIVED;
    }
    (void)pthread_mutex_unlock(&u->lock);
    CHECK(u->arrived.head == NULL);
    u->arrived = posted;
    return finished;
}

static void on_async(uv_async_t *handle)
{
    struct uvloop *u = handle->data;
    struct work_list finished = take_arrivals(u);
    turn_begin(u);
    while (u->arrived.head != NULL) {
        struct task *task = u->arrived.head;
        disarm(u, task);
        task->run(task);
    }
    while (finished.head != NULL) {
        struct work *work = works_pop(&finished);
        u->works_count--;
        work->done(work);
    }
}

static void on_signal(uv_signal_t *handle, int signo)
{
    struct signal_watch *w = handle->data;
    turn_begin(w->u);
    w->u->on_signal(w->u->on_signal_impl, signo);
}

/* --- Life ------------------------------------------------------------------ */

static const struct loop_ops seam_ops = {
    .now_ms = seam_now_ms,
    .wall_ms = seam_wall_ms,
    .random = seam_random,
    .after = seam_after,
    .defer = seam_defer,
    .cancel = seam_cancel,
    .elsewhere = seam_elsewhere,
    .post = seam_post,
    .stamp = seam_stamp,
    .turns = seam_turns,
};

static void handles_init(struct uvloop *u)
{
    CHECK(uv_loop_init(&u->uv) == 0);
    CHECK(uv_timer_init(&u->uv, &u->timer) == 0);
    CHECK(uv_prepare_init(&u->uv, &u->prepare) == 0);
    CHECK(uv_check_init(&u->uv, &u->check) == 0);
    CHECK(uv_idle_init(&u->uv, &u->idle) == 0);
    CHECK(uv_async_init(&u->uv, &u->async, on_async) == 0);
    u->timer.data = u;
    u->prepare.data = u;
    u->check.data = u;
    u->async.data = u;
    CHECK(uv_prepare_start(&u->prepare, on_prepare) == 0);
    CHECK(uv_check_start(&u->check, on_check) == 0);
}

struct uvloop *uvloop_new(const char *name)
{
    struct uvloop *u = mem_zalloc(1, sizeof(*u));
    u->loop = (struct loop){&seam_ops, u};
    (void)snprintf(u->name, sizeof(u->name), "%s", name);
    CHECK(getrandom(u->random_state, sizeof(u->random_state), 0) == (ssize_t)sizeof(u->random_state));
    CHECK(pthread_mutex_init(&u->lock, NULL) == 0);
    workers_open(&u->pools[WORKER_STORE], 1, name, "-st", on_finished, u);
    workers_open(&u->pools[WORKER_BANK], BANK_WORKERS, name, "-bk", on_finished, u);
    workers_open(&u->pools[WORKER_READ], READ_WORKERS, name, "-rd", on_finished, u);
    handles_init(u);
    return u;
}

struct loop *uvloop_seam(struct uvloop *u)
{
    return &u->loop;
}

void uvloop_run(struct uvloop *u)
{
    uv_update_time(&u->uv);
    u->cpu_us = clock_us(CLOCK_THREAD_CPUTIME_ID);
    while (!is_done(u)) {
        (void)uv_run(&u->uv, UV_RUN_DEFAULT);
    }
}

static void *loop_main(void *arg)
{
    struct uvloop *u = arg;
    workers_name_thread(u->name, "");
    uvloop_run(u);
    return NULL;
}

void uvloop_start(struct uvloop *u)
{
    CHECK(!u->has_thread);
    u->has_thread = true;
    workers_thread(&u->thread, loop_main, u);
}

void uvloop_join(struct uvloop *u)
{
    CHECK(u->has_thread);
    CHECK(pthread_join(u->thread, NULL) == 0);
    u->has_thread = false;
}

void uvloop_stop(struct uvloop *u)
{
    (void)pthread_mutex_lock(&u->lock);
    u->stopping = true;
    (void)pthread_mutex_unlock(&u->lock);
    CHECK(uv_async_send(&u->async) == 0);
}

void uvloop_on_signals(struct uvloop *u, const int *signals, unsigned count,
                       void (*fn)(void *impl, int signo), void *impl)
{
    CHECK(u->signals_count == 0);
    CHECK(count <= SIGNALS_COUNT);
    u->signals_count = count;
    u->on_signal = fn;
    u->on_signal_impl = impl;
    for (unsigned i = 0; i < count; i++) {
        struct signal_watch *w = &u->signals[i];
        w->u = u;
        CHECK(uv_signal_init(&u->uv, &w->handle) == 0);
        w->handle.data = w;
        CHECK(uv_signal_start(&w->handle, on_signal, signals[i]) == 0);
    }
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    uv_close(handle, NULL);
}

void uvloop_free(struct uvloop *u)
{
    CHECK(!u->has_thread);
    for (int w = 0; w < WORKERS; w++) {
        workers_close(&u->pools[w]);
    }
    uv_walk(&u->uv, close_handle, NULL);
    CHECK(uv_run(&u->uv, UV_RUN_DEFAULT) == 0);
    CHECK(uv_loop_close(&u->uv) == 0);
    (void)pthread_mutex_destroy(&u->lock);
    task_heap_release(&u->timed);
    mem_free(u);
}
