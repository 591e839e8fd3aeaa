/* Verbs on one routing number: reads. Rows are read elsewhere, so that the lane goes on
 * however many there are. */
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "proto/level.h"
#include "supervisor/verbs/json.h"
#include "supervisor/verbs/table.h"
#include "supervisor/verbs/verbs.h"

#define READ_POLL_MS 1
#define UPLOADS_SHOWN (sizeof((struct shard_status *)NULL)->uploads / sizeof(struct shard_upload_status))

void verb_leader_show(struct call *c, struct lane_slot *s)
{
    const struct founder *leader = node_founder(c->node, s->leader);
    char aba[ABA_TEXT_SIZE];
    call_document(c, json_pack("{s:i,s:s,s:s?,s:I}", "v", 1, "routing_number",
                               aba_text(c->request.routing_number, aba), "leader",
                               leader == NULL ? NULL : leader->name, "term", (json_int_t)s->term));
}

/* --- A read on its way ------------------------------------------------------------- */

/* Live figures by value: what shard_status() lends is the loop's. */
struct live {
    struct shard_status status;
    char last_error[UPLOADS_SHOWN][BANK_TEXT_SIZE];
};

struct shard_read {
    struct work work;
    struct call *call;
    struct call_view v;
    struct view_args args;
    struct live live;
    struct bytes reply; /* Encoded. */
};

static void live_copy(struct live *out, struct shard *s)
{
    shard_status(s, &out->status);
    out->status.group.why = "";
    for (size_t i = 0; i < out->status.uploads_count; i++) {
        struct shard_upload_status *u = &out->status.uploads[i];
        (void)snprintf(out->last_error[i], BANK_TEXT_SIZE, "%s", u->last_error);
        u->last_error = out->last_error[i];
    }
}

static void encode_failure(struct shard_read *f)
{
    const struct view *v = &f->v.view;
    char text[768];
    struct reply r = {.err = v->err};

    (void)snprintf(text, sizeof text, "%s%s%s", v->why,
                   v->err == SG_CORRUPT
                       ? ": this replica has damaged data and does not serve it; ask another "
                         "node or see the log of node "
                       : "",
                   v->err == SG_CORRUPT ? v->node : "");
    r.text = span_str(text);
    reply_encode(&r, &f->reply);
}

/* On a read worker, to the last byte of the answer. */
static void read_run(struct work *w)
{
    struct shard_read *f = CONTAINER_OF(w, struct shard_read, work);
    struct view_answer answer = {.document = NULL, .data = BYTES_NONE};
    struct reply r = {.err = SG_OK};
    char *text = NULL;
    bool made = false;

    if (call_view_begin(&f->v) == SG_OK) {
        made = verb_view_of(f->call->request.kind)(&f->v.view, &f->args, &answer);
        call_view_end(&f->v);
    }
    if (!made) {
        encode_failure(f);
        return;
    }
    if (answer.document != NULL) {
        text = json_dumps(answer.document, JSON_COMPACT);
        CHECK(text != NULL);
        r.json = span_str(text);
    }
    r.data = span_bytes(&answer.data);
    reply_encode(&r, &f->reply);
    json_decref(answer.document);
    free(text); /* jansson's own allocator. */
    bytes_release(&answer.data);
}

/* A question may be the first to touch a damaged row. This replica then believes none
 * of its rows any more, as if apply had met it, and whoever leads next answers. */
static bool is_passed_on(struct call *c, const struct view *v)
{
    struct lane_slot *s = lane_slot(c->lane, c->request.routing_number.n);
    if (v->err != SG_CORRUPT || c->request.kind == REQUEST_LOG_DUMP || s == NULL || s->shard == NULL) {
        return false;
    }
    group_damaged(shard_group(s->shard), SG_CORRUPT, v->why);
    call_retry(c, SG_NOTLEADER, v->why);
    return true;
}

static void read_done(struct work *w)
{
    struct shard_read *f = CONTAINER_OF(w, struct shard_read, work);
    if (is_passed_on(f->call, &f->v.view)) {
        bytes_release(&f->reply);
    } else {
        call_reply_made(f->call, &f->reply);
    }
    mem_free(f);
}

/* The request's arguments. false: the call has been answered. */
static bool read_args(struct call *c, struct view_args *out)
{
    *out = view_args_of(&c->request);
    return call_number(c, "from", 0, &out->from) && call_number(c, "to", UINT64_MAX, &out->to);
}

static void read_start(struct call *c, struct lane_slot *s)
{
    struct shard_read *f = mem_zalloc(1, sizeof *f);

    if (!read_args(c, &f->args) || !call_view_init(c, &f->v, s->lane, s->group)) {
        mem_free(f);
        return;
    }
    live_copy(&f->live, s->shard);
    f->args.live = &f->live.status;
    f->call = c;
    f->work = (struct work){.run = read_run, .done = read_done};
    if (FAULT_BUG("view-on-loop")) {
        read_run(&f->work);
        read_done(&f->work);
        return;
    }
    loop_elsewhere(c->lane->loop, WORKER_READ, &f->work);
}

/* Submissions are answered when they are applied, a moment before rows show
 * them: a read waits for all that was answered before it came. */
static void read_when_flushed(struct task *t)
{
    struct call *c = CONTAINER_OF(t, struct call, task);
    struct lane_slot *s = lane_slot(c->lane, c->request.routing_number.n);
    struct group_status status;

    group_status(shard_group(s->shard), &status);
    if (status.applied_index >= c->exec.number || status.stopped || c->lane->leaving_stopped) {
        read_start(c, s);
    } else if (loop_now_ms(c->lane->loop) >= c->deadline_ms) {
        call_fail(c, SG_UNAVAILABLE, "the store of node %s is slow: it does not show yet what was accepted",
                  c->node->self->name);
    } else {
        loop_after(c->lane->loop, &c->task, READ_POLL_MS);
    }
}

static void read_confirmed(struct group_read *r, enum sg_err err)
{
    struct call *c = CONTAINER_OF(r, struct call, exec.read);
    struct lane_slot *s = lane_slot(c->lane, c->request.routing_number.n);

    if (err == SG_OK && s != NULL && s->shard != NULL) {
        read_start(c, s);
    } else {
        call_retry(c, SG_NOTLEADER, "leadership moved while a majority was asked");
    }
}

/* Of the leader, once a majority has said that it still is one: the answer shows all
 * that anybody was told before the question came. Programs of a lower level send no
 * rounds back; there, as at a replica, the rows are taken as they are here. */
void verb_read(struct call *c, struct lane_slot *s)
{
    struct group_status status;

    if (c->verb->facts.where == VERB_LEADER && c->lane->level >= LEVEL_READ) {
        c->exec.read = (struct group_read){.done = read_confirmed};
        enum sg_err err = group_read(shard_group(s->shard), &c->exec.read);
        if (err == SG_BUSY) {
            call_fail(c, SG_BUSY, "%d questions wait for this shard already: try again later", READS_MAX);
        } else if (err != SG_OK) {
            call_retry(c, SG_NOTLEADER, "this node leads it no more");
        }
        return;
    }
    group_status(shard_group(s->shard), &status);
    c->exec.number = status.ran_index;
    c->task.run = read_when_flushed;
    read_when_flushed(&c->task);
}
