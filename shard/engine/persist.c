/* What must be durable before others may rely on it: term, vote, entries. The
 * steps of a turn gather in one job, so that it is written with one flush. */
#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "shard/engine/engine.h"

#define ENTRY_OVERHEAD_BYTES 64 /* What an entry costs the store besides its payload. */

/* --- On the writer ------------------------------------------------------------ */

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

/* --- On the loop -------------------------------------------------------------- */

static void persist_job_free(struct persist_job *job)
{
    for (size_t i = 0; i < job->entries_count; i++) {
        cache_entry_unref(job->entries[i]);
    }
    mem_free(job->entries);
    mem_free(job->logs);
    mem_free(job);
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
        CHECK(g->appends_head == job);
        g->appends_head = job->next;
        if (g->appends_head == NULL) {
            g->appends_tail = NULL;
        }
    }
    if (ok && job->last != 0) {
        g->persisted = job->last;
    }
    if (ok && job->has_hard_state) {
        g->hard_states_durable = job->gate;
    }
    if (ok && FAULT_BUG("ack-before-quorum")) {
        answer_too_early(g, job->last);
    }
    group_later(g);
    persist_job_free(job);
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

/* What an earlier step of this turn appended never reaches the store; only what
 * the writer has may have to go there. */
static void truncate_log(struct group *g, struct persist_job *job, uint64_t from)
{
    cap_reports(g, from);
    cache_truncate(&g->cache, from);
    conf_truncate(g, from);
    g->last_index = from - 1;
    while (job->entries_count > 0 && job->logs[job->entries_count - 1].index >= from) {
        cache_entry_unref(job->entries[--job->entries_count]);
    }
    if (job->entries_count == 0 && (job->truncate_from == 0 || from < job->truncate_from)) {
        job->truncate_from = from;
    }
}

/* A proposal's entry is taken over; any other lies in one block of libraft's heap, which is ours to free. */
static void take_entries(struct group *g, struct persist_job *job, struct event *event,
                         const struct raft_update *u)
{
    bool is_linked = job->entries_count > 0;
    void *block = event->submitted == NULL ? u->entries.batch[0].batch : NULL;
    if (u->entries.index <= g->last_index) {
        truncate_log(g, job, u->entries.index);
    }
    CHECK(u->entries.index == g->last_index + 1);
    if (job->entries_count + u->entries.n > job->entries_cap) {
        job->entries_cap = job->entries_count + u->entries.n;
        job->entries = mem_realloc(job->entries, job->entries_cap * sizeof(struct cache_entry *));
        job->logs = mem_realloc(job->logs, job->entries_cap * sizeof(struct log_entry));
    }
    for (unsigned i = 0; i < u->entries.n; i++) {
        const struct raft_entry *from = &u->entries.batch[i];
        struct cache_entry *e = event->submitted;
        if (e == NULL) {
            e = cache_entry_new(from->term, (uint8_t)from->type, span_of(from->buf.base, from->buf.len));
        }
        event->submitted = NULL;
        uint64_t index = ++g->last_index;
        cache_append(&g->cache, index, e);
        job->entries[job->entries_count] = cache_entry_ref(e);
        job->logs[job->entries_count++] = (struct log_entry){index, e->term, e->type, cache_entry_data(e)};
        if (e->type == RAFT_CHANGE) {
            conf_note(g, index, cache_entry_data(e));
        }
        g->log_bytes += e->size;
        job->base.job.size_bytes += e->size + ENTRY_OVERHEAD_BYTES;
    }
    raft_free(block);
    job->first = job->logs[0].index;
    job->last = g->last_index;
    if (!is_linked) {
        *(g->appends_tail == NULL ? &g->appends_head : &g->appends_tail->next) = job;
        g->appends_tail = job;
    }
}

void persist_gather(struct group *g, struct event *e, const struct raft_update *u)
{
    bool has_entries = (u->flags & (RAFT_UPDATE_ENTRIES)) != 0;
    bool has_hard_state = (u->flags & ((RAFT_UPDATE_CURRENT_TERM) | (RAFT_UPDATE_VOTED_FOR))) != 0;
    if (!has_entries && !has_hard_state) {
        return;
    }
    if (g->writes == NULL) {
        g->writes = mem_zalloc(1, sizeof(*g->writes));
        g->writes->base.g = g;
        g->writes->base.job.run = persist_run;
        g->writes->base.job.done = persist_done;
    }
    struct persist_job *job = g->writes;
    /* The newest one stands for all of a turn: who knows of a higher term keeps
     * what was said in a lower one, whatever that was. */
    if (has_hard_state) {
        job->gate = job->has_hard_state ? job->gate : ++g->hard_states_queued;
        job->has_hard_state = true;
        job->hard_state = (struct log_hard_state){g->raft.current_term, g->raft.voted_for};
    }
    if (has_entries) {
        take_entries(g, job, e, u);
    }
}

void persist_submit(struct group *g)
{
    struct persist_job *job = g->writes;
    g->writes = NULL;
    group_job_submit(g, &job->base, job->base.job.size_bytes + ENTRY_OVERHEAD_BYTES);
}

/* The entries of this turn's job, which is the last of those in flight. */
static void drop_entries(struct group *g, struct persist_job *job)
{
    struct persist_job **link = &g->appends_head;
    if (job->entries_count == 0) {
        return;
    }
    g->appends_tail = NULL;
    while (*link != job) {
        g->appends_tail = *link;
        link = &(*link)->next;
    }
    *link = NULL;
    while (job->entries_count > 0) {
        cache_entry_unref(job->entries[--job->entries_count]);
    }
}

void persist_forget(struct group *g)
{
    cap_reports(g, 1);
    g->persisted = 0;
    if (g->writes != NULL) {
        drop_entries(g, g->writes);
    }
}

void persist_drop(struct group *g)
{
    if (g->writes != NULL) {
        drop_entries(g, g->writes);
        persist_job_free(g->writes);
        g->writes = NULL;
    }
}
