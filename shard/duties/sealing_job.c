#include <stdio.h>
#include <string.h>

#include "proto/base/fault.h"
#include "shard/ach/build.h"
#include "shard/ach/name.h"
#include "shard/ach/order.h"
#include "shard/ach/window.h"
#include "shard/ach/verify.h"
#include "shard/duties/sealing.h"

/* What is gathered on the way to one SEAL; all in the arena or borrowed. */
struct draft {
    struct sealing_job *job;
    struct rows *rows;
    struct arena *arena;
    const struct window_row *window;
    struct settings settings;
    struct counters_row counters;
    struct ach_entry *entries;
    size_t count;
    struct ach_file_header header;
    struct processing processing;
    struct bytes file;
    struct ach_totals totals;
};

static void set_error(struct sealing_job *j, enum sg_err err, const char *what)
{
    j->outcome = SEALING_ERROR;
    j->err = err;
    (void)snprintf(j->why, sizeof j->why, "%s: %s", what, err == SG_CORRUPT ? kv_damage() : sg_err_text(err));
}

static void set_broken(struct sealing_job *j, const char *what, const char *why)
{
    j->outcome = SEALING_BROKEN;
    (void)snprintf(j->why, sizeof j->why, "%s: %s", what, why);
}

static bool is_parked(const struct sealing_job *j, const struct window_id *id)
{
    for (size_t i = 0; i < j->parked_count; i++) {
        if (j->parked[i].day.n == id->day.n && strcmp(j->parked[i].name, id->name) == 0) {
            return true;
        }
    }
    return false;
}

/* --- Choosing members --------------------------------------------------------- */

static void entries_fill(struct draft *d, const struct member *members, size_t count)
{
    d->entries = arena_array(d->arena, count, sizeof *d->entries);
    d->count = count;
    for (size_t i = 0; i < count; i++) {
        d->entries[i] = (struct ach_entry){.transfer = &members[i].transfer,
                                           .seq = members[i].seq,
                                           .effective = members[i].effective,
                                           .same_day = members[i].same_day};
    }
    ach_order(&d->settings, d->entries, d->count);
}

static bool choose_modifier(struct draft *d)
{
    struct sealing_job *j = d->job;
    enum sg_err err = state_modifier(d->rows, j->creation_day, &d->header.modifier);
    if (err != SG_OK) {
        set_error(j, err, "file ID modifiers");
        return false;
    }
    if (FAULT_BUG("modifier-from-clock")) {
        d->header.modifier = (char)('A' + d->header.creation_minute % 26);
    }
    if (d->header.modifier == 0) {
        j->outcome = SEALING_NO_MODIFIER;
        return false;
    }
    return true;
}

/* --- Building and reading back ------------------------------------------------- */

/* Cents in equal cents out (I-9): counted from the transfers, not by the builder. */
static bool is_in_balance(const struct draft *d, const struct ach_totals *found)
{
    struct cents debit = {0}, credit = {0};
    for (size_t i = 0; i < d->count; i++) {
        const struct transfer *t = d->entries[i].transfer;
        struct cents *sum = t->side == SIDE_DEBIT ? &debit : &credit;
        if (cents_add(*sum, t->amount, sum) != SG_OK) {
            return false;
        }
    }
    return found->entries == d->count && found->debit.n == debit.n && found->credit.n == credit.n;
}

static bool build(struct draft *d)
{
    struct sealing_job *j = d->job;
    char why[160];
    enum sg_err err = ach_build(&d->settings, &d->header, d->entries, d->count, &d->file, &d->totals);
    if (err != SG_OK) {
        set_broken(j, "building the file", sg_err_text(err));
        return false;
    }
    struct ach_totals found;
    err = ach_verify(span_bytes(&d->file), !d->settings.calendar.federal_reserve, &found, why, sizeof why);
    if (err != SG_OK) {
        set_broken(j, "reading the built file back", why);
        return false;
    }
    if (!ach_totals_eq(&found, &d->totals)) {
        set_broken(j, "reading the built file back", "the parser's totals differ from the builder's");
        return false;
    }
    if (!is_in_balance(d, &found)) {
        set_broken(j, "reading the built file back", "the totals differ from the transfers'");
        return false;
    }
    return true;
}

/* --- The command ------------------------------------------------------------------ */

static void encode_seal(struct draft *d, const char *name)
{
    struct sealing_job *j = d->job;
    struct command c = {
        .kind = COMMAND_SEAL, .level = j->level, .time_ms = j->time_ms, .node = span_str(j->node_name)};
    c.seal.window = d->window->id;
    c.seal.file = d->counters.next_file;
    c.seal.name = span_str(name);
    c.seal.modifier = d->header.modifier;
    c.seal.creation_day = d->header.creation_day;
    c.seal.creation_minute = (uint16_t)d->header.creation_minute;
    c.seal.trace_start = d->header.trace_start;
    c.seal.settings_version = d->window->settings_version;
    c.seal.built_by = c.node;
    c.seal.size_bytes = d->file.n;
    c.seal.sha256 = sha256_of(span_bytes(&d->file));
    c.seal.totals = (struct file_totals){.batches = d->totals.batches,
                                         .entries = d->totals.entries,
                                         .addenda = d->totals.addenda,
                                         .lines = d->totals.lines,
                                         .debit = d->totals.debit,
                                         .credit = d->totals.credit,
                                         .hash = d->totals.hash};
    c.seal.members = arena_array(d->arena, d->count, sizeof *c.seal.members);
    c.seal.members_count = d->count;
    c.seal.same_day_over = d->processing.same_day_over;
    for (size_t i = 0; i < d->count; i++) {
        c.seal.members[i] = d->entries[i].seq;
    }
    command_encode(&c, &j->command);
    j->outcome = SEALING_FILE;
}

