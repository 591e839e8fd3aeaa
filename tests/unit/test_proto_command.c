/* What stands in the log: every kind there and back, only one encoding for one
 * content, agreement with the schema, and damaged input. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <protobuf-c/protobuf-c.h>
#include <string.h>

#include "proto/command.h"
#include "proto/base/hash.h"
#include "proto/base/wire.h"
#include "tests/support/test_mutate.h"

/* Of the generated code, which only codecs see. */
extern const ProtobufCMessageDescriptor shardgate__v1__command__descriptor;
extern const ProtobufCMessageDescriptor shardgate__v1__command_result__descriptor;

#define MEMBERS 300

static uint64_t members[MEMBERS];
static struct span addenda[] = {{(const uint8_t *)"RMR*IV*7", 8}};

static struct transfer sample_transfer(const char *id)
{
    return (struct transfer){
        .id = span_str(id),
        .routing_number = {91000019},
        .originator = span_str("northwind"),
        .sec = SEC_CCD,
        .entry_description = span_str("INVOICE"),
        .side = SIDE_DEBIT,
        .account_type = ACCOUNT_CHECKING,
        .rdfi = {21000021},
        .account = span_str("4410023"),
        .amount = {152075},
        .name = span_str("MARIA LOPEZ"),
        .effective_date = day_of(2026, 11, 25),
        .addenda = addenda,
        .addenda_count = 1,
    };
}

static struct sha256 sample_sha(void)
{
    return sha256_of(span_str("bytes of a file"));
}

static struct window_id sample_window(void)
{
    return (struct window_id){.day = day_of(2026, 11, 23), .name = "afternoon-window"};
}

static void fill_seal(struct command_seal *s)
{
    for (size_t i = 0; i < MEMBERS; i++) {
        members[i] = (uint64_t)i * i * i + 1;
    }
    *s = (struct command_seal){
        .window = sample_window(),
        .file = 7,
        .name = span_str("ACH-091000019-20261123-ND-A.ach"),
        .modifier = 'A',
        .creation_day = day_of(2026, 11, 23),
        .creation_minute = 1439,
        .trace_start = TRACE_SEQUENCE_MAX,
        .settings_version = UINT64_MAX,
        .built_by = span_str("n1"),
        .size_bytes = 950000,
        .sha256 = sample_sha(),
        .totals = {.batches = 2,
                   .entries = MEMBERS,
                   .addenda = 1,
                   .lines = 400,
                   .debit = {123},
                   .credit = {FILE_CENTS_MAX},
                   .hash = 9999999999},
        .same_day_over = true,
        .members = members,
        .members_count = MEMBERS,
    };
}

/* A command of each kind, every field set. */
static struct command sample(enum command_kind kind)
{
    static struct transfer transfers[2];
    struct command c = {.kind = kind, .level = LEVEL_MIN, .time_ms = 1795000000123, .node = span_str("n2")};
    switch (kind) {
    case COMMAND_SUBMIT:
        transfers[0] = sample_transfer("a");
        transfers[1] = sample_transfer("b");
        c.submit.transfers = transfers;
        c.submit.transfers_count = 2;
        break;
    case COMMAND_CANCEL:
        c.cancel.id = span_str("a");
        c.cancel.reason = span_str("entered twice");
        break;
    case COMMAND_SETTINGS:
        c.settings.encoded = span_str("whatever it is");
        break;
    case COMMAND_CLOSE:
        c.close.window = sample_window();
        c.close.scheduled_ms = 1795000000000;
        c.close.manual = c.close.late = c.close.hold = true;
        c.close.reason = span_str("by hand");
        c.close.processing_day = day_of(2026, 11, 24);
        c.close.upload_by_ms = 1795000900000;
        break;
    case COMMAND_MISSED:
        c.missed.window = sample_window();
        c.missed.outcome = MISSED_HELD;
        break;
    case COMMAND_SEAL:
        fill_seal(&c.seal);
        break;
    case COMMAND_WINDOW_DONE:
        c.window_done.window = sample_window();
        c.window_done.left_behind_count = 12;
        break;
    case COMMAND_CLAIM:
    case COMMAND_STAGED:
    case COMMAND_UPLOADED:
    case COMMAND_ABANDONED:
    case COMMAND_HOLD:
    case COMMAND_VERIFIED:
    case COMMAND_FILE_CANCEL:
    case COMMAND_RESOLVE:
    case COMMAND_ALERT:
        c.file.file = 7;
        c.file.attempt = 41;
        c.file.size_bytes = 9500;
        c.file.sha256 = sample_sha();
        c.file.reason = span_str("staging lost or wrong server");
        c.file.as_uploaded = true;
        c.file.resolving = true;
        break;
    case COMMAND_LEVEL:
        c.level_change.to = 7;
        c.level_change.program = span_str("9.1.0");
        break;
    case COMMAND_RELEASE:
        memcpy(c.release.window, "ND", 3);
        c.release.reason = span_str("the bank agreed");
        break;
    case COMMAND_NONE:
    case COMMAND_KINDS:
        fail();
    }
    return c;
}

