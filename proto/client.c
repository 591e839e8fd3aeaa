#include "proto/client.h"

#include "proto/command_wire.h"
#include "proto/transfer_wire.h"
#include "client.pb-c.h"

_Static_assert((int)OUTCOME_ACCEPTED == (int)SHARDGATE__V1__OUTCOME__OUTCOME_IS_ACCEPTED, "same number");
_Static_assert((int)OUTCOME_FOLDED == (int)SHARDGATE__V1__OUTCOME__OUTCOME_IS_FOLDED, "same number");
_Static_assert((int)OUTCOME_REJECTED == (int)SHARDGATE__V1__OUTCOME__OUTCOME_IS_REJECTED, "same number");

const char *request_kind_name(enum request_kind kind)
{
#define KIND_NAME(kind, text) [kind] = (text),
    static const char *const names[REQUEST_KINDS] = {REQUEST_TABLE(KIND_NAME)};
#undef KIND_NAME
    return (unsigned)kind < REQUEST_KINDS ? names[kind] : "";
}

const char *outcome_name(enum outcome outcome)
{
    static const char *const names[OUTCOMES] = {"", "accepted", "folded", "rejected"};
    return (unsigned)outcome < OUTCOMES ? names[outcome] : "";
}

const char *submit_state_name(enum submit_state state)
{
    static const char *const names[SUBMIT_STATES] = {"", "cancelled", "abandoned"};
    return (unsigned)state < SUBMIT_STATES ? names[state] : "";
}

struct span request_arg(const struct request *r, const char *name)
{
    for (size_t i = 0; i < r->args_count; i++) {
        if (span_is(r->args[i].name, name)) {
            return r->args[i].value;
        }
    }
    return SPAN_NONE;
}

/* --- Request ------------------------------------------------------------- */

#define FIELD_ARGUMENTS 5
#define FIELD_TRANSFERS 6

#define ARGUMENT_AT(member) offsetof(struct request_arg, member)
static const struct wire_field argument_fields[] = {
    {1, WIRE_SPAN, ARGUMENT_AT(name), 1, NAME_SIZE_MAX},
    {2, WIRE_SPAN, ARGUMENT_AT(value), 0, SIZE_MAX},
};
static const struct wire_message argument_message = {
    &shardgate__v1__argument__descriptor,
    WIRE_TABLE(argument_fields),
    .size = sizeof(struct request_arg),
    .is_input = true,
};

#define REQUEST_AT(member) offsetof(struct request, member)
static const struct wire_field request_fields[] = {
    {2, WIRE_ENUM, REQUEST_AT(kind), REQUEST_NONE + 1, REQUEST_KINDS - 1},
    {3, WIRE_U32, REQUEST_AT(routing_number), 0, ABA_MAX},
    {4, WIRE_U32, REQUEST_AT(timeout_ms), 0, UINT32_MAX},
    {FIELD_ARGUMENTS, WIRE_MANY, REQUEST_AT(args), 0, REQUEST_ARGS_MAX, &argument_message,
     REQUEST_AT(args_count)},
    {FIELD_TRANSFERS, WIRE_MANY, REQUEST_AT(transfers), 0, REQUEST_TRANSFERS_MAX, &transfer_message,
     REQUEST_AT(transfers_count)},
};
static const struct wire_message request_message = {
    &shardgate__v1__request__descriptor, WIRE_TABLE(request_fields), .size = sizeof(struct request),
    .version = CLIENT_VERSION,           .is_input = true,
};

void request_encode(const struct request *r, struct bytes *out)
{
    CHECK_IMPLIES(r->transfers_count > 0, r->kind == REQUEST_SUBMIT);
    wire_encode(&request_message, r, out);
}

