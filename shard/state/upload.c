#include <inttypes.h>

#include "proto/base/fault.h"
#include "shard/state/families.h"
#include "shard/state/attempts.h"
#include "shard/state/counters.h"
#include "shard/state/life.h"

/* One command about one file. The rules are those of the upload protocol: what
 * is staged is the only token that can ever become the file at the bank. */

static enum sg_err refuse_state(struct apply *a, const struct file_row *f, const char *what)
{
    const char *note = f->cancel_wanted ? ", its cancel is under way" : "";
    note = f->resolve != FILE_RESOLVE_NONE ? ", it is being resolved as " : note;
    a->result.file = f->seal.file;
    return apply_refuse(a, SG_CONFLICT, "%s refused: file " SPAN_FMT " is %s%s%s", what,
                        SPAN_ARG(f->seal.name), file_state_name(f->state), note,
                        file_resolve_name(f->resolve));
}

static enum sg_err get_attempt(struct apply *a, const struct file_row *f, uint64_t attempt,
                               struct attempt_row *out)
{
    struct state_key key = key_attempt(f->seal.file, attempt);
    return store_must(a->rows, &key, attempt_get(a->rows, f->seal.file, attempt, out));
}

/* Nothing is left to be done with the file. */
static enum sg_err end_work(struct apply *a, const struct file_row *f)
{
    return store_unmark(a->rows, key_number(TABLE_FILE_WORK, f->seal.file));
}

/* The file has ended, not by the evidence of its upload. Attempts leave names in
 * staging: the work is over when VERIFIED says that those are removed. */
static enum sg_err put_ended(struct apply *a, struct file_row *f)
{
    f->verified = f->attempts_count == 0;
    enum sg_err err = store_put_file(a->rows, f);
    return err == SG_OK && f->verified ? end_work(a, f) : err;
}

static int64_t time_of(const struct apply *a)
{
    return a->command->time_ms > 0 ? a->command->time_ms : 1;
}

/* --- Attempts ------------------------------------------------------------------ */

static enum sg_err apply_claim(struct apply *a, struct file_row *f)
{
    if (!file_can_move(f, FILE_CLAIMED) || f->cancel_wanted) {
        return refuse_state(a, f, "claim");
    }
    struct attempt_row attempt = {
        .file = f->seal.file,
        .attempt = a->index,
        .term = a->term,
        .settings_version = a->command->level >= LEVEL_ATTEMPT_PLACE ? a->counters.settings_version : 0};
    f->attempt = a->index;
    f->claim_term = a->term;
    f->claimed_by = apply_text(a, a->command->node, NAME_SIZE_MAX);
    f->attempts_count++;
    file_move(f, FILE_CLAIMED);
    enum sg_err err = attempt_put(a->rows, &attempt);
    if (err == SG_OK) {
        err = store_put_file(a->rows, f);
    }
    if (err != SG_OK) {
        return err;
    }
    return apply_event(a, "file.claimed", f->seal.name,
                       EVENT_FIELDS(event_number("attempt", a->index), event_span("by", a->command->node)));
}

/* Why this STAGED must not count, or NULL. */
static const char *judge_staged(const struct apply *a, const struct file_row *f)
{
    const struct command *c = a->command;
    if (c->file.attempt != f->attempt) {
        return "a newer attempt was claimed";
    }
    /* A claim of an older term is garbage once a newer leader acts: it may be
     * removed at the bank at any time, so it must never become the token. */
    if (f->claim_term != a->term) {
        return "the attempt was claimed in an older term";
    }
    if (c->file.size_bytes != f->seal.size_bytes ||
        !span_eq(span_of(&c->file.sha256, SHA256_SIZE), span_of(&f->seal.sha256, SHA256_SIZE))) {
        return "what was staged is not what was sealed";
    }
    return NULL;
}

