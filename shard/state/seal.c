#include <stdio.h>
#include <stdlib.h>

#include "shard/state/families.h"
#include "shard/state/counters.h"
#include "shard/state/life.h"
#include "shard/state/member.h"
#include "shard/state/modifier.h"

#define HASH_MODULUS 10000000000ull /* The entry hash keeps ten digits. */

/* What a SEAL needs of the rows, and what was found of its members. */
struct sealing {
    const struct command_seal *seal;
    struct window_row window;
    struct settings settings;
    struct day *effective; /* Of each member. */
    struct file_totals sum;
    uint32_t same_day_late_count; /* Members that came too late to be same-day entries. */
    uint64_t modifiers;
    const char *conflict; /* Why the command is refused; NULL: it is not. */
};

static bool is_file_name(struct span name)
{
    for (size_t i = 0; i < name.n; i++) {
        if (name.p[i] <= 0x20 || name.p[i] >= 0x7f || name.p[i] == '/' || name.p[i] == '\\') {
            return false;
        }
    }
    return name.n > 0 && name.p[0] != '.';
}

static const char *judge_numbers(const struct apply *a, const struct command_seal *s)
{
    if (s->file != a->counters.next_file) {
        return "not the next file number";
    }
    if (s->members_count == 0 || s->totals.entries != s->members_count) {
        return "a file has at least one entry, and one entry for each member";
    }
    if (s->size_bytes == 0 || s->totals.batches == 0 || s->totals.lines == 0 ||
        s->creation_minute >= 24 * 60) {
        return "no file has such a size, batches, lines or creation time";
    }
    if (s->creation_day.n < day_of(EFFECTIVE_YEAR_MIN, 1, 1).n ||
        s->creation_day.n > day_of(EFFECTIVE_YEAR_MAX, 12, 31).n) {
        return "creation day not in 2000 to 2099";
    }
    if (!is_file_name(s->name)) {
        return "file name empty, hidden or not plain characters";
    }
    return NULL;
}

/* A durable counter that wraps only where a file would not fit. */
static const char *judge_trace(const struct apply *a, const struct command_seal *s)
{
    uint64_t room = (uint64_t)TRACE_SEQUENCE_MAX - a->counters.next_trace + 1;
    uint32_t start = s->totals.entries <= room ? a->counters.next_trace : 1;
    if (s->trace_start != start) {
        return "trace numbers do not start where the last file ended";
    }
    return NULL;
}

/* No file is dated before its window's close or before the shard's last file,
 * whatever the clock of a new leader says. */
static enum sg_err judge_time(const struct apply *a, struct sealing *s)
{
    int64_t not_before_ms = 0;
    enum sg_err err = state_sealing_not_before(a->rows, &s->window, &not_before_ms);
    if (err == SG_OK && a->command->level >= LEVEL_WRITTEN &&
        (a->command->time_ms < not_before_ms || s->seal->creation_day.n < s->window.processing_day.n)) {
        s->conflict = "it is dated before its window's close or before the last file";
    }
    return err;
}

static const char *judge_window(const struct command_seal *s, const struct window_row *w)
{
    if (w->state != WINDOW_CLOSED) {
        return "its window is not being sealed";
    }
    if (s->settings_version != w->settings_version) {
        return "not the settings of its window";
    }
    return NULL;
}

static int u64_cmp(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y ? 1 : 0;
}

static bool has_duplicates(const struct apply *a, const struct command_seal *s)
{
    uint64_t *sorted = arena_array(a->arena, s->members_count, sizeof(*sorted));
    for (size_t i = 0; i < s->members_count; i++) {
        sorted[i] = s->members[i];
    }
    qsort(sorted, s->members_count, sizeof(*sorted), u64_cmp);
    for (size_t i = 1; i < s->members_count; i++) {
        if (sorted[i] == sorted[i - 1]) {
            return true;
        }
    }
    return false;
}

static enum sg_err judge_keys(struct apply *a, struct sealing *s)
{
    bool found = false;
    enum sg_err err = store_has(a->rows, key_text(TABLE_FILE_NAMES, s->seal->name), &found);
    if (err == SG_OK) {
        err = store_get_modifiers(a->rows, s->seal->creation_day, &s->modifiers);
    }
    if (err != SG_OK) {
        return err;
    }
    uint64_t bit = modifier_bit(s->seal->modifier);
    if (found) {
        s->conflict = "a file of this name exists already";
    } else if (bit == 0 || (s->modifiers & bit) != 0) {
        s->conflict = "file ID modifier not A-Z or 0-9, or used already on this creation day";
    } else if (has_duplicates(a, s->seal)) {
        s->conflict = "a transfer is in it twice";
    }
    return SG_OK;
}

