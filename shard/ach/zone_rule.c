#include "shard/ach/zone_rule.h"

#define DAY_S 86400
#define CHANGE_TIME_DEFAULT_S 7200
#define YEAR_MIN 1970 /* The calendar of proto/base/units.h. */
#define YEAR_MAX 9998

/* What is left of the text. */
struct cursor {
    struct span rest;
};

static int peek(const struct cursor *c)
{
    return c->rest.n > 0 ? c->rest.p[0] : -1;
}

static void skip(struct cursor *c)
{
    c->rest.p++;
    c->rest.n--;
}

static bool take(struct cursor *c, int wanted)
{
    if (peek(c) != wanted) {
        return false;
    }
    skip(c);
    return true;
}

static bool is_letter(int c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
}

static bool is_digit(int c)
{
    return c >= '0' && c <= '9';
}

/* "EST" or "<-03>": at least three characters. */
static bool take_name(struct cursor *c)
{
    size_t n = 0;
    bool quoted = take(c, '<');
    while (is_letter(peek(c)) || (quoted && (is_digit(peek(c)) || peek(c) == '+' || peek(c) == '-'))) {
        skip(c);
        n++;
    }
    return n >= 3 && (!quoted || take(c, '>'));
}

static bool take_number(struct cursor *c, int low, int high, int *out)
{
    int n = 0;
    if (!is_digit(peek(c))) {
        return false;
    }
    while (is_digit(peek(c)) && n <= high) {
        n = n * 10 + (peek(c) - '0');
        skip(c);
    }
    *out = n;
    return n >= low && n <= high;
}

/* [+-]hh[:mm[:ss]] in seconds. */
static bool take_time(struct cursor *c, int hours_max, int32_t *out)
{
    int hours = 0;
    int minutes = 0;
    int seconds = 0;
    int sign = take(c, '-') ? -1 : 1;
    if (sign == 1) {
        (void)take(c, '+');
    }
    if (!take_number(c, 0, hours_max, &hours)) {
        return false;
    }
    if (take(c, ':')) {
        if (!take_number(c, 0, 59, &minutes) || (take(c, ':') && !take_number(c, 0, 59, &seconds))) {
            return false;
        }
    }
    *out = sign * (hours * 3600 + minutes * 60 + seconds);
    return true;
}

static bool take_date(struct cursor *c, struct zone_change *out)
{
    if (take(c, 'M')) {
        out->kind = ZONE_WEEKDAY;
        return take_number(c, 1, 12, &out->month) && take(c, '.') && take_number(c, 1, 5, &out->week) &&
               take(c, '.') && take_number(c, 0, 6, &out->day);
    }
    if (take(c, 'J')) {
        out->kind = ZONE_JULIAN;
        return take_number(c, 1, 365, &out->day);
    }
    out->kind = ZONE_DAY;
    return take_number(c, 0, 365, &out->day);
}

static bool take_change(struct cursor *c, struct zone_change *out)
{
    out->time_s = CHANGE_TIME_DEFAULT_S;
    return take(c, ',') && take_date(c, out) && (!take(c, '/') || take_time(c, 167, &out->time_s));
}

bool zone_rule_parse(struct span text, struct zone_rule *out)
{
    struct cursor c = {text};
    struct zone_rule rule = {.present = text.n > 0};
    int32_t west_s = 0;
    if (!rule.present) {
        *out = rule;
        return true;
    }
    if (!take_name(&c) || !take_time(&c, 24, &west_s)) {
        return false;
    }
    rule.standard_s = -west_s;
    if (c.rest.n > 0) {
        rule.has_dst = true;
        rule.dst_s = rule.standard_s + 3600;
        if (!take_name(&c)) {
            return false;
        }
        if (peek(&c) != ',') {
            if (!take_time(&c, 24, &west_s)) {
                return false;
            }
            rule.dst_s = -west_s;
        }
        if (!take_change(&c, &rule.start) || !take_change(&c, &rule.end) || c.rest.n > 0) {
            return false;
        }
    }
    *out = rule;
    return true;
}

static bool is_leap(int year)
{
    return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static struct day change_day(const struct zone_change *change, int year)
{
    struct day january = day_of(year, 1, 1);
    if (change->kind == ZONE_DAY) {
        return (struct day){january.n + change->day};
    }
    if (change->kind == ZONE_JULIAN) { /* 1 March is day 60, always. */
        return (struct day){january.n + change->day - 1 + (is_leap(year) && change->day >= 60 ? 1 : 0)};
    }
    struct day first = day_of(year, change->month, 1);
    struct day next = change->month == 12 ? day_of(year + 1, 1, 1) : day_of(year, change->month + 1, 1);
    int ahead = (change->day - day_weekday(first) + 7) % 7;
    struct day day = {first.n + ahead + (change->week - 1) * 7};
    return day.n < next.n ? day : (struct day){day.n - 7}; /* Week 5 is the last. */
}

/* The moment of a change, whose time is told in the offset that ends with it. */
static int64_t change_s(const struct zone_change *change, int year, int32_t offset_s)
{
    return (int64_t)change_day(change, year).n * DAY_S + change->time_s - offset_s;
}

static int year_of(int64_t t)
{
    int64_t day = t / DAY_S;
    if (day < 366) {
        return YEAR_MIN;
    }
    return day > 2932500 ? YEAR_MAX : day_civil((struct day){(int32_t)day}).year;
}

/* A change may reach a week into the neighbouring years, and daylight saving
 * time may last over New Year (the south) or all year. So look at the changes of
 * three years: the last one at or before t says what holds, the first one after
 * t when it ends. At the same moment the start of a new stretch wins. */
int32_t zone_rule_at(const struct zone_rule *rule, int64_t t, int64_t *end_s)
{
    int32_t offset_s = rule->standard_s;
    int64_t last_s = INT64_MIN;
    *end_s = INT64_MAX;
    if (!rule->has_dst) {
        return offset_s;
    }
    int year = year_of(t);
    for (int y = year > YEAR_MIN ? year - 1 : year; y <= year + 1 && y <= YEAR_MAX; y++) {
        int64_t start_s = change_s(&rule->start, y, rule->standard_s);
        int64_t stop_s = change_s(&rule->end, y, rule->dst_s);
        if (stop_s <= t && stop_s > last_s) {
            last_s = stop_s;
            offset_s = rule->standard_s;
        }
        if (start_s <= t && start_s >= last_s) {
            last_s = start_s;
            offset_s = rule->dst_s;
        }
        *end_s = start_s > t && start_s < *end_s ? start_s : *end_s;
        *end_s = stop_s > t && stop_s < *end_s ? stop_s : *end_s;
    }
    return offset_s;
}