static enum sg_err apply_staged(struct apply *a, struct file_row *f)
{
    struct attempt_row attempt;
    uint64_t number = a->command->file.attempt;
    if (f->state == FILE_STAGED && number == f->staged_attempt) {
        return apply_same(a, "attempt %" PRIu64 " is staged already", number);
    }
    if (f->state != FILE_CLAIMED) {
        return refuse_state(a, f, "staged");
    }
    const char *why = judge_staged(a, f);
    if (why != NULL) {
        return apply_refuse(a, SG_CONFLICT, "staged refused: %s", why);
    }
    enum sg_err err = get_attempt(a, f, number, &attempt);
    if (err != SG_OK) {
        return err;
    }
    attempt.staged = true;
    f->staged_attempt = number;
    file_move(f, FILE_STAGED);
    err = attempt_put(a->rows, &attempt);
    if (err == SG_OK) {
        err = store_put_file(a->rows, f);
    }
    if (err != SG_OK) {
        return err;
    }
    return apply_event(a, "file.staged", f->seal.name,
                       EVENT_FIELDS(event_number("attempt", number), event_span("by", a->command->node)));
}

/* What the evidence means for those who wanted something else. */
static const char *uploaded_note(const struct file_row *f)
{
    switch (f->resolve) {
    case FILE_RESOLVE_UPLOADED:
        return "as_said";
    case FILE_RESOLVE_ABANDONED:
        return "overruled";
    case FILE_RESOLVE_NONE:
        return f->cancel_wanted ? "cancel_late" : "plain";
    case FILE_RESOLVES:
        break;
    }
    check_failed(__FILE__, __LINE__, "a decoded row has a resolve");
}

static enum sg_err apply_uploaded(struct apply *a, struct file_row *f)
{
    uint64_t number = a->command->file.attempt;
    if (f->state == FILE_UPLOADED && number == f->staged_attempt) {
        return apply_same(a, "uploaded already");
    }
    if (f->state != FILE_STAGED) {
        return refuse_state(a, f, "uploaded");
    }
    if (number != f->staged_attempt) {
        return apply_refuse(a, SG_CONFLICT, "uploaded refused: attempt %" PRIu64 " is the one that is staged",
                            f->staged_attempt);
    }
    const char *note = uploaded_note(f);
    f->uploaded_ms = time_of(a);
    f->cancel_wanted = false;
    f->resolve = FILE_RESOLVE_NONE;
    file_move(f, FILE_UPLOADED);
    enum sg_err err = store_put_file(a->rows, f);
    if (err != SG_OK) {
        return err;
    }
    return apply_event(a, "file.uploaded", f->seal.name,
                       EVENT_FIELDS(event_number("attempt", number), event_span("by", a->command->node),
                                    event_number(note, 1)));
}

/* --- The end of a file that never reached the bank --------------------------------- */

static enum sg_err cancel_member(struct apply *a, uint64_t seq, struct arena *scratch)
{
    struct transfer_row row;
    struct transfer t;
    struct state_key key = key_number(TABLE_TRANSFERS, seq);
    enum sg_err err = store_must(a->rows, &key, store_get_transfer(a->rows, seq, scratch, &row));
    if (err != SG_OK) {
        return err;
    }
    err = store_content(a->rows, &row, scratch, &t);
    if (err != SG_OK) {
        return err;
    }
    if (row.state != TRANSFER_SEALED) {
        return store_corrupt(a->rows, &key, "not the transfer of a sealed file");
    }
    row.cancelled_index = a->index;
    transfer_move(&row, TRANSFER_CANCELLED);
    counters_move(&a->counters, TRANSFER_SEALED, TRANSFER_CANCELLED, t.side, t.amount);
    return store_put_transfer(a->rows, &row, &a->scratch);
}

