#include "shard/state/store.h"

#include <stdio.h>
#include <string.h>

enum sg_err store_corrupt(struct rows *r, const struct state_key *key, const char *why)
{
    return kv_corrupt(r->kv, KV_STATE, key_span(key), why);
}

enum sg_err state_newer(const struct rows *r, const char *what, uint32_t level, struct span program)
{
    char needed[NAME_SIZE_MAX + 32] = "a later program";
    char name[NAME_SIZE_MAX + 1], is[32] = "";
    if (program.n > 0) {
        (void)snprintf(needed, sizeof needed, "shardgated %s or later",
                       span_cstr(program, name, sizeof name));
    } else if (level != 0 && level_program(level) != NULL) {
        (void)snprintf(needed, sizeof needed, "shardgated %s or later", level_program(level));
    }
    if (level != 0) {
        (void)snprintf(is, sizeof is, " is of level %u and", level);
    }
    return kv_newer(
        "%s%s needs %s; this program speaks levels %u to %u. Nothing is damaged: start that program on "
        "this node, it goes on from here",
        what, is, needed, LEVEL_MIN, r->level_max);
}

enum sg_err store_decoded(struct rows *r, const struct state_key *key, const char *what, enum sg_err err)
{
    if (err == SG_OK) {
        return SG_OK;
    }
    return err == SG_UNSUPPORTED ? state_newer(r, what, 0, SPAN_NONE) : store_corrupt(r, key, what);
}

enum sg_err store_must(struct rows *r, const struct state_key *key, enum sg_err err)
{
    return err == SG_NOTFOUND ? store_corrupt(r, key, "missing row") : err;
}

/* --- Index entries ----------------------------------------------------------- */

enum sg_err store_mark(struct rows *r, struct state_key key, struct span value)
{
    return rows_put(r, key_span(&key), value);
}

enum sg_err store_unmark(struct rows *r, struct state_key key)
{
    return rows_del(r, key_span(&key));
}

enum sg_err store_has(struct rows *r, struct state_key key, bool *found)
{
    struct span value;
    enum sg_err err = rows_get(r, key_span(&key), &value);
    *found = err == SG_OK;
    return err == SG_NOTFOUND ? SG_OK : err;
}

static enum sg_err put_and_release(struct rows *r, const struct state_key *key, struct bytes *value)
{
    enum sg_err err = rows_put(r, key_span(key), span_bytes(value));
    bytes_release(value);
    return err;
}

/* Is any row there? The counters are written with the first that is. */
static enum sg_err has_rows(struct rows *r, bool *any)
{
    struct kv_cursor c;
    rows_cursor(r, &c, SPAN_NONE);
    enum sg_err err = kv_next(&c);
    kv_cursor_release(&c);
    *any = err == SG_OK;
    return err == SG_NOTFOUND ? SG_OK : err;
}

/* --- Counters ------------------------------------------------------------------ */

enum sg_err store_get_counters(struct rows *r, struct counters_row *out)
{
    struct state_key key = key_table(TABLE_COUNTERS);
    struct span value;
    enum sg_err err = rows_get(r, key_span(&key), &value);
    if (err == SG_NOTFOUND) {
        bool any = false;
        *out = (struct counters_row){.next_seq = 1, .next_file = 1, .next_trace = 1, .next_event = 1};
        err = has_rows(r, &any);
        return any ? store_corrupt(r, &key, "no counters beside other rows") : err;
    }
    if (err != SG_OK) {
        return err;
    }
    return store_decoded(r, &key, "counters row", counters_row_decode(value, out));
}

enum sg_err store_put_counters(struct rows *r, const struct counters_row *c)
{
    struct state_key key = key_table(TABLE_COUNTERS);
    struct bytes value = BYTES_NONE;
    counters_row_encode(c, &value);
    return put_and_release(r, &key, &value);
}

enum sg_err store_get_window_settings(struct rows *r, const struct window_row *w, uint32_t level,
                                      struct arena *a, struct settings *out)
{
    struct state_key key = key_number(TABLE_SETTINGS, w->settings_version);
    return store_must(r, &key, state_settings_at(r, w->settings_version, level, a, out));
}

/* The counters say which numbers were given, and no row of one is ever removed:
 * a number that was given and has no row is damage. Any other was never given. */
static enum sg_err judge_missing(struct rows *r, const struct state_key *key, uint64_t number,
                                 uint64_t (*next)(const struct counters_row *c))
{
    struct counters_row counters;
    enum sg_err err = store_get_counters(r, &counters);
    if (err != SG_OK) {
        return err;
    }
    return number > 0 && number < next(&counters) ? store_corrupt(r, key, "missing row") : SG_NOTFOUND;
}

