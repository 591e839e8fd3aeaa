/* The control plane's state: check, plan, apply, model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/base/mem.h"
#include "shard/ach/window.h"
#include "storage/mem_kv.h"
#include "supervisor/catalog/catalog.h"
#include "supervisor/config/cluster_yaml.h"
#include "tests/support/catalog_rig.h"

#define ENDPOINT "endpoints:\n  bank: {kind: directory, drop_dir: in, staging_dir: st}\n"
#define ORIGINATOR "originators:\n  acme: {company_name: ACME, company_id: \"1234567890\"}\n"
#define SHARD_HEAD "destination_name: B, origin: \"121042882\", origin_name: A, windows: {zone: UTC}"
#define SHARD(aba, more) "  \"" aba "\": {" SHARD_HEAD ", " more "}\n"
#define BASE ENDPOINT ORIGINATOR "calendars:\n  fed: {holidays: federal-reserve}\n"

/* --- Check --------------------------------------------------------------------------- */

static void refuses_what_does_not_fit_together(void **state)
{
    static const struct {
        const char *yaml, *part;
    } rows[] = {
        {BASE "shards:\n" SHARD("231380104", "endpoint: nope"), "shard 231380104: there is no endpoint nope"},
        {BASE "shards:\n" SHARD("231380104", "endpoint: bank, originators: [acme, nope]"),
         "there is no originator nope"},
        {BASE "shards:\n  \"231380104\": {endpoint: bank, destination_name: B, origin: \"121042882\", "
              "origin_name: A, windows: {zone: UTC, calendar: nope}}\n",
         "there is no calendar nope"},
        {BASE "shards:\n" SHARD("231380104", "endpoint: bank, replicas: [n1]"),
         "1 nodes; 2 to 5 are allowed"},
        {BASE "shards:\n" SHARD("231380104", "endpoint: bank, replicas: [n1, n2, n9]"),
         "there is no node n9"},
        {BASE "shards:\n" SHARD("231380104", "endpoint: bank, replicas: [n1, n2, n1]"), "n1 is named twice"},
        {BASE "shards:\n" SHARD("231380104", "endpoint: bank, replicas: [n1, n2], preferred: n3"),
         "preferred: n3 holds no replica"},
        {BASE "shards:\n" SHARD("231380104", "endpoint: bank, balanced: true"),
         "balanced: true is not supported"},
        {BASE "shards:\n" SHARD("231380104", "endpoint: bank, file_name: \"{date}.ach\""),
         "a name would come twice"},
        {BASE "shards:\n" SHARD("231380104", "endpoint: bank")
             SHARD("121042882", "endpoint: bank, odfi: \"23138010\""),
         "shards 121042882 and 231380104 both send for ODFI 23138010"},
        {"endpoints:\n  e: {kind: directory, drop_dir: a, staging_dir: ./a/}\n",
         "staging_dir must not be drop_dir:"},
        {"endpoints:\n  e: {kind: directory, drop_dir: /x//a, staging_dir: s}\n"
         "  f: {kind: directory, drop_dir: d, staging_dir: /x/./a/}\n",
         "endpoint f: staging_dir must not be drop_dir of endpoint e"},
        {"endpoints:\n  e: {kind: directory, drop_dir: a, staging_dir: s, rate_limit: 1023B/s}\n",
         "rate_limit is below 1024"},
        {ENDPOINT "  other: {kind: directory, drop_dir: ./in, staging_dir: st2}\n" ORIGINATOR
                  "shards:\n" SHARD("231380104", "endpoint: bank, file_name: \"{date}-{modifier}.ach\"")
                      SHARD("121042882", "endpoint: other, file_name: \"{date}-{modifier}.ach\""),
         "shards 121042882 and 231380104 send files to the same drop_dir in"},
        {BASE "shards:\n" SHARD("231380104", "endpoint: bank, file_name: \"{window}{date}{modifier}\"")
             SHARD("121042882", "endpoint: bank, file_name: \"X{date}{modifier}\""),
         "the same drop_dir"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct catalog_rig *r = catalog_rig_new(3);
        struct catalog_plan plan;
        enum sg_err err = catalog_rig_plan(r, rows[i].yaml, &plan);
        assert_int_equal(err, SG_INVALID);
        if (strstr(r->why, rows[i].part) == NULL) {
            fail_msg("row %zu: \"%s\" is not in \"%s\"", i, rows[i].part, r->why);
        }
        /* apply does not rely on the plan. */
        struct bytes before = catalog_rig_content(r);
        uint64_t version = r->model->version;
        assert_int_equal(catalog_rig_apply(r, version, plan.changes, plan.changes_count), SG_INVALID);
        assert_non_null(strstr(r->why, rows[i].part));
        struct bytes after = catalog_rig_content(r);
        assert_true(span_eq(span_bytes(&before), span_bytes(&after)));
        assert_int_equal(r->model->version, version);
        assert_int_equal(r->last.version, version);
        bytes_release(&before);
        bytes_release(&after);
        catalog_rig_free(r);
    }
}

static void lets_shards_share_a_directory(void **state)
{
    static const char *const rows[] = {
        BASE "shards:\n" SHARD("231380104", "endpoint: bank") SHARD("121042882", "endpoint: bank"),
        BASE "shards:\n" SHARD("231380104", "endpoint: bank, file_name: \"A-{date}-{modifier}\"")
            SHARD("121042882", "endpoint: bank, file_name: \"B-{date}-{modifier}\""),
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct catalog_rig *r = catalog_rig_new(3);
        catalog_rig_applied(r, rows[i]);
        catalog_rig_free(r);
    }
}

static void names_are_plain(void **state)
{
    static const struct {
        const char *name;
        bool good;
    } rows[] = {
        {"a", true},         {"bank-1.main_x", true}, {"9", true},     {"", false},
        {".hidden", false},  {"-flag", false},        {"a b", false},  {"a/b", false},
        {"\xc3\xa9", false}, {"a\"", false},          {"a\nb", false},
    };
    char longest[NAME_SIZE_MAX + 2];
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(catalog_is_name(span_str(rows[i].name)), rows[i].good);
    }
    memset(longest, 'x', sizeof longest);
    assert_true(catalog_is_name(span_of(longest, NAME_SIZE_MAX)));
    assert_false(catalog_is_name(span_of(longest, NAME_SIZE_MAX + 1)));
}

