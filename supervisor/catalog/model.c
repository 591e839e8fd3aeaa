#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/mem.h"
#include "supervisor/catalog/rows.h"

CHECK_STATIC(offsetof(struct endpoint_settings, name) == 0, "catalog_find() looks there");
CHECK_STATIC(offsetof(struct originator_settings, name) == 0, "catalog_find() looks there");
CHECK_STATIC(offsetof(struct calendar_settings, name) == 0, "catalog_find() looks there");

size_t catalog_find(const void *objects, size_t count, size_t size, struct span name)
{
    size_t low = 0;
    size_t high = count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        struct span at;
        memcpy(&at, (const char *)objects + middle * size, sizeof at);
        int order = span_cmp(at, name);
        if (order == 0) {
            return middle;
        }
        if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return count;
}

struct catalog_model *catalog_model_new(void)
{
    struct catalog_model *m = mem_zalloc(1, sizeof *m);
    m->arena = ARENA_INIT;
    m->cluster.unknown_routing_number = UNKNOWN_REFUSE;
    m->level.level = LEVEL_MIN;
    return m;
}

void catalog_model_free(struct catalog_model *m)
{
    arena_release(&m->arena);
    mem_free(m);
}

/* Counts the objects of a kind, so that the arrays can be made. */
static enum sg_err count_kind(struct rows *rows, enum catalog_kind kind, size_t *count)
{
    struct kv_cursor c;
    uint8_t prefix = catalog_row_prefix(kind);
    enum sg_err err;

    *count = 0;
    rows_cursor(rows, &c, span_of(&prefix, 1));
    while ((err = kv_next(&c)) == SG_OK) {
        (*count)++;
    }
    kv_cursor_release(&c);
    return err == SG_NOTFOUND ? SG_OK : err;
}

static enum sg_err decode_one(struct catalog_model *m, enum catalog_kind kind, size_t i, struct span encoded,
                              uint64_t version)
{
    struct arena *a = &m->arena;
    struct defaults_settings defaults;
    enum sg_err err;

    switch (kind) {
    case CATALOG_NODE:
        return node_settings_decode(encoded, a, &m->nodes[i]);
    case CATALOG_ENDPOINT:
        m->endpoint_versions[i] = version;
        return endpoint_settings_decode(encoded, a, &m->cluster.endpoints[i]);
    case CATALOG_ORIGINATOR:
        m->originator_versions[i] = version;
        return originator_settings_decode(encoded, a, &m->cluster.originators[i]);
    case CATALOG_CALENDAR:
        m->calendar_versions[i] = version;
        return calendar_settings_decode(encoded, a, &m->cluster.calendars[i]);
    case CATALOG_SHARD:
        m->shards[i].version = version;
        err = shard_settings_decode(encoded, a, &m->cluster.shards[i]);
        m->shards[i].settings = m->cluster.shards[i];
        return err;
    case CATALOG_DEFAULTS:
        err = defaults_settings_decode(encoded, a, &defaults);
        m->cluster.unknown_routing_number = defaults.unknown_routing_number;
        m->cluster.finalize_after_ms = defaults.finalize_after_ms;
        return err;
    case CATALOG_LEVEL:
        return level_settings_decode(encoded, a, &m->level);
    case CATALOG_NONE:
    case CATALOG_KINDS:
        break;
    }
    return SG_INVALID;
}

/* The name of an object as its row's key must have it. */
static struct span object_name(const struct catalog_model *m, enum catalog_kind kind, size_t i,
                               char aba[ABA_TEXT_SIZE])
{
    switch (kind) {
    case CATALOG_NODE:
        return m->nodes[i].name;
    case CATALOG_ENDPOINT:
        return m->cluster.endpoints[i].name;
    case CATALOG_ORIGINATOR:
        return m->cluster.originators[i].name;
    case CATALOG_CALENDAR:
        return m->cluster.calendars[i].name;
    case CATALOG_SHARD:
        return span_str(aba_text(m->cluster.shards[i].routing_number, aba));
    case CATALOG_DEFAULTS:
    case CATALOG_LEVEL:
    case CATALOG_NONE:
    case CATALOG_KINDS:
        break;
    }
    return SPAN_NONE;
}

