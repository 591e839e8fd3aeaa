/* What a run is made of: drawn from the seed, then overlaid by a scenario. */
#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/sim.h"

enum key_kind { KEY_U64, KEY_UNSIGNED, KEY_U32, KEY_I64, KEY_I32, KEY_BOOL };

struct key {
    const char *name;
    enum key_kind kind;
    size_t offset;
};

#define KEY(field, kind)                               \
    {                                                  \
#field, kind, offsetof(struct sim_plan, field) \
    }

static const struct key keys[] = {
    KEY(nodes, KEY_UNSIGNED),
    KEY(shards, KEY_UNSIGNED),
    KEY(banks, KEY_UNSIGNED),
    KEY(storm_ms, KEY_U64),
    KEY(calm_ms, KEY_U64),
    KEY(heartbeat_ms, KEY_UNSIGNED),
    KEY(election_ms, KEY_UNSIGNED),
    KEY(trailing, KEY_U64),
    KEY(windows, KEY_UNSIGNED),
    KEY(max_lines, KEY_UNSIGNED),
    KEY(submit_every_ms, KEY_U64),
    KEY(cancel_every_ms, KEY_U64),
    KEY(close_every_ms, KEY_U64),
    KEY(transfer_every_ms, KEY_U64),
    KEY(apply_every_ms, KEY_U64),
    KEY(read_every_ms, KEY_U64),
    KEY(file_cancel_every_ms, KEY_U64),
    KEY(resolve_every_ms, KEY_U64),
    KEY(batch_max, KEY_UNSIGNED),
    KEY(metadata_max, KEY_UNSIGNED),
    KEY(closes_max, KEY_UNSIGNED),
    KEY(repeat_id, KEY_U32),
    KEY(change_content, KEY_U32),
    KEY(bad_content, KEY_U32),
    KEY(answer_lost, KEY_U32),
    KEY(accept_max, KEY_U64),
    KEY(loss, KEY_U32),
    KEY(duplicate, KEY_U32),
    KEY(cut, KEY_U32),
    KEY(delay_min_us, KEY_U64),
    KEY(delay_max_us, KEY_U64),
    KEY(straggle, KEY_U32),
    KEY(straggle_us, KEY_U64),
    KEY(partition_every_ms, KEY_U64),
    KEY(partition_ms, KEY_U64),
    KEY(reset_every_ms, KEY_U64),
    KEY(clog_every_ms, KEY_U64),
    KEY(clog_ms, KEY_U64),
    KEY(flush_min_us, KEY_U64),
    KEY(flush_max_us, KEY_U64),
    KEY(stall_us, KEY_U64),
    KEY(stall, KEY_U32),
    KEY(io_error_every_ms, KEY_U64),
    KEY(rot, KEY_BOOL),
    KEY(wipe, KEY_BOOL),
    KEY(full_every_ms, KEY_U64),
    KEY(kill_every_ms, KEY_U64),
    KEY(down_ms, KEY_U64),
    KEY(dark_ms, KEY_U64),
    KEY(pause_every_ms, KEY_U64),
    KEY(pause_ms, KEY_U64),
    KEY(leave_every_ms, KEY_U64),
    KEY(power_loss, KEY_U32),
    KEY(clock_jump_ms, KEY_I64),
    KEY(clock_every_ms, KEY_U64),
    KEY(drift_ppm, KEY_I32),
    KEY(bank_min_us, KEY_U64),
    KEY(bank_max_us, KEY_U64),
    KEY(take_us, KEY_U64),
    KEY(line_drop_before, KEY_U32),
    KEY(line_drop_after, KEY_U32),
    KEY(late_execution, KEY_U32),
    KEY(bank_fails, KEY_U32),
    KEY(purge_every_ms, KEY_U64),
    KEY(backup_every_ms, KEY_U64),
    KEY(power_every_ms, KEY_U64),
    KEY(directory_full_every_ms, KEY_U64),
    KEY(rename_in_two_steps, KEY_BOOL),
    KEY(stranger_every_ms, KEY_U64),
    KEY(forge_every_ms, KEY_U64),
    KEY(inflight, KEY_UNSIGNED),
    KEY(chunk_bytes, KEY_UNSIGNED),
    KEY(move_every_ms, KEY_U64),
    KEY(voters_min, KEY_UNSIGNED),
    KEY(kill_elected, KEY_U32),
    KEY(forge, KEY_U32),
    KEY(late, KEY_U32),
    KEY(stall_install, KEY_U32),
    KEY(stays_away, KEY_BOOL),
    KEY(lanes, KEY_UNSIGNED),
    KEY(post_us, KEY_U64),
    KEY(lane_stall_every_ms, KEY_U64),
    KEY(lane_stall_ms, KEY_U64),
    KEY(earlier, KEY_UNSIGNED),
    KEY(program_every_ms, KEY_U64),
    KEY(finalize_every_ms, KEY_U64),
    KEY(history, KEY_UNSIGNED),
    KEY(callers, KEY_UNSIGNED),
    KEY(caller_every_ms, KEY_U64),
};

