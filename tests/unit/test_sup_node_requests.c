/* Whole nodes: requests on their way, leaving, the configuration. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/node_check.h"

/* --- Requests on their way --------------------------------------------------------------------- */

static void finds_the_nearest_routing_number(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
    for (size_t i = 0; i < 3; i++) {
        node_check_refused(node_check_submit(w, i, "a", 231380105), SG_NOTFOUND, "did you mean 231380104?");
        node_check_refused(node_check_submit(w, i, "a", 999999999), SG_NOTFOUND,
                           "no shard has the routing number 999999999:");
    }
    node_world_free(w);
}

/* The same id for two routing numbers: two payments, each folded and each cancelled
 * for itself. */
static void an_id_belongs_to_its_routing_number(void **state)
{
    (void)state;
    static const char *const args[] = {"id", "same", NULL};
    struct node_world *w = node_check_serving(1);
    const uint32_t abas[] = {ABA_A, ABA_B};
    for (size_t again = 0; again < 2; again++) {
        for (size_t i = 0; i < 2; i++) {
            const struct reply *r = node_check_submit(w, i, "same", abas[i]);
            node_check_ok(r);
            assert_int_equal(r->results[0].outcome, again == 0 ? OUTCOME_ACCEPTED : OUTCOME_FOLDED);
        }
    }
    node_check_ok(node_world_verb(w, 0, REQUEST_CANCEL, ABA_A, args));
    const struct reply *r = node_world_verb(w, 0, REQUEST_TRANSFERS_SHOW, ABA_A, args);
    node_check_ok(r);
    assert_true(node_check_has(r->json, "\"cancelled\""));
    r = node_world_verb(w, 0, REQUEST_TRANSFERS_SHOW, ABA_B, args);
    node_check_ok(r);
    assert_true(node_check_has(r->json, "\"pending\""));
    node_world_free(w);
}

static void parked_calls_go_on(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
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
        node_check_ok(node_world_answer(w, calls[i]));
        assert_int_not_equal(node_world_answer(w, calls[i])->results[0].outcome, OUTCOME_REJECTED);
    }
    const struct reply *r = node_world_verb(w, (leader + 1) % 3, REQUEST_SHARDS_SHOW, ABA_A, NULL);
    node_check_ok(r);
    assert_true(node_check_has(r->json, "\"accepted\":{\"entries\":40,"));
    node_world_free(w);
}

static void a_minority_says_so_in_time(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
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
    node_check_refused(reply, SG_UNAVAILABLE, "no leader that could be reached in time");
    r = (struct request){.kind = REQUEST_APPLY, .timeout_ms = 500};
    node_check_refused(node_world_ask(w, 0, &r, 700), SG_UNAVAILABLE, "the catalog has no leader");
    node_check_ok(node_world_verb(w, 0, REQUEST_STATUS, 0, NULL));
    node_world_free(w);
}

/* Its own copy of the shard is damaged: the others serve, through it as well. */
static void a_damaged_replica_passes_requests_on(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
    size_t leader = node_world_leader(w, ABA_A, 1);
    node_check_ok(node_check_submit(w, 0, "a", ABA_A));
    struct lane_slot *s = node_world_slot(w, leader, ABA_A);
    group_damaged(shard_group(s->shard), SG_UNSUPPORTED, "a record of a later program");
    assert_non_null(node_check_submit(w, leader, "b", ABA_A));
    node_world_advance(w, 3000);
    assert_string_not_equal(s->why, "");
    assert_int_equal(s->leader, 0);
    const struct reply *r = node_check_submit(w, leader, "c", ABA_A);
    node_check_ok(r);
    assert_int_equal(r->results[0].outcome, OUTCOME_ACCEPTED);
    r = node_world_verb(w, leader, REQUEST_SHARDS_LIST, 0, (const char *const[]){"unhealthy", "true", NULL});
    node_check_ok(r);
    assert_true(node_check_has(r->json, "stopped"));
    for (size_t i = 0; i < 3; i++) { /* The others know by the heartbeats of that node. */
        r = node_world_verb(w, i, REQUEST_STATUS, 0, NULL);
        node_check_ok(r);
        assert_true(node_check_has(r->json, "\"health\":\"degraded\""));
        assert_true(
            node_check_has(r->json, i == leader ? "\"kind\":\"shard\"" : "of its replicas are stopped"));
    }
    node_world_free(w);
}

