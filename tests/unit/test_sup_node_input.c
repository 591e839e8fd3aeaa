/* Whole nodes and what anyone may send them: frames and requests, damaged and false ones. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/node_check.h"
#include "tests/support/test_mutate.h"

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

/* What node 1 asked this one to show: as a founder, not a stranger, would know it. */
static struct span proof_of(struct node_world *w, uint64_t from)
{
    return from >= 1 && from <= 3 ? span_of(node_world_node(w, 0)->members[from - 1].ours.b, PROOF_SIZE)
                                  : SPAN_NONE;
}

static struct frame header(struct node_world *w, const char *cluster, uint64_t from, uint64_t to)
{
    return (struct frame){.version = FRAME_VERSION,
                          .cluster = span_str(cluster),
                          .from = from,
                          .to = to,
                          .identity = node_world_node(w, 1)->identity,
                          .proof = proof_of(w, from)};
}

static void survives_frames_from_anyone(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(2);
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
    node_check_ok(node_world_verb(w, 0, REQUEST_NODES_LIST, 0, NULL));
    node_check_ok(node_check_submit(w, 0, "a", ABA_A));
    bytes_release(&frame);
    node_world_free(w);
}

/* Lane 1 stands still, and frames for it go on coming: they are limited, and it
 * goes on with what was kept. */
static void limits_what_a_lane_has_not_looked_at(void **state)
{
    enum { DATA_BYTES = SNAPSHOT_CHUNK_BYTES, MESSAGES = 8, FRAMES = 40 };
    (void)state;
    struct node_world *w = node_check_serving(2);
    struct node *n = node_world_node(w, 0);
    struct frame h = header(w, "test", 2, 1);
    struct message m = {.kind = MESSAGE_SNAPSHOT_CHUNK, .group = 1};
    struct bytes data = BYTES_NONE;
    struct bytes frame = BYTES_NONE;

    while (node_lane_number(m.group, 2) != 1) {
        m.group++; /* None of its groups: nobody answers. */
    }
    memset(bytes_extend(&data, DATA_BYTES), 'x', DATA_BYTES);
    m.snapshot_chunk.total_size = DATA_BYTES;
    m.snapshot_chunk.data = span_bytes(&data);
    frame_begin(&h, &frame);
    for (size_t i = 0; i < MESSAGES; i++) {
        frame_add(&m, &frame);
    }
    for (size_t i = 0; i < FRAMES; i++) {
        struct bytes copy = BYTES_NONE;
        bytes_set(&copy, span_bytes(&frame));
        node_frame(n, &copy);
    }
    assert_true(n->shared_bytes <= LANE_FRAMES_MAX_BYTES);
    assert_true(n->shared_bytes > LANE_FRAMES_MAX_BYTES - 2 * MESSAGES * DATA_BYTES);
    node_world_advance(w, 5);
    assert_int_equal(n->shared_bytes, 0);
    node_check_ok(node_check_submit(w, 0, "a", ABA_A));
    bytes_release(&frame);
    bytes_release(&data);
    node_world_free(w);
}

struct answered {
    uint64_t request_id; /* Of the forward that is watched for. */
    enum sg_err err;
    bool seen;
};

static bool watch_answers(void *arg, size_t from, size_t to, struct span data)
{
    struct answered *w = arg;
    struct arena a = ARENA_INIT;
    struct frame f;
    (void)from;
    (void)to;
    assert_int_equal(frame_decode(data, &a, &f), SG_OK);
    for (size_t i = 0; i < f.messages_count; i++) {
        const struct message *m = &f.messages[i];
        struct reply r;
        if (m->kind == MESSAGE_FORWARD_REPLY && m->forward_reply.request_id == w->request_id) {
            assert_false(w->seen); /* Once. */
            assert_int_equal(reply_decode(m->forward_reply.reply, &a, &r), SG_OK);
            w->seen = true;
            w->err = r.err;
        }
    }
    arena_release(&a);
    return true;
}

