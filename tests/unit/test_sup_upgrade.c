/* The level of a cluster: when it may go up, and what goes with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "shard/state/keys.h"
#include "storage/kept.h"
#include "supervisor/node/node_impl.h"
#include "supervisor/node/upgrade.h"
#include "tests/support/node_check.h"

/* --- The judgement ------------------------------------------------------------------- */

#define HOUR_MS ((int64_t)3600 * 1000)

static struct upgrade three(uint32_t a, uint32_t b, uint32_t c)
{
    struct upgrade u = {.level = 1, .nodes_count = 3};
    const uint32_t most[3] = {a, b, c};
    static const char *const names[3] = {"n1", "n2", "n3"};
    for (size_t i = 0; i < 3; i++) {
        u.nodes[i] = (struct upgrade_node){.name = names[i],
                                           .is_heard = most[i] != 0,
                                           .level_min = 1,
                                           .level_max = most[i],
                                           .program = "9.9",
                                           .started_ms = 1000 * (i + 1),
                                           .level_lowest = 1};
    }
    return u;
}

static void judges_when_a_level_may_go_up(void **state)
{
    static const struct {
        const char *what;
        uint32_t most[3];
        uint32_t target;
        bool may;
        const char *waits_for;
    } cases[] = {
        {"all speak the level and no more", {1, 1, 1}, 1, false, ""},
        {"all speak the next", {2, 2, 2}, 2, true, ""},
        {"all speak more than the next: as far as all go", {4, 3, 3}, 3, true, ""},
        {"one speaks the old one only",
         {2, 1, 2},
         2,
         false,
         "node n2 runs version 9.9, which speaks levels 1 to 1"},
        {"one is not heard", {2, 2, 0}, 2, false, "node n3 does not answer"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct upgrade u = three(cases[i].most[0], cases[i].most[1], cases[i].most[2]);
        upgrade_judge(&u, HOUR_MS, false);
        if (u.target != cases[i].target || u.may_finalize != cases[i].may ||
            strncmp(u.waits_for, cases[i].waits_for, strlen(cases[i].waits_for)) != 0) {
            fail_msg("%s: target %u, %s", cases[i].what, u.target, u.waits_for);
        }
        assert_false(u.waits);
        /* After the newest start: a node that went back and came again counts anew. */
        assert_true(u.due_ms == (cases[i].may ? 3000 + HOUR_MS : 0));
    }
    struct upgrade u = three(2, 2, 2);
    upgrade_judge(&u, HOUR_MS, true);
    assert_true(u.may_finalize && u.due_ms == 0); /* Nothing is there that could go back. */
}

static void waits_for_files_and_shards(void **state)
{
    (void)state;
    struct upgrade u = three(2, 2, 2);
    u.nodes[1].files_missing = 7;
    upgrade_judge(&u, HOUR_MS, false);
    assert_true(!u.may_finalize && u.waits);
    assert_non_null(strstr(u.waits_for, "node n2 has 7 sealed files"));

    u = three(3, 3, 3);
    u.level = 2;
    u.nodes[0].level_lowest = u.nodes[1].level_lowest = 2;
    u.nodes[2].level_lowest = 1; /* One step at a time. */
    upgrade_judge(&u, HOUR_MS, false);
    assert_true(!u.may_finalize && u.waits);
    assert_non_null(strstr(u.waits_for, "shards led by node n3"));
}

/* --- Whole nodes ------------------------------------------------------------------------ */

static uint32_t level_of(struct node_world *w, size_t node)
{
    return node_world_node(w, node)->model->level.level;
}

static uint32_t shard_level_of(struct node_world *w, uint32_t aba)
{
    size_t leader = node_world_leader(w, aba, 5000);
    return shard_level(node_world_slot(w, leader, aba)->shard);
}

static const struct reply *ask(struct node_world *w, size_t node, enum request_kind kind)
{
    return node_world_verb(w, node, kind, 0, (const char *const[]){NULL});
}

static void restart(struct node_world *w, size_t node, uint32_t level_max)
{
    node_world_kill(w, node);
    node_world_set_level(w, node, level_max);
    assert_int_equal(node_world_start(w, node), SG_OK);
    node_world_advance(w, 3000);
}

static void a_new_cluster_begins_at_the_highest(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(2);
    node_world_advance(w, 1000);
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(level_of(w, i), LEVEL_MAX);
        const struct node_settings *n = &node_world_node(w, i)->model->nodes[2];
        assert_int_equal(n->level_max, LEVEL_MAX);
        assert_true(n->program.n > 0);
    }
    assert_int_equal(shard_level_of(w, ABA_A), LEVEL_MAX);
    assert_int_equal(shard_level_of(w, ABA_B), LEVEL_MAX);
    const struct reply *r = ask(w, 1, REQUEST_UPGRADE_FINALIZE);
    node_check_ok(r);
    assert_true(node_check_has(r->json, "\"finalized\":false"));
    node_world_free(w);
}