static void add_member(struct file_totals *sum, const struct transfer *t)
{
    struct cents *side = t->side == SIDE_DEBIT ? &sum->debit : &sum->credit;
    enum sg_err err = cents_add(*side, t->amount, side);
    CHECK(err == SG_OK); /* At most FILE_LINES_MAX amounts of ten digits. */
    sum->entries++;
    sum->addenda += (uint32_t)t->addenda_count;
    sum->hash = (sum->hash + t->rdfi.n / 10) % HASH_MODULUS;
}

/* Would it have gone the same day, had the file been sealed before the deadline? */
static bool is_same_day_late(const struct sealing *s, const struct member *m)
{
    const struct processing in_time = {.day = s->seal->creation_day};
    struct effective e;
    return s->seal->same_day_over && effective_entry_date(&s->settings, &m->transfer, in_time, &e) &&
           e.same_day;
}

/* I-6: a transfer that is pending, of this window, and in no other file. */
static enum sg_err judge_member(struct apply *a, struct sealing *s, size_t i, struct arena *scratch)
{
    struct transfer_row row;
    struct member m;
    bool is_member = false;
    enum sg_err err = store_get_transfer(a->rows, s->seal->members[i], scratch, &row);
    if (err == SG_NOTFOUND) {
        s->conflict = "a member was never accepted";
        return SG_OK;
    }
    if (err != SG_OK) {
        return err;
    }
    if (row.state != TRANSFER_PENDING) {
        s->conflict = "a member is not pending";
        return SG_OK;
    }
    struct processing p = member_processing(&s->window, s->seal, a->command->level);
    err = member_judge(a->rows, &s->window, &s->settings, &p, &row, scratch, &m, &is_member);
    if (err != SG_OK) {
        return err;
    }
    if (!is_member) {
        s->conflict = "a member does not belong to the window";
        return SG_OK;
    }
    s->effective[i] = m.effective;
    s->same_day_late_count += is_same_day_late(s, &m) ? 1 : 0;
    add_member(&s->sum, &m.transfer);
    return SG_OK;
}

static enum sg_err judge_members(struct apply *a, struct sealing *s)
{
    struct arena scratch = ARENA_INIT;
    enum sg_err err = SG_OK;
    s->effective = arena_array(a->arena, s->seal->members_count, sizeof(*s->effective));
    for (size_t i = 0; err == SG_OK && s->conflict == NULL && i < s->seal->members_count; i++) {
        err = judge_member(a, s, i, &scratch);
        arena_reset(&scratch);
    }
    arena_release(&scratch);
    return err;
}

/* I-9: cents in, cents out. */
static const char *judge_totals(const struct sealing *s)
{
    const struct file_totals *t = &s->seal->totals;
    bool equal = t->entries == s->sum.entries && t->addenda == s->sum.addenda &&
                 t->debit.n == s->sum.debit.n && t->credit.n == s->sum.credit.n && t->hash == s->sum.hash;
    return equal ? NULL : "its totals are not the sums over its members";
}

static enum sg_err judge(struct apply *a, struct sealing *s)
{
    s->conflict = judge_window(s->seal, &s->window);
    if (s->conflict == NULL) {
        s->conflict = judge_numbers(a, s->seal);
    }
    if (s->conflict == NULL) {
        s->conflict = judge_trace(a, s->seal);
    }
    if (s->conflict != NULL) {
        return SG_OK;
    }
    enum sg_err err = judge_keys(a, s);
    if (err == SG_OK && s->conflict == NULL) {
        err = judge_time(a, s);
    }
    if (err == SG_OK && s->conflict == NULL) {
        err = store_get_window_settings(a->rows, &s->window, a->command->level, a->arena, &s->settings);
    }
    if (err == SG_OK && s->conflict == NULL) {
        err = judge_members(a, s);
    }
    if (err == SG_OK && s->conflict == NULL) {
        s->conflict = judge_totals(s);
    }
    return err;
}

static enum sg_err seal_member(struct apply *a, const struct sealing *s, size_t i, struct arena *scratch)
{
    struct transfer_row row;
    struct transfer t;
    uint64_t seq = s->seal->members[i];
    struct state_key key = key_number(TABLE_TRANSFERS, seq);
    enum sg_err err = store_must(a->rows, &key, store_get_transfer(a->rows, seq, scratch, &row));
    if (err != SG_OK) {
        return err;
    }
    err = store_content(a->rows, &row, scratch, &t);
    if (err != SG_OK) {
        return err;
    }
    row.file = s->seal->file;
    row.trace = s->seal->trace_start + (uint32_t)i;
    row.effective = s->effective[i];
    transfer_move(&row, TRANSFER_SEALED);
    counters_move(&a->counters, TRANSFER_PENDING, TRANSFER_SEALED, t.side, t.amount);
    err = store_put_transfer(a->rows, &row, &a->scratch);
    if (err == SG_OK) {
        err = store_unmark(a->rows, key_number(TABLE_PENDING, seq));
    }
    return err;
}

