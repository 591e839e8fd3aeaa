#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/ach_sample.h"
#include "tests/support/state_script.h"

#define SAMPLE_ORIGINATORS 2

/* --- Commands -------------------------------------------------------------------------- */

static void do_settings(struct script *s)
{
    struct settings *settings = state_rig_sample_settings(script_number(s, "version", 1));
    struct bytes encoded = BYTES_NONE;
    settings->shard.originators_count = script_number(s, "originators", SAMPLE_ORIGINATORS);
    settings->shard.max_lines = (uint32_t)script_number(s, "max_lines", FILE_LINES_DEFAULT);
    settings->shard.balanced = script_arg(s, "balanced") != NULL;
    settings->shard.routing_number.n = (uint32_t)script_number(s, "aba", STATE_RIG_GROUP);
    settings_encode(settings, &encoded);
    if (script_arg(s, "garbage") != NULL) {
        encoded.n /= 2;
    }
    struct command c = {.kind = COMMAND_SETTINGS, .settings = {.encoded = span_bytes(&encoded)}};
    script_apply(s, &c);
    bytes_release(&encoded);
}

/* like=0..3 a transfer of the sample; the rest changes it. */
static struct transfer transfer_arg(struct script *s, size_t from)
{
    const char *like = script_arg_from(&s->args, from, "like");
    const char *amount = script_arg_from(&s->args, from, "amount");
    const char *originator = script_arg_from(&s->args, from, "originator");
    const char *side = script_arg_from(&s->args, from, "side");
    const char *aba = script_arg_from(&s->args, from, "aba");
    struct transfer t = ach_sample_transfer(like == NULL ? 0 : strtoul(like, NULL, 10));
    t.id = script_text(script_arg_from(&s->args, from, "id"));
    if (t.addenda_count > 0) {
        t.account = span_str("900012345"); /* The sample has a space in it, which is refused. */
    }
    if (amount != NULL) {
        t.amount.n = strtoll(amount, NULL, 10);
    }
    if (originator != NULL) {
        t.originator = span_str(originator);
    }
    if (side != NULL) {
        t.side = side_parse(span_str(side));
    }
    if (aba != NULL) {
        t.routing_number.n = (uint32_t)strtoul(aba, NULL, 10);
    }
    t.effective_date = script_day(script_arg_from(&s->args, from, "date"));
    t.same_day = script_arg_from(&s->args, from, "same_day") != NULL;
    return t;
}

static void do_submit(struct script *s)
{
    struct transfer transfers[SCRIPT_ARGS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < s->args.count; i++) {
        if (i == 0 || strcmp(s->args.name[i], "/") == 0) {
            transfers[count++] = transfer_arg(s, i + 1);
        }
    }
    struct command c = {.kind = COMMAND_SUBMIT, .submit = {.transfers = transfers, .transfers_count = count}};
    script_apply(s, &c);
}

static void do_cancel(struct script *s)
{
    struct command c = {.kind = COMMAND_CANCEL};
    c.cancel.id = script_text(script_arg(s, "id"));
    c.cancel.reason = script_text(script_arg(s, "reason"));
    script_apply(s, &c);
}

static void do_close(struct script *s)
{
    struct command c = {.kind = COMMAND_CLOSE};
    c.close.window = script_window(s);
    c.close.scheduled_ms = (int64_t)script_number(s, "scheduled", 0);
    c.close.manual = script_arg(s, "manual") != NULL;
    c.close.late = script_arg(s, "late") != NULL;
    c.close.hold = script_arg(s, "hold") != NULL;
    c.close.reason = script_text(script_arg(s, "reason"));
    c.close.processing_day = script_day(script_arg(s, "processing"));
    c.close.upload_by_ms = (int64_t)script_number(s, "upload_by", 0);
    script_apply(s, &c);
}

static void do_missed(struct script *s)
{
    struct command c = {.kind = COMMAND_MISSED};
    c.missed.window = script_window(s);
    c.missed.outcome = (enum missed_outcome)script_number(s, "outcome", MISSED_TO_NEXT);
    script_apply(s, &c);
}

