#include "proto/command.h"

#include "proto/command_wire.h"

#define COMMAND_VERSION 1
#define RESULT_VERSION 1
#define FIELD_RESULTS 6

#define AT(member) offsetof(struct command, member)
/* Of a text when it is read: whatever fits an entry. command_encode() cuts off sooner. */
#define TEXT_MAX ENTRY_SIZE_MAX_BYTES

CHECK_STATIC(sizeof(enum command_kind) == 4, "WIRE_ENUM has four bytes");

static const struct wire_field head_fields[] = {
    {2, WIRE_ENUM, AT(kind), 1, COMMAND_KINDS - 1},
    {3, WIRE_I64, AT(time_ms), 0, INT64_MAX},
    {4, WIRE_SPAN, AT(node), 0, NAME_SIZE_MAX},
};
static const struct wire_field cancel_fields[] = {
    {1, WIRE_SPAN, AT(cancel.id), 0, TEXT_MAX},
    {2, WIRE_SPAN, AT(cancel.reason), 0, TEXT_MAX},
};
static const struct wire_field settings_fields[] = {
    {1, WIRE_SPAN, AT(settings.encoded), 0, TEXT_MAX},
};
static const struct wire_field close_fields[] = {
    {1, WIRE_DAY, AT(close.window.day), 0, WIRE_DAY_MAX},
    {2, WIRE_NAME, AT(close.window.name), 0, WINDOW_NAME_SIZE_MAX},
    {3, WIRE_I64, AT(close.scheduled_ms), 0, INT64_MAX},
    {4, WIRE_BOOL, AT(close.manual), 0, 1},
    {5, WIRE_BOOL, AT(close.late), 0, 1},
    {6, WIRE_BOOL, AT(close.hold), 0, 1},
    {7, WIRE_SPAN, AT(close.reason), 0, TEXT_MAX},
    {8, WIRE_DAY, AT(close.processing_day), 0, WIRE_DAY_MAX},
    {9, WIRE_I64, AT(close.upload_by_ms), 0, INT64_MAX},
};
static const struct wire_field missed_fields[] = {
    {1, WIRE_DAY, AT(missed.window.day), 0, WIRE_DAY_MAX},
    {2, WIRE_NAME, AT(missed.window.name), 0, WINDOW_NAME_SIZE_MAX},
    {3, WIRE_ENUM, AT(missed.outcome), MISSED_TO_NEXT, MISSED_HELD},
};
static const struct wire_field window_done_fields[] = {
    {1, WIRE_DAY, AT(window_done.window.day), 0, WIRE_DAY_MAX},
    {2, WIRE_NAME, AT(window_done.window.name), 0, WINDOW_NAME_SIZE_MAX},
};
static const struct wire_field file_fields[] = {
    {1, WIRE_U64, AT(file.file), 0, UINT64_MAX},
    {2, WIRE_U64, AT(file.attempt), 0, UINT64_MAX},
    {3, WIRE_U64, AT(file.size_bytes), 0, UINT64_MAX},
    {4, WIRE_FIXED, AT(file.sha256), SHA256_SIZE, SHA256_SIZE},
    {5, WIRE_SPAN, AT(file.reason), 0, TEXT_MAX},
    {6, WIRE_BOOL, AT(file.as_uploaded), 0, 1},
    {7, WIRE_BOOL, AT(file.resolving), 0, 1},
};

