/* Refusing what could not be built, with a reason, before it is accepted. */
#ifndef SHARD_ACH_VALIDATE_H
#define SHARD_ACH_VALIDATE_H

#include "proto/settings.h"
#include "proto/transfer.h"

/* By the rules of s->level, what must be true of a shard's settings before any file can be built: text
 * that fits its fields, a well-formed odfi and origin, limits that allow at
 * least one entry, a file name template that name_check() accepts, windows with
 * names and closes of their own, originators that exist, and balanced: false
 * (offset entries, which would balance a file, are not built).
 *
 * For apply -f and for the catalog. SG_INVALID: why (why_size bytes) is one
 * sentence naming the key as people write it. */
MUST_USE enum sg_err ach_settings_check(const struct settings *s, char *why, size_t why_size);

/* By the rules of s->level, what transfer_check() cannot judge without settings: the transfer belongs to
 * this shard, its originator is one of the shard's, it fits into a file under
 * the shard's limits, and every field fits its record (so that ach_build() can
 * rely on it).
 *
 * SG_INVALID: why (why_size bytes) is one sentence naming the key. */
MUST_USE enum sg_err ach_validate(const struct settings *s, const struct transfer *t, char *why,
                                  size_t why_size);

/* The two-digit transaction code (docs/ach.md), or 0 when there is none:
 * a debit of a loan is a reversal only, and has no prenote. */
unsigned ach_transaction_code(const struct transfer *t);

/* The shard's ODFI as eight digits: settings' odfi, by default the first eight
 * digits of the routing number. */
void ach_odfi(const struct shard_settings *s, char out[9]);

#endif
