#include "tests/support/test_loop.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#define TURNS_MAX 100000
#define UNTIL_TURNS_MAX 10000000

enum place { PLACE_NONE, PLACE_TIMED, PLACE_DEFERRED };

/* What the loop keeps in a task and in a work. */
#define TASK_PLACE(task) ((task)->priv.u64[0])
#define TASK_DUE_MS(task) ((task)->priv.u64[1])
#define TASK_ORDER(task) ((task)->priv.u64[2])
#define TASK_AT(task) ((task)->priv.u64[3])
#define WORK_NEXT(work) ((work)->priv.ptr[0])

struct task_array {
    struct task **v;
    size_t n;
    size_t cap;
};

struct work_queue {
    struct work *head;
    struct work *tail;
    size_t n;
};

struct test_loop {
    struct loop loop;
    uint64_t now_ms;
    int64_t wall_offset_ms;
    uint64_t random_state;
    uint64_t order;
    struct task_array timed; /* A binary heap by due time, then order. */
    struct task_array deferred;
    struct work_queue waiting[WORKERS];
    struct work_queue ran[WORKERS];
    bool hold_run[WORKERS];
    bool hold_done[WORKERS];
    struct meter turns;
    uint64_t charged_us;
};

static void array_push(struct task_array *a, struct task *task)
{
    if (a->n == a->cap) {
        a->cap = a->cap == 0 ? 16 : a->cap * 2;
        a->v = mem_realloc(a->v, a->cap * sizeof(struct task *));
    }
    TASK_AT(task) = a->n;
    a->v[a->n++] = task;
}

static bool is_before(struct task *a, struct task *b)
{
    if (TASK_DUE_MS(a) != TASK_DUE_MS(b)) {
        return TASK_DUE_MS(a) < TASK_DUE_MS(b);
    }
    return TASK_ORDER(a) < TASK_ORDER(b);
}

static void heap_swap(struct task_array *a, size_t i, size_t j)
{
    struct task *task = a->v[i];
    a->v[i] = a->v[j];
    a->v[j] = task;
    TASK_AT(a->v[i]) = i;
    TASK_AT(a->v[j]) = j;
}

static void heap_fix(struct task_array *a, size_t i)
{
    while (i > 0 && is_before(a->v[i], a->v[(i - 1) / 2])) {
        heap_swap(a, i, (i - 1) / 2);
        i = (i - 1) / 2;
    }
    for (;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < a->n; child++) {
            if (is_before(a->v[child], a->v[least])) {
                least = child;
            }
        }
        if (least == i) {
            return;
        }
        heap_swap(a, i, least);
        i = least;
    }
}

static void disarm(struct test_loop *t, struct task *task)
{
    size_t at = (size_t)TASK_AT(task);
    if (TASK_PLACE(task) == PLACE_TIMED) {
        heap_swap(&t->timed, at, t->timed.n - 1);
        t->timed.n--;
        if (at < t->timed.n) {
            heap_fix(&t->timed, at);
        }
    } else if (TASK_PLACE(task) == PLACE_DEFERRED) {
        for (t->deferred.n--; at < t->deferred.n; at++) {
            t->deferred.v[at] = t->deferred.v[at + 1];
            TASK_AT(t->deferred.v[at]) = at;
        }
    }
    TASK_PLACE(task) = PLACE_NONE;
    task->armed = false;
}

static uint64_t seam_now_ms(void *impl)
{
    struct test_loop *t = impl;
    return t->now_ms;
}

static int64_t seam_wall_ms(void *impl)
{
    struct test_loop *t = impl;
    return (int64_t)t->now_ms + t->wall_offset_ms;
}

