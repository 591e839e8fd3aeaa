/* The loop seam on libuv: order, threads, and an end that loses no work. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <time.h>

#include "proto/base/mem.h"
#include "supervisor/daemon/uv_loop.h"

struct probe {
    struct task task;
    struct work work;
    struct loop *loop;
    struct uvloop *u;
    uint64_t ran_ms;
    unsigned left; /* How often it arms itself again. */
    char name;
};

static char trace[128];
static size_t trace_n;

static void trace_add(char c)
{
    if (trace_n + 1 < sizeof(trace)) {
        trace[trace_n++] = c;
    }
    trace[trace_n] = '\0';
}

static void trace_reset(void)
{
    trace_n = 0;
    trace[0] = '\0';
}

static void on_trace(struct task *task)
{
    struct probe *p = CONTAINER_OF(task, struct probe, task);
    p->ran_ms = loop_now_ms(p->loop);
    trace_add(p->name);
}

static void on_stop(struct task *task)
{
    uvloop_stop(CONTAINER_OF(task, struct probe, task)->u);
}

static void on_busy_loop(struct task *task)
{
    struct probe *p = CONTAINER_OF(task, struct probe, task);
    uint64_t from_us = loop_stamp(p->loop).cpu_us;
    while (loop_stamp(p->loop).cpu_us - from_us < 30000) {
    }
}

static struct probe probe_make(struct uvloop *u, char name)
{
    struct probe p = {.loop = uvloop_seam(u), .u = u, .name = name};
    p.task.run = on_trace;
    return p;
}

static void run_for(struct uvloop *u, uint64_t ms)
{
    struct probe stop = probe_make(u, '!');
    stop.task.run = on_stop;
    loop_after(stop.loop, &stop.task, ms);
    uvloop_run(u);
}

static void test_timers_run_by_time_then_order(void **state)
{
    (void)state;
    struct uvloop *u = uvloop_new("t");
    struct probe p[6];
    const uint64_t delays[6] = {30, 10, 20, 10, 0, 60000};
    trace_reset();
    for (size_t i = 0; i < 6; i++) {
        p[i] = probe_make(u, (char)('a' + i));
        loop_after(p[i].loop, &p[i].task, delays[i]);
    }
    loop_after(p[1].loop, &p[1].task, 40); /* Moved to the end. */
    loop_cancel(p[2].loop, &p[2].task);
    loop_cancel(p[2].loop, &p[2].task); /* Not armed: nothing happens. */
    uint64_t start_ms = loop_now_ms(p[0].loop);
    run_for(u, 45);
    assert_string_equal(trace, "edab");
    assert_true(p[0].ran_ms >= start_ms + 30);
    assert_true(p[1].ran_ms >= start_ms + 40);
    assert_false(p[2].task.armed);
    assert_true(p[5].task.armed);
    uvloop_free(u);
}

static void on_again(struct task *task)
{
    struct probe *p = CONTAINER_OF(task, struct probe, task);
    trace_add(p->name);
    if (p->left > 0) {
        p->left--;
        loop_after(p->loop, task, 0);
    }
}

static struct probe *deferred_probe;

static void on_defer_twice(struct task *task)
{
    struct probe *p = CONTAINER_OF(task, struct probe, task);
    trace_add(p->name);
    loop_defer(p->loop, &deferred_probe->task);
    loop_defer(p->loop, &deferred_probe->task);
}

static void test_defer_runs_once_at_the_end_of_a_turn(void **state)
{
    (void)state;
    struct uvloop *u = uvloop_new("t");
    struct probe a = probe_make(u, 'a');
    struct probe b = probe_make(u, 'b');
    struct probe d = probe_make(u, 'd');
    struct probe z = probe_make(u, 'z');
    deferred_probe = &d;
    a.task.run = on_defer_twice;
    b.task.run = on_again;
    b.left = 1;
    trace_reset();
    loop_after(a.loop, &a.task, 1);
    loop_after(b.loop, &b.task, 1);
    loop_after(z.loop, &z.task, 5);
    run_for(u, 10);
    assert_string_equal(trace, "abdbz"); /* b's delay of 0 waits for a later turn. */
    uvloop_free(u);
}

