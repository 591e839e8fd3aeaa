#include <stdio.h>

#include "shard/state/families.h"

/* From here on commands may be of the new level. One that was proposed before and
 * comes behind this entry keeps its own. A level never goes back. */
enum sg_err apply_level(struct apply *a)
{
    char aba[ABA_TEXT_SIZE], what[48];
    uint32_t level = state_level(&a->counters);
    uint32_t to = a->command->level_change.to;
    if (to > a->rows->level_max) {
        (void)snprintf(what, sizeof(what), "what follows log entry %llu", (unsigned long long)a->index);
        return state_newer(a->rows, what, to, a->command->level_change.program);
    }
    if (to <= level) {
        return apply_same(a, "this shard stands at level %u", level);
    }
    a->counters.level = to;
    return apply_event(a, "level.changed", span_str(aba_text((struct aba){(uint32_t)a->rows->group}, aba)),
                       EVENT_FIELDS(event_number("level", to)));
}
