#include "proto/transfer.h"

#include "proto/base/limits.h"
#include "proto/transfer_wire.h"
#include "transfer.pb-c.h"

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

#define AT(member) offsetof(struct transfer, member)
static const struct wire_field fields[] = {
    {2, WIRE_SPAN, AT(id), 0, SIZE_MAX},
    {3, WIRE_U32, AT(routing_number), 0, ABA_MAX},
    {4, WIRE_SPAN, AT(originator), 0, SIZE_MAX},
    {5, WIRE_ENUM, AT(sec), 0, SECS - 1},
    {6, WIRE_SPAN, AT(entry_description), 0, SIZE_MAX},
    {7, WIRE_ENUM, AT(side), 0, SIDES - 1},
    {8, WIRE_ENUM, AT(account_type), 0, ACCOUNT_TYPES - 1},
    {9, WIRE_U32, AT(rdfi), 0, ABA_MAX},
    {10, WIRE_SPAN, AT(account), 0, SIZE_MAX},
    {11, WIRE_SIGNED, AT(amount), 0, 0},
    {12, WIRE_SPAN, AT(name), 0, SIZE_MAX},
    {13, WIRE_SPAN, AT(individual_id), 0, SIZE_MAX},
    {14, WIRE_SPAN, AT(discretionary), 0, SIZE_MAX},
    {15, WIRE_CHAR, AT(payment_type), 0, UINT8_MAX},
    {16, WIRE_BOOL, AT(prenote), 0, 1},
    {17, WIRE_BOOL, AT(same_day), 0, 1},
    {18, WIRE_DAY, AT(effective_date), 0, WIRE_DAY_MAX},
    {19, WIRE_SPAN, AT(reverses), 0, SIZE_MAX},
    {20, WIRE_SPAN, AT(metadata), 0, SIZE_MAX},
    {21, WIRE_SPANS, AT(addenda), 0, SIZE_MAX, .beside = AT(addenda_count)},
};

static bool is_bounded(const void *transfer)
{
    return transfer_is_bounded(transfer);
}

const struct wire_message transfer_message = {
    &shardgate__v1__transfer__descriptor, WIRE_TABLE(fields), .size = sizeof(struct transfer),
    .version = TRANSFER_VERSION,          .is_level = true,   .is_input = true,
};
const struct wire_message transfer_bounded_message = {
    &shardgate__v1__transfer__descriptor,
    WIRE_TABLE(fields),
    .size = sizeof(struct transfer),
    .version = TRANSFER_VERSION,
    .is_level = true,
    .is_input = true,
    .is_valid = is_bounded,
};

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
    wire_encode(&transfer_message, t, out);
}

enum sg_err transfer_decode(struct span data, struct arena *arena, struct transfer *out)
{
    return wire_decode(&transfer_bounded_message, data, WIRE_KNOWN, arena, out, NULL);
}
