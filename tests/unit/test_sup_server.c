/* The client port and a connection to it: many calls at once, limits, garbage. */
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
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/loop.h"
#include "proto/base/mem.h"
#include "supervisor/daemon/server.h"
#include "supervisor/client/connection.h"
#include "supervisor/client/probe.h"
#include "supervisor/daemon/uv_loop.h"
#include "tests/support/fake_node.h"

#define LIMIT_S 20

/* Calls whose ends are counted. */
struct tally {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    unsigned changes;        /* Of the connection. */
    unsigned ended[SG_ERRS]; /* By the reply's error, or the call's own. */
    unsigned total, wrong;
};

struct probe {
    struct connection_call call;
    struct tally *tally;
    char echo[16];
};

static void tally_init(struct tally *t)
{
    memset(t, 0, sizeof(*t));
    (void)pthread_mutex_init(&t->lock, NULL);
    (void)pthread_cond_init(&t->changed, NULL);
}

static void on_done(struct connection_call *call, enum sg_err err, struct span data)
{
    struct probe *p = CONTAINER_OF(call, struct probe, call);
    struct tally *t = p->tally;
    struct arena a = ARENA_INIT;
    struct reply reply = {.err = err};
    bool wrong = err == SG_OK && reply_decode(data, &a, &reply) != SG_OK;
    wrong = wrong || (reply.err == SG_OK && reply.json.n > 0 && !span_is(reply.json, p->echo));
    (void)pthread_mutex_lock(&t->lock);
    t->ended[reply.err]++;
    t->total++;
    t->wrong += wrong;
    (void)pthread_cond_broadcast(&t->changed);
    (void)pthread_mutex_unlock(&t->lock);
    arena_release(&a);
}

static void on_changed(void *impl)
{
    struct tally *t = impl;
    (void)pthread_mutex_lock(&t->lock);
    t->changes++;
    (void)pthread_cond_broadcast(&t->changed);
    (void)pthread_mutex_unlock(&t->lock);
}

static bool tally_wait(struct tally *t, const unsigned *counter, unsigned value)
{
    struct timespec limit;
    (void)clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += LIMIT_S;
    int rc = 0;
    (void)pthread_mutex_lock(&t->lock);
    while (*counter < value && rc == 0) {
        rc = pthread_cond_timedwait(&t->changed, &t->lock, &limit);
    }
    bool reached = *counter >= value;
    (void)pthread_mutex_unlock(&t->lock);
    return reached;
}

static struct connection *connect_to(const char *address, struct tally *t)
{
    struct connection *c = NULL;
    char why[200] = "";
    unsigned changes = t->changes;
    assert_int_equal(connection_new(address, on_changed, t, &c, why, sizeof(why)), SG_OK);
    assert_true(tally_wait(t, &t->changes, changes + 1));
    assert_true(connection_is_up(c));
    return c;
}

static void ask(struct connection *c, struct tally *t, struct probe *p, unsigned number, uint32_t timeout_ms)
{
    struct bytes data = BYTES_NONE;
    p->tally = t;
    p->call.done = on_done;
    (void)snprintf(p->echo, sizeof(p->echo), "%u", number);
    struct request_arg arg = {span_str("echo"), span_str(p->echo)};
    const struct request request = {.kind = REQUEST_PING, .args = &arg, .args_count = 1};
    request_encode(&request, &data);
    connection_send(c, &p->call, span_bytes(&data), timeout_ms);
    bytes_release(&data);
}

static enum fake_answer answer_slowly(struct fake_node *n, const struct request *request, struct reply *reply,
                                      struct arena *a)
{
    (void)fake_node_echo(n, request, reply, a);
    return ANSWER_SLOWLY;
}

static enum fake_answer answer_keep(struct fake_node *n, const struct request *request, struct reply *reply,
                                    struct arena *a)
{
    (void)n;
    (void)request;
    (void)reply;
    (void)a;
    return ANSWER_KEEP;
}

static void test_answers_find_their_calls(void **state)
{
    (void)state;
    enum { CALLS = CLIENT_REQUESTS_MAX - 12, ROUNDS = 5 };
    struct fake_node n = {.answer = answer_slowly};
    struct tally t;
    struct probe *p = mem_zalloc(CALLS, sizeof(*p));
    tally_init(&t);
    fake_node_open(&n, NULL);
    struct connection *c = connect_to(n.address, &t);
    for (unsigned round = 1; round <= ROUNDS; round++) {
        for (unsigned i = 0; i < CALLS; i++) {
            ask(c, &t, &p[i], round * CALLS + i, 20000);
        }
        assert_true(tally_wait(&t, &t.total, round * CALLS));
    }
    assert_int_equal(t.ended[SG_OK], ROUNDS * CALLS);
    assert_int_equal(t.wrong, 0);
    assert_int_equal(server_stats(n.server).requests, ROUNDS * CALLS);
    assert_int_equal(server_stats(n.server).inflight, 0);
    connection_free(c);
    fake_node_close(&n);
    mem_free(p);
}

