/* Does a configuration fit together? Used before it is proposed and again when
 * it is applied. */
#include <stdio.h>
#include <string.h>

#include "shard/ach/validate.h"
#include "supervisor/catalog/catalog.h"

struct judge {
    const struct cluster_settings *c;
    const struct node_settings *nodes;
    size_t nodes_count;
    char *why;
    size_t why_size;
};

static bool is_name(struct span s)
{
    if (s.n < 1 || s.n > NAME_SIZE_MAX) {
        return false;
    }
    for (size_t i = 0; i < s.n; i++) {
        uint8_t c = s.p[i];
        bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
                    c == '_' || c == '.';
        if (!good) {
            return false;
        }
    }
    return true;
}

static enum sg_err check_endpoint(struct judge *j, const struct endpoint_settings *e)
{
    char name[NAME_SIZE_MAX + 1];
    (void)span_cstr(e->name, name, sizeof name);
    if (!is_name(e->name)) {
        (void)snprintf(j->why, j->why_size, "endpoint %s: a name has 1 to %d of A-Z a-z 0-9 - _ .", name,
                       NAME_SIZE_MAX);
        return SG_INVALID;
    }
    if (e->kind != ENDPOINT_DIRECTORY) {
        (void)snprintf(j->why, j->why_size,
                       "endpoint %s: only kind: directory is available in this version (sftp and ftp follow)",
                       name);
        return SG_INVALID;
    }
    if (e->drop_dir.n == 0 || e->staging_dir.n == 0) {
        (void)snprintf(j->why, j->why_size, "endpoint %s: drop_dir and staging_dir are both needed", name);
        return SG_INVALID;
    }
    if (span_eq(e->drop_dir, e->staging_dir)) {
        (void)snprintf(
            j->why, j->why_size,
            "endpoint %s: staging_dir must not be drop_dir: the bank would take files half written", name);
        return SG_INVALID;
    }
    if (e->rate_limit_bytes != 0 && e->rate_limit_bytes < RATE_LIMIT_MIN_BYTES) {
        (void)snprintf(j->why, j->why_size, "endpoint %s: rate_limit is below %d bytes a second", name,
                       RATE_LIMIT_MIN_BYTES);
        return SG_INVALID;
    }
    return SG_OK;
}

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
        (void)snprintf(j->why, j->why_size, "shard %s: replicas: %zu nodes; %d to %d are allowed", aba,
                       s->replicas_count, REPLICAS_MIN, REPLICAS_MAX);
        return SG_INVALID;
    }
    for (size_t i = 0; i < s->replicas_count; i++) {
        (void)span_cstr(s->replicas[i], name, sizeof name);
        if (!node_exists(j, s->replicas[i])) {
            (void)snprintf(j->why, j->why_size, "shard %s: replicas: there is no node %s", aba, name);
            return SG_INVALID;
        }
        for (size_t k = 0; k < i; k++) {
            if (span_eq(s->replicas[k], s->replicas[i])) {
                (void)snprintf(j->why, j->why_size, "shard %s: replicas: node %s is named twice", aba, name);
                return SG_INVALID;
            }
        }
        preferred_found = preferred_found || span_eq(s->replicas[i], s->preferred);
    }
    if (!preferred_found) {
        (void)snprintf(j->why, j->why_size, "shard %s: preferred: %s holds no replica of it", aba,
                       span_cstr(s->preferred, name, sizeof name));
        return SG_INVALID;
    }
    return SG_OK;
}

static enum sg_err missing(struct judge *j, const char *aba, const char *what, struct span name)
{
    char text[NAME_SIZE_MAX + 1];
    (void)snprintf(j->why, j->why_size, "shard %s: there is no %s %s", aba, what,
                   span_cstr(name, text, sizeof text));
    return SG_INVALID;
}

/* Folds the objects that the shard uses together, as its log will hold them. */
static enum sg_err fold(struct judge *j, const struct shard_settings *s, const char *aba, struct arena *a,
                        struct settings *out)
{
    const struct cluster_settings *c = j->c;
    *out = (struct settings){.shard = *s};
    for (size_t i = 0; i < c->endpoints_count; i++) {
        if (span_eq(c->endpoints[i].name, s->endpoint)) {
            out->endpoint = c->endpoints[i];
        }
    }
    if (out->endpoint.kind == ENDPOINT_NONE) {
        return missing(j, aba, "endpoint", s->endpoint);
    }
    for (size_t i = 0; i < c->calendars_count; i++) {
        if (span_eq(c->calendars[i].name, s->calendar)) {
            out->calendar = c->calendars[i];
        }
    }
    if (out->calendar.name.n == 0 && s->calendar.n > 0) {
        return missing(j, aba, "calendar", s->calendar);
    }
    out->originators = arena_array(a, s->originators_count, sizeof *out->originators);
    for (size_t k = 0; k < s->originators_count; k++) {
        size_t before = out->originators_count;
        for (size_t i = 0; i < c->originators_count; i++) {
            if (span_eq(c->originators[i].name, s->originators[k])) {
                out->originators[out->originators_count++] = c->originators[i];
            }
        }
        if (out->originators_count == before) {
            return missing(j, aba, "originator", s->originators[k]);
        }
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
    if (err == SG_OK) {
        err = ach_settings_check(&folded, why, sizeof why);
        if (err != SG_OK) {
            (void)snprintf(j->why, j->why_size, "shard %s: %s", aba, why);
        }
    }
    if (err == SG_OK) {
        err = check_replicas(j, s, aba);
    }
    arena_release(&a);
    return err;
}

/* Trace numbers are unique for an ODFI, and each shard counts its own. */
static enum sg_err check_odfis(struct judge *j)
{
    const struct cluster_settings *c = j->c;
    for (size_t i = 0; i < c->shards_count; i++) {
        char mine[9];
        ach_odfi(&c->shards[i], mine);
        for (size_t k = 0; k < i; k++) {
            char other[9];
            char a[ABA_TEXT_SIZE];
            char b[ABA_TEXT_SIZE];
            ach_odfi(&c->shards[k], other);
            if (strcmp(mine, other) == 0) {
                (void)snprintf(
                    j->why, j->why_size,
                    "shards %s and %s both send for ODFI %s: their trace numbers would collide; give each "
                    "an odfi of its own",
                    aba_text(c->shards[k].routing_number, a), aba_text(c->shards[i].routing_number, b), mine);
                return SG_INVALID;
            }
        }
    }
    return SG_OK;
}

enum sg_err catalog_check(const struct cluster_settings *c, const struct node_settings *nodes,
                          size_t nodes_count, char *why, size_t why_size)
{
    struct judge j = {.c = c, .nodes = nodes, .nodes_count = nodes_count, .why = why, .why_size = why_size};
    enum sg_err err = SG_OK;

    for (size_t i = 0; err == SG_OK && i < c->endpoints_count; i++) {
        err = check_endpoint(&j, &c->endpoints[i]);
    }
    for (size_t i = 0; err == SG_OK && i < c->originators_count; i++) {
        if (!is_name(c->originators[i].name)) {
            (void)snprintf(why, why_size, "originators: a name has 1 to %d of A-Z a-z 0-9 - _ .",
                           NAME_SIZE_MAX);
            err = SG_INVALID;
        }
    }
    for (size_t i = 0; err == SG_OK && i < c->shards_count; i++) {
        err = check_shard(&j, &c->shards[i]);
    }
    return err == SG_OK ? check_odfis(&j) : err;
}
