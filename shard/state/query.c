/* Questions about settings, transfers, windows, files and events. */
#include <string.h>

#include "shard/state/attempts.h"
#include "shard/state/modifier.h"
#include "shard/state/store.h"

enum sg_err state_counters(struct rows *r, struct counters_row *out)
{
    return store_get_counters(r, out);
}

enum sg_err state_settings_at(struct rows *r, uint64_t version, struct arena *a, struct settings *out)
{
    struct state_key key = key_number(TABLE_SETTINGS, version);
    struct span value;
    enum sg_err err = rows_get(r, key_span(&key), &value);
    if (err != SG_OK) {
        return err;
    }
    return settings_decode(arena_dup(a, value), a, out) == SG_OK ? SG_OK : store_corrupt(r, &key, "settings");
}

enum sg_err state_settings(struct rows *r, struct arena *a, struct settings *out)
{
    struct counters_row counters;
    enum sg_err err = store_get_counters(r, &counters);
    if (err != SG_OK) {
        return err;
    }
    return counters.settings_version == 0 ? SG_NOTFOUND
                                          : state_settings_at(r, counters.settings_version, a, out);
}

/* --- Lists ---------------------------------------------------------------------- */

/* Rows gathered until it is known how many they are. */
struct list {
    struct bytes rows;
    size_t row_size;
};

static void list_add(struct list *l, const void *row)
{
    bytes_append(&l->rows, row, l->row_size);
}

static size_t list_count(const struct list *l)
{
    return l->rows.n / l->row_size;
}

/* SG_NOTFOUND is how a walk ends: the list goes into the arena. */
static enum sg_err list_end(struct list *l, enum sg_err err, struct arena *a, void **out, size_t *count)
{
    if (err == SG_OK || err == SG_NOTFOUND) {
        *count = list_count(l);
        *out = arena_array(a, *count, l->row_size);
        if (l->rows.n > 0) {
            memcpy(*out, l->rows.p, l->rows.n);
        }
        err = SG_OK;
    }
    bytes_release(&l->rows);
    return err;
}

/* --- Transfers ------------------------------------------------------------------- */

enum sg_err state_transfer_by_seq(struct rows *r, uint64_t seq, struct arena *a, struct transfer_row *out)
{
    return store_get_transfer(r, seq, a, out);
}

enum sg_err state_transfer_by_id(struct rows *r, struct span id, struct arena *a, struct transfer_row *out)
{
    struct fold_row fold;
    enum sg_err err = store_get_fold(r, id, &fold);
    if (err != SG_OK) {
        return err;
    }
    struct state_key key = key_number(TABLE_TRANSFERS, fold.seq);
    return store_must(r, &key, store_get_transfer(r, fold.seq, a, out));
}

/* Pending ones have an index; the others are found by looking at all. */
static enum sg_err transfer_at(struct rows *r, enum transfer_state state, uint64_t seq, struct span value,
                               struct arena *a, struct transfer_row *out)
{
    if (state != TRANSFER_PENDING) {
        return store_transfer_of(r, seq, value, a, out);
    }
    struct state_key key = key_number(TABLE_TRANSFERS, seq);
    return store_must(r, &key, store_get_transfer(r, seq, a, out));
}

enum sg_err state_transfers(struct rows *r, uint64_t after, enum transfer_state state, size_t max,
                            struct arena *a, struct transfer_row **out, size_t *count)
{
    struct list list = {.row_size = sizeof(**out)};
    struct store_walk walk;
    struct transfer_row row;
    struct span value;
    uint64_t seq = 0;
    void *rows = NULL;
    enum sg_err err = SG_OK;
    store_walk(&walk, r, state == TRANSFER_PENDING ? TABLE_PENDING : TABLE_TRANSFERS, after);
    while (list_count(&list) < max && (err = store_walk_next(&walk, &seq, &value)) == SG_OK) {
        err = transfer_at(r, state, seq, value, a, &row);
        if (err != SG_OK) {
            break;
        }
        if (state == 0 || row.state == state) {
            list_add(&list, &row);
        }
    }
    store_walk_release(&walk);
    err = list_end(&list, err, a, &rows, count);
    *out = rows;
    return err;
}

/* --- Windows ---------------------------------------------------------------------- */

enum sg_err state_window(struct rows *r, const struct window_id *id, struct window_row *out)
{
    return store_get_window(r, id, out);
}

static enum sg_err windows_of(struct rows *r, struct store_walk *walk, size_t max, struct arena *a,
                              struct window_row **out, size_t *count)
{
    struct list list = {.row_size = sizeof(**out)};
    struct window_row row;
    struct span value;
    uint64_t index = 0;
    void *rows = NULL;
    enum sg_err err = SG_OK;
    while (list_count(&list) < max && (err = store_walk_next(walk, &index, &value)) == SG_OK) {
        err = store_window_of(r, value, &row);
        if (err != SG_OK) {
            break;
        }
        list_add(&list, &row);
    }
    store_walk_release(walk);
    err = list_end(&list, err, a, &rows, count);
    *out = rows;
    return err;
}

