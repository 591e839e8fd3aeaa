#include "supervisor/node/pace.h"

#include "supervisor/node/lane.h"

static const char *const names[PACE_KINDS] = {
    [PACE_TURN] = "loop turn", [PACE_JOB] = "writer job", [PACE_COMMIT] = "commit"};

const char *pace_name(enum pace_of of)
{
    return names[of];
}

struct meter *pace_meter(const struct lane *l, enum pace_of of)
{
    return of == PACE_TURN  ? loop_turns(l->loop)
           : of == PACE_JOB ? writer_job_times(l->writer)
                            : writer_commit_times(l->writer);
}

bool pace_is_slow(enum pace_of of, const struct meter_figures *recent)
{
    return of != PACE_COMMIT && recent->cpu_max_us > TURN_SLOW_US;
}

void pace_tick(struct lane *l)
{
    struct log_scope scope = {.node = l->self->name};
    struct stamp now = loop_stamp(l->loop);
    for (enum pace_of of = PACE_TURN; of < PACE_COMMIT; of++) {
        struct meter *m = pace_meter(l, of);
        uint64_t longest_us = meter_take_longest(m);
        if (longest_us > TURN_SLOW_US) {
            struct meter_figures recent = meter_recent(m, now);
            logger_line(LOG_WARN, &scope, "lane.slow",
                        "lane=%u what=%s clock_us=%llu recent_cpu_max_us=%llu recent_p99_us=%llu", l->number,
                        LOG_TEXT(pace_name(of)), (unsigned long long)longest_us,
                        (unsigned long long)recent.cpu_max_us, (unsigned long long)recent.p99_us);
        }
    }
}
