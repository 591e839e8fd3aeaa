/* At the end: what was promised against what is stored and what the bank got. */
#include <inttypes.h>
#include <string.h>

#include "proto/base/mem.h"
#include "shard/engine/engine.h"
#include "shard/state/state.h"
#include "tests/sim/sim.h"

struct settling {
    struct sim *sim;
    struct sim_host *host;
    unsigned shard;
    struct rows rows;
    struct arena arena;
};

static const struct delivery *delivery_of_file(struct settling *st, uint64_t number, enum file_state *state)
{
    struct file_row f;
    char name[FILE_NAME_SIZE_MAX + 1];

    if (state_file(&st->rows, number, &st->arena, &f) != SG_OK) {
        sim_fail(st->sim, "I-6", "shard %u: a transfer is in file %" PRIu64 ", which is not there", st->shard,
                 number);
    }
    *state = f.state;
    return bank_delivery(st->sim, span_cstr(f.seal.name, name, sizeof name));
}

/* In a sealed file: at the bank exactly once, unless an operator or the bank
 * itself says otherwise. */
static void sealed_settle(struct settling *st, const struct promise *p, const struct transfer_row *row)
{
    enum file_state state = 0;
    const struct delivery *d = delivery_of_file(st, row->file, &state);
    bool broke = bank_broke_its_word(st->sim, bank_of_shard(st->sim, st->shard));

    if (state != FILE_UPLOADED) {
        sim_fail(st->sim, "L-1", "transfer %s is in file %" PRIu64 ", which is %s at the end", p->id,
                 row->file, file_state_name(state));
    }
    if (p->files != 1 && !broke && !(d != NULL && d->lost)) {
        sim_fail(st->sim, "I-6", "transfer %s is uploaded, and %u files at the bank have it", p->id,
                 p->files);
    }
}

static void row_settle(struct settling *st, const struct promise *p, const struct transfer_row *row)
{
    struct bytes encoded = BYTES_NONE;
    bool broke = bank_broke_its_word(st->sim, bank_of_shard(st->sim, st->shard));

    transfer_encode(&p->transfer, &encoded);
    if (!span_eq(row->encoded, span_bytes(&encoded))) {
        sim_fail(st->sim, "I-5", "transfer %s is stored with other content", p->id);
    }
    bytes_release(&encoded);
    if (p->said == SAID_ACCEPTED && row->index != p->index) {
        sim_fail(st->sim, "I-5", "transfer %s was accepted at %" PRIu64 " and is stored at %" PRIu64, p->id,
                 p->index, row->index);
    }
    if (p->cancel == CANCEL_DONE && row->state != TRANSFER_CANCELLED) {
        sim_fail(st->sim, "I-5", "transfer %s was cancelled and is %s", p->id,
                 transfer_state_name(row->state));
    }
    if (row->state == TRANSFER_SEALED) {
        sealed_settle(st, p, row);
    } else if (p->files > 0 && !broke) {
        sim_fail(st->sim, "I-6", "transfer %s is %s, and the bank has it", p->id,
                 transfer_state_name(row->state));
    }
    if (row->state == TRANSFER_PENDING && !p->may_wait) {
        sim_fail(st->sim, "L-1", "transfer %s is still pending", p->id);
    }
}

static void promise_settle(struct settling *st, const struct promise *p)
{
    struct transfer_row row;
    enum sg_err err = state_transfer_by_id(&st->rows, span_str(p->id), &st->arena, &row);

    if (p->bad || p->said != SAID_ACCEPTED) {
        if (err == SG_OK && p->bad) {
            sim_fail(st->sim, "I-5", "transfer %s breaks the rules and is stored", p->id);
        }
        if (p->said == SAID_NOTHING) {
            sim_fail(st->sim, "L-1", "transfer %s got no answer in all the calm", p->id);
        }
        return;
    }
    if (err != SG_OK) {
        sim_fail(st->sim, "I-5", "transfer %s was accepted at %" PRIu64 " and is lost", p->id, p->index);
    }
    row_settle(st, p, &row);
}