/* --- Drawing ---------------------------------------------------------------------------- */

struct draw {
    uint64_t rng;
};

static uint64_t next(struct draw *d)
{
    uint64_t z = (d->rng += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

static uint64_t between(struct draw *d, uint64_t low, uint64_t high)
{
    return low + next(d) % (high - low + 1);
}

/* value in percent of the runs, else 0. */
static uint64_t sometimes(struct draw *d, unsigned percent, uint64_t value)
{
    return next(d) % 100 < percent ? value : 0;
}

static void draw_size(struct sim_plan *p, struct draw *d)
{
    static const unsigned shards[] = {1, 1, 2, 3, 4, 6, 10};
    p->nodes = sometimes(d, 12, 1) != 0 ? 5 : 3;
    p->shards = shards[between(d, 0, 6)];
    p->banks = (unsigned)between(d, 1, 3);
    p->storm_ms = between(d, 15000, 50000);
    /* Three times the longest of thousands of seeds, over which a disk had stalled
     * 30 s at the storm's end. */
    p->calm_ms = 100000;
    p->heartbeat_ms = (unsigned)(sometimes(d, 30, 1) != 0 ? 200 : 500);
    p->election_ms = p->heartbeat_ms * 6;
    p->trailing = 256;
    p->windows = (unsigned)between(d, 0, 3);
    p->max_lines = (unsigned)(sometimes(d, 30, 1) != 0 ? 200 : 1000);
}

static void draw_people(struct sim_plan *p, struct draw *d)
{
    p->submit_every_ms = between(d, 20, 400);
    p->batch_max = (unsigned)(sometimes(d, 25, 1) != 0 ? 40 : 5);
    p->accept_max = 1200;
    if (p->shards <= 2 && sometimes(d, 40, 1) != 0) {
        /* A busy shard: logs are trimmed, and who was away needs a snapshot. */
        p->shards = 1;
        p->submit_every_ms = between(d, 4, 10);
        p->batch_max = 1;
        p->accept_max = 6000;
        p->storm_ms = between(d, 30000, 60000);
    }
    p->cancel_every_ms = between(d, 300, 3000);
    p->close_every_ms = between(d, 1500, 8000);
    p->closes_max = 5;
    p->transfer_every_ms = sometimes(d, 50, between(d, 2000, 10000));
    p->apply_every_ms = between(d, 4000, 20000);
    p->read_every_ms = between(d, 300, 2000);
    p->file_cancel_every_ms = sometimes(d, 40, between(d, 3000, 10000));
    p->repeat_id = 150000;
    p->change_content = 100000;
    p->bad_content = 20000;
    p->answer_lost = 30000;
}

static void draw_network(struct sim_plan *p, struct draw *d)
{
    p->loss = (uint32_t)sometimes(d, 60, between(d, 1000, 80000));
    p->duplicate = (uint32_t)sometimes(d, 50, between(d, 1000, 60000));
    p->cut = (uint32_t)sometimes(d, 20, between(d, 100, 3000));
    p->delay_min_us = between(d, 50, 500);
    p->delay_max_us = p->delay_min_us + (sometimes(d, 30, 1) != 0 ? between(d, 10000, 150000) : 2000);
    p->straggle = (uint32_t)sometimes(d, 40, between(d, 500, 10000));
    p->straggle_us = 4000000;
    p->partition_every_ms = sometimes(d, 60, between(d, 3000, 15000));
    p->partition_ms = between(d, 1000, 12000);
    p->reset_every_ms = sometimes(d, 50, between(d, 2000, 10000));
}

static void draw_disk(struct sim_plan *p, struct draw *d)
{
    p->flush_min_us = between(d, 50, 1000);
    p->flush_max_us = p->flush_min_us + (sometimes(d, 20, 1) != 0 ? 40000 : 3000);
    p->stall = (uint32_t)sometimes(d, 40, between(d, 100, 3000));
    p->stall_us = between(d, 100000, 4000000);
    p->io_error_every_ms = sometimes(d, 30, between(d, 5000, 20000));
    p->rot = sometimes(d, 12, 1) != 0;
    p->wipe = !p->rot && sometimes(d, 10, 1) != 0;
    p->full_every_ms = sometimes(d, 15, between(d, 8000, 20000));
}

static void draw_processes(struct sim_plan *p, struct draw *d)
{
    p->kill_every_ms = sometimes(d, 75, between(d, 2000, 12000));
    p->down_ms = between(d, 500, 15000);
    p->pause_every_ms = sometimes(d, 50, between(d, 3000, 15000));
    p->pause_ms = between(d, 500, 12000);
    p->leave_every_ms = sometimes(d, 30, between(d, 5000, 20000));
    p->power_loss = 500000;
    p->clock_every_ms = sometimes(d, 30, between(d, 3000, 15000));
    p->clock_jump_ms = (int64_t)between(d, 1000, 300000);
    p->drift_ppm = (int32_t)between(d, 0, 300);
}

static void draw_bank(struct sim_plan *p, struct draw *d)
{
    p->bank_min_us = between(d, 200, 2000);
    p->bank_max_us = p->bank_min_us + (sometimes(d, 40, 1) != 0 ? 600000 : 20000);
    p->take_us = sometimes(d, 70, between(d, 1, 3000000));
    p->line_drop_before = (uint32_t)sometimes(d, 60, between(d, 5000, 80000));
    p->line_drop_after = (uint32_t)sometimes(d, 60, between(d, 5000, 80000));
    p->late_execution = (uint32_t)sometimes(d, 60, 500000);
    p->bank_fails = (uint32_t)sometimes(d, 40, between(d, 1000, 50000));
    p->purge_every_ms = sometimes(d, 8, between(d, 8000, 20000));
    p->backup_every_ms = sometimes(d, 6, between(d, 8000, 20000));
    p->power_every_ms = sometimes(d, 15, between(d, 5000, 15000));
    p->directory_full_every_ms = sometimes(d, 15, between(d, 5000, 15000));
}

static void draw_replicas(struct sim_plan *p, struct draw *d)
{
    if (sometimes(d, 40, 1) != 0) {
        /* Whoever misses little needs a snapshot. */
        p->trailing = between(d, 8, 64);
        p->inflight = (unsigned)between(d, 4, p->trailing);
    }
    p->move_every_ms = sometimes(d, 35, between(d, 300, 4000));
    p->voters_min = (unsigned)(sometimes(d, 50, 1) != 0 ? 3 : 1);
    p->kill_elected = (uint32_t)sometimes(d, 15, between(d, 20000, 300000));
    p->forge = (uint32_t)sometimes(d, 10, between(d, 10000, 200000));
    p->stays_away = sometimes(d, 40, 1) != 0;
    p->late = (uint32_t)sometimes(d, 15, between(d, 1000, 30000));
    p->stall_install = (uint32_t)sometimes(d, 30, 300000);
}

/* Most nodes have one lane, as most that people run; the others show what crosses. */
static void draw_lanes(struct sim_plan *p, struct draw *d)
{
    p->lanes = 1 + (unsigned)sometimes(d, 40, between(d, 1, 2));
    p->post_us = sometimes(d, 30, 1) != 0 ? between(d, 5000, 60000) : 500;
    p->lane_stall_every_ms = sometimes(d, 50, between(d, 1000, 8000));
    p->lane_stall_ms = between(d, 50, 5000);
}

/* Clusters that are being upgraded while all else happens. */
static void draw_levels(struct sim_plan *p, struct draw *d)
{
    p->earlier = (unsigned)sometimes(d, 35, between(d, 1, (1u << p->nodes) - 1));
    p->program_every_ms = between(d, 1500, 8000);
    p->finalize_every_ms = between(d, 2000, 12000);
}

/* What does not go together, drawn or written. */
static void reconcile(struct sim_plan *p)
{
    if (p->rot || p->wipe) {
        p->move_every_ms = 0; /* Two voters of which one is lost could not go on. */
        p->stays_away = false;
        p->earlier = 0; /* Who is lost can't be upgraded, and the level waits for all. */
    }
    if (p->earlier != 0) {
        p->forge_every_ms = 0; /* At level 1 nobody is asked for proof. */
    }
    if (p->inflight > p->trailing || (p->inflight == 0 && p->trailing < INFLIGHT_ENTRIES_MAX)) {
        p->inflight = (unsigned)p->trailing;
    }
}

void plan_draw(struct sim_plan *p, uint64_t seed)
{
    struct draw d = {.rng = seed * 0xd1342543de82ef95ull + 1};
    memset(p, 0, sizeof *p);
    p->seed = seed;
    draw_size(p, &d);
    draw_people(p, &d);
    draw_network(p, &d);
    draw_disk(p, &d);
    draw_processes(p, &d);
    draw_bank(p, &d);
    if (p->accept_max > 1200) {
        p->down_ms = between(&d, 10000, 40000);
        p->partition_ms = between(&d, 10000, 30000);
    }
    draw_replicas(p, &d);
    p->clog_every_ms = sometimes(&d, 30, between(&d, 2000, 10000));
    p->clog_ms = between(&d, 500, 6000);
    p->dark_ms = sometimes(&d, 12, between(&d, 60000, 400000));
    p->resolve_every_ms = sometimes(&d, 50, between(&d, 1000, 5000));
    p->chunk_bytes = (unsigned)sometimes(&d, 50, between(&d, 500, 20000));
    p->stranger_every_ms = sometimes(&d, 12, between(&d, 2000, 12000));
    draw_lanes(p, &d);
    draw_levels(p, &d);
    p->callers = (unsigned)sometimes(&d, 25, between(&d, 1, 8));
    p->caller_every_ms = between(&d, 50, 800);
    p->forge_every_ms = sometimes(&d, 25, between(&d, 50, 1000));
    reconcile(p);
}

/* --- Scenario files ----------------------------------------------------------------------- */

static bool key_set(struct sim_plan *p, const struct key *k, const char *text)
{
    char *end;
    unsigned char *at = (unsigned char *)p + k->offset;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 10);
    if (errno != 0 || end == text || *end != '\0') {
        return false;
    }
    if (value < 0 && k->kind != KEY_I64 && k->kind != KEY_I32) {
        return false;
    }
    switch (k->kind) {
    case KEY_U64:
        memcpy(at, &(uint64_t){(uint64_t)value}, sizeof(uint64_t));
        break;
    case KEY_I64:
        memcpy(at, &(int64_t){value}, sizeof(int64_t));
        break;
    case KEY_UNSIGNED:
    case KEY_U32:
        memcpy(at, &(uint32_t){(uint32_t)value}, sizeof(uint32_t));
        break;
    case KEY_I32:
        memcpy(at, &(int32_t){(int32_t)value}, sizeof(int32_t));
        break;
    case KEY_BOOL:
        memcpy(at, &(bool){value != 0}, sizeof(bool));
        break;
    }
    return true;
}

/* "all_faults 0" clears every key that breaks something, so that a scenario
 * only names what it is about. */
static void faults_clear(struct sim_plan *p)
{
    static const char *const harmless[] = {
        "nodes",          "shards",         "banks",           "storm_ms",        "calm_ms",
        "heartbeat_ms",   "election_ms",    "trailing",        "windows",         "max_lines",
        "batch_max",      "accept_max",     "submit_every_ms", "cancel_every_ms", "read_every_ms",
        "close_every_ms", "delay_min_us",   "delay_max_us",    "flush_min_us",    "flush_max_us",
        "bank_min_us",    "bank_max_us",    "take_us",         "down_ms",         "pause_ms",
        "partition_ms",   "apply_every_ms", "closes_max",      "inflight",        "chunk_bytes",
        "voters_min",     "clog_ms"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        bool clear = true;
        for (size_t j = 0; j < sizeof harmless / sizeof harmless[0]; j++) {
            clear = clear && strcmp(keys[i].name, harmless[j]) != 0;
        }
        if (clear) {
            (void)key_set(p, &keys[i], "0");
        }
    }
    p->lanes = 1;
}

static bool line_read(struct sim_plan *p, char *line)
{
    char name[64];
    char value[64];
    char more[2];

    line[strcspn(line, "#\n")] = '\0';
    if (strspn(line, " \t") == strlen(line)) {
        return true;
    }
    if (sscanf(line, "%63s %63s %1s", name, value, more) != 2) {
        return false;
    }
    if (strcmp(name, "all_faults") == 0 && strcmp(value, "0") == 0) {
        faults_clear(p);
        return true;
    }
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        if (strcmp(keys[i].name, name) == 0) {
            return key_set(p, &keys[i], value);
        }
    }
    return false;
}

