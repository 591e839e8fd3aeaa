/* What each verb does on a node: the run and done_before of the table (table.h). */
#ifndef SUPERVISOR_VERBS_VERBS_H
#define SUPERVISOR_VERBS_VERBS_H

#include "supervisor/node/call.h"

/* --- verbs_node.c: any node, from what it knows itself. ------------------------- */
void verb_ping(struct call *c, struct lane_slot *slot);
void verb_status(struct call *c, struct lane_slot *slot);
void verb_nodes_list(struct call *c, struct lane_slot *slot);
void verb_nodes_show(struct call *c, struct lane_slot *slot);
void verb_shards_list(struct call *c, struct lane_slot *slot);
void verb_export(struct call *c, struct lane_slot *slot);

/* --- verbs_catalog.c ------------------------------------------------------------ */
void verb_apply(struct call *c, struct lane_slot *slot);

/* --- verbs_upgrade.c ------------------------------------------------------------ */
void verb_upgrade_status(struct call *c, struct lane_slot *slot);
void verb_upgrade_finalize(struct call *c, struct lane_slot *slot);

/* --- verbs_shard.c: reads of one routing number --------------------------------- */
void verb_leader_show(struct call *c, struct lane_slot *slot);
/* The table's view, on a read worker. */
void verb_read(struct call *c, struct lane_slot *slot);

/* --- verbs_change.c: changes of one routing number ------------------------------- */
void verb_submit(struct call *c, struct lane_slot *slot);
void verb_command(struct call *c, struct lane_slot *slot);
void verb_leader_transfer(struct call *c, struct lane_slot *slot);
bool verb_closed_before(struct call *c, enum sg_err err, const char *text);

#endif
