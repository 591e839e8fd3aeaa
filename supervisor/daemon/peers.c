#include "supervisor/daemon/peers.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>

#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "supervisor/base/net_err.h"

#define MEMBER_ADDRESS "address of a node"
#define ENVELOPE_SIZE 8 /* The sender's node id. */
#define HEAD_SIZE 4     /* What raw REQ puts before a message. */
#define HEAD_LAST 0x80000000u
#define IPC_MODE 0600
#define REMOVED_COUNT 64

/* What NNG's threads hand to the loop, in the order it happened. */
enum event_kind { EVENT_FRAME, EVENT_OUT_UP, EVENT_OUT_DOWN, EVENT_IN_DOWN };

struct event {
    struct event *next;
    enum event_kind kind;
    struct peers_peer *member; /* Not of a frame. */
    uint32_t pipe;             /* That a frame came over. */
    struct bytes frame;
};

struct outgoing {
    struct outgoing *next;
    nng_msg *msg;
};

struct peers_peer {
    struct peers *peers;
    uint64_t node;
    nng_socket socket;
    nng_dialer dialer;
    nng_aio *aio;
    /* Under the lock. Pipe ids are NNG's; 0 is none. */
    struct outgoing *head, *tail;
    size_t pending_bytes;
    bool sending;
    uint32_t out_pipe, out_removed;
    uint32_t in_pipe; /* The last one that a frame proved to come from this node over. */
    /* The loop's. */
    bool out_stands, is_up;
};

struct peers {
    struct link link;
    struct loop *loop;
    struct link_sink sink;
    uint64_t self;
    nng_socket in;
    nng_aio *recv_aio;
    struct peers_peer members[NODES_MAX];
    size_t members_count;
    struct task drain;
    pthread_mutex_t lock; /* Of what follows and the members' part. */
    struct event *head, *tail;
    size_t inbound_bytes;
    uint32_t removed[REMOVED_COUNT]; /* Incoming pipes that broke last: a frame may be read later. */
    size_t removed_next;
    bool scheduled, paused, closing;
    struct peers_stats stats;
};

static void lock(struct peers *p)
{
    (void)pthread_mutex_lock(&p->lock);
}

static void unlock(struct peers *p)
{
    (void)pthread_mutex_unlock(&p->lock);
}

static struct peers_peer *member_of(struct peers *p, uint64_t node)
{
    for (size_t i = 0; i < p->members_count; i++) {
        if (p->members[i].node == node) {
            return &p->members[i];
        }
    }
    return NULL;
}

/* --- To the loop ----------------------------------------------------------- */

/* Under the lock. */
static void event_push(struct peers *p, struct event event)
{
    struct event *e = mem_alloc(sizeof(*e));
    *e = event;
    e->next = NULL;
    if (p->tail != NULL) {
        p->tail->next = e;
    } else {
        p->head = e;
    }
    p->tail = e;
    p->inbound_bytes += e->frame.n;
    if (!p->scheduled && !p->closing) {
        p->scheduled = true;
        loop_post(p->loop, &p->drain);
    }
}

static void report(struct peers_peer *m, bool is_up)
{
    const struct link_sink *sink = &m->peers->sink;
    if (m->is_up == is_up) {
        return;
    }
    m->is_up = is_up;
    if (is_up) {
        sink->events->peer_up(sink->impl, m->node);
    } else {
        sink->events->peer_down(sink->impl, m->node);
    }
}

/* The pipe is m's, since a frame proved it: its end will be m's connection breaking.
 * false: it has ended already. */
static bool pipe_book(struct peers *p, struct peers_peer *m, uint32_t pipe)
{
    bool stands = true;
    lock(p);
    for (size_t i = 0; i < REMOVED_COUNT; i++) {
        stands = stands && p->removed[i] != pipe;
    }
    if (stands) {
        m->in_pipe = pipe;
    }
    unlock(p);
    return stands;
}

static void frame_deliver(struct peers *p, struct event *e)
{
    struct peers_peer *m = member_of(p, p->sink.events->frame(p->sink.impl, &e->frame));
    /* After a break of the incoming connection alone, its return is the first frame. */
    if (m != NULL && pipe_book(p, m, e->pipe) && m->out_stands) {
        report(m, true);
    }
}

static void event_deliver(struct peers *p, struct event *e)
{
    struct peers_peer *m = e->member;
    switch (e->kind) {
    case EVENT_FRAME:
        frame_deliver(p, e);
        return;
    case EVENT_OUT_UP:
        m->out_stands = true;
        report(m, true);
        return;
    case EVENT_OUT_DOWN:
        m->out_stands = false;
        report(m, false);
        return;
    case EVENT_IN_DOWN:
        report(m, false);
        return;
    }
}

