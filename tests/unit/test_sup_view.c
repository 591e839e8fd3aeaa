/* Rows as people and scripts see them: fields, masking, states, errors, and
 * bytes that are no text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shard/engine/group.h"
#include "storage/log.h"
#include "tests/support/ach_sample.h"
#include "tests/support/view_rig.h"

static void assert_fails(const struct view_rig *s, json_t *o, enum sg_err err, const char *part)
{
    assert_null(o);
    assert_string_equal(sg_err_name(s->view.err), sg_err_name(err));
    if (strstr(s->view.why, part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, s->view.why);
    }
}

/* --- Texts ---------------------------------------------------------------------------- */

static void makes_any_bytes_text(void **state)
{
    static const struct {
        const char *in, *out;
    } rows[] = {
        {"plain", "plain"}, {"", ""}, {"\xc3\xa9", "??"}, {"\xff\xfe", "??"}, {"a\nb\x7f", "a?b?"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *t = view_text(span_str(rows[i].in));
        assert_string_equal(json_string_value(t), rows[i].out);
        json_decref(t);
    }
    json_t *zero = view_text(span_of("a\0b", 3));
    assert_string_equal(json_string_value(zero), "a?b");
    json_decref(zero);
    json_t *none = view_time(0);
    assert_true(json_is_null(none));
    json_decref(none);
    json_t *time = view_time(1795446000123);
    assert_string_equal(json_string_value(time), "2026-11-23T15:00:00.123Z");
    json_decref(time);
}

/* --- Transfers ------------------------------------------------------------------------- */

static void masks_accounts(void **state)
{
    static const struct {
        const char *account, *masked;
    } rows[] = {
        {"123456789", "******6789"},
        {"12345678", "******5678"}, /* The shortest that shows its end ... */
        {"1234567", "******"},      /* ... of a shorter one that would be most of it, */
        {"12345", "******"},
        {"1234", "******"},
        {"1", "******"}, /* and its length must not be told either. */
        {"12345678901234567", "******4567"},
    };
    struct view_rig s = {0};
    (void)state;
    hash_init();
    state_rig_init(&s.rig);
    state_rig_settings(&s.rig, state_rig_sample_settings(7), SG_OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct transfer t = ach_sample_transfer(0);
        t.account = span_str(rows[i].account);
        char id[8];
        (void)snprintf(id, sizeof id, "m%zu", i);
        t.id = span_str(id);
        view_rig_submit(&s, &t, 1);
        view_rig_begin(&s);
        json_t *o = view_transfer(&s.view, span_str(id));
        assert_string_equal(view_rig_text(o, "account"), rows[i].masked);
        json_decref(o);
        s.view.reveal = true;
        o = view_transfer(&s.view, span_str(id));
        assert_string_equal(view_rig_text(o, "account"), rows[i].account);
        json_decref(o);
        view_rig_end(&s);
    }
    state_rig_release(&s.rig);
}

static void shows_a_transfer(void **state)
{
    struct view_rig s;
    char id[TRANSFER_ID_SIZE_MAX + 1];
    struct transfer first = ach_sample_transfer(0);
    (void)state;
    view_rig_open(&s, 0);
    (void)span_cstr(first.id, id, sizeof id);
    json_t *o = view_transfer(&s.view, first.id);
    assert_int_equal(view_rig_number(o, "v"), 1);
    assert_string_equal(view_rig_text(o, "id"), id);
    assert_string_equal(view_rig_text(o, "routing_number"), "091000019");
    assert_string_equal(view_rig_text(o, "state"), "in_file");
    assert_int_equal(view_rig_number(o, "amount"), first.amount.n);
    assert_int_equal(view_rig_number(o, "file"), 1);
    assert_in_range(view_rig_number(o, "trace"), 1, ACH_SAMPLE_TRANSFERS);
    assert_string_equal(view_rig_text(o, "side"), side_name(first.side));
    json_decref(o);
    o = view_transfer(&s.view, span_str("extra"));
    assert_string_equal(view_rig_text(o, "state"), "cancelled");
    assert_int_equal(view_rig_number(o, "cancelled_index"), 4);
    assert_int_equal(json_array_size(json_object_get(json_object_get(o, "metadata"), "order")), 2);
    assert_null(json_object_get(o, "file"));
    json_decref(o);
    view_rig_close(&s);
}

static void lists_transfers(void **state)
{
    struct view_rig s;
    (void)state;
    view_rig_open(&s, 0);
    json_t *o = view_transfers(&s.view, 0, SPAN_NONE);
    assert_int_equal(json_array_size(json_object_get(o, "transfers")), 5);
    assert_int_equal(view_rig_number(o, "next"), 0);
    json_decref(o);
    s.view.limit = 2;
    o = view_transfers(&s.view, 0, SPAN_NONE);
    assert_int_equal(json_array_size(json_object_get(o, "transfers")), 2);
    assert_int_equal(view_rig_number(o, "next"), 2);
    json_decref(o);
    o = view_transfers(&s.view, 2, span_str("in_file"));
    assert_int_equal(view_rig_number(view_rig_item(o, "transfers", 0), "seq"), 3);
    json_decref(o);
    o = view_transfers(&s.view, 0, span_str("cancelled"));
    assert_int_equal(json_array_size(json_object_get(o, "transfers")), 1);
    json_decref(o);
    o = view_transfers(&s.view, 0, span_str("pending"));
    assert_int_equal(json_array_size(json_object_get(o, "transfers")), 0);
    json_decref(o);
    o = view_transfers(&s.view, UINT64_MAX, SPAN_NONE);
    assert_int_equal(json_array_size(json_object_get(o, "transfers")), 0);
    json_decref(o);
    assert_fails(&s, view_transfers(&s.view, 0, span_str("sold")), SG_INVALID, "state: sold is none of");
    view_rig_close(&s);
}

static void says_that_there_is_none(void **state)
{
    char large[4096];
    struct view_rig s;
    (void)state;
    memset(large, 'x', sizeof large);
    view_rig_open(&s, 0);
    const struct span ids[] = {span_str("nope"), SPAN_NONE, span_str(NOT_TEXT), span_of(large, sizeof large),
                               span_of("a\0b", 3)};
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
        assert_fails(&s, view_transfer(&s.view, ids[i]), SG_NOTFOUND,
                     "shard 091000019 has accepted no transfer");
        assert_fails(&s, view_trace(&s.view, ids[i]), SG_NOTFOUND, "no transfer with the id");
        s.view.err = SG_OK;
        assert_null(view_file(&s.view, ids[i]));
        assert_int_not_equal(s.view.err, SG_OK);
        assert_null(view_file_verify(&s.view, ids[i]));
        assert_int_equal(view_file_number(&s.view, ids[i]), 0);
        struct bytes data = BYTES_NONE;
        assert_false(view_file_bytes(&s.view, ids[i], &data));
        bytes_release(&data);
    }
    assert_fails(&s, view_file(&s.view, span_str("2")), SG_NOTFOUND, "has no file 2");
    assert_fails(&s, view_file(&s.view, span_str("99999999999999999999999")), SG_NOTFOUND, "has no file");
    assert_fails(&s, view_file(&s.view, SPAN_NONE), SG_INVALID, "which file?");
    view_rig_close(&s);
}