static struct bytes encoded(const struct command *c)
{
    struct bytes b = BYTES_NONE;
    command_encode(c, &b);
    return b;
}

static bool same_bytes(const struct bytes *a, const struct bytes *b)
{
    return span_eq(span_bytes(a), span_bytes(b));
}

/* Field by field it is the encodings that are compared: they are canonical. */
static void test_each_kind_comes_back(void **state)
{
    (void)state;
    for (enum command_kind kind = COMMAND_SUBMIT; kind < COMMAND_KINDS; kind++) {
        struct arena a = ARENA_INIT;
        struct command in = sample(kind);
        struct command out;
        struct bytes first = encoded(&in);
        assert_int_equal(command_decode(span_bytes(&first), &a, &out), SG_OK);
        assert_int_equal(out.kind, kind);
        assert_int_equal(out.time_ms, in.time_ms);
        assert_true(span_eq(out.node, in.node));
        struct bytes second = encoded(&out);
        assert_true(same_bytes(&first, &second));
        bytes_release(&first);
        bytes_release(&second);
        arena_release(&a);
    }
}

static void test_fields_come_back(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct command out;
    struct command in = sample(COMMAND_CLOSE);
    struct bytes b = encoded(&in);
    assert_int_equal(command_decode(span_bytes(&b), &a, &out), SG_OK);
    assert_int_equal(out.close.window.day.n, in.close.window.day.n);
    assert_string_equal(out.close.window.name, in.close.window.name);
    assert_int_equal(out.close.scheduled_ms, in.close.scheduled_ms);
    assert_true(out.close.manual && out.close.late && out.close.hold);
    assert_int_equal(out.close.processing_day.n, in.close.processing_day.n);
    assert_int_equal(out.close.upload_by_ms, in.close.upload_by_ms);

    in = sample(COMMAND_SEAL);
    bytes_clear(&b);
    command_encode(&in, &b);
    assert_int_equal(command_decode(span_bytes(&b), &a, &out), SG_OK);
    assert_int_equal(out.seal.members_count, MEMBERS);
    assert_memory_equal(out.seal.members, members, sizeof(members));
    assert_int_equal(out.seal.modifier, 'A');
    assert_int_equal(out.seal.creation_minute, 1439);
    assert_int_equal(out.seal.trace_start, TRACE_SEQUENCE_MAX);
    assert_true(out.seal.settings_version == UINT64_MAX);
    assert_memory_equal(&out.seal.sha256, &in.seal.sha256, SHA256_SIZE);
    assert_int_equal(out.seal.totals.credit.n, FILE_CENTS_MAX);
    assert_int_equal(out.seal.totals.hash, 9999999999);
    assert_true(out.seal.same_day_over);
    bytes_release(&b);
    arena_release(&a);
}

static void test_absent_is_zero_and_no_day(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct command out;
    struct command in = {.kind = COMMAND_CLOSE, .level = LEVEL_MIN};
    in.close.window.day = DAY_NONE;
    in.close.processing_day = DAY_NONE;
    struct bytes b = encoded(&in);
    assert_int_equal(command_decode(span_bytes(&b), &a, &out), SG_OK);
    assert_true(day_is_none(out.close.window.day));
    assert_true(day_is_none(out.close.processing_day));
    assert_string_equal(out.close.window.name, "");
    assert_false(out.close.late);
    assert_int_equal(out.node.n, 0);
    bytes_release(&b);
    arena_release(&a);
}