/* Three nodes of the program before, which serve; then upgraded one by one, one of them
 * back and forth. */
static struct node_world *upgraded(void)
{
    struct node_world *w = node_world_new(3, 2);
    for (size_t i = 0; i < 3; i++) {
        node_world_set_level(w, i, 1);
    }
    node_world_start_all(w);
    assert_true(node_world_formed(w, 5000));
    node_check_ok(node_world_apply(w, 0, SHARDS_AB));
    node_check_ok(node_check_submit(w, 0, "before", ABA_A));
    assert_int_equal(level_of(w, 0), 1);
    for (size_t i = 0; i < 3; i++) {
        const struct reply *r = ask(w, 0, REQUEST_UPGRADE_FINALIZE);
        if (i > 0) { /* Nobody asks for more before the first one came. */
            node_check_refused(r, SG_REFUSED, "upgrade it first");
        }
        restart(w, i, 0);
        if (i == 1) {
            restart(w, i, 1);
            restart(w, i, 0);
        }
        char id[8];
        (void)snprintf(id, sizeof id, "t%zu", i);
        node_check_ok(node_check_submit(w, i, id, ABA_A));
    }
    assert_int_equal(level_of(w, 0), 1);
    assert_int_equal(shard_level_of(w, ABA_A), 1);
    return w;
}

static void goes_up_when_a_person_says_so(void **state)
{
    (void)state;
    struct node_world *w = upgraded();
    const struct reply *r = ask(w, 2, REQUEST_UPGRADE_STATUS);
    node_check_ok(r);
    assert_true(node_check_has(r->json, "\"state\":\"may be finalized\""));
    r = ask(w, 0, REQUEST_UPGRADE_FINALIZE);
    node_check_ok(r);
    assert_true(node_check_has(r->json, "\"level\":2,\"finalized\":true"));
    node_world_advance(w, 2000);
    assert_int_equal(level_of(w, 2), 2);
    assert_int_equal(shard_level_of(w, ABA_A), 2);
    assert_int_equal(shard_level_of(w, ABA_B), 2);
    node_check_ok(node_check_submit(w, 1, "after", ABA_A));
    node_check_ok(ask(w, 2, REQUEST_UPGRADE_STATUS));
    node_world_free(w);
}

static void goes_up_by_itself_in_time(void **state)
{
    (void)state;
    struct node_world *w = upgraded();
    const int64_t start_ms = (int64_t)node_world_node(w, 2)->started_wall_ms;
    node_world_set_wall(w, start_ms + FINALIZE_AFTER_MS - 5000);
    node_world_advance(w, 3000);
    assert_int_equal(level_of(w, 0), 1);
    node_world_advance(w, 4000);
    assert_int_equal(level_of(w, 0), 2);
    node_world_free(w);
}

/* Back to a program that is too old: its groups stop and say what they need, the others
 * go on, and nothing is damaged when the right one comes back. */
static void an_old_program_stops_and_says_why(void **state)
{
    (void)state;
    struct node_world *w = upgraded();
    node_check_ok(ask(w, 0, REQUEST_UPGRADE_FINALIZE));
    node_world_advance(w, 2000);
    restart(w, 1, 1);
    node_check_ok(node_check_submit(w, 0, "x", ABA_A));
    node_world_advance(w, 2000);
    const struct lane_slot *s = node_world_slot(w, 1, ABA_A);
    assert_non_null(strstr(s->why, "speaks levels 1 to 1"));
    assert_null(strstr(s->why, "damaged record"));
    assert_non_null(strstr(node_world_node(w, 1)->catalog_why, "needs shardgated 0.2.0 or later"));
    node_check_ok(node_check_submit(w, 2, "y", ABA_A));
    restart(w, 1, 0);
    s = node_world_slot(w, 1, ABA_A);
    assert_string_equal(s->why, "");
    node_check_ok(node_check_submit(w, 1, "z", ABA_A));
    node_world_free(w);
}

static void a_node_of_another_build_is_told(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
    node_world_advance(w, 1000);
    const struct reply *r = ask(w, 0, REQUEST_STATUS);
    assert_false(node_check_has(r->json, "\"differs\",\"subject\""));
    node_world_node(w, 1)->options.build.b[0] = 1;
    node_world_node(w, 0)->options.build.b[0] = 2;
    node_world_advance(w, 1000);
    r = ask(w, 0, REQUEST_STATUS);
    node_check_ok(r);
    assert_true(node_check_has(r->json, "runs another build (010000000000)"));
    node_world_node(w, 1)->options.build = (struct digest){{0}};
    node_world_node(w, 1)->catalog_digest.b[0] ^= 1;
    node_world_advance(w, 1000);
    r = ask(w, 0, REQUEST_STATUS);
    assert_true(node_check_has(r->json, "has another catalog than n1 at version"));
    node_world_free(w);
}

