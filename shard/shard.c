#include "shard/shard.h"

#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "shard/duties.h"
#include "shard/keeper.h"

struct shard {
    struct shard_options options;
    struct group *group; /* NULL while opening. */
    bool stopped;
    struct duties duties;
    struct keeper *keeper;
    _Atomic bool sealed;           /* Since the keeper was told; set by the writer. */
    struct shard_command *refused; /* Not proposed: done() is due. */
    struct shard_command **refused_tail;
    struct task answer;
    size_t commands_count; /* Proposed, not yet answered. */
};

/* --- The state machine's side (machine_ops) ----------------------------------------- */

static enum sg_err machine_apply(void *impl, struct rows *rows, uint64_t index, uint64_t term,
                                 struct span command, struct bytes *result)
{
    struct shard *s = impl; /* On the writer: its options never change. */
    if (s->options.level_max != 0) {
        rows->level_max = s->options.level_max;
    }
    if (command_kind_ahead(command) == COMMAND_SEAL) {
        atomic_store(&s->sealed, true);
    }
    return state_apply(rows, index, term, command, result);
}

/* The duties learn from the answers to commands: while this replica leads,
 * everything that is applied was proposed here. */
static void machine_applied(void *impl, uint64_t index)
{
    struct shard *s = impl;
    (void)index;
    if (!s->stopped && atomic_exchange(&s->sealed, false)) {
        keeper_look(s->keeper);
    }
}

/* Its files, too. */
static void machine_installed(void *impl, uint64_t index)
{
    struct shard *s = impl;
    (void)index;
    if (!s->stopped) {
        keeper_look(s->keeper);
    }
}

static void tell_changed(struct shard *s)
{
    if (s->group != NULL && s->options.changed != NULL) {
        s->options.changed(s->options.impl, s);
    }
}

static void machine_role(void *impl, bool is_leader, uint64_t term, uint64_t leader)
{
    struct shard *s = impl;
    if (!s->stopped) {
        duties_role(&s->duties, leader == s->options.group.node, is_leader, term);
    }
    tell_changed(s);
}

static void machine_failed(void *impl, enum sg_err err, const char *why)
{
    struct shard *s = impl;
    struct log_scope scope = duty_scope(&s->duties.env);
    logger_line(LOG_ERROR, &scope, "shard.stopped", "err=%s why=%s", sg_err_name(err), LOG_TEXT(why));
    duties_role(&s->duties, false, false, 0);
    tell_changed(s);
}

static void machine_confirmed(void *impl, uint64_t index)
{
    struct shard *s = impl;
    (void)index;
    duties_confirmed(&s->duties);
}

/* A damaged disk is a matter for a person, though nothing is left to do for the money. */
static void machine_helps(void *impl, uint64_t node)
{
    struct shard *s = impl;
    char text[160];
    if (!s->duties.env.is_ready) {
        return;
    }
    (void)snprintf(text, sizeof text,
                   "the replica on node number %" PRIu64
                   " had wrong rows and gets the leader's: look at that node's disk and log",
                   node);
    duty_alert(&s->duties.env, 0, text);
}

static const struct machine_ops machine_ops = {
    .apply = machine_apply,
    .applied = machine_applied,
    .installed = machine_installed,
    .role = machine_role,
    .confirmed = machine_confirmed,
    .helps = machine_helps,
    .failed = machine_failed,
};

/* --- Life ---------------------------------------------------------------------------- */

static enum sg_err propose(void *impl, struct proposal *p)
{
    struct shard *s = impl;
    return group_propose(s->group, p);
}

static void answer_run(struct task *t);

static void damaged(void *impl, const char *why)
{
    struct shard *s = impl;
    group_damaged(s->group, SG_CORRUPT, why);
}

static uint64_t applied(void *impl)
{
    struct shard *s = impl;
    return group_ran(s->group);
}

static uint64_t confirm(void *impl, uint64_t index)
{
    struct shard *s = impl;
    /* Programs of a lower level don't answer; while one may be there nobody is asked. */
    return s->duties.env.level >= LEVEL_COMPARE ? group_confirm(s->group, index) : index;
}

