#include <stdio.h>
#include <string.h>

#include "proto/base/fault.h"
#include "shard/upload/steps.h"

/* --- 0: what the log says ------------------------------------------------------- */

/* The troubles on the way to the end are over. */
static void choose_ended(struct upload *u, const struct file_row *f)
{
    if (u->ended_ms == 0) {
        u->tries = 0;
        u->last_error[0] = '\0';
        u->alerted = false;
    }
    u->is_proved = f->staged_attempt != 0;
    u->ended_ms = f->state == FILE_ABANDONED ? f->abandoned_ms : f->uploaded_ms;
    upload_move(u, f->verified ? UPLOAD_ENDED : UPLOAD_CLEAN);
}

static void choose(struct upload *u, const struct file_row *f)
{
    u->cancel = f->cancel_wanted;
    u->is_resolving = f->resolve != FILE_RESOLVE_NONE;
    u->size_bytes = f->seal.size_bytes;
    u->sha256 = f->seal.sha256;
    (void)span_cstr(f->seal.name, u->name, sizeof u->name);
    if (f->state == FILE_UPLOADED || f->state == FILE_ABANDONED) {
        choose_ended(u, f);
    } else if (f->state == FILE_HOLD) {
        upload_move(u, UPLOAD_ENDED);
    } else if (u->attempt != 0) {
        upload_move(u, u->cancel ? UPLOAD_RENAME : UPLOAD_LOOK_FINAL); /* The same T, whoever staged it. */
    } else {
        upload_move(u, UPLOAD_PROBE);
    }
}

/* The live token, or of a file that has ended the last one there was; version: the
 * settings that it was claimed under, 0 when there is none. */
static enum sg_err read_token(struct upload *u, struct rows *rows, const struct file_row *f, struct arena *a,
                              uint64_t *version)
{
    struct attempt_row *attempts;
    size_t count = 0;
    bool has_ended = f->state == FILE_UPLOADED || f->state == FILE_ABANDONED;
    u->attempt = f->staged_attempt;
    *version = 0;
    if (u->attempt == 0 && !has_ended) {
        return SG_OK;
    }
    enum sg_err err = state_attempts_all(rows, u->file, a, &attempts, &count);
    for (size_t i = 0; err == SG_OK && i < count; i++) {
        if (has_ended && attempts[i].staged && attempts[i].attempt > u->attempt) {
            u->attempt = attempts[i].attempt;
        }
        if (attempts[i].attempt == u->attempt) {
            *version = attempts[i].settings_version;
        }
    }
    return err;
}

static enum sg_err start_read(struct upload *u, struct duty_read *r)
{
    struct arena a = ARENA_INIT;
    struct file_row f = {.seal_index = 0};
    uint64_t version = 0;
    enum sg_err err = u->file == 0 ? SG_OK : state_file(&r->rows, u->file, &a, &f);
    if (err == SG_OK && u->file != 0) {
        err = read_token(u, &r->rows, &f, &a, &version);
    }
    u->attempt_settings = version;
    if (err == SG_OK) {
        err = upload_take_settings(u, r, version);
    }
    if (err == SG_OK && u->file != 0) {
        choose(u, &f);
    } else if (err == SG_OK) {
        upload_move(u, UPLOAD_PROBE);
    }
    arena_release(&a);
    return err;
}

static void start_enter(struct upload *u)
{
    struct duty_env *e = u->uploads->env;
    u->decided = e->applied(e->impl); /* At least what the rows below show. */
    struct duty_read r;
    enum sg_err err = duty_read_begin(&r, e->kv, e->routing_number.n);
    if (err == SG_OK) {
        err = start_read(u, &r);
        duty_read_end(&r);
    }
    if (err != SG_OK) {
        duty_judge(e, err, kv_damage());
        upload_retry(u, UPLOAD_START, sg_err_text(err));
    }
}

/* --- Can the endpoint keep the promise? -------------------------------------------- */

static void probe_enter(struct upload *u)
{
    if (u->file != 0) {
        upload_move(u, UPLOAD_REBUILD); /* Picked only once the endpoint is probed. */
        return;
    }
    struct duty_env *e = u->uploads->env;
    char suffix[NAME_SIZE_MAX + 16];
    (void)snprintf(suffix, sizeof suffix, "-%s.probe", e->node_name);
    struct bank_request *r = upload_request(u, BANK_PROBE, NULL);
    r->place = BANK_STAGING;
    upload_name(e, e->term, suffix, r->name);
    upload_send(u, r, NULL);
}

static void probe_answered(struct upload *u, const struct bank_request *r)
{
    if (upload_is_elsewhere(u)) {
        upload_move(u, UPLOAD_START); /* It says nothing about the new directories. */
        return;
    }
    if (r->answer != BANK_OK) {
        upload_unclear(u, UPLOAD_PROBE, r);
        return;
    }
    u->uploads->is_probed = true;
    upload_move(u, UPLOAD_ENDED);
}

/* --- 1: a claim, for bytes that are at hand ------------------------------------------ */

static void rebuild_enter(struct upload *u)
{
    upload_rebuild(u);
}

