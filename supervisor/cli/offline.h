/* Reading a node's data directory: the same requests, answered from the files.
 *
 * DIR holds lane-0, lane-1 ..., each an LMDB environment, of a running node, a
 * stopped one, or a dead machine. Opened read-only, each in a child process of its
 * own, because a file that is damaged or cut short may kill whoever reads it;
 * then the answer says so. What is read is this replica's state, which may lie
 * behind the leader's. */
#ifndef SUPERVISOR_CLI_OFFLINE_H
#define SUPERVISOR_CLI_OFFLINE_H

#include "proto/client.h"

/* Returns out->err; out lives in a. Blocks. Forks: the process may have no other
 * threads. Beside what each request answers online:
 *   SG_NOTFOUND     DIR is no data directory, or does not hold this shard.
 *   SG_CORRUPT      damage; with REQUEST_SHARDS_LIST out->json holds what could
 *                   be read, with "damaged":[{"lane","text"}].
 *   SG_UNSUPPORTED  this request needs a running node. */
enum sg_err offline_call(const char *dir, const struct request *r, struct arena *a, struct reply *out);

/* What one lane could say about a request. The numbers are the child's exit status. */
enum lane_found {
    LANE_ANSWERED = 0,
    LANE_HAS_NOT = 3,   /* It does not hold the request's shard; no reply. */
    LANE_UNREADABLE = 4 /* The reply says why; it might hold the shard. */
};

/* The part that runs in the child, on the environment of one lane: reply gets an
 * encoded reply. */
enum lane_found offline_read(const char *lane_dir, const struct request *r, struct bytes *reply);

#endif
