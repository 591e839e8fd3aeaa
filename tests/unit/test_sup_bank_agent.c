/* One bank agent for all lanes of a node: what the lanes share, on which thread an
 * answer comes, and what becomes of requests that nobody waits for any more. Its
 * turns and rates within one lane are in test_sup_directory.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/mem.h"
#include "supervisor/daemon/banks/bank_agent.h"
#include "supervisor/daemon/uv_loop.h"
#include "tests/support/test_dir.h"
#include "tests/support/test_loop.h"

enum { LANES = 3 };

struct asked {
    struct bank_request request;
    struct uvloop *u;
    pthread_t thread; /* Where it was answered. */
    unsigned done_count;
};

static void on_done(struct bank_request *r)
{
    struct asked *a = CONTAINER_OF(r, struct asked, request);
    a->thread = pthread_self();
    a->done_count++;
}

static unsigned count_done(const struct asked *a, size_t n, enum bank_answer answer)
{
    unsigned count = 0;
    for (size_t i = 0; i < n; i++) {
        count += a[i].done_count == 1 && a[i].request.answer == answer;
    }
    return count;
}

/* A node of several lanes over loops without threads: what crosses waits until the
 * other loop has its turn. */
struct node {
    struct test_loop *loops[LANES];
    struct bank_agent *agent;
    struct bank *banks[LANES];
    struct test_dir dir;
    char staging[TEST_DIR_SIZE + 16], drop[TEST_DIR_SIZE + 16];
    struct endpoint_settings endpoint;
};

static void endpoint_make(struct node *n)
{
    hash_init();
    test_dir_make(&n->dir);
    (void)snprintf(n->staging, sizeof n->staging, "%s/staging", n->dir.path);
    (void)snprintf(n->drop, sizeof n->drop, "%s/inbox", n->dir.path);
    assert_int_equal(mkdir(n->staging, 0700), 0);
    assert_int_equal(mkdir(n->drop, 0700), 0);
    n->endpoint = (struct endpoint_settings){.kind = ENDPOINT_DIRECTORY,
                                             .staging_dir = span_str(n->staging),
                                             .drop_dir = span_str(n->drop),
                                             .confirm = CONFIRM_HASH};
}

static void node_make(struct node *n)
{
    *n = (struct node){.agent = NULL};
    endpoint_make(n);
    for (unsigned i = 0; i < LANES; i++) {
        n->loops[i] = test_loop_new(i + 1);
        if (i == 0) {
            n->agent = bank_agent_new(test_loop_seam(n->loops[0]));
        }
        n->banks[i] = bank_agent_desk(n->agent, test_loop_seam(n->loops[i]));
    }
}

static void node_release(struct node *n)
{
    bank_agent_free(n->agent);
    for (unsigned i = 0; i < LANES; i++) {
        test_loop_free(n->loops[i]);
    }
    test_dir_remove(&n->dir);
}

static void ask(struct node *n, unsigned lane, struct asked *a, enum bank_op op)
{
    *a = (struct asked){
        .request = {.op = op, .endpoint = &n->endpoint, .place = BANK_STAGING, .done = on_done}};
    a->request.data = span_str("0123456789");
    a->request.sha256 = sha256_of(a->request.data);
    (void)snprintf(a->request.name, sizeof a->request.name, "T");
    bank_send(n->banks[lane], &a->request);
}

static void node_run(struct node *n)
{
    for (unsigned round = 0; round < 4; round++) {
        for (unsigned i = 0; i < LANES; i++) {
            (void)test_loop_run(n->loops[i]);
        }
    }
}

