/* After everything healed: every replica level, every group led. */
#include <inttypes.h>
#include <string.h>

#include "supervisor/node/node_impl.h"
#include "tests/sim/check.h"

bool check_is_excused(struct sim_host *h, unsigned number)
{
    struct lane_slot *slot;
    if (h->lost || h == h->sim->away) {
        return true;
    }
    if (h->rotted == 0 || !h->up) {
        return false;
    }
    if (h->sim->checker->replicas[h->index][number].failed) {
        return true;
    }
    slot =
        number == 0 ? NULL : lane_slot(node_lane_of(h->node, check_group_id(number)), check_group_id(number));
    /* What is damaged may also keep it from being opened. */
    return h->node->state != NODE_RUNNING || (number == 0 && h->node->catalog == NULL) ||
           (number > 0 && (slot == NULL || (slot->shard == NULL && !slot->opening)));
}

static bool replica_level(struct sim_host *h, unsigned number, char *why, size_t why_size)
{
    struct group *g = check_group(h, number);
    const struct truth *t = &h->sim->checker->truth[number];

    if (check_is_excused(h, number)) {
        return true;
    }
    if (g == NULL) {
        (void)snprintf(why, why_size, "%s has not opened group %" PRIu64, h->name, check_group_id(number));
        return false;
    }
    if (g->applied != t->commit || g->last_index != t->commit) {
        (void)snprintf(why, why_size,
                       "%s has applied %" PRIu64 " of %" PRIu64 " in group %" PRIu64 ", last %" PRIu64
                       ", term %" PRIu64,
                       h->name, g->applied, t->commit, check_group_id(number), g->last_index,
                       (uint64_t)g->raft.current_term);
        return false;
    }
    if (number > 0) {
        uint64_t group = check_group_id(number);
        uint64_t missing = shard_files_missing(lane_slot(node_lane_of(h->node, group), group)->shard);
        if (missing > 0) {
            (void)snprintf(why, why_size, "%s does not keep %" PRIu64 " files of group %" PRIu64, h->name,
                           missing, group);
            return false;
        }
    }
    return true;
}

bool check_holds(struct sim *s, struct sim_host *h, unsigned number)
{
    struct group *best = NULL;
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        struct group *g = check_group(&s->hosts[i], number);
        best = g != NULL && (best == NULL || g->commit > best->commit) ? g : best;
    }
    for (unsigned i = 0; best != NULL && i < best->raft.configuration.n; i++) {
        if (best->raft.configuration.servers[i].id == h->index + 1) {
            return true;
        }
    }
    return best == NULL;
}

bool check_can_do_without(struct sim *s, const struct sim_host *h)
{
    for (unsigned number = 0; number <= s->plan.shards; number++) {
        for (unsigned voters = 1; voters < 1u << SIM_NODES_MAX; voters++) {
            int all = __builtin_popcount(voters);
            int left = __builtin_popcount(voters & ~(1u << h->index));
            if ((s->checker->truth[number].voters_seen >> voters & 1) != 0 && left <= all / 2) {
                return false;
            }
        }
    }
    return true;
}

static bool group_level(struct sim *s, unsigned number, char *why, size_t why_size)
{
    bool has_leader = false;

    for (unsigned i = 0; i < s->plan.nodes; i++) {
        struct sim_host *h = &s->hosts[i];
        struct group *g = check_group(h, number);
        if (!check_holds(s, h, number)) {
            continue;
        }
        if (!replica_level(h, number, why, why_size)) {
            return false;
        }
        has_leader = has_leader || (g != NULL && role_is_ready(g));
    }
    if (!has_leader) {
        (void)snprintf(why, why_size, "group %" PRIu64 " has no leader at work", check_group_id(number));
    }
    return has_leader;
}

bool check_level(struct sim *s, char *why, size_t why_size)
{
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        if (!s->hosts[i].up && !s->hosts[i].lost && &s->hosts[i] != s->away) {
            (void)snprintf(why, why_size, "%s is down", s->hosts[i].name);
            return false;
        }
    }
    for (unsigned number = 0; number <= s->plan.shards; number++) {
        if (!group_level(s, number, why, why_size) ||
            (s->away == NULL && !moves_level(s, number, why, why_size))) {
            return false;
        }
    }
    return true;
}