/* Nothing is stored that nobody asked for. */
static void strangers_settle(struct settling *st)
{
    struct transfer_row *rows;
    size_t count = 0;
    if (state_transfers(&st->rows, 0, 0, 1000000, &st->arena, &rows, &count) != SG_OK) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        struct transfer t;
        if (transfer_decode(rows[i].encoded, &st->arena, &t) != SG_OK ||
            people_promise(st->sim, st->shard, t.id) == NULL) {
            sim_fail(st->sim, "I-9", "transfer %" PRIu64 " of shard %u was never submitted", rows[i].seq,
                     st->shard);
        }
    }
}

static void shard_settle(struct sim *s, struct sim_host *h, unsigned shard)
{
    struct settling st = {.sim = s, .host = h, .shard = shard, .arena = ARENA_INIT};
    struct kv_txn *txn;

    if (kv_begin(host_kv(h, sim_shard_aba(shard).n), false, &txn) != SG_OK) {
        return;
    }
    rows_init(&st.rows, host_kv(h, sim_shard_aba(shard).n), txn, sim_shard_aba(shard).n);
    for (size_t i = 0; i < s->people.count[shard]; i++) {
        promise_settle(&st, s->people.of[shard][i]);
        arena_reset(&st.arena);
    }
    strangers_settle(&st);
    cutoffs_settle(s, shard, &st.rows);
    rows_release(&st.rows);
    kv_abort(host_kv(h, sim_shard_aba(shard).n), txn);
    arena_release(&st.arena);
}

/* Over all rows of the shard's state, the engine's own excepted. */
static struct digest rows_digest(struct sim_host *h, unsigned shard)
{
    struct digester d;
    struct rows rows;
    struct kv_cursor c;
    struct kv_txn *txn;

    digester_init(&d);
    if (kv_begin(host_kv(h, sim_shard_aba(shard).n), false, &txn) != SG_OK) {
        sim_fail(h->sim, "I-14", "the rows of %s cannot be read", h->name);
    }
    rows_init(&rows, host_kv(h, sim_shard_aba(shard).n), txn, sim_shard_aba(shard).n);
    rows_cursor(&rows, &c, SPAN_NONE);
    while (kv_next(&c) == SG_OK) {
        if (rows_key(&c).p[0] != 0) {
            digester_add(&d, rows_key(&c));
            digester_add(&d, c.value);
        }
    }
    kv_cursor_release(&c);
    rows_release(&rows);
    kv_abort(host_kv(h, sim_shard_aba(shard).n), txn);
    return digester_end(&d);
}

/* A digest tells what was applied; rows may still differ, after a snapshot.
 * false: one of them has applied more, and there is nothing to compare. */
static bool replicas_compare(struct sim_host *a, struct sim_host *b, unsigned shard,
                             const struct digest *rows_a)
{
    const struct group *of_a = check_group(a, shard + 1);
    const struct group *of_b = check_group(b, shard + 1);
    struct digest rows_b;

    if (of_a->applied != of_b->applied) {
        return false;
    }
    if (memcmp(&of_a->digest, &of_b->digest, sizeof of_a->digest) != 0) {
        sim_fail(a->sim, "I-3", "%s and %s have different digests of shard %u at the end", a->name, b->name,
                 shard);
    }
    rows_b = rows_digest(b, shard);
    if (memcmp(rows_a, &rows_b, sizeof rows_b) != 0) {
        sim_fail(a->sim, "I-3", "%s and %s have equal digests and different rows of shard %u", a->name,
                 b->name, shard);
    }
    return true;
}

/* All replicas are level, so one of each shard tells. */
void settle(struct sim *s)
{
    for (unsigned shard = 0; shard < s->plan.shards; shard++) {
        struct sim_host *first = NULL;
        struct digest rows;
        for (unsigned i = 0; i < s->plan.nodes; i++) {
            struct sim_host *h = &s->hosts[i];
            struct group *g = check_group(h, shard + 1);
            if (g == NULL || !check_holds(s, h, shard + 1) || check_is_excused(h, shard + 1) ||
                h->rotted > 0) {
                continue;
            }
            if (first == NULL) {
                first = h;
                rows = rows_digest(h, shard);
                shard_settle(s, h, shard);
                rows_check(h, shard);
            } else if (!replicas_compare(first, h, shard, &rows)) {
                rows_check(h, shard);
            }
        }
    }
}
