/* The effective entry date of a transfer (docs/ach.md, Dates). */
#ifndef SHARD_ACH_EFFECTIVE_H
#define SHARD_ACH_EFFECTIVE_H

#include "proto/settings.h"
#include "proto/transfer.h"

struct effective {
    struct day day;
    bool same_day; /* Goes out as a same-day entry. */
};

/* May t go into a file made on processing_day, and with which date?
 *
 * processing_day is the local day on which the file goes to the bank. For a
 * window caught up on a later day it is that later day, not the window's own:
 * a stale date would turn next-day entries into same-day ones.
 *
 *   no date, or a date not after processing_day: the next banking day; with
 *     same_day, when processing_day is a banking day and the amount is not over
 *     same_day_max: processing_day itself;
 *   a date on a weekend or holiday: rolled forward, then judged;
 *   a date later than the second banking day after processing_day (debit: the
 *     first), or, for a same_day transfer within its limit, any later day: not
 *     yet. It stays pending.
 *
 * True: out is filled. False: not eligible yet; out is untouched. */
bool effective_entry_date(const struct settings *s, const struct transfer *t, struct day processing_day,
                          struct effective *out);

#endif