/* --- Plan and apply ----------------------------------------------------------------------- */

static void applies_once_and_finds_nothing_to_change(void **state)
{
    static const char yaml[] = BASE "shards:\n" SHARD("231380104", "endpoint: bank, originators: [acme]")
        SHARD("121042882", "endpoint: bank, preferred: n2") "defaults: {unknown_routing_number: refuse}\n";
    struct catalog_rig *r = catalog_rig_new(3);
    struct catalog_plan plan;
    (void)state;
    assert_int_equal(catalog_rig_plan(r, yaml, &plan), SG_OK);
    assert_int_equal(plan.changes_count, 5);
    assert_true(span_is(plan.lines[0], "+ endpoint bank"));
    assert_true(span_is(plan.lines[4], "+ shard 121042882"));
    assert_int_equal(plan.shards_count, 2);
    catalog_rig_applied(r, yaml);
    assert_int_equal(r->model->cluster.shards_count, 2);
    assert_int_equal(r->model->shards[0].settings.routing_number.n, 121042882);
    assert_int_equal(r->model->shards[0].preferred, 2);
    assert_int_equal(r->model->shards[0].replicas_count, 3);
    assert_int_equal(catalog_rig_plan(r, yaml, &plan), SG_OK);
    assert_int_equal(plan.changes_count, 0);
    assert_int_equal(plan.lines_count, 0);
    assert_int_equal(plan.shards_count, 0);
    catalog_rig_free(r);
}

