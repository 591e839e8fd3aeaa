#include "shard/duties/submit.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "shard/ach/validate.h"
#include "shard/ach/window.h"

#define TRANSFER_OVERHEAD_BYTES 96 /* Tags, lengths and numbers of an encoded transfer, at most. */

/* What stands behind shard_submit.checked: the answers and their texts. */
struct answers {
    struct arena texts;
    enum sg_err err;        /* The first failure; the submission ends with it. */
    unsigned entries_count; /* Entries with a part of it that the engine took. */
    struct submit_result results[];
};

/* Consecutive transfers of one submission in an entry, by their places. Those
 * refused here have no place. */
struct part {
    struct shard_submit *submit;
    size_t first, count; /* Into entry.places. */
};

/* What the one who submits is told of an accepted transfer. */
enum note {
    NOTE_BLANKS = 1,       /* Its account came with blanks, which are gone. */
    NOTE_OVER_MAX = 2,     /* Same-day, and over same_day_max. */
    NOTE_SAME_DAY_LATE = 4 /* Same-day, and today's last deadline has passed. */
};

struct aside {
    unsigned notes;
    uint64_t twin; /* twins_hash() */
};

struct entry {
    struct submitter *queue;
    struct proposal proposal;
    struct bytes encoded;
    struct part *parts;
    size_t parts_count, parts_cap;
    size_t *places;       /* Which transfer of its submission. */
    struct aside *asides; /* Beside places. */
    size_t count, cap;
    size_t size_bytes;
    struct transfer *transfers; /* While it is filled. */
};

static void end_run(struct task *t);

void submitter_init(struct submitter *q, struct duty_env *env)
{
    *q = (struct submitter){.env = env, .twins.day = DAY_NONE};
    q->ended_tail = &q->ended;
    q->end.run = end_run;
}

static struct answers *answers_of(struct shard_submit *s)
{
    return CONTAINER_OF(s->checked, struct answers, results);
}

static size_t transfer_size_bytes(const struct transfer *t)
{
    size_t n = TRANSFER_OVERHEAD_BYTES + t->id.n + t->originator.n + t->entry_description.n + t->account.n +
               t->name.n + t->individual_id.n + t->discretionary.n + t->reverses.n + t->metadata.n;
    for (size_t i = 0; i < t->addenda_count; i++) {
        n += t->addenda[i].n + 4;
    }
    return n;
}

/* --- Ending a submission -------------------------------------------------- */

static void end_run(struct task *task)
{
    struct submitter *q = CONTAINER_OF(task, struct submitter, end);
    struct shard_submit *s = q->ended;
    q->ended = NULL;
    q->ended_tail = &q->ended;
    while (s != NULL) {
        struct shard_submit *next = s->next;
        struct answers *a = answers_of(s);
        s->done(s, a->err, a->err == SG_OK ? a->results : NULL);
        arena_release(&a->texts);
        mem_free(a);
        s = next;
    }
}

static void end_soon(struct submitter *q, struct shard_submit *s)
{
    s->next = NULL;
    *q->ended_tail = s;
    q->ended_tail = &s->next;
    loop_after(q->env->loop, &q->end, 0);
}

/* Nothing of s is under way and nothing of it will be. */
static bool is_complete(struct shard_submit *s)
{
    if (s->answered_count < s->proposed_count) {
        return false;
    }
    return answers_of(s)->err != SG_OK || s->proposed_count == s->transfers_count;
}

/* Ends the submission with err. What is under way is waited for, because its
 * entry still points to it; an outcome that may be partly there is unknown. */
static void fail(struct shard_submit *s, enum sg_err err)
{
    struct answers *a = answers_of(s);
    if (a->err == SG_OK) {
        a->err = a->entries_count > 0 ? SG_UNKNOWN : err;
    }
}

/* --- The queue ------------------------------------------------------------ */

static void queue_pop(struct submitter *q)
{
    struct shard_submit *s = q->head;
    q->head = s->next;
    if (q->head == NULL) {
        q->tail = NULL;
    }
    CHECK(q->queue_bytes >= s->size_bytes);
    q->queue_bytes -= s->size_bytes;
    s->next = NULL;
}

static void queue_fail(struct submitter *q, enum sg_err err)
{
    while (q->head != NULL) {
        struct shard_submit *s = q->head;
        queue_pop(q);
        fail(s, err);
        if (is_complete(s)) {
            end_soon(q, s);
        }
    }
}

