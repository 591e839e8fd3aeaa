/* Rows: there and back, agreement with the schema, and damaged records. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <protobuf-c/protobuf-c.h>
#include <string.h>

#include "proto/rows.h"
#include "tests/support/test_mutate.h"

/* Of the generated code, which only codecs see. */
extern const ProtobufCMessageDescriptor shardgate__v1__transfer_row__descriptor;
extern const ProtobufCMessageDescriptor shardgate__v1__fold_row__descriptor;
extern const ProtobufCMessageDescriptor shardgate__v1__window_row__descriptor;
extern const ProtobufCMessageDescriptor shardgate__v1__file_row__descriptor;
extern const ProtobufCMessageDescriptor shardgate__v1__counters_row__descriptor;
extern const ProtobufCMessageDescriptor shardgate__v1__event_row__descriptor;

enum row_kind { ROW_TRANSFER, ROW_FOLD, ROW_WINDOW, ROW_FILE, ROW_COUNTERS, ROW_EVENT, ROW_KINDS };

static const ProtobufCMessageDescriptor *const descriptors[ROW_KINDS] = {
    [ROW_TRANSFER] = &shardgate__v1__transfer_row__descriptor,
    [ROW_FOLD] = &shardgate__v1__fold_row__descriptor,
    [ROW_WINDOW] = &shardgate__v1__window_row__descriptor,
    [ROW_FILE] = &shardgate__v1__file_row__descriptor,
    [ROW_COUNTERS] = &shardgate__v1__counters_row__descriptor,
    [ROW_EVENT] = &shardgate__v1__event_row__descriptor,
};

union row {
    struct transfer_row transfer;
    struct fold_row fold;
    struct window_row window;
    struct file_row file;
    struct counters_row counters;
    struct event_row event;
};

static struct file_row sample_file(void)
{
    return (struct file_row){.seal = {.same_day_over = true,
                                      .window = {.day = day_of(2026, 11, 23), .name = "ND"},
                                      .file = 4,
                                      .name = span_str("F"),
                                      .modifier = '9',
                                      .creation_day = day_of(2026, 11, 23),
                                      .totals = {.entries = 3, .debit = {5}}},
                             .seal_index = 71,
                             .sealed_ms = 3,
                             .state = FILE_HOLD,
                             .attempt = 80,
                             .claim_term = 2,
                             .staged_attempt = 80,
                             .attempts_count = 2,
                             .cancel_wanted = true,
                             .uploaded_ms = 9,
                             .verified = true,
                             .claimed_by = span_str("n1"),
                             .reason = span_str("staging lost"),
                             .resolve = FILE_RESOLVE_ABANDONED,
                             .abandoned_ms = 10};
}

static union row sample(enum row_kind kind)
{
    static struct event_field fields[2] = {{{NULL, 0}, {NULL, 0}, 7}, {{NULL, 0}, {NULL, 0}, 0}};
    fields[0].name = span_str("entries");
    fields[1].name = span_str("by");
    fields[1].text = span_str("n1");
    union row r;
    memset(&r, 0, sizeof(r));
    switch (kind) {
    case ROW_TRANSFER:
        r.transfer = (struct transfer_row){.seq = 300,
                                           .index = 5,
                                           .accepted_ms = 1795000000000,
                                           .state = TRANSFER_CANCELLED,
                                           .file = 2,
                                           .trace = 1234567,
                                           .effective = day_of(2026, 11, 24),
                                           .cancelled_index = 90,
                                           .encoded = span_str("a transfer")};
        break;
    case ROW_FOLD:
        r.fold = (struct fold_row){.seq = 300, .index = 5, .content = {.b = {1, 2, 3}}};
        break;
    case ROW_WINDOW:
        r.window = (struct window_row){.id = {.day = day_of(2026, 11, 23), .name = "ND"},
                                       .state = WINDOW_SEALED,
                                       .index = 70,
                                       .last_seq = 300,
                                       .scheduled_ms = 1,
                                       .closed_ms = 2,
                                       .manual = true,
                                       .late = true,
                                       .hold = true,
                                       .settings_version = 3,
                                       .first_file = 4,
                                       .files_count = 5,
                                       .debit = {6},
                                       .credit = {7},
                                       .entries = 8,
                                       .processing_day = day_of(2026, 11, 24),
                                       .upload_by_ms = 9};
        break;
    case ROW_FILE:
        r.file = sample_file();
        break;
    case ROW_COUNTERS:
        r.counters = (struct counters_row){2,    3,    4,    5,    6,    7,    8,  9, {10}, {11},
                                           {12}, {13}, {14}, {15}, {16}, {17}, 18, 2, 19};
        break;
    case ROW_EVENT:
        r.event = (struct event_row){
            1, 2, 3, span_str("file.sealed"), span_str("F"), span_str("3 entries"), fields, 2};
        break;
    case ROW_KINDS:
        break;
    }
    return r;
}

