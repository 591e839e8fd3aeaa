/* Whole nodes: forming, the catalog made true, requests on their way, leaving. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/node_world.h"
#include "tests/support/test_mutate.h"

#define ABA_A 231380104u
#define ABA_B 121042882u
#define SHARDS_AB "231380104 121042882"

static void assert_ok(const struct reply *r)
{
    assert_non_null(r);
    if (r->err != SG_OK) {
        fail_msg("%s: %.*s", sg_err_name(r->err), (int)r->text.n, (const char *)r->text.p);
    }
}

static void assert_refused(const struct reply *r, enum sg_err err, const char *part)
{
    char text[1024];
    assert_non_null(r);
    assert_string_equal(sg_err_name(r->err), sg_err_name(err));
    if (strstr(span_cstr(r->text, text, sizeof text), part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, text);
    }
}

static bool has(struct span data, const char *part)
{
    size_t n = strlen(part);
    for (size_t i = 0; i + n <= data.n; i++) {
        if (memcmp(data.p + i, part, n) == 0) {
            return true;
        }
    }
    return false;
}

static struct node_world *formed(size_t count, size_t lanes)
{
    struct node_world *w = node_world_new(count, lanes);
    node_world_start_all(w);
    assert_true(node_world_formed(w, 3000));
    return w;
}

static struct node_world *serving(size_t lanes)
{
    struct node_world *w = formed(3, lanes);
    assert_ok(node_world_apply(w, 0, SHARDS_AB));
    assert_int_not_equal(node_world_leader(w, ABA_A, 3000), 3);
    assert_int_not_equal(node_world_leader(w, ABA_B, 3000), 3);
    return w;
}

/* --- Forming ---------------------------------------------------------------------------- */

static void forms_in_any_order(void **state)
{
    static const size_t orders[][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    (void)state;
    for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++) {
        struct node_world *w = node_world_new(3, 1);
        for (size_t k = 0; k < 3; k++) {
            assert_int_equal(node_world_start(w, orders[i][k]), SG_OK);
            node_world_advance(w, 700);
            if (k < 2) {
                assert_int_equal(node_state(node_world_node(w, orders[i][k])), NODE_FORMING);
            }
        }
        assert_true(node_world_formed(w, 2000));
        node_world_free(w);
    }
}

static void survives_restarts_in_any_order(void **state)
{
    (void)state;
    struct node_world *w = serving(1);
    static const size_t order[] = {2, 0, 1};
    for (size_t i = 0; i < 3; i++) {
        node_world_kill(w, i);
    }
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(node_world_start(w, order[i]), SG_OK);
        node_world_advance(w, 300);
    }
    assert_true(node_world_formed(w, 3000));
    assert_int_not_equal(node_world_leader(w, ABA_A, 3000), 3);
    assert_int_not_equal(node_world_leader(w, ABA_B, 3000), 3);
    node_world_free(w);
}

static const struct reply *submit(struct node_world *w, size_t node, const char *id, uint32_t aba)
{
    struct transfer t = node_world_transfer(id, aba);
    struct request r = {
        .kind = REQUEST_SUBMIT, .routing_number = {aba}, .transfers = &t, .transfers_count = 1};
    return node_world_ask(w, node, &r, REQUEST_TIMEOUT_MS + 1000);
}

static void takes_transfers_on_every_node(void **state)
{
    (void)state;
    struct node_world *w = serving(1);
    for (size_t i = 0; i < 3; i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "t%zu", i);
        const struct reply *r = submit(w, i, id, ABA_A);
        assert_ok(r);
        assert_int_equal(r->results_count, 1);
        assert_int_equal(r->results[0].outcome, OUTCOME_ACCEPTED);
    }
    node_world_free(w);
}

static void survives_its_restarts_over_two_lanes(void **state)
{
    (void)state;
    struct node_world *w = serving(2);
    assert_ptr_not_equal(node_lane_of(node_world_node(w, 0), ABA_A),
                         node_lane_of(node_world_node(w, 0), ABA_B));
    for (size_t i = 0; i < 3; i++) {
        assert_ok(submit(w, i, "a", ABA_A));
        assert_ok(submit(w, i, "b", ABA_B));
        assert_ok(node_world_verb(w, i, REQUEST_STATUS, 0, NULL));
        assert_ok(node_world_verb(w, i, REQUEST_SHARDS_SHOW, ABA_B, NULL));
    }
    for (size_t i = 0; i < 3; i++) {
        node_world_kill(w, i);
        assert_ok(submit(w, (i + 1) % 3, "a", ABA_A));
        assert_ok(submit(w, (i + 2) % 3, "b", ABA_B));
        assert_int_equal(node_world_start(w, i), SG_OK);
        node_world_advance(w, 1000);
    }
    node_world_free(w);
}

