/* Requests that are passed on: counted, told apart, in their time, and what an
 * earlier try may have done is not denied by a later one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/node_check.h"

#define SEEN_MAX 256

/* What leaves a node to be carried out by another. */
struct watch {
    size_t from; /* Node. */
    bool drop;
    struct forwarded {
        size_t to;
        uint64_t request_id;
        uint32_t hops, timeout_ms;
    } seen[SEEN_MAX];
    size_t count;
};

static bool watch_forwards(void *arg, size_t from, size_t to, struct span data)
{
    struct watch *w = arg;
    struct arena a = ARENA_INIT;
    struct frame f;
    bool passes = true;
    assert_int_equal(frame_decode(data, &a, &f), SG_OK);
    for (size_t i = 0; i < f.messages_count; i++) {
        const struct message *m = &f.messages[i];
        if (m->kind == MESSAGE_FORWARD && from == w->from) {
            assert_true(w->count < SEEN_MAX);
            w->seen[w->count++] =
                (struct forwarded){to, m->forward.request_id, m->forward.hops, m->forward.timeout_ms};
            passes = !w->drop;
        }
    }
    arena_release(&a);
    return passes;
}

static void inject(struct node_world *w, size_t from, size_t to, const struct message *m)
{
    struct frame h = {.version = FRAME_VERSION,
                      .cluster = span_str("test"),
                      .from = from + 1,
                      .to = to + 1,
                      .identity = node_world_node(w, from)->identity,
                      .proof = span_of(node_world_node(w, to)->members[from].ours.b, PROOF_SIZE)};
    struct bytes frame = BYTES_NONE;
    frame_begin(&h, &frame);
    frame_add(m, &frame);
    node_world_inject(w, to, span_bytes(&frame));
    bytes_release(&frame);
}

/* --- Counted and told apart ------------------------------------------------------------ */

#define MANY 40

static void each_answer_is_about_its_own_request(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(2);
    size_t leader = node_world_leader(w, ABA_A, 1);
    struct watch watch = {.from = (leader + 1) % 3};
    static char ids[MANY][2][16];
    size_t calls[MANY];
    uint64_t first[MANY] = {0}; /* Where the first of the request was accepted before. */
    for (size_t i = 0; i < MANY; i++) {
        for (size_t k = 0; k < 2; k++) {
            (void)snprintf(ids[i][k], sizeof ids[i][k], "r%zu-%zu", i, k);
        }
        if (i % 5 == 1) {
            const struct reply *r = node_check_submit(w, leader, ids[i][0], i % 4 == 3 ? ABA_B : ABA_A);
            node_check_ok(r);
            first[i] = r->results[0].index;
        }
    }
    node_world_set_filter(w, watch_forwards, &watch);
    /* All in one turn, through another node and at the leader itself. */
    for (size_t i = 0; i < MANY; i++) {
        struct transfer t[2];
        for (size_t k = 0; k < 2; k++) {
            t[k] = node_world_transfer(ids[i][k], i % 4 == 3 ? ABA_B : ABA_A);
        }
        t[1].originator = span_str(i % 3 == 0 ? "nobody" : "acme"); /* Some are rejected among the others. */
        struct request r = {.kind = REQUEST_SUBMIT,
                            .routing_number = {i % 4 == 3 ? ABA_B : ABA_A},
                            .timeout_ms = 5000,
                            .transfers = t,
                            .transfers_count = 2};
        calls[i] = node_world_send(w, i % 2 == 0 ? watch.from : leader, &r);
    }
    node_world_advance(w, 3000);
    for (size_t i = 0; i < MANY; i++) {
        const struct reply *r = node_world_answer(w, calls[i]);
        node_check_ok(r);
        assert_int_equal(node_world_answers(w, calls[i]), 1);
        assert_int_equal(r->results_count, 2);
        for (size_t k = 0; k < 2; k++) {
            bool is_bad = k == 1 && i % 3 == 0;
            bool is_again = k == 0 && first[i] != 0;
            assert_true(span_is(r->results[k].id, ids[i][k]));
            assert_string_equal(outcome_name(r->results[k].outcome), is_bad     ? "rejected"
                                                                     : is_again ? "folded"
                                                                                : "accepted");
            assert_true(is_again ? r->results[k].index == first[i]
                                 : is_bad || r->results[k].index > first[1]);
        }
    }
    assert_true(watch.count >= MANY / 4);
    for (size_t i = 0; i < watch.count; i++) {
        assert_int_equal(watch.seen[i].hops, 1);
        assert_in_range(watch.seen[i].timeout_ms, 1, 5000 - 50); /* What is left, less a headstart. */
        for (size_t k = 0; k < i; k++) {
            assert_int_not_equal(watch.seen[i].request_id, watch.seen[k].request_id);
        }
    }
    node_world_free(w);
}

