/* The effective entry date of a transfer (docs/ach.md, Dates). */
#ifndef SHARD_ACH_EFFECTIVE_H
#define SHARD_ACH_EFFECTIVE_H

#include "proto/settings.h"
#include "proto/transfer.h"

struct effective {
    struct day day;
    bool same_day; /* Goes out as a same-day entry. */
};

/* When a file is made.
 *
 * day is the local day on which the file is sealed. For a window that was closed
 * on an earlier day it is the day of the sealing, not the window's own: a stale
 * date would turn next-day entries into same-day ones.
 * same_day_over: the last same-day deadline of that day has passed
 * (window_same_day_until_ms()). */
struct processing {
    struct day day;
    bool same_day_over;
};

/* May t go into a file made then, and with which date?
 *
 *   no date, or a date not after the day: the next banking day; with same_day,
 *     when the day is a banking day, its same-day deadline has not passed and the
 *     amount is not over same_day_max: the day itself;
 *   a date on a weekend or holiday: rolled forward, then judged;
 *   a date later than the second banking day after the day (debit: the first),
 *     or, for a same_day transfer within its limit, any later day: not yet. It
 *     stays pending.
 *
 * What may go on one day may go on every later one, and the deadline has no part
 * in it. True: out is filled. False: not eligible yet; out is untouched. */
bool effective_entry_date(const struct settings *s, const struct transfer *t, struct processing p,
                          struct effective *out);

#endif
