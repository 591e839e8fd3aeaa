/* What shards and endpoints may not have in common: an ODFI, and a place where
 * their files would meet. */
#include <stdlib.h>
#include <string.h>

#include "shard/ach/name.h"
#include "shard/ach/validate.h"
#include "supervisor/catalog/check.h"

/* --- ODFIs ------------------------------------------------------------------------- */

struct odfi_row {
    char odfi[9];
    struct aba shard;
};

static int by_odfi(const void *a, const void *b)
{
    const struct odfi_row *x = a;
    const struct odfi_row *y = b;
    int order = strcmp(x->odfi, y->odfi);
    return order != 0 ? order : (x->shard.n > y->shard.n) - (x->shard.n < y->shard.n);
}

/* Trace numbers are unique for an ODFI, and each shard counts its own. */
static enum sg_err check_odfis(struct judge *j)
{
    size_t count = j->c->shards_count;
    struct odfi_row *rows = arena_array(j->a, count, sizeof *rows);

    for (size_t i = 0; i < count; i++) {
        ach_odfi(&j->c->shards[i], rows[i].odfi);
        rows[i].shard = j->c->shards[i].routing_number;
    }
    if (count > 0) {
        qsort(rows, count, sizeof *rows, by_odfi);
    }
    for (size_t i = 1; i < count; i++) {
        char a[ABA_TEXT_SIZE];
        char b[ABA_TEXT_SIZE];
        if (strcmp(rows[i - 1].odfi, rows[i].odfi) == 0) {
            return judge_refuse(
                j,
                "shards %s and %s both send for ODFI %s: their trace numbers would collide; give each an "
                "odfi of its own",
                aba_text(rows[i - 1].shard, a), aba_text(rows[i].shard, b), rows[i].odfi);
        }
    }
    return SG_OK;
}

/* --- Directories ----------------------------------------------------------------------- */

/* One writing of a path: no "//", no "/./", nothing behind the last name. Links
 * and ".." are not looked through. */
static struct span plain_path(struct arena *a, struct span path)
{
    struct bytes out = BYTES_NONE;
    struct span plain;

    for (size_t i = 0; i < path.n;) {
        const uint8_t *slash = memchr(path.p + i, '/', path.n - i);
        size_t size = slash == NULL ? path.n - i : (size_t)(slash - (path.p + i));
        struct span name = span_of(path.p + i, size);
        if (i == 0 && size == 0) {
            bytes_append(&out, "/", 1);
        } else if (size > 0 && !span_is(name, ".")) {
            if (out.n > 0 && out.p[out.n - 1] != '/') {
                bytes_append(&out, "/", 1);
            }
            bytes_append_span(&out, name);
        }
        i += size + 1;
    }
    plain = arena_dup(a, span_bytes(&out));
    bytes_release(&out);
    return plain;
}

struct dir_row {
    struct span dir;
    const struct endpoint_settings *endpoint;
    bool is_drop;
};

static int by_dir(const void *a, const void *b)
{
    const struct dir_row *x = a;
    const struct dir_row *y = b;
    int order = span_cmp(x->dir, y->dir);
    return order != 0 ? order : (int)x->is_drop - (int)y->is_drop;
}

/* A bank takes whatever it finds in its drop directory. */
static enum sg_err check_dirs(struct judge *j)
{
    size_t count = 2 * j->c->endpoints_count;
    struct dir_row *rows = arena_array(j->a, count, sizeof *rows);

    for (size_t i = 0; i < count; i++) {
        const struct endpoint_settings *e = &j->c->endpoints[i / 2];
        bool is_drop = i % 2 == 0;
        rows[i] = (struct dir_row){plain_path(j->a, is_drop ? e->drop_dir : e->staging_dir), e, is_drop};
    }
    if (count > 0) {
        qsort(rows, count, sizeof *rows, by_dir);
    }
    for (size_t i = 1; i < count; i++) {
        const struct endpoint_settings *staging = rows[i - 1].endpoint;
        const struct endpoint_settings *drop = rows[i].endpoint;
        if (!rows[i - 1].is_drop && rows[i].is_drop && span_eq(rows[i - 1].dir, rows[i].dir)) {
            return judge_refuse(j,
                                "endpoint %.*s: staging_dir must not be drop_dir%s%.*s: the bank would take "
                                "files half written",
                                (int)staging->name.n, (const char *)staging->name.p,
                                staging == drop ? "" : " of endpoint ",
                                staging == drop ? 0 : (int)drop->name.n, (const char *)drop->name.p);
        }
    }
    return SG_OK;
}

/* --- File names ------------------------------------------------------------------------ */

struct name_row {
    struct span dir, file_name;
    struct aba shard;
};

static int by_dir_and_name(const void *a, const void *b)
{
    const struct name_row *x = a;
    const struct name_row *y = b;
    int order = span_cmp(x->dir, y->dir);
    if (order == 0) {
        order = span_cmp(x->file_name, y->file_name);
    }
    return order != 0 ? order : (x->shard.n > y->shard.n) - (x->shard.n < y->shard.n);
}

static enum sg_err refuse_names(struct judge *j, const struct name_row *x, const struct name_row *y)
{
    char a[ABA_TEXT_SIZE];
    char b[ABA_TEXT_SIZE];
    return judge_refuse(
        j,
        "shards %s and %s send files to the same drop_dir %.*s and could give two of them the same "
        "name: begin the file_name of both with {routing_number}, or give each a drop_dir of its own",
        aba_text(x->shard, a), aba_text(y->shard, b), (int)x->dir.n, (const char *)x->dir.p);
}

/* Rows of one directory, ascending by template: shards with one template are
 * alike, so that it is enough to hold templates against each other. */
static enum sg_err check_one_dir(struct judge *j, const struct name_row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        bool again = i > 0 && span_eq(rows[i - 1].file_name, rows[i].file_name);
        if (again && name_may_clash(rows[i].file_name, rows[i].file_name)) {
            return refuse_names(j, &rows[i - 1], &rows[i]);
        }
        for (size_t k = 0; !again && k < i; k++) {
            bool first = k == 0 || !span_eq(rows[k - 1].file_name, rows[k].file_name);
            if (first && name_may_clash(rows[k].file_name, rows[i].file_name)) {
                return refuse_names(j, &rows[k], &rows[i]);
            }
        }
    }
    return SG_OK;
}

static enum sg_err check_names(struct judge *j)
{
    size_t count = j->c->shards_count;
    struct name_row *rows = arena_array(j->a, count, sizeof *rows);
    enum sg_err err = SG_OK;

    for (size_t i = 0; i < count; i++) {
        const struct shard_settings *s = &j->c->shards[i];
        const struct endpoint_settings *e = &j->c->endpoints[catalog_index_find(&j->endpoints, s->endpoint)];
        rows[i] = (struct name_row){plain_path(j->a, e->drop_dir), s->file_name, s->routing_number};
    }
    if (count > 0) {
        qsort(rows, count, sizeof *rows, by_dir_and_name);
    }
    for (size_t i = 0; err == SG_OK && i < count;) {
        size_t n = 1;
        while (i + n < count && span_eq(rows[i].dir, rows[i + n].dir)) {
            n++;
        }
        err = check_one_dir(j, rows + i, n);
        i += n;
    }
    return err;
}

enum sg_err check_shared(struct judge *j)
{
    enum sg_err err = check_odfis(j);
    if (err == SG_OK) {
        err = check_dirs(j);
    }
    return err == SG_OK ? check_names(j) : err;
}