/* splitmix64: any seed will do, zero included. */
static uint64_t seam_random(void *impl)
{
    struct test_loop *t = impl;
    uint64_t z = t->random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static void arm(struct test_loop *t, struct task *task, enum place place, uint64_t delay_ms)
{
    CHECK(task->run != NULL);
    task->armed = true;
    TASK_PLACE(task) = place;
    TASK_DUE_MS(task) = t->now_ms + delay_ms;
    TASK_ORDER(task) = t->order++;
    array_push(place == PLACE_TIMED ? &t->timed : &t->deferred, task);
    if (place == PLACE_TIMED) {
        heap_fix(&t->timed, t->timed.n - 1);
    }
}

static void seam_after(void *impl, struct task *task, uint64_t delay_ms)
{
    struct test_loop *t = impl;
    if (task->armed) {
        disarm(t, task);
    }
    arm(t, task, PLACE_TIMED, delay_ms);
}

static void seam_defer(void *impl, struct task *task)
{
    struct test_loop *t = impl;
    if (task->armed && TASK_PLACE(task) == PLACE_DEFERRED) {
        return;
    }
    if (task->armed) {
        disarm(t, task);
    }
    arm(t, task, PLACE_DEFERRED, 0);
}

static void seam_cancel(void *impl, struct task *task)
{
    struct test_loop *t = impl;
    if (task->armed) {
        disarm(t, task);
    }
}

static void seam_post(void *impl, struct task *task)
{
    CHECK(!task->armed);
    seam_after(impl, task, 0);
}

static void queue_push(struct work_queue *q, struct work *work)
{
    WORK_NEXT(work) = NULL;
    if (q->tail == NULL) {
        q->head = work;
    } else {
        WORK_NEXT(q->tail) = work;
    }
    q->tail = work;
    q->n++;
}

static struct work *queue_pop(struct work_queue *q)
{
    struct work *work = q->head;
    q->head = WORK_NEXT(work);
    if (q->head == NULL) {
        q->tail = NULL;
    }
    q->n--;
    return work;
}

static void seam_elsewhere(void *impl, enum worker worker, struct work *work)
{
    struct test_loop *t = impl;
    CHECK(work->run != NULL);
    CHECK(work->done != NULL);
    queue_push(&t->waiting[worker], work);
}

/* Nothing takes time here but what a test lets pass or charges. */
static struct stamp seam_stamp(void *impl)
{
    struct test_loop *t = impl;
    return (struct stamp){t->now_ms * 1000 + t->charged_us, t->charged_us};
}

void test_loop_charge(struct test_loop *t, uint64_t us)
{
    t->charged_us += us;
}

static struct meter *seam_turns(void *impl)
{
    struct test_loop *t = impl;
    return &t->turns;
}

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

struct test_loop *test_loop_new(uint64_t seed)
{
    struct test_loop *t = mem_zalloc(1, sizeof(*t));
    t->loop = (struct loop){&seam_ops, t};
    t->now_ms = 1000000;
    t->random_state = seed;
    test_loop_set_wall(t, 1795446000000); /* 2026-11-23 15:00:00 UTC */
    return t;
}

void test_loop_free(struct test_loop *t)
{
    mem_free(t->timed.v);
    mem_free(t->deferred.v);
    mem_free(t);
}

struct loop *test_loop_seam(struct test_loop *t)
{
    return &t->loop;
}

static size_t finish_works(struct test_loop *t)
{
    size_t count = 0;
    for (int w = 0; w < WORKERS; w++) {
        for (size_t left = t->hold_done[w] ? 0 : t->ran[w].n; left > 0; left--) {
            struct work *work = queue_pop(&t->ran[w]);
            work->done(work);
            count++;
        }
    }
    return count;
}

static size_t run_timed(struct test_loop *t, uint64_t order_end)
{
    size_t count = 0;
    while (t->timed.n > 0) {
        struct task *task = t->timed.v[0];
        /* A task armed in this turn with delay 0 sorts behind every older due one. */
        if (TASK_DUE_MS(task) > t->now_ms || TASK_ORDER(task) >= order_end) {
            break;
        }
        disarm(t, task);
        task->run(task);
        count++;
    }
    return count;
}

static size_t run_deferred(struct test_loop *t)
{
    uint64_t order_end = t->order;
    size_t count = 0;
    while (t->deferred.n > 0 && TASK_ORDER(t->deferred.v[0]) < order_end) {
        struct task *task = t->deferred.v[0];
        disarm(t, task);
        task->run(task);
        count++;
    }
    return count;
}

static size_t run_works(struct test_loop *t, const size_t *limits)
{
    size_t count = 0;
    for (int w = 0; w < WORKERS; w++) {
        for (size_t left = t->hold_run[w] ? 0 : limits[w]; left > 0 && t->waiting[w].n > 0; left--) {
            (void)test_loop_step(t, (enum worker)w);
            count++;
        }
    }
    return count;
}

size_t test_loop_turn(struct test_loop *t)
{
    uint64_t order_end = t->order;
    size_t limits[WORKERS];
    for (int w = 0; w < WORKERS; w++) {
        limits[w] = t->waiting[w].n;
    }
    size_t count = finish_works(t);
    count += run_timed(t, order_end);
    count += run_deferred(t);
    return count + run_works(t, limits);
}

size_t test_loop_run(struct test_loop *t)
{
    size_t total = 0;
    for (size_t turns = 0;; turns++) {
        CHECK(turns < TURNS_MAX);
        size_t count = test_loop_turn(t);
        if (count == 0) {
            return total;
        }
        total += count;
    }
}

/* Everything due now, then on to the next moment, not beyond end_ms. */
static void next_moment(struct test_loop *t, uint64_t end_ms)
{
    (void)test_loop_run(t);
    uint64_t next_ms = t->timed.n > 0 ? TASK_DUE_MS(t->timed.v[0]) : end_ms;
    t->now_ms = next_ms < end_ms ? next_ms : end_ms;
}

void test_loop_advance(struct test_loop *t, uint64_t ms)
{
    uint64_t end_ms = t->now_ms + ms;
    while (t->now_ms < end_ms) {
        next_moment(t, end_ms);
    }
    (void)test_loop_run(t);
}

bool test_loop_until(struct test_loop *t, bool (*done)(void *arg), void *arg, uint64_t limit_ms)
{
    uint64_t end_ms = t->now_ms + limit_ms;
    for (size_t turns = 0; !done(arg); turns++) {
        CHECK(turns < UNTIL_TURNS_MAX);
        if (test_loop_turn(t) > 0) {
            continue;
        }
        if (t->now_ms >= end_ms) {
            return false;
        }
        next_moment(t, end_ms);
    }
    return true;
}

void test_loop_set_wall(struct test_loop *t, int64_t unix_ms)
{
    t->wall_offset_ms = unix_ms - (int64_t)t->now_ms;
}

void test_loop_hold(struct test_loop *t, enum worker worker)
{
    t->hold_run[worker] = true;
}

void test_loop_hold_done(struct test_loop *t, enum worker worker)
{
    t->hold_done[worker] = true;
}

void test_loop_release(struct test_loop *t, enum worker worker)
{
    t->hold_run[worker] = false;
    t->hold_done[worker] = false;
}

bool test_loop_step(struct test_loop *t, enum worker worker)
{
    if (t->waiting[worker].n == 0) {
        return false;
    }
    struct work *work = queue_pop(&t->waiting[worker]);
    work->run(work);
    queue_push(&t->ran[worker], work);
    return true;
}

size_t test_loop_waiting(const struct test_loop *t, enum worker worker)
{
    return t->waiting[worker].n;
}

size_t test_loop_ran(const struct test_loop *t, enum worker worker)
{
    return t->ran[worker].n;
}

size_t test_loop_armed(const struct test_loop *t)
{
    return t->timed.n + t->deferred.n;
}
