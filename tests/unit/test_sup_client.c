/* The client: which node is asked, what is repeated, what is said when it ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/base/mem.h"
#include "shardgate/client.h"
#include "supervisor/client/monitor.h"
#include "supervisor/client/client.h"
#include "tests/support/fake_node.h"

static int64_t clock_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static struct client *client_of(const struct fake_node *nodes, size_t count)
{
    char addresses[400] = "";
    char why[200] = "";
    struct client *c = NULL;
    size_t n = 0;
    for (size_t i = 0; i < count; i++) {
        n += (size_t)snprintf(addresses + n, sizeof(addresses) - n, "%s%s", i == 0 ? "" : ",",
                              nodes[i].address);
    }
    assert_int_equal(client_new(addresses, &c, why, sizeof(why)), SG_OK);
    return c;
}

static enum sg_err call(struct client *c, enum request_kind kind, uint32_t timeout_ms, char *text)
{
    struct arena a = ARENA_INIT;
    struct request_arg arg = {span_str("echo"), span_str("hello")};
    struct reply reply;
    const struct request request = {.kind = kind, .timeout_ms = timeout_ms, .args = &arg, .args_count = 1};
    enum sg_err err = client_call(c, &request, &a, &reply);
    assert_int_equal(err, reply.err);
    assert_true(err != SG_OK || span_is(reply.json, "hello"));
    assert_true(err == SG_OK || reply.text.n > 0);
    (void)span_cstr(reply.text, text, 500);
    arena_release(&a);
    return err;
}

/* Answers with what the test put into impl until left is used up, then as asked. */
struct script {
    enum sg_err err;
    _Atomic int left;
    enum fake_answer otherwise;
};

static enum fake_answer answer_script(struct fake_node *n, const struct request *request, struct reply *reply,
                                      struct arena *a)
{
    struct script *s = n->impl;
    if (s->left > 0) {
        s->left--;
        *reply = (struct reply){.err = s->err, .text = span_str("as the script says")};
        return ANSWER;
    }
    (void)fake_node_echo(n, request, reply, a);
    return s->otherwise;
}

static void test_what_was_not_done_is_tried_until_it_is(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        enum sg_err first;
        enum request_kind kind;
        enum sg_err err;
        unsigned requests;
    } rows[] = {
        {"no leader yet: any verb", SG_NOTLEADER, REQUEST_LEADER_TRANSFER, SG_OK, 4},
        {"no quorum yet: any verb", SG_UNAVAILABLE, REQUEST_FILES_RESOLVE, SG_OK, 4},
        {"full: any verb", SG_BUSY, REQUEST_SUBMIT, SG_OK, 4},
        {"stopping: any verb", SG_STOPPED, REQUEST_STATUS, SG_OK, 4},
        {"unknown: a submit folds", SG_UNKNOWN, REQUEST_SUBMIT, SG_OK, 4},
        {"unknown: a read", SG_TIMEOUT, REQUEST_STATUS, SG_OK, 4},
        {"unknown: a transfer of leadership is not repeated", SG_UNKNOWN, REQUEST_LEADER_TRANSFER, SG_UNKNOWN,
         1},
        {"unknown: a close without a window's name", SG_UNKNOWN, REQUEST_WINDOWS_CLOSE, SG_UNKNOWN, 1},
        {"an answer is an answer", SG_REFUSED, REQUEST_STATUS, SG_REFUSED, 1},
        {"an answer is an answer", SG_NOTFOUND, REQUEST_SUBMIT, SG_NOTFOUND, 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[500];
        struct script script = {.err = rows[i].first, .left = 3, .otherwise = ANSWER};
        struct fake_node n = {.answer = answer_script, .impl = &script};
        fake_node_open(&n, NULL);
        struct client *c = client_of(&n, 1);
        enum sg_err err = call(c, rows[i].kind, 20000, text);
        if (err != rows[i].err || n.requests != rows[i].requests) {
            fail_msg("%s: %s after %u requests (%s)", rows[i].reason, sg_err_name(err), n.requests, text);
        }
        client_free(c);
        fake_node_close(&n);
    }
}

