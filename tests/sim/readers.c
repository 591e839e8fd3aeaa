/* People who look into files while everything breaks: what they read is what was sealed (I-6). */
#define _GNU_SOURCE /* memmem */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "tests/sim/sim.h"

#define TRIES 2u

static void got(struct client_call *c, const struct reply *r)
{
    uint64_t file = (uint64_t)(uintptr_t)c->impl;
    if (r != NULL && r->err == SG_OK && !rows_is_as_sealed(c->sim, c->shard, file, r->data)) {
        sim_fail(c->sim, "I-6",
                 "'files get' of file %" PRIu64 " of shard %u gives other bytes than were sealed", file,
                 c->shard);
    }
}

static void verified(struct client_call *c, const struct reply *r)
{
    if (r != NULL && r->err == SG_OK &&
        memmem(r->json.p, r->json.n, "\"ok\":false", strlen("\"ok\":false")) != NULL) {
        sim_fail(c->sim, "I-6", "'files verify' of file %" PRIu64 " of shard %u finds a difference",
                 (uint64_t)(uintptr_t)c->impl, c->shard);
    }
}

static void shown(struct client_call *c, const struct reply *r)
{
    (void)c;
    (void)r;
}

static const struct question {
    enum request_kind kind;
    const char *argument;
    bool of_node, of_transfer; /* Else of a file. */
    void (*answered)(struct client_call *c, const struct reply *r);
} questions[] = {{REQUEST_FILES_GET, "file", false, false, got},
                 {REQUEST_FILES_VERIFY, "file", false, false, verified},
                 {REQUEST_FILES_SHOW, "file", false, false, shown},
                 {REQUEST_TRANSFERS_TRACE, "id", false, true, shown},
                 {REQUEST_HASH, "node", true, false, shown}};

void readers_look(void *sim)
{
    struct sim *s = sim;
    const struct question *q = &questions[sim_below(s, sizeof questions / sizeof questions[0])];
    unsigned shard = (unsigned)sim_below(s, s->plan.shards);
    uint64_t number = rows_sealed_file(s, shard);
    char text[32];
    struct request_arg a = {span_str(q->argument), SPAN_NONE};
    struct request r = {.kind = q->kind, .routing_number = sim_shard_aba(shard), .args = &a, .args_count = 1};

    if (s->people.resting) {
        return;
    }
    (void)sim_at(s, NULL, sim_gap_us(s, s->plan.read_every_ms), readers_look, s);
    if (q->of_node) {
        (void)snprintf(text, sizeof text, "n%" PRIu64, 1 + number % s->plan.nodes);
    } else if (q->of_transfer) {
        (void)snprintf(text, sizeof text, "t%u-%" PRIu64, shard, number);
    } else {
        (void)snprintf(text, sizeof text, "%" PRIu64, number);
    }
    a.value = span_str(text);
    (void)client_send(s, &r, TRIES, false, q->answered, (void *)(uintptr_t)number);
}
