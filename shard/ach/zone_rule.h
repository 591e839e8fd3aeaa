/* The rule in a TZif footer: a POSIX TZ string with the extensions of RFC 8536
 * (names in <>, hours of changes from -167 to 167). Part of zone.c. */
#ifndef SHARD_ACH_ZONE_RULE_H
#define SHARD_ACH_ZONE_RULE_H

#include "shard/ach/zone.h"

/* An empty text is no rule: out->present is false. False: not such a rule; a
 * daylight saving time without its dates is refused, since what it means is left
 * open by the standard. */
bool zone_rule_parse(struct span text, struct zone_rule *out);

/* The offset at t (Unix seconds), and when it ends (INT64_MAX: never). The rule
 * must be present. */
int32_t zone_rule_at(const struct zone_rule *rule, int64_t t, int64_t *end_s);

#endif