static void traces_a_transfer_to_the_bank(void **state)
{
    struct view_rig s;
    struct transfer first = ach_sample_transfer(0);
    (void)state;
    view_rig_open(&s, 0);
    json_t *o = view_trace(&s.view, first.id);
    assert_int_equal(json_array_size(json_object_get(o, "steps")), 2);
    assert_string_equal(view_rig_text(view_rig_item(o, "steps", 0), "what"), "accepted");
    assert_string_equal(view_rig_text(view_rig_item(o, "steps", 1), "what"), "sealed");
    assert_non_null(strstr(view_rig_text(view_rig_item(o, "steps", 1), "text"),
                           "file 1 SD1-A-1.ach of window SD1, built by n1"));
    json_decref(o);
    view_rig_end(&s);
    struct command c = view_rig_file_command(COMMAND_CLAIM, 1, 0, "");
    uint64_t attempt = view_rig_apply(&s, &c).index;
    c = view_rig_file_command(COMMAND_HOLD, 1, attempt, NOT_TEXT);
    (void)view_rig_apply(&s, &c);
    view_rig_begin(&s);
    o = view_trace(&s.view, first.id);
    assert_int_equal(json_array_size(json_object_get(o, "steps")), 4);
    assert_string_equal(view_rig_text(view_rig_item(o, "steps", 2), "what"), "claimed");
    assert_string_equal(view_rig_text(view_rig_item(o, "steps", 3), "what"), "hold");
    assert_non_null(strstr(view_rig_text(view_rig_item(o, "steps", 3), "text"), "bytes"));
    json_decref(o);
    o = view_trace(&s.view, span_str("extra"));
    assert_string_equal(view_rig_text(view_rig_item(o, "steps", 1), "what"), "cancelled");
    json_decref(o);
    view_rig_close(&s);
}

