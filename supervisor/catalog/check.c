/* Does a configuration fit together? Used before it is proposed and again when
 * it is applied. */
#include "supervisor/catalog/check.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "shard/ach/validate.h"

enum sg_err judge_refuse(struct judge *j, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (j->line > 0) {
        (void)snprintf(j->why, j->why_size, "line %u: %s", j->line, text);
    } else {
        (void)snprintf(j->why, j->why_size, "%s", text);
    }
    return SG_INVALID;
}

bool catalog_is_name(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool alnum = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!alnum && (i == 0 || (c != '-' && c != '_' && c != '.'))) {
            return false;
        }
    }
    return s.n >= 1 && s.n <= NAME_SIZE_MAX;
}

/* --- Names ---------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
    const struct catalog_index_entry *x = a;
    const struct catalog_index_entry *y = b;
    return span_cmp(x->name, y->name);
}

/* name is that of the object before it is put to use. */
static enum sg_err index_make(struct judge *j, struct catalog_index *index, const char *kind, size_t count,
                              struct span (*name)(const struct cluster_settings *c, size_t i))
{
    char text[NAME_SIZE_MAX + 1];

    if (count > CATALOG_OBJECTS_MAX) {
        return judge_refuse(j, "%zu %ss; %d are allowed", count, kind, CATALOG_OBJECTS_MAX);
    }
    index->entries = arena_array(j->a, count, sizeof *index->entries);
    index->count = count;
    for (size_t i = 0; i < count; i++) {
        struct span s = name(j->c, i);
        index->entries[i] = (struct catalog_index_entry){s, i};
        if (!catalog_is_name(s)) {
            return judge_refuse(
                j, "%s %s: a name has 1 to %d of A-Z a-z 0-9 - _ . and begins with a letter or digit", kind,
                span_cstr(s, text, sizeof text), NAME_SIZE_MAX);
        }
    }
    if (count > 0) {
        qsort(index->entries, count, sizeof *index->entries, by_name);
    }
    for (size_t i = 1; i < count; i++) {
        if (by_name(&index->entries[i - 1], &index->entries[i]) == 0) {
            return judge_refuse(j, "%s %s is there twice", kind,
                                span_cstr(index->entries[i].name, text, sizeof text));
        }
    }
    return SG_OK;
}

size_t catalog_index_find(const struct catalog_index *index, struct span name)
{
    struct catalog_index_entry key = {.name = name};
    const struct catalog_index_entry *found =
        index->count == 0 ? NULL : bsearch(&key, index->entries, index->count, sizeof key, by_name);
    return found == NULL ? SIZE_MAX : found->at;
}

static struct span endpoint_name(const struct cluster_settings *c, size_t i)
{
    return c->endpoints[i].name;
}
static struct span originator_name(const struct cluster_settings *c, size_t i)
{
    return c->originators[i].name;
}
static struct span calendar_name(const struct cluster_settings *c, size_t i)
{
    return c->calendars[i].name;
}

static enum sg_err check_names(struct judge *j)
{
    const struct cluster_settings *c = j->c;
    enum sg_err err = index_make(j, &j->endpoints, "endpoint", c->endpoints_count, endpoint_name);
    if (err == SG_OK) {
        err = index_make(j, &j->originators, "originator", c->originators_count, originator_name);
    }
    if (err == SG_OK) {
        err = index_make(j, &j->calendars, "calendar", c->calendars_count, calendar_name);
    }
    if (err == SG_OK && c->shards_count > CATALOG_OBJECTS_MAX) {
        err = judge_refuse(j, "%zu shards; %d are allowed", c->shards_count, CATALOG_OBJECTS_MAX);
    }
    return err;
}

/* --- Endpoints ------------------------------------------------------------------------- */

static enum sg_err check_endpoint(struct judge *j, const struct endpoint_settings *e)
{
    char name[NAME_SIZE_MAX + 1];
    (void)span_cstr(e->name, name, sizeof name);
    if (e->kind != ENDPOINT_DIRECTORY) {
        return judge_refuse(
            j, "endpoint %s: only kind: directory is available in this version (sftp and ftp follow)", name);
    }
    if (e->drop_dir.n == 0 || e->staging_dir.n == 0) {
        return judge_refuse(j, "endpoint %s: drop_dir and staging_dir are both needed", name);
    }
    if (e->rate_limit_bytes != 0 && e->rate_limit_bytes < RATE_LIMIT_MIN_BYTES) {
        return judge_refuse(
            j, "endpoint %s: rate_limit is below %d bytes a second: raise it, or write none for no limit",
            name, RATE_LIMIT_MIN_BYTES);
    }
    return SG_OK;
}

/* --- Shards ------------------------------------------------------------------------------ */

static bool node_exists(const struct judge *j, struct span name)
{
    for (size_t i = 0; i < j->nodes_count; i++) {
        if (span_eq(j->nodes[i].name, name)) {
            return true;
        }
    }
    return false;
}

