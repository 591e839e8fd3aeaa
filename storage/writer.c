#include "storage/writer.h"

#include <stddef.h>

#include "proto/base/fault.h"
#include "proto/base/limits.h"
#include "proto/base/mem.h"

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
    struct job_queue open;  /* Ran in txn, which is not committed yet: all lazy. */
    struct kv_txn *txn;     /* The worker's. Open between two batches while `open` is not empty. */
    bool is_busy;
    bool is_failed;
    bool must_commit;  /* Lazy jobs have waited long enough. */
    bool flush_now;    /* must_commit as the batch at work was started with. */
    bool is_committed; /* By the batch at work. */
    struct task start; /* Armed: something waits and nothing is at work. */
    struct task lazy;  /* Armed: the open transaction is committed at the latest then. */
    struct task early; /* Posted by the worker before it commits: tell what ran. */
    struct work work;
    enum sg_err result;
    uint64_t started_ms;
    struct writer_stats stats;
    struct meter jobs, commits; /* The worker's to write. */
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
static enum sg_err run_jobs(struct writer *w, const struct job_queue *q, struct writer_job **bad)
{
    struct stamp from = loop_stamp(w->loop);
    for (struct writer_job *job = q->head; job != NULL; job = job->next) {
        if (job->err != SG_OK) {
            continue;
        }
        enum sg_err err = job->run(job, w->kv, w->txn);
        from = meter_lap(&w->jobs, from, loop_stamp(w->loop));
        if (err != SG_OK) {
            *bad = job;
            return err;
        }
    }
    return SG_OK;
}

static void abandon(struct writer *w)
{
    kv_abort(w->kv, w->txn);
    w->txn = NULL;
}

/* The batch in the open transaction, or in a new one. When a job meets damage
 * or a record of a later program,
 * what it wrote must not stay: everything runs again without it. */
static enum sg_err run_batch(struct writer *w)
{
    bool again = false;
    for (;;) {
        struct writer_job *bad = NULL;
        enum sg_err err = w->txn != NULL ? SG_OK : kv_begin(w->kv, true, &w->txn);
        if (err != SG_OK) {
            w->txn = NULL;
            return err;
        }
        if (again) {
            err = run_jobs(w, &w->open, &bad);
        }
        if (err == SG_OK) {
            err = run_jobs(w, &w->batch, &bad);
        }
        if (err == SG_OK) {
            return SG_OK;
        }
        abandon(w);
        if (err != SG_CORRUPT && err != SG_UNSUPPORTED) {
            return err;
        }
        bad->err = err;
        again = true;
    }
}

/* Does anybody wait for the flush? */
static bool wants_flush(const struct writer *w)
{
    bool wants = w->flush_now;
    for (const struct writer_job *job = w->batch.head; job != NULL && !wants; job = job->next) {
        wants = !job->lazy;
    }
    return wants;
}

static bool wants_early(const struct writer *w)
{
    for (const struct writer_job *job = w->batch.head; job != NULL; job = job->next) {
        if (job->ran != NULL) {
            return true;
        }
    }
    return false;
}

static enum sg_err write_batch(struct writer *w)
{
    enum sg_err err = run_batch(w);
    if (err != SG_OK || !wants_flush(w)) {
        return err;
    }
    if (wants_early(w)) {
        loop_post(w->loop, &w->early);
    }
    FAULT_POINT("writer.before_commit");
    struct stamp from = loop_stamp(w->loop);
    err = kv_commit(w->kv, w->txn);
    (void)meter_lap(&w->commits, from, loop_stamp(w->loop));
    FAULT_POINT("writer.committed");
    w->txn = NULL;
    w->is_committed = true;
    return err;
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
    w->stats.jobs += w->open.count + w->batch.count;
    w->stats.bytes += w->open.size_bytes + w->batch.size_bytes;
    w->stats.flush_us_total += flush_us;
    if (flush_us > w->stats.flush_us_max) {
        w->stats.flush_us_max = flush_us;
    }
}

static void start_later(struct writer *w)
{
    if (!w->is_busy && !w->is_failed && (w->waiting.count > 0 || w->must_commit)) {
        loop_defer(w->loop, &w->start);
    }
}

static void tell_ran(struct writer *w)
{
    for (struct writer_job *job = w->batch.head; job != NULL && !w->is_failed; job = job->next) {
        if (job->ran != NULL && !job->told && job->err == SG_OK) {
            job->told = true;
            job->ran(job);
        }
    }
}

static void on_early(struct task *task)
{
    tell_ran(CONTAINER_OF(task, struct writer, early));
}

static void on_lazy(struct task *task)
{
    struct writer *w = CONTAINER_OF(task, struct writer, lazy);
    w->must_commit = true;
    start_later(w);
}

static void finish(struct job_queue *q)
{
    while (q->count > 0) {
        struct writer_job *job = queue_pop(q);
        job->done(job, job->err);
    }
}

static void keep_open(struct writer *w)
{
    while (w->batch.count > 0) {
        queue_push(&w->open, queue_pop(&w->batch));
    }
    if (w->open.count > 0 && !w->lazy.armed) {
        loop_after(w->loop, &w->lazy, WRITER_LAZY_MS);
    }
}

static void on_done(struct work *work)
{
    struct writer *w = CONTAINER_OF(work, struct writer, work);
    loop_cancel(w->loop, &w->early);
    if (w->result != SG_OK) {
        w->is_busy = false;
        w->is_failed = true;
        loop_cancel(w->loop, &w->lazy);
        w->on_failure(w->impl, w->result);
        return;
    }
    tell_ran(w);
    if (w->is_committed) {
        count_batch(w);
        loop_cancel(w->loop, &w->lazy);
        w->must_commit = false;
        finish(&w->open);
        finish(&w->batch);
    } else {
        keep_open(w);
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
    w->is_committed = false;
    w->flush_now = w->must_commit;
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
    w->lazy.run = on_lazy;
    w->early.run = on_early;
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
    job->told = false;
    queue_push(&w->waiting, job);
    start_later(w);
}

size_t writer_pending_bytes(const struct writer *w)
{
    return w->waiting.size_bytes + w->batch.size_bytes + w->open.size_bytes;
}

struct meter *writer_job_times(struct writer *w)
{
    return &w->jobs;
}

struct meter *writer_commit_times(struct writer *w)
{
    return &w->commits;
}

bool writer_is_idle(const struct writer *w)
{
    return !w->is_busy && w->waiting.count == 0 && w->open.count == 0;
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
    loop_cancel(w->loop, &w->lazy);
    mem_free(w);
}
