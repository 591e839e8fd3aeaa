/* The system's time zones, loaded by name and kept. Thread-safe. */
#ifndef SUPERVISOR_DAEMON_ZONEINFO_H
#define SUPERVISOR_DAEMON_ZONEINFO_H

#include "shard/ach/zone.h"

/* "America/New_York": the zone, valid until the process ends; NULL when the
 * system has no such file or it cannot be understood. impl is not used. */
const struct zone *zoneinfo_get(void *impl, struct span name);

#endif
