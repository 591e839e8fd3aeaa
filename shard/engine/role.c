/* Who leads, and may this replica act (I-8). */
#include <inttypes.h>

#include "proto/base/fault.h"
#include "shard/engine/engine.h"

uint64_t role_leader(const struct group *g)
{
    switch (g->raft.state) {
    case RAFT_LEADER:
        return g->o.node;
    case RAFT_FOLLOWER:
        return g->raft.follower_state.current_leader.id;
    default:
        return 0;
    }
}

bool role_is_ready(const struct group *g)
{
    return !g->stopped && g->raft.state == RAFT_LEADER && g->ready_index != 0 &&
           (g->applied >= g->ready_index || FAULT_BUG("ready-too-early"));
}

struct role role_now(const struct group *g)
{
    return (struct role){role_is_ready(g), g->raft.current_term, role_leader(g)};
}

static void log_elected(struct group *g)
{
    uint64_t now = loop_now_ms(g->o.loop);
    g->scope.term = g->raft.current_term;
    if (g->lost_ms == 0) {
        logger_line(LOG_INFO, &g->scope, "leader.elected", "index=%" PRIu64, g->last_index);
    } else {
        logger_line(LOG_INFO, &g->scope, "leader.elected", "index=%" PRIu64 " lost_ms=%" PRIu64,
                    g->last_index, now - g->lost_ms);
    }
}

/* The first entry of the own term is the barrier of libraft, or ours (see
 * propose_barrier), or the first proposal; whichever, it is at the log's end. */
static void became_leader(struct group *g)
{
    g->elections++;
    g->ready_index = 0;
    struct entry *last = cache_get(&g->cache, g->last_index);
    if (last != NULL && last->term == g->raft.current_term) {
        g->ready_index = g->last_index;
    }
    log_elected(g);
}

static void lost_leadership(struct group *g, uint64_t term)
{
    g->scope.term = term;
    logger_line(LOG_INFO, &g->scope, "leader.lost", "new_term=%llu", g->raft.current_term);
    g->ready_index = 0;
    proposals_lose(g);
    snapshot_send_stop_all(g);
}

static void note_leader(struct group *g, uint64_t before, uint64_t now)
{
    if (now != 0) {
        g->lost_ms = 0;
        g->hurry_until_ms = 0;
    } else if (before != 0 && g->lost_ms == 0) {
        g->lost_ms = loop_now_ms(g->o.loop);
    }
}

void role_after_step(struct group *g, unsigned state, const struct role *before)
{
    bool led = state == RAFT_LEADER;
    bool leads = g->raft.state == RAFT_LEADER;
    if (led && (!leads || before->term != g->raft.current_term)) {
        lost_leadership(g, before->term);
    }
    if (leads && (!led || before->term != g->raft.current_term)) {
        became_leader(g);
    }
    timer_ignore_straggler(g);
    struct role now = role_now(g);
    if (now.term != before->term) {
        snapshot_recv_stop(g); /* Its sender leads no more. */
    }
    note_leader(g, before->leader, now.leader);
    if (now.is_ready != g->told.is_ready || now.term != g->told.term || now.leader != g->told.leader) {
        group_later(g);
    }
}

void role_tell(struct group *g)
{
    struct role now = role_now(g);
    if (now.is_ready == g->told.is_ready && now.term == g->told.term && now.leader == g->told.leader) {
        return;
    }
    g->told = now;
    g->o.machine.ops->role(g->o.machine.impl, now.is_ready, now.term, now.leader);
}
