/* The storage writer of a lane: everything that waits, in one transaction with
 * one flush.
 *
 *   writer_submit() any number of jobs on the loop
 *   -> on WORKER_STORE: begin, run() of each job in the order of submission, commit
 *   -> on the loop: done(SG_OK) of each, in the same order
 *
 * While one batch is at work the next one gathers. A batch ends at
 * WRITER_BATCH_JOBS_MAX jobs or WRITER_BATCH_SIZE_MAX_BYTES.
 *
 * A job whose run() answers SG_CORRUPT or SG_UNSUPPORTED does not take the others with it: the
 * transaction is abandoned and run again without the job, which gets
 * done() with it. run() must therefore be repeatable: it resets what it
 * collected when it starts. Later jobs of the same key (a group) still run, so
 * a group stops by refusing in run() itself once it is damaged.
 * A job that is lazy is not worth a flush of its own: while only such jobs have
 * run, the transaction stays open, until a job that is not lazy joins it or
 * WRITER_LAZY_MS have passed. What it found is told early by ran(): whoever
 * needs only the outcome, and has it durable elsewhere (a committed entry of
 * the log), need not wait for the flush.
 *
 * Any other error, and any error of begin or commit, is final for the
 * environment (I-11): the kv refuses all writes from then on, on_failure is
 * called once, on the loop, no done() is ever called again, and submitted jobs
 * stay where they are: their memory is the caller's again from on_failure on. */
#ifndef STORAGE_WRITER_H
#define STORAGE_WRITER_H

#include "proto/base/loop.h"
#include "storage/kv.h"

struct writer_job {
    /* On the worker, inside the write transaction. */
    MUST_USE enum sg_err (*run)(struct writer_job *job, struct kv *kv, struct kv_txn *txn);
    /* Optional. On the loop, once, after run() succeeded and perhaps before the
     * commit. What run() collected may be read here; the job is not the caller's
     * yet. Not called for a job that met damage. */
    void (*ran)(struct writer_job *job);
    /* On the loop, after the commit. The memory is the caller's again. */
    void (*done)(struct writer_job *job, enum sg_err err);
    size_t size_bytes;       /* About what it writes; for the limits. */
    bool lazy;               /* Its flush may wait for others. */
    bool told;               /* The writer's: ran() was called. */
    enum sg_err err;         /* The writer's. */
    struct writer_job *next; /* The writer's. */
};

struct writer;

/* kv and loop are borrowed and must outlive the writer. */
struct writer *writer_new(struct loop *loop, struct kv *kv, void (*on_failure)(void *impl, enum sg_err err),
                          void *impl);
/* Takes job until its done(). The batch leaves at the end of the turn, so that
 * whatever else this turn submits goes with it. Allowed in a done(). After a
 * failure nothing happens and job stays the caller's. */
void writer_submit(struct writer *w, struct writer_job *job);
/* Bytes of jobs submitted and not yet durable. */
size_t writer_pending_bytes(const struct writer *w);
/* Nothing submitted, nothing at work. */
bool writer_is_idle(const struct writer *w);

/* Since writer_new(), of what became durable. A batch's time runs from its
 * hand-over to the worker to its return to the loop, by the loop's clock: it is
 * exact to the millisecond. */
struct writer_stats {
    uint64_t batches, jobs, bytes;
    uint64_t flush_us_total, flush_us_max;
};
struct writer_stats writer_stats(const struct writer *w);
/* How long run() of each job took, and each commit. Any thread may read. */
struct meter *writer_job_times(struct writer *w);
struct meter *writer_commit_times(struct writer *w);
/* Did on_failure come? */
bool writer_is_failed(const struct writer *w);
/* Not within a callback of the writer. It must be idle or failed. */
void writer_free(struct writer *w);

#endif
