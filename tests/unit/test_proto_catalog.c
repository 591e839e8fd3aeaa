/* What stands in the catalog's log and rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "proto/catalog.h"
#include "tests/support/test_mutate.h"

static struct node_settings sample_node(void)
{
    struct node_settings n = {.id = 3,
                              .name = span_str("n3"),
                              .peer = span_str("tcp://10.0.0.3:7430"),
                              .client = span_str("tcp://10.0.0.3:7431")};
    for (size_t i = 0; i < IDENTITY_SIZE; i++) {
        n.identity.b[i] = (uint8_t)(0xf0 + i);
    }
    return n;
}

static void encode_command(struct bytes *out)
{
    struct catalog_change changes[] = {
        {CATALOG_ENDPOINT, span_str("bank"), span_str("an endpoint")},
        {CATALOG_SHARD, span_str("231380104"), span_str("\0\1\2")},
        {CATALOG_DEFAULTS, SPAN_NONE, span_str("defaults")},
    };
    changes[1].encoded = span_of("\0\1\2", 3);
    struct catalog_command c = {.level = LEVEL_MIN,
                                .time_ms = 1795000000123,
                                .node = span_str("n1"),
                                .base_version = UINT64_MAX,
                                .changes = changes,
                                .changes_count = 3};
    catalog_command_encode(&c, out);
}

static void encode_result(struct bytes *out)
{
    struct catalog_result r = {.err = SG_CONFLICT, .reason = span_str("why"), .version = 77};
    catalog_result_encode(&r, out);
}

static void encode_row(struct bytes *out)
{
    struct catalog_row r = {.version = 12, .encoded = span_str("an object")};
    catalog_row_encode(&r, out);
}

static void encode_node(struct bytes *out)
{
    struct node_settings n = sample_node();
    node_settings_encode(&n, out);
}

static void encode_defaults(struct bytes *out)
{
    struct defaults_settings d = {.unknown_routing_number = UNKNOWN_PARK, .finalize_after_ms = 60000};
    defaults_settings_encode(&d, out);
}

/* Decodes and encodes again; false: not such an encoding. */
static bool again_command(struct span data, struct arena *a, struct bytes *out)
{
    struct catalog_command c;
    if (catalog_command_decode(data, a, &c) != SG_OK) {
        return false;
    }
    catalog_command_encode(&c, out);
    return true;
}

static bool again_result(struct span data, struct arena *a, struct bytes *out)
{
    struct catalog_result r;
    if (catalog_result_decode(data, a, &r) != SG_OK) {
        return false;
    }
    catalog_result_encode(&r, out);
    return true;
}

static bool again_row(struct span data, struct arena *a, struct bytes *out)
{
    struct catalog_row r;
    if (catalog_row_decode(data, a, &r) != SG_OK) {
        return false;
    }
    catalog_row_encode(&r, out);
    return true;
}

static bool again_node(struct span data, struct arena *a, struct bytes *out)
{
    struct node_settings n;
    if (node_settings_decode(data, a, &n) != SG_OK) {
        return false;
    }
    node_settings_encode(&n, out);
    return true;
}

static bool again_defaults(struct span data, struct arena *a, struct bytes *out)
{
    struct defaults_settings d;
    if (defaults_settings_decode(data, a, &d) != SG_OK) {
        return false;
    }
    defaults_settings_encode(&d, out);
    return true;
}

struct codec {
    const char *name;
    void (*sample)(struct bytes *out);
    bool (*again)(struct span data, struct arena *a, struct bytes *out);
};

static const struct codec codecs[] = {
    {"command", encode_command, again_command},
    {"result", encode_result, again_result},
    {"row", encode_row, again_row},
    {"node", encode_node, again_node},
    {"defaults", encode_defaults, again_defaults},
};
#define CODECS (sizeof codecs / sizeof codecs[0])

