#include <string.h>

#include "proto/base/fault.h"
#include "shard/state/families.h"
#include "shard/state/life.h"
#include "shard/state/member.h"

/* Days for which every date in a file can be computed and written. */
static bool is_file_day(struct day d)
{
    return d.n >= day_of(EFFECTIVE_YEAR_MIN, 1, 1).n && d.n <= day_of(EFFECTIVE_YEAR_MAX, 11, 30).n;
}

static bool is_window_name(const char *name)
{
    for (const char *p = name; *p != 0; p++) {
        bool good = (*p >= 'A' && *p <= 'Z') || (*p >= 'a' && *p <= 'z') || (*p >= '0' && *p <= '9') ||
                    *p == '-' || *p == '_';
        if (!good) {
            return false;
        }
    }
    return name[0] != 0;
}

/* Is there no such window yet? If not, or if the id is none, the command is refused. */
static enum sg_err judge_new_window(struct apply *a, const struct window_id *id, bool *good)
{
    struct window_row row;
    *good = false;
    if (!is_window_name(id->name) || !is_file_day(id->day)) {
        return apply_refuse(a, SG_INVALID,
                            "a window has a day in 2000 to 2099 and a name of A-Z a-z 0-9 - _");
    }
    enum sg_err err = store_get_window(a->rows, id, &row);
    if (err == SG_OK && !FAULT_BUG("window-closed-again")) {
        return apply_refuse(a, SG_EXISTS, "window %s is %s already", apply_window_text(a, id),
                            window_state_name(row.state));
    }
    *good = err == SG_NOTFOUND || err == SG_OK;
    return *good ? SG_OK : err;
}

static enum sg_err store_new_window(struct apply *a, const struct window_row *row)
{
    struct state_key key = key_window(&row->id);
    struct span tail = key_window_tail(&key);
    enum sg_err err = store_put_window(a->rows, row);
    if (err == SG_OK) {
        err = store_mark(a->rows, key_number(TABLE_WINDOW_ORDER, a->index), tail);
    }
    if (err == SG_OK && row->state == WINDOW_CLOSED) {
        err = store_mark(a->rows, key_number(TABLE_WINDOW_WORK, a->index), tail);
    }
    return err;
}

/* O(1), however many transfers wait: who is in follows from last_seq. */
enum sg_err apply_close(struct apply *a)
{
    const struct command *c = a->command;
    struct day processing_day =
        c->close.processing_day.n > c->close.window.day.n ? c->close.processing_day : c->close.window.day;
    bool good = false;
    enum sg_err err = judge_new_window(a, &c->close.window, &good);
    if (err != SG_OK || !good) {
        return err;
    }
    if (!is_file_day(processing_day)) {
        return apply_refuse(a, SG_INVALID, "the day of processing is not in 2000 to 2099");
    }
    if (a->counters.settings_version == 0) {
        return apply_refuse(a, SG_UNAVAILABLE, "this routing number has no settings yet: try again");
    }
    struct window_row row = {
        .id = c->close.window,
        .state = WINDOW_CLOSED,
        .index = a->index,
        .last_seq = a->counters.next_seq - 1,
        .scheduled_ms = c->close.scheduled_ms,
        .closed_ms = c->time_ms,
        .manual = c->close.manual,
        .late = c->close.late,
        .hold = c->close.hold,
        .settings_version = a->counters.settings_version,
        .processing_day = processing_day,
        .upload_by_ms = c->close.upload_by_ms,
    };
    err = store_new_window(a, &row);
    if (err != SG_OK) {
        return err;
    }
    struct span reason = apply_text(a, c->close.reason, REASON_SIZE_MAX);
    return apply_event(a, "window.closed", span_str(apply_window_text(a, &row.id)),
                       EVENT_FIELDS(event_number("manual", row.manual), event_number("late", row.late),
                                    event_number("hold", row.hold),
                                    event_number("pending", a->counters.pending_count),
                                    event_span("reason", reason)));
}

static const char *missed_field(enum missed_outcome outcome)
{
    switch (outcome) {
    case MISSED_TO_NEXT:
        return "to_next";
    case MISSED_CLOSED_LATE:
        return "closed_late";
    case MISSED_HELD:
        return "held";
    }
    check_failed(__FILE__, __LINE__, "a decoded command has an outcome");
}

/* A row only when the window will never close: otherwise CLOSE makes it. */
static enum sg_err store_missed(struct apply *a)
{
    const struct command *c = a->command;
    if (c->missed.outcome != MISSED_TO_NEXT) {
        return SG_OK;
    }
    struct window_row row = {
        .id = c->missed.window,
        .state = WINDOW_MISSED,
        .index = a->index,
        .closed_ms = c->time_ms,
        .settings_version = a->counters.settings_version,
        .processing_day = c->missed.window.day,
    };
    return store_new_window(a, &row);
}

enum sg_err apply_missed(struct apply *a)
{
    const struct window_id *id = &a->command->missed.window;
    bool good = false;
    enum sg_err err = judge_new_window(a, id, &good);
    if (err != SG_OK || !good) {
        return err;
    }
    err = store_missed(a);
    if (err != SG_OK) {
        return err;
    }
    return apply_event(a, "window.missed", span_str(apply_window_text(a, id)),
                       EVENT_FIELDS(event_number(missed_field(a->command->missed.outcome), 1)));
}

