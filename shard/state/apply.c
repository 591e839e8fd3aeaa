#include <stdio.h>

#include "proto/base/fault.h"
#include "shard/state/counters.h"
#include "shard/state/families.h"

static enum sg_err apply_kind(struct apply *a)
{
    switch (a->command->kind) {
    case COMMAND_SUBMIT:
        return apply_submit(a);
    case COMMAND_CANCEL:
        return apply_cancel(a);
    case COMMAND_SETTINGS:
        return apply_settings(a);
    case COMMAND_CLOSE:
        return apply_close(a);
    case COMMAND_MISSED:
        return apply_missed(a);
    case COMMAND_SEAL:
        return apply_seal(a);
    case COMMAND_WINDOW_DONE:
        return apply_window_done(a);
    case COMMAND_RELEASE:
        return apply_release(a);
    case COMMAND_CLAIM:
    case COMMAND_STAGED:
    case COMMAND_UPLOADED:
    case COMMAND_ABANDONED:
    case COMMAND_HOLD:
    case COMMAND_VERIFIED:
    case COMMAND_FILE_CANCEL:
    case COMMAND_RESOLVE:
    case COMMAND_ALERT:
        return apply_file(a);
    case COMMAND_LEVEL:
        return apply_level(a);
    case COMMAND_NONE:
    case COMMAND_KINDS:
        break;
    }
    check_failed(__FILE__, __LINE__, "a decoded command has a kind");
}

/* Its proposer went by a level that is not in this log yet: a bug, and the same
 * answer on every replica. */
static enum sg_err refuse_level(struct apply *a)
{
    return apply_refuse(a, SG_CONFLICT, "made under level %u; this shard stands at level %u",
                        a->command->level, state_level(&a->counters));
}

static enum sg_err apply_decoded(struct apply *a)
{
    enum sg_err err = store_get_counters(a->rows, &a->counters);
    a->rows->level = err == SG_OK ? state_level(&a->counters) : a->rows->level;
    if (err == SG_OK && state_level(&a->counters) > a->rows->level_max) {
        err = state_newer(a->rows, "this shard", state_level(&a->counters), SPAN_NONE);
    }
    if (err == SG_OK && a->command->level > state_level(&a->counters)) {
        return refuse_level(a);
    }
    if (err == SG_OK) {
        const struct command *own = a->command;
        struct command today = *own;
        today.level = FAULT_BUG("rules-of-today") ? a->rows->level_max : own->level;
        a->command = &today;
        err = apply_kind(a);
        a->command = own;
    }
    if (err != SG_OK || !a->has_effect) {
        return err;
    }
    CHECK(a->result.err == SG_OK);
    a->rows->level = state_level(&a->counters);
    counters_check(&a->counters);
    return store_put_counters(a->rows, &a->counters);
}

enum sg_err state_apply(struct rows *rows, uint64_t index, uint64_t term, struct span command,
                        struct bytes *result)
{
    struct arena arena = ARENA_INIT;
    struct command decoded;
    char what[48];
    struct apply a = {
        .rows = rows,
        .index = index,
        .term = term,
        .command = &decoded,
        .arena = &arena,
        .result = {.err = SG_OK, .index = index},
    };
    enum sg_err err = command_decode(command, &arena, &decoded);
    if (err == SG_OK && decoded.level <= rows->level_max) {
        err = apply_decoded(&a);
    } else if (FAULT_BUG("unknown-is-nothing")) {
        a.result.err = SG_INVALID;
        err = SG_OK;
    } else {
        /* The record is whole (the log checks that), so its writer knew more than we do. */
        (void)snprintf(what, sizeof(what), "log entry %llu", (unsigned long long)index);
        err = state_newer(rows, what, err == SG_INVALID ? 0 : decoded.level, SPAN_NONE);
    }
    CHECK(err == SG_OK || err == SG_CORRUPT || err == SG_IO || err == SG_UNSUPPORTED);
    if (err == SG_OK) {
        command_result_encode(&a.result, result);
    }
    bytes_release(&a.scratch);
    arena_release(&arena);
    return err;
}
