/* The catalog's settings and its level into the shard's log. Private to shard/.
 *
 * Building a file depends on replicated rows only (I-3), so what the catalog
 * says of a shard counts from the moment its leader's SETTINGS command is
 * applied. New settings wait until no window of the old ones is overdue. So it is
 * with the level (proto/level.h), which goes first: settings may need it. */
#ifndef SHARD_DUTIES_CONFIGURE_H
#define SHARD_DUTIES_CONFIGURE_H

#include "shard/duties/windows.h"

struct configure {
    struct duty_env *env;
    struct windows *windows;
    struct task timer; /* After a failure. */
    bool busy;
    bool is_stale; /* The settings of the log are newer than what could be read. */
    uint64_t proposed_version;
    uint64_t refused_version; /* Refused by apply: not proposed again by this leader. */
    uint32_t tries;
};

void configure_init(struct configure *c, struct duty_env *env, struct windows *windows);
void configure_start(struct configure *c);
void configure_stop(struct configure *c);
/* Propose the catalog's level and settings if they are newer than the log's. */
void configure_look(struct configure *c);

#endif