/* A client's request may be larger than an entry. */
static void test_long_texts_are_cut_off(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct bytes huge = BYTES_NONE;
    const size_t huge_size = (size_t)3 * ENTRY_SIZE_MAX_BYTES;
    memset(bytes_extend(&huge, huge_size), 'x', huge_size);
    struct command commands[] = {
        {.kind = COMMAND_CANCEL, .cancel = {.id = span_bytes(&huge), .reason = span_bytes(&huge)}},
        {.kind = COMMAND_CLOSE, .close = {.reason = span_bytes(&huge)}},
        {.kind = COMMAND_RESOLVE, .file = {.reason = span_bytes(&huge)}},
    };
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        commands[i].level = LEVEL_MIN;
        struct command out;
        struct bytes b = encoded(&commands[i]);
        assert_true(b.n < 1000);
        assert_int_equal(command_decode(span_bytes(&b), &a, &out), SG_OK);
        struct span reason = i == 0 ? out.cancel.reason : i == 1 ? out.close.reason : out.file.reason;
        assert_int_equal(reason.n, REASON_SIZE_MAX);
        if (i == 0) {
            assert_int_equal(out.cancel.id.n, TRANSFER_ID_SIZE_MAX + 1);
        }
        bytes_release(&b);
    }
    bytes_release(&huge);
    arena_release(&a);
}

struct bad {
    const char *why;
    size_t size;
    uint8_t bytes[32];
};

static const struct bad bad_commands[] = {
    {"nothing", 0, {0}},
    {"level 0", 6, {0x08, 0, 0x10, 7, 0x5a, 0}},
    {"no version", 4, {0x10, 7, 0x5a, 0}},
    {"no kind", 4, {0x08, 1, 0x5a, 0}},
    {"an unknown kind", 6, {0x08, 1, 0x10, 99, 0x5a, 0}},
    {"a kind with the body of another", 6, {0x08, 1, 0x10, 7, 0x4a, 0}},
    {"no body", 4, {0x08, 1, 0x10, 7}},
    {"two bodies", 8, {0x08, 1, 0x10, 7, 0x5a, 0, 0x5a, 0}},
    {"an explicit zero", 8, {0x08, 1, 0x10, 7, 0x18, 0, 0x5a, 0}},
    {"a long varint", 7, {0x08, 1, 0x10, 0x87, 0x00, 0x5a, 0}},
    {"fields out of order", 9, {0x08, 1, 0x22, 1, 'n', 0x10, 7, 0x5a, 0}},
    {"a field twice", 8, {0x08, 1, 0x10, 7, 0x10, 7, 0x5a, 0}},
    {"an unknown field in the body", 8, {0x08, 1, 0x10, 7, 0x5a, 2, 0x20, 1}},
    {"a body longer than the input", 6, {0x08, 1, 0x10, 7, 0x5a, 9}},
    {"a number where bytes belong", 8, {0x08, 1, 0x10, 7, 0x5a, 2, 0x10, 1}},
    {"a window's name with a zero in it", 11, {0x08, 1, 0x10, 7, 0x5a, 5, 0x12, 3, 'a', 0, 'b'}},
    {"a window's name that is too long", 25, {0x08, 1,   0x10, 7,   0x5a, 19,  0x12, 17,  'a',
                                              'a',  'a', 'a',  'a', 'a',  'a', 'a',  'a', 'a',
                                              'a',  'a', 'a',  'a', 'a',  'a', 'a'}},
    {"a day after 9999", 11, {0x08, 1, 0x10, 7, 0x5a, 5, 0x08, 0xff, 0xff, 0xff, 0x7f}},
};

static void test_bad_commands(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(bad_commands) / sizeof(bad_commands[0]); i++) {
        struct arena a = ARENA_INIT;
        struct command out;
        const struct bad *bad = &bad_commands[i];
        if (command_decode(span_of(bad->bytes, bad->size), &a, &out) != SG_INVALID) {
            fail_msg("taken: %s", bad->why);
        }
        arena_release(&a);
    }
}

