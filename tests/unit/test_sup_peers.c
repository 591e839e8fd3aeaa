/* The link on NNG, over loopback: order, limits, and how soon a death is seen.
 *
 * Run as "test_sup_peers peer SELF LISTEN OTHER ADDRESS" it is the process that
 * gets killed: it sends back every frame. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/mem.h"
#include "supervisor/daemon/peers.h"
#include "supervisor/daemon/uv_loop.h"
#include "tests/support/ports.h"

#define STRANGE_NUMBER 0x7375737069636973ull /* In a frame that proves nothing. */
#define LIMIT_MS 20000 /* For an event that comes in milliseconds unless the machine stalls. */

/* A node that counts what it sees. */
struct box {
    struct uvloop *u;
    struct peers *peers;
    uint64_t other;
    char address[TEST_ADDRESS_SIZE];
    pthread_mutex_t lock;
    pthread_cond_t changed;
    /* Under the lock. */
    unsigned ups, downs, frames, wrong, strange;
    uint64_t next_number;
    size_t last_size;
    int64_t down_us;
};

static int64_t clock_us(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

static void box_changed(struct box *b)
{
    (void)pthread_cond_broadcast(&b->changed);
    (void)pthread_mutex_unlock(&b->lock);
}

/* A frame is a number and any padding; one with the next number proves the other node. */
static uint64_t on_frame(void *impl, struct bytes *frame)
{
    struct box *b = impl;
    bool is_proof = frame->n >= 8 && be64_get(frame->p) != STRANGE_NUMBER;
    (void)pthread_mutex_lock(&b->lock);
    if (is_proof) {
        b->wrong += be64_get(frame->p) != b->next_number;
        b->next_number++;
        b->frames++;
        b->last_size = frame->n;
    } else {
        b->strange++;
    }
    bytes_release(frame);
    box_changed(b);
    return is_proof ? b->other : 0;
}

static void on_up(void *impl, uint64_t node)
{
    struct box *b = impl;
    (void)pthread_mutex_lock(&b->lock);
    b->wrong += node != b->other || b->ups != b->downs;
    b->ups++;
    box_changed(b);
}

static void on_down(void *impl, uint64_t node)
{
    struct box *b = impl;
    (void)pthread_mutex_lock(&b->lock);
    b->wrong += node != b->other || b->ups != b->downs + 1;
    b->downs++;
    b->down_us = clock_us();
    box_changed(b);
}

static const struct link_events box_events = {on_frame, on_up, on_down};

static void box_open(struct box *b, uint64_t self, const char *listen, uint64_t other, const char *address)
{
    memset(b, 0, sizeof(*b));
    (void)pthread_mutex_init(&b->lock, NULL);
    (void)pthread_cond_init(&b->changed, NULL);
    b->other = other;
    b->u = uvloop_new("box");
    (void)snprintf(b->address, sizeof(b->address), "%s", listen);
    const struct peers_member members[2] = {{self, listen}, {other, address}};
    const struct peers_options options = {
        .loop = uvloop_seam(b->u),
        .sink = {&box_events, b},
        .self = self,
        .listen = listen,
        .members = members,
        .members_count = 2,
    };
    char why[200] = "";
    enum sg_err err = peers_open(&options, &b->peers, why, sizeof(why));
    if (err != SG_OK) {
        (void)fprintf(stderr, "%s\n", why);
    }
    CHECK(err == SG_OK);
    uvloop_start(b->u);
}

static void box_close(struct box *b)
{
    uvloop_stop(b->u);
    uvloop_join(b->u);
    peers_close(b->peers);
    uvloop_free(b->u);
}

static bool box_wait(struct box *b, const unsigned *counter, unsigned value)
{
    struct timespec limit;
    (void)clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += LIMIT_MS / 1000;
    int rc = 0;
    (void)pthread_mutex_lock(&b->lock);
    while (*counter < value && rc == 0) {
        rc = pthread_cond_timedwait(&b->changed, &b->lock, &limit);
    }
    bool reached = *counter >= value;
    (void)pthread_mutex_unlock(&b->lock);
    return reached;
}

/* Is this number past, within a second? */
static bool box_echoed(struct box *b, uint64_t number)
{
    struct timespec limit;
    (void)clock_gettime(CLOCK_REALTIME, &limit);
    limit.tv_sec += 1;
    int rc = 0;
    (void)pthread_mutex_lock(&b->lock);
    while (b->next_number <= number && rc == 0) {
        rc = pthread_cond_timedwait(&b->changed, &b->lock, &limit);
    }
    bool echoed = b->next_number > number;
    (void)pthread_mutex_unlock(&b->lock);
    return echoed;
}

static void box_send(struct box *b, uint64_t number, size_t size)
{
    struct bytes frame = BYTES_NONE;
    memset(bytes_extend(&frame, size), 'x', size);
    be64_put(frame.p, number);
    link_send(peers_link(b->peers), b->other, &frame);
    assert_null(frame.p);
}

static void test_frames_arrive_whole_and_in_order(void **state)
{
    (void)state;
    enum { FRAMES = 3000 };
    struct box a;
    struct box b;
    char address_a[TEST_ADDRESS_SIZE];
    char address_b[TEST_ADDRESS_SIZE];
    (void)test_free_address(address_a);
    (void)test_free_address(address_b);
    box_open(&a, 1, address_a, 2, address_b);
    box_open(&b, 2, address_b, 1, address_a);
    assert_true(box_wait(&a, &a.ups, 1));
    assert_true(box_wait(&b, &b.ups, 1));
    for (unsigned i = 0; i < FRAMES; i++) {
        box_send(&a, i, i % 100 == 0 ? 100000 : 8 + i % 50);
    }
    box_send(&b, 0, FRAME_SIZE_MAX_BYTES); /* The largest frame passes. */
    assert_true(box_wait(&b, &b.frames, FRAMES));
    assert_true(box_wait(&a, &a.frames, 1));
    assert_int_equal(a.last_size, FRAME_SIZE_MAX_BYTES);
    assert_int_equal(a.wrong + b.wrong, 0);
    assert_int_equal(a.downs + b.downs, 0);
    assert_int_equal(link_pending_bytes(peers_link(a.peers), 2), 0);
    assert_int_equal(peers_stats(a.peers).frames_sent, FRAMES);
    assert_int_equal(peers_stats(a.peers).frames_dropped, 0);
    box_close(&b);
    assert_true(box_wait(&a, &a.downs, 1));
    box_close(&a);
}

static void test_frames_to_nobody_are_dropped(void **state)
{
    (void)state;
    struct box a;
    char address_a[TEST_ADDRESS_SIZE];
    char address_b[TEST_ADDRESS_SIZE];
    box_open(&a, 1, test_free_address(address_a), 2, test_free_address(address_b));
    box_send(&a, 0, 100); /* Not connected. */
    a.other = 3;
    box_send(&a, 0, 100); /* Not a member. */
    assert_int_equal(link_pending_bytes(peers_link(a.peers), 2), 0);
    assert_int_equal(link_pending_bytes(peers_link(a.peers), 3), 0);
    assert_int_equal(peers_stats(a.peers).frames_dropped, 2);
    box_close(&a);
}

/* Not SP traffic, a length over the limit, a message shorter than the envelope:
 * that connection is closed, the others stay. */
static void test_garbage_closes_only_its_own_connection(void **state)
{
    (void)state;
    static const char *const garbage[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "\0SP\0\0\x50\0\0\x7f\xff\xff\xff\xff\xff\xff\xff",
        "\0SP\0\0\x50\0\0\0\0\0\0\0\0\0\003abc",
    };
    static const size_t sizes[] = {18, 16, 19};
    struct box a;
    struct box b;
    char address_a[TEST_ADDRESS_SIZE];
    char address_b[TEST_ADDRESS_SIZE];
    (void)test_free_address(address_a);
    (void)test_free_address(address_b);
    box_open(&a, 1, address_a, 2, address_b);
    box_open(&b, 2, address_b, 1, address_a);
    assert_true(box_wait(&a, &a.ups, 1));
    for (size_t i = 0; i < 3; i++) {
        int fd = test_connect(address_b);
        assert_int_equal(send(fd, garbage[i], sizes[i], MSG_NOSIGNAL), sizes[i]);
        uint8_t rest[64];
        ssize_t n;
        do {
            n = recv(fd, rest, sizeof(rest), 0); /* Their greeting, then the end. */
        } while (n > 0);
        assert_int_equal(close(fd), 0);
    }
    box_send(&a, 0, 10);
    assert_true(box_wait(&b, &b.frames, 1));
    assert_int_equal(a.downs + b.downs + a.wrong + b.wrong, 0);
    box_close(&a);
    box_close(&b);
}

/* Connect, a member's id and a frame that proves nothing, close: that is not the
 * member's connection breaking, however often. */
static void test_a_stranger_breaks_no_connection(void **state)
{
    (void)state;
    enum { TIMES = 50 };
    struct box a;
    struct box b;
    char address_a[TEST_ADDRESS_SIZE];
    char address_b[TEST_ADDRESS_SIZE];
    uint8_t message[8 + 8 + 4 + 8 + 8] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
    (void)test_free_address(address_a);
    (void)test_free_address(address_b);
    box_open(&a, 1, address_a, 2, address_b);
    box_open(&b, 2, address_b, 1, address_a);
    assert_true(box_wait(&a, &a.ups, 1));
    assert_true(box_wait(&b, &b.ups, 1));
    box_send(&a, 0, 10);
    assert_true(box_wait(&b, &b.frames, 1)); /* The true connection is known. */
    be64_put(message + 8, sizeof message - 16);
    message[16] = 0x80;
    be64_put(message + 20, 1); /* As from node 1. */
    be64_put(message + 28, STRANGE_NUMBER);
    for (unsigned i = 0; i < TIMES; i++) {
        int fd = test_connect(address_b);
        uint8_t greeting[8];
        assert_int_equal(recv(fd, greeting, sizeof(greeting), MSG_WAITALL), sizeof(greeting));
        assert_int_equal(send(fd, message, sizeof(message), MSG_NOSIGNAL), sizeof(message));
        assert_true(box_wait(&b, &b.strange, i + 1));
        assert_int_equal(close(fd), 0);
    }
    box_send(&a, 1, 10);
    assert_true(box_wait(&b, &b.frames, 2));
    assert_int_equal(a.downs + b.downs + a.wrong + b.wrong, 0);
    box_close(&a);
    assert_true(box_wait(&b, &b.downs, 1)); /* The true one's end is noticed all the same. */
    box_close(&b);
}

static void test_bad_addresses_are_named(void **state)
{
    (void)state;
    static const struct {
        const char *listen, *other;
        enum sg_err err;
        const char *text;
    } rows[] = {
        {"tcp://127.0.0.1:notaport", "tcp://127.0.0.1:1", SG_INVALID, "tcp://127.0.0.1:notaport"},
        {"nonsense", "tcp://127.0.0.1:1", SG_INVALID, "nonsense"},
        {"smtp://127.0.0.1:1", "tcp://127.0.0.1:1", SG_INVALID, "smtp://127.0.0.1:1"},
        {NULL, "nonsense", SG_INVALID, "nonsense"},
        {NULL, "tcp://127.0.0.1:0", SG_INVALID, "tcp://127.0.0.1:0"},
        {"tcp://192.0.2.1:7410", "tcp://127.0.0.1:1", SG_INVALID,
         "tcp://192.0.2.1:7410"}, /* Not our interface. */
    };
    char free_address[TEST_ADDRESS_SIZE];
    struct uvloop *u = uvloop_new("t");
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        const struct peers_member member = {2, rows[i].other};
        struct peers_options options = {
            .loop = uvloop_seam(u),
            .sink = {&box_events, NULL},
            .self = 1,
            .listen = rows[i].listen != NULL ? rows[i].listen : test_free_address(free_address),
            .members = &member,
            .members_count = 1,
        };
        struct peers *peers = NULL;
        char why[200] = "";
        enum sg_err err = peers_open(&options, &peers, why, sizeof(why));
        if (err != rows[i].err || strstr(why, rows[i].text) == NULL) {
            fail_msg("row %zu: %s \"%s\"", i, sg_err_name(err), why);
        }
    }
    uvloop_free(u);
}

