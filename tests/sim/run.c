/* One run: a storm of faults and work, then calm, then the account. */
#include <inttypes.h>
#include <string.h>

#include "proto/base/mem.h"
#include "tests/sim/sim.h"

#define LOOK_US 2000000
#define QUEUES_US 50000
#define IDLE_COMMITS_MAX 40
#define REQUESTS_OF_FILE 10
#define CALM_LOOK_US 250000
#define AFTER_US 12000000 /* Late requests may still come to life at a bank. */

/* Ordinary days and those on which clocks and calendars are special. */
static const int64_t beginnings_s[] = {
    1772635800, /* 2026-03-04 14:50 UTC, a Wednesday. */
    1772953080, /* 2026-03-08 06:58 UTC: summer time begins in New York. */
    1793512740, /* 2026-11-01 05:59 UTC: it ends. */
    1783051140, /* 2026-07-02 03:59 UTC: midnight before a holiday. */
    1798779480, /* 2027-01-01 04:58 UTC: the year changes. */
    1772899200, /* 2026-03-07 16:00 UTC, a Saturday. */
};

/* One host and one shard after the other. */
static void look_at_rows(void *arg)
{
    struct sim *s = arg;
    struct sim_host *h = &s->hosts[sim_below(s, s->plan.nodes)];
    rows_check(h, (unsigned)sim_below(s, s->plan.shards));
    (void)sim_at(s, NULL, LOOK_US, look_at_rows, s);
}

static void look_at_queues(void *arg)
{
    struct sim *s = arg;
    check_queues(s);
    (void)sim_at(s, NULL, QUEUES_US, look_at_queues, s);
}

/* When nobody asks for anything, next to nothing is written: windows that
 * close by the clock, and files that stood their test. */
static void must_be_idle(struct sim *s)
{
    uint64_t before = check_commits(s);
    sim_run_until(s, s->now_us + AFTER_US);
    if (check_commits(s) - before > (uint64_t)IDLE_COMMITS_MAX * (s->plan.shards + 1)) {
        sim_fail(s, "L-2", "%" PRIu64 " entries in %d seconds though nobody asks for anything",
                 check_commits(s) - before, AFTER_US / 1000000);
    }
}

static bool everybody_answered(struct sim *s, char *why, size_t why_size)
{
    (void)snprintf(why, why_size, "%zu calls have no answer", s->people.calls_open);
    return s->people.calls_open == 0;
}

/* At one moment: a window may have closed by the clock just now. */
static bool level_and_out(struct sim *s, char *why, size_t why_size)
{
    if (!bank_has_taken_all(s)) {
        (void)snprintf(why, why_size, "a bank has not taken all files yet");
        return false;
    }
    return rows_all_out(s, why, why_size) && check_level(s, why, why_size);
}

static void wait_until(struct sim *s, bool (*holds)(struct sim *s, char *why, size_t why_size),
                       uint64_t limit_us)
{
    uint64_t from_us = s->now_us;
    uint64_t until_us = from_us + limit_us;
    char why[512] = "";

    while (!holds(s, why, sizeof why)) {
        if (s->now_us >= until_us) {
            sim_fail(s, "L-1", "after all faults healed: %s", why);
        }
        sim_run_until(s, s->now_us + CALM_LOOK_US);
    }
    if ((s->now_us - from_us) / 1000 > s->stats.calm_ms) {
        s->stats.calm_ms = (s->now_us - from_us) / 1000;
    }
}

static void wait_for(struct sim *s, bool (*holds)(struct sim *s, char *why, size_t why_size))
{
    wait_until(s, holds, 1000 * s->plan.calm_ms);
}

/* One request of a shard is under way at a time: for each file that may be left
 * ten of them, of which none takes longer than the slowest and most far less. */
static void wait_for_banks(struct sim *s, bool (*holds)(struct sim *s, char *why, size_t why_size))
{
    uint64_t files = s->people.total / s->plan.max_lines + s->plan.closes_max + s->plan.windows;
    wait_until(s, holds, 1000 * s->plan.calm_ms + files * REQUESTS_OF_FILE * s->plan.bank_max_us);
}

/* All processes start anew: what was kept for nothing is seen by comparing. */
static void restart_all(struct sim *s)
{
    memory_note(s);
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        host_kill(&s->hosts[i]);
    }
    sim_run_until(s, s->now_us + AFTER_US);
    wait_for(s, check_level);
    memory_compare(s);
}

static void begin(struct sim *s)
{
    s->wall_start_ms = 1000 * beginnings_s[sim_below(s, sizeof beginnings_s / sizeof beginnings_s[0])];
    s->wall_start_ms -= sim_wall_begin_ms(s) - s->wall_start_ms;
    s->wall_start_ms += 1000 * (int64_t)sim_below(s, 60); /* Windows close at full minutes. */
    s->now_us = 1000000;
    check_init(s);
    heap_start(s);
    host_watch(s);
    bank_start(s);
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        host_init(&s->hosts[i], s, i);
    }
    levels_start(s);
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        host_start(&s->hosts[i]);
    }
    people_start(s);
    faults_start(s);
    moves_start(s);
    (void)sim_at(s, NULL, LOOK_US, look_at_rows, s);
    (void)sim_at(s, NULL, QUEUES_US, look_at_queues, s);
}

void sim_run(struct sim *s, const struct sim_plan *plan, bool verbose)
{
    memset(s, 0, sizeof *s);
    s->plan = *plan;
    s->verbose = verbose;
    s->rng = plan->seed * 0xa0761d6478bd642full + 0xe7037ed1a0b428dbull;
    begin(s);
    history_make(s);
    sim_run_until(s, s->now_us + 1000 * (s->plan.storm_ms + s->plan.dark_ms));
    people_rest(s);
    faults_heal(s);
    levels_heal(s);
    if (s->away != NULL) {
        wait_for(s, check_level);
        faults_return(s);
    }
    moves_restore(s);
    wait_for(s, everybody_answered);
    wait_for(s, levels_raised_all);
    wait_for(s, check_level);
    people_repeat_all(s);
    wait_for(s, everybody_answered);
    people_close_all(s);
    wait_for(s, everybody_answered);
    wait_for_banks(s, rows_all_out);
    must_be_idle(s);
    wait_for_banks(s, level_and_out);
    settle(s);
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        heap_check(&s->hosts[i]);
    }
    if (sim_hooks == NULL) {
        restart_all(s);
    }
    s->stats.commits = check_commits(s);
    s->stats.virtual_ms = s->now_us / 1000;
}
