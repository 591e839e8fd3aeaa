/* Committed entries to the machine, in the writer's transaction (I-2). One job
 * of a group runs at a time; what commits meanwhile makes the next one. */
#include <string.h>

#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "shard/engine/engine.h"

struct apply_item {
    struct cache_entry *entry; /* A reference; NULL: to be read from the log. */
    uint64_t term;             /* Once applied. */
    uint64_t state;            /* After it. */
    size_t result_at, result_size;
};

struct apply_job {
    struct group_job base;
    uint64_t first;
    bool wants_results;
    bool wants_changes; /* scrub.c does. */
    struct bytes changes;
    struct applied_row row; /* After the newest entry. */
    struct bytes conf;      /* Its configuration. */
    struct bytes read;      /* An entry's payload, read from the log. */
    struct bytes result;    /* Of one entry. */
    struct bytes results;   /* Of all. */
    size_t items_count;
    struct apply_item items[];
};

static enum sg_err apply_entry(struct apply_job *job, struct rows *rows, struct apply_item *item,
                               const struct log_entry *e, struct applied_row *row)
{
    struct machine *machine = &job->base.g->o.machine;
    struct digester digester;
    uint8_t head[17];
    enum sg_err err = SG_OK;
    be64_put(head, e->index);
    be64_put(head + 8, e->term);
    head[16] = e->type;
    digester_init(&digester);
    digester_add(&digester, span_of(row->digest.b, DIGEST_SIZE));
    digester_add(&digester, span_of(head, sizeof(head)));
    bytes_clear(&job->result);
    if (e->type == RAFT_COMMAND) {
        rows->digester = &digester;
        rows->set = row->set;
        err = machine->ops->apply(machine->impl, rows, e->index, e->term, e->data, &job->result);
        rows->digester = NULL;
        row->set = rows->set;
        row->has_set = rows->level >= LEVEL_COMPARE;
    } else if (e->type == RAFT_CHANGE) {
        digester_add(&digester, e->data);
        bytes_set(&job->conf, e->data);
        row->conf_index = e->index;
    }
    row->index = e->index;
    row->term = e->term;
    row->digest = digester_end(&digester);
    item->term = e->term;
    item->state = compare_state(&row->digest, row->set);
    item->result_at = job->results.n;
    item->result_size = job->wants_results ? job->result.n : 0;
    bytes_append(&job->results, job->result.p, item->result_size);
    return err;
}

static enum sg_err take_entry(struct apply_job *job, struct rows *rows, size_t i, struct log_entry *out)
{
    struct cache_entry *e = job->items[i].entry;
    if (e != NULL) {
        *out = (struct log_entry){job->first + i, e->term, e->type, cache_entry_data(e)};
        return SG_OK;
    }
    enum sg_err err = log_get(rows->kv, rows->txn, rows->group, job->first + i, out);
    if (err == SG_OK) {
        bytes_set(&job->read, out->data);
        out->data = span_bytes(&job->read);
    }
    return err == SG_NOTFOUND ? SG_CORRUPT : err;
}

/* The row of the newest applied entry; zeros before the first. Under a level whose
 * programs know no set hash it is not in the row: this process remembers it from the
 * apply before, or finds it by a walk. */
static enum sg_err read_applied(struct apply_job *job, struct rows *rows, struct applied_row *row)
{
    *row = (struct applied_row){0};
    enum sg_err err = applied_row_get(rows, row);
    if (err != SG_OK && err != SG_NOTFOUND) {
        return err;
    }
    const struct group *g = job->base.g;
    if (!row->has_set && g->set_known_at == row->index && row->index > 0) {
        row->set = g->set_known;
    } else if (!row->has_set) {
        enum sg_err walked = rows_set_of(rows, &row->set);
        if (walked != SG_OK) {
            return walked;
        }
    }
    bytes_set(&job->conf, row->conf);
    if (row->index + 1 != job->first) {
        uint8_t key[8];
        be64_put(key, rows->group);
        return kv_corrupt(rows->kv, KV_STATE, span_of(key, sizeof(key)),
                          "applied row is not the one expected");
    }
    return SG_OK;
}

static enum sg_err apply_all(struct apply_job *job, struct rows *rows)
{
    struct applied_row *row = &job->row;
    enum sg_err err = read_applied(job, rows, row);
    for (size_t i = 0; i < job->items_count && err == SG_OK; i++) {
        struct log_entry e;
        err = take_entry(job, rows, i, &e);
        if (err == SG_OK) {
            err = apply_entry(job, rows, &job->items[i], &e, row);
        }
    }
    row->conf = span_bytes(&job->conf);
    if (err == SG_OK) {
        job->base.g->set_known_at = row->index;
        job->base.g->set_known = row->set;
    }
    return err == SG_OK ? applied_row_put(rows->kv, rows->txn, rows->group, row) : err; /* I-2 */
}

static enum sg_err apply_run(struct writer_job *writer_job, struct kv *kv, struct kv_txn *txn)
{
    struct apply_job *job = (struct apply_job *)(void *)writer_job;
    struct rows rows;
    if (group_job_refused(&job->base)) {
        return SG_OK;
    }
    FAULT_POINT("engine.before-apply");
    bytes_clear(&job->results);
    bytes_clear(&job->changes);
    rows_init(&rows, kv, txn, job->base.g->o.id);
    rows.changes = job->wants_changes ? &job->changes : NULL;
    enum sg_err err = apply_all(job, &rows);
    rows_release(&rows);
    FAULT_POINT("engine.after-apply");
    return group_job_result(&job->base, err);
}

/* Those of the job's proposals that are first in the queue; only_early: up to
 * the first that must be durable here. */
