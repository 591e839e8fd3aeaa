/* The state machine against a dumb model, under random commands.
 *
 * After every command, from the rows alone and from what was answered so far:
 *   I-5  an id keeps its first answer,
 *   I-6  a transfer is in at most one file, and a sealed file never changes,
 *   I-9  accepted = pending + in files + cancelled, per side, in count and
 *        cents; a file's and a window's sums are those of their members;
 *   at most one token of a file is live, and what is uploaded stays so.
 * A second store gets the same commands: its digest and rows must be equal. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/mem.h"
#include "tests/support/ach_sample.h"
#include "tests/support/state_rig.h"
#include "tests/support/test_random.h"

#define SEEDS 8
#define STEPS 400
#define IDS 120
#define FILES_MAX 200
#define WINDOWS_A_DAY 40

struct known_id {
    uint64_t index; /* First answer; 0: not accepted yet. */
    int64_t amount;
    enum side side;
};

struct known_file {
    struct sha256 sha256;
    struct digest members;
    enum file_state state;
};

struct world {
    struct state_rig a, b;
    struct test_random random;
    struct arena arena; /* Of one step. */
    struct known_id ids[IDS];
    struct known_file files[FILES_MAX];
    uint64_t files_count;
    struct window_id windows[WINDOWS_A_DAY];
    size_t windows_count;
    uint64_t version;
    struct bytes dump_a, dump_b;
    unsigned outcomes[OUTCOMES];
    unsigned done[COMMAND_KINDS]; /* Commands that were not refused. */
    unsigned taken_back;          /* Holds that ended with a staged copy to be taken back. */
};

static uint64_t below(struct world *w, uint64_t n)
{
    return test_random_below(&w->random, n);
}

/* --- Both stores ------------------------------------------------------------------ */

static struct command_result apply(struct world *w, struct command *c)
{
    struct command_result mine = state_rig_apply(&w->a, c);
    struct command_result other = state_rig_apply(&w->b, c);
    assert_int_equal(mine.err, other.err);
    assert_true(span_eq(mine.reason, other.reason));
    assert_memory_equal(&w->a.digest, &w->b.digest, DIGEST_SIZE);
    w->done[c->kind] += mine.err == SG_OK ? 1 : 0;
    return mine;
}

static void set_term(struct world *w, uint64_t term)
{
    w->a.term = term;
    w->b.term = term;
}

/* --- Random commands --------------------------------------------------------------- */

static struct transfer random_transfer(struct world *w, size_t id)
{
    struct transfer t = ach_sample_transfer(below(w, 4) == 0 ? 3 : below(w, 2));
    t.id = span_str(arena_printf(&w->arena, "id-%zu", id));
    t.amount.n = 1 + (int64_t)below(w, 3) * 1000;
    if (below(w, 8) == 0) {
        t.originator = span_str("southwind");
    }
    if (below(w, 10) == 0) {
        t.effective_date = day_of(2026, 12, 1);
    }
    if (below(w, 10) == 0) {
        t.amount.n = 0;
    }
    return t;
}

/* The same for ever, so that a repetition folds. */
static struct transfer fixed_transfer(struct world *w, size_t id)
{
    struct test_random keep = w->random;
    w->random.state = 1000 + id;
    struct transfer t = random_transfer(w, id);
    w->random = keep;
    return t;
}

static struct known_id *known_id(struct world *w, struct span id)
{
    const char *text = arena_cstr(&w->arena, id);
    assert_memory_equal(text, "id-", 3);
    size_t n = strtoul(text + 3, NULL, 10);
    assert_in_range(n, 0, IDS - 1);
    return &w->ids[n];
}

static void learn(struct world *w, const struct transfer *t, const struct submit_result *r, uint64_t index)
{
    struct known_id *known = known_id(w, t->id);
    w->outcomes[r->outcome]++;
    if (known->index == 0) {
        assert_int_not_equal(r->outcome, OUTCOME_FOLDED);
        if (r->outcome == OUTCOME_ACCEPTED) {
            assert_int_equal(r->index, index);
            *known = (struct known_id){.index = r->index, .amount = t->amount.n, .side = t->side};
        }
        return;
    }
    assert_int_not_equal(r->outcome, OUTCOME_ACCEPTED);
    if (r->outcome == OUTCOME_FOLDED) {
        assert_int_equal(r->index, known->index);
    }
}

