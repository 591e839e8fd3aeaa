/* The bank seam of a whole node: requests of all lanes to many endpoints on the
 * WORKER_BANK of one loop.
 *
 * At most BANK_WORKERS requests are at work at once, BANK_ENDPOINT_WORKERS of
 * them for one endpoint, whichever lanes they come from, and endpoints take
 * turns: a bank that does not answer delays its own files only. Requests of one
 * endpoint start in the order in which they came, except that with a rate limit
 * one file at a time is written. A probe that passed a moment ago answers for
 * the next ones, of other lanes too.
 *
 * Threads: the agent lives on one loop. A lane reaches it over a desk, whose
 * requests are posted to the agent's loop and whose answers are posted back to
 * the lane's; a lane on the agent's own loop needs no posting. */
#ifndef SUPERVISOR_DAEMON_BANKS_BANK_AGENT_H
#define SUPERVISOR_DAEMON_BANKS_BANK_AGENT_H

#include "proto/base/loop.h"
#include "shard/upload/bank.h"

struct bank_agent;

/* loop is borrowed and must outlive the agent; it must run for as long as any
 * lane waits for an answer. */
struct bank_agent *bank_agent_new(struct loop *loop);
/* The seam of one more lane, at most LANES_MAX. Before any loop runs; loop is the
 * lane's, borrowed like the agent's. The seam belongs to the agent. */
struct bank *bank_agent_desk(struct bank_agent *a, struct loop *loop);
/* Requests that wait or are at work. On the agent's loop. */
size_t bank_agent_pending(const struct bank_agent *a);
/* When no loop runs any more. Also with requests under way (a bank that hangs
 * while the process ends): their done() is never called then and what they point
 * to must stay for ever. */
void bank_agent_free(struct bank_agent *a);

#endif
