/* The bank of a duty_world: files by name, and requests that meet what the test
 * wants them to meet. */
#include <stdio.h>
#include <string.h>

#include "proto/base/mem.h"
#include "tests/support/duty_world.h"

struct world_request {
    struct task task;
    struct world_leader *leader;
    struct bank_request *request;
    bool is_held, is_run, is_answered;
    enum world_verdict verdict;
    struct world_request *next;
};

/* --- The bank -------------------------------------------------------------------------- */

struct world_file *world_find(struct world *w, enum bank_place place, const char *name)
{
    for (size_t i = 0; i < WORLD_FILES_MAX; i++) {
        if (w->files[i].place == place && strcmp(w->files[i].name, name) == 0) {
            return &w->files[i];
        }
    }
    return NULL;
}

static struct world_file *new_file(struct world *w, enum bank_place place, const char *name)
{
    for (size_t i = 0; i < WORLD_FILES_MAX; i++) {
        if (w->files[i].place == 0) {
            w->files[i].place = place;
            (void)snprintf(w->files[i].name, BANK_NAME_SIZE, "%s", name);
            return &w->files[i];
        }
    }
    check_failed(__FILE__, __LINE__, "WORLD_FILES_MAX files");
}

void world_put(struct world *w, enum bank_place place, const char *name, const char *content)
{
    bytes_set(&new_file(w, place, name)->content, span_str(content));
}

static void remove_file(struct world_file *f)
{
    f->place = 0;
    bytes_release(&f->content);
}

void world_move(struct world *w, struct world_file *f, enum bank_place place, const char *name)
{
    CHECK(world_find(w, place, name) == NULL);
    f->place = place;
    (void)snprintf(f->name, sizeof f->name, "%s", name);
}

void world_purge(struct world *w, enum bank_place place)
{
    for (size_t i = 0; i < WORLD_FILES_MAX; i++) {
        if (w->files[i].place == place) {
            remove_file(&w->files[i]);
        }
    }
}

void world_take(struct world *w)
{
    for (size_t i = 0; i < WORLD_FILES_MAX; i++) {
        bool is_visible = !w->is_unsynced || strcmp(w->files[i].name, w->unsynced_to) != 0;
        if (w->files[i].place == BANK_DROP && is_visible) {
            CHECK(w->taken_count < WORLD_TAKEN_MAX);
            w->taken[w->taken_count++] = w->files[i];
            w->files[i] = (struct world_file){.content = BYTES_NONE};
        }
    }
}

static bool has_suffix(const char *name, const char *suffix)
{
    size_t n = strlen(name), k = strlen(suffix);
    return n >= k && strcmp(name + n - k, suffix) == 0;
}

size_t world_staged(struct world *w, const char *suffix)
{
    size_t count = 0;
    for (size_t i = 0; i < WORLD_FILES_MAX; i++) {
        bool is_staging = w->files[i].place == BANK_STAGING || w->files[i].place == WORLD_STAGING_2;
        count += is_staging && has_suffix(w->files[i].name, suffix);
    }
    return count;
}

/* Another staging directory is another place. */
static enum bank_place place_in(const struct bank_request *r, enum bank_place place)
{
    bool is_second = place == BANK_STAGING && span_is(r->endpoint->staging_dir, WORLD_STAGING_2_DIR);
    return is_second ? WORLD_STAGING_2 : place;
}

static enum bank_answer run_create(struct world *w, const struct bank_request *r, size_t n)
{
    if (world_find(w, place_in(r, r->place), r->name) != NULL) {
        return BANK_EXISTS;
    }
    bytes_set(&new_file(w, place_in(r, r->place), r->name)->content, span_of(r->data.p, n));
    return BANK_OK;
}

static enum bank_answer run_rename(struct world *w, const struct bank_request *r)
{
    struct world_file *from = world_find(w, place_in(r, r->place), r->name);
    if (from == NULL) {
        return BANK_ABSENT;
    }
    if (world_find(w, place_in(r, r->to_place), r->to_name) != NULL) {
        return BANK_EXISTS;
    }
    world_move(w, from, place_in(r, r->to_place), r->to_name);
    if (w->has_power_losses) {
        w->is_unsynced = true;
        w->unsynced_place = place_in(r, r->to_place);
        (void)snprintf(w->unsynced_from, sizeof w->unsynced_from, "%s", r->name);
        (void)snprintf(w->unsynced_to, sizeof w->unsynced_to, "%s", r->to_name);
    }
    return BANK_OK;
}