static void a_change_gives_its_users_a_new_version(void **state)
{
    struct catalog_rig *r = catalog_rig_new(3);
    struct catalog_plan plan;
    (void)state;
    catalog_rig_applied(r, BASE "shards:\n" SHARD("231380104", "endpoint: bank, originators: [acme]")
                               SHARD("121042882", "endpoint: bank"));
    uint64_t before = r->model->version;
    /* The plan names those that use it, although the file has no shard. */
    assert_int_equal(catalog_rig_plan(r,
                                      "originators:\n  acme: {company_name: ACME 2, company_id: "
                                      "\"1234567890\"}\n",
                                      &plan),
                     SG_OK);
    assert_int_equal(plan.shards_count, 1);
    assert_int_equal(plan.shards[0].n, 231380104);
    catalog_rig_applied(r, "originators:\n  acme: {company_name: ACME 2, company_id: \"1234567890\"}\n");
    assert_int_equal(r->model->version, before + 1);
    assert_int_equal(catalog_model_shard(r->model, (struct aba){231380104})->version, before + 1);
    assert_int_equal(catalog_model_shard(r->model, (struct aba){121042882})->version, before);
    assert_int_equal(
        catalog_rig_plan(r, "shards:\n" SHARD("121042882", "endpoint: bank, preferred: n3"), &plan), SG_OK);
    assert_int_equal(plan.lines_count, 1);
    assert_true(span_is(plan.lines[0], "~ shard 121042882"));
    assert_int_equal(plan.shards_count, 1);
    assert_int_equal(plan.shards[0].n, 121042882);
    /* What the file does not name stays. */
    catalog_rig_applied(r, "shards:\n" SHARD("121042882", "endpoint: bank, preferred: n3"));
    assert_int_equal(r->model->cluster.shards_count, 2);
    assert_int_equal(r->model->cluster.endpoints_count, 1);
    catalog_rig_free(r);
}

static void composes_what_a_shard_needs(void **state)
{
    struct catalog_rig *r = catalog_rig_new(3);
    struct bytes encoded = BYTES_NONE;
    struct settings s;
    (void)state;
    catalog_rig_applied(
        r, BASE "shards:\n  \"231380104\": {endpoint: bank, destination_name: B, origin: \"121042882\", "
                "origin_name: A, originators: [acme], windows: {zone: UTC, calendar: fed}}\n");
    catalog_model_compose(r->model, &r->model->shards[0], "demo", &encoded);
    assert_int_equal(settings_decode(span_bytes(&encoded), &r->arena, &s), SG_OK);
    assert_true(span_is(s.cluster, "demo"));
    assert_true(span_is(s.endpoint.drop_dir, "in"));
    assert_true(span_is(s.calendar.name, "fed"));
    assert_int_equal(s.originators_count, 1);
    assert_true(span_is(s.originators[0].company_name, "ACME"));
    assert_int_equal(s.version, r->model->version);
    bytes_release(&encoded);
    catalog_rig_free(r);
}

/* Banking days without a calendar are the Federal Reserve's, in the check and in
 * what the shard gets. */
static void no_calendar_is_the_feds(void **state)
{
    struct catalog_rig *r = catalog_rig_new(3);
    struct bytes encoded = BYTES_NONE;
    struct settings s;
    (void)state;
    catalog_rig_applied(
        r, BASE "shards:\n  \"231380104\": {endpoint: bank, destination_name: B, origin: \"121042882\", "
                "origin_name: A, originators: [acme], windows: {zone: UTC, on: banking-days}}\n");
    catalog_model_compose(r->model, &r->model->shards[0], "demo", &encoded);
    assert_int_equal(settings_decode(span_bytes(&encoded), &r->arena, &s), SG_OK);
    assert_true(s.calendar.federal_reserve);
    assert_false(window_is_day(&s, day_of(2027, 7, 5)));
    assert_true(window_is_day(&s, day_of(2027, 7, 6)));
    bytes_release(&encoded);
    catalog_rig_free(r);
}

