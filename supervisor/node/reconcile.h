/* The catalog on this node: its group, its model, and making the model true.
 * Lane 0 only. */
#ifndef SUPERVISOR_NODE_RECONCILE_H
#define SUPERVISOR_NODE_RECONCILE_H

#include <stddef.h>

#include "proto/base/check.h"
#include "proto/base/err.h"

struct node;

/* As group_open(), but that a damaged replica of the catalog is SG_OK: the
 * shards go on without it. */
MUST_USE enum sg_err reconcile_open_catalog(struct node *n, char *why, size_t why_size);
/* The catalog's leader brings the founders into it. */
void reconcile_tick(struct node *n);

#endif
