#include "shard/state/member.h"

#include <stdio.h>

#include "shard/ach/order.h"
#include "shard/ach/validate.h"
#include "shard/state/store.h"

#define WHY_SIZE 256

/* Of a transfer that was pending when a window closed. */
enum fit {
    FIT_LATE = 1, /* Accepted after the close. */
    FIT_NOT_DUE,  /* Its day has not come. */
    FIT_UNFIT,    /* It is due, and the window's settings take it no more. */
    FIT_MEMBER
};

/* A transfer is known by its id as long as it lives (I-5). One whose id is free, or
 * belongs to another, was accepted twice by rows that are damaged: before it goes
 * into a file is the last moment to see it. */
static enum sg_err check_fold(struct rows *r, const struct transfer *t, uint64_t seq)
{
    struct fold_row fold;
    struct state_key key = key_text(TABLE_FOLDS, t->id);
    enum sg_err err = store_must(r, &key, store_get_fold(r, t->id, &fold));
    if (err != SG_OK) {
        return err;
    }
    return fold.seq == seq ? SG_OK : store_corrupt(r, &key, "id of another transfer");
}

struct processing member_processing(const struct window_row *w, const struct command_seal *seal,
                                    uint32_t level)
{
    if (level < LEVEL_WRITTEN) {
        return (struct processing){.day = w->processing_day};
    }
    return (struct processing){.day = seal->creation_day, .same_day_over = seal->same_day_over};
}

/* A row in state PENDING. FIT_MEMBER: out is filled. FIT_UNFIT: why, unless NULL. */
static enum sg_err judge(struct rows *r, const struct window_row *w, const struct settings *settings,
                         const struct processing *p, const struct transfer_row *row, struct arena *a,
                         struct member *out, enum fit *fit, char why[WHY_SIZE])
{
    char unused[WHY_SIZE];
    const struct processing at_close = {.day = w->processing_day};
    struct effective effective;
    CHECK(row->state == TRANSFER_PENDING);
    *fit = FIT_LATE;
    if (row->seq > w->last_seq) {
        return SG_OK;
    }
    struct transfer t;
    enum sg_err err = store_content(r, row, a, &t);
    if (err != SG_OK) {
        return err;
    }
    *fit = FIT_NOT_DUE;
    if (!effective_entry_date(settings, &t, at_close, &effective)) {
        return SG_OK;
    }
    if (p != NULL && !effective_entry_date(settings, &t, *p, &effective)) {
        return SG_OK; /* Only by a SEAL that is dated before the close. */
    }
    *fit = FIT_UNFIT;
    if (ach_validate(settings, &t, why != NULL ? why : unused, WHY_SIZE) != SG_OK) {
        return SG_OK;
    }
    *out = (struct member){
        .seq = row->seq, .transfer = t, .effective = effective.day, .same_day = effective.same_day};
    *fit = FIT_MEMBER;
    return check_fold(r, &t, row->seq);
}

enum sg_err member_judge(struct rows *r, const struct window_row *w, const struct settings *settings,
                         const struct processing *p, const struct transfer_row *row, struct arena *a,
                         struct member *out, bool *is_member)
{
    enum fit fit = FIT_LATE;
    enum sg_err err = judge(r, w, settings, p, row, a, out, &fit, NULL);
    *is_member = err == SG_OK && fit == FIT_MEMBER;
    return err;
}

/* The next pending transfer up to the window's last, its number at *at. SG_NOTFOUND: no more. */
static enum sg_err next_judged(struct store_walk *walk, const struct window_row *w,
                               const struct settings *settings, const struct processing *p, struct arena *a,
                               struct member *out, enum fit *fit, uint64_t *at, char why[WHY_SIZE])
{
    uint64_t seq = 0;
    struct span value;
    struct transfer_row row;
    enum sg_err err = store_walk_next(walk, &seq, &value);
    if (err != SG_OK) {
        return err;
    }
    if (seq > w->last_seq) {
        return SG_NOTFOUND;
    }
    *at = seq;
    struct state_key key = key_number(TABLE_TRANSFERS, seq);
    err = store_must(walk->rows, &key, store_get_transfer(walk->rows, seq, a, &row));
    if (err != SG_OK) {
        return err;
    }
    if (row.state != TRANSFER_PENDING) {
        return store_corrupt(walk->rows, &key, "in the pending index, but not pending");
    }
    return judge(walk->rows, w, settings, p, &row, a, out, fit, why);
}

static enum sg_err next_member(struct store_walk *walk, const struct window_row *w,
                               const struct settings *settings, const struct processing *p, struct arena *a,
                               struct member *out, bool *is_member)
{
    enum fit fit = FIT_LATE;
    uint64_t at;
    enum sg_err err = next_judged(walk, w, settings, p, a, out, &fit, &at, NULL);
    *is_member = err == SG_OK && fit == FIT_MEMBER;
    return err;
}

