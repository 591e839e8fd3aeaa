/* Which entries share a batch, in which order, and how many share a file.
 *
 * Calling sequence: fill entries, ach_order() once, then until none is left
 * ach_fit(), ach_build() of that many, advance. */
#ifndef SHARD_ACH_ORDER_H
#define SHARD_ACH_ORDER_H

#include "shard/ach/file.h"

/* Sort entries by batch, then by seq. A batch is what one batch header says:
 * company name, identification and discretionary data, SEC, entry description,
 * side, effective date, same-day flag; batches are ordered by these, in this order
 * (texts as they are written, by their bytes, the rest by number). So "RENT",
 * "Rent" and "Rent " are one batch, unless the settings keep the case. Sets batch
 * of each. The result depends on the content only, not on the order given.
 *
 * Before LEVEL_WRITTEN: by the originator's name in the configuration and the
 * description as it came instead. An originator that is not in the settings is
 * one without texts. */
void ach_order(const struct settings *s, struct ach_entry *entries, size_t count);

/* How many of the leading entries (ordered by ach_order()) fit into one file:
 * max_lines with filler counted, max_file_cents for debits and for credits, and
 * trace numbers from trace_start (1 to TRACE_SEQUENCE_MAX, CHECKed) without
 * wrapping. 0 when count is 0, or when the first entry alone fits no file under
 * these settings: leave it out, ach_validate() says why. */
size_t ach_fit(const struct settings *s, const struct ach_entry *entries, size_t count, uint32_t trace_start);

#endif
