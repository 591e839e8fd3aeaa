/* Submissions: gathered into few entries, answered in order, refused one by one,
 * bounded, and honest about what is not known. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proto/base/mem.h"
#include "tests/support/ach_sample.h"
#include "tests/support/duty_world.h"

/* One submission with its transfers and what came of it. */
struct client {
    struct shard_submit submit;
    struct transfer *transfers;
    char (*ids)[32];
    size_t count;
    unsigned done_count;
    enum sg_err err;
    enum outcome *outcomes;
    uint64_t *indexes;
    char reason[256]; /* Of the first that was rejected. */
    char note[512];   /* Of the last that has one. */
};

static void on_done(struct shard_submit *s, enum sg_err err, const struct submit_result *results)
{
    struct client *c = CONTAINER_OF(s, struct client, submit);
    c->done_count++;
    c->err = err;
    for (size_t i = 0; err == SG_OK && i < c->count; i++) {
        c->outcomes[i] = results[i].outcome;
        c->indexes[i] = results[i].index;
        CHECK(span_is(results[i].id, c->ids[i]));
        CHECK(results[i].shard.n == 91000019);
        if (results[i].note.n > 0) {
            (void)span_cstr(results[i].note, c->note, sizeof c->note);
        }
        if (results[i].outcome == OUTCOME_REJECTED && c->reason[0] == '\0') {
            (void)span_cstr(results[i].reason, c->reason, sizeof c->reason);
        }
    }
}

static struct client *client_new(const char *prefix, size_t count)
{
    struct client *c = mem_zalloc(1, sizeof *c);
    c->count = count;
    c->transfers = mem_zalloc(count, sizeof *c->transfers);
    c->ids = mem_zalloc(count, sizeof *c->ids);
    c->outcomes = mem_zalloc(count, sizeof *c->outcomes);
    c->indexes = mem_zalloc(count, sizeof *c->indexes);
    for (size_t i = 0; i < count; i++) {
        c->transfers[i] = ach_sample_transfer(0);
        (void)snprintf(c->ids[i], sizeof c->ids[i], "%s%u", prefix, (unsigned)i);
        c->transfers[i].id = span_str(c->ids[i]);
    }
    c->submit = (struct shard_submit){.transfers = c->transfers, .transfers_count = count, .done = on_done};
    return c;
}

static void client_free(struct client *c)
{
    mem_free(c->transfers);
    mem_free(c->ids);
    mem_free(c->outcomes);
    mem_free(c->indexes);
    mem_free(c);
}

static void submit(struct world *w, struct client *c)
{
    submitter_add(&w->current->duties.submitter, &c->submit);
    assert_int_equal(c->done_count, 0); /* Never from within. */
}

static void assert_done(const struct client *c, enum sg_err err)
{
    assert_int_equal(c->done_count, 1);
    assert_int_equal(c->err, err);
}

static void assert_all(const struct client *c, enum outcome outcome)
{
    assert_done(c, SG_OK);
    for (size_t i = 0; i < c->count; i++) {
        assert_int_equal(c->outcomes[i], outcome);
    }
}

static struct world *world_with_leader(void)
{
    struct world *w = world_new(1);
    (void)world_elect(w);
    world_run(w, 100);
    return w;
}

static void run(struct world *w)
{
    (void)test_loop_run(w->t);
}

/* --- Gathering ------------------------------------------------------------------------- */

static void test_one_turn_one_entry(void **state)
{
    (void)state;
    struct world *w = world_with_leader();
    struct client *c[50];
    size_t proposed = w->proposed_count;
    for (unsigned i = 0; i < 50; i++) {
        c[i] = client_new((char[]){'a', (char)('0' + (char)i), 0}, 3);
        submit(w, c[i]);
    }
    run(w);
    assert_int_equal(w->proposed_count, proposed + 1);
    for (unsigned i = 0; i < 50; i++) {
        assert_all(c[i], OUTCOME_ACCEPTED);
        client_free(c[i]);
    }
    world_free(w);
}

