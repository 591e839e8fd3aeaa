/* Verbs that change one routing number; see verbs_shard.c for the reads. */
#ifndef SUPERVISOR_VERBS_VERBS_SHARD_H
#define SUPERVISOR_VERBS_VERBS_SHARD_H

#include "supervisor/node/route.h"

void verb_submit(struct call *c, struct slot *s);
void verb_command(struct call *c, struct slot *s);
void verb_leader_transfer(struct call *c, struct slot *s);

#endif