void submitter_add(struct submitter *q, struct shard_submit *s)
{
    s->next = NULL;
    s->proposed_count = 0;
    s->answered_count = 0;
    s->size_bytes = 0;
    struct answers *a = mem_zalloc(1, sizeof *a + s->transfers_count * sizeof a->results[0]);
    s->checked = a->results;
    for (size_t i = 0; i < s->transfers_count; i++) {
        s->size_bytes += transfer_size_bytes(&s->transfers[i]);
    }
    if (!q->leads) {
        a->err = SG_NOTLEADER;
    } else if (q->queue_bytes + s->size_bytes > SUBMIT_QUEUE_MAX_BYTES && !FAULT_BUG("queue-unlimited")) {
        a->err = SG_BUSY;
    }
    if (a->err != SG_OK || s->transfers_count == 0) {
        end_soon(q, s);
        return;
    }
    q->queue_bytes += s->size_bytes;
    if (q->tail != NULL) {
        q->tail->next = s;
    } else {
        q->head = s;
    }
    q->tail = s;
    duty_wake(q->env, DUTY_SUBMIT);
}

/* --- One entry ------------------------------------------------------------ */

/* Can it be refused without the log? Then its answer is filled. */
static bool refused_here(struct submitter *q, struct shard_submit *s, size_t i, const struct transfer *t)
{
    char why[256];
    enum sg_err err = transfer_check(q->env->level, t, why, sizeof why);
    if (err == SG_OK) {
        err = ach_validate(&q->env->settings->s, t, why, sizeof why);
    }
    if (err == SG_OK) {
        return false;
    }
    struct submit_result *r = &s->checked[i];
    r->id = t->id;
    r->shard = q->env->routing_number;
    r->outcome = OUTCOME_REJECTED;
    r->reason = arena_dup(&answers_of(s)->texts, span_str(why));
    return true;
}

/* An account is kept without the blanks that people type, so that it is the same
 * content however it was typed. */
static bool pack_account(struct transfer *t, struct arena *a)
{
    if (t->account.n > ACCOUNT_TYPED_SIZE_MAX || memchr(t->account.p, ' ', t->account.n) == NULL) {
        return false;
    }
    uint8_t *packed = arena_room(a, t->account.n);
    size_t n = 0;
    for (size_t i = 0; i < t->account.n; i++) {
        packed[n] = t->account.p[i];
        n += packed[n] != ' ' ? 1 : 0;
    }
    t->account = span_of(packed, n);
    return true;
}

/* Can it still go the same day, as far as is known now? */
static unsigned same_day_notes(struct submitter *q, const struct transfer *t)
{
    const struct duty_settings *d = q->env->settings;
    if (!t->same_day || d->zone == NULL) {
        return 0;
    }
    int64_t now_ms = loop_wall_ms(q->env->loop);
    struct day today = zone_local(d->zone, now_ms).day;
    bool is_for_today = day_is_none(t->effective_date) || t->effective_date.n <= today.n;
    bool is_over = is_for_today && now_ms > window_same_day_until_ms(&d->s.shard, d->zone, today);
    return (t->amount.n > d->s.shard.same_day_max.n ? NOTE_OVER_MAX : 0) | (is_over ? NOTE_SAME_DAY_LATE : 0);
}

static struct entry *entry_new(struct submitter *q)
{
    struct entry *e = mem_zalloc(1, sizeof *e);
    e->queue = q;
    return e;
}

static void entry_free(struct entry *e)
{
    bytes_release(&e->encoded);
    mem_free(e->parts);
    mem_free(e->places);
    mem_free(e->asides);
    mem_free(e->transfers);
    mem_free(e);
}

static bool entry_is_full(const struct entry *e)
{
    return e->count == SUBMIT_BATCH_TRANSFERS_MAX || e->size_bytes >= SUBMIT_BATCH_SIZE_BYTES;
}

static void entry_add(struct entry *e, const struct transfer *t, size_t place, unsigned notes)
{
    if (e->count == e->cap) {
        e->cap = e->cap == 0 ? 16 : e->cap * 2;
        e->places = mem_realloc(e->places, e->cap * sizeof e->places[0]);
        e->asides = mem_realloc(e->asides, e->cap * sizeof e->asides[0]);
        e->transfers = mem_realloc(e->transfers, e->cap * sizeof e->transfers[0]);
    }
    e->transfers[e->count] = *t;
    e->asides[e->count] = (struct aside){notes, twins_hash(t)};
    e->places[e->count++] = place;
}

