/* What stands in the catalog's log (group 0) and rows, versioned by
 * proto/catalog.proto. */
#ifndef PROTO_CATALOG_H
#define PROTO_CATALOG_H

#include "proto/frame.h"
#include "proto/level.h"
#include "proto/settings.h"

/* Numbers are in the log and in row keys: append only. */
enum catalog_kind {
    CATALOG_NONE,
    CATALOG_NODE,
    CATALOG_ENDPOINT,
    CATALOG_ORIGINATOR,
    CATALOG_CALENDAR,
    CATALOG_SHARD,
    CATALOG_DEFAULTS,
    CATALOG_LEVEL,
    CATALOG_KINDS
};
const char *catalog_kind_name(enum catalog_kind kind); /* "node", "endpoint", ... */

struct catalog_change {
    enum catalog_kind kind;
    struct span name; /* Key of the object: its name, a shard's routing number, "" for defaults and level. */
    struct span encoded; /* The object as its own encoding says; never empty. */
};

/* A set of changes, taken as a whole or not at all. */
struct catalog_command {
    uint32_t level; /* By whose rules it is taken; that of the catalog when it was made. */
    int64_t time_ms;
    struct span node;      /* Proposer's name. */
    uint64_t base_version; /* Refused unless the catalog still has this version. */
    struct catalog_change *changes;
    size_t changes_count;
};

struct catalog_result {
    enum sg_err err;
    struct span reason;
    uint64_t version; /* Afterwards. */
};

/* One object as it is stored. */
struct catalog_row {
    uint64_t version; /* Log index of its last change. */
    struct span encoded;
};

struct node_settings {
    uint64_t id;
    struct span name;
    struct span peer, client; /* Addresses. */
    struct identity identity; /* Of its data directory. */
    /* What the program that it runs says of itself; 0 and "": written at level 1. */
    uint32_t level_min, level_max;
    struct span program;
};

struct defaults_settings {
    enum unknown_policy unknown_routing_number;
    int64_t finalize_after_ms; /* 0: FINALIZE_AFTER_MS. */
};

struct level_settings {
    uint32_t level;
    struct span program; /* The first that speaks it. */
};

/* Deterministic encodings; append to out. Decoders answer SG_INVALID for
 * anything malformed or out of range, SG_UNSUPPORTED for what is of a level that this
 * program does not speak (of a command, out->level says which); spans and arrays point into the arena. */
void catalog_command_encode(const struct catalog_command *c, struct bytes *out);
MUST_USE enum sg_err catalog_command_decode(struct span data, struct arena *a, struct catalog_command *out);
void catalog_result_encode(const struct catalog_result *r, struct bytes *out);
MUST_USE enum sg_err catalog_result_decode(struct span data, struct arena *a, struct catalog_result *out);
void catalog_row_encode(const struct catalog_row *r, struct bytes *out);
MUST_USE enum sg_err catalog_row_decode(struct span data, struct arena *a, struct catalog_row *out);
void node_settings_encode(const struct node_settings *n, struct bytes *out);
MUST_USE enum sg_err node_settings_decode(struct span data, struct arena *a, struct node_settings *out);
void defaults_settings_encode(const struct defaults_settings *d, struct bytes *out);
void level_settings_encode(const struct level_settings *l, struct bytes *out);
MUST_USE enum sg_err level_settings_decode(struct span data, struct arena *a, struct level_settings *out);
MUST_USE enum sg_err defaults_settings_decode(struct span data, struct arena *a,
                                              struct defaults_settings *out);

#endif