static void on_drain(struct task *task)
{
    struct peers *p = CONTAINER_OF(task, struct peers, drain);
    lock(p);
    struct event *e = p->head;
    bool resume = p->paused;
    p->head = NULL;
    p->tail = NULL;
    p->inbound_bytes = 0;
    p->scheduled = false;
    p->paused = false;
    unlock(p);
    while (e != NULL) {
        struct event *next = e->next;
        event_deliver(p, e);
        mem_free(e);
        e = next;
    }
    if (resume) {
        nng_recv_aio(p->in, p->recv_aio);
    }
}

/* --- Receiving ------------------------------------------------------------- */

static void take_message(struct peers *p, nng_msg *msg)
{
    uint8_t *body = nng_msg_body(msg);
    size_t size = nng_msg_len(msg);
    nng_pipe pipe = nng_msg_get_pipe(msg);
    if (size < ENVELOPE_SIZE) {
        (void)nng_pipe_close(pipe); /* Not one of us. */
        return;
    }
    struct event e = {.kind = EVENT_FRAME, .pipe = pipe.id};
    bytes_append(&e.frame, body + ENVELOPE_SIZE, size - ENVELOPE_SIZE);
    lock(p);
    p->stats.frames_received++;
    event_push(p, e);
    unlock(p);
}

static void on_received(void *arg)
{
    struct peers *p = arg;
    if (nng_aio_result(p->recv_aio) != 0) {
        return; /* Closing: a raw socket knows no other error. */
    }
    nng_msg *msg = nng_aio_get_msg(p->recv_aio);
    nng_aio_set_msg(p->recv_aio, NULL);
    take_message(p, msg);
    nng_msg_free(msg);
    lock(p);
    p->paused = p->inbound_bytes >= INBOUND_QUEUE_MAX_BYTES;
    bool go_on = !p->paused && !p->closing;
    unlock(p);
    if (go_on) {
        nng_recv_aio(p->in, p->recv_aio);
    }
}

static void on_in_pipe(nng_pipe pipe, nng_pipe_ev ev, void *arg)
{
    (void)ev;
    struct peers *p = arg;
    lock(p);
    p->removed[p->removed_next] = pipe.id;
    p->removed_next = (p->removed_next + 1) % REMOVED_COUNT;
    for (size_t i = 0; i < p->members_count; i++) {
        struct peers_peer *m = &p->members[i];
        if (m->in_pipe == pipe.id) {
            m->in_pipe = 0;
            event_push(p, (struct event){.kind = EVENT_IN_DOWN, .member = m});
        }
    }
    unlock(p);
}

/* --- Sending --------------------------------------------------------------- */

/* Under the lock: the next message, if one can leave now. */
static nng_msg *outgoing_pop(struct peers_peer *m)
{
    struct outgoing *o = m->head;
    if (o == NULL || m->sending) {
        return NULL;
    }
    nng_msg *msg = o->msg;
    m->head = o->next;
    if (m->head == NULL) {
        m->tail = NULL;
    }
    m->sending = true;
    mem_free(o);
    return msg;
}

static void outgoing_push(struct peers_peer *m, nng_msg *msg)
{
    struct outgoing *o = mem_alloc(sizeof(*o));
    *o = (struct outgoing){NULL, msg};
    if (m->tail != NULL) {
        m->tail->next = o;
    } else {
        m->head = o;
    }
    m->tail = o;
    m->pending_bytes += nng_msg_len(msg);
}

/* Under the lock. */
static void outgoing_drop(struct peers_peer *m)
{
    while (m->head != NULL) {
        struct outgoing *o = m->head;
        m->head = o->next;
        m->pending_bytes -= nng_msg_len(o->msg);
        m->peers->stats.frames_dropped++;
        nng_msg_free(o->msg);
        mem_free(o);
    }
    m->tail = NULL;
}

/* Not under the lock: NNG may call back. */
static void send_message(struct peers_peer *m, nng_msg *msg)
{
    if (msg != NULL) {
        nng_aio_set_input(m->aio, 0, (void *)(uintptr_t)nng_msg_len(msg));
        nng_aio_set_msg(m->aio, msg);
        nng_send_aio(m->socket, m->aio);
    }
}

