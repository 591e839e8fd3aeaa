#include "shard/ach/calendar.h"

enum { SUNDAY, MONDAY, TUESDAY, WEDNESDAY, THURSDAY, FRIDAY, SATURDAY };
enum { NTH_LAST = 5 };

#define JUNETEENTH_FROM_YEAR 2022

struct fixed_holiday {
    int month, day, from_year;
};

static const struct fixed_holiday fixed_holidays[] = {
    {1, 1, 0},                     /* New Year's Day */
    {6, 19, JUNETEENTH_FROM_YEAR}, /* Juneteenth */
    {7, 4, 0},                     /* Independence Day */
    {11, 11, 0},                   /* Veterans Day */
    {12, 25, 0},                   /* Christmas Day */
};

struct floating_holiday {
    int month, nth, weekday;
};

static const struct floating_holiday floating_holidays[] = {
    {1, 3, MONDAY},        /* Martin Luther King's birthday */
    {2, 3, MONDAY},        /* Washington's birthday */
    {5, NTH_LAST, MONDAY}, /* Memorial Day */
    {9, 1, MONDAY},        /* Labor Day */
    {10, 2, MONDAY},       /* Columbus Day */
    {11, 4, THURSDAY},     /* Thanksgiving Day */
};

static bool is_fixed_holiday(struct day day)
{
    struct civil c = day_civil(day);
    for (size_t i = 0; i < sizeof fixed_holidays / sizeof *fixed_holidays; i++) {
        const struct fixed_holiday *h = &fixed_holidays[i];
        if (c.month == h->month && c.day == h->day && c.year >= h->from_year) {
            return true;
        }
    }
    return false;
}

static bool is_floating_holiday(struct day day)
{
    struct civil c = day_civil(day);
    int nth = (c.day - 1) / 7 + 1;
    for (size_t i = 0; i < sizeof floating_holidays / sizeof *floating_holidays; i++) {
        const struct floating_holiday *h = &floating_holidays[i];
        /* The only last weekday in the table is of a month with 31 days. */
        bool right_nth = h->nth == NTH_LAST ? c.day > 31 - 7 : nth == h->nth;
        if (c.month == h->month && day_weekday(day) == h->weekday && right_nth) {
            return true;
        }
    }
    return false;
}

static bool is_federal_holiday(struct day day)
{
    struct day yesterday = {day.n - 1};
    return is_fixed_holiday(day) || is_floating_holiday(day) ||
           (day_weekday(day) == MONDAY && is_fixed_holiday(yesterday));
}

static bool is_extra(const struct calendar_settings *c, struct day day)
{
    for (size_t i = 0; i < c->extra_count; i++) {
        if (c->extra[i].n == day.n) {
            return true;
        }
    }
    return false;
}

bool calendar_is_banking_day(const struct calendar_settings *c, struct day day)
{
    int weekday = day_weekday(day);
    if (weekday == SATURDAY || weekday == SUNDAY) {
        return false;
    }
    return !(c->federal_reserve && is_federal_holiday(day)) && !is_extra(c, day);
}

/* Extra days are a finite list, so each of these searches ends. */
struct day calendar_roll(const struct calendar_settings *c, struct day day)
{
    while (!calendar_is_banking_day(c, day)) {
        day.n++;
    }
    return day;
}

struct day calendar_next(const struct calendar_settings *c, struct day day, unsigned n)
{
    CHECK(n > 0);
    while (n > 0) {
        day.n++;
        n -= calendar_is_banking_day(c, day) ? 1 : 0;
    }
    return day;
}