static void refuses_to_move_replicas(void **state)
{
    struct catalog_rig *r = catalog_rig_new(4);
    struct catalog_plan plan;
    (void)state;
    catalog_rig_applied(r, BASE "shards:\n" SHARD("231380104", "endpoint: bank, replicas: [n1, n2, n3]"));
    assert_int_equal(
        catalog_rig_plan(r, "shards:\n" SHARD("231380104", "endpoint: bank, replicas: [n1, n2, n4]"), &plan),
        SG_REFUSED);
    assert_non_null(strstr(r->why, "its replicas would change"));
    assert_int_equal(
        catalog_rig_plan(r, "shards:\n" SHARD("231380104", "endpoint: bank, replicas: [n1, n2]"), &plan),
        SG_REFUSED);
    assert_int_equal(
        catalog_rig_plan(r, "shards:\n" SHARD("231380104", "endpoint: bank, replicas: [n3, n1, n2]"), &plan),
        SG_OK);
    assert_int_equal(catalog_rig_plan(r, "shards:\n" SHARD("231380104", "endpoint: bank"), &plan), SG_OK);
    catalog_rig_free(r);
}

static void refuses_what_this_version_has_not(void **state)
{
    struct catalog_rig *r = catalog_rig_new(3);
    struct catalog_plan plan;
    (void)state;
    assert_int_equal(catalog_rig_plan(r, "defaults: {unknown_routing_number: park}\n", &plan), SG_INVALID);
    assert_non_null(strstr(r->why, "only refuse is available"));
    catalog_rig_free(r);
}

/* --- Apply alone -------------------------------------------------------------------------- */

static void takes_a_command_on_its_version_only(void **state)
{
    struct catalog_rig *r = catalog_rig_new(3);
    struct catalog_plan plan;
    (void)state;
    assert_int_equal(catalog_rig_plan(r, BASE, &plan), SG_OK);
    uint64_t version = r->model->version;
    assert_int_equal(catalog_rig_apply(r, version - 1, plan.changes, plan.changes_count), SG_CONFLICT);
    assert_non_null(strstr(r->why, "changed meanwhile"));
    assert_int_equal(catalog_rig_apply(r, version, plan.changes, plan.changes_count), SG_OK);
    assert_int_equal(r->last.version, r->index);
    assert_int_equal(catalog_rig_apply(r, version, plan.changes, plan.changes_count), SG_CONFLICT);
    catalog_rig_free(r);
}

static void a_node_keeps_its_identity(void **state)
{
    struct catalog_rig *r = catalog_rig_new(3);
    (void)state;
    struct catalog_change same = catalog_rig_node(r, 2, "n2", "n2", 2);
    struct catalog_change disk = catalog_rig_node(r, 2, "n2", "n2", 9);
    struct catalog_change id = catalog_rig_node(r, 3, "n2", "n2", 2);
    assert_int_equal(catalog_rig_apply(r, r->model->version, &same, 1), SG_OK);
    assert_int_equal(catalog_rig_apply(r, r->model->version, &disk, 1), SG_CONFLICT);
    assert_non_null(strstr(r->why, "another data directory"));
    assert_int_equal(catalog_rig_apply(r, r->model->version, &id, 1), SG_CONFLICT);
    catalog_rig_free(r);
}

