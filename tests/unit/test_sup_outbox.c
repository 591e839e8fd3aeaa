/* The outbox: one frame a turn for each node, whole and in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "proto/base/mem.h"
#include "supervisor/node/outbox.h"
#include "tests/support/test_loop.h"

enum { FRAMES_MAX = 64 };

/* A link that keeps what it is given. */
struct keeper {
    struct {
        uint64_t node;
        struct bytes frame;
    } sent[FRAMES_MAX];
    size_t sent_count;
    size_t pending_bytes;
};

static void keeper_send(void *impl, uint64_t node, struct bytes *frame)
{
    struct keeper *k = impl;
    CHECK(k->sent_count < FRAMES_MAX);
    k->sent[k->sent_count].node = node;
    k->sent[k->sent_count++].frame = *frame;
    *frame = BYTES_NONE;
}

static size_t keeper_pending(void *impl, uint64_t node)
{
    (void)node;
    return ((struct keeper *)impl)->pending_bytes;
}

static const struct link_ops keeper_ops = {keeper_send, keeper_pending};

struct fixture {
    struct test_loop *loop;
    struct keeper keeper;
    struct link link;
    struct outbox *outbox;
    struct transport transport;
    struct arena arena;
};

static const struct identity own_identity = {{1, 2, 3, 4}};

static void setup(struct fixture *f)
{
    memset(f, 0, sizeof(*f));
    f->loop = test_loop_new(1);
    f->link = (struct link){&keeper_ops, &f->keeper};
    const struct outbox_options options = {
        .loop = test_loop_seam(f->loop),
        .link = &f->link,
        .cluster = span_str("demo"),
        .self = 7,
        .identity = own_identity,
    };
    f->outbox = outbox_new(&options);
    f->transport = outbox_transport(f->outbox);
}

static void teardown(struct fixture *f)
{
    for (size_t i = 0; i < f->keeper.sent_count; i++) {
        bytes_release(&f->keeper.sent[i].frame);
    }
    outbox_free(f->outbox);
    assert_int_equal(test_loop_armed(f->loop), 0);
    arena_release(&f->arena);
    test_loop_free(f->loop);
}

static void send_vote(struct fixture *f, uint64_t node, uint64_t group, uint64_t term)
{
    const struct message m = {
        .kind = MESSAGE_REQUEST_VOTE,
        .group = group,
        .request_vote = {.version = 1, .term = term, .candidate_id = 7},
    };
    transport_send(&f->transport, node, &m);
}

static void send_reply(struct fixture *f, uint64_t node, uint64_t id, size_t size)
{
    uint8_t *data = mem_zalloc(1, size);
    const struct message m = {
        .kind = MESSAGE_FORWARD_REPLY,
        .forward_reply = {.request_id = id, .reply = span_of(data, size)},
    };
    transport_send(&f->transport, node, &m);
    mem_free(data); /* Borrowed for the call only: later reads are found by ASan. */
}

static struct frame decode(struct fixture *f, size_t i)
{
    struct frame frame;
    assert_true(i < f->keeper.sent_count);
    assert_int_equal(frame_decode(span_bytes(&f->keeper.sent[i].frame), &f->arena, &frame), SG_OK);
    assert_true(span_is(frame.cluster, "demo"));
    assert_int_equal(frame.from, 7);
    assert_int_equal(frame.to, f->keeper.sent[i].node);
    assert_memory_equal(&frame.identity, &own_identity, sizeof(own_identity));
    return frame;
}

static void test_a_turn_is_one_frame_for_each_node(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    send_vote(&f, 1, 100, 5);
    send_vote(&f, 2, 100, 5);
    send_vote(&f, 1, 200, 6);
    assert_int_equal(f.keeper.sent_count, 0);
    (void)test_loop_run(f.loop);
    assert_int_equal(f.keeper.sent_count, 2);
    struct frame to1 = decode(&f, 0);
    assert_int_equal(to1.to, 1);
    assert_int_equal(to1.messages_count, 2);
    assert_int_equal(to1.messages[0].group, 100);
    assert_int_equal(to1.messages[1].group, 200);
    assert_int_equal(to1.messages[1].request_vote.term, 6);
    struct frame to2 = decode(&f, 1);
    assert_int_equal(to2.to, 2);
    assert_int_equal(to2.messages_count, 1);

    send_vote(&f, 2, 300, 7); /* The next turn starts a frame of its own. */
    (void)test_loop_run(f.loop);
    assert_int_equal(f.keeper.sent_count, 3);
    assert_int_equal(decode(&f, 2).messages[0].group, 300);
    struct outbox_stats stats = outbox_stats(f.outbox);
    assert_int_equal(stats.messages, 4);
    assert_int_equal(stats.frames, 3);
    assert_int_equal(stats.dropped, 0);
    teardown(&f);
}

