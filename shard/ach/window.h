/* When windows close. Times are Unix milliseconds; days are local to the
 * shard's zone. A window closes on banking days of the shard's calendar, or on
 * every day (shard.every_day). */
#ifndef SHARD_ACH_WINDOW_H
#define SHARD_ACH_WINDOW_H

#include "proto/settings.h"
#include "shard/ach/zone.h"

/* One window of one day. */
struct window_time {
    size_t window; /* Index into shard.windows. */
    struct day day;
    int64_t close_ms;
};

bool window_is_day(const struct settings *s, struct day day);

/* When window i (CHECKed) of day closes, whether or not the day has windows. */
int64_t window_close_ms(const struct shard_settings *s, const struct zone *zone, struct day day, size_t i);

/* The deadline of upload_by on that day (the next day when upload_by is not
 * later than the close), or INT64_MAX when none is set. */
int64_t window_upload_by_ms(const struct shard_settings *s, const struct zone *zone, struct day day,
                            size_t i);

/* Until when a missed window may still be closed late under upload_late_until:
 * late_until on the window's day; at least its close. */
int64_t window_late_until_ms(const struct shard_settings *s, const struct zone *zone, struct day day,
                             size_t i);

/* The last moment of day at which a same-day entry can still be dated with it:
 * same_day_deadline in the shard's zone, or, where none is set, 16:45 in New York,
 * the last FedACH deadline. */
int64_t window_same_day_until_ms(const struct shard_settings *s, const struct zone *zone, struct day day);

/* The first window that closes at or after now_ms (equal closes: the one first
 * in the settings). To walk on, ask again from close_ms + 1.
 * SG_NOTFOUND: the shard has no windows, or none within a year, or now_ms is no
 * sensible time (before 1971). */
MUST_USE enum sg_err window_next(const struct settings *s, const struct zone *zone, int64_t now_ms,
                                 struct window_time *out);

#endif