/* What a leader of ours never proposes must still leave nothing behind. */
static void survives_strange_commands(void **state)
{
    struct catalog_rig *r = catalog_rig_new(3);
    (void)state;
    catalog_rig_applied(r, BASE);
    struct bytes before = catalog_rig_content(r);
    struct catalog_change twice[] = {catalog_rig_node(r, 4, "n4", "n4", 4),
                                     catalog_rig_node(r, 4, "n4", "n4", 4)};
    struct catalog_change other_key = catalog_rig_node(r, 4, "n4", "n5", 4);
    struct catalog_change rubbish[] = {catalog_rig_node(r, 4, "n4", "n4", 4),
                                       {CATALOG_SHARD, span_str("231380104"), span_str("\x01\x02rubbish")}};
    assert_int_equal(catalog_rig_apply(r, r->model->version, twice, 2), SG_CONFLICT);
    assert_non_null(strstr(r->why, "node n4 is named twice"));
    assert_int_equal(catalog_rig_apply(r, r->model->version, &other_key, 1), SG_INVALID);
    assert_int_equal(catalog_rig_apply(r, r->model->version, rubbish, 2), SG_INVALID);
    assert_int_equal(catalog_rig_apply_bytes(r, span_str("no command")), SG_UNSUPPORTED);
    assert_int_equal(catalog_rig_apply_bytes(r, SPAN_NONE), SG_UNSUPPORTED);
    struct bytes after = catalog_rig_content(r);
    assert_true(span_eq(span_bytes(&before), span_bytes(&after)));
    assert_int_equal(catalog_rig_apply(r, r->model->version, NULL, 0), SG_OK);
    bytes_release(&before);
    bytes_release(&after);
    catalog_rig_free(r);
}

static void a_damaged_row_leaves_the_model_as_it_was(void **state)
{
    struct catalog_rig *r = catalog_rig_new(3);
    struct kv_txn *txn;
    struct rows rows;
    (void)state;
    catalog_rig_applied(r, BASE);
    assert_true(mem_kv_flip_bit_at(r->disk, KV_STATE, 1, 17));
    assert_int_equal(kv_begin(&r->kv, false, &txn), SG_OK);
    rows_init(&rows, &r->kv, txn, 0);
    assert_int_equal(catalog_model_load(r->model, &rows), SG_CORRUPT);
    rows_release(&rows);
    kv_abort(&r->kv, txn);
    assert_int_equal(r->model->cluster.endpoints_count, 1);
    assert_int_equal(r->model->nodes_count, 3);
    catalog_rig_free(r);
}

struct failing {
    unsigned left;
};

static enum sg_err damaged_once(void *impl, enum mem_kv_op op)
{
    struct failing *f = impl;
    bool is_read = op == MEM_KV_GET || op == MEM_KV_SEEK;
    return is_read && f->left > 0 && --f->left == 0 ? SG_CORRUPT : SG_OK;
}

/* One replica may meet damage where others do not: it must stop and never
 * answer otherwise than they do (I-3). */
static void damage_is_never_a_refusal(void **state)
{
    struct failing f = {0};
    enum sg_err err = SG_CORRUPT;
    (void)state;
    for (unsigned n = 1; err != SG_OK; n++) {
        struct catalog_rig *r = catalog_rig_new(3);
        struct catalog_change change = catalog_rig_node(r, 4, "n4", "n4", 4);
        struct catalog_command c = {.level = LEVEL_MIN,
                                    .base_version = r->model->version,
                                    .node = span_str("n1"),
                                    .changes = &change,
                                    .changes_count = 1};
        struct digester digester;
        struct catalog_result result = {.err = SG_OK};
        struct bytes encoded = BYTES_NONE;
        struct bytes out = BYTES_NONE;
        struct kv_txn *txn;
        struct rows rows;

        catalog_command_encode(&c, &encoded);
        digester_init(&digester);
        f.left = n;
        mem_kv_set_fault(r->disk, damaged_once, &f);
        assert_int_equal(kv_begin(&r->kv, true, &txn), SG_OK);
        rows_init(&rows, &r->kv, txn, 0);
        rows.digester = &digester;
        err = catalog_apply(&rows, ++r->index, 1, span_bytes(&encoded), &out);
        assert_true(err == SG_OK || err == SG_CORRUPT);
        assert_true((err == SG_OK) == (f.left > 0));
        if (err == SG_OK) {
            assert_int_equal(catalog_result_decode(span_bytes(&out), &r->arena, &result), SG_OK);
            assert_int_equal(result.err, SG_OK);
        }
        rows_release(&rows);
        kv_abort(&r->kv, txn);
        bytes_release(&encoded);
        bytes_release(&out);
        catalog_rig_free(r);
    }
}