static void test_the_last_answer_is_given_when_the_time_is_over(void **state)
{
    (void)state;
    char text[500];
    struct script script = {.err = SG_UNAVAILABLE, .left = 1000000, .otherwise = ANSWER};
    struct fake_node n = {.answer = answer_script, .impl = &script};
    fake_node_open(&n, NULL);
    struct client *c = client_of(&n, 1);
    int64_t start_ms = clock_ms();
    assert_int_equal(call(c, REQUEST_LEADER_TRANSFER, 300, text), SG_UNAVAILABLE);
    assert_true(clock_ms() - start_ms >= 250); /* No try that is too short to be answered. */
    assert_string_equal(text, "as the script says");
    assert_true(n.requests > 2);
    assert_true(n.requests < 40); /* It backs off. */
    client_free(c);
    fake_node_close(&n);
}

static void test_nobody_there_is_said_with_the_reason(void **state)
{
    (void)state;
    char text[500];
    struct fake_node nodes[2];
    (void)test_free_address(nodes[0].address);
    (void)test_free_address(nodes[1].address);
    struct client *c = client_of(nodes, 2);
    int64_t start_ms = clock_ms();
    assert_int_equal(call(c, REQUEST_STATUS, 200, text), SG_UNAVAILABLE);
    assert_true(clock_ms() - start_ms < 5000);
    assert_non_null(strstr(text, nodes[0].address));
    assert_non_null(strstr(text, "refused"));
    client_free(c);
}

static void test_a_node_that_is_down_costs_nothing(void **state)
{
    (void)state;
    char text[500];
    struct fake_node nodes[3] = {{.answer = NULL}};
    (void)test_free_address(nodes[0].address);
    fake_node_open(&nodes[1], NULL);
    (void)test_free_address(nodes[2].address);
    struct client *c = client_of(nodes, 3);
    int64_t start_ms = clock_ms();
    assert_int_equal(call(c, REQUEST_STATUS, 20000, text), SG_OK);
    assert_true(clock_ms() - start_ms < 5000);
    client_free(c);
    fake_node_close(&nodes[1]);
}

/* Both nodes are up before the first call: then each gets every other one. */
static void test_calls_are_spread_over_equal_nodes(void **state)
{
    (void)state;
    char text[500];
    struct fake_node nodes[2] = {{.answer = NULL}};
    fake_node_open(&nodes[0], NULL);
    fake_node_open(&nodes[1], NULL);
    struct client *c = client_of(nodes, 2);
    while (nodes[0].requests == 0 || nodes[1].requests == 0) {
        assert_int_equal(call(c, REQUEST_PING, 20000, text), SG_OK);
    }
    unsigned first = nodes[0].requests;
    unsigned second = nodes[1].requests;
    unsigned total = first > second ? 2 * first : 2 * second;
    while (nodes[0].requests + nodes[1].requests < total + 100) {
        assert_int_equal(call(c, REQUEST_PING, 20000, text), SG_OK);
    }
    assert_in_range(nodes[0].requests, total / 2 + 49, total / 2 + 51);
    client_free(c);
    fake_node_close(&nodes[0]);
    fake_node_close(&nodes[1]);
}

struct background {
    pthread_t thread;
    struct client *client;
    enum request_kind kind;
    uint32_t timeout_ms;
    enum sg_err err;
    char text[500];
};

static void *background_main(void *arg)
{
    struct background *b = arg;
    b->err = call(b->client, b->kind, b->timeout_ms, b->text);
    return NULL;
}