static enum sg_err load_kind(struct catalog_model *m, struct rows *rows, enum catalog_kind kind, size_t count)
{
    struct kv_cursor c;
    uint8_t prefix = catalog_row_prefix(kind);
    enum sg_err err;
    size_t i = 0;

    rows_cursor(rows, &c, span_of(&prefix, 1));
    while ((err = kv_next(&c)) == SG_OK) {
        struct catalog_row row;
        struct span key = rows_key(&c);
        char aba[ABA_TEXT_SIZE];
        CHECK(i < count);
        err = catalog_row_decode(arena_dup(&m->arena, c.value), &m->arena, &row);
        if (err == SG_OK) {
            err = decode_one(m, kind, i, row.encoded, row.version);
        }
        if (err != SG_OK || !span_eq(object_name(m, kind, i, aba), span_of(key.p + 1, key.n - 1))) {
            /* It passed the checksum and was checked when written. */
            err = kv_corrupt(rows->kv, KV_STATE, c.key, "no object of the catalog");
            break;
        }
        i++;
        m->version = row.version > m->version ? row.version : m->version;
    }
    kv_cursor_release(&c);
    return err == SG_NOTFOUND ? SG_OK : err;
}

/* The place of a shard's object among those of its kind; count when there is none. */
static size_t endpoint_of(const struct catalog_model *m, struct span name)
{
    const struct cluster_settings *c = &m->cluster;
    return catalog_find(c->endpoints, c->endpoints_count, sizeof *c->endpoints, name);
}

static size_t originator_of(const struct catalog_model *m, struct span name)
{
    const struct cluster_settings *c = &m->cluster;
    return catalog_find(c->originators, c->originators_count, sizeof *c->originators, name);
}

static size_t calendar_of(const struct catalog_model *m, struct span name)
{
    const struct cluster_settings *c = &m->cluster;
    return catalog_find(c->calendars, c->calendars_count, sizeof *c->calendars, name);
}

static uint64_t newest(const uint64_t *versions, size_t count, size_t i, uint64_t version)
{
    return i < count && versions[i] > version ? versions[i] : version;
}

static uint64_t node_id_of(const struct catalog_model *m, struct span name)
{
    for (size_t i = 0; i < m->nodes_count; i++) {
        if (span_eq(m->nodes[i].name, name)) {
            return m->nodes[i].id;
        }
    }
    return 0;
}

/* Names into ids, and the version of the newest object that the shard uses. */
static void resolve(struct catalog_model *m, struct catalog_shard *s)
{
    const struct shard_settings *wanted = &s->settings;

    for (size_t i = 0; i < wanted->replicas_count; i++) {
        uint64_t id = node_id_of(m, wanted->replicas[i]);
        if (id != 0) {
            s->replicas[s->replicas_count++] = id;
        }
    }
    s->preferred = node_id_of(m, wanted->preferred);
    s->version = newest(m->endpoint_versions, m->cluster.endpoints_count, endpoint_of(m, wanted->endpoint),
                        s->version);
    s->version = newest(m->calendar_versions, m->cluster.calendars_count, calendar_of(m, wanted->calendar),
                        s->version);
    for (size_t k = 0; k < wanted->originators_count; k++) {
        s->version = newest(m->originator_versions, m->cluster.originators_count,
                            originator_of(m, wanted->originators[k]), s->version);
    }
}

