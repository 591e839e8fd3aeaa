#include "supervisor/client/client.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "proto/base/loop.h"
#include "proto/base/mem.h"
#include "supervisor/client/connection.h"
#include "supervisor/client/gather.h"
#include "supervisor/client/monitor.h"
#include "supervisor/client/probe.h"
#include "supervisor/verbs/table.h"

#define ERRORS_FORGOTTEN_MS (30ull * 60 * 1000)
#define BACKOFF_FIRST_MS 5
#define BACKOFF_LAST_MS 250
#define ATTEMPT_MIN_MS 500    /* A silent node is left for another one after this or a third of the time. */
#define NODE_HEADSTART_MS 200 /* The node gives up before we do, so that we hear why. */
#define SILENCE_MS 500        /* Without an answer for so long: is the node there? */
#define PING_MS 300           /* It says so within this. */
#define LAST_TRY_MS 250       /* With less time left (or an eighth), a try would end without an answer. */
#define EXPLAIN_MS 200
#define TEXT_SIZE 512

struct node {
    struct connection *connection;
    char address[ADDRESS_SIZE_MAX + 1];
    uint64_t errors, errors_ms, inflight, calls;
};

struct client {
    struct monitor lock;
    struct bell changed; /* A connection came up or broke. */
    struct node nodes[CLIENT_ADDRESSES_MAX];
    size_t nodes_count;
    struct gather *gather;
};

/* One client_call() on its way. */
struct effort {
    struct client *client;
    const struct request *request;
    struct arena *arena;
    struct reply *reply; /* The last one, or what to say instead. */
    uint64_t deadline_ms;
    uint64_t backoff_ms;
    uint32_t tried; /* A bit for each node since the last pause. */
    bool repeatable;
    bool may_be_done; /* A try ended without an answer. */
};

CHECK_STATIC(CLIENT_ADDRESSES_MAX <= 32, "tried has a bit for each node");

static void lock(struct client *c)
{
    monitor_lock(&c->lock);
}

static void unlock(struct client *c)
{
    monitor_unlock(&c->lock);
}

/* --- Which node ------------------------------------------------------------ */

static bool is_better(const struct node *a, const struct node *b)
{
    if (a->errors != b->errors) {
        return a->errors < b->errors;
    }
    if (a->inflight != b->inflight) {
        return a->inflight < b->inflight;
    }
    return a->calls < b->calls;
}

/* Under the lock. The best connected node that was not tried; NULL: none. */
static struct node *node_best(struct client *c, uint32_t tried)
{
    struct node *best = NULL;
    uint64_t now = monitor_now_ms();
    for (size_t i = 0; i < c->nodes_count; i++) {
        struct node *n = &c->nodes[i];
        if (now - n->errors_ms >= ERRORS_FORGOTTEN_MS) {
            n->errors = 0;
        }
        if ((tried & (1u << i)) == 0 && connection_is_up(n->connection) &&
            (best == NULL || is_better(n, best))) {
            best = n;
        }
    }
    return best;
}

/* Waits for a connection if there is none. NULL: the time is over, or all
 * connected nodes were tried. */
static struct node *node_take(struct effort *e)
{
    struct client *c = e->client;
    lock(c);
    struct node *n = node_best(c, e->tried);
    while (n == NULL && e->tried == 0 && bell_wait(&c->changed, &c->lock, e->deadline_ms)) {
        n = node_best(c, e->tried);
    }
    if (n != NULL) {
        e->tried |= 1u << (n - c->nodes);
        n->inflight++;
        n->calls++;
    }
    unlock(c);
    return n;
}

static void node_give(struct client *c, struct node *n, bool failed)
{
    lock(c);
    n->inflight--;
    if (failed) {
        n->errors++;
        n->errors_ms = monitor_now_ms();
    }
    unlock(c);
}

static void on_changed(void *impl)
{
    struct client *c = impl;
    lock(c);
    bell_ring_all(&c->changed);
    unlock(c);
}

