/* The invariants of a shard's stored state, looked at as a whole. */
#include <inttypes.h>
#include <string.h>

#include "proto/base/mem.h"
#include "shard/ach/parse.h"
#include "shard/ach/verify.h"
#include "shard/engine/engine.h"
#include "shard/state/state.h"
#include "tests/sim/sim.h"

#define ROWS_MAX 200000

/* What was sealed once, by shard and number: it never changes (I-6). */
struct sealed {
    struct sha256 sha256;
    char name[FILE_NAME_SIZE_MAX + 1];
    bool known;
    bool resolved; /* An operator was asked to decide. */
};

/* A window that was closed, by the entry that did it: none closes twice (I-15). */
struct closed {
    struct window_id id;
    uint64_t index;
    struct closed *next;
};

struct ledger {
    struct sealed *files[SIM_SHARDS_MAX]; /* By number. */
    uint64_t cap[SIM_SHARDS_MAX];
    struct closed *windows[SIM_SHARDS_MAX];
};

struct rows_read {
    struct sim_host *host;
    unsigned shard;
    struct kv_txn *txn;
    struct rows rows;
    struct arena arena;
};

static bool read_begin(struct rows_read *r, struct sim_host *h, unsigned shard)
{
    *r = (struct rows_read){.host = h, .shard = shard, .arena = ARENA_INIT};
    if (kv_begin(host_kv(h, sim_shard_aba(shard).n), false, &r->txn) != SG_OK) {
        return false;
    }
    rows_init(&r->rows, host_kv(h, sim_shard_aba(shard).n), r->txn, sim_shard_aba(shard).n);
    return true;
}

static void read_end(struct rows_read *r)
{
    rows_release(&r->rows);
    kv_abort(r->rows.kv, r->txn);
    arena_release(&r->arena);
}

static struct ledger *ledger_of(struct sim *s)
{
    if (s->ledger == NULL) {
        s->ledger = mem_zalloc(1, sizeof *s->ledger);
    }
    return s->ledger;
}

static struct sealed *sealed_of(struct sim *s, unsigned shard, uint64_t file)
{
    struct ledger *l = ledger_of(s);
    while (l->cap[shard] <= file) {
        uint64_t cap = l->cap[shard] == 0 ? 64 : 2 * l->cap[shard];
        l->files[shard] = mem_realloc(l->files[shard], cap * sizeof(struct sealed));
        memset(l->files[shard] + l->cap[shard], 0, (cap - l->cap[shard]) * sizeof(struct sealed));
        l->cap[shard] = cap;
    }
    return &l->files[shard][file];
}

/* --- Files ------------------------------------------------------------------------------- */

static void sealed_check(struct rows_read *r, const struct file_row *f)
{
    struct sealed *was = sealed_of(r->host->sim, r->shard, f->seal.file);
    if (!was->known) {
        was->known = true;
        was->sha256 = f->seal.sha256;
        (void)span_cstr(f->seal.name, was->name, sizeof was->name);
    } else if (memcmp(&was->sha256, &f->seal.sha256, sizeof was->sha256) != 0 ||
               !span_is(f->seal.name, was->name)) {
        sim_fail(r->host->sim, "I-6",
                 "%s has another file %" PRIu64 " of shard %u than was sealed first (%s)", r->host->name,
                 f->seal.file, r->shard, was->name);
    }
}

/* A reason that the protocol knows (steps 5 and 10), and the evidence for it. */
static void hold_check(struct rows_read *r, const struct file_row *f, const char *name)
{
    struct sim *s = r->host->sim;
    unsigned bank = bank_of_shard(s, r->shard);
    char reason[REASON_SIZE_MAX + 1];
    char witness[BANK_NAME_SIZE];
    char aba[ABA_TEXT_SIZE];
    struct window_row w;
    bool right;

    (void)span_cstr(f->reason, reason, sizeof reason);
    (void)snprintf(witness, sizeof witness, "sim-%s-%" PRIu64 ".wit", aba_text(sim_shard_aba(r->shard), aba),
                   f->staged_attempt);
    if (strncmp(reason, "staging lost", 12) == 0) {
        right = bank_fact(s, bank, BANK_LOST, witness);
    } else if (strncmp(reason, "another file", 12) == 0) {
        right = bank_fact(s, bank, BANK_STRANGER, name);
    } else {
        right = state_window(&r->rows, &f->seal.window, &w) == SG_OK && w.hold;
    }
    if (!right) {
        sim_fail(s, "I-12", "%s holds %s without need: %s", r->host->name, name, reason);
    }
}