static void test_an_address_in_use_is_refused(void **state)
{
    (void)state;
    struct box a;
    char address_a[TEST_ADDRESS_SIZE];
    char address_b[TEST_ADDRESS_SIZE];
    box_open(&a, 1, test_free_address(address_a), 2, test_free_address(address_b));
    const struct peers_member member = {1, address_a};
    const struct peers_options options = {
        .loop = uvloop_seam(a.u),
        .sink = {&box_events, NULL},
        .self = 2,
        .listen = address_a,
        .members = &member,
        .members_count = 1,
    };
    struct peers *second = NULL;
    char why[200] = "";
    assert_int_equal(peers_open(&options, &second, why, sizeof(why)), SG_EXISTS);
    assert_non_null(strstr(why, address_a));
    box_close(&a);
}

/* --- A process that dies ---------------------------------------------------- */

static uint64_t echo_frame(void *impl, struct bytes *frame)
{
    struct box *b = impl;
    link_send(peers_link(b->peers), b->other, frame);
    return b->other;
}

static void echo_nothing(void *impl, uint64_t node)
{
    (void)impl;
    (void)node;
}

static const struct link_events echo_events = {echo_frame, echo_nothing, echo_nothing};

static int peer_main(char **argv)
{
    struct box b = {.other = strtoull(argv[3], NULL, 10)};
    const struct peers_member member = {b.other, argv[4]};
    struct uvloop *u = uvloop_new("peer");
    const struct peers_options options = {
        .loop = uvloop_seam(u),
        .sink = {&echo_events, &b},
        .self = strtoull(argv[1], NULL, 10),
        .listen = argv[2],
        .members = &member,
        .members_count = 1,
    };
    char why[200];
    if (peers_open(&options, &b.peers, why, sizeof(why)) != SG_OK) {
        (void)fprintf(stderr, "%s\n", why);
        return 1;
    }
    uvloop_run(u);
    return 0;
}