static void test_what_waits_goes_into_the_next(void **state)
{
    (void)state;
    struct world *w = world_with_leader();
    size_t proposed = w->proposed_count;
    struct client *c[6];
    w->is_log_held = true;
    for (unsigned i = 0; i < 6; i++) {
        c[i] = client_new((char[]){'a', (char)('0' + (char)i), 0}, 1);
        submit(w, c[i]);
        run(w);
        size_t expected = i < SUBMIT_ENTRIES_MAX ? i + 1 : SUBMIT_ENTRIES_MAX;
        assert_int_equal(w->proposed_count, proposed + expected);
    }
    w->is_log_held = false;
    loop_after(w->loop, &w->apply, 0);
    run(w);
    assert_int_equal(w->proposed_count, proposed + SUBMIT_ENTRIES_MAX + 1);
    for (unsigned i = 0; i < 6; i++) {
        assert_all(c[i], OUTCOME_ACCEPTED);
        client_free(c[i]);
    }
    world_free(w);
}

static void test_one_submission_many_entries(void **state)
{
    (void)state;
    struct world *w = world_with_leader();
    size_t proposed = w->proposed_count;
    struct client *c = client_new("big", REQUEST_TRANSFERS_MAX);
    submit(w, c);
    run(w);
    assert_all(c, OUTCOME_ACCEPTED);
    size_t least = (REQUEST_TRANSFERS_MAX + SUBMIT_BATCH_TRANSFERS_MAX - 1) / SUBMIT_BATCH_TRANSFERS_MAX;
    assert_in_range(w->proposed_count - proposed, least, least + 2);
    assert_true(c->indexes[c->count - 1] > c->indexes[0]);
    assert_int_equal(w->current->duties.submitter.queue_bytes, 0);
    client_free(c);
    world_free(w);
}

/* --- Judging one by one -------------------------------------------------------------------- */

static void test_refused_one_by_one(void **state)
{
    (void)state;
    struct world *w = world_with_leader();
    struct client *c = client_new("r", 6);
    c->transfers[1].amount.n = 0;
    c->transfers[3].originator = span_str("nobody");
    c->transfers[4].routing_number.n = 231380104;
    submit(w, c);
    run(w);
    assert_done(c, SG_OK);
    static const enum outcome expected[] = {OUTCOME_ACCEPTED, OUTCOME_REJECTED, OUTCOME_ACCEPTED,
                                            OUTCOME_REJECTED, OUTCOME_REJECTED, OUTCOME_ACCEPTED};
    for (size_t i = 0; i < 6; i++) {
        assert_int_equal(c->outcomes[i], expected[i]);
        assert_int_equal(c->indexes[i] == 0, expected[i] == OUTCOME_REJECTED);
    }
    assert_non_null(strstr(c->reason, "amount"));
    client_free(c);
    world_free(w);
}

static void test_all_refused_costs_no_entry(void **state)
{
    (void)state;
    struct world *w = world_with_leader();
    size_t proposed = w->proposed_count;
    struct client *c = client_new("r", 3);
    for (size_t i = 0; i < 3; i++) {
        c->transfers[i].account = span_str("");
    }
    submit(w, c);
    run(w);
    assert_all(c, OUTCOME_REJECTED);
    assert_int_equal(w->proposed_count, proposed);
    client_free(c);
    world_free(w);
}

static void test_folding(void **state)
{
    (void)state;
    struct world *w = world_with_leader();
    struct client *a = client_new("f", 4), *b = client_new("f", 4);
    submit(w, a);
    run(w);
    (void)world_elect(w); /* Whoever leads gives the first answer again. */
    world_run(w, 100);
    b->transfers[2].amount.n++;
    submit(w, b);
    run(w);
    assert_all(a, OUTCOME_ACCEPTED);
    assert_done(b, SG_OK);
    assert_int_equal(b->outcomes[0], OUTCOME_FOLDED);
    assert_int_equal(b->indexes[0], a->indexes[0]);
    assert_int_equal(b->outcomes[2], OUTCOME_REJECTED);
    client_free(a);
    client_free(b);
    world_free(w);
}