static void comes_back_byte_for_byte(void **state)
{
    (void)state;
    for (size_t i = 0; i < CODECS; i++) {
        struct arena a = ARENA_INIT;
        struct bytes once = BYTES_NONE;
        struct bytes twice = BYTES_NONE;
        codecs[i].sample(&once);
        if (!codecs[i].again(span_bytes(&once), &a, &twice) ||
            !span_eq(span_bytes(&once), span_bytes(&twice))) {
            fail_msg("%s", codecs[i].name);
        }
        bytes_release(&once);
        bytes_release(&twice);
        arena_release(&a);
    }
}

static void comes_back_field_by_field(void **state)
{
    struct arena a = ARENA_INIT;
    struct bytes data = BYTES_NONE;
    struct catalog_command c;
    struct node_settings n;
    struct node_settings sample = sample_node();
    (void)state;
    encode_command(&data);
    assert_int_equal(catalog_command_decode(span_bytes(&data), &a, &c), SG_OK);
    assert_int_equal(c.time_ms, 1795000000123);
    assert_true(span_is(c.node, "n1"));
    assert_true(c.base_version == UINT64_MAX);
    assert_int_equal(c.changes_count, 3);
    assert_int_equal(c.changes[1].kind, CATALOG_SHARD);
    assert_true(span_is(c.changes[1].name, "231380104"));
    assert_int_equal(c.changes[1].encoded.n, 3);
    assert_int_equal(c.changes[2].name.n, 0);
    bytes_clear(&data);
    node_settings_encode(&sample, &data);
    assert_int_equal(node_settings_decode(span_bytes(&data), &a, &n), SG_OK);
    assert_int_equal(n.id, 3);
    assert_true(span_is(n.client, "tcp://10.0.0.3:7431"));
    assert_memory_equal(&n.identity, &sample.identity, sizeof n.identity);
    bytes_release(&data);
    arena_release(&a);
}

/* What is accepted is usable: it can be encoded, and that comes back. */
static void decode_damaged(struct span data, void *arg)
{
    const struct codec *c = arg;
    struct arena a = ARENA_INIT;
    struct bytes once = BYTES_NONE;
    struct bytes twice = BYTES_NONE;
    if (c->again(data, &a, &once)) {
        assert_true(c->again(span_bytes(&once), &a, &twice));
        assert_true(span_eq(span_bytes(&once), span_bytes(&twice)));
    }
    bytes_release(&once);
    bytes_release(&twice);
    arena_release(&a);
}

static void survives_damage(void **state)
{
    (void)state;
    for (size_t i = 0; i < CODECS; i++) {
        struct bytes data = BYTES_NONE;
        struct codec codec = codecs[i];
        codec.sample(&data);
        test_mutate(span_bytes(&data), decode_damaged, &codec, 5000, i + 1);
        bytes_release(&data);
    }
}