static void rebuild_rebuilt(struct upload *u, enum sg_err err, const char *why)
{
    if (err == SG_OK) {
        CHECK(u->data.n == u->size_bytes);
        upload_move(u, UPLOAD_CLAIM);
        return;
    }
    if (err == SG_CONFLICT) {
        u->tries = UPLOAD_ALERT_TRIES; /* The bytes differ from the seal: never uploaded, a person looks. */
    }
    duty_judge(u->uploads->env, err, why);
    upload_retry(u, UPLOAD_START, why[0] != '\0' ? why : sg_err_text(err));
}

static void claim_enter(struct upload *u)
{
    struct command c = {.kind = COMMAND_CLAIM};
    upload_commit(u, &c);
}

/* The attempt's names belong where its row says: the settings in force when it was
 * applied. Were others applied while it was under way, a new one is claimed under
 * those; of this one nothing is at the bank. */
static enum sg_err claimed_under(struct upload *u, uint64_t *version)
{
    struct duty_env *e = u->uploads->env;
    struct duty_read r;
    enum sg_err err = duty_read_begin(&r, e->kv, e->routing_number.n);
    if (err != SG_OK) {
        return err;
    }
    struct attempt_row row;
    err = state_attempt(&r.rows, u->file, u->attempt, &row);
    *version = err == SG_OK ? row.settings_version : 0;
    duty_read_end(&r);
    return err == SG_NOTFOUND ? SG_CORRUPT : err;
}

static void claim_applied(struct upload *u, const struct command_result *result)
{
    uint64_t version;
    u->attempt = result->index;
    FAULT_POINT("upload.claimed");
    enum sg_err err = claimed_under(u, &version);
    if (err != SG_OK) {
        duty_judge(u->uploads->env, err, kv_damage());
        upload_retry(u, UPLOAD_START, sg_err_text(err));
    } else if (version != 0 && version != u->settings->s.version) {
        upload_move(u, UPLOAD_START);
    } else {
        u->is_placed = version != 0;
        upload_move(u, UPLOAD_WITNESS);
    }
}

/* --- 2, 3: the witness, then the staged copy ------------------------------------------ */

/* Whatever is not plainly done is in doubt: the next try has a name of its own. */
static void doubt(struct upload *u, const struct bank_request *r)
{
    uploads_need_probe(u->uploads);
    upload_unclear(u, UPLOAD_START, r);
}

static void witness_enter(struct upload *u)
{
    struct duty_env *e = u->uploads->env;
    char aba[ABA_TEXT_SIZE];
    struct bytes text = BYTES_NONE;
    bytes_printf(&text, "shardgate %s %s file %llu attempt %llu\n%s\n", e->cluster,
                 aba_text(e->routing_number, aba), (unsigned long long)u->file,
                 (unsigned long long)u->attempt, u->name);
    upload_create(u, ".wit", &text);
}

static void witness_answered(struct upload *u, const struct bank_request *r)
{
    if (r->answer != BANK_OK) {
        doubt(u, r);
        return;
    }
    FAULT_POINT("upload.witness");
    upload_move(u, UPLOAD_PUT);
}

static void put_enter(struct upload *u)
{
    if (FAULT_BUG("drained-buffer") && u->tries > 0) {
        bytes_clear(&u->data);
    }
    upload_create(u, ".part", &u->data);
}

static void put_answered(struct upload *u, const struct bank_request *r)
{
    if (r->answer != BANK_OK) {
        doubt(u, r);
        return;
    }
    FAULT_POINT("upload.put");
    upload_move(u, UPLOAD_RECORD);
}

/* --- 4: STAGED, applied here -------------------------------------------------------------- */

static void record_enter(struct upload *u)
{
    if (FAULT_BUG("upload-without-staged")) {
        upload_move(u, UPLOAD_LOOK_FINAL);
        return;
    }
    struct command c = {.kind = COMMAND_STAGED};
    c.file.attempt = u->attempt;
    c.file.size_bytes = u->size_bytes;
    c.file.sha256 = u->sha256;
    upload_commit(u, &c);
}

static void record_applied(struct upload *u, const struct command_result *result)
{
    (void)result;
    FAULT_POINT("upload.staged");
    u->tries = 0;
    u->last_error[0] = '\0';
    upload_move(u, UPLOAD_LOOK_FINAL);
}

const struct upload_step_ops upload_start_ops = {.enter = start_enter};
const struct upload_step_ops upload_probe_ops = {.enter = probe_enter, .answered = probe_answered};
const struct upload_step_ops upload_rebuild_ops = {.enter = rebuild_enter, .rebuilt = rebuild_rebuilt};
const struct upload_step_ops upload_claim_ops = {.enter = claim_enter, .applied = claim_applied};
const struct upload_step_ops upload_witness_ops = {.enter = witness_enter, .answered = witness_answered};
const struct upload_step_ops upload_put_ops = {.enter = put_enter, .answered = put_answered};
const struct upload_step_ops upload_record_ops = {.enter = record_enter, .applied = record_applied};