/* --- The first leaders ------------------------------------------------------------------- */

static void elects_at_once_what_is_new(void **state)
{
    (void)state;
    struct node_world *w = node_world_new(3, 1);
    node_world_start_all(w);
    assert_int_not_equal(node_world_leader(w, 0, 100), 3);
    assert_true(node_world_formed(w, 300));
    assert_ok(node_world_apply(w, 1, SHARDS_AB));
    /* The others learn of the shards with the catalog's next heartbeat. */
    assert_int_not_equal(node_world_leader(w, ABA_A, HEARTBEAT_MS + 100), 3);
    assert_int_not_equal(node_world_leader(w, ABA_B, HEARTBEAT_MS + 100), 3);
    for (size_t i = 0; i < 3; i++) {
        assert_non_null(node_world_slot(w, i, ABA_A));
        assert_non_null(node_world_slot(w, i, ABA_B));
    }
    node_world_free(w);
}

/* --- Who belongs to the cluster ------------------------------------------------------------ */

static void assert_is_refused(struct node_world *w, size_t node, uint64_t limit_ms)
{
    for (uint64_t i = 0; i < limit_ms && node_state(node_world_node(w, node)) != NODE_REFUSED; i++) {
        node_world_advance(w, 1);
    }
    assert_int_equal(node_state(node_world_node(w, node)), NODE_REFUSED);
    assert_non_null(strstr(node_refusal(node_world_node(w, node)), "data directory"));
    assert_null(node_world_node(w, node)->catalog);
}

static void refuses_an_empty_disk(void **state)
{
    (void)state;
    for (size_t lost = 0; lost < 3; lost++) {
        struct node_world *w = serving(1);
        size_t other = (lost + 1) % 3;
        node_world_kill(w, lost);
        node_world_wipe(w, lost);
        assert_int_equal(node_world_start(w, lost), SG_OK);
        assert_is_refused(w, lost, 2000);
        node_world_advance(w, 3000);
        assert_is_refused(w, lost, 0);
        assert_refused(submit(w, lost, "x", ABA_A), SG_UNAVAILABLE, "refused");
        assert_ok(submit(w, other, "y", ABA_A));
        assert_ok(submit(w, other, "z", ABA_B));
        assert_string_equal(member_state_name(node_world_node(w, other), lost + 1), "refused");
        const struct reply *r = node_world_verb(w, other, REQUEST_STATUS, 0, NULL);
        assert_ok(r);
        assert_true(has(r->json, "degraded"));
        node_world_free(w);
    }
}

/* It formed the cluster, told one other and lost its disk: the third learns it from that one. */
static bool drop_to_third(void *arg, size_t from, size_t to, struct span frame)
{
    (void)arg;
    (void)frame;
    return !(from == 0 && to == 2);
}

static void refuses_its_founder_with_an_empty_disk(void **state)
{
    (void)state;
    struct node_world *w = node_world_new(3, 1);
    node_world_set_filter(w, drop_to_third, NULL);
    node_world_start_all(w);
    for (int i = 0; i < 3000 && !node_world_node(w, 1)->formed; i++) {
        node_world_advance(w, 1);
    }
    assert_true(node_world_node(w, 1)->formed);
    assert_false(node_world_node(w, 2)->formed);
    node_world_kill(w, 0);
    node_world_wipe(w, 0);
    node_world_set_filter(w, NULL, NULL);
    assert_int_equal(node_world_start(w, 0), SG_OK);
    assert_is_refused(w, 0, 3000);
    assert_true(node_world_node(w, 2)->formed);
    assert_int_not_equal(node_world_leader(w, 0, 3000), 3);
    node_world_free(w);
}

