#include "shard/ach/window.h"

#include "proto/base/limits.h"
#include "shard/ach/calendar.h"
#include "shard/ach/zone_rule.h"

/* The Federal Reserve's last same-day deadline, in its own time. Written out as a
 * rule, so that it needs no zone file: a shard may live in another zone. */
#define FEDACH_ZONE "EST5EDT,M3.2.0,M11.1.0"
#define FEDACH_SAME_DAY_MINUTE (16 * 60 + 45)

/* A clock outside of these days is wrong; nothing is due by it. */
#define DAY_FIRST 366    /* 1971 */
#define DAY_LAST 2932000 /* 9997 */

static bool is_sane(struct day day)
{
    return day.n >= DAY_FIRST && day.n <= DAY_LAST;
}

bool window_is_day(const struct settings *s, struct day day)
{
    return s->shard.every_day || calendar_is_banking_day(&s->calendar, day);
}

int64_t window_close_ms(const struct shard_settings *s, const struct zone *zone, struct day day, size_t i)
{
    CHECK(i < s->windows_count);
    return zone_unix_ms(zone, day, s->windows[i].close_minute);
}

int64_t window_upload_by_ms(const struct shard_settings *s, const struct zone *zone, struct day day, size_t i)
{
    CHECK(i < s->windows_count);
    const struct window_settings *w = &s->windows[i];
    if (w->upload_by_minute < 0) {
        return INT64_MAX;
    }
    struct day until = {day.n + (w->upload_by_minute > w->close_minute ? 0 : 1)};
    return zone_unix_ms(zone, until, w->upload_by_minute);
}

int64_t window_late_until_ms(const struct shard_settings *s, const struct zone *zone, struct day day,
                             size_t i)
{
    int64_t close_ms = window_close_ms(s, zone, day, i);
    int64_t late_ms = zone_unix_ms(zone, day, s->late_until_minute);
    return late_ms > close_ms ? late_ms : close_ms;
}

int64_t window_same_day_until_ms(const struct shard_settings *s, const struct zone *zone, struct day day)
{
    if (s->same_day_deadline_minute != 0) {
        return zone_unix_ms(zone, day, s->same_day_deadline_minute);
    }
    struct zone eastern = {.count = 0};
    bool parsed = zone_rule_parse(span_str(FEDACH_ZONE), &eastern.rule);
    CHECK(parsed);
    return zone_unix_ms(&eastern, day, FEDACH_SAME_DAY_MINUTE);
}

/* The first close of a day at or after from_ms. */
static bool first_of_day(const struct settings *s, const struct zone *zone, struct day day, int64_t from_ms,
                         struct window_time *out)
{
    bool found = false;
    for (size_t i = 0; i < s->shard.windows_count; i++) {
        int64_t close_ms = window_close_ms(&s->shard, zone, day, i);
        if (close_ms >= from_ms && (!found || close_ms < out->close_ms)) {
            *out = (struct window_time){.window = i, .day = day, .close_ms = close_ms};
            found = true;
        }
    }
    return found;
}

enum sg_err window_next(const struct settings *s, const struct zone *zone, int64_t now_ms,
                        struct window_time *out)
{
    struct day day = zone_local(zone, now_ms).day;
    for (int i = 0; i < SEARCH_DAYS_MAX && is_sane(day); i++, day.n++) {
        if (window_is_day(s, day) && first_of_day(s, zone, day, now_ms, out)) {
            return SG_OK;
        }
    }
    return SG_NOTFOUND;
}
