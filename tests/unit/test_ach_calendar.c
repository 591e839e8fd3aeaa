#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shard/ach/calendar.h"
#include "shard/ach/verify_part.h"
#include "shard/ach/records.h"

static const struct calendar_settings fed = {.federal_reserve = true};
static const struct calendar_settings plain = {.federal_reserve = false};

/* Nacha Appendix 3: every record has 94 characters, each in exactly one field. */
static void test_fields_tile_every_record(void **state)
{
    (void)state;
    int next[ACH_RECORD_KINDS];
    for (size_t i = 0; i < ACH_RECORD_KINDS; i++) {
        next[i] = 1;
    }
    for (size_t i = 0; i < ACH_FIELDS_COUNT; i++) {
        const struct ach_field *f = &ach_fields[i];
        if (f->start != next[f->record]) {
            fail_msg("%s begins at %d, not at %d", f->name, f->start, next[f->record]);
        }
        next[f->record] = f->start + f->size;
    }
    for (size_t i = 0; i < ACH_RECORD_KINDS; i++) {
        assert_int_equal(next[i], ACH_RECORD_SIZE + 1);
    }
}

static void test_facts(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        int year, month, day;
        bool is_banking_day;
    } rows[] = {
        {"a plain Monday", 2026, 11, 23, true},
        {"a Saturday", 2026, 11, 21, false},
        {"a Sunday", 2026, 11, 22, false},
        {"New Year", 2026, 1, 1, false},
        {"third Monday of January", 2026, 1, 19, false},
        {"second Monday of January", 2026, 1, 12, true},
        {"third Monday of February", 2026, 2, 16, false},
        {"last Monday of May, the fourth", 2026, 5, 25, false},
        {"last Monday of May, the fifth", 2027, 5, 31, false},
        {"fourth Monday of May with a fifth", 2027, 5, 24, true},
        {"Juneteenth", 2026, 6, 19, false},
        {"Juneteenth was no holiday before 2022", 2020, 6, 19, true},
        {"first Monday of September", 2026, 9, 7, false},
        {"second Monday of October", 2026, 10, 12, false},
        {"Veterans Day", 2026, 11, 11, false},
        {"fourth Thursday of November", 2026, 11, 26, false},
        {"the Friday after Thanksgiving is open", 2026, 11, 27, true},
        {"fourth Thursday, with a fifth", 2023, 11, 23, false},
        {"fifth Thursday", 2023, 11, 30, true},
        {"Christmas", 2026, 12, 25, false},
        {"Christmas Eve is open", 2026, 12, 24, true},
        {"4 July 2026 is a Saturday: Friday is open", 2026, 7, 3, true},
        {"and Monday is open", 2026, 7, 6, true},
        {"Juneteenth 2027 is a Saturday: Friday is open", 2027, 6, 18, true},
        {"4 July 2027 is a Sunday: Monday is closed", 2027, 7, 5, false},
        {"and Tuesday is open", 2027, 7, 6, true},
        {"Christmas 2027 is a Saturday: Friday is open", 2027, 12, 24, true},
        {"New Year 2028 is a Saturday: Friday is open", 2027, 12, 31, true},
        {"New Year 2023 was a Sunday: Monday closed", 2023, 1, 2, false},
        {"Juneteenth 2022 was a Sunday: Monday closed", 2022, 6, 20, false},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct day day = day_of(rows[i].year, rows[i].month, rows[i].day);
        if (calendar_is_banking_day(&fed, day) != rows[i].is_banking_day) {
            fail_msg("%s", rows[i].reason);
        }
    }
}

/* The Federal Reserve closes ten or eleven days a year; a Saturday costs one. */
static void test_count_of_banking_days(void **state)
{
    (void)state;
    static const struct {
        int year, banking_days;
    } rows[] = {{2025, 261 - 11}, {2026, 261 - 10}, {2027, 261 - 9}, {2021, 261 - 9}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int count = 0;
        struct day end = day_of(rows[i].year + 1, 1, 1);
        for (struct day d = day_of(rows[i].year, 1, 1); d.n < end.n; d.n++) {
            count += calendar_is_banking_day(&fed, d) ? 1 : 0;
        }
        assert_int_equal(count, rows[i].banking_days);
    }
}

static void test_other_calendars(void **state)
{
    (void)state;
    struct day extra[] = {day_of(2026, 12, 24), day_of(2026, 12, 28)};
    struct calendar_settings more = {.federal_reserve = true, .extra = extra, .extra_count = 2};
    assert_true(calendar_is_banking_day(&plain, day_of(2026, 12, 25)));
    assert_false(calendar_is_banking_day(&plain, day_of(2026, 12, 26)));
    assert_false(calendar_is_banking_day(&more, day_of(2026, 12, 24)));
    assert_false(calendar_is_banking_day(&more, day_of(2026, 12, 28)));
    assert_true(calendar_is_banking_day(&more, day_of(2026, 12, 29)));
}

static void test_walking(void **state)
{
    (void)state;
    struct day extra[] = {day_of(2026, 11, 27)};
    struct calendar_settings more = {.federal_reserve = true, .extra = extra, .extra_count = 1};
    struct day wednesday = day_of(2026, 11, 25); /* Before Thanksgiving. */
    struct day thursday = day_of(2026, 11, 26);
    assert_int_equal(calendar_roll(&fed, wednesday).n, wednesday.n);
    assert_int_equal(calendar_roll(&fed, thursday).n, day_of(2026, 11, 27).n);
    assert_int_equal(calendar_roll(&more, thursday).n, day_of(2026, 11, 30).n);
    assert_int_equal(calendar_next(&fed, wednesday, 1).n, day_of(2026, 11, 27).n);
    assert_int_equal(calendar_next(&fed, wednesday, 2).n, day_of(2026, 11, 30).n);
    assert_int_equal(calendar_next(&fed, thursday, 1).n, day_of(2026, 11, 27).n);
}

/* Two tables of holidays, made in two ways, for the builder and for the verifier. */
static void test_the_verifiers_holidays(void **state)
{
    (void)state;
    for (struct day day = day_of(2000, 1, 1); day.n < day_of(2100, 1, 1).n; day.n++) {
        bool is_weekend = day_weekday(day) == 0 || day_weekday(day) == 6;
        if (!is_weekend && calendar_is_banking_day(&fed, day) == verify_is_holiday(day)) {
            char text[DAY_TEXT_SIZE];
            fail_msg("%s", day_text(day, text));
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_verifiers_holidays),
        cmocka_unit_test(test_fields_tile_every_record),
        cmocka_unit_test(test_facts),
        cmocka_unit_test(test_count_of_banking_days),
        cmocka_unit_test(test_other_calendars),
        cmocka_unit_test(test_walking),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