/* UPLOADED needs the bank to have got it, ABANDONED that it has not. */
static void end_check(struct rows_read *r, const struct file_row *f)
{
    struct sim *s = r->host->sim;
    struct sealed *was = sealed_of(s, r->shard, f->seal.file);
    const struct delivery *d = bank_delivery(s, was->name);
    bool broke = bank_broke_its_word(s, bank_of_shard(s, r->shard));

    if (f->state == FILE_UPLOADED && !was->resolved && (d == NULL || d->published == 0) && !broke) {
        sim_fail(s, "I-7", "%s says that %s is uploaded, and the bank never had it", r->host->name,
                 was->name);
    }
    if (f->state == FILE_ABANDONED && d != NULL && d->published > 0 && !broke) {
        sim_fail(s, "I-7", "%s says that %s is abandoned, and the bank has had it", r->host->name, was->name);
    }
    if (f->state == FILE_HOLD) {
        hold_check(r, f, was->name);
    }
}

/* Each transfer in one file at most, and each file's members say so. */
static void members_check(struct rows_read *r, const struct file_row *f, uint8_t *used, uint64_t seqs)
{
    struct sim *s = r->host->sim;
    uint64_t *members;
    size_t count;
    struct transfer_row row;

    if (state_file_members(&r->rows, f->seal.file, &r->arena, &members, &count) != SG_OK) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        if (members[i] == 0 || members[i] >= seqs || used[members[i]] != 0) {
            sim_fail(s, "I-6", "%s has transfer %" PRIu64 " of shard %u in two sealed files", r->host->name,
                     members[i], r->shard);
        }
        used[members[i]] = 1;
        if (state_transfer_by_seq(&r->rows, members[i], &r->arena, &row) == SG_OK &&
            row.file != f->seal.file) {
            sim_fail(s, "I-6", "%s: transfer %" PRIu64 " is in file %" PRIu64 " and says %" PRIu64,
                     r->host->name, members[i], f->seal.file, row.file);
        }
    }
}

static void files_check(struct rows_read *r, uint64_t seqs)
{
    struct file_row *files;
    size_t count;
    uint8_t *used = mem_zalloc(seqs + 1, 1);

    if (state_files(&r->rows, ROWS_MAX, &r->arena, &files, &count) == SG_OK) {
        for (size_t i = 0; i < count; i++) {
            sealed_check(r, &files[i]);
            end_check(r, &files[i]);
            members_check(r, &files[i], used, seqs);
        }
    }
    mem_free(used);
}

/* --- Cents in, cents out (I-9) ----------------------------------------------------------------- */

struct sums {
    uint64_t count;
    int64_t debit, credit;
};

static void sum_add(struct sums *sum, const struct transfer *t)
{
    sum->count++;
    *(t->side == SIDE_DEBIT ? &sum->debit : &sum->credit) += t->amount.n;
}

static void sum_check(struct rows_read *r, const char *what, const struct sums *sum, uint64_t count,
                      struct cents debit, struct cents credit)
{
    if (sum->count != count || sum->debit != debit.n || sum->credit != credit.n) {
        sim_fail(r->host->sim, "I-9",
                 "%s, shard %u: %" PRIu64 " transfers are %s, of %" PRId64 " and %" PRId64
                 " cents; counted are %" PRIu64 ", %" PRId64 " and %" PRId64,
                 r->host->name, r->shard, sum->count, what, sum->debit, sum->credit, count, debit.n,
                 credit.n);
    }
}