/* What to say to the one who sent it. */
static const char *request_fault(const struct wire_why *why)
{
    if (why->fault == WIRE_FAULT_UNREADABLE) {
        return "the request is not readable";
    }
    if (why->fault == WIRE_FAULT_VERSION) {
        return "the request has a version that this node does not speak";
    }
    if (why->fault == WIRE_FAULT_UNKNOWN && !why->is_inside) {
        return "the request has a field that this node does not know";
    }
    switch (why->number) {
    case 2:
        return "the request is of a kind that this node does not know";
    case 3:
        return "the routing number of the request has more than nine digits";
    case FIELD_ARGUMENTS:
        return why->is_inside ? "an argument of the request has no name or an impossible one"
                              : "the request has too many arguments";
    default:
        return why->is_inside ? "a transfer of the request has a field or value that this node does not know"
                              : "the request has too many transfers; send it in parts";
    }
}

enum sg_err request_decode(struct span data, struct arena *a, struct request *out, const char **why)
{
    struct wire_why fault;
    if (data.n > REQUEST_SIZE_MAX_BYTES) {
        *why = "the request is over the size limit; send it in parts";
        return SG_TOOBIG;
    }
    if (wire_decode(&request_message, data, WIRE_KNOWN, a, out, &fault) != SG_OK) {
        *why = request_fault(&fault);
        return fault.number == FIELD_TRANSFERS && fault.fault == WIRE_FAULT_COUNT ? SG_TOOBIG : SG_INVALID;
    }
    if (out->transfers_count > 0 && out->kind != REQUEST_SUBMIT) {
        *why = "the request carries transfers but does not submit them";
        return SG_INVALID;
    }
    return SG_OK;
}

/* --- Reply --------------------------------------------------------------- */

#define RESULT_AT(member) offsetof(struct submit_result, member)
static const struct wire_field result_fields[] = {
    {1, WIRE_SPAN, RESULT_AT(id), 0, SIZE_MAX},
    {2, WIRE_U32, RESULT_AT(shard), 0, ABA_MAX},
    {3, WIRE_ENUM, RESULT_AT(outcome), OUTCOME_ACCEPTED, OUTCOMES - 1},
    {4, WIRE_U64, RESULT_AT(index), 0, UINT64_MAX},
    {5, WIRE_SPAN, RESULT_AT(reason), 0, SIZE_MAX},
    {6, WIRE_ENUM, RESULT_AT(state), 0, SUBMIT_STATES - 1},
    {7, WIRE_SPAN, RESULT_AT(note), 0, SIZE_MAX},
};
const struct wire_message submit_result_message = {
    &shardgate__v1__submit_result__descriptor,
    WIRE_TABLE(result_fields),
    .size = sizeof(struct submit_result),
    .is_input = true,
};

#define REPLY_AT(member) offsetof(struct reply, member)
static const struct wire_field reply_fields[] = {
    {2, WIRE_ERR, REPLY_AT(err), 0, 0},
    {3, WIRE_SPAN, REPLY_AT(text), 0, SIZE_MAX},
    {4, WIRE_SPAN, REPLY_AT(leader), 0, NAME_SIZE_MAX},
    {5, WIRE_SPAN, REPLY_AT(json), 0, SIZE_MAX},
    {6, WIRE_SPAN, REPLY_AT(data), 0, SIZE_MAX},
    {7, WIRE_MANY, REPLY_AT(results), 0, REQUEST_TRANSFERS_MAX, &submit_result_message,
     REPLY_AT(results_count)},
};
static const struct wire_message reply_message = {
    &shardgate__v1__reply__descriptor, WIRE_TABLE(reply_fields), .size = sizeof(struct reply),
    .version = CLIENT_VERSION,         .is_input = true,
};

void reply_encode(const struct reply *r, struct bytes *out)
{
    wire_encode(&reply_message, r, out);
}

/* Fields of a later version are passed over: an answer is better than none. */
enum sg_err reply_decode(struct span data, struct arena *a, struct reply *out)
{
    return data.n > REPLY_SIZE_MAX_BYTES ? SG_INVALID
                                         : wire_decode(&reply_message, data, WIRE_LENIENT, a, out, NULL);
}