static void answer(struct group *g, struct apply_job *job, bool only_early)
{
    while (g->waiting.head != NULL && g->waiting.head->index < job->first + job->items_count &&
           (g->waiting.head->is_early || !only_early)) {
        struct proposal *p = proposal_pop(&g->waiting);
        CHECK(p->index >= job->first);
        struct apply_item *item = &job->items[p->index - job->first];
        /* Another entry took the place of the proposal's. */
        enum sg_err err = item->term == p->term ? SG_OK : SG_UNKNOWN;
        p->result = err == SG_OK ? span_of(job->results.p + item->result_at, item->result_size) : SPAN_NONE;
        p->done(p, err);
    }
}

static void apply_job_free(struct apply_job *job)
{
    for (size_t i = 0; i < job->items_count; i++) {
        if (job->items[i].entry != NULL) {
            cache_entry_unref(job->items[i].entry);
        }
    }
    bytes_release(&job->conf);
    bytes_release(&job->read);
    bytes_release(&job->result);
    bytes_release(&job->results);
    bytes_release(&job->changes);
    mem_free(job);
}

/* Applied, and not flushed here yet: enough for the next job and for answers
 * that rest on the quorum's logs alone. */
static void apply_ran(struct writer_job *writer_job)
{
    struct apply_job *job = (struct apply_job *)(void *)writer_job;
    struct group *g = job->base.g;
    g->applying = g->applying == job ? NULL : g->applying;
    if (g->stopped || job->base.refused) {
        return;
    }
    g->ran = job->first + job->items_count - 1;
    for (size_t i = 0; i < job->items_count; i++) {
        compare_note(g, job->first + i, job->items[i].state);
    }
    answer(g, job, true);
    group_later(g);
}

static void apply_done(struct writer_job *writer_job, enum sg_err err)
{
    struct apply_job *job = (struct apply_job *)(void *)writer_job;
    struct group *g = job->base.g;
    g->applying = g->applying == job ? NULL : g->applying;
    if (group_job_ok(&job->base, err)) {
        g->applied = job->first + job->items_count - 1;
        g->digest = job->row.digest;
        g->set = job->row.set;
        g->has_set = true;
        scrub_applied(g, span_bytes(&job->changes));
        apply_evict(g);
        compare_look(g);
        if (!g->stopped) {
            answer(g, job, false);
        }
        if (!g->stopped) {
            g->o.machine.ops->applied(g->o.machine.impl, job->first + job->items_count - 1);
        }
        group_later(g);
    }
    apply_job_free(job);
    group_job_end(g);
}

/* Does anybody wait until entries up to last are applied durably: a proposal
 * that is not early, or a leader that may not act before (I-8)? */
static bool waits_for_flush(const struct group *g, uint64_t last)
{
    if (g->raft.state == RAFT_LEADER && g->applied < g->ready_index) {
        return true;
    }
    for (const struct proposal *p = g->waiting.head; p != NULL && p->index <= last; p = p->next) {
        if (!p->is_early) {
            return true;
        }
    }
    return false;
}

void apply_start(struct group *g)
{
    struct apply_item items[APPLY_ENTRIES_MAX];
    size_t size = 0;
    size_t n = 0;
    if (g->rebuild.is_on || g->applying != NULL || g->installing != NULL || g->raft.snapshot.installing ||
        g->ran >= g->commit) {
        return;
    }
    for (; n < APPLY_ENTRIES_MAX && g->ran + n < g->commit; n++) {
        struct cache_entry *e = cache_get(&g->cache, g->ran + n + 1);
        /* Of one that must be read the size is not known: take it for large. */
        size_t entry_size = e == NULL ? APPLY_SIZE_MAX_BYTES / 8 : e->size;
        if (n > 0 && size + entry_size > APPLY_SIZE_MAX_BYTES) {
            break;
        }
        size += entry_size;
        items[n] = (struct apply_item){.entry = e == NULL ? NULL : cache_entry_ref(e)};
    }
    struct apply_job *job = mem_zalloc(1, sizeof(*job) + n * sizeof(struct apply_item));
    job->base.g = g;
    job->base.needs_rows = true;
    job->base.job.run = apply_run;
    job->base.job.ran = apply_ran;
    job->base.job.done = apply_done;
    job->base.job.lazy = !waits_for_flush(g, g->ran + n);
    job->first = g->ran + 1;
    job->wants_results = g->waiting.head != NULL;
    job->wants_changes = g->scrub.is_active;
    job->items_count = n;
    memcpy(job->items, items, n * sizeof(struct apply_item));
    g->applying = job;
    group_job_submit(g, &job->base, size);
}

/* The lowest index a peer that answers may still be sent. */
static uint64_t lowest_match(const struct group *g)
{
    uint64_t lowest = UINT64_MAX;
    uint64_t now = loop_now_ms(g->o.loop);
    for (size_t i = 0; i < g->peers_count && g->raft.state == RAFT_LEADER; i++) {
        const struct peer *p = &g->peers[i];
        raft_index match = 0;
        if (p->heard_ms + g->o.election_timeout_ms > now &&
            raft_match_index(&g->raft, p->node, &match) == 0 && match < lowest) {
            lowest = match;
        }
    }
    return lowest;
}

void apply_evict(struct group *g)
{
    uint64_t match = lowest_match(g);
    uint64_t stored = g->appends_head != NULL ? g->appends_head->logs[0].index - 1 : g->last_index;
    uint64_t upto = stored < g->applied ? stored : g->applied;
    while (g->cache.count > 0 && !FAULT_BUG("cache-kept") && g->cache.first <= upto &&
           (g->cache.first <= match || g->cache.size_bytes > CACHE_SIZE_MAX_BYTES)) {
        cache_evict(&g->cache);
    }
}