enum sg_err member_any(struct rows *r, const struct window_row *w, const struct settings *settings,
                       size_t visits_max, bool *any)
{
    struct arena arena = ARENA_INIT;
    struct store_walk walk;
    struct member m;
    enum sg_err err = SG_OK;
    *any = false;
    store_walk(&walk, r, TABLE_PENDING, 0);
    while (!*any && visits_max-- > 0 &&
           (err = next_member(&walk, w, settings, NULL, &arena, &m, any)) == SG_OK) {
        arena_reset(&arena);
    }
    store_walk_release(&walk);
    arena_release(&arena);
    return err == SG_NOTFOUND ? SG_OK : err;
}

/* A copy in the file's order. */
static struct member *members_ordered(const struct settings *settings, const struct member *members,
                                      size_t count, struct arena *a)
{
    struct ach_entry *entries = arena_array(a, count, sizeof(*entries));
    struct member *ordered = arena_array(a, count, sizeof(*ordered));
    for (size_t i = 0; i < count; i++) {
        entries[i] = (struct ach_entry){.transfer = &members[i].transfer,
                                        .seq = members[i].seq,
                                        .effective = members[i].effective,
                                        .same_day = members[i].same_day};
    }
    ach_order(settings, entries, count);
    for (size_t i = 0; i < count; i++) {
        ordered[i] = (struct member){.seq = entries[i].seq,
                                     .transfer = *entries[i].transfer,
                                     .effective = entries[i].effective,
                                     .same_day = entries[i].same_day};
    }
    return ordered;
}

enum sg_err state_window_members(struct rows *r, const struct window_row *w, const struct settings *settings,
                                 struct processing p, struct arena *a, struct member **out, size_t *count)
{
    struct bytes found = BYTES_NONE;
    struct store_walk walk;
    struct member m;
    bool is_member = false;
    enum sg_err err = SG_OK;
    store_walk(&walk, r, TABLE_PENDING, 0);
    while ((err = next_member(&walk, w, settings, &p, a, &m, &is_member)) == SG_OK) {
        if (is_member) {
            bytes_append(&found, &m, sizeof(m));
        }
    }
    store_walk_release(&walk);
    if (err == SG_NOTFOUND) {
        *count = found.n / sizeof(m);
        *out = members_ordered(settings, (const struct member *)(const void *)found.p, *count, a);
        err = SG_OK;
    }
    bytes_release(&found);
    return err;
}

/* What is gathered for one file, and whether it is more than a file holds. */
struct file_share {
    const struct settings *settings;
    struct bytes found;
    uint64_t lines;
    int64_t sums[SIDES];
};

static bool is_full(const struct file_share *f)
{
    return f->lines > f->settings->shard.max_lines || f->lines > FILE_LINES_MAX ||
           f->sums[SIDE_DEBIT] > f->settings->shard.max_file_cents.n ||
           f->sums[SIDE_CREDIT] > f->settings->shard.max_file_cents.n;
}

static void take(struct file_share *f, const struct member *m)
{
    bytes_append(&f->found, m, sizeof(*m));
    f->lines += 1 + m->transfer.addenda_count;
    f->sums[m->transfer.side] += m->transfer.amount.n; /* At most one amount over a file's limit. */
}

static void count_unfit(struct member_walk *walk, const char *why)
{
    if (walk->after <= walk->counted) {
        return; /* The walk was set back. */
    }
    walk->counted = walk->after;
    if (walk->unfit_count++ == 0) {
        (void)snprintf(walk->why, sizeof(walk->why), "%s", why);
    }
}

enum sg_err state_window_file(struct rows *r, const struct window_row *w, const struct settings *settings,
                              struct processing p, struct member_walk *walk, struct arena *a,
                              struct member **out, size_t *count)
{
    struct file_share f = {.settings = settings};
    struct store_walk pending;
    struct member m;
    char why[WHY_SIZE] = "";
    enum fit fit = FIT_LATE;
    enum sg_err err = SG_OK;
    store_walk(&pending, r, TABLE_PENDING, walk->after);
    for (size_t left = SEALING_VISITS_MAX; left > 0 && !is_full(&f); left--) {
        err = next_judged(&pending, w, settings, &p, a, &m, &fit, &walk->after, why);
        if (err != SG_OK) {
            break;
        }
        if (fit == FIT_MEMBER) {
            take(&f, &m);
        } else if (fit == FIT_UNFIT) {
            count_unfit(walk, why);
        }
    }
    store_walk_release(&pending);
    walk->more = err == SG_OK;
    err = err == SG_NOTFOUND ? SG_OK : err;
    if (err == SG_OK) {
        *count = f.found.n / sizeof(m);
        *out = members_ordered(settings, (const struct member *)(const void *)f.found.p, *count, a);
    }
    bytes_release(&f.found);
    return err;
}
