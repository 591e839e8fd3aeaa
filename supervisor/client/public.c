#include "shardgate/client.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "proto/level.h"
#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "supervisor/client/client.h"

CHECK_STATIC((int)SHARDGATE_OK == (int)SG_OK, "the public numbers are ours");
CHECK_STATIC((int)SHARDGATE_UNAVAILABLE == (int)SG_UNAVAILABLE, "the public numbers are ours");
CHECK_STATIC((int)SHARDGATE_UNKNOWN == (int)SG_UNKNOWN, "the public numbers are ours");
CHECK_STATIC((int)SHARDGATE_UNSUPPORTED == (int)SG_UNSUPPORTED, "the public numbers are ours");
CHECK_STATIC((int)SHARDGATE_UNSUPPORTED + 1 == (int)SG_ERRS, "the public numbers are ours");
CHECK_STATIC((int)SHARDGATE_ACCEPTED == (int)OUTCOME_ACCEPTED, "the public numbers are ours");
CHECK_STATIC((int)SHARDGATE_FOLDED == (int)OUTCOME_FOLDED, "the public numbers are ours");
CHECK_STATIC((int)SHARDGATE_REJECTED == (int)OUTCOME_REJECTED, "the public numbers are ours");

struct shardgate_client {
    struct client *client;
    uint32_t timeout_ms;
};

/* What the structures had in the first version that has sizes: a program has at least these. */
#define ERROR_SIZE_MIN sizeof(struct shardgate_error)
#define TRANSFER_SIZE_MIN sizeof(struct shardgate_transfer)
#define RESULT_SIZE_MIN sizeof(struct shardgate_result)

const char *shardgate_version(void)
{
    return SHARDGATE_VERSION_TEXT;
}

int shardgate_version_number(void)
{
    return SHARDGATE_VERSION_NUMBER;
}

const char *shardgate_err_text(int err)
{
    return sg_err_text((enum sg_err)err);
}

static int fail(struct shardgate_error *error, enum sg_err err, const char *text)
{
    if (error != NULL && error->struct_size >= ERROR_SIZE_MIN) {
        error->code = (int)err;
        (void)snprintf(error->text, sizeof(error->text), "%s", text);
    }
    return (int)err;
}

static int finish(struct shardgate_error *error, enum sg_err err, struct span text)
{
    char buffer[sizeof(error->text)];
    return fail(error, err, err == SG_OK ? "" : span_cstr(text, buffer, sizeof(buffer)));
}

int shardgate_client_new(const char *addresses, struct shardgate_client **out, struct shardgate_error *error)
{
    char why[sizeof(error->text)] = "";
    struct client *client = NULL;
    *out = NULL;
    enum sg_err err = client_new(addresses, &client, why, sizeof(why));
    if (err == SG_OK) {
        *out = mem_zalloc(1, sizeof(**out));
        (*out)->client = client;
    }
    return fail(error, err, err == SG_OK ? "" : why);
}

void shardgate_client_free(struct shardgate_client *c)
{
    if (c != NULL) {
        client_free(c->client);
        mem_free(c);
    }
}

void shardgate_client_set_timeout_ms(struct shardgate_client *c, uint32_t timeout_ms)
{
    c->timeout_ms = timeout_ms;
}

void shardgate_free(void *p)
{
    mem_free(p);
}

/* --- Submitting ------------------------------------------------------------ */

static struct span optional(const char *s)
{
    return s == NULL ? SPAN_NONE : span_str(s);
}

static const char *aba_of(const char *name, const char *text, struct aba *out, char *why, size_t why_size)
{
    const char *reason = "missing";
    if (text != NULL && aba_parse(span_str(text), out, &reason) == SG_OK) {
        return NULL;
    }
    (void)snprintf(why, why_size, "%s %s: %s", name, text == NULL ? "" : text, reason);
    return why;
}

/* The fields that are text on one side and numbers on the other. NULL: all are
 * well-formed; else why one is not. Whether they make sense the node decides. */
