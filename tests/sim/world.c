#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "proto/mem.h"
#include "tests/sim/sim.h"

#define TURN_END (1ull << 63) /* In an event's order: after the rest of its moment. */

/* --- Random: splitmix64, small and good enough to choose faults ------------------------- */

uint64_t sim_random(struct sim *s)
{
    uint64_t z = (s->rng += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

uint64_t sim_below(struct sim *s, uint64_t n)
{
    CHECK(n > 0);
    return sim_random(s) % n;
}

bool sim_chance(struct sim *s, uint32_t per_million)
{
    return per_million > 0 && sim_below(s, 1000000) < per_million;
}

uint64_t sim_skewed(struct sim *s, uint64_t low, uint64_t high)
{
    uint64_t range = high > low ? high - low : 0;
    uint64_t a = sim_below(s, range + 1);
    uint64_t b = sim_below(s, range + 1);
    uint64_t c = sim_below(s, range + 1);
    a = a < b ? a : b;
    return low + (a < c ? a : c);
}

uint64_t sim_gap_us(struct sim *s, uint64_t every_ms)
{
    return 1000 * (every_ms / 4) + sim_below(s, 1500 * every_ms + 1);
}

/* --- The heap ----------------------------------------------------------------------------- */

static bool earlier(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_us < b->at_us || (a->at_us == b->at_us && a->order < b->order);
}

static void place(struct sim *s, size_t slot, struct sim_event *e)
{
    s->heap[slot] = e;
    e->slot = slot;
}

static void sift_up(struct sim *s, size_t slot)
{
    struct sim_event *e = s->heap[slot];
    while (slot > 0 && earlier(e, s->heap[(slot - 1) / 2])) {
        place(s, slot, s->heap[(slot - 1) / 2]);
        slot = (slot - 1) / 2;
    }
    place(s, slot, e);
}

static void sift_down(struct sim *s, size_t slot)
{
    struct sim_event *e = s->heap[slot];
    for (;;) {
        size_t child = 2 * slot + 1;
        if (child >= s->heap_count) {
            break;
        }
        if (child + 1 < s->heap_count && earlier(s->heap[child + 1], s->heap[child])) {
            child++;
        }
        if (!earlier(s->heap[child], e)) {
            break;
        }
        place(s, slot, s->heap[child]);
        slot = child;
    }
    place(s, slot, e);
}

static void heap_add(struct sim *s, struct sim_event *e)
{
    if (s->heap_count == s->heap_cap) {
        s->heap_cap = s->heap_cap == 0 ? 1024 : 2 * s->heap_cap;
        s->heap = mem_realloc(s->heap, s->heap_cap * sizeof s->heap[0]);
    }
    s->heap[s->heap_count] = e;
    sift_up(s, s->heap_count++);
}

static void heap_remove(struct sim *s, struct sim_event *e)
{
    size_t slot = e->slot;
    struct sim_event *last = s->heap[--s->heap_count];
    e->slot = SIZE_MAX;
    if (last == e) {
        return;
    }
    place(s, slot, last);
    sift_down(s, slot);
    sift_up(s, last->slot);
}

/* Events come and go by the million: they are kept for reuse. */
static struct sim_event *event_new(struct sim *s)
{
    struct sim_event *e = s->unused;
    if (e == NULL) {
        return mem_zalloc(1, sizeof *e);
    }
    s->unused = e->arg;
    memset(e, 0, sizeof *e);
    return e;
}

static void event_free(struct sim *s, struct sim_event *e)
{
    e->arg = s->unused;
    s->unused = e;
}

static struct sim_event *add(struct sim *s, struct sim_host *host, uint64_t delay_us, uint64_t order,
                             void (*run)(void *arg), void *arg)
{
    struct sim_event *e = event_new(s);
    e->at_us = s->now_us + delay_us;
    e->order = order;
    e->host = host;
    e->life = host == NULL ? 0 : host->life;
    e->run = run;
    e->arg = arg;
    heap_add(s, e);
    return e;
}

struct sim_event *sim_at(struct sim *s, struct sim_host *host, uint64_t delay_us, void (*run)(void *arg),
                         void *arg)
{
    return add(s, host, delay_us, s->order++, run, arg);
}

struct sim_event *sim_at_turn_end(struct sim *s, struct sim_host *host, void (*run)(void *arg), void *arg)
{
    return add(s, host, 0, TURN_END | s->order++, run, arg);
}

void sim_cancel(struct sim *s, struct sim_event *e)
{
    if (e->slot != SIZE_MAX) {
        heap_remove(s, e);
        event_free(s, e);
        return;
    }
    /* Held while its host is paused, or running now: it must do nothing. */
    e->run = NULL;
}

static void mix(struct sim *s, uint64_t v)
{
    s->trace_hash = (s->trace_hash ^ v) * 0x100000001b3ull;
    s->trace_hash ^= s->trace_hash >> 29;
}

bool sim_step(struct sim *s)
{
    struct sim_event *e;
    struct sim_host *h;

    if (s->heap_count == 0) {
        return false;
    }
    e = s->heap[0];
    heap_remove(s, e);
    CHECK(e->at_us >= s->now_us);
    s->now_us = e->at_us;
    s->stats.events++;
    mix(s, e->at_us ^ e->order << 20);
    h = e->host;
    if (h != NULL && h->life == e->life && h->paused) {
        host_hold(h, e);
        return true;
    }
    if (h != NULL && h->life != e->life) {
        if (e->drop != NULL) {
            e->drop(e->arg);
        }
    } else if (e->run != NULL) {
        e->run(e->arg);
        if (h != NULL && h->life == e->life && h->up) {
            check_host(h);
        }
    }
    event_free(s, e);
    return true;
}

void sim_run_until(struct sim *s, uint64_t at_us)
{
    while (s->heap_count > 0 && s->heap[0]->at_us <= at_us) {
        (void)sim_step(s);
    }
    s->now_us = at_us;
}

/* --- The trace ------------------------------------------------------------------------------ */

void sim_trace(struct sim *s, const struct sim_host *host, const char *what, uint64_t a, uint64_t b)
{
    struct sim_line *l = &s->lines[s->lines_count++ % SIM_TRACE_LINES];
    *l = (struct sim_line){
        .at_us = s->now_us, .a = a, .b = b, .host = host == NULL ? -1 : (int)host->index, .what = what};
    mix(s, s->now_us);
    for (const char *c = what; *c != '\0'; c++) {
        mix(s, (uint64_t)(unsigned char)*c);
    }
    mix(s, a);
    mix(s, b);
    if (s->verbose) {
        (void)fprintf(stderr, "%10.6f %s %s %" PRIu64 " %" PRIu64 "\n", (double)l->at_us / 1e6,
                      host == NULL ? "-" : host->name, what, a, b);
    }
}

void sim_fail(struct sim *s, const char *invariant, const char *fmt, ...)
{
    uint64_t first = s->lines_count > SIM_TRACE_LINES ? s->lines_count - SIM_TRACE_LINES : 0;
    va_list args;

    (void)fflush(stdout);
    (void)fprintf(stderr, "the last events before it:\n");
    for (uint64_t i = first; i < s->lines_count; i++) {
        const struct sim_line *l = &s->lines[i % SIM_TRACE_LINES];
        char who[16] = "world";
        if (l->host >= 0) {
            (void)snprintf(who, sizeof who, "n%d", l->host + 1);
        }
        (void)fprintf(stderr, "  %12.6f s  %-5s  %s %" PRIu64 " %" PRIu64 "\n", (double)l->at_us / 1e6, who,
                      l->what, l->a, l->b);
    }
    (void)fprintf(stderr, "seed %" PRIu64 ": %s broken: ", s->plan.seed, invariant);
    va_start(args, fmt);
    (void)vfprintf(stderr, fmt, args);
    va_end(args);
    (void)fprintf(stderr, "\nrepeat with: scripts/sim --seed %" PRIu64 "%s%s\n", s->plan.seed,
                  s->plan.scenario[0] != '\0' ? " --scenario " : "", s->plan.scenario);
    (void)fflush(stderr);
    _Exit(1);
}
