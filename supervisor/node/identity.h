/* What a data directory knows of itself: its identity, whose it is, and the
 * identities of all founding members once the cluster is formed. */
#ifndef SUPERVISOR_NODE_IDENTITY_H
#define SUPERVISOR_NODE_IDENTITY_H

#include "proto/frame.h"

struct node;

#define META_MEMBERS "members" /* Records of a founder's id and its directory's identity. */
#define MEMBER_RECORD_SIZE (8 + IDENTITY_SIZE)

/* Reads or makes this directory's identity and, if formed, the members' ones.
 * One commit in each store: what was read is durable when it returns SG_OK.
 * SG_REFUSED, SG_CORRUPT, SG_IO: why says which and what to do. */
MUST_USE enum sg_err identity_load(struct node *n, char *why, size_t why_size);

#endif