/* The node dies with the request in its hands. */
static void test_after_a_break_only_the_safe_is_repeated(void **state)
{
    (void)state;
    static const struct {
        enum request_kind kind;
        enum sg_err err;
    } rows[] = {{REQUEST_SUBMIT, SG_OK}, {REQUEST_CANCEL, SG_OK}, {REQUEST_LEADER_TRANSFER, SG_UNKNOWN}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct script keep = {.left = 0, .otherwise = ANSWER_KEEP};
        struct fake_node nodes[2] = {{.answer = answer_script, .impl = &keep}};
        fake_node_open(&nodes[0], NULL);
        (void)test_free_address(nodes[1].address);
        struct background b = {.client = client_of(nodes, 2), .kind = rows[i].kind, .timeout_ms = 60000};
        assert_int_equal(pthread_create(&b.thread, NULL, background_main, &b), 0);
        while (nodes[0].kept_count == 0) {
            (void)sched_yield();
        }
        fake_node_open(&nodes[1], nodes[1].address);
        int64_t start_ms = clock_ms();
        fake_node_close(&nodes[0]);
        assert_int_equal(pthread_join(b.thread, NULL), 0);
        assert_true(clock_ms() - start_ms < 10000); /* Long before the time is over. */
        if (b.err != rows[i].err) {
            fail_msg("%s: %s (%s)", request_kind_name(rows[i].kind), sg_err_name(b.err), b.text);
        }
        assert_int_equal(nodes[1].requests, rows[i].err == SG_OK ? 1 : 0);
        client_free(b.client);
        fake_node_close(&nodes[1]);
    }
}

static void test_a_silent_node_is_left_for_another(void **state)
{
    (void)state;
    char text[500];
    struct script keep = {.left = 0, .otherwise = ANSWER_KEEP};
    struct fake_node nodes[2] = {{.answer = answer_script, .impl = &keep}};
    fake_node_open(&nodes[0], NULL);
    struct client *alone = client_of(nodes, 1);
    assert_int_equal(call(alone, REQUEST_LEADER_TRANSFER, 200, text), SG_UNKNOWN);
    assert_int_equal(call(alone, REQUEST_STATUS, 200, text), SG_UNKNOWN);
    client_free(alone);
    fake_node_open(&nodes[1], NULL);
    struct client *c = client_of(nodes, 2);
    for (int i = 0; i < 6; i++) { /* Whichever is asked first, the answer comes from the second. */
        assert_int_equal(call(c, REQUEST_STATUS, 3000, text), SG_OK);
    }
    assert_int_equal(nodes[1].requests, 6);
    assert_true(nodes[0].requests <= 6); /* One error is enough to prefer the other; pings are in it. */
    client_free(c);
    fake_node_close(&nodes[0]);
    fake_node_close(&nodes[1]);
}

/* Answers whether it is there, and keeps all else. */
static enum fake_answer answer_pings(struct fake_node *n, const struct request *request, struct reply *reply,
                                     struct arena *a)
{
    (void)fake_node_echo(n, request, reply, a);
    return request->kind == REQUEST_PING ? ANSWER : ANSWER_KEEP;
}

/* A process that is stopped keeps its connections: it is left within a second, though
 * the call has ten. One that is there is waited for. */
static void test_a_stopped_node_is_left_soon(void **state)
{
    (void)state;
    char text[500];
    struct script keep = {.left = 0, .otherwise = ANSWER_KEEP};
    struct fake_node nodes[2] = {{.answer = answer_script, .impl = &keep}};
    fake_node_open(&nodes[0], NULL);
    fake_node_open(&nodes[1], NULL);
    struct client *c = client_of(nodes, 2);
    uint64_t longest = 0;
    for (int i = 0; i < 4; i++) {
        uint64_t begun = monitor_now_ms();
        assert_int_equal(call(c, REQUEST_STATUS, 10000, text), SG_OK);
        longest = monitor_now_ms() - begun > longest ? monitor_now_ms() - begun : longest;
    }
    assert_in_range(longest, 500, 2000);
    client_free(c);
    fake_node_close(&nodes[0]);

    nodes[0] = (struct fake_node){.answer = answer_pings};
    fake_node_open(&nodes[0], NULL);
    c = client_of(nodes, 2);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(call(c, REQUEST_STATUS, 6000, text), SG_OK);
    }
    assert_true(nodes[0].requests >= 2 || nodes[1].requests >= 5); /* One of both was asked first. */
    client_free(c);
    fake_node_close(&nodes[0]);
    fake_node_close(&nodes[1]);
}

