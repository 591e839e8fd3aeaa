/* The catalog's state machine: a set of changes, as a whole or not at all. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/mem.h"
#include "supervisor/catalog/rows.h"

size_t catalog_row_key(enum catalog_kind kind, struct span name, uint8_t key[CATALOG_KEY_SIZE_MAX])
{
    CHECK(name.n <= NAME_SIZE_MAX);
    key[0] = catalog_row_prefix(kind);
    if (name.n > 0) {
        memcpy(key + 1, name.p, name.n);
    }
    return 1 + name.n;
}

static enum sg_err write_change(struct rows *rows, uint64_t index, const struct catalog_change *c)
{
    uint8_t key[CATALOG_KEY_SIZE_MAX];
    size_t key_size = catalog_row_key(c->kind, c->name, key);
    struct catalog_row row = {.version = index, .encoded = c->encoded};
    struct bytes value = BYTES_NONE;
    enum sg_err err;

    catalog_row_encode(&row, &value);
    err = rows_put(rows, span_of(key, key_size), span_bytes(&value));
    bytes_release(&value);
    return err;
}

/* A node may register once; another identity under its name is refused. */
static bool node_is_new_or_same(const struct catalog_model *m, const struct catalog_change *c)
{
    for (size_t i = 0; i < m->nodes_count; i++) {
        if (span_eq(m->nodes[i].name, c->name)) {
            struct arena a = ARENA_INIT;
            struct node_settings wanted;
            bool same = node_settings_decode(c->encoded, &a, &wanted) == SG_OK &&
                        wanted.id == m->nodes[i].id &&
                        memcmp(&wanted.identity, &m->nodes[i].identity, sizeof wanted.identity) == 0;
            arena_release(&a);
            return same;
        }
    }
    return true;
}

/* Written, read back as a whole and judged: what apply leaves behind always
 * loads and always fits together. refusal is set when it does not. */
static enum sg_err try_changes(struct rows *rows, uint64_t index, const struct catalog_command *c,
                               char *refusal, size_t refusal_size)
{
    struct catalog_model *m = catalog_model_new();
    enum sg_err err = SG_OK;

    for (size_t i = 0; err == SG_OK && i < c->changes_count; i++) {
        err = write_change(rows, index, &c->changes[i]);
    }
    if (err == SG_OK) {
        err = catalog_model_load(m, rows);
        if (err == SG_OK &&
            catalog_check(c->level, &m->cluster, m->nodes, m->nodes_count, refusal, refusal_size) == SG_OK) {
            refusal[0] = '\0';
        }
    }
    catalog_model_free(m);
    return err;
}

/* The rows as they were: a refused command leaves nothing behind. */
static enum sg_err undo_changes(struct rows *rows, const struct catalog_command *c,
                                const struct bytes *before)
{
    enum sg_err err = SG_OK;
    for (size_t i = 0; err == SG_OK && i < c->changes_count; i++) {
        uint8_t key[CATALOG_KEY_SIZE_MAX];
        size_t key_size = catalog_row_key(c->changes[i].kind, c->changes[i].name, key);
        err = before[i].n == 0 ? rows_del(rows, span_of(key, key_size))
                               : rows_put(rows, span_of(key, key_size), span_bytes(&before[i]));
    }
    return err;
}

static enum sg_err remember(struct rows *rows, const struct catalog_command *c, struct bytes *before)
{
    for (size_t i = 0; i < c->changes_count; i++) {
        uint8_t key[CATALOG_KEY_SIZE_MAX];
        size_t key_size = catalog_row_key(c->changes[i].kind, c->changes[i].name, key);
        struct span value;
        enum sg_err err = rows_get(rows, span_of(key, key_size), &value);
        if (err == SG_OK) {
            bytes_set(&before[i], value);
        } else if (err != SG_NOTFOUND) {
            return err;
        }
    }
    return SG_OK;
}

static bool all_sound(const struct catalog_command *c)
{
    bool sound = true;
    for (size_t i = 0; sound && i < c->changes_count; i++) {
        sound = catalog_is_sound(c->changes[i].kind, c->changes[i].name, c->changes[i].encoded);
    }
    return sound;
}

static enum sg_err change_all(struct rows *rows, uint64_t index, const struct catalog_command *c,
                              char *refusal, size_t refusal_size)
{
    struct bytes *before;
    enum sg_err err;

    if (!all_sound(c)) {
        (void)snprintf(refusal, refusal_size, "an object of the change cannot be decoded");
        return SG_OK;
    }
    before = mem_zalloc(c->changes_count, sizeof *before);
    err = remember(rows, c, before);
    if (err == SG_OK) {
        err = try_changes(rows, index, c, refusal, refusal_size);
    }
    if (err == SG_OK && refusal[0] != '\0') {
        err = undo_changes(rows, c, before);
    }
    for (size_t i = 0; i < c->changes_count; i++) {
        bytes_release(&before[i]);
    }
    mem_free(before);
    return err;
}

