/* What a configuration file would change. Pure. */
#include <stdio.h>
#include <string.h>

#include "proto/base/mem.h"
#include "supervisor/catalog/rows.h"

struct planner {
    const struct catalog_model *m;
    const struct cluster_settings *wanted;
    struct arena *a;
    struct catalog_plan *out;
    struct cluster_settings merged; /* What there would be afterwards. */
    bool *changed;                  /* Of merged.shards: its own settings change. */
    size_t load[NODES_MAX];         /* Replicas on each node of m, those planned included. */
    char *why;
    size_t why_size;
};

static struct span encoded(struct arena *a, const void *object,
                           void (*encode)(const void *object, struct bytes *out))
{
    struct bytes b = BYTES_NONE;
    struct span s;
    encode(object, &b);
    s = arena_dup(a, span_bytes(&b));
    bytes_release(&b);
    return s;
}

static void encode_endpoint(const void *o, struct bytes *out)
{
    endpoint_settings_encode(o, out);
}
static void encode_originator(const void *o, struct bytes *out)
{
    originator_settings_encode(o, out);
}
static void encode_calendar(const void *o, struct bytes *out)
{
    calendar_settings_encode(o, out);
}
static void encode_shard(const void *o, struct bytes *out)
{
    shard_settings_encode(o, out);
}

/* Notes the change from before (NULL: new) to after, if there is one. */
static void note(struct planner *p, enum catalog_kind kind, struct span name, const void *before,
                 const void *after, void (*encode)(const void *object, struct bytes *out))
{
    struct catalog_plan *out = p->out;
    struct span now = encoded(p->a, after, encode);

    if (before != NULL && span_eq(encoded(p->a, before, encode), now)) {
        return;
    }
    out->changes[out->changes_count++] = (struct catalog_change){.kind = kind, .name = name, .encoded = now};
    out->lines[out->lines_count++] =
        span_str(arena_printf(p->a, "%s %s %.*s", before == NULL ? "+" : "~", catalog_kind_name(kind),
                              (int)name.n, (const char *)name.p));
}

static struct span shard_key(struct arena *a, struct aba routing_number)
{
    char text[ABA_TEXT_SIZE];
    return arena_dup(a, span_str(aba_text(routing_number, text)));
}

/* --- Objects that are only named ----------------------------------------------------- */

