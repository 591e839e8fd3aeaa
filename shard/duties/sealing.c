#include "shard/duties/sealing.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/fault.h"
#include "proto/base/mem.h"

/* Work elsewhere, freed when it is back. */
struct sealing_work {
    struct work work;
    struct sealing *sealing;
    uint64_t term;
    struct sealing_job job;
    struct window_id *parked; /* A copy. */
    char node_name[NAME_SIZE_MAX + 1];
};

static void on_timer(struct task *t)
{
    sealing_look(CONTAINER_OF(t, struct sealing, timer));
}

void sealing_init(struct sealing *s, struct duty_env *env)
{
    *s = (struct sealing){.env = env, .used_up_day = DAY_NONE};
    s->timer.run = on_timer;
}

void sealing_start(struct sealing *s)
{
    sealing_stop(s);
    s->tries = 0;
    s->parked_count = 0;
    s->used_up_day = DAY_NONE;
    s->is_clock_told = false;
    s->walk = (struct member_walk){.after = 0};
}

void sealing_unpark(struct sealing *s)
{
    s->parked_count = 0;
}

void sealing_stop(struct sealing *s)
{
    loop_cancel(s->env->loop, &s->timer);
    s->busy = false;
    mem_free(s->parked);
    s->parked = NULL;
    s->parked_count = 0;
    s->parked_cap = 0;
}

static void retry_later(struct sealing *s, const char *why)
{
    struct log_scope scope = duty_scope(s->env);
    s->tries++;
    s->walk = (struct member_walk){.after = 0}; /* Whatever it was, it is judged anew. */
    logger_line(LOG_WARN, &scope, "file.seal-retry", "why=%s tries=%u", LOG_TEXT(why), s->tries);
    loop_after(s->env->loop, &s->timer, duty_backoff_ms(s->env, s->tries));
}

static void park(struct sealing *s, const struct window_id *id, const char *why)
{
    char day[DAY_TEXT_SIZE], text[384];
    (void)snprintf(text, sizeof text, "window %s of %s can't be sealed: %s", id->name, day_text(id->day, day),
                   why);
    if (s->parked_count < SEALING_PARKED_MAX) {
        if (s->parked_count == s->parked_cap) {
            s->parked_cap = s->parked_cap == 0 ? 8 : s->parked_cap * 2;
            s->parked = mem_realloc(s->parked, s->parked_cap * sizeof *s->parked);
        }
        s->parked[s->parked_count++] = *id;
        duty_alert(s->env, 0, text);
        duty_wake(s->env, DUTY_SEALING);
    } else { /* So many that nothing but the cause is of interest any more. */
        if (s->tries == 0) {
            duty_alert(s->env, 0, text);
        }
        retry_later(s, text);
    }
}

/* Before WINDOW_DONE: a leader that dies in between tells it again. */
static void tell_unfit(struct sealing *s, const struct sealing_job *j)
{
    char day[DAY_TEXT_SIZE], text[448];
    if (j->walk.unfit_count == 0) {
        return;
    }
    (void)snprintf(text, sizeof text,
                   "window %s of %s leaves %llu due transfers behind, they wait for other settings or a "
                   "cancel; the first: %s",
                   j->window.name, day_text(j->window.day, day), (unsigned long long)j->walk.unfit_count,
                   j->walk.why);
    duty_alert(s->env, 0, text);
}

/* The file has the log's time, which somebody's clock has given; this one's is
 * another. Which of them is right, people must find out. */
static void tell_clock(struct sealing *s, const struct sealing_job *j)
{
    char now[TIME_TEXT_SIZE], time[TIME_TEXT_SIZE], text[320];
    if (j->time_ms - j->now_ms <= SEALING_BEHIND_MAX_MS || s->is_clock_told) {
        return;
    }
    s->is_clock_told = true;
    (void)snprintf(
        text, sizeof text,
        "the clock of %s reads %s, but the shard's log has got as far as %s: its files are dated by the "
        "log; set the clocks right",
        s->env->node_name, time_text(j->now_ms, now), time_text(j->time_ms, time));
    duty_alert(s->env, 0, text);
}

/* Every creation date has 36 modifiers; the next file waits for the next date. */
static void wait_for_day(struct sealing *s, struct day creation_day)
{
    if (s->used_up_day.n != creation_day.n) {
        char day[DAY_TEXT_SIZE], text[160];
        s->used_up_day = creation_day;
        (void)snprintf(text, sizeof text,
                       "all %d file ID modifiers of %s are used: further files wait for the next day",
                       FILE_MODIFIERS, day_text(creation_day, day));
        duty_alert(s->env, 0, text);
    }
    loop_after(s->env->loop, &s->timer, UPLOAD_RETRY_MAX_MS);
}

/* --- The command ---------------------------------------------------------------- */