/* All rows of all groups of the leader's node rot. Another replica leads at once, the
 * node gets the rows anew, and nobody has to do anything. */
static void damaged_rows_are_rebuilt(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
    size_t leader = node_world_leader(w, ABA_A, 1);
    node_check_ok(node_check_submit(w, 0, "a", ABA_A));
    struct lane_slot *s = node_world_slot(w, leader, ABA_A);
    size_t n = 0;
    while (mem_kv_flip_bit_at(node_world_disk(w, leader, 0), KV_STATE, n, 3)) {
        n++;
    }
    assert_true(n > 5);
    assert_non_null(node_check_submit(w, leader, "b", ABA_A));
    struct group_status before;
    group_status(shard_group(s->shard), &before);
    assert_true(before.is_rebuilding || before.rebuilds > 0);
    node_world_advance(w, 5000);
    struct group_status mine;
    struct group_status others;
    group_status(shard_group(s->shard), &mine);
    group_status(shard_group(node_world_slot(w, (leader + 1) % 3, ABA_A)->shard), &others);
    assert_string_equal(mine.why, "");
    assert_false(mine.is_rebuilding);
    assert_int_equal(mine.rebuilds, 1);
    assert_int_equal(mine.applied_index, others.applied_index);
    assert_memory_equal(&mine.digest, &others.digest, sizeof mine.digest);
    assert_true(mine.set == others.set);
    const struct reply *r = node_check_submit(w, leader, "a", ABA_A);
    assert_int_equal(r->results[0].outcome, OUTCOME_FOLDED);
    r = node_world_verb(w, leader, REQUEST_EVENTS, ABA_A, NULL);
    assert_true(node_check_has(r->json, "had wrong rows")); /* People are told. */
    node_world_free(w);
}

/* Nothing is wrong with the transfer, and it goes on by itself once there is room. */
static void a_leader_without_room_takes_nothing(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
    size_t leader = node_world_leader(w, ABA_A, 1);
    mem_kv_set_free_bytes(node_world_disk(w, leader, 0), STORE_FREE_SPACE_MIN_BYTES - 1);
    for (size_t i = 0; i < 3; i++) {
        node_check_refused(node_check_submit(w, i, "a", ABA_A), SG_REFUSED,
                           "is nearly full: nothing was accepted");
    }
    const struct reply *r = node_world_verb(w, leader, REQUEST_STATUS, 0, NULL);
    node_check_ok(r);
    assert_true(node_check_has(r->json, "\"kind\":\"disk\""));
    mem_kv_set_free_bytes(node_world_disk(w, leader, 0), STORE_FREE_SPACE_MIN_BYTES);
    r = node_check_submit(w, leader, "a", ABA_A);
    node_check_ok(r);
    assert_int_equal(r->results[0].outcome, OUTCOME_ACCEPTED);
    node_world_free(w);
}

static enum sg_err unreadable(void *impl, enum mem_kv_op op)
{
    bool *reads = impl;
    if (op == MEM_KV_BEGIN_READ || op == MEM_KV_BEGIN_WRITE) {
        *reads = op == MEM_KV_BEGIN_READ;
    }
    return op == MEM_KV_SEEK && *reads ? SG_CORRUPT : SG_OK;
}

/* Its catalog was applied and cannot be read: it must not say that there is no
 * such shard. */