static void make_room(struct catalog_model *m, const size_t counts[CATALOG_KINDS])
{
    struct arena *a = &m->arena;

    m->nodes_count = counts[CATALOG_NODE];
    m->nodes = arena_array(a, m->nodes_count, sizeof *m->nodes);
    m->cluster.endpoints_count = counts[CATALOG_ENDPOINT];
    m->cluster.endpoints = arena_array(a, counts[CATALOG_ENDPOINT], sizeof *m->cluster.endpoints);
    m->endpoint_versions = arena_array(a, counts[CATALOG_ENDPOINT], sizeof(uint64_t));
    m->cluster.originators_count = counts[CATALOG_ORIGINATOR];
    m->cluster.originators = arena_array(a, counts[CATALOG_ORIGINATOR], sizeof *m->cluster.originators);
    m->originator_versions = arena_array(a, counts[CATALOG_ORIGINATOR], sizeof(uint64_t));
    m->cluster.calendars_count = counts[CATALOG_CALENDAR];
    m->cluster.calendars = arena_array(a, counts[CATALOG_CALENDAR], sizeof *m->cluster.calendars);
    m->calendar_versions = arena_array(a, counts[CATALOG_CALENDAR], sizeof(uint64_t));
    m->cluster.shards_count = counts[CATALOG_SHARD];
    m->cluster.shards = arena_array(a, counts[CATALOG_SHARD], sizeof *m->cluster.shards);
    m->shards = arena_array(a, counts[CATALOG_SHARD], sizeof *m->shards);
}

bool catalog_is_sound(enum catalog_kind kind, struct span name, struct span encoded)
{
    struct catalog_model *m = catalog_model_new();
    size_t counts[CATALOG_KINDS];
    char aba[ABA_TEXT_SIZE];
    bool sound;

    for (int k = 0; k < CATALOG_KINDS; k++) {
        counts[k] = 1;
    }
    make_room(m, counts);
    sound = decode_one(m, kind, 0, encoded, 0) == SG_OK && span_eq(object_name(m, kind, 0, aba), name);
    catalog_model_free(m);
    return sound;
}

static enum sg_err load_all(struct catalog_model *m, struct rows *rows)
{
    size_t counts[CATALOG_KINDS];

    for (enum catalog_kind k = CATALOG_NODE; k < CATALOG_KINDS; k++) {
        enum sg_err err = count_kind(rows, k, &counts[k]);
        if (err != SG_OK) {
            return err;
        }
    }
    make_room(m, counts);
    for (enum catalog_kind k = CATALOG_NODE; k < CATALOG_KINDS; k++) {
        enum sg_err err = load_kind(m, rows, k, counts[k]);
        if (err != SG_OK) {
            return err;
        }
    }
    for (size_t i = 0; i < m->cluster.shards_count; i++) {
        resolve(m, &m->shards[i]);
    }
    return SG_OK;
}

/* First: what the other objects hold may be of that level. */
static enum sg_err load_level(struct catalog_model *m, struct rows *rows)
{
    uint8_t key[CATALOG_KEY_SIZE_MAX];
    struct span value;
    struct catalog_row row;
    size_t key_size = catalog_row_key(CATALOG_LEVEL, SPAN_NONE, key);
    enum sg_err err = rows_get(rows, span_of(key, key_size), &value);
    if (err != SG_OK) {
        return err == SG_NOTFOUND ? SG_OK : err;
    }
    if (catalog_row_decode(arena_dup(&m->arena, value), &m->arena, &row) != SG_OK ||
        level_settings_decode(row.encoded, &m->arena, &m->level) != SG_OK) {
        return kv_corrupt(rows->kv, KV_STATE, span_of(key, key_size), "no object of the catalog");
    }
    return m->level.level <= rows->level_max ? SG_OK : catalog_newer(rows, m->level.level, m->level.program);
}

enum sg_err catalog_newer(const struct rows *rows, uint32_t level, struct span program)
{
    char needed[NAME_SIZE_MAX + 32] = "a later program";
    char name[NAME_SIZE_MAX + 1];
    if (program.n > 0) {
        (void)snprintf(needed, sizeof needed, "shardgated %s or later",
                       span_cstr(program, name, sizeof name));
    }
    if (level == 0) {
        return kv_newer(
            "an entry of the catalog's log needs %s; this program speaks levels %u to %u. Nothing is "
            "damaged: start that program on this node, it goes on from here",
            needed, LEVEL_MIN, rows->level_max);
    }
    return kv_newer(
        "the catalog goes on at level %u, which needs %s; this program speaks levels %u to %u. Nothing "
        "is damaged: start that program on this node, it goes on from here",
        level, needed, LEVEL_MIN, rows->level_max);
}