static const char *convert_parsed(const struct shardgate_transfer *from, struct transfer *to, char *why,
                                  size_t why_size)
{
    const char *wrong = aba_of("routing_number", from->routing_number, &to->routing_number, why, why_size);
    if (wrong == NULL) {
        wrong = aba_of("rdfi", from->rdfi, &to->rdfi, why, why_size);
    }
    if (wrong != NULL) {
        return wrong;
    }
    to->sec = sec_parse(optional(from->sec));
    to->side = side_parse(optional(from->side));
    to->account_type = account_type_parse(optional(from->account_type));
    to->effective_date = DAY_NONE;
    if (to->sec == SEC_NONE || to->side == SIDE_NONE || to->account_type == ACCOUNT_NONE) {
        return "sec, side or account_type is missing or none of the known words";
    }
    if (from->effective_date != NULL &&
        day_parse(span_str(from->effective_date), &to->effective_date) != SG_OK) {
        return "effective_date is no date of the form YYYY-MM-DD";
    }
    if (from->payment_type != NULL && strcmp(from->payment_type, "R") != 0 &&
        strcmp(from->payment_type, "S") != 0) {
        return "payment_type is neither R nor S";
    }
    to->payment_type = from->payment_type == NULL ? '\0' : from->payment_type[0];
    if (from->amount_cents < 0) {
        return "amount_cents is negative";
    }
    return NULL;
}

static const char *convert(const struct shardgate_transfer *from, struct arena *a, struct transfer *to,
                           char *why, size_t why_size)
{
    *to = (struct transfer){
        .id = optional(from->id),
        .originator = optional(from->originator),
        .entry_description = optional(from->entry_description),
        .account = optional(from->account),
        .amount = {from->amount_cents},
        .name = optional(from->name),
        .individual_id = optional(from->individual_id),
        .discretionary = optional(from->discretionary),
        .prenote = from->prenote != 0,
        .same_day = from->same_day != 0,
        .reverses = optional(from->reverses),
        .metadata = optional(from->metadata),
        .addenda_count = from->addenda_count,
    };
    if (from->addenda_count > TRANSFER_ADDENDA_MAX) {
        return "more addenda than a transfer can have";
    }
    to->addenda = arena_array(a, from->addenda_count, sizeof(*to->addenda));
    for (size_t i = 0; i < from->addenda_count; i++) {
        to->addenda[i] = optional(from->addenda[i]);
    }
    const char *wrong = convert_parsed(from, to, why, why_size);
    if (wrong == NULL && transfer_check(LEVEL_MAX, to, why, why_size) != SG_OK) {
        wrong = why;
    }
    return wrong;
}

static void reject(struct shardgate_result *result, const char *why)
{
    result->outcome = SHARDGATE_REJECTED;
    (void)snprintf(result->reason, sizeof(result->reason), "%s", why);
}

/* Does the program, if its structures are longer, say nothing that this library
 * does not know? */
static bool is_known(const struct shardgate_transfer *transfers, size_t count)
{
    size_t size = transfers->struct_size;
    for (size_t i = 0; i < count; i++) {
        const char *at = (const char *)transfers + i * size;
        for (size_t k = sizeof(*transfers); k < size; k++) {
            if (at[k] != 0) {
                return false;
            }
        }
    }
    return true;
}

/* What the program and this library both know; the rest is 0. */
static struct shardgate_transfer take_transfer(const struct shardgate_transfer *transfers, size_t i)
{
    size_t size = transfers->struct_size;
    struct shardgate_transfer t = {.struct_size = 0};
    memcpy(&t, (const char *)transfers + i * size, size < sizeof(t) ? size : sizeof(t));
    return t;
}

/* Into the place of a program whose result may be longer or shorter. */
static void give_result(char *at, size_t struct_size, const struct shardgate_result *result)
{
    size_t head = offsetof(struct shardgate_result, outcome);
    size_t known = struct_size < sizeof(*result) ? struct_size : sizeof(*result);
    memset(at + head, 0, struct_size - head);
    memcpy(at + head, (const char *)result + head, known - head);
}