static void an_unreadable_catalog_is_not_an_empty_one(void **state)
{
    (void)state;
    struct node_world *w = node_world_new(3, 1);
    bool reads = false;
    node_world_start_all(w);
    assert_true(node_world_formed(w, 5000));
    size_t leader = node_world_leader(w, 0, 5000);
    mem_kv_set_fault(node_world_disk(w, leader, 0), unreadable, &reads);
    assert_non_null(node_world_apply(w, leader, SHARDS_AB));
    node_world_advance(w, 1000);
    mem_kv_set_fault(node_world_disk(w, leader, 0), NULL, NULL);
    node_world_advance(w, 2000 + REBUILD_AGAIN_MS);
    struct group_status s;
    group_status(node_world_node(w, leader)->catalog, &s);
    assert_true(s.rebuilds > 0); /* It got the others' rows, */
    assert_true(s.rebuilds < 3); /* and when those were unreadable, too, not at once again. */
    assert_false(s.is_rebuilding);
    const struct reply *r = node_check_submit(w, leader, "a", ABA_A);
    node_check_ok(r);
    assert_int_equal(r->results[0].outcome, OUTCOME_ACCEPTED);
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
    struct node_world *w = node_check_serving(1);
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
            node_check_ok(node_world_answer(w, call));
            assert_true(node_check_has(node_world_answer(w, call)->json, "\"outcome\":\"done\""));
        } else {
            node_check_refused(node_world_answer(w, call), rows[i].err, "it may or may not have happened");
        }
        node_world_set_filter(w, NULL, NULL);
    }
    node_world_free(w);
}

/* The frames of one node get lost, its connections stand: as when it is stopped. */
static bool drop_silent(void *arg, size_t from, size_t to, struct span frame)
{
    const size_t *silent = arg;
    (void)frame;
    return from != *silent && to != *silent;
}

static size_t send_submit(struct node_world *w, size_t node, const char *id, uint32_t timeout_ms)
{
    struct transfer t = node_world_transfer(id, ABA_A);
    struct request r = {.kind = REQUEST_SUBMIT,
                        .routing_number = {ABA_A},
                        .timeout_ms = timeout_ms,
                        .transfers = &t,
                        .transfers_count = 1};
    return node_world_send(w, node, &r);
}

static void goes_on_without_a_silent_leader(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
    size_t leader = node_world_leader(w, ABA_A, 1);
    size_t other = (leader + 1) % 3;
    node_world_set_filter(w, drop_silent, &leader);
    size_t call = send_submit(w, other, "silent", 0);
    struct request transfer = {.kind = REQUEST_LEADER_TRANSFER, .routing_number = {ABA_A}};
    size_t once = node_world_send(w, other, &transfer);
    node_world_advance(w, 3 * ELECTION_TIMEOUT_MS + 1000);
    assert_int_equal(node_world_answers(w, call), 1);
    node_check_ok(node_world_answer(w, call));
    assert_int_equal(node_world_answer(w, call)->results[0].outcome, OUTCOME_ACCEPTED);
    /* What must not be done twice waits for its answer. */
    assert_null(node_world_answer(w, once));
    node_world_advance(w, REQUEST_TIMEOUT_MS);
    node_check_refused(node_world_answer(w, once), SG_UNKNOWN, "no answer in time");
    node_world_set_filter(w, NULL, NULL);
    node_world_free(w);
}

/* "Nothing was accepted" is true of the last try only. */
static void does_not_deny_an_earlier_try(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
    size_t leader = node_world_leader(w, ABA_A, 1);
    size_t other = (leader + 1) % 3;
    node_world_set_filter(w, drop_silent, &leader);
    size_t call = send_submit(w, other, "perhaps", 0);
    for (size_t i = 0; i < 3; i++) {
        mem_kv_set_free_bytes(node_world_disk(w, i, 0), 0);
    }
    node_world_advance(w, REQUEST_TIMEOUT_MS + 100);
    node_check_refused(node_world_answer(w, call), SG_UNKNOWN, "submit again with the same ids");
    size_t fresh = send_submit(w, other, "surely", 2000);
    node_world_advance(w, 3000);
    node_check_refused(node_world_answer(w, fresh), SG_REFUSED, "nothing was accepted");
    for (size_t i = 0; i < 3; i++) {
        mem_kv_set_free_bytes(node_world_disk(w, i, 0), 1ull << 40);
    }
    node_world_set_filter(w, NULL, NULL);
    node_world_free(w);
}