static void test_lanes_share_the_workers(void **state)
{
    (void)state;
    struct node n;
    struct asked asked[LANES][(size_t)2 * BANK_ENDPOINT_WORKERS];
    node_make(&n);
    test_loop_hold(n.loops[0], WORKER_BANK);
    for (unsigned i = 0; i < LANES; i++) {
        for (unsigned k = 0; k < (size_t)2 * BANK_ENDPOINT_WORKERS; k++) {
            ask(&n, i, &asked[i][k], BANK_STAT);
        }
    }
    node_run(&n);
    assert_int_equal(test_loop_waiting(n.loops[0], WORKER_BANK), BANK_ENDPOINT_WORKERS);
    for (unsigned i = 1; i < LANES; i++) {
        assert_int_equal(test_loop_waiting(n.loops[i], WORKER_BANK), 0);
    }
    assert_int_equal(bank_agent_pending(n.agent), LANES * (size_t)2 * BANK_ENDPOINT_WORKERS);
    test_loop_release(n.loops[0], WORKER_BANK);
    (void)test_loop_run(n.loops[0]);
    assert_int_equal(count_done(asked[0], (size_t)2 * BANK_ENDPOINT_WORKERS, BANK_ABSENT),
                     (size_t)2 * BANK_ENDPOINT_WORKERS);
    assert_int_equal(asked[1][0].done_count, 0); /* Not before its own loop has a turn. */
    node_run(&n);
    for (unsigned i = 1; i < LANES; i++) {
        assert_int_equal(count_done(asked[i], (size_t)2 * BANK_ENDPOINT_WORKERS, BANK_ABSENT),
                         (size_t)2 * BANK_ENDPOINT_WORKERS);
    }
    assert_int_equal(bank_agent_pending(n.agent), 0);
    node_release(&n);
}

static void test_lanes_share_a_rate(void **state)
{
    (void)state;
    struct node n;
    struct asked a[LANES];
    node_make(&n);
    n.endpoint.rate_limit_bytes = 1u << 20;
    test_loop_hold(n.loops[0], WORKER_BANK);
    for (unsigned i = 0; i < LANES; i++) {
        ask(&n, i, &a[i], BANK_CREATE);
    }
    node_run(&n);
    assert_int_equal(test_loop_waiting(n.loops[0], WORKER_BANK), 1);
    test_loop_release(n.loops[0], WORKER_BANK);
    node_run(&n);
    assert_int_equal(count_done(a, LANES, BANK_OK), 1);
    assert_int_equal(count_done(a, LANES, BANK_EXISTS), LANES - 1);
    node_release(&n);
}

static void test_a_probe_of_one_lane_answers_the_others(void **state)
{
    (void)state;
    struct node n;
    struct asked a[LANES];
    node_make(&n);
    ask(&n, 1, &a[1], BANK_PROBE);
    node_run(&n);
    assert_int_equal(rmdir(n.drop), 0); /* A second probe would fail. */
    ask(&n, 0, &a[0], BANK_PROBE);
    ask(&n, 2, &a[2], BANK_PROBE);
    node_run(&n);
    assert_int_equal(count_done(a, LANES, BANK_OK), LANES);
    node_release(&n);
}

/* An answer from an earlier probe is no newer than that one, however often it is given. */
static void test_an_answer_from_memory_does_not_renew_it(void **state)
{
    (void)state;
    struct node n;
    struct asked first, again, late;
    node_make(&n);
    ask(&n, 0, &first, BANK_PROBE);
    node_run(&n);
    assert_int_equal(rmdir(n.drop), 0);
    test_loop_advance(n.loops[0], BANK_PROBE_FRESH_MS - 1000);
    ask(&n, 0, &again, BANK_PROBE);
    node_run(&n);
    assert_int_equal(count_done(&again, 1, BANK_OK), 1);
    test_loop_advance(n.loops[0], 2000);
    ask(&n, 0, &late, BANK_PROBE);
    node_run(&n);
    assert_int_equal(count_done(&late, 1, BANK_FAILED), 1);
    node_release(&n);
}

/* A lane goes down: what it asked and has not begun is answered at once, what is at
 * work gets its own answer, and the other lanes notice nothing. */
static void test_cancel_answers_what_waits(void **state)
{
    (void)state;
    struct node n;
    struct asked mine[BANK_ENDPOINT_WORKERS + 2], theirs[2], late;
    node_make(&n);
    test_loop_hold(n.loops[0], WORKER_BANK);
    for (unsigned i = 0; i < BANK_ENDPOINT_WORKERS + 2; i++) {
        ask(&n, 1, &mine[i], BANK_STAT);
    }
    node_run(&n);
    ask(&n, 0, &theirs[0], BANK_STAT);
    ask(&n, 2, &theirs[1], BANK_STAT);
    bank_cancel(n.banks[1]);
    bank_cancel(n.banks[1]); /* Once more changes nothing. */
    ask(&n, 1, &late, BANK_STAT);
    node_run(&n);
    assert_int_equal(count_done(mine, BANK_ENDPOINT_WORKERS, BANK_FAILED), 0);
    assert_int_equal(count_done(mine + BANK_ENDPOINT_WORKERS, 2, BANK_FAILED), 2);
    assert_int_equal(count_done(&late, 1, BANK_FAILED), 1);
    assert_non_null(strstr(late.request.text, "not tried"));
    assert_int_equal(bank_agent_pending(n.agent), BANK_ENDPOINT_WORKERS + 2);
    test_loop_release(n.loops[0], WORKER_BANK);
    node_run(&n);
    assert_int_equal(count_done(mine, BANK_ENDPOINT_WORKERS, BANK_ABSENT), BANK_ENDPOINT_WORKERS);
    assert_int_equal(count_done(theirs, 2, BANK_ABSENT), 2);
    /* The agent's own lane, too: never before bank_send() returns. */
    bank_cancel(n.banks[0]);
    ask(&n, 0, &late, BANK_STAT);
    assert_int_equal(late.done_count, 0);
    node_run(&n);
    assert_int_equal(count_done(&late, 1, BANK_FAILED), 1);
    assert_int_equal(bank_agent_pending(n.agent), 0);
    node_release(&n);
}

