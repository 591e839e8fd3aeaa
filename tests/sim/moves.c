/* Who replicates the shards: replicas are added, promoted, demoted and removed at
 * the engine's level, one server at a time, as moves of replicas will do it. No
 * request offers that yet, so it is asked of the leader's group itself.
 *
 * In the storm anything is asked for, also what must be refused. When all is
 * calm every group gets back the replicas it began with. */
#include <inttypes.h>

#include "proto/base/mem.h"
#include "supervisor/node/node_impl.h"
#include "tests/sim/check.h"

#define ASK_AGAIN_MAX 12
#define RESTORE_US 200000

struct move {
    struct sim *sim;
    unsigned number;
    enum group_change change;
    uint64_t node;
    unsigned asks_left;
};

static const char *const change_names[] = {
    [GROUP_ADD] = "adds n# to group #: $",
    [GROUP_PROMOTE] = "promotes n# in group #: $",
    [GROUP_DEMOTE] = "demotes n# in group #: $",
    [GROUP_REMOVE] = "removes n# from group #: $",
};

static struct sim_host *leader_host(struct sim *s, unsigned number)
{
    struct sim_host *best = NULL;
    uint64_t term = 0;
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        struct group *g = check_group(&s->hosts[i], number);
        if (g != NULL && !s->hosts[i].paused && !g->stopped && g->raft.state == RAFT_LEADER &&
            g->raft.current_term >= term) {
            best = &s->hosts[i];
            term = g->raft.current_term;
        }
    }
    return best;
}

static const struct raft_server *server_of(const struct group *g, uint64_t node)
{
    for (unsigned i = 0; i < g->raft.configuration.n; i++) {
        if (g->raft.configuration.servers[i].id == node) {
            return &g->raft.configuration.servers[i];
        }
    }
    return NULL;
}

static unsigned voters(const struct group *g)
{
    unsigned n = 0;
    for (unsigned i = 0; i < g->raft.configuration.n; i++) {
        n += g->raft.configuration.servers[i].role == RAFT_VOTER;
    }
    return n;
}

static enum sg_err ask(struct sim_host *h, unsigned number, enum group_change change, uint64_t node)
{
    struct sim *s = h->sim;
    enum sg_err err;
    s->running = h;
    err = group_change(check_group(h, number), change, node);
    s->running = NULL;
    sim_trace_words(s, h, change_names[change], sg_err_name(err), "", node, check_group_id(number));
    s->stats.changes += err == SG_OK;
    check_host(h);
    return err;
}

/* --- One step ----------------------------------------------------------------------------- */

/* A node that never had the group begins with nothing. */
static void join(struct sim_host *h, unsigned number)
{
    struct lane *l = node_lane_of(h->node, check_group_id(number));
    struct shard_order *order;
    if (node_state(h->node) != NODE_RUNNING || lane_slot(l, check_group_id(number)) != NULL) {
        return;
    }
    sim_trace(h->sim, h, "joins group #", check_group_id(number), 0);
    order = mem_zalloc(1, sizeof *order);
    order->lane = l;
    order->group = check_group_id(number);
    lane_order(order);
}

static void move_ask(void *arg)
{
    struct move *m = arg;
    struct sim *s = m->sim;
    struct sim_host *h = leader_host(s, m->number);
    enum sg_err err;

    if (s->calm || h == NULL ||
        (m->change == GROUP_ADD && (s->checker->truth[m->number].holders >> m->node & 1) == 0)) {
        mem_free(m);
        return;
    }
    err = ask(h, m->number, m->change, m->node);
    if (err == SG_BUSY && --m->asks_left > 0) {
        (void)sim_at(s, NULL, sim_below(s, 400000), move_ask, m);
    } else {
        mem_free(m);
    }
}

static enum group_change choose(struct sim *s, const struct group *g, uint64_t node)
{
    const struct raft_server *server = server_of(g, node);
    if (server == NULL) {
        return GROUP_ADD;
    }
    if (server->role == RAFT_STANDBY) {
        return sim_below(s, 4) > 0 ? GROUP_PROMOTE : GROUP_REMOVE;
    }
    return sim_below(s, 3) == 0 ? GROUP_DEMOTE : GROUP_REMOVE;
}

