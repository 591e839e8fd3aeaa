/* Whole nodes: leader transfer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "proto/base/fault.h"
#include "tests/support/node_check.h"

#define CLOSE_MS 1795476600000 /* 2026-11-23 23:30 UTC: the window ND. */

static void leadership_moves_when_asked(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(2);
    for (size_t i = 0; i < 3; i++) {
        char to[4];
        (void)snprintf(to, sizeof to, "n%zu", i + 1);
        const struct reply *r =
            node_world_verb(w, 0, REQUEST_LEADER_TRANSFER, ABA_B, (const char *const[]){"to", to, NULL});
        node_check_ok(r);
        assert_true(node_check_has(r->json, "TRANSFERRED") || node_check_has(r->json, "ALREADY_LEADER"));
        assert_int_equal(node_world_leader(w, ABA_B, 100), i);
    }
    node_check_refused(
        node_world_verb(w, 0, REQUEST_LEADER_TRANSFER, ABA_B, (const char *const[]){"to", "n9", NULL}),
        SG_NOTFOUND, "there is no node n9");
    node_world_free(w);
}

static bool drop_of(void *arg, size_t from, size_t to, struct span frame)
{
    (void)to, (void)frame;
    return from != *(size_t *)arg;
}

static void leadership_waits_for_a_late_target(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
    size_t leader = node_world_leader(w, ABA_A, 1);
    size_t late = (leader + 1) % 3;
    struct request_arg to = {span_str("to"), span_str(node_world_node(w, late)->self->name)};
    struct request r = {
        .kind = REQUEST_LEADER_TRANSFER, .routing_number = {ABA_A}, .args = &to, .args_count = 1};

    node_world_set_filter(w, drop_of, &late);
    node_world_advance(w, ELECTION_TIMEOUT_MS + 100);
    const struct reply *silent = node_world_ask(w, leader, &r, ELECTION_TIMEOUT_MS + 100);
    node_check_ok(silent);
    assert_true(node_check_has(silent->json, "UNREACHABLE"));

    size_t call = node_world_send(w, leader, &r);
    node_world_advance(w, ELECTION_TIMEOUT_MS / 2);
    assert_int_equal(node_world_answers(w, call), 0);
    node_world_set_filter(w, NULL, NULL);
    node_world_advance(w, ELECTION_TIMEOUT_MS);
    node_check_ok(node_world_answer(w, call));
    assert_true(node_check_has(node_world_answer(w, call)->json, "TRANSFERRED"));
    node_world_free(w);
}

static const struct reply *move_leader(struct node_world *w, size_t from, const char *force)
{
    const char *to = node_world_node(w, (from + 1) % 3)->self->name;
    return node_world_verb(w, from, REQUEST_LEADER_TRANSFER, ABA_A,
                           (const char *const[]){"to", to, force == NULL ? NULL : "force", force, NULL});
}

