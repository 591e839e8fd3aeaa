#include "supervisor/client/gather.h"

#include <stddef.h>
#include <string.h>

#include "proto/base/check.h"
#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "supervisor/client/monitor.h"

/* One call; on its caller's stack. */
struct part {
    const struct transfer *transfers;
    size_t count;
    size_t size_bytes;
    struct submit_result *results;
    struct arena *arena;
    struct span *text;
    uint64_t deadline_ms;
    enum sg_err err;
    bool is_over; /* Unless it leads the batch: */
    struct bell over;
    struct part *next;
};

/* Calls that leave together; on the stack of the first, which leads. */
struct batch {
    struct part *head;
    struct part **tail;
    size_t count, size_bytes;
    struct bell released;
    bool is_released; /* Its place among those under way is taken already. */
    struct batch *next;
};

/* A shard to which something is under way. */
struct line {
    struct aba shard;
    unsigned flights;
    struct batch *waiting; /* The first leaves first. */
    struct line *next;
};

struct gather {
    struct client *client;
    struct monitor lock;
    struct line *lines;
};

struct gather *gather_new(struct client *c)
{
    struct gather *g = mem_zalloc(1, sizeof(*g));
    g->client = c;
    monitor_init(&g->lock);
    return g;
}

void gather_free(struct gather *g)
{
    CHECK(g->lines == NULL);
    monitor_release(&g->lock);
    mem_free(g);
}

static void lock(struct gather *g)
{
    monitor_lock(&g->lock);
}

static void unlock(struct gather *g)
{
    monitor_unlock(&g->lock);
}

/* --- Gathering. Under the lock. -------------------------------------------- */

static struct line *line_of(struct gather *g, struct aba shard)
{
    struct line *l = g->lines;
    while (l != NULL && l->shard.n != shard.n) {
        l = l->next;
    }
    if (l == NULL) {
        l = mem_zalloc(1, sizeof(*l));
        l->shard = shard;
        l->next = g->lines;
        g->lines = l;
    }
    return l;
}

static void line_drop(struct gather *g, struct line *l)
{
    struct line **at = &g->lines;
    while (*at != l) {
        at = &(*at)->next;
    }
    *at = l->next;
    mem_free(l);
}

static void batch_add(struct batch *b, struct part *p)
{
    *b->tail = p;
    b->tail = &p->next;
    b->count += p->count;
    b->size_bytes += p->size_bytes;
}

/* The company must not end the call early by much, nor keep it for longer. */
static bool batch_suits(const struct batch *b, const struct part *p)
{
    uint64_t deadline_ms = b->head->deadline_ms;
    return b->count + p->count <= REQUEST_TRANSFERS_MAX &&
           b->size_bytes + p->size_bytes <= REQUEST_SIZE_MAX_BYTES && p->deadline_ms >= deadline_ms &&
           p->deadline_ms - deadline_ms <= GATHER_WAIT_MAX_MS;
}

static struct batch *batch_to_join(const struct line *l, const struct part *p)
{
    struct batch *b = l->waiting;
    while (b != NULL && !batch_suits(b, p)) {
        b = b->next;
    }
    return b;
}

static void line_remove(struct line *l, struct batch *b)
{
    struct batch **at = &l->waiting;
    while (*at != b) {
        at = &(*at)->next;
    }
    *at = b->next;
}

static void line_append(struct line *l, struct batch *b)
{
    struct batch **at = &l->waiting;
    while (*at != NULL) {
        at = &(*at)->next;
    }
    *at = b;
}

/* Until a request comes back, or for GATHER_WAIT_MAX_MS. */
static void wait_for_turn(struct gather *g, struct line *l, struct batch *b)
{
    uint64_t until_ms = monitor_now_ms() + GATHER_WAIT_MAX_MS;
    bool in_time = true;
    line_append(l, b);
    while (!b->is_released && in_time) {
        in_time = bell_wait(&b->released, &g->lock, until_ms);
    }
    if (!b->is_released) {
        line_remove(l, b);
        l->flights++;
    }
}

static void flight_over(struct gather *g, struct line *l)
{
    struct batch *next = l->waiting;
    l->flights--;
    if (next != NULL && l->flights < GATHER_FLIGHTS_MAX) {
        l->waiting = next->next;
        l->flights++;
        next->is_released = true;
        bell_ring(&next->released);
    } else if (next == NULL && l->flights == 0) {
        line_drop(g, l);
    }
}

/* --- Asking ---------------------------------------------------------------- */

static uint32_t left_ms(uint64_t deadline_ms)
{
    uint64_t now = monitor_now_ms();
    return now < deadline_ms ? (uint32_t)(deadline_ms - now) : 1;
}

