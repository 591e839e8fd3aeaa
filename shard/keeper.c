#include "shard/keeper.h"

#include <stdio.h>

#include "proto/base/limits.h"
#include "proto/base/mem.h"
#include "shard/state/state.h"
#include "storage/kept.h"

struct keeper {
    struct keeper_options o;
    struct task look;
    bool stopped;
    bool at_work;  /* A build or a write is under way. */
    bool is_woken; /* And somebody asked to look again. */
    uint64_t missing;
};

/* One file on its way: built elsewhere, then written. */
struct keeping {
    struct work work;
    struct writer_job job;
    struct keeper *keeper;
    uint64_t file;    /* 0: all are kept. */
    uint64_t missing; /* This one included. */
    struct bytes data;
    enum sg_err err;
    char why[256];
};

static void again_after(struct keeper *k, uint64_t ms)
{
    if (!k->stopped) {
        loop_after(k->o.loop, &k->look, ms);
    }
}

static void end(struct keeping *f)
{
    struct keeper *k = f->keeper;
    bytes_release(&f->data);
    mem_free(f);
    k->at_work = false;
}

/* --- Writing ---------------------------------------------------------------------- */

static enum sg_err write_run(struct writer_job *job, struct kv *kv, struct kv_txn *txn)
{
    struct keeping *f = CONTAINER_OF(job, struct keeping, job);
    return kept_put(kv, txn, f->keeper->o.group, f->file, span_bytes(&f->data));
}

static void write_done(struct writer_job *job, enum sg_err err)
{
    struct keeping *f = CONTAINER_OF(job, struct keeping, job);
    struct keeper *k = f->keeper;
    CHECK(err == SG_OK); /* A store that fails ends the node. */
    k->missing = f->missing - 1;
    end(f);
    again_after(k, 0);
}

/* --- Building ---------------------------------------------------------------------- */

/* A mark that is damaged is no loss: everything is kept once more. */
static enum sg_err next_file(struct keeping *f, struct rows *rows)
{
    struct counters_row counters;
    uint64_t mark = 0;
    enum sg_err err = kept_mark(rows->kv, rows->txn, rows->group, &mark);
    if (err == SG_CORRUPT) {
        mark = 0;
        err = SG_OK;
    }
    if (err == SG_OK) {
        err = state_counters(rows, &counters);
    }
    if (err == SG_OK && mark + 1 < counters.next_file) {
        f->file = mark + 1;
        f->missing = counters.next_file - 1 - mark;
    }
    return err;
}

static void build_run(struct work *work)
{
    struct keeping *f = CONTAINER_OF(work, struct keeping, work);
    struct kv *kv = f->keeper->o.kv;
    struct kv_txn *txn;
    struct rows rows;
    f->err = kv_begin(kv, false, &txn);
    if (f->err != SG_OK) {
        return;
    }
    rows_init(&rows, kv, txn, f->keeper->o.group);
    f->err = next_file(f, &rows);
    if (f->err == SG_OK && f->file != 0) {
        f->err = state_file_rebuild(&rows, f->file, &f->data, f->why, sizeof(f->why));
    }
    if (f->err == SG_CORRUPT) {
        (void)snprintf(f->why, sizeof(f->why), "%s", kv_damage());
    }
    rows_release(&rows);
    kv_abort(kv, txn);
}

static void build_done(struct work *work)
{
    struct keeping *f = CONTAINER_OF(work, struct keeping, work);
    struct keeper *k = f->keeper;
    if (k->stopped) {
        end(f);
        return;
    }
    k->missing = f->missing;
    if (f->err == SG_CONFLICT || f->err == SG_CORRUPT) {
        char why[384];
        (void)snprintf(why, sizeof(why), "file %llu cannot be made as it was sealed: %s",
                       (unsigned long long)f->file, f->why);
        end(f);
        k->o.damaged(k->o.impl, why);
    } else if (f->err != SG_OK ||
               (f->file != 0 && k->o.kv->ops->free_bytes(k->o.kv->impl) < STORE_FREE_SPACE_MIN_BYTES)) {
        end(f);
        again_after(k, KEEPER_RETRY_MS); /* No reader is free, or no room. */
    } else if (f->file != 0) {
        f->job.size_bytes = f->data.n;
        writer_submit(k->o.writer, &f->job);
    } else {
        bool again = k->is_woken;
        end(f);
        if (again) {
            again_after(k, 0);
        }
    }
}

static void look_run(struct task *task)
{
    struct keeper *k = CONTAINER_OF(task, struct keeper, look);
    if (k->at_work || k->stopped) {
        return;
    }
    struct keeping *f = mem_zalloc(1, sizeof(*f));
    f->keeper = k;
    f->work.run = build_run;
    f->work.done = build_done;
    f->job.run = write_run;
    f->job.done = write_done;
    k->at_work = true;
    k->is_woken = false;
    loop_elsewhere(k->o.loop, WORKER_READ, &f->work);
}

/* --- From outside ------------------------------------------------------------------- */

struct keeper *keeper_new(const struct keeper_options *options)
{
    struct keeper *k = mem_zalloc(1, sizeof(*k));
    k->o = *options;
    k->look.run = look_run;
    k->missing = 1; /* Until it has looked. */
    return k;
}

void keeper_look(struct keeper *k)
{
    k->is_woken = true;
    if (!k->at_work) {
        again_after(k, 0);
    }
}

uint64_t keeper_missing(const struct keeper *k)
{
    return k->missing;
}

void keeper_stop(struct keeper *k)
{
    k->stopped = true;
    loop_cancel(k->o.loop, &k->look);
}

bool keeper_is_idle(const struct keeper *k)
{
    return !k->at_work;
}

void keeper_free(struct keeper *k)
{
    CHECK(k->stopped);
    CHECK(keeper_is_idle(k));
    mem_free(k);
}
