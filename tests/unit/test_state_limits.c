/* Ends of ranges, damaged rows, and commands that nobody meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "proto/base/logger.h"
#include "shard/state/counters.h"
#include "shard/state/store.h"
#include "tests/support/ach_sample.h"
#include "tests/support/state_rig.h"
#include "tests/support/test_mutate.h"

static struct window_id window(const char *name)
{
    struct window_id id = {.day = day_of(2026, 11, 23)};
    span_cstr(span_str(name), id.name, sizeof(id.name));
    return id;
}

static void submit(struct state_rig *rig, const char *prefix, size_t count)
{
    struct transfer transfers[40];
    assert_true(count <= 40);
    for (size_t i = 0; i < count; i++) {
        transfers[i] = ach_sample_transfer(i % 2);
        transfers[i].id = span_str(arena_printf(&rig->arena, "%s%zu", prefix, i));
    }
    struct command c = {.kind = COMMAND_SUBMIT, .submit = {.transfers = transfers, .transfers_count = count}};
    struct command_result r = state_rig_apply(rig, &c);
    assert_int_equal(r.err, SG_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(r.results[i].outcome, OUTCOME_ACCEPTED);
    }
}

static void close_window(struct state_rig *rig, const char *name)
{
    struct command c = {.kind = COMMAND_CLOSE, .close = {.window = window(name)}};
    assert_int_equal(state_rig_apply(rig, &c).err, SG_OK);
}

static enum sg_err seal(struct state_rig *rig, const char *name)
{
    struct arena a = ARENA_INIT;
    struct window_id id = window(name);
    struct command c;
    assert_true(state_rig_next_seal(rig, &id, &a, &c));
    enum sg_err err = state_rig_apply(rig, &c).err;
    arena_release(&a);
    return err;
}

/* As if that many entries had been sealed before. */
static void set_next_trace(struct state_rig *rig, uint32_t next)
{
    struct counters_row counters;
    struct digester digester;
    struct rows rows;
    struct kv_txn *txn = NULL;
    assert_int_equal(kv_begin(&rig->kv, true, &txn), SG_OK);
    rows_init(&rows, &rig->kv, txn, STATE_RIG_GROUP);
    digester_init(&digester);
    rows.digester = &digester;
    assert_int_equal(store_get_counters(&rows, &counters), SG_OK);
    counters.next_trace = next;
    assert_int_equal(store_put_counters(&rows, &counters), SG_OK);
    rows_release(&rows);
    assert_int_equal(kv_commit(&rig->kv, txn), SG_OK);
}

static uint32_t next_trace(struct state_rig *rig)
{
    struct counters_row counters;
    struct rows rows;
    state_rig_read(rig, &rows);
    assert_int_equal(state_counters(&rows, &counters), SG_OK);
    state_rig_read_end(&rows);
    return counters.next_trace;
}

struct trace_case {
    const char *why;
    uint32_t next, start; /* Before, and what SEAL asks for; 4 entries. */
    enum sg_err err;
    uint32_t after;
};

static const struct trace_case trace_cases[] = {
    {"goes on where the last ended", 7, 7, SG_OK, 11},
    {"cannot start anew while there is room", 7, 1, SG_CONFLICT, 7},
    {"fills the range to its last number", TRACE_SEQUENCE_MAX - 3, TRACE_SEQUENCE_MAX - 3, SG_OK, 1},
    {"starts anew where it would not fit", TRACE_SEQUENCE_MAX - 2, 1, SG_OK, 5},
    {"cannot wrap inside a file", TRACE_SEQUENCE_MAX - 2, TRACE_SEQUENCE_MAX - 2, SG_CONFLICT,
     TRACE_SEQUENCE_MAX - 2},
    {"cannot skip numbers", 7, 8, SG_CONFLICT, 7},
};

static void test_traces(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(trace_cases) / sizeof(trace_cases[0]); i++) {
        const struct trace_case *t = &trace_cases[i];
        struct arena a = ARENA_INIT;
        struct state_rig rig;
        struct command c;
        struct window_id id = window("ND");
        state_rig_init(&rig);
        state_rig_settings(&rig, state_rig_sample_settings(1), SG_OK);
        submit(&rig, "t", 4);
        close_window(&rig, "ND");
        assert_true(state_rig_next_seal(&rig, &id, &a, &c)); /* Built with the traces from 1. */
        set_next_trace(&rig, t->next);
        c.seal.trace_start = t->start;
        if (state_rig_apply(&rig, &c).err != t->err || next_trace(&rig) != t->after) {
            fail_msg("%s", t->why);
        }
        state_rig_release(&rig);
        arena_release(&a);
    }
}

