#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shard/state/event.h"
#include "tests/support/state_script.h"

/* --- Questions -------------------------------------------------------------------------- */

static const char *day_or_none(struct day d)
{
    static char text[DAY_TEXT_SIZE];
    return day_is_none(d) ? "-" : day_text(d, text);
}

static void print_transfer(struct script *s, const struct transfer_row *row)
{
    struct transfer t;
    char id[TRANSFER_ID_SIZE_MAX + 1];
    assert_int_equal(transfer_decode(row->encoded, &s->arena, &t), SG_OK);
    bytes_printf(&s->out, "%llu %s %s %lld %s file=%llu trace=%u effective=%s accepted at %llu",
                 (unsigned long long)row->seq, span_cstr(t.id, id, sizeof(id)), side_name(t.side),
                 (long long)t.amount.n, transfer_state_name(row->state), (unsigned long long)row->file,
                 row->trace, day_or_none(row->effective), (unsigned long long)row->index);
    if (row->cancelled_index != 0) {
        bytes_printf(&s->out, " cancelled at %llu", (unsigned long long)row->cancelled_index);
    }
    bytes_printf(&s->out, "\n");
}

static enum transfer_state state_arg(const char *name)
{
    for (enum transfer_state state = TRANSFER_PENDING; name != NULL && state < TRANSFER_STATES; state++) {
        if (strcmp(transfer_state_name(state), name) == 0) {
            return state;
        }
    }
    return (enum transfer_state)0;
}

static enum sg_err show_transfers(struct script *s, struct rows *rows)
{
    struct transfer_row *list = NULL;
    size_t count = 0;
    enum sg_err err = state_transfers(rows, script_number(s, "after", 0), state_arg(script_arg(s, "state")),
                                      script_number(s, "max", 1000), &s->arena, &list, &count);
    for (size_t i = 0; i < count; i++) {
        print_transfer(s, &list[i]);
    }
    return err;
}

static enum sg_err show_transfer(struct script *s, struct rows *rows)
{
    struct transfer_row row;
    enum sg_err err = state_transfer_by_id(rows, script_text(script_arg(s, "id")), &s->arena, &row);
    if (err == SG_OK) {
        print_transfer(s, &row);
    }
    return err;
}

static void print_window(struct script *s, const struct window_row *w)
{
    char day[DAY_TEXT_SIZE];
    bytes_printf(
        &s->out,
        "%s/%s %s up to %llu%s%s%s settings=%llu files=%llu+%llu entries=%llu debit=%lld credit=%lld",
        day_text(w->id.day, day), w->id.name, window_state_name(w->state), (unsigned long long)w->last_seq,
        w->manual ? " manual" : "", w->late ? " late" : "", w->hold ? " hold" : "",
        (unsigned long long)w->settings_version, (unsigned long long)w->first_file,
        (unsigned long long)w->files_count, (unsigned long long)w->entries, (long long)w->debit.n,
        (long long)w->credit.n);
    bytes_printf(&s->out, " processing=%s", day_text(w->processing_day, day));
    if (w->upload_by_ms != 0) {
        bytes_printf(&s->out, " upload_by=%lld", (long long)w->upload_by_ms);
    }
    bytes_printf(&s->out, "\n");
}

static enum sg_err show_windows(struct script *s, struct rows *rows)
{
    struct window_row *list = NULL;
    size_t count = 0;
    enum sg_err err = script_arg(s, "open") != NULL
                          ? state_windows_open_work(rows, &s->arena, &list, &count)
                          : state_windows(rows, script_number(s, "max", 1000), &s->arena, &list, &count);
    for (size_t i = 0; i < count; i++) {
        print_window(s, &list[i]);
    }
    return err;
}

static enum sg_err show_window(struct script *s, struct rows *rows)
{
    struct window_row row;
    struct window_id id = script_window(s);
    enum sg_err err = state_window(rows, &id, &row);
    if (err == SG_OK) {
        print_window(s, &row);
    }
    return err;
}

static void print_file(struct script *s, const struct file_row *f)
{
    char text[FILE_NAME_SIZE_MAX + REASON_SIZE_MAX];
    const struct file_totals *t = &f->seal.totals;
    bytes_printf(&s->out, "%llu %s", (unsigned long long)f->seal.file,
                 span_cstr(f->seal.name, text, sizeof(text)));
    bytes_printf(&s->out,
                 " %s%s%s%s%s traces from %u batches=%u entries=%u addenda=%u debit=%lld credit=%lld",
                 file_state_name(f->state), f->cancel_wanted ? " cancel wanted" : "",
                 f->resolve != FILE_RESOLVE_NONE ? " resolve as " : "", file_resolve_name(f->resolve),
                 f->verified ? " verified" : "", f->seal.trace_start, t->batches, t->entries, t->addenda,
                 (long long)t->debit.n, (long long)t->credit.n);
    bytes_printf(&s->out, " attempt=%llu staged=%llu attempts=%u", (unsigned long long)f->attempt,
                 (unsigned long long)f->staged_attempt, f->attempts_count);
    bytes_printf(&s->out, " by=%s", span_cstr(f->claimed_by, text, sizeof(text)));
    if (f->reason.n > 0) {
        bytes_printf(&s->out, ": %s", span_cstr(f->reason, text, sizeof(text)));
    }
    bytes_printf(&s->out, "\n");
}

static enum sg_err show_files(struct script *s, struct rows *rows)
{
    struct file_row *list = NULL;
    size_t count = 0;
    enum sg_err err = script_arg(s, "open") != NULL
                          ? state_files_open_work(rows, &s->arena, &list, &count)
                          : state_files(rows, script_number(s, "max", 1000), &s->arena, &list, &count);
    for (size_t i = 0; i < count; i++) {
        print_file(s, &list[i]);
    }
    return err;
}

