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
#include "tests/support/ach_sample.h"
#include "tests/support/view_rig.h"

#define UPLOAD_BY_MS INT64_C(1795447800000) /* 2026-11-23T15:30:00Z */
/* The engine's row (shard/engine/applied_row.c), which this rig does not write. */
static void put_applied(struct view_rig *s)
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
    struct view_rig s;
    (void)state;
    view_rig_open(&s, UPLOAD_BY_MS);
    view_rig_end(&s);
    put_applied(&s);
    struct command done = {.kind = COMMAND_WINDOW_DONE, .window_done = {.window = view_rig_window()}};
    (void)view_rig_apply(&s, &done);
    view_rig_begin(&s);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        print_message("%s\n", rows[i].reason);
        s.view.now_ms = rows[i].now_ms;
        json_t *files = view_files(&s.view, 0);
        assert_string_equal(view_rig_text(view_rig_item(files, "files", 0), "upload_by"),
                            "2026-11-23T15:30:00.000Z");
        assert_int_equal(json_typeof(json_object_get(view_rig_item(files, "files", 0), "overdue")),
                         rows[i].overdue);
        json_decref(files);
        json_t *file = view_file(&s.view, span_str("1"));
        assert_int_equal(json_typeof(json_object_get(file, "overdue")), rows[i].overdue);
        json_decref(file);
        json_t *shard = view_shard(&s.view, NULL);
        assert_int_equal(json_array_size(json_object_get(shard, "overdue")), rows[i].listed);
        if (rows[i].listed > 0) {
            assert_int_equal(view_rig_number(view_rig_item(shard, "overdue", 0), "file"), 1);
            assert_string_equal(view_rig_text(view_rig_item(shard, "overdue", 0), "state"), "sealed");
            assert_string_equal(view_rig_text(view_rig_item(shard, "overdue", 0), "window"),
                                "2026-11-23 SD1");
        }
        json_decref(shard);
    }
    json_t *windows = view_windows(&s.view, 0);
    assert_string_equal(view_rig_text(view_rig_item(windows, "windows", 0), "upload_by"),
                        "2026-11-23T15:30:00.000Z");
    json_decref(windows);
    view_rig_end(&s);
    struct command c = view_rig_file_command(COMMAND_CLAIM, 1, 0, "");
    c = view_rig_file_command(COMMAND_HOLD, 1, view_rig_apply(&s, &c).index, "unknown");
    (void)view_rig_apply(&s, &c);
    c = view_rig_file_command(COMMAND_RESOLVE, 1, 0, "they have it");
    c.file.as_uploaded = true;
    (void)view_rig_apply(&s, &c);
    view_rig_begin(&s);
    s.view.now_ms = UPLOAD_BY_MS;
    json_t *shard = view_shard(&s.view, NULL);
    assert_int_equal(json_array_size(json_object_get(shard, "overdue")), 0);
    json_decref(shard);
    view_rig_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tells_what_is_overdue),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
