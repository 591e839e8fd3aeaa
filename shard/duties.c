#include "shard/duties.h"

static void on_run(struct task *t)
{
    struct duties *d = CONTAINER_OF(t, struct duties, run);
    unsigned woken = d->woken;
    d->woken = 0;
    if (woken & DUTY_WINDOWS) {
        windows_look(&d->windows);
    }
    if (woken & DUTY_CONFIGURE) {
        configure_look(&d->configure);
    }
    if (woken & DUTY_RETRY) {
        sealing_unpark(&d->sealing);
    }
    if (woken & (DUTY_SEALING | DUTY_RETRY)) {
        sealing_look(&d->sealing);
    }
    if (woken & DUTY_RETRY) {
        uploads_retry(&d->uploads);
    } else if (woken & DUTY_UPLOADS) {
        uploads_look(&d->uploads);
    } else if (woken & DUTY_CONFIRMED) {
        uploads_confirmed(&d->uploads);
    }
    if (woken & DUTY_OVERDUE) {
        overdue_look(&d->overdue);
    }
    if (woken & DUTY_SUBMIT) {
        submitter_pump(&d->submitter);
    }
}

static void on_wake(struct duty_env *e, unsigned duties)
{
    struct duties *d = CONTAINER_OF(e, struct duties, env);
    d->woken |= duties;
    loop_defer(e->loop, &d->run);
}

static void on_again(struct task *t);

void duties_init(struct duties *d, const struct duty_env *env)
{
    *d = (struct duties){.env = *env};
    d->env.wake = on_wake;
    d->env.is_ready = false;
    d->env.settings = NULL;
    d->run.run = on_run;
    d->again.run = on_again;
    submitter_init(&d->submitter, &d->env);
    windows_init(&d->windows, &d->env);
    configure_init(&d->configure, &d->env, &d->windows);
    sealing_init(&d->sealing, &d->env);
    uploads_init(&d->uploads, &d->env);
    overdue_init(&d->overdue, &d->env);
}

/* Who can't read the level and the settings of the shard proposes nothing: a leader
 * that is not ready, until the store answers. */
static void become_ready(struct duties *d, uint64_t term)
{
    d->env.term = term;
    d->ready_term = 0;
    enum sg_err err = duty_settings_load(&d->env);
    if (err != SG_OK) {
        struct log_scope scope = duty_scope(&d->env);
        d->ready_term = term;
        loop_after(d->env.loop, &d->again, duty_backoff_ms(&d->env, ++d->tries));
        logger_line(LOG_ERROR, &scope, "settings.unreadable", "why=%s", LOG_TEXT(sg_err_text(err)));
        duty_judge(&d->env, err, kv_damage());
        return;
    }
    d->tries = 0;
    d->env.is_ready = true;
    windows_start(&d->windows);
    configure_start(&d->configure);
    sealing_start(&d->sealing);
    uploads_start(&d->uploads);
    duty_wake(&d->env,
              DUTY_WINDOWS | DUTY_CONFIGURE | DUTY_SEALING | DUTY_UPLOADS | DUTY_OVERDUE | DUTY_SUBMIT);
}

static void on_again(struct task *t)
{
    struct duties *d = CONTAINER_OF(t, struct duties, again);
    become_ready(d, d->ready_term);
}

static void end_ready(struct duties *d)
{
    d->env.is_ready = false;
    windows_stop(&d->windows);
    configure_stop(&d->configure);
    sealing_stop(&d->sealing);
    uploads_stop(&d->uploads);
    overdue_stop(&d->overdue);
    duty_settings_drop(&d->env);
}

void duties_role(struct duties *d, bool leads, bool is_ready, uint64_t term)
{
    CHECK_IMPLIES(is_ready, leads);
    if (d->env.is_ready && !(is_ready && d->env.term == term)) {
        end_ready(d);
    }
    if (d->ready_term != 0 && !(is_ready && d->ready_term == term)) {
        loop_cancel(d->env.loop, &d->again);
        d->ready_term = 0;
    }
    submitter_role(&d->submitter, leads);
    if (is_ready && !d->env.is_ready && d->ready_term == 0) {
        become_ready(d, term);
    }
}

void duties_told(struct duties *d, enum command_kind kind)
{
    if (!d->env.is_ready) {
        return;
    }
    if (kind == COMMAND_CLOSE) {
        duty_wake(&d->env, DUTY_SEALING | DUTY_OVERDUE);
    } else if (kind == COMMAND_RELEASE) {
        duty_wake(&d->env, DUTY_UPLOADS | DUTY_OVERDUE);
    } else if (kind == COMMAND_FILE_CANCEL || kind == COMMAND_RESOLVE) {
        duty_wake(&d->env, DUTY_RETRY);
    }
}

void duties_confirmed(struct duties *d)
{
    if (d->env.is_ready) {
        duty_wake(&d->env, DUTY_CONFIRMED);
    }
}

void duties_stop(struct duties *d)
{
    duties_role(d, false, false, 0);
    loop_cancel(d->env.loop, &d->run);
    d->woken = 0;
}

bool duties_are_idle(const struct duties *d)
{
    return d->env.outstanding_count == 0 && submitter_is_idle(&d->submitter);
}

void duties_release(struct duties *d)
{
    CHECK(duties_are_idle(d));
    CHECK(d->env.settings == NULL);
    loop_cancel(d->env.loop, &d->run);
}
