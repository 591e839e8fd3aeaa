#include "proto/base/fault.h"
#include "shard/state/families.h"
#include "shard/state/counters.h"
#include "shard/state/life.h"
#include "shard/state/member.h"

static enum sg_err refuse_sealed(struct apply *a, const struct transfer_row *row)
{
    struct file_row file;
    struct state_key key = key_number(TABLE_FILES, row->file);
    enum sg_err err = store_must(a->rows, &key, store_get_file(a->rows, row->file, a->arena, &file));
    if (err != SG_OK) {
        return err;
    }
    a->result.file = row->file;
    return apply_refuse(a, SG_CONFLICT, "too late: in file " SPAN_FMT, SPAN_ARG(file.seal.name));
}

/* The closed window that has this transfer though its file is not made yet. */
static enum sg_err find_window(struct apply *a, const struct transfer_row *row, struct window_row *window,
                               bool *found)
{
    struct window_row *open = NULL;
    size_t count = 0;
    enum sg_err err = state_windows_open_work(a->rows, a->arena, &open, &count);
    *found = false;
    for (size_t i = 0; err == SG_OK && !*found && i < count; i++) {
        struct settings settings;
        struct member m;
        err = store_get_window_settings(a->rows, &open[i], a->command->level, a->arena, &settings);
        if (err == SG_OK) {
            *window = open[i];
            err = member_judge(a->rows, window, &settings, NULL, row, a->arena, &m, found);
        }
    }
    return err;
}

static enum sg_err cancel_pending(struct apply *a, struct transfer_row *row, const struct transfer *t)
{
    row->cancelled_index = a->index;
    transfer_move(row, TRANSFER_CANCELLED);
    counters_move(&a->counters, TRANSFER_PENDING, TRANSFER_CANCELLED, t->side, t->amount);
    enum sg_err err = store_put_transfer(a->rows, row, &a->scratch);
    if (err == SG_OK) {
        err = store_unmark(a->rows, key_number(TABLE_PENDING, row->seq));
    }
    if (err != SG_OK) {
        return err;
    }
    struct span reason = apply_text(a, a->command->cancel.reason, REASON_SIZE_MAX);
    return apply_event(a, "transfer.cancelled", t->id, EVENT_FIELDS(event_span("reason", reason)));
}

static enum sg_err judge_pending(struct apply *a, struct transfer_row *row)
{
    struct transfer t;
    struct window_row window;
    bool taken = false;
    enum sg_err err = find_window(a, row, &window, &taken);
    if (err != SG_OK) {
        return err;
    }
    if (taken) {
        return apply_refuse(a, SG_CONFLICT, "too late: window %s is closed",
                            apply_window_text(a, &window.id));
    }
    err = store_content(a->rows, row, a->arena, &t);
    return err == SG_OK ? cancel_pending(a, row, &t) : err;
}

enum sg_err apply_cancel(struct apply *a)
{
    struct transfer_row row = {.seq = 0};
    enum sg_err err = state_transfer_by_id(a->rows, a->command->cancel.id, a->arena, &row);
    if (err == SG_NOTFOUND) {
        return apply_refuse(a, SG_NOTFOUND, "no transfer with this id was accepted for this routing number");
    }
    if (err != SG_OK) {
        return err;
    }
    switch (row.state) {
    case TRANSFER_PENDING:
        return judge_pending(a, &row);
    case TRANSFER_SEALED:
        return FAULT_BUG("cancel-in-file") ? judge_pending(a, &row) : refuse_sealed(a, &row);
    case TRANSFER_CANCELLED:
        return apply_same(a, "cancelled already, at log index %llu", (unsigned long long)row.cancelled_index);
    case TRANSFER_STATES:
        break;
    }
    check_failed(__FILE__, __LINE__, "a decoded row has a state");
}
