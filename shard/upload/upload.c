#include "shard/upload/walk.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/fault.h"
#include "proto/base/mem.h"

static void proceed(struct uploads *us);

static void tell_slow(struct uploads *us);

static void on_timer(struct task *t)
{
    struct uploads *us = CONTAINER_OF(t, struct uploads, timer);
    if (us->is_pending) {
        tell_slow(us);
    } else {
        proceed(us);
    }
}

void uploads_init_with(struct uploads *us, struct duty_env *env, const struct upload_step_ops *const *steps)
{
    *us = (struct uploads){.env = env, .steps = steps};
    us->timer.run = on_timer;
}

void uploads_start(struct uploads *us)
{
    uploads_stop(us);
    us->is_probed = false;
}

static const struct upload_step_ops *step_of(const struct upload *u)
{
    return u->uploads->steps[u->step];
}

/* --- The list ----------------------------------------------------------------- */

static struct upload *find(struct uploads *us, uint64_t file)
{
    struct upload *u = us->head;
    while (u != NULL && u->file != file) {
        u = u->next;
    }
    return u;
}

static struct upload *add(struct uploads *us, uint64_t file)
{
    struct upload *u = mem_zalloc(1, sizeof *u);
    u->uploads = us;
    u->file = file;
    u->step = UPLOAD_START;
    struct upload **at = &us->head;
    while (*at != NULL && (*at)->file < file) {
        at = &(*at)->next;
    }
    CHECK(*at == NULL || (*at)->file != file);
    u->next = *at;
    *at = u;
    us->count++;
    return u;
}

static void drop(struct uploads *us, struct upload *u)
{
    struct upload **at = &us->head;
    while (*at != u) {
        at = &(*at)->next;
    }
    *at = u->next;
    us->count--;
    bytes_release(&u->data);
    duty_settings_unref(u->settings);
    mem_free(u->garbage);
    mem_free(u);
}

void uploads_stop(struct uploads *us)
{
    loop_cancel(us->env->loop, &us->timer);
    while (us->head != NULL) {
        drop(us, us->head);
    }
    us->is_pending = false; /* What is under way belongs to an old term: nobody looks at it. */
    us->has_more = false;
}

void uploads_need_probe(struct uploads *us)
{
    us->is_probed = false;
    if (find(us, 0) == NULL) {
        (void)add(us, 0);
    }
}

/* --- Directories that change meanwhile ------------------------------------------------ */

static bool same_place(const struct endpoint_settings *a, const struct endpoint_settings *b)
{
    return a->kind == b->kind && span_eq(a->drop_dir, b->drop_dir) && span_eq(a->staging_dir, b->staging_dir);
}

/* Evidence is evidence only if all looks went to one place: T missed in one
 * directory and W found in another would be taken for an upload. An attempt that
 * knows its place stays there; before it is claimed nothing is at the bank, and the
 * newest settings count. The commands that follow from what was seen are made all
 * the same. */
bool upload_is_elsewhere(const struct upload *u)
{
    if (u->step == UPLOAD_START || u->step >= UPLOAD_UPLOADED || u->is_placed) {
        return false;
    }
    return !same_place(&u->uploads->env->settings->s.endpoint, &u->settings->s.endpoint);
}

enum sg_err upload_take_settings(struct upload *u, struct duty_read *r, uint64_t version)
{
    struct duty_settings *s;
    enum sg_err err = duty_settings_at(u->uploads->env, r, version, &s);
    if (err == SG_OK) {
        duty_settings_unref(u->settings);
        u->settings = s;
        u->is_placed = version != 0;
    }
    return err;
}

/* --- Which step runs next -------------------------------------------------------- */

static bool is_waiting_for_probe(const struct upload *u)
{
    return u->step == UPLOAD_PROBE && u->file != 0 && !u->uploads->is_probed;
}

static struct upload *pick(struct uploads *us, uint64_t *wait_ms)
{
    uint64_t now_ms = loop_now_ms(us->env->loop);
    *wait_ms = UINT64_MAX;
    for (struct upload *u = us->head; u != NULL; u = u->next) {
        if (is_waiting_for_probe(u)) {
            continue;
        }
        if (u->due_ms <= now_ms) {
            return u;
        }
        if (u->due_ms - now_ms < *wait_ms) {
            *wait_ms = u->due_ms - now_ms;
        }
    }
    return NULL;
}

/* I-17: nothing is done at a bank, and no claim made, on the word of rows that only
 * this replica may have. A majority must have had the same ones when the decision
 * was read (start) or when the command it follows from was applied. A look at the
 * rows is always allowed. */