static void says_busy_above_its_limits(void **state)
{
    (void)state;
    struct node_world *w = node_check_formed(3, 1);
    node_world_kill(w, 1);
    node_world_kill(w, 2);
    node_world_advance(w, 2000); /* No leader: everything waits. */
    struct request r = {.kind = REQUEST_SHARDS_SHOW, .routing_number = {ABA_A}, .timeout_ms = UINT32_MAX};
    size_t count = 2 * REQUESTS_INFLIGHT_MAX + 10;
    size_t first = node_world_send(w, 0, &r);
    for (size_t i = 1; i < count; i++) {
        (void)node_world_send(w, 0, &r);
    }
    node_check_refused(node_world_answer(w, first + count - 1), SG_BUSY, "too many requests");
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
        struct node_world *w = node_check_serving(lanes);
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
        node_check_ok(node_check_submit(w, other, "after", ABA_A));
        node_world_free(w);
    }
}

/* Whatever is under way when the node leaves is answered, once. */
static void leaving_answers_every_call(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(2);
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

/* --- The configuration ------------------------------------------------------------------------------ */

static struct bytes export_of(struct node_world *w, size_t node)
{
    struct bytes yaml = BYTES_NONE;
    const struct reply *r = node_world_verb(w, node, REQUEST_EXPORT, 0, NULL);
    node_check_ok(r);
    bytes_append_span(&yaml, r->data);
    bytes_append(&yaml, "", 1);
    return yaml;
}

static void applies_what_it_exports_as_no_change(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
    node_world_advance(w, 500);
    for (size_t i = 0; i < 3; i++) {
        struct bytes yaml = export_of(w, i);
        const struct reply *r = node_world_verb(w, i, REQUEST_APPLY, 0,
                                                (const char *const[]){"yaml", (const char *)yaml.p, NULL});
        node_check_ok(r);
        assert_true(node_check_has(r->json, "\"applied\":false"));
        assert_true(node_check_has(r->json, "\"changes\":[]"));
        bytes_release(&yaml);
    }
    node_world_free(w);
}

static void apply_names_the_version_it_made(void **state)
{
    (void)state;
    struct node_world *w = node_check_formed(3, 1);
    char part[32];
    const struct reply *r = node_world_apply(w, 1, SHARDS_AB);
    node_check_ok(r);
    node_world_advance(w, 500);
    (void)snprintf(part, sizeof part, "\"version\":%llu,",
                   (unsigned long long)node_world_node(w, 0)->model->version);
    assert_true(node_check_has(r->json, "\"applied\":true"));
    assert_true(node_check_has(r->json, part));
    node_world_free(w);
}

/* What a loop or a writer spent too long on is told, and figures are shown. */
static void tells_of_slow_turns(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
    struct lane *l = &node_world_node(w, 0)->lanes[0];
    const struct reply *r = node_world_verb(w, 0, REQUEST_STATUS, 0, NULL);
    node_check_ok(r);
    assert_true(node_check_has(r->json, "healthy"));
    /* By the clock alone: the machine did something else. */
    struct stamp now = loop_stamp(l->loop);
    (void)meter_lap(loop_turns(l->loop), now, (struct stamp){now.clock_us + 90000, now.cpu_us + 20000});
    r = node_world_verb(w, 0, REQUEST_STATUS, 0, NULL);
    assert_true(node_check_has(r->json, "healthy"));
    (void)meter_lap(writer_job_times(l->writer), now,
                    (struct stamp){now.clock_us + 31000, now.cpu_us + 30000});
    r = node_world_verb(w, 0, REQUEST_STATUS, 0, NULL);
    assert_true(node_check_has(r->json, "degraded"));
    assert_true(node_check_has(r->json, "a writer job of lane 0 used 30 ms of CPU"));
    r = node_world_verb(w, 0, REQUEST_NODES_SHOW, 0, NULL);
    node_check_ok(r);
    assert_true(node_check_has(r->json, "\"what\":\"loop turn\",\"since\":\"start\""));
    assert_true(node_check_has(r->json, "\"max_us\":90000"));
    assert_true(node_check_has(r->json, "\"cpu_max_us\":30000"));
    /* Another node knows nothing of it. */
    r = node_world_verb(w, 1, REQUEST_STATUS, 0, NULL);
    assert_true(node_check_has(r->json, "healthy"));
    node_world_advance(w, 3 * METER_RECENT_US / 1000);
    r = node_world_verb(w, 0, REQUEST_STATUS, 0, NULL);
    assert_true(node_check_has(r->json, "healthy"));
    node_world_free(w);
}

/* More is pending than a day's files hold: said at once, with what helps. */
static void tells_of_what_does_not_fit_a_day(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
    const struct reply *r = node_world_verb(w, 0, REQUEST_EXPORT, 0, NULL);
    node_check_ok(r);
    struct bytes yaml = BYTES_NONE;
    const char *text = (const char *)r->data.p;
    const char *at = strstr(text, "max_lines: 10000");
    assert_non_null(at);
    bytes_append(&yaml, text, (size_t)(at - text));
    bytes_append_span(&yaml, span_str("max_lines: 10"));
    at += strlen("max_lines: 10000");
    bytes_append(&yaml, at, r->data.n - (size_t)(at - text));
    bytes_append(&yaml, "", 1);
    r = node_world_verb(w, 0, REQUEST_APPLY, 0,
                        (const char *const[]){"yaml", (const char *)yaml.p, "source", "test.yaml", NULL});
    node_check_ok(r);
    bytes_release(&yaml);
    node_world_advance(w, 1000);
    for (size_t i = 0; i <= FILE_MODIFIERS * (size_t)6; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "c%zu", i);
        r = node_world_verb(w, 0, REQUEST_STATUS, 0, NULL);
        assert_true(node_check_has(r->json, "healthy"));
        node_check_ok(node_check_submit(w, 0, id, ABA_A));
        node_check_ok(node_check_submit(w, 0, id, ABA_B));
    }
    node_world_advance(w, 1000); /* The node that is asked may be a follower. */
    r = node_world_verb(w, 0, REQUEST_STATUS, 0, NULL);
    assert_true(node_check_has(r->json, "degraded"));
    assert_true(
        node_check_has(r->json, "217 payments are pending, and one day's 36 files of 10 lines hold 216"));
    assert_true(node_check_has(r->json, "raise limits.max_lines"));
    node_world_free(w);
}