static void sums_check(struct rows_read *r, const struct counters_row *c)
{
    struct sums sums[TRANSFER_STATES] = {{0, 0, 0}};
    struct transfer_row *rows;
    size_t count;
    uint64_t after = 0;
    enum sg_err err = SG_OK;

    do {
        struct arena a = ARENA_INIT;
        err = state_transfers(&r->rows, after, 0, 500, &a, &rows, &count);
        for (size_t i = 0; err == SG_OK && i < count; i++) {
            struct transfer t;
            if (transfer_decode(rows[i].encoded, &a, &t) != SG_OK) {
                sim_fail(r->host->sim, "I-9", "%s: transfer %" PRIu64 " cannot be read", r->host->name,
                         rows[i].seq);
            }
            sum_add(&sums[rows[i].state], &t);
            after = rows[i].seq;
        }
        arena_release(&a);
    } while (err == SG_OK && count > 0);
    if (err != SG_OK) {
        return; /* Damaged: that it is noticed is checked elsewhere. */
    }
    sum_check(r, "pending", &sums[TRANSFER_PENDING], c->pending_count, c->pending_debit, c->pending_credit);
    sum_check(r, "in files", &sums[TRANSFER_SEALED], c->sealed_count, c->sealed_debit, c->sealed_credit);
    sum_check(r, "cancelled", &sums[TRANSFER_CANCELLED], c->cancelled_count, c->cancelled_debit,
              c->cancelled_credit);
}

static void window_check(struct rows_read *r, const struct window_row *w)
{
    struct closed **at = &ledger_of(r->host->sim)->windows[r->shard];
    while (*at != NULL && ((*at)->id.day.n != w->id.day.n || strcmp((*at)->id.name, w->id.name) != 0)) {
        at = &(*at)->next;
    }
    if (*at == NULL) {
        *at = mem_zalloc(1, sizeof **at);
        (*at)->id = w->id;
        (*at)->index = w->index;
    } else if ((*at)->index != w->index) {
        sim_fail(r->host->sim, "I-15",
                 "%s has window %s of shard %u closed by entry %" PRIu64 ", and it was %" PRIu64,
                 r->host->name, w->id.name, r->shard, w->index, (*at)->index);
    }
}

static void windows_check(struct rows_read *r)
{
    struct window_row *windows;
    size_t count;
    if (state_windows(&r->rows, ROWS_MAX, &r->arena, &windows, &count) != SG_OK) {
        return;
    }
    for (size_t i = 0; i < count; i++) {
        window_check(r, &windows[i]);
    }
}

void rows_check(struct sim_host *h, unsigned shard)
{
    struct rows_read r;
    struct counters_row c;

    if (!h->up || check_group(h, shard + 1) == NULL || check_is_excused(h, shard + 1) || h->rotted > 0 ||
        !read_begin(&r, h, shard)) {
        return;
    }
    if (state_counters(&r.rows, &c) == SG_OK) {
        files_check(&r, c.next_seq);
        sums_check(&r, &c);
        windows_check(&r);
    }
    read_end(&r);
}

/* --- What the bank took ------------------------------------------------------------------------------ */

/* A replica's row of the file with this name. */
static bool sealed_by_name(struct sim *s, const char *name, struct sha256 *out)
{
    bool found = false;
    for (unsigned i = 0; !found && i < s->plan.nodes; i++) {
        for (unsigned shard = 0; !found && s->hosts[i].up && shard < s->plan.shards; shard++) {
            struct rows_read r;
            struct file_row f;
            if (!read_begin(&r, &s->hosts[i], shard)) {
                continue;
            }
            found = state_file_by_name(&r.rows, span_str(name), &r.arena, &f) == SG_OK;
            if (found) {
                *out = f.seal.sha256;
            }
            read_end(&r);
        }
    }
    return found;
}