static void test_many_threads_share_a_client(void **state)
{
    (void)state;
    enum { THREADS = 16 };
    struct fake_node nodes[2] = {{.answer = NULL}};
    struct background b[THREADS];
    fake_node_open(&nodes[0], NULL);
    fake_node_open(&nodes[1], NULL);
    struct client *c = client_of(nodes, 2);
    for (int round = 0; round < 20; round++) {
        for (size_t i = 0; i < THREADS; i++) {
            b[i] = (struct background){.client = c, .kind = REQUEST_PING, .timeout_ms = 20000};
            assert_int_equal(pthread_create(&b[i].thread, NULL, background_main, &b[i]), 0);
        }
        for (size_t i = 0; i < THREADS; i++) {
            assert_int_equal(pthread_join(b[i].thread, NULL), 0);
            assert_int_equal(b[i].err, SG_OK);
        }
    }
    assert_int_equal(nodes[0].requests + nodes[1].requests, THREADS * 20);
    client_free(c);
    fake_node_close(&nodes[0]);
    fake_node_close(&nodes[1]);
}

static void test_bad_addresses_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *addresses, *text;
    } rows[] = {
        {"", "no address"},
        {" , ", "no address"},
        {"tcp://127.0.0.1:1,smtp://x:1", "smtp://x:1"},
        {"tcp://127.0.0.1:notaport", "notaport"},
        {"tcp://127.0.0.1", "tcp://127.0.0.1"},
        {"127.0.0.1:70000", "70000"},
        {"tcp://:7411", "tcp://:7411"},
        {"ipc://", "ipc://"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct client *c = NULL;
        char why[300] = "";
        assert_int_equal(client_new(rows[i].addresses, &c, why, sizeof(why)), SG_INVALID);
        assert_non_null(strstr(why, rows[i].text));
    }
}

/* Requests of one shard each, within the limits; answers in the caller's order. */
static enum fake_answer answer_checked(struct fake_node *n, const struct request *request,
                                       struct reply *reply, struct arena *a)
{
    unsigned *wrong = n->impl;
    *wrong += request->transfers_count == 0 || request->transfers_count > REQUEST_TRANSFERS_MAX;
    for (size_t i = 0; i < request->transfers_count; i++) {
        *wrong += request->transfers[i].routing_number.n != request->routing_number.n;
        *wrong += i > 0 && request->transfers[i].amount.n < request->transfers[i - 1].amount.n;
    }
    return fake_node_echo(n, request, reply, a);
}

static void test_submit_sorts_by_shard_and_splits(void **state)
{
    (void)state;
    enum { COUNT = 12000 };
    static const uint32_t shards[2] = {231380104, 121042882};
    unsigned wrong = 0;
    struct fake_node n = {.answer = answer_checked, .impl = &wrong};
    struct arena a = ARENA_INIT;
    struct transfer *t = mem_zalloc(COUNT, sizeof(*t));
    struct submit_result *results = mem_zalloc(COUNT, sizeof(*results));
    struct span text;
    fake_node_open(&n, NULL);
    struct client *c = client_of(&n, 1);
    for (size_t i = 0; i < COUNT; i++) {
        char *id = arena_printf(&a, "t-%zu", i);
        t[i] = (struct transfer){
            .id = span_str(id),
            .routing_number = {shards[i % 12 == 0]},
            .sec = SEC_PPD,
            .side = SIDE_CREDIT,
            .account_type = ACCOUNT_CHECKING,
            .rdfi = {121042882},
            .amount = {(int64_t)i + 1},
            .effective_date = DAY_NONE,
        };
    }
    assert_int_equal(client_submit(c, t, COUNT, 0, &a, results, &text), SG_OK);
    for (size_t i = 0; i < COUNT; i++) {
        assert_int_equal(results[i].outcome, OUTCOME_ACCEPTED);
        assert_int_equal(results[i].index, i + 1);
        assert_int_equal(results[i].shard.n, shards[i % 12 == 0]);
        assert_true(span_eq(results[i].id, t[i].id));
    }
    assert_int_equal(wrong, 0);
    assert_int_equal(n.requests, 4); /* 11,000 in three, 1,000 in one. */
    client_free(c);
    fake_node_close(&n);
    mem_free(t);
    mem_free(results);
    arena_release(&a);
}