static void on_redefer(struct task *task)
{
    struct probe *p = CONTAINER_OF(task, struct probe, task);
    trace_add(p->name);
    if (p->left-- > 1) {
        loop_defer(p->loop, task);
    }
}

/* Nothing else is due: the loop must not sleep while a deferred task waits. */
static void test_defer_from_defer_goes_on_without_a_wake_up(void **state)
{
    (void)state;
    struct uvloop *u = uvloop_new("t");
    struct probe a = probe_make(u, 'a');
    a.task.run = on_redefer;
    a.left = 5;
    trace_reset();
    loop_defer(a.loop, &a.task);
    run_for(u, 50);
    assert_string_equal(trace, "aaaaa");
    uvloop_free(u);
}

static void on_busy(struct task *task)
{
    struct probe *p = CONTAINER_OF(task, struct probe, task);
    uint64_t before_ms = loop_now_ms(p->loop);
    struct timespec pause = {0, 20000000L};
    (void)nanosleep(&pause, NULL);
    p->ran_ms = loop_now_ms(p->loop) - before_ms;
}

static void test_now_stands_still_within_a_callback(void **state)
{
    (void)state;
    struct uvloop *u = uvloop_new("t");
    struct probe p = probe_make(u, 'p');
    p.task.run = on_busy;
    p.ran_ms = UINT64_MAX;
    loop_after(p.loop, &p.task, 0);
    run_for(u, 30);
    assert_int_equal(p.ran_ms, 0);
    assert_true(loop_wall_ms(p.loop) > 1600000000000);
    assert_true(loop_random(p.loop) != loop_random(p.loop));
    uvloop_free(u);
}

enum { POSTERS = 4, POSTS = 2000 };

struct poster {
    pthread_t thread;
    struct probe probes[POSTS];
    unsigned index;
};

static unsigned posted_next[POSTERS];
static unsigned posted_count;
static unsigned posted_disorder;
static struct poster *posters;

static void on_posted(struct task *task)
{
    struct probe *p = CONTAINER_OF(task, struct probe, task);
    unsigned poster = (unsigned char)p->name;
    unsigned index = p->left;
    posted_disorder += index != posted_next[poster];
    posted_next[poster] = index + 1;
    if (++posted_count == POSTERS * POSTS) {
        uvloop_stop(p->u);
    }
}

static void *poster_main(void *arg)
{
    struct poster *p = arg;
    for (unsigned i = 0; i < POSTS; i++) {
        loop_post(p->probes[i].loop, &p->probes[i].task);
    }
    return NULL;
}

static void test_posts_of_many_threads_arrive_once_and_in_order(void **state)
{
    (void)state;
    struct uvloop *u = uvloop_new("t");
    posters = mem_zalloc(POSTERS, sizeof(*posters));
    for (unsigned t = 0; t < POSTERS; t++) {
        for (unsigned i = 0; i < POSTS; i++) {
            posters[t].probes[i] = probe_make(u, (char)t);
            posters[t].probes[i].task.run = on_posted;
            posters[t].probes[i].left = i;
        }
        assert_int_equal(pthread_create(&posters[t].thread, NULL, poster_main, &posters[t]), 0);
    }
    uvloop_run(u);
    for (unsigned t = 0; t < POSTERS; t++) {
        assert_int_equal(pthread_join(posters[t].thread, NULL), 0);
    }
    assert_int_equal(posted_count, POSTERS * POSTS);
    assert_int_equal(posted_disorder, 0);
    uvloop_free(u);
    mem_free(posters);
}