static void step_submit(struct world *w)
{
    struct transfer transfers[6];
    size_t count = 1 + below(w, 6);
    for (size_t i = 0; i < count; i++) {
        size_t id = below(w, IDS);
        transfers[i] = below(w, 4) == 0 ? random_transfer(w, id) : fixed_transfer(w, id);
    }
    struct command c = {.kind = COMMAND_SUBMIT, .submit = {.transfers = transfers, .transfers_count = count}};
    struct command_result r = apply(w, &c);
    assert_int_equal(r.err, SG_OK);
    assert_int_equal(r.results_count, count);
    for (size_t i = 0; i < count; i++) {
        assert_true(span_eq(r.results[i].id, transfers[i].id));
        learn(w, &transfers[i], &r.results[i], w->a.index);
    }
}

static void step_cancel(struct world *w)
{
    size_t id = below(w, IDS);
    struct command c = {.kind = COMMAND_CANCEL,
                        .cancel = {.id = span_str(arena_printf(&w->arena, "id-%zu", id))}};
    enum sg_err err = apply(w, &c).err;
    assert_true((err == SG_NOTFOUND) == (w->ids[id].index == 0));
}

static void step_settings(struct world *w)
{
    struct settings *s = state_rig_sample_settings(++w->version);
    s->shard.originators_count = 1 + below(w, 2);
    s->shard.max_lines = (uint32_t)(10 + 10 * below(w, 3));
    state_rig_settings(&w->a, s, SG_OK);
    state_rig_settings(&w->b, s, SG_OK);
}

static void step_close(struct world *w)
{
    if (w->windows_count == WINDOWS_A_DAY) {
        return;
    }
    struct window_id *id = &w->windows[w->windows_count];
    id->day = (struct day){day_of(2026, 11, 23).n + (int32_t)below(w, 10)};
    (void)snprintf(id->name, sizeof(id->name), "W%zu", w->windows_count);
    struct command c = {.kind = COMMAND_CLOSE, .close = {.window = *id, .hold = below(w, 6) == 0}};
    assert_int_equal(apply(w, &c).err, SG_OK);
    assert_int_equal(apply(w, &c).err, SG_EXISTS);
    w->windows_count++;
}

static const struct window_id *some_window(struct world *w)
{
    return w->windows_count == 0 ? NULL : &w->windows[below(w, w->windows_count)];
}

static bool is_closed(struct world *w, const struct window_id *id)
{
    struct rows rows;
    struct window_row row;
    state_rig_read(&w->a, &rows);
    assert_int_equal(state_window(&rows, id, &row), SG_OK);
    state_rig_read_end(&rows);
    return row.state == WINDOW_CLOSED;
}

static void remember_file(struct world *w, const struct command_seal *seal)
{
    assert_int_equal(seal->file, w->files_count + 1);
    assert_true(w->files_count < FILES_MAX);
    w->files[w->files_count++] = (struct known_file){
        .sha256 = seal->sha256,
        .members = digest_of(span_of(seal->members, seal->members_count * sizeof(uint64_t))),
        .state = FILE_SEALED,
    };
}

static void step_seal(struct world *w)
{
    const struct window_id *id = some_window(w);
    struct command c;
    if (id == NULL || !state_rig_next_seal(&w->a, id, &w->arena, &c)) {
        return;
    }
    bool closed = is_closed(w, id);
    if (below(w, 4) == 0 && c.seal.members_count > 1) {
        c.seal.members[0] = c.seal.members[1]; /* A duplicate. */
        assert_int_equal(apply(w, &c).err, SG_CONFLICT);
        return;
    }
    enum sg_err err = apply(w, &c).err;
    assert_int_equal(err, closed ? SG_OK : SG_CONFLICT);
    if (err == SG_OK) {
        remember_file(w, &c.seal);
    }
}

