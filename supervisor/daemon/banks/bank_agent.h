/* The bank seam of a lane: requests to many endpoints on WORKER_BANK.
 *
 * At most BANK_WORKERS requests are at work at once, BANK_ENDPOINT_WORKERS of
 * them for one endpoint, and endpoints take turns: a bank that does not answer
 * delays its own files only. Requests of one endpoint start in the order in
 * which they came, except that with a rate limit one file at a time is written.
 * A probe that passed a moment ago answers for the next ones. */
#ifndef SUPERVISOR_DAEMON_BANKS_BANK_AGENT_H
#define SUPERVISOR_DAEMON_BANKS_BANK_AGENT_H

#include "proto/base/loop.h"
#include "shard/upload/bank.h"

struct bank_agent;

/* loop is borrowed and must outlive the agent. */
struct bank_agent *bank_agent_new(struct loop *loop);
struct bank bank_agent_seam(struct bank_agent *a);
/* Requests that wait or are at work. */
size_t bank_agent_pending(const struct bank_agent *a);
/* Also with requests under way (a bank that hangs while the process ends): their
 * done() is never called then and what they point to must stay for ever. */
void bank_agent_free(struct bank_agent *a);

#endif