static void part_answer(struct part *p, enum sg_err err, const struct reply *reply, size_t first)
{
    p->err = err;
    *p->text = arena_dup(p->arena, reply->text);
    for (size_t i = 0; err == SG_OK && i < p->count; i++) {
        p->results[i] = reply->results[first + i];
        p->results[i].id = p->transfers[i].id;
        p->results[i].reason = arena_dup(p->arena, reply->results[first + i].reason);
        p->results[i].note = arena_dup(p->arena, reply->results[first + i].note);
    }
}

/* transfers are those of all parts. Afterwards every part has its answer; the
 * memory of those that do not lead is their callers' again. */
static void ask(struct client *c, const struct batch *b, struct transfer *transfers, struct arena *a,
                struct reply *reply)
{
    const struct request request = {
        .kind = REQUEST_SUBMIT,
        .routing_number = transfers[0].routing_number,
        .timeout_ms = left_ms(b->head->deadline_ms),
        .transfers = transfers,
        .transfers_count = b->count,
    };
    enum sg_err err = client_call(c, &request, a, reply);
    if (err == SG_OK && reply->results_count != b->count) {
        reply->err = SG_UNKNOWN;
        reply->text =
            span_str("the node answered for another number of transfers; submit again with the same ids");
    }
}

static struct transfer *transfers_of(const struct batch *b)
{
    struct transfer *transfers = mem_alloc(b->count * sizeof(*transfers));
    size_t n = 0;
    for (const struct part *p = b->head; p != NULL; p = p->next) {
        memcpy(&transfers[n], p->transfers, p->count * sizeof(*transfers));
        n += p->count;
    }
    return transfers;
}

static void answer_all(struct gather *g, const struct batch *b, const struct reply *reply)
{
    size_t first = 0;
    for (struct part *p = b->head; p != NULL; p = p->next) {
        part_answer(p, reply->err, reply, first);
        first += FAULT_BUG("batch-answers-mixed") ? 0 : p->count;
    }
    lock(g); /* Those in company go on, and are gone, once it is let go of. */
    for (struct part *p = b->head->next; p != NULL; p = p->next) {
        p->is_over = true;
        bell_ring(&p->over);
    }
    unlock(g);
}

static void part_ask_alone(struct gather *g, struct part *p)
{
    struct batch alone = {.head = p, .count = p->count};
    struct arena a = ARENA_INIT;
    struct reply reply;
    p->next = NULL;
    struct transfer *transfers = transfers_of(&alone);
    ask(g->client, &alone, transfers, &a, &reply);
    mem_free(transfers);
    answer_all(g, &alone, &reply);
    arena_release(&a);
}

/* The first of a batch: takes all of it there and back. */
static void lead(struct gather *g, struct line *l, struct batch *b)
{
    struct arena a = ARENA_INIT;
    struct reply reply;
    struct transfer *transfers = transfers_of(b);
    ask(g->client, b, transfers, &a, &reply);
    mem_free(transfers);
    lock(g);
    flight_over(g, l); /* First, so that the next leave while answers are handed out. */
    unlock(g);
    answer_all(g, b, &reply);
    arena_release(&a);
}

/* With those who wait for the same shard already; company takes p there. */
static void travel_along(struct gather *g, struct batch *company, struct part *p)
{
    bell_init(&p->over);
    batch_add(company, p);
    while (!p->is_over) {
        (void)bell_wait(&p->over, &g->lock, MONITOR_FOR_EVER);
    }
    unlock(g);
    bell_release(&p->over);
}

/* As the first of a batch, at once or when a request comes back. Returns how
 * many transfers left together. */
static size_t travel_ahead(struct gather *g, struct line *l, struct part *p)
{
    struct batch b = {.tail = &b.head};
    bell_init(&b.released);
    batch_add(&b, p);
    if (l->flights < GATHER_FLIGHTS_MAX) {
        l->flights++;
    } else {
        wait_for_turn(g, l, &b);
    }
    unlock(g);
    lead(g, l, &b);
    bell_release(&b.released);
    return b.count;
}

enum sg_err gather_submit(struct gather *g, const struct transfer *transfers, size_t count, size_t size_bytes,
                          uint32_t timeout_ms, struct arena *a, struct submit_result *results,
                          struct span *text)
{
    struct part p = {
        .transfers = transfers,
        .count = count,
        .size_bytes = size_bytes,
        .results = results,
        .arena = a,
        .text = text,
        .deadline_ms = monitor_now_ms() + (timeout_ms != 0 ? timeout_ms : REQUEST_TIMEOUT_MS),
    };
    bool in_company = true;
    CHECK(count > 0);
    lock(g);
    struct line *l = line_of(g, transfers[0].routing_number);
    struct batch *company = batch_to_join(l, &p);
    if (company != NULL) {
        travel_along(g, company, &p);
    } else {
        in_company = travel_ahead(g, l, &p) > count;
    }
    /* Refused as a whole, perhaps for what another call brought along. */
    if (in_company && (p.err == SG_INVALID || p.err == SG_TOOBIG)) {
        part_ask_alone(g, &p);
    }
    return p.err;
}
