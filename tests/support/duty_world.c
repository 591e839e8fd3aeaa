#include "tests/support/duty_world.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "tests/support/ach_sample.h"

#define SETTINGS_MS 1000 /* Enough for a leader to bring them into the log. */

struct world_entry {
    struct world_leader *leader;
    struct proposal *proposal;
    struct bytes command;
    struct world_entry *next;
};

/* --- The state -------------------------------------------------------------------- */

static void must(enum sg_err err)
{
    CHECK(err == SG_OK);
}

static void read_begin(struct world *w, struct duty_read *r)
{
    must(duty_read_begin(r, &w->kv, w->settings->shard.routing_number.n));
}

static void apply_bytes(struct world *w, struct span command, struct bytes *result)
{
    struct kv_txn *txn;
    struct rows rows;
    struct digester digester;
    must(kv_begin(&w->kv, true, &txn));
    rows_init(&rows, &w->kv, txn, w->settings->shard.routing_number.n);
    digester_init(&digester);
    rows.digester = &digester;
    w->index++;
    must(state_apply(&rows, w->index, w->term, command, result));
    rows_release(&rows);
    must(kv_commit(&w->kv, txn));
}

enum sg_err world_apply(struct world *w, struct command *c)
{
    struct bytes encoded = BYTES_NONE, result = BYTES_NONE;
    struct arena a = ARENA_INIT;
    struct command_result decoded;
    c->time_ms = loop_wall_ms(w->loop);
    c->node = span_str("n1");
    c->level = c->level != 0 ? c->level : LEVEL_MAX;
    command_encode(c, &encoded);
    apply_bytes(w, span_bytes(&encoded), &result);
    must(command_result_decode(span_bytes(&result), &a, &decoded));
    enum sg_err err = decoded.err;
    arena_release(&a);
    bytes_release(&encoded);
    bytes_release(&result);
    return err;
}

struct file_row world_file_row(struct world *w, uint64_t file, struct arena *a)
{
    struct duty_read r;
    struct file_row row;
    read_begin(w, &r);
    must(state_file(&r.rows, file, a, &row));
    duty_read_end(&r);
    return row;
}

enum file_state world_file_state(struct world *w, uint64_t file)
{
    struct arena a = ARENA_INIT;
    struct duty_read r;
    struct file_row row;
    read_begin(w, &r);
    enum sg_err err = state_file(&r.rows, file, &a, &row);
    duty_read_end(&r);
    arena_release(&a);
    return err == SG_OK ? row.state : 0;
}

bool world_window(struct world *w, const char *name, struct day day, struct window_row *out)
{
    struct duty_read r;
    struct window_id id = {.day = day};
    (void)snprintf(id.name, sizeof id.name, "%s", name);
    read_begin(w, &r);
    enum sg_err err = state_window(&r.rows, &id, out);
    duty_read_end(&r);
    return err == SG_OK;
}

size_t world_events(struct world *w, const char *kind)
{
    struct duty_read r;
    struct arena a = ARENA_INIT;
    struct event_row *events;
    size_t count, found = 0;
    read_begin(w, &r);
    must(state_events(&r.rows, 0, 10000, &a, &events, &count));
    for (size_t i = 0; i < count; i++) {
        found += span_is(events[i].kind, kind);
    }
    duty_read_end(&r);
    arena_release(&a);
    return found;
}

/* --- The log ------------------------------------------------------------------------ */

static void entry_answer(struct world_entry *e, enum sg_err err, uint64_t index, struct span result)
{
    struct proposal *p = e->proposal;
    p->index = index;
    p->result = result;
    bytes_release(&e->command);
    mem_free(e);
    p->done(p, err);
}

static void on_apply(struct task *t)
{
    struct world *w = CONTAINER_OF(t, struct world, apply);
    while (w->log != NULL && !w->is_log_held) {
        struct world_entry *e = w->log;
        struct bytes result = BYTES_NONE;
        w->log = e->next;
        if (w->log == NULL) {
            w->log_tail = &w->log;
        }
        apply_bytes(w, span_bytes(&e->command), &result);
        entry_answer(e, SG_OK, w->index, span_bytes(&result));
        bytes_release(&result);
    }
}

static enum sg_err on_propose(void *impl, struct proposal *p)
{
    struct world_leader *l = impl;
    struct world *w = l->world;
    enum sg_err err = w->on_propose != NULL ? w->on_propose(w) : SG_OK;
    if (err != SG_OK) {
        return err;
    }
    struct world_entry *e = mem_zalloc(1, sizeof *e);
    e->leader = l;
    e->proposal = p;
    bytes_set(&e->command, p->command);
    w->proposed_count++;
    if (l == w->current && !l->is_dead) {
        *w->log_tail = e;
        w->log_tail = &e->next;
        loop_after(w->loop, &w->apply, 0);
    } else {
        e->next = w->orphans;
        w->orphans = e;
    }
    return SG_OK;
}

