/* No turn of a loop depends on how much data there is (L-3).
 *
 * Time stands still while code runs here, so operations on the store are counted:
 * each record that is looked at, put or deleted is one. */
#include <inttypes.h>

#include "supervisor/node/node_impl.h"
#include "supervisor/node/pace.h"
#include "tests/sim/check.h"

/* A group that is opened reads its log: what is kept of it, thrice. A node that starts
 * opens all groups of a lane in one turn. */
#define OPENING_READS 3
#define TURN_OPS_MAX 400

void pace_look(struct sim_host *h)
{
    if (h->life == h->has_long_log) {
        return; /* Its log is as long as none becomes: it is trimmed as it is applied. */
    }
    for (unsigned k = 0; k < h->lanes_count; k++) {
        uint64_t groups = h->node->lanes[k].slots_count + 1;
        uint64_t most = TURN_OPS_MAX + OPENING_READS * h->sim->plan.trailing * groups;
        if (h->sim->plan.earlier != 0) {
            most += SETTINGS_EVENTS_BACK; /* At level 1 a new leader looks for when its settings came. */
        }
        uint64_t max = histogram_max(&pace_meter(&h->node->lanes[k], PACE_TURN)->cpu);
        if (max > most) {
            sim_fail(h->sim, "L-3",
                     "a loop turn of %s asked %" PRIu64 " things of the store; %" PRIu64 " are allowed",
                     h->name, max, most);
        }
    }
}