static bool is_confirmed(struct upload *u)
{
    struct uploads *us = u->uploads;
    struct duty_env *e = us->env;
    uint64_t now_ms = loop_now_ms(e->loop);
    if (u->step == UPLOAD_START || u->step == UPLOAD_ENDED || FAULT_BUG("act-unconfirmed") ||
        e->confirm(e->impl, u->decided) >= u->decided) {
        u->waits_ms = 0;
        return true;
    }
    u->waits_ms = u->waits_ms == 0 ? now_ms : u->waits_ms;
    if (now_ms - u->waits_ms >= CONFIRM_SLOW_MS && !u->alerted) {
        u->alerted = true;
        (void)snprintf(u->last_error, sizeof u->last_error,
                       "nothing is sent before a majority of replicas has the same rows (step %s)",
                       upload_step_name(u->step));
        duty_alert(e, u->file, u->last_error);
    }
    loop_after(e->loop, &us->timer, CONFIRM_SLOW_MS);
    return false;
}

/* Run steps until one takes time or none is due. */
static void proceed(struct uploads *us)
{
    while (us->env->is_ready && !us->is_pending) {
        uint64_t wait_ms;
        struct upload *u = pick(us, &wait_ms);
        if (u == NULL) {
            if (wait_ms != UINT64_MAX) {
                loop_after(us->env->loop, &us->timer, wait_ms);
            }
            return;
        }
        if (u->step == UPLOAD_ENDED) {
            drop(us, u);
            if (us->has_more) {
                duty_wake(us->env, DUTY_UPLOADS);
            }
            continue;
        }
        if (upload_is_elsewhere(u)) {
            upload_move(u, UPLOAD_START);
        }
        if (!is_confirmed(u)) {
            return;
        }
        step_of(u)->enter(u);
    }
}

void uploads_confirmed(struct uploads *us)
{
    proceed(us);
}

void upload_move(struct upload *u, enum upload_step next)
{
    CHECK(upload_may_follow(u->step, next));
    CHECK_IMPLIES(next > UPLOAD_CLAIM && next<UPLOAD_CLEAN, u->attempt> 0);
    CHECK_IMPLIES(next == UPLOAD_PUT, u->data.p != NULL);
    if (next == UPLOAD_START) {
        bytes_release(&u->data); /* Every attempt builds its bytes anew. */
        mem_free(u->garbage);
        u->garbage = NULL;
        u->is_copy_cleaned = false;
    }
    u->step = next;
    u->due_ms = 0;
}

void upload_retry(struct upload *u, enum upload_step next, const char *why)
{
    struct duty_env *e = u->uploads->env;
    struct log_scope scope = duty_scope(e);
    (void)snprintf(u->last_error, sizeof u->last_error, "%s", why);
    u->tries++;
    logger_line(LOG_WARN, &scope, "upload.retry", "file=%" PRIu64 " step=%s tries=%u why=%s", u->file,
                upload_step_name(u->step), u->tries, LOG_TEXT(u->last_error));
    bool is_time = u->tries >= UPLOAD_ALERT_TRIES || u->file == 0;
    if (is_time && !u->alerted) {
        char text[BANK_TEXT_SIZE + 64];
        u->alerted = true;
        (void)snprintf(text, sizeof text, "upload does not go on at step %s: %s", upload_step_name(u->step),
                       why);
        duty_alert(e, u->file, text);
    }
    if (next != u->step) {
        upload_move(u, next);
    }
    u->due_ms = loop_now_ms(e->loop) + duty_backoff_ms(e, u->tries);
}

/* --- Bank requests ------------------------------------------------------------------ */

struct bank_call {
    struct uploads *uploads;
    uint64_t term, file;
    struct duty_settings *settings;
    struct bytes data;
    struct bank_request request;
};

static void bank_done(struct bank_request *r)
{
    struct bank_call *c = CONTAINER_OF(r, struct bank_call, request);
    struct uploads *us = c->uploads;
    us->env->outstanding_count--;
    /* I-8: an answer that comes after this replica lost its office is not looked at. */
    bool wanted = duty_is_current(us->env, c->term);
    if (wanted) {
        struct upload *u = find(us, c->file);
        CHECK(us->is_pending && us->pending_file == c->file);
        CHECK(u != NULL);
        us->is_pending = false;
        step_of(u)->answered(u, r);
    }
    duty_settings_unref(c->settings);
    bytes_release(&c->data);
    mem_free(c);
    if (wanted) {
        proceed(us);
    }
}

void upload_name(const struct duty_env *e, uint64_t attempt, const char *suffix, char out[BANK_NAME_SIZE])
{
    char aba[ABA_TEXT_SIZE];
    int n = snprintf(out, BANK_NAME_SIZE, "%s-%s-%" PRIu64 "%s", e->cluster, aba_text(e->routing_number, aba),
                     attempt, suffix);
    CHECK(n > 0 && n < BANK_NAME_SIZE);
}

