#include "supervisor/daemon/banks/bank_agent.h"

#include <stdio.h>

#include "proto/base/mem.h"
#include "supervisor/daemon/banks/directory.h"

struct job {
    struct work work;
    struct bank_agent *agent;
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
    struct queue *queues; /* The next one to take a turn comes first. */
    struct queue **queues_tail;
    unsigned running_count;
    size_t pending_count;
};

static void pump(struct bank_agent *a);

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
    struct bank_agent *a = j->agent;
    struct queue *q = j->queue;
    struct bank_request *r = j->request;
    a->running_count--;
    a->pending_count--;
    q->running_count--;
    if (is_limited_write(r)) {
        q->is_writing = false;
    }
    if (r->op == BANK_PROBE) {
        q->is_probed = r->answer == BANK_OK;
        q->probed_ms = loop_now_ms(a->loop);
    }
    mem_free(j);
    r->done(r);
    pump(a);
}

/* --- Turns ----------------------------------------------------------------------- */

static bool is_fresh(const struct bank_agent *a, const struct queue *q)
{
    return q->is_probed && loop_now_ms(a->loop) - q->probed_ms < BANK_PROBE_FRESH_MS;
}

static void start(struct bank_agent *a, struct queue *q, struct job **at)
{
    struct job *j = *at;
    *at = j->next;
    if (q->tail == &j->next) {
        q->tail = at;
    }
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

static void agent_request(void *impl, struct bank_request *r)
{
    struct bank_agent *a = impl;
    struct job *j = mem_zalloc(1, sizeof *j);
    j->work.done = work_done;
    j->agent = a;
    j->queue = queue_of(a, r->endpoint);
    j->request = r;
    *j->queue->tail = j;
    j->queue->tail = &j->next;
    a->pending_count++;
    pump(a);
}

static const struct bank_ops agent_ops = {.request = agent_request};

struct bank_agent *bank_agent_new(struct loop *loop)
{
    struct bank_agent *a = mem_zalloc(1, sizeof *a);
    a->loop = loop;
    a->queues_tail = &a->queues;
    return a;
}

struct bank bank_agent_seam(struct bank_agent *a)
{
    return (struct bank){&agent_ops, a};
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