static void do_done(struct script *s)
{
    struct command c = {.kind = COMMAND_WINDOW_DONE};
    c.window_done.window = script_window(s);
    c.window_done.left_behind_count = script_number(s, "behind", 0);
    script_apply(s, &c);
}

static void do_release(struct script *s)
{
    struct command c = {.kind = COMMAND_RELEASE};
    const char *window = script_arg(s, "window");
    (void)snprintf(c.release.window, sizeof c.release.window, "%s", window == NULL ? "" : window);
    c.release.reason = script_text(script_arg(s, "reason"));
    script_apply(s, &c);
}

static void do_attention(struct script *s)
{
    struct rows rows;
    struct file_row *files;
    struct attention *list;
    size_t files_count;
    size_t count;
    state_rig_read(&s->rig, &rows);
    assert_int_equal(state_files_open_work(&rows, &s->arena, &files, &files_count), SG_OK);
    assert_int_equal(state_attention(&rows, files, files_count, &s->arena, &list, &count), SG_OK);
    for (size_t i = 0; i < count; i++) {
        bytes_printf(&s->out, "%s: %s\n", list[i].kind, list[i].text);
    }
    state_rig_read_end(&rows);
}

/* A leader's SEAL of the window, then whatever is to be wrong with it. */
static void do_seal(struct script *s)
{
    struct command c;
    struct window_id id = script_window(s);
    struct window_id other = script_arg(s, "like") != NULL ? script_window_named(s, "like") : id;
    const char *members = script_arg(s, "members");
    if (!state_rig_next_seal(&s->rig, &other, &s->arena, &c)) {
        bytes_printf(&s->out, "no members\n");
        return;
    }
    c.seal.window = id;
    c.seal.file = script_number(s, "file", c.seal.file);
    c.seal.name = script_arg(s, "name") == NULL ? c.seal.name : script_text(script_arg(s, "name"));
    c.seal.modifier = script_arg(s, "modifier") == NULL ? c.seal.modifier : script_arg(s, "modifier")[0];
    c.seal.trace_start = (uint32_t)script_number(s, "trace", c.seal.trace_start);
    c.seal.settings_version = script_number(s, "settings", c.seal.settings_version);
    c.seal.creation_minute = (uint16_t)script_number(s, "minute", c.seal.creation_minute);
    c.seal.creation_day =
        script_arg(s, "day") == NULL ? c.seal.creation_day : script_day(script_arg(s, "day"));
    c.seal.size_bytes = script_number(s, "size", c.seal.size_bytes);
    c.seal.totals.debit.n = (int64_t)script_number(s, "debit", (uint64_t)c.seal.totals.debit.n);
    c.seal.totals.credit.n = (int64_t)script_number(s, "credit", (uint64_t)c.seal.totals.credit.n);
    c.seal.totals.hash = script_number(s, "hash", c.seal.totals.hash);
    c.seal.totals.addenda = (uint32_t)script_number(s, "addenda", c.seal.totals.addenda);
    c.seal.sha256.b[0] ^= script_arg(s, "bad_sha") != NULL ? 1 : 0;
    if (members != NULL) {
        uint64_t list[SCRIPT_ARGS_MAX];
        c.seal.members = list;
        c.seal.members_count = 0;
        for (const char *p = members; *p != 0; p += strcspn(p, ","), p += *p == ',' ? 1 : 0) {
            list[c.seal.members_count++] = strtoull(p, NULL, 10);
        }
        c.seal.totals.entries = (uint32_t)c.seal.members_count;
        script_apply(s, &c);
        return;
    }
    script_apply(s, &c);
}