static void adopts_the_table_after_a_crash_between(void **state)
{
    (void)state;
    /* The moment at which the founder has written it and nobody knows. */
    for (size_t killed = 0; killed < 3; killed++) {
        struct node_world *w = node_world_new(3, 1);
        node_world_start_all(w);
        while (!node_world_node(w, 0)->formed) {
            node_world_advance(w, 1);
        }
        assert_false(node_world_node(w, 1)->formed);
        assert_false(node_world_node(w, 2)->formed);
        node_world_kill(w, killed);
        node_world_advance(w, 1000);
        assert_int_equal(node_world_start(w, killed), SG_OK);
        assert_true(node_world_formed(w, 4000));
        node_world_free(w);
    }
}

/* Before the cluster was formed a disk may still be exchanged. */
static void forgets_who_went_away_while_forming(void **state)
{
    (void)state;
    struct node_world *w = node_world_new(3, 1);
    assert_int_equal(node_world_start(w, 0), SG_OK);
    assert_int_equal(node_world_start(w, 1), SG_OK);
    node_world_advance(w, 1000);
    node_world_kill(w, 1);
    node_world_wipe(w, 1);
    assert_int_equal(node_world_start(w, 2), SG_OK);
    node_world_advance(w, 1000);
    assert_int_equal(node_state(node_world_node(w, 0)), NODE_FORMING);
    assert_int_equal(node_world_start(w, 1), SG_OK);
    assert_true(node_world_formed(w, 3000));
    node_world_free(w);
}

static void refuses_a_foreign_directory(void **state)
{
    (void)state;
    struct node_world *w = serving(2);
    node_world_kill(w, 0);
    node_world_kill(w, 1);
    node_world_swap(w, 0, 1);
    assert_int_equal(node_world_start(w, 0), SG_REFUSED);
    assert_non_null(strstr(node_world_why(w), "was made for test/n2/2"));
    node_world_swap(w, 0, 1);
    mem_kv_wipe(node_world_disk(w, 0, 1));
    assert_int_equal(node_world_start(w, 0), SG_REFUSED);
    assert_non_null(strstr(node_world_why(w), "store of lane 1 is empty"));
    mem_kv_wipe(node_world_disk(w, 1, 0));
    assert_int_equal(node_world_start(w, 1), SG_REFUSED);
    assert_non_null(strstr(node_world_why(w), "store of lane 0 is empty"));
    node_world_free(w);
}

/* --- Frames from anyone ---------------------------------------------------------------------- */

static void add_hello(struct bytes *frame, enum hello_state hello_state, const char *reason)
{
    struct message m = {.kind = MESSAGE_HELLO};
    m.hello.state = hello_state;
    m.hello.node_name = span_str("n2");
    m.hello.founders_digest = span_str("12345678901234567890123456789012");
    m.hello.reason = span_str(reason);
    frame_add(&m, frame);
}

static struct frame header(struct node_world *w, const char *cluster, uint64_t from, uint64_t to)
{
    return (struct frame){.version = FRAME_VERSION,
                          .cluster = span_str(cluster),
                          .from = from,
                          .to = to,
                          .identity = node_world_node(w, 1)->identity};
}

static void survives_frames_from_anyone(void **state)
{
    (void)state;
    struct node_world *w = serving(2);
    struct bytes frame = BYTES_NONE;
    struct message status = {.kind = MESSAGE_NODE_STATUS};
    struct message forward = {.kind = MESSAGE_FORWARD};
    struct message reply = {.kind = MESSAGE_FORWARD_REPLY};
    static const struct {
        const char *cluster;
        uint64_t from, to;
    } heads[] = {{"test", 2, 1}, {"other", 2, 1}, {"test", 1, 1}, {"test", 9, 1}, {"test", 2, 3}};
    status.node_status.version = span_str("\xff\xfe\n\"");
    forward.forward.request = span_str("\x01\x02rubbish");
    reply.forward_reply.request_id = 77;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        struct frame h = header(w, heads[i].cluster, heads[i].from, heads[i].to);
        bytes_clear(&frame);
        frame_begin(&h, &frame);
        frame_add(&status, &frame);
        frame_add(&forward, &frame);
        frame_add(&reply, &frame);
        add_hello(&frame, HELLO_FORMING, "");
        add_hello(&frame, HELLO_REFUSED, "\xff\xfe bytes");
        node_world_inject(w, 0, span_bytes(&frame));
        for (size_t cut = 0; cut < frame.n; cut += 3) {
            node_world_inject(w, 0, span_of(frame.p, cut));
        }
        node_world_advance(w, 5);
    }
    assert_int_equal(node_state(node_world_node(w, 0)), NODE_RUNNING);
    assert_ok(node_world_verb(w, 0, REQUEST_NODES_LIST, 0, NULL));
    assert_ok(submit(w, 0, "a", ABA_A));
    bytes_release(&frame);
    node_world_free(w);
}