/* --- Limits --------------------------------------------------------------------------------- */

/* Returns how many of the submissions were turned away. */
static unsigned flood(struct world *w)
{
    static struct client *c[40];
    unsigned busy = 0;
    w->is_log_held = true;
    for (unsigned i = 0; i < 40; i++) {
        c[i] = client_new((char[]){'q', (char)('0' + (char)i), 0}, REQUEST_TRANSFERS_MAX);
        submit(w, c[i]);
    }
    run(w);
    for (unsigned i = 0; i < 40; i++) {
        busy += c[i]->done_count == 1 && c[i]->err == SG_BUSY;
    }
    w->is_log_held = false;
    loop_after(w->loop, &w->apply, 0);
    run(w);
    for (unsigned i = 0; i < 40; i++) {
        CHECK(c[i]->done_count == 1);
        CHECK(c[i]->err == SG_OK || c[i]->err == SG_BUSY);
        client_free(c[i]);
    }
    return busy;
}

static void test_queue_is_bounded(void **state)
{
    (void)state;
    struct world *w = world_with_leader();
    assert_true(flood(w) > 0);
    world_free(w);
}

static void test_unlimited_queue_is_found(void **state)
{
    (void)state;
    if (!world_has_faults()) {
        skip();
    }
    struct world *w = world_with_leader();
    world_set_bugs("queue-unlimited");
    unsigned busy = flood(w);
    world_set_bugs("");
    assert_int_equal(busy, 0); /* The bug is found. */
    world_free(w);
}

static unsigned busy_left;

static enum sg_err busy(struct world *w)
{
    (void)w;
    return busy_left > 0 && busy_left-- > 0 ? SG_BUSY : SG_OK;
}

static void test_engine_is_busy(void **state)
{
    (void)state;
    struct world *w = world_with_leader();
    struct client *a = client_new("a", 1), *b = client_new("b", 1), *c = client_new("c", 1);
    w->on_propose = busy;
    busy_left = 1;
    submit(w, a);
    run(w);
    assert_done(a, SG_BUSY); /* Nothing of ours is under way that could be waited for. */
    w->is_log_held = true;
    submit(w, b);
    run(w);
    busy_left = 1;
    submit(w, c);
    run(w);
    assert_int_equal(c->done_count, 0);
    w->is_log_held = false;
    loop_after(w->loop, &w->apply, 0);
    run(w);
    assert_all(b, OUTCOME_ACCEPTED);
    assert_all(c, OUTCOME_ACCEPTED);
    client_free(a);
    client_free(b);
    client_free(c);
    world_free(w);
}

/* --- Leadership -------------------------------------------------------------------------------- */

static void test_not_leader(void **state)
{
    (void)state;
    struct world *w = world_with_leader();
    struct client *c = client_new("n", 2);
    world_tell(w->current);
    submit(w, c);
    run(w);
    assert_done(c, SG_NOTLEADER);
    client_free(c);
    world_free(w);
}

static void test_no_settings(void **state)
{
    (void)state;
    struct world *w = world_with_leader();
    struct client *c = client_new("n", 2);
    duty_settings_drop(&w->current->duties.env);
    submit(w, c);
    run(w);
    assert_done(c, SG_UNAVAILABLE);
    client_free(c);
    world_free(w);
}

