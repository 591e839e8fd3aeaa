/* Local time from a TZif file (RFC 8536), as a pure function of its bytes.
 *
 * The file is read elsewhere (/usr/share/zoneinfo/America/New_York); a node's
 * own TZ never matters. Times after the table follow the footer's rule. Files
 * with leap seconds ("right/") are refused: Unix time has none. */
#ifndef SHARD_ACH_ZONE_H
#define SHARD_ACH_ZONE_H

#include "proto/base/arena.h"
#include "proto/base/units.h"

/* When a rule changes, in a year: as in POSIX TZ. */
struct zone_change {
    enum { ZONE_JULIAN, ZONE_DAY, ZONE_WEEKDAY } kind; /* Jn (no 29 Feb), n, Mm.w.d */
    int month, week, day;                              /* day: weekday for Mm.w.d, else day of year. */
    int32_t time_s;                                    /* Local, in the offset that ends. */
};

struct zone_rule {
    bool present;
    bool has_dst;
    int32_t standard_s, dst_s; /* East of Greenwich is positive. */
    struct zone_change start, end;
};

struct zone {
    const int64_t *transitions; /* Unix seconds, ascending; in the arena. */
    const int32_t *offsets;     /* offsets[i] holds from transitions[i] on. */
    size_t count;
    int32_t first_s;       /* Before transitions[0]. */
    struct zone_rule rule; /* From the last transition on. */
};

struct zone_time {
    struct day day;
    int minute;       /* Of the day, 0 to 1439. */
    int32_t offset_s; /* Seconds east of Greenwich. */
};

/* SG_INVALID: not a TZif file of version 1 to 4, or damaged, or it has leap
 * seconds; zone is untouched. Arrays are copied into the arena. */
MUST_USE enum sg_err zone_parse(struct span tzif, struct arena *a, struct zone *zone);

/* The local reading at a moment. Days before 1970 come out as negative numbers. */
struct zone_time zone_local(const struct zone *zone, int64_t unix_ms);

/* The first moment at which the local reading is day and minute or later: a
 * time that is skipped gives the moment of the change, a time that comes twice
 * the first of the two. */
int64_t zone_unix_ms(const struct zone *zone, struct day day, int minute);

#endif