static void step_done(struct world *w)
{
    const struct window_id *id = some_window(w);
    struct command c = {.kind = COMMAND_WINDOW_DONE};
    if (id == NULL) {
        return;
    }
    struct command next;
    bool left = is_closed(w, id) && state_rig_next_seal(&w->a, id, &w->arena, &next);
    c.window_done.window = *id;
    assert_int_equal(apply(w, &c).err, left ? SG_CONFLICT : SG_OK);
}

/* Of one window's name, or of all. */
static void step_release(struct world *w)
{
    const struct window_id *id = some_window(w);
    struct command c = {.kind = COMMAND_RELEASE};
    if (id != NULL && below(w, 2) == 0) {
        memcpy(c.release.window, id->name, sizeof c.release.window);
    }
    enum sg_err err = apply(w, &c).err;
    assert_true(err == SG_OK || err == SG_NOTFOUND);
    assert_int_equal(apply(w, &c).err, SG_NOTFOUND); /* Nothing is on hold any more. */
}

static const enum command_kind file_kinds[] = {
    COMMAND_CLAIM,       COMMAND_CLAIM,    COMMAND_CLAIM,    COMMAND_STAGED,    COMMAND_STAGED,
    COMMAND_STAGED,      COMMAND_UPLOADED, COMMAND_UPLOADED, COMMAND_ABANDONED, COMMAND_ABANDONED,
    COMMAND_ABANDONED,   COMMAND_HOLD,     COMMAND_HOLD,     COMMAND_HOLD,      COMMAND_VERIFIED,
    COMMAND_FILE_CANCEL, COMMAND_RESOLVE,  COMMAND_RESOLVE,  COMMAND_RESOLVE,   COMMAND_ALERT,
};

static bool is_final(enum file_state s)
{
    return s == FILE_UPLOADED || s == FILE_ABANDONED;
}

/* Mostly the first that has not ended, so that files get far. */
static uint64_t some_file(struct world *w)
{
    bool any = below(w, 4) == 0;
    for (uint64_t i = 0; !any && i < w->files_count; i++) {
        if (!is_final(w->files[i].state)) {
            return i + 1;
        }
    }
    return 1 + below(w, w->files_count);
}

static void step_file(struct world *w)
{
    struct rows rows;
    struct file_row file;
    if (w->files_count == 0) {
        return;
    }
    struct command c = {.kind = file_kinds[below(w, sizeof(file_kinds) / sizeof(file_kinds[0]))]};
    c.file.file = some_file(w);
    state_rig_read(&w->a, &rows);
    assert_int_equal(state_file(&rows, c.file.file, &w->arena, &file), SG_OK);
    state_rig_read_end(&rows);
    c.file.attempt = below(w, 4) == 0 ? below(w, w->a.index) : file.attempt;
    c.file.size_bytes = file.seal.size_bytes;
    c.file.sha256 = file.seal.sha256;
    c.file.as_uploaded = below(w, 2) == 0;
    c.file.resolving = below(w, 2) == 0;
    c.file.reason = span_str("because");
    bool had_token = file.state == FILE_STAGED;
    enum sg_err err = apply(w, &c).err;
    if (err == SG_OK && c.kind == COMMAND_STAGED && !had_token) {
        assert_int_equal(file.claim_term, w->a.term);
        assert_int_equal(c.file.attempt, file.attempt);
    }
    if (err == SG_OK && c.kind == COMMAND_CLAIM) {
        assert_false(had_token);
    }
}

static void step(struct world *w)
{
    uint64_t dice = below(w, 100);
    arena_reset(&w->arena);
    if (dice < 25) {
        step_submit(w);
    } else if (dice < 30) {
        step_cancel(w);
    } else if (dice < 32) {
        step_settings(w);
    } else if (dice < 38) {
        step_close(w);
    } else if (dice < 52) {
        step_seal(w);
    } else if (dice < 60) {
        step_done(w);
    } else if (dice < 63) {
        set_term(w, w->a.term + 1);
    } else if (dice < 64) {
        step_release(w);
    } else {
        step_file(w);
    }
}

/* --- The invariants, counted anew ---------------------------------------------------- */

struct sum {
    uint64_t count;
    int64_t debit, credit;
};

static void sum_add(struct sum *s, enum side side, int64_t amount)
{
    s->count++;
    *(side == SIDE_DEBIT ? &s->debit : &s->credit) += amount;
}