static void entry_add_part(struct entry *e, struct shard_submit *s, size_t first)
{
    if (e->parts_count == e->parts_cap) {
        e->parts_cap = e->parts_cap == 0 ? 4 : e->parts_cap * 2;
        e->parts = mem_realloc(e->parts, e->parts_cap * sizeof e->parts[0]);
    }
    e->parts[e->parts_count++] = (struct part){s, first, e->count - first};
}

/* Take from s what fits; refused ones are answered on the way. */
static void entry_take(struct submitter *q, struct entry *e, struct shard_submit *s)
{
    size_t first = e->count;
    while (s->proposed_count < s->transfers_count && !entry_is_full(e)) {
        size_t i = s->proposed_count++;
        size_t size = transfer_size_bytes(&s->transfers[i]);
        s->size_bytes -= size;
        q->queue_bytes -= size;
        struct transfer t = s->transfers[i];
        unsigned notes = pack_account(&t, &answers_of(s)->texts) ? NOTE_BLANKS : 0;
        if (refused_here(q, s, i, &t)) {
            s->answered_count++;
            continue;
        }
        entry_add(e, &t, i, notes | same_day_notes(q, &t));
        e->size_bytes += size;
    }
    if (e->count > first) {
        entry_add_part(e, s, first);
    }
}

static void entry_fill(struct submitter *q, struct entry *e)
{
    while (q->head != NULL && !entry_is_full(e)) {
        struct shard_submit *s = q->head;
        entry_take(q, e, s);
        if (s->proposed_count < s->transfers_count) {
            break;
        }
        queue_pop(q);
        if (is_complete(s)) {
            end_soon(q, s); /* All of it was refused here. */
        }
    }
}

/* "": there is nothing to say. */
static struct span note_text(struct submitter *q, const struct aside *aside, const struct submit_result *r,
                             struct arena *a)
{
    char twin[128] = "";
    uint64_t earlier = 0;
    const struct duty_settings *d = q->env->settings;
    if (r->outcome == OUTCOME_REJECTED) {
        return SPAN_NONE;
    }
    if (r->outcome == OUTCOME_ACCEPTED && d != NULL && d->zone != NULL) {
        struct day today = zone_local(d->zone, loop_wall_ms(q->env->loop)).day;
        earlier = twins_meet(&q->twins, today, aside->twin, r->index);
    }
    if (earlier != 0) {
        (void)snprintf(
            twin, sizeof twin,
            "perhaps a duplicate: receiver, amount and day are those of a transfer accepted at log "
            "index %llu",
            (unsigned long long)earlier);
    }
    const char *const parts[] = {
        (aside->notes & NOTE_BLANKS) != 0 ? "blanks were removed from the account" : "",
        (aside->notes & NOTE_OVER_MAX) != 0
            ? "over limits.same_day_max_cents: it settles on the next banking day"
            : "",
        (aside->notes & NOTE_SAME_DAY_LATE) != 0
            ? "today's last same-day deadline has passed: it is dated the next banking day"
            : "",
        twin};
    char text[512] = "";
    size_t n = 0;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        if (parts[i][0] != '\0') {
            int more = snprintf(text + n, sizeof text - n, "%s%s", n > 0 ? "; " : "", parts[i]);
            CHECK(more > 0 && (size_t)more < sizeof text - n);
            n += (size_t)more;
        }
    }
    return n > 0 ? arena_dup(a, span_of(text, n)) : SPAN_NONE;
}

static void part_answer(struct entry *e, const struct part *p, const struct submit_result *results)
{
    struct shard_submit *s = p->submit;
    for (size_t i = p->first; i < p->first + p->count; i++) {
        struct submit_result *r = &s->checked[e->places[i]];
        *r = results[i];
        r->id = s->transfers[e->places[i]].id;
        r->shard = e->queue->env->routing_number;
        r->reason = arena_dup(&answers_of(s)->texts, results[i].reason);
        r->note = note_text(e->queue, &e->asides[i], r, &answers_of(s)->texts);
    }
}

/* The answers of an applied entry; its error when it was refused as a whole. */
static enum sg_err entry_answer(struct entry *e, struct span encoded)
{
    struct arena a = ARENA_INIT;
    struct command_result result;
    enum sg_err err = command_result_decode(encoded, &a, &result);
    CHECK(err == SG_OK); /* Our own apply wrote it. */
    err = result.err;
    if (err == SG_OK) {
        CHECK(result.results_count == e->count);
        for (size_t i = 0; i < e->parts_count; i++) {
            part_answer(e, &e->parts[i], result.results);
        }
    }
    arena_release(&a);
    return err;
}

