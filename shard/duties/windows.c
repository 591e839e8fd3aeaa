#include "shard/duties/windows.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/fault.h"

#define DAY_MS (24ll * 3600 * 1000)

static void on_timer(struct task *t)
{
    windows_look(CONTAINER_OF(t, struct windows, timer));
}

void windows_init(struct windows *w, struct duty_env *env)
{
    *w = (struct windows){.env = env, .manual_day = DAY_NONE};
    w->timer.run = on_timer;
}

void windows_start(struct windows *w)
{
    windows_stop(w);
    w->has_since = false;
    w->checked_ms = 0;
    w->tries = 0;
}

void windows_stop(struct windows *w)
{
    loop_cancel(w->env->loop, &w->timer);
    w->busy = false;
    w->is_caught_up = false;
    w->has_next = false;
}

/* --- What is due ------------------------------------------------------------ */

enum window_action window_due_action(const struct shard_settings *s, const struct zone *zone,
                                     const struct window_time *due, int64_t now_ms)
{
    if (now_ms < due->close_ms + WINDOW_GRACE_MS || FAULT_BUG("late-as-usual")) {
        return WINDOW_CLOSE;
    }
    switch (s->missed) {
    case MISSED_HOLD:
        return WINDOW_CLOSE_HELD;
    case MISSED_UPLOAD_LATE_UNTIL:
        return now_ms < window_late_until_ms(s, zone, due->day, due->window) ? WINDOW_CLOSE_LATE
                                                                             : WINDOW_LEAVE;
    case MISSED_NEXT_WINDOW:
    default:
        return WINDOW_LEAVE;
    }
}

static struct window_id id_of(const struct settings *s, const struct window_time *t)
{
    struct window_id id = {.day = t->day};
    (void)span_cstr(s->shard.windows[t->window].name, id.name, sizeof id.name);
    return id;
}

/* SG_OK: has_row is set. */
static enum sg_err look_up(struct rows *rows, const struct window_id *id, bool *has_row)
{
    struct window_row row;
    enum sg_err err = state_window(rows, id, &row);
    *has_row = err == SG_OK && !FAULT_BUG("window-twice");
    return err == SG_NOTFOUND ? SG_OK : err;
}

/* The oldest window of one day in (after_ms, now_ms] that has no row, if it is
 * older than *due. */
static enum sg_err scan_day(struct windows *w, struct rows *rows, struct day day, int64_t after_ms,
                            int64_t now_ms, struct window_time *due)
{
    const struct duty_settings *d = w->env->settings;
    if (!window_is_day(&d->s, day)) {
        return SG_OK;
    }
    for (size_t i = 0; i < d->s.shard.windows_count; i++) {
        struct window_time t = {i, day, window_close_ms(&d->s.shard, d->zone, day, i)};
        if (t.close_ms <= after_ms || t.close_ms > now_ms || t.close_ms >= due->close_ms) {
            continue;
        }
        struct window_id id = id_of(&d->s, &t);
        bool has_row;
        enum sg_err err = look_up(rows, &id, &has_row);
        if (err != SG_OK) {
            return err;
        }
        if (!has_row) {
            *due = t;
        }
    }
    return SG_OK;
}

/* The oldest window whose time has come and that has no row. SG_NOTFOUND. */
static enum sg_err find_due(struct windows *w, struct rows *rows, int64_t now_ms, struct window_time *due)
{
    int64_t after_ms = w->checked_ms > w->since_ms ? w->checked_ms : w->since_ms;
    if (after_ms < now_ms - MISSED_WINDOW_DAYS_MAX * DAY_MS) {
        after_ms = now_ms - MISSED_WINDOW_DAYS_MAX * DAY_MS;
    }
    struct day day = zone_local(w->env->settings->zone, after_ms).day;
    struct day last = zone_local(w->env->settings->zone, now_ms).day;
    due->close_ms = INT64_MAX;
    for (; day.n <= last.n && due->close_ms == INT64_MAX; day.n++) {
        enum sg_err err = scan_day(w, rows, day, after_ms, now_ms, due);
        if (err != SG_OK) {
            return err;
        }
    }
    return due->close_ms == INT64_MAX ? SG_NOTFOUND : SG_OK;
}