static struct shard *shard_new(const struct shard_options *o)
{
    struct shard *s = mem_zalloc(1, sizeof *s);
    s->options = *o;
    s->options.group.machine = (struct machine){&machine_ops, s};
    s->refused_tail = &s->refused;
    s->answer.run = answer_run;
    struct duty_env env = {
        .loop = o->group.loop,
        .kv = o->group.kv,
        .bank = o->bank,
        .routing_number = {(uint32_t)o->group.id},
        .cluster = o->cluster,
        .node_name = o->group.node_name,
        .propose = propose,
        .applied = applied,
        .confirm = confirm,
        .damaged = damaged,
        .zone = o->zone,
        .catalog_settings = o->settings,
        .catalog_level = o->level,
        .impl = s,
        .names_impl = o->impl,
    };
    duties_init(&s->duties, &env);
    s->keeper = keeper_new(&(struct keeper_options){
        .loop = o->group.loop,
        .kv = o->group.kv,
        .writer = o->group.writer,
        .group = o->group.id,
        .damaged = damaged,
        .impl = s,
    });
    return s;
}

enum sg_err shard_open(const struct shard_options *options, struct shard **out, char *why, size_t why_size)
{
    CHECK(options->group.id > 0 && options->group.id <= UINT32_MAX);
    if (strlen(options->cluster) > NAME_SIZE_MAX || strchr(options->cluster, '/') != NULL) {
        (void)snprintf(why, why_size,
                       "the cluster's name %s can't be part of a file name: no slash, at most %d characters",
                       options->cluster, NAME_SIZE_MAX);
        return SG_INVALID;
    }
    struct shard *s = shard_new(options);
    enum sg_err err = group_open(&s->options.group, &s->group, why, why_size);
    if (err != SG_OK) {
        goto err_after_new;
    }
    if (!FAULT_BUG("kept-not-resumed")) {
        keeper_look(s->keeper); /* Sealed before this process. */
    }
    *out = s;
    return SG_OK;

err_after_new:
    keeper_stop(s->keeper);
    keeper_free(s->keeper);
    duties_release(&s->duties);
    mem_free(s);
    CHECK(err != SG_OK);
    return err;
}

uint64_t shard_files_missing(const struct shard *s)
{
    return keeper_missing(s->keeper);
}

uint32_t shard_level(const struct shard *s)
{
    return s->duties.env.is_ready ? s->duties.env.level : 0;
}

struct group *shard_group(struct shard *s)
{
    return s->group;
}

void shard_settings_changed(struct shard *s)
{
    duty_wake(&s->duties.env, DUTY_CONFIGURE);
}

void shard_stop(struct shard *s)
{
    s->stopped = true;
    duties_stop(&s->duties);
    keeper_stop(s->keeper);
    group_stop(s->group);
}

bool shard_is_idle(const struct shard *s)
{
    return s->commands_count == 0 && s->refused == NULL && keeper_is_idle(s->keeper) &&
           duties_are_idle(&s->duties) && group_is_idle(s->group);
}

void shard_free(struct shard *s)
{
    CHECK(s->stopped);
    CHECK(shard_is_idle(s));
    group_free(s->group);
    keeper_free(s->keeper);
    duties_release(&s->duties);
    mem_free(s);
}

/* --- Submissions and commands ---------------------------------------------------------- */

void shard_submit(struct shard *s, struct shard_submit *submit)
{
    submitter_add(&s->duties.submitter, submit);
}

static void answer_run(struct task *t)
{
    struct shard *s = CONTAINER_OF(t, struct shard, answer);
    struct shard_command *c = s->refused;
    s->refused = NULL;
    s->refused_tail = &s->refused;
    while (c != NULL) {
        struct shard_command *next = c->next;
        struct command_result result = {.err = c->err, .reason = span_str(c->why)};
        bool has_reason = c->why[0] != '\0';
        bytes_release(&c->encoded);
        c->done(c, has_reason ? SG_OK : c->err, has_reason ? &result : NULL);
        c = next;
    }
}

/* Not proposed. With a text in why the answer is a refusal for people. */
static void refuse(struct shard *s, struct shard_command *c, enum sg_err err)
{
    c->err = err;
    c->next = NULL;
    *s->refused_tail = c;
    s->refused_tail = &c->next;
    loop_after(s->options.group.loop, &s->answer, 0);
}