static enum sg_err check_replicas(struct judge *j, const struct shard_settings *s, const char *aba)
{
    bool preferred_found = s->preferred.n == 0;
    char name[NAME_SIZE_MAX + 1];

    if (s->replicas_count < REPLICAS_MIN || s->replicas_count > REPLICAS_MAX) {
        return judge_refuse(j, "shard %s: replicas: %zu nodes; %d to %d are allowed", aba, s->replicas_count,
                            REPLICAS_MIN, REPLICAS_MAX);
    }
    for (size_t i = 0; i < s->replicas_count; i++) {
        (void)span_cstr(s->replicas[i], name, sizeof name);
        if (!node_exists(j, s->replicas[i])) {
            return judge_refuse(j, "shard %s: replicas: there is no node %s", aba, name);
        }
        for (size_t k = 0; k < i; k++) {
            if (span_eq(s->replicas[k], s->replicas[i])) {
                return judge_refuse(j, "shard %s: replicas: node %s is named twice", aba, name);
            }
        }
        preferred_found = preferred_found || span_eq(s->replicas[i], s->preferred);
    }
    if (!preferred_found) {
        return judge_refuse(j, "shard %s: preferred: %s holds no replica of it", aba,
                            span_cstr(s->preferred, name, sizeof name));
    }
    return SG_OK;
}

static enum sg_err missing(struct judge *j, const char *aba, const char *what, struct span name)
{
    char text[NAME_SIZE_MAX + 1];
    return judge_refuse(j, "shard %s: there is no %s %s", aba, what, span_cstr(name, text, sizeof text));
}

/* Folds the objects that the shard uses together, as its log will hold them. */
static enum sg_err fold(struct judge *j, const struct shard_settings *s, const char *aba, struct arena *a,
                        struct settings *out)
{
    const struct cluster_settings *c = j->c;
    size_t endpoint = catalog_index_find(&j->endpoints, s->endpoint);
    size_t calendar = catalog_index_find(&j->calendars, s->calendar);

    *out = (struct settings){.level = j->level, .shard = *s};
    if (endpoint == SIZE_MAX) {
        return missing(j, aba, "endpoint", s->endpoint);
    }
    out->endpoint = c->endpoints[endpoint];
    if (calendar == SIZE_MAX && s->calendar.n > 0) {
        return missing(j, aba, "calendar", s->calendar);
    }
    out->calendar = calendar != SIZE_MAX ? c->calendars[calendar] : CALENDAR_DEFAULT;
    out->originators = arena_array(a, s->originators_count, sizeof *out->originators);
    for (size_t k = 0; k < s->originators_count; k++) {
        size_t i = catalog_index_find(&j->originators, s->originators[k]);
        if (i == SIZE_MAX) {
            return missing(j, aba, "originator", s->originators[k]);
        }
        out->originators[out->originators_count++] = c->originators[i];
    }
    return SG_OK;
}

static enum sg_err check_shard(struct judge *j, const struct shard_settings *s)
{
    struct arena a = ARENA_INIT;
    struct settings folded;
    char aba[ABA_TEXT_SIZE];
    char why[256];
    enum sg_err err;

    (void)aba_text(s->routing_number, aba);
    err = fold(j, s, aba, &a, &folded);
    if (err == SG_OK && j->level < LEVEL_WRITTEN && (s->same_day_deadline_minute != 0 || s->keep_case)) {
        err = judge_refuse(
            j,
            "shard %s: same_day_deadline and text: keep are of level %u and the cluster stands at "
            "level %u: take them out, or raise the level first ('shardgate upgrade status')",
            aba, LEVEL_WRITTEN, j->level);
    }
    if (err == SG_OK && ach_settings_check(&folded, why, sizeof why) != SG_OK) {
        err = judge_refuse(j, "shard %s: %s", aba, why);
    }
    if (err == SG_OK) {
        err = check_replicas(j, s, aba);
    }
    arena_release(&a);
    return err;
}

enum sg_err catalog_check(uint32_t level, const struct cluster_settings *c, const struct node_settings *nodes,
                          size_t nodes_count, char *why, size_t why_size)
{
    struct arena a = ARENA_INIT;
    struct judge j = {.level = level,
                      .c = c,
                      .nodes = nodes,
                      .nodes_count = nodes_count,
                      .a = &a,
                      .why = why,
                      .why_size = why_size};
    enum sg_err err = check_names(&j);

    for (size_t i = 0; err == SG_OK && i < c->endpoints_count; i++) {
        j.line = c->endpoints[i].line;
        err = check_endpoint(&j, &c->endpoints[i]);
    }
    for (size_t i = 0; err == SG_OK && i < c->shards_count; i++) {
        j.line = c->shards[i].line;
        err = check_shard(&j, &c->shards[i]);
    }
    j.line = 0; /* Of several objects, which the reasons name. */
    if (err == SG_OK) {
        err = check_shared(&j);
    }
    arena_release(&a);
    return err;
}