static void test_leadership_lost(void **state)
{
    (void)state;
    struct world *w = world_with_leader();
    struct world_leader *l = w->current;
    struct client *a = client_new("a", 1), *b = client_new("b", 1), *c = client_new("c", 1);
    struct client *big = client_new("d", REQUEST_TRANSFERS_MAX);
    w->is_log_held = true;
    submit(w, a);
    run(w);
    submit(w, big);
    run(w);
    submit(w, b); /* Behind both entries. */
    run(w);
    (void)world_elect(w);
    w->is_log_held = false;
    world_tell(l);
    run(w);
    assert_done(b, SG_NOTLEADER); /* Never proposed. */
    assert_int_equal(a->done_count, 0);
    assert_int_equal(big->done_count, 0);
    world_forget(w);
    run(w);
    assert_done(a, SG_UNKNOWN);
    assert_done(big, SG_UNKNOWN);
    /* Asked again, the next leader tells. */
    submit(w, c);
    run(w);
    assert_all(c, OUTCOME_ACCEPTED);
    client_free(a);
    client_free(b);
    client_free(c);
    client_free(big);
    world_free(w);
}

static void test_elected_not_ready(void **state)
{
    (void)state;
    struct world *w = world_with_leader();
    struct duties *d = &w->current->duties;
    struct client *c = client_new("e", 2), *e = client_new("g", 2);
    duties_role(d, true, false, w->term + 1);
    submit(w, c);
    run(w);
    assert_int_equal(c->done_count, 0);
    duties_role(d, true, true, w->term + 1);
    run(w);
    assert_all(c, OUTCOME_ACCEPTED);
    duties_role(d, true, false, w->term + 2);
    submit(w, e);
    duties_role(d, false, false, w->term + 3);
    run(w);
    assert_done(e, SG_NOTLEADER);
    client_free(c);
    client_free(e);
    world_free(w);
}

static enum sg_err lost(struct world *w)
{
    (void)w;
    return busy_left > 0 && busy_left-- > 0 ? SG_OK : SG_NOTLEADER;
}

/* The first part of a submission is in, the second is refused: not "nothing was
 * taken". */
static void test_half_taken_is_unknown(void **state)
{
    (void)state;
    struct world *w = world_with_leader();
    struct client *c = client_new("h", SUBMIT_BATCH_TRANSFERS_MAX + 1);
    w->on_propose = lost;
    busy_left = 1;
    submit(w, c);
    run(w);
    assert_done(c, SG_UNKNOWN);
    client_free(c);
    world_free(w);
}

/* --- Notes ------------------------------------------------------------------------------- */

/* A client of one transfer, submitted and accepted or folded. */
static void submit_noted(struct world *w, struct client *c, enum outcome outcome, const char *note)
{
    submit(w, c);
    run(w);
    assert_all(c, outcome);
    if (note[0] == '\0' ? c->note[0] != '\0' : strstr(c->note, note) == NULL) {
        fail_msg("'%s' instead of '%s'", c->note, note);
    }
    client_free(c);
}

static struct client *one(const char *id, int64_t cents)
{
    struct client *c = client_new(id, 1);
    c->transfers[0].amount.n = cents;
    return c;
}

/* However an account is typed, it is the same account. */
static void test_blanks_in_an_account(void **state)
{
    (void)state;
    struct world *w = world_with_leader();
    struct client *c = one("a", 1);
    c->transfers[0].account = span_str("0012 34-56 ab");
    submit_noted(w, c, OUTCOME_ACCEPTED, "blanks were removed from the account");
    c = one("a", 1);
    c->transfers[0].account = span_str("001234-56ab");
    submit_noted(w, c, OUTCOME_FOLDED, "");
    c = one("b", 2);
    c->transfers[0].account = span_str(" 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7");
    submit_noted(w, c, OUTCOME_ACCEPTED, "blanks were removed");
    world_free(w);
}

