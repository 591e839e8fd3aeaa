/* Counting the rows anew, slowly, so that a row that is not found any more is missed
 * without being asked for.
 *
 * A pass walks all rows of the machine in key order, a slice at a time, each in a
 * short read transaction, and adds up their hashes; at its end the sum must be the
 * set hash that apply has carried on. Rows change meanwhile, so the sum is kept
 * true for what was walked already: the apply jobs say which rows they changed and
 * by how much (rows.changes), and
 *
 *   sum = hashes of all rows with a key <= cursor, as of the index g->applied
 *
 * holds between any two events. A change at or before the cursor is added to the
 * sum. While a slice is read, at an applied index A that only it knows, changes
 * behind the cursor are put aside; when the slice is back and g->applied has reached
 * A, those that came after A and lie within the slice are added with it: the others
 * it has seen, or the next slices will. */
#include <string.h>

#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "shard/engine/engine.h"

/* --- A slice, on WORKER_READ ---------------------------------------------------------- */

struct scrub_slice {
    struct work work;
    struct group *g;
    struct bytes from; /* Behind this key. */
    struct bytes upto; /* The last key that was read. */
    bool is_last;
    uint64_t at; /* Applied index of the read transaction. */
    uint64_t sum;
    enum sg_err err;
    char *damage;
};

static enum sg_err slice_walk(struct scrub_slice *s, struct rows *rows)
{
    struct kv_cursor c;
    struct bytes from = BYTES_NONE;
    size_t rows_count = 0;
    size_t size = 0;
    enum sg_err err = SG_OK;
    bytes_set(&from, span_bytes(&s->from));
    rows_cursor(rows, &c, SPAN_NONE);
    if (from.n > 0) {
        bytes_append(&from, "", 1); /* The first key behind it. */
        rows_cursor_from(&c, span_bytes(&from));
    }
    while (rows_count < SCRUB_SLICE_ROWS && size < SCRUB_SLICE_BYTES && (err = kv_next(&c)) == SG_OK) {
        s->sum += row_hash(rows->group, rows_key(&c), c.value);
        bytes_set(&s->upto, rows_key(&c));
        size += c.key.n + c.value.n;
        rows_count++;
    }
    s->is_last = err == SG_NOTFOUND;
    kv_cursor_release(&c);
    bytes_release(&from);
    return err == SG_NOTFOUND ? SG_OK : err;
}

static void slice_run(struct work *work)
{
    struct scrub_slice *s = CONTAINER_OF(work, struct scrub_slice, work);
    struct group *g = s->g;
    struct kv_txn *txn;
    struct rows rows;
    struct applied_row row;
    s->err = kv_begin(g->o.kv, false, &txn);
    if (s->err != SG_OK) {
        return;
    }
    rows_init(&rows, g->o.kv, txn, g->o.id);
    s->err = applied_row_get(&rows, &row);
    if (s->err == SG_OK) {
        s->at = row.index;
        s->err = slice_walk(s, &rows);
    }
    if (s->err == SG_CORRUPT) {
        s->damage = mem_strdup(kv_damage());
    }
    rows_release(&rows);
    kv_abort(g->o.kv, txn);
}

static void slice_free(struct scrub_slice *s)
{
    bytes_release(&s->from);
    bytes_release(&s->upto);
    mem_free(s->damage);
    mem_free(s);
}

/* --- A pass ------------------------------------------------------------------------------ */

static void again_after(struct group *g, uint64_t ms)
{
    loop_after(g->o.loop, &g->scrub.timer, ms);
}

static uint64_t every_ms(const struct group *g)
{
    return g->o.scrub_every_ms == 0 ? SCRUB_EVERY_MS : g->o.scrub_every_ms;
}

static void pass_end(struct group *g)
{
    struct scrub *s = &g->scrub;
    s->is_active = false;
    bytes_release(&s->cursor);
    bytes_release(&s->aside);
    again_after(g, every_ms(g) / 2 + loop_random(g->o.loop) % every_ms(g));
}

static void pass_begin(struct group *g)
{
    struct scrub *s = &g->scrub;
    s->is_active = true;
    s->is_wanted = false;
    s->sum = 0;
    /* What is under way does not tell its changes; no slice may be older than it. */
    s->not_before = g->commit;
    bytes_clear(&s->cursor);
    bytes_clear(&s->aside);
}

static void slice_back(struct work *work);

static void slice_start(struct group *g)
{
    struct scrub_slice *slice = mem_zalloc(1, sizeof(*slice));
    slice->work.run = slice_run;
    slice->work.done = slice_back;
    slice->g = g;
    bytes_set(&slice->from, span_bytes(&g->scrub.cursor));
    bytes_clear(&g->scrub.aside);
    g->scrub.is_overrun = false;
    g->scrub.slice = slice;
    g->scrub.is_reading = true;
    g->jobs_count++;
    loop_elsewhere(g->o.loop, WORKER_READ, &slice->work);
}

void scrub_timer_run(struct task *task)
{
    struct group *g = CONTAINER_OF(task, struct group, scrub.timer);
    struct scrub *s = &g->scrub;
    if (g->stopped || s->slice != NULL) {
        return;
    }
    if (g->rebuild.is_on || g->installing != NULL || g->raft.snapshot.installing || g->applied == 0) {
        s->is_active = false;
        again_after(g, every_ms(g));
        return;
    }
    if (!s->is_active) {
        pass_begin(g);
    }
    slice_start(g);
}

