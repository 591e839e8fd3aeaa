/* Lists in parts: all of it in order whatever the parts are, and no part costs more
 * the longer the list is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "proto/base/limits.h"
#include "tests/support/ach_sample.h"
#include "tests/support/state_rig.h"

static uint64_t seeks; /* Asked of the store: a walk asks once a record. */

static enum sg_err count_seeks(void *impl, enum mem_kv_op op)
{
    (void)impl;
    seeks += op == MEM_KV_SEEK;
    return SG_OK;
}

static void submit(struct state_rig *rig, size_t first, size_t count, size_t addenda)
{
    struct arena a = ARENA_INIT;
    struct transfer *transfers = arena_array(&a, count, sizeof *transfers);
    struct span *texts = arena_array(&a, addenda, sizeof *texts);
    for (size_t i = 0; i < addenda; i++) {
        texts[i] = span_str("0123456789012345678901234567890123456789012345678901234567890123456789012345");
    }
    for (size_t i = 0; i < count; i++) {
        transfers[i] = ach_sample_transfer((first + i) % 2);
        transfers[i].id = span_str(arena_printf(&a, "t%zu", first + i));
        if (addenda > 0) {
            transfers[i].sec = SEC_CTX;
            transfers[i].name = span_str("RECEIVER");
            transfers[i].addenda = texts;
            transfers[i].addenda_count = addenda;
        }
    }
    struct command c = {.kind = COMMAND_SUBMIT, .submit = {.transfers = transfers, .transfers_count = count}};
    struct command_result r = state_rig_apply(rig, &c);
    assert_int_equal(r.err, SG_OK);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(r.results[i].outcome, OUTCOME_ACCEPTED);
    }
    arena_release(&a);
}

static void cancel(struct state_rig *rig, size_t number)
{
    char id[24];
    (void)snprintf(id, sizeof id, "t%zu", number);
    struct command c = {.kind = COMMAND_CANCEL, .cancel = {.id = span_str(id)}};
    assert_int_equal(state_rig_apply(rig, &c).err, SG_OK);
}

/* The same list at once and in pages of this many rows. */
static void same_in_pages(struct rows *rows, enum transfer_state state, size_t rows_max)
{
    struct arena a = ARENA_INIT;
    struct transfer_row *all;
    struct transfer_row *part;
    struct page page = {.rows_max = rows_max, .more = true};
    size_t count;
    size_t got = 0;
    size_t n;
    assert_int_equal(state_transfers(rows, 0, state, SIZE_MAX, &a, &all, &count), SG_OK);
    while (page.more) {
        assert_int_equal(state_transfers_page(rows, &page, state, &a, &part, &n), SG_OK);
        assert_true(n <= rows_max);
        for (size_t i = 0; i < n; i++, got++) {
            assert_true(got < count);
            assert_int_equal(part[i].seq, all[got].seq);
        }
        assert_true(!page.more || page.next > page.after);
        page.after = page.next;
    }
    assert_int_equal(got, count);
    arena_release(&a);
}

static void test_pages_make_the_list(void **state)
{
    (void)state;
    struct state_rig rig;
    struct rows rows;
    state_rig_init(&rig);
    state_rig_settings(&rig, state_rig_sample_settings(1), SG_OK);
    submit(&rig, 0, 30, 0);
    for (size_t i = 0; i < 30; i += 7) {
        cancel(&rig, i);
    }
    state_rig_read(&rig, &rows);
    for (size_t rows_max = 1; rows_max <= 31; rows_max++) {
        same_in_pages(&rows, (enum transfer_state)0, rows_max);
        same_in_pages(&rows, TRANSFER_PENDING, rows_max);
        same_in_pages(&rows, TRANSFER_CANCELLED, rows_max);
    }
    state_rig_read_end(&rows);
    state_rig_release(&rig);
}

static void test_what_is_rare_is_found_in_bounded_parts(void **state)
{
    (void)state;
    enum { COUNT = 2 * LIST_VISITS_MAX + 500, BATCH = 500 };
    struct state_rig rig;
    struct rows rows;
    struct arena a = ARENA_INIT;
    struct transfer_row *part;
    struct page page = {.rows_max = 100};
    size_t n;
    state_rig_init(&rig);
    state_rig_settings(&rig, state_rig_sample_settings(1), SG_OK);
    for (size_t i = 0; i < COUNT; i += BATCH) {
        submit(&rig, i, BATCH, 0);
    }
    cancel(&rig, COUNT - 1);
    state_rig_read(&rig, &rows);
    mem_kv_set_fault(rig.disk, count_seeks, NULL);
    for (size_t turn = 0; turn < 3; turn++) {
        seeks = 0;
        assert_int_equal(state_transfers_page(&rows, &page, TRANSFER_CANCELLED, &a, &part, &n), SG_OK);
        assert_true(seeks <= LIST_VISITS_MAX + 1);
        assert_int_equal(n, turn < 2 ? 0 : 1);
        assert_int_equal(page.more, turn < 2);
        page.after = page.next;
        arena_reset(&a);
    }
    mem_kv_set_fault(rig.disk, NULL, NULL);
    state_rig_read_end(&rows);
    arena_release(&a);
    state_rig_release(&rig);
}

