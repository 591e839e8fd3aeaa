#include "supervisor/api/summary.h"

#include <stdio.h>
#include <stdlib.h>

#include "proto/mem.h"

struct gather;

struct lane_part {
    struct task task;
    struct gather *gather;
    struct lane *lane;
    struct shard_summary *shards;
    size_t shards_count;
};

struct gather {
    struct call *call;
    void (*done)(struct call *c, const struct summary *s);
    struct lane_part parts[LANES_MAX];
    size_t left;
};

static void fill_uploads(struct shard_summary *out, const struct shard_status *st)
{
    for (size_t i = 0; i < st->uploads_count && out->trouble_count < SUMMARY_TROUBLE_MAX; i++) {
        const struct shard_upload_status *u = &st->uploads[i];
        if (u->tries >= UPLOAD_ALERT_TRIES) {
            (void)snprintf(out->trouble[out->trouble_count++], sizeof out->trouble[0],
                           "file %llu: step %s failed %u times: %s", (unsigned long long)u->file, u->step,
                           u->tries, u->last_error);
        }
    }
}

/* Files that wait for a person. The rows know, also on a follower and after a restart. */
static void fill_holds(struct shard_summary *out, struct rows *rows)
{
    struct arena a = ARENA_INIT;
    struct file_row *files;
    size_t count;

    if (state_files_open_work(rows, &a, &files, &count) != SG_OK) {
        (void)snprintf(out->why, sizeof out->why, "its files cannot be read");
        count = 0;
    }
    for (size_t i = 0; i < count && out->trouble_count < SUMMARY_TROUBLE_MAX; i++) {
        char reason[REASON_SIZE_MAX + 1];
        if (files[i].state == FILE_HOLD) {
            (void)snprintf(out->trouble[out->trouble_count++], sizeof out->trouble[0],
                           "file %llu is on hold: %s: ask the bank, then 'shardgate files resolve'",
                           (unsigned long long)files[i].seal.file,
                           span_cstr(files[i].reason, reason, sizeof reason));
        }
    }
    arena_release(&a);
}

static void fill(struct shard_summary *out, struct slot *s, struct rows *rows)
{
    struct counters_row counters;

    out->group = s->group;
    (void)snprintf(out->why, sizeof out->why, "%s", s->why);
    if (s->shard == NULL) {
        return;
    }
    struct shard_status st;
    shard_status(s->shard, &st);
    out->leader = st.group.leader;
    out->term = st.group.term;
    out->commit_index = st.group.commit_index;
    out->applied_index = st.group.applied_index;
    out->next_close_ms = st.next_close_ms;
    rows->group = s->group;
    fill_holds(out, rows);
    fill_uploads(out, &st);
    if (state_counters(rows, &counters) == SG_OK) {
        out->pending_count = counters.pending_count;
        out->pending_debit = counters.pending_debit;
        out->pending_credit = counters.pending_credit;
    } else if (out->why[0] == '\0' && out->applied_index > 1) {
        (void)snprintf(out->why, sizeof out->why, "its counters cannot be read");
    }
}

static void lane_fill(struct lane_part *p)
{
    struct lane *l = p->lane;
    struct rows rows;
    struct kv_txn *txn;

    p->shards = mem_zalloc(l->slots_count, sizeof *p->shards);
    p->shards_count = l->slots_count;
    if (kv_begin(l->kv, false, &txn) != SG_OK) {
        for (size_t i = 0; i < l->slots_count; i++) {
            p->shards[i].group = l->slots[i]->group;
            (void)snprintf(p->shards[i].why, sizeof p->shards[i].why, "its store cannot be read");
        }
        return;
    }
    rows_init(&rows, l->kv, txn, 0);
    for (size_t i = 0; i < l->slots_count; i++) {
        fill(&p->shards[i], l->slots[i], &rows);
    }
    rows_release(&rows);
    kv_abort(l->kv, txn);
}

static int by_group(const void *a, const void *b)
{
    const struct shard_summary *x = a;
    const struct shard_summary *y = b;
    return x->group < y->group ? -1 : x->group > y->group;
}

static void gather_done(struct gather *g)
{
    struct summary s = {NULL, 0};
    size_t lanes = g->call->node->options.lanes_count;

    for (size_t i = 0; i < lanes; i++) {
        s.shards_count += g->parts[i].shards_count;
    }
    s.shards = mem_zalloc(s.shards_count, sizeof *s.shards);
    s.shards_count = 0;
    for (size_t i = 0; i < lanes; i++) {
        for (size_t k = 0; k < g->parts[i].shards_count; k++) {
            s.shards[s.shards_count++] = g->parts[i].shards[k];
        }
        mem_free(g->parts[i].shards);
    }
    if (s.shards_count > 0) {
        qsort(s.shards, s.shards_count, sizeof *s.shards, by_group);
    }
    g->done(g->call, &s);
    mem_free(s.shards);
    mem_free(g);
}

static void part_back(struct task *t)
{
    struct lane_part *p = CONTAINER_OF(t, struct lane_part, task);
    if (--p->gather->left == 0) {
        gather_done(p->gather);
    }
}

static void part_run(struct task *t)
{
    struct lane_part *p = CONTAINER_OF(t, struct lane_part, task);
    lane_fill(p);
    p->task.run = part_back;
    loop_post(p->lane->node->lanes[0].loop, &p->task);
}

void summary_gather(struct call *c, void (*done)(struct call *c, const struct summary *s))
{
    struct gather *g = mem_zalloc(1, sizeof *g);

    g->call = c;
    g->done = done;
    g->left = c->node->options.lanes_count;
    for (size_t i = 0; i < c->node->options.lanes_count; i++) {
        g->parts[i].gather = g;
        g->parts[i].lane = &c->node->lanes[i];
    }
    for (size_t i = 1; i < c->node->options.lanes_count; i++) {
        g->parts[i].task.run = part_run;
        loop_post(c->node->lanes[i].loop, &g->parts[i].task);
    }
    lane_fill(&g->parts[0]);
    part_back(&g->parts[0].task);
}