/* Offsets in struct command_seal: a file's row holds one too. */
#define SEAL_AT(member) offsetof(struct command_seal, member)
#define SEAL_MEMBERS 20
static const struct wire_field seal_fields[] = {
    {1, WIRE_DAY, SEAL_AT(window.day), 0, WIRE_DAY_MAX},
    {2, WIRE_NAME, SEAL_AT(window.name), 0, WINDOW_NAME_SIZE_MAX},
    {3, WIRE_U64, SEAL_AT(file), 0, UINT64_MAX},
    {4, WIRE_SPAN, SEAL_AT(name), 0, FILE_NAME_SIZE_MAX},
    {5, WIRE_CHAR, SEAL_AT(modifier), 0, 127},
    {6, WIRE_DAY, SEAL_AT(creation_day), 0, WIRE_DAY_MAX},
    {7, WIRE_U16, SEAL_AT(creation_minute), 0, UINT16_MAX},
    {8, WIRE_U32, SEAL_AT(trace_start), 0, TRACE_SEQUENCE_MAX},
    {9, WIRE_U64, SEAL_AT(settings_version), 0, UINT64_MAX},
    {10, WIRE_SPAN, SEAL_AT(built_by), 0, NAME_SIZE_MAX},
    {11, WIRE_U64, SEAL_AT(size_bytes), 0, UINT64_MAX},
    {12, WIRE_FIXED, SEAL_AT(sha256), SHA256_SIZE, SHA256_SIZE},
    {13, WIRE_U32, SEAL_AT(totals.batches), 0, UINT32_MAX},
    {14, WIRE_U32, SEAL_AT(totals.entries), 0, UINT32_MAX},
    {15, WIRE_U32, SEAL_AT(totals.addenda), 0, UINT32_MAX},
    {16, WIRE_U32, SEAL_AT(totals.lines), 0, UINT32_MAX},
    {17, WIRE_I64, SEAL_AT(totals.debit), 0, INT64_MAX},
    {18, WIRE_I64, SEAL_AT(totals.credit), 0, INT64_MAX},
    {19, WIRE_U64, SEAL_AT(totals.hash), 0, UINT64_MAX},
};

static const struct wire_message head_message = WIRE_MESSAGE(head_fields);
static const struct wire_message cancel_message = WIRE_MESSAGE(cancel_fields);
static const struct wire_message settings_message = WIRE_MESSAGE(settings_fields);
static const struct wire_message close_message = WIRE_MESSAGE(close_fields);
static const struct wire_message missed_message = WIRE_MESSAGE(missed_fields);
static const struct wire_message window_done_message = WIRE_MESSAGE(window_done_fields);
static const struct wire_message file_message = WIRE_MESSAGE(file_fields);
static const struct wire_message seal_message = WIRE_MESSAGE(seal_fields);

/* Which field of Command holds the body, and its table (SUBMIT and SEAL have none). */
struct body {
    uint8_t number;
    const struct wire_message *message;
};

static struct body body_of(enum command_kind kind)
{
    switch (kind) {
    case COMMAND_SUBMIT:
        return (struct body){5, NULL};
    case COMMAND_CANCEL:
        return (struct body){6, &cancel_message};
    case COMMAND_SETTINGS:
        return (struct body){7, &settings_message};
    case COMMAND_CLOSE:
        return (struct body){8, &close_message};
    case COMMAND_MISSED:
        return (struct body){9, &missed_message};
    case COMMAND_SEAL:
        return (struct body){10, NULL};
    case COMMAND_WINDOW_DONE:
        return (struct body){11, &window_done_message};
    case COMMAND_CLAIM:
    case COMMAND_STAGED:
    case COMMAND_UPLOADED:
    case COMMAND_ABANDONED:
    case COMMAND_HOLD:
    case COMMAND_VERIFIED:
    case COMMAND_FILE_CANCEL:
    case COMMAND_RESOLVE:
    case COMMAND_ALERT:
        return (struct body){12, &file_message};
    case COMMAND_NONE:
    case COMMAND_KINDS:
        break;
    }
    check_failed(__FILE__, __LINE__, "a command");
}

/* --- Bodies of their own ---------------------------------------------------- */

static void submit_encode(const struct command *c, struct bytes *out)
{
    struct bytes one = BYTES_NONE;
    CHECK(c->submit.transfers_count <= REQUEST_TRANSFERS_MAX);
    for (size_t i = 0; i < c->submit.transfers_count; i++) {
        bytes_clear(&one);
        transfer_encode(&c->submit.transfers[i], &one);
        wire_put(1, span_bytes(&one), out);
    }
    bytes_release(&one);
}