/* --- One try --------------------------------------------------------------- */

struct waiter {
    struct connection_call call;
    struct client *client;
    struct bell *over;
    bool is_over;
    enum sg_err err;
    struct bytes data;
};

/* Signals under the client's lock: the waiter's memory lives until it is released. */
static void on_done(struct connection_call *call, enum sg_err err, struct span reply)
{
    struct waiter *w = CONTAINER_OF(call, struct waiter, call);
    bytes_append_span(&w->data, reply);
    lock(w->client);
    w->err = err;
    w->is_over = true;
    bell_ring(w->over);
    unlock(w->client);
}

/* Under the lock: is there anybody at this node? Gives up when w is over meanwhile. */
static bool is_there(struct client *c, struct node *n, const struct waiter *w)
{
    const struct request request = {.kind = REQUEST_PING, .timeout_ms = PING_MS};
    struct waiter ping = {.call = {.done = on_done}, .client = c, .over = w->over};
    struct bytes data = BYTES_NONE;
    request_encode(&request, &data);
    unlock(c);
    connection_send(n->connection, &ping.call, span_bytes(&data), PING_MS);
    lock(c);
    while (!ping.is_over) {
        if (w->is_over) {
            connection_abandon(n->connection, &ping.call);
        }
        (void)bell_wait(w->over, &c->lock, MONITOR_FOR_EVER);
    }
    bytes_release(&ping.data);
    bytes_release(&data);
    return ping.err == SG_OK;
}

/* Under the lock: until the answer came. A node that answers nothing at all, not even
 * whether it is there, is left (SG_TIMEOUT) for another one: a process that is stopped
 * keeps its connections. One that is there and slow is waited for: to ask others as
 * well would make it slower. */
static void wait_watching(struct effort *e, struct node *n, struct waiter *w)
{
    while (!w->is_over) {
        uint64_t until_ms = monitor_now_ms() + SILENCE_MS;
        while (!w->is_over && bell_wait(w->over, &e->client->lock, until_ms)) {
        }
        if (!w->is_over && !is_there(e->client, n, w) && !w->is_over) {
            connection_abandon(n->connection, &w->call);
            return;
        }
    }
}

static enum sg_err exchange(struct effort *e, struct node *n, uint32_t timeout_ms, struct span *reply)
{
    struct bell over;
    struct waiter w = {.call = {.done = on_done}, .client = e->client, .over = &over};
    struct request request = *e->request;
    struct bytes data = BYTES_NONE;
    request.timeout_ms =
        timeout_ms - (timeout_ms / 5 < NODE_HEADSTART_MS ? timeout_ms / 5 : NODE_HEADSTART_MS);
    request_encode(&request, &data);
    if (data.n > REQUEST_SIZE_MAX_BYTES) {
        bytes_release(&data);
        return SG_TOOBIG;
    }
    bell_init(&over);
    connection_send(n->connection, &w.call, span_bytes(&data), timeout_ms);
    lock(e->client);
    if (e->repeatable && e->client->nodes_count > 1) {
        wait_watching(e, n, &w);
    }
    while (!w.is_over) {
        (void)bell_wait(&over, &e->client->lock, MONITOR_FOR_EVER);
    }
    unlock(e->client);
    bell_release(&over);
    *reply = arena_dup(e->arena, span_bytes(&w.data));
    bytes_release(&w.data);
    bytes_release(&data);
    return w.err;
}

static uint64_t left_ms(const struct effort *e)
{
    uint64_t now = monitor_now_ms();
    return now < e->deadline_ms ? e->deadline_ms - now : 0;
}

static uint32_t attempt_ms(const struct effort *e)
{
    uint64_t left = left_ms(e);
    uint64_t ms = left;
    if (e->repeatable && e->client->nodes_count > 1) {
        ms = left / 3 > ATTEMPT_MIN_MS ? left / 3 : ATTEMPT_MIN_MS;
    }
    ms = ms < left ? ms : left;
    return ms > 0 ? (uint32_t)ms : 1;
}