static void leadership_stays_near_a_cutoff(void **state)
{
    static const struct {
        const char *reason;
        int64_t before_ms; /* The window ND of 23:30 UTC. */
        const char *force, *outcome;
    } rows[] = {
        {"there is time", CUTOFF_NEAR_MS + 10000, NULL, "TRANSFERRED"},
        {"it closes soon", CUTOFF_NEAR_MS - 1, NULL, "REFUSED_NEAR_CUTOFF"},
        {"it closes now", 0, NULL, "REFUSED_NEAR_CUTOFF"},
        {"it closes soon, and it has to be", CUTOFF_NEAR_MS - 1, "true", "TRANSFERRED"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct node_world *w = node_check_serving(1);
        print_message("%s\n", rows[i].reason);
        node_world_advance(w, 1000);
        size_t leader = node_world_leader(w, ABA_A, 1);
        node_world_set_wall(w, CLOSE_MS - rows[i].before_ms);
        const struct reply *r = move_leader(w, leader, rows[i].force);
        node_check_ok(r);
        assert_true(node_check_has(r->json, rows[i].outcome));
        assert_int_equal(node_check_has(r->json, "\"why\":\"window ND closes at 2026-11-23T23:30:00.000Z: "),
                         rows[i].outcome[0] == 'R');
        node_world_free(w);
    }
}

static bool near_cutoff(void *arg)
{
    char why[128];
    struct lane_slot *s = arg;
    return shard_is_near_cutoff(s->shard, why, sizeof why);
}

static void leadership_stays_while_a_file_goes_to_the_bank(void **state)
{
    (void)state;
    for (size_t force = 0; force < 2; force++) {
        struct node_world *w = node_check_serving(1);
        size_t leader = node_world_leader(w, ABA_A, 1);
        node_check_ok(node_check_submit(w, leader, "a", ABA_A));
        node_check_ok(node_world_verb(w, leader, REQUEST_WINDOWS_CLOSE, ABA_A, NULL));
        assert_true(node_world_until(w, near_cutoff, node_world_slot(w, leader, ABA_A), 1000));
        const struct reply *r = move_leader(w, leader, force ? "true" : NULL);
        node_check_ok(r);
        assert_int_equal(node_check_has(r->json, "\"REFUSED_NEAR_CUTOFF\""), !force);
        assert_int_equal(node_check_has(r->json, "file 1 is on its way to the bank: "), !force);
        assert_int_equal(node_check_has(r->json, "\"TRANSFERRED\""), force);
        node_world_advance(w, 3000);
        r = node_world_verb(w, leader, REQUEST_FILES_LIST, ABA_A, NULL);
        node_check_ok(r);
        assert_true(node_check_has(r->json, "\"uploaded\""));
        /* It is looked after for a day: that is no reason to stay. */
        r = move_leader(w, node_world_leader(w, ABA_A, 1), NULL);
        node_check_ok(r);
        assert_true(node_check_has(r->json, "\"TRANSFERRED\""));
        node_world_free(w);
    }
}

/* It may wait: who leads near a cut-off goes on. */
static void a_preferred_node_takes_leadership_back(void **state)
{
    static const char yaml[] =
        "endpoints:\n  bank: {kind: directory, drop_dir: in, staging_dir: staging}\n"
        "shards:\n  \"231380104\":\n    endpoint: bank\n    destination_name: BANK\n"
        "    origin: \"121042882\"\n    origin_name: ACME\n    preferred: n1\n"
        "    windows: {zone: UTC, on: every-day, at: [{name: ND, close_at: \"23:30\"}]}\n";
    (void)state;
    for (size_t near = 0; near < 2; near++) {
        struct node_world *w = node_check_formed(3, 1);
        node_check_ok(node_world_verb(w, 0, REQUEST_APPLY, 0,
                                      (const char *const[]){"yaml", yaml, "source", "t", NULL}));
        node_world_advance(w, 1000);
        assert_int_equal(node_world_leader(w, ABA_A, 1000), 0);
        node_check_ok(move_leader(w, 0, NULL));
        node_world_set_wall(w, CLOSE_MS - (near ? 20000 : 60000));
        node_world_advance(w, 9000);
        assert_int_equal(node_world_leader(w, ABA_A, 1), 1);
        node_world_advance(w, 3000);
        assert_int_equal(node_world_leader(w, ABA_A, 1), near);
        node_world_advance(w, 10000); /* The window has closed, without any file. */
        assert_int_equal(node_world_leader(w, ABA_A, 1), 0);
        node_world_free(w);
    }
}

/* Does a leader that hears nobody answer a question? */
static bool answers_alone(enum request_kind kind, uint32_t aba)
{
    struct node_world *w = node_check_serving(1);
    size_t leader = node_world_leader(w, aba == ABA_A ? ABA_A : 0, 5000);
    const struct request r = {.kind = kind, .routing_number = {aba}, .timeout_ms = 30000};
    node_world_advance(w, 2000);
    for (size_t other = 0; other < 3; other++) {
        if (other != leader) {
            node_world_cut(w, leader, other, true);
            node_world_cut(w, other, leader, true);
        }
    }
    size_t call = node_world_send(w, leader, &r);
    node_world_advance(w, HEARTBEAT_MS); /* It still takes itself for the leader. */
    bool alone = node_world_answers(w, call) > 0;
    for (size_t other = 0; other < 3; other++) {
        node_world_cut(w, leader, other, false);
        node_world_cut(w, other, leader, false);
    }
    node_world_advance(w, 15000);
    assert_int_equal(node_world_answers(w, call), 1);
    assert_int_equal(node_world_answer(w, call)->err, aba == ABA_A ? SG_OK : SG_NOTFOUND);
    node_world_free(w);
    return alone;
}

/* Nor does the catalog's say that there is no such shard. */
static void no_leader_answers_alone(void **state)
{
    (void)state;
    assert_false(answers_alone(REQUEST_WINDOWS_LIST, ABA_A));
    assert_false(answers_alone(REQUEST_WINDOWS_LIST, 91000019));
    fault_set_bugs("read-without-round");
    assert_true(answers_alone(REQUEST_WINDOWS_LIST, ABA_A));
    assert_true(answers_alone(REQUEST_WINDOWS_LIST, 91000019));
    fault_set_bugs("");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(leadership_moves_when_asked),
        cmocka_unit_test(leadership_waits_for_a_late_target),
        cmocka_unit_test(leadership_stays_near_a_cutoff),
        cmocka_unit_test(leadership_stays_while_a_file_goes_to_the_bank),
        cmocka_unit_test(a_preferred_node_takes_leadership_back),
        cmocka_unit_test(no_leader_answers_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