static void hops_are_counted_to_their_end(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
    size_t leader = node_world_leader(w, ABA_A, 1);
    struct watch watch = {.from = (leader + 1) % 3};
    struct request r = {.kind = REQUEST_SHARDS_SHOW, .routing_number = {ABA_A}, .timeout_ms = 3000};
    struct bytes request = BYTES_NONE;
    request_encode(&r, &request);
    node_world_set_filter(w, watch_forwards, &watch);
    for (uint32_t hops = 1; hops <= FORWARD_HOPS_MAX; hops++) {
        struct message m = {.kind = MESSAGE_FORWARD, .group = ABA_A};
        m.forward.request_id = 100 + hops;
        m.forward.hops = hops;
        m.forward.request = span_bytes(&request);
        m.forward.timeout_ms = 700;
        watch.count = 0;
        inject(w, leader, watch.from, &m);
        node_world_advance(w, 5);
        assert_int_equal(watch.count, hops < FORWARD_HOPS_MAX);
        if (watch.count > 0) {
            assert_int_equal(watch.seen[0].hops, hops + 1);
            assert_in_range(watch.seen[0].timeout_ms, 500, 699); /* And not the 3 s of the request. */
        }
    }
    bytes_release(&request);
    node_world_free(w);
}

/* --- What an earlier try may have done --------------------------------------------------- */

static void answer(struct node_world *w, size_t from, size_t to, uint64_t request_id, enum sg_err err)
{
    struct message m = {.kind = MESSAGE_FORWARD_REPLY};
    struct reply r = {.err = err, .text = span_str("nothing was done")};
    struct bytes encoded = BYTES_NONE;
    reply_encode(&r, &encoded);
    m.forward_reply.request_id = request_id;
    m.forward_reply.reply = span_bytes(&encoded);
    inject(w, from, to, &m);
    bytes_release(&encoded);
}

/* The first try got lost; what the second one is refused says nothing about it. */
static void a_later_refusal_does_not_deny_an_earlier_try(void **state)
{
    static const struct {
        const char *reason;
        enum request_kind kind;
        enum sg_err err;
    } rows[] = {
        {"a submission, and too much waits", REQUEST_SUBMIT, SG_BUSY},
        {"a submission, and the disk is full", REQUEST_SUBMIT, SG_REFUSED},
        {"a cancellation, and too much waits", REQUEST_CANCEL, SG_BUSY},
        {"a resolve, and too much waits", REQUEST_FILES_RESOLVE, SG_BUSY},
        {"a submission, and nobody leads", REQUEST_SUBMIT, SG_UNAVAILABLE},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct node_world *w = node_check_serving(1);
        size_t leader = node_world_leader(w, ABA_A, 1);
        struct watch watch = {.from = (leader + 1) % 3, .drop = true};
        struct transfer t = node_world_transfer("a", ABA_A);
        struct request_arg args[] = {{span_str("id"), span_str("a")}};
        struct request r = {.kind = rows[i].kind, .routing_number = {ABA_A}, .timeout_ms = 900};
        print_message("%s\n", rows[i].reason);
        if (rows[i].kind == REQUEST_SUBMIT) {
            r.transfers = &t;
            r.transfers_count = 1;
        } else {
            r.args = args;
            r.args_count = 1;
        }
        node_world_set_filter(w, watch_forwards, &watch);
        size_t call = node_world_send(w, watch.from, &r);
        node_world_advance(w, 5);
        assert_int_equal(watch.count, 1);
        node_world_cut(w, watch.from, leader, true); /* Unknown. */
        node_world_advance(w, 5);
        node_world_cut(w, watch.from, leader, false);
        for (size_t ms = 0; ms < 600 && watch.count == 1; ms++) {
            node_world_advance(w, 1);
        }
        assert_true(watch.count >= 2);
        const struct forwarded *second = &watch.seen[watch.count - 1];
        answer(w, second->to, watch.from, second->request_id, rows[i].err);
        node_world_advance(w, 1200);
        const struct reply *last = node_world_answer(w, call);
        assert_non_null(last);
        assert_string_equal(sg_err_name(last->err), sg_err_name(SG_UNKNOWN));
        assert_false(node_check_has(last->text, "nothing was done"));
        node_world_free(w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_answer_is_about_its_own_request),
        cmocka_unit_test(hops_are_counted_to_their_end),
        cmocka_unit_test(a_later_refusal_does_not_deny_an_earlier_try),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
