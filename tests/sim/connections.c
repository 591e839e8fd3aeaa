/* The client library's connections: supervisor/client/connection.h as the simulator
 * links it.
 *
 * A connection breaks when its node dies, and now and then for no reason: before a
 * request arrives or after it was answered. What was sent is then unknown. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/mem.h"
#include "supervisor/client/connection.h"
#include "supervisor/client/probe.h"
#include "tests/sim/sim.h"

#define DIAL_US 200000
#define WAY_US 3000

struct connection {
    struct sim *sim;
    struct sim_host *host;
    void (*changed)(void *impl);
    void *impl;
    bool is_up;
    bool is_dialling;
    struct flight *flights;
    struct connection *next;
};

/* A call on its way. It may outlive the call, which ends when its time is over. */
struct flight {
    struct connection *connection;
    struct connection_call *call; /* NULL: it has ended. */
    struct sim_event *timer;
    struct bytes request, reply;
    struct flight *next;
};

static struct sim *world;
static struct connection *connections;

void connections_start(struct sim *s)
{
    world = s;
    connections = NULL;
}

/* --- Up and down ------------------------------------------------------------------------ */

static void flight_end(struct flight *f, enum sg_err err, struct span reply)
{
    struct connection_call *call = f->call;
    struct flight **at = &f->connection->flights;

    while (*at != f) {
        at = &(*at)->next;
    }
    *at = f->next;
    if (f->timer != NULL) {
        sim_cancel(world, f->timer);
        f->timer = NULL;
    }
    f->call = NULL;
    call->done(call, err, reply);
}

static void dial(void *arg)
{
    struct connection *c = arg;
    c->is_dialling = false;
    if (!c->host->up || c->host->paused) {
        c->is_dialling = true;
        (void)sim_at(world, NULL, DIAL_US / 4 + sim_below(world, DIAL_US), dial, c);
        return;
    }
    c->is_up = true;
    c->changed(c->impl);
}

static void dial_soon(struct connection *c)
{
    if (!c->is_dialling) {
        c->is_dialling = true;
        (void)sim_at(world, NULL, 10000 + sim_below(world, DIAL_US), dial, c);
    }
}

static void connection_break(void *arg)
{
    struct connection *c = arg;
    if (!c->is_up) {
        return;
    }
    c->is_up = false;
    while (c->flights != NULL) {
        flight_end(c->flights, SG_UNKNOWN, SPAN_NONE);
    }
    c->changed(c->impl);
    dial_soon(c);
}

void connections_lost(struct sim_host *h)
{
    for (struct connection *c = connections; c != NULL; c = c->next) {
        if (c->host == h) {
            (void)sim_at(world, NULL, sim_below(world, WAY_US), connection_break, c);
        }
    }
}

static bool breaks(void)
{
    return !world->calm && sim_chance(world, world->plan.answer_lost);
}

/* --- A call ------------------------------------------------------------------------------- */

static void flight_drop(void *arg)
{
    struct flight *f = arg;
    bytes_release(&f->request);
    bytes_release(&f->reply);
    if (f->call == NULL) {
        mem_free(f);
    } /* Else its connection is about to break. */
}

static void reply_arrive(void *arg)
{
    struct flight *f = arg;
    struct connection *c = f->connection;
    if (breaks()) {
        connection_break(c);
    } else if (f->call != NULL && c->is_up) {
        flight_end(f, SG_OK, span_bytes(&f->reply));
    }
    flight_drop(f);
}

/* On the node. */
static void replied(void *token, struct bytes *reply)
{
    struct flight *f = token;
    check_lane(&f->connection->host->lanes[0], "the client port");
    f->reply = *reply;
    *reply = BYTES_NONE;
    (void)sim_at(world, NULL, sim_skewed(world, 50, WAY_US), reply_arrive, f);
}

static void request_arrive(void *arg)
{
    struct flight *f = arg;
    struct bytes request = f->request;
    f->request = BYTES_NONE;
    node_request(f->connection->host->node, span_bytes(&request), replied, f);
    bytes_release(&request);
}

static void time_over(void *arg)
{
    struct flight *f = arg;
    f->timer = NULL;
    flight_end(f, SG_TIMEOUT, SPAN_NONE);
}

void connection_send(struct connection *c, struct connection_call *call, struct span request,
                     uint32_t timeout_ms)
{
    struct flight *f;
    struct sim_event *e;

    if (!c->is_up) {
        call->done(call, SG_UNAVAILABLE, SPAN_NONE);
        return;
    }
    world->stats.calls++;
    f = mem_zalloc(1, sizeof *f);
    *f = (struct flight){.connection = c, .call = call, .next = c->flights};
    c->flights = f;
    bytes_set(&f->request, request);
    f->timer = sim_at(world, NULL, 1000 * (uint64_t)timeout_ms, time_over, f);
    if (breaks()) {
        (void)sim_at(world, NULL, sim_below(world, WAY_US), connection_break, c);
        return;
    }
    if (!c->host->up) {
        return; /* It does not know yet that its connection is broken. */
    }
    e = sim_at(world, c->host, sim_skewed(world, 50, WAY_US), request_arrive, f);
    e->drop = flight_drop;
}

void connection_abandon(struct connection *c, struct connection_call *call)
{
    for (struct flight *f = c->flights; f != NULL; f = f->next) {
        if (f->call == call) {
            if (f->timer != NULL) {
                sim_cancel(world, f->timer);
            }
            f->timer = sim_at(world, NULL, 1000 * (uint64_t)CONNECTION_TICK_MS, time_over, f);
            return;
        }
    }
}

bool connection_is_up(struct connection *c)
{
    return c->is_up;
}

enum sg_err connection_new(const char *address, void (*changed)(void *impl), void *impl,
                           struct connection **out, char *why, size_t why_size)
{
    struct connection *c;
    unsigned long node;

    CHECK(strncmp(address, "sim://n", strlen("sim://n")) == 0);
    node = strtoul(address + strlen("sim://n"), NULL, 10);
    CHECK(node >= 1 && node <= world->plan.nodes);
    (void)why;
    (void)why_size;
    c = mem_zalloc(1, sizeof *c);
    *c = (struct connection){
        .sim = world, .host = &world->hosts[node - 1], .changed = changed, .impl = impl, .next = connections};
    connections = c;
    dial_soon(c);
    *out = c;
    return SG_OK;
}

void connection_free(struct connection *c)
{
    (void)c;
    CHECK(false); /* Clients live as long as the run. */
}

void probe_explain(const char *address, uint32_t timeout_ms, char *why, size_t why_size)
{
    (void)timeout_ms;
    (void)snprintf(why, why_size, "%s: simulated", address);
}