/* Nothing of a command is looked at before its level: what follows may be anything. */
static void test_a_level_to_come(void **state)
{
    (void)state;
    const uint8_t next[] = {0x08, LEVEL_MAX + 1, 0x10, 99, 0xff};
    const uint8_t far[] = {0x08, 0xff, 0xff, 0xff, 0xff, 0x7f};
    const uint8_t known[] = {0x08, LEVEL_MAX, 0x10, 7, 0x5a, 0};
    struct arena a = ARENA_INIT;
    struct command out;
    assert_int_equal(command_decode(span_of(next, sizeof(next)), &a, &out), SG_UNSUPPORTED);
    assert_int_equal(out.level, LEVEL_MAX + 1);
    assert_int_equal(command_decode(span_of(far, sizeof(far)), &a, &out), SG_UNSUPPORTED);
    assert_int_equal(command_decode(span_of(known, sizeof(known)), &a, &out), SG_OK);
    assert_int_equal(out.level, LEVEL_MAX);
    arena_release(&a);
}

static void test_the_good_form_of_the_bad_ones(void **state)
{
    (void)state;
    const uint8_t empty[] = {0x08, 1, 0x10, 7, 0x5a, 0};
    const uint8_t good[] = {0x08, 1, 0x10, 7, 0x5a, 3, 0x12, 1, 'a'};
    struct arena a = ARENA_INIT;
    struct command out;
    assert_int_equal(command_decode(span_of(empty, sizeof(empty)), &a, &out), SG_OK);
    assert_int_equal(command_decode(span_of(good, sizeof(good)), &a, &out), SG_OK);
    assert_int_equal(out.kind, COMMAND_WINDOW_DONE);
    assert_string_equal(out.window_done.window.name, "a");
    arena_release(&a);
}

/* Where protobuf-c keeps a field of a message. */
static void *field_of(const ProtobufCMessageDescriptor *d, void *message, const char *name, size_t **count)
{
    const ProtobufCFieldDescriptor *field = protobuf_c_message_descriptor_get_field_by_name(d, name);
    assert_non_null(field);
    if (count != NULL) {
        *count = (size_t *)(void *)((uint8_t *)message + field->quantifier_offset);
    }
    return (uint8_t *)message + field->offset;
}

/* The same SEAL with this many members. */
static void set_members(struct bytes *b, uint64_t *numbers, size_t numbers_count)
{
    const ProtobufCMessageDescriptor *d = &shardgate__v1__command__descriptor;
    ProtobufCMessage *command = protobuf_c_message_unpack(d, NULL, b->n, b->p);
    size_t *count = NULL;
    ProtobufCMessage *seal = *(ProtobufCMessage **)field_of(d, command, "seal", NULL);
    uint64_t **list = field_of(seal->descriptor, seal, "members", &count);
    uint64_t *kept = *list;
    size_t kept_count = *count;
    *list = numbers;
    *count = numbers_count;
    bytes_clear(b);
    size_t size = protobuf_c_message_get_packed_size(command);
    (void)protobuf_c_message_pack(command, bytes_extend(b, size));
    *list = kept;
    *count = kept_count;
    protobuf_c_message_free_unpacked(command, NULL);
}

static void test_too_many_members(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct bytes b = BYTES_NONE;
    struct command out;
    uint64_t *numbers = test_calloc(FILE_LINES_MAX + 1, sizeof(*numbers));
    struct command c = sample(COMMAND_SEAL);
    command_encode(&c, &b);
    set_members(&b, numbers, FILE_LINES_MAX);
    assert_int_equal(command_decode(span_bytes(&b), &a, &out), SG_OK);
    assert_int_equal(out.seal.members_count, FILE_LINES_MAX);
    set_members(&b, numbers, FILE_LINES_MAX + 1);
    assert_int_equal(command_decode(span_bytes(&b), &a, &out), SG_INVALID);
    test_free(numbers);
    bytes_release(&b);
    arena_release(&a);
}

/* The generated code must read our bytes without an unknown field and write the
 * very same ones: then numbers and types are those of the schema. */
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