static bool plan_fits(const struct sim_plan *p)
{
    return (p->nodes == 3 || p->nodes == 5) && p->shards >= 1 && p->shards <= SIM_SHARDS_MAX &&
           p->lanes >= 1 && p->lanes <= SIM_LANES_MAX && p->banks >= 1 && p->banks <= SIM_BANKS_MAX &&
           p->batch_max >= 1 && p->submit_every_ms > 0 && p->storm_ms > 0 && p->max_lines >= 1 &&
           p->delay_max_us >= p->delay_min_us && p->flush_max_us >= p->flush_min_us &&
           p->bank_max_us >= p->bank_min_us && p->trailing > 0;
}

bool plan_read(struct sim_plan *p, const char *path, char *why, size_t why_size)
{
    FILE *f = fopen(path, "re");
    char line[256];
    unsigned number = 0;
    bool good = true;

    if (f == NULL) {
        (void)snprintf(why, why_size, "%s: %s", path, strerror(errno));
        return false;
    }
    while (good && fgets(line, sizeof line, f) != NULL) {
        number++;
        good = line_read(p, line);
    }
    (void)fclose(f);
    reconcile(p);
    if (!good) {
        (void)snprintf(why, why_size, "%s:%u: \"key value\" with a known key and a number is expected", path,
                       number);
    } else if (!plan_fits(p)) {
        (void)snprintf(why, why_size, "%s: these numbers do not fit together", path);
        good = false;
    }
    (void)snprintf(p->scenario, sizeof p->scenario, "%s", path);
    return good;
}

bool plan_set(struct sim_plan *p, const char *text, char *why, size_t why_size)
{
    char line[sizeof p->sets];
    size_t used = strlen(p->sets);

    (void)snprintf(line, sizeof line, "%s", text);
    line[strcspn(line, "=")] = ' ';
    if (strchr(text, '=') == NULL || !line_read(p, line) || !plan_fits(p) ||
        used + strlen(text) + sizeof " --set " > sizeof p->sets) {
        (void)snprintf(why, why_size, "%s: KEY=VALUE with a key of scenarios is expected", text);
        return false;
    }
    (void)snprintf(p->sets + used, sizeof p->sets - used, " --set %s", text);
    reconcile(p);
    return true;
}