/* A request that finds no leader must not go in circles. */
static void forwards_only_so_often(void **state)
{
    static const struct {
        uint32_t hops;
        enum sg_err err;
    } rows[] = {{1, SG_OK},
                {FORWARD_HOPS_MAX - 1, SG_OK},
                {FORWARD_HOPS_MAX, SG_NOTLEADER},
                {FORWARD_HOPS_MAX + 1, SG_NOTLEADER},
                {UINT32_MAX, SG_NOTLEADER}};
    (void)state;
    struct node_world *w = node_check_serving(1);
    while (node_world_leader(w, ABA_A, 1) == 0) { /* The request comes in at a node that does not lead. */
        node_check_ok(node_world_verb(w, 0, REQUEST_LEADER_TRANSFER, ABA_A, NULL));
        node_world_advance(w, 100);
    }
    struct request show = {.kind = REQUEST_SHARDS_SHOW, .routing_number = {ABA_A}};
    struct bytes request = BYTES_NONE;
    request_encode(&show, &request);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct answered answered = {.request_id = 7000 + i};
        struct message m = {.kind = MESSAGE_FORWARD};
        struct bytes frame = BYTES_NONE;
        struct frame h = header(w, "test", 2, 1);
        m.forward.request_id = answered.request_id;
        m.forward.hops = rows[i].hops;
        m.forward.request = span_bytes(&request);
        frame_begin(&h, &frame);
        frame_add(&m, &frame);
        node_world_set_filter(w, watch_answers, &answered);
        node_world_inject(w, 0, span_bytes(&frame));
        node_world_advance(w, 200);
        assert_true(answered.seen);
        assert_string_equal(sg_err_name(answered.err), sg_err_name(rows[i].err));
        node_world_set_filter(w, NULL, NULL);
        bytes_release(&frame);
    }
    bytes_release(&request);
    node_world_free(w);
}

static void inject_refusal(struct node_world *w, uint64_t from, const struct identity *identity,
                           struct span proof)
{
    struct bytes frame = BYTES_NONE;
    struct frame h = header(w, "test", from, 1);
    h.identity = *identity;
    h.proof = proof;
    frame_begin(&h, &frame);
    add_hello(&frame, HELLO_REFUSED, "\xff\xfe data directory");
    node_world_inject(w, 0, span_bytes(&frame));
    bytes_release(&frame);
}

/* Refused by a majority, in words that are no text; and for as long as they say so. */
static void believes_a_majority(void **state)
{
    (void)state;
    struct node_world *w = node_check_formed(3, 1);
    for (uint64_t from = 2; from <= 3; from++) {
        assert_int_equal(node_state(node_world_node(w, 0)), NODE_RUNNING);
        inject_refusal(w, from, &node_world_node(w, from - 1)->identity, proof_of(w, from));
        node_world_advance(w, 1);
    }
    assert_int_equal(node_state(node_world_node(w, 0)), NODE_REFUSED);
    assert_string_equal(node_refusal(node_world_node(w, 0)), "?? data directory");
    node_check_ok(node_world_verb(w, 0, REQUEST_PING, 0, NULL));
    node_check_ok(node_world_verb(w, 0, REQUEST_STATUS, 0, NULL));
    node_world_advance(w, 7000); /* They say so no more. */
    assert_int_equal(node_state(node_world_node(w, 0)), NODE_RUNNING);
    assert_string_equal(node_refusal(node_world_node(w, 0)), "");
    node_check_ok(node_world_apply(w, 0, SHARDS_AB));
    node_world_free(w);
}

struct watch {
    bool refused; /* Somebody sent a refusal. */
};

static bool watch_refusals(void *arg, size_t from, size_t to, struct span data)
{
    struct watch *w = arg;
    struct arena a = ARENA_INIT;
    struct frame f;
    (void)from;
    (void)to;
    assert_int_equal(frame_decode(data, &a, &f), SG_OK);
    for (size_t i = 0; i < f.messages_count; i++) {
        w->refused =
            w->refused || (f.messages[i].kind == MESSAGE_HELLO && f.messages[i].hello.state == HELLO_REFUSED);
    }
    arena_release(&a);
    return true;
}

/* A stranger who knows all identities, and can't hear what is said at a founder's
 * address: what it sends is not believed, and not answered with a word against the
 * founder whose name it bears. */
