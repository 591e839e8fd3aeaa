/* Verbs on one routing number: changes. On the shard's lane, this node leads. */
#include <stdio.h>
#include <string.h>

#include "supervisor/verbs/json.h"
#include "supervisor/verbs/verbs.h"

#define TRANSFER_POLL_MS 2

/* --- transfers submit ------------------------------------------------------------------- */

static bool disk_is_full(const struct call *c)
{
    const struct kv *kv = c->lane->kv;
    return kv->ops->free_bytes(kv->impl) < STORE_FREE_SPACE_MIN_BYTES;
}

static void submit_done(struct shard_submit *submit, enum sg_err err, const struct submit_result *results)
{
    struct call *c = CONTAINER_OF(submit, struct call, exec.submit);
    struct reply r = {.err = SG_OK};

    if (err == SG_BUSY && !c->started && disk_is_full(c)) {
        call_fail(
            c, SG_REFUSED,
            "the disk of node %s, which leads this shard, is nearly full: nothing was accepted; free space "
            "there or move leadership ('shardgate leader transfer')",
            c->node->self->name);
        return;
    }
    if (err != SG_OK) {
        call_retry(c, err, sg_err_text(err));
        return;
    }
    r.results = (struct submit_result *)(uintptr_t)results;
    r.results_count = submit->transfers_count;
    call_reply(c, &r);
}

void verb_submit(struct call *c, struct lane_slot *s)
{
    c->exec.submit = (struct shard_submit){
        .transfers = c->request.transfers,
        .transfers_count = c->request.transfers_count,
        .done = submit_done,
    };
    if (c->request.transfers_count == 0) {
        call_fail(c, SG_INVALID, "the request holds no transfer");
        return;
    }
    shard_submit(s->shard, &c->exec.submit);
}

/* --- One command -------------------------------------------------------------------------- */

static void answer_done(struct call *c, uint64_t index, uint64_t file, const char *window, const char *text)
{
    call_document(c, json_pack("{s:i,s:s,s:o,s:o,s:o,s:o}", "v", 1, "outcome", "done", "index",
                               view_number(index), "file", view_number(file), "window",
                               view_text(span_str(window)), "text", view_text(span_str(text))));
}

/* Closing a named window is what may be repeated though it is not the same the
 * second time; cancelling and resolving are. */
bool verb_closed_before(struct call *c, enum sg_err err, const char *text)
{
    char window[WINDOW_NAME_SIZE_MAX + 1];
    if (err != SG_EXISTS) {
        return false;
    }
    answer_done(c, 0, 0, span_cstr(request_arg(&c->request, "window"), window, sizeof window), text);
    return true;
}

static void command_done(struct shard_command *command, enum sg_err err, const struct command_result *result)
{
    struct call *c = CONTAINER_OF(command, struct call, exec.command);
    char reason[512];

    if (err != SG_OK) {
        call_retry(c, err, sg_err_text(err));
        return;
    }
    (void)span_cstr(result->reason, reason, sizeof reason);
    if (call_done_before(c, result->err, reason)) {
        return;
    }
    if (result->err != SG_OK) {
        call_fail(c, result->err, "%s", reason);
        return;
    }
    answer_done(c, result->index, result->file,
                command->command.kind == COMMAND_CLOSE ? command->command.close.window.name : "", reason);
}

static bool needs_reason(const struct call *c)
{
    return c->request.kind == REQUEST_FILES_RESOLVE;
}

/* The number of the file that the request names; 0: the call has been answered. */
static uint64_t file_number(struct call *c, struct lane_slot *s)
{
    struct call_view v;
    uint64_t number = 0;

    if (!call_view_init(c, &v, s->lane, s->group)) {
        return 0;
    }
    if (call_view_begin(&v) == SG_OK) {
        number = view_file_number(&v.view, request_arg(&c->request, "file"));
        call_view_end(&v);
    }
    if (number == 0) {
        call_fail(c, v.view.err, "%s", v.view.why);
    }
    return number;
}

