#include "proto/base/units.h"

#include <stdio.h>
#include <string.h>

#define DAYS_BEFORE_1970 719468 /* From 0000-03-01, where a year ends with its leap day. */
#define DAYS_PER_400_YEARS 146097
#define DAY_MS 86400000

enum sg_err cents_add(struct cents a, struct cents b, struct cents *sum)
{
    int64_t n = 0;
    CHECK(a.n >= 0);
    CHECK(b.n >= 0);
    if (__builtin_add_overflow(a.n, b.n, &n)) {
        return SG_INVALID;
    }
    sum->n = n;
    return SG_OK;
}

/* Years are counted from March, so that the leap day is the last of its year
 * and the days before a month follow one linear formula. */
static struct civil civil_of(int64_t days)
{
    int64_t z = days + DAYS_BEFORE_1970;
    int64_t era = z / DAYS_PER_400_YEARS;
    int64_t day_of_era = z % DAYS_PER_400_YEARS;
    int64_t year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    int64_t day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    int64_t month_from_march = (5 * day_of_year + 2) / 153;
    int64_t month = month_from_march < 10 ? month_from_march + 3 : month_from_march - 9;
    return (struct civil){
        .year = (int)(era * 400 + year_of_era + (month <= 2 ? 1 : 0)),
        .month = (int)month,
        .day = (int)(day_of_year - (153 * month_from_march + 2) / 5 + 1),
    };
}

static int64_t days_of(int year, int month, int day)
{
    int64_t y = month <= 2 ? year - 1 : year;
    int64_t era = y / 400;
    int64_t year_of_era = y % 400;
    int64_t month_from_march = month > 2 ? month - 3 : month + 9;
    int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    int64_t day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    return era * DAYS_PER_400_YEARS + day_of_era - DAYS_BEFORE_1970;
}

struct civil day_civil(struct day d)
{
    CHECK(d.n >= 0);
    CHECK(d.n <= DAY_MAX);
    return civil_of(d.n);
}

static bool is_civil(int year, int month, int day)
{
    static const int month_days[13] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (year < 1970 || year > 9999 || month < 1 || month > 12 || day < 1) {
        return false;
    }
    bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    return day <= month_days[month] + (month == 2 && leap ? 1 : 0);
}

struct day day_of(int year, int month, int day)
{
    CHECK(is_civil(year, month, day));
    return (struct day){(int32_t)days_of(year, month, day)};
}

int day_weekday(struct day d)
{
    CHECK(d.n >= 0);
    return (d.n + 4) % 7; /* 1970-01-01 was a Thursday. */
}

/* The number written in n digits at p, or -1. */
static int digits_value(const uint8_t *p, size_t n)
{
    int value = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i] < '0' || p[i] > '9') {
            return -1;
        }
        value = value * 10 + (p[i] - '0');
    }
    return value;
}

enum sg_err day_parse(struct span text, struct day *out)
{
    if (text.n != DAY_TEXT_SIZE - 1 || text.p[4] != '-' || text.p[7] != '-') {
        return SG_INVALID;
    }
    int year = digits_value(text.p, 4);
    int month = digits_value(text.p + 5, 2);
    int day = digits_value(text.p + 8, 2);
    if (!is_civil(year, month, day)) {
        return SG_INVALID;
    }
    *out = day_of(year, month, day);
    return SG_OK;
}

/* n decimal digits of value at p, leading zeros included. */
static void digits_put(char *p, size_t n, unsigned value)
{
    while (n > 0) {
        p[--n] = (char)('0' + value % 10);
        value /= 10;
    }
    CHECK(value == 0);
}

char *day_text(struct day d, char out[DAY_TEXT_SIZE])
{
    if (day_is_none(d)) {
        out[0] = '\0';
        return out;
    }
    struct civil c = day_civil(d);
    memcpy(out, "0000-00-00", DAY_TEXT_SIZE);
    digits_put(out, 4, (unsigned)c.year);
    digits_put(out + 5, 2, (unsigned)c.month);
    digits_put(out + 8, 2, (unsigned)c.day);
    return out;
}

unsigned aba_check_digit(uint32_t first_eight)
{
    static const unsigned weights[8] = {3, 7, 1, 3, 7, 1, 3, 7};
    unsigned sum = 0;
    CHECK(first_eight <= 99999999);
    for (size_t i = 8; i > 0; i--) {
        sum += weights[i - 1] * (first_eight % 10);
        first_eight /= 10;
    }
    return (10 - sum % 10) % 10;
}

static bool aba_has_known_prefix(uint32_t n)
{
    uint32_t prefix = n / 10000000;
    return prefix <= 12 || (prefix >= 21 && prefix <= 32) || (prefix >= 61 && prefix <= 72) || prefix == 80;
}

static const char *aba_fault(struct span text, uint32_t *n)
{
    if (text.n != ABA_TEXT_SIZE - 1) {
        return "a routing number has exactly nine digits";
    }
    int value = digits_value(text.p, text.n);
    if (value < 0) {
        return "a routing number has digits only";
    }
    *n = (uint32_t)value;
    if (*n == 0) {
        return "a routing number is not all zeros";
    }
    if (!aba_has_known_prefix(*n)) {
        return "no routing number begins with these two digits";
    }
    if (aba_check_digit(*n / 10) != *n % 10) {
        return "the check digit of the routing number is wrong";
    }
    return NULL;
}

enum sg_err aba_parse(struct span text, struct aba *out, const char **why)
{
    uint32_t n = 0;
    const char *fault = aba_fault(text, &n);
    if (fault != NULL) {
        if (why != NULL) {
            *why = fault;
        }
        return SG_INVALID;
    }
    out->n = n;
    return SG_OK;
}

char *aba_text(struct aba a, char out[ABA_TEXT_SIZE])
{
    digits_put(out, ABA_TEXT_SIZE - 1, a.n);
    out[ABA_TEXT_SIZE - 1] = '\0';
    return out;
}

char *time_text(int64_t unix_ms, char out[TIME_TEXT_SIZE])
{
    int64_t days = unix_ms / DAY_MS;
    int64_t ms = unix_ms % DAY_MS;
    if (ms < 0) {
        ms += DAY_MS;
        days--;
    }
    /* A clock that stands outside of these years is wrong, but a log line must not die of it. */
    if (days < -DAYS_BEFORE_1970 || days > DAY_MAX) {
        (void)snprintf(out, TIME_TEXT_SIZE, "%lldms", (long long)unix_ms);
        return out;
    }
    struct civil c = civil_of(days);
    memcpy(out, "0000-00-00T00:00:00.000Z", 25);
    digits_put(out, 4, (unsigned)c.year);
    digits_put(out + 5, 2, (unsigned)c.month);
    digits_put(out + 8, 2, (unsigned)c.day);
    digits_put(out + 11, 2, (unsigned)(ms / 3600000));
    digits_put(out + 14, 2, (unsigned)(ms / 60000 % 60));
    digits_put(out + 17, 2, (unsigned)(ms / 1000 % 60));
    digits_put(out + 20, 3, (unsigned)(ms % 1000));
    return out;
}