static enum sg_err seal_members(struct apply *a, const struct sealing *s)
{
    struct arena scratch = ARENA_INIT;
    enum sg_err err = store_put_members(a->rows, s->seal->file, s->seal->members, s->seal->members_count);
    for (size_t i = 0; err == SG_OK && i < s->seal->members_count; i++) {
        err = seal_member(a, s, i, &scratch);
        arena_reset(&scratch);
    }
    arena_release(&scratch);
    return err;
}

static enum sg_err store_file(struct apply *a, const struct sealing *s)
{
    struct file_row file = {
        .seal = *s->seal,
        .seal_index = a->index,
        .sealed_ms = a->command->time_ms,
        .level = a->command->level > LEVEL_MIN ? a->command->level : 0,
        .state = s->window.hold ? FILE_HOLD : FILE_SEALED,
        .reason = s->window.hold ? span_str(FILE_HELD_WITH_WINDOW) : SPAN_NONE,
    };
    uint8_t number[8];
    be64_put(number, file.seal.file);
    file.seal.members = NULL;
    file.seal.members_count = 0;
    enum sg_err err = store_put_file(a->rows, &file);
    if (err == SG_OK) {
        err =
            store_mark(a->rows, key_text(TABLE_FILE_NAMES, file.seal.name), span_of(number, sizeof(number)));
    }
    if (err == SG_OK) {
        err = store_mark(a->rows, key_number(TABLE_FILE_WORK, file.seal.file), SPAN_NONE);
    }
    if (err == SG_OK) {
        err = store_put_modifiers(a->rows, file.seal.creation_day,
                                  s->modifiers | modifier_bit(file.seal.modifier));
    }
    return err;
}

static enum sg_err count_in_window(struct apply *a, struct sealing *s)
{
    struct window_row *w = &s->window;
    if (w->files_count == 0) {
        w->first_file = s->seal->file;
    }
    w->files_count++;
    w->entries += s->sum.entries;
    enum sg_err err = cents_add(w->debit, s->sum.debit, &w->debit);
    CHECK(err == SG_OK); /* Less than what the counters hold. */
    err = cents_add(w->credit, s->sum.credit, &w->credit);
    CHECK(err == SG_OK);
    return store_put_window(a->rows, w);
}

static void advance_counters(struct apply *a, const struct command_seal *s)
{
    uint32_t next = s->trace_start + s->totals.entries;
    a->counters.next_trace = next > TRACE_SEQUENCE_MAX ? 1 : next;
    a->counters.next_file++;
}

static enum sg_err seal(struct apply *a, struct sealing *s)
{
    enum sg_err err = seal_members(a, s);
    if (err == SG_OK) {
        err = store_file(a, s);
    }
    if (err == SG_OK) {
        err = count_in_window(a, s);
    }
    if (err != SG_OK) {
        return err;
    }
    advance_counters(a, s->seal);
    err =
        apply_event(a, "file.sealed", s->seal->name,
                    EVENT_FIELDS(event_number("file", s->seal->file),
                                 event_text("window", apply_window_text(a, &s->window.id)),
                                 event_span("by", s->seal->built_by), event_number("entries", s->sum.entries),
                                 event_cents("debit", s->sum.debit), event_cents("credit", s->sum.credit)));
    if (err != SG_OK || s->same_day_late_count == 0) {
        return err;
    }
    char day[DAY_TEXT_SIZE];
    return apply_event(a, "file.same_day_late", s->seal->name,
                       EVENT_FIELDS(event_number("entries", s->same_day_late_count),
                                    event_text("day", day_text(s->seal->creation_day, day))));
}

enum sg_err apply_seal(struct apply *a)
{
    struct sealing s = {.seal = &a->command->seal};
    enum sg_err err = store_get_window(a->rows, &s.seal->window, &s.window);
    if (err == SG_NOTFOUND) {
        return apply_refuse(a, SG_CONFLICT, "file refused: window %s was not closed",
                            apply_window_text(a, &s.seal->window));
    }
    if (err == SG_OK) {
        err = judge(a, &s);
    }
    if (err != SG_OK) {
        return err;
    }
    if (s.conflict != NULL) {
        return apply_refuse(a, SG_CONFLICT, "file refused: %s", s.conflict);
    }
    a->result.file = s.seal->file;
    return seal(a, &s);
}
