/* Calls to a cluster, as the tool and the public library (public.c) make them.
 *
 * One handle may be used by many threads at once; each call blocks its thread.
 * Real time and real connections: never on a lane. */
#ifndef SUPERVISOR_CLIENT_CLIENT_H
#define SUPERVISOR_CLIENT_CLIENT_H

#include "proto/client.h"

struct client;
struct gather;

/* addresses: separated by commas; one without a scheme is taken as tcp. Starts
 * to connect and does not wait. SG_INVALID, SG_IO: why is a sentence. */
MUST_USE enum sg_err client_new(const char *addresses, struct client **out, char *why, size_t why_size);
/* No call may be under way. NULL is allowed. */
void client_free(struct client *c);

/* Ask the cluster and wait. r->timeout_ms (0: REQUEST_TIMEOUT_MS) bounds the
 * whole call with connecting and repeating; each try carries what is left of it.
 *
 * Returns out->err. out and its spans live in a. With an error, out->text is
 * a sentence, also when it arose here:
 *   SG_INVALID      r does not suit its encoding's limits; nothing was sent.
 *   SG_TOOBIG       r is over REQUEST_SIZE_MAX_BYTES; nothing was sent.
 *   SG_UNAVAILABLE  no node, leader or quorum was reached: not done.
 *   SG_UNKNOWN      it left and no answer came, and it must not be repeated
 *                   blindly or the time was over: done or not.
 * Repeated on SG_NOTLEADER, SG_UNAVAILABLE, SG_BUSY and SG_STOPPED until the
 * time is over; after a broken connection, a node's silence or SG_UNKNOWN only
 * when verb_is_repeatable() (supervisor/verbs/table.h). */
enum sg_err client_call(struct client *c, const struct request *r, struct arena *a, struct reply *out);

/* Submit transfers of any shards, in as few requests as the limits allow, one
 * after the other, and together with what other threads submit (gather.h). results has count elements (in the order of transfers); its
 * spans live in a. SG_OK: all have an outcome; else why is in text (in a) and
 * those with OUTCOME_NONE are open: repeat them. */
enum sg_err client_submit(struct client *c, const struct transfer *transfers, size_t count,
                          uint32_t timeout_ms, struct arena *a, struct submit_result *results,
                          struct span *text);

/* For gather.h's callers within this directory. Borrowed. */
struct gather *client_gather(struct client *c);

#endif