static void say(struct effort *e, enum sg_err err, const char *text)
{
    *e->reply = (struct reply){.err = err, .text = arena_dup(e->arena, span_str(text))};
}

/* Is the call over with this reply? */
static bool is_final(struct effort *e)
{
    switch (e->reply->err) {
    case SG_NOTLEADER:
    case SG_UNAVAILABLE:
    case SG_BUSY:
    case SG_STOPPED:
        return false; /* Not done. */
    case SG_UNKNOWN:
    case SG_TIMEOUT:
        e->may_be_done = true;
        return !e->repeatable;
    case SG_OK:
    case SG_INVALID:
    case SG_NOTFOUND:
    case SG_EXISTS:
    case SG_CONFLICT:
    case SG_TOOBIG:
    case SG_IO:
    case SG_CORRUPT:
    case SG_REFUSED:
    case SG_UNSUPPORTED:
    case SG_ERRS:
        return true;
    }
    return true;
}

/* Returns true when the call is over. */
static bool try_node(struct effort *e, struct node *n)
{
    char text[TEXT_SIZE];
    struct span data = SPAN_NONE;
    enum sg_err err = exchange(e, n, attempt_ms(e), &data);
    if (err == SG_OK && reply_decode(data, e->arena, e->reply) != SG_OK) {
        (void)snprintf(text, sizeof(text),
                       "%s: the answer is malformed; is it a Shardgate node of this version?", n->address);
        say(e, SG_UNKNOWN, text);
        err = SG_UNKNOWN;
    } else if (err == SG_TOOBIG) {
        say(e, SG_TOOBIG, "the request is over the size limit; split it");
        node_give(e->client, n, false);
        return true;
    } else if (err == SG_UNAVAILABLE) {
        (void)snprintf(text, sizeof(text), "%s: not connected", n->address);
        say(e, SG_UNAVAILABLE, text);
    } else if (err != SG_OK) {
        (void)snprintf(text, sizeof(text), "%s: %s before the answer came; it may or may not have been done",
                       n->address, err == SG_TIMEOUT ? "the time was over" : "the connection broke");
        say(e, SG_UNKNOWN, text);
    }
    node_give(e->client, n, err != SG_OK || e->reply->err == SG_STOPPED);
    return is_final(e);
}

/* --- A call ---------------------------------------------------------------- */

/* All connected nodes were asked: give the cluster time to elect or recover, or
 * a node to come or go. */
static void pause_before_next_round(struct effort *e)
{
    uint64_t until_ms = monitor_now_ms() + e->backoff_ms;
    lock(e->client);
    (void)bell_wait(&e->client->changed, &e->client->lock,
                    until_ms < e->deadline_ms ? until_ms : e->deadline_ms);
    unlock(e->client);
    e->backoff_ms = e->backoff_ms * 2 < BACKOFF_LAST_MS ? e->backoff_ms * 2 : BACKOFF_LAST_MS;
    e->tried = 0;
}

static void explain_no_node(struct effort *e)
{
    char text[TEXT_SIZE];
    size_t n = (size_t)snprintf(text, sizeof(text), "no node could be reached");
    for (size_t i = 0; i < e->client->nodes_count && n + 1 < sizeof(text); i++) {
        char why[ADDRESS_SIZE_MAX + 100];
        probe_explain(e->client->nodes[i].address, EXPLAIN_MS, why, sizeof(why));
        n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", i == 0 ? ": " : "; ", why);
    }
    say(e, SG_UNAVAILABLE, text);
}

