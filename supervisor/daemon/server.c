#include "supervisor/daemon/server.h"

#include <pthread.h>
#include <stddef.h>
#include <string.h>

#include <nng/nng.h>
#include <nng/protocol/reqrep0/rep.h>

#include "proto/base/check.h"
#include "proto/client.h"
#include "proto/base/mem.h"
#include "supervisor/base/net_err.h"

/* Contexts beyond those the node may hold: they answer SG_BUSY. */
#define CONTEXTS_SPARE 64
#define CONTEXTS_COUNT (REQUESTS_INFLIGHT_MAX + CONTEXTS_SPARE)
#define IPC_MODE 0660     /* Of a socket in the file system, by no umask: the owner's group asks, too. */
#define REQ_HEAD_BYTES 64 /* What REQ puts before a request. */

/* A context of the REP socket: receives a request, holds it until it is
 * answered, sends the answer, receives the next. */
enum call_state { CALL_RECEIVING, CALL_GIVEN, CALL_SENDING };

struct server_call {
    struct server *server;
    nng_ctx ctx;
    nng_aio *aio;
    enum call_state state;
    nng_msg *request; /* CALL_GIVEN. */
    uint32_t pipe;    /* CALL_GIVEN: the client's connection. */
    struct server_call *next;
};

struct server {
    struct loop *loop;
    void (*request)(void *impl, struct server_call *call, struct span data);
    void *impl;
    nng_socket socket;
    struct server_call *calls;
    size_t calls_count;
    struct bytes busy_reply;
    struct task drain;
    pthread_mutex_t lock; /* Of what follows. */
    struct server_call *head, *tail;
    bool scheduled, closing;
    struct server_stats stats;
};

static void receive(struct server_call *call)
{
    call->state = CALL_RECEIVING;
    nng_ctx_recv(call->ctx, call->aio);
}

static void send_reply(struct server_call *call, struct span reply)
{
    nng_msg *msg = NULL;
    CHECK(reply.n <= REPLY_SIZE_MAX_BYTES);
    CHECK(nng_msg_alloc(&msg, reply.n) == 0);
    if (reply.n > 0) {
        memcpy(nng_msg_body(msg), reply.p, reply.n);
    }
    call->state = CALL_SENDING;
    nng_aio_set_msg(call->aio, msg);
    nng_ctx_send(call->ctx, call->aio);
}

/* Under the lock. */
static void queue_push(struct server *s, struct server_call *call)
{
    call->next = NULL;
    if (s->tail != NULL) {
        s->tail->next = call;
    } else {
        s->head = call;
    }
    s->tail = call;
    if (!s->scheduled) {
        s->scheduled = true;
        loop_post(s->loop, &s->drain);
    }
}

/* Under the lock: requests of one connection that are with the node. */
static size_t pipe_inflight(const struct server *s, uint32_t pipe)
{
    size_t count = 0;
    for (size_t i = 0; i < s->calls_count && s->stats.inflight >= CLIENT_REQUESTS_MAX; i++) {
        count += s->calls[i].pipe == pipe;
    }
    return count;
}

static void on_request(struct server_call *call)
{
    struct server *s = call->server;
    nng_msg *msg = nng_aio_get_msg(call->aio);
    nng_aio_set_msg(call->aio, NULL);
    (void)pthread_mutex_lock(&s->lock);
    uint32_t pipe = (uint32_t)nng_pipe_id(nng_msg_get_pipe(msg));
    bool is_busy =
        s->stats.inflight >= REQUESTS_INFLIGHT_MAX || pipe_inflight(s, pipe) >= CLIENT_REQUESTS_MAX;
    bool closing = s->closing;
    if (is_busy) {
        s->stats.busy++;
    } else if (!closing) {
        s->stats.inflight++;
        s->stats.requests++;
        call->state = CALL_GIVEN;
        call->request = msg;
        call->pipe = pipe;
        queue_push(s, call);
    }
    (void)pthread_mutex_unlock(&s->lock);
    if (is_busy || closing) {
        nng_msg_free(msg);
    }
    if (is_busy && !closing) {
        send_reply(call, span_bytes(&s->busy_reply));
    }
}

static void on_aio(void *arg)
{
    struct server_call *call = arg;
    int rv = nng_aio_result(call->aio);
    if (rv == 0 && call->state == CALL_RECEIVING) {
        on_request(call);
        return;
    }
    if (rv != 0 && call->state == CALL_SENDING) {
        nng_msg_free(nng_aio_get_msg(call->aio));
        nng_aio_set_msg(call->aio, NULL);
    }
    (void)pthread_mutex_lock(&call->server->lock);
    bool closing = call->server->closing;
    (void)pthread_mutex_unlock(&call->server->lock);
    if (!closing) {
        /* A reply is gone, or its client is; a failed receive is tried again. */
        receive(call);
    }
}