/* Refused by a majority, in words that are no text. */
static void believes_a_majority(void **state)
{
    (void)state;
    struct node_world *w = formed(3, 1);
    for (uint64_t from = 2; from <= 3; from++) {
        struct bytes frame = BYTES_NONE;
        struct frame h = header(w, "test", from, 1);
        frame_begin(&h, &frame);
        add_hello(&frame, HELLO_REFUSED, "\xff\xfe data directory");
        node_world_inject(w, 0, span_bytes(&frame));
        bytes_release(&frame);
        assert_int_equal(node_state(node_world_node(w, 0)), NODE_RUNNING);
        node_world_advance(w, 1);
    }
    assert_int_equal(node_state(node_world_node(w, 0)), NODE_REFUSED);
    assert_string_equal(node_refusal(node_world_node(w, 0)), "?? data directory");
    assert_ok(node_world_verb(w, 0, REQUEST_PING, 0, NULL));
    assert_ok(node_world_verb(w, 0, REQUEST_STATUS, 0, NULL));
    node_world_free(w);
}

/* Two configurations that differ: nobody is knocked out, it can be mended. */
static void waits_while_configurations_differ(void **state)
{
    (void)state;
    struct node_world *w = node_world_new(3, 1);
    assert_int_equal(node_world_start(w, 0), SG_OK);
    assert_int_equal(node_world_start(w, 1), SG_OK);
    struct bytes frame = BYTES_NONE;
    struct frame h = header(w, "test", 3, 1);
    frame_begin(&h, &frame);
    add_hello(&frame, HELLO_FORMING, "");
    add_hello(&frame, HELLO_REFUSED, "its configuration names other founding members");
    node_world_inject(w, 0, span_bytes(&frame));
    bytes_release(&frame);
    node_world_advance(w, 500);
    assert_int_equal(node_state(node_world_node(w, 0)), NODE_FORMING);
    assert_int_equal(node_world_start(w, 2), SG_OK);
    assert_true(node_world_formed(w, 3000));
    node_world_free(w);
}

/* --- Requests on their way --------------------------------------------------------------------- */

static void finds_the_nearest_routing_number(void **state)
{
    (void)state;
    struct node_world *w = serving(1);
    for (size_t i = 0; i < 3; i++) {
        assert_refused(submit(w, i, "a", 231380105), SG_NOTFOUND, "did you mean 231380104?");
        assert_refused(submit(w, i, "a", 999999999), SG_NOTFOUND,
                       "no shard has the routing number 999999999:");
    }
    node_world_free(w);
}

static void parked_calls_go_on(void **state)
{
    (void)state;
    struct node_world *w = serving(1);
    size_t leader = node_world_leader(w, ABA_A, 1);
    size_t calls[40];
    char ids[40][8];
    for (size_t i = 0; i < 40; i++) {
        (void)snprintf(ids[i], sizeof ids[i], "p%zu", i);
        struct transfer t = node_world_transfer(ids[i], ABA_A);
        struct request r = {
            .kind = REQUEST_SUBMIT, .routing_number = {ABA_A}, .transfers = &t, .transfers_count = 1};
        if (i == 20) {
            node_world_kill(w, leader); /* With twenty on their way to it. */
        }
        calls[i] = node_world_send(w, (leader + 1 + i % 2) % 3, &r);
    }
    node_world_advance(w, 3000);
    for (size_t i = 0; i < 40; i++) {
        assert_int_equal(node_world_answers(w, calls[i]), 1);
        assert_ok(node_world_answer(w, calls[i]));
        assert_int_not_equal(node_world_answer(w, calls[i])->results[0].outcome, OUTCOME_REJECTED);
    }
    const struct reply *r = node_world_verb(w, (leader + 1) % 3, REQUEST_SHARDS_SHOW, ABA_A, NULL);
    assert_ok(r);
    assert_true(has(r->json, "\"accepted\":{\"entries\":40,"));
    node_world_free(w);
}