static enum sg_err finish_window(struct apply *a, struct window_row *row)
{
    window_move(row, WINDOW_SEALED);
    row->left_behind_count = a->command->window_done.left_behind_count;
    enum sg_err err = store_put_window(a->rows, row);
    if (err == SG_OK) {
        err = store_unmark(a->rows, key_number(TABLE_WINDOW_WORK, row->index));
    }
    if (err != SG_OK) {
        return err;
    }
    return apply_event(a, "window.sealed", span_str(apply_window_text(a, &row->id)),
                       EVENT_FIELDS(event_number("entries", row->entries),
                                    event_number("files", row->files_count), event_cents("debit", row->debit),
                                    event_cents("credit", row->credit)));
}

enum sg_err apply_window_done(struct apply *a)
{
    const struct window_id *id = &a->command->window_done.window;
    struct window_row row;
    struct settings settings;
    bool any = false;
    enum sg_err err = store_get_window(a->rows, id, &row);
    if (err == SG_NOTFOUND) {
        return apply_refuse(a, SG_NOTFOUND, "window %s was not closed", apply_window_text(a, id));
    }
    if (err != SG_OK) {
        return err;
    }
    if (row.state == WINDOW_SEALED) {
        return apply_same(a, "window %s is sealed already", apply_window_text(a, id));
    }
    if (row.state != WINDOW_CLOSED) {
        return apply_refuse(a, SG_CONFLICT, "window %s is %s", apply_window_text(a, id),
                            window_state_name(row.state));
    }
    err = store_get_window_settings(a->rows, &row, a->command->level, a->arena, &settings);
    if (err == SG_OK) {
        /* The leader has judged them all; this is a second look, and must not take longer
         * the more payments wait for another day. */
        bool is_short = a->command->level >= LEVEL_DONE_LOOK;
        err = member_any(a->rows, &row, &settings, is_short ? DONE_VISITS_MAX : SIZE_MAX, &any);
    }
    if (err != SG_OK) {
        return err;
    }
    if (any) {
        return apply_refuse(a, SG_CONFLICT, "window %s has transfers that are in no file yet",
                            apply_window_text(a, id));
    }
    return finish_window(a, &row);
}

/* --- Letting held windows go --------------------------------------------------- */

static bool is_named(const struct apply *a, const struct window_row *w)
{
    const char *name = a->command->release.window;
    return w->hold && (name[0] == '\0' || strcmp(name, w->id.name) == 0);
}

static enum sg_err release_window(struct apply *a, struct window_row *w, uint64_t *count)
{
    struct span reason = apply_text(a, a->command->release.reason, REASON_SIZE_MAX);
    w->hold = false;
    ++*count;
    enum sg_err err = store_put_window(a->rows, w);
    return err != SG_OK ? err
                        : apply_event(a, "window.released", span_str(apply_window_text(a, &w->id)),
                                      EVENT_FIELDS(event_span("reason", reason)));
}

/* A file that was sealed on hold, with its window, was never claimed: nothing of it
 * is at the bank. */
static enum sg_err release_file(struct apply *a, struct file_row *f)
{
    f->reason = SPAN_NONE;
    file_move(f, FILE_SEALED);
    return store_put_file(a->rows, f);
}

/* Files first: that their windows are on hold tells them from others on hold. Then
 * the windows, those whose files are still to be made among them. */
enum sg_err apply_release(struct apply *a)
{
    struct file_row *files = NULL;
    struct window_row *open = NULL;
    size_t files_count = 0;
    size_t open_count = 0;
    uint64_t count = 0;
    struct window_row w;
    enum sg_err err = state_files_open_work(a->rows, a->arena, &files, &files_count);
    err = err == SG_OK ? state_windows_open_work(a->rows, a->arena, &open, &open_count) : err;
    for (int pass = 0; pass < 2; pass++) {
        for (size_t i = 0; err == SG_OK && i < files_count; i++) {
            struct state_key key = key_window(&files[i].seal.window);
            err = store_must(a->rows, &key, store_get_window(a->rows, &files[i].seal.window, &w));
            bool is_held = err == SG_OK && is_named(a, &w);
            if (is_held && pass == 0 && files[i].state == FILE_HOLD && files[i].attempts_count == 0) {
                err = release_file(a, &files[i]);
            } else if (is_held && pass == 1) {
                err = release_window(a, &w, &count);
            }
        }
    }
    for (size_t i = 0; err == SG_OK && i < open_count; i++) {
        err = store_get_window(a->rows, &open[i].id, &w);
        if (err == SG_OK && is_named(a, &w)) {
            err = release_window(a, &w, &count);
        }
    }
    if (err != SG_OK || count > 0) {
        return err;
    }
    return apply_refuse(a, SG_NOTFOUND, "no window%s%s is on hold",
                        a->command->release.window[0] != 0 ? " " : "", a->command->release.window);
}
