#include "supervisor/cli/transfer_json.h"

#include <jansson.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/level.h"
#include "proto/base/limits.h"
#include "proto/base/mem.h"
#include "supervisor/cli/json_split.h"
#include "supervisor/config/words.h"

#define REASON_SIZE 320

struct reading {
    struct arena *arena;
    struct transfer_item *item;
};

static bool PRINTF_LIKE(2, 3) bad(struct reading *r, const char *fmt, ...)
{
    char text[REASON_SIZE];
    va_list args;

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    r->item->reason = arena_dup(r->arena, span_str(text));
    return false;
}

/* --- Values --------------------------------------------------------------------------- */

static bool text_value(struct reading *r, const char *key, const json_t *value, struct span *out)
{
    if (!json_is_string(value)) {
        return bad(r, "%s: a text in quotes is expected", key);
    }
    *out = arena_dup(r->arena, span_of(json_string_value(value), json_string_length(value)));
    return true;
}

static bool flag_value(struct reading *r, const char *key, const json_t *value, bool *out)
{
    if (!json_is_boolean(value)) {
        return bad(r, "%s: true or false is expected", key);
    }
    *out = json_is_true(value);
    return true;
}

static bool aba_value(struct reading *r, const char *key, const json_t *value, struct aba *out)
{
    const char *why = "";
    struct span text;

    if (!json_is_string(value)) {
        return bad(r, "%s: nine digits in quotes are expected (a number would lose leading zeros)", key);
    }
    text = span_of(json_string_value(value), json_string_length(value));
    return aba_parse(text, out, &why) == SG_OK || bad(r, "%s: %s", key, why);
}

static bool read_routing_number(struct reading *r, const json_t *value)
{
    r->item->transfer.routing_number.n = 0; /* It names its own, and not the default. */
    return aba_value(r, "routing_number", value, &r->item->transfer.routing_number);
}

static bool read_rdfi(struct reading *r, const json_t *value)
{
    return aba_value(r, "rdfi", value, &r->item->transfer.rdfi);
}

static bool read_sec(struct reading *r, const json_t *value)
{
    struct span text = SPAN_NONE;
    if (!text_value(r, "sec", value, &text)) {
        return false;
    }
    r->item->transfer.sec = sec_parse(text);
    return r->item->transfer.sec != SEC_NONE || bad(r, "sec: one of PPD, CCD, CTX, WEB, TEL is expected");
}

static bool read_side(struct reading *r, const json_t *value)
{
    struct span text = SPAN_NONE;
    if (!text_value(r, "side", value, &text)) {
        return false;
    }
    r->item->transfer.side = side_parse(text);
    return r->item->transfer.side != SIDE_NONE || bad(r, "side: credit or debit is expected");
}

static bool read_account_type(struct reading *r, const json_t *value)
{
    struct span text = SPAN_NONE;
    if (!text_value(r, "account_type", value, &text)) {
        return false;
    }
    r->item->transfer.account_type = account_type_parse(text);
    return r->item->transfer.account_type != ACCOUNT_NONE ||
           bad(r, "account_type: one of checking, savings, ledger, loan is expected");
}

static bool read_amount(struct reading *r, const json_t *value)
{
    if (!json_is_integer(value)) {
        return bad(r, "amount: whole cents are expected, as a number without point or exponent");
    }
    r->item->transfer.amount.n = json_integer_value(value);
    return true;
}

static bool read_payment_type(struct reading *r, const json_t *value)
{
    struct span text = SPAN_NONE;
    if (!text_value(r, "payment_type", value, &text)) {
        return false;
    }
    if (!span_is(text, "R") && !span_is(text, "S")) {
        return bad(r, "payment_type: R or S is expected");
    }
    r->item->transfer.payment_type = span_is(text, "R") ? 'R' : 'S';
    return true;
}