static void entry_check(struct sim *s, const struct delivery *d, const struct ach_parsed_entry *e)
{
    struct promise *p = people_promise_of_individual(s, e->individual_id);
    char text[32];

    if (p == NULL) {
        sim_fail(s, "I-9", "%s pays somebody nobody asked for: %s", d->name,
                 span_cstr(e->individual_id, text, sizeof text));
    }
    if (p->bad || p->transfer.amount.n != e->amount.n) {
        sim_fail(s, "I-9", "%s pays %" PRId64 " cents for transfer %s of %" PRId64 " cents", d->name,
                 e->amount.n, p->id, p->transfer.amount.n);
    }
    if (d->taken == 1 && ++p->files > 1) {
        sim_fail(s, "I-6", "transfer %s is in two files at the bank, the second is %s", p->id, d->name);
    }
}

void check_delivery(struct sim *s, const struct delivery *d)
{
    struct arena a = ARENA_INIT;
    struct ach_parsed file;
    struct ach_totals totals;
    struct sha256 sealed;
    struct sha256 got = sha256_of(span_bytes(&d->data));
    char why[256] = "";

    if ((d->published > 1 || d->taken > 1) && !d->excused) {
        sim_fail(s, "I-7", "the bank gets %s for the second time", d->name);
    }
    if (ach_verify(span_bytes(&d->data), false, &totals, why, sizeof why) != SG_OK ||
        ach_parse(span_bytes(&d->data), &a, &file, why, sizeof why) != SG_OK) {
        sim_fail(s, "I-7", "the bank gets half a file or none: %s of %zu bytes: %s", d->name, d->data.n, why);
    }
    if (sealed_by_name(s, d->name, &sealed) && memcmp(&sealed, &got, sizeof got) != 0) {
        sim_fail(s, "I-6", "the bank gets other bytes than were sealed: %s", d->name);
    }
    for (size_t b = 0; b < file.batches_count; b++) {
        for (size_t i = 0; i < file.batches[b].entries_count; i++) {
            entry_check(s, d, &file.batches[b].entries[i]);
        }
    }
    s->stats.uploads++;
    arena_release(&a);
}

/* --- Everything due has gone out ------------------------------------------------------------------------ */

/* The replica that is furthest; all of them are the same once level. */
static struct sim_host *reference(struct sim *s, unsigned shard)
{
    struct sim_host *best = NULL;
    uint64_t applied = 0;
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        struct group *g = check_group(&s->hosts[i], shard + 1);
        if (g != NULL && !check_is_excused(&s->hosts[i], shard + 1) && g->applied >= applied &&
            s->hosts[i].rotted == 0) {
            best = &s->hosts[i];
            applied = g->applied;
        }
    }
    return best;
}

/* As the bank tells on the telephone. */
static void resolve(struct rows_read *r, const struct file_row *f)
{
    struct sim *s = r->host->sim;
    const struct delivery *d = bank_delivery(s, sealed_of(s, r->shard, f->seal.file)->name);
    people_resolve(s, r->shard, f->seal.file, d != NULL && d->taken > 0);
}

bool rows_open_name(struct sim *s, unsigned shard, char name[BANK_NAME_SIZE])
{
    struct sim_host *h = reference(s, shard);
    struct rows_read r;
    struct file_row *files;
    size_t count = 0;
    bool found;

    if (h == NULL || !read_begin(&r, h, shard)) {
        return false;
    }
    found = state_files_open_work(&r.rows, &r.arena, &files, &count) == SG_OK && count > 0 &&
            files[count - 1].state != FILE_UPLOADED && files[count - 1].state != FILE_ABANDONED;
    if (found) {
        (void)span_cstr(files[count - 1].seal.name, name, BANK_NAME_SIZE);
    }
    read_end(&r);
    return found;
}

static bool file_is_out(struct rows_read *r, const struct file_row *f)
{
    struct sealed *was = sealed_of(r->host->sim, r->shard, f->seal.file);
    if (f->state == FILE_HOLD && !was->resolved) {
        was->resolved = true;
        r->host->sim->stats.holds++;
        resolve(r, f);
    }
    return f->state == FILE_UPLOADED || f->state == FILE_ABANDONED;
}

