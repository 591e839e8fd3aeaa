/* Programs of two levels in one cluster. Some nodes begin with an earlier program (one that
 * speaks level 1 only) and change it as people upgrade and go back, until the level is
 * raised. One that goes back after that stops its groups and harms nobody. */
#include <inttypes.h>
#include <stdio.h>

#include "supervisor/node/node_impl.h"
#include "tests/sim/check.h"

#define EARLIER_LEVEL 1u
#define BACK_TOO_LATE 10 /* One change in so many goes back though the level is raised. */

bool levels_are_raised(const struct sim *s)
{
    bool raised = false;
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        const struct sim_host *h = &s->hosts[i];
        raised = raised || (h->up && h->node != NULL && h->node->model->level.level > EARLIER_LEVEL);
    }
    return raised;
}

static void change_one(void *arg)
{
    struct sim *s = arg;
    if (s->calm) {
        return;
    }
    (void)sim_at(s, NULL, sim_gap_us(s, s->plan.program_every_ms), change_one, s);
    struct sim_host *h = &s->hosts[sim_below(s, s->plan.nodes)];
    bool back = sim_below(s, 3) == 0;
    if (back && levels_are_raised(s) && sim_below(s, BACK_TOO_LATE) != 0) {
        back = false;
    }
    uint32_t level_max = back ? EARLIER_LEVEL : 0;
    if (h->level_max != level_max && !h->lost) {
        sim_trace(s, h, back ? "goes back to the program before" : "gets the new program", 0, 0);
        h->level_max = level_max;
        host_kill(h);
    }
}

static void finalized(struct client_call *c, const struct reply *r)
{
    (void)r; /* Refused, or done: the catalogs tell. */
    c->sim->finalize_open = false;
}

static void finalize(struct sim *s, unsigned tries)
{
    struct request r = {.kind = REQUEST_UPGRADE_FINALIZE};
    s->finalize_open = true;
    s->finalize_asked = true;
    (void)client_send(s, &r, tries, false, finalized, NULL);
}

static void finalize_some(void *arg)
{
    struct sim *s = arg;
    if (s->calm) {
        return;
    }
    (void)sim_at(s, NULL, sim_gap_us(s, s->plan.finalize_every_ms), finalize_some, s);
    if (!s->finalize_open) {
        finalize(s, 2);
    }
}

void levels_start(struct sim *s)
{
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        s->hosts[i].level_max = (s->plan.earlier >> i & 1) != 0 ? EARLIER_LEVEL : 0;
    }
    if (s->plan.earlier != 0) {
        (void)sim_at(s, NULL, 3000000 + sim_gap_us(s, s->plan.program_every_ms), change_one, s);
        (void)sim_at(s, NULL, 3000000 + sim_gap_us(s, s->plan.finalize_every_ms), finalize_some, s);
    }
}

void levels_heal(struct sim *s)
{
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        struct sim_host *h = &s->hosts[i];
        if (h->level_max != 0) {
            h->level_max = 0;
            host_kill(h); /* It starts again with what all run. */
        }
    }
}

static bool shard_is_raised(struct sim *s, unsigned number, char *why, size_t why_size)
{
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        struct sim_host *h = &s->hosts[i];
        uint64_t group = check_group_id(number);
        struct lane_slot *slot = h->up ? lane_slot(node_lane_of(h->node, group), group) : NULL;
        uint32_t level = slot != NULL && slot->shard != NULL ? shard_level(slot->shard) : 0;
        if (level == LEVEL_MAX) {
            return true;
        }
        if (level != 0 && check_is_excused(h, 0)) {
            return true; /* Its catalog is damaged: it hears of no level, and its shards wait for another leader. */
        }
        if (level != 0) {
            (void)snprintf(why, why_size, "shard %" PRIu64 " stands at level %u", group, level);
            return false;
        }
    }
    (void)snprintf(why, why_size, "shard %" PRIu64 " has no leader", check_group_id(number));
    return false;
}

bool levels_raised_all(struct sim *s, char *why, size_t why_size)
{
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        if (s->hosts[i].lost) {
            return true; /* What it runs is not known, so the level stays until an operator has been there. */
        }
    }
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        struct sim_host *h = &s->hosts[i];
        if (check_is_excused(h, 0)) {
            continue;
        }
        uint32_t level = h->up && h->node != NULL ? h->node->model->level.level : 0;
        if (level != LEVEL_MAX) {
            if (!s->finalize_open && !s->hosts[i].lost) {
                finalize(s, 2);
            }
            (void)snprintf(why, why_size, "the catalog of %s stands at level %u", h->name, level);
            return false;
        }
    }
    for (unsigned number = 1; number <= s->plan.shards; number++) {
        if (!shard_is_raised(s, number, why, why_size)) {
            return false;
        }
    }
    return true;
}