static enum sg_err cancel_members(struct apply *a, uint64_t file)
{
    struct arena scratch = ARENA_INIT;
    struct state_key key = key_number(TABLE_MEMBERS, file);
    uint64_t *members = NULL;
    size_t count = 0;
    enum sg_err err = store_must(a->rows, &key, store_get_members(a->rows, file, a->arena, &members, &count));
    for (size_t i = 0; err == SG_OK && i < count; i++) {
        err = cancel_member(a, members[i], &scratch);
        arena_reset(&scratch);
    }
    arena_release(&scratch);
    return err;
}

/* For good: the file will never be delivered and its transfers are cancelled.
 * note: a field of the event that says how; "plain": nothing to add. */
static enum sg_err abandon_file(struct apply *a, struct file_row *f, const char *note)
{
    f->staged_attempt = 0;
    f->cancel_wanted = false;
    f->abandoned_ms = time_of(a);
    file_move(f, FILE_ABANDONED);
    enum sg_err err = cancel_members(a, f->seal.file);
    if (err == SG_OK) {
        err = put_ended(a, f);
    }
    if (err != SG_OK) {
        return err;
    }
    return apply_event(a, "file.abandoned", f->seal.name,
                       EVENT_FIELDS(event_number("entries", f->seal.totals.entries),
                                    event_span("reason", f->reason), event_number(note, 1)));
}

/* The operator has looked at the bank: what it has is not our copy. */
static enum sg_err resolve_uploaded(struct apply *a, struct file_row *f, const char *note)
{
    f->staged_attempt = 0;
    f->uploaded_ms = time_of(a);
    f->cancel_wanted = false;
    file_move(f, FILE_UPLOADED);
    enum sg_err err = put_ended(a, f);
    if (err != SG_OK) {
        return err;
    }
    return apply_event(a, "file.resolved", f->seal.name,
                       EVENT_FIELDS(event_span("reason", f->reason), event_number(note, 1)));
}

/* The operator's word becomes the file's end. Only when no staged copy is left
 * that a leader of old could still deliver, or none that anybody can see. */
static enum sg_err end_resolve(struct apply *a, struct file_row *f, const char *note)
{
    bool as_uploaded = f->resolve == FILE_RESOLVE_UPLOADED;
    CHECK(f->resolve != FILE_RESOLVE_NONE);
    f->resolve = FILE_RESOLVE_NONE;
    return as_uploaded ? resolve_uploaded(a, f, note) : abandon_file(a, f, note);
}

static enum sg_err seal_again(struct apply *a, struct file_row *f, uint64_t number)
{
    f->staged_attempt = 0;
    file_move(f, FILE_SEALED);
    enum sg_err err = store_put_file(a->rows, f);
    if (err != SG_OK) {
        return err;
    }
    return apply_event(a, "file.attempt_abandoned", f->seal.name,
                       EVENT_FIELDS(event_number("attempt", number)));
}

static enum sg_err apply_abandoned(struct apply *a, struct file_row *f)
{
    struct attempt_row attempt;
    uint64_t number = a->command->file.attempt;
    enum sg_err err = attempt_get(a->rows, f->seal.file, number, &attempt);
    if (err == SG_NOTFOUND) {
        return apply_refuse(a, SG_CONFLICT, "abandoned refused: there is no such attempt");
    }
    if (err != SG_OK) {
        return err;
    }
    if (attempt.abandoned) {
        return apply_same(a, "attempt %" PRIu64 " is abandoned already", number);
    }
    if (f->state != FILE_STAGED || number != f->staged_attempt) {
        return refuse_state(a, f, "abandoned");
    }
    attempt.abandoned = true;
    err = attempt_put(a->rows, &attempt);
    if (err != SG_OK) {
        return err;
    }
    if (f->resolve != FILE_RESOLVE_NONE) {
        return end_resolve(a, f, "taken_back");
    }
    return f->cancel_wanted ? abandon_file(a, f, "plain") : seal_again(a, f, number);
}

/* --- What people and doubt bring ---------------------------------------------------- */

