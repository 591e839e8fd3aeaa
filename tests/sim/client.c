/* Calls as a client makes them: to any node, with a time limit, repeated with
 * the same ids until there is an answer. */
#include "proto/base/mem.h"
#include "tests/sim/sim.h"

#define SERVER_LIMIT_MS 5000u
#define CLIENT_LIMIT_US 6000000u
#define AGAIN_US 100000u

/* One try on its way. Its node may die with it, so it is freed by whoever ends
 * it, or not at all. */
struct attempt {
    struct sim *sim;
    struct sim_host *host;
    struct client_call *call;
    uint64_t number; /* The call's try_number; another one: too late. */
    struct bytes request;
    struct bytes reply;
};

static void try_now(void *arg);

static void call_end(struct client_call *c, const struct reply *r)
{
    struct sim *s = c->sim;
    if (c->timer != NULL) {
        sim_cancel(s, c->timer);
        c->timer = NULL;
    }
    s->people.calls_open--;
    sim_trace_words(s, NULL, c->shard < SIM_SHARDS_MAX ? "\"$\" of shard # ends: $" : "\"$\" ends: $",
                    request_kind_name(c->kind), r == NULL ? "no answer that decides" : sg_err_name(r->err),
                    c->shard, 0);
    if (s->verbose && r != NULL && r->err != SG_OK) {
        char text[256];
        (void)fprintf(stderr, "           (%s: %s)\n", sg_err_name(r->err),
                      span_cstr(r->text, text, sizeof text));
    }
    c->answered(c, r);
    /* Not freed: late attempts still point here, and runs are short. */
    bytes_release(&c->request);
    c->try_number = 0;
}

static void again(struct client_call *c, const char *why)
{
    if (c->sim->verbose) {
        (void)fprintf(stderr, "           (%s of shard %u goes on: %s)\n", request_kind_name(c->kind),
                      c->shard, why);
    }
    if (c->timer != NULL) {
        sim_cancel(c->sim, c->timer);
        c->timer = NULL;
    }
    c->try_number++;
    if (--c->tries_left == 0) {
        call_end(c, NULL);
        return;
    }
    c->timer = sim_at(c->sim, NULL, AGAIN_US + sim_below(c->sim, AGAIN_US), try_now, c);
}

/* It may have happened: only what is the same when it happens twice goes on. */
static void in_doubt(struct client_call *c)
{
    c->tries_left = c->once ? 1 : c->tries_left;
    again(c, "in doubt");
}

static void timed_out(void *arg)
{
    struct client_call *c = arg;
    c->timer = NULL;
    in_doubt(c);
}

/* Did surely nothing happen? */
static bool says_later(enum sg_err err)
{
    return err == SG_NOTLEADER || err == SG_UNAVAILABLE || err == SG_BUSY || err == SG_STOPPED;
}

static void reply_arrive(void *arg)
{
    struct attempt *a = arg;
    struct client_call *c = a->call;
    struct arena arena = ARENA_INIT;
    struct reply r;

    if (c->try_number == a->number) {
        if (reply_decode(span_bytes(&a->reply), &arena, &r) != SG_OK) {
            sim_fail(a->sim, "I-13", "node %s sent a reply that cannot be read", a->host->name);
        }
        if (r.err == SG_UNKNOWN) {
            in_doubt(c);
        } else if (says_later(r.err)) {
            again(c, sg_err_name(r.err));
        } else {
            call_end(c, &r);
        }
        arena_release(&arena);
    }
    bytes_release(&a->reply);
    mem_free(a);
}

/* On the node: it has answered. */
static void replied(void *token, struct bytes *reply)
{
    struct attempt *a = token;
    struct sim *s = a->sim;

    check_lane(&a->host->lanes[0], "the client port");
    if (!s->calm && sim_chance(s, s->plan.answer_lost)) {
        bytes_release(reply);
        return;
    }
    a->reply = *reply;
    *reply = BYTES_NONE;
    (void)sim_at(s, NULL, sim_skewed(s, 50, 3000), reply_arrive, a);
}

static void request_arrive(void *arg)
{
    struct attempt *a = arg;
    struct bytes request = a->request;
    a->request = BYTES_NONE;
    node_request(a->host->node, span_bytes(&request), replied, a);
    bytes_release(&request);
}

static void attempt_drop(void *arg)
{
    struct attempt *a = arg;
    bytes_release(&a->request);
    mem_free(a);
}

static void try_now(void *arg)
{
    struct client_call *c = arg;
    struct sim *s = c->sim;
    struct sim_host *h = &s->hosts[sim_below(s, s->plan.nodes)];
    struct attempt *a;

    c->timer = NULL;
    s->stats.calls++;
    if (!h->up) {
        again(c, "connection refused");
        return;
    }
    c->timer = sim_at(s, NULL, c->timeout_us, timed_out, c);
    a = mem_zalloc(1, sizeof *a);
    *a = (struct attempt){.sim = s, .host = h, .call = c, .number = c->try_number};
    bytes_set(&a->request, span_bytes(&c->request));
    sim_at(s, h, sim_skewed(s, 50, 3000), request_arrive, a)->drop = attempt_drop;
}

struct client_call *client_send(struct sim *s, struct request *r, unsigned tries, bool once,
                                void (*answered)(struct client_call *c, const struct reply *r), void *impl)
{
    struct client_call *c = mem_zalloc(1, sizeof *c);
    unsigned shard = sim_shard_of(r->routing_number.n);

    CHECK(tries > 0);
    *c = (struct client_call){.sim = s,
                              .kind = r->kind,
                              .once = once,
                              .tries_left = tries,
                              .timeout_us = CLIENT_LIMIT_US,
                              .try_number = 1,
                              .began_us = s->now_us,
                              .answered = answered,
                              .shard = shard,
                              .impl = impl};
    r->timeout_ms = SERVER_LIMIT_MS;
    request_encode(r, &c->request);
    s->people.calls_open++;
    c->timer = sim_at(s, NULL, 1, try_now, c);
    return c;
}