static uint64_t next_seq(const struct counters_row *c)
{
    return c->next_seq;
}

static uint64_t next_file(const struct counters_row *c)
{
    return c->next_file;
}

/* --- Transfers ------------------------------------------------------------------- */

enum sg_err store_transfer_of(struct rows *r, uint64_t seq, struct span value, struct arena *a,
                              struct transfer_row *out)
{
    struct state_key key = key_number(TABLE_TRANSFERS, seq);
    enum sg_err err = transfer_row_decode(value, a, out);
    if (err == SG_OK && out->seq != seq) {
        err = SG_INVALID;
    }
    return store_decoded(r, &key, "transfer row", err);
}

enum sg_err store_get_transfer(struct rows *r, uint64_t seq, struct arena *a, struct transfer_row *out)
{
    struct state_key key = key_number(TABLE_TRANSFERS, seq);
    struct span value;
    enum sg_err err = rows_get(r, key_span(&key), &value);
    if (err == SG_NOTFOUND) {
        return judge_missing(r, &key, seq, next_seq);
    }
    return err == SG_OK ? store_transfer_of(r, seq, value, a, out) : err;
}

enum sg_err store_put_transfer(struct rows *r, const struct transfer_row *row, struct bytes *scratch)
{
    struct state_key key = key_number(TABLE_TRANSFERS, row->seq);
    bytes_clear(scratch);
    transfer_row_encode(row, scratch);
    return rows_put(r, key_span(&key), span_bytes(scratch));
}

enum sg_err store_content(struct rows *r, const struct transfer_row *row, struct arena *a,
                          struct transfer *out)
{
    struct state_key key = key_number(TABLE_TRANSFERS, row->seq);
    return store_decoded(r, &key, "transfer", transfer_decode(row->encoded, a, out));
}

enum sg_err store_get_fold(struct rows *r, struct span id, struct fold_row *out)
{
    struct span value;
    if (id.n == 0 || id.n > TRANSFER_ID_SIZE_MAX) {
        return SG_NOTFOUND;
    }
    struct state_key key = key_text(TABLE_FOLDS, id);
    enum sg_err err = rows_get(r, key_span(&key), &value);
    if (err != SG_OK) {
        return err;
    }
    return store_decoded(r, &key, "fold row", fold_row_decode(value, out));
}

enum sg_err store_put_fold(struct rows *r, struct span id, const struct fold_row *row)
{
    struct state_key key = key_text(TABLE_FOLDS, id);
    struct bytes value = BYTES_NONE;
    fold_row_encode(row, &value);
    return put_and_release(r, &key, &value);
}

/* --- Windows ----------------------------------------------------------------------- */

static enum sg_err window_by_key(struct rows *r, const struct state_key *key, struct window_row *out)
{
    struct span value;
    enum sg_err err = rows_get(r, key_span(key), &value);
    if (err != SG_OK) {
        return err;
    }
    return store_decoded(r, key, "window row", window_row_decode(value, out));
}

enum sg_err store_get_window(struct rows *r, const struct window_id *id, struct window_row *out)
{
    if (id->name[0] == 0) {
        return SG_NOTFOUND;
    }
    struct state_key key = key_window(id);
    return window_by_key(r, &key, out);
}

enum sg_err store_window_of(struct rows *r, struct span tail, struct window_row *out)
{
    struct state_key key = key_table(TABLE_WINDOWS);
    if (tail.n > 4 + WINDOW_NAME_SIZE_MAX) {
        return store_corrupt(r, &key, "window index");
    }
    memcpy(key.b + key.n, tail.p, tail.n);
    key.n += tail.n;
    return store_must(r, &key, window_by_key(r, &key, out));
}

enum sg_err store_put_window(struct rows *r, const struct window_row *row)
{
    struct state_key key = key_window(&row->id);
    struct bytes value = BYTES_NONE;
    window_row_encode(row, &value);
    return put_and_release(r, &key, &value);
}

/* --- Files --------------------------------------------------------------------------- */

enum sg_err store_file_of(struct rows *r, uint64_t file, struct span value, struct arena *a,
                          struct file_row *out)
{
    struct state_key key = key_number(TABLE_FILES, file);
    enum sg_err err = file_row_decode(value, a, out);
    if (err == SG_OK && out->seal.file != file) {
        err = SG_INVALID;
    }
    return store_decoded(r, &key, "file row", err);
}