/* Before LEVEL_SETTINGS_TIME: the newest settings' time is an event's, if that is
 * among the last ones; else that of the first thing that happened to the shard. */
static enum sg_err find_settings_event(struct rows *rows, uint64_t next_event, int64_t *time_ms)
{
    uint64_t after = 0;
    size_t count = 1;
    enum sg_err err = SG_OK;
    for (bool is_first = true; err == SG_OK && count > 0; is_first = false) {
        struct arena a = ARENA_INIT;
        struct event_row *events;
        err = state_events(rows, after, is_first ? 1 : 256, &a, &events, &count);
        for (size_t i = 0; err == SG_OK && i < count; i++) {
            bool is_it = is_first || span_is(events[i].kind, "settings.changed");
            *time_ms = is_it ? events[i].time_ms : *time_ms;
            after = events[i].cursor;
        }
        arena_release(&a);
        if (is_first && next_event > SETTINGS_EVENTS_BACK) {
            after = next_event - SETTINGS_EVENTS_BACK;
        }
    }
    return err;
}

/* No window is older than the settings in force: when these came, nothing was
 * overdue by the ones before (configure.c). */
static enum sg_err load_since(struct windows *w, struct rows *rows)
{
    struct counters_row counters;
    enum sg_err err = state_counters(rows, &counters);
    if (err != SG_OK) {
        return err;
    }
    w->since_ms = counters.settings_ms;
    if (w->since_ms == 0) {
        err = find_settings_event(rows, counters.next_event, &w->since_ms);
    }
    w->since_ms = FAULT_BUG("missed-forgotten") ? loop_wall_ms(w->env->loop) : w->since_ms;
    w->has_since = err == SG_OK;
    return err;
}

/* What came in the future came by a clock that was ahead, and now is right. The
 * windows until then are ours, from the last minute on. */
static void bound_since(struct windows *w, int64_t now_ms)
{
    if (w->since_ms > now_ms) {
        w->since_ms = now_ms - WINDOW_GRACE_MS;
    }
}

static enum sg_err read_due(struct windows *w, int64_t now_ms, struct window_time *due)
{
    struct duty_read r;
    enum sg_err err = duty_read_begin(&r, w->env->kv, w->env->routing_number.n);
    if (err != SG_OK) {
        return err;
    }
    if (!w->has_since) {
        err = load_since(w, &r.rows);
    }
    if (err == SG_OK) {
        bound_since(w, now_ms);
        err = find_due(w, &r.rows, now_ms, due);
    }
    duty_read_end(&r);
    return err;
}

/* SG_OK: the oldest window that is due, and what to do with it. */
static enum sg_err decide(struct windows *w, int64_t now_ms, struct window_time *due,
                          enum window_action *action)
{
    const struct duty_settings *d = w->env->settings;
    enum sg_err err = read_due(w, now_ms, due);
    if (err != SG_OK) {
        return err;
    }
    *action = window_due_action(&d->s.shard, d->zone, due, now_ms);
    return SG_OK;
}

/* --- Acting ------------------------------------------------------------------ */

static void retry_later(struct windows *w, const char *what, const char *why)
{
    struct log_scope scope = duty_scope(w->env);
    w->tries++;
    logger_line(LOG_WARN, &scope, "window.retry", "what=%s why=%s tries=%u", what, LOG_TEXT(why), w->tries);
    if (w->tries == WINDOW_ALERT_TRIES) {
        char text[320];
        (void)snprintf(text, sizeof text, "windows can't be closed at their time: %s", why);
        duty_alert(w->env, 0, text);
    }
    loop_after(w->env->loop, &w->timer, duty_backoff_ms(w->env, w->tries));
}

