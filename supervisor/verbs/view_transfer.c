/* Transfers as JSON. */
#include <stdio.h>
#include <string.h>

#include "supervisor/verbs/view_parts.h"

#define MASK "******"
#define MASKED_SIZE_MIN 8 /* Of a shorter account the last four would be most of it. */
#define MASK_SHOWN 4

/* "******6789": what a person may see without the right to reveal. As many stars
 * for every account, so that they do not tell its length. */
static json_t *account_json(const struct view *v, struct span account)
{
    char masked[sizeof MASK + MASK_SHOWN];
    int shown = account.n < MASKED_SIZE_MIN ? 0 : MASK_SHOWN;

    if (v->reveal) {
        return view_text(account);
    }
    (void)snprintf(masked, sizeof masked, MASK "%.*s", shown,
                   shown == 0 ? "" : (const char *)account.p + account.n - MASK_SHOWN);
    return view_text(span_str(masked));
}

static void add_optional(json_t *o, const struct transfer *t)
{
    char day[DAY_TEXT_SIZE];

    if (t->individual_id.n > 0) {
        view_add(o, "individual_id", view_text(t->individual_id));
    }
    if (t->discretionary.n > 0) {
        view_add(o, "discretionary", view_text(t->discretionary));
    }
    if (t->payment_type != 0) {
        view_add(o, "payment_type", view_text(span_of(&t->payment_type, 1)));
    }
    if (t->prenote) {
        view_add(o, "prenote", json_true());
    }
    if (t->same_day) {
        view_add(o, "same_day", json_true());
    }
    if (!day_is_none(t->effective_date)) {
        view_add(o, "effective_date", json_string(day_text(t->effective_date, day)));
    }
    if (t->addenda_count > 0) {
        json_t *list = json_array();
        for (size_t i = 0; i < t->addenda_count; i++) {
            view_append(list, view_text(t->addenda[i]));
        }
        view_add(o, "addenda", list);
    }
    if (t->metadata.n > 0) {
        json_t *metadata = json_loadb((const char *)t->metadata.p, t->metadata.n, JSON_DECODE_ANY, NULL);
        view_add(o, "metadata", metadata == NULL ? view_text(t->metadata) : metadata);
    }
}

static json_t *transfer_json(struct view *v, const struct transfer_row *row, const struct transfer *t)
{
    char aba[ABA_TEXT_SIZE];
    char day[DAY_TEXT_SIZE];
    json_t *o = json_object();

    view_add(o, "id", view_text(t->id));
    view_add(o, "routing_number", json_string(aba_text(t->routing_number, aba)));
    view_add(o, "state", json_string(transfer_state_name(row->state)));
    view_add(o, "seq", view_number(row->seq));
    view_add(o, "index", view_number(row->index));
    view_add(o, "accepted_at", view_time(row->accepted_ms));
    view_add(o, "originator", view_text(t->originator));
    view_add(o, "sec", json_string(sec_name(t->sec)));
    view_add(o, "entry_description", view_text(t->entry_description));
    view_add(o, "side", json_string(side_name(t->side)));
    view_add(o, "account_type", json_string(account_type_name(t->account_type)));
    view_add(o, "rdfi", json_string(aba_text(t->rdfi, aba)));
    view_add(o, "account", account_json(v, t->account));
    view_add(o, "amount", json_integer(t->amount.n));
    view_add(o, "name", view_text(t->name));
    add_optional(o, t);
    if (row->file != 0) {
        view_add(o, "file", view_number(row->file));
        view_add(o, "trace", json_integer(row->trace));
        view_add(o, "effective_entry_date", json_string(day_text(row->effective, day)));
    }
    if (row->cancelled_index != 0) {
        view_add(o, "cancelled_index", view_number(row->cancelled_index));
    }
    return o;
}

static bool transfer_find(struct view *v, struct span id, struct arena *a, struct transfer_row *row,
                          struct transfer *t)
{
    char aba[ABA_TEXT_SIZE];
    char text[TRANSFER_ID_SIZE_MAX + 1];
    enum sg_err err = state_transfer_by_id(v->rows, id, a, row);

    if (err == SG_OK) {
        err = transfer_decode(row->encoded, a, t) == SG_OK ? SG_OK : SG_CORRUPT;
    }
    if (err == SG_NOTFOUND) {
        return view_fail(v, err, "shard %s has accepted no transfer with the id %s",
                         aba_text(v->routing_number, aba), span_cstr(id, text, sizeof text));
    }
    return err == SG_OK || view_fail(v, err, "transfer %s cannot be read", span_cstr(id, text, sizeof text));
}