static void a_refused_configuration_changes_nothing(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
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
        node_check_refused(
            node_world_verb(w, 2, REQUEST_APPLY, 0,
                            (const char *const[]){"yaml", rows[i].yaml, "source", "test.yaml", NULL}),
            SG_INVALID, rows[i].part);
    }
    const struct reply *r = node_world_verb(
        w, 0, REQUEST_APPLY, 0,
        (const char *const[]){"yaml", "originators:\n  new: {company_name: N, company_id: \"1\"}\n",
                              "dry_run", "true", NULL});
    node_check_ok(r);
    assert_true(node_check_has(r->json, "+ originator new"));
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
        cmocka_unit_test(finds_the_nearest_routing_number),
        cmocka_unit_test(an_id_belongs_to_its_routing_number),
        cmocka_unit_test(parked_calls_go_on),
        cmocka_unit_test(a_minority_says_so_in_time),
        cmocka_unit_test(a_damaged_replica_passes_requests_on),
        cmocka_unit_test(damaged_rows_are_rebuilt),
        cmocka_unit_test(a_leader_without_room_takes_nothing),
        cmocka_unit_test(an_unreadable_catalog_is_not_an_empty_one),
        cmocka_unit_test(repeats_what_may_be_repeated),
        cmocka_unit_test(goes_on_without_a_silent_leader),
        cmocka_unit_test(does_not_deny_an_earlier_try),
        cmocka_unit_test(says_busy_above_its_limits),
        cmocka_unit_test(leaving_hands_over),
        cmocka_unit_test(leaving_answers_every_call),
        cmocka_unit_test(applies_what_it_exports_as_no_change),
        cmocka_unit_test(apply_names_the_version_it_made),
        cmocka_unit_test(tells_of_slow_turns),
        cmocka_unit_test(tells_of_what_does_not_fit_a_day),
        cmocka_unit_test(a_refused_configuration_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
