#include "proto/rows.h"

#include <stdalign.h>
#include <stddef.h>

#include "proto/command_wire.h"
#include "rows.pb-c.h"

#define FLAT_SCRATCH_BYTES 2048

CHECK_STATIC(sizeof(enum transfer_state) == 4, "WIRE_ENUM has four bytes");
CHECK_STATIC(sizeof(struct cents) == 8, "WIRE_I64 reads struct cents");

static const char *const transfer_state_names[TRANSFER_STATES] = {
    [TRANSFER_PENDING] = "pending",
    [TRANSFER_SEALED] = "in_file",
    [TRANSFER_CANCELLED] = "cancelled",
};
static const char *const window_state_names[WINDOW_STATES] = {
    [WINDOW_CLOSED] = "closed",
    [WINDOW_SEALED] = "sealed",
    [WINDOW_MISSED] = "missed",
};
static const char *const file_state_names[FILE_STATES] = {
    [FILE_SEALED] = "sealed",     [FILE_CLAIMED] = "claimed", [FILE_STAGED] = "staged",
    [FILE_UPLOADED] = "uploaded", [FILE_HOLD] = "hold",       [FILE_ABANDONED] = "abandoned",
};

static const char *const file_resolve_names[FILE_RESOLVES] = {
    [FILE_RESOLVE_NONE] = "",
    [FILE_RESOLVE_UPLOADED] = "uploaded",
    [FILE_RESOLVE_ABANDONED] = "abandoned",
};

static const char *state_name(const char *const *names, unsigned count, unsigned state)
{
    return state < count && names[state] != NULL ? names[state] : "";
}

const char *transfer_state_name(enum transfer_state s)
{
    return state_name(transfer_state_names, TRANSFER_STATES, s);
}

const char *window_state_name(enum window_state s)
{
    return state_name(window_state_names, WINDOW_STATES, s);
}

const char *file_state_name(enum file_state s)
{
    return state_name(file_state_names, FILE_STATES, s);
}

const char *file_resolve_name(enum file_resolve r)
{
    return state_name(file_resolve_names, FILE_RESOLVES, r);
}

#define TRANSFER_AT(member) offsetof(struct transfer_row, member)
static const struct wire_field transfer_fields[] = {
    {2, WIRE_U64, TRANSFER_AT(seq), 1, UINT64_MAX},
    {3, WIRE_U64, TRANSFER_AT(index), 1, UINT64_MAX},
    {4, WIRE_I64, TRANSFER_AT(accepted_ms), 0, INT64_MAX},
    {5, WIRE_ENUM, TRANSFER_AT(state), TRANSFER_PENDING, TRANSFER_STATES - 1},
    {6, WIRE_U64, TRANSFER_AT(file), 0, UINT64_MAX},
    {7, WIRE_U32, TRANSFER_AT(trace), 0, TRACE_SEQUENCE_MAX},
    {8, WIRE_DAY, TRANSFER_AT(effective), 0, WIRE_DAY_MAX},
    {9, WIRE_U64, TRANSFER_AT(cancelled_index), 0, UINT64_MAX},
    {10, WIRE_SPAN, TRANSFER_AT(encoded), 1, ENTRY_SIZE_MAX_BYTES},
};

#define FOLD_AT(member) offsetof(struct fold_row, member)
static const struct wire_field fold_fields[] = {
    {2, WIRE_U64, FOLD_AT(seq), 1, UINT64_MAX},
    {3, WIRE_U64, FOLD_AT(index), 1, UINT64_MAX},
    {4, WIRE_FIXED, FOLD_AT(content), DIGEST_SIZE, DIGEST_SIZE},
};