static void test_schema(void **state)
{
    (void)state;
    for (enum command_kind kind = COMMAND_SUBMIT; kind < COMMAND_KINDS; kind++) {
        struct command c = sample(kind);
        struct bytes b = encoded(&c);
        check_schema(&shardgate__v1__command__descriptor, span_bytes(&b));
        bytes_release(&b);
    }
}

static struct command_result sample_result(void)
{
    static struct submit_result results[3];
    results[0] = (struct submit_result){
        .id = span_str("a"), .shard = {91000019}, .outcome = OUTCOME_ACCEPTED, .index = 9};
    results[1] = (struct submit_result){
        .id = span_str("b"), .shard = {91000019}, .outcome = OUTCOME_FOLDED, .index = UINT64_MAX};
    results[2] = (struct submit_result){.id = span_str("c"),
                                        .shard = {91000019},
                                        .outcome = OUTCOME_REJECTED,
                                        .reason = span_str("amount: zero")};
    return (struct command_result){.err = SG_CONFLICT,
                                   .reason = span_str("too late"),
                                   .index = 12,
                                   .file = 3,
                                   .results = results,
                                   .results_count = 3};
}

static void test_result_comes_back(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct bytes b = BYTES_NONE;
    struct command_result in = sample_result();
    struct command_result out;
    command_result_encode(&in, &b);
    check_schema(&shardgate__v1__command_result__descriptor, span_bytes(&b));
    assert_int_equal(command_result_decode(span_bytes(&b), &a, &out), SG_OK);
    assert_int_equal(out.err, SG_CONFLICT);
    assert_true(span_is(out.reason, "too late"));
    assert_int_equal(out.index, 12);
    assert_int_equal(out.file, 3);
    assert_int_equal(out.results_count, 3);
    for (size_t i = 0; i < 3; i++) {
        assert_true(span_eq(out.results[i].id, in.results[i].id));
        assert_int_equal(out.results[i].shard.n, 91000019);
        assert_int_equal(out.results[i].outcome, in.results[i].outcome);
        assert_true(out.results[i].index == in.results[i].index);
        assert_true(span_eq(out.results[i].reason, in.results[i].reason));
    }
    bytes_release(&b);
    arena_release(&a);
}

/* What is accepted must be the only encoding of what it says. */
static void decode_command(struct span data, void *arg)
{
    struct arena a = ARENA_INIT;
    struct command c;
    (void)arg;
    if (command_decode(data, &a, &c) == SG_OK && c.kind != COMMAND_SUBMIT) {
        struct bytes again = encoded(&c);
        assert_true(span_eq(span_bytes(&again), data));
        bytes_release(&again);
    }
    arena_release(&a);
}

static void decode_result(struct span data, void *arg)
{
    struct arena a = ARENA_INIT;
    struct command_result r;
    (void)arg;
    if (command_result_decode(data, &a, &r) == SG_OK) {
        struct bytes again = BYTES_NONE;
        command_result_encode(&r, &again);
        assert_true(span_eq(span_bytes(&again), data));
        bytes_release(&again);
    }
    arena_release(&a);
}

static void test_damaged(void **state)
{
    (void)state;
    for (enum command_kind kind = COMMAND_SUBMIT; kind <= COMMAND_CLAIM; kind++) {
        struct command c = sample(kind);
        struct bytes b = encoded(&c);
        test_mutate(span_bytes(&b), decode_command, NULL, 2000, 77 + kind);
        bytes_release(&b);
    }
    struct bytes b = BYTES_NONE;
    struct command_result r = sample_result();
    command_result_encode(&r, &b);
    test_mutate(span_bytes(&b), decode_result, NULL, 5000, 5);
    bytes_release(&b);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_kind_comes_back),
        cmocka_unit_test(test_fields_come_back),
        cmocka_unit_test(test_absent_is_zero_and_no_day),
        cmocka_unit_test(test_long_texts_are_cut_off),
        cmocka_unit_test(test_bad_commands),
        cmocka_unit_test(test_a_level_to_come),
        cmocka_unit_test(test_the_good_form_of_the_bad_ones),
        cmocka_unit_test(test_too_many_members),
        cmocka_unit_test(test_schema),
        cmocka_unit_test(test_result_comes_back),
        cmocka_unit_test(test_damaged),
    };
    hash_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
