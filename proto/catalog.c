#include "proto/catalog.h"

#include "catalog.pb-c.h"
#include "proto/base/wire.h"

#define SCHEMA_VERSION 1

static const char *const kind_names[CATALOG_KINDS] = {
    [CATALOG_NONE] = "none",         [CATALOG_NODE] = "node",
    [CATALOG_ENDPOINT] = "endpoint", [CATALOG_ORIGINATOR] = "originator",
    [CATALOG_CALENDAR] = "calendar", [CATALOG_SHARD] = "shard",
    [CATALOG_DEFAULTS] = "defaults", [CATALOG_LEVEL] = "level",
};

const char *catalog_kind_name(enum catalog_kind kind)
{
    return (unsigned)kind < CATALOG_KINDS ? kind_names[kind] : "unknown";
}

#define CHANGE_AT(member) offsetof(struct catalog_change, member)
static const struct wire_field change_fields[] = {
    {1, WIRE_ENUM, CHANGE_AT(kind), CATALOG_NONE + 1, CATALOG_KINDS - 1},
    {2, WIRE_SPAN, CHANGE_AT(name), 0, NAME_SIZE_MAX},
    {3, WIRE_SPAN, CHANGE_AT(encoded), 1, SETTINGS_SIZE_MAX_BYTES},
};
static const struct wire_message change_message = {
    &shardgate__v1__catalog_change__descriptor,
    WIRE_TABLE(change_fields),
    .size = sizeof(struct catalog_change),
    .is_input = true,
};

#define COMMAND_AT(member) offsetof(struct catalog_command, member)
static const struct wire_field command_fields[] = {
    {1, WIRE_U32, COMMAND_AT(level), LEVEL_MIN, LEVEL_MAX},
    {2, WIRE_SIGNED, COMMAND_AT(time_ms), 0, 0},
    {3, WIRE_SPAN, COMMAND_AT(node), 0, SIZE_MAX},
    {4, WIRE_U64, COMMAND_AT(base_version), 0, UINT64_MAX},
    {5, WIRE_MANY, COMMAND_AT(changes), 0, CATALOG_CHANGES_MAX, &change_message, COMMAND_AT(changes_count)},
};
static const struct wire_message command_message = {
    &shardgate__v1__catalog_command__descriptor,
    WIRE_TABLE(command_fields),
    .size = sizeof(struct catalog_command),
};

#define RESULT_AT(member) offsetof(struct catalog_result, member)
static const struct wire_field result_fields[] = {
    {2, WIRE_ENUM, RESULT_AT(err), 0, SG_ERRS - 1},
    {3, WIRE_SPAN, RESULT_AT(reason), 0, SIZE_MAX},
    {4, WIRE_U64, RESULT_AT(version), 0, UINT64_MAX},
};
static const struct wire_message result_message = {
    &shardgate__v1__catalog_result__descriptor,
    WIRE_TABLE(result_fields),
    .size = sizeof(struct catalog_result),
    .version = SCHEMA_VERSION,
};

#define ROW_AT(member) offsetof(struct catalog_row, member)
static const struct wire_field row_fields[] = {
    {2, WIRE_U64, ROW_AT(version), 0, UINT64_MAX},
    {3, WIRE_SPAN, ROW_AT(encoded), 0, SIZE_MAX},
};
static const struct wire_message row_message = {
    &shardgate__v1__catalog_row__descriptor,
    WIRE_TABLE(row_fields),
    .size = sizeof(struct catalog_row),
    .version = SCHEMA_VERSION,
};