#define WINDOW_AT(member) offsetof(struct window_row, member)
static const struct wire_field window_fields[] = {
    {2, WIRE_DAY, WINDOW_AT(id.day), 1, WIRE_DAY_MAX},
    {3, WIRE_NAME, WINDOW_AT(id.name), 1, WINDOW_NAME_SIZE_MAX},
    {4, WIRE_ENUM, WINDOW_AT(state), WINDOW_CLOSED, WINDOW_STATES - 1},
    {5, WIRE_U64, WINDOW_AT(index), 1, UINT64_MAX},
    {6, WIRE_U64, WINDOW_AT(last_seq), 0, UINT64_MAX},
    {7, WIRE_I64, WINDOW_AT(scheduled_ms), 0, INT64_MAX},
    {8, WIRE_I64, WINDOW_AT(closed_ms), 0, INT64_MAX},
    {9, WIRE_BOOL, WINDOW_AT(manual), 0, 1},
    {10, WIRE_BOOL, WINDOW_AT(late), 0, 1},
    {11, WIRE_BOOL, WINDOW_AT(hold), 0, 1},
    {12, WIRE_U64, WINDOW_AT(settings_version), 0, UINT64_MAX},
    {13, WIRE_U64, WINDOW_AT(first_file), 0, UINT64_MAX},
    {14, WIRE_U64, WINDOW_AT(files_count), 0, UINT64_MAX},
    {15, WIRE_I64, WINDOW_AT(debit), 0, INT64_MAX},
    {16, WIRE_I64, WINDOW_AT(credit), 0, INT64_MAX},
    {17, WIRE_U64, WINDOW_AT(entries), 0, UINT64_MAX},
    {18, WIRE_DAY, WINDOW_AT(processing_day), 1, WIRE_DAY_MAX},
    {19, WIRE_I64, WINDOW_AT(upload_by_ms), 0, INT64_MAX},
    {20, WIRE_U64, WINDOW_AT(left_behind_count), 0, UINT64_MAX},
};

#define FILE_AT(member) offsetof(struct file_row, member)
static const struct wire_field file_fields[] = {
    {2, WIRE_ONE, FILE_AT(seal), 1, 1, &seal_message},
    {3, WIRE_U64, FILE_AT(seal_index), 1, UINT64_MAX},
    {4, WIRE_I64, FILE_AT(sealed_ms), 0, INT64_MAX},
    {5, WIRE_ENUM, FILE_AT(state), FILE_SEALED, FILE_STATES - 1},
    {6, WIRE_U64, FILE_AT(attempt), 0, UINT64_MAX},
    {7, WIRE_U64, FILE_AT(claim_term), 0, UINT64_MAX},
    {8, WIRE_U64, FILE_AT(staged_attempt), 0, UINT64_MAX},
    {9, WIRE_U32, FILE_AT(attempts_count), 0, UINT32_MAX},
    {10, WIRE_BOOL, FILE_AT(cancel_wanted), 0, 1},
    {11, WIRE_I64, FILE_AT(uploaded_ms), 0, INT64_MAX},
    {12, WIRE_BOOL, FILE_AT(verified), 0, 1},
    {13, WIRE_SPAN, FILE_AT(claimed_by), 0, NAME_SIZE_MAX},
    {14, WIRE_SPAN, FILE_AT(reason), 0, REASON_SIZE_MAX},
    {15, WIRE_ENUM, FILE_AT(resolve), FILE_RESOLVE_NONE, FILE_RESOLVES - 1},
    {16, WIRE_I64, FILE_AT(abandoned_ms), 0, INT64_MAX},
    {17, WIRE_U32, FILE_AT(level), 0, UINT32_MAX},
};