static bool fill_window(struct call *c, struct command *out)
{
    bool is_release = c->request.kind == REQUEST_WINDOWS_RELEASE;
    struct span window = request_arg(&c->request, "window");
    if (window.n > WINDOW_NAME_SIZE_MAX) {
        call_fail(c, SG_INVALID, "window: a name has at most %d characters", WINDOW_NAME_SIZE_MAX);
        return false;
    }
    if (is_release) {
        out->kind = COMMAND_RELEASE;
        (void)span_cstr(window, out->release.window, sizeof out->release.window);
        out->release.reason = request_arg(&c->request, "reason");
        return true;
    }
    out->kind = COMMAND_CLOSE;
    out->close.manual = true;
    out->close.window.day = DAY_NONE; /* Today in the shard's zone. */
    (void)span_cstr(window, out->close.window.name, sizeof out->close.window.name);
    out->close.reason = request_arg(&c->request, "reason");
    return true;
}

static bool fill_file(struct call *c, struct lane_slot *s, struct command *out)
{
    struct span as = request_arg(&c->request, "as");
    bool resolve = c->request.kind == REQUEST_FILES_RESOLVE;
    uint64_t number;

    if (resolve && !span_is(as, "uploaded") && !span_is(as, "abandoned")) {
        call_fail(c, SG_INVALID,
                  "files resolve needs --as uploaded or --as abandoned: say what the bank has");
        return false;
    }
    number = file_number(c, s);
    if (number == 0) {
        return false; /* With the answer the call is gone, and out lies in it. */
    }
    out->kind = resolve ? COMMAND_RESOLVE : COMMAND_FILE_CANCEL;
    out->file.as_uploaded = span_is(as, "uploaded");
    out->file.reason = request_arg(&c->request, "reason");
    out->file.file = number;
    return true;
}

static bool fill_command(struct call *c, struct lane_slot *s, struct command *out)
{
    if (needs_reason(c) && request_arg(&c->request, "reason").n == 0) {
        call_fail(c, SG_INVALID, "%s needs --reason TEXT: it stands in the events of the shard",
                  call_name(c));
        return false;
    }
    if (c->request.kind == REQUEST_WINDOWS_CLOSE || c->request.kind == REQUEST_WINDOWS_RELEASE) {
        return fill_window(c, out);
    }
    if (c->request.kind == REQUEST_CANCEL) {
        out->kind = COMMAND_CANCEL;
        out->cancel.id = request_arg(&c->request, "id");
        out->cancel.reason = request_arg(&c->request, "reason");
        return true;
    }
    return fill_file(c, s, out);
}

void verb_command(struct call *c, struct lane_slot *s)
{
    memset(&c->exec.command, 0, sizeof c->exec.command);
    c->exec.command.done = command_done;
    if (fill_command(c, s, &c->exec.command.command)) {
        shard_command(s->shard, &c->exec.command);
    }
}

/* --- leader transfer ------------------------------------------------------------------------- */

/* why: NULL when the outcome says it all. */
static void transfer_outcome_why(struct call *c, const char *outcome, uint64_t leader, uint64_t term,
                                 const char *why)
{
    const struct founder *f = node_founder(c->node, leader);
    char aba[ABA_TEXT_SIZE];
    json_t *o = json_pack("{s:i,s:s,s:s?,s:I,s:s,s:I}", "v", 1, "routing_number",
                          aba_text(c->request.routing_number, aba), "leader", f == NULL ? NULL : f->name,
                          "term", (json_int_t)term, "outcome", outcome, "took_ms",
                          (json_int_t)(loop_now_ms(c->lane->loop) - c->exec.started_ms));
    if (why != NULL) {
        view_add(o, "why", view_text(span_str(why)));
    }
    call_document(c, o);
}

static void transfer_outcome(struct call *c, const char *outcome, uint64_t leader, uint64_t term)
{
    transfer_outcome_why(c, outcome, leader, term, NULL);
}

/* False: the call has been answered. */
static bool transfer_is_timely(struct call *c, struct shard *s, const struct group_status *status)
{
    char reason[128];
    char why[256];
    if (call_flag(c, "force") || !shard_is_near_cutoff(s, reason, sizeof reason)) {
        return true;
    }
    (void)snprintf(why, sizeof why,
                   "%s: wait until that is over, or move leadership all the same with --force", reason);
    transfer_outcome_why(c, "REFUSED_NEAR_CUTOFF", status->leader, status->term, why);
    return false;
}

