/* Files and windows as JSON. */
#include <stdio.h>
#include <stdlib.h>

#include "shard/ach/verify.h"
#include "supervisor/verbs/view_parts.h"

static json_t *hex(struct span s)
{
    char text[2 * SHA256_SIZE + 1];
    CHECK(s.n <= SHA256_SIZE);
    return json_string(hex_text(s, text));
}

json_t *view_window_name(const struct window_id *w)
{
    char day[DAY_TEXT_SIZE];
    char text[DAY_TEXT_SIZE + WINDOW_NAME_SIZE_MAX + 1];
    (void)snprintf(text, sizeof text, "%s %s", day_text(w->day, day), w->name);
    return view_text(span_str(text));
}

/* When the bank should have it, and whether that has passed. */
static bool add_deadline(struct view *v, json_t *o, const struct file_row *f)
{
    struct window_row w;
    bool has_ended = f->state == FILE_UPLOADED || f->state == FILE_ABANDONED;
    enum sg_err err = state_window(v->rows, &f->seal.window, &w);

    if (err != SG_OK) {
        return view_fail(v, err, "the window of file %llu cannot be read", (unsigned long long)f->seal.file);
    }
    view_add(o, "upload_by", view_time(w.upload_by_ms));
    view_add(o, "overdue",
             has_ended || w.upload_by_ms == 0 ? json_false()
             : v->now_ms == 0                 ? json_null()
                                              : json_boolean(w.upload_by_ms <= v->now_ms));
    return true;
}

json_t *view_file_row(struct view *v, const struct file_row *f)
{
    json_t *o = json_object();

    view_add(o, "id", view_number(f->seal.file));
    view_add(o, "name", view_text(f->seal.name));
    view_add(o, "window", view_window_name(&f->seal.window));
    view_add(o, "state", json_string(file_state_name(f->state)));
    view_add(o, "entries", json_integer(f->seal.totals.entries));
    view_add(o, "batches", json_integer(f->seal.totals.batches));
    view_add(o, "debit_cents", json_integer(f->seal.totals.debit.n));
    view_add(o, "credit_cents", json_integer(f->seal.totals.credit.n));
    view_add(o, "sha256", hex(span_of(f->seal.sha256.b, SHA256_SIZE)));
    view_add(o, "attempts", json_integer(f->attempts_count));
    view_add(o, "built_by", view_text(f->seal.built_by));
    view_add(o, "uploaded_at", view_time(f->uploaded_ms));
    if (!add_deadline(v, o, f)) {
        json_decref(o);
        return NULL;
    }
    return o;
}

static json_t *file_details(struct view *v, const struct file_row *f)
{
    json_t *o = view_file_row(v, f);
    char day[DAY_TEXT_SIZE];

    if (o == NULL) {
        return NULL;
    }
    view_add(o, "v", json_integer(1));
    view_add(o, "modifier", view_text(span_of(&f->seal.modifier, 1)));
    view_add(o, "creation_date", json_string(day_text(f->seal.creation_day, day)));
    view_add(o, "creation_time",
             json_sprintf("%02d:%02d", f->seal.creation_minute / 60, f->seal.creation_minute % 60));
    view_add(o, "size_bytes", view_number(f->seal.size_bytes));
    view_add(o, "addenda", json_integer(f->seal.totals.addenda));
    view_add(o, "lines", json_integer(f->seal.totals.lines));
    view_add(o, "entry_hash", view_number(f->seal.totals.hash));
    view_add(o, "trace_start", json_integer(f->seal.trace_start));
    view_add(o, "settings_version", view_number(f->seal.settings_version));
    view_add(o, "sealed_at", view_time(f->sealed_ms));
    view_add(o, "sealed_index", view_number(f->seal_index));
    view_add(o, "attempt", view_number(f->attempt));
    view_add(o, "claimed_by", view_text(f->claimed_by));
    view_add(o, "cancel_wanted", json_boolean(f->cancel_wanted));
    view_add(o, "resolve",
             f->resolve == FILE_RESOLVE_NONE ? json_null() : json_string(file_resolve_name(f->resolve)));
    view_add(o, "abandoned_at", view_time(f->abandoned_ms));
    view_add(o, "verified", json_boolean(f->verified));
    view_add(o, "reason", view_text(f->reason));
    return o;
}

json_t *view_files(struct view *v, uint64_t before)
{
    struct page page = {.after = before, .rows_max = view_limit(v)};
    struct arena a = ARENA_INIT;
    struct file_row *rows;
    size_t count;
    json_t *list;
    enum sg_err err = state_files_page(v->rows, &page, &a, &rows, &count);

    if (err != SG_OK) {
        (void)view_fail(v, err, "the files cannot be read");
        arena_release(&a);
        return NULL;
    }
    list = json_array();
    for (size_t i = 0; i < count; i++) {
        json_t *row = view_file_row(v, &rows[i]);
        if (row == NULL) {
            json_decref(list);
            arena_release(&a);
            return NULL;
        }
        view_append(list, row);
    }
    arena_release(&a);
    return view_page("files", list, page.more ? page.next : 0, page.more);
}