struct bank_request *upload_request(struct upload *u, enum bank_op op, const char *suffix)
{
    struct uploads *us = u->uploads;
    struct bank_call *c = mem_zalloc(1, sizeof *c);
    c->uploads = us;
    c->term = us->env->term;
    c->file = u->file;
    c->settings = u->settings;
    c->settings->refs_count++;
    c->request.op = op;
    c->request.endpoint = &c->settings->s.endpoint;
    c->request.done = bank_done;
    if (suffix != NULL) {
        c->request.place = BANK_STAGING;
        upload_name(us->env, u->attempt, suffix, c->request.name);
    } else {
        c->request.place = BANK_DROP;
        (void)snprintf(c->request.name, sizeof c->request.name, "%s", u->name);
    }
    return &c->request;
}

/* A request that is not answered can't be taken back: it may still be carried
 * out. So nothing else is begun, but people learn of it. */
static void tell_slow(struct uploads *us)
{
    struct upload *u = find(us, us->pending_file);
    CHECK(u != NULL);
    (void)snprintf(u->last_error, sizeof u->last_error,
                   "the bank's directory or server does not answer (step %s)", upload_step_name(u->step));
    if (!u->alerted) {
        u->alerted = true;
        duty_alert(us->env, u->file, u->last_error);
    }
}

static uint64_t slow_ms(const struct bank_request *r)
{
    uint64_t rate = r->endpoint->rate_limit_bytes;
    return BANK_SLOW_MS + (rate > 0 ? (uint64_t)r->data.n * 1000 / rate : 0);
}

void upload_send(struct upload *u, struct bank_request *r, struct bytes *data)
{
    struct bank_call *c = CONTAINER_OF(r, struct bank_call, request);
    struct uploads *us = u->uploads;
    CHECK(!us->is_pending);
    if (data != NULL) {
        c->data = *data;
        *data = BYTES_NONE;
        r->data = span_bytes(&c->data);
    }
    us->is_pending = true;
    us->pending_file = u->file;
    us->env->outstanding_count++;
    loop_after(us->env->loop, &us->timer, slow_ms(r));
    bank_send(us->env->bank, r);
}

/* --- Commands ------------------------------------------------------------------------ */

static void on_applied(void *owner, enum sg_err err, const struct command_result *result)
{
    struct uploads *us = owner;
    struct upload *u = find(us, us->pending_file);
    CHECK(us->is_pending);
    CHECK(u != NULL);
    us->is_pending = false;
    if (err != SG_OK) {
        upload_retry(u, UPLOAD_START, sg_err_text(err));
    } else if (result->err != SG_OK) {
        char why[BANK_TEXT_SIZE];
        upload_retry(u, UPLOAD_START, span_cstr(result->reason, why, sizeof why));
    } else {
        u->decided = result->index;
        step_of(u)->applied(u, result);
    }
    proceed(us);
}

void upload_commit(struct upload *u, struct command *c)
{
    struct uploads *us = u->uploads;
    CHECK(!us->is_pending);
    us->is_pending = true;
    us->pending_file = u->file;
    c->file.file = u->file;
    duty_propose(us->env, c, on_applied, us);
}

/* --- Rebuilding ------------------------------------------------------------------------- */

struct rebuild {
    struct work work;
    struct uploads *uploads;
    struct kv *kv;
    uint64_t group, term, file;
    enum sg_err err;
    struct bytes data;
    char why[BANK_TEXT_SIZE];
};

static void rebuild_run(struct work *work)
{
    struct rebuild *b = CONTAINER_OF(work, struct rebuild, work);
    struct duty_read r;
    b->err = duty_read_begin(&r, b->kv, b->group);
    if (b->err != SG_OK) {
        return;
    }
    b->err = state_file_bytes(&r.rows, b->file, &b->data, b->why, sizeof b->why);
    if (b->err == SG_CORRUPT) {
        (void)snprintf(b->why, sizeof b->why, "%s", kv_damage());
    }
    duty_read_end(&r);
}

static void rebuild_done(struct work *work)
{
    struct rebuild *b = CONTAINER_OF(work, struct rebuild, work);
    struct uploads *us = b->uploads;
    us->env->outstanding_count--;
    bool wanted = duty_is_current(us->env, b->term);
    if (wanted) {
        struct upload *u = find(us, b->file);
        CHECK(us->is_pending && us->pending_file == b->file);
        CHECK(u != NULL);
        us->is_pending = false;
        u->data = b->data;
        b->data = BYTES_NONE;
        step_of(u)->rebuilt(u, b->err, b->why);
    }
    bytes_release(&b->data);
    mem_free(b);
    if (wanted) {
        proceed(us);
    }
}