static pid_t peer_start(char *listen, char *other)
{
    pid_t pid = fork();
    if (pid == 0) {
        char *const argv[] = {"test_sup_peers", "peer", "2", listen, "1", other, NULL};
        (void)execv("/proc/self/exe", argv);
        _exit(127);
    }
    return pid;
}

static void test_a_killed_process_is_noticed_at_once_and_comes_back(void **state)
{
    (void)state;
    struct box a;
    char address_a[TEST_ADDRESS_SIZE];
    char address_b[TEST_ADDRESS_SIZE];
    (void)test_free_address(address_a);
    (void)test_free_address(address_b);
    box_open(&a, 1, address_a, 2, address_b);
    int64_t worst_us = 0;
    uint64_t number = 0;
    for (unsigned round = 1; round <= 5; round++) {
        pid_t pid = peer_start(address_b, address_a);
        assert_true(pid > 0);
        assert_true(box_wait(&a, &a.ups, round));
        do { /* The echo is dropped until the peer has dialled back: repeat. */
            box_send(&a, number, 100);
        } while (!box_echoed(&a, number));
        number++;
        int64_t killed_us = clock_us();
        assert_int_equal(kill(pid, SIGKILL), 0);
        assert_true(box_wait(&a, &a.downs, round));
        int64_t took_us = a.down_us - killed_us;
        worst_us = took_us > worst_us ? took_us : worst_us;
        assert_int_equal(waitpid(pid, NULL, 0), pid);
    }
    print_message("a SIGKILL was noticed within %.1f ms\n", (double)worst_us / 1000);
    assert_true(worst_us < 2000000); /* Milliseconds, but the machine may be busy. */
    assert_int_equal(a.wrong, 0);
    box_close(&a);
}

int main(int argc, char **argv)
{
    if (argc == 6 && strcmp(argv[1], "peer") == 0) {
        return peer_main(argv + 1);
    }
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_arrive_whole_and_in_order),
        cmocka_unit_test(test_frames_to_nobody_are_dropped),
        cmocka_unit_test(test_garbage_closes_only_its_own_connection),
        cmocka_unit_test(test_a_stranger_breaks_no_connection),
        cmocka_unit_test(test_bad_addresses_are_named),
        cmocka_unit_test(test_an_address_in_use_is_refused),
        cmocka_unit_test(test_a_killed_process_is_noticed_at_once_and_comes_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