#define COUNTERS_AT(member) offsetof(struct counters_row, member)
static const struct wire_field counters_fields[] = {
    {2, WIRE_U64, COUNTERS_AT(next_seq), 1, UINT64_MAX},
    {3, WIRE_U64, COUNTERS_AT(next_file), 1, UINT64_MAX},
    {4, WIRE_U32, COUNTERS_AT(next_trace), 1, TRACE_SEQUENCE_MAX},
    {5, WIRE_U64, COUNTERS_AT(settings_version), 0, UINT64_MAX},
    {6, WIRE_U64, COUNTERS_AT(accepted_count), 0, UINT64_MAX},
    {7, WIRE_U64, COUNTERS_AT(pending_count), 0, UINT64_MAX},
    {8, WIRE_U64, COUNTERS_AT(sealed_count), 0, UINT64_MAX},
    {9, WIRE_U64, COUNTERS_AT(cancelled_count), 0, UINT64_MAX},
    {10, WIRE_I64, COUNTERS_AT(accepted_debit), 0, INT64_MAX},
    {11, WIRE_I64, COUNTERS_AT(pending_debit), 0, INT64_MAX},
    {12, WIRE_I64, COUNTERS_AT(sealed_debit), 0, INT64_MAX},
    {13, WIRE_I64, COUNTERS_AT(cancelled_debit), 0, INT64_MAX},
    {14, WIRE_I64, COUNTERS_AT(accepted_credit), 0, INT64_MAX},
    {15, WIRE_I64, COUNTERS_AT(pending_credit), 0, INT64_MAX},
    {16, WIRE_I64, COUNTERS_AT(sealed_credit), 0, INT64_MAX},
    {17, WIRE_I64, COUNTERS_AT(cancelled_credit), 0, INT64_MAX},
    {18, WIRE_U64, COUNTERS_AT(next_event), 1, UINT64_MAX},
    {19, WIRE_U32, COUNTERS_AT(level), 0, UINT32_MAX},
    {20, WIRE_I64, COUNTERS_AT(settings_ms), 0, INT64_MAX},
};

#define EVENT_FIELD_AT(member) offsetof(struct event_field, member)
static const struct wire_field event_field_fields[] = {
    {1, WIRE_SPAN, EVENT_FIELD_AT(name), 1, NAME_SIZE_MAX},
    {2, WIRE_SPAN, EVENT_FIELD_AT(text), 0, REASON_SIZE_MAX},
    {3, WIRE_U64, EVENT_FIELD_AT(number), 0, UINT64_MAX},
};
static const struct wire_message event_field_message = {
    &shardgate__v1__event_field__descriptor,
    WIRE_TABLE(event_field_fields),
    .size = sizeof(struct event_field),
};

#define EVENT_AT(member) offsetof(struct event_row, member)
static const struct wire_field event_fields[] = {
    {2, WIRE_U64, EVENT_AT(cursor), 1, UINT64_MAX},
    {3, WIRE_U64, EVENT_AT(index), 1, UINT64_MAX},
    {4, WIRE_I64, EVENT_AT(time_ms), 0, INT64_MAX},
    {5, WIRE_SPAN, EVENT_AT(kind), 1, NAME_SIZE_MAX},
    {6, WIRE_SPAN, EVENT_AT(subject), 0, EVENT_SUBJECT_SIZE_MAX},
    {7, WIRE_SPAN, EVENT_AT(text), 0, EVENT_TEXT_SIZE_MAX},
    {8, WIRE_MANY, EVENT_AT(fields), 0, EVENT_FIELDS_MAX, &event_field_message, EVENT_AT(fields_count)},
};

#define ATTEMPT_AT(member) offsetof(struct attempt_row, member)
static const struct wire_field attempt_fields[] = {
    {2, WIRE_U64, ATTEMPT_AT(file), 1, UINT64_MAX},
    {3, WIRE_U64, ATTEMPT_AT(attempt), 1, UINT64_MAX},
    {4, WIRE_U64, ATTEMPT_AT(term), 0, UINT64_MAX},
    {5, WIRE_BOOL, ATTEMPT_AT(staged), 0, 1},
    {6, WIRE_BOOL, ATTEMPT_AT(abandoned), 0, 1},
    {7, WIRE_BOOL, ATTEMPT_AT(cleaned), 0, 1},
    {8, WIRE_U64, ATTEMPT_AT(settings_version), 0, UINT64_MAX},
};

static bool file_is_valid(const void *in)
{
    const struct file_row *r = in;
    return r->seal.members_count == 0; /* They have a row of their own. */
}

