#include "proto/rows.h"

#include "proto/command_wire.h"

#define ROW_VERSION 1
#define FILE_FIELD_SEAL 2

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
};

#define FILE_AT(member) offsetof(struct file_row, member)
static const struct wire_field file_fields[] = {
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
};

#define EVENT_AT(member) offsetof(struct event_row, member)
static const struct wire_field event_fields[] = {
    {2, WIRE_U64, EVENT_AT(cursor), 1, UINT64_MAX},
    {3, WIRE_U64, EVENT_AT(index), 1, UINT64_MAX},
    {4, WIRE_I64, EVENT_AT(time_ms), 0, INT64_MAX},
    {5, WIRE_SPAN, EVENT_AT(kind), 1, NAME_SIZE_MAX},
    {6, WIRE_SPAN, EVENT_AT(subject), 0, EVENT_SUBJECT_SIZE_MAX},
    {7, WIRE_SPAN, EVENT_AT(text), 0, EVENT_TEXT_SIZE_MAX},
};

static const struct wire_message transfer_message = WIRE_MESSAGE(transfer_fields);
static const struct wire_message fold_message = WIRE_MESSAGE(fold_fields);
static const struct wire_message window_message = WIRE_MESSAGE(window_fields);
static const struct wire_message file_message = WIRE_MESSAGE(file_fields);
static const struct wire_message counters_message = WIRE_MESSAGE(counters_fields);
static const struct wire_message event_message = WIRE_MESSAGE(event_fields);

static void row_encode(const struct wire_message *m, const void *in, struct bytes *out)
{
    wire_put_version(ROW_VERSION, out);
    wire_encode(m, in, out);
}

static enum sg_err row_decode(const struct wire_message *m, struct span data, void *out)
{
    return wire_take_version(&data, ROW_VERSION) ? wire_decode(m, data, out, NULL) : SG_INVALID;
}

void transfer_row_encode(const struct transfer_row *r, struct bytes *out)
{
    row_encode(&transfer_message, r, out);
}

enum sg_err transfer_row_decode(struct span data, struct transfer_row *out)
{
    *out = (struct transfer_row){.seq = 0};
    return row_decode(&transfer_message, data, out);
}

void fold_row_encode(const struct fold_row *r, struct bytes *out)
{
    row_encode(&fold_message, r, out);
}

enum sg_err fold_row_decode(struct span data, struct fold_row *out)
{
    *out = (struct fold_row){.seq = 0};
    return row_decode(&fold_message, data, out);
}

void window_row_encode(const struct window_row *r, struct bytes *out)
{
    row_encode(&window_message, r, out);
}

enum sg_err window_row_decode(struct span data, struct window_row *out)
{
    *out = (struct window_row){.index = 0};
    return row_decode(&window_message, data, out);
}

void file_row_encode(const struct file_row *r, struct bytes *out)
{
    struct bytes seal = BYTES_NONE;
    seal_encode(&r->seal, &seal);
    wire_put_version(ROW_VERSION, out);
    wire_put(FILE_FIELD_SEAL, span_bytes(&seal), out);
    wire_encode(&file_message, r, out);
    bytes_release(&seal);
}

enum sg_err file_row_decode(struct span data, struct arena *a, struct file_row *out)
{
    struct span seal = SPAN_NONE;
    (void)a; /* Nothing in it needs memory. */
    *out = (struct file_row){.seal_index = 0};
    if (!wire_take_version(&data, ROW_VERSION) || wire_next(&data, FILE_FIELD_SEAL, &seal) != SG_OK ||
        seal_decode(seal, &out->seal) != SG_OK) {
        return SG_INVALID;
    }
    return wire_decode(&file_message, data, out, NULL);
}

void counters_row_encode(const struct counters_row *r, struct bytes *out)
{
    row_encode(&counters_message, r, out);
}

enum sg_err counters_row_decode(struct span data, struct counters_row *out)
{
    *out = (struct counters_row){.next_seq = 0};
    return row_decode(&counters_message, data, out);
}

void event_row_encode(const struct event_row *r, struct bytes *out)
{
    row_encode(&event_message, r, out);
}

enum sg_err event_row_decode(struct span data, struct event_row *out)
{
    *out = (struct event_row){.cursor = 0};
    return row_decode(&event_message, data, out);
}
