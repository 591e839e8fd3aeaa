#include "proto/transfer.h"

#include "proto/base/limits.h"
#include "proto/transfer_pb.h"

#define TRANSFER_VERSION 1

#define SAME_NUMBER(a, b) _Static_assert((int)(a) == (int)(b), "the schema's number is the program's")
SAME_NUMBER(SEC_PPD, SHARDGATE__V1__SEC__SEC_PPD);
SAME_NUMBER(SEC_CCD, SHARDGATE__V1__SEC__SEC_CCD);
SAME_NUMBER(SEC_CTX, SHARDGATE__V1__SEC__SEC_CTX);
SAME_NUMBER(SEC_WEB, SHARDGATE__V1__SEC__SEC_WEB);
SAME_NUMBER(SEC_TEL, SHARDGATE__V1__SEC__SEC_TEL);
SAME_NUMBER(SIDE_CREDIT, SHARDGATE__V1__SIDE__SIDE_CREDIT);
SAME_NUMBER(SIDE_DEBIT, SHARDGATE__V1__SIDE__SIDE_DEBIT);
SAME_NUMBER(ACCOUNT_CHECKING, SHARDGATE__V1__ACCOUNT_TYPE__ACCOUNT_TYPE_CHECKING);
SAME_NUMBER(ACCOUNT_SAVINGS, SHARDGATE__V1__ACCOUNT_TYPE__ACCOUNT_TYPE_SAVINGS);
SAME_NUMBER(ACCOUNT_LEDGER, SHARDGATE__V1__ACCOUNT_TYPE__ACCOUNT_TYPE_LEDGER);
SAME_NUMBER(ACCOUNT_LOAN, SHARDGATE__V1__ACCOUNT_TYPE__ACCOUNT_TYPE_LOAN);

static const char *const sec_names[SECS] = {"", "PPD", "CCD", "CTX", "WEB", "TEL"};
static const char *const side_names[SIDES] = {"", "credit", "debit"};
static const char *const account_type_names[ACCOUNT_TYPES] = {"", "checking", "savings", "ledger", "loan"};

/* The number of text in names, 0 (which is NONE everywhere) when it is not there. */
static unsigned name_find(const char *const *names, unsigned count, struct span text)
{
    for (unsigned i = 1; i < count; i++) {
        if (span_is(text, names[i])) {
            return i;
        }
    }
    return 0;
}

const char *sec_name(enum sec sec)
{
    return (unsigned)sec < SECS ? sec_names[sec] : "";
}

const char *side_name(enum side side)
{
    return (unsigned)side < SIDES ? side_names[side] : "";
}

const char *account_type_name(enum account_type type)
{
    return (unsigned)type < ACCOUNT_TYPES ? account_type_names[type] : "";
}

enum sec sec_parse(struct span text)
{
    return (enum sec)name_find(sec_names, SECS, text);
}

enum side side_parse(struct span text)
{
    return (enum side)name_find(side_names, SIDES, text);
}

enum account_type account_type_parse(struct span text)
{
    return (enum account_type)name_find(account_type_names, ACCOUNT_TYPES, text);
}

/* What is no day of the calendar must not turn into "none": readers refuse it. */
static uint32_t day_to_pb(struct day d)
{
    if (day_is_none(d)) {
        return 0;
    }
    return d.n < 0 ? UINT32_MAX : (uint32_t)d.n + 1;
}

void transfer_to_pb(const struct transfer *t, struct arena *a, Shardgate__V1__Transfer *out)
{
    shardgate__v1__transfer__init(out);
    out->version = TRANSFER_VERSION;
    out->id = pb_of_span(t->id);
    out->routing_number = t->routing_number.n;
    out->originator = pb_of_span(t->originator);
    out->sec = (Shardgate__V1__Sec)t->sec;
    out->entry_description = pb_of_span(t->entry_description);
    out->side = (Shardgate__V1__Side)t->side;
    out->account_type = (Shardgate__V1__AccountType)t->account_type;
    out->rdfi = t->rdfi.n;
    out->account = pb_of_span(t->account);
    out->amount_cents = t->amount.n;
    out->name = pb_of_span(t->name);
    out->individual_id = pb_of_span(t->individual_id);
    out->discretionary = pb_of_span(t->discretionary);
    out->payment_type = (uint8_t)t->payment_type;
    out->prenote = t->prenote;
    out->same_day = t->same_day;
    out->effective_day = day_to_pb(t->effective_date);
    out->reverses = pb_of_span(t->reverses);
    out->metadata = pb_of_span(t->metadata);
    out->n_addenda = t->addenda_count;
    out->addenda = pb_of_spans(t->addenda, t->addenda_count, a);
}