#define NODE_AT(member) offsetof(struct node_settings, member)
static const struct wire_field node_fields[] = {
    {2, WIRE_U64, NODE_AT(id), 1, NODES_MAX},
    {3, WIRE_SPAN, NODE_AT(name), 1, NAME_SIZE_MAX},
    {4, WIRE_SPAN, NODE_AT(peer), 0, ADDRESS_SIZE_MAX},
    {5, WIRE_SPAN, NODE_AT(client), 0, ADDRESS_SIZE_MAX},
    {6, WIRE_FIXED, NODE_AT(identity), IDENTITY_SIZE, IDENTITY_SIZE},
    {7, WIRE_U32, NODE_AT(level_min), 0, UINT32_MAX},
    {8, WIRE_U32, NODE_AT(level_max), 0, UINT32_MAX},
    {9, WIRE_SPAN, NODE_AT(program), 0, NAME_SIZE_MAX},
};
static const uint8_t node_last[] = {0, 6, 9};
static bool node_is_valid(const void *in)
{
    const struct node_settings *n = in;
    return n->level_min <= n->level_max;
}
static const struct wire_message node_message = {
    &shardgate__v1__node_settings__descriptor,
    WIRE_TABLE(node_fields),
    .size = sizeof(struct node_settings),
    .version = LEVEL_MAX,
    .is_level = true,
    .last = node_last,
    .is_input = true,
    .is_valid = node_is_valid,
};

static const struct wire_field defaults_fields[] = {
    {2, WIRE_ENUM, offsetof(struct defaults_settings, unknown_routing_number), UNKNOWN_REFUSE, UNKNOWN_PARK},
    {3, WIRE_I64, offsetof(struct defaults_settings, finalize_after_ms), 0, DURATION_MAX_MS},
};
static const uint8_t defaults_last[] = {0, 2, 3};
static const struct wire_message defaults_message = {
    &shardgate__v1__defaults_settings__descriptor,
    WIRE_TABLE(defaults_fields),
    .size = sizeof(struct defaults_settings),
    .version = LEVEL_MAX,
    .is_level = true,
    .last = defaults_last,
    .is_input = true,
};

static const struct wire_field level_fields[] = {
    {2, WIRE_U32, offsetof(struct level_settings, level), LEVEL_MIN, UINT32_MAX},
    {3, WIRE_SPAN, offsetof(struct level_settings, program), 0, NAME_SIZE_MAX},
};
static const struct wire_message level_message = {
    &shardgate__v1__level_settings__descriptor,
    WIRE_TABLE(level_fields),
    .size = sizeof(struct level_settings),
    .version = SCHEMA_VERSION,
    .is_input = true,
};

void catalog_command_encode(const struct catalog_command *in, struct bytes *out)
{
    wire_encode(&command_message, in, out);
}

enum sg_err catalog_command_decode(struct span data, struct arena *a, struct catalog_command *out)
{
    uint32_t level = wire_version(data);
    if (level > LEVEL_MAX) {
        *out = (struct catalog_command){.level = level};
        return SG_UNSUPPORTED;
    }
    return wire_decode(&command_message, data, WIRE_KNOWN, a, out, NULL);
}

void catalog_result_encode(const struct catalog_result *in, struct bytes *out)
{
    wire_encode(&result_message, in, out);
}

enum sg_err catalog_result_decode(struct span data, struct arena *a, struct catalog_result *out)
{
    return wire_decode(&result_message, data, WIRE_LENIENT, a, out, NULL);
}

void catalog_row_encode(const struct catalog_row *in, struct bytes *out)
{
    wire_encode(&row_message, in, out);
}

enum sg_err catalog_row_decode(struct span data, struct arena *a, struct catalog_row *out)
{
    return wire_decode(&row_message, data, WIRE_KNOWN, a, out, NULL);
}

void node_settings_encode(const struct node_settings *in, struct bytes *out)
{
    wire_encode(&node_message, in, out);
}

enum sg_err node_settings_decode(struct span data, struct arena *a, struct node_settings *out)
{
    return wire_decode(&node_message, data, WIRE_KNOWN, a, out, NULL);
}

void defaults_settings_encode(const struct defaults_settings *in, struct bytes *out)
{
    wire_encode(&defaults_message, in, out);
}

enum sg_err defaults_settings_decode(struct span data, struct arena *a, struct defaults_settings *out)
{
    return wire_decode(&defaults_message, data, WIRE_KNOWN, a, out, NULL);
}

void level_settings_encode(const struct level_settings *in, struct bytes *out)
{
    wire_encode(&level_message, in, out);
}

enum sg_err level_settings_decode(struct span data, struct arena *a, struct level_settings *out)
{
    return wire_decode(&level_message, data, WIRE_KNOWN, a, out, NULL);
}