static void test_same_day_notes(void **state)
{
    (void)state;
    struct world *w = world_with_leader();
    struct client *c = one("a", 1);
    world_set_clock(w, 23, 16, 44, 0);
    c->transfers[0].same_day = true;
    submit_noted(w, c, OUTCOME_ACCEPTED, "");
    world_set_clock(w, 23, 16, 46, 0);
    c = one("b", 2);
    c->transfers[0].same_day = true;
    submit_noted(w, c, OUTCOME_ACCEPTED, "deadline has passed");
    c = one("c", 3);
    c->transfers[0].same_day = true;
    c->transfers[0].effective_date = day_of(2026, 11, 24); /* Tomorrow is another day. */
    submit_noted(w, c, OUTCOME_ACCEPTED, "");
    c = one("d", SAME_DAY_MAX_CENTS + 1);
    c->transfers[0].same_day = true;
    c->transfers[0].effective_date = day_of(2026, 11, 24);
    submit_noted(w, c, OUTCOME_ACCEPTED, "over limits.same_day_max_cents");
    world_free(w);
}

static void test_probable_duplicates(void **state)
{
    (void)state;
    struct world *w = world_with_leader();
    submit_noted(w, one("a", 500), OUTCOME_ACCEPTED, "");
    char note[64];
    (void)snprintf(note, sizeof note, "accepted at log index %llu", (unsigned long long)w->index);
    submit_noted(w, one("b", 500), OUTCOME_ACCEPTED, note);
    submit_noted(w, one("c", 500), OUTCOME_ACCEPTED, note); /* Of the first, always. */
    submit_noted(w, one("a", 500), OUTCOME_FOLDED, "");
    submit_noted(w, one("d", 501), OUTCOME_ACCEPTED, "");
    struct client *c = one("e", 500);
    c->transfers[0].account = span_str("4410024");
    submit_noted(w, c, OUTCOME_ACCEPTED, "");
    c = one("f", 500);
    c->transfers[0].side = SIDE_DEBIT;
    submit_noted(w, c, OUTCOME_ACCEPTED, "");
    c = one("g", 500);
    c->transfers[0].effective_date = day_of(2026, 11, 25);
    submit_noted(w, c, OUTCOME_ACCEPTED, "");
    assert_int_equal(w->current->duties.submitter.twins.met_count, 2);
    world_set_clock(w, 24, 9, 0, 0);
    submit_noted(w, one("h", 500), OUTCOME_ACCEPTED, ""); /* Another day. */
    world_free(w);
}

/* More than are kept in mind: the memory stays bounded, and it goes on. */
static void test_twins_are_bounded(void **state)
{
    (void)state;
    struct twins t = {.day = DAY_NONE};
    struct day day = day_of(2026, 11, 23);
    for (uint64_t i = 1; i <= 3ull * TWINS_MAX; i++) {
        assert_int_equal(twins_meet(&t, day, i * 0x9E3779B97F4A7C15u | 1, i), 0);
        assert_true(t.cap <= TWINS_MAX);
    }
    assert_int_equal(twins_meet(&t, day, 3ull * TWINS_MAX * 0x9E3779B97F4A7C15u | 1, 9), 3ull * TWINS_MAX);
    twins_clear(&t);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_turn_one_entry),
        cmocka_unit_test(test_what_waits_goes_into_the_next),
        cmocka_unit_test(test_one_submission_many_entries),
        cmocka_unit_test(test_refused_one_by_one),
        cmocka_unit_test(test_all_refused_costs_no_entry),
        cmocka_unit_test(test_folding),
        cmocka_unit_test(test_queue_is_bounded),
        cmocka_unit_test(test_unlimited_queue_is_found),
        cmocka_unit_test(test_engine_is_busy),
        cmocka_unit_test(test_not_leader),
        cmocka_unit_test(test_no_settings),
        cmocka_unit_test(test_leadership_lost),
        cmocka_unit_test(test_elected_not_ready),
        cmocka_unit_test(test_half_taken_is_unknown),
        cmocka_unit_test(test_blanks_in_an_account),
        cmocka_unit_test(test_same_day_notes),
        cmocka_unit_test(test_probable_duplicates),
        cmocka_unit_test(test_twins_are_bounded),
    };
    logger_set_level(LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