enum sg_err store_get_file(struct rows *r, uint64_t file, struct arena *a, struct file_row *out)
{
    struct state_key key = key_number(TABLE_FILES, file);
    struct span value;
    enum sg_err err = rows_get(r, key_span(&key), &value);
    if (err == SG_NOTFOUND) {
        return judge_missing(r, &key, file, next_file);
    }
    return err == SG_OK ? store_file_of(r, file, value, a, out) : err;
}

enum sg_err store_put_file(struct rows *r, const struct file_row *row)
{
    struct state_key key = key_number(TABLE_FILES, row->seal.file);
    struct bytes value = BYTES_NONE;
    file_row_encode(row, &value);
    return put_and_release(r, &key, &value);
}

enum sg_err store_get_members(struct rows *r, uint64_t file, struct arena *a, uint64_t **out, size_t *count)
{
    struct state_key key = key_number(TABLE_MEMBERS, file);
    struct span value;
    enum sg_err err = rows_get(r, key_span(&key), &value);
    if (err != SG_OK) {
        return err == SG_NOTFOUND ? judge_missing(r, &key, file, next_file) : err;
    }
    if (value.n == 0 || value.n % 8 != 0 || value.n / 8 > FILE_LINES_MAX) {
        return store_corrupt(r, &key, "members row");
    }
    *count = value.n / 8;
    *out = arena_array(a, *count, sizeof(**out));
    for (size_t i = 0; i < *count; i++) {
        (*out)[i] = be64_get(value.p + 8 * i);
    }
    return SG_OK;
}

enum sg_err store_put_members(struct rows *r, uint64_t file, const uint64_t *members, size_t count)
{
    struct state_key key = key_number(TABLE_MEMBERS, file);
    struct bytes value = BYTES_NONE;
    uint8_t *p = bytes_extend(&value, count * 8);
    for (size_t i = 0; i < count; i++) {
        be64_put(p + 8 * i, members[i]);
    }
    return put_and_release(r, &key, &value);
}

/* --- Modifiers ------------------------------------------------------------------------ */

enum sg_err store_get_modifiers(struct rows *r, struct day day, uint64_t *mask)
{
    struct state_key key = key_modifiers(day);
    struct span value;
    enum sg_err err = rows_get(r, key_span(&key), &value);
    *mask = 0;
    if (err != SG_OK) {
        return err == SG_NOTFOUND ? SG_OK : err;
    }
    if (value.n != 8) {
        return store_corrupt(r, &key, "modifiers row");
    }
    *mask = be64_get(value.p);
    return SG_OK;
}

enum sg_err store_put_modifiers(struct rows *r, struct day day, uint64_t mask)
{
    struct state_key key = key_modifiers(day);
    uint8_t value[8];
    be64_put(value, mask);
    return rows_put(r, key_span(&key), span_of(value, sizeof(value)));
}

/* --- Walks ------------------------------------------------------------------------------ */

void store_walk(struct store_walk *w, struct rows *r, enum state_table table, uint64_t after)
{
    struct state_key prefix = key_table(table);
    struct state_key from = key_number(table, after == UINT64_MAX ? after : after + 1);
    w->rows = r;
    rows_cursor(r, &w->cursor, key_span(&prefix));
    rows_cursor_from(&w->cursor, key_span(&from));
}

void store_walk_backwards(struct store_walk *w, struct rows *r, enum state_table table, uint64_t before)
{
    struct state_key prefix = key_table(table);
    struct state_key from = key_number(table, before - 1);
    w->rows = r;
    rows_cursor(r, &w->cursor, key_span(&prefix));
    kv_cursor_backwards(&w->cursor);
    if (before != 0) {
        rows_cursor_from(&w->cursor, key_span(&from));
    }
}

enum sg_err store_walk_next(struct store_walk *w, uint64_t *number, struct span *value)
{
    enum sg_err err = kv_next(&w->cursor);
    if (err != SG_OK) {
        return err;
    }
    if (!key_number_of(rows_key(&w->cursor), number)) {
        return kv_corrupt(w->rows->kv, KV_STATE, rows_key(&w->cursor), "key without a number");
    }
    *value = w->cursor.value;
    return SG_OK;
}

void store_walk_release(struct store_walk *w)
{
    kv_cursor_release(&w->cursor);
}

enum sg_err store_event_of(struct rows *r, uint64_t cursor, struct span value, struct arena *a,
                           struct event_row *out)
{
    struct state_key key = key_number(TABLE_EVENTS, cursor);
    enum sg_err err = event_row_decode(value, a, out);
    if (err == SG_OK && out->cursor != cursor) {
        err = SG_INVALID;
    }
    return store_decoded(r, &key, "event row", err);
}