void world_power_loss(struct world *w)
{
    struct world_file *f = w->is_unsynced ? world_find(w, w->unsynced_place, w->unsynced_to) : NULL;
    if (f != NULL) {
        world_move(w, f, BANK_STAGING, w->unsynced_from);
    }
    w->is_unsynced = false;
}

static enum bank_answer run_op(struct world *w, struct bank_request *r, bool half)
{
    struct world_file *f = world_find(w, place_in(r, r->place), r->name);
    switch (r->op) {
    case BANK_CREATE:
        return run_create(w, r, half ? r->data.n / 2 : r->data.n);
    case BANK_STAT:
        r->size_bytes = f != NULL ? f->content.n : 0;
        return f != NULL ? BANK_OK : BANK_ABSENT;
    case BANK_RENAME:
        return run_rename(w, r);
    case BANK_REMOVE:
        if (f == NULL) {
            return BANK_ABSENT;
        }
        remove_file(f);
        return BANK_OK;
    case BANK_SYNC:
        w->is_unsynced = false;
        break;
    case BANK_PROBE:
    case BANK_OPS:
        break;
    }
    return BANK_OK;
}

static const char *op_name(enum bank_op op)
{
    static const char *names[] = {"create", "stat", "rename", "sync", "remove", "probe"};
    return names[op];
}

static void trace(struct world *w, const struct world_request *q)
{
    const struct bank_request *r = q->request;
    const char *dot = strrchr(r->name, '.');
    bool has_name = r->op != BANK_SYNC && r->op != BANK_PROBE;
    bytes_printf(&w->trace, "%s%c:%s%s", w->trace.n > 0 ? " " : "", 'A' + (char)q->leader->number,
                 op_name(r->op),
                 !has_name               ? ""
                 : r->place == BANK_DROP ? ".F"
                 : dot != NULL           ? dot
                                         : "");
}

static void request_run(struct world_request *q)
{
    struct world *w = q->leader->world;
    bool runs = q->verdict == WORLD_RUN || q->verdict == WORLD_RUN_UNHEARD || q->verdict == WORLD_HALF ||
                q->verdict == WORLD_HOLD;
    q->is_run = true;
    q->request->answer = q->verdict == WORLD_FAIL ? BANK_FAILED : BANK_DOUBT;
    (void)snprintf(q->request->text, sizeof q->request->text, "%s",
                   q->verdict == WORLD_RUN ? "" : "in a test");
    if (runs) {
        trace(w, q);
        enum bank_answer answer = run_op(w, q->request, q->verdict == WORLD_HALF);
        if (q->verdict == WORLD_RUN || q->verdict == WORLD_HOLD) {
            q->request->answer = answer;
        }
    }
    if (w->is_bank_quick) {
        world_take(w);
    }
}

static void request_answer(struct world_request *q)
{
    q->is_answered = true;
    q->request->done(q->request);
}

static void on_request_due(struct task *t)
{
    struct world_request *q = CONTAINER_OF(t, struct world_request, task);
    if (!q->is_run) {
        request_run(q);
    }
    if (!q->leader->is_dead) {
        request_answer(q);
    }
}

static void on_request(void *impl, struct bank_request *r)
{
    struct world_leader *l = impl;
    struct world *w = l->world;
    struct world_request *q = mem_zalloc(1, sizeof *q);
    q->task.run = on_request_due;
    q->leader = l;
    q->request = r;
    q->next = w->requests;
    w->requests = q;
    if (l->is_dead) {
        return; /* A dead process sends nothing. */
    }
    q->verdict = w->on_request != NULL ? w->on_request(w, l, r) : WORLD_RUN;
    q->is_held = q->verdict == WORLD_HOLD;
    if (!q->is_held) {
        loop_after(w->loop, &q->task, w->delay_ms != NULL ? w->delay_ms(w) : 0);
    }
}

const struct bank_ops world_bank_ops = {.request = on_request};

size_t world_release(struct world *w)
{
    size_t count = 0;
    for (struct world_request *q = w->requests; q != NULL; q = q->next) {
        if (q->is_held) {
            q->is_held = false;
            request_run(q);
            loop_after(w->loop, &q->task, 0);
            count++;
        }
    }
    return count;
}

void world_end_requests(struct world *w)
{
    while (w->requests != NULL) {
        struct world_request *q = w->requests;
        w->requests = q->next;
        loop_cancel(w->loop, &q->task);
        if (!q->is_answered) {
            q->request->answer = BANK_DOUBT;
            q->request->done(q->request);
        }
        mem_free(q);
    }
}