/* attempt=#2 is the second claim of the file, attempt=19 just a number. */
static uint64_t attempt_arg(struct script *s, uint64_t file)
{
    struct rows rows;
    struct attempt_row *list = NULL;
    size_t count = 0;
    const char *value = script_arg(s, "attempt");
    if (value == NULL || value[0] != '#') {
        return script_number(s, "attempt", 0);
    }
    size_t n = strtoull(value + 1, NULL, 10);
    state_rig_read(&s->rig, &rows);
    assert_int_equal(state_attempts_all(&rows, file, &s->arena, &list, &count), SG_OK);
    state_rig_read_end(&rows);
    assert_in_range(n, 1, count);
    return list[n - 1].attempt;
}

static void do_file(struct script *s, enum command_kind kind)
{
    struct command c = {.kind = kind};
    struct rows rows;
    struct file_row file = {.seal_index = 0};
    c.file.file = script_number(s, "file", 0);
    c.file.attempt = attempt_arg(s, c.file.file);
    c.file.reason = script_text(script_arg(s, "reason"));
    c.file.as_uploaded = script_arg(s, "uploaded") != NULL;
    c.file.resolving = script_arg(s, "resolving") != NULL;
    if (kind == COMMAND_STAGED) {
        state_rig_read(&s->rig, &rows);
        assert_int_equal(state_file(&rows, c.file.file, &s->arena, &file), SG_OK);
        state_rig_read_end(&rows);
        c.file.size_bytes = script_number(s, "size", file.seal.size_bytes);
        c.file.sha256 = file.seal.sha256;
        c.file.sha256.b[7] ^= script_arg(s, "bad_sha") != NULL ? 1 : 0;
    }
    script_apply(s, &c);
}

static void do_claim(struct script *s)
{
    do_file(s, COMMAND_CLAIM);
}

static void do_staged(struct script *s)
{
    do_file(s, COMMAND_STAGED);
}

static void do_uploaded(struct script *s)
{
    do_file(s, COMMAND_UPLOADED);
}

static void do_abandoned(struct script *s)
{
    do_file(s, COMMAND_ABANDONED);
}

static void do_hold(struct script *s)
{
    do_file(s, COMMAND_HOLD);
}

static void do_verified(struct script *s)
{
    do_file(s, COMMAND_VERIFIED);
}

static void do_file_cancel(struct script *s)
{
    do_file(s, COMMAND_FILE_CANCEL);
}

static void do_resolve(struct script *s)
{
    do_file(s, COMMAND_RESOLVE);
}

static void do_alert(struct script *s)
{
    do_file(s, COMMAND_ALERT);
}

static void do_garbage(struct script *s)
{
    struct command_result r = state_rig_apply_raw(&s->rig, span_str("not a command"));
    script_print_result(s, &r);
}

/* level to=N: moves the shard's level; level n=N: what commands are made under. */
static void do_level(struct script *s)
{
    uint64_t to = script_number(s, "to", 0);
    if (to == 0) {
        s->rig.level = (uint32_t)script_number(s, "n", 0);
        return;
    }
    struct command c = {.kind = COMMAND_LEVEL};
    c.level_change.to = (uint32_t)to;
    c.level_change.program = script_text(script_arg(s, "program"));
    script_apply(s, &c);
}

static void do_term(struct script *s)
{
    s->rig.term = script_number(s, "n", 0);
}

const struct script_verb script_commands[] = {
    {"settings", do_settings, NULL},   {"submit", do_submit, NULL},
    {"cancel", do_cancel, NULL},       {"close", do_close, NULL},
    {"missed", do_missed, NULL},       {"seal", do_seal, NULL},
    {"done", do_done, NULL},           {"claim", do_claim, NULL},
    {"staged", do_staged, NULL},       {"uploaded", do_uploaded, NULL},
    {"abandoned", do_abandoned, NULL}, {"hold", do_hold, NULL},
    {"verified", do_verified, NULL},   {"file_cancel", do_file_cancel, NULL},
    {"resolve", do_resolve, NULL},     {"alert", do_alert, NULL},
    {"garbage", do_garbage, NULL},     {"level", do_level, NULL},
    {"release", do_release, NULL},     {"attention", do_attention, NULL},
    {"term", do_term, NULL},           {NULL, NULL, NULL},
};