static enum sg_err show_file(struct script *s, struct rows *rows)
{
    struct file_row row;
    uint64_t *members = NULL;
    size_t count = 0;
    enum sg_err err = script_arg(s, "name") != NULL
                          ? state_file_by_name(rows, script_text(script_arg(s, "name")), &s->arena, &row)
                          : state_file(rows, script_number(s, "file", 0), &s->arena, &row);
    if (err != SG_OK) {
        return err;
    }
    print_file(s, &row);
    err = state_file_members(rows, row.seal.file, &s->arena, &members, &count);
    bytes_printf(&s->out, " ");
    for (size_t i = 0; i < count; i++) {
        bytes_printf(&s->out, " %llu", (unsigned long long)members[i]);
    }
    bytes_printf(&s->out, "\n");
    return err;
}

static enum sg_err show_attempts(struct script *s, struct rows *rows)
{
    struct attempt_row *list = NULL;
    size_t count = 0;
    uint64_t file = script_number(s, "file", 0);
    enum sg_err err = state_attempts_all(rows, file, &s->arena, &list, &count);
    for (size_t i = 0; i < count; i++) {
        bytes_printf(&s->out, "%llu term=%llu%s%s%s\n", (unsigned long long)list[i].attempt,
                     (unsigned long long)list[i].term, list[i].staged ? " staged" : "",
                     list[i].abandoned ? " abandoned" : "", list[i].cleaned ? " cleaned" : "");
    }
    return err;
}

static enum sg_err show_counters(struct script *s, struct rows *rows)
{
    struct counters_row c;
    enum sg_err err = state_counters(rows, &c);
    bytes_printf(&s->out, "accepted %llu: debit %lld credit %lld\n", (unsigned long long)c.accepted_count,
                 (long long)c.accepted_debit.n, (long long)c.accepted_credit.n);
    bytes_printf(&s->out, "pending %llu: debit %lld credit %lld\n", (unsigned long long)c.pending_count,
                 (long long)c.pending_debit.n, (long long)c.pending_credit.n);
    bytes_printf(&s->out, "sealed %llu: debit %lld credit %lld\n", (unsigned long long)c.sealed_count,
                 (long long)c.sealed_debit.n, (long long)c.sealed_credit.n);
    bytes_printf(&s->out, "cancelled %llu: debit %lld credit %lld\n", (unsigned long long)c.cancelled_count,
                 (long long)c.cancelled_debit.n, (long long)c.cancelled_credit.n);
    bytes_printf(&s->out, "next seq=%llu file=%llu trace=%u settings=%llu\n", (unsigned long long)c.next_seq,
                 (unsigned long long)c.next_file, c.next_trace, (unsigned long long)c.settings_version);
    if (c.level != 0) {
        bytes_printf(&s->out, "level=%u\n", c.level);
    }
    return err;
}

static enum sg_err show_events(struct script *s, struct rows *rows)
{
    struct event_row *list = NULL;
    char text[EVENT_TEXT_SIZE_MAX + 1];
    size_t count = 0;
    enum sg_err err = state_events(rows, script_number(s, "after", 0), script_number(s, "max", 1000),
                                   &s->arena, &list, &count);
    for (size_t i = 0; i < count; i++) {
        bytes_printf(&s->out, "%llu at %llu %s", (unsigned long long)list[i].cursor,
                     (unsigned long long)list[i].index, span_cstr(list[i].kind, text, sizeof(text)));
        bytes_printf(&s->out, " [%s]", span_cstr(list[i].subject, text, sizeof(text)));
        struct bytes sentence = BYTES_NONE;
        event_sentence(&list[i], &sentence);
        bytes_printf(&s->out, " %s%s\n", list[i].fields_count > 0 ? "(fields) " : "",
                     span_cstr(span_bytes(&sentence), text, sizeof(text)));
        bytes_release(&sentence);
    }
    return err;
}

static enum sg_err show_modifier(struct script *s, struct rows *rows)
{
    char modifier = 0;
    enum sg_err err = state_modifier(rows, script_day(script_arg(s, "day")), &modifier);
    bytes_printf(&s->out, "%c\n", modifier == 0 ? '-' : modifier);
    return err;
}

/* A file's lines end in blanks, which a bar makes visible. */
static void print_lines(struct script *s, struct span file)
{
    for (size_t i = 0; i < file.n; i++) {
        if (file.p[i] == '\n') {
            bytes_append(&s->out, "|", 1);
        }
        bytes_append(&s->out, &file.p[i], 1);
    }
}

static enum sg_err show_rebuild(struct script *s, struct rows *rows)
{
    struct bytes file = BYTES_NONE;
    char why[256];
    enum sg_err err = state_file_rebuild(rows, script_number(s, "file", 0), &file, why, sizeof(why));
    if (err == SG_OK) {
        print_lines(s, span_bytes(&file));
    } else if (why[0] != 0) {
        bytes_printf(&s->out, "%s\n", why);
    }
    bytes_release(&file);
    return err;
}

const struct script_verb script_questions[] = {
    {"transfers", NULL, show_transfers}, {"transfer", NULL, show_transfer}, {"windows", NULL, show_windows},
    {"window", NULL, show_window},       {"files", NULL, show_files},       {"file", NULL, show_file},
    {"attempts", NULL, show_attempts},   {"counters", NULL, show_counters}, {"events", NULL, show_events},
    {"modifier", NULL, show_modifier},   {"rebuild", NULL, show_rebuild},   {NULL, NULL, NULL},
};
