#include "shard/engine/load.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/base/mem.h"
#include "shard/engine/guards.h"

struct loader {
    struct group *g;
    struct stored *s;
    struct kv_txn *txn;
    char *why;
    size_t why_size;
};

static enum sg_err corrupt(struct loader *l, const char *what, uint64_t index)
{
    (void)snprintf(l->why, l->why_size, "%s (index %" PRIu64 ")", what, index);
    return SG_CORRUPT;
}

static enum sg_err load_mark(struct loader *l)
{
    struct stored *s = l->s;
    enum sg_err err = log_mark_get(l->g->o.kv, l->txn, l->g->o.id, &s->mark);
    if (err == SG_NOTFOUND) {
        s->mark = (struct log_mark){0};
        return SG_OK;
    }
    if (err != SG_OK) {
        return err;
    }
    bytes_set(&s->mark_conf, s->mark.conf);
    s->mark.conf = span_bytes(&s->mark_conf);
    s->joins = s->mark.index == 0 && s->mark.term == 0 && s->mark.conf_index == 0 && s->mark.conf.n == 0;
    if (s->joins) {
        return SG_OK;
    }
    if (s->mark.index == 0 || s->mark.term == 0 || s->mark.conf_index == 0 ||
        s->mark.conf_index > s->mark.index || s->mark.term > s->hard_state.term ||
        !guard_g11_configuration(s->mark.conf)) {
        return corrupt(l, "the snapshot mark makes no sense", s->mark.index);
    }
    return SG_OK;
}

static enum sg_err load_bounds(struct loader *l)
{
    struct stored *s = l->s;
    enum sg_err err = log_bounds(l->g->o.kv, l->txn, l->g->o.id, &s->bounds);
    if (err != SG_OK) {
        return err;
    }
    if (s->bounds.first > s->bounds.last) {
        if (s->mark.index == 0 && !s->joins) {
            return corrupt(l, "the log is empty", 0);
        }
        s->bounds = (struct log_bounds){s->mark.index + 1, s->mark.index};
        return SG_OK;
    }
    if (s->bounds.first > s->mark.index + 1 || s->bounds.last < s->mark.index) {
        return corrupt(l, "the log does not meet the snapshot mark", s->bounds.first);
    }
    return SG_OK;
}

/* The applied row can't be read, so nothing that it vouches for can. All that is
 * known is that the rows were applied up to the snapshot mark at least. */
static void distrust(struct loader *l, const char *why)
{
    l->s->applied = l->s->mark.index;
    l->s->distrust = mem_strdup(why);
}

/* Before the first entry is applied there is no applied row, nor any other. */
static enum sg_err judge_missing(struct loader *l, struct rows *rows)
{
    struct kv_cursor c;
    rows_cursor(rows, &c, SPAN_NONE);
    enum sg_err err = kv_next(&c);
    kv_cursor_release(&c);
    if (err != SG_OK && err != SG_NOTFOUND && err != SG_CORRUPT) {
        return err;
    }
    if (err != SG_NOTFOUND || l->s->bounds.first != 1 || l->s->mark.index != 0) {
        distrust(l, "the applied row is missing");
    }
    return SG_NOTFOUND;
}

static enum sg_err load_applied(struct loader *l)
{
    struct stored *s = l->s;
    struct applied_row row;
    struct rows rows;
    struct span why;
    enum sg_err err = log_distrust_get(l->g->o.kv, l->txn, l->g->o.id, &s->applied, &why);
    if (err == SG_OK) {
        char text[256];
        s->distrust = mem_strdup(span_cstr(why, text, sizeof(text)));
        return s->applied < s->mark.index || s->applied > s->bounds.last
                   ? corrupt(l, "the applied index is outside the log", s->applied)
                   : SG_OK;
    }
    if (err != SG_NOTFOUND) {
        return err;
    }
    rows_init(&rows, l->g->o.kv, l->txn, l->g->o.id);
    err = applied_row_get(&rows, &row);
    if (err == SG_NOTFOUND) {
        err = judge_missing(l, &rows);
    } else if (err == SG_CORRUPT) {
        distrust(l, kv_damage());
        err = SG_NOTFOUND;
    }
    rows_release(&rows);
    if (err == SG_NOTFOUND) {
        return SG_OK;
    }
    if (err != SG_OK) {
        return err;
    }
    if (row.index < s->mark.index || row.index > s->bounds.last) {
        return corrupt(l, "the applied index is outside the log", row.index);
    }
    s->applied = row.index;
    s->digest = row.digest;
    s->set = row.set;
    s->has_set = row.has_set;
    return SG_OK;
}