static void a_minority_says_so_in_time(void **state)
{
    (void)state;
    struct node_world *w = serving(1);
    node_world_cut(w, 0, 1, true);
    node_world_cut(w, 0, 2, true);
    node_world_advance(w, 3000);
    struct transfer t = node_world_transfer("m", ABA_A);
    struct request r = {.kind = REQUEST_SUBMIT,
                        .routing_number = {ABA_A},
                        .timeout_ms = 1000,
                        .transfers = &t,
                        .transfers_count = 1};
    const struct reply *reply = node_world_ask(w, 0, &r, 1200);
    assert_refused(reply, SG_UNAVAILABLE, "no leader that could be reached in time");
    r = (struct request){.kind = REQUEST_APPLY, .timeout_ms = 500};
    assert_refused(node_world_ask(w, 0, &r, 700), SG_UNAVAILABLE, "the catalog has no leader");
    assert_ok(node_world_verb(w, 0, REQUEST_STATUS, 0, NULL));
    node_world_free(w);
}

/* Its own copy of the shard is damaged: the others serve, through it as well. */
static void a_damaged_replica_passes_requests_on(void **state)
{
    (void)state;
    struct node_world *w = serving(1);
    size_t leader = node_world_leader(w, ABA_A, 1);
    assert_ok(submit(w, 0, "a", ABA_A));
    struct slot *s = node_world_slot(w, leader, ABA_A);
    for (size_t n = 0; s->why[0] == '\0' && n < 4000; n++) {
        /* All rows of all groups rot; what reads one stops. */
        if (!mem_kv_flip_bit_at(node_world_disk(w, leader, 0), KV_STATE, n, 3)) {
            break;
        }
    }
    assert_non_null(submit(w, leader, "b", ABA_A));
    node_world_advance(w, 3000);
    assert_string_not_equal(s->why, "");
    assert_int_equal(s->leader, 0);
    const struct reply *r = submit(w, leader, "c", ABA_A);
    assert_ok(r);
    assert_int_equal(r->results[0].outcome, OUTCOME_ACCEPTED);
    r = node_world_verb(w, leader, REQUEST_SHARDS_LIST, 0, (const char *const[]){"unhealthy", "true", NULL});
    assert_ok(r);
    assert_true(has(r->json, "stopped"));
    node_world_free(w);
}

static bool drop_one_reply(void *arg, size_t from, size_t to, struct span data)
{
    size_t *left = arg;
    struct arena a = ARENA_INIT;
    struct frame f;
    bool is_reply = false;
    assert_int_equal(frame_decode(data, &a, &f), SG_OK);
    for (size_t i = 0; i < f.messages_count; i++) {
        is_reply = is_reply || f.messages[i].kind == MESSAGE_FORWARD_REPLY;
    }
    arena_release(&a);
    (void)from;
    (void)to;
    if (is_reply && *left > 0) {
        --*left;
        return false;
    }
    return true;
}

/* The answer is lost with the connection: the repetition finds it done. */
static void repeats_what_may_be_repeated(void **state)
{
    (void)state;
    struct node_world *w = serving(1);
    size_t leader = node_world_leader(w, ABA_A, 1);
    size_t other = (leader + 1) % 3;
    static const struct {
        const char *window, *what;
        enum sg_err err;
    } rows[] = {
        {"ND", "a named window is closed once, and twice is no error", SG_OK},
        {"", "a cut-off without a name would be a second one", SG_UNKNOWN},
    };
    for (size_t i = 0; i < 2; i++) {
        size_t left = 1;
        struct request_arg arg = {span_str("window"), span_str(rows[i].window)};
        struct request r = {
            .kind = REQUEST_WINDOWS_CLOSE, .routing_number = {ABA_A}, .args = &arg, .args_count = 1};
        node_world_set_filter(w, drop_one_reply, &left);
        size_t call = node_world_send(w, other, &r);
        node_world_advance(w, 30);
        assert_int_equal(left, 0);
        assert_null(node_world_answer(w, call));
        node_world_cut(w, leader, other, true);
        node_world_advance(w, 1);
        node_world_cut(w, leader, other, false);
        node_world_advance(w, 2000);
        assert_int_equal(node_world_answers(w, call), 1);
        if (rows[i].err == SG_OK) {
            assert_ok(node_world_answer(w, call));
            assert_true(has(node_world_answer(w, call)->json, "\"outcome\":\"done\""));
        } else {
            assert_refused(node_world_answer(w, call), rows[i].err, "it may or may not have happened");
        }
        node_world_set_filter(w, NULL, NULL);
    }
    node_world_free(w);
}