/* --- With threads ------------------------------------------------------------------- */

enum { ROUNDS = 200 };

/* A lane that asks again and again, as its shards do. */
struct lane {
    struct node *node;
    struct uvloop *u;
    struct bank *bank;
    struct task begin;
    struct asked asked;
    unsigned left;
    unsigned wrong; /* Answers on another thread, or other ones than expected. */
    pthread_t thread;
    _Atomic bool is_over;
};

static struct lane lanes[LANES];

static void lane_ask(struct lane *l)
{
    static const enum bank_op ops[] = {BANK_STAT, BANK_PROBE, BANK_SYNC};
    struct bank_request *r = &l->asked.request;
    r->op = ops[l->left % 3];
    r->answer = 0;
    bank_send(l->bank, r);
}

static void lane_answered(struct bank_request *r)
{
    struct lane *l = CONTAINER_OF(r, struct lane, asked.request);
    enum bank_answer expected = r->op == BANK_STAT ? BANK_ABSENT : BANK_OK;
    l->wrong += r->answer != expected || !pthread_equal(l->thread, pthread_self());
    if (--l->left > 0) {
        lane_ask(l);
        return;
    }
    l->is_over = true;
    for (unsigned i = 0; i < LANES; i++) {
        if (!lanes[i].is_over) {
            return;
        }
    }
    for (unsigned i = 0; i < LANES; i++) {
        uvloop_stop(lanes[i].u);
    }
}

static void lane_begin(struct task *t)
{
    struct lane *l = CONTAINER_OF(t, struct lane, begin);
    l->thread = pthread_self();
    lane_ask(l);
}

static void test_answers_come_on_the_lane_that_asked(void **state)
{
    (void)state;
    struct node n = {.agent = NULL};
    endpoint_make(&n);
    for (unsigned i = 0; i < LANES; i++) {
        struct lane *l = &lanes[i];
        *l = (struct lane){.node = &n, .u = uvloop_new("lane"), .left = ROUNDS};
        if (i == 0) {
            n.agent = bank_agent_new(uvloop_seam(l->u));
        }
        l->bank = bank_agent_desk(n.agent, uvloop_seam(l->u));
        l->asked.request = (struct bank_request){
            .endpoint = &n.endpoint, .place = BANK_STAGING, .to_place = BANK_DROP, .done = lane_answered};
        (void)snprintf(l->asked.request.name, sizeof l->asked.request.name, "T%u", i);
        (void)snprintf(l->asked.request.to_name, sizeof l->asked.request.to_name, "F%u", i);
        l->begin.run = lane_begin;
        loop_post(uvloop_seam(l->u), &l->begin);
    }
    for (unsigned i = 1; i < LANES; i++) {
        uvloop_start(lanes[i].u);
    }
    uvloop_run(lanes[0].u);
    for (unsigned i = 1; i < LANES; i++) {
        uvloop_join(lanes[i].u);
    }
    for (unsigned i = 0; i < LANES; i++) {
        assert_int_equal(lanes[i].left, 0);
        assert_int_equal(lanes[i].wrong, 0);
        uvloop_free(lanes[i].u);
    }
    bank_agent_free(n.agent);
    test_dir_remove(&n.dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_lanes_share_the_workers),
        cmocka_unit_test(test_lanes_share_a_rate),
        cmocka_unit_test(test_a_probe_of_one_lane_answers_the_others),
        cmocka_unit_test(test_an_answer_from_memory_does_not_renew_it),
        cmocka_unit_test(test_cancel_answers_what_waits),
        cmocka_unit_test(test_answers_come_on_the_lane_that_asked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
