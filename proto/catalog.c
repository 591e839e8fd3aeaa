#include "proto/catalog.h"

#include <string.h>

#include "catalog.pb-c.h"
#include "proto/base/arena_pb.h"

#define SCHEMA_VERSION 1

static const char *const kind_names[CATALOG_KINDS] = {
    [CATALOG_NONE] = "none",         [CATALOG_NODE] = "node",
    [CATALOG_ENDPOINT] = "endpoint", [CATALOG_ORIGINATOR] = "originator",
    [CATALOG_CALENDAR] = "calendar", [CATALOG_SHARD] = "shard",
    [CATALOG_DEFAULTS] = "defaults",
};

const char *catalog_kind_name(enum catalog_kind kind)
{
    return (unsigned)kind < CATALOG_KINDS ? kind_names[kind] : "unknown";
}

void catalog_command_encode(const struct catalog_command *c, struct bytes *out)
{
    struct arena a = ARENA_INIT;
    Shardgate__V1__CatalogCommand pb = SHARDGATE__V1__CATALOG_COMMAND__INIT;
    Shardgate__V1__CatalogChange *changes = arena_array(&a, c->changes_count, sizeof *changes);

    CHECK(c->changes_count <= CATALOG_CHANGES_MAX);
    pb.version = SCHEMA_VERSION;
    pb.time_ms = c->time_ms;
    pb.node = pb_of_span(c->node);
    pb.base_version = c->base_version;
    pb.n_changes = c->changes_count;
    pb.changes = arena_array(&a, c->changes_count, sizeof *pb.changes);
    for (size_t i = 0; i < c->changes_count; i++) {
        shardgate__v1__catalog_change__init(&changes[i]);
        changes[i].kind = (uint32_t)c->changes[i].kind;
        changes[i].name = pb_of_span(c->changes[i].name);
        changes[i].encoded = pb_of_span(c->changes[i].encoded);
        pb.changes[i] = &changes[i];
    }
    pb_append(&pb.base, out);
    arena_release(&a);
}

enum sg_err catalog_command_decode(struct span data, struct arena *a, struct catalog_command *out)
{
    const ProtobufCMessage *m = pb_unpack(&shardgate__v1__catalog_command__descriptor, data, a);
    const Shardgate__V1__CatalogCommand *pb = (const void *)m;

    if (m == NULL || pb->version != SCHEMA_VERSION || !pb_is_known(m) ||
        pb->n_changes > CATALOG_CHANGES_MAX) {
        return SG_INVALID;
    }
    *out = (struct catalog_command){
        .time_ms = pb->time_ms,
        .node = pb_span(pb->node),
        .base_version = pb->base_version,
        .changes = arena_array(a, pb->n_changes, sizeof *out->changes),
        .changes_count = pb->n_changes,
    };
    for (size_t i = 0; i < pb->n_changes; i++) {
        const Shardgate__V1__CatalogChange *c = pb->changes[i];
        if (c->kind == CATALOG_NONE || c->kind >= CATALOG_KINDS || c->name.len > NAME_SIZE_MAX ||
            c->encoded.len == 0 || c->encoded.len > SETTINGS_SIZE_MAX_BYTES || !pb_is_known(&c->base)) {
            return SG_INVALID;
        }
        out->changes[i] = (struct catalog_change){
            .kind = (enum catalog_kind)c->kind, .name = pb_span(c->name), .encoded = pb_span(c->encoded)};
    }
    return SG_OK;
}

void catalog_result_encode(const struct catalog_result *r, struct bytes *out)
{
    Shardgate__V1__CatalogResult pb = SHARDGATE__V1__CATALOG_RESULT__INIT;
    pb.version = SCHEMA_VERSION;
    pb.err = (uint32_t)r->err;
    pb.reason = pb_of_span(r->reason);
    pb.catalog_version = r->version;
    pb_append(&pb.base, out);
}

enum sg_err catalog_result_decode(struct span data, struct arena *a, struct catalog_result *out)
{
    const ProtobufCMessage *m = pb_unpack(&shardgate__v1__catalog_result__descriptor, data, a);
    const Shardgate__V1__CatalogResult *pb = (const void *)m;