static void test_large_records_end_a_page_early(void **state)
{
    (void)state;
    struct state_rig rig;
    struct rows rows;
    struct arena a = ARENA_INIT;
    struct transfer_row *part;
    struct page page = {.rows_max = 1000, .more = true};
    size_t n;
    size_t got = 0;
    size_t pages = 0;
    state_rig_init(&rig);
    state_rig_settings(&rig, state_rig_sample_settings(1), SG_OK);
    for (size_t i = 0; i < 40; i += 4) {
        submit(&rig, i, 4, TRANSFER_ADDENDA_MAX); /* About 76 KiB each. */
    }
    state_rig_read(&rig, &rows);
    while (page.more) {
        assert_int_equal(state_transfers_page(&rows, &page, (enum transfer_state)0, &a, &part, &n), SG_OK);
        assert_true(n <= 1 + LIST_SIZE_SOFT_BYTES / (70u << 10));
        got += n;
        pages++;
        page.after = page.next;
    }
    assert_int_equal(got, 40);
    assert_true(pages >= 5);
    state_rig_read_end(&rows);
    arena_release(&a);
    state_rig_release(&rig);
}

static void test_newest_first_goes_on_downwards(void **state)
{
    (void)state;
    struct state_rig rig;
    struct rows rows;
    struct arena a = ARENA_INIT;
    struct window_row *part;
    struct page page = {.rows_max = 2, .more = true};
    char names[16] = "";
    size_t n;
    state_rig_init(&rig);
    state_rig_settings(&rig, state_rig_sample_settings(1), SG_OK);
    for (int name = 'A'; name <= 'E'; name++) {
        struct command c = {.kind = COMMAND_CLOSE, .close = {.window = {.day = day_of(2026, 11, 23)}}};
        c.close.window.name[0] = (char)name;
        assert_int_equal(state_rig_apply(&rig, &c).err, SG_OK);
    }
    state_rig_read(&rig, &rows);
    while (page.more) {
        assert_int_equal(state_windows_page(&rows, &page, &a, &part, &n), SG_OK);
        for (size_t i = 0; i < n; i++) {
            names[strlen(names)] = part[i].id.name[0];
        }
        page.after = page.next;
    }
    assert_string_equal(names, "EDCBA");
    state_rig_read_end(&rows);
    arena_release(&a);
    state_rig_release(&rig);
}

static void test_events_say_where_to_go_on(void **state)
{
    (void)state;
    struct state_rig rig;
    struct rows rows;
    struct arena a = ARENA_INIT;
    struct event_row *part;
    struct page page = {.rows_max = 10};
    size_t n;
    state_rig_init(&rig);
    state_rig_settings(&rig, state_rig_sample_settings(1), SG_OK);
    submit(&rig, 0, 1, 0);
    state_rig_read(&rig, &rows);
    assert_int_equal(state_events_page(&rows, &page, &a, &part, &n), SG_OK);
    assert_int_equal(n, 2); /* Settings, transfer. */
    assert_int_equal(page.next, 2);
    assert_false(page.more);
    page.after = page.next; /* The end: there is nothing yet, and the place stays. */
    assert_int_equal(state_events_page(&rows, &page, &a, &part, &n), SG_OK);
    assert_int_equal(n, 0);
    assert_int_equal(page.next, 2);
    state_rig_read_end(&rows);
    arena_release(&a);
    state_rig_release(&rig);
}

/* --- Members of one file ---------------------------------------------------------------- */

static struct window_row closed(struct state_rig *rig, struct rows *rows)
{
    struct command c = {.kind = COMMAND_CLOSE,
                        .close = {.window = {.day = day_of(2026, 11, 23), .name = "ND"}}};
    struct window_row w;
    assert_int_equal(state_rig_apply(rig, &c).err, SG_OK);
    state_rig_read(rig, rows);
    assert_int_equal(state_window(rows, &c.close.window, &w), SG_OK);
    return w;
}