static enum sg_err apply_hold(struct apply *a, struct file_row *f)
{
    uint64_t number = a->command->file.attempt;
    if (f->state == FILE_HOLD) {
        return apply_same(a, "on hold already");
    }
    if (!file_can_move(f, FILE_HOLD)) {
        return refuse_state(a, f, "hold");
    }
    if (number != 0 && number != f->attempt) {
        return apply_refuse(a, SG_CONFLICT, "hold refused: attempt %" PRIu64 " is not the file's last",
                            number);
    }
    if (f->resolve != FILE_RESOLVE_NONE) {
        /* One that was decided before the RESOLVE may say that T is in its place. */
        if (!a->command->file.resolving || number != f->staged_attempt) {
            return refuse_state(a, f, "hold");
        }
        return end_resolve(a, f, "staging_empty");
    }
    f->reason = apply_text(a, a->command->file.reason, REASON_SIZE_MAX);
    file_move(f, FILE_HOLD);
    enum sg_err err = store_put_file(a->rows, f);
    if (err != SG_OK) {
        return err;
    }
    return apply_event(a, "file.hold", f->seal.name, EVENT_FIELDS(event_span("reason", f->reason)));
}

/* W, D and the rests of other attempts are removed, T stayed absent. */
static enum sg_err clean_attempts(struct apply *a, uint64_t file)
{
    struct attempt_row *attempts = NULL;
    size_t count = 0;
    enum sg_err err = attempts_of(a->rows, file, a->arena, &attempts, &count);
    for (size_t i = 0; err == SG_OK && i < count; i++) {
        attempts[i].cleaned = true;
        err = attempt_put(a->rows, &attempts[i]);
    }
    return err;
}

static enum sg_err apply_verified(struct apply *a, struct file_row *f)
{
    if (f->state != FILE_UPLOADED && f->state != FILE_ABANDONED) {
        return refuse_state(a, f, "verified");
    }
    if (f->verified) {
        return apply_same(a, "verified already");
    }
    f->verified = true;
    enum sg_err err = clean_attempts(a, f->seal.file);
    if (err == SG_OK) {
        err = store_put_file(a->rows, f);
    }
    if (err == SG_OK) {
        err = end_work(a, f);
    }
    if (err != SG_OK) {
        return err;
    }
    return apply_event(a, "file.verified", f->seal.name,
                       EVENT_FIELDS(event_number(file_state_name(f->state), 1)));
}

/* Step D: what is staged can only be taken back at the bank, by its leader. */
static enum sg_err want_cancel(struct apply *a, struct file_row *f)
{
    f->cancel_wanted = true;
    f->reason = apply_text(a, a->command->file.reason, REASON_SIZE_MAX);
    enum sg_err err = store_put_file(a->rows, f);
    if (err != SG_OK) {
        return err;
    }
    return apply_event(a, "file.cancel_wanted", f->seal.name, EVENT_FIELDS(event_span("reason", f->reason)));
}

static enum sg_err apply_file_cancel(struct apply *a, struct file_row *f)
{
    a->result.file = f->seal.file;
    switch (f->state) {
    case FILE_SEALED:
    case FILE_CLAIMED:
        f->reason = apply_text(a, a->command->file.reason, REASON_SIZE_MAX);
        return abandon_file(a, f, "plain");
    case FILE_STAGED:
        if (f->resolve == FILE_RESOLVE_UPLOADED) {
            return refuse_state(a, f, "cancel");
        }
        return f->cancel_wanted ? apply_same(a, "its cancel is under way") : want_cancel(a, f);
    case FILE_UPLOADED:
        return apply_refuse(a, SG_CONFLICT, "too late: file " SPAN_FMT " is at the bank",
                            SPAN_ARG(f->seal.name));
    case FILE_HOLD:
        return apply_refuse(a, SG_CONFLICT,
                            "file " SPAN_FMT " is on hold: resolve it as uploaded or abandoned",
                            SPAN_ARG(f->seal.name));
    case FILE_ABANDONED:
        return apply_same(a, "abandoned already");
    case FILE_STATES:
        break;
    }
    check_failed(__FILE__, __LINE__, "a decoded row has a state");
}