/* --- Files ------------------------------------------------------------------------------ */

static enum sg_err kept_of(struct node_world *w, size_t node, uint64_t file)
{
    struct node *n = node_world_node(w, node);
    struct kv *kv = node_lane_of(n, ABA_A)->kv;
    struct kv_txn *txn;
    struct span bytes;
    assert_int_equal(kv_begin(kv, false, &txn), SG_OK);
    enum sg_err err = kept_get(kv, txn, ABA_A, file, &bytes);
    assert_true(err != SG_OK || (bytes.n >= 940 && bytes.p[0] == '1'));
    kv_abort(kv, txn);
    return err;
}

static uint64_t missing_of(struct node_world *w, size_t node)
{
    return shard_files_missing(node_world_slot(w, node, ABA_A)->shard);
}

static void seal_one(struct node_world *w, const char *id)
{
    node_check_ok(node_check_submit(w, 0, id, ABA_A));
    node_check_ok(node_world_verb(w, 0, REQUEST_WINDOWS_CLOSE, ABA_A, (const char *const[]){NULL}));
    node_world_advance(w, 3000);
}

static void every_replica_keeps_every_file(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(2);
    seal_one(w, "a");
    node_world_kill(w, 2);
    seal_one(w, "b");
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(kept_of(w, i, 1), SG_OK);
        assert_int_equal(kept_of(w, i, 2), SG_OK);
        assert_true(missing_of(w, i) == 0);
    }
    assert_int_equal(node_world_start(w, 2), SG_OK);
    node_world_advance(w, 4000);
    assert_int_equal(kept_of(w, 2, 1), SG_OK);
    assert_int_equal(kept_of(w, 2, 2), SG_OK); /* Sealed while it was away. */
    assert_true(missing_of(w, 2) == 0);
    node_world_free(w);
}

/* By the bytes of a transfer's row: sealed ones that are others now. */
static bool change_a_transfer(struct node_world *w, size_t node)
{
    struct node *n = node_world_node(w, node);
    struct lane *l = node_lane_of(n, ABA_A);
    uint8_t prefix[9];
    struct kv_txn *txn;
    struct kv_cursor c;
    struct bytes value = BYTES_NONE, key = BYTES_NONE;
    be64_put(prefix, ABA_A);
    prefix[8] = TABLE_TRANSFERS;
    assert_int_equal(kv_begin(l->kv, true, &txn), SG_OK);
    kv_cursor_init(&c, l->kv, txn, KV_STATE, span_of(prefix, sizeof(prefix)));
    bool found = kv_next(&c) == SG_OK;
    if (found) {
        bytes_set(&value, c.value);
        bytes_set(&key, c.key);
        for (size_t i = 0; i + 4 < value.n; i++) {
            if (memcmp(value.p + i, "JANE", 4) == 0) {
                value.p[i] = 'K';
            }
        }
        assert_int_equal(kv_put(l->kv, txn, KV_STATE, span_bytes(&key), span_bytes(&value)), SG_OK);
    }
    kv_cursor_release(&c);
    assert_int_equal(kv_commit(l->kv, txn), SG_OK);
    bytes_release(&value);
    bytes_release(&key);
    return found;
}

/* Its rows are not those of the others, so it believes none of them and gets the leader's. */
static void a_replica_with_another_file_is_rebuilt(void **state)
{
    (void)state;
    struct node_world *w = node_check_serving(1);
    size_t leader = node_world_leader(w, ABA_A, 5000);
    size_t other = (leader + 1) % 3;
    node_check_ok(node_check_submit(w, leader, "a", ABA_A));
    node_world_advance(w, 1000);
    assert_true(change_a_transfer(w, other));
    node_check_ok(node_world_verb(w, leader, REQUEST_WINDOWS_CLOSE, ABA_A, (const char *const[]){NULL}));
    node_world_advance(w, 3000);
    const struct lane_slot *s = node_world_slot(w, other, ABA_A);
    struct group_status status;
    group_status(shard_group(s->shard), &status);
    assert_int_equal(status.rebuilds, 1);
    assert_false(status.is_rebuilding);
    assert_int_equal(kept_of(w, leader, 1), SG_OK);
    node_check_ok(node_check_submit(w, leader, "b", ABA_A));
    node_world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_when_a_level_may_go_up),
        cmocka_unit_test(waits_for_files_and_shards),
        cmocka_unit_test(a_new_cluster_begins_at_the_highest),
        cmocka_unit_test(goes_up_when_a_person_says_so),
        cmocka_unit_test(goes_up_by_itself_in_time),
        cmocka_unit_test(an_old_program_stops_and_says_why),
        cmocka_unit_test(a_node_of_another_build_is_told),
        cmocka_unit_test(every_replica_keeps_every_file),
        cmocka_unit_test(a_replica_with_another_file_is_rebuilt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