/* Each connection has a share, and all together have a limit. */
static void test_too_many_calls_are_answered_busy_at_once(void **state)
{
    (void)state;
    enum { SURPLUS = 200, GREEDY = CLIENT_REQUESTS_MAX + SURPLUS, CALLS = 2 * GREEDY };
    struct fake_node n = {.answer = answer_keep};
    struct tally t[2];
    struct connection *c[2];
    struct probe *p = mem_zalloc(CALLS, sizeof(*p));
    fake_node_open(&n, NULL);
    for (unsigned k = 0; k < 2; k++) {
        tally_init(&t[k]);
        c[k] = connect_to(n.address, &t[k]);
        for (unsigned i = 0; i < GREEDY; i++) {
            ask(c[k], &t[k], &p[k * GREEDY + i], i, 60000);
        }
        /* What the first one has beyond its share costs the second nothing. */
        assert_true(tally_wait(&t[k], &t[k].ended[SG_BUSY], SURPLUS));
        assert_int_equal(t[k].total, SURPLUS);
        assert_int_equal(server_stats(n.server).busy, (k + 1) * SURPLUS);
        assert_int_equal(server_stats(n.server).inflight, (k + 1) * CLIENT_REQUESTS_MAX);
    }
    assert_int_equal(server_stats(n.server).inflight, REQUESTS_INFLIGHT_MAX);
    while (n.kept_count < REQUESTS_INFLIGHT_MAX) {
        (void)sched_yield();
    }
    fake_node_release(&n);
    for (unsigned k = 0; k < 2; k++) {
        assert_true(tally_wait(&t[k], &t[k].total, GREEDY));
        assert_int_equal(t[k].ended[SG_OK], CLIENT_REQUESTS_MAX);
        connection_free(c[k]);
    }
    fake_node_close(&n);
    mem_free(p);
}

static void test_silence_ends_in_time_and_a_break_at_once(void **state)
{
    (void)state;
    struct fake_node n = {.answer = answer_keep};
    struct tally t;
    struct probe late;
    struct probe broken;
    struct probe unsent;
    tally_init(&t);
    fake_node_open(&n, NULL);
    struct connection *c = connect_to(n.address, &t);
    ask(c, &t, &late, 1, 50);
    assert_true(tally_wait(&t, &t.ended[SG_TIMEOUT], 1));
    ask(c, &t, &broken, 2, 60000);
    while (n.kept_count < 2) {
        (void)sched_yield();
    }
    fake_node_close(&n);
    assert_true(tally_wait(&t, &t.ended[SG_UNKNOWN], 1));
    assert_true(tally_wait(&t, &t.changes, 2));
    assert_false(connection_is_up(c));
    ask(c, &t, &unsent, 3, 60000);
    assert_int_equal(t.ended[SG_UNAVAILABLE], 1); /* Known before the call returns. */
    fake_node_open(&n, n.address);                /* It is found again. */
    assert_true(tally_wait(&t, &t.changes, 3));
    connection_free(c);
    fake_node_close(&n);
}

static void test_why_there_is_no_connection(void **state)
{
    (void)state;
    char address[TEST_ADDRESS_SIZE];
    char why[300];
    struct fake_node n = {.answer = NULL};
    fake_node_open(&n, NULL);
    const struct {
        const char *address, *text;
    } rows[] = {
        {test_free_address(address), "refused"},
        {n.address, "does not answer"},
        {"ipc:///nowhere/at/all", "No such file"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        probe_explain(rows[i].address, 5000, why, sizeof(why));
        assert_non_null(strstr(why, rows[i].address));
        assert_non_null(strstr(why, rows[i].text));
    }
    fake_node_close(&n);
}

static void test_free_ends_open_calls(void **state)
{
    (void)state;
    struct fake_node n = {.answer = answer_keep};
    struct tally t;
    struct probe p[8];
    tally_init(&t);
    fake_node_open(&n, NULL);
    struct connection *c = connect_to(n.address, &t);
    for (unsigned i = 0; i < 8; i++) {
        ask(c, &t, &p[i], i, 60000);
    }
    while (n.kept_count < 8) {
        (void)sched_yield();
    }
    connection_free(c);
    assert_int_equal(t.ended[SG_STOPPED], 8);
    fake_node_release(&n); /* Answers to a client that has gone. */
    fake_node_close(&n);
}

static void test_garbage_closes_only_its_own_connection(void **state)
{
    (void)state;
#define HELLO "\0SP\0\0\x30\0\0"
    static const struct {
        const char *name, *data;
        size_t size;
    } rows[] = {
        {"another protocol", "GET / HTTP/1.1\r\n\r\n", 18},
        {"a push socket, which has no place here", "\0SP\0\0\x50\0\0", 8},
        {"a length over the limit", HELLO "\0\0\0\0\x7f\xff\xff\xff", 16},
        {"a length that is negative", HELLO "\xff\xff\xff\xff\xff\xff\xff\xff", 16},
        {"a request without an id", HELLO "\0\0\0\0\0\0\0\2ab", 18},
    };
    struct fake_node n = {.answer = NULL};
    struct tally t;
    struct probe p;
    tally_init(&t);
    fake_node_open(&n, NULL);
    struct connection *c = connect_to(n.address, &t);
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int fd = test_connect(n.address);
        assert_int_equal(send(fd, rows[i].data, rows[i].size, MSG_NOSIGNAL), rows[i].size);
        uint8_t rest[64];
        ssize_t got;
        do {
            got = recv(fd, rest, sizeof(rest), 0); /* Their greeting, then the end. */
        } while (got > 0);
        assert_int_equal(close(fd), 0);
        ask(c, &t, &p, (unsigned)i, 20000);
        assert_true(tally_wait(&t, &t.ended[SG_OK], (unsigned)i + 1));
    }
    assert_int_equal(t.changes, 1); /* Ours stood all the time. */
    assert_int_equal(t.wrong, 0);
    connection_free(c);
    fake_node_close(&n);
}