static void orphan_log(struct world *w)
{
    while (w->log != NULL) {
        struct world_entry *e = w->log;
        w->log = e->next;
        e->next = w->orphans;
        w->orphans = e;
    }
    w->log_tail = &w->log;
}

/* --- Judging ------------------------------------------------------------------------------ */

static bool is_this_file(const struct world_file *f, const char *name, const struct bytes *content)
{
    return strcmp(f->name, name) == 0 && span_eq(span_bytes(&f->content), span_bytes(content));
}

size_t world_delivered(struct world *w, uint64_t file, size_t *others)
{
    struct arena a = ARENA_INIT;
    struct duty_read r;
    struct file_row row;
    struct bytes content = BYTES_NONE;
    char name[FILE_NAME_SIZE_MAX + 1], why[256];
    size_t whole = 0;
    *others = 0;
    read_begin(w, &r);
    must(state_file(&r.rows, file, &a, &row));
    must(state_file_rebuild(&r.rows, file, &content, why, sizeof why));
    (void)span_cstr(row.seal.name, name, sizeof name);
    duty_read_end(&r);
    for (size_t i = 0; i < w->taken_count; i++) {
        bool is_it = is_this_file(&w->taken[i], name, &content);
        whole += is_it;
        *others += !is_it;
    }
    for (size_t i = 0; i < WORLD_FILES_MAX; i++) {
        if (w->files[i].place == BANK_DROP) {
            bool is_it = is_this_file(&w->files[i], name, &content);
            whole += is_it;
            *others += !is_it;
        }
    }
    bytes_release(&content);
    arena_release(&a);
    return whole;
}

void world_must_deliver_once(struct world *w, uint64_t file)
{
    size_t others;
    CHECK(world_delivered(w, file, &others) == 1);
    CHECK(others == 0);
}

/* --- Leaders -------------------------------------------------------------------------------- */

static const struct zone *on_zone(void *impl, struct span name)
{
    struct world_leader *l = impl;
    return span_is(name, "America/New_York") ? &l->world->zone : NULL;
}

static struct span on_catalog(void *impl, struct aba routing_number, uint64_t *version)
{
    struct world_leader *l = impl;
    (void)routing_number;
    *version = l->world->catalog_version;
    return span_bytes(&l->world->catalog);
}

static void on_damaged(void *impl, const char *why)
{
    struct world_leader *l = impl;
    (void)why;
    l->is_damaged = true;
}

static uint64_t on_applied(void *impl)
{
    struct world_leader *l = impl;
    return l->world->index;
}

static uint64_t on_confirm(void *impl, uint64_t index)
{
    struct world_leader *l = impl;
    (void)index;
    return l->world->confirms_upto;
}

struct world_leader *world_elect(struct world *w)
{
    CHECK(w->leaders_count < WORLD_LEADERS_MAX);
    orphan_log(w);
    struct world_leader *l = &w->leaders[w->leaders_count];
    l->world = w;
    l->number = (unsigned)w->leaders_count++;
    l->term = ++w->term;
    l->bank = (struct bank){&world_bank_ops, l};
    w->current = l;
    struct duty_env env = {
        .loop = w->loop,
        .kv = &w->kv,
        .bank = &l->bank,
        .routing_number = w->settings->shard.routing_number,
        .cluster = "demo",
        .node_name = "n1",
        .propose = on_propose,
        .applied = on_applied,
        .confirm = on_confirm,
        .damaged = on_damaged,
        .zone = on_zone,
        .catalog_settings = on_catalog,
        .impl = l,
        .names_impl = l,
    };
    duties_init(&l->duties, &env);
    duties_role(&l->duties, true, true, l->term);
    return l;
}

void world_tell(struct world_leader *l)
{
    duties_role(&l->duties, false, false, l->world->term);
}

void world_kill(struct world_leader *l)
{
    l->is_dead = true;
    if (l->world->current == l) {
        l->world->current = NULL;
        orphan_log(l->world);
    }
}

#ifdef SHARDGATE_FAULTS
static void on_fault(void *impl, const char *name)
{
    struct world *w = impl;
    if (w->kill_at == NULL || strcmp(name, w->kill_at) != 0) {
        return;
    }
    w->passed_count++;
    if (w->current != NULL && w->passed_count == 1) {
        world_kill(w->current);
    }
}

static void faults_begin(struct world *w)
{
    fault_set_handler(on_fault, w);
}

static void faults_end(void)
{
    fault_set_handler(NULL, NULL);
}

bool world_has_faults(void)
{
    return true;
}

void world_set_bugs(const char *names)
{
    fault_set_bugs(names);
}
#else
static void faults_begin(struct world *w)
{
    (void)w;
}

static void faults_end(void)
{
}

bool world_has_faults(void)
{
    return false;
}

void world_set_bugs(const char *names)
{
    (void)names;
}
#endif