static void on_applied(void *owner, enum sg_err err, const struct command_result *result)
{
    struct windows *w = owner;
    w->busy = false;
    if (err == SG_OK) {
        err = result->err;
    }
    if (err != SG_OK) {
        char why[256];
        retry_later(w, "close",
                    result != NULL ? span_cstr(result->reason, why, sizeof why) : sg_err_text(err));
        return;
    }
    FAULT_POINT("window.closed");
    w->tries = 0;
    duty_wake(w->env, DUTY_WINDOWS | DUTY_SEALING | DUTY_OVERDUE);
}

/* As a CLOSE has it. */
static int64_t upload_by_ms(const struct duty_settings *d, struct day day, size_t window)
{
    int64_t ms = window_upload_by_ms(&d->s.shard, d->zone, day, window);
    return ms == INT64_MAX ? 0 : ms;
}

static void act(struct windows *w, const struct window_time *due, enum window_action action, int64_t now_ms)
{
    const struct settings *s = &w->env->settings->s;
    struct command c = {.time_ms = now_ms};
    if (action == WINDOW_LEAVE) {
        c.kind = COMMAND_MISSED;
        c.missed.window = id_of(s, due);
        c.missed.outcome = MISSED_TO_NEXT;
    } else {
        c.kind = COMMAND_CLOSE;
        c.close.window = id_of(s, due);
        c.close.scheduled_ms = due->close_ms;
        c.close.late = action != WINDOW_CLOSE;
        c.close.hold = action == WINDOW_CLOSE_HELD;
        c.close.processing_day = zone_local(w->env->settings->zone, now_ms).day;
        c.close.upload_by_ms = upload_by_ms(w->env->settings, due->day, due->window);
    }
    w->busy = true;
    w->is_caught_up = false;
    duty_propose(w->env, &c, on_applied, w);
}

static void arm(struct windows *w, int64_t now_ms)
{
    if (!w->has_next) {
        return;
    }
    int64_t wait_ms = w->next.close_ms - now_ms;
    if (wait_ms > WINDOW_LOOK_MS) {
        wait_ms = WINDOW_LOOK_MS;
    }
    loop_after(w->env->loop, &w->timer, wait_ms > 0 ? (uint64_t)wait_ms : 0);
}

/* Nothing can be due when the next window is still ahead and the wall clock
 * went on with the monotonic one. */
static bool is_quiet(struct windows *w, int64_t now_ms)
{
    int64_t offset_ms = now_ms - (int64_t)loop_now_ms(w->env->loop);
    int64_t jump_ms = offset_ms - w->offset_ms;
    w->offset_ms = offset_ms;
    return w->is_caught_up && w->has_next && now_ms < w->next.close_ms && jump_ms > -1000 && jump_ms < 1000;
}

static void caught_up(struct windows *w, int64_t now_ms)
{
    const struct duty_settings *d = w->env->settings;
    w->checked_ms = now_ms;
    w->tries = 0;
    w->has_next = window_next(&d->s, d->zone, now_ms + 1, &w->next) == SG_OK;
    arm(w, now_ms);
    w->is_caught_up = true;
    duty_wake(w->env, DUTY_CONFIGURE);
}

bool windows_none_overdue(struct windows *w)
{
    return w->is_caught_up && !w->busy && (!w->has_next || loop_wall_ms(w->env->loop) < w->next.close_ms);
}

void windows_settings_changed(struct windows *w)
{
    w->is_caught_up = false;
    w->has_next = false;
    w->has_since = false;
}

