#include <stdio.h>

#include "shard/upload/steps.h"

/* --- 11: garbage, and a server that was rolled back --------------------------------------------------- */

/* T and W of an attempt that can never be staged any more: a later claim of a
 * newer term is in the log, or the file's time is over. A T that was staged is
 * never touched; what is left of it (D, when it was taken back, and W) goes when
 * the time is over. */
static bool is_garbage(const struct upload *u, const struct attempt_row *rows, size_t count, size_t i)
{
    if (rows[i].attempt <= u->cleaned) {
        return false;
    }
    bool has_newer = u->is_over;
    for (size_t k = 0; k < count && !rows[i].staged; k++) {
        has_newer |= rows[k].attempt > rows[i].attempt && rows[k].term > rows[i].term;
    }
    return has_newer;
}

/* The oldest attempt with garbage, 0 when there is none. */
static enum sg_err next_garbage(struct upload *u, struct attempt_row *out)
{
    struct duty_env *e = u->uploads->env;
    struct duty_read r;
    enum sg_err err = duty_read_begin(&r, e->kv, e->routing_number.n);
    if (err != SG_OK) {
        return err;
    }
    struct arena a = ARENA_INIT;
    struct attempt_row *rows;
    size_t count;
    out->attempt = 0;
    err = state_attempts_all(&r.rows, u->file, &a, &rows, &count);
    for (size_t i = 0; err == SG_OK && i < count; i++) {
        if (is_garbage(u, rows, count, i) && (out->attempt == 0 || rows[i].attempt < out->attempt)) {
            *out = rows[i];
        }
    }
    arena_release(&a);
    duty_read_end(&r);
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
    struct attempt_row next;
    enum sg_err err = next_garbage(u, &next);
    if (err != SG_OK) {
        duty_judge(u->uploads->env, err, kv_damage());
        upload_retry(u, UPLOAD_CLEAN, sg_err_text(err));
    } else if (next.attempt == 0) {
        nothing_to_clean(u);
    } else {
        const char *suffix = u->is_copy_cleaned ? ".wit" : next.staged ? ".dead" : ".part";
        struct bank_request *r = upload_request(u, BANK_REMOVE, suffix);
        upload_name(u->uploads->env, next.attempt, suffix, r->name);
        upload_send(u, r, NULL);
    }
}

static void clean_answered(struct upload *u, const struct bank_request *r)
{
    struct attempt_row next;
    enum sg_err err = next_garbage(u, &next);
    if (r->answer != BANK_OK && r->answer != BANK_ABSENT) {
        upload_unclear(u, UPLOAD_CLEAN, r);
    } else if (err != SG_OK) {
        duty_judge(u->uploads->env, err, kv_damage());
        upload_retry(u, UPLOAD_CLEAN, sg_err_text(err));
    } else {
        u->cleaned = u->is_copy_cleaned ? next.attempt : u->cleaned;
        u->is_copy_cleaned = !u->is_copy_cleaned;
        upload_move(u, UPLOAD_CLEAN);
    }
}

static void stayed_absent(struct upload *u)
{
    struct duty_env *e = u->uploads->env;
    u->tries = 0;
    u->last_error[0] = '\0';
    u->is_over = loop_wall_ms(e->loop) >= u->ended_ms + e->settings->s.endpoint.verify_window_ms;
    u->cleaned = u->is_over ? 0 : u->cleaned;
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