/* A leader that was paused right before its rename can still deliver the staged
 * copy, whatever the log says: it is taken back (step D) before the file ends. */
static enum sg_err begin_resolve(struct apply *a, struct file_row *f)
{
    f->cancel_wanted = true;
    file_move(f, FILE_STAGED);
    enum sg_err err = store_put_file(a->rows, f);
    if (err != SG_OK) {
        return err;
    }
    const char *as = file_resolve_name(f->resolve);
    return apply_event(a, "file.resolving", f->seal.name,
                       EVENT_FIELDS(event_text("as", as), event_span("reason", f->reason)));
}

static enum sg_err apply_resolve(struct apply *a, struct file_row *f)
{
    bool as_uploaded = a->command->file.as_uploaded;
    enum file_resolve as = as_uploaded ? FILE_RESOLVE_UPLOADED : FILE_RESOLVE_ABANDONED;
    a->result.file = f->seal.file;
    if (f->state == (as_uploaded ? FILE_UPLOADED : FILE_ABANDONED)) {
        return apply_same(a, "%s already", file_state_name(f->state));
    }
    if (f->resolve == as) {
        return apply_same(a, "it is being resolved as %s already", file_resolve_name(as));
    }
    if (f->state != FILE_HOLD) {
        return refuse_state(a, f, "resolve");
    }
    f->resolve = as;
    f->reason = apply_text(a, a->command->file.reason, REASON_SIZE_MAX);
    if (f->staged_attempt == 0 || FAULT_BUG("resolve-at-once")) {
        return end_resolve(a, f, "plain");
    }
    return begin_resolve(a, f);
}

static enum sg_err apply_alert(struct apply *a, struct span subject)
{
    struct span reason = apply_text(a, a->command->file.reason, REASON_SIZE_MAX);
    return apply_event(a, "alert", subject, EVENT_FIELDS(event_span("reason", reason)));
}

static enum sg_err apply_to(struct apply *a, struct file_row *f)
{
    switch (a->command->kind) {
    case COMMAND_CLAIM:
        return apply_claim(a, f);
    case COMMAND_STAGED:
        return apply_staged(a, f);
    case COMMAND_UPLOADED:
        return apply_uploaded(a, f);
    case COMMAND_ABANDONED:
        return apply_abandoned(a, f);
    case COMMAND_HOLD:
        return apply_hold(a, f);
    case COMMAND_VERIFIED:
        return apply_verified(a, f);
    case COMMAND_FILE_CANCEL:
        return apply_file_cancel(a, f);
    case COMMAND_RESOLVE:
        return apply_resolve(a, f);
    case COMMAND_ALERT:
        return apply_alert(a, f->seal.name);
    case COMMAND_LEVEL:
    case COMMAND_RELEASE:
    case COMMAND_NONE:
    case COMMAND_SUBMIT:
    case COMMAND_CANCEL:
    case COMMAND_SETTINGS:
    case COMMAND_CLOSE:
    case COMMAND_MISSED:
    case COMMAND_SEAL:
    case COMMAND_WINDOW_DONE:
    case COMMAND_KINDS:
        break;
    }
    check_failed(__FILE__, __LINE__, "a command about a file");
}

enum sg_err apply_file(struct apply *a)
{
    struct file_row f;
    uint64_t number = a->command->file.file;
    if (number == 0 && a->command->kind == COMMAND_ALERT) {
        return apply_alert(a, SPAN_NONE); /* About the shard, not a file. */
    }
    enum sg_err err = store_get_file(a->rows, number, a->arena, &f);
    if (err == SG_NOTFOUND) {
        return apply_refuse(a, SG_NOTFOUND, "there is no file %" PRIu64, number);
    }
    if (err != SG_OK) {
        return err;
    }
    a->result.file = number;
    return apply_to(a, &f);
}