/* The highest field that each level has. */
static const uint8_t transfer_last[] = {0, 10, 10};
static const uint8_t fold_last[] = {0, 4, 4};
static const uint8_t window_last[] = {0, 19, 20};
static const uint8_t file_last[] = {0, 16, 17};
static const uint8_t counters_last[] = {0, 18, 20};
static const uint8_t event_last[] = {0, 7, 8};
static const uint8_t attempt_last[] = {0, 7, 8};
CHECK_STATIC(sizeof(counters_last) == LEVEL_MAX + 1, "a number for each level");

#define ROW_MESSAGE(name)                                                                               \
    {                                                                                                   \
        .schema = &shardgate__v1__##name##_row__descriptor, WIRE_TABLE(name##_fields),                  \
        .size = sizeof(struct name##_row), .version = LEVEL_MAX, .is_level = true, .last = name##_last, \
    }
static const struct wire_message transfer_message = ROW_MESSAGE(transfer);
static const struct wire_message fold_message = ROW_MESSAGE(fold);
static const struct wire_message window_message = ROW_MESSAGE(window);
static const struct wire_message counters_message = ROW_MESSAGE(counters);
static const struct wire_message event_message = ROW_MESSAGE(event);
static const struct wire_message attempt_message = ROW_MESSAGE(attempt);
static const struct wire_message file_message = {
    .schema = &shardgate__v1__file_row__descriptor,
    WIRE_TABLE(file_fields),
    .size = sizeof(struct file_row),
    .version = LEVEL_MAX,
    .is_level = true,
    .last = file_last,
    .is_valid = file_is_valid,
};

/* Rows without texts need an arena for a moment only. */
static enum sg_err flat_decode(const struct wire_message *m, struct span data, void *out)
{
    alignas(max_align_t) uint8_t scratch[FLAT_SCRATCH_BYTES];
    struct arena a = arena_over(scratch, sizeof(scratch));
    enum sg_err err = wire_decode(m, data, WIRE_KNOWN, &a, out, NULL);
    arena_release(&a);
    return err;
}

void file_row_encode(const struct file_row *r, struct bytes *out)
{
    struct file_row row = *r;
    row.seal.members = NULL;
    row.seal.members_count = 0;
    wire_encode(&file_message, &row, out);
}

enum sg_err file_row_decode(struct span data, struct arena *a, struct file_row *out)
{
    return wire_decode(&file_message, data, WIRE_KNOWN, a, out, NULL);
}

void transfer_row_encode(const struct transfer_row *r, struct bytes *out)
{
    wire_encode(&transfer_message, r, out);
}

enum sg_err transfer_row_decode(struct span data, struct arena *a, struct transfer_row *out)
{
    return wire_decode(&transfer_message, data, WIRE_KNOWN, a, out, NULL);
}

void event_row_encode(const struct event_row *r, struct bytes *out)
{
    wire_encode(&event_message, r, out);
}

enum sg_err event_row_decode(struct span data, struct arena *a, struct event_row *out)
{
    return wire_decode(&event_message, data, WIRE_KNOWN, a, out, NULL);
}

void fold_row_encode(const struct fold_row *r, struct bytes *out)
{
    wire_encode(&fold_message, r, out);
}

enum sg_err fold_row_decode(struct span data, struct fold_row *out)
{
    return flat_decode(&fold_message, data, out);
}

void window_row_encode(const struct window_row *r, struct bytes *out)
{
    wire_encode(&window_message, r, out);
}

enum sg_err window_row_decode(struct span data, struct window_row *out)
{
    return flat_decode(&window_message, data, out);
}

void counters_row_encode(const struct counters_row *r, struct bytes *out)
{
    wire_encode(&counters_message, r, out);
}

enum sg_err counters_row_decode(struct span data, struct counters_row *out)
{
    return flat_decode(&counters_message, data, out);
}

void attempt_row_encode(const struct attempt_row *r, struct bytes *out)
{
    wire_encode(&attempt_message, r, out);
}

enum sg_err attempt_row_decode(struct span data, struct attempt_row *out)
{
    return flat_decode(&attempt_message, data, out);
}