/* --- The public form -------------------------------------------------------- */

static struct shardgate_transfer sample(const char *id)
{
    return (struct shardgate_transfer){
        .struct_size = sizeof(struct shardgate_transfer),
        .id = id,
        .routing_number = "231380104",
        .originator = "acme",
        .sec = "PPD",
        .entry_description = "PAYROLL",
        .side = "credit",
        .account_type = "checking",
        .rdfi = "121042882",
        .account = "12345",
        .amount_cents = 1250,
        .name = "Jane Doe",
    };
}

static void test_public_submit(void **state)
{
    (void)state;
    struct fake_node n = {.answer = NULL};
    struct shardgate_client *c = NULL;
    struct shardgate_error error = SHARDGATE_ERROR_INIT;
    fake_node_open(&n, NULL);
    assert_int_equal(shardgate_client_new(n.address, &c, &error), SHARDGATE_OK);
    struct shardgate_transfer t[4] = {sample("a"), sample("b"), sample("c"), sample("d")};
    struct shardgate_result results[4] = {SHARDGATE_RESULT_INIT};
    t[1].routing_number = "231380105"; /* Wrong check digit. */
    t[2].side = "sideways";
    t[3].amount_cents = 77;
    assert_int_equal(shardgate_client_submit(c, t, 4, results, &error), SHARDGATE_OK);
    assert_string_equal(error.text, "");
    assert_int_equal(results[0].outcome, SHARDGATE_ACCEPTED);
    assert_int_equal(results[0].index, 1250);
    assert_int_equal(results[1].outcome, SHARDGATE_REJECTED);
    assert_non_null(strstr(results[1].reason, "routing_number"));
    assert_int_equal(results[2].outcome, SHARDGATE_REJECTED);
    assert_non_null(strstr(results[2].reason, "side"));
    assert_int_equal(results[3].outcome, SHARDGATE_ACCEPTED);
    assert_int_equal(results[3].index, 77);
    assert_int_equal(n.requests, 1);
    fake_node_close(&n);
    shardgate_client_free(c);
    assert_int_equal(shardgate_client_new(n.address, &c, &error), SHARDGATE_OK);
    shardgate_client_set_timeout_ms(c, 100);
    assert_int_equal(shardgate_client_submit(c, t, 1, results, &error), SHARDGATE_UNAVAILABLE);
    assert_int_equal(results[0].outcome, SHARDGATE_NONE);
    assert_int_equal(error.code, SHARDGATE_UNAVAILABLE);
    assert_non_null(strstr(error.text, n.address));
    shardgate_client_free(c);
}

/* A program that was compiled with the header of a later version. */
struct later_transfer {
    struct shardgate_transfer t;
    const char *more;
};
struct later_result {
    struct shardgate_result r;
    uint64_t more;
};

