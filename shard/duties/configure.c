#include "shard/duties/configure.h"

#include <stdio.h>

static void on_timer(struct task *t)
{
    configure_look(CONTAINER_OF(t, struct configure, timer));
}

void configure_init(struct configure *c, struct duty_env *env, struct windows *windows)
{
    *c = (struct configure){.env = env, .windows = windows};
    c->timer.run = on_timer;
}

void configure_start(struct configure *c)
{
    configure_stop(c);
    c->refused_version = 0;
    c->tries = 0;
    c->is_stale = false;
}

void configure_stop(struct configure *c)
{
    loop_cancel(c->env->loop, &c->timer);
    c->busy = false;
}

static void refused(struct configure *c, const struct command_result *result)
{
    char reason[160], text[256];
    (void)snprintf(text, sizeof text, "settings version %llu refused: %s",
                   (unsigned long long)c->proposed_version, span_cstr(result->reason, reason, sizeof reason));
    c->refused_version = c->proposed_version;
    duty_alert(c->env, 0, text);
}

static void try_again(struct configure *c)
{
    c->tries++;
    loop_after(c->env->loop, &c->timer, duty_backoff_ms(c->env, c->tries));
}

/* What the log now says. A store that does not answer now is asked again: the old
 * settings must not stay. */
static bool reload(struct configure *c)
{
    enum sg_err err = duty_settings_load(c->env);
    c->is_stale = err != SG_OK;
    if (c->is_stale) {
        struct log_scope scope = duty_scope(c->env);
        logger_line(LOG_ERROR, &scope, "settings.unreadable", "why=%s", LOG_TEXT(sg_err_text(err)));
        try_again(c);
        duty_judge(c->env, err, kv_damage());
        return false;
    }
    c->tries = 0;
    return true;
}

/* New settings: the other duties work by them. */
static bool follow(struct configure *c)
{
    if (!reload(c)) {
        return false;
    }
    windows_settings_changed(c->windows);
    duty_wake(c->env, DUTY_WINDOWS | DUTY_SEALING | DUTY_UPLOADS | DUTY_RETRY | DUTY_SUBMIT);
    return true;
}

static void on_applied(void *owner, enum sg_err err, const struct command_result *result)
{
    struct configure *c = owner;
    c->busy = false;
    if (err != SG_OK) {
        try_again(c);
        return;
    }
    c->tries = 0;
    if (result->err != SG_OK) {
        refused(c, result);
        return;
    }
    (void)follow(c);
}

static void on_level(void *owner, enum sg_err err, const struct command_result *result)
{
    struct configure *c = owner;
    c->busy = false;
    if (err != SG_OK) {
        try_again(c);
        return;
    }
    CHECK(result->err == SG_OK); /* A level is never refused. */
    c->tries = 0;
    if (reload(c)) {
        configure_look(c);
    }
}

/* Is a level on its way, or to be? */
static bool look_at_level(struct configure *c)
{
    struct duty_env *e = c->env;
    struct span program = SPAN_NONE;
    uint32_t level = e->catalog_level != NULL ? e->catalog_level(e->names_impl, &program) : 0;
    if (level <= e->level) {
        return false;
    }
    c->busy = true;
    struct command command = {.kind = COMMAND_LEVEL};
    command.level_change.to = level;
    command.level_change.program = program;
    duty_propose(e, &command, on_level, c);
    return true;
}

void configure_look(struct configure *c)
{
    struct duty_env *e = c->env;
    if (!e->is_ready || c->busy || (c->is_stale && !follow(c)) || look_at_level(c) ||
        !windows_none_overdue(c->windows)) {
        return;
    }
    uint64_t version = 0;
    struct span encoded = e->catalog_settings(e->names_impl, e->routing_number, &version);
    uint64_t applied = e->settings != NULL ? e->settings->s.version : 0;
    if (encoded.n == 0 || version <= applied || version == c->refused_version) {
        return;
    }
    c->busy = true;
    c->proposed_version = version;
    struct command command = {.kind = COMMAND_SETTINGS};
    command.settings.encoded = encoded;
    duty_propose(e, &command, on_applied, c);
}