static void on_applied(void *owner, enum sg_err err, const struct command_result *result)
{
    struct sealing *s = owner;
    s->busy = false;
    if (err != SG_OK) {
        retry_later(s, sg_err_text(err));
        return;
    }
    if (result->err != SG_OK) {
        char why[256];
        (void)span_cstr(result->reason, why, sizeof why);
        if (s->tries < UPLOAD_ALERT_TRIES) {
            retry_later(s, why); /* The rows moved on under the work. */
        } else {
            s->tries = 0;
            park(s, &s->sealing, why);
        }
        return;
    }
    if (result->file != 0) {
        FAULT_POINT("file.sealed");
    }
    s->tries = 0;
    duty_wake(s->env, DUTY_SEALING | DUTY_UPLOADS);
}

/* As duty_propose(), of a command that was encoded elsewhere. */
static void propose(struct sealing *s, const struct sealing_job *j)
{
    struct arena a = ARENA_INIT;
    struct command c;
    enum sg_err err = command_decode(span_bytes(&j->command), &a, &c);
    CHECK(err == SG_OK);
    s->busy = true;
    s->sealing = j->window;
    s->walk = j->walk;
    duty_propose(s->env, &c, on_applied, s);
    arena_release(&a);
}

static void finish(struct sealing *s, const struct sealing_job *j)
{
    switch (j->outcome) {
    case SEALING_NOTHING:
        break; /* The rest is parked. */
    case SEALING_WINDOW_DONE:
        tell_clock(s, j);
        tell_unfit(s, j);
        propose(s, j);
        break;
    case SEALING_FILE:
        tell_clock(s, j);
        propose(s, j);
        break;
    case SEALING_MORE:
        s->sealing = j->window;
        s->walk = j->walk;
        duty_wake(s->env, DUTY_SEALING);
        break;
    case SEALING_NO_MODIFIER:
        wait_for_day(s, j->creation_day);
        break;
    case SEALING_BROKEN:
        park(s, &j->window, j->why);
        break;
    case SEALING_ERROR:
        duty_judge(s->env, j->err, j->why);
        retry_later(s, j->why);
        break;
    }
}

/* --- Work elsewhere ---------------------------------------------------------------- */

static void work_run(struct work *work)
{
    sealing_run(&CONTAINER_OF(work, struct sealing_work, work)->job);
}

static void work_done(struct work *work)
{
    struct sealing_work *w = CONTAINER_OF(work, struct sealing_work, work);
    struct sealing *s = w->sealing;
    s->env->outstanding_count--;
    if (duty_is_current(s->env, w->term)) {
        s->busy = false;
        finish(s, &w->job);
    }
    bytes_release(&w->job.command);
    mem_free(w->parked);
    mem_free(w);
}

static void start(struct sealing *s)
{
    struct duty_env *e = s->env;
    struct sealing_work *w = mem_zalloc(1, sizeof *w);
    w->work.run = work_run;
    w->work.done = work_done;
    w->sealing = s;
    w->term = e->term;
    w->parked = mem_alloc((s->parked_count + 1) * sizeof *w->parked);
    if (s->parked_count > 0) {
        memcpy(w->parked, s->parked, s->parked_count * sizeof *w->parked);
    }
    (void)snprintf(w->node_name, sizeof w->node_name, "%s", e->node_name);
    w->job = (struct sealing_job){.group = e->routing_number.n, .kv = e->kv, .node_name = w->node_name};
    w->job.parked = w->parked;
    w->job.parked_count = s->parked_count;
    w->job.level = e->level;
    w->job.now_ms = loop_wall_ms(e->loop);
    w->job.walk_window = s->sealing;
    w->job.walk = s->walk;
    w->job.zone = e->settings->zone;
    s->busy = true;
    e->outstanding_count++;
    loop_elsewhere(e->loop, WORKER_READ, &w->work);
}

static enum sg_err open_windows(struct duty_env *e, size_t *count)
{
    struct duty_read r;
    enum sg_err err = duty_read_begin(&r, e->kv, e->routing_number.n);
    if (err != SG_OK) {
        return err;
    }
    struct arena a = ARENA_INIT;
    struct window_row *rows;
    err = state_windows_open_work(&r.rows, &a, &rows, count);
    arena_release(&a);
    duty_read_end(&r);
    return err;
}

void sealing_look(struct sealing *s)
{
    struct duty_env *e = s->env;
    if (!e->is_ready || s->busy || e->settings == NULL || e->settings->zone == NULL) {
        return;
    }
    if (!duty_clock_is_sane(e)) {
        retry_later(s, "this node's clock reads no sensible day");
        return;
    }
    size_t count = 0;
    enum sg_err err = open_windows(e, &count);
    if (err != SG_OK) {
        duty_judge(s->env, err, kv_damage());
        retry_later(s, sg_err_text(err));
    } else if (count > 0) {
        start(s);
    }
}