/* What REQ/REP lets through is the node's to judge: it answers SG_INVALID. */
static void test_a_request_of_nonsense_is_answered(void **state)
{
    (void)state;
    struct fake_node n = {.answer = NULL};
    struct tally t;
    struct probe p[2] = {{.call = {.done = on_done}, .tally = &t}, {.call = {.done = on_done}, .tally = &t}};
    tally_init(&t);
    fake_node_open(&n, NULL);
    struct connection *c = connect_to(n.address, &t);
    connection_send(c, &p[0].call, span_str("\xff\xff nonsense"), 20000);
    connection_send(c, &p[1].call, SPAN_NONE, 20000);
    assert_true(tally_wait(&t, &t.ended[SG_INVALID], 2));
    connection_free(c);
    fake_node_close(&n);
}

static void test_the_largest_request_and_reply_pass(void **state)
{
    (void)state;
    struct fake_node n = {.answer = NULL};
    struct tally t;
    struct probe p = {.call = {.done = on_done}, .tally = &t};
    tally_init(&t);
    fake_node_open(&n, NULL);
    struct connection *c = connect_to(n.address, &t);
    uint8_t *large = mem_zalloc(1, REQUEST_SIZE_MAX_BYTES);
    connection_send(c, &p.call, span_of(large, REQUEST_SIZE_MAX_BYTES), 20000);
    assert_true(tally_wait(&t, &t.ended[SG_INVALID], 1)); /* Zeros are no request, but they arrived. */
    mem_free(large);
    connection_free(c);
    fake_node_close(&n);
}

static void ignore_request(void *impl, struct server_call *call, struct span data)
{
    (void)impl;
    (void)call;
    (void)data;
}

static void test_several_addresses_all_or_none(void **state)
{
    (void)state;
    char tcp[TEST_ADDRESS_SIZE];
    char path[64];
    char ipc[80];
    char why[300] = "";
    struct uvloop *u = uvloop_new("t");
    struct server *s = NULL;
    struct tally t;
    tally_init(&t);
    (void)snprintf(path, sizeof(path), "/tmp/test_sup_server.%d", (int)getpid());
    (void)snprintf(ipc, sizeof(ipc), "ipc://%s", path);
    const char *addresses[2] = {test_free_address(tcp), ipc};
    const struct server_options options = {
        .loop = uvloop_seam(u), .request = ignore_request, .addresses = addresses, .addresses_count = 2};
    assert_int_equal(server_open(&options, &s, why, sizeof(why)), SG_OK);
    struct connection *by_tcp = connect_to(tcp, &t);
    struct connection *by_ipc = connect_to(ipc, &t);

    struct server *second = NULL;
    assert_int_equal(server_open(&options, &second, why, sizeof(why)), SG_EXISTS);
    assert_non_null(strstr(why, tcp));
    addresses[0] = "tcp://127.0.0.1:notaport";
    assert_int_equal(server_open(&options, &second, why, sizeof(why)), SG_INVALID);
    assert_non_null(strstr(why, "notaport"));
    assert_null(second);
    connection_free(by_tcp);
    connection_free(by_ipc);
    server_close(s);
    uvloop_free(u);
    (void)unlink(path);
}

static void test_a_bad_address_of_a_connection_is_named(void **state)
{
    (void)state;
    struct connection *c = NULL;
    char why[300] = "";
    assert_int_equal(connection_new("nonsense", NULL, NULL, &c, why, sizeof(why)), SG_INVALID);
    assert_non_null(strstr(why, "nonsense"));
    assert_null(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_answers_find_their_calls),
        cmocka_unit_test(test_too_many_calls_are_answered_busy_at_once),
        cmocka_unit_test(test_silence_ends_in_time_and_a_break_at_once),
        cmocka_unit_test(test_why_there_is_no_connection),
        cmocka_unit_test(test_free_ends_open_calls),
        cmocka_unit_test(test_garbage_closes_only_its_own_connection),
        cmocka_unit_test(test_a_request_of_nonsense_is_answered),
        cmocka_unit_test(test_the_largest_request_and_reply_pass),
        cmocka_unit_test(test_several_addresses_all_or_none),
        cmocka_unit_test(test_a_bad_address_of_a_connection_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
