/* Questions about settings, transfers, windows, files and events. */
#include <string.h>

#include "shard/state/attempts.h"
#include "shard/state/modifier.h"
#include "shard/state/store.h"

enum sg_err state_counters(struct rows *r, struct counters_row *out)
{
    return store_get_counters(r, out);
}

uint32_t state_level(const struct counters_row *counters)
{
    return counters->level == 0 ? LEVEL_MIN : counters->level;
}

static enum sg_err settings_at(struct rows *r, uint64_t version, uint32_t level, struct arena *a,
                               struct settings *out)
{
    struct state_key key = key_number(TABLE_SETTINGS, version);
    struct span value;
    enum sg_err err = rows_get(r, key_span(&key), &value);
    if (err == SG_OK) {
        err = store_decoded(r, &key, "settings", settings_decode(arena_dup(a, value), a, out));
    }
    out->level = level;
    return err;
}

enum sg_err state_settings_at(struct rows *r, uint64_t version, uint32_t level, struct arena *a,
                              struct settings *out)
{
    struct counters_row counters;
    enum sg_err err = level != 0 ? SG_OK : store_get_counters(r, &counters);
    if (err != SG_OK) {
        return err;
    }
    return settings_at(r, version, level != 0 ? level : state_level(&counters), a, out);
}

enum sg_err state_settings(struct rows *r, uint32_t level, struct arena *a, struct settings *out)
{
    struct counters_row counters;
    enum sg_err err = store_get_counters(r, &counters);
    if (err != SG_OK) {
        return err;
    }
    if (counters.settings_version == 0) {
        return SG_NOTFOUND;
    }
    struct state_key key = key_number(TABLE_SETTINGS, counters.settings_version);
    return store_must(
        r, &key,
        settings_at(r, counters.settings_version, level != 0 ? level : state_level(&counters), a, out));
}

/* --- Lists ---------------------------------------------------------------------- */

/* What a list takes from a table: read() makes a row of the record under number,
 * and those that takes() refuses are passed over. */
struct list {
    struct rows *rows;
    struct arena *arena;
    size_t row_size;
    enum sg_err (*read)(const struct list *l, uint64_t number, struct span value, void *row);
    bool (*takes)(const struct list *l, const void *row); /* NULL: all. */
    enum transfer_state state;                            /* For takes(). */
};

/* What is passed over is read, too, but costs no answer: this part of its size counts. */
#define PASSED_BY_SHARE 8

/* How far a walk may go. */
struct budget {
    size_t rows, visits, bytes;
};

static struct budget budget_of(const struct page *page)
{
    return (struct budget){page->rows_max, LIST_VISITS_MAX, LIST_SIZE_SOFT_BYTES};
}

static struct budget all_up_to(size_t rows_max)
{
    return (struct budget){rows_max, SIZE_MAX, SIZE_MAX};
}

/* One record; what is taken of it is appended to found. SG_NOTFOUND: there is no more. */
static enum sg_err list_step(const struct list *l, struct store_walk *walk, void *row, struct bytes *found,
                             struct budget *left, uint64_t *next)
{
    struct span value;
    uint64_t number = 0;
    enum sg_err err = store_walk_next(walk, &number, &value);
    if (err != SG_OK) {
        return err;
    }
    size_t cost = value.n / PASSED_BY_SHARE;
    left->visits--;
    err = l->read(l, number, value, row);
    if (err == SG_OK && (l->takes == NULL || l->takes(l, row))) {
        bytes_append(found, row, l->row_size);
        left->rows--;
        cost = value.n;
    }
    left->bytes -= cost < left->bytes ? cost : left->bytes;
    *next = number;
    return err;
}

/* Gathers until it is known how many there are. Ends the walk; row is the caller's
 * room for one. page: where it ended; NULL: nobody asks. */