/* Each file reads its own members, however many wait behind them. */
static void test_a_file_reads_its_own_members(void **state)
{
    (void)state;
    enum { COUNT = 2000, LINES = 100 };
    struct state_rig rig;
    struct rows rows;
    struct arena a = ARENA_INIT;
    struct settings settings;
    struct member_walk walk = {.more = true};
    struct member *members;
    size_t count;
    bool seen[COUNT + 1] = {false};
    size_t files = 0;
    state_rig_init(&rig);
    struct settings *sample = state_rig_sample_settings(1);
    sample->shard.max_lines = LINES;
    state_rig_settings(&rig, sample, SG_OK);
    submit(&rig, 0, COUNT, 0);
    cancel(&rig, 7);
    struct window_row w = closed(&rig, &rows);
    assert_int_equal(state_settings_at(&rows, 1, 0, &a, &settings), SG_OK);
    mem_kv_set_fault(rig.disk, count_seeks, NULL);
    while (walk.more) {
        struct arena file = ARENA_INIT;
        struct processing p = {.day = w.processing_day};
        seeks = 0;
        assert_int_equal(state_window_file(&rows, &w, &settings, p, &walk, &file, &members, &count), SG_OK);
        assert_true(count <= LINES + 1);
        assert_true(seeks <= count + 1);
        for (size_t i = 0; i < count; i++) {
            assert_false(seen[members[i].seq]);
            seen[members[i].seq] = true;
        }
        files += count > 0;
        arena_release(&file);
    }
    mem_kv_set_fault(rig.disk, NULL, NULL);
    for (size_t seq = 1; seq <= COUNT; seq++) {
        assert_int_equal(seen[seq], seq != 8);
    }
    assert_int_equal(files, (COUNT - 1 + LINES) / (LINES + 1));
    state_rig_read_end(&rows);
    arena_release(&a);
    state_rig_release(&rig);
}

static void submit_dated(struct state_rig *rig, size_t first, size_t count, struct day day)
{
    struct arena a = ARENA_INIT;
    struct transfer *transfers = arena_array(&a, count, sizeof *transfers);
    for (size_t i = 0; i < count; i++) {
        transfers[i] = ach_sample_transfer(0);
        transfers[i].id = span_str(arena_printf(&a, "d%zu", first + i));
        transfers[i].effective_date = day;
    }
    struct command c = {.kind = COMMAND_SUBMIT, .submit = {.transfers = transfers, .transfers_count = count}};
    struct command_result r = state_rig_apply(rig, &c);
    assert_int_equal(r.err, SG_OK);
    assert_int_equal(r.results[count - 1].outcome, OUTCOME_ACCEPTED);
    arena_release(&a);
}

/* What waits for another day is passed over in bounded parts, once. */
static void test_what_is_not_due_is_passed_over_in_parts(void **state)
{
    (void)state;
    enum { COUNT = SEALING_VISITS_MAX + 500, BATCH = 500 };
    struct state_rig rig;
    struct rows rows;
    struct arena a = ARENA_INIT;
    struct settings settings;
    struct member_walk walk = {.after = 0};
    struct member *members;
    size_t count;
    state_rig_init(&rig);
    state_rig_settings(&rig, state_rig_sample_settings(1), SG_OK);
    for (size_t i = 0; i < COUNT; i += BATCH) {
        submit_dated(&rig, i, BATCH, day_of(2027, 6, 1));
    }
    submit_dated(&rig, COUNT, 1, DAY_NONE);
    struct window_row w = closed(&rig, &rows);
    struct processing p = {.day = w.processing_day};
    assert_int_equal(state_settings_at(&rows, 1, 0, &a, &settings), SG_OK);
    mem_kv_set_fault(rig.disk, count_seeks, NULL);
    seeks = 0;
    assert_int_equal(state_window_file(&rows, &w, &settings, p, &walk, &a, &members, &count), SG_OK);
    assert_int_equal(count, 0);
    assert_true(walk.more);
    assert_true(seeks <= SEALING_VISITS_MAX + 1);
    seeks = 0;
    assert_int_equal(state_window_file(&rows, &w, &settings, p, &walk, &a, &members, &count), SG_OK);
    assert_int_equal(count, 1);
    assert_false(walk.more);
    assert_true(seeks <= 502);
    /* Before it is done nobody looks at all of them again. */
    state_rig_read_end(&rows);
    struct command level = {.kind = COMMAND_LEVEL, .level_change = {.to = LEVEL_DONE_LOOK}};
    assert_int_equal(state_rig_apply(&rig, &level).err, SG_OK);
    struct command done = {.kind = COMMAND_WINDOW_DONE, .level = LEVEL_DONE_LOOK};
    done.window_done.window = w.id;
    seeks = 0;
    (void)state_rig_try(&rig, &done);
    assert_in_range(seeks, DONE_VISITS_MAX, DONE_VISITS_MAX + 10);
    mem_kv_set_fault(rig.disk, NULL, NULL);
    arena_release(&a);
    state_rig_release(&rig);
}

int main(void)
{
    hash_init();
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pages_make_the_list),
        cmocka_unit_test(test_what_is_rare_is_found_in_bounded_parts),
        cmocka_unit_test(test_large_records_end_a_page_early),
        cmocka_unit_test(test_newest_first_goes_on_downwards),
        cmocka_unit_test(test_events_say_where_to_go_on),
        cmocka_unit_test(test_a_file_reads_its_own_members),
        cmocka_unit_test(test_what_is_not_due_is_passed_over_in_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