void windows_look(struct windows *w)
{
    if (!w->env->is_ready || w->busy) {
        return;
    }
    if (w->env->settings == NULL) {
        w->is_caught_up = true;
        return;
    }
    if (w->env->settings->zone == NULL) {
        if (!w->is_caught_up) {
            w->is_caught_up = true; /* Other settings may bring a zone that is known here. */
            duty_wake(w->env, DUTY_CONFIGURE);
        }
        retry_later(w, "zone", "this node does not know the time zone of the settings");
        return;
    }
    if (!duty_clock_is_sane(w->env)) {
        retry_later(w, "clock", "this node's clock reads no sensible day: set it right");
        return;
    }
    int64_t now_ms = loop_wall_ms(w->env->loop);
    if (is_quiet(w, now_ms)) {
        arm(w, now_ms);
        return;
    }
    if (now_ms < w->checked_ms) {
        w->checked_ms = 0; /* The clock was set back: ask the rows again. */
    }
    struct window_time due;
    enum window_action action;
    enum sg_err err = decide(w, now_ms, &due, &action);
    if (err == SG_OK) {
        act(w, &due, action, now_ms);
    } else if (err == SG_NOTFOUND) {
        caught_up(w, now_ms);
    } else {
        duty_judge(w->env, err, kv_damage());
        retry_later(w, "read", sg_err_text(err));
    }
}

/* --- Closing by hand --------------------------------------------------------- */

/* windows_count: there is none of that name. */
static size_t find_configured(const struct shard_settings *s, const char *name)
{
    size_t i = 0;
    while (i < s->windows_count && !span_is(s->windows[i].name, name)) {
        i++;
    }
    return i;
}

/* The first of M1, M2, ... that the day does not have yet. Numbers once given
 * are not given again while this leader leads: they may be under way. */
static enum sg_err name_manual(struct windows *w, struct window_id *id)
{
    struct duty_read r;
    enum sg_err err = duty_read_begin(&r, w->env->kv, w->env->routing_number.n);
    if (err != SG_OK) {
        return err;
    }
    if (w->manual_day.n != id->day.n) {
        w->manual_day = id->day;
        w->manual_count = 0;
    }
    struct window_row row;
    do {
        (void)snprintf(id->name, sizeof id->name, "M%u", ++w->manual_count);
        err = state_window(&r.rows, id, &row);
    } while (err == SG_OK);
    duty_read_end(&r);
    return err == SG_NOTFOUND ? SG_OK : err;
}

enum sg_err windows_manual(struct windows *w, struct command *c, char *why, size_t why_size)
{
    const struct duty_settings *d = w->env->settings;
    if (d == NULL || d->zone == NULL) {
        (void)snprintf(why, why_size, "the shard has no settings yet: apply a configuration, then try again");
        return SG_UNAVAILABLE;
    }
    if (!duty_clock_is_sane(w->env)) {
        (void)snprintf(why, why_size, "the clock of %s reads no sensible day: set it right, then try again",
                       w->env->node_name);
        return SG_UNAVAILABLE;
    }
    c->close.window.day = zone_local(d->zone, loop_wall_ms(w->env->loop)).day;
    c->close.processing_day = c->close.window.day;
    c->close.scheduled_ms = 0;
    c->close.manual = true;
    c->close.late = false;
    c->close.hold = false;
    c->close.upload_by_ms = 0;
    if (c->close.window.name[0] == '\0') {
        enum sg_err err = name_manual(w, &c->close.window);
        if (err != SG_OK) {
            duty_judge(w->env, err, kv_damage());
            (void)snprintf(why, why_size, "the shard's windows can't be read: %s", sg_err_text(err));
        }
        return err;
    }
    size_t window = find_configured(&d->s.shard, c->close.window.name);
    if (window == d->s.shard.windows_count) {
        (void)snprintf(why, why_size,
                       "the shard has no window %s: name one of its windows, or none for a "
                       "cut-off right now",
                       c->close.window.name);
        return SG_NOTFOUND;
    }
    /* Closed by hand after its time the window has no deadline left to miss. */
    int64_t by_ms = upload_by_ms(d, c->close.window.day, window);
    c->close.upload_by_ms = by_ms > loop_wall_ms(w->env->loop) ? by_ms : 0;
    return SG_OK;
}