void upload_rebuild(struct upload *u)
{
    struct uploads *us = u->uploads;
    CHECK(!us->is_pending);
    CHECK(u->data.p == NULL);
    struct rebuild *b = mem_zalloc(1, sizeof *b);
    b->work.run = rebuild_run;
    b->work.done = rebuild_done;
    b->uploads = us;
    b->kv = us->env->kv;
    b->group = us->env->routing_number.n;
    b->term = us->env->term;
    b->file = u->file;
    us->is_pending = true;
    us->pending_file = u->file;
    us->env->outstanding_count++;
    loop_elsewhere(us->env->loop, WORKER_READ, &b->work);
}

/* --- Taking up files ----------------------------------------------------------------------- */

static bool is_finished_here(const struct file_row *f)
{
    return f->state == FILE_HOLD || f->verified;
}

/* Files that have not ended come first, and half of the places are theirs alone;
 * those that only wait for the end of verify_window may wait for a place. */
static void take_up(struct uploads *us, const struct file_row *files, size_t count, bool ended)
{
    size_t limit = ended ? UPLOADS_OPEN_MAX : 2 * UPLOADS_OPEN_MAX;
    for (size_t i = 0; i < count; i++) {
        const struct file_row *f = &files[i];
        bool has_ended = f->state == FILE_UPLOADED || f->state == FILE_ABANDONED;
        if (is_finished_here(f) || has_ended != ended || find(us, f->seal.file) != NULL) {
            continue;
        }
        if (us->count >= limit) {
            us->has_more = true;
            return;
        }
        (void)add(us, f->seal.file);
    }
}

static enum sg_err refresh(struct uploads *us)
{
    struct duty_read r;
    enum sg_err err = duty_read_begin(&r, us->env->kv, us->env->routing_number.n);
    if (err != SG_OK) {
        return err;
    }
    struct arena a = ARENA_INIT;
    struct file_row *files;
    size_t count;
    err = state_files_open_work(&r.rows, &a, &files, &count);
    if (err == SG_OK) {
        us->has_more = false;
        take_up(us, files, count, false);
        take_up(us, files, count, true);
    }
    arena_release(&a);
    duty_read_end(&r);
    return err;
}

void uploads_look(struct uploads *us)
{
    if (!us->env->is_ready || us->env->settings == NULL) {
        return;
    }
    enum sg_err err = refresh(us);
    if (err != SG_OK) {
        struct log_scope scope = duty_scope(us->env);
        duty_judge(us->env, err, kv_damage());
        logger_line(LOG_ERROR, &scope, "upload.unreadable", "why=%s", LOG_TEXT(sg_err_text(err)));
    }
    if (!us->is_probed) {
        uploads_need_probe(us);
    }
    proceed(us);
}

void uploads_retry(struct uploads *us)
{
    if (!us->env->is_ready) {
        return;
    }
    us->is_probed = false;
    for (struct upload *u = us->head; u != NULL; u = u->next) {
        bool is_under_way = us->is_pending && us->pending_file == u->file;
        if (!is_under_way && (u->step < UPLOAD_CLEAN || u->file == 0)) {
            upload_move(u, UPLOAD_START);
        }
    }
    uploads_look(us);
}

uint64_t uploads_under_way(const struct uploads *us)
{
    for (const struct upload *u = us->head; u != NULL; u = u->next) {
        if (u->step >= UPLOAD_CLAIM && u->step <= UPLOAD_CHECK_WITNESS && u->tries == 0) {
            return u->file;
        }
    }
    return 0;
}

static void status_of(const struct upload *u, uint64_t now_ms, struct shard_upload_status *out)
{
    uint64_t wait_ms = u->due_ms > now_ms ? u->due_ms - now_ms : 0;
    *out = (struct shard_upload_status){
        .file = u->file,
        .step = upload_step_name(u->step),
        .tries = u->tries,
        .last_error = u->last_error,
        .next_try_ms = wait_ms > 0 ? loop_wall_ms(u->uploads->env->loop) + (int64_t)wait_ms : 0};
}

size_t uploads_status(const struct uploads *us, struct shard_upload_status *out, size_t max)
{
    uint64_t now_ms = loop_now_ms(us->env->loop);
    size_t n = 0;
    for (int quiet = 0; quiet < 2; quiet++) {
        for (const struct upload *u = us->head; u != NULL && n < max; u = u->next) {
            bool is_quiet = u->step >= UPLOAD_CLEAN && u->last_error[0] == '\0';
            if (is_quiet == (quiet == 1)) {
                status_of(u, now_ms, &out[n++]);
            }
        }
    }
    return n;
}