/* A change in the list that rows_put() and rows_del() write. */
struct change {
    uint64_t delta;
    struct span key;
};

static struct change change_take(struct span *list)
{
    struct change c = {.delta = be64_get(list->p), .key = {list->p + 10, be16_get(list->p + 8)}};
    size_t size = 10 + c.key.n;
    *list = span_of(list->p + size, list->n - size);
    return c;
}

static bool is_walked(const struct scrub *s, struct span key)
{
    return s->cursor.n > 0 && span_cmp(key, span_bytes(&s->cursor)) <= 0;
}

/* Those put aside that the slice has not seen. */
static uint64_t unseen(const struct scrub *s, const struct scrub_slice *slice)
{
    struct span list = span_bytes(&s->aside);
    uint64_t sum = 0;
    while (list.n > 0) {
        uint64_t index = be64_get(list.p);
        list = span_of(list.p + 8, list.n - 8);
        struct change c = change_take(&list);
        if (index > slice->at && (slice->is_last || span_cmp(c.key, span_bytes(&slice->upto)) <= 0)) {
            sum += c.delta;
        }
    }
    return sum;
}

static void pass_judge(struct group *g)
{
    /* An applied row of a version that knew no set hash, and nothing applied since: nothing to compare with. */
    bool is_sound = !g->has_set || g->scrub.sum == g->set || FAULT_BUG("scrub-blind");
    pass_end(g);
    if (is_sound) {
        g->scrub.passes++;
        return;
    }
    group_rows_lost(g, "rows are missing or too many: they are not those that its set hash stands for");
}

static void slice_accept(struct group *g)
{
    struct scrub *s = &g->scrub;
    struct scrub_slice *slice = s->slice;
    bool is_last = slice->is_last;
    s->slice = NULL;
    s->sum += slice->sum + unseen(s, slice);
    bytes_set(&s->cursor, span_bytes(&slice->upto));
    bytes_clear(&s->aside);
    slice_free(slice);
    if (is_last) {
        pass_judge(g);
    } else {
        again_after(g, SCRUB_PAUSE_MS);
    }
}

static void slice_drop(struct group *g, uint64_t wait_ms)
{
    slice_free(g->scrub.slice);
    g->scrub.slice = NULL;
    bytes_clear(&g->scrub.aside);
    again_after(g, wait_ms);
}

static void slice_look(struct group *g)
{
    struct scrub *s = &g->scrub;
    struct scrub_slice *slice = s->slice;
    if (slice == NULL || s->is_reading) {
        return;
    }
    if (slice->err == SG_CORRUPT) {
        char *damage = slice->damage;
        slice->damage = NULL;
        slice_drop(g, every_ms(g));
        group_rows_lost(g, "%s", damage);
        mem_free(damage);
    } else if (slice->err != SG_OK || slice->at < s->not_before || s->is_overrun || !s->is_active) {
        slice_drop(g, SCRUB_RETRY_MS);
    } else if (slice->at <= g->applied) {
        slice_accept(g);
    }
}

static void slice_back(struct work *work)
{
    struct scrub_slice *slice = CONTAINER_OF(work, struct scrub_slice, work);
    struct group *g = slice->g;
    g->scrub.is_reading = false;
    if (g->stopped) {
        slice_free(slice);
        g->scrub.slice = NULL;
    } else {
        slice_look(g);
    }
    group_job_end(g);
}

/* --- What else happens --------------------------------------------------------------------- */

void scrub_open(struct group *g)
{
    g->scrub.timer.run = scrub_timer_run;
    again_after(g, loop_random(g->o.loop) % every_ms(g));
}

void scrub_applied(struct group *g, struct span changes)
{
    struct scrub *s = &g->scrub;
    while (s->is_active && changes.n > 0) {
        struct change c = change_take(&changes);
        if (is_walked(s, c.key)) {
            s->sum += c.delta;
        } else if (s->slice != NULL && s->aside.n < SCRUB_ASIDE_MAX_BYTES) {
            uint8_t *p = bytes_extend(&s->aside, 18 + c.key.n);
            be64_put(p, g->applied);
            be64_put(p + 8, c.delta);
            be16_put(p + 16, (uint16_t)c.key.n);
            memcpy(p + 18, c.key.p, c.key.n);
        } else if (s->slice != NULL) {
            s->is_overrun = true;
        }
    }
    slice_look(g);
}

/* The rows are others now. */
void scrub_forget(struct group *g)
{
    g->scrub.is_active = false;
}

void scrub_want(struct group *g)
{
    if (!g->scrub.is_wanted && !g->scrub.is_active) {
        g->scrub.is_wanted = true;
        again_after(g, 0);
    }
}

void scrub_stop(struct group *g)
{
    struct scrub *s = &g->scrub;
    loop_cancel(g->o.loop, &s->timer);
    s->is_active = false;
    bytes_release(&s->cursor);
    bytes_release(&s->aside);
    if (s->slice != NULL && !s->is_reading) {
        slice_free(s->slice);
        s->slice = NULL;
    }
}
