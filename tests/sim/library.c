/* Programs that work with the cluster through the client library: one handle, many
 * callers, as a program with threads has it. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/mem.h"
#include "supervisor/client/client.h"
#include "supervisor/client/monitor.h"
#include "tests/sim/sim.h"

#define CALLERS_MAX 16u
#define ITEMS_MAX 8u
#define LATE_MS 100 /* A caller goes on this long after its time at most. */

struct caller {
    struct sim *sim;
    struct client *client;
    struct monitor monitor;
    struct bell bell;
};

static void rest(struct caller *c, uint64_t us)
{
    uint64_t until_ms = monitor_now_ms() + us / 1000 + 1;
    while (monitor_now_ms() < until_ms) {
        (void)bell_wait(&c->bell, &c->monitor, until_ms);
    }
}

static void check_time(struct sim *s, const char *what, uint64_t began_ms, uint64_t most_ms)
{
    uint64_t took_ms = monitor_now_ms() - began_ms;
    if (took_ms > most_ms + LATE_MS) {
        sim_fail(s, "L-4", "%s took %" PRIu64 " ms of the %" PRIu64 " it had", what, took_ms, most_ms);
    }
}

/* The same transfer twice in one call is the caller's own mistake. */
static bool is_among(const struct people_item *items, size_t count, const struct promise *p)
{
    for (size_t i = 0; i < count; i++) {
        if (items[i].promise == p) {
            return true;
        }
    }
    return false;
}

static size_t items_choose(struct sim *s, struct people_item items[ITEMS_MAX], unsigned *shards)
{
    size_t wanted = 1 + sim_below(s, s->plan.batch_max < ITEMS_MAX ? s->plan.batch_max : ITEMS_MAX);
    uint32_t seen = 0;
    size_t count = 0;
    for (size_t i = 0; i < wanted; i++) {
        unsigned shard = people_shard(s);
        struct people_item item = people_item(s, shard);
        if (!is_among(items, count, item.promise)) {
            items[count++] = item;
            seen |= 1u << shard;
        }
    }
    *shards = (unsigned)__builtin_popcount(seen);
    return count;
}

static void submit(struct caller *c)
{
    struct sim *s = c->sim;
    struct people_item items[ITEMS_MAX];
    struct transfer transfers[ITEMS_MAX];
    struct submit_result results[ITEMS_MAX];
    struct arena arena = ARENA_INIT;
    struct span text = SPAN_NONE;
    uint32_t timeout_ms = (uint32_t)(300 + sim_below(s, 9000));
    uint64_t began_ms = monitor_now_ms();
    unsigned shards;
    size_t count = items_choose(s, items, &shards);
    enum sg_err err;

    for (size_t i = 0; i < count; i++) {
        transfers[i] = people_transfer(s, &items[i]);
    }
    err = client_submit(c->client, transfers, count, timeout_ms, &arena, results, &text);
    check_time(s, "a submission", began_ms, (uint64_t)shards * timeout_ms);
    sim_trace_words(s, NULL, "a program's submission of # transfers ends: $", sg_err_name(err), "", count, 0);
    for (size_t i = 0; i < count; i++) {
        if (results[i].outcome != OUTCOME_NONE) {
            people_heard(s, &items[i], &results[i]);
        } else if (err == SG_OK) {
            sim_fail(s, "I-13", "all went well, and transfer %s has no outcome", items[i].promise->id);
        } else if (err == SG_UNAVAILABLE && shards == 1 && items[i].promise->sends == 1) {
            items[i].promise->not_done = true;
        }
    }
    if (err != SG_OK && text.n == 0) {
        sim_fail(s, "I-13", "a submission ends with %s and does not say why", sg_err_name(err));
    }
    arena_release(&arena);
}

static void ask(struct caller *c)
{
    static const enum request_kind kinds[] = {REQUEST_STATUS, REQUEST_SHARDS_SHOW, REQUEST_FILES_LIST,
                                              REQUEST_PING};
    struct sim *s = c->sim;
    struct arena arena = ARENA_INIT;
    struct reply reply;
    struct request r = {.kind = kinds[sim_below(s, 4)],
                        .routing_number = sim_shard_aba(people_shard(s)),
                        .timeout_ms = (uint32_t)(300 + sim_below(s, 5000))};
    uint64_t began_ms = monitor_now_ms();
    enum sg_err err = client_call(c->client, &r, &arena, &reply);

    check_time(s, request_kind_name(r.kind), began_ms, r.timeout_ms);
    if (err == SG_UNKNOWN && r.kind == REQUEST_PING && reply.text.n == 0) {
        sim_fail(s, "I-13", "a call ends in doubt and does not say why");
    }
    arena_release(&arena);
}

static void caller_run(void *arg)
{
    struct caller *c = arg;
    struct sim *s = c->sim;
    for (;;) {
        rest(c, sim_gap_us(s, s->plan.caller_every_ms));
        if (s->people.resting) {
            return;
        }
        if (s->people.total < s->plan.accept_max && sim_below(s, 5) > 0) {
            s->people.calls_open++;
            submit(c);
            s->people.calls_open--;
        } else {
            ask(c);
        }
    }
}

void library_start(struct sim *s)
{
    char addresses[SIM_NODES_MAX * 16] = "";
    char why[256];
    struct client *client;

    if (s->plan.callers == 0) {
        return;
    }
    connections_start(s);
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        size_t n = strlen(addresses);
        (void)snprintf(addresses + n, sizeof addresses - n, "%ssim://n%u", n == 0 ? "" : ",", i + 1);
    }
    threads_begin(s);
    CHECK(client_new(addresses, &client, why, sizeof why) == SG_OK);
    for (unsigned i = 0; i < s->plan.callers && i < CALLERS_MAX; i++) {
        struct caller *c = mem_zalloc(1, sizeof *c);
        c->sim = s;
        c->client = client;
        monitor_init(&c->monitor);
        bell_init(&c->bell);
        thread_start(s, caller_run, c);
    }
}