static void says_busy_above_its_limits(void **state)
{
    (void)state;
    struct node_world *w = formed(3, 1);
    node_world_kill(w, 1);
    node_world_kill(w, 2);
    node_world_advance(w, 2000); /* No leader: everything waits. */
    struct request r = {.kind = REQUEST_SHARDS_SHOW, .routing_number = {ABA_A}, .timeout_ms = UINT32_MAX};
    size_t count = 2 * REQUESTS_INFLIGHT_MAX + 10;
    size_t first = node_world_send(w, 0, &r);
    for (size_t i = 1; i < count; i++) {
        (void)node_world_send(w, 0, &r);
    }
    assert_refused(node_world_answer(w, first + count - 1), SG_BUSY, "too many requests");
    assert_null(node_world_answer(w, first));
    /* Nobody waits for ever, whatever they ask for. */
    node_world_advance(w, REQUEST_TIMEOUT_MAX_MS + 100);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(node_world_answers(w, first + i), 1);
    }
    assert_int_equal(node_world_node(w, 0)->calls_count, 0);
    assert_int_equal(node_world_node(w, 0)->calls_bytes, 0);
    node_world_free(w);
}

static void leaving_hands_over(void **state)
{
    (void)state;
    for (size_t lanes = 1; lanes <= 2; lanes++) {
        struct node_world *w = serving(lanes);
        size_t leader = node_world_leader(w, ABA_A, 1);
        size_t other = (leader + 1) % 3;
        struct transfer t = node_world_transfer("l", ABA_A);
        struct request r = {
            .kind = REQUEST_SUBMIT, .routing_number = {ABA_A}, .transfers = &t, .transfers_count = 1};
        size_t here = node_world_send(w, leader, &r);
        assert_true(node_world_leave(w, leader, 1000));
        assert_int_equal(node_world_answers(w, here), 1);
        size_t next = node_world_leader(w, ABA_A, 300);
        assert_int_not_equal(next, 3);
        assert_int_not_equal(next, leader);
        assert_ok(submit(w, other, "after", ABA_A));
        node_world_free(w);
    }
}

/* Whatever is under way when the node leaves is answered, once. */
static void leaving_answers_every_call(void **state)
{
    (void)state;
    struct node_world *w = serving(2);
    node_world_cut(w, 0, 1, true);
    node_world_cut(w, 0, 2, true);
    node_world_advance(w, 2000);
    size_t calls[8];
    static const enum request_kind kinds[] = {REQUEST_SHARDS_SHOW,   REQUEST_APPLY,           REQUEST_STATUS,
                                              REQUEST_FILES_VERIFY,  REQUEST_LEADER_TRANSFER, REQUEST_EVENTS,
                                              REQUEST_WINDOWS_CLOSE, REQUEST_LEADER_SHOW};
    for (size_t i = 0; i < 8; i++) {
        struct request r = {.kind = kinds[i], .routing_number = {i % 2 == 0 ? ABA_A : ABA_B}};
        calls[i] = node_world_send(w, 0, &r);
    }
    assert_true(node_world_leave(w, 0, 6000));
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(node_world_answers(w, calls[i]), 1);
    }
    node_world_free(w);
}

static void leadership_moves_when_asked(void **state)
{
    (void)state;
    struct node_world *w = serving(2);
    for (size_t i = 0; i < 3; i++) {
        char to[4];
        (void)snprintf(to, sizeof to, "n%zu", i + 1);
        const struct reply *r =
            node_world_verb(w, 0, REQUEST_LEADER_TRANSFER, ABA_B, (const char *const[]){"to", to, NULL});
        assert_ok(r);
        assert_true(has(r->json, "TRANSFERRED") || has(r->json, "ALREADY_LEADER"));
        assert_int_equal(node_world_leader(w, ABA_B, 100), i);
    }
    assert_refused(
        node_world_verb(w, 0, REQUEST_LEADER_TRANSFER, ABA_B, (const char *const[]){"to", "n9", NULL}),
        SG_NOTFOUND, "there is no node n9");
    node_world_free(w);
}

