#include "proto/command.h"

#include "proto/command_wire.h"
#include "proto/transfer_wire.h"
#include "command.pb-c.h"

#define RESULT_VERSION 1

#define AT(member) offsetof(struct command, member)
/* Of a text when it is read: whatever fits an entry. command_encode() cuts off sooner. */
#define TEXT_MAX ENTRY_SIZE_MAX_BYTES

CHECK_STATIC(sizeof(enum command_kind) == 4, "WIRE_ENUM has four bytes");

static const struct wire_field submit_fields[] = {
    {1, WIRE_MANY, AT(submit.transfers), 0, REQUEST_TRANSFERS_MAX, &transfer_bounded_message,
     AT(submit.transfers_count)},
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
    {3, WIRE_U64, AT(window_done.left_behind_count), 0, UINT64_MAX},
};
static const struct wire_field release_fields[] = {
    {1, WIRE_NAME, AT(release.window), 0, WINDOW_NAME_SIZE_MAX},
    {2, WIRE_SPAN, AT(release.reason), 0, TEXT_MAX},
};
static const struct wire_field level_fields[] = {
    {1, WIRE_U32, AT(level_change.to), 1, UINT32_MAX},
    {2, WIRE_SPAN, AT(level_change.program), 0, NAME_SIZE_MAX},
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
    {20, WIRE_U64S, SEAL_AT(members), 0, FILE_LINES_MAX, .beside = SEAL_AT(members_count)},
    {21, WIRE_BOOL, SEAL_AT(same_day_over), 0, 1},
};

/* A body's members lie in struct command itself. */
#define BODY_MESSAGE(schema_name, fields)                                          \
    {                                                                              \
        .schema = &shardgate__v1__##schema_name##__descriptor, WIRE_TABLE(fields), \
        .size = sizeof(struct command),                                            \
    }
static const struct wire_message submit_message = BODY_MESSAGE(submit, submit_fields);
static const struct wire_message cancel_message = BODY_MESSAGE(cancel, cancel_fields);
static const struct wire_message settings_message = BODY_MESSAGE(settings_change, settings_fields);
static const struct wire_message close_message = BODY_MESSAGE(close, close_fields);
static const struct wire_message missed_message = BODY_MESSAGE(missed, missed_fields);
static const struct wire_message window_done_message = BODY_MESSAGE(window_done, window_done_fields);
static const struct wire_message file_message = BODY_MESSAGE(file_step, file_fields);
static const struct wire_message release_message = BODY_MESSAGE(release, release_fields);
static const struct wire_message level_message = BODY_MESSAGE(level_change, level_fields);
const struct wire_message seal_message = {
    &shardgate__v1__seal__descriptor,
    WIRE_TABLE(seal_fields),
    .size = sizeof(struct command_seal),
};

#define BODY(number, of, at, first, last)                          \
    {                                                              \
        number, WIRE_BODY, at, first, last, of, .beside = AT(kind) \
    }
static const struct wire_field command_fields[] = {
    {1, WIRE_U32, AT(level), LEVEL_MIN, LEVEL_MAX},
    {2, WIRE_ENUM, AT(kind), 1, COMMAND_KINDS - 1},
    {3, WIRE_I64, AT(time_ms), 0, INT64_MAX},
    {4, WIRE_SPAN, AT(node), 0, NAME_SIZE_MAX},
    BODY(5, &submit_message, 0, COMMAND_SUBMIT, COMMAND_SUBMIT),
    BODY(6, &cancel_message, 0, COMMAND_CANCEL, COMMAND_CANCEL),
    BODY(7, &settings_message, 0, COMMAND_SETTINGS, COMMAND_SETTINGS),
    BODY(8, &close_message, 0, COMMAND_CLOSE, COMMAND_CLOSE),
    BODY(9, &missed_message, 0, COMMAND_MISSED, COMMAND_MISSED),
    BODY(10, &seal_message, AT(seal), COMMAND_SEAL, COMMAND_SEAL),
    BODY(11, &window_done_message, 0, COMMAND_WINDOW_DONE, COMMAND_WINDOW_DONE),
    BODY(12, &file_message, 0, COMMAND_CLAIM, COMMAND_ALERT),
    BODY(13, &level_message, 0, COMMAND_LEVEL, COMMAND_LEVEL),
    BODY(14, &release_message, 0, COMMAND_RELEASE, COMMAND_RELEASE),
};
static const struct wire_message command_message = {
    &shardgate__v1__command__descriptor,
    WIRE_TABLE(command_fields),
    .size = sizeof(struct command),
};

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
    } else if (c->kind == COMMAND_RELEASE) {
        out.release.reason = cut(c->release.reason, REASON_SIZE_MAX);
    } else if (c->kind >= COMMAND_CLAIM && c->kind <= COMMAND_ALERT) {
        out.file.reason = cut(c->file.reason, REASON_SIZE_MAX);
    }
    return out;
}

void command_encode(const struct command *c, struct bytes *out)
{
    struct command short_enough = bounded(c);
    wire_encode(&command_message, &short_enough, out);
}

enum sg_err command_decode(struct span data, struct arena *a, struct command *out)
{
    uint32_t level = wire_version(data);
    if (level > LEVEL_MAX) {
        *out = (struct command){.level = level};
        return SG_UNSUPPORTED;
    }
    return wire_decode(&command_message, data, WIRE_EXACT, a, out, NULL);
}

enum command_kind command_kind_ahead(struct span data)
{
    /* Field 1, the level, then field 2, both of one byte. */
    bool is_there = data.n >= 4 && data.p[0] == 0x08 && data.p[1] < 0x80 && data.p[2] == 0x10;
    return is_there && data.p[3] < COMMAND_KINDS ? (enum command_kind)data.p[3] : COMMAND_NONE;
}

/* --- Result ------------------------------------------------------------------ */

#define RESULT_AT(member) offsetof(struct command_result, member)
static const struct wire_field result_fields[] = {
    {2, WIRE_ENUM, RESULT_AT(err), 0, SG_ERRS - 1},
    {3, WIRE_SPAN, RESULT_AT(reason), 0, TEXT_MAX},
    {4, WIRE_U64, RESULT_AT(index), 0, UINT64_MAX},
    {5, WIRE_U64, RESULT_AT(file), 0, UINT64_MAX},
    {6, WIRE_MANY, RESULT_AT(results), 0, REQUEST_TRANSFERS_MAX, &submit_result_message,
     RESULT_AT(results_count)},
};
static const struct wire_message result_message = {
    &shardgate__v1__command_result__descriptor,
    WIRE_TABLE(result_fields),
    .size = sizeof(struct command_result),
    .version = RESULT_VERSION,
};

void command_result_encode(const struct command_result *r, struct bytes *out)
{
    wire_encode(&result_message, r, out);
}

enum sg_err command_result_decode(struct span data, struct arena *a, struct command_result *out)
{
    return wire_decode(&result_message, data, WIRE_EXACT, a, out, NULL);
}