static void entry_end(struct entry *e, enum sg_err err)
{
    struct submitter *q = e->queue;
    for (size_t i = 0; i < e->parts_count; i++) {
        struct shard_submit *s = e->parts[i].submit;
        if (err != SG_OK) {
            fail(s, err);
        }
        s->answered_count += e->parts[i].count;
        if (is_complete(s) && s != q->head) {
            end_soon(q, s);
        }
    }
    entry_free(e);
    /* A failed submission whose rest still waits: not worth proposing. */
    if (q->head != NULL && answers_of(q->head)->err != SG_OK) {
        struct shard_submit *s = q->head;
        queue_pop(q);
        if (is_complete(s)) {
            end_soon(q, s);
        }
    }
}

static void entry_taken(struct entry *e, bool taken)
{
    for (size_t i = 0; i < e->parts_count; i++) {
        struct answers *a = answers_of(e->parts[i].submit);
        CHECK_IMPLIES(!taken, a->entries_count > 0);
        a->entries_count = taken ? a->entries_count + 1 : a->entries_count - 1;
    }
}

static void entry_done(struct proposal *p, enum sg_err err)
{
    struct entry *e = CONTAINER_OF(p, struct entry, proposal);
    struct submitter *q = e->queue;
    CHECK(q->entries_count > 0);
    q->entries_count--;
    q->env->outstanding_count--;
    bool applied = err == SG_OK;
    if (applied) {
        err = entry_answer(e, p->result);
    } else if (err != SG_NOTLEADER) {
        err = SG_UNKNOWN; /* It was taken: a group that stopped says no more than that. */
    }
    if (err == SG_NOTLEADER || (applied && err != SG_OK)) {
        entry_taken(e, false); /* Nothing of it happened. */
    }
    entry_end(e, err);
    duty_wake(q->env, DUTY_SUBMIT);
    end_run(&q->end);
}

/* Hand it to the engine. An entry that finds the engine busy waits for one of
 * ours to end; with none under way there is nothing to wait for. */
static bool entry_propose(struct submitter *q, struct entry *e)
{
    e->proposal = (struct proposal){.command = span_bytes(&e->encoded), .is_early = true, .done = entry_done};
    enum sg_err err = q->env->propose(q->env->impl, &e->proposal);
    CHECK(err != SG_TOOBIG);
    if (err == SG_OK) {
        bytes_release(&e->encoded);
        entry_taken(e, true);
        q->entries_count++;
        q->env->outstanding_count++;
        return true;
    }
    if (err == SG_BUSY && q->entries_count > 0) {
        q->stalled = e;
        return false;
    }
    err = err == SG_BUSY ? SG_BUSY : SG_NOTLEADER;
    entry_end(e, err);
    queue_fail(q, err);
    return false;
}

static void entry_encode(struct entry *e)
{
    struct command c = {
        .kind = COMMAND_SUBMIT, .level = e->queue->env->level, .time_ms = duty_stamp_ms(e->queue->env)};
    c.node = span_str(e->queue->env->node_name);
    c.submit.transfers = e->transfers;
    c.submit.transfers_count = e->count;
    command_encode(&c, &e->encoded);
    mem_free(e->transfers);
    e->transfers = NULL;
}

static struct entry *next_entry(struct submitter *q)
{
    struct entry *e = q->stalled;
    q->stalled = NULL;
    if (e != NULL) {
        return e;
    }
    e = entry_new(q);
    entry_fill(q, e);
    if (e->count == 0) {
        entry_free(e);
        return NULL;
    }
    entry_encode(e);
    return e;
}

void submitter_pump(struct submitter *q)
{
    if (!q->env->is_ready) {
        return; /* Elected but not ready: what came waits for that. */
    }
    if (q->env->settings == NULL) {
        queue_fail(q, SG_UNAVAILABLE);
        return;
    }
    while ((q->head != NULL || q->stalled != NULL) && q->entries_count < SUBMIT_ENTRIES_MAX) {
        struct entry *e = next_entry(q);
        if (e != NULL && !entry_propose(q, e)) {
            break;
        }
    }
}

void submitter_role(struct submitter *q, bool leads)
{
    q->leads = leads;
    twins_clear(&q->twins); /* What others accept in between is not known here. */
    if (leads) {
        return;
    }
    if (q->stalled != NULL) {
        struct entry *e = q->stalled;
        q->stalled = NULL;
        entry_end(e, SG_NOTLEADER);
    }
    queue_fail(q, SG_NOTLEADER);
}

bool submitter_is_idle(const struct submitter *q)
{
    return q->head == NULL && q->stalled == NULL && q->entries_count == 0 && q->ended == NULL;
}
