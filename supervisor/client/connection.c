#include "supervisor/client/connection.h"
#include "supervisor/client/monitor.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/req.h>

#include "proto/base/check.h"
#include "proto/base/mem.h"
#include "supervisor/base/net_err.h"

#define RECONNECT_FIRST_MS 10
#define RECONNECT_LAST_MS 500
#define REQ_HEAD_BYTES 64

/* A call's id on the wire: REQ's final mark, a generation, a slot. */
#define ID_MARK 0x80000000u
#define ID_SLOT_BITS 12
#define ID_GENERATION_MASK ((1u << (31 - ID_SLOT_BITS)) - 1)
CHECK_STATIC(CONNECTION_CALLS_MAX == 1u << ID_SLOT_BITS, "an id names each slot");

struct slot {
    struct connection_call *call; /* NULL: free. */
    uint32_t generation;
    uint32_t next_free;
};

struct call_list {
    struct connection_call *head, *tail;
};

struct connection {
    char *address;
    void (*changed)(void *impl);
    void *impl;
    nng_socket socket;
    nng_dialer dialer;
    nng_aio *send_aio, *recv_aio, *tick_aio;
    pthread_mutex_t lock;   /* Of what follows. */
    uint32_t pipe, removed; /* NNG's ids; 0 is none. */
    struct slot *slots;
    uint32_t slots_used, first_free; /* first_free: one more than the slot; 0 is none. */
    size_t calls_count;
    struct call_list queue; /* Not yet given to NNG. */
    bool sending, ticking, closing;
};

/* --- Calls in flight (all under the lock) ---------------------------------- */

static bool slot_take(struct connection *c, struct connection_call *call)
{
    uint32_t at = 0;
    if (c->first_free != 0) {
        at = c->first_free - 1;
        c->first_free = c->slots[at].next_free;
    } else if (c->slots_used < CONNECTION_CALLS_MAX) {
        at = c->slots_used++;
    } else {
        return false;
    }
    struct slot *s = &c->slots[at];
    s->generation = (s->generation + 1) & ID_GENERATION_MASK;
    s->call = call;
    call->id = ID_MARK | (s->generation << ID_SLOT_BITS) | at;
    c->calls_count++;
    return true;
}

/* Take the call out; NULL when no call has this id (it has ended before). */
static struct connection_call *slot_give(struct connection *c, uint32_t id)
{
    uint32_t at = id & (CONNECTION_CALLS_MAX - 1);
    struct slot *s = &c->slots[at];
    if (at >= c->slots_used || s->call == NULL || s->call->id != id) {
        return NULL;
    }
    struct connection_call *call = s->call;
    s->call = NULL;
    s->next_free = c->first_free;
    c->first_free = at + 1;
    c->calls_count--;
    return call;
}

static void list_push(struct call_list *l, struct connection_call *call)
{
    call->next = NULL;
    if (l->tail != NULL) {
        l->tail->next = call;
    } else {
        l->head = call;
    }
    l->tail = call;
}

static void queue_remove(struct connection *c, const struct connection_call *call)
{
    struct call_list kept = {NULL, NULL};
    struct connection_call *next = NULL;
    for (struct connection_call *i = c->queue.head; i != NULL; i = next) {
        next = i->next;
        if (i != call) {
            list_push(&kept, i);
        }
    }
    c->queue = kept;
}

/* Take out every call whose deadline is not after limit_ms. */
static struct call_list calls_take(struct connection *c, uint64_t limit_ms)
{
    struct call_list taken = {NULL, NULL};
    for (uint32_t i = 0; i < c->slots_used; i++) {
        struct connection_call *call = c->slots[i].call;
        if (call == NULL || call->deadline_ms > limit_ms) {
            continue;
        }
        (void)slot_give(c, call->id);
        if (!call->sent) {
            queue_remove(c, call);
            nng_msg_free(call->message);
        }
        list_push(&taken, call);
    }
    return taken;
}

/* The next message that can leave now, marked as sent. */
static nng_msg *queue_pop(struct connection *c)
{
    struct connection_call *call = c->queue.head;
    if (call == NULL || c->sending || c->closing) {
        return NULL;
    }
    c->queue.head = call->next;
    if (c->queue.head == NULL) {
        c->queue.tail = NULL;
    }
    c->sending = true;
    call->sent = true;
    return call->message;
}

/* --- What NNG calls -------------------------------------------------------- */

static void lock(struct connection *c)
{
    (void)pthread_mutex_lock(&c->lock);
}

