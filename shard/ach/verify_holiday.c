#include "shard/ach/verify_part.h"

/* The days of a month between which a holiday falls, and on which weekday (0:
 * Sunday; -1: any). What calendar.c counts out, here stands as ranges: the two
 * are not one piece of arithmetic. */
struct holiday {
    int month, first, last, weekday, from_year;
};

static const struct holiday holidays[] = {
    {1, 1, 1, -1, 0},      /* New Year's Day */
    {1, 2, 2, 1, 0},       /* the Monday after it */
    {1, 15, 21, 1, 0},     /* Martin Luther King's birthday */
    {2, 15, 21, 1, 0},     /* Washington's birthday */
    {5, 25, 31, 1, 0},     /* Memorial Day */
    {6, 19, 19, -1, 2022}, /* Juneteenth */
    {6, 20, 20, 1, 2022},  /* the Monday after it */
    {7, 4, 4, -1, 0},      /* Independence Day */
    {7, 5, 5, 1, 0},       /* the Monday after it */
    {9, 1, 7, 1, 0},       /* Labor Day */
    {10, 8, 14, 1, 0},     /* Columbus Day */
    {11, 11, 11, -1, 0},   /* Veterans Day */
    {11, 12, 12, 1, 0},    /* the Monday after it */
    {11, 22, 28, 4, 0},    /* Thanksgiving Day */
    {12, 25, 25, -1, 0},   /* Christmas Day */
    {12, 26, 26, 1, 0},    /* the Monday after it */
};

bool verify_is_holiday(struct day day)
{
    struct civil c = day_civil(day);
    int weekday = day_weekday(day);
    for (size_t i = 0; i < sizeof holidays / sizeof *holidays; i++) {
        const struct holiday *h = &holidays[i];
        if (c.month == h->month && c.day >= h->first && c.day <= h->last && c.year >= h->from_year &&
            (h->weekday < 0 || h->weekday == weekday)) {
            return true;
        }
    }
    return false;
}