static void test_a_full_frame_leaves_at_once(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    send_reply(&f, 1, 1, FRAME_SIZE_SOFT_BYTES / 2);
    assert_int_equal(f.keeper.sent_count, 0);
    send_reply(&f, 1, 2, FRAME_SIZE_SOFT_BYTES / 2);
    assert_int_equal(f.keeper.sent_count, 1);
    send_reply(&f, 1, 3, 10);
    (void)test_loop_run(f.loop);
    assert_int_equal(f.keeper.sent_count, 2);
    assert_int_equal(decode(&f, 0).messages_count, 2);
    assert_int_equal(decode(&f, 1).messages[0].forward_reply.request_id, 3);
    teardown(&f);
}

/* 2 MiB may have gathered and a reply may have 6: together with their heads over the limit. */
static void test_the_largest_reply_fits_behind_what_has_gathered(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    send_reply(&f, 1, 1, FRAME_SIZE_SOFT_BYTES - 200);
    send_reply(&f, 1, 2, REPLY_SIZE_MAX_BYTES);
    (void)test_loop_run(f.loop);
    assert_int_equal(f.keeper.sent_count, 2);
    assert_int_equal(decode(&f, 0).messages[0].forward_reply.request_id, 1);
    struct frame second = decode(&f, 1);
    assert_int_equal(second.messages[0].forward_reply.request_id, 2);
    assert_int_equal(second.messages[0].forward_reply.reply.n, REPLY_SIZE_MAX_BYTES);
    teardown(&f);
}

static void test_a_node_that_takes_nothing_gets_nothing_more(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    f.keeper.pending_bytes = PEER_QUEUE_MAX_BYTES;
    send_vote(&f, 1, 100, 5);
    (void)test_loop_run(f.loop);
    assert_int_equal(f.keeper.sent_count, 0);
    assert_int_equal(outbox_stats(f.outbox).dropped, 1);
    f.keeper.pending_bytes = PEER_QUEUE_MAX_BYTES - 1;
    send_vote(&f, 1, 100, 6);
    (void)test_loop_run(f.loop);
    assert_int_equal(f.keeper.sent_count, 1);
    assert_int_equal(decode(&f, 0).messages[0].request_vote.term, 6);
    teardown(&f);
}

static void test_more_nodes_than_there_can_be_are_dropped(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    for (uint64_t node = 1; node <= NODES_MAX + 2; node++) {
        send_vote(&f, node, 100, node);
    }
    (void)test_loop_run(f.loop);
    assert_int_equal(f.keeper.sent_count, NODES_MAX);
    assert_int_equal(outbox_stats(f.outbox).dropped, 2);
    teardown(&f);
}

static void test_flush_does_not_wait_and_free_drops(void **state)
{
    (void)state;
    struct fixture f;
    setup(&f);
    send_vote(&f, 1, 100, 5);
    outbox_flush(f.outbox);
    assert_int_equal(f.keeper.sent_count, 1);
    (void)test_loop_run(f.loop);
    assert_int_equal(f.keeper.sent_count, 1); /* An empty frame never leaves. */
    send_vote(&f, 1, 100, 6);
    teardown(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_turn_is_one_frame_for_each_node),
        cmocka_unit_test(test_a_full_frame_leaves_at_once),
        cmocka_unit_test(test_the_largest_reply_fits_behind_what_has_gathered),
        cmocka_unit_test(test_a_node_that_takes_nothing_gets_nothing_more),
        cmocka_unit_test(test_more_nodes_than_there_can_be_are_dropped),
        cmocka_unit_test(test_flush_does_not_wait_and_free_drops),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
