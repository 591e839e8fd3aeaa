#include <stdio.h>
#include <string.h>

#include "proto/base/mem.h"
#include "shard/upload/steps.h"

/* --- 11: garbage, and a server that was rolled back --------------------------------------------------- */

/* T and W of an attempt that can never be staged any more: a later claim of a
 * newer term is in the log, or the file's time is over. A T that was staged is
 * never touched; what is left of it (D, when it was taken back, and W) goes when
 * the time is over. rows ascend by attempt, so one pass from the newest finds them:
 * after days of failing puts there are thousands. */
static size_t keep_garbage(const struct upload *u, struct attempt_row *rows, size_t count)
{
    uint64_t newest_term = 0; /* Of the claims behind this one. */
    size_t kept = 0;
    for (size_t i = count; i > 0; i--) {
        const struct attempt_row row = rows[i - 1];
        if (u->is_over || (!row.staged && newest_term > row.term)) {
            kept++;
            rows[count - kept] = row; /* Behind what is still to be looked at. */
        }
        newest_term = row.term > newest_term ? row.term : newest_term;
    }
    return kept;
}

static void forget_garbage(struct upload *u)
{
    mem_free(u->garbage);
    u->garbage = NULL;
    u->garbage_count = 0;
    u->garbage_at = 0;
}

/* Reads the list anew. */
static enum sg_err find_garbage(struct upload *u)
{
    struct duty_env *e = u->uploads->env;
    struct duty_read r;
    forget_garbage(u);
    enum sg_err err = duty_read_begin(&r, e->kv, e->routing_number.n);
    if (err != SG_OK) {
        return err;
    }
    struct arena a = ARENA_INIT;
    struct attempt_row *rows;
    size_t count;
    err = state_attempts_all(&r.rows, u->file, &a, &rows, &count);
    if (err == SG_OK) {
        u->garbage_count = keep_garbage(u, rows, count);
        u->garbage = mem_alloc((u->garbage_count + 1) * sizeof *rows);
        memcpy(u->garbage, rows + (count - u->garbage_count), u->garbage_count * sizeof *rows);
    }
    arena_release(&a);
    duty_read_end(&r);
    return err;
}

/* Names of an attempt lie where it was claimed, and not where the file is now. */
static enum sg_err go_to(struct upload *u, uint64_t version)
{
    struct duty_env *e = u->uploads->env;
    struct duty_read r;
    enum sg_err err = duty_read_begin(&r, e->kv, e->routing_number.n);
    if (err == SG_OK) {
        err = upload_take_settings(u, &r, version);
        duty_read_end(&r);
    }
    return err;
}

static void nothing_to_clean(struct upload *u)
{
    struct duty_env *e = u->uploads->env;
    if (u->is_over) {
        upload_move(u, UPLOAD_VERIFIED);
        return;
    }
    int64_t wait_ms = u->ended_ms + e->settings->s.endpoint.verify_window_ms - loop_wall_ms(e->loop);
    wait_ms = wait_ms < VERIFY_LOOK_MS ? wait_ms : VERIFY_LOOK_MS;
    upload_move(u, UPLOAD_VERIFY);
    u->due_ms = loop_now_ms(e->loop) + (wait_ms > 0 ? (uint64_t)wait_ms : 0);
}

static void clean_enter(struct upload *u)
{
    enum sg_err err = u->garbage == NULL ? find_garbage(u) : SG_OK;
    bool is_done = err == SG_OK && u->garbage_at == u->garbage_count;
    const struct attempt_row *next = is_done || err != SG_OK ? NULL : &u->garbage[u->garbage_at];
    if (err == SG_OK) {
        err = go_to(u, is_done ? u->attempt_settings : next->settings_version);
    }
    if (err != SG_OK) {
        duty_judge(u->uploads->env, err, kv_damage());
        upload_retry(u, UPLOAD_CLEAN, sg_err_text(err));
    } else if (is_done) {
        nothing_to_clean(u);
    } else {
        const char *suffix = u->is_copy_cleaned ? ".wit" : next->staged ? ".dead" : ".part";
        struct bank_request *r = upload_request(u, BANK_REMOVE, suffix);
        upload_name(u->uploads->env, next->attempt, suffix, r->name);
        upload_send(u, r, NULL);
    }
}

static void clean_answered(struct upload *u, const struct bank_request *r)
{
    if (r->answer != BANK_OK && r->answer != BANK_ABSENT) {
        upload_unclear(u, UPLOAD_CLEAN, r);
        return;
    }
    u->garbage_at += u->is_copy_cleaned;
    u->is_copy_cleaned = !u->is_copy_cleaned;
    upload_move(u, UPLOAD_CLEAN);
}

static void stayed_absent(struct upload *u)
{
    struct duty_env *e = u->uploads->env;
    u->tries = 0;
    u->last_error[0] = '\0';
    u->is_over = loop_wall_ms(e->loop) >= u->ended_ms + e->settings->s.endpoint.verify_window_ms;
    if (u->is_over) {
        forget_garbage(u); /* Now what was staged goes, too. */
    }
    upload_move(u, UPLOAD_CLEAN);
}

static void verify_enter(struct upload *u)
{
    if (u->attempt == 0) {
        stayed_absent(u); /* Nothing was ever staged. */
        return;
    }
    upload_stat(u, ".part");
}

static void staged_is_back(struct upload *u)
{
    struct duty_env *e = u->uploads->env;
    const char *what =
        u->is_proved
            ? "the staged copy of an uploaded file is back: was the bank's server rolled back? ask the bank "
              "whether it has"
            : "the staged copy of a withdrawn file is back: remove it from staging, an old leader could "
              "still "
              "deliver";
    (void)snprintf(u->last_error, sizeof u->last_error, "%s %s", what, u->name);
    if (!u->alerted) {
        u->alerted = true;
        duty_alert(e, u->file, u->last_error);
    }
    u->due_ms = loop_now_ms(e->loop) + (uint64_t)VERIFY_LOOK_MS;
}

static void verify_answered(struct upload *u, const struct bank_request *r)
{
    if (r->answer == BANK_OK) {
        staged_is_back(u);
    } else if (r->answer != BANK_ABSENT) {
        upload_unclear(u, UPLOAD_VERIFY, r);
    } else {
        stayed_absent(u);
    }
}

static void verified_enter(struct upload *u)
{
    upload_commit_attempt(u, COMMAND_VERIFIED);
}

const struct upload_step_ops upload_clean_ops = {.enter = clean_enter, .answered = clean_answered};
const struct upload_step_ops upload_verify_ops = {.enter = verify_enter, .answered = verify_answered};
const struct upload_step_ops upload_verified_ops = {.enter = verified_enter, .applied = upload_back_to_start};
const struct upload_step_ops upload_ended_ops = {.enter = NULL};
