#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shard/ach/effective.h"
#include "tests/support/ach_sample.h"

/* November 2026: Thanksgiving is Thursday 26. Written as month * 100 + day. */
static struct day day_in_2026(int month_day)
{
    return month_day == 0 ? DAY_NONE : day_of(2026, month_day / 100, month_day % 100);
}

static void test_table(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        enum side side;
        int processing, wanted; /* 0: no date. */
        bool same_day;
        int64_t cents;
        int want; /* 0: not eligible. */
        bool want_same_day;
        bool over; /* The same-day deadline has passed. */
    } rows[] = {
        {"no date: the next banking day", SIDE_CREDIT, 1123, 0, false, 1, 1124, false, false},
        {"no date, debit", SIDE_DEBIT, 1123, 0, false, 1, 1124, false, false},
        {"no date before a holiday", SIDE_CREDIT, 1125, 0, false, 1, 1127, false, false},
        {"no date on a Friday", SIDE_CREDIT, 1120, 0, false, 1, 1123, false, false},
        {"no date, a window on Saturday", SIDE_CREDIT, 1121, 0, false, 1, 1123, false, false},
        {"no date, a window on a holiday", SIDE_CREDIT, 1126, 0, false, 1, 1127, false, false},

        {"a past date is the next banking day", SIDE_CREDIT, 1123, 1110, false, 1, 1124, false, false},
        {"today's date, not same-day", SIDE_CREDIT, 1123, 1123, false, 1, 1124, false, false},
        {"tomorrow", SIDE_CREDIT, 1123, 1124, false, 1, 1124, false, false},
        {"credit: two banking days ahead", SIDE_CREDIT, 1123, 1125, false, 1, 1125, false, false},
        {"credit: three are too far", SIDE_CREDIT, 1123, 1127, false, 1, 0, false, false},
        {"a holiday rolls forward and is then too far", SIDE_CREDIT, 1123, 1126, false, 1, 0, false, false},
        {"a holiday rolls forward into reach", SIDE_CREDIT, 1125, 1126, false, 1, 1127, false, false},
        {"debit: one banking day ahead", SIDE_DEBIT, 1123, 1124, false, 1, 1124, false, false},
        {"debit: two are too far", SIDE_DEBIT, 1123, 1125, false, 1, 0, false, false},
        {"a weekend rolls forward", SIDE_DEBIT, 1120, 1121, false, 1, 1123, false, false},
        {"a past weekend is just past", SIDE_CREDIT, 1123, 1121, false, 1, 1124, false, false},
        {"far away", SIDE_CREDIT, 1123, 1231, false, 1, 0, false, false},

        {"same-day: the day itself", SIDE_CREDIT, 1123, 0, true, 1, 1123, true, false},
        {"same-day debit", SIDE_DEBIT, 1123, 0, true, 1, 1123, true, false},
        {"same-day with today's date", SIDE_CREDIT, 1123, 1123, true, 1, 1123, true, false},
        {"same-day with a past date", SIDE_CREDIT, 1123, 1120, true, 1, 1123, true, false},
        {"same-day waits for its day", SIDE_CREDIT, 1123, 1124, true, 1, 0, false, false},
        {"same-day at the limit", SIDE_CREDIT, 1123, 0, true, SAME_DAY_MAX_CENTS, 1123, true, false},
        {"same-day over the limit: the next day", SIDE_CREDIT, 1123, 0, true, SAME_DAY_MAX_CENTS + 1, 1124,
         false, false},
        {"over the limit with a date: like any other", SIDE_CREDIT, 1123, 1125, true, SAME_DAY_MAX_CENTS + 1,
         1125, false, false},
        {"same-day on a Saturday: the next banking day", SIDE_CREDIT, 1121, 0, true, 1, 1123, false, false},
        {"same-day on a holiday: the next banking day", SIDE_CREDIT, 1126, 0, true, 1, 1127, false, false},
        {"after the deadline: the next banking day", SIDE_CREDIT, 1125, 0, true, 1, 1127, false, true},
        {"after the deadline, debit", SIDE_DEBIT, 1123, 1120, true, 1, 1124, false, true},
        {"after the deadline it still waits for its day", SIDE_CREDIT, 1123, 1124, true, 1, 0, false, true},
        {"after the deadline, not same-day", SIDE_CREDIT, 1123, 1125, false, 1, 1125, false, true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct transfer t = ach_sample_transfer(0);
        struct effective e = {.day = {-5}};
        t.side = rows[i].side;
        t.effective_date = day_in_2026(rows[i].wanted);
        t.same_day = rows[i].same_day;
        t.amount.n = rows[i].cents;
        struct processing p = {.day = day_in_2026(rows[i].processing), .same_day_over = rows[i].over};
        bool eligible = effective_entry_date(ach_sample_settings(), &t, p, &e);
        int32_t want = rows[i].want == 0 ? -5 : day_in_2026(rows[i].want).n;
        if (eligible != (rows[i].want != 0) || e.day.n != want || e.same_day != rows[i].want_same_day) {
            fail_msg("%s", rows[i].reason);
        }
    }
}

/* Nothing that a client can write stops the program. */
static void test_last_day_of_all(void **state)
{
    (void)state;
    struct transfer t = ach_sample_transfer(0);
    struct effective e;
    t.effective_date = day_of(9999, 12, 31);
    assert_false(effective_entry_date(ach_sample_settings(), &t,
                                      (struct processing){.day = day_of(2026, 11, 23)}, &e));
    t.effective_date = day_of(1970, 1, 1);
    assert_true(effective_entry_date(ach_sample_settings(), &t,
                                     (struct processing){.day = day_of(2026, 11, 23)}, &e));
    assert_int_equal(e.day.n, day_of(2026, 11, 24).n);
}

/* A date is never in the past, never on a closed day, and every transfer is
 * eligible on some day not after the one it asks for. */
static void test_every_date_comes(void **state)
{
    (void)state;
    const struct settings *s = ach_sample_settings();
    for (int side = SIDE_CREDIT; side <= SIDE_DEBIT; side++) {
        for (int32_t wanted = day_of(2026, 1, 20).n; wanted < day_of(2027, 1, 20).n; wanted++) {
            struct transfer t = ach_sample_transfer(0);
            struct effective e;
            t.side = (enum side)side;
            t.effective_date.n = wanted;
            struct processing p = {.day = {wanted - 15}};
            while (!effective_entry_date(s, &t, p, &e)) {
                p.day.n++;
            }
            assert_true(p.day.n < wanted);
            assert_true(e.day.n >= wanted);
            assert_true(e.day.n <= wanted + 3);
            assert_false(e.same_day);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test(test_last_day_of_all),
        cmocka_unit_test(test_every_date_comes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
