/* Verbs on one routing number: reads. On the shard's lane. */
#include "proto/base/mem.h"
#include "supervisor/verbs/json.h"
#include "supervisor/verbs/verbs_shard.h"

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

static void view_answer(struct call *c, struct call_view *v, json_t *document)
{
    call_view_end(v);
    if (document == NULL) {
        view_failed(c, &v->view);
    } else {
        call_document(c, document);
    }
}

struct read_args {
    struct shard *shard;
    struct span id, file, state;
    uint64_t from, to;
};

static void verb_leader_show(struct call *c, struct slot *s)
{
    const struct founder *leader = node_founder(c->node, s->leader);
    char aba[ABA_TEXT_SIZE];
    call_document(c, json_pack("{s:i,s:s,s:s?,s:I}", "v", 1, "routing_number",
                               aba_text(c->request.routing_number, aba), "leader",
                               leader == NULL ? NULL : leader->name, "term", (json_int_t)s->term));
}

static json_t *read_transfer(struct call_view *v, const struct read_args *a)
{
    return view_transfer(&v->view, a->id);
}
static json_t *read_transfers(struct call_view *v, const struct read_args *a)
{
    return view_transfers(&v->view, a->from, a->state);
}
static json_t *read_trace(struct call_view *v, const struct read_args *a)
{
    return view_trace(&v->view, a->id);
}
static json_t *read_windows(struct call_view *v, const struct read_args *a)
{
    (void)a;
    return view_windows(&v->view);
}
static json_t *read_files(struct call_view *v, const struct read_args *a)
{
    (void)a;
    return view_files(&v->view);
}
static json_t *read_file(struct call_view *v, const struct read_args *a)
{
    return view_file(&v->view, a->file);
}
static json_t *read_events(struct call_view *v, const struct read_args *a)
{
    return view_events(&v->view, a->from);
}
static json_t *read_log(struct call_view *v, const struct read_args *a)
{
    return view_log(&v->view, a->from, a->to);
}
static json_t *read_hash(struct call_view *v, const struct read_args *a)
{
    (void)a;
    return view_hash(&v->view);
}
static json_t *read_shard(struct call_view *v, const struct read_args *a)
{
    struct shard_status status;
    shard_status(a->shard, &status);
    return view_shard(&v->view, &status);
}

static json_t *(*const reads[REQUEST_KINDS])(struct call_view *v, const struct read_args *a) = {
    [REQUEST_TRANSFERS_SHOW] = read_transfer,
    [REQUEST_TRANSFERS_LIST] = read_transfers,
    [REQUEST_TRANSFERS_TRACE] = read_trace,
    [REQUEST_WINDOWS_LIST] = read_windows,
    [REQUEST_FILES_LIST] = read_files,
    [REQUEST_FILES_SHOW] = read_file,
    [REQUEST_EVENTS] = read_events,
    [REQUEST_LOG_DUMP] = read_log,
    [REQUEST_HASH] = read_hash,
    [REQUEST_SHARDS_SHOW] = read_shard,
};

static void read_now(struct call *c, struct slot *s)
{
    struct read_args a = {.shard = s->shard,
                          .id = request_arg(&c->request, "id"),
                          .file = request_arg(&c->request, "file"),
                          .state = request_arg(&c->request, "state")};
    struct call_view v;

    if (call_number(c, "from", 0, &a.from) && call_number(c, "to", UINT64_MAX, &a.to) &&
        call_view_begin(c, &v, s->lane, s->group)) {
        view_answer(c, &v, reads[c->request.kind](&v, &a));
    }
}

/* Submissions are answered when they are applied, a moment before rows show
 * them: a read waits for all that was answered before it came. */
static void read_when_flushed(struct task *t)
{
    struct call *c = CONTAINER_OF(t, struct call, task);
    struct slot *s = lane_slot(c->lane, c->request.routing_number.n);
    struct group_status status;

    group_status(shard_group(s->shard), &status);
    if (status.applied_index >= c->exec.number || status.stopped || c->lane->leaving_stopped) {
        read_now(c, s);
    } else {
        loop_after(c->lane->loop, &c->task, READ_POLL_MS);
    }
}

static void verb_read(struct call *c, struct slot *s)
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
    struct bytes data;
    json_t *document;
    bool done;
};

static void file_read_run(struct work *w)
{
    struct file_read *f = CONTAINER_OF(w, struct file_read, work);
    struct span file = request_arg(&f->call->request, "file");

    if (f->call->request.kind == REQUEST_FILES_GET) {
        f->done = view_file_bytes(&f->v.view, file, &f->data);
    } else {
        f->document = view_file_verify(&f->v.view, file);
    }
}

static void file_read_done(struct work *w)
{
    struct file_read *f = CONTAINER_OF(w, struct file_read, work);
    struct call *c = f->call;

    if (c->request.kind == REQUEST_FILES_VERIFY) {
        view_answer(c, &f->v, f->document);
    } else {
        struct reply r = {.err = SG_OK, .data = span_bytes(&f->data)};
        call_view_end(&f->v);
        if (f->done) {
            call_reply(c, &r);
        } else {
            view_failed(c, &f->v.view);
        }
    }
    bytes_release(&f->data);
    mem_free(f);
}

static void verb_file_read(struct call *c, struct slot *s)
{
    struct file_read *f = mem_zalloc(1, sizeof *f);

    if (!call_view_begin(c, &f->v, s->lane, s->group)) {
        mem_free(f);
        return;
    }
    f->v.view.rows = &f->v.rows;
    f->call = c;
    f->work = (struct work){.run = file_read_run, .done = file_read_done};
    loop_elsewhere(c->lane->loop, WORKER_READ, &f->work);
}

void verb_shard(struct call *c, struct slot *s)
{
    static void (*const verbs[REQUEST_KINDS])(struct call * c, struct slot * s) = {
        [REQUEST_SUBMIT] = verb_submit,           [REQUEST_CANCEL] = verb_command,
        [REQUEST_WINDOWS_CLOSE] = verb_command,   [REQUEST_FILES_CANCEL] = verb_command,
        [REQUEST_FILES_RESOLVE] = verb_command,   [REQUEST_LEADER_TRANSFER] = verb_leader_transfer,
        [REQUEST_LEADER_SHOW] = verb_leader_show, [REQUEST_FILES_GET] = verb_file_read,
        [REQUEST_FILES_VERIFY] = verb_file_read,
    };
    if (verbs[c->request.kind] != NULL) {
        verbs[c->request.kind](c, s);
    } else if (reads[c->request.kind] != NULL) {
        verb_read(c, s);
    } else {
        call_fail(c, SG_UNSUPPORTED, "node %s does not know the request '%s'", c->node->self->name,
                  request_kind_name(c->request.kind));
    }
}