static void unlock(struct connection *c)
{
    (void)pthread_mutex_unlock(&c->lock);
}

/* Not under the lock: done() may call back. */
static void calls_end(struct call_list l, enum sg_err err_sent)
{
    while (l.head != NULL) {
        struct connection_call *call = l.head;
        l.head = call->next;
        call->done(call, call->sent ? err_sent : SG_UNAVAILABLE, SPAN_NONE);
    }
}

static void send_message(struct connection *c, nng_msg *msg)
{
    if (msg != NULL) {
        nng_aio_set_msg(c->send_aio, msg);
        nng_send_aio(c->socket, c->send_aio);
    }
}

static void on_sent(void *arg)
{
    struct connection *c = arg;
    if (nng_aio_result(c->send_aio) != 0) {
        /* Its connection broke, which has ended the call. */
        nng_msg_free(nng_aio_get_msg(c->send_aio));
        nng_aio_set_msg(c->send_aio, NULL);
    }
    lock(c);
    c->sending = false;
    nng_msg *next = queue_pop(c);
    unlock(c);
    send_message(c, next);
}

static void take_reply(struct connection *c, nng_msg *msg)
{
    if (nng_msg_header_len(msg) != sizeof(uint32_t)) {
        return; /* Not an answer to anything we sent. */
    }
    uint32_t id = be32_get(nng_msg_header(msg));
    lock(c);
    struct connection_call *call = slot_give(c, id);
    if (call != NULL && !call->sent) {
        /* Only a broken peer answers before it was asked; it gets no second chance to confuse us. */
        queue_remove(c, call);
        nng_msg_free(call->message);
    }
    unlock(c);
    if (call != NULL) {
        bool asked = call->sent;
        struct span reply = span_of(nng_msg_body(msg), nng_msg_len(msg));
        call->done(call, asked ? SG_OK : SG_UNAVAILABLE, asked ? reply : SPAN_NONE);
    }
}

static void on_received(void *arg)
{
    struct connection *c = arg;
    if (nng_aio_result(c->recv_aio) != 0) {
        return; /* Closing. */
    }
    nng_msg *msg = nng_aio_get_msg(c->recv_aio);
    nng_aio_set_msg(c->recv_aio, NULL);
    take_reply(c, msg);
    nng_msg_free(msg);
    nng_recv_aio(c->socket, c->recv_aio);
}

static void on_tick(void *arg)
{
    struct connection *c = arg;
    lock(c);
    struct call_list over = calls_take(c, monitor_now_ms());
    c->ticking = c->calls_count > 0 && !c->closing;
    bool again = c->ticking;
    unlock(c);
    calls_end(over, SG_TIMEOUT);
    if (again) {
        nng_sleep_aio(CONNECTION_TICK_MS, c->tick_aio);
    }
}

static void on_pipe(nng_pipe pipe, nng_pipe_ev ev, void *arg)
{
    struct connection *c = arg;
    struct call_list broken = {NULL, NULL};
    bool is_change = false;
    lock(c);
    /* NNG may tell of a short-lived connection's end before its start. */
    if (ev == NNG_PIPE_EV_ADD_POST && pipe.id != c->removed) {
        c->pipe = pipe.id;
        is_change = true;
    } else if (ev == NNG_PIPE_EV_REM_POST) {
        c->removed = pipe.id;
        if (c->pipe == pipe.id) {
            c->pipe = 0;
            is_change = true;
            broken = calls_take(c, UINT64_MAX);
        }
    }
    unlock(c);
    if (is_change && ev == NNG_PIPE_EV_REM_POST) {
        nng_aio_abort(c->send_aio, NNG_ECANCELED);
    }
    calls_end(broken, SG_UNKNOWN);
    if (is_change && c->changed != NULL) {
        c->changed(c->impl);
    }
}

/* --- For the caller -------------------------------------------------------- */

bool connection_is_up(struct connection *c)
{
    lock(c);
    bool is_up = c->pipe != 0;
    unlock(c);
    return is_up;
}

static nng_msg *message_of(struct span request)
{
    nng_msg *msg = NULL;
    CHECK(request.n <= REQUEST_SIZE_MAX_BYTES);
    CHECK(nng_msg_alloc(&msg, request.n) == 0);
    if (request.n > 0) {
        memcpy(nng_msg_body(msg), request.p, request.n);
    }
    return msg;
}