static void check_sum(const struct sum *s, uint64_t count, struct cents debit, struct cents credit)
{
    assert_int_equal(s->count, count);
    assert_int_equal(s->debit, debit.n);
    assert_int_equal(s->credit, credit.n);
}

struct census {
    struct sum all, by_state[TRANSFER_STATES];
    struct sum by_file[FILES_MAX + 1];
};

static void check_transfer(struct world *w, const struct transfer_row *row, struct census *census)
{
    struct transfer t;
    assert_int_equal(transfer_decode(row->encoded, &w->arena, &t), SG_OK);
    const struct known_id *known = known_id(w, t.id);
    assert_int_equal(known->index, row->index);
    assert_int_equal(known->amount, t.amount.n);
    assert_int_equal(known->side, t.side);
    sum_add(&census->all, t.side, t.amount.n);
    sum_add(&census->by_state[row->state], t.side, t.amount.n);
    sum_add(&census->by_file[row->file], t.side, t.amount.n);
    assert_true((row->file != 0) == (row->trace != 0));
    assert_true(row->state != TRANSFER_PENDING || row->file == 0);
    assert_true(row->state != TRANSFER_SEALED || row->file != 0);
    assert_true((row->state == TRANSFER_CANCELLED) == (row->cancelled_index != 0));
}

static void check_file(struct world *w, struct rows *rows, const struct file_row *f, uint8_t *in_file,
                       const struct census *census)
{
    struct known_file *known = &w->files[f->seal.file - 1];
    uint64_t *members = NULL;
    size_t count = 0;
    struct attempt_row *attempts = NULL;
    size_t attempts_count = 0;
    size_t live = 0;
    assert_int_equal(state_file_members(rows, f->seal.file, &w->arena, &members, &count), SG_OK);
    struct digest digest = digest_of(span_of(members, count * sizeof(uint64_t)));
    assert_memory_equal(&known->sha256, &f->seal.sha256, SHA256_SIZE);
    assert_memory_equal(&known->members, &digest, DIGEST_SIZE);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(in_file[members[i]]++, 0);
    }
    check_sum(&census->by_file[f->seal.file], count, f->seal.totals.debit, f->seal.totals.credit);
    assert_int_equal(state_attempts_all(rows, f->seal.file, &w->arena, &attempts, &attempts_count), SG_OK);
    for (size_t i = 0; i < attempts_count; i++) {
        live += attempts[i].staged && !attempts[i].abandoned ? 1 : 0;
    }
    assert_in_range(live, 0, 1);
    assert_int_equal(attempts_count, f->attempts_count);
    if (is_final(known->state)) {
        assert_int_equal(f->state, known->state);
    }
    /* No word ends a file whose staged copy may still be moved. */
    if (known->state == FILE_HOLD && live == 1) {
        w->taken_back += f->state == FILE_STAGED;
        assert_true(f->state == FILE_HOLD || (f->state == FILE_STAGED && f->cancel_wanted));
    }
    assert_true(f->state != FILE_STAGED || f->cancel_wanted || f->resolve == FILE_RESOLVE_NONE);
    assert_true(!f->verified || is_final(f->state));
    known->state = f->state;
}

static void check_files(struct world *w, struct rows *rows, size_t transfers, const struct census *census)
{
    struct file_row *files = NULL;
    struct window_row *windows = NULL;
    size_t count = 0;
    uint8_t *in_file = arena_alloc(&w->arena, transfers + 1);
    uint64_t in_windows = 0;
    uint64_t entries = 0;
    assert_int_equal(state_files(rows, SIZE_MAX, &w->arena, &files, &count), SG_OK);
    assert_int_equal(count, w->files_count);
    for (size_t i = 0; i < count; i++) {
        check_file(w, rows, &files[i], in_file, census);
        entries += files[i].seal.totals.entries;
    }
    assert_int_equal(state_windows(rows, SIZE_MAX, &w->arena, &windows, &count), SG_OK);
    assert_int_equal(count, w->windows_count);
    for (size_t i = 0; i < count; i++) {
        in_windows += windows[i].entries;
    }
    assert_int_equal(in_windows, entries);
}