/* --- Many ------------------------------------------------------------------------------------ */

static void aba_nth(unsigned n, char out[ABA_TEXT_SIZE])
{
    uint32_t eight = 1100000 + n;
    (void)aba_text((struct aba){eight * 10 + aba_check_digit(eight)}, out);
}

static void spreads_a_thousand_shards(void **state)
{
    struct catalog_rig *r = catalog_rig_new(5);
    struct bytes yaml = BYTES_NONE;
    size_t load[5] = {0};
    size_t first[5] = {0};
    struct catalog_plan plan;
    char aba[ABA_TEXT_SIZE];
    (void)state;
    bytes_printf(&yaml, BASE "shards:\n");
    for (unsigned i = 0; i < 1000; i++) {
        aba_nth(i, aba);
        bytes_printf(&yaml, "  \"%s\": {" SHARD_HEAD ", endpoint: bank}\n", aba);
    }
    bytes_append(&yaml, "", 1);
    catalog_rig_applied(r, (const char *)yaml.p);
    assert_int_equal(r->model->cluster.shards_count, 1000);
    for (size_t i = 0; i < 1000; i++) {
        const struct catalog_shard *s = &r->model->shards[i];
        assert_int_equal(s->replicas_count, 3);
        for (size_t k = 0; k < 3; k++) {
            load[s->replicas[k] - 1]++;
        }
        first[s->replicas[s->settings.routing_number.n % 3] - 1]++;
    }
    for (size_t i = 0; i < 5; i++) {
        assert_int_equal(load[i], 600);
        assert_in_range(first[i], 120, 280);
    }
    assert_int_equal(catalog_rig_plan(r, (const char *)yaml.p, &plan), SG_OK);
    assert_int_equal(plan.changes_count, 0);
    bytes_release(&yaml);
    catalog_rig_free(r);
}

static void finds_the_nearest_routing_number(void **state)
{
    static const struct {
        uint32_t asked, nearest;
    } rows[] = {
        {231380105, 231380104}, /* One digit. */
        {213380104, 231380104}, /* Two change places. */
        {121042882, 121042882}, /* Itself. */
        {999999999, 0},         /* Nothing like it. */
        {0, 0},
    };
    struct catalog_rig *r = catalog_rig_new(3);
    (void)state;
    catalog_rig_applied(r, BASE "shards:\n" SHARD("231380104", "endpoint: bank")
                               SHARD("121042882", "endpoint: bank"));
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(catalog_model_nearest(r->model, (struct aba){rows[i].asked}).n, rows[i].nearest);
    }
    assert_null(catalog_model_shard(r->model, (struct aba){999999999}));
    catalog_rig_free(r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(refuses_what_does_not_fit_together),
        cmocka_unit_test(lets_shards_share_a_directory),
        cmocka_unit_test(names_are_plain),
        cmocka_unit_test(applies_once_and_finds_nothing_to_change),
        cmocka_unit_test(a_change_gives_its_users_a_new_version),
        cmocka_unit_test(composes_what_a_shard_needs),
        cmocka_unit_test(no_calendar_is_the_feds),
        cmocka_unit_test(refuses_to_move_replicas),
        cmocka_unit_test(refuses_what_this_version_has_not),
        cmocka_unit_test(takes_a_command_on_its_version_only),
        cmocka_unit_test(a_node_keeps_its_identity),
        cmocka_unit_test(survives_strange_commands),
        cmocka_unit_test(a_damaged_row_leaves_the_model_as_it_was),
        cmocka_unit_test(damage_is_never_a_refusal),
        cmocka_unit_test(spreads_a_thousand_shards),
        cmocka_unit_test(finds_the_nearest_routing_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