/* --- Windows and files ------------------------------------------------------------------- */

static void shows_windows_and_files(void **state)
{
    struct view_rig s;
    (void)state;
    view_rig_open(&s, 0);
    json_t *o = view_windows(&s.view, 0);
    assert_string_equal(view_rig_text(view_rig_item(o, "windows", 0), "name"), "SD1");
    assert_string_equal(view_rig_text(view_rig_item(o, "windows", 0), "day"), "2026-11-23");
    assert_true(json_is_true(json_object_get(view_rig_item(o, "windows", 0), "manual")));
    assert_int_equal(view_rig_number(view_rig_item(o, "windows", 0), "files"), 1);
    json_decref(o);
    o = view_files(&s.view, 0);
    static const char *const keys[] = {"id",      "name",     "window",      "state",
                                       "entries", "batches",  "debit_cents", "credit_cents",
                                       "sha256",  "attempts", "built_by",    "uploaded_at"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        assert_non_null(json_object_get(view_rig_item(o, "files", 0), keys[i]));
    }
    assert_int_equal(view_rig_number(view_rig_item(o, "files", 0), "id"), 1);
    assert_string_equal(view_rig_text(view_rig_item(o, "files", 0), "window"), "2026-11-23 SD1");
    assert_string_equal(view_rig_text(view_rig_item(o, "files", 0), "state"), "sealed");
    assert_int_equal(view_rig_number(view_rig_item(o, "files", 0), "entries"), ACH_SAMPLE_TRANSFERS);
    assert_int_equal(strlen(view_rig_text(view_rig_item(o, "files", 0), "sha256")), 64);
    json_decref(o);
    for (size_t i = 0; i < 2; i++) {
        struct span by = span_str(i == 0 ? "1" : "SD1-A-1.ach");
        assert_int_equal(view_file_number(&s.view, by), 1);
        o = view_file(&s.view, by);
        assert_string_equal(view_rig_text(o, "modifier"), "A");
        assert_string_equal(view_rig_text(o, "creation_time"), "13:05");
        json_decref(o);
    }
    view_rig_close(&s);
}

static void verifies_and_gives_a_file(void **state)
{
    struct view_rig s;
    struct bytes data = BYTES_NONE;
    (void)state;
    view_rig_open(&s, 0);
    json_t *o = view_file_verify(&s.view, span_str("1"));
    assert_true(json_is_true(json_object_get(o, "ok")));
    assert_int_equal(json_array_size(json_object_get(o, "checks")), 2);
    json_int_t size = view_rig_number(o, "size_bytes");
    json_decref(o);
    assert_true(view_file_bytes(&s.view, span_str("1"), &data));
    assert_int_equal(data.n, size);
    assert_memory_equal(data.p, "101 ", 4);
    bytes_release(&data);
    view_rig_close(&s);
}