static void check(struct world *w)
{
    struct rows rows;
    struct counters_row c;
    struct transfer_row *list = NULL;
    size_t count = 0;
    struct census *census = arena_alloc(&w->arena, sizeof(*census));
    state_rig_read(&w->a, &rows);
    assert_int_equal(state_transfers(&rows, 0, (enum transfer_state)0, SIZE_MAX, &w->arena, &list, &count),
                     SG_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(list[i].seq, i + 1);
        check_transfer(w, &list[i], census);
    }
    assert_int_equal(state_counters(&rows, &c), SG_OK);
    check_sum(&census->all, c.accepted_count, c.accepted_debit, c.accepted_credit);
    check_sum(&census->by_state[TRANSFER_PENDING], c.pending_count, c.pending_debit, c.pending_credit);
    check_sum(&census->by_state[TRANSFER_SEALED], c.sealed_count, c.sealed_debit, c.sealed_credit);
    check_sum(&census->by_state[TRANSFER_CANCELLED], c.cancelled_count, c.cancelled_debit,
              c.cancelled_credit);
    check_files(w, &rows, count, census);
    assert_int_equal(state_transfers(&rows, 0, TRANSFER_PENDING, SIZE_MAX, &w->arena, &list, &count), SG_OK);
    assert_int_equal(count, c.pending_count);
    state_rig_read_end(&rows);
}

static void check_rebuilds(struct world *w)
{
    struct rows rows;
    struct bytes file = BYTES_NONE;
    char why[256];
    state_rig_read(&w->a, &rows);
    for (uint64_t i = 1; i <= w->files_count; i++) {
        assert_int_equal(state_file_rebuild(&rows, i, &file, why, sizeof(why)), SG_OK);
    }
    state_rig_read_end(&rows);
    bytes_release(&file);
}

static void check_equal_stores(struct world *w)
{
    state_rig_dump(&w->a, &w->dump_a);
    state_rig_dump(&w->b, &w->dump_b);
    assert_true(w->dump_a.n > 0);
    assert_true(span_eq(span_bytes(&w->dump_a), span_bytes(&w->dump_b)));
}

static unsigned run(uint64_t seed, unsigned outcomes[OUTCOMES], unsigned done[COMMAND_KINDS])
{
    struct world *w = mem_zalloc(1, sizeof(*w));
    w->random.state = seed;
    state_rig_init(&w->a);
    state_rig_init(&w->b);
    step_settings(w);
    for (unsigned i = 0; i < STEPS; i++) {
        step(w);
        check(w);
    }
    check_equal_stores(w);
    check_rebuilds(w);
    for (size_t i = 0; i < OUTCOMES; i++) {
        outcomes[i] += w->outcomes[i];
    }
    for (size_t i = 0; i < COMMAND_KINDS; i++) {
        done[i] += w->done[i];
    }
    state_rig_release(&w->a);
    state_rig_release(&w->b);
    arena_release(&w->arena);
    bytes_release(&w->dump_a);
    bytes_release(&w->dump_b);
    unsigned taken_back = w->taken_back;
    mem_free(w);
    return taken_back;
}

static void test_random_commands(void **state)
{
    (void)state;
    unsigned outcomes[OUTCOMES] = {0};
    unsigned done[COMMAND_KINDS] = {0};
    unsigned taken_back = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        print_message("seed %u\n", (unsigned)seed);
        taken_back += run(seed, outcomes, done);
    }
    /* A generator that never gets somewhere tests nothing there. */
    assert_in_range(taken_back, 3, UINT32_MAX);
    for (enum outcome o = OUTCOME_ACCEPTED; o < OUTCOMES; o++) {
        assert_in_range(outcomes[o], 20, UINT32_MAX);
    }
    for (enum command_kind kind = COMMAND_SUBMIT; kind < COMMAND_KINDS; kind++) {
        bool elsewhere = kind == COMMAND_SETTINGS || kind == COMMAND_MISSED || kind == COMMAND_LEVEL;
        if (!elsewhere && done[kind] < 3) {
            fail_msg("kind %d was applied only %u times", (int)kind, done[kind]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_random_commands)};
    hash_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