static void seal(struct draft *d)
{
    struct sealing_job *j = d->job;
    if (!choose_modifier(d)) {
        return;
    }
    d->header.trace_start = d->counters.next_trace;
    d->count = ach_fit(&d->settings, d->entries, d->count, d->header.trace_start);
    if (d->count == 0) {
        set_broken(j, "splitting into files", "the first transfer fits no file under the shard's limits");
        return;
    }
    struct ach_name n = {
        .day = j->creation_day, .modifier = d->header.modifier, .sequence = d->counters.next_file};
    n.window = span_str(d->window->id.name);
    char name[ACH_NAME_SIZE], why[160];
    if (name_render(&d->settings.shard, &n, name, why, sizeof why) != SG_OK) {
        set_broken(j, "the file's name", why);
        return;
    }
    if (build(d)) {
        encode_seal(d, name);
    }
}

/* Those that the file had no room for are judged again for the next one. */
static void walk_back(struct draft *d, size_t found)
{
    struct member_walk *walk = &d->job->walk;
    for (size_t i = d->count; i < found; i++) {
        if (d->entries[i].seq <= walk->after) {
            walk->after = d->entries[i].seq - 1;
            walk->more = true;
        }
    }
}

static void encode_window_done(struct sealing_job *j)
{
    struct command c = {.kind = COMMAND_WINDOW_DONE,
                        .level = j->level,
                        .time_ms = j->time_ms,
                        .node = span_str(j->node_name)};
    c.window_done.window = j->window;
    c.window_done.left_behind_count = j->level >= LEVEL_RELEASE ? j->walk.unfit_count : 0;
    command_encode(&c, &j->command);
    j->outcome = SEALING_WINDOW_DONE;
}

/* When the file is made, which its dates are counted from. */
static enum sg_err date(struct draft *d)
{
    struct sealing_job *j = d->job;
    int64_t not_before_ms = 0;
    enum sg_err err = state_sealing_not_before(d->rows, d->window, &not_before_ms);
    if (err != SG_OK) {
        return err;
    }
    j->time_ms = j->now_ms > not_before_ms || FAULT_BUG("dated-before-close") ? j->now_ms : not_before_ms;
    struct zone_time local = zone_local(j->zone, j->time_ms);
    if (local.day.n < d->window->processing_day.n) { /* The shard has another zone since the close. */
        local = (struct zone_time){.day = d->window->processing_day};
    }
    j->creation_day = local.day;
    d->header.creation_day = local.day;
    d->header.creation_minute = local.minute;
    if (j->level < LEVEL_WRITTEN) { /* As apply counts them: from the day of the close. */
        d->processing = (struct processing){.day = d->window->processing_day};
        return SG_OK;
    }
    d->processing.day = local.day;
    d->processing.same_day_over =
        j->time_ms > window_same_day_until_ms(&d->settings.shard, j->zone, local.day);
    return SG_OK;
}

static void work_on_window(struct sealing_job *j, struct rows *rows, struct arena *a,
                           const struct window_row *w)
{
    struct draft d = {.job = j, .rows = rows, .arena = a, .window = w};
    j->window = w->id;
    if (j->walk_window.day.n != w->id.day.n || strcmp(j->walk_window.name, w->id.name) != 0) {
        j->walk = (struct member_walk){.after = 0};
    }
    enum sg_err err = state_settings_at(rows, w->settings_version, j->level, a, &d.settings);
    if (err != SG_OK) {
        set_error(j, err, "the window's settings");
        return;
    }
    err = state_counters(rows, &d.counters);
    if (err != SG_OK) {
        set_error(j, err, "counters");
        return;
    }
    err = date(&d);
    if (err != SG_OK) {
        set_error(j, err, "the last file");
        return;
    }
    struct member *members;
    size_t count;
    err = state_window_file(rows, w, &d.settings, d.processing, &j->walk, a, &members, &count);
    if (err != SG_OK) {
        set_error(j, err, "the window's members");
    } else if (count > 0) {
        entries_fill(&d, members, count);
        seal(&d);
        walk_back(&d, count);
    } else if (j->walk.more) {
        j->outcome = SEALING_MORE;
    } else {
        encode_window_done(j);
    }
    bytes_release(&d.file);
}

static void choose_window(struct sealing_job *j, struct rows *rows, struct arena *a)
{
    struct window_row *windows;
    size_t count;
    enum sg_err err = state_windows_open_work(rows, a, &windows, &count);
    if (err != SG_OK) {
        set_error(j, err, "open windows");
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (!is_parked(j, &windows[i].id)) {
            work_on_window(j, rows, a, &windows[i]);
            return;
        }
    }
    j->outcome = SEALING_NOTHING;
}

void sealing_run(struct sealing_job *j)
{
    struct duty_read r;
    enum sg_err err = duty_read_begin(&r, j->kv, j->group);
    if (err != SG_OK) {
        set_error(j, err, "reading");
        return;
    }
    struct arena a = ARENA_INIT;
    choose_window(j, &r.rows, &a);
    arena_release(&a);
    duty_read_end(&r);
}