static void refuses_what_is_out_of_range(void **state)
{
    char long_name[NAME_SIZE_MAX + 1];
    struct arena a = ARENA_INIT;
    struct bytes data = BYTES_NONE;
    (void)state;
    memset(long_name, 'x', sizeof long_name);
    const struct {
        const char *what;
        struct catalog_change change;
    } changes[] = {
        {"no kind", {CATALOG_NONE, span_str("x"), span_str("y")}},
        {"a kind to come", {CATALOG_KINDS, span_str("x"), span_str("y")}},
        {"a name too long", {CATALOG_NODE, span_of(long_name, sizeof long_name), span_str("y")}},
        {"an empty object", {CATALOG_NODE, span_str("x"), SPAN_NONE}},
    };
    for (size_t i = 0; i < sizeof changes / sizeof changes[0]; i++) {
        struct catalog_change change = changes[i].change;
        struct catalog_command c = {.level = LEVEL_MIN, .changes = &change, .changes_count = 1};
        struct catalog_command out;
        bytes_clear(&data);
        catalog_command_encode(&c, &data);
        if (catalog_command_decode(span_bytes(&data), &a, &out) != SG_INVALID) {
            fail_msg("%s", changes[i].what);
        }
    }
    struct node_settings nodes[] = {sample_node(), sample_node(), sample_node(), sample_node()};
    nodes[0].id = 0;
    nodes[1].id = NODES_MAX + 1;
    nodes[2].name = SPAN_NONE;
    nodes[3].name = span_of(long_name, sizeof long_name);
    for (size_t i = 0; i < 4; i++) {
        struct node_settings out;
        bytes_clear(&data);
        node_settings_encode(&nodes[i], &data);
        assert_int_equal(node_settings_decode(span_bytes(&data), &a, &out), SG_INVALID);
    }
    for (int policy = 0; policy <= UNKNOWN_PARK + 1; policy += UNKNOWN_PARK + 1) {
        struct defaults_settings d = {.unknown_routing_number = (enum unknown_policy)policy};
        struct defaults_settings out;
        bytes_clear(&data);
        defaults_settings_encode(&d, &data);
        assert_int_equal(defaults_settings_decode(span_bytes(&data), &a, &out), SG_INVALID);
    }
    bytes_release(&data);
    arena_release(&a);
}

static void refuses_another_version(void **state)
{
    (void)state;
    for (size_t i = 0; i < CODECS; i++) {
        struct arena a = ARENA_INIT;
        struct bytes data = BYTES_NONE;
        struct bytes out = BYTES_NONE;
        codecs[i].sample(&data);
        assert_int_equal(data.p[0], 0x08); /* Field 1, a number. */
        data.p[1] = LEVEL_MAX + 1;
        assert_false(codecs[i].again(span_bytes(&data), &a, &out));
        assert_false(codecs[i].again(SPAN_NONE, &a, &out));
        bytes_release(&data);
        bytes_release(&out);
        arena_release(&a);
    }
}

/* As many as a command may hold, however small each is. */
static void takes_as_many_changes_as_allowed(void **state)
{
    struct catalog_change *changes = calloc(CATALOG_CHANGES_MAX, sizeof *changes);
    struct arena a = ARENA_INIT;
    struct bytes data = BYTES_NONE;
    struct catalog_command out;
    (void)state;
    for (size_t i = 0; i < CATALOG_CHANGES_MAX; i++) {
        changes[i] = (struct catalog_change){CATALOG_DEFAULTS, SPAN_NONE, span_str("x")};
    }
    struct catalog_command c = {.level = LEVEL_MIN, .changes = changes, .changes_count = CATALOG_CHANGES_MAX};
    catalog_command_encode(&c, &data);
    assert_int_equal(catalog_command_decode(span_bytes(&data), &a, &out), SG_OK);
    assert_int_equal(out.changes_count, CATALOG_CHANGES_MAX);
    /* One more: appending a field is how the wire form grows. */
    bytes_append(&data, "\x2a\x05\x08\x06\x1a\x01x", 7);
    assert_int_equal(catalog_command_decode(span_bytes(&data), &a, &out), SG_INVALID);
    bytes_release(&data);
    arena_release(&a);
    free(changes);
}

static void kinds_have_names(void **state)
{
    (void)state;
    for (enum catalog_kind k = CATALOG_NODE; k < CATALOG_KINDS; k++) {
        assert_string_not_equal(catalog_kind_name(k), "unknown");
    }
    assert_string_equal(catalog_kind_name(CATALOG_KINDS), "unknown");
    assert_string_equal(catalog_kind_name(CATALOG_SHARD), "shard");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comes_back_byte_for_byte), cmocka_unit_test(comes_back_field_by_field),
        cmocka_unit_test(survives_damage),          cmocka_unit_test(refuses_what_is_out_of_range),
        cmocka_unit_test(refuses_another_version),  cmocka_unit_test(takes_as_many_changes_as_allowed),
        cmocka_unit_test(kinds_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