enum sg_err catalog_model_load(struct catalog_model *m, struct rows *rows)
{
    struct catalog_model fresh = {
        .arena = ARENA_INIT, .cluster.unknown_routing_number = UNKNOWN_REFUSE, .level.level = LEVEL_MIN};
    enum sg_err err = load_level(&fresh, rows);

    if (err == SG_OK) {
        err = load_all(&fresh, rows);
    }
    if (err != SG_OK) {
        arena_release(&fresh.arena);
        return err;
    }
    arena_release(&m->arena);
    *m = fresh;
    return SG_OK;
}

enum sg_err catalog_digest(struct rows *rows, struct digest *out)
{
    struct digester d;
    struct kv_cursor c;
    enum sg_err err;

    digester_init(&d);
    rows_cursor(rows, &c, SPAN_NONE);
    while ((err = kv_next(&c)) == SG_OK) {
        uint8_t sizes[8];
        be32_put(sizes, (uint32_t)c.key.n);
        be32_put(sizes + 4, (uint32_t)c.value.n);
        digester_add(&d, span_of(sizes, sizeof sizes));
        digester_add(&d, c.key);
        digester_add(&d, c.value);
    }
    kv_cursor_release(&c);
    *out = digester_end(&d);
    return err == SG_NOTFOUND ? SG_OK : err;
}

const struct catalog_shard *catalog_model_shard(const struct catalog_model *m, struct aba routing_number)
{
    size_t low = 0;
    size_t high = m->cluster.shards_count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        uint32_t at = m->shards[middle].settings.routing_number.n;
        if (at == routing_number.n) {
            return &m->shards[middle];
        }
        if (at < routing_number.n) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return NULL;
}

static unsigned digits_differing(struct aba a, struct aba b)
{
    char x[ABA_TEXT_SIZE];
    char y[ABA_TEXT_SIZE];
    unsigned differing = 0;
    (void)aba_text(a, x);
    (void)aba_text(b, y);
    for (unsigned i = 0; i < ABA_TEXT_SIZE - 1; i++) {
        differing += x[i] != y[i];
    }
    return differing;
}

struct aba catalog_model_nearest(const struct catalog_model *m, struct aba routing_number)
{
    struct aba best = {0};
    unsigned fewest = 3;
    for (size_t i = 0; i < m->cluster.shards_count; i++) {
        unsigned differing = digits_differing(m->shards[i].settings.routing_number, routing_number);
        if (differing < fewest) {
            fewest = differing;
            best = m->shards[i].settings.routing_number;
        }
    }
    return best;
}

void catalog_model_compose(const struct catalog_model *m, const struct catalog_shard *s, const char *cluster,
                           struct bytes *out)
{
    struct arena a = ARENA_INIT;
    struct settings all = {.version = s->version, .cluster = span_str(cluster), .shard = s->settings};
    size_t endpoint = endpoint_of(m, s->settings.endpoint);
    size_t calendar = calendar_of(m, s->settings.calendar);

    if (endpoint < m->cluster.endpoints_count) {
        all.endpoint = m->cluster.endpoints[endpoint];
    }
    all.calendar = calendar < m->cluster.calendars_count ? m->cluster.calendars[calendar] : CALENDAR_DEFAULT;
    all.originators = arena_array(&a, s->settings.originators_count, sizeof *all.originators);
    for (size_t k = 0; k < s->settings.originators_count; k++) {
        size_t i = originator_of(m, s->settings.originators[k]);
        if (i < m->cluster.originators_count) {
            all.originators[all.originators_count++] = m->cluster.originators[i];
        }
    }
    settings_encode(&all, out);
    arena_release(&a);
}