static void command_done(struct proposal *p, enum sg_err err)
{
    struct shard_command *c = CONTAINER_OF(p, struct shard_command, proposal);
    struct shard *s = c->shard;
    struct arena a = ARENA_INIT;
    struct command_result result;
    s->commands_count--;
    bytes_release(&c->encoded);
    if (err == SG_OK) {
        enum sg_err decoded = command_result_decode(p->result, &a, &result);
        CHECK(decoded == SG_OK); /* Our own apply wrote it. */
        if (result.err == SG_OK) {
            if (c->command.kind == COMMAND_CLOSE) {
                FAULT_POINT("window.closed");
            }
            duties_told(&s->duties, c->command.kind);
        }
    }
    c->done(c, err == SG_STOPPED ? SG_UNKNOWN : err, err == SG_OK ? &result : NULL);
    arena_release(&a);
}

void shard_command(struct shard *s, struct shard_command *c)
{
    struct duty_env *e = &s->duties.env;
    c->shard = s;
    c->encoded = BYTES_NONE;
    c->why[0] = '\0';
    if (!e->is_ready) {
        refuse(s, c, SG_NOTLEADER);
        return;
    }
    if (c->command.kind == COMMAND_RELEASE && e->level < LEVEL_RELEASE) {
        (void)snprintf(c->why, sizeof c->why,
                       "this needs level %u and the shard stands at level %u: 'shardgate upgrade status'",
                       LEVEL_RELEASE, e->level);
        refuse(s, c, SG_REFUSED);
        return;
    }
    if (c->command.kind == COMMAND_CLOSE) {
        enum sg_err err = windows_manual(&s->duties.windows, &c->command, c->why, sizeof c->why);
        if (err != SG_OK) {
            refuse(s, c, err);
            return;
        }
    }
    c->command.time_ms = duty_stamp_ms(e);
    c->command.level = e->level;
    c->command.node = span_str(e->node_name);
    command_encode(&c->command, &c->encoded);
    c->proposal = (struct proposal){.command = span_bytes(&c->encoded), .done = command_done};
    enum sg_err err = group_propose(s->group, &c->proposal);
    if (err != SG_OK) {
        refuse(s, c, err);
        return;
    }
    s->commands_count++;
}

/* --- Looking in --------------------------------------------------------------------------- */

static void settings_status(struct shard *s, struct shard_status *out)
{
    const struct duty_env *e = &s->duties.env;
    if (e->is_ready) {
        out->has_settings = e->settings != NULL;
        out->settings_version = e->settings != NULL ? e->settings->s.version : 0;
        out->level = e->level;
        return;
    }
    struct duty_read r;
    struct counters_row counters;
    if (duty_read_begin(&r, e->kv, e->routing_number.n) != SG_OK) {
        return; /* The group's status says what is wrong with the store. */
    }
    if (state_counters(&r.rows, &counters) == SG_OK) {
        out->has_settings = counters.settings_version > 0;
        out->settings_version = counters.settings_version;
        out->level = state_level(&counters);
    }
    duty_read_end(&r);
}

bool shard_is_near_cutoff(struct shard *s, char *why, size_t why_size)
{
    const struct duties *d = &s->duties;
    const struct duty_settings *settings = d->env.settings;
    uint64_t file = uploads_under_way(&d->uploads);
    char name[WINDOW_NAME_SIZE_MAX + 1];
    char close[TIME_TEXT_SIZE];

    if (file != 0) {
        (void)snprintf(why, why_size, "file %" PRIu64 " is on its way to the bank", file);
        return true;
    }
    if (!d->env.is_ready || settings == NULL || !d->windows.has_next ||
        d->windows.next.close_ms - loop_wall_ms(d->env.loop) >= CUTOFF_NEAR_MS) {
        return false;
    }
    (void)snprintf(why, why_size, "window %s closes at %s",
                   span_cstr(settings->s.shard.windows[d->windows.next.window].name, name, sizeof name),
                   time_text(d->windows.next.close_ms, close));
    return true;
}

void shard_status(struct shard *s, struct shard_status *out)
{
    struct duties *d = &s->duties;
    *out = (struct shard_status){.next_window = {.day = DAY_NONE}};
    group_status(s->group, &out->group);
    settings_status(s, out);
    if (d->env.is_ready && d->windows.has_next && d->env.settings != NULL) {
        const struct window_time *next = &d->windows.next;
        out->next_window.day = next->day;
        (void)span_cstr(d->env.settings->s.shard.windows[next->window].name, out->next_window.name,
                        sizeof out->next_window.name);
        out->next_close_ms = next->close_ms;
    }
    out->uploads_count =
        uploads_status(&d->uploads, out->uploads, sizeof out->uploads / sizeof out->uploads[0]);
    out->parked_count = d->sealing.parked_count;
    out->submit_queue_bytes = d->submitter.queue_bytes;
}
