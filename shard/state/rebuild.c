#include <stdio.h>
#include <string.h>

#include "shard/ach/build.h"
#include "shard/ach/effective.h"
#include "shard/ach/order.h"
#include "shard/ach/validate.h"
#include "shard/state/member.h"
#include "shard/state/store.h"
#include "storage/kept.h"

#define WHY_SIZE 256

/* A sealed file and what it is made of, all from rows. */
struct rebuild {
    struct file_row file;
    struct window_row window;
    struct settings settings;
    uint64_t *members;
    struct ach_entry *entries;
    size_t count;
};

static enum sg_err differs(char *why, size_t why_size, const char *what)
{
    (void)snprintf(why, why_size, "%s", what);
    return SG_CONFLICT;
}

static uint32_t file_level(const struct file_row *f)
{
    return f->level == 0 ? LEVEL_MIN : f->level;
}

static enum sg_err load(struct rows *r, uint64_t file, struct arena *a, struct rebuild *b)
{
    struct state_key key = key_number(TABLE_FILES, file);
    enum sg_err err = store_get_file(r, file, a, &b->file);
    if (err != SG_OK) {
        return err;
    }
    err = store_must(r, &key, store_get_window(r, &b->file.seal.window, &b->window));
    if (err == SG_OK) {
        err = store_must(
            r, &key,
            state_settings_at(r, b->file.seal.settings_version, file_level(&b->file), a, &b->settings));
    }
    if (err == SG_OK) {
        err = store_must(r, &key, store_get_members(r, file, a, &b->members, &b->count));
    }
    return err;
}

/* The same judgement as when the file was sealed; what came out then stands in the row. */
static bool is_as_sealed(const struct rebuild *b, const struct transfer_row *row, const struct transfer *t,
                         size_t i, struct effective *effective)
{
    char why[WHY_SIZE];
    return row->file == b->file.seal.file && row->trace == b->file.seal.trace_start + i &&
           effective_entry_date(&b->settings, t,
                                member_processing(&b->window, &b->file.seal, b->settings.level), effective) &&
           effective->day.n == row->effective.n &&
           transfer_check(b->settings.level, t, why, sizeof(why)) == SG_OK &&
           ach_validate(&b->settings, t, why, sizeof(why)) == SG_OK;
}

static enum sg_err load_entries(struct rows *r, struct arena *a, struct rebuild *b, char *why,
                                size_t why_size)
{
    struct transfer *transfers = arena_array(a, b->count, sizeof(*transfers));
    b->entries = arena_array(a, b->count, sizeof(*b->entries));
    for (size_t i = 0; i < b->count; i++) {
        struct transfer_row row;
        struct effective effective;
        struct state_key key = key_number(TABLE_TRANSFERS, b->members[i]);
        enum sg_err err = store_must(r, &key, store_get_transfer(r, b->members[i], a, &row));
        if (err != SG_OK) {
            return err;
        }
        err = store_content(r, &row, a, &transfers[i]);
        if (err != SG_OK) {
            return err;
        }
        if (!is_as_sealed(b, &row, &transfers[i], i, &effective)) {
            return differs(why, why_size, "a transfer is not as it was sealed");
        }
        b->entries[i] = (struct ach_entry){.transfer = &transfers[i],
                                           .seq = row.seq,
                                           .effective = effective.day,
                                           .same_day = effective.same_day};
    }
    return SG_OK;
}

static bool is_in_order(const struct rebuild *b)
{
    for (size_t i = 0; i < b->count; i++) {
        if (b->entries[i].seq != b->members[i]) {
            return false;
        }
    }
    return true;
}

static bool totals_match(const struct file_totals *sealed, const struct ach_totals *built)
{
    return sealed->batches == built->batches && sealed->entries == built->entries &&
           sealed->addenda == built->addenda && sealed->lines == built->lines &&
           sealed->debit.n == built->debit.n && sealed->credit.n == built->credit.n &&
           sealed->hash == built->hash;
}

static enum sg_err build(struct rebuild *b, struct bytes *out, char *why, size_t why_size)
{
    const struct command_seal *seal = &b->file.seal;
    struct ach_file_header header = {
        .modifier = seal->modifier,
        .creation_day = seal->creation_day,
        .creation_minute = seal->creation_minute,
        .trace_start = seal->trace_start,
    };
    struct ach_totals totals;
    ach_order(&b->settings, b->entries, b->count);
    if (!is_in_order(b)) {
        return differs(why, why_size, "its members are not in the file's order");
    }
    if (ach_build(&b->settings, &header, b->entries, b->count, out, &totals) != SG_OK) {
        return differs(why, why_size, "it cannot be built from its transfers");
    }
    struct sha256 sha256 = sha256_of(span_bytes(out));
    if (!totals_match(&seal->totals, &totals)) {
        return differs(why, why_size, "built again, its totals are not the sealed ones");
    }
    if (out->n != seal->size_bytes ||
        !span_eq(span_of(&sha256, SHA256_SIZE), span_of(&seal->sha256, SHA256_SIZE))) {
        return differs(why, why_size, "built again, its bytes are not the sealed ones");
    }
    return SG_OK;
}

enum sg_err state_file_rebuild(struct rows *r, uint64_t file, struct bytes *out, char *why, size_t why_size)
{
    struct arena arena = ARENA_INIT;
    struct rebuild b;
    bytes_clear(out);
    (void)snprintf(why, why_size, "%s", "");
    enum sg_err err = load(r, file, &arena, &b);
    if (err == SG_OK) {
        err = load_entries(r, &arena, &b, why, why_size);
    }
    if (err == SG_OK) {
        err = build(&b, out, why, why_size);
    }
    if (err != SG_OK) {
        bytes_clear(out);
    }
    arena_release(&arena);
    return err;
}

/* false: nothing, or not what was sealed; out is empty. */
static bool is_kept(struct rows *r, const struct file_row *file, struct bytes *out)
{
    struct span kept;
    bytes_clear(out);
    if (kept_get(r->kv, r->txn, r->group, file->seal.file, &kept) != SG_OK ||
        kept.n != file->seal.size_bytes) {
        return false;
    }
    struct sha256 sha256 = sha256_of(kept);
    if (!span_eq(span_of(&sha256, SHA256_SIZE), span_of(&file->seal.sha256, SHA256_SIZE))) {
        return false;
    }
    bytes_set(out, kept);
    return true;
}

enum sg_err state_file_bytes(struct rows *r, uint64_t file, struct bytes *out, char *why, size_t why_size)
{
    struct arena arena = ARENA_INIT;
    struct file_row row;
    (void)snprintf(why, why_size, "%s", "");
    enum sg_err err = store_get_file(r, file, &arena, &row);
    bool kept = err == SG_OK && is_kept(r, &row, out);
    arena_release(&arena);
    if (err != SG_OK || kept) {
        return err;
    }
    return state_file_rebuild(r, file, out, why, why_size);
}