static void encode(enum row_kind kind, const union row *r, struct bytes *out)
{
    switch (kind) {
    case ROW_TRANSFER:
        transfer_row_encode(&r->transfer, out);
        return;
    case ROW_FOLD:
        fold_row_encode(&r->fold, out);
        return;
    case ROW_WINDOW:
        window_row_encode(&r->window, out);
        return;
    case ROW_FILE:
        file_row_encode(&r->file, out);
        return;
    case ROW_COUNTERS:
        counters_row_encode(&r->counters, out);
        return;
    case ROW_EVENT:
        event_row_encode(&r->event, out);
        return;
    case ROW_KINDS:
        break;
    }
}

/* What the last decode() gave lies here until the next. */
static struct arena decoded;

static enum sg_err decode(enum row_kind kind, struct span data, union row *r)
{
    enum sg_err err = SG_INVALID;
    arena_reset(&decoded);
    memset(r, 0, sizeof(*r));
    switch (kind) {
    case ROW_TRANSFER:
        err = transfer_row_decode(data, &decoded, &r->transfer);
        break;
    case ROW_FOLD:
        err = fold_row_decode(data, &r->fold);
        break;
    case ROW_WINDOW:
        err = window_row_decode(data, &r->window);
        break;
    case ROW_FILE:
        err = file_row_decode(data, &decoded, &r->file);
        break;
    case ROW_COUNTERS:
        err = counters_row_decode(data, &r->counters);
        break;
    case ROW_EVENT:
        err = event_row_decode(data, &decoded, &r->event);
        break;
    case ROW_KINDS:
        break;
    }
    return err;
}

static void check_schema(const ProtobufCMessageDescriptor *d, struct span data)
{
    ProtobufCMessage *m = protobuf_c_message_unpack(d, NULL, data.n, data.p);
    assert_non_null(m);
    assert_int_equal(m->n_unknown_fields, 0);
    struct bytes again = BYTES_NONE;
    size_t size = protobuf_c_message_get_packed_size(m);
    assert_int_equal(protobuf_c_message_pack(m, bytes_extend(&again, size)), data.n);
    assert_memory_equal(again.p, data.p, data.n);
    bytes_release(&again);
    protobuf_c_message_free_unpacked(m, NULL);
}

static void test_rows_come_back(void **state)
{
    (void)state;
    for (enum row_kind kind = 0; kind < ROW_KINDS; kind++) {
        struct bytes first = BYTES_NONE;
        struct bytes second = BYTES_NONE;
        union row in = sample(kind);
        union row out;
        encode(kind, &in, &first);
        check_schema(descriptors[kind], span_bytes(&first));
        assert_int_equal(decode(kind, span_bytes(&first), &out), SG_OK);
        encode(kind, &out, &second);
        assert_true(span_eq(span_bytes(&first), span_bytes(&second)));
        bytes_release(&first);
        bytes_release(&second);
    }
}

/* What level 1 wrote it writes on, to the byte; a row with a field of level 2 says so. */
static void test_a_row_says_the_lowest_level(void **state)
{
    (void)state;
    for (uint32_t level = 0; level <= 2; level += 2) {
        struct bytes b = BYTES_NONE;
        struct counters_row counters = {.next_seq = 1, .next_file = 1, .next_trace = 1, .next_event = 1};
        counters.level = level;
        counters_row_encode(&counters, &b);
        const uint8_t first[] = {0x08, level == 0 ? 1 : 2, 0x10, 1};
        assert_memory_equal(b.p, first, sizeof(first));
        assert_int_equal(counters_row_decode(span_bytes(&b), &counters), SG_OK);
        assert_int_equal(counters.level, level);
        b.p[1] = level == 0 ? 2 : 1; /* A second encoding. */
        assert_int_equal(counters_row_decode(span_bytes(&b), &counters), SG_INVALID);
        b.p[1] = LEVEL_MAX + 1;
        assert_int_equal(counters_row_decode(span_bytes(&b), &counters), SG_UNSUPPORTED);
        bytes_release(&b);
    }
}

