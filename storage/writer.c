#include "storage/writer.h"

#include <stddef.h>

#include "proto/fault.h"
#include "proto/limits.h"
#include "proto/mem.h"

struct job_queue {
    struct writer_job *head;
    struct writer_job *tail;
    size_t count;
    size_t size_bytes;
};

struct writer {
    struct loop *loop;
    struct kv *kv;
    void (*on_failure)(void *impl, enum sg_err err);
    void *impl;
    struct job_queue waiting;
    struct job_queue batch; /* At work, or its done() calls are under way. */
    bool is_busy;
    bool is_failed;
    struct task start; /* Armed: something waits and nothing is at work. */
    struct work work;
    enum sg_err result;
    uint64_t started_ms;
    struct writer_stats stats;
};

static void queue_push(struct job_queue *q, struct writer_job *job)
{
    job->next = NULL;
    if (q->tail == NULL) {
        q->head = job;
    } else {
        q->tail->next = job;
    }
    q->tail = job;
    q->count++;
    q->size_bytes += job->size_bytes;
}

static struct writer_job *queue_pop(struct job_queue *q)
{
    struct writer_job *job = q->head;
    q->head = job->next;
    if (q->head == NULL) {
        q->tail = NULL;
    }
    q->count--;
    q->size_bytes -= job->size_bytes;
    return job;
}

/* Run all but the jobs known to meet damage. *bad is the one that failed. */
static enum sg_err run_jobs(struct writer *w, struct kv_txn *txn, struct writer_job **bad)
{
    for (struct writer_job *job = w->batch.head; job != NULL; job = job->next) {
        if (job->err != SG_OK) {
            continue;
        }
        enum sg_err err = job->run(job, w->kv, txn);
        if (err != SG_OK) {
            *bad = job;
            return err;
        }
    }
    return SG_OK;
}

static enum sg_err write_batch(struct writer *w)
{
    for (;;) {
        struct kv_txn *txn = NULL;
        struct writer_job *bad = NULL;
        enum sg_err err = kv_begin(w->kv, true, &txn);
        if (err != SG_OK) {
            return err;
        }
        err = run_jobs(w, txn, &bad);
        if (err == SG_OK) {
            FAULT_POINT("writer.before_commit");
            err = kv_commit(w->kv, txn);
            FAULT_POINT("writer.committed");
            return err;
        }
        kv_abort(w->kv, txn);
        if (err != SG_CORRUPT) {
            return err;
        }
        /* What the job wrote before it met the damage must not stay: once more without it. */
        bad->err = SG_CORRUPT;
    }
}

static void on_worker(struct work *work)
{
    struct writer *w = CONTAINER_OF(work, struct writer, work);
    w->result = write_batch(w);
    if (w->result != SG_OK) {
        kv_fail(w->kv);
    }
}

static void count_batch(struct writer *w)
{
    uint64_t flush_us = (loop_now_ms(w->loop) - w->started_ms) * 1000;
    w->stats.batches++;
    w->stats.jobs += w->batch.count;
    w->stats.bytes += w->batch.size_bytes;
    w->stats.flush_us_total += flush_us;
    if (flush_us > w->stats.flush_us_max) {
        w->stats.flush_us_max = flush_us;
    }
}

static void start_later(struct writer *w)
{
    if (!w->is_busy && !w->is_failed && w->waiting.count > 0) {
        loop_defer(w->loop, &w->start);
    }
}

static void on_done(struct work *work)
{
    struct writer *w = CONTAINER_OF(work, struct writer, work);
    if (w->result != SG_OK) {
        w->is_busy = false;
        w->is_failed = true;
        w->on_failure(w->impl, w->result);
        return;
    }
    count_batch(w);
    while (w->batch.count > 0) {
        struct writer_job *job = queue_pop(&w->batch);
        job->done(job, job->err);
    }
    w->is_busy = false;
    start_later(w);
}

static bool fits(const struct job_queue *batch, const struct writer_job *job)
{
    if (batch->count == 0) {
        return true; /* One job is never too large to be written at all. */
    }
    return batch->count < WRITER_BATCH_JOBS_MAX &&
           batch->size_bytes + job->size_bytes <= WRITER_BATCH_SIZE_MAX_BYTES;
}

static void on_start(struct task *task)
{
    struct writer *w = CONTAINER_OF(task, struct writer, start);
    CHECK(!w->is_busy);
    while (w->waiting.count > 0 && fits(&w->batch, w->waiting.head)) {
        queue_push(&w->batch, queue_pop(&w->waiting));
    }
    w->is_busy = true;
    w->started_ms = loop_now_ms(w->loop);
    loop_elsewhere(w->loop, WORKER_STORE, &w->work);
}

struct writer *writer_new(struct loop *loop, struct kv *kv, void (*on_failure)(void *impl, enum sg_err err),
                          void *impl)
{
    struct writer *w = mem_zalloc(1, sizeof(*w));
    w->loop = loop;
    w->kv = kv;
    w->on_failure = on_failure;
    w->impl = impl;
    w->start.run = on_start;
    w->work.run = on_worker;
    w->work.done = on_done;
    return w;
}

void writer_submit(struct writer *w, struct writer_job *job)
{
    CHECK(job->run != NULL);
    CHECK(job->done != NULL);
    if (w->is_failed) {
        return; /* The queues may hold jobs that their owners freed since. */
    }
    job->err = SG_OK;
    queue_push(&w->waiting, job);
    start_later(w);
}

size_t writer_pending_bytes(const struct writer *w)
{
    return w->waiting.size_bytes + w->batch.size_bytes;
}

bool writer_is_idle(const struct writer *w)
{
    return !w->is_busy && w->waiting.count == 0;
}

bool writer_is_failed(const struct writer *w)
{
    return w->is_failed;
}

struct writer_stats writer_stats(const struct writer *w)
{
    return w->stats;
}

void writer_free(struct writer *w)
{
    CHECK(w->is_failed || writer_is_idle(w));
    loop_cancel(w->loop, &w->start);
    mem_free(w);
}
