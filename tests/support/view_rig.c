#include "tests/support/view_rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/ach_sample.h"

static const char *node_name(void *impl, uint64_t id)
{
    (void)impl;
    return id == 1 ? "n1" : NULL;
}

void view_rig_begin(struct view_rig *s)
{
    state_rig_read(&s->rig, &s->rows);
    s->view = (struct view){.rows = &s->rows, .routing_number = {STATE_RIG_GROUP}, .node_name = node_name};
}

void view_rig_end(struct view_rig *s)
{
    state_rig_read_end(&s->rows);
}

struct command_result view_rig_apply(struct view_rig *s, struct command *c)
{
    struct command_result r = state_rig_apply(&s->rig, c);
    char why[256];
    if (r.err != SG_OK) {
        fail_msg("%s", span_cstr(r.reason, why, sizeof why));
    }
    return r;
}

void view_rig_submit(struct view_rig *s, const struct transfer *transfers, size_t count)
{
    struct command c = {.kind = COMMAND_SUBMIT};
    c.submit.transfers = (struct transfer *)(uintptr_t)transfers;
    c.submit.transfers_count = count;
    struct command_result r = view_rig_apply(s, &c);
    for (size_t i = 0; i < count; i++) {
        char why[256];
        if (r.results[i].outcome != OUTCOME_ACCEPTED) {
            fail_msg("%s", span_cstr(r.results[i].reason, why, sizeof why));
        }
    }
}

struct command view_rig_file_command(enum command_kind kind, uint64_t file, uint64_t attempt,
                                     const char *reason)
{
    struct command c = {.kind = kind};
    c.file.file = file;
    c.file.attempt = attempt;
    c.file.reason = span_str(reason);
    return c;
}

struct window_id view_rig_window(void)
{
    struct window_id id = {.day = day_of(2026, 11, 23)};
    (void)snprintf(id.name, sizeof id.name, "SD1");
    return id;
}

void view_rig_open(struct view_rig *s, int64_t upload_by_ms)
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
    view_rig_submit(s, transfers, ACH_SAMPLE_TRANSFERS);
    struct transfer extra = ach_sample_transfer(0);
    extra.id = span_str("extra");
    extra.metadata = span_str("{\"order\": [1, 2]}");
    view_rig_submit(s, &extra, 1);
    struct command c = {.kind = COMMAND_CANCEL};
    c.cancel.id = span_str("extra");
    c.cancel.reason = span_str(NOT_TEXT);
    (void)view_rig_apply(s, &c);
    c = (struct command){.kind = COMMAND_CLOSE};
    c.close.window = view_rig_window();
    c.close.reason = span_str(NOT_TEXT);
    c.close.manual = true;
    c.close.upload_by_ms = upload_by_ms;
    (void)view_rig_apply(s, &c);
    struct window_id window = view_rig_window();
    assert_true(state_rig_next_seal(&s->rig, &window, &a, &c));
    (void)view_rig_apply(s, &c);
    arena_release(&a);
    view_rig_begin(s);
}

void view_rig_close(struct view_rig *s)
{
    view_rig_end(s);
    state_rig_release(&s->rig);
}

const char *view_rig_text(json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));
    if (s == NULL) {
        fail_msg("%s is no text", key);
    }
    return s;
}

json_int_t view_rig_number(json_t *o, const char *key)
{
    if (!json_is_integer(json_object_get(o, key))) {
        fail_msg("%s is no number", key);
    }
    return json_integer_value(json_object_get(o, key));
}

json_t *view_rig_item(json_t *o, const char *list, size_t i)
{
    json_t *found = json_array_get(json_object_get(o, list), i);
    if (found == NULL) {
        fail_msg("%s has no item %zu", list, i);
    }
    return found;
}