enum sg_err state_windows(struct rows *r, size_t max, struct arena *a, struct window_row **out, size_t *count)
{
    struct store_walk walk;
    store_walk_backwards(&walk, r, TABLE_WINDOW_ORDER);
    return windows_of(r, &walk, max, a, out, count);
}

enum sg_err state_windows_open_work(struct rows *r, struct arena *a, struct window_row **out, size_t *count)
{
    struct store_walk walk;
    store_walk(&walk, r, TABLE_WINDOW_WORK, 0);
    return windows_of(r, &walk, SIZE_MAX, a, out, count);
}

/* --- Files -------------------------------------------------------------------------- */

enum sg_err state_file(struct rows *r, uint64_t file, struct arena *a, struct file_row *out)
{
    return store_get_file(r, file, a, out);
}

enum sg_err state_file_by_name(struct rows *r, struct span name, struct arena *a, struct file_row *out)
{
    struct span value;
    if (name.n == 0 || name.n > FILE_NAME_SIZE_MAX) {
        return SG_NOTFOUND;
    }
    struct state_key key = key_text(TABLE_FILE_NAMES, name);
    enum sg_err err = rows_get(r, key_span(&key), &value);
    if (err != SG_OK) {
        return err;
    }
    if (value.n != 8) {
        return store_corrupt(r, &key, "file name row");
    }
    return store_must(r, &key, store_get_file(r, be64_get(value.p), a, out));
}

enum sg_err state_files(struct rows *r, size_t max, struct arena *a, struct file_row **out, size_t *count)
{
    struct list list = {.row_size = sizeof(**out)};
    struct store_walk walk;
    struct file_row row;
    struct span value;
    uint64_t file = 0;
    void *rows = NULL;
    enum sg_err err = SG_OK;
    store_walk_backwards(&walk, r, TABLE_FILES);
    while (list_count(&list) < max && (err = store_walk_next(&walk, &file, &value)) == SG_OK) {
        err = store_file_of(r, file, value, a, &row);
        if (err != SG_OK) {
            break;
        }
        list_add(&list, &row);
    }
    store_walk_release(&walk);
    err = list_end(&list, err, a, &rows, count);
    *out = rows;
    return err;
}

enum sg_err state_files_open_work(struct rows *r, struct arena *a, struct file_row **out, size_t *count)
{
    struct list list = {.row_size = sizeof(**out)};
    struct store_walk walk;
    struct file_row row;
    struct span value;
    uint64_t file = 0;
    void *rows = NULL;
    enum sg_err err = SG_OK;
    store_walk(&walk, r, TABLE_FILE_WORK, 0);
    while ((err = store_walk_next(&walk, &file, &value)) == SG_OK) {
        struct state_key key = key_number(TABLE_FILES, file);
        err = store_must(r, &key, store_get_file(r, file, a, &row));
        if (err != SG_OK) {
            break;
        }
        list_add(&list, &row);
    }
    store_walk_release(&walk);
    err = list_end(&list, err, a, &rows, count);
    *out = rows;
    return err;
}

enum sg_err state_file_members(struct rows *r, uint64_t file, struct arena *a, uint64_t **out, size_t *count)
{
    return store_get_members(r, file, a, out, count);
}

enum sg_err state_attempts_all(struct rows *r, uint64_t file, struct arena *a, struct attempt_row **out,
                               size_t *count)
{
    return attempts_of(r, file, a, out, count);
}

enum sg_err state_attempts(struct rows *r, uint64_t file, struct arena *a, struct attempt_row **out,
                           size_t *count)
{
    size_t all = 0;
    enum sg_err err = attempts_of(r, file, a, out, &all);
    *count = 0;
    for (size_t i = 0; err == SG_OK && i < all; i++) {
        if (!(*out)[i].staged && !(*out)[i].cleaned) {
            (*out)[(*count)++] = (*out)[i];
        }
    }
    return err;
}

enum sg_err state_modifier(struct rows *r, struct day creation_day, char *out)
{
    uint64_t mask = 0;
    enum sg_err err = store_get_modifiers(r, creation_day, &mask);
    *out = modifier_first_free(mask);
    return err;
}

/* --- Events --------------------------------------------------------------------------- */

enum sg_err state_events(struct rows *r, uint64_t after, size_t max, struct arena *a, struct event_row **out,
                         size_t *count)
{
    struct list list = {.row_size = sizeof(**out)};
    struct store_walk walk;
    struct event_row row;
    struct span value;
    uint64_t cursor = 0;
    void *rows = NULL;
    enum sg_err err = SG_OK;
    store_walk(&walk, r, TABLE_EVENTS, after);
    while (list_count(&list) < max && (err = store_walk_next(&walk, &cursor, &value)) == SG_OK) {
        err = store_event_of(r, cursor, value, a, &row);
        if (err != SG_OK) {
            break;
        }
        list_add(&list, &row);
    }
    store_walk_release(&walk);
    err = list_end(&list, err, a, &rows, count);
    *out = rows;
    return err;
}