int shardgate_client_submit(struct shardgate_client *c, const struct shardgate_transfer *transfers,
                            size_t count, struct shardgate_result *results, struct shardgate_error *error)
{
    if (count > 0 && (transfers->struct_size < TRANSFER_SIZE_MIN || results->struct_size < RESULT_SIZE_MIN)) {
        return fail(error, SG_INVALID,
                    "struct_size of the first transfer or result is not set: begin with "
                    "SHARDGATE_TRANSFER_INIT and SHARDGATE_RESULT_INIT");
    }
    if (count > 0 && !is_known(transfers, count)) {
        return fail(error, SG_INVALID,
                    "a transfer says what this version of the library does not know: use the library of the "
                    "header that the program was compiled with");
    }
    size_t result_size = count > 0 ? results->struct_size : 0;
    char *places = (char *)results;
    struct arena a = ARENA_INIT;
    struct transfer *good = mem_zalloc(count, sizeof(*good));
    size_t *index = mem_zalloc(count, sizeof(*index));
    struct submit_result *answers = mem_zalloc(count, sizeof(*answers));
    size_t good_count = 0;
    struct span text = SPAN_NONE;
    for (size_t i = 0; i < count; i++) {
        struct shardgate_result result = {.outcome = SHARDGATE_NONE};
        struct shardgate_transfer t = take_transfer(transfers, i);
        char why[sizeof(result.reason)] = "";
        const char *wrong = convert(&t, &a, &good[good_count], why, sizeof(why));
        if (wrong != NULL) {
            reject(&result, wrong);
        } else {
            index[good_count++] = i;
        }
        give_result(places + i * result_size, result_size, &result);
    }
    enum sg_err err = client_submit(c->client, good, good_count, c->timeout_ms, &a, answers, &text);
    for (size_t i = 0; i < good_count; i++) {
        struct shardgate_result result = {.outcome = (int)answers[i].outcome, .index = answers[i].index};
        (void)span_cstr(answers[i].reason.n > 0 ? answers[i].reason : answers[i].note, result.reason,
                        sizeof(result.reason));
        give_result(places + index[i] * result_size, result_size, &result);
    }
    int rc = finish(error, err, text);
    mem_free(answers);
    mem_free(index);
    mem_free(good);
    arena_release(&a);
    return rc;
}

/* --- Everything else ------------------------------------------------------- */

static enum request_kind kind_of(const char *verb)
{
    for (int kind = REQUEST_NONE + 1; kind < REQUEST_KINDS; kind++) {
        if (kind != REQUEST_SUBMIT && strcmp(request_kind_name((enum request_kind)kind), verb) == 0) {
            return (enum request_kind)kind;
        }
    }
    return REQUEST_NONE;
}

static void *owned_copy(struct span s)
{
    char *copy = mem_alloc(s.n + 1);
    if (s.n > 0) {
        memcpy(copy, s.p, s.n);
    }
    copy[s.n] = '\0';
    return copy;
}

static int ask(struct shardgate_client *c, const struct request *request, char **json, void **data,
               size_t *data_size, struct shardgate_error *error)
{
    struct arena a = ARENA_INIT;
    struct reply reply;
    enum sg_err err = client_call(c->client, request, &a, &reply);
    if (err == SG_OK) {
        *json = owned_copy(reply.json);
    }
    if (err == SG_OK && data != NULL && reply.data.n > 0) {
        *data = owned_copy(reply.data);
        *data_size = reply.data.n;
    }
    int rc = finish(error, err, reply.text);
    arena_release(&a);
    return rc;
}

int shardgate_client_query(struct shardgate_client *c, const char *verb, const char *routing_number,
                           const struct shardgate_arg *args, size_t args_count, char **json, void **data,
                           size_t *data_size, struct shardgate_error *error)
{
    char why[sizeof(error->text)] = "";
    struct request_arg named[REQUEST_ARGS_MAX];
    struct request request = {
        .kind = kind_of(verb), .timeout_ms = c->timeout_ms, .args = named, .args_count = args_count};
    *json = NULL;
    if (data != NULL) {
        *data = NULL;
        *data_size = 0;
    }
    if (request.kind == REQUEST_NONE || args_count > REQUEST_ARGS_MAX) {
        return fail(error, SG_INVALID, "unknown verb, or too many arguments");
    }
    if (routing_number != NULL &&
        aba_of("routing number", routing_number, &request.routing_number, why, sizeof(why)) != NULL) {
        return fail(error, SG_INVALID, why);
    }
    for (size_t i = 0; i < args_count; i++) {
        named[i] = (struct request_arg){span_str(args[i].name), optional(args[i].value)};
    }
    return ask(c, &request, json, data, data_size, error);
}
