#include "supervisor/daemon/banks/bank_agent.h"

#include <stdio.h>

#include "proto/base/mem.h"
#include "supervisor/daemon/banks/directory.h"

/* The way of one lane to the agent. */
struct desk {
    struct bank seam;
    struct bank_agent *agent;
    struct loop *loop; /* The lane's. */
    bool is_cancelled; /* On the lane's loop. */
    bool is_closed;    /* The same, as the agent's loop knows it. */
    struct task close;
};

struct job {
    struct work work;
    struct task task; /* Between the desk's loop and the agent's. */
    struct desk *desk;
    struct queue *queue;
    struct bank_request *request;
    struct job *next;
};

/* One endpoint. Kept for the life of the agent: there are few. */
struct queue {
    struct queue *next;
    struct bytes key;
    struct job *head, **tail;
    unsigned running_count;
    bool is_writing; /* A file, under a rate limit. */
    bool is_probed;
    uint64_t probed_ms; /* Monotonic: when a probe last passed. */
};

struct bank_agent {
    struct loop *loop;
    struct desk desks[LANES_MAX];
    size_t desks_count;
    struct queue *queues; /* The next one to take a turn comes first. */
    struct queue **queues_tail;
    unsigned running_count;
    size_t pending_count;
};

static void pump(struct bank_agent *a);

/* --- Back to the lane ----------------------------------------------------------- */

static void job_answer(struct task *t)
{
    struct job *j = CONTAINER_OF(t, struct job, task);
    struct bank_request *r = j->request;
    mem_free(j);
    r->done(r);
}

static void job_back(struct job *j)
{
    j->task.run = job_answer;
    loop_post(j->desk->loop, &j->task);
}

/* It has not begun and will not: that is certain. */
static void job_cancel(struct job *j)
{
    j->request->answer = BANK_FAILED;
    (void)snprintf(j->request->text, sizeof j->request->text, "not tried: the node is going down");
    j->desk->agent->pending_count--;
    job_back(j);
}

/* --- At work ------------------------------------------------------------------ */

static void work_run(struct work *w)
{
    struct bank_request *r = CONTAINER_OF(w, struct job, work)->request;
    if (r->endpoint->kind == ENDPOINT_DIRECTORY) {
        directory_execute(r);
        return;
    }
    r->answer = BANK_FAILED;
    (void)snprintf(r->text, sizeof r->text, "this version uploads to directories only: set kind: directory");
}

static void work_probed_already(struct work *w)
{
    struct bank_request *r = CONTAINER_OF(w, struct job, work)->request;
    r->answer = BANK_OK;
    r->text[0] = '\0';
}

static bool is_limited_write(const struct bank_request *r)
{
    return r->op == BANK_CREATE && r->endpoint->rate_limit_bytes > 0;
}

static void work_done(struct work *w)
{
    struct job *j = CONTAINER_OF(w, struct job, work);
    struct bank_agent *a = j->desk->agent;
    struct queue *q = j->queue;
    struct bank_request *r = j->request;
    a->running_count--;
    a->pending_count--;
    q->running_count--;
    if (is_limited_write(r)) {
        q->is_writing = false;
    }
    /* What was answered from an earlier probe says nothing newer than that one did. */
    if (r->op == BANK_PROBE && w->run == work_run) {
        q->is_probed = r->answer == BANK_OK;
        q->probed_ms = loop_now_ms(a->loop);
    }
    if (j->desk->loop == a->loop) {
        job_answer(&j->task);
    } else {
        job_back(j);
    }
    pump(a);
}

/* --- Turns ----------------------------------------------------------------------- */

static bool is_fresh(const struct bank_agent *a, const struct queue *q)
{
    return q->is_probed && loop_now_ms(a->loop) - q->probed_ms < BANK_PROBE_FRESH_MS;
}

static struct job *queue_take(struct queue *q, struct job **at)
{
    struct job *j = *at;
    *at = j->next;
    if (q->tail == &j->next) {
        q->tail = at;
    }
    return j;
}

static void start(struct bank_agent *a, struct queue *q, struct job **at)
{
    struct job *j = queue_take(q, at);
    q->running_count++;
    a->running_count++;
    q->is_writing |= is_limited_write(j->request);
    bool is_known = j->request->op == BANK_PROBE && is_fresh(a, q);
    j->work.run = is_known ? work_probed_already : work_run;
    loop_elsewhere(a->loop, WORKER_BANK, &j->work);
}

static bool start_one_of(struct bank_agent *a, struct queue *q)
{
    if (q->running_count >= BANK_ENDPOINT_WORKERS) {
        return false;
    }
    for (struct job **at = &q->head; *at != NULL; at = &(*at)->next) {
        if (!(q->is_writing && is_limited_write((*at)->request))) {
            start(a, q, at);
            return true;
        }
    }
    return false;
}

