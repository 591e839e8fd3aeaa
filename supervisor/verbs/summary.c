#include "supervisor/verbs/summary.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/mem.h"
#include "supervisor/node/node_impl.h"

#define SUMMARY_SLOTS_A_TURN 256
#define FRAME_LINES 4 /* Header and control of a file and of one batch. */

struct summary_gather;

struct lane_part {
    struct task task;
    struct work work;
    int64_t now_ms;
    struct summary_gather *gather;
    struct lane *lane;
    struct shard_summary *shards;
    size_t shards_count;
};

struct summary_gather {
    struct call *call;
    void (*done)(struct call *c, const struct summary *s);
    struct lane_part parts[LANES_MAX];
    size_t left;
};

/* Every trouble is counted, the first ones are told. */
static void PRINTF_LIKE(3, 4) trouble(struct shard_summary *out, const char *kind, const char *fmt, ...)
{
    if (out->trouble_count < SUMMARY_TROUBLE_MAX) {
        struct shard_trouble *t = &out->trouble[out->trouble_count];
        va_list args;
        t->kind = kind;
        va_start(args, fmt);
        (void)vsnprintf(t->text, sizeof t->text, fmt, args);
        va_end(args);
    }
    out->trouble_count++;
}

static void fill_uploads(struct shard_summary *out, const struct shard_status *st)
{
    if (st->parked_count > 0) {
        trouble(out, "sealing",
                "%zu closed windows can't be sealed: 'shardgate events' of the shard says why",
                st->parked_count);
    }
    for (size_t i = 0; i < st->uploads_count; i++) {
        const struct shard_upload_status *u = &st->uploads[i];
        if (u->tries >= UPLOAD_ALERT_TRIES) {
            trouble(out, "upload", "file %llu: step %s failed %u times: %s", (unsigned long long)u->file,
                    u->step, u->tries, u->last_error);
        }
    }
}

static enum sg_err fill_holds(struct shard_summary *out, struct rows *rows, struct arena *a)
{
    struct file_row *files;
    size_t count = 0;
    enum sg_err err = state_files_open_work(rows, a, &files, &count);

    for (size_t i = 0; err == SG_OK && i < count; i++) {
        char reason[REASON_SIZE_MAX + 1];
        if (files[i].state == FILE_HOLD && !span_is(files[i].reason, FILE_HELD_WITH_WINDOW)) {
            trouble(out, "upload", "file %llu is on hold: %s: ask the bank, then 'shardgate files resolve'",
                    (unsigned long long)files[i].seal.file,
                    span_cstr(files[i].reason, reason, sizeof reason));
        }
    }
    struct attention *list;
    err = err == SG_OK ? state_attention(rows, files, count, a, &list, &count) : err;
    for (size_t i = 0; err == SG_OK && i < count; i++) {
        trouble(out, list[i].kind, "%s", list[i].text);
    }
    return err;
}

static enum sg_err fill_overdue(struct shard_summary *out, struct rows *rows, struct arena *a, int64_t now_ms)
{
    struct owed *owed;
    size_t count = 0;
    enum sg_err err = state_owed(rows, a, &owed, &count);

    for (size_t i = 0; err == SG_OK && i < count; i++) {
        char text[OWED_TEXT_SIZE];
        if (owed[i].upload_by_ms <= now_ms) {
            trouble(out, "overdue", "%s", owed_text(&owed[i], text));
        }
    }
    return err;
}

/* Files that wait for a person or are late. */
static void fill_files(struct shard_summary *out, struct rows *rows, int64_t now_ms)
{
    struct arena a = ARENA_INIT;
    enum sg_err err = fill_holds(out, rows, &a);

    if (err == SG_OK) {
        err = fill_overdue(out, rows, &a, now_ms);
    }
    if (err != SG_OK) {
        (void)snprintf(out->why, sizeof out->why, "its files cannot be read");
    }
    arena_release(&a);
}

/* A day has so many file ID modifiers, a file so many lines: more than fits waits for
 * another day, and people should hear of it while they can still change it. */
static void fill_capacity(struct shard_summary *out, struct rows *rows, const struct counters_row *counters)
{
    struct arena a = ARENA_INIT;
    struct settings s;

    if (state_settings(rows, state_level(counters), &a, &s) == SG_OK) {
        uint32_t lines = s.shard.max_lines;
        uint64_t a_day = (uint64_t)FILE_MODIFIERS * (lines > FRAME_LINES ? lines - FRAME_LINES : 1);
        if (counters->pending_count > a_day) {
            trouble(out, "capacity",
                    "%llu payments are pending, and one day's %d files of %u lines hold %llu at most: the "
                    "rest waits for another day; %s",
                    (unsigned long long)counters->pending_count, FILE_MODIFIERS, (unsigned)lines,
                    (unsigned long long)a_day,
                    lines < FILE_LINES_MAX ? "raise limits.max_lines of the shard"
                                           : "limits.max_lines is as high as it can be");
        }
    }
    arena_release(&a);
}

