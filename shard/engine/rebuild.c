/* A replica whose rows are not to be believed gets the leader's.
 *
 * Why it may go on as a member meanwhile. What Raft builds on is the log, the term
 * and the vote: they say what this replica has acknowledged and whom it has elected,
 * and they are kept as they are, untouched by the rebuilding. So it may go on storing
 * entries, acknowledging and voting: no entry that it acknowledged is lost, and no
 * vote is given twice. The rows are only what applying the log has made of it. They
 * are replaced, in one transaction, by a leader's rows of an applied index S with
 *
 *   - S not below anything applied here, so that applied never goes back and no
 *     answer that was given is taken back;
 *   - the entry at S in this log, of the same term: then by log matching the log up
 *     to S is the one that those rows stand for, and applying goes on behind S.
 *
 * S is committed, as the leader has applied it. When this log has not come to S yet,
 * or begins behind it, the snapshot is an ordinary one and libraft replaces the log
 * with it, too.
 *
 * Until then nothing is applied, nothing is marked as a snapshot, no snapshot is
 * sent and no state is told. A leader is not ready and gives its leadership away; it
 * may be elected (perhaps nobody else can be), replicates, and gives it away again.
 * A record beside the log (log_distrust_put()) makes that hold over restarts: rows
 * that were once found wrong are never read again. */
#include <inttypes.h>
#include <stdio.h>

#include "proto/base/mem.h"
#include "shard/engine/engine.h"
#include "shard/engine/trail.h"

#define WHY_SIZE 256

/* --- The record -------------------------------------------------------------------------- */

struct distrust_job {
    struct group_job base;
    uint64_t applied;
    char why[WHY_SIZE];
};

static enum sg_err distrust_run(struct writer_job *writer_job, struct kv *kv, struct kv_txn *txn)
{
    struct distrust_job *job = (struct distrust_job *)(void *)writer_job;
    struct group *g = job->base.g;
    if (group_job_refused(&job->base)) {
        return SG_OK;
    }
    g->rows_damaged = true; /* What applies behind this one in the queue does nothing. */
    return group_job_result(&job->base, log_distrust_put(kv, txn, g->o.id, job->applied, span_str(job->why)));
}

static void distrust_done(struct writer_job *writer_job, enum sg_err err)
{
    struct distrust_job *job = (struct distrust_job *)(void *)writer_job;
    struct group *g = job->base.g;
    (void)group_job_ok(&job->base, err);
    mem_free(job);
    group_job_end(g);
}

/* --- Asking ------------------------------------------------------------------------------- */

void rebuild_ask(struct group *g)
{
    struct message m = {.kind = MESSAGE_COMPARE, .group = g->o.id};
    uint64_t leader = role_leader(g);
    if (leader == 0 || g->stage != NULL || g->installing != NULL || g->raft.snapshot.installing) {
        return;
    }
    m.compare =
        (struct message_compare){.kind = COMPARE_ROWS_WANTED, .term = g->raft.current_term, .index = g->ran};
    send_hold(g, leader, &m);
}

static void timer_run_rebuild(struct task *task)
{
    struct group *g = CONTAINER_OF(task, struct group, rebuild.timer);
    if (g->stopped || !g->rebuild.is_on) {
        return;
    }
    g->rebuild.is_due = true;
    group_later(g);
    loop_after(g->o.loop, &g->rebuild.timer, REBUILD_ASK_MS);
}

static void begin(struct group *g)
{
    struct rebuild *r = &g->rebuild;
    r->is_begun = true;
    r->since_ms = loop_now_ms(g->o.loop);
    r->timer.run = timer_run_rebuild;
    logger_line(LOG_ERROR, &g->scope, "replica.rebuilding", "index=%" PRIu64 " why=%s", g->ran,
                LOG_TEXT(r->why));
    /* A disk that spoils what it has just got must not keep the leader busy. */
    bool is_again = r->count > 0 && r->since_ms - r->ended_ms < REBUILD_AGAIN_MS;
    loop_after(g->o.loop, &r->timer, is_again ? REBUILD_AGAIN_MS : 0);
}

void rebuild_begin(struct group *g)
{
    struct distrust_job *job = mem_zalloc(1, sizeof(*job));
    begin(g);
    (void)snprintf(job->why, sizeof(job->why), "%s", g->rebuild.why);
    job->base.g = g;
    job->base.job.run = distrust_run;
    job->base.job.done = distrust_done;
    job->applied = g->applied;
    scrub_forget(g);
    compare_forget(g);
    group_job_submit(g, &job->base, sizeof(*job));
}

void rebuild_open(struct group *g, const char *why)
{
    if (why != NULL) {
        g->rebuild.is_on = true;
        g->rebuild.why = mem_strdup(why);
        g->rows_damaged = true; /* No job has been submitted: the writer does not look yet. */
        begin(g);
    }
}

void rebuild_stop(struct group *g)
{
    loop_cancel(g->o.loop, &g->rebuild.timer);
}

/* --- The rows are there ----------------------------------------------------------------------- */

bool rebuild_fits(const struct group *g, uint64_t index, uint64_t term)
{
    return g->rebuild.is_on && index >= g->ran && index <= g->last_index &&
           trail_term(&g->raft, index) == term;
}

void rebuild_end(struct group *g)
{
    struct rebuild *r = &g->rebuild;
    r->is_installing = false;
    if (!r->is_on) {
        return;
    }
    r->is_on = false;
    r->is_due = false;
    r->count++;
    r->ended_ms = loop_now_ms(g->o.loop);
    loop_cancel(g->o.loop, &r->timer);
    logger_line(LOG_INFO, &g->scope, "replica.rebuilt", "index=%" PRIu64 " ms=%" PRIu64, g->applied,
                r->ended_ms - r->since_ms);
    mem_free(r->why);
    r->why = NULL;
}
