#include "shard/duties/duty.h"

#include "proto/base/mem.h"

struct log_scope duty_scope(const struct duty_env *e)
{
    return (struct log_scope){
        .node = e->node_name, .group = e->routing_number.n, .has_group = 1, .term = e->term};
}

bool duty_clock_is_sane(const struct duty_env *e)
{
    int64_t day = loop_wall_ms(e->loop) / (24ll * 3600 * 1000);
    return day > day_of(EFFECTIVE_YEAR_MIN, 1, 1).n && day < day_of(EFFECTIVE_YEAR_MAX, 11, 30).n;
}

int64_t duty_stamp_ms(const struct duty_env *e)
{
    int64_t now_ms = loop_wall_ms(e->loop);
    return now_ms > 0 ? now_ms : 1;
}

enum sg_err duty_read_begin(struct duty_read *r, struct kv *kv, uint64_t group)
{
    r->kv = kv;
    enum sg_err err = kv_begin(kv, false, &r->txn);
    if (err != SG_OK) {
        return err;
    }
    rows_init(&r->rows, kv, r->txn, group);
    return SG_OK;
}

void duty_read_end(struct duty_read *r)
{
    rows_release(&r->rows);
    kv_abort(r->kv, r->txn);
}

void duty_judge(struct duty_env *e, enum sg_err err, const char *why)
{
    if (err == SG_CORRUPT) {
        e->damaged(e->impl, why);
    }
}

enum sg_err duty_settings_load(struct duty_env *e)
{
    struct duty_read r;
    enum sg_err err = duty_read_begin(&r, e->kv, e->routing_number.n);
    if (err != SG_OK) {
        return err;
    }
    struct counters_row counters;
    err = state_counters(&r.rows, &counters);
    if (err != SG_OK) {
        duty_read_end(&r);
        return err;
    }
    e->level = state_level(&counters);
    struct duty_settings *s = mem_zalloc(1, sizeof *s);
    s->refs_count = 1;
    err = state_settings(&r.rows, e->level, &s->arena, &s->s);
    duty_read_end(&r);
    if (err != SG_OK) {
        duty_settings_unref(s);
        return err == SG_NOTFOUND ? SG_OK : err;
    }
    s->zone = e->zone(e->names_impl, s->s.shard.zone);
    duty_settings_drop(e);
    e->settings = s;
    return SG_OK;
}

struct duty_settings *duty_settings_ref(struct duty_env *e)
{
    CHECK(e->settings != NULL);
    e->settings->refs_count++;
    return e->settings;
}

enum sg_err duty_settings_at(struct duty_env *e, struct duty_read *r, uint64_t version,
                             struct duty_settings **out)
{
    *out = NULL;
    if (version == 0 || version == e->settings->s.version) {
        *out = duty_settings_ref(e);
        return SG_OK;
    }
    struct duty_settings *s = mem_zalloc(1, sizeof *s);
    s->refs_count = 1;
    enum sg_err err = state_settings_at(&r->rows, version, e->level, &s->arena, &s->s);
    if (err != SG_OK) {
        duty_settings_unref(s);
        return err == SG_NOTFOUND ? SG_CORRUPT : err; /* Settings are kept. */
    }
    s->zone = e->zone(e->names_impl, s->s.shard.zone);
    *out = s;
    return SG_OK;
}

void duty_settings_unref(struct duty_settings *s)
{
    if (s == NULL) {
        return;
    }
    CHECK(s->refs_count > 0);
    if (--s->refs_count == 0) {
        arena_release(&s->arena);
        mem_free(s);
    }
}

void duty_settings_drop(struct duty_env *e)
{
    duty_settings_unref(e->settings);
    e->settings = NULL;
}

/* One proposal under way, freed when it is answered. */
struct duty_call {
    struct duty_env *env;
    struct proposal proposal;
    struct task refused; /* Brings a refusal from a later turn. */
    enum sg_err err;
    uint64_t term;
    duty_done done;
    void *owner;
};

static void call_end(struct duty_call *c, enum sg_err err, const struct command_result *result)
{
    struct duty_env *e = c->env;
    duty_done done = c->done;
    void *owner = c->owner;
    bool wanted = done != NULL && duty_is_current(e, c->term);
    CHECK(e->outstanding_count > 0);
    e->outstanding_count--;
    mem_free(c);
    if (wanted) {
        done(owner, err, result);
    }
}

static void call_refused(struct task *t)
{
    struct duty_call *c = CONTAINER_OF(t, struct duty_call, refused);
    call_end(c, c->err, NULL);
}

static void call_done(struct proposal *p, enum sg_err err)
{
    struct duty_call *c = CONTAINER_OF(p, struct duty_call, proposal);
    if (err != SG_OK) {
        call_end(c, err, NULL);
        return;
    }
    struct arena a = ARENA_INIT;
    struct command_result result;
    err = command_result_decode(p->result, &a, &result);
    CHECK(err == SG_OK); /* Our own apply wrote it. */
    call_end(c, SG_OK, &result);
    arena_release(&a);
}

void duty_propose(struct duty_env *e, struct command *command, duty_done done, void *owner)
{
    if (command->time_ms == 0) {
        command->time_ms = duty_stamp_ms(e);
    }
    if (command->level == 0) {
        command->level = e->level;
    }
    command->node = span_str(e->node_name);
    struct bytes encoded = BYTES_NONE;
    command_encode(command, &encoded);

    struct duty_call *c = mem_zalloc(1, sizeof *c);
    c->env = e;
    c->term = e->term;
    c->done = done;
    c->owner = owner;
    c->proposal.command = span_bytes(&encoded);
    c->proposal.done = call_done;
    e->outstanding_count++;
    c->err = e->propose(e->impl, &c->proposal);
    if (c->err != SG_OK) {
        c->refused.run = call_refused;
        loop_after(e->loop, &c->refused, 0);
    }
    bytes_release(&encoded);
}

void duty_alert(struct duty_env *e, uint64_t file, const char *reason)
{
    struct log_scope scope = duty_scope(e);
    logger_line(LOG_WARN, &scope, "alert", "file=%llu reason=%s", (unsigned long long)file, LOG_TEXT(reason));
    struct command c = {.kind = COMMAND_ALERT};
    c.file.file = file;
    c.file.reason = span_str(reason);
    duty_propose(e, &c, NULL, NULL);
}

uint64_t duty_backoff_ms(struct duty_env *e, uint32_t tries)
{
    uint64_t wait_ms = UPLOAD_RETRY_MIN_MS;
    for (uint32_t i = 1; i < tries && wait_ms < UPLOAD_RETRY_MAX_MS; i++) {
        wait_ms *= 2;
    }
    if (wait_ms > UPLOAD_RETRY_MAX_MS) {
        wait_ms = UPLOAD_RETRY_MAX_MS;
    }
    return wait_ms / 2 + loop_random(e->loop) % (wait_ms / 2 + 1);
}
