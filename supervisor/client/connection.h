/* One node's client port, seen from outside: calls in flight on one connection.
 *
 * Speaks REQ/REP with the library's raw REQ socket, because the cooked one
 * sends a request again by itself when a connection breaks, and only the caller
 * knows whether that is safe. */
#ifndef SUPERVISOR_CLIENT_CONNECTION_H
#define SUPERVISOR_CLIENT_CONNECTION_H

#include "proto/base/bytes.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"

#define CONNECTION_TICK_MS 20

struct connection;

/* A call. Memory belongs to the caller until done() was called. */
struct connection_call {
    /* On a thread of the connection's; must not block. It may start another call
     * there, and free this one. err:
     *   SG_OK           reply is the answer (borrowed for this call).
     *   SG_UNAVAILABLE  not connected, or CONNECTION_CALLS_MAX in flight: nothing was sent.
     *   SG_UNKNOWN      it was sent and the connection broke.
     *   SG_TIMEOUT      it was sent and the time is over (seen within CONNECTION_TICK_MS).
     *   SG_STOPPED      connection_free(). */
    void (*done)(struct connection_call *call, enum sg_err err, struct span reply);
    /* The connection's. */
    struct connection_call *next;
    void *message;
    uint64_t deadline_ms;
    uint32_t id;
    bool sent;
};

/* changed(impl) is called after the connection came up or broke, on a thread
 * of the connection's; may be NULL. Starts to connect and does not wait; a
 * broken connection is dialled again for ever. address is copied.
 * SG_INVALID, SG_IO: why is a sentence. */
MUST_USE enum sg_err connection_new(const char *address, void (*changed)(void *impl), void *impl,
                                    struct connection **out, char *why, size_t why_size);
bool connection_is_up(struct connection *c);
/* Send request (borrowed for this call) and call done() once. done() may be
 * called before this returns. Any thread, any number at a time. */
void connection_send(struct connection *c, struct connection_call *call, struct span request,
                     uint32_t timeout_ms);
/* Its time is over now: done() comes with SG_TIMEOUT within CONNECTION_TICK_MS, unless
 * it has come. */
void connection_abandon(struct connection *c, struct connection_call *call);
/* Ends the calls in flight with SG_STOPPED and waits for their done(). */
void connection_free(struct connection *c);

#endif
