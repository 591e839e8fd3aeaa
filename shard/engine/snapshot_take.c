/* Taking a snapshot costs nothing but a mark: the rows are the state. What it
 * buys is that the log before it can go. */
#include "proto/base/mem.h"
#include "shard/engine/engine.h"
#include "shard/engine/trail.h"

struct mark_job {
    struct group_job base;
    struct log_mark mark;
    struct bytes conf;
    uint64_t trailing;
    bool is_durable; /* And not yet told to libraft. */
};

struct trim_job {
    struct group_job base;
    uint64_t upto;
    size_t removed;
};

/* The mark repeats the applied row as it is at this place in the queue. */
static enum sg_err write_mark(struct mark_job *job, struct kv *kv, struct kv_txn *txn)
{
    struct rows rows;
    struct applied_row row;
    rows_init(&rows, kv, txn, job->base.g->o.id);
    enum sg_err err = applied_row_get(&rows, &row);
    rows_release(&rows);
    if (err != SG_OK) {
        return err == SG_NOTFOUND ? SG_CORRUPT : err;
    }
    bytes_set(&job->conf, row.conf);
    job->mark = (struct log_mark){row.index, row.term, row.conf_index, span_bytes(&job->conf)};
    return log_mark_put(kv, txn, job->base.g->o.id, &job->mark);
}

static enum sg_err mark_run(struct writer_job *writer_job, struct kv *kv, struct kv_txn *txn)
{
    struct mark_job *job = (struct mark_job *)(void *)writer_job;
    if (group_job_refused(&job->base)) {
        return SG_OK;
    }
    return group_job_result(&job->base, write_mark(job, kv, txn));
}

/* An installation may have begun, and after a restart libraft may know less of
 * what is committed than the applied row does. */
static bool libraft_may_hear(const struct group *g, const struct log_mark *mark)
{
    const struct raft *r = &g->raft;
    return !r->snapshot.installing && mark->index > trail_snapshot_index(r) &&
           mark->index <= r->last_stored && mark->index <= r->commit_index &&
           trail_term(r, mark->index) == mark->term;
}

bool snapshot_take_event(struct group *g, struct event *e)
{
    struct mark_job *job = g->marking;
    if (job == NULL || !job->is_durable || !libraft_may_hear(g, &job->mark)) {
        return false;
    }
    struct raft_snapshot_metadata *metadata = &e->raft.snapshot.metadata;
    e->raft.type = RAFT_SNAPSHOT;
    metadata->index = job->mark.index;
    metadata->term = job->mark.term;
    metadata->configuration_index = job->mark.conf_index;
    conf_decode(job->mark.conf, &metadata->configuration);
    e->raft.snapshot.trailing = (unsigned)job->trailing;
    return true;
}

static void mark_job_free(struct mark_job *job)
{
    bytes_release(&job->conf);
    mem_free(job);
}

void snapshot_take_end(struct group *g)
{
    if (g->marking != NULL && g->marking->is_durable) {
        mark_job_free(g->marking);
        g->marking = NULL;
    }
}

static void mark_done(struct writer_job *writer_job, enum sg_err err)
{
    struct mark_job *job = (struct mark_job *)(void *)writer_job;
    struct group *g = job->base.g;
    if (group_job_ok(&job->base, err)) {
        g->mark_index = job->mark.index;
        job->is_durable = true;
        group_later(g);
    } else {
        g->marking = NULL;
        mark_job_free(job);
    }
    group_job_end(g);
}

void snapshot_take_maybe(struct group *g)
{
    /* A mark is of what the writer has applied, which may be more than is known here. */
    uint64_t behind = g->applied > g->mark_index ? g->applied - g->mark_index : 0;
    uint64_t trailing = 0;
    if (behind > 2 * g->o.trailing_entries) {
        trailing = g->o.trailing_entries;
    } else if (behind > 0 && g->log_bytes > LOG_SIZE_SOFT_BYTES) {
        trailing = g->o.inflight_entries;
    }
    if (trailing == 0 || g->rebuild.is_on || g->marking != NULL || g->installing != NULL ||
        g->raft.snapshot.installing || raft_commit_index(&g->raft) < g->applied) {
        return;
    }
    struct mark_job *job = mem_zalloc(1, sizeof(*job));
    job->base.g = g;
    job->base.needs_rows = true;
    job->base.job.run = mark_run;
    job->base.job.done = mark_done;
    job->trailing = trailing;
    g->marking = job;
    g->log_bytes = 0;
    group_job_submit(g, &job->base, sizeof(*job));
}

/* --- Trimming ----------------------------------------------------------------- */

static enum sg_err trim_run(struct writer_job *writer_job, struct kv *kv, struct kv_txn *txn)
{
    struct trim_job *job = (struct trim_job *)(void *)writer_job;
    job->removed = 0;
    if (group_job_refused(&job->base)) {
        return SG_OK;
    }
    return group_job_result(&job->base,
                            log_trim(kv, txn, job->base.g->o.id, job->upto, TRIM_ENTRIES_MAX, &job->removed));
}

static void trim_done(struct writer_job *writer_job, enum sg_err err)
{
    struct trim_job *job = (struct trim_job *)(void *)writer_job;
    struct group *g = job->base.g;
    g->trimming = false;
    if (group_job_ok(&job->base, err)) {
        g->trimmed = job->removed < TRIM_ENTRIES_MAX ? job->upto : g->trimmed + job->removed;
        group_later(g);
    }
    mem_free(job);
    group_job_end(g);
}

/* Only what libraft has forgotten too: it may ask for all the rest. */
void snapshot_trim(struct group *g)
{
    uint64_t upto = trail_first(&g->raft) - 1;
    if (g->trimming || g->installing != NULL || g->raft.snapshot.installing || g->trimmed >= upto) {
        return;
    }
    struct trim_job *job = mem_zalloc(1, sizeof(*job));
    job->base.g = g;
    job->base.job.run = trim_run;
    job->base.job.done = trim_done;
    job->upto = upto;
    g->trimming = true;
    group_job_submit(g, &job->base, sizeof(*job));
}