static void test_a_posted_task_can_be_taken_back_or_moved(void **state)
{
    (void)state;
    struct uvloop *u = uvloop_new("t");
    struct probe a = probe_make(u, 'a');
    struct probe b = probe_make(u, 'b');
    struct probe c = probe_make(u, 'c');
    trace_reset();
    loop_post(a.loop, &a.task);
    loop_post(b.loop, &b.task);
    loop_post(c.loop, &c.task);
    loop_cancel(a.loop, &a.task);
    loop_after(b.loop, &b.task, 10);
    run_for(u, 20);
    assert_string_equal(trace, "cb");
    uvloop_free(u);
}

static pthread_t loop_thread;
static pthread_t store_thread;
static _Atomic unsigned wrong_thread;

static void on_store_run(struct work *work)
{
    struct probe *p = CONTAINER_OF(work, struct probe, work);
    if (p->name == 'a') {
        store_thread = pthread_self();
        struct timespec pause = {0, 10000000L};
        (void)nanosleep(&pause, NULL); /* Gives a second thread the chance to overtake. */
    }
    wrong_thread += !pthread_equal(store_thread, pthread_self());
    wrong_thread += pthread_equal(loop_thread, pthread_self()) != 0;
    trace_add(p->name);
}

static void on_store_done(struct work *work)
{
    struct probe *p = CONTAINER_OF(work, struct probe, work);
    wrong_thread += !pthread_equal(loop_thread, pthread_self());
    if (--p->left == 0) {
        loop_elsewhere(p->loop, WORKER_STORE, work);
    }
}

/* stop() is called before anything ran: all works and what they lead to is finished first. */
static void test_store_is_one_thread_in_order_and_stop_waits_for_it(void **state)
{
    (void)state;
    struct uvloop *u = uvloop_new("t");
    struct probe p[8];
    loop_thread = pthread_self();
    trace_reset();
    for (size_t i = 0; i < 8; i++) {
        p[i] = probe_make(u, (char)('a' + i));
        p[i].work = (struct work){.run = on_store_run, .done = on_store_done};
        p[i].left = i == 7 ? 1 : 100;
        loop_elsewhere(p[i].loop, WORKER_STORE, &p[i].work);
    }
    uvloop_stop(u);
    uvloop_run(u);
    assert_string_equal(trace, "abcdefghh");
    assert_int_equal(wrong_thread, 0);
    uvloop_free(u);
}

static pthread_barrier_t meeting;

static void on_meet(struct work *work)
{
    (void)work;
    (void)pthread_barrier_wait(&meeting);
}

static void on_nothing(struct work *work)
{
    (void)work;
}

/* All threads of the bank pool, one reader and the store stand at one barrier:
 * passing it shows that no pool holds up another. */
static void test_pools_run_beside_each_other(void **state)
{
    (void)state;
    enum { BANKS = 16, ALL = BANKS + 3 };
    struct uvloop *u = uvloop_new("t");
    struct probe p[ALL];
    assert_int_equal(pthread_barrier_init(&meeting, NULL, ALL), 0);
    for (size_t i = 0; i < ALL; i++) {
        p[i] = probe_make(u, 'x');
        p[i].work = (struct work){.run = on_meet, .done = on_nothing};
        enum worker worker = i < BANKS ? WORKER_BANK : i < BANKS + 2 ? WORKER_READ : WORKER_STORE;
        loop_elsewhere(p[i].loop, worker, &p[i].work);
    }
    uvloop_stop(u);
    uvloop_run(u);
    uvloop_free(u);
    assert_int_equal(pthread_barrier_destroy(&meeting), 0);
}

struct signal_probe {
    struct uvloop *u;
    int signo;
};

static void on_signal(void *impl, int signo)
{
    struct signal_probe *p = impl;
    p->signo = signo;
    uvloop_stop(p->u);
}

static void on_raise(struct task *task)
{
    (void)task;
    (void)raise(SIGUSR2);
}

static void test_signals_arrive_on_the_loop(void **state)
{
    (void)state;
    static const int signals[2] = {SIGUSR1, SIGUSR2};
    struct uvloop *u = uvloop_new("t");
    struct signal_probe seen = {.u = u, .signo = 0};
    struct probe p = probe_make(u, 'p');
    uvloop_on_signals(u, signals, 2, on_signal, &seen);
    p.task.run = on_raise;
    loop_after(p.loop, &p.task, 1);
    uvloop_run(u);
    assert_int_equal(seen.signo, SIGUSR2);
    uvloop_free(u);
}

