/* What of a shard's windows a person should look at, from the rows alone. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "shard/state/modifier.h"
#include "shard/state/store.h"

#define WINDOWS_LOOKED_AT 64 /* The newest; what is older is in files, or on hold as files. */

struct attention_list {
    struct rows *rows;
    struct arena *arena;
    struct bytes found; /* struct attention */
};

static void PRINTF_LIKE(4, 5)
    add(struct attention_list *l, const char *kind, const struct window_id *window, const char *fmt, ...)
{
    struct attention a = {.kind = kind};
    char day[DAY_TEXT_SIZE];
    int n = window == NULL
                ? 0
                : snprintf(a.text, sizeof a.text, "window %s/%s ", day_text(window->day, day), window->name);
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(a.text + n, sizeof a.text - (size_t)n, fmt, args);
    va_end(args);
    bytes_append(&l->found, &a, sizeof a);
}

/* Whose files wait for a person: until they are made, and while one is on hold. */
static enum sg_err add_held(struct attention_list *l, const struct window_row *w,
                            const struct file_row *files, size_t files_count)
{
    char aba[ABA_TEXT_SIZE];
    uint64_t held = 0;
    for (size_t i = 0; i < files_count; i++) {
        const struct window_id *id = &files[i].seal.window;
        bool is_its = id->day.n == w->id.day.n && strcmp(id->name, w->id.name) == 0;
        held +=
            is_its && files[i].state == FILE_HOLD && span_is(files[i].reason, FILE_HELD_WITH_WINDOW) ? 1 : 0;
    }
    if (w->state == WINDOW_CLOSED || held > 0) {
        add(l, "hold", &w->id,
            "was missed and is on hold with %" PRIu64
            " files: 'shardgate windows release %s --window %s' lets them go to the bank",
            w->files_count, aba_text((struct aba){(uint32_t)l->rows->group}, aba), w->id.name);
    }
    return SG_OK;
}

/* Newest first: a missed window is of interest until a later one has taken what it
 * left, and only the newest that is done tells what still lies there. */
static enum sg_err add_windows(struct attention_list *l, const struct file_row *files, size_t files_count)
{
    struct window_row *w;
    size_t count;
    char aba[ABA_TEXT_SIZE];
    bool is_later_done = false;
    enum sg_err err = state_windows(l->rows, WINDOWS_LOOKED_AT, l->arena, &w, &count);
    (void)aba_text((struct aba){(uint32_t)l->rows->group}, aba);
    for (size_t i = 0; err == SG_OK && i < count; i++) {
        if (w[i].state == WINDOW_MISSED && !is_later_done) {
            add(l, "window", &w[i].id,
                "was missed: its transfers go into the next one, or now with 'shardgate windows close %s'",
                aba);
        }
        if (w[i].left_behind_count > 0 && !is_later_done) {
            add(l, "left behind", &w[i].id,
                "left %" PRIu64 " due transfers behind, which the settings take no more: 'shardgate events "
                "%s' says why; give "
                "them their originator or limit back, or cancel them",
                w[i].left_behind_count, aba);
        }
        if (w[i].hold) {
            err = add_held(l, &w[i], files, files_count);
        }
        is_later_done = is_later_done || w[i].state == WINDOW_SEALED;
    }
    return err;
}

/* A closed window that waits because the newest file's creation day has no modifier
 * left. When that day is over, it goes on by itself. */
static enum sg_err add_modifiers(struct attention_list *l)
{
    struct window_row *open;
    struct file_row *newest;
    size_t open_count;
    size_t count = 0;
    char modifier = 0;
    char day[DAY_TEXT_SIZE];
    enum sg_err err = state_windows_open_work(l->rows, l->arena, &open, &open_count);
    if (err == SG_OK && open_count > 0) {
        err = state_files(l->rows, 1, l->arena, &newest, &count);
    }
    if (err != SG_OK || count == 0) {
        return err;
    }
    err = state_modifier(l->rows, newest->seal.creation_day, &modifier);
    if (err == SG_OK && modifier == 0) {
        add(l, "modifiers", &open[0].id,
            "waits: all %d file ID modifiers of %s are used, the rest of its transfers go into files of the "
            "next day; larger files (limits.max_lines) need fewer",
            FILE_MODIFIERS, day_text(newest->seal.creation_day, day));
    }
    return err;
}

enum sg_err state_attention(struct rows *r, const struct file_row *files, size_t files_count, struct arena *a,
                            struct attention **out, size_t *count)
{
    struct attention_list l = {.rows = r, .arena = a, .found = BYTES_NONE};
    enum sg_err err = add_modifiers(&l);
    if (err == SG_OK) {
        err = add_windows(&l, files, files_count);
    }
    *count = err == SG_OK ? l.found.n / sizeof **out : 0;
    *out = arena_array(a, *count, sizeof **out);
    if (*count > 0) {
        memcpy(*out, l.found.p, l.found.n);
    }
    bytes_release(&l.found);
    return err;
}
