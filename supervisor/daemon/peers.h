/* The link on NNG: a raw REQ socket with a dialer for each other node, one raw
 * REP listener; messages go one way and are not answered.
 *
 * Sockets are made once, when the link is opened, and stay: a connection that
 * breaks is dialled again every RECONNECT_MIN_MS to RECONNECT_MAX_MS. The end
 * of a peer's process breaks both its connections, which is reported at once;
 * a peer that falls silent is not noticed here.
 *
 * Each NNG message is the sender's node id (8 bytes, big-endian), which nobody
 * believes, and the frame. Whose a frame was says the receiver, who judges it; only
 * then is the connection that it came over that node's, and its end reported. */
#ifndef SUPERVISOR_DAEMON_PEERS_H
#define SUPERVISOR_DAEMON_PEERS_H

#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/base/loop.h"
#include "supervisor/node/link.h"

struct peers;

struct peers_member {
    uint64_t node;
    const char *address; /* "tcp://127.0.0.1:7420" or "ipc:///path". */
};

struct peers_options {
    struct loop *loop;     /* Events arrive here. Borrowed for the link's life. */
    struct link_sink sink; /* Called on the loop, from a later turn on. */
    uint64_t self;
    const char *listen;
    const struct peers_member *members; /* The others; a member with self's id is skipped. */
    size_t members_count;               /* Up to NODES_MAX. */
};

struct peers_stats {
    uint64_t frames_sent, frames_received;
    uint64_t frames_dropped; /* Node unknown, not connected, or connection lost. */
};

/* Listens, and starts to dial (does not wait). All strings are copied.
 *
 * Errors, with a sentence in why; nothing stays open:
 *   SG_INVALID  an address is malformed, of an unknown kind, or to listen on and not ours.
 *   SG_EXISTS   the listen address is in use.
 *   SG_IO       anything else: no permission, no descriptors. */
MUST_USE enum sg_err peers_open(const struct peers_options *options, struct peers **out, char *why,
                                size_t why_size);
/* Valid until peers_close(). */
struct link *peers_link(struct peers *p);
/* Any thread. */
struct peers_stats peers_stats(struct peers *p);
/* On the loop's thread, or when the loop no longer runs; only at the end of a
 * process or test. Frames that wait are dropped, no event comes afterwards. */
void peers_close(struct peers *p);

#endif