static void move_to_back(struct bank_agent *a, struct queue **at)
{
    struct queue *q = *at;
    if (q->next == NULL) {
        return;
    }
    *at = q->next;
    q->next = NULL;
    *a->queues_tail = q;
    a->queues_tail = &q->next;
}

static bool start_one(struct bank_agent *a)
{
    for (struct queue **at = &a->queues; *at != NULL; at = &(*at)->next) {
        if (start_one_of(a, *at)) {
            move_to_back(a, at);
            return true;
        }
    }
    return false;
}

static void pump(struct bank_agent *a)
{
    while (a->running_count < BANK_WORKERS && start_one(a)) {
    }
}

/* --- The seam ---------------------------------------------------------------------- */

/* Shards of one endpoint share it, whatever the endpoint is called by now. */
static void key_of(const struct endpoint_settings *e, struct bytes *key)
{
    bytes_printf(key, "%d", (int)e->kind);
    bytes_append(key, "", 1);
    bytes_append_span(key, e->staging_dir);
    bytes_append(key, "", 1);
    bytes_append_span(key, e->drop_dir);
}

static struct queue *queue_of(struct bank_agent *a, const struct endpoint_settings *e)
{
    struct bytes key = BYTES_NONE;
    key_of(e, &key);
    for (struct queue *q = a->queues; q != NULL; q = q->next) {
        if (span_eq(span_bytes(&q->key), span_bytes(&key))) {
            bytes_release(&key);
            return q;
        }
    }
    struct queue *q = mem_zalloc(1, sizeof *q);
    q->key = key;
    q->tail = &q->head;
    *a->queues_tail = q;
    a->queues_tail = &q->next;
    return q;
}

/* On the agent's loop, as all that follows except where it says. */
static void job_arrive(struct task *t)
{
    struct job *j = CONTAINER_OF(t, struct job, task);
    struct bank_agent *a = j->desk->agent;

    a->pending_count++;
    if (j->desk->is_closed) {
        job_cancel(j);
        return;
    }
    j->queue = queue_of(a, j->request->endpoint);
    *j->queue->tail = j;
    j->queue->tail = &j->next;
    pump(a);
}

static void desk_close(struct task *t)
{
    struct desk *d = CONTAINER_OF(t, struct desk, close);
    d->is_closed = true;
    for (struct queue *q = d->agent->queues; q != NULL; q = q->next) {
        for (struct job **at = &q->head; *at != NULL;) {
            if ((*at)->desk == d) {
                job_cancel(queue_take(q, at));
            } else {
                at = &(*at)->next;
            }
        }
    }
}

/* Runs task on the agent's loop: now, if this is it. On the desk's loop. */
static void desk_hand_over(struct desk *d, struct task *task)
{
    if (d->loop == d->agent->loop) {
        task->run(task);
    } else {
        loop_post(d->agent->loop, task);
    }
}

/* On the desk's loop. */
static void desk_request(void *impl, struct bank_request *r)
{
    struct desk *d = impl;
    struct job *j = mem_zalloc(1, sizeof *j);
    j->work.done = work_done;
    j->task.run = job_arrive;
    j->desk = d;
    j->request = r;
    desk_hand_over(d, &j->task);
}

/* On the desk's loop. */
static void desk_cancel(void *impl)
{
    struct desk *d = impl;
    if (d->is_cancelled) {
        return;
    }
    d->is_cancelled = true;
    d->close.run = desk_close;
    desk_hand_over(d, &d->close);
}

static const struct bank_ops desk_ops = {.request = desk_request, .cancel = desk_cancel};

struct bank_agent *bank_agent_new(struct loop *loop)
{
    struct bank_agent *a = mem_zalloc(1, sizeof *a);
    a->loop = loop;
    a->queues_tail = &a->queues;
    return a;
}

struct bank *bank_agent_desk(struct bank_agent *a, struct loop *loop)
{
    CHECK(a->desks_count < LANES_MAX);
    struct desk *d = &a->desks[a->desks_count++];
    *d = (struct desk){.seam = {&desk_ops, d}, .agent = a, .loop = loop};
    return &d->seam;
}

size_t bank_agent_pending(const struct bank_agent *a)
{
    return a->pending_count;
}

void bank_agent_free(struct bank_agent *a)
{
    while (a->queues != NULL) {
        struct queue *q = a->queues;
        a->queues = q->next;
        while (q->head != NULL) {
            struct job *j = q->head;
            q->head = j->next;
            mem_free(j);
        }
        bytes_release(&q->key);
        mem_free(q);
    }
    mem_free(a);
}
