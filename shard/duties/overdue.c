#include "shard/duties/overdue.h"

#include <string.h>

/* A file by its number, a window (file 0) by its id. */
struct overdue_told {
    uint64_t file;
    struct window_id window;
};

static void on_timer(struct task *t)
{
    overdue_look(CONTAINER_OF(t, struct overdue, timer));
}

void overdue_init(struct overdue *o, struct duty_env *env)
{
    *o = (struct overdue){.env = env};
    o->timer.run = on_timer;
}

void overdue_stop(struct overdue *o)
{
    loop_cancel(o->env->loop, &o->timer);
    bytes_release(&o->told);
}

static bool is_told(const struct bytes *told, const struct owed *w)
{
    const struct overdue_told *t = (const void *)told->p;
    for (size_t i = 0; i < told->n / sizeof *t; i++) {
        if (t[i].file == w->file && (w->file != 0 || (t[i].window.day.n == w->window.day.n &&
                                                      strcmp(t[i].window.name, w->window.name) == 0))) {
            return true;
        }
    }
    return false;
}

/* What has ended meanwhile drops out of the list. Returns the next deadline, 0: none. */
static int64_t tell(struct overdue *o, const struct owed *list, size_t count, int64_t now_ms)
{
    struct bytes told = BYTES_NONE;
    int64_t next_ms = 0;
    for (size_t i = 0; i < count; i++) {
        const struct owed *w = &list[i];
        if (w->upload_by_ms > now_ms) {
            next_ms = next_ms == 0 || w->upload_by_ms < next_ms ? w->upload_by_ms : next_ms;
            continue;
        }
        if (!is_told(&o->told, w)) {
            char text[OWED_TEXT_SIZE];
            duty_alert(o->env, w->file, owed_text(w, text));
        }
        struct overdue_told t = {.file = w->file, .window = w->window};
        bytes_append(&told, &t, sizeof t);
    }
    bytes_release(&o->told);
    o->told = told;
    return next_ms;
}

static enum sg_err read_owed(struct overdue *o, struct arena *a, struct owed **list, size_t *count)
{
    struct duty_read r;
    enum sg_err err = duty_read_begin(&r, o->env->kv, o->env->routing_number.n);
    if (err != SG_OK) {
        return err;
    }
    err = state_owed(&r.rows, a, list, count);
    duty_read_end(&r);
    duty_judge(o->env, err, kv_damage());
    return err;
}

void overdue_look(struct overdue *o)
{
    struct duty_env *e = o->env;
    struct arena a = ARENA_INIT;
    struct owed *list = NULL;
    size_t count = 0;
    if (!e->is_ready) {
        return;
    }
    int64_t now_ms = loop_wall_ms(e->loop);
    enum sg_err err = read_owed(o, &a, &list, &count);
    int64_t next_ms = err == SG_OK ? tell(o, list, count, now_ms) : now_ms + WINDOW_LOOK_MS;
    arena_release(&a);
    if (next_ms != 0 && e->is_ready) {
        int64_t wait_ms = next_ms - now_ms;
        loop_after(e->loop, &o->timer, wait_ms < WINDOW_LOOK_MS ? (uint64_t)wait_ms : WINDOW_LOOK_MS);
    }
}