static bool read_addenda(struct reading *r, const json_t *value)
{
    struct transfer *t = &r->item->transfer;
    size_t i;
    json_t *line;

    if (!json_is_array(value) || json_array_size(value) > TRANSFER_ADDENDA_MAX) {
        return bad(r, "addenda: a list of at most %d texts is expected", TRANSFER_ADDENDA_MAX);
    }
    t->addenda_count = json_array_size(value);
    t->addenda = arena_array(r->arena, t->addenda_count, sizeof *t->addenda);
    json_array_foreach(value, i, line)
    {
        if (!text_value(r, "addenda", line, &t->addenda[i])) {
            return false;
        }
    }
    return true;
}

static bool read_prenote(struct reading *r, const json_t *value)
{
    return flag_value(r, "prenote", value, &r->item->transfer.prenote);
}

static bool read_same_day(struct reading *r, const json_t *value)
{
    return flag_value(r, "same_day", value, &r->item->transfer.same_day);
}

static bool read_effective_date(struct reading *r, const json_t *value)
{
    struct span text = SPAN_NONE;
    if (!text_value(r, "effective_date", value, &text)) {
        return false;
    }
    return day_parse(text, &r->item->transfer.effective_date) == SG_OK ||
           bad(r, "effective_date: a day like 2026-11-23 is expected");
}

static bool read_metadata(struct reading *r, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    CHECK(text != NULL);
    r->item->transfer.metadata = arena_dup(r->arena, span_str(text));
    free(text); /* jansson's own allocator. */
    return true;
}

/* --- Keys ------------------------------------------------------------------------------- */

/* A plain text has its place; the others have a function. */
struct key {
    const char *name;
    size_t text_offset;
    bool (*read)(struct reading *r, const json_t *value);
};

#define TEXT_KEY(field)                                \
    {                                                  \
#field, offsetof(struct transfer, field), NULL \
    }
#define READ_KEY(field)         \
    {                           \
#field, 0, read_##field \
    }
static const struct key keys[] = {
    TEXT_KEY(id),
    READ_KEY(routing_number),
    TEXT_KEY(originator),
    READ_KEY(sec),
    TEXT_KEY(entry_description),
    READ_KEY(side),
    READ_KEY(account_type),
    READ_KEY(rdfi),
    TEXT_KEY(account),
    READ_KEY(amount),
    TEXT_KEY(name),
    TEXT_KEY(individual_id),
    TEXT_KEY(discretionary),
    READ_KEY(payment_type),
    READ_KEY(addenda),
    READ_KEY(prenote),
    READ_KEY(same_day),
    READ_KEY(effective_date),
    TEXT_KEY(reverses),
    READ_KEY(metadata),
};
#undef TEXT_KEY
#undef READ_KEY
#define KEYS_COUNT (sizeof keys / sizeof keys[0])

static bool unknown_key(struct reading *r, const char *name)
{
    const char *known[KEYS_COUNT];
    const char *near;

    for (size_t i = 0; i < KEYS_COUNT; i++) {
        known[i] = keys[i].name;
    }
    near = words_nearest(name, known, KEYS_COUNT);
    return near != NULL ? bad(r, "unknown key %.64s: did you mean %s?", name, near)
                        : bad(r, "unknown key %.64s: leave it out, or put it into metadata", name);
}

static bool read_key(struct reading *r, const char *name, const json_t *value)
{
    for (size_t i = 0; i < KEYS_COUNT; i++) {
        if (strcmp(keys[i].name, name) != 0) {
            continue;
        }
        if (keys[i].read != NULL) {
            return keys[i].read(r, value);
        }
        return text_value(r, name, value,
                          (struct span *)(void *)((char *)&r->item->transfer + keys[i].text_offset));
    }
    return unknown_key(r, name);
}

static bool read_object(struct reading *r, const json_t *object)
{
    const json_t *id = json_object_get(object, "id");
    const char *name;
    json_t *value;

    /* First, so that also a bad one can be named. */
    if (json_is_string(id)) {
        r->item->transfer.id = arena_dup(r->arena, span_of(json_string_value(id), json_string_length(id)));
    }
    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        if (!read_key(r, name, value)) {
            return false;
        }
    }
    if (json_object_get(object, "amount") == NULL) {
        return bad(r, "amount is missing");
    }
    return true;
}