/* The time is over. What may have been done by any try must be said. */
static void finish(struct effort *e)
{
    if (e->reply->err == SG_OK) {
        explain_no_node(e); /* There was no try at all. */
    }
    if (e->may_be_done && e->reply->err != SG_UNKNOWN && !FAULT_BUG("doubt-forgotten")) {
        char last[TEXT_SIZE / 2];
        char text[TEXT_SIZE];
        (void)snprintf(text, sizeof(text),
                       "%s; an earlier try got no answer: it may or may not have been done",
                       span_cstr(e->reply->text, last, sizeof(last)));
        say(e, SG_UNKNOWN, text);
    }
}

enum sg_err client_call(struct client *c, const struct request *r, struct arena *a, struct reply *out)
{
    uint32_t timeout_ms = r->timeout_ms != 0 ? r->timeout_ms : REQUEST_TIMEOUT_MS;
    uint32_t last_try_ms = timeout_ms / 8 < LAST_TRY_MS ? timeout_ms / 8 : LAST_TRY_MS;
    struct effort e = {
        .client = c,
        .request = r,
        .arena = a,
        .reply = out,
        .deadline_ms = monitor_now_ms() + timeout_ms,
        .backoff_ms = BACKOFF_FIRST_MS,
        .repeatable = verb_is_repeatable(verb_facts(r->kind), r),
    };
    *out = (struct reply){.err = SG_OK};
    while (left_ms(&e) > (out->err == SG_OK ? 0 : last_try_ms)) {
        struct node *n = node_take(&e);
        if (n == NULL && e.tried != 0) {
            pause_before_next_round(&e);
        } else if (n != NULL && try_node(&e, n)) {
            return out->err;
        }
    }
    finish(&e);
    CHECK(out->err != SG_OK);
    return out->err;
}

struct gather *client_gather(struct client *c)
{
    return c->gather;
}

/* --- Life ------------------------------------------------------------------ */

static enum sg_err node_add(struct client *c, struct span text, char *why, size_t why_size)
{
    if (c->nodes_count == CLIENT_ADDRESSES_MAX || text.n + strlen("tcp://") > ADDRESS_SIZE_MAX) {
        (void)snprintf(why, why_size, "too many addresses (at most %d), or one is too long",
                       CLIENT_ADDRESSES_MAX);
        return SG_INVALID;
    }
    char address[ADDRESS_SIZE_MAX + 1];
    struct node *n = &c->nodes[c->nodes_count];
    (void)span_cstr(text, address, sizeof(address));
    bool has_scheme = strstr(address, "://") != NULL;
    (void)snprintf(n->address, sizeof(n->address), "%s%.*s", has_scheme ? "" : "tcp://",
                   (int)(ADDRESS_SIZE_MAX - strlen("tcp://")), address);
    enum sg_err err = connection_new(n->address, on_changed, c, &n->connection, why, why_size);
    if (err == SG_OK) {
        lock(c); /* Earlier connections already call on_changed(). */
        c->nodes_count++;
        unlock(c);
    }
    return err;
}

enum sg_err client_new(const char *addresses, struct client **out, char *why, size_t why_size)
{
    struct client *c = mem_zalloc(1, sizeof(*c));
    enum sg_err err = SG_INVALID;
    monitor_init(&c->lock);
    bell_init(&c->changed);
    c->gather = gather_new(c);
    (void)snprintf(why, why_size, "no address of a node is given");
    for (const char *at = addresses; *at != '\0';) {
        size_t n = strcspn(at, ", ");
        if (n > 0) {
            err = node_add(c, span_of(at, n), why, why_size);
        }
        if (n > 0 && err != SG_OK) {
            break;
        }
        at += n;
        at += strspn(at, ", ");
    }
    if (err != SG_OK) {
        client_free(c);
        return err;
    }
    *out = c;
    return SG_OK;
}

void client_free(struct client *c)
{
    if (c == NULL) {
        return;
    }
    for (size_t i = 0; i < c->nodes_count; i++) {
        connection_free(c->nodes[i].connection);
    }
    gather_free(c->gather);
    bell_release(&c->changed);
    monitor_release(&c->lock);
    mem_free(c);
}
