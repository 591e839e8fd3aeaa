/* Every transfer stands in one of three buckets, and what was accepted is their
 * sum, in count and in cents of each side (I-9). */
#ifndef SHARD_STATE_COUNTERS_H
#define SHARD_STATE_COUNTERS_H

#include "proto/rows.h"

/* Another accepted transfer, pending. false: the sum would not fit; nothing changed. */
MUST_USE bool counters_accept(struct counters_row *c, enum side side, struct cents amount);
/* From one bucket to another. CHECKs that it was there. */
void counters_move(struct counters_row *c, enum transfer_state from, enum transfer_state to, enum side side,
                   struct cents amount);
/* CHECKs I-9. */
void counters_check(const struct counters_row *c);

#endif