json_t *view_transfer(struct view *v, struct span id)
{
    struct arena a = ARENA_INIT;
    struct transfer_row row = {.seq = 0};
    struct transfer t = {.id = SPAN_NONE};
    json_t *o = NULL;

    if (transfer_find(v, id, &a, &row, &t)) {
        o = transfer_json(v, &row, &t);
        view_add(o, "v", json_integer(1));
    }
    arena_release(&a);
    return o;
}

static bool state_parse(struct view *v, struct span text, enum transfer_state *out)
{
    char word[32];

    *out = 0;
    if (text.n == 0) {
        return true;
    }
    for (enum transfer_state s = TRANSFER_PENDING; s < TRANSFER_STATES; s++) {
        if (span_is(text, transfer_state_name(s))) {
            *out = s;
            return true;
        }
    }
    return view_fail(v, SG_INVALID, "state: %s is none of pending, in_file, cancelled",
                     span_cstr(text, word, sizeof word));
}

json_t *view_transfers(struct view *v, uint64_t after_seq, struct span state_text)
{
    struct arena a = ARENA_INIT;
    struct transfer_row *rows;
    enum transfer_state state;
    size_t count;
    json_t *list = json_array();
    struct page page = {.after = after_seq, .rows_max = view_limit(v)};
    enum sg_err err;

    if (!state_parse(v, state_text, &state)) {
        goto err_after_list;
    }
    err = state_transfers_page(v->rows, &page, state, &a, &rows, &count);
    for (size_t i = 0; err == SG_OK && i < count; i++) {
        struct transfer t;
        err = transfer_decode(rows[i].encoded, &a, &t) == SG_OK ? SG_OK : SG_CORRUPT;
        if (err == SG_OK) {
            view_append(list, transfer_json(v, &rows[i], &t));
        }
    }
    if (err != SG_OK) {
        (void)view_fail(v, err, "the transfers cannot be read");
        goto err_after_list;
    }
    arena_release(&a);
    return view_page("transfers", list, page.more ? page.next : 0, page.more);

err_after_list:
    arena_release(&a);
    json_decref(list);
    return NULL;
}

/* --- trace ------------------------------------------------------------------------------- */

static void step(json_t *steps, const char *what, json_t *time, uint64_t index, const char *text)
{
    view_append(steps, json_pack("{s:s,s:o,s:I,s:o}", "what", what, "time", time, "index", (json_int_t)index,
                                 "text", view_text(span_str(text))));
}

static void trace_file(json_t *steps, const struct file_row *f)
{
    char name[ACH_NAME_SIZE];
    char text[512];

    (void)span_cstr(f->seal.name, name, sizeof name);
    (void)snprintf(text, sizeof text, "file %llu %s of window %s, built by %.*s",
                   (unsigned long long)f->seal.file, name, f->seal.window.name, (int)f->seal.built_by.n,
                   (const char *)f->seal.built_by.p);
    step(steps, "sealed", view_time(f->sealed_ms), f->seal_index, text);
    if (f->attempt != 0) {
        (void)snprintf(text, sizeof text, "attempt %llu, number %u, by %.*s", (unsigned long long)f->attempt,
                       f->attempts_count, (int)f->claimed_by.n, (const char *)f->claimed_by.p);
        step(steps, "claimed", json_null(), f->attempt, text);
    }
    if (f->state == FILE_UPLOADED) {
        step(steps, "uploaded", view_time(f->uploaded_ms), 0,
             f->staged_attempt != 0 ? "the bank has the file, by the evidence of the protocol"
                                    : "the bank has the file, by the word of an operator");
    } else if (f->state == FILE_HOLD || f->state == FILE_ABANDONED) {
        (void)span_cstr(f->reason, text, sizeof text);
        step(steps, file_state_name(f->state), view_time(f->abandoned_ms), 0, text);
    }
}

json_t *view_trace(struct view *v, struct span id)
{
    struct arena a = ARENA_INIT;
    struct transfer_row row = {.seq = 0};
    struct transfer t = {.id = SPAN_NONE};
    json_t *steps = json_array();
    json_t *o = NULL;

    if (!transfer_find(v, id, &a, &row, &t)) {
        goto out;
    }
    step(steps, "accepted", view_time(row.accepted_ms), row.index, "durable on a quorum and applied");
    if (row.cancelled_index != 0) {
        step(steps, "cancelled", json_null(), row.cancelled_index, "");
    }
    if (row.file != 0) {
        struct file_row f;
        enum sg_err err = state_file(v->rows, row.file, &a, &f);
        if (err != SG_OK) {
            (void)view_fail(v, err, "file %llu of the transfer cannot be read", (unsigned long long)row.file);
            goto out;
        }
        trace_file(steps, &f);
    }
    o = transfer_json(v, &row, &t);
    view_add(o, "v", json_integer(1));
    view_add(o, "steps", json_incref(steps));
out:
    json_decref(steps);
    arena_release(&a);
    return o;
}