static int by_object(const void *a, const void *b)
{
    const struct catalog_change *x = *(const struct catalog_change *const *)a;
    const struct catalog_change *y = *(const struct catalog_change *const *)b;
    return x->kind != y->kind ? (x->kind > y->kind) - (x->kind < y->kind) : span_cmp(x->name, y->name);
}

/* An object that is named twice, or NULL: undoing would not know what was there before. */
static const struct catalog_change *named_twice(const struct catalog_command *c)
{
    const struct catalog_change **sorted = mem_zalloc(c->changes_count, sizeof(*sorted));
    const struct catalog_change *twice = NULL;

    for (size_t i = 0; i < c->changes_count; i++) {
        sorted[i] = &c->changes[i];
    }
    if (c->changes_count > 0) {
        qsort(sorted, c->changes_count, sizeof(*sorted), by_object);
    }
    for (size_t i = 1; i < c->changes_count && twice == NULL; i++) {
        twice = by_object(&sorted[i - 1], &sorted[i]) == 0 ? sorted[i] : NULL;
    }
    mem_free(sorted);
    return twice;
}

/* Why the command cannot be taken as it stands; "" when it can. */
static void judge(const struct catalog_model *m, const struct catalog_command *c, char *refusal, size_t size)
{
    const struct catalog_change *twice;
    char name[NAME_SIZE_MAX + 1];

    refusal[0] = '\0';
    if (c->base_version != m->version) {
        (void)snprintf(refusal, size,
                       "the configuration changed meanwhile (version %llu, not %llu): apply again",
                       (unsigned long long)m->version, (unsigned long long)c->base_version);
        return;
    }
    for (size_t i = 0; i < c->changes_count; i++) {
        if (c->changes[i].kind == CATALOG_NODE && !node_is_new_or_same(m, &c->changes[i])) {
            (void)snprintf(refusal, size, "node %s is registered with another data directory",
                           span_cstr(c->changes[i].name, name, sizeof name));
            return;
        }
    }
    twice = named_twice(c);
    if (twice != NULL) {
        (void)snprintf(refusal, size, "%s %s is named twice", catalog_kind_name(twice->kind),
                       span_cstr(twice->name, name, sizeof name));
    }
}

/* A level above what this program speaks stops it here, before anything of that
 * level follows. refusal: the command's level is neither the catalog's nor the one it
 * takes it to, or it would take the level back. */
static enum sg_err judge_level(const struct rows *rows, const struct catalog_model *m,
                               const struct catalog_command *c, char *refusal, size_t size)
{
    enum sg_err err = SG_OK;
    uint32_t level = m->level.level;
    for (size_t i = 0; err == SG_OK && refusal[0] == '\0' && i < c->changes_count; i++) {
        struct arena a = ARENA_INIT;
        struct level_settings to;
        if (c->changes[i].kind == CATALOG_LEVEL &&
            level_settings_decode(c->changes[i].encoded, &a, &to) == SG_OK) {
            if (to.level > rows->level_max) {
                err = catalog_newer(rows, to.level, to.program);
            } else if (to.level <= m->level.level) {
                (void)snprintf(refusal, size, "the catalog stands at level %u, which never goes back",
                               m->level.level);
            }
            level = to.level > level ? to.level : level;
        }
        arena_release(&a);
    }
    if (err == SG_OK && refusal[0] == '\0' && c->level > level) {
        (void)snprintf(refusal, size, "made under level %u; the catalog stands at level %u", c->level,
                       m->level.level);
    }
    return err;
}

enum sg_err catalog_apply(struct rows *rows, uint64_t index, uint64_t term, struct span command,
                          struct bytes *result)
{
    struct arena a = ARENA_INIT;
    struct catalog_model *m = catalog_model_new();
    struct catalog_command c;
    struct catalog_result r = {.err = SG_OK};
    char refusal[512] = "";
    enum sg_err err;

    (void)term;
    err = catalog_model_load(m, rows);
    if (err != SG_OK) {
        goto out;
    }
    rows->level = m->level.level;
    err = catalog_command_decode(command, &a, &c);
    if (err != SG_OK || c.level > rows->level_max) {
        /* Whole, by the log's checksum: its writer knew more than this program. */
        err = catalog_newer(rows, err == SG_INVALID ? 0 : c.level, SPAN_NONE);
        goto out;
    }
    err = judge_level(rows, m, &c, refusal, sizeof refusal);
    if (err != SG_OK) {
        goto out;
    }
    if (refusal[0] == '\0') {
        judge(m, &c, refusal, sizeof refusal);
    }
    r.err = refusal[0] != '\0' ? SG_CONFLICT : SG_OK;
    if (r.err == SG_OK) {
        err = change_all(rows, index, &c, refusal, sizeof refusal);
        r.err = refusal[0] != '\0' ? SG_INVALID : SG_OK;
    }
    r.reason = span_str(refusal);
    r.version = r.err == SG_OK ? index : m->version;
    if (err == SG_OK) {
        catalog_result_encode(&r, result);
    }
out:
    catalog_model_free(m);
    arena_release(&a);
    return err;
}
