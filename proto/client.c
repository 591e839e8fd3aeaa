#include "proto/client.h"

#include "proto/base/arena_pb.h"
#include "proto/transfer_pb.h"
#include "client.pb-c.h"

_Static_assert((int)OUTCOME_ACCEPTED == (int)SHARDGATE__V1__OUTCOME__OUTCOME_IS_ACCEPTED, "same number");
_Static_assert((int)OUTCOME_FOLDED == (int)SHARDGATE__V1__OUTCOME__OUTCOME_IS_FOLDED, "same number");
_Static_assert((int)OUTCOME_REJECTED == (int)SHARDGATE__V1__OUTCOME__OUTCOME_IS_REJECTED, "same number");

const char *request_kind_name(enum request_kind kind)
{
#define KIND_NAME(kind, text) [kind] = text,
    static const char *const names[REQUEST_KINDS] = {REQUEST_TABLE(KIND_NAME)};
#undef KIND_NAME
    return (unsigned)kind < REQUEST_KINDS ? names[kind] : "";
}

const char *outcome_name(enum outcome outcome)
{
    static const char *const names[OUTCOMES] = {"", "accepted", "folded", "rejected"};
    return (unsigned)outcome < OUTCOMES ? names[outcome] : "";
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

static void args_to_pb(const struct request *r, struct arena *a, Shardgate__V1__Request *out)
{
    Shardgate__V1__Argument *args = arena_array(a, r->args_count, sizeof(*args));
    CHECK(r->args_count <= REQUEST_ARGS_MAX);
    out->n_arguments = r->args_count;
    out->arguments = arena_array(a, r->args_count, sizeof(Shardgate__V1__Argument *));
    for (size_t i = 0; i < r->args_count; i++) {
        shardgate__v1__argument__init(&args[i]);
        args[i].name = pb_of_span(r->args[i].name);
        args[i].value = pb_of_span(r->args[i].value);
        out->arguments[i] = &args[i];
    }
}

static void transfers_to_pb(const struct request *r, struct arena *a, Shardgate__V1__Request *out)
{
    Shardgate__V1__Transfer *transfers = arena_array(a, r->transfers_count, sizeof(*transfers));
    CHECK_IMPLIES(r->transfers_count > 0, r->kind == REQUEST_SUBMIT);
    out->n_transfers = r->transfers_count;
    out->transfers = arena_array(a, r->transfers_count, sizeof(Shardgate__V1__Transfer *));
    for (size_t i = 0; i < r->transfers_count; i++) {
        transfer_to_pb(&r->transfers[i], a, &transfers[i]);
        out->transfers[i] = &transfers[i];
    }
}

void request_encode(const struct request *r, struct bytes *out)
{
    struct arena a = ARENA_INIT;
    Shardgate__V1__Request pb = SHARDGATE__V1__REQUEST__INIT;
    pb.version = CLIENT_VERSION;
    pb.kind = (uint32_t)r->kind;
    pb.routing_number = r->routing_number.n;
    pb.timeout_ms = r->timeout_ms;
    args_to_pb(r, &a, &pb);
    transfers_to_pb(r, &a, &pb);
    pb_append(&pb.base, out);
    arena_release(&a);
}

static const char *request_fault(const Shardgate__V1__Request *pb)
{
    if (pb->version != CLIENT_VERSION) {
        return "the request has a version that this node does not speak";
    }
    if (!pb_is_known(&pb->base)) {
        return "the request has a field that this node does not know";
    }
    if (pb->kind == REQUEST_NONE || pb->kind >= REQUEST_KINDS) {
        return "the request is of a kind that this node does not know";
    }
    if (pb->routing_number > ABA_MAX) {
        return "the routing number of the request has more than nine digits";
    }
    if (pb->n_arguments > REQUEST_ARGS_MAX) {
        return "the request has too many arguments";
    }
    if (pb->n_transfers > 0 && pb->kind != REQUEST_SUBMIT) {
        return "the request carries transfers but does not submit them";
    }
    return NULL;
}

static const char *args_of_pb(const Shardgate__V1__Request *pb, struct arena *a, struct request *out)
{
    out->args_count = pb->n_arguments;
    out->args = arena_array(a, pb->n_arguments, sizeof(*out->args));
    for (size_t i = 0; i < pb->n_arguments; i++) {
        const Shardgate__V1__Argument *arg = pb->arguments[i];
        if (!pb_is_known(&arg->base) || arg->name.len == 0 || arg->name.len > NAME_SIZE_MAX) {
            return "an argument of the request has no name or an impossible one";
        }
        out->args[i] = (struct request_arg){pb_span(arg->name), pb_span(arg->value)};
    }
    return NULL;
}

static const char *transfers_of_pb(const Shardgate__V1__Request *pb, struct arena *a, struct request *out)
{
    out->transfers_count = pb->n_transfers;
    out->transfers = arena_array(a, pb->n_transfers, sizeof(*out->transfers));
    for (size_t i = 0; i < pb->n_transfers; i++) {
        if (transfer_of_pb(pb->transfers[i], a, &out->transfers[i]) != SG_OK) {
            return "a transfer of the request has a field or value that this node does not know";
        }
    }
    return NULL;
}

enum sg_err request_decode(struct span data, struct arena *a, struct request *out, const char **why)
{
    if (data.n > REQUEST_SIZE_MAX_BYTES) {
        *why = "the request is over the size limit; send it in parts";
        return SG_TOOBIG;
    }
    const Shardgate__V1__Request *pb = (const void *)pb_unpack(&shardgate__v1__request__descriptor, data, a);
    if (pb == NULL) {
        *why = "the request is not readable";
        return SG_INVALID;
    }
    const char *fault = request_fault(pb);
    if (fault == NULL && pb->n_transfers > REQUEST_TRANSFERS_MAX) {
        *why = "the request has too many transfers; send it in parts";
        return SG_TOOBIG;
    }
    *out = (struct request){0};
    if (fault == NULL) {
        out->kind = (enum request_kind)pb->kind;
        out->routing_number.n = pb->routing_number;
        out->timeout_ms = pb->timeout_ms;
        fault = args_of_pb(pb, a, out);
    }
    if (fault == NULL) {
        fault = transfers_of_pb(pb, a, out);
    }
    if (fault != NULL) {
        *why = fault;
        return SG_INVALID;
    }
    return SG_OK;
}

/* --- Reply --------------------------------------------------------------- */

static void results_to_pb(const struct reply *r, struct arena *a, Shardgate__V1__Reply *out)
{
    Shardgate__V1__SubmitResult *results = arena_array(a, r->results_count, sizeof(*results));
    CHECK(r->results_count <= REQUEST_TRANSFERS_MAX);
    out->n_results = r->results_count;
    out->results = arena_array(a, r->results_count, sizeof(Shardgate__V1__SubmitResult *));
    for (size_t i = 0; i < r->results_count; i++) {
        shardgate__v1__submit_result__init(&results[i]);
        results[i].id = pb_of_span(r->results[i].id);
        results[i].shard = r->results[i].shard.n;
        results[i].outcome = (Shardgate__V1__Outcome)r->results[i].outcome;
        results[i].index = r->results[i].index;
        results[i].reason = pb_of_span(r->results[i].reason);
        out->results[i] = &results[i];
    }
}

/* The name travels, not the number: the table of errors may be reordered. */
static struct span err_to_text(enum sg_err err)
{
    CHECK((unsigned)err < SG_ERRS);
    return err == SG_OK ? SPAN_NONE : span_str(sg_err_name(err));
}

static bool err_of_text(struct span text, enum sg_err *out)
{
    if (text.n == 0) {
        *out = SG_OK;
        return true;
    }
    for (unsigned i = 1; i < SG_ERRS; i++) {
        if (span_is(text, sg_err_name((enum sg_err)i))) {
            *out = (enum sg_err)i;
            return true;
        }
    }
    return false;
}

void reply_encode(const struct reply *r, struct bytes *out)
{
    struct arena a = ARENA_INIT;
    Shardgate__V1__Reply pb = SHARDGATE__V1__REPLY__INIT;
    pb.version = CLIENT_VERSION;
    pb.err = pb_of_span(err_to_text(r->err));
    pb.text = pb_of_span(r->text);
    pb.leader = pb_of_span(r->leader);
    pb.json = pb_of_span(r->json);
    pb.data = pb_of_span(r->data);
    results_to_pb(r, &a, &pb);
    pb_append(&pb.base, out);
    arena_release(&a);
}

static bool results_of_pb(const Shardgate__V1__Reply *pb, struct arena *a, struct reply *out)
{
    out->results_count = pb->n_results;
    out->results = arena_array(a, pb->n_results, sizeof(*out->results));
    for (size_t i = 0; i < pb->n_results; i++) {
        const Shardgate__V1__SubmitResult *result = pb->results[i];
        if (result->shard > ABA_MAX || result->outcome < (int)OUTCOME_ACCEPTED ||
            result->outcome > (int)OUTCOME_REJECTED) {
            return false;
        }
        out->results[i] = (struct submit_result){
            .id = pb_span(result->id),
            .shard = {result->shard},
            .outcome = (enum outcome)result->outcome,
            .index = result->index,
            .reason = pb_span(result->reason),
        };
    }
    return true;
}

/* Fields of a later version are passed over: an answer is better than none. */
enum sg_err reply_decode(struct span data, struct arena *a, struct reply *out)
{
    if (data.n > REPLY_SIZE_MAX_BYTES) {
        return SG_INVALID;
    }
    const Shardgate__V1__Reply *pb = (const void *)pb_unpack(&shardgate__v1__reply__descriptor, data, a);
    if (pb == NULL || pb->version != CLIENT_VERSION || pb->n_results > REQUEST_TRANSFERS_MAX ||
        pb->leader.len > NAME_SIZE_MAX) {
        return SG_INVALID;
    }
    *out = (struct reply){
        .text = pb_span(pb->text),
        .leader = pb_span(pb->leader),
        .json = pb_span(pb->json),
        .data = pb_span(pb->data),
    };
    if (!err_of_text(pb_span(pb->err), &out->err) || !results_of_pb(pb, a, out)) {
        return SG_INVALID;
    }
    return SG_OK;
}