/* By number or by name. */
static bool file_find(struct view *v, struct span file, struct arena *a, struct file_row *out)
{
    char text[FILE_NAME_SIZE_MAX + 1];
    char aba[ABA_TEXT_SIZE];
    char *end;
    uint64_t number = strtoull(span_cstr(file, text, sizeof text), &end, 10);
    bool is_number = text[0] >= '1' && text[0] <= '9' && *end == '\0';
    enum sg_err err;

    if (file.n == 0) {
        return view_fail(v, SG_INVALID, "which file? give its number or its name");
    }
    err = is_number ? state_file(v->rows, number, a, out) : state_file_by_name(v->rows, file, a, out);
    if (err == SG_NOTFOUND) {
        return view_fail(v, err, "shard %s has no file %s: 'shardgate files list %s' shows them",
                         aba_text(v->routing_number, aba), text, aba);
    }
    return err == SG_OK || view_fail(v, err, "file %s cannot be read", text);
}

uint64_t view_file_number(struct view *v, struct span file)
{
    struct arena a = ARENA_INIT;
    struct file_row row = {.state = FILE_SEALED};
    uint64_t number = file_find(v, file, &a, &row) ? row.seal.file : 0;
    arena_release(&a);
    return number;
}

json_t *view_file(struct view *v, struct span file)
{
    struct arena a = ARENA_INIT;
    struct file_row row = {.state = FILE_SEALED};
    json_t *o = file_find(v, file, &a, &row) ? file_details(v, &row) : NULL;
    arena_release(&a);
    return o;
}

bool view_file_bytes(struct view *v, struct span file, struct bytes *out)
{
    uint64_t number = view_file_number(v, file);
    char why[256];
    enum sg_err err;

    if (number == 0) {
        return false;
    }
    err = state_file_bytes(v->rows, number, out, why, sizeof why);
    return err == SG_OK || view_fail(v, err, "file %llu: %s", (unsigned long long)number, why);
}

static void check_line(json_t *checks, const char *what, bool ok, const char *text)
{
    view_append(checks,
                json_pack("{s:s,s:b,s:o}", "check", what, "ok", ok, "text", view_text(span_str(text))));
}

json_t *view_file_verify(struct view *v, struct span file)
{
    struct arena a = ARENA_INIT;
    struct bytes data = BYTES_NONE;
    struct file_row row = {.state = FILE_SEALED};
    struct settings settings;
    struct ach_totals totals;
    json_t *checks;
    json_t *o = NULL;
    char why[256] = "";
    bool rebuilt;
    bool parsed = false;
    enum sg_err err;

    if (!file_find(v, file, &a, &row)) {
        goto out;
    }
    err = state_file_bytes(v->rows, row.seal.file, &data, why, sizeof why);
    if (err != SG_OK && err != SG_CONFLICT) {
        (void)view_fail(v, err, "file %llu cannot be rebuilt: %s", (unsigned long long)row.seal.file, why);
        goto out;
    }
    rebuilt = err == SG_OK;
    err = state_settings_at(v->rows, row.seal.settings_version, 0, &a, &settings);
    if (err != SG_OK) {
        (void)view_fail(v, err, "the settings of file %llu cannot be read",
                        (unsigned long long)row.seal.file);
        goto out;
    }
    checks = json_array();
    check_line(checks, "this replica's bytes, kept or built from its rows: size and SHA-256 as sealed",
               rebuilt, why);
    if (rebuilt) {
        why[0] = '\0';
        parsed = ach_verify(span_bytes(&data), !settings.calendar.federal_reserve, &totals, why,
                            sizeof why) == SG_OK;
        check_line(checks, "read back by the parser: counts, hash, totals, blocking", parsed, why);
    }
    o = view_file_row(v, &row);
    if (o == NULL) {
        json_decref(checks);
        goto out;
    }
    view_add(o, "v", json_integer(1));
    view_add(o, "ok", json_boolean(rebuilt && parsed));
    view_add(o, "size_bytes", view_number(row.seal.size_bytes));
    view_add(o, "checks", checks);
out:
    bytes_release(&data);
    arena_release(&a);
    return o;
}

json_t *view_windows(struct view *v, uint64_t before)
{
    struct page page = {.after = before, .rows_max = view_limit(v)};
    struct arena a = ARENA_INIT;
    struct window_row *rows;
    size_t count;
    json_t *list;
    enum sg_err err = state_windows_page(v->rows, &page, &a, &rows, &count);

    if (err != SG_OK) {
        (void)view_fail(v, err, "the windows cannot be read");
        arena_release(&a);
        return NULL;
    }
    list = json_array();
    for (size_t i = 0; i < count; i++) {
        const struct window_row *w = &rows[i];
        char day[DAY_TEXT_SIZE];
        view_append(
            list, json_pack("{s:s,s:o,s:s,s:o,s:o,s:b,s:b,s:b,s:I,s:I,s:I,s:I,s:I,s:o}", "day",
                            day_text(w->id.day, day), "name", view_text(span_str(w->id.name)), "state",
                            window_state_name(w->state), "scheduled", view_time(w->scheduled_ms), "closed_at",
                            view_time(w->closed_ms), "manual", w->manual, "late", w->late, "hold", w->hold,
                            "files", (json_int_t)w->files_count, "entries", (json_int_t)w->entries,
                            "debit_cents", (json_int_t)w->debit.n, "credit_cents", (json_int_t)w->credit.n,
                            "index", (json_int_t)w->index, "upload_by", view_time(w->upload_by_ms)));
    }
    arena_release(&a);
    return view_page("windows", list, page.more ? page.next : 0, page.more);
}
