/* What is overdue, as people and scripts see it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shard/engine/group.h"
#include "storage/log.h"
#include "supervisor/view/view.h"
#include "tests/support/ach_sample.h"
#include "tests/support/state_rig.h"

#define UPLOAD_BY_MS INT64_C(1795447800000) /* 2026-11-23T15:30:00Z */
#define NOT_TEXT "\xff\xfe\x01 bytes"

struct shown {
    struct state_rig rig;
    struct rows rows;
    struct view view;
};

static const char *node_name(void *impl, uint64_t id)
{
    (void)impl;
    return id == 1 ? "n1" : NULL;
}

static void open_view(struct shown *s)
{
    state_rig_read(&s->rig, &s->rows);
    s->view = (struct view){.rows = &s->rows, .routing_number = {STATE_RIG_GROUP}, .node_name = node_name};
}

static void close_view(struct shown *s)
{
    state_rig_read_end(&s->rows);
}

static struct command_result apply(struct shown *s, struct command *c)
{
    struct command_result r = state_rig_apply(&s->rig, c);
    char why[256];
    if (r.err != SG_OK) {
        fail_msg("%s", span_cstr(r.reason, why, sizeof why));
    }
    return r;
}

static void submit(struct shown *s, const struct transfer *transfers, size_t count)
{
    struct command c = {.kind = COMMAND_SUBMIT};
    c.submit.transfers = (struct transfer *)(uintptr_t)transfers;
    c.submit.transfers_count = count;
    struct command_result r = apply(s, &c);
    for (size_t i = 0; i < count; i++) {
        char why[256];
        if (r.results[i].outcome != OUTCOME_ACCEPTED) {
            fail_msg("%s", span_cstr(r.results[i].reason, why, sizeof why));
        }
    }
}

static struct command file_command(enum command_kind kind, uint64_t file, uint64_t attempt,
                                   const char *reason)
{
    struct command c = {.kind = kind};
    c.file.file = file;
    c.file.attempt = attempt;
    c.file.reason = span_str(reason);
    return c;
}

static struct window_id sample_window(void)
{
    struct window_id id = {.day = day_of(2026, 11, 23)};
    (void)snprintf(id.name, sizeof id.name, "SD1");
    return id;
}

/* Four transfers, a fifth cancelled, one window closed and sealed into file 1. */
static void open_sample(struct shown *s)
{
    struct transfer transfers[ACH_SAMPLE_TRANSFERS];
    struct arena a = ARENA_INIT;
    memset(s, 0, sizeof *s);
    hash_init();
    state_rig_init(&s->rig);
    state_rig_settings(&s->rig, state_rig_sample_settings(7), SG_OK);
    for (size_t i = 0; i < ACH_SAMPLE_TRANSFERS; i++) {
        transfers[i] = ach_sample_transfer(i);
    }
    transfers[2].account = span_str("900012345"); /* The example's has a blank, which is not accepted. */
    submit(s, transfers, ACH_SAMPLE_TRANSFERS);
    struct transfer extra = ach_sample_transfer(0);
    extra.id = span_str("extra");
    extra.metadata = span_str("{\"order\": [1, 2]}");
    submit(s, &extra, 1);
    struct command c = {.kind = COMMAND_CANCEL};
    c.cancel.id = span_str("extra");
    c.cancel.reason = span_str(NOT_TEXT);
    (void)apply(s, &c);
    c = (struct command){.kind = COMMAND_CLOSE};
    c.close.window = sample_window();
    c.close.reason = span_str(NOT_TEXT);
    c.close.manual = true;
    c.close.upload_by_ms = UPLOAD_BY_MS;
    (void)apply(s, &c);
    struct window_id window = sample_window();
    assert_true(state_rig_next_seal(&s->rig, &window, &a, &c));
    (void)apply(s, &c);
    arena_release(&a);
    open_view(s);
}

static void release(struct shown *s)
{
    close_view(s);
    state_rig_release(&s->rig);
}

static const char *text(json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    if (s == NULL) {
        fail_msg("%s is no text", key);
    }
    return s;
}

