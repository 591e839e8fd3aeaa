#include "shard/duties/submit.h"

#include <stdio.h>

#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "shard/ach/validate.h"

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

struct entry {
    struct submitter *queue;
    struct proposal proposal;
    struct bytes encoded;
    struct part *parts;
    size_t parts_count, parts_cap;
    size_t *places; /* Which transfer of its submission. */
    size_t count, cap;
    size_t size_bytes;
    struct transfer *transfers; /* While it is filled. */
};

static void end_run(struct task *t);

void submitter_init(struct submitter *q, struct duty_env *env)
{
    *q = (struct submitter){.env = env};
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
static bool refused_here(struct submitter *q, struct shard_submit *s, size_t i)
{
    const struct transfer *t = &s->transfers[i];
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
    mem_free(e->transfers);
    mem_free(e);
}

static bool entry_is_full(const struct entry *e)
{
    return e->count == SUBMIT_BATCH_TRANSFERS_MAX || e->size_bytes >= SUBMIT_BATCH_SIZE_BYTES;
}

static void entry_add(struct entry *e, const struct transfer *t, size_t place)
{
    if (e->count == e->cap) {
        e->cap = e->cap == 0 ? 16 : e->cap * 2;
        e->places = mem_realloc(e->places, e->cap * sizeof e->places[0]);
        e->transfers = mem_realloc(e->transfers, e->cap * sizeof e->transfers[0]);
    }
    e->transfers[e->count] = *t;
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
        if (refused_here(q, s, i)) {
            s->answered_count++;
            continue;
        }
        entry_add(e, &s->transfers[i], i);
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

static void part_answer(const struct entry *e, const struct part *p, const struct submit_result *results)
{
    struct shard_submit *s = p->submit;
    for (size_t i = p->first; i < p->first + p->count; i++) {
        struct submit_result *r = &s->checked[e->places[i]];
        *r = results[i];
        r->id = s->transfers[e->places[i]].id;
        r->shard = e->queue->env->routing_number;
        r->reason = arena_dup(&answers_of(s)->texts, results[i].reason);
    }
}

/* The answers of an applied entry; its error when it was refused as a whole. */
static enum sg_err entry_answer(const struct entry *e, struct span encoded)
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
        .kind = COMMAND_SUBMIT, .level = e->queue->env->level, .time_ms = loop_wall_ms(e->queue->env->loop)};
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
