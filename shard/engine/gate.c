/* The output gate (I-1): a message leaves only after every term and vote that
 * was queued before it is durable. */
#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "shard/engine/engine.h"

bool gate_is_open(const struct group *g)
{
    return g->hard_states_durable == g->hard_states_queued || FAULT_BUG("message-before-flush");
}

static void hold(struct group *g, uint64_t peer, const struct message *m)
{
    if (g->held_count == HELD_MESSAGES_MAX) {
        return; /* Messages may be lost; the queue must not grow behind a stuck disk. */
    }
    if (g->held_count == g->held_cap) {
        g->held_cap = g->held_cap == 0 ? 8 : g->held_cap * 2;
        g->held = mem_realloc(g->held, g->held_cap * sizeof(*g->held));
    }
    g->held[g->held_count++] = (struct held_message){g->hard_states_queued, peer, *m};
}

void gate_send(struct group *g, uint64_t peer, const struct message *m)
{
    if (g->held_count == 0 && gate_is_open(g)) {
        send_now(g, peer, m);
    } else {
        hold(g, peer, m);
    }
}

void gate_release(struct group *g)
{
    size_t n = 0;
    while (n < g->held_count && g->held[n].gate <= g->hard_states_durable && !g->stopped) {
        struct held_message held = g->held[n++]; /* A damaged record drops the queue. */
        send_now(g, held.peer, &held.message);
    }
    if (g->stopped || n == g->held_count) {
        gate_clear(g);
        return;
    }
    for (size_t i = n; i < g->held_count; i++) {
        g->held[i - n] = g->held[i];
    }
    g->held_count -= n;
}

void gate_clear(struct group *g)
{
    mem_free(g->held);
    g->held = NULL;
    g->held_count = 0;
    g->held_cap = 0;
}