static void on_drain(struct task *task)
{
    struct server *s = CONTAINER_OF(task, struct server, drain);
    (void)pthread_mutex_lock(&s->lock);
    struct server_call *call = s->head;
    struct server_call *last = call;
    for (unsigned i = 1; i < REQUESTS_TURN_MAX && last != NULL && last->next != NULL; i++) {
        last = last->next;
    }
    s->head = last == NULL ? NULL : last->next;
    s->scheduled = s->head != NULL;
    if (s->head == NULL) {
        s->tail = NULL;
    } else { /* The rest in a later turn: others of this loop come in between. */
        last->next = NULL;
        loop_post(s->loop, &s->drain);
    }
    (void)pthread_mutex_unlock(&s->lock);
    while (call != NULL) {
        struct server_call *next = call->next;
        s->request(s->impl, call, span_of(nng_msg_body(call->request), nng_msg_len(call->request)));
        call = next;
    }
}

void server_reply(struct server_call *call, struct bytes *reply)
{
    struct server *s = call->server;
    CHECK(call->state == CALL_GIVEN);
    nng_msg_free(call->request);
    call->request = NULL;
    (void)pthread_mutex_lock(&s->lock);
    CHECK(s->stats.inflight > 0);
    s->stats.inflight--;
    call->pipe = 0;
    (void)pthread_mutex_unlock(&s->lock);
    send_reply(call, span_bytes(reply));
    bytes_release(reply);
}

/* --- Life ------------------------------------------------------------------ */

static int socket_open(struct server *s)
{
    int rv = nng_rep0_open(&s->socket);
    if (rv == 0) {
        rv = nng_socket_set_size(s->socket, NNG_OPT_RECVMAXSZ, REQUEST_SIZE_MAX_BYTES + REQ_HEAD_BYTES);
    }
    return rv;
}

static int call_open(struct server *s, struct server_call *call)
{
    call->server = s;
    int rv = nng_aio_alloc(&call->aio, on_aio, call);
    if (rv == 0) {
        s->calls_count++; /* From here on server_close() cares for it. */
        rv = nng_ctx_open(&call->ctx, s->socket);
    }
    return rv;
}

static enum sg_err open_all(struct server *s, const struct server_options *options, char *why,
                            size_t why_size)
{
    int rv = socket_open(s);
    for (size_t i = 0; rv == 0 && i < CONTEXTS_COUNT; i++) {
        rv = call_open(s, &s->calls[i]);
    }
    if (rv != 0) {
        return net_err(rv, "client port", options->addresses[0], why, why_size);
    }
    for (size_t i = 0; i < options->addresses_count; i++) {
        nng_listener listener;
        rv = nng_listener_create(&listener, s->socket, options->addresses[i]);
        if (rv == 0 && strncmp(options->addresses[i], "ipc:", 4) == 0) {
            rv = nng_listener_set_int(listener, NNG_OPT_IPC_PERMISSIONS, IPC_MODE);
        }
        if (rv == 0) {
            rv = nng_listener_start(listener, 0);
        }
        if (rv != 0) {
            return net_err(rv, "client address", options->addresses[i], why, why_size);
        }
    }
    return SG_OK;
}

static void encode_busy(struct server *s)
{
    const struct reply busy = {
        .err = SG_BUSY,
        .text = span_str("this node has as many requests as it can hold; repeat shortly or ask another node"),
    };
    reply_encode(&busy, &s->busy_reply);
}

enum sg_err server_open(const struct server_options *options, struct server **out, char *why, size_t why_size)
{
    CHECK(options->addresses_count > 0);
    CHECK(options->addresses_count <= SERVER_ADDRESSES_MAX);
    struct server *s = mem_zalloc(1, sizeof(*s));
    s->loop = options->loop;
    s->request = options->request;
    s->impl = options->impl;
    s->drain.run = on_drain;
    s->calls = mem_zalloc(CONTEXTS_COUNT, sizeof(*s->calls));
    CHECK(pthread_mutex_init(&s->lock, NULL) == 0);
    encode_busy(s);
    enum sg_err err = open_all(s, options, why, why_size);
    if (err != SG_OK) {
        server_close(s);
        return err;
    }
    for (size_t i = 0; i < s->calls_count; i++) {
        receive(&s->calls[i]);
    }
    *out = s;
    return SG_OK;
}

struct server_stats server_stats(struct server *s)
{
    (void)pthread_mutex_lock(&s->lock);
    struct server_stats stats = s->stats;
    (void)pthread_mutex_unlock(&s->lock);
    return stats;
}

void server_close(struct server *s)
{
    (void)pthread_mutex_lock(&s->lock);
    s->closing = true;
    (void)pthread_mutex_unlock(&s->lock);
    for (size_t i = 0; i < s->calls_count; i++) {
        nng_aio_stop(s->calls[i].aio);
    }
    if (nng_socket_id(s->socket) > 0) {
        CHECK(nng_close(s->socket) == 0);
    }
    for (size_t i = 0; i < s->calls_count; i++) {
        if (s->calls[i].request != NULL) {
            nng_msg_free(s->calls[i].request);
        }
        nng_aio_free(s->calls[i].aio);
    }
    loop_cancel(s->loop, &s->drain);
    bytes_release(&s->busy_reply);
    (void)pthread_mutex_destroy(&s->lock);
    mem_free(s->calls);
    mem_free(s);
}