static void believes_no_stranger(void **state)
{
    (void)state;
    static const uint8_t guess[PROOF_SIZE] = {0};
    struct node_world *w = node_check_serving(2);
    struct node *n = node_world_node(w, 0);
    struct identity foreign = {{0}};
    struct watch watch = {.refused = false};
    const struct span proofs[] = {SPAN_NONE, span_of(guess, sizeof guess)};

    node_world_set_filter(w, watch_refusals, &watch);
    for (unsigned round = 0; round < 200; round++) {
        for (uint64_t from = 2; from <= 3; from++) {
            struct message m = {.kind = MESSAGE_REQUEST_VOTE, .group = round % 2 == 0 ? 0 : ABA_A};
            struct frame h = header(w, "test", from, 1);
            struct bytes frame = BYTES_NONE;
            struct message leaving = {.kind = MESSAGE_NODE_STATUS};
            struct bytes hello = BYTES_NONE;
            h.identity = node_world_node(w, from - 1)->identity;
            h.proof = proofs[round % 2];
            m.request_vote = (struct message_request_vote){
                .version = 2, .term = UINT64_MAX - 1, .candidate_id = from, .disrupt_leader = true};
            leaving.node_status.leaving = true;
            frame_begin(&h, &frame);
            frame_add(&m, &frame);
            frame_add(&leaving, &frame);
            node_world_inject(w, 0, span_bytes(&frame));
            bytes_release(&frame);
            inject_refusal(w, from, &h.identity, h.proof);
            inject_refusal(w, from, &foreign, h.proof);
            frame_begin(&h, &hello);
            add_hello(&hello, round % 3 == 0 ? HELLO_FORMING : HELLO_FORMED, "");
            node_world_inject(w, 0, span_bytes(&hello));
            bytes_release(&hello);
        }
        node_world_advance(w, 10);
        assert_int_equal(node_state(n), NODE_RUNNING);
        assert_false(watch.refused);
        assert_false(n->members[1].status.leaving || n->members[2].status.leaving);
    }
    node_world_set_filter(w, NULL, NULL);
    assert_int_equal(lane_slot(node_lane_of(n, ABA_A), ABA_A)->term, 2); /* As when it began. */
    node_check_ok(node_check_submit(w, 0, "a", ABA_A));
    node_world_free(w);
}

/* Of n1, n2 and n3, as forming.c makes it. */
static struct digest founders_digest(void)
{
    struct digester d;
    digester_init(&d);
    for (unsigned i = 1; i <= 3; i++) {
        const uint8_t name[] = {0, 0, 0, 2, 'n', (uint8_t)('0' + i)};
        digester_add(&d, span_of(name, sizeof name));
    }
    return digester_end(&d);
}

/* Before n3 ever ran, a stranger says it is n3: nobody founds a cluster with it, and the
 * real one is let in. */
static void founds_with_nobody_else(void **state)
{
    (void)state;
    struct node_world *w = node_world_new(3, 1);
    assert_int_equal(node_world_start(w, 0), SG_OK);
    assert_int_equal(node_world_start(w, 1), SG_OK);
    node_world_advance(w, 50);
    struct node *n = node_world_node(w, 0);
    struct digest founders = founders_digest();
    for (unsigned i = 0; i < 300; i++) {
        struct frame h = header(w, "test", 3, 1);
        struct message m = {.kind = MESSAGE_HELLO};
        struct bytes frame = BYTES_NONE;
        uint8_t ask[PROOF_SIZE] = {(uint8_t)i};
        h.identity = (struct identity){{7}};
        h.proof = SPAN_NONE;
        m.hello.state = HELLO_FORMING;
        m.hello.reply_wanted = true;
        m.hello.node_name = span_str("n3");
        m.hello.founders_digest = span_of(founders.b, sizeof founders.b);
        m.hello.ask = span_of(ask, sizeof ask);
        m.hello.answer = span_of(ask, sizeof ask);
        frame_begin(&h, &frame);
        frame_add(&m, &frame);
        node_world_inject(w, 0, span_bytes(&frame));
        bytes_release(&frame);
        node_world_advance(w, 10);
        assert_false(n->formed);
        assert_false(n->members[2].has_identity);
    }
    assert_int_equal(node_world_start(w, 2), SG_OK);
    assert_true(node_world_formed(w, 3000));
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

/* --- What a client may send ---------------------------------------------------------------------- */

static void answers_whatever_clients_send(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
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
    node_check_ok(node_check_submit(w, 0, "still-here", ABA_A));
    /* What went into the log is shown without harm. */
    node_check_ok(node_world_verb(w, 0, REQUEST_LOG_DUMP, ABA_A, NULL));
    node_check_ok(node_world_verb(w, 0, REQUEST_EVENTS, ABA_A, NULL));
    node_check_ok(node_world_verb(w, 0, REQUEST_WINDOWS_LIST, ABA_A, NULL));
    node_check_ok(node_world_verb(w, 0, REQUEST_FILES_LIST, ABA_A, NULL));
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
    struct node_world *w = node_check_serving(1);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(survives_frames_from_anyone),
        cmocka_unit_test(believes_a_majority),
        cmocka_unit_test(believes_no_stranger),
        cmocka_unit_test(founds_with_nobody_else),
        cmocka_unit_test(waits_while_configurations_differ),
        cmocka_unit_test(answers_whatever_clients_send),
        cmocka_unit_test(answers_damaged_requests),
        cmocka_unit_test(limits_what_a_lane_has_not_looked_at),
        cmocka_unit_test(forwards_only_so_often),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