/* What the lane knows. */
static void fill_live(struct shard_summary *out, struct lane_slot *s)
{
    struct shard_status st;

    out->group = s->group;
    (void)snprintf(out->why, sizeof out->why, "%s", s->why);
    out->is_open = s->shard != NULL;
    if (!out->is_open) {
        return;
    }
    shard_status(s->shard, &st);
    out->leader = st.group.leader;
    out->term = st.group.term;
    out->commit_index = st.group.commit_index;
    out->applied_index = st.group.applied_index;
    out->next_close_ms = st.next_close_ms;
    if (st.group.is_rebuilding && out->why[0] == '\0') {
        out->is_rebuilding = true;
        (void)snprintf(out->why, sizeof out->why, "this replica had wrong rows and gets its leader's: %s",
                       st.group.why);
    }
    fill_uploads(out, &st);
}

/* What the rows know, also on a follower and after a restart. */
static void fill_rows(struct shard_summary *out, struct rows *rows, int64_t now_ms)
{
    struct counters_row counters;

    if (out->is_rebuilding) {
        return; /* Nothing of them is to be believed. */
    }
    rows->group = out->group;
    fill_files(out, rows, now_ms);
    if (state_counters(rows, &counters) == SG_OK) {
        out->pending_count = counters.pending_count;
        out->pending_debit = counters.pending_debit;
        out->pending_credit = counters.pending_credit;
        fill_capacity(out, rows, &counters);
    } else if (out->why[0] == '\0' && out->applied_index > 1) {
        (void)snprintf(out->why, sizeof out->why, "its counters cannot be read");
    }
}

/* --- A lane's part: the loop's figures some shards a turn, then the rows elsewhere ------- */

static void part_read(struct work *w)
{
    struct lane_part *p = CONTAINER_OF(w, struct lane_part, work);
    struct lane *l = p->lane;
    struct rows rows;
    struct kv_txn *txn;
    bool can_read = kv_begin(l->kv, false, &txn) == SG_OK;

    if (can_read) {
        rows_init(&rows, l->kv, txn, 0);
    }
    for (size_t i = 0; i < p->shards_count; i++) {
        struct shard_summary *one = &p->shards[i];
        if (!can_read) {
            (void)snprintf(one->why, sizeof one->why, "its store cannot be read");
        } else if (one->is_open) {
            fill_rows(one, &rows, p->now_ms);
        }
    }
    if (can_read) {
        rows_release(&rows);
        kv_abort(l->kv, txn);
    }
}

static void part_back(struct task *t);

static void part_read_done(struct work *w)
{
    struct lane_part *p = CONTAINER_OF(w, struct lane_part, work);
    p->task.run = part_back;
    if (p->lane->number == 0) {
        part_back(&p->task);
    } else {
        loop_post(p->gather->call->node->lanes[0].loop, &p->task);
    }
}

/* The first slot behind the last one taken: others may have come in between. */
static size_t part_position(const struct lane_part *p)
{
    const struct lane *l = p->lane;
    size_t low = 0;
    size_t high = p->shards_count == 0 ? 0 : l->slots_count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (l->slots[middle]->group <= p->shards[p->shards_count - 1].group) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static void part_run(struct task *t)
{
    struct lane_part *p = CONTAINER_OF(t, struct lane_part, task);
    struct lane *l = p->lane;
    size_t at = part_position(p);
    size_t end = l->slots_count - at < SUMMARY_SLOTS_A_TURN ? l->slots_count : at + SUMMARY_SLOTS_A_TURN;

    p->shards = mem_realloc(p->shards, (p->shards_count + end - at + 1) * sizeof *p->shards);
    for (; at < end; at++) {
        struct shard_summary *one = &p->shards[p->shards_count++];
        memset(one, 0, sizeof *one);
        fill_live(one, l->slots[at]);
    }
    if (end < l->slots_count) {
        p->task.run = part_run;
        loop_after(l->loop, &p->task, 0);
        return;
    }
    p->now_ms = loop_wall_ms(l->loop);
    p->work = (struct work){.run = part_read, .done = part_read_done};
    loop_elsewhere(l->loop, WORKER_READ, &p->work);
}

static int by_group(const void *a, const void *b)
{
    const struct shard_summary *x = a;
    const struct shard_summary *y = b;
    return x->group < y->group ? -1 : x->group > y->group;
}

static void gather_done(struct summary_gather *g)
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

void summary_gather(struct call *c, void (*done)(struct call *c, const struct summary *s))
{
    struct summary_gather *g = mem_zalloc(1, sizeof *g);

    g->call = c;
    g->done = done;
    g->left = c->node->options.lanes_count;
    for (size_t i = 0; i < c->node->options.lanes_count; i++) {
        g->parts[i].gather = g;
        g->parts[i].lane = &c->node->lanes[i];
        g->parts[i].task.run = part_run;
    }
    for (size_t i = 1; i < c->node->options.lanes_count; i++) {
        loop_post(c->node->lanes[i].loop, &g->parts[i].task);
    }
    part_run(&g->parts[0].task);
}