static json_int_t number(json_t *o, const char *key)
{
    if (!json_is_integer(json_object_get(o, key))) {
        fail_msg("%s is no number", key);
    }
    return json_integer_value(json_object_get(o, key));
}

static json_t *item(json_t *o, const char *list, size_t i)
{
    json_t *found = json_array_get(json_object_get(o, list), i);
    if (found == NULL) {
        fail_msg("%s has no item %zu", list, i);
    }
    return found;
}

/* The engine's row (shard/engine/applied_row.c), which this rig does not write. */
static void put_applied(struct shown *s)
{
    uint8_t key[9] = {0};
    uint8_t value[1 + 3 * 8 + DIGEST_SIZE] = {1};
    struct kv_txn *txn;
    be64_put(key, STATE_RIG_GROUP);
    be64_put(value + 1, 6);  /* Index. */
    be64_put(value + 9, 1);  /* Term. */
    be64_put(value + 17, 1); /* Of the configuration. */
    assert_int_equal(kv_begin(&s->rig.kv, true, &txn), SG_OK);
    assert_int_equal(
        kv_put(&s->rig.kv, txn, KV_STATE, span_of(key, sizeof key), span_of(value, sizeof value)), SG_OK);
    assert_int_equal(kv_commit(&s->rig.kv, txn), SG_OK);
}

/* By the clock of whoever answers; offline there is none. */
static void tells_what_is_overdue(void **state)
{
    static const struct {
        const char *reason;
        int64_t now_ms;
        json_type overdue;
        size_t listed;
    } rows[] = {
        {"nobody knows the time", 0, JSON_NULL, 0},
        {"before it", UPLOAD_BY_MS - 1, JSON_FALSE, 0},
        {"at it", UPLOAD_BY_MS, JSON_TRUE, 1},
    };
    struct shown s;
    (void)state;
    open_sample(&s);
    close_view(&s);
    put_applied(&s);
    struct command done = {.kind = COMMAND_WINDOW_DONE, .window_done = {.window = sample_window()}};
    (void)apply(&s, &done);
    open_view(&s);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        print_message("%s\n", rows[i].reason);
        s.view.now_ms = rows[i].now_ms;
        json_t *files = view_files(&s.view);
        assert_string_equal(text(item(files, "files", 0), "upload_by"), "2026-11-23T15:30:00.000Z");
        assert_int_equal(json_typeof(json_object_get(item(files, "files", 0), "overdue")), rows[i].overdue);
        json_decref(files);
        json_t *file = view_file(&s.view, span_str("1"));
        assert_int_equal(json_typeof(json_object_get(file, "overdue")), rows[i].overdue);
        json_decref(file);
        json_t *shard = view_shard(&s.view, NULL);
        assert_int_equal(json_array_size(json_object_get(shard, "overdue")), rows[i].listed);
        if (rows[i].listed > 0) {
            assert_int_equal(number(item(shard, "overdue", 0), "file"), 1);
            assert_string_equal(text(item(shard, "overdue", 0), "state"), "sealed");
            assert_string_equal(text(item(shard, "overdue", 0), "window"), "2026-11-23 SD1");
        }
        json_decref(shard);
    }
    json_t *windows = view_windows(&s.view);
    assert_string_equal(text(item(windows, "windows", 0), "upload_by"), "2026-11-23T15:30:00.000Z");
    json_decref(windows);
    close_view(&s);
    struct command c = file_command(COMMAND_CLAIM, 1, 0, "");
    c = file_command(COMMAND_HOLD, 1, apply(&s, &c).index, "unknown");
    (void)apply(&s, &c);
    c = file_command(COMMAND_RESOLVE, 1, 0, "they have it");
    c.file.as_uploaded = true;
    (void)apply(&s, &c);
    open_view(&s);
    s.view.now_ms = UPLOAD_BY_MS;
    json_t *shard = view_shard(&s.view, NULL);
    assert_int_equal(json_array_size(json_object_get(shard, "overdue")), 0);
    json_decref(shard);
    release(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_what_is_overdue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