static enum sg_err submit_decode(struct span body, struct arena *a, struct command *out)
{
    size_t count = wire_count(body, 1);
    if (count > REQUEST_TRANSFERS_MAX) {
        return SG_INVALID;
    }
    struct transfer *transfers = arena_array(a, count, sizeof(*transfers));
    for (size_t i = 0; i < count; i++) {
        struct span one = SPAN_NONE;
        enum sg_err err = wire_next(&body, 1, &one);
        CHECK(err == SG_OK);
        err = transfer_decode(one, a, &transfers[i]);
        if (err != SG_OK) {
            return err;
        }
    }
    out->submit.transfers = transfers;
    out->submit.transfers_count = count;
    return body.n == 0 ? SG_OK : SG_INVALID;
}

void seal_encode(const struct command_seal *s, struct bytes *out)
{
    wire_encode(&seal_message, s, out);
}

enum sg_err seal_decode(struct span data, struct command_seal *out)
{
    return wire_decode(&seal_message, data, out, NULL);
}

static void seal_with_members_encode(const struct command_seal *s, struct bytes *out)
{
    struct bytes packed = BYTES_NONE;
    CHECK(s->members_count <= FILE_LINES_MAX);
    seal_encode(s, out);
    if (s->members_count > 0) {
        wire_pack(s->members, s->members_count, &packed);
        wire_put(SEAL_MEMBERS, span_bytes(&packed), out);
    }
    bytes_release(&packed);
}

static enum sg_err seal_with_members_decode(struct span body, struct arena *a, struct command_seal *out)
{
    struct span packed = SPAN_NONE;
    enum sg_err err = wire_decode(&seal_message, body, out, &body);
    if (err != SG_OK) {
        return err;
    }
    err = wire_next(&body, SEAL_MEMBERS, &packed);
    if (err == SG_OK && packed.n == 0) {
        return SG_INVALID;
    }
    if (body.n > 0) {
        return SG_INVALID;
    }
    return wire_unpack(packed, FILE_LINES_MAX, a, &out->members, &out->members_count);
}

/* --- Command ---------------------------------------------------------------- */

static struct span cut(struct span s, size_t size_max)
{
    return span_of(s.p, s.n < size_max ? s.n : size_max);
}

/* What people type has no limit of its own before it comes here. An id that is
 * cut off behind the longest one there can be is still the id of nothing. */
static struct command bounded(const struct command *c)
{
    struct command out = *c;
    if (c->kind == COMMAND_CANCEL) {
        out.cancel.id = cut(c->cancel.id, TRANSFER_ID_SIZE_MAX + 1);
        out.cancel.reason = cut(c->cancel.reason, REASON_SIZE_MAX);
    } else if (c->kind == COMMAND_CLOSE) {
        out.close.reason = cut(c->close.reason, REASON_SIZE_MAX);
    } else if (body_of(c->kind).message == &file_message) {
        out.file.reason = cut(c->file.reason, REASON_SIZE_MAX);
    }
    return out;
}

static void body_encode(const struct command *c, struct body body, struct bytes *out)
{
    if (c->kind == COMMAND_SUBMIT) {
        submit_encode(c, out);
    } else if (c->kind == COMMAND_SEAL) {
        seal_with_members_encode(&c->seal, out);
    } else {
        wire_encode(body.message, c, out);
    }
}

void command_encode(const struct command *c, struct bytes *out)
{
    struct body body = body_of(c->kind);
    struct command short_enough = bounded(c);
    struct bytes inner = BYTES_NONE;
    body_encode(&short_enough, body, &inner);
    wire_put_version(COMMAND_VERSION, out);
    wire_encode(&head_message, c, out);
    wire_put(body.number, span_bytes(&inner), out);
    bytes_release(&inner);
}

