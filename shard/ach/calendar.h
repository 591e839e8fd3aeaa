/* Banking days.
 *
 * Monday to Friday that is not a closed day. With federal_reserve, closed are
 * the holidays of the Federal Reserve Banks: one that falls on a Sunday closes
 * the Monday after, one on a Saturday closes nothing. Extra days of the
 * settings are closed in any case. Juneteenth counts from 2022.
 *
 * Days must lie in the years 1970 to 9999, with room for the search. */
#ifndef SHARD_ACH_CALENDAR_H
#define SHARD_ACH_CALENDAR_H

#include "proto/settings.h"

bool calendar_is_banking_day(const struct calendar_settings *c, struct day day);

/* The day itself if it is a banking day, else the next one. */
struct day calendar_roll(const struct calendar_settings *c, struct day day);

/* The n-th banking day strictly after day; n is at least 1 (CHECKed). */
struct day calendar_next(const struct calendar_settings *c, struct day day, unsigned n);

#endif
