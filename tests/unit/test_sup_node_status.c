/* What operators see of a cluster that lacks nodes, and configurations that do not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/node_check.h"

/* Two of three are gone: one row says what it means for all, and each names a
 * command; what those that are gone had is not known any more. */
static void status_without_a_quorum_is_short(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
    node_world_kill(w, 1);
    node_world_advance(w, 5000);
    const struct reply *r = node_world_verb(w, 0, REQUEST_STATUS, 0, NULL);
    node_check_ok(r);
    assert_true(node_check_has(r->json, "\"health\":\"degraded\""));
    assert_true(node_check_has(r->json, "its shards go on with the other nodes: start shardgated there"));
    assert_true(node_check_has(r->json, "\"state\":\"down\",\"leaders\":null,\"replicas\":null"));
    r = node_world_verb(w, 0, REQUEST_SHARDS_SHOW, ABA_A, NULL);
    node_check_ok(r);
    assert_true(node_check_has(r->json, "\"match_index\":null,\"lag\":null,\"state\":\"unreachable\""));
    node_world_kill(w, 2);
    node_world_advance(w, 5000);
    r = node_world_verb(w, 0, REQUEST_STATUS, 0, NULL);
    node_check_ok(r);
    assert_true(node_check_has(r->json, "\"health\":\"unavailable\""));
    assert_true(node_check_has(r->json, "1 of 3 nodes are here and 2 are needed"));
    assert_false(node_check_has(r->json, "go on with the other nodes"));
    assert_false(node_check_has(r->json, "has no leader"));
    assert_true(node_check_has(r->json, "\"without_leader\":2"));
    node_world_free(w);
}

/* What a node says of itself comes with the connection, not a heartbeat later. */
static void a_node_that_is_back_is_known_at_once(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
    node_world_kill(w, 2);
    node_world_advance(w, 3000);
    assert_int_equal(node_world_start(w, 2), SG_OK);
    const struct reply *r = NULL;
    for (unsigned ms = 0; ms < NODE_HEARTBEAT_MS; ms++) {
        node_world_advance(w, 1);
        r = node_world_verb(w, 0, REQUEST_STATUS, 0, NULL);
        node_check_ok(r);
        /* Until it has said something of itself it is not called healthy, nor its figures 0. */
        if (node_check_has(r->json, "starting")) {
            assert_true(node_check_has(r->json, "\"health\":\"degraded\""));
            assert_true(node_check_has(r->json, "\"state\":\"starting\",\"leaders\":null"));
        }
        if (node_world_node(w, 0)->members[2].has_status) {
            break;
        }
    }
    assert_true(node_world_node(w, 0)->members[2].has_status);
    node_world_free(w);
}

/* Half a configuration is another one: what does not go in as a whole is refused. */
static void apply_is_whole_or_not_at_all(void **state)
{
    (void)state;
    struct node_world *w = node_check_formed(3, 1);
    struct bytes yaml = BYTES_NONE;
    node_check_ok(node_world_apply(w, 1, SHARDS_AB));
    node_world_advance(w, 500);
    uint64_t version = node_world_node(w, 0)->model->version;
    bytes_printf(&yaml, "originators:\n");
    for (unsigned i = 0; i <= CATALOG_CHANGES_MAX; i++) {
        bytes_printf(&yaml, "  o%u: {company_name: ACME, company_id: \"1234567890\"}\n", i);
    }
    bytes_append(&yaml, "", 1);
    const struct reply *r =
        node_world_verb(w, 1, REQUEST_APPLY, 0, (const char *const[]){"yaml", (const char *)yaml.p, NULL});
    if (r->err != SG_TOOBIG || !node_check_has(r->text, "nothing was changed")) {
        fail_msg("%d %.*s", (int)r->err, (int)r->text.n, (const char *)r->text.p);
    }
    node_world_advance(w, 500);
    assert_int_equal(node_world_node(w, 0)->model->version, version);
    bytes_release(&yaml);
    node_world_free(w);
}

/* All at once: leadership is not passed round between nodes that go down. */
static void three_leave_together_at_once(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(2);
    node_leave(node_world_node(w, 0));
    node_leave(node_world_node(w, 1));
    assert_true(node_world_leave(w, 2, 300));
    assert_true(node_world_leave(w, 1, 100));
    assert_true(node_world_leave(w, 0, 100));
    node_world_free(w);
}

/* Two leave: the third is asked to lead, and neither of the two. */
static void a_node_that_leaves_is_given_no_leadership(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
    size_t leader = node_world_leader(w, ABA_A, 1);
    size_t going = (leader + 1) % 3, staying = (leader + 2) % 3;
    struct lane *l = node_world_slot(w, leader, ABA_A)->lane;
    struct group_status status;
    group_status(shard_group(node_world_slot(w, leader, ABA_A)->shard), &status);
    assert_int_not_equal(lane_heir(l, &status), 0);
    node_leave(node_world_node(w, going)); /* Tells the others before it does anything else. */
    node_world_advance(w, 5);
    assert_true(l->peer_leaves[going]);
    assert_int_equal(lane_heir(l, &status), staying + 1);
    assert_true(node_world_leave(w, leader, 1000));
    assert_int_equal(node_world_leader(w, ABA_A, 1), staying);
    assert_true(node_world_leave(w, going, 1000));
    node_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_without_a_quorum_is_short),
        cmocka_unit_test(a_node_that_is_back_is_known_at_once),
        cmocka_unit_test(three_leave_together_at_once),
        cmocka_unit_test(a_node_that_leaves_is_given_no_leadership),
        cmocka_unit_test(apply_is_whole_or_not_at_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