static void test_a_loop_on_its_own_thread(void **state)
{
    (void)state;
    struct uvloop *u = uvloop_new("lane-with-a-long-name");
    struct probe p = probe_make(u, 'p');
    p.task.run = on_stop;
    uvloop_start(u);
    loop_post(p.loop, &p.task);
    uvloop_join(u);
    uvloop_free(u);
}

/* A turn is what runs between two sleeps: by CPU what it cost, never the sleep. */
static void test_turns_are_timed(void **state)
{
    (void)state;
    struct uvloop *u = uvloop_new("t");
    struct probe busy = probe_make(u, 'b');
    struct probe later = probe_make(u, 'l');
    struct meter_figures f = meter_all(loop_turns(busy.loop));
    assert_int_equal(f.count, 0);
    busy.task.run = on_busy_loop;
    loop_after(busy.loop, &busy.task, 0);
    loop_after(later.loop, &later.task, 60);
    run_for(u, 200);
    f = meter_recent(loop_turns(busy.loop), loop_stamp(busy.loop));
    assert_in_range(f.count, 2, 10);
    assert_true(f.cpu_max_us >= 30000);
    assert_true(f.cpu_max_us <= f.max_us + 1000);
    assert_true(f.p50_us < 30000); /* The others, 60 and 140 ms apart, did next to nothing. */
    uvloop_free(u);
}

/* The heap against the dumb rule: each timer at its time, cancelled ones never. */
static void test_many_timers_keep_their_order(void **state)
{
    (void)state;
    enum { COUNT = 500 };
    struct uvloop *u = uvloop_new("t");
    struct probe *p = mem_zalloc(COUNT, sizeof(*p));
    uint64_t *delays = mem_zalloc(COUNT, sizeof(*delays));
    uint64_t start_ms = loop_now_ms(uvloop_seam(u));
    for (size_t i = 0; i < COUNT; i++) {
        p[i] = probe_make(u, 'x');
        for (int moves = 0; moves < 3; moves++) {
            delays[i] = loop_random(p[i].loop) % 40;
            loop_after(p[i].loop, &p[i].task, delays[i]);
        }
        if (i % 3 == 0) {
            loop_cancel(p[i].loop, &p[i].task);
        }
    }
    run_for(u, 60);
    for (size_t i = 0; i < COUNT; i++) {
        if (i % 3 == 0) {
            assert_int_equal(p[i].ran_ms, 0);
        } else {
            assert_true(p[i].ran_ms >= start_ms + delays[i]);
        }
        for (size_t j = 0; j < i; j++) {
            bool both = i % 3 != 0 && j % 3 != 0;
            assert_false(both && delays[i] < delays[j] && p[i].ran_ms > p[j].ran_ms);
        }
    }
    uvloop_free(u);
    mem_free(p);
    mem_free(delays);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_run_by_time_then_order),
        cmocka_unit_test(test_defer_runs_once_at_the_end_of_a_turn),
        cmocka_unit_test(test_defer_from_defer_goes_on_without_a_wake_up),
        cmocka_unit_test(test_now_stands_still_within_a_callback),
        cmocka_unit_test(test_posts_of_many_threads_arrive_once_and_in_order),
        cmocka_unit_test(test_a_posted_task_can_be_taken_back_or_moved),
        cmocka_unit_test(test_store_is_one_thread_in_order_and_stop_waits_for_it),
        cmocka_unit_test(test_pools_run_beside_each_other),
        cmocka_unit_test(test_signals_arrive_on_the_loop),
        cmocka_unit_test(test_a_loop_on_its_own_thread),
        cmocka_unit_test(test_turns_are_timed),
        cmocka_unit_test(test_many_timers_keep_their_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