static void on_sent(void *arg)
{
    struct peers_peer *m = arg;
    bool failed = nng_aio_result(m->aio) != 0;
    size_t size = (size_t)(uintptr_t)nng_aio_get_input(m->aio, 0);
    if (failed) {
        nng_msg_free(nng_aio_get_msg(m->aio));
        nng_aio_set_msg(m->aio, NULL);
    }
    lock(m->peers);
    m->sending = false;
    m->pending_bytes -= size;
    if (failed) {
        m->peers->stats.frames_dropped++;
    } else {
        m->peers->stats.frames_sent++;
    }
    nng_msg *next = m->peers->closing ? NULL : outgoing_pop(m);
    unlock(m->peers);
    send_message(m, next);
}

static nng_msg *message_of(uint64_t self, struct bytes *frame)
{
    nng_msg *msg = NULL;
    CHECK(frame->n <= FRAME_SIZE_MAX_BYTES);
    CHECK(nng_msg_alloc(&msg, ENVELOPE_SIZE + frame->n) == 0);
    CHECK(nng_msg_header_append_u32(msg, HEAD_LAST) == 0);
    uint8_t *body = nng_msg_body(msg);
    be64_put(body, self);
    if (frame->n > 0) {
        memcpy(body + ENVELOPE_SIZE, frame->p, frame->n);
    }
    bytes_release(frame);
    return msg;
}

static void seam_send(void *impl, uint64_t node, struct bytes *frame)
{
    struct peers *p = impl;
    struct peers_peer *m = member_of(p, node);
    nng_msg *msg = message_of(p->self, frame);
    lock(p);
    if (m == NULL || m->out_pipe == 0 || p->closing) {
        p->stats.frames_dropped++;
        unlock(p);
        nng_msg_free(msg);
        return;
    }
    outgoing_push(m, msg);
    msg = outgoing_pop(m);
    unlock(p);
    send_message(m, msg);
}

static size_t seam_pending_bytes(void *impl, uint64_t node)
{
    struct peers *p = impl;
    struct peers_peer *m = member_of(p, node);
    if (m == NULL) {
        return 0;
    }
    lock(p);
    size_t pending_bytes = m->pending_bytes;
    unlock(p);
    return pending_bytes;
}

static void on_out_pipe(nng_pipe pipe, nng_pipe_ev ev, void *arg)
{
    struct peers_peer *m = arg;
    bool lost = false;
    lock(m->peers);
    /* NNG may tell of a short-lived connection's end before its start. */
    if (ev == NNG_PIPE_EV_ADD_POST && pipe.id != m->out_removed) {
        m->out_pipe = pipe.id;
        event_push(m->peers, (struct event){.kind = EVENT_OUT_UP, .member = m});
    } else if (ev == NNG_PIPE_EV_REM_POST) {
        m->out_removed = pipe.id;
        lost = m->out_pipe == pipe.id;
    }
    if (lost) {
        m->out_pipe = 0;
        outgoing_drop(m);
        event_push(m->peers, (struct event){.kind = EVENT_OUT_DOWN, .member = m});
    }
    unlock(m->peers);
    if (lost) {
        nng_aio_abort(m->aio, NNG_ECANCELED); /* A frame that waits would come late. */
    }
}

/* --- Life ------------------------------------------------------------------ */

static const struct link_ops seam_ops = {.send = seam_send, .pending_bytes = seam_pending_bytes};

static int socket_options(nng_socket s)
{
    int rv = nng_socket_set_size(s, NNG_OPT_RECVMAXSZ, HEAD_SIZE + ENVELOPE_SIZE + FRAME_SIZE_MAX_BYTES);
    if (rv == 0) {
        rv = nng_socket_set_ms(s, NNG_OPT_RECONNMINT, RECONNECT_MIN_MS);
    }
    if (rv == 0) {
        rv = nng_socket_set_ms(s, NNG_OPT_RECONNMAXT, RECONNECT_MAX_MS);
    }
    return rv;
}

/* On an error peers_close() closes what was opened. */
static enum sg_err listen_open(struct peers *p, const char *address, char *why, size_t why_size)
{
    nng_listener listener;
    int rv = nng_rep0_open_raw(&p->in);
    if (rv == 0) {
        rv = socket_options(p->in);
    }
    if (rv == 0) {
        rv = nng_aio_alloc(&p->recv_aio, on_received, p);
    }
    if (rv == 0) {
        rv = nng_pipe_notify(p->in, NNG_PIPE_EV_REM_POST, on_in_pipe, p);
    }
    if (rv == 0) {
        rv = nng_listener_create(&listener, p->in, address);
    }
    if (rv == 0 && strncmp(address, "ipc:", 4) == 0) { /* By no umask: nobody else's. */
        rv = nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, IPC_MODE);
    }
    if (rv == 0) {
        rv = nng_listener_start(listener, 0);
    }
    if (rv != 0) {
        return net_err(rv, "peer address", address, why, why_size);
    }
    nng_recv_aio(p->in, p->recv_aio);
    return SG_OK;
}

