#include "shard/engine/engine.h"
#include "shard/engine/guards.h"

uint64_t timer_clock_ms(struct group *g)
{
    return loop_now_ms(g->o.loop) + g->clock_ahead_ms;
}

static bool is_hurried(const struct group *g, uint64_t now)
{
    return now < g->hurry_until_ms;
}

/* When libraft wants its TIMEOUT, in loop time. */
static uint64_t wanted_ms(const struct group *g)
{
    uint64_t timeout = raft_timeout(&g->raft);
    return timeout > g->clock_ahead_ms ? timeout - g->clock_ahead_ms : 0;
}

/* Jump the group's clock forward so that an election timeout ends at at_ms. */
static void hasten(struct group *g, uint64_t at_ms)
{
    uint64_t wanted = wanted_ms(g);
    if (wanted > at_ms) {
        g->clock_ahead_ms += wanted - at_ms;
    }
}

/* A vote that was refused by a node which had not noticed the loss yet, or was
 * split, is asked for again soon. A round of pre-votes costs nothing; real ones
 * are spread as widely as libraft spread the two timeouts. */
static void hasten_candidate(struct group *g)
{
    uint64_t pause = g->hurry_pause_ms;
    if (!g->raft.candidate_state.in_pre_vote) {
        pause += (g->raft.candidate_state.randomized_election_timeout - g->raft.election_timeout) / 6;
    }
    hasten(g, g->last_timeout_ms + pause);
}

static uint64_t due_ms(struct group *g, uint64_t now)
{
    if (g->raft.state == RAFT_CANDIDATE && is_hurried(g, now)) {
        hasten_candidate(g);
    }
    return guard_g10_earliest(&g->raft, g->last_timeout_ms, wanted_ms(g));
}

/* Lazily: a timer that rings too early looks again. */
void timer_update(struct group *g)
{
    uint64_t now = loop_now_ms(g->o.loop);
    uint64_t due = due_ms(g, now);
    if (g->timer.armed && g->timer_at_ms <= due) {
        return;
    }
    g->timer_at_ms = due > now ? due : now;
    loop_after(g->o.loop, &g->timer, g->timer_at_ms - now);
}

/* libraft would not stand now, and would wait a whole election timeout more. */
static bool must_wait_for_writes(const struct group *g)
{
    return g->raft.state == RAFT_FOLLOWER && g->raft.last_stored < raft_last_index((struct raft *)&g->raft);
}

bool timer_is_due(struct group *g, bool stored)
{
    uint64_t now = loop_now_ms(g->o.loop);
    bool must_wait = is_hurried(g, now) && must_wait_for_writes(g);
    /* What it waited for is there, however little time has passed since it was due. */
    if (stored && !must_wait && is_hurried(g, now) && g->raft.state == RAFT_FOLLOWER && role_leader(g) == 0 &&
        wanted_ms(g) <= now) {
        g->last_timeout_ms = now;
        return true;
    }
    if (now < due_ms(g, now)) {
        return false;
    }
    g->last_timeout_ms = now;
    return !must_wait;
}

void timer_run(struct task *task)
{
    struct group *g = CONTAINER_OF(task, struct group, timer);
    uint64_t now = loop_now_ms(g->o.loop);
    if (now < due_ms(g, now)) {
        timer_update(g);
    } else {
        group_later(g);
    }
}

/* After a restart of all nobody leads, and waiting for it helps nobody; if one
 * does lead, its heartbeat comes first or the others refuse. */
void timer_open(struct group *g)
{
    uint64_t now = loop_now_ms(g->o.loop);
    g->hurry_until_ms = now + g->o.election_timeout_ms;
    g->hurry_pause_ms = g->o.heartbeat_ms;
    hasten(g, now + g->o.heartbeat_ms + loop_random(g->o.loop) % (2ull * g->o.heartbeat_ms));
    group_later(g);
}

static void forget_leader(struct group *g)
{
    /* With a leader libraft refuses its vote to everybody. */
    g->raft.follower_state.current_leader.id = 0;
}

void timer_ignore_straggler(struct group *g)
{
    uint64_t now = loop_now_ms(g->o.loop);
    if (g->raft.state != RAFT_FOLLOWER || role_leader(g) != g->lost_node) {
        return;
    }
    forget_leader(g);
    hasten(g, g->lost_likeliest ? now : now + g->o.heartbeat_ms);
}

void group_stand(struct group *g)
{
    if (g->stopped || g->raft.state != RAFT_FOLLOWER || g->raft.current_term != 1 || role_leader(g) != 0) {
        return;
    }
    uint64_t now = loop_now_ms(g->o.loop);
    g->hurry_until_ms = now + g->o.election_timeout_ms;
    g->hurry_pause_ms = g->o.heartbeat_ms / 5;
    hasten(g, now);
    group_later(g);
}

void group_peer_lost(struct group *g, uint64_t node, bool likeliest)
{
    /* Without a leader, node may have died between its election and its first word. */
    if (g->stopped || node == 0 || g->raft.state != RAFT_FOLLOWER ||
        (role_leader(g) != node && role_leader(g) != 0)) {
        return;
    }
    uint64_t now = loop_now_ms(g->o.loop);
    forget_leader(g);
    g->lost_ms = now;
    g->lost_node = node;
    g->lost_likeliest = likeliest;
    g->hurry_until_ms = now + g->o.election_timeout_ms;
    g->hurry_pause_ms = g->o.heartbeat_ms / 5;
    g->stragglers_until_ms = now + g->o.heartbeat_ms / 4;
    hasten(g, likeliest ? now : now + g->o.heartbeat_ms);
    group_later(g);
}
