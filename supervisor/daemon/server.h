/* The client port: requests in, replies out, over NNG's REQ/REP.
 *
 * Any number of clients, each with any number of calls in flight. At most
 * REQUESTS_INFLIGHT_MAX calls are with the node at once, and CLIENT_REQUESTS_MAX of
 * one connection; a further one is answered SG_BUSY right away. At most
 * REQUESTS_TURN_MAX are taken in one turn of the loop. Traffic that is not REQ/REP, or a request over
 * REQUEST_SIZE_MAX_BYTES, closes that client's connection and nothing else. */
#ifndef SUPERVISOR_DAEMON_SERVER_H
#define SUPERVISOR_DAEMON_SERVER_H

#include "proto/base/bytes.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/base/loop.h"

struct server;
/* One request that waits for its reply. */
struct server_call;

struct server_options {
    struct loop *loop; /* Requests arrive here. Borrowed for the server's life. */
    /* On the loop. data (not decoded, may be empty) is borrowed until the call
     * is answered. Each call must be given to server_reply() exactly once, here
     * or later, also when the client has gone. */
    void (*request)(void *impl, struct server_call *call, struct span data);
    void *impl;
    const char *const *addresses; /* "tcp://127.0.0.1:7411", "ipc:///run/shardgate/n1.sock". */
    size_t addresses_count;       /* 1 to SERVER_ADDRESSES_MAX. */
};

struct server_stats {
    uint64_t requests, busy; /* Given to the node; answered SG_BUSY here. */
    uint64_t inflight;       /* Given and not yet answered. */
};

/* Listens on all addresses, or on none when it fails, with a sentence in why:
 *   SG_INVALID  an address is malformed, of an unknown kind, or to listen on and not ours.
 *   SG_EXISTS   an address is in use.
 *   SG_IO       anything else. */
MUST_USE enum sg_err server_open(const struct server_options *options, struct server **out, char *why,
                                 size_t why_size);
/* Any thread. Takes the reply's bytes over (BYTES_NONE afterwards); call is
 * gone. At most REPLY_SIZE_MAX_BYTES (CHECKed). */
void server_reply(struct server_call *call, struct bytes *reply);
/* Any thread. */
struct server_stats server_stats(struct server *s);
/* On the loop's thread, or when the loop no longer runs; only at the end of a
 * process or test. Calls not yet answered are gone: do not reply to them. */
void server_close(struct server *s);

#endif