/* --- Events, log, shard, digest ------------------------------------------------------------- */

static void shows_events_with_a_cursor(void **state)
{
    struct view_rig s;
    (void)state;
    view_rig_open(&s, 0);
    json_t *all = view_events(&s.view, 0);
    size_t count = json_array_size(json_object_get(all, "events"));
    assert_in_range(count, 4, 20);
    json_int_t next = view_rig_number(all, "next");
    assert_int_equal(view_rig_number(view_rig_item(all, "events", count - 1), "cursor"), next);
    /* What somebody typed is in there, as text. */
    bool found = false;
    for (size_t i = 0; i < count; i++) {
        found = found || strstr(view_rig_text(view_rig_item(all, "events", i), "text"), "bytes") != NULL;
    }
    assert_true(found);
    s.view.limit = 1;
    json_int_t cursor = 0;
    for (size_t i = 0; i < count; i++) {
        json_t *one = view_events(&s.view, (uint64_t)cursor);
        cursor = view_rig_number(one, "next");
        assert_true(json_equal(view_rig_item(one, "events", 0), view_rig_item(all, "events", i)));
        json_decref(one);
    }
    assert_int_equal(cursor, next);
    json_t *end = view_events(&s.view, (uint64_t)next);
    assert_int_equal(json_array_size(json_object_get(end, "events")), 0);
    assert_int_equal(view_rig_number(end, "next"), next);
    json_decref(end);
    end = view_events(&s.view, UINT64_MAX);
    assert_int_equal(json_array_size(json_object_get(end, "events")), 0);
    json_decref(end);
    json_decref(all);
    view_rig_close(&s);
}

/* A log as it may really be: refused commands stand in it as well. */
static void write_log(struct view_rig *s)
{
    struct bytes encoded[3] = {BYTES_NONE, BYTES_NONE, BYTES_NONE};
    struct command commands[3] = {
        {.kind = COMMAND_CLOSE}, {.kind = COMMAND_CANCEL}, {.kind = COMMAND_SUBMIT}};
    struct log_entry entries[5];
    struct kv_txn *txn;
    memcpy(commands[0].close.window.name, NOT_TEXT, sizeof NOT_TEXT);
    commands[0].close.window.day = day_of(2026, 11, 23);
    commands[0].node = span_str(NOT_TEXT);
    commands[1].cancel.id = span_str(NOT_TEXT);
    entries[0] = (struct log_entry){1, 1, 3, span_str("conf")};
    for (size_t i = 0; i < 3; i++) {
        commands[i].level = LEVEL_MIN;
        command_encode(&commands[i], &encoded[i]);
        entries[i + 1] = (struct log_entry){i + 2, 1, 1, span_bytes(&encoded[i])};
    }
    entries[4] = (struct log_entry){5, 1, 1, span_str("no command at all")};
    assert_int_equal(kv_begin(&s->rig.kv, true, &txn), SG_OK);
    assert_int_equal(log_hard_state_put(&s->rig.kv, txn, STATE_RIG_GROUP, (struct log_hard_state){.term = 1}),
                     SG_OK);
    assert_int_equal(log_append(&s->rig.kv, txn, STATE_RIG_GROUP, entries, 5), SG_OK);
    assert_int_equal(kv_commit(&s->rig.kv, txn), SG_OK);
    for (size_t i = 0; i < 3; i++) {
        bytes_release(&encoded[i]);
    }
}