/* Enums are compared as unsigned: the wire can hold any int there. */
static bool transfer_is_expressible(const Shardgate__V1__Transfer *pb)
{
    return pb_is_known(&pb->base) && pb->version == TRANSFER_VERSION && (unsigned)pb->sec < SECS &&
           (unsigned)pb->side < SIDES && (unsigned)pb->account_type < ACCOUNT_TYPES &&
           pb->routing_number <= ABA_MAX && pb->rdfi <= ABA_MAX && pb->payment_type <= UINT8_MAX &&
           pb->effective_day <= DAY_MAX + 1;
}

enum sg_err transfer_of_pb(const Shardgate__V1__Transfer *pb, struct arena *a, struct transfer *out)
{
    if (!transfer_is_expressible(pb)) {
        return SG_INVALID;
    }
    *out = (struct transfer){
        .id = pb_span(pb->id),
        .routing_number = {pb->routing_number},
        .originator = pb_span(pb->originator),
        .sec = (enum sec)pb->sec,
        .entry_description = pb_span(pb->entry_description),
        .side = (enum side)pb->side,
        .account_type = (enum account_type)pb->account_type,
        .rdfi = {pb->rdfi},
        .account = pb_span(pb->account),
        .amount = {pb->amount_cents},
        .name = pb_span(pb->name),
        .individual_id = pb_span(pb->individual_id),
        .discretionary = pb_span(pb->discretionary),
        .payment_type = (char)pb->payment_type,
        .prenote = pb->prenote != 0,
        .same_day = pb->same_day != 0,
        .effective_date = pb->effective_day == 0 ? DAY_NONE : (struct day){(int32_t)(pb->effective_day - 1)},
        .reverses = pb_span(pb->reverses),
        .metadata = pb_span(pb->metadata),
        .addenda = pb_spans(pb->addenda, pb->n_addenda, a),
        .addenda_count = pb->n_addenda,
    };
    return SG_OK;
}

bool transfer_is_bounded(const struct transfer *t)
{
    if (t->addenda_count > TRANSFER_ADDENDA_MAX) {
        return false;
    }
    for (size_t i = 0; i < t->addenda_count; i++) {
        if (t->addenda[i].n > ADDENDA_TEXT_SIZE) {
            return false;
        }
    }
    return t->id.n >= 1 && t->id.n <= TRANSFER_ID_SIZE_MAX && t->originator.n <= NAME_SIZE_MAX &&
           t->entry_description.n <= ENTRY_DESCRIPTION_SIZE_MAX && t->account.n <= ACCOUNT_SIZE_MAX &&
           t->amount.n >= 0 && t->amount.n <= AMOUNT_MAX_CENTS && t->name.n <= RECEIVER_NAME_SIZE_MAX &&
           t->individual_id.n <= INDIVIDUAL_ID_SIZE_MAX && t->discretionary.n <= DISCRETIONARY_SIZE_MAX &&
           t->reverses.n <= TRANSFER_ID_SIZE_MAX && t->metadata.n <= TRANSFER_METADATA_SIZE_MAX;
}

void transfer_encode(const struct transfer *t, struct bytes *out)
{
    struct arena a = ARENA_INIT; /* Takes memory only when there are addenda. */
    Shardgate__V1__Transfer pb;
    transfer_to_pb(t, &a, &pb);
    pb_append(&pb.base, out);
    arena_release(&a);
}

enum sg_err transfer_decode(struct span data, struct arena *arena, struct transfer *out)
{
    const Shardgate__V1__Transfer *pb =
        (const void *)pb_unpack(&shardgate__v1__transfer__descriptor, data, arena);
    if (pb == NULL) {
        return SG_INVALID;
    }
    enum sg_err err = transfer_of_pb(pb, arena, out);
    if (err != SG_OK) {
        return err;
    }
    return transfer_is_bounded(out) ? SG_OK : SG_INVALID;
}