void world_set_clock(struct world *w, int day, int hour, int minute, int second)
{
    int64_t day_ms = (int64_t)(day_of(2026, 11, 1).n + day - 1) * 24 * 3600 * 1000;
    int64_t second_of_day = (int64_t)(hour + 5) * 3600 + (int64_t)minute * 60 + second;
    test_loop_set_wall(w->t, day_ms + second_of_day * 1000);
}

void world_run(struct world *w, uint64_t ms)
{
    test_loop_advance(w->t, ms);
}

/* --- Life -------------------------------------------------------------------------------------- */

void world_settings(struct world *w, uint64_t version)
{
    w->settings->version = version;
    w->catalog_version = version;
    bytes_clear(&w->catalog);
    settings_encode(w->settings, &w->catalog);
}

void world_apply_settings(struct world *w, uint64_t version)
{
    world_settings(w, version);
    struct command c = {.kind = COMMAND_SETTINGS};
    c.settings.encoded = span_bytes(&w->catalog);
    must(world_apply(w, &c));
}

void world_change_settings(struct world *w, uint64_t version)
{
    world_settings(w, version);
    duty_wake(&w->current->duties.env, DUTY_CONFIGURE);
    world_run(w, SETTINGS_MS);
    CHECK(w->current->duties.env.settings->s.version == version);
}

void world_submit_samples(struct world *w, const char *prefix)
{
    struct transfer t[ACH_SAMPLE_TRANSFERS];
    char ids[ACH_SAMPLE_TRANSFERS][TRANSFER_ID_SIZE_MAX];
    for (size_t i = 0; i < ACH_SAMPLE_TRANSFERS; i++) {
        t[i] = ach_sample_transfer(i);
        (void)snprintf(ids[i], sizeof ids[i], "%s%zu", prefix, i + 1);
        t[i].id = span_str(ids[i]);
        t[i].account =
            span_str("900012345"); /* One of the sample's has a space, which people may not send. */
    }
    struct command c = {.kind = COMMAND_SUBMIT};
    c.submit.transfers = t;
    c.submit.transfers_count = ACH_SAMPLE_TRANSFERS;
    must(world_apply(w, &c));
}

void world_close(struct world *w, const char *name)
{
    struct command c = {.kind = COMMAND_CLOSE};
    c.close.window.day = zone_local(&w->zone, loop_wall_ms(w->loop)).day;
    c.close.processing_day = c.close.window.day;
    c.close.manual = true;
    (void)snprintf(c.close.window.name, sizeof c.close.window.name, "%s", name);
    must(world_apply(w, &c));
}

struct world *world_new(uint64_t seed)
{
    struct world *w = mem_zalloc(1, sizeof *w);
    w->confirms_upto = UINT64_MAX;
    hash_init();
    w->t = test_loop_new(seed);
    w->loop = test_loop_seam(w->t);
    w->disk = mem_kv_new("world");
    mem_kv_open(w->disk, &w->kv);
    w->zone.first_s = -5 * 3600;
    w->log_tail = &w->log;
    w->apply.run = on_apply;
    w->settings = ach_sample_settings();
    w->settings->shard.windows_count = 0;
    w->settings->shard.endpoint = span_str("bank-a");
    w->settings->endpoint = (struct endpoint_settings){.name = span_str("bank-a"),
                                                       .kind = ENDPOINT_DIRECTORY,
                                                       .drop_dir = span_str("inbox"),
                                                       .staging_dir = span_str("staging"),
                                                       .confirm = CONFIRM_HASH,
                                                       .verify_window_ms = VERIFY_WINDOW_MS};
    struct command level = {.kind = COMMAND_LEVEL, .level = LEVEL_MIN, .level_change = {.to = LEVEL_MAX}};
    must(world_apply(w, &level));
    world_apply_settings(w, 1);
    faults_begin(w);
    return w;
}

void world_forget(struct world *w)
{
    while (w->orphans != NULL) {
        struct world_entry *e = w->orphans;
        w->orphans = e->next;
        entry_answer(e, SG_UNKNOWN, 0, SPAN_NONE);
    }
}

void world_free(struct world *w)
{
    w->kill_at = NULL;
    for (size_t i = 0; i < w->leaders_count; i++) {
        duties_stop(&w->leaders[i].duties);
    }
    w->current = NULL;
    orphan_log(w);
    world_end_requests(w);
    world_forget(w);
    (void)test_loop_run(w->t);
    for (size_t i = 0; i < w->leaders_count; i++) {
        duties_release(&w->leaders[i].duties);
    }
    faults_end();
    w->is_unsynced = false;
    world_purge(w, BANK_STAGING);
    world_take(w);
    for (size_t i = 0; i < w->taken_count; i++) {
        bytes_release(&w->taken[i].content);
    }
    bytes_release(&w->trace);
    bytes_release(&w->catalog);
    kv_close(&w->kv);
    mem_kv_free(w->disk);
    test_loop_free(w->t);
    mem_free(w);
}