static enum sg_err check_entry(struct loader *l, const struct log_entry *e, uint64_t last_term)
{
    struct stored *s = l->s;
    if (e->term == 0 || e->term < last_term || e->term > s->hard_state.term) {
        return corrupt(l, "an entry's term makes no sense", e->index);
    }
    if (e->type != RAFT_COMMAND && e->type != RAFT_BARRIER && e->type != RAFT_CHANGE) {
        return corrupt(l, "an entry's type is unknown", e->index);
    }
    if (e->type == RAFT_CHANGE && !guard_g11_configuration(e->data)) {
        return corrupt(l, "a configuration cannot be read", e->index);
    }
    if (e->index == 1 && e->type != RAFT_CHANGE) {
        return corrupt(l, "the first entry is no configuration", e->index);
    }
    if (e->index == s->mark.index && e->term != s->mark.term) {
        return corrupt(l, "the snapshot mark contradicts the log", e->index);
    }
    if (e->type == RAFT_CHANGE && e->index > s->mark.conf_index && e->index <= s->mark.index) {
        return corrupt(l, "the snapshot mark misses a configuration", e->index);
    }
    return SG_OK;
}

static enum sg_err load_entry(struct loader *l, uint64_t index, struct raft_entry *out, uint64_t last_term)
{
    struct group *g = l->g;
    struct log_entry e;
    enum sg_err err = log_get(g->o.kv, l->txn, g->o.id, index, &e);
    if (err == SG_NOTFOUND) {
        return corrupt(l, "an entry is missing", index);
    }
    if (err != SG_OK) {
        return err;
    }
    err = check_entry(l, &e, last_term);
    if (err != SG_OK) {
        return err;
    }
    *out = (struct raft_entry){.term = e.term, .type = (enum raft_entry_type)e.type};
    if (index > l->s->mark.index) {
        g->log_bytes += e.data.n;
    }
    if (e.type == RAFT_CHANGE && index > l->s->mark.index) {
        conf_note(g, index, e.data);
        struct bytes *copy = &g->changes[g->changes_count - 1].data;
        out->buf = (struct raft_buffer){.base = copy->p, .len = copy->n};
    }
    return SG_OK;
}

static enum sg_err load_entries(struct loader *l)
{
    struct stored *s = l->s;
    uint64_t term = 0;
    size_t count = (size_t)(s->bounds.last + 1 - s->bounds.first);
    if (count > UINT32_MAX) {
        return corrupt(l, "the log is too long", s->bounds.last);
    }
    s->entries = raft_malloc((count + 1) * sizeof(*s->entries));
    CHECK(s->entries != NULL);
    for (; s->entries_count < count; s->entries_count++) {
        struct raft_entry *e = &s->entries[s->entries_count];
        enum sg_err err = load_entry(l, s->bounds.first + s->entries_count, e, term);
        if (err != SG_OK) {
            return err;
        }
        term = e->term;
    }
    return SG_OK;
}

static enum sg_err load_all(struct loader *l)
{
    enum sg_err err = log_hard_state_get(l->g->o.kv, l->txn, l->g->o.id, &l->s->hard_state);
    if (err == SG_OK) {
        err = load_mark(l);
    }
    if (err == SG_OK && l->s->hard_state.term == 0 && !l->s->joins) {
        err = corrupt(l, "the term is zero", 0);
    }
    if (err == SG_OK) {
        err = load_bounds(l);
    }
    if (err == SG_OK) {
        err = load_applied(l);
    }
    return err == SG_OK ? load_entries(l) : err;
}

enum sg_err load_stored(struct group *g, struct stored *s, char *why, size_t why_size)
{
    struct loader l = {.g = g, .s = s, .why = why, .why_size = why_size};
    *s = (struct stored){0};
    (void)snprintf(why, why_size, "%s", "");
    enum sg_err err = kv_begin(g->o.kv, false, &l.txn);
    if (err == SG_OK) {
        err = load_all(&l);
        kv_abort(g->o.kv, l.txn);
    }
    if (err != SG_OK && why_size > 0 && why[0] == '\0') {
        (void)snprintf(why, why_size, "%s", err == SG_CORRUPT ? kv_damage() : sg_err_text(err));
    }
    return err;
}

void load_release(struct stored *s)
{
    raft_free(s->entries);
    mem_free(s->distrust);
    bytes_release(&s->mark_conf);
    *s = (struct stored){0};
}
