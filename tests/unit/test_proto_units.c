#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "proto/base/units.h"
#include "tests/support/test_mutate.h"

static void test_cents_add(void **state)
{
    (void)state;
    struct cents sum = {7};
    assert_int_equal(cents_add((struct cents){1}, (struct cents){2}, &sum), SG_OK);
    assert_int_equal(sum.n, 3);
    assert_int_equal(cents_add((struct cents){INT64_MAX}, (struct cents){1}, &sum), SG_INVALID);
    assert_int_equal(sum.n, 3);
    assert_int_equal(cents_add((struct cents){INT64_MAX - 1}, (struct cents){1}, &sum), SG_OK);
    assert_true(sum.n == INT64_MAX);
}

static int dumb_month_days(int year, int month)
{
    if (month == 2) {
        return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0 ? 29 : 28;
    }
    return month == 4 || month == 6 || month == 9 || month == 11 ? 30 : 31;
}

/* Counts day by day from the epoch; the fast formulas must agree all the way. */
static void test_days_against_counting(void **state)
{
    (void)state;
    struct day d = {0};
    int weekday = 4;
    for (int year = 1970; year <= 2400; year++) {
        for (int month = 1; month <= 12; month++) {
            for (int day = 1; day <= dumb_month_days(year, month); day++) {
                struct civil c = day_civil(d);
                assert_int_equal(c.year * 10000 + c.month * 100 + c.day, year * 10000 + month * 100 + day);
                assert_int_equal(day_of(year, month, day).n, d.n);
                assert_int_equal(day_weekday(d), weekday);
                d.n++;
                weekday = (weekday + 1) % 7;
            }
        }
    }
}

static void test_day_texts(void **state)
{
    (void)state;
    for (int32_t n = 0; n <= DAY_MAX; n += 97) {
        char text[DAY_TEXT_SIZE];
        struct day parsed = {0};
        assert_int_equal(day_parse(span_str(day_text((struct day){n}, text)), &parsed), SG_OK);
        assert_int_equal(parsed.n, n);
    }
    char text[DAY_TEXT_SIZE];
    assert_string_equal(day_text(DAY_NONE, text), "");
    assert_string_equal(day_text((struct day){DAY_MAX}, text), "9999-12-31");
}

static void test_day_parse(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const char *text;
        enum sg_err err;
        int32_t n;
    } rows[] = {
        {"the epoch", "1970-01-01", SG_OK, 0},
        {"a leap day", "2000-02-29", SG_OK, 11016},
        {"a day of now", "2026-11-23", SG_OK, 20780},
        {"before the epoch", "1969-12-31", SG_INVALID, 0},
        {"1900 rule: 2100 is no leap year", "2100-02-29", SG_INVALID, 0},
        {"month 0", "2026-00-10", SG_INVALID, 0},
        {"month 13", "2026-13-10", SG_INVALID, 0},
        {"day 0", "2026-11-00", SG_INVALID, 0},
        {"the 31st of a short month", "2026-11-31", SG_INVALID, 0},
        {"no leading zero", "2026-1-010", SG_INVALID, 0},
        {"a sign is not a digit", "2026-11--3", SG_INVALID, 0},
        {"a plus is not a digit", "+026-11-23", SG_INVALID, 0},
        {"other separators", "2026/11/23", SG_INVALID, 0},
        {"trailing space", "2026-11-23 ", SG_INVALID, 0},
        {"too short", "2026-11-2", SG_INVALID, 0},
        {"nothing", "", SG_INVALID, 0},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct day d = {-7};
        enum sg_err err = day_parse(span_str(rows[i].text), &d);
        if (err != rows[i].err || (err == SG_OK && d.n != rows[i].n)) {
            fail_msg("%s: %s gives %s, day %d", rows[i].why, rows[i].text, sg_err_name(err), d.n);
        }
    }
}

/* The rule in its other form: all nine digits weighted make a multiple of ten. */
static bool dumb_aba_is_right(uint32_t nine)
{
    unsigned sum = 0;
    unsigned weight[9] = {1, 7, 3, 1, 7, 3, 1, 7, 3};
    for (int i = 0; i < 9; i++) {
        sum += weight[i] * (nine % 10);
        nine /= 10;
    }
    return sum % 10 == 0;
}

static void test_check_digit_against_the_rule(void **state)
{
    (void)state;
    uint64_t seed = 20261123;
    for (int i = 0; i < 200000; i++) {
        uint32_t eight = (uint32_t)(test_random(&seed) % 100000000);
        unsigned right = aba_check_digit(eight);
        for (unsigned digit = 0; digit < 10; digit++) {
            assert_int_equal(dumb_aba_is_right(eight * 10 + digit), digit == right);
        }
    }
}

static void test_aba_parse(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const char *text;
        const char *fault; /* A part of the sentence; NULL: good. */
    } rows[] = {
        {"a common one", "231380104", NULL},
        {"the example of the check digit", "076401251", NULL},
        {"leading zeros", "011000015", NULL},
        {"wrong check digit", "231380105", "check digit"},
        {"two digits swapped", "213380104", "check digit"},
        {"eight digits", "23138010", "nine digits"},
        {"ten digits", "2313801040", "nine digits"},
        {"nothing", "", "nine digits"},
        {"a letter", "23138010A", "digits only"},
        {"a space", "23138 104", "digits only"},
        {"all zeros have a right check digit", "000000000", "all zeros"},
        {"prefix 13 does not exist", "130000006", "two digits"},
        {"prefix 73 does not exist", "730000008", "two digits"},
        {"prefix 81 does not exist", "810000009", "two digits"},
        {"prefix 80 does", "800000006", NULL},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct aba a = {0};
        const char *why = "";
        enum sg_err err = aba_parse(span_str(rows[i].text), &a, &why);
        if (rows[i].fault == NULL) {
            char text[ABA_TEXT_SIZE];
            if (err != SG_OK) {
                fail_msg("%s: %s", rows[i].why, why);
            }
            assert_string_equal(aba_text(a, text), rows[i].text);
        } else if (err != SG_INVALID || strstr(why, rows[i].fault) == NULL) {
            fail_msg("%s: %s, '%s'", rows[i].why, sg_err_name(err), why);
        }
    }
    struct aba a = {0};
    assert_int_equal(aba_parse(span_str("x"), &a, NULL), SG_INVALID);
}

static void test_time_text(void **state)
{
    (void)state;
    static const struct {
        int64_t ms;
        const char *text;
    } rows[] = {
        {0, "1970-01-01T00:00:00.000Z"},       {1795446000123, "2026-11-23T15:00:00.123Z"},
        {-1, "1969-12-31T23:59:59.999Z"},      {INT64_MAX, "9223372036854775807ms"},
        {INT64_MIN, "-9223372036854775808ms"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char text[TIME_TEXT_SIZE];
        assert_string_equal(time_text(rows[i].ms, text), rows[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cents_add),
        cmocka_unit_test(test_days_against_counting),
        cmocka_unit_test(test_day_texts),
        cmocka_unit_test(test_day_parse),
        cmocka_unit_test(test_check_digit_against_the_rule),
        cmocka_unit_test(test_aba_parse),
        cmocka_unit_test(test_time_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
