/* Many callers of one handle: few requests, and each caller its own answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/mem.h"
#include "supervisor/client/client.h"
#include "tests/support/fake_node.h"

#define CALLERS 48
#define ROUNDS 10
#define POISON 13u /* The amount of a transfer that no request may hold. */

static const uint32_t shards[2] = {231380104, 121042882};

/* What the node saw, on its thread. */
struct seen {
    _Atomic unsigned transfers, most, mixed;
};

static enum fake_answer answer(struct fake_node *n, const struct request *request, struct reply *reply,
                               struct arena *a)
{
    struct seen *seen = n->impl;
    bool poisoned = false;
    atomic_fetch_add(&seen->transfers, (unsigned)request->transfers_count);
    if (request->transfers_count > seen->most) {
        seen->most = (unsigned)request->transfers_count;
    }
    for (size_t i = 0; i < request->transfers_count; i++) {
        seen->mixed += request->transfers[i].routing_number.n != request->routing_number.n;
        poisoned = poisoned || request->transfers[i].amount.n == POISON;
    }
    if (poisoned) {
        *reply = (struct reply){.err = SG_INVALID, .text = span_str("one of them spoils the request")};
        return ANSWER_SLOWLY;
    }
    (void)fake_node_echo(n, request, reply, a);
    for (size_t i = 0; i < reply->results_count; i++) {
        if (request->transfers[i].amount.n % 7 == 0) {
            reply->results[i].outcome = OUTCOME_REJECTED;
            reply->results[i].reason =
                span_str(arena_printf(a, "%lld", (long long)request->transfers[i].amount.n));
        }
    }
    return ANSWER_SLOWLY;
}

struct caller {
    struct client *client;
    pthread_barrier_t *begin;
    unsigned number;
    unsigned wrong; /* Answers that are not those to this caller's question. */
    bool poisons;
};

static bool answered_right(struct caller *c, const struct transfer *t, enum sg_err err,
                           const struct submit_result *result, struct span text)
{
    char reason[32];
    if (t->amount.n == POISON) {
        return err == SG_INVALID && span_is(text, "one of them spoils the request");
    }
    if (err != SG_OK || !span_eq(result->id, t->id) || result->shard.n != shards[c->number % 2]) {
        return false;
    }
    (void)snprintf(reason, sizeof reason, "%lld", (long long)t->amount.n);
    return t->amount.n % 7 == 0
               ? result->outcome == OUTCOME_REJECTED && span_is(result->reason, reason)
               : result->outcome == OUTCOME_ACCEPTED && result->index == (uint64_t)t->amount.n;
}

static void *call(void *arg)
{
    struct caller *c = arg;
    (void)pthread_barrier_wait(c->begin);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct arena a = ARENA_INIT;
        struct submit_result result;
        struct span text;
        const struct transfer t = {
            .id = span_str(arena_printf(&a, "t-%u-%u", c->number, round)),
            .routing_number = {shards[c->number % 2]},
            .sec = SEC_PPD,
            .side = SIDE_CREDIT,
            .account_type = ACCOUNT_CHECKING,
            .rdfi = {121042882},
            .amount = {c->poisons && round == 1 ? POISON : 100 * (int64_t)(c->number + 1) + round},
            .effective_date = DAY_NONE,
        };
        enum sg_err err = client_submit(c->client, &t, 1, 0, &a, &result, &text);
        c->wrong += answered_right(c, &t, err, &result, text) ? 0 : 1;
        arena_release(&a);
    }
    return NULL;
}

/* Returns how many requests it took. */
static unsigned run(struct seen *seen, unsigned poisoners)
{
    struct fake_node n = {.answer = answer, .impl = seen};
    struct caller callers[CALLERS];
    pthread_t threads[CALLERS];
    pthread_barrier_t begin;
    struct client *c = NULL;
    char why[200] = "";

    fake_node_open(&n, NULL);
    assert_int_equal(client_new(n.address, &c, why, sizeof why), SG_OK);
    assert_int_equal(pthread_barrier_init(&begin, NULL, CALLERS), 0);
    for (unsigned i = 0; i < CALLERS; i++) {
        callers[i] = (struct caller){.client = c, .begin = &begin, .number = i, .poisons = i < poisoners};
        assert_int_equal(pthread_create(&threads[i], NULL, call, &callers[i]), 0);
    }
    for (unsigned i = 0; i < CALLERS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(callers[i].wrong, 0);
    }
    (void)pthread_barrier_destroy(&begin);
    client_free(c);
    unsigned requests = n.requests;
    fake_node_close(&n);
    assert_int_equal(seen->mixed, 0);
    return requests;
}

static void test_many_callers_share_requests(void **state)
{
    (void)state;
    struct seen seen = {0};
    unsigned requests = run(&seen, 0);
    assert_int_equal(seen.transfers, CALLERS * ROUNDS); /* Each left once. */
    assert_true(requests < CALLERS * ROUNDS);
    assert_true(seen.most > 1);
    assert_true(seen.most <= CALLERS / 2); /* Those of one shard. */
}

/* What one caller brought along is no other's misfortune. */
static void test_one_bad_call_does_not_fail_the_others(void **state)
{
    (void)state;
    struct seen seen = {0};
    (void)run(&seen, 4);
    assert_true(seen.transfers >= CALLERS * ROUNDS);
}

/* Nobody to wait for: as many requests as calls, one after the other. */
static void test_a_lone_caller_waits_for_nobody(void **state)
{
    (void)state;
    struct seen seen = {0};
    struct fake_node n = {.answer = answer, .impl = &seen};
    pthread_barrier_t begin;
    struct client *c = NULL;
    char why[200] = "";

    fake_node_open(&n, NULL);
    assert_int_equal(client_new(n.address, &c, why, sizeof why), SG_OK);
    assert_int_equal(pthread_barrier_init(&begin, NULL, 1), 0);
    struct caller lone = {.client = c, .begin = &begin, .number = 1};
    (void)call(&lone);
    assert_int_equal(lone.wrong, 0);
    assert_int_equal(n.requests, ROUNDS);
    assert_int_equal(seen.most, 1);
    (void)pthread_barrier_destroy(&begin);
    client_free(c);
    fake_node_close(&n);
}

/* No node is there: the reason comes within the call's own time. */
static void test_without_a_node_it_says_so_in_its_time(void **state)
{
    (void)state;
    struct client *c = NULL;
    char why[200] = "";
    struct arena a = ARENA_INIT;
    struct submit_result result;
    struct span text = SPAN_NONE;
    const struct transfer t = {
        .id = span_str("t"), .routing_number = {shards[0]}, .effective_date = DAY_NONE};

    assert_int_equal(client_new("127.0.0.1:1", &c, why, sizeof why), SG_OK);
    assert_int_equal(client_submit(c, &t, 1, 50, &a, &result, &text), SG_UNAVAILABLE);
    assert_true(text.n > 0);
    assert_int_equal(result.outcome, OUTCOME_NONE);
    client_free(c);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_many_callers_share_requests),
        cmocka_unit_test(test_one_bad_call_does_not_fail_the_others),
        cmocka_unit_test(test_a_lone_caller_waits_for_nobody),
        cmocka_unit_test(test_without_a_node_it_says_so_in_its_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