    if (m == NULL || pb->version != SCHEMA_VERSION || pb->err >= SG_ERRS) {
        return SG_INVALID;
    }
    *out = (struct catalog_result){
        .err = (enum sg_err)pb->err, .reason = pb_span(pb->reason), .version = pb->catalog_version};
    return SG_OK;
}

void catalog_row_encode(const struct catalog_row *r, struct bytes *out)
{
    Shardgate__V1__CatalogRow pb = SHARDGATE__V1__CATALOG_ROW__INIT;
    pb.version = SCHEMA_VERSION;
    pb.changed_index = r->version;
    pb.encoded = pb_of_span(r->encoded);
    pb_append(&pb.base, out);
}

enum sg_err catalog_row_decode(struct span data, struct arena *a, struct catalog_row *out)
{
    const ProtobufCMessage *m = pb_unpack(&shardgate__v1__catalog_row__descriptor, data, a);
    const Shardgate__V1__CatalogRow *pb = (const void *)m;

    if (m == NULL || pb->version != SCHEMA_VERSION || !pb_is_known(m)) {
        return SG_INVALID;
    }
    *out = (struct catalog_row){.version = pb->changed_index, .encoded = pb_span(pb->encoded)};
    return SG_OK;
}

void node_settings_encode(const struct node_settings *n, struct bytes *out)
{
    Shardgate__V1__NodeSettings pb = SHARDGATE__V1__NODE_SETTINGS__INIT;
    pb.version = SCHEMA_VERSION;
    pb.id = n->id;
    pb.name = pb_of_span(n->name);
    pb.peer = pb_of_span(n->peer);
    pb.client = pb_of_span(n->client);
    pb.identity = pb_of_span(span_of(n->identity.b, IDENTITY_SIZE));
    pb_append(&pb.base, out);
}

enum sg_err node_settings_decode(struct span data, struct arena *a, struct node_settings *out)
{
    const ProtobufCMessage *m = pb_unpack(&shardgate__v1__node_settings__descriptor, data, a);
    const Shardgate__V1__NodeSettings *pb = (const void *)m;

    if (m == NULL || pb->version != SCHEMA_VERSION || !pb_is_known(m) || pb->id == 0 || pb->id > NODES_MAX ||
        pb->name.len == 0 || pb->name.len > NAME_SIZE_MAX || pb->peer.len > ADDRESS_SIZE_MAX ||
        pb->client.len > ADDRESS_SIZE_MAX || pb->identity.len != IDENTITY_SIZE) {
        return SG_INVALID;
    }
    *out = (struct node_settings){
        .id = pb->id, .name = pb_span(pb->name), .peer = pb_span(pb->peer), .client = pb_span(pb->client)};
    memcpy(out->identity.b, pb->identity.data, IDENTITY_SIZE);
    return SG_OK;
}

void defaults_settings_encode(const struct defaults_settings *d, struct bytes *out)
{
    Shardgate__V1__DefaultsSettings pb = SHARDGATE__V1__DEFAULTS_SETTINGS__INIT;
    pb.version = SCHEMA_VERSION;
    pb.unknown_routing_number = (uint32_t)d->unknown_routing_number;
    pb_append(&pb.base, out);
}

enum sg_err defaults_settings_decode(struct span data, struct arena *a, struct defaults_settings *out)
{
    const ProtobufCMessage *m = pb_unpack(&shardgate__v1__defaults_settings__descriptor, data, a);
    const Shardgate__V1__DefaultsSettings *pb = (const void *)m;

    if (m == NULL || pb->version != SCHEMA_VERSION || !pb_is_known(m) ||
        pb->unknown_routing_number < UNKNOWN_REFUSE || pb->unknown_routing_number > UNKNOWN_PARK) {
        return SG_INVALID;
    }
    out->unknown_routing_number = (enum unknown_policy)pb->unknown_routing_number;
    return SG_OK;
}