#define MERGE_NAMED(field, kind, encode)                                                                   \
    static void merge_##field(struct planner *p)                                                           \
    {                                                                                                      \
        size_t have = p->m->cluster.field##_count;                                                         \
        size_t count = have;                                                                               \
        __typeof__(p->merged.field) all = arena_array(p->a, have + p->wanted->field##_count, sizeof *all); \
        if (have > 0) {                                                                                    \
            memcpy(all, p->m->cluster.field, have * sizeof *all);                                          \
        }                                                                                                  \
        for (size_t i = 0; i < p->wanted->field##_count; i++) {                                            \
            const __typeof__(*all) *after = &p->wanted->field[i];                                          \
            size_t at = catalog_find(all, have, sizeof *all, after->name);                                 \
            note(p, kind, after->name, at < have ? &all[at] : NULL, after, encode);                        \
            at = at < have ? at : count++;                                                                 \
            all[at] = *after;                                                                              \
        }                                                                                                  \
        p->merged.field = all;                                                                             \
        p->merged.field##_count = count;                                                                   \
    }

MERGE_NAMED(endpoints, CATALOG_ENDPOINT, encode_endpoint)
MERGE_NAMED(originators, CATALOG_ORIGINATOR, encode_originator)
MERGE_NAMED(calendars, CATALOG_CALENDAR, encode_calendar)

/* --- Shards ----------------------------------------------------------------------------- */

static void count_replicas(struct planner *p, const struct shard_settings *s)
{
    for (size_t r = 0; r < s->replicas_count; r++) {
        for (size_t k = 0; k < p->m->nodes_count; k++) {
            p->load[k] += span_eq(p->m->nodes[k].name, s->replicas[r]);
        }
    }
}

/* Three nodes, those with the fewest replicas so far; ties by a rotation over
 * the routing number, so that a thousand shards spread evenly. */
static void choose_replicas(const struct planner *p, struct shard_settings *s)
{
    bool taken[NODES_MAX] = {false};
    size_t nodes = p->m->nodes_count;
    size_t want = nodes < 3 ? nodes : 3;

    while (s->replicas_count < want) {
        size_t best = nodes;
        for (size_t i = 0; i < nodes; i++) {
            size_t k = (i + s->routing_number.n) % nodes;
            if (!taken[k] && (best == nodes || p->load[k] < p->load[best])) {
                best = k;
            }
        }
        s->replicas[s->replicas_count++] = p->m->nodes[best].name;
        taken[best] = true;
    }
}

static bool same_replicas(const struct shard_settings *a, const struct shard_settings *b)
{
    size_t found = 0;
    for (size_t i = 0; i < a->replicas_count; i++) {
        for (size_t k = 0; k < b->replicas_count; k++) {
            found += span_eq(a->replicas[i], b->replicas[k]);
        }
    }
    return a->replicas_count == b->replicas_count && found == a->replicas_count;
}

static enum sg_err merge_shard(struct planner *p, struct shard_settings *all, size_t *count,
                               const struct shard_settings *wanted)
{
    const struct catalog_shard *known = catalog_model_shard(p->m, wanted->routing_number);
    size_t at = known == NULL ? *count : (size_t)(known - p->m->shards);
    struct shard_settings s = *wanted;
    char aba[ABA_TEXT_SIZE];

    if (s.replicas_count == 0 && known == NULL) {
        choose_replicas(p, &s);
    } else if (s.replicas_count == 0) {
        memcpy(s.replicas, all[at].replicas, sizeof s.replicas);
        s.replicas_count = all[at].replicas_count;
    } else if (known != NULL && !same_replicas(&s, &all[at])) {
        (void)snprintf(
            p->why, p->why_size,
            "shard %s: its replicas would change; moving a replica between nodes is not available in this "
            "version: leave replicas: as it is ('shardgate export' shows it)",
            aba_text(s.routing_number, aba));
        return SG_REFUSED;
    }
    size_t before = p->out->changes_count;
    note(p, CATALOG_SHARD, shard_key(p->a, s.routing_number), known == NULL ? NULL : &all[at], &s,
         encode_shard);
    p->changed[at] = p->out->changes_count > before;
    all[at] = s;
    if (known == NULL) {
        count_replicas(p, &s);
        ++*count;
    }
    return SG_OK;
}

static enum sg_err merge_shards(struct planner *p)
{
    size_t count = p->m->cluster.shards_count;
    struct shard_settings *all = arena_array(p->a, count + p->wanted->shards_count, sizeof *all);

    p->changed = arena_array(p->a, count + p->wanted->shards_count, sizeof *p->changed);
    for (size_t i = 0; i < count; i++) {
        all[i] = p->m->cluster.shards[i];
        count_replicas(p, &all[i]);
    }
    for (size_t i = 0; i < p->wanted->shards_count; i++) {
        enum sg_err err = merge_shard(p, all, &count, &p->wanted->shards[i]);
        if (err != SG_OK) {
            return err;
        }
    }
    p->merged.shards = all;
    p->merged.shards_count = count;
    return SG_OK;
}

static void merge_defaults(struct planner *p)
{
    const struct cluster_settings *have = &p->m->cluster;
    struct defaults_settings after = {.unknown_routing_number = p->wanted->unknown_routing_number,
                                      .finalize_after_ms = p->wanted->finalize_after_ms};
    struct bytes b = BYTES_NONE;

    after.unknown_routing_number =
        after.unknown_routing_number == 0 ? have->unknown_routing_number : after.unknown_routing_number;
    after.finalize_after_ms =
        after.finalize_after_ms == 0 ? have->finalize_after_ms : after.finalize_after_ms;
    if (after.unknown_routing_number == have->unknown_routing_number &&
        after.finalize_after_ms == have->finalize_after_ms) {
        return;
    }
    defaults_settings_encode(&after, &b);
    p->out->changes[p->out->changes_count++] =
        (struct catalog_change){.kind = CATALOG_DEFAULTS, .encoded = arena_dup(p->a, span_bytes(&b))};
    p->out->lines[p->out->lines_count++] = span_str("~ defaults");
    bytes_release(&b);
}

static bool changes(const struct catalog_plan *plan, enum catalog_kind kind, struct span name)
{
    for (size_t i = 0; i < plan->changes_count; i++) {
        if (plan->changes[i].kind == kind && span_eq(plan->changes[i].name, name)) {
            return true;
        }
    }
    return false;
}

/* Does something that the shard refers to change? */
static bool is_touched(const struct catalog_plan *plan, const struct shard_settings *s)
{
    bool touched =
        changes(plan, CATALOG_ENDPOINT, s->endpoint) || changes(plan, CATALOG_CALENDAR, s->calendar);

    for (size_t i = 0; i < s->originators_count && !touched; i++) {
        touched = changes(plan, CATALOG_ORIGINATOR, s->originators[i]);
    }
    return touched;
}

static void list_shards(struct planner *p)
{
    struct catalog_plan *out = p->out;

    out->shards = arena_array(p->a, p->merged.shards_count, sizeof *out->shards);
    for (size_t i = 0; i < p->merged.shards_count; i++) {
        if (p->changed[i] || is_touched(out, &p->merged.shards[i])) {
            out->shards[out->shards_count++] = p->merged.shards[i].routing_number;
        }
    }
}

enum sg_err catalog_plan(const struct catalog_model *m, const struct cluster_settings *wanted,
                         struct arena *a, struct catalog_plan *out, char *why, size_t why_size)
{
    struct planner p = {.m = m, .wanted = wanted, .a = a, .out = out, .why = why, .why_size = why_size};
    size_t most = wanted->endpoints_count + wanted->originators_count + wanted->calendars_count +
                  wanted->shards_count + 1;
    enum sg_err err;

    *out = (struct catalog_plan){.changes = arena_array(a, most, sizeof *out->changes),
                                 .lines = arena_array(a, most, sizeof *out->lines)};
    if (wanted->unknown_routing_number > UNKNOWN_REFUSE) {
        (void)snprintf(why, why_size,
                       "defaults: unknown_routing_number: only refuse is available in this version");
        return SG_INVALID;
    }
    if (wanted->finalize_after_ms != 0 && m->level.level < LEVEL_CATALOG) {
        (void)snprintf(
            why, why_size,
            "defaults: finalize_upgrade_after: is of level %u and the cluster stands at level %u: take "
            "it out, or raise the level first ('shardgate upgrade status')",
            LEVEL_CATALOG, m->level.level);
        return SG_INVALID;
    }
    merge_endpoints(&p);
    merge_originators(&p);
    merge_calendars(&p);
    err = merge_shards(&p);
    if (err != SG_OK) {
        return err;
    }
    merge_defaults(&p);
    list_shards(&p);
    return catalog_check(m->level.level, &p.merged, m->nodes, m->nodes_count, why, why_size);
}