static bool shard_out(struct rows_read *r, char *why, size_t why_size)
{
    struct file_row *files;
    struct window_row *windows;
    struct transfer_row *rows;
    size_t count;
    bool out = true;

    if (state_files(&r->rows, ROWS_MAX, &r->arena, &files, &count) != SG_OK) {
        return true; /* No state at all: nothing was ever submitted. */
    }
    for (size_t i = 0; i < count; i++) {
        if (!file_is_out(r, &files[i])) {
            (void)snprintf(why, why_size, "file %" PRIu64 " of shard %u is %s", files[i].seal.file, r->shard,
                           file_state_name(files[i].state));
            out = false;
        }
    }
    if (out && state_windows_open_work(&r->rows, &r->arena, &windows, &count) == SG_OK && count > 0) {
        (void)snprintf(why, why_size, "window %s of shard %u is closed and not sealed", windows[0].id.name,
                       r->shard);
        return false;
    }
    if (out && state_transfers(&r->rows, 0, TRANSFER_PENDING, ROWS_MAX, &r->arena, &rows, &count) == SG_OK) {
        for (size_t i = 0; out && i < count; i++) {
            struct transfer t;
            struct promise *p = transfer_decode(rows[i].encoded, &r->arena, &t) == SG_OK
                                    ? people_promise(r->host->sim, r->shard, t.id)
                                    : NULL;
            out = p != NULL && p->may_wait;
            if (!out) {
                (void)snprintf(why, why_size, "transfer %" PRIu64 " of shard %u is pending", rows[i].seq,
                               r->shard);
            }
        }
    }
    return out;
}

bool rows_all_out(struct sim *s, char *why, size_t why_size)
{
    bool out = true;
    for (unsigned shard = 0; shard < s->plan.shards; shard++) {
        struct sim_host *h = reference(s, shard);
        struct rows_read r;
        if (h == NULL || !read_begin(&r, h, shard)) {
            (void)snprintf(why, why_size, "nobody has shard %u", shard);
            return false;
        }
        out = shard_out(&r, why, why_size) && out;
        read_end(&r);
    }
    return out;
}

/* A file on which something is to be done yet, as the shard's first replica tells; or none. */
static bool open_file(struct rows_read *r, struct sim *s, unsigned shard, struct file_row *out)
{
    struct sim_host *h = reference(s, shard);
    struct file_row *files;
    size_t count = 0;

    if (h == NULL || !h->up || !read_begin(r, h, shard)) {
        return false;
    }
    if (state_files_open_work(&r->rows, &r->arena, &files, &count) == SG_OK && count > 0) {
        *out = files[sim_below(s, count)];
        return true;
    }
    read_end(r);
    return false;
}

void rows_resolve_one(struct sim *s, unsigned shard)
{
    struct rows_read r;
    struct file_row f;
    if (open_file(&r, s, shard, &f)) {
        if (f.state == FILE_HOLD) {
            s->stats.holds++;
            resolve(&r, &f);
        }
        read_end(&r);
    }
}

uint64_t rows_open_file(struct sim *s, unsigned shard)
{
    struct rows_read r;
    struct file_row f;
    if (!open_file(&r, s, shard, &f)) {
        return 0;
    }
    read_end(&r);
    return f.seal.file;
}

bool rows_is_as_sealed(struct sim *s, unsigned shard, uint64_t file, struct span data)
{
    const struct sealed *was = sealed_of(s, shard, file);
    struct sha256 got = sha256_of(data);
    return !was->known || memcmp(&was->sha256, &got, sizeof got) == 0;
}

uint64_t rows_sealed_file(struct sim *s, unsigned shard)
{
    struct ledger *l = ledger_of(s);
    uint64_t count = 0;
    for (uint64_t i = 1; i < l->cap[shard]; i++) {
        count += l->files[shard][i].known;
    }
    uint64_t left = sim_below(s, count + 1);
    for (uint64_t i = 1; i < l->cap[shard]; i++) {
        if (l->files[shard][i].known && left-- == 0) {
            return i;
        }
    }
    return count + 1;
}