static void test_modifiers_run_out(void **state)
{
    (void)state;
    static const char expected[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789";
    struct state_rig rig;
    struct rows rows;
    struct arena a = ARENA_INIT;
    char modifier = 0;
    state_rig_init(&rig);
    state_rig_settings(&rig, state_rig_sample_settings(1), SG_OK);
    for (size_t i = 0; i < FILE_MODIFIERS; i++) {
        state_rig_read(&rig, &rows);
        assert_int_equal(state_modifier(&rows, day_of(2026, 11, 23), &modifier), SG_OK);
        state_rig_read_end(&rows);
        assert_int_equal(modifier, expected[i]);
        const char *name = arena_printf(&a, "M%zu", i);
        submit(&rig, name, 1);
        close_window(&rig, name);
        assert_int_equal(seal(&rig, name), SG_OK);
    }
    /* The 37th must wait for the next creation date. */
    state_rig_read(&rig, &rows);
    assert_int_equal(state_modifier(&rows, day_of(2026, 11, 23), &modifier), SG_OK);
    assert_int_equal(modifier, 0);
    assert_int_equal(state_modifier(&rows, day_of(2026, 11, 24), &modifier), SG_OK);
    assert_int_equal(modifier, 'A');
    state_rig_read_end(&rows);
    state_rig_release(&rig);
    arena_release(&a);
}

static void test_counters_do_not_overflow(void **state)
{
    (void)state;
    struct counters_row c = {.next_seq = 1};
    c.accepted_debit.n = c.pending_debit.n = INT64_MAX - 5;
    assert_false(counters_accept(&c, SIDE_DEBIT, (struct cents){6}));
    assert_int_equal(c.accepted_count, 0);
    assert_int_equal(c.accepted_debit.n, INT64_MAX - 5);
    assert_true(counters_accept(&c, SIDE_DEBIT, (struct cents){5}));
    assert_true(counters_accept(&c, SIDE_CREDIT, (struct cents){6}));
    assert_int_equal(c.pending_count, 2);
    c.next_seq = 3;
    counters_check(&c);
    counters_move(&c, TRANSFER_PENDING, TRANSFER_CANCELLED, SIDE_CREDIT, (struct cents){6});
    assert_int_equal(c.cancelled_credit.n, 6);
    counters_check(&c);
}

/* --- Damage ------------------------------------------------------------------------ */

static void quiet(void *impl, enum log_level level, const char *line)
{
    (void)impl;
    (void)level;
    (void)line;
}

/* One of every kind of row, and one pending transfer for another window. */
static void fill(struct state_rig *rig)
{
    struct command c = {.kind = COMMAND_CLAIM, .file = {.file = 1}};
    state_rig_settings(rig, state_rig_sample_settings(1), SG_OK);
    submit(rig, "a", 2);
    close_window(rig, "SD1");
    assert_int_equal(seal(rig, "SD1"), SG_OK);
    assert_int_equal(state_rig_apply(rig, &c).err, SG_OK);
    submit(rig, "b", 1);
    close_window(rig, "ND");
}

static enum sg_err worst(enum sg_err a, enum sg_err b)
{
    assert_true(b == SG_OK || b == SG_NOTFOUND || b == SG_CONFLICT || b == SG_CORRUPT);
    return a == SG_CORRUPT ? a : b;
}

/* Every question and the commands that read most; SG_CORRUPT if any of them said so. */
static enum sg_err touch_everything(struct state_rig *rig)
{
    struct arena a = ARENA_INIT;
    struct rows rows;
    struct counters_row counters;
    struct settings settings;
    struct transfer_row *transfers = NULL;
    struct transfer_row transfer;
    struct window_row *windows = NULL;
    struct file_row *files = NULL;
    struct file_row file;
    struct attempt_row *attempts = NULL;
    struct event_row *events = NULL;
    struct bytes built = BYTES_NONE;
    size_t count = 0;
    char modifier = 0;
    char why[256];
    struct window_id nd = window("ND");
    struct command cancel = {.kind = COMMAND_CANCEL, .cancel = {.id = span_str("b0")}};
    struct command done = {.kind = COMMAND_WINDOW_DONE, .window_done = {.window = nd}};
    struct command end = {.kind = COMMAND_FILE_CANCEL, .file = {.file = 1}};
    struct command staged = {.kind = COMMAND_ABANDONED, .file = {.file = 1, .attempt = 5}};
    state_rig_read(rig, &rows);
    enum sg_err err = state_counters(&rows, &counters);
    err = worst(err, state_settings(&rows, 0, &a, &settings));
    err = worst(err, state_transfers(&rows, 0, (enum transfer_state)0, 100, &a, &transfers, &count));
    err = worst(err, state_transfers(&rows, 0, TRANSFER_PENDING, 100, &a, &transfers, &count));
    err = worst(err, state_transfer_by_id(&rows, span_str("a0"), &a, &transfer));
    err = worst(err, state_transfer_by_id(&rows, span_str("a1"), &a, &transfer));
    err = worst(err, state_transfer_by_id(&rows, span_str("b0"), &a, &transfer));
    err = worst(err, state_windows(&rows, 100, &a, &windows, &count));
    err = worst(err, state_windows_open_work(&rows, &a, &windows, &count));
    err = worst(err, state_files(&rows, 100, &a, &files, &count));
    err = worst(err, state_files_open_work(&rows, &a, &files, &count));
    err = worst(err, state_file_by_name(&rows, span_str("SD1-A-1.ach"), &a, &file));
    err = worst(err, state_attempts_all(&rows, 1, &a, &attempts, &count));
    err = worst(err, state_modifier(&rows, day_of(2026, 11, 23), &modifier));
    err = worst(err, state_events(&rows, 0, 100, &a, &events, &count));
    err = worst(err, state_file_rebuild(&rows, 1, &built, why, sizeof(why)));
    state_rig_read_end(&rows);
    err = worst(err, state_rig_try(rig, &cancel));
    err = worst(err, state_rig_try(rig, &done));
    err = worst(err, state_rig_try(rig, &end));
    err = worst(err, state_rig_try(rig, &staged));
    bytes_release(&built);
    arena_release(&a);
    return err;
}

/* Whichever record rots, somebody says so, and nobody falls over. */
static void test_every_damaged_record_is_found(void **state)
{
    (void)state;
    struct state_rig rig;
    state_rig_init(&rig);
    fill(&rig);
    logger_set_sink(quiet, NULL, NULL);
    assert_int_equal(touch_everything(&rig), SG_OK);
    size_t records = mem_kv_count(rig.disk, KV_STATE);
    assert_true(records > 20);
    for (size_t i = 0; i < records; i++) {
        for (uint64_t bit = 3; bit < 200; bit += 61) {
            assert_true(mem_kv_flip_bit_at(rig.disk, KV_STATE, i, bit));
            if (touch_everything(&rig) != SG_CORRUPT) {
                fail_msg("record %zu, bit %u: nobody noticed", i, (unsigned)bit);
            }
            assert_true(mem_kv_flip_bit_at(rig.disk, KV_STATE, i, bit));
        }
    }
    assert_int_equal(touch_everything(&rig), SG_OK);
    logger_set_sink(NULL, NULL, NULL);
    state_rig_release(&rig);
}

static uint64_t walked_set(struct state_rig *rig)
{
    struct rows rows;
    uint64_t set = 0;
    state_rig_read(rig, &rows);
    assert_int_equal(rows_set_of(&rows, &set), SG_OK);
    state_rig_read_end(&rows);
    return set;
}

/* Whichever record is not found any more, the set hash tells; most are missed by
 * the one who needs them, too. */
static void test_every_lost_record_is_missed(void **state)
{
    static const struct {
        enum state_table table;
        bool is_missed; /* By a reader, without the set hash. */
    } tables[] = {
        {TABLE_COUNTERS, true}, {TABLE_SETTINGS, true}, {TABLE_TRANSFERS, true}, {TABLE_FOLDS, false},
        {TABLE_FILES, true},    {TABLE_MEMBERS, true},  {TABLE_WINDOWS, true},
    };
    (void)state;
    logger_set_sink(quiet, NULL, NULL);
    for (size_t i = 0;; i++) {
        struct state_rig rig;
        state_rig_init(&rig);
        fill(&rig);
        assert_true(walked_set(&rig) == rig.set);
        size_t records = mem_kv_count(rig.disk, KV_STATE);
        if (i < records) {
            struct rows rows;
            struct kv_cursor c;
            state_rig_read(&rig, &rows);
            rows_cursor(&rows, &c, SPAN_NONE);
            for (size_t n = 0; n <= i; n++) {
                assert_int_equal(kv_next(&c), SG_OK);
            }
            enum state_table table = (enum state_table)rows_key(&c).p[0];
            kv_cursor_release(&c);
            state_rig_read_end(&rows);
            assert_true(mem_kv_vanish(rig.disk, KV_STATE, i, 1));
            assert_true(walked_set(&rig) != rig.set);
            enum sg_err found = touch_everything(&rig);
            for (size_t n = 0; n < sizeof(tables) / sizeof(tables[0]); n++) {
                if (tables[n].table == table && tables[n].is_missed && found != SG_CORRUPT) {
                    fail_msg("record %zu of table %d: nobody missed it", i, (int)table);
                }
            }
        }
        state_rig_release(&rig);
        if (i >= records) {
            break;
        }
    }
    logger_set_sink(NULL, NULL, NULL);
}

/* A row whose key rotted reads as not there, so the id is taken a second time. The
 * window that would bring both to the bank finds it. */
static void test_an_id_given_twice_goes_into_no_file(void **state)
{
    (void)state;
    struct state_rig rig;
    struct arena a = ARENA_INIT;
    struct window_id nd = window("ND");
    struct window_row w;
    struct settings settings;
    struct member *members = NULL;
    struct rows rows;
    size_t count = 0;
    state_rig_init(&rig);
    state_rig_settings(&rig, state_rig_sample_settings(1), SG_OK);
    submit(&rig, "a", 2);
    struct state_key fold = key_text(TABLE_FOLDS, span_str("a0"));
    for (size_t n = 0; n < mem_kv_count(rig.disk, KV_STATE); n++) {
        struct kv_cursor c;
        state_rig_read(&rig, &rows);
        rows_cursor(&rows, &c, SPAN_NONE);
        for (size_t k = 0; k <= n; k++) {
            assert_int_equal(kv_next(&c), SG_OK);
        }
        bool is_it = span_eq(rows_key(&c), key_span(&fold));
        kv_cursor_release(&c);
        state_rig_read_end(&rows);
        if (is_it) {
            assert_true(mem_kv_rename(rig.disk, KV_STATE, n, 8 * 9 + 5));
            break;
        }
    }
    submit(&rig, "a", 1); /* Accepted, and it must not be. */
    close_window(&rig, "ND");
    logger_set_sink(quiet, NULL, NULL);
    state_rig_read(&rig, &rows);
    assert_int_equal(state_window(&rows, &nd, &w), SG_OK);
    assert_int_equal(state_settings(&rows, 0, &a, &settings), SG_OK);
    assert_int_equal(state_window_members(&rows, &w, &settings, (struct processing){.day = w.processing_day},
                                          &a, &members, &count),
                     SG_CORRUPT);
    state_rig_read_end(&rows);
    logger_set_sink(NULL, NULL, NULL);
    state_rig_release(&rig);
    arena_release(&a);
}

/* --- Commands that nobody meant --------------------------------------------------------- */

static void apply_damaged(struct span data, void *arg)
{
    (void)state_rig_apply_raw(arg, data); /* Fails the test when a refused one wrote. */
}

static void test_damaged_commands(void **state)
{
    (void)state;
    struct state_rig rig;
    struct arena a = ARENA_INIT;
    struct window_id nd = window("ND");
    struct command seal_nd;
    struct bytes encoded = BYTES_NONE;
    state_rig_init(&rig);
    fill(&rig);
    assert_true(state_rig_next_seal(&rig, &nd, &a, &seal_nd));
    struct transfer t = ach_sample_transfer(1);
    struct command commands[] = {
        {.kind = COMMAND_CLOSE, .close = {.window = window("X1"), .processing_day = day_of(2026, 12, 1)}},
        {.kind = COMMAND_SUBMIT, .submit = {.transfers = &t, .transfers_count = 1}},
        {.kind = COMMAND_STAGED, .file = {.file = 1, .attempt = 5, .size_bytes = 9}},
        {.kind = COMMAND_CANCEL, .cancel = {.id = span_str("b0"), .reason = span_str("none")}},
        seal_nd,
    };
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        bytes_clear(&encoded);
        commands[i].level = LEVEL_MIN;
        command_encode(&commands[i], &encoded);
        test_mutate(span_bytes(&encoded), apply_damaged, &rig, 300, 40 + i);
    }
    bytes_release(&encoded);
    state_rig_release(&rig);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_traces),
        cmocka_unit_test(test_modifiers_run_out),
        cmocka_unit_test(test_counters_do_not_overflow),
        cmocka_unit_test(test_every_damaged_record_is_found),
        cmocka_unit_test(test_every_lost_record_is_missed),
        cmocka_unit_test(test_an_id_given_twice_goes_into_no_file),
        cmocka_unit_test(test_damaged_commands),
    };
    hash_init();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