static void dumps_the_log(void **state)
{
    struct view_rig s;
    (void)state;
    view_rig_open(&s, 0);
    view_rig_end(&s);
    write_log(&s);
    view_rig_begin(&s);
    json_t *o = view_log(&s.view, 0, UINT64_MAX);
    assert_non_null(o);
    assert_int_equal(view_rig_number(o, "first"), 1);
    assert_int_equal(view_rig_number(o, "last"), 5);
    assert_int_equal(json_array_size(json_object_get(o, "entries")), 5);
    assert_string_equal(view_rig_text(view_rig_item(o, "entries", 0), "type"), group_entry_type_name(3));
    assert_string_equal(view_rig_text(view_rig_item(o, "entries", 1), "command"), "close");
    assert_string_equal(view_rig_text(view_rig_item(o, "entries", 1), "summary"), "??? bytes");
    assert_string_equal(view_rig_text(view_rig_item(o, "entries", 1), "node"), "??? bytes");
    assert_string_equal(view_rig_text(view_rig_item(o, "entries", 3), "summary"), "0 transfers");
    assert_null(json_object_get(view_rig_item(o, "entries", 4), "command"));
    json_decref(o);
    static const struct {
        uint64_t from, to;
        size_t count;
    } rows[] = {{2, 3, 2}, {5, 5, 1}, {6, 9, 0}, {4, 2, 0}, {UINT64_MAX, UINT64_MAX, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        o = view_log(&s.view, rows[i].from, rows[i].to);
        assert_int_equal(json_array_size(json_object_get(o, "entries")), rows[i].count);
        json_decref(o);
    }
    s.view.limit = 2;
    o = view_log(&s.view, 2, UINT64_MAX);
    assert_int_equal(json_array_size(json_object_get(o, "entries")), 2);
    json_decref(o);
    view_rig_close(&s);
}

/* The engine's row is not there in this rig. */
static void says_what_it_cannot_read(void **state)
{
    struct view_rig s;
    (void)state;
    view_rig_open(&s, 0);
    assert_fails(&s, view_hash(&s.view), SG_NOTFOUND, "applied state of shard 091000019");
    assert_fails(&s, view_shard(&s.view, NULL), SG_NOTFOUND, "its applied state cannot be read");
    view_rig_close(&s);
}

static bool rot(struct view_rig *s, size_t n)
{
    return mem_kv_flip_bit_at(s->rig.disk, KV_STATE, n, 5);
}

/* Each row damaged in turn: every question ends, with an answer or an error. */
static void survives_damaged_rows(void **state)
{
    (void)state;
    size_t damaged = 0;
    for (size_t n = 0;; n++) {
        struct view_rig s;
        view_rig_open(&s, 0);
        view_rig_end(&s);
        if (!rot(&s, n)) {
            state_rig_release(&s.rig);
            break;
        }
        view_rig_begin(&s);
        struct bytes data = BYTES_NONE;
        json_t *const answers[] = {
            view_transfers(&s.view, 0, SPAN_NONE),
            view_transfers(&s.view, 0, span_str("pending")),
            view_transfer(&s.view, ach_sample_transfer(1).id),
            view_trace(&s.view, ach_sample_transfer(1).id),
            view_windows(&s.view, 0),
            view_files(&s.view, 0),
            view_file(&s.view, span_str("1")),
            view_file(&s.view, span_str("SD1-A-1.ach")),
            view_file_verify(&s.view, span_str("1")),
            view_events(&s.view, 0),
        };
        size_t failed = view_file_bytes(&s.view, span_str("1"), &data) ? 0 : 1;
        for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
            failed += answers[i] == NULL;
            json_decref(answers[i]);
        }
        damaged += failed > 0;
        if (failed > 0) {
            assert_int_equal(s.view.err, SG_CORRUPT);
        }
        bytes_release(&data);
        view_rig_close(&s);
    }
    assert_in_range(damaged, 10, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(makes_any_bytes_text),       cmocka_unit_test(masks_accounts),
        cmocka_unit_test(shows_a_transfer),           cmocka_unit_test(lists_transfers),
        cmocka_unit_test(says_that_there_is_none),    cmocka_unit_test(traces_a_transfer_to_the_bank),
        cmocka_unit_test(shows_windows_and_files),    cmocka_unit_test(verifies_and_gives_a_file),
        cmocka_unit_test(shows_events_with_a_cursor), cmocka_unit_test(dumps_the_log),
        cmocka_unit_test(says_what_it_cannot_read),   cmocka_unit_test(survives_damaged_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
