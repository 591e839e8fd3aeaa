/* The test loop itself: other tests believe what it says about order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "proto/base/mem.h"
#include "tests/support/test_loop.h"

struct probe {
    struct task task;
    struct work work;
    struct loop *loop;
    char name;
    bool again;
};

static char trace[64];
static size_t trace_n;

static void trace_add(char c)
{
    trace[trace_n++] = c;
    trace[trace_n] = '\0';
}

static void trace_reset(void)
{
    trace_n = 0;
    trace[0] = '\0';
}

static void on_task(struct task *task)
{
    struct probe *p = CONTAINER_OF(task, struct probe, task);
    trace_add(p->name);
    if (p->again) {
        p->again = false;
        loop_after(p->loop, task, 0);
    }
}

static void on_run(struct work *work)
{
    struct probe *p = CONTAINER_OF(work, struct probe, work);
    trace_add(p->name);
}

static void on_done(struct work *work)
{
    struct probe *p = CONTAINER_OF(work, struct probe, work);
    trace_add((char)(p->name - 'a' + 'A'));
}

static struct probe probe_make(struct test_loop *t, char name)
{
    struct probe p = {.loop = test_loop_seam(t), .name = name};
    p.task.run = on_task;
    p.work.run = on_run;
    p.work.done = on_done;
    return p;
}

static void test_timers_run_by_time_then_order(void **state)
{
    (void)state;
    struct test_loop *t = test_loop_new(1);
    struct loop *loop = test_loop_seam(t);
    struct probe p[5];
    const uint64_t delays[5] = {30, 10, 20, 10, 40};
    trace_reset();
    for (int i = 0; i < 5; i++) {
        p[i] = probe_make(t, (char)('a' + i));
        loop_after(loop, &p[i].task, delays[i]);
    }
    loop_after(loop, &p[1].task, 15); /* Moved behind d. */
    loop_cancel(loop, &p[2].task);
    uint64_t start_ms = loop_now_ms(loop);
    test_loop_advance(t, 30);
    assert_string_equal(trace, "dba");
    assert_int_equal(loop_now_ms(loop), start_ms + 30);
    assert_int_equal(test_loop_armed(t), 1);
    assert_true(p[4].task.armed);
    assert_false(p[2].task.armed);
    test_loop_free(t);
}

static void test_defer_runs_once_after_what_is_due(void **state)
{
    (void)state;
    struct test_loop *t = test_loop_new(1);
    struct loop *loop = test_loop_seam(t);
    struct probe a = probe_make(t, 'a');
    struct probe b = probe_make(t, 'b');
    trace_reset();
    loop_defer(loop, &a.task);
    loop_defer(loop, &a.task);
    b.again = true;
    loop_post(loop, &b.task);
    assert_int_equal(test_loop_turn(t), 2);
    assert_string_equal(trace, "ba");
    assert_int_equal(test_loop_turn(t), 1); /* Delay 0 waits for a later turn. */
    assert_string_equal(trace, "bab");
    assert_int_equal(test_loop_run(t), 0);
    test_loop_free(t);
}

static void test_works_are_held_and_released(void **state)
{
    (void)state;
    struct test_loop *t = test_loop_new(1);
    struct loop *loop = test_loop_seam(t);
    struct probe a = probe_make(t, 'a');
    struct probe b = probe_make(t, 'b');
    trace_reset();
    test_loop_hold(t, WORKER_STORE);
    loop_elsewhere(loop, WORKER_STORE, &a.work);
    loop_elsewhere(loop, WORKER_STORE, &b.work);
    assert_int_equal(test_loop_run(t), 0);
    assert_int_equal(test_loop_waiting(t, WORKER_STORE), 2);
    assert_true(test_loop_step(t, WORKER_STORE));
    assert_int_equal(test_loop_run(t), 1);
    assert_string_equal(trace, "aA");
    test_loop_release(t, WORKER_STORE);
    test_loop_hold_done(t, WORKER_STORE);
    (void)test_loop_run(t);
    assert_string_equal(trace, "aAb");
    assert_int_equal(test_loop_ran(t, WORKER_STORE), 1);
    test_loop_release(t, WORKER_STORE);
    (void)test_loop_run(t);
    assert_string_equal(trace, "aAbB");
    assert_false(test_loop_step(t, WORKER_STORE));
    test_loop_free(t);
}

/* The heap against the dumb rule: at each moment exactly what is due runs. */
static void test_many_timers_keep_their_order(void **state)
{
    (void)state;
    enum { COUNT = 300, SPAN_MS = 50 };
    struct test_loop *t = test_loop_new(7);
    struct loop *loop = test_loop_seam(t);
    struct probe p[COUNT];
    size_t due_count[SPAN_MS] = {0};
    for (int i = 0; i < COUNT; i++) {
        p[i] = probe_make(t, 'x');
        uint64_t delay_ms = loop_random(loop) % SPAN_MS;
        loop_after(loop, &p[i].task, delay_ms);
        if (i % 3 == 0) {
            loop_cancel(loop, &p[i].task);
        } else {
            due_count[delay_ms]++;
        }
    }
    for (size_t ms = 0; ms < SPAN_MS; ms++) {
        trace_reset();
        size_t armed = test_loop_armed(t);
        test_loop_advance(t, ms == 0 ? 0 : 1);
        assert_int_equal(trace_n, due_count[ms]);
        assert_int_equal(test_loop_armed(t), armed - due_count[ms]);
    }
    assert_int_equal(test_loop_armed(t), 0);
    test_loop_free(t);
}

static bool reached(void *arg)
{
    return ((struct probe *)arg)->again;
}

static void set_again(struct task *task)
{
    CONTAINER_OF(task, struct probe, task)->again = true;
}

static void test_until_stops_at_the_moment_or_the_limit(void **state)
{
    (void)state;
    struct test_loop *t = test_loop_new(1);
    struct loop *loop = test_loop_seam(t);
    struct probe p = probe_make(t, 'a');
    p.task.run = set_again;
    uint64_t start_ms = loop_now_ms(loop);
    loop_after(loop, &p.task, 500);
    assert_false(test_loop_until(t, reached, &p, 499));
    assert_int_equal(loop_now_ms(loop), start_ms + 499);
    assert_true(test_loop_until(t, reached, &p, 1000));
    assert_int_equal(loop_now_ms(loop), start_ms + 500);
    test_loop_set_wall(t, 5000);
    test_loop_advance(t, 7);
    assert_int_equal(loop_wall_ms(loop), 5007);
    test_loop_free(t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_timers_run_by_time_then_order),
        cmocka_unit_test(test_defer_runs_once_after_what_is_due),
        cmocka_unit_test(test_works_are_held_and_released),
        cmocka_unit_test(test_many_timers_keep_their_order),
        cmocka_unit_test(test_until_stops_at_the_moment_or_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
