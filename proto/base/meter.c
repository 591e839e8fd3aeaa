#include "proto/base/meter.h"

static uint64_t minute_of(struct stamp now)
{
    return now.clock_us / METER_RECENT_US + 1;
}

/* Where this minute is counted; what was counted there two minutes ago goes. */
static struct meter_recent *recent_of(struct meter *m, struct stamp now)
{
    uint64_t number = minute_of(now);
    struct meter_recent *r = &m->recent[number % 2];
    if (atomic_load_explicit(&r->number, memory_order_relaxed) != number) {
        histogram_clear(&r->clock);
        histogram_clear(&r->cpu);
        atomic_store_explicit(&r->number, number, memory_order_relaxed);
    }
    return r;
}

struct stamp meter_lap(struct meter *m, struct stamp from, struct stamp to)
{
    struct meter_recent *r = recent_of(m, to);
    uint64_t clock_us = to.clock_us - from.clock_us;
    uint64_t cpu_us = to.cpu_us - from.cpu_us;
    histogram_add(&m->clock, clock_us);
    histogram_add(&m->cpu, cpu_us);
    histogram_add(&r->clock, clock_us);
    histogram_add(&r->cpu, cpu_us);
    if (clock_us > atomic_load_explicit(&m->longest_us, memory_order_relaxed)) {
        atomic_store_explicit(&m->longest_us, clock_us, memory_order_relaxed);
    }
    return to;
}

uint64_t meter_take_longest(struct meter *m)
{
    return atomic_exchange_explicit(&m->longest_us, 0, memory_order_relaxed);
}

static struct meter_figures figures_of(const struct histogram *clock, const struct histogram *cpu)
{
    return (struct meter_figures){.count = histogram_count(clock),
                                  .p50_us = histogram_quantile(clock, 500),
                                  .p99_us = histogram_quantile(clock, 990),
                                  .max_us = histogram_max(clock),
                                  .cpu_p99_us = histogram_quantile(cpu, 990),
                                  .cpu_max_us = histogram_max(cpu)};
}

struct meter_figures meter_all(const struct meter *m)
{
    return figures_of(&m->clock, &m->cpu);
}

struct meter_figures meter_recent(const struct meter *m, struct stamp now)
{
    struct histogram clock = {.max = 0};
    struct histogram cpu = {.max = 0};
    uint64_t number = minute_of(now);
    for (size_t i = 0; i < 2; i++) {
        const struct meter_recent *r = &m->recent[i];
        uint64_t of = atomic_load_explicit(&r->number, memory_order_relaxed);
        if (of == number || of + 1 == number) {
            histogram_merge(&clock, &r->clock);
            histogram_merge(&cpu, &r->cpu);
        }
    }
    return figures_of(&clock, &cpu);
}