static void transfer_poll(struct task *t)
{
    struct call *c = CONTAINER_OF(t, struct call, task);
    struct lane_slot *s = lane_slot(c->lane, c->request.routing_number.n);
    struct group_status status;
    bool over = loop_now_ms(c->lane->loop) >= c->deadline_ms || c->lane->leaving_stopped;

    group_status(shard_group(s->shard), &status);
    if (status.leader != 0 && status.leader != c->node->self->id) {
        bool as_wished = c->exec.number == 0 || status.leader == c->exec.number;
        transfer_outcome(c, as_wished ? "TRANSFERRED" : "LEADER_CHANGED", status.leader, status.term);
    } else if ((status.is_leader && status.transferee == 0) || over) {
        transfer_outcome(c, "TIMED_OUT", status.leader, status.term);
    } else {
        loop_after(c->lane->loop, &c->task, TRANSFER_POLL_MS);
    }
}

/* Whom to hand over to: exec.number, 0 for the best. False: the call has been answered. */
static bool transfer_target(struct call *c, const struct group_status *status)
{
    struct span to = request_arg(&c->request, "to");
    const struct founder *f = to.n == 0 ? NULL : node_founder_named(c->node, to);
    char name[NAME_SIZE_MAX + 1];

    if (to.n > 0 && f == NULL) {
        call_fail(c, SG_NOTFOUND, "there is no node %s: 'shardgate nodes list' shows them",
                  span_cstr(to, name, sizeof name));
        return false;
    }
    if (f == c->node->self) {
        transfer_outcome(c, "ALREADY_LEADER", status->leader, status->term);
        return false;
    }
    c->exec.number = f == NULL ? 0 : f->id;
    return true;
}

/* Why the wished node can't take over now; NULL: it can. */
static const char *transfer_obstacle(const struct call *c, const struct group_status *status)
{
    uint64_t to = c->exec.number;
    for (size_t i = 0; i < status->replicas_count; i++) {
        const struct group_replica *r = &status->replicas[i];
        if (r->node != to) {
            continue;
        }
        if (!c->lane->linked[to - 1] || !r->is_recent) {
            return "UNREACHABLE";
        }
        return r->installing || r->match_index + INFLIGHT_ENTRIES_MAX < status->last_index ? "LAG_TOO_HIGH"
                                                                                           : NULL;
    }
    return NULL;
}

/* A new leader has yet to hear from the others, and a busy machine hears late: only
 * what stands in the way for a while is an answer. */
static void transfer_try(struct task *t)
{
    struct call *c = CONTAINER_OF(t, struct call, task);
    struct group *g = shard_group(lane_slot(c->lane, c->request.routing_number.n)->shard);
    bool waits =
        loop_now_ms(c->lane->loop) < c->exec.started_ms + ELECTION_TIMEOUT_MS && !c->lane->leaving_stopped;
    struct group_status status;
    const char *obstacle;
    uint64_t to; /* 0: nobody fits, and the group says why. */
    enum sg_err err;

    group_status(g, &status);
    obstacle = status.is_leader ? transfer_obstacle(c, &status) : NULL;
    to = c->exec.number != 0 ? c->exec.number : lane_heir(c->lane, &status);
    err = obstacle != NULL ? SG_BUSY : group_transfer(g, to);
    if (err == SG_OK || (err == SG_BUSY && waits)) {
        c->task.run = err == SG_OK ? transfer_poll : transfer_try;
        loop_after(c->lane->loop, &c->task, TRANSFER_POLL_MS);
    } else if (obstacle != NULL) {
        transfer_outcome(c, obstacle, status.leader, status.term);
    } else if (err == SG_NOTLEADER) {
        call_retry(c, err, "this node just lost leadership");
    } else if (err == SG_INVALID) {
        call_fail(c, err, "that node holds no voting replica of this shard: see 'shardgate shards show'");
    } else {
        call_fail(c, err, "another transfer of leadership is under way: look again in a moment");
    }
}

void verb_leader_transfer(struct call *c, struct lane_slot *s)
{
    struct group_status status;

    c->exec.started_ms = loop_now_ms(c->lane->loop);
    group_status(shard_group(s->shard), &status);
    if (transfer_target(c, &status) && transfer_is_timely(c, s->shard, &status)) {
        transfer_try(&c->task);
    }
}
