#include "tests/support/catalog_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "proto/base/mem.h"
#include "supervisor/config/cluster_yaml.h"

static void model_load(struct catalog_rig *r)
{
    struct kv_txn *txn;
    struct rows rows;
    assert_int_equal(kv_begin(&r->kv, false, &txn), SG_OK);
    rows_init(&rows, &r->kv, txn, 0);
    assert_int_equal(catalog_model_load(r->model, &rows), SG_OK);
    rows_release(&rows);
    kv_abort(&r->kv, txn);
}

enum sg_err catalog_rig_apply_bytes(struct catalog_rig *r, struct span command)
{
    struct digester digester;
    struct bytes result = BYTES_NONE;
    struct kv_txn *txn;
    struct rows rows;

    digester_init(&digester);
    assert_int_equal(kv_begin(&r->kv, true, &txn), SG_OK);
    rows_init(&rows, &r->kv, txn, 0);
    rows.digester = &digester;
    enum sg_err err = catalog_apply(&rows, ++r->index, 1, command, &result);
    rows_release(&rows);
    if (err == SG_UNSUPPORTED) { /* The replica stops here. */
        kv_abort(&r->kv, txn);
        (void)snprintf(r->why, sizeof r->why, "%s", kv_damage());
        return err;
    }
    assert_int_equal(err, SG_OK);
    assert_int_equal(kv_commit(&r->kv, txn), SG_OK);
    assert_int_equal(catalog_result_decode(arena_dup(&r->arena, span_bytes(&result)), &r->arena, &r->last),
                     SG_OK);
    bytes_release(&result);
    (void)span_cstr(r->last.reason, r->why, sizeof r->why);
    model_load(r);
    return r->last.err;
}

enum sg_err catalog_rig_apply(struct catalog_rig *r, uint64_t base, struct catalog_change *changes,
                              size_t count)
{
    struct catalog_command c = {.level = r->level != 0 ? r->level : LEVEL_MIN,
                                .time_ms = 1,
                                .node = span_str("n1"),
                                .base_version = base,
                                .changes = changes,
                                .changes_count = count};
    struct bytes encoded = BYTES_NONE;
    catalog_command_encode(&c, &encoded);
    enum sg_err err = catalog_rig_apply_bytes(r, span_bytes(&encoded));
    bytes_release(&encoded);
    return err;
}

struct catalog_change catalog_rig_node(struct catalog_rig *r, unsigned id, const char *key, const char *name,
                                       uint8_t identity)
{
    struct node_settings n = {
        .id = id, .name = span_str(name), .peer = span_str("tcp://p"), .client = span_str("tcp://c")};
    struct bytes encoded = BYTES_NONE;
    struct catalog_change change = {.kind = CATALOG_NODE, .name = span_str(key)};
    n.identity.b[0] = identity;
    node_settings_encode(&n, &encoded);
    change.encoded = arena_dup(&r->arena, span_bytes(&encoded));
    bytes_release(&encoded);
    return change;
}

static void register_nodes(struct catalog_rig *r, size_t count)
{
    static const char *const names[] = {"n1", "n2", "n3", "n4", "n5"};
    struct catalog_change changes[5];
    for (unsigned i = 0; i < count; i++) {
        changes[i] = catalog_rig_node(r, i + 1, names[i], names[i], (uint8_t)(i + 1));
    }
    assert_int_equal(catalog_rig_apply(r, 0, changes, count), SG_OK);
}

struct catalog_rig *catalog_rig_new(size_t nodes)
{
    struct catalog_rig *r = mem_zalloc(1, sizeof *r);
    r->disk = mem_kv_new("catalog");
    mem_kv_open(r->disk, &r->kv);
    r->arena = ARENA_INIT;
    r->model = catalog_model_new();
    if (nodes > 0) {
        register_nodes(r, nodes);
    }
    return r;
}

void catalog_rig_free(struct catalog_rig *r)
{
    catalog_model_free(r->model);
    arena_release(&r->arena);
    kv_close(&r->kv);
    mem_kv_free(r->disk);
    mem_free(r);
}

enum sg_err catalog_rig_plan(struct catalog_rig *r, const char *yaml, struct catalog_plan *plan)
{
    struct cluster_settings wanted;
    r->why[0] = '\0';
    if (cluster_yaml_parse(span_str(yaml), "t", &r->arena, &wanted, r->why, sizeof r->why) != SG_OK) {
        fail_msg("%s", r->why);
    }
    return catalog_plan(r->model, &wanted, &r->arena, plan, r->why, sizeof r->why);
}

void catalog_rig_applied(struct catalog_rig *r, const char *yaml)
{
    struct catalog_plan plan;
    if (catalog_rig_plan(r, yaml, &plan) != SG_OK) {
        fail_msg("%s", r->why);
    }
    if (catalog_rig_apply(r, r->model->version, plan.changes, plan.changes_count) != SG_OK) {
        fail_msg("%s", r->why);
    }
}

struct bytes catalog_rig_content(struct catalog_rig *r)
{
    struct bytes out = BYTES_NONE;
    struct kv_cursor c;
    struct kv_txn *txn;
    assert_int_equal(kv_begin(&r->kv, false, &txn), SG_OK);
    kv_cursor_init(&c, &r->kv, txn, KV_STATE, SPAN_NONE);
    while (kv_next(&c) == SG_OK) {
        bytes_append_span(&out, c.key);
        bytes_append_span(&out, c.value);
    }
    kv_cursor_release(&c);
    kv_abort(&r->kv, txn);
    return out;
}