static void test_members_come_back(void **state)
{
    (void)state;
    struct bytes b = BYTES_NONE;
    union row in = sample(ROW_COUNTERS);
    union row out;
    encode(ROW_COUNTERS, &in, &b);
    assert_int_equal(decode(ROW_COUNTERS, span_bytes(&b), &out), SG_OK);
    assert_memory_equal(&out.counters, &in.counters, sizeof(in.counters));

    in = sample(ROW_TRANSFER);
    bytes_clear(&b);
    encode(ROW_TRANSFER, &in, &b);
    assert_int_equal(decode(ROW_TRANSFER, span_bytes(&b), &out), SG_OK);
    assert_int_equal(out.transfer.trace, 1234567);
    assert_int_equal(out.transfer.state, TRANSFER_CANCELLED);
    assert_int_equal(out.transfer.effective.n, day_of(2026, 11, 24).n);
    assert_true(span_is(out.transfer.encoded, "a transfer"));

    in = sample(ROW_FILE);
    bytes_clear(&b);
    encode(ROW_FILE, &in, &b);
    assert_int_equal(decode(ROW_FILE, span_bytes(&b), &out), SG_OK);
    assert_int_equal(out.file.seal.modifier, '9');
    assert_null(out.file.seal.members);
    assert_true(out.file.seal.same_day_over);
    assert_int_equal(out.file.state, FILE_HOLD);
    assert_true(out.file.cancel_wanted && out.file.verified);
    assert_int_equal(out.file.resolve, FILE_RESOLVE_ABANDONED);
    assert_int_equal(out.file.abandoned_ms, 10);
    bytes_release(&b);
}

/* Whatever was taken is a row that can be written, and is read as the same again. */
static void decode_row(struct span data, void *arg)
{
    const enum row_kind *kind = arg;
    union row r;
    if (decode(*kind, data, &r) == SG_OK) {
        struct bytes once = BYTES_NONE;
        struct bytes twice = BYTES_NONE;
        encode(*kind, &r, &once);
        assert_int_equal(decode(*kind, span_bytes(&once), &r), SG_OK);
        encode(*kind, &r, &twice);
        assert_true(span_eq(span_bytes(&once), span_bytes(&twice)));
        bytes_release(&once);
        bytes_release(&twice);
    }
}

static void test_damaged(void **state)
{
    (void)state;
    for (enum row_kind kind = 0; kind < ROW_KINDS; kind++) {
        struct bytes b = BYTES_NONE;
        union row in = sample(kind);
        encode(kind, &in, &b);
        test_mutate(span_bytes(&b), decode_row, &kind, 3000, 11 + kind);
        bytes_release(&b);
    }
}

static void test_names(void **state)
{
    (void)state;
    assert_string_equal(transfer_state_name(TRANSFER_PENDING), "pending");
    assert_string_equal(transfer_state_name(TRANSFER_SEALED), "in_file");
    assert_string_equal(transfer_state_name(TRANSFER_CANCELLED), "cancelled");
    assert_string_equal(window_state_name(WINDOW_CLOSED), "closed");
    assert_string_equal(window_state_name(WINDOW_MISSED), "missed");
    assert_string_equal(file_state_name(FILE_SEALED), "sealed");
    assert_string_equal(file_state_name(FILE_CLAIMED), "claimed");
    assert_string_equal(file_state_name(FILE_STAGED), "staged");
    assert_string_equal(file_state_name(FILE_UPLOADED), "uploaded");
    assert_string_equal(file_state_name(FILE_HOLD), "hold");
    assert_string_equal(file_state_name(FILE_ABANDONED), "abandoned");
    assert_string_equal(file_state_name(FILE_STATES), "");
    assert_string_equal(file_resolve_name(FILE_RESOLVE_NONE), "");
    assert_string_equal(file_resolve_name(FILE_RESOLVE_UPLOADED), "uploaded");
    assert_string_equal(file_resolve_name(FILE_RESOLVE_ABANDONED), "abandoned");
    assert_string_equal(transfer_state_name((enum transfer_state)0), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_come_back),
        cmocka_unit_test(test_a_row_says_the_lowest_level),
        cmocka_unit_test(test_members_come_back),
        cmocka_unit_test(test_damaged),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
