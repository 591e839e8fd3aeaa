#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "shard/engine/engine.h"

#define ENTRY_OVERHEAD_BYTES 64 /* What an entry costs the store besides its payload. */

static struct persist_job *persist_job_new(struct group *g, size_t entries_count)
{
    size_t each = sizeof(struct log_entry) + sizeof(struct entry *);
    struct persist_job *job = mem_alloc(sizeof(*job) + entries_count * each);
    *job = (struct persist_job){.base = {.g = g}, .entries_count = entries_count};
    job->logs = (struct log_entry *)(void *)(job + 1);
    job->entries = (struct entry **)(void *)(job->logs + entries_count);
    return job;
}

static enum sg_err persist_write(struct persist_job *job, struct kv *kv, struct kv_txn *txn)
{
    uint64_t group = job->base.g->o.id;
    enum sg_err err = SG_OK;
    if (job->has_hard_state && !FAULT_BUG("vote-not-stored")) {
        err = log_hard_state_put(kv, txn, group, job->hard_state);
    }
    if (err == SG_OK && job->truncate_from != 0) {
        err = log_truncate(kv, txn, group, job->truncate_from);
    }
    if (err == SG_OK && job->entries_count > 0) {
        FAULT_POINT("engine.before-append");
        err = log_append(kv, txn, group, job->logs, job->entries_count);
        FAULT_POINT("engine.after-append");
    }
    return err;
}

static enum sg_err persist_run(struct writer_job *writer_job, struct kv *kv, struct kv_txn *txn)
{
    struct persist_job *job = (struct persist_job *)(void *)writer_job;
    if (group_job_refused(&job->base)) {
        return SG_OK;
    }
    return group_job_result(&job->base, persist_write(job, kv, txn));
}

static void appends_pop(struct group *g, struct persist_job *job)
{
    CHECK(g->appends_head == job);
    g->appends_head = job->next;
    if (g->appends_head == NULL) {
        g->appends_tail = NULL;
    }
}

static void answer_too_early(struct group *g, uint64_t upto)
{
    while (g->waiting.head != NULL && g->waiting.head->index <= upto) {
        struct proposal *p = proposal_pop(&g->waiting);
        p->result = SPAN_NONE;
        p->done(p, SG_OK);
    }
}

static void persist_done(struct writer_job *writer_job, enum sg_err err)
{
    struct persist_job *job = (struct persist_job *)(void *)writer_job;
    struct group *g = job->base.g;
    bool ok = group_job_ok(&job->base, err);
    if (job->entries_count > 0) {
        appends_pop(g, job);
    }
    if (ok && job->last != 0) {
        g->persisted = job->last;
        group_later(g);
    }
    if (ok && FAULT_BUG("ack-before-quorum")) {
        answer_too_early(g, job->last);
    }
    if (ok && job->has_hard_state) {
        g->hard_states_durable = job->gate;
        gate_release(g);
    }
    for (size_t i = 0; i < job->entries_count; i++) {
        entry_unref(job->entries[i]);
    }
    mem_free(job);
    group_job_end(g);
}

/* What is in flight or not yet reported at from and behind it is not in the
 * log any more: it must never be reported, even though it becomes durable. */
static void cap_reports(struct group *g, uint64_t from)
{
    for (struct persist_job *job = g->appends_head; job != NULL; job = job->next) {
        if (job->first >= from) {
            job->last = 0;
        } else if (job->last >= from) {
            job->last = from - 1;
        }
    }
    if (g->persisted >= from) {
        g->persisted = from - 1;
    }
}

void persist_forget(struct group *g)
{
    cap_reports(g, 1);
    g->persisted = 0;
}

static void truncate_log(struct group *g, struct persist_job *job, uint64_t from)
{
    job->truncate_from = from;
    cap_reports(g, from);
    cache_truncate(&g->cache, from);
    conf_truncate(g, from);
    g->last_index = from - 1;
}

static void take_entry(struct group *g, struct persist_job *job, size_t i, struct step *s,
                       const struct raft_entry *from)
{
    uint64_t index = g->last_index + 1;
    struct entry *e = s->submitted;
    if (e == NULL) {
        e = entry_new(from->term, (uint8_t)from->type, span_of(from->buf.base, from->buf.len));
    }
    s->submitted = NULL;
    cache_append(&g->cache, index, e);
    job->entries[i] = entry_ref(e);
    job->logs[i] = (struct log_entry){index, e->term, e->type, entry_data(e)};
    if (e->type == RAFT_CHANGE) {
        conf_note(g, index, entry_data(e));
    }
    g->last_index = index;
    g->log_bytes += e->size;
    job->base.job.size_bytes += e->size + ENTRY_OVERHEAD_BYTES;
}

static void take_entries(struct group *g, struct persist_job *job, struct step *s,
                         const struct raft_update *u)
{
    /* A proposal's payload is ours; any other comes in one block of libraft's heap. */
    void *block = s->submitted == NULL ? u->entries.batch[0].batch : NULL;
    if (u->entries.index <= g->last_index) {
        truncate_log(g, job, u->entries.index);
    }
    CHECK(u->entries.index == g->last_index + 1);
    job->first = u->entries.index;
    job->last = u->entries.index + u->entries.n - 1;
    for (unsigned i = 0; i < u->entries.n; i++) {
        take_entry(g, job, i, s, &u->entries.batch[i]);
    }
    raft_free(block);
    if (g->appends_tail == NULL) {
        g->appends_head = job;
    } else {
        g->appends_tail->next = job;
    }
    g->appends_tail = job;
}

void persist_update(struct group *g, struct step *s, const struct raft_update *u)
{
    bool has_entries = (u->flags & (RAFT_UPDATE_ENTRIES)) != 0;
    bool has_hard_state = (u->flags & ((RAFT_UPDATE_CURRENT_TERM) | (RAFT_UPDATE_VOTED_FOR))) != 0;
    if (!has_entries && !has_hard_state) {
        return;
    }
    struct persist_job *job = persist_job_new(g, has_entries ? u->entries.n : 0);
    job->base.job.run = persist_run;
    job->base.job.done = persist_done;
    if (has_hard_state) {
        job->has_hard_state = true;
        job->hard_state = (struct log_hard_state){g->raft.current_term, g->raft.voted_for};
        job->gate = ++g->hard_states_queued;
    }
    if (has_entries) {
        take_entries(g, job, s, u);
    }
    group_job_submit(g, &job->base, job->base.job.size_bytes + ENTRY_OVERHEAD_BYTES);
}

void persist_report(struct group *g)
{
    uint64_t index = g->persisted;
    g->persisted = 0;
    if (g->stopped || g->raft.snapshot.installing || index <= g->raft.last_stored) {
        return;
    }
    struct step s = {.event = {.type = RAFT_PERSISTED_ENTRIES}};
    s.event.persisted_entries.index = index;
    (void)group_step(g, &s);
    timer_entries_stored(g);
}
