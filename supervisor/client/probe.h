/* Why there is no connection: one attempt with plain sockets, because the
 * messaging library dials in the background and keeps the reason to itself. */
#ifndef SUPERVISOR_CLIENT_PROBE_H
#define SUPERVISOR_CLIENT_PROBE_H

#include <stddef.h>
#include <stdint.h>

/* Blocks up to timeout_ms (a name server may take longer). why gets "<address>:
 * <reason>", also when the attempt succeeds. */
void probe_explain(const char *address, uint32_t timeout_ms, char *why, size_t why_size);

#endif