static enum sg_err member_open(struct peers_peer *m, const char *address, char *why, size_t why_size)
{
    /* Not PUSH: that of 1.5.2 puts a connection whose last message has just left
     * back on its list of ready ones although it is closed, and uses it after it
     * was freed. A raw REQ socket has no such list and sends one way as well. */
    int rv = nng_req0_open_raw(&m->socket);
    if (rv == 0) {
        rv = socket_options(m->socket);
    }
    if (rv == 0) {
        rv = nng_aio_alloc(&m->aio, on_sent, m);
    }
    if (rv == 0) {
        rv = nng_pipe_notify(m->socket, NNG_PIPE_EV_ADD_POST, on_out_pipe, m);
    }
    if (rv == 0) {
        rv = nng_pipe_notify(m->socket, NNG_PIPE_EV_REM_POST, on_out_pipe, m);
    }
    if (rv == 0) {
        rv = nng_dialer_create(&m->dialer, m->socket, address);
    }
    return rv == 0 ? SG_OK : net_err(rv, MEMBER_ADDRESS, address, why, why_size);
}

static enum sg_err members_open(struct peers *p, const struct peers_options *options, char *why,
                                size_t why_size)
{
    for (size_t i = 0; i < options->members_count; i++) {
        const struct peers_member *from = &options->members[i];
        if (from->node == options->self) {
            continue;
        }
        CHECK(member_of(p, from->node) == NULL);
        struct peers_peer *m = &p->members[p->members_count++];
        m->peers = p;
        m->node = from->node;
        enum sg_err err = net_address_check(MEMBER_ADDRESS, from->address, why, why_size);
        if (err == SG_OK) {
            err = member_open(m, from->address, why, why_size);
        }
        if (err != SG_OK) {
            return err;
        }
    }
    return SG_OK;
}

static enum sg_err members_dial(struct peers *p, char *why, size_t why_size)
{
    for (size_t i = 0; i < p->members_count; i++) {
        int rv = nng_dialer_start(p->members[i].dialer, NNG_FLAG_NONBLOCK);
        if (rv != 0) {
            return net_err(rv, "connect", "to a node", why, why_size);
        }
    }
    return SG_OK;
}

enum sg_err peers_open(const struct peers_options *options, struct peers **out, char *why, size_t why_size)
{
    CHECK(options->members_count <= NODES_MAX);
    struct peers *p = mem_zalloc(1, sizeof(*p));
    p->link = (struct link){&seam_ops, p};
    p->loop = options->loop;
    p->sink = options->sink;
    p->self = options->self;
    p->drain.run = on_drain;
    CHECK(pthread_mutex_init(&p->lock, NULL) == 0);
    enum sg_err err = members_open(p, options, why, why_size);
    if (err == SG_OK) {
        err = listen_open(p, options->listen, why, why_size);
    }
    if (err == SG_OK) {
        err = members_dial(p, why, why_size);
    }
    if (err != SG_OK) {
        peers_close(p);
        return err;
    }
    *out = p;
    return SG_OK;
}

struct link *peers_link(struct peers *p)
{
    return &p->link;
}

struct peers_stats peers_stats(struct peers *p)
{
    lock(p);
    struct peers_stats stats = p->stats;
    unlock(p);
    return stats;
}

static void socket_close(nng_socket s, nng_aio *aio)
{
    if (aio != NULL) {
        nng_aio_stop(aio);
    }
    if (nng_socket_id(s) > 0) {
        CHECK(nng_close(s) == 0);
    }
    if (aio != NULL) {
        nng_aio_free(aio);
    }
}

void peers_close(struct peers *p)
{
    lock(p);
    p->closing = true;
    unlock(p);
    for (size_t i = 0; i < p->members_count; i++) {
        socket_close(p->members[i].socket, p->members[i].aio);
        outgoing_drop(&p->members[i]);
    }
    socket_close(p->in, p->recv_aio);
    loop_cancel(p->loop, &p->drain);
    while (p->head != NULL) {
        struct event *e = p->head;
        p->head = e->next;
        bytes_release(&e->frame);
        mem_free(e);
    }
    (void)pthread_mutex_destroy(&p->lock);
    mem_free(p);
}