/* --- What a client may send ---------------------------------------------------------------------- */

static void answers_whatever_clients_send(void **state)
{
    (void)state;
    struct node_world *w = serving(1);
    char *large = malloc(2000000);
    memset(large, 'x', 1999999);
    large[1999999] = '\0';
    const char *const values[] = {
        "",     "\xff\xfe\x01", "0",  "-1", "18446744073709551615", "99999999999999999999999",
        "ND\n", "../../etc",    "n1", large};
    static const char *const names[] = {"id",   "file",  "window", "reason", "to",
                                        "from", "limit", "state",  "yaml"};
    for (enum request_kind kind = REQUEST_PING; kind < REQUEST_KINDS; kind++) {
        for (size_t v = 0; v < sizeof values / sizeof values[0]; v++) {
            struct request_arg args[12];
            struct request r = {.kind = kind, .routing_number = {ABA_A}, .args = args};
            for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
                bool one_large = values[v] == large && i != (size_t)kind % 9;
                args[r.args_count++] =
                    (struct request_arg){span_str(names[i]), span_str(one_large ? "1" : values[v])};
            }
            args[r.args_count++] = (struct request_arg){span_str("as"), span_str("uploaded")};
            args[r.args_count++] = (struct request_arg){span_str("reason"), span_str(values[v])};
            size_t call = node_world_send(w, kind % 3, &r);
            for (int ms = 0; ms < 11000 && node_world_answers(w, call) == 0; ms++) {
                node_world_advance(w, 1);
            }
            assert_int_equal(node_world_answers(w, call), 1);
        }
        /* One argument at a time reaches further. */
        for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
            struct request_arg args[3] = {{span_str(names[i]), span_str("\xff\xfe")},
                                          {span_str("reason"), span_str(large)},
                                          {span_str("as"), span_str("abandoned")}};
            struct request r = {.kind = kind, .routing_number = {ABA_A}, .args = args, .args_count = 3};
            assert_non_null(node_world_ask(w, kind % 3, &r, 11000));
        }
        struct request bare = {.kind = kind};
        assert_non_null(node_world_ask(w, kind % 3, &bare, 11000));
    }
    assert_ok(submit(w, 0, "still-here", ABA_A));
    /* What went into the log is shown without harm. */
    assert_ok(node_world_verb(w, 0, REQUEST_LOG_DUMP, ABA_A, NULL));
    assert_ok(node_world_verb(w, 0, REQUEST_EVENTS, ABA_A, NULL));
    assert_ok(node_world_verb(w, 0, REQUEST_WINDOWS_LIST, ABA_A, NULL));
    assert_ok(node_world_verb(w, 0, REQUEST_FILES_LIST, ABA_A, NULL));
    free(large);
    node_world_free(w);
}

struct damage {
    struct node_world *w;
    size_t node;
};

static void send_damaged(struct span data, void *arg)
{
    struct damage *d = arg;
    struct arena a = ARENA_INIT;
    struct request r;
    const char *why = NULL;
    /* Those that are still requests have been sent above. */
    if (request_decode(data, &a, &r, &why) != SG_OK) {
        size_t call = node_world_send_raw(d->w, d->node, data);
        assert_int_equal(node_world_answers(d->w, call), 1);
        assert_int_not_equal(node_world_answer(d->w, call)->err, SG_OK);
    }
    arena_release(&a);
}

static void answers_damaged_requests(void **state)
{
    (void)state;
    struct node_world *w = serving(1);
    struct damage d = {w, 0};
    struct transfer t = node_world_transfer("x", ABA_A);
    struct request r = {
        .kind = REQUEST_SUBMIT, .routing_number = {ABA_A}, .transfers = &t, .transfers_count = 1};
    struct bytes encoded = BYTES_NONE;
    request_encode(&r, &encoded);
    test_mutate(span_bytes(&encoded), send_damaged, &d, 500, 42);
    bytes_release(&encoded);
    node_world_free(w);
}

/* --- The configuration ------------------------------------------------------------------------------ */

static struct bytes export_of(struct node_world *w, size_t node)
{
    struct bytes yaml = BYTES_NONE;
    const struct reply *r = node_world_verb(w, node, REQUEST_EXPORT, 0, NULL);
    assert_ok(r);
    bytes_append_span(&yaml, r->data);
    bytes_append(&yaml, "", 1);
    return yaml;
}

