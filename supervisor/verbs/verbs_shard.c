/* Verbs on one routing number: reads. On the shard's lane. */
#include "proto/base/mem.h"
#include "supervisor/verbs/json.h"
#include "supervisor/verbs/table.h"
#include "supervisor/verbs/verbs.h"

#define READ_POLL_MS 1

static void view_failed(struct call *c, const struct view *v)
{
    if (v->err == SG_CORRUPT) {
        call_fail(c, SG_CORRUPT,
                  "%s: this replica has damaged data and does not serve it; ask another node or see the "
                  "log of node %s",
                  v->why, c->node->self->name);
        return;
    }
    call_fail(c, v->err, "%s", v->why);
}

/* Ends the call with what the view made, or with why it did not. */
static void view_done(struct call *c, struct call_view *v, bool made, struct view_answer *answer)
{
    struct reply r = {.err = SG_OK, .data = span_bytes(&answer->data)};

    call_view_end(v);
    if (!made) {
        view_failed(c, &v->view);
    } else if (answer->document != NULL) {
        call_document(c, answer->document);
    } else {
        call_reply(c, &r);
    }
    bytes_release(&answer->data);
}

/* The request's arguments. false: the call has been answered. */
static bool read_args(struct call *c, struct view_args *out)
{
    *out = view_args_of(&c->request);
    return call_number(c, "from", 0, &out->from) && call_number(c, "to", UINT64_MAX, &out->to);
}

void verb_leader_show(struct call *c, struct lane_slot *s)
{
    const struct founder *leader = node_founder(c->node, s->leader);
    char aba[ABA_TEXT_SIZE];
    call_document(c, json_pack("{s:i,s:s,s:s?,s:I}", "v", 1, "routing_number",
                               aba_text(c->request.routing_number, aba), "leader",
                               leader == NULL ? NULL : leader->name, "term", (json_int_t)s->term));
}

static void read_now(struct call *c, struct lane_slot *s)
{
    struct shard_status live;
    struct view_args args;
    struct view_answer answer = {.document = NULL, .data = BYTES_NONE};
    struct call_view v;

    if (!read_args(c, &args) || !call_view_begin(c, &v, s->lane, s->group)) {
        return;
    }
    shard_status(s->shard, &live);
    args.live = &live;
    view_done(c, &v, verb_view_of(c->request.kind)(&v.view, &args, &answer), &answer);
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
        read_now(c, s);
    } else {
        loop_after(c->lane->loop, &c->task, READ_POLL_MS);
    }
}

void verb_read(struct call *c, struct lane_slot *s)
{
    struct group_status status;

    group_status(shard_group(s->shard), &status);
    c->exec.number = status.ran_index;
    c->task.run = read_when_flushed;
    read_when_flushed(&c->task);
}

/* --- Reads that build a file: elsewhere, so that the lane goes on ----------------------- */

struct file_read {
    struct work work;
    struct call *call;
    struct call_view v;
    struct view_args args;
    struct view_answer answer;
    bool made;
};

static void file_read_run(struct work *w)
{
    struct file_read *f = CONTAINER_OF(w, struct file_read, work);
    f->made = verb_view_of(f->call->request.kind)(&f->v.view, &f->args, &f->answer);
}

static void file_read_done(struct work *w)
{
    struct file_read *f = CONTAINER_OF(w, struct file_read, work);
    view_done(f->call, &f->v, f->made, &f->answer);
    mem_free(f);
}

void verb_read_file(struct call *c, struct lane_slot *s)
{
    struct file_read *f = mem_zalloc(1, sizeof *f);

    if (!read_args(c, &f->args) || !call_view_begin(c, &f->v, s->lane, s->group)) {
        mem_free(f);
        return;
    }
    f->v.view.rows = &f->v.rows;
    f->call = c;
    f->work = (struct work){.run = file_read_run, .done = file_read_done};
    loop_elsewhere(c->lane->loop, WORKER_READ, &f->work);
}
