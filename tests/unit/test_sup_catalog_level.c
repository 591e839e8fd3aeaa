/* The catalog's level: moved by its log, never back, and not over the head of a program. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/catalog_rig.h"

static struct catalog_change level_change(struct catalog_rig *r, uint32_t level, const char *program)
{
    struct level_settings to = {.level = level, .program = span_str(program)};
    struct bytes encoded = BYTES_NONE;
    struct catalog_change change = {.kind = CATALOG_LEVEL};
    level_settings_encode(&to, &encoded);
    change.encoded = arena_dup(&r->arena, span_bytes(&encoded));
    bytes_release(&encoded);
    return change;
}

static enum sg_err apply_one(struct catalog_rig *r, struct catalog_change change)
{
    return catalog_rig_apply(r, r->model->version, &change, 1);
}

static void a_level_moves_by_the_log_and_never_back(void **state)
{
    struct catalog_rig *r = catalog_rig_new(3);
    struct catalog_plan plan;
    (void)state;
    assert_int_equal(r->model->level.level, 1);
    r->level = 2;
    assert_int_equal(apply_one(r, catalog_rig_node(r, 4, "n4", "n4", 4)), SG_CONFLICT);
    assert_non_null(strstr(r->why, "made under level 2; the catalog stands at level 1"));
    r->level = 1;
    /* A key of level 2 waits for it. */
    assert_int_equal(catalog_rig_plan(r, "defaults: {finalize_upgrade_after: 1h}\n", &plan), SG_INVALID);
    assert_non_null(strstr(r->why, "of level 2 and the cluster stands at level 1"));
    static const char keep[] = "endpoints:\n  bank: {kind: directory, drop_dir: in, staging_dir: st}\n"
                               "shards:\n  \"231380104\": {endpoint: bank, destination_name: B, origin: "
                               "\"121042882\", origin_name: A, "
                               "windows: {zone: UTC}, text: keep}\n";
    assert_int_equal(catalog_rig_plan(r, keep, &plan), SG_INVALID);
    assert_non_null(strstr(r->why, "text: keep are of level 2"));
    assert_int_equal(apply_one(r, level_change(r, 2, "0.2.0")), SG_OK);
    assert_int_equal(r->model->level.level, 2);
    assert_true(span_is(r->model->level.program, "0.2.0"));
    assert_int_equal(apply_one(r, level_change(r, 2, "0.2.0")), SG_CONFLICT);
    assert_int_equal(apply_one(r, level_change(r, 1, "0.1.0")), SG_CONFLICT);
    assert_non_null(strstr(r->why, "never goes back"));
    /* What was made before still counts, by the rules it was made under. */
    assert_int_equal(apply_one(r, catalog_rig_node(r, 4, "n4", "n4", 4)), SG_OK);
    r->level = 2;
    catalog_rig_applied(r, "defaults: {finalize_upgrade_after: 1h}\n");
    assert_int_equal(r->model->cluster.finalize_after_ms, 3600000);
    catalog_rig_applied(r, keep);
    assert_true(r->model->shards[0].settings.keep_case);
    catalog_rig_free(r);
}

static void stops_at_a_level_to_come(void **state)
{
    struct catalog_rig *r = catalog_rig_new(3);
    (void)state;
    struct bytes before = catalog_rig_content(r);
    assert_int_equal(apply_one(r, level_change(r, LEVEL_MAX + 1, "9.1.0")), SG_UNSUPPORTED);
    assert_non_null(strstr(r->why, "needs shardgated 9.1.0 or later"));
    struct bytes after = catalog_rig_content(r);
    assert_true(span_eq(span_bytes(&before), span_bytes(&after)));
    bytes_release(&before);
    bytes_release(&after);
    catalog_rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_level_moves_by_the_log_and_never_back),
        cmocka_unit_test(stops_at_a_level_to_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
