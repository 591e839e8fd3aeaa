/* Whole nodes: forming, restarts, who belongs to the cluster. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/node_check.h"

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
    struct node_world *w = node_check_serving(1);
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

/* What it finds in its stores may be in its machine's memory only. */
static void commits_in_each_store_before_it_speaks(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(2);
    uint64_t before[2];

    node_world_kill(w, 1);
    for (size_t lane = 0; lane < 2; lane++) {
        before[lane] = mem_kv_commits(node_world_disk(w, 1, lane));
    }
    assert_int_equal(node_world_start(w, 1), SG_OK);
    for (size_t lane = 0; lane < 2; lane++) {
        assert_int_equal(mem_kv_commits(node_world_disk(w, 1, lane)), before[lane] + 1);
    }
    node_world_free(w);
}

static void takes_transfers_on_every_node(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
    for (size_t i = 0; i < 3; i++) {
        char id[8];
        (void)snprintf(id, sizeof id, "t%zu", i);
        const struct reply *r = node_check_submit(w, i, id, ABA_A);
        node_check_ok(r);
        assert_int_equal(r->results_count, 1);
        assert_int_equal(r->results[0].outcome, OUTCOME_ACCEPTED);
    }
    node_world_free(w);
}

static void survives_its_restarts_over_two_lanes(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(2);
    assert_ptr_not_equal(node_lane_of(node_world_node(w, 0), ABA_A),
                         node_lane_of(node_world_node(w, 0), ABA_B));
    for (size_t i = 0; i < 3; i++) {
        node_check_ok(node_check_submit(w, i, "a", ABA_A));
        node_check_ok(node_check_submit(w, i, "b", ABA_B));
        node_check_ok(node_world_verb(w, i, REQUEST_STATUS, 0, NULL));
        node_check_ok(node_world_verb(w, i, REQUEST_SHARDS_SHOW, ABA_B, NULL));
    }
    for (size_t i = 0; i < 3; i++) {
        node_world_kill(w, i);
        node_check_ok(node_check_submit(w, (i + 1) % 3, "a", ABA_A));
        node_check_ok(node_check_submit(w, (i + 2) % 3, "b", ABA_B));
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
    node_check_ok(node_world_apply(w, 1, SHARDS_AB));
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

/* A node that is no member says so and does not answer as if there were nothing. */
static void assert_knows_only_itself(struct node_world *w, size_t node, const char *why)
{
    static const enum request_kind asked[] = {REQUEST_SHARDS_LIST, REQUEST_EXPORT, REQUEST_APPLY};
    static const enum request_kind itself[] = {REQUEST_PING, REQUEST_STATUS, REQUEST_NODES_LIST,
                                               REQUEST_NODES_SHOW};
    for (size_t i = 0; i < sizeof asked / sizeof asked[0]; i++) {
        node_check_refused(node_world_verb(w, node, asked[i], 0, NULL), SG_UNAVAILABLE, why);
    }
    for (size_t i = 0; i < sizeof itself / sizeof itself[0]; i++) {
        node_check_ok(node_world_verb(w, node, itself[i], 0, NULL));
    }
}

static void refuses_an_empty_disk(void **state)
{
    (void)state;
    for (size_t lost = 0; lost < 3; lost++) {
        struct node_world *w = node_check_serving(1);
        size_t other = (lost + 1) % 3;
        node_world_kill(w, lost);
        node_world_wipe(w, lost);
        assert_int_equal(node_world_start(w, lost), SG_OK);
        assert_is_refused(w, lost, 2000);
        node_world_advance(w, 3000);
        assert_is_refused(w, lost, 0);
        node_check_refused(node_check_submit(w, lost, "x", ABA_A), SG_UNAVAILABLE, "refused");
        assert_knows_only_itself(w, lost, "is refused: ");
        node_check_ok(node_check_submit(w, other, "y", ABA_A));
        node_check_ok(node_check_submit(w, other, "z", ABA_B));
        assert_string_equal(member_state_name(node_world_node(w, other), lost + 1), "refused");
        const struct reply *r = node_world_verb(w, other, REQUEST_STATUS, 0, NULL);
        node_check_ok(r);
        assert_true(node_check_has(r->json, "degraded"));
        node_world_free(w);
    }
}

/* It formed the cluster, told one other and lost its disk: the third learns it from that one. */
static bool drop_formed_to_third(void *arg, size_t from, size_t to, struct span frame)
{
    struct arena a = ARENA_INIT;
    struct frame f;
    bool passes = true;
    (void)arg;
    if (from == 0 && to == 2) { /* What it says while the cluster forms passes: else none would. */
        assert_int_equal(frame_decode(frame, &a, &f), SG_OK);
        for (size_t i = 0; i < f.messages_count; i++) {
            passes =
                passes && f.messages[i].kind == MESSAGE_HELLO && f.messages[i].hello.state == HELLO_FORMING;
        }
        arena_release(&a);
    }
    return passes;
}

static void refuses_its_founder_with_an_empty_disk(void **state)
{
    (void)state;
    struct node_world *w = node_world_new(3, 1);
    node_world_set_filter(w, drop_formed_to_third, NULL);
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
    assert_knows_only_itself(w, 0, "n1 is forming");
    assert_int_equal(node_world_start(w, 1), SG_OK);
    assert_true(node_world_formed(w, 3000));
    node_world_free(w);
}

/* Also one that has nothing to write. */
static void ends_when_its_store_was_moved_away(void **state)
{
    (void)state;
    for (size_t lane = 0; lane < 2; lane++) {
        struct node_world *w = node_check_serving(2);
        mem_kv_lose(node_world_disk(w, 1, lane));
        node_world_advance(w, 1100);
        assert_true(node_world_is_fatal(w, 1));
        assert_false(node_world_is_fatal(w, 0));
        node_check_ok(node_check_submit(w, 0, "a", ABA_A));
        node_world_free(w);
    }
}

static void refuses_a_foreign_directory(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(2);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms_in_any_order),
        cmocka_unit_test(survives_restarts_in_any_order),
        cmocka_unit_test(commits_in_each_store_before_it_speaks),
        cmocka_unit_test(takes_transfers_on_every_node),
        cmocka_unit_test(survives_its_restarts_over_two_lanes),
        cmocka_unit_test(elects_at_once_what_is_new),
        cmocka_unit_test(refuses_an_empty_disk),
        cmocka_unit_test(refuses_its_founder_with_an_empty_disk),
        cmocka_unit_test(adopts_the_table_after_a_crash_between),
        cmocka_unit_test(forgets_who_went_away_while_forming),
        cmocka_unit_test(ends_when_its_store_was_moved_away),
        cmocka_unit_test(refuses_a_foreign_directory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