void connection_send(struct connection *c, struct connection_call *call, struct span request,
                     uint32_t timeout_ms)
{
    nng_msg *msg = message_of(request);
    call->message = msg;
    call->sent = false;
    call->deadline_ms = monitor_now_ms() + timeout_ms;
    lock(c);
    bool closing = c->closing;
    if (closing || c->pipe == 0 || !slot_take(c, call)) {
        unlock(c);
        nng_msg_free(msg);
        call->done(call, closing ? SG_STOPPED : SG_UNAVAILABLE, SPAN_NONE);
        return;
    }
    CHECK(nng_msg_header_append_u32(msg, call->id) == 0);
    list_push(&c->queue, call);
    nng_msg *next = queue_pop(c);
    bool tick = !c->ticking;
    c->ticking = true;
    unlock(c);
    send_message(c, next);
    if (tick) {
        nng_sleep_aio(CONNECTION_TICK_MS, c->tick_aio);
    }
}

/* --- Life ------------------------------------------------------------------ */

static int options_set(struct connection *c)
{
    int rv = nng_socket_set_size(c->socket, NNG_OPT_RECVMAXSZ, REPLY_SIZE_MAX_BYTES + REQ_HEAD_BYTES);
    if (rv == 0) {
        rv = nng_socket_set_ms(c->socket, NNG_OPT_RECONNMINT, RECONNECT_FIRST_MS);
    }
    if (rv == 0) {
        rv = nng_socket_set_ms(c->socket, NNG_OPT_RECONNMAXT, RECONNECT_LAST_MS);
    }
    return rv;
}

static int aios_open(struct connection *c)
{
    int rv = nng_aio_alloc(&c->send_aio, on_sent, c);
    if (rv == 0) {
        rv = nng_aio_alloc(&c->recv_aio, on_received, c);
    }
    if (rv == 0) {
        rv = nng_aio_alloc(&c->tick_aio, on_tick, c);
    }
    return rv;
}

static int dial(struct connection *c)
{
    int rv = nng_pipe_notify(c->socket, NNG_PIPE_EV_ADD_POST, on_pipe, c);
    if (rv == 0) {
        rv = nng_pipe_notify(c->socket, NNG_PIPE_EV_REM_POST, on_pipe, c);
    }
    if (rv == 0) {
        rv = nng_dialer_create(&c->dialer, c->socket, c->address);
    }
    if (rv == 0) {
        nng_recv_aio(c->socket, c->recv_aio);
        rv = nng_dialer_start(c->dialer, NNG_FLAG_NONBLOCK);
    }
    return rv;
}

enum sg_err connection_new(const char *address, void (*changed)(void *impl), void *impl,
                           struct connection **out, char *why, size_t why_size)
{
    enum sg_err err = net_address_check("address", address, why, why_size);
    if (err != SG_OK) {
        return err;
    }
    struct connection *c = mem_zalloc(1, sizeof(*c));
    c->address = mem_strdup(address);
    c->changed = changed;
    c->impl = impl;
    c->slots = mem_zalloc(CONNECTION_CALLS_MAX, sizeof(*c->slots));
    CHECK(pthread_mutex_init(&c->lock, NULL) == 0);
    int rv = nng_req0_open_raw(&c->socket);
    if (rv == 0) {
        rv = options_set(c);
    }
    if (rv == 0) {
        rv = aios_open(c);
    }
    if (rv == 0) {
        rv = dial(c);
    }
    if (rv != 0) {
        err = net_err(rv, "address", address, why, why_size);
        connection_free(c);
        return err;
    }
    *out = c;
    return SG_OK;
}

static void aio_stop(nng_aio *aio)
{
    if (aio != NULL) {
        nng_aio_stop(aio);
    }
}

static void aio_free(nng_aio *aio)
{
    if (aio != NULL) {
        nng_aio_free(aio);
    }
}

void connection_abandon(struct connection *c, struct connection_call *call)
{
    (void)pthread_mutex_lock(&c->lock);
    call->deadline_ms = 0;
    (void)pthread_mutex_unlock(&c->lock);
}

void connection_free(struct connection *c)
{
    lock(c);
    c->closing = true;
    struct call_list open = calls_take(c, UINT64_MAX);
    unlock(c);
    calls_end(open, SG_STOPPED);
    aio_stop(c->tick_aio);
    aio_stop(c->send_aio);
    aio_stop(c->recv_aio);
    if (nng_socket_id(c->socket) > 0) {
        CHECK(nng_close(c->socket) == 0);
    }
    aio_free(c->tick_aio);
    aio_free(c->send_aio);
    aio_free(c->recv_aio);
    (void)pthread_mutex_destroy(&c->lock);
    mem_free(c->slots);
    mem_free(c->address);
    mem_free(c);
}