static void test_structures_may_grow(void **state)
{
    (void)state;
    struct fake_node n = {.answer = NULL};
    struct shardgate_client *c = NULL;
    struct shardgate_error error = SHARDGATE_ERROR_INIT;
    struct later_transfer t[2] = {{sample("a"), NULL}, {sample("b"), NULL}};
    struct later_result results[2] = {{SHARDGATE_RESULT_INIT, 7}, {SHARDGATE_RESULT_INIT, 7}};
    fake_node_open(&n, NULL);
    assert_int_equal(shardgate_client_new(n.address, &c, &error), SHARDGATE_OK);
    t[0].t.struct_size = sizeof t[0];
    t[1].t.amount_cents = 88;
    results[0].r.struct_size = sizeof results[0];
    assert_int_equal(shardgate_client_submit(c, &t[0].t, 2, &results[0].r, &error), SHARDGATE_OK);
    assert_int_equal(results[0].r.index, 1250);
    assert_int_equal(results[1].r.index, 88);
    assert_int_equal(results[1].more, 0); /* This library has nothing to say there. */
    assert_int_equal(results[0].r.struct_size, sizeof results[0]);

    /* What would be lost is not sent. */
    t[1].more = "x";
    results[0].r.outcome = 42;
    assert_int_equal(shardgate_client_submit(c, &t[0].t, 2, &results[0].r, &error), SHARDGATE_INVALID);
    assert_non_null(strstr(error.text, "version"));
    assert_int_equal(results[0].r.outcome, 42);

    /* Sizes that were not set. */
    t[1].more = NULL;
    results[0].r.struct_size = 0;
    assert_int_equal(shardgate_client_submit(c, &t[0].t, 2, &results[0].r, &error), SHARDGATE_INVALID);
    assert_non_null(strstr(error.text, "SHARDGATE_RESULT_INIT"));
    results[0].r.struct_size = sizeof results[0];
    t[0].t.struct_size = 0;
    assert_int_equal(shardgate_client_submit(c, &t[0].t, 2, &results[0].r, &error), SHARDGATE_INVALID);
    struct shardgate_error none = {.struct_size = 0, .code = 42};
    assert_int_equal(shardgate_client_submit(c, &t[0].t, 2, &results[0].r, &none), SHARDGATE_INVALID);
    assert_int_equal(none.code, 42);
    assert_int_equal(n.requests, 1);

    assert_string_equal(shardgate_version(), SHARDGATE_VERSION_TEXT);
    assert_int_equal(shardgate_version_number(), SHARDGATE_VERSION_NUMBER);
    shardgate_client_free(c);
    fake_node_close(&n);
}

static void test_public_query(void **state)
{
    (void)state;
    struct fake_node n = {.answer = NULL};
    struct shardgate_client *c = NULL;
    struct shardgate_error error = SHARDGATE_ERROR_INIT;
    char *json = NULL;
    void *data = NULL;
    size_t size = 1;
    const struct shardgate_arg arg = {"echo", "{\"v\":1}"};
    fake_node_open(&n, NULL);
    assert_int_equal(shardgate_client_new(n.address, &c, &error), SHARDGATE_OK);
    assert_int_equal(
        shardgate_client_query(c, "shards show", "231380104", &arg, 1, &json, &data, &size, &error),
        SHARDGATE_OK);
    assert_string_equal(json, "{\"v\":1}");
    assert_null(data);
    assert_int_equal(size, 0);
    shardgate_free(json);
    assert_int_equal(shardgate_client_query(c, "shards sow", NULL, NULL, 0, &json, NULL, NULL, &error),
                     SHARDGATE_INVALID);
    assert_null(json);
    assert_int_equal(shardgate_client_query(c, "shards show", "1", NULL, 0, &json, NULL, NULL, NULL),
                     SHARDGATE_INVALID);
    assert_int_equal(n.requests, 1);
    shardgate_client_free(c);
    assert_int_equal(shardgate_client_new("smtp://x", &c, &error), SHARDGATE_INVALID);
    assert_null(c);
    assert_string_equal(shardgate_err_text(SHARDGATE_UNKNOWN), "outcome unknown");
    fake_node_close(&n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_not_done_is_tried_until_it_is),
        cmocka_unit_test(test_the_last_answer_is_given_when_the_time_is_over),
        cmocka_unit_test(test_nobody_there_is_said_with_the_reason),
        cmocka_unit_test(test_a_node_that_is_down_costs_nothing),
        cmocka_unit_test(test_calls_are_spread_over_equal_nodes),
        cmocka_unit_test(test_after_a_break_only_the_safe_is_repeated),
        cmocka_unit_test(test_a_silent_node_is_left_for_another),
        cmocka_unit_test(test_a_stopped_node_is_left_soon),
        cmocka_unit_test(test_many_threads_share_a_client),
        cmocka_unit_test(test_bad_addresses_are_named),
        cmocka_unit_test(test_submit_sorts_by_shard_and_splits),
        cmocka_unit_test(test_public_submit),
        cmocka_unit_test(test_structures_may_grow),
        cmocka_unit_test(test_public_query),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
