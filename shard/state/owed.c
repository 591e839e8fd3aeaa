/* What the bank should have by a time, and does not have yet. */
#include <inttypes.h>
#include <stdio.h>

#include "shard/state/store.h"

static enum sg_err owed_files(struct rows *r, const struct file_row *files, size_t files_count,
                              struct owed *list, size_t *count)
{
    for (size_t i = 0; i < files_count; i++) {
        const struct file_row *f = &files[i];
        struct state_key key = key_window(&f->seal.window);
        struct window_row w;
        if (f->state == FILE_UPLOADED || f->state == FILE_ABANDONED) {
            continue; /* Only looked after still. */
        }
        enum sg_err err = store_must(r, &key, store_get_window(r, &f->seal.window, &w));
        if (err != SG_OK) {
            return err;
        }
        if (w.upload_by_ms > 0) {
            list[(*count)++] = (struct owed){.window = w.id,
                                             .upload_by_ms = w.upload_by_ms,
                                             .file = f->seal.file,
                                             .name = f->seal.name,
                                             .state = f->state};
        }
    }
    return SG_OK;
}

enum sg_err state_owed(struct rows *r, struct arena *a, struct owed **out, size_t *count)
{
    struct file_row *files;
    struct window_row *windows;
    size_t files_count;
    size_t windows_count;
    enum sg_err err = state_files_open_work(r, a, &files, &files_count);
    *count = 0;
    if (err == SG_OK) {
        err = state_windows_open_work(r, a, &windows, &windows_count);
    }
    if (err != SG_OK) {
        return err;
    }
    *out = arena_array(a, files_count + windows_count, sizeof **out);
    err = owed_files(r, files, files_count, *out, count);
    for (size_t i = 0; err == SG_OK && i < windows_count; i++) {
        if (windows[i].upload_by_ms > 0) {
            (*out)[(*count)++] =
                (struct owed){.window = windows[i].id, .upload_by_ms = windows[i].upload_by_ms};
        }
    }
    return err;
}

char *owed_text(const struct owed *o, char out[OWED_TEXT_SIZE])
{
    char day[DAY_TEXT_SIZE];
    char time[TIME_TEXT_SIZE];
    char what[64] = "";
    if (o->file != 0) {
        (void)snprintf(what, sizeof what, "file %" PRIu64 " of ", o->file);
    }
    (void)snprintf(out, OWED_TEXT_SIZE, "%swindow %s/%s is overdue: it should be at the bank by %s and is %s",
                   what, day_text(o->window.day, day), o->window.name, time_text(o->upload_by_ms, time),
                   o->file == 0 ? "not all in files yet" : file_state_name(o->state));
    return out;
}