static void move_one(void *arg)
{
    struct sim *s = arg;
    unsigned number = 1 + (unsigned)sim_below(s, s->people.shards_applied);
    struct sim_host *h = leader_host(s, number);
    uint64_t node = 1 + sim_below(s, s->plan.nodes);
    struct move *m;

    if (s->calm) {
        return;
    }
    (void)sim_at(s, NULL, sim_gap_us(s, s->plan.move_every_ms), move_one, s);
    if (h == NULL) {
        return;
    }
    enum group_change change = choose(s, check_group(h, number), node);
    if (change == GROUP_ADD && host_serves(&s->hosts[node - 1])) {
        join(&s->hosts[node - 1], number);
    }
    if (change >= GROUP_DEMOTE && voters(check_group(h, number)) <= s->plan.voters_min) {
        return; /* People keep so many; what is below it the engine must refuse. */
    }
    m = mem_zalloc(1, sizeof *m);
    *m =
        (struct move){.sim = s, .number = number, .change = change, .node = node, .asks_left = ASK_AGAIN_MAX};
    (void)sim_at(s, NULL, sim_below(s, 200000), move_ask, m);
}

void moves_start(struct sim *s)
{
    if (s->plan.move_every_ms > 0) {
        (void)sim_at(s, NULL, 3000000 + sim_gap_us(s, s->plan.move_every_ms), move_one, s);
    }
}

/* --- Back to where it began ------------------------------------------------------------------ */

static bool is_home(const struct sim *s, unsigned number, uint64_t node)
{
    return (s->checker->truth[number].home >> node & 1) != 0;
}

/* The next step towards the first replicas; false: none is needed. */
static bool next_step(struct sim *s, unsigned number, const struct group *g, enum group_change *change,
                      uint64_t *node)
{
    for (*node = 1; *node <= s->plan.nodes; (*node)++) {
        const struct raft_server *server = server_of(g, *node);
        if (is_home(s, number, *node) && (server == NULL || server->role != RAFT_VOTER)) {
            *change = server == NULL ? GROUP_ADD : server->role == RAFT_SPARE ? GROUP_REMOVE : GROUP_PROMOTE;
            return true;
        }
    }
    for (*node = 1; *node <= s->plan.nodes; (*node)++) {
        if (!is_home(s, number, *node) && server_of(g, *node) != NULL) {
            *change = GROUP_REMOVE;
            return true;
        }
    }
    return false;
}

static void restore(struct sim *s, unsigned number)
{
    struct sim_host *h = leader_host(s, number);
    struct group *g = h == NULL ? NULL : check_group(h, number);
    enum group_change change;
    uint64_t node;

    if (g == NULL || !next_step(s, number, g, &change, &node)) {
        return;
    }
    if (change == GROUP_REMOVE && node == h->index + 1) {
        sim_trace_words(s, h, "gives group # away: $", sg_err_name(group_transfer(g, 0)), "",
                        check_group_id(number), 0);
        check_host(h);
    } else {
        (void)ask(h, number, change, node);
    }
}

static void restore_all(void *arg)
{
    struct sim *s = arg;
    for (unsigned number = 1; number <= s->plan.shards; number++) {
        restore(s, number);
    }
    (void)sim_at(s, NULL, RESTORE_US, restore_all, s);
}

void moves_restore(struct sim *s)
{
    if (s->plan.move_every_ms > 0) {
        restore_all(s);
    }
}

bool moves_level(struct sim *s, unsigned number, char *why, size_t why_size)
{
    struct sim_host *h = leader_host(s, number);
    struct group *g = h == NULL ? NULL : check_group(h, number);
    enum group_change change;
    uint64_t node = 0;

    if (number == 0 || s->plan.move_every_ms == 0) {
        return true;
    }
    if (g == NULL || next_step(s, number, g, &change, &node) ||
        g->raft.configuration_uncommitted_index != 0) {
        (void)snprintf(why, why_size,
                       "group %" PRIu64 " does not get back its replicas (next: node %" PRIu64 ")",
                       check_group_id(number), node);
        return false;
    }
    return true;
}
