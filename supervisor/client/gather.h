/* Group commit at the client: what many threads submit to one shard at the same
 * time leaves in few requests.
 *
 * A call that finds fewer than GATHER_FLIGHTS_MAX requests for its shard under
 * way leaves at once. Others gather, and the first of them takes all to the
 * cluster when a request comes back, at the latest after GATHER_WAIT_MAX_MS.
 * Each transfer is judged for itself, so nobody's outcome depends on the company.
 * The lone caller waits for nothing. */
#ifndef SUPERVISOR_CLIENT_GATHER_H
#define SUPERVISOR_CLIENT_GATHER_H

#include "supervisor/client/client.h"

struct gather;

/* c is borrowed and must outlive it. */
struct gather *gather_new(struct client *c);
/* No call may be under way. */
void gather_free(struct gather *g);

/* Submit what fits one request: transfers of one shard, borrowed for the call;
 * size_bytes is no less than what they take when encoded. Blocks as
 * client_call() does with REQUEST_SUBMIT, and returns what it would; in company
 * its time may be over up to GATHER_WAIT_MAX_MS early. On SG_OK results has
 * count elements in the order of transfers, with reasons in a; else text says
 * why (in a). Any thread. */
enum sg_err gather_submit(struct gather *g, const struct transfer *transfers, size_t count, size_t size_bytes,
                          uint32_t timeout_ms, struct arena *a, struct submit_result *results,
                          struct span *text);

#endif