static void applies_what_it_exports_as_no_change(void **state)
{
    (void)state;
    struct node_world *w = serving(1);
    node_world_advance(w, 500);
    for (size_t i = 0; i < 3; i++) {
        struct bytes yaml = export_of(w, i);
        const struct reply *r = node_world_verb(w, i, REQUEST_APPLY, 0,
                                                (const char *const[]){"yaml", (const char *)yaml.p, NULL});
        assert_ok(r);
        assert_true(has(r->json, "\"applied\":false"));
        assert_true(has(r->json, "\"changes\":[]"));
        bytes_release(&yaml);
    }
    node_world_free(w);
}

static void a_refused_configuration_changes_nothing(void **state)
{
    (void)state;
    struct node_world *w = serving(1);
    struct bytes before = export_of(w, 0);
    static const struct {
        const char *yaml, *part;
    } rows[] = {
        {"endpoints:\n  x: {kind: directory, drop_dir: a, staging_dir: a}\n",
         "staging_dir must not be drop_dir"},
        {"endpoints: [", "test.yaml:2"},
        {"shards:\n  \"231380104\": {endpont: x}\n", "did you mean endpoint?"},
        {"calendars:\n  c: {}\nshards:\n  \"021000021\": {endpoint: nope, destination_name: B, origin: "
         "\"121042882\", origin_name: A, windows: {zone: UTC}}\n",
         "no endpoint nope"},
        {"shards:\n  \"021000021\": {endpoint: bank, destination_name: B, origin: \"121042882\", "
         "origin_name: A, "
         "windows: {zone: Nowhere/Atall}}\n",
         "is not a time zone"},
        {"shards:\n  \"021000021\": {endpoint: bank, destination_name: B, origin: \"121042882\", "
         "origin_name: A, "
         "windows: {zone: UTC}, odfi: \"23138010\"}\n",
         "both send for ODFI 23138010"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_refused(
            node_world_verb(w, 2, REQUEST_APPLY, 0,
                            (const char *const[]){"yaml", rows[i].yaml, "source", "test.yaml", NULL}),
            SG_INVALID, rows[i].part);
    }
    const struct reply *r = node_world_verb(
        w, 0, REQUEST_APPLY, 0,
        (const char *const[]){"yaml", "originators:\n  new: {company_name: N, company_id: \"1\"}\n",
                              "dry_run", "true", NULL});
    assert_ok(r);
    assert_true(has(r->json, "+ originator new"));
    node_world_advance(w, 500);
    struct bytes after = export_of(w, 0);
    assert_string_equal((char *)before.p, (char *)after.p);
    bytes_release(&before);
    bytes_release(&after);
    node_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_in_any_order),
        cmocka_unit_test(survives_restarts_in_any_order),
        cmocka_unit_test(takes_transfers_on_every_node),
        cmocka_unit_test(survives_its_restarts_over_two_lanes),
        cmocka_unit_test(elects_at_once_what_is_new),
        cmocka_unit_test(refuses_an_empty_disk),
        cmocka_unit_test(refuses_its_founder_with_an_empty_disk),
        cmocka_unit_test(adopts_the_table_after_a_crash_between),
        cmocka_unit_test(forgets_who_went_away_while_forming),
        cmocka_unit_test(refuses_a_foreign_directory),
        cmocka_unit_test(survives_frames_from_anyone),
        cmocka_unit_test(believes_a_majority),
        cmocka_unit_test(waits_while_configurations_differ),
        cmocka_unit_test(finds_the_nearest_routing_number),
        cmocka_unit_test(parked_calls_go_on),
        cmocka_unit_test(a_minority_says_so_in_time),
        cmocka_unit_test(a_damaged_replica_passes_requests_on),
        cmocka_unit_test(repeats_what_may_be_repeated),
        cmocka_unit_test(says_busy_above_its_limits),
        cmocka_unit_test(leaving_hands_over),
        cmocka_unit_test(leaving_answers_every_call),
        cmocka_unit_test(leadership_moves_when_asked),
        cmocka_unit_test(answers_whatever_clients_send),
        cmocka_unit_test(answers_damaged_requests),
        cmocka_unit_test(applies_what_it_exports_as_no_change),
        cmocka_unit_test(a_refused_configuration_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