static enum sg_err list_walk(const struct list *l, struct store_walk *walk, struct budget left, void *row,
                             struct page *page, void **out, size_t *count)
{
    struct bytes found = BYTES_NONE;
    uint64_t next = page != NULL ? page->after : 0;
    enum sg_err err = SG_OK;
    while (err == SG_OK && left.rows > 0 && left.visits > 0 && left.bytes > 0) {
        err = list_step(l, walk, row, &found, &left, &next);
    }
    store_walk_release(walk);
    if (page != NULL) {
        page->next = next;
        page->more = err == SG_OK;
    }
    if (err == SG_NOTFOUND) {
        err = SG_OK; /* How a walk ends. */
    }
    *count = err == SG_OK ? found.n / l->row_size : 0;
    *out = err == SG_OK ? arena_array(l->arena, *count, l->row_size) : NULL;
    if (*count > 0) {
        memcpy(*out, found.p, found.n);
    }
    bytes_release(&found);
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
static enum sg_err read_pending(const struct list *l, uint64_t seq, struct span value, void *row)
{
    (void)value;
    struct state_key key = key_number(TABLE_TRANSFERS, seq);
    return store_must(l->rows, &key, store_get_transfer(l->rows, seq, l->arena, row));
}

static enum sg_err read_transfer(const struct list *l, uint64_t seq, struct span value, void *row)
{
    return store_transfer_of(l->rows, seq, value, l->arena, row);
}

static bool takes_state(const struct list *l, const void *row)
{
    const struct transfer_row *transfer = row;
    return l->state == 0 || transfer->state == l->state;
}

static enum sg_err transfers_of(struct rows *r, uint64_t after, enum transfer_state state,
                                struct budget budget, struct page *page, struct arena *a,
                                struct transfer_row **out, size_t *count)
{
    bool pending = state == TRANSFER_PENDING;
    const struct list list = {r, a, sizeof **out, pending ? read_pending : read_transfer, takes_state, state};
    struct store_walk walk;
    struct transfer_row row;
    void *rows = NULL;
    store_walk(&walk, r, pending ? TABLE_PENDING : TABLE_TRANSFERS, after);
    enum sg_err err = list_walk(&list, &walk, budget, &row, page, &rows, count);
    *out = rows;
    return err;
}

enum sg_err state_transfers(struct rows *r, uint64_t after, enum transfer_state state, size_t max,
                            struct arena *a, struct transfer_row **out, size_t *count)
{
    return transfers_of(r, after, state, all_up_to(max), NULL, a, out, count);
}

enum sg_err state_transfers_page(struct rows *r, struct page *page, enum transfer_state state,
                                 struct arena *a, struct transfer_row **out, size_t *count)
{
    return transfers_of(r, page->after, state, budget_of(page), page, a, out, count);
}

/* --- Windows ---------------------------------------------------------------------- */

enum sg_err state_window(struct rows *r, const struct window_id *id, struct window_row *out)
{
    return store_get_window(r, id, out);
}

static enum sg_err read_window(const struct list *l, uint64_t index, struct span value, void *row)
{
    (void)index;
    return store_window_of(l->rows, value, row);
}

static enum sg_err windows_of(struct rows *r, struct store_walk *walk, struct budget budget,
                              struct page *page, struct arena *a, struct window_row **out, size_t *count)
{
    const struct list list = {.rows = r, .arena = a, .row_size = sizeof **out, .read = read_window};
    struct window_row row;
    void *rows = NULL;
    enum sg_err err = list_walk(&list, walk, budget, &row, page, &rows, count);
    *out = rows;
    return err;
}

enum sg_err state_windows(struct rows *r, size_t max, struct arena *a, struct window_row **out, size_t *count)
{
    struct store_walk walk;
    store_walk_backwards(&walk, r, TABLE_WINDOW_ORDER, 0);
    return windows_of(r, &walk, all_up_to(max), NULL, a, out, count);
}

enum sg_err state_windows_page(struct rows *r, struct page *page, struct arena *a, struct window_row **out,
                               size_t *count)
{
    struct store_walk walk;
    store_walk_backwards(&walk, r, TABLE_WINDOW_ORDER, page->after);
    return windows_of(r, &walk, budget_of(page), page, a, out, count);
}

enum sg_err state_windows_open_work(struct rows *r, struct arena *a, struct window_row **out, size_t *count)
{
    struct store_walk walk;
    store_walk(&walk, r, TABLE_WINDOW_WORK, 0);
    return windows_of(r, &walk, all_up_to(SIZE_MAX), NULL, a, out, count);
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

static enum sg_err read_file(const struct list *l, uint64_t file, struct span value, void *row)
{
    return store_file_of(l->rows, file, value, l->arena, row);
}

static enum sg_err read_file_of_work(const struct list *l, uint64_t file, struct span value, void *row)
{
    (void)value;
    struct state_key key = key_number(TABLE_FILES, file);
    return store_must(l->rows, &key, store_get_file(l->rows, file, l->arena, row));
}

static enum sg_err files_of(const struct list *l, struct store_walk *walk, struct budget budget,
                            struct page *page, struct file_row **out, size_t *count)
{
    struct file_row row;
    void *rows = NULL;
    enum sg_err err = list_walk(l, walk, budget, &row, page, &rows, count);
    *out = rows;
    return err;
}

enum sg_err state_files(struct rows *r, size_t max, struct arena *a, struct file_row **out, size_t *count)
{
    const struct list list = {.rows = r, .arena = a, .row_size = sizeof **out, .read = read_file};
    struct store_walk walk;
    store_walk_backwards(&walk, r, TABLE_FILES, 0);
    return files_of(&list, &walk, all_up_to(max), NULL, out, count);
}

enum sg_err state_files_page(struct rows *r, struct page *page, struct arena *a, struct file_row **out,
                             size_t *count)
{
    const struct list list = {.rows = r, .arena = a, .row_size = sizeof **out, .read = read_file};
    struct store_walk walk;
    store_walk_backwards(&walk, r, TABLE_FILES, page->after);
    return files_of(&list, &walk, budget_of(page), page, out, count);
}

enum sg_err state_files_open_work(struct rows *r, struct arena *a, struct file_row **out, size_t *count)
{
    const struct list list = {.rows = r, .arena = a, .row_size = sizeof **out, .read = read_file_of_work};
    struct store_walk walk;
    store_walk(&walk, r, TABLE_FILE_WORK, 0);
    return files_of(&list, &walk, all_up_to(SIZE_MAX), NULL, out, count);
}

enum sg_err state_file_members(struct rows *r, uint64_t file, struct arena *a, uint64_t **out, size_t *count)
{
    return store_get_members(r, file, a, out, count);
}

enum sg_err state_attempt(struct rows *r, uint64_t file, uint64_t attempt, struct attempt_row *out)
{
    return attempt_get(r, file, attempt, out);
}

enum sg_err state_attempts_all(struct rows *r, uint64_t file, struct arena *a, struct attempt_row **out,
                               size_t *count)
{
    return attempts_of(r, file, a, out, count);
}

enum sg_err state_sealing_not_before(struct rows *r, const struct window_row *w, int64_t *time_ms)
{
    struct counters_row counters;
    struct arena a = ARENA_INIT;
    struct file_row last;
    *time_ms = w->closed_ms;
    enum sg_err err = store_get_counters(r, &counters);
    if (err == SG_OK && counters.next_file > 1) {
        struct state_key key = key_number(TABLE_FILES, counters.next_file - 1);
        err = store_must(r, &key, store_get_file(r, counters.next_file - 1, &a, &last));
        *time_ms = err == SG_OK && last.sealed_ms > w->closed_ms ? last.sealed_ms : w->closed_ms;
    }
    arena_release(&a);
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

static enum sg_err read_event(const struct list *l, uint64_t cursor, struct span value, void *row)
{
    return store_event_of(l->rows, cursor, value, l->arena, row);
}

static enum sg_err events_of(struct rows *r, uint64_t after, struct budget budget, struct page *page,
                             struct arena *a, struct event_row **out, size_t *count)
{
    const struct list list = {.rows = r, .arena = a, .row_size = sizeof **out, .read = read_event};
    struct store_walk walk;
    struct event_row row;
    void *rows = NULL;
    store_walk(&walk, r, TABLE_EVENTS, after);
    enum sg_err err = list_walk(&list, &walk, budget, &row, page, &rows, count);
    *out = rows;
    return err;
}

enum sg_err state_events(struct rows *r, uint64_t after, size_t max, struct arena *a, struct event_row **out,
                         size_t *count)
{
    return events_of(r, after, all_up_to(max), NULL, a, out, count);
}

enum sg_err state_events_page(struct rows *r, struct page *page, struct arena *a, struct event_row **out,
                              size_t *count)
{
    return events_of(r, page->after, budget_of(page), page, a, out, count);
}