enum sg_err command_decode(struct span data, struct arena *a, struct command *out)
{
    struct span inner = SPAN_NONE;
    *out = (struct command){.kind = COMMAND_NONE};
    if (!wire_take_version(&data, COMMAND_VERSION)) {
        return SG_INVALID;
    }
    enum sg_err err = wire_decode(&head_message, data, out, &data);
    if (err != SG_OK) {
        return err;
    }
    struct body body = body_of(out->kind);
    if (wire_next(&data, body.number, &inner) != SG_OK || data.n > 0) {
        return SG_INVALID;
    }
    if (out->kind == COMMAND_SUBMIT) {
        err = submit_decode(inner, a, out);
    } else if (out->kind == COMMAND_SEAL) {
        err = seal_with_members_decode(inner, a, &out->seal);
    } else {
        err = wire_decode(body.message, inner, out, NULL);
    }
    return err == SG_OK ? SG_OK : SG_INVALID;
}

/* --- Result ------------------------------------------------------------------ */

#define RESULT_AT(member) offsetof(struct command_result, member)
static const struct wire_field result_fields[] = {
    {2, WIRE_ENUM, RESULT_AT(err), 0, SG_ERRS - 1},
    {3, WIRE_SPAN, RESULT_AT(reason), 0, TEXT_MAX},
    {4, WIRE_U64, RESULT_AT(index), 0, UINT64_MAX},
    {5, WIRE_U64, RESULT_AT(file), 0, UINT64_MAX},
};
static const struct wire_message result_message = WIRE_MESSAGE(result_fields);

#define SUBMIT_AT(member) offsetof(struct submit_result, member)
static const struct wire_field submit_result_fields[] = {
    {1, WIRE_SPAN, SUBMIT_AT(id), 0, TEXT_MAX},
    {2, WIRE_U32, SUBMIT_AT(shard), 0, 999999999},
    {3, WIRE_ENUM, SUBMIT_AT(outcome), OUTCOME_ACCEPTED, OUTCOMES - 1},
    {4, WIRE_U64, SUBMIT_AT(index), 0, UINT64_MAX},
    {5, WIRE_SPAN, SUBMIT_AT(reason), 0, TEXT_MAX},
};
static const struct wire_message submit_result_message = WIRE_MESSAGE(submit_result_fields);

void command_result_encode(const struct command_result *r, struct bytes *out)
{
    struct bytes one = BYTES_NONE;
    CHECK(r->results_count <= REQUEST_TRANSFERS_MAX);
    wire_put_version(RESULT_VERSION, out);
    wire_encode(&result_message, r, out);
    for (size_t i = 0; i < r->results_count; i++) {
        bytes_clear(&one);
        wire_encode(&submit_result_message, &r->results[i], &one);
        wire_put(FIELD_RESULTS, span_bytes(&one), out);
    }
    bytes_release(&one);
}

enum sg_err command_result_decode(struct span data, struct arena *a, struct command_result *out)
{
    *out = (struct command_result){.err = SG_OK};
    if (!wire_take_version(&data, RESULT_VERSION) ||
        wire_decode(&result_message, data, out, &data) != SG_OK) {
        return SG_INVALID;
    }
    size_t count = wire_count(data, FIELD_RESULTS);
    if (count > REQUEST_TRANSFERS_MAX) {
        return SG_INVALID;
    }
    out->results = arena_array(a, count, sizeof(*out->results));
    out->results_count = count;
    for (size_t i = 0; i < count; i++) {
        struct span one = SPAN_NONE;
        enum sg_err err = wire_next(&data, FIELD_RESULTS, &one);
        CHECK(err == SG_OK);
        if (wire_decode(&submit_result_message, one, &out->results[i], NULL) != SG_OK) {
            return SG_INVALID;
        }
    }
    return data.n == 0 ? SG_OK : SG_INVALID;
}