static bool judge(struct reading *r)
{
    char why[REASON_SIZE];

    if (r->item->transfer.routing_number.n == 0) {
        return bad(r, "routing_number is missing: give it here, or for all with --shard");
    }
    return transfer_check(LEVEL_MAX, &r->item->transfer, why, sizeof why) == SG_OK || bad(r, "%s", why);
}

/* The values themselves are not repeated: they are names and account numbers. */
static bool not_json(struct reading *r, const json_error_t *error)
{
    switch ((unsigned)json_error_code(error)) {
    case json_error_duplicate_key:
        return bad(r, "a key stands here twice (column %d): which one is meant?", error->column);
    case json_error_numeric_overflow:
        return bad(r, "a number is too large (column %d)", error->column);
    case json_error_premature_end_of_input:
        return bad(r, "it ends in the middle");
    case json_error_null_character:
    case json_error_null_byte_in_key:
        return bad(r, "\\u0000 stands in a text (column %d): no bank takes it; leave it out", error->column);
    case json_error_invalid_utf8:
        return bad(r, "a byte that is no UTF-8 (column %d): save it as UTF-8, or as ASCII", error->column);
    case json_error_stack_overflow:
        return bad(r, "brackets within brackets, too deep (column %d)", error->column);
    default:
        return bad(r, "this is not JSON (column %d)", error->column);
    }
}

void transfer_json_read(struct span object, struct aba shard, struct arena *a, struct transfer_item *item)
{
    struct reading r = {.arena = a, .item = item};
    json_error_t error;
    json_t *root =
        json_loadb((const char *)object.p, object.n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);

    item->transfer = (struct transfer){.routing_number = shard, .effective_date = DAY_NONE};
    item->reason = SPAN_NONE;
    if (root == NULL) {
        (void)not_json(&r, &error);
    } else if (!json_is_object(root)) {
        (void)bad(&r, "an object in braces is expected");
    } else if (read_object(&r, root)) {
        (void)judge(&r);
    }
    json_decref(root);
}

/* --- The whole text -------------------------------------------------------------------------- */

static struct transfer_item *item_add(struct transfer_list *l)
{
    if (l->count == l->room) {
        l->room = l->room == 0 ? 64 : 2 * l->room;
        l->items = mem_realloc(l->items, l->room * sizeof *l->items);
    }
    return &l->items[l->count++];
}

/* "101 " and the destination's routing number: a file header record. */
static bool is_nacha(struct span text)
{
    return text.n >= 14 && memcmp(text.p, "101", 3) == 0 && memchr(text.p, '{', text.n) == NULL;
}

enum sg_err transfer_json_parse(struct span text, struct aba shard, struct arena *a,
                                struct transfer_list *out, char *why, size_t why_size)
{
    struct json_split split;
    struct json_piece piece;

    *out = (struct transfer_list){NULL, 0, 0};
    if (is_nacha(text)) {
        (void)snprintf(why, why_size, "this is a NACHA file: only JSON is taken in this version");
        return SG_UNSUPPORTED;
    }
    json_split_init(&split, text);
    if (split.form == JSON_FORM_EMPTY) {
        (void)snprintf(why, why_size, "there is nothing in it: a transfer is a JSON object");
        return SG_INVALID;
    }
    while (json_split_next(&split, &piece)) {
        struct transfer_item *item = item_add(out);
        struct reading r = {.arena = a, .item = item};
        *item = (struct transfer_item){.line = piece.line};
        transfer_json_read(piece.text, shard, a, item);
        if (piece.fault != NULL) {
            (void)bad(&r, "%s; what follows was not read", piece.fault);
        }
    }
    return SG_OK;
}

void transfer_list_release(struct transfer_list *l)
{
    mem_free(l->items);
    *l = (struct transfer_list){NULL, 0, 0};
}
