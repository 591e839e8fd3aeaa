/* A shard with a long past: before the storm all nodes stop, and the same commands
 * are put at the end of every replica's log, as a leader would have replicated
 * them. Started again they elect a leader and apply what is there. */
#include <inttypes.h>

#include "proto/base/mem.h"
#include "proto/command.h"
#include "shard/engine/engine.h"
#include "storage/log.h"
#include "tests/sim/sim.h"

#define TRY_US 300000
#define TRIES_MAX 100
#define PIECE 500 /* Entries of one transaction. */

/* Where a replica's log ends; false: it has none. */
static bool log_end(struct sim_host *h, uint64_t group, uint64_t *index, uint64_t *term)
{
    struct kv *kv = host_kv(h, group);
    struct log_bounds bounds;
    struct log_entry last;
    struct kv_txn *txn;
    bool found = false;

    if (kv_begin(kv, false, &txn) != SG_OK) {
        return false;
    }
    if (log_bounds(kv, txn, group, &bounds) == SG_OK && bounds.last > 1 &&
        log_get(kv, txn, group, bounds.last, &last) == SG_OK) {
        *index = bounds.last;
        *term = last.term;
        found = true;
    }
    kv_abort(kv, txn);
    return found;
}

/* Is there one log, and are its settings applied? */
static bool is_level(struct sim *s, uint64_t *index, uint64_t *term)
{
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        struct sim_host *h = &s->hosts[i];
        const struct group *g = check_group(h, 1);
        uint64_t own_index;
        uint64_t own_term;
        if (g == NULL || g->applied < 3 || !log_end(h, sim_shard_aba(0).n, &own_index, &own_term)) {
            return false;
        }
        if (i > 0 && (own_index != *index || own_term != *term)) {
            return false;
        }
        *index = own_index;
        *term = own_term;
    }
    return true;
}

/* One transfer each: as many entries, events and rows. */
static struct bytes *commands_make(struct sim *s)
{
    struct bytes *commands = mem_zalloc(s->plan.history, sizeof *commands);
    for (unsigned i = 0; i < s->plan.history; i++) {
        struct transfer t = people_new(s, 0)->transfer;
        struct command c = {.kind = COMMAND_SUBMIT,
                            .level = LEVEL_MIN,
                            .time_ms = sim_wall_begin_ms(s),
                            .node = span_str(s->hosts[0].name)};
        c.submit.transfers = &t;
        c.submit.transfers_count = 1;
        command_encode(&c, &commands[i]);
    }
    return commands;
}

static void log_fill(struct sim_host *h, const struct bytes *commands, uint64_t index, uint64_t term)
{
    struct sim_lane *l = host_lane_of(h, sim_shard_aba(0).n);
    uint64_t group = sim_shard_aba(0).n;
    unsigned count = h->sim->plan.history;
    struct kv kv;

    mem_kv_open(l->disk, &kv);
    for (unsigned at = 0; at < count; at += PIECE) {
        struct log_entry entries[PIECE];
        unsigned n = count - at < PIECE ? count - at : PIECE;
        struct kv_txn *txn;
        for (unsigned i = 0; i < n; i++) {
            entries[i] = (struct log_entry){.index = index + 1 + at + i,
                                            .term = term,
                                            .type = RAFT_COMMAND,
                                            .data = span_bytes(&commands[at + i])};
        }
        CHECK(kv_begin(&kv, true, &txn) == SG_OK);
        CHECK(log_append(&kv, txn, group, entries, n) == SG_OK);
        CHECK(kv_commit(&kv, txn) == SG_OK);
        mem_kv_flush(l->disk);
    }
    kv_close(&kv);
}

/* Nobody has trimmed it yet: it is longer than any log becomes. */
void history_started(struct sim_host *h)
{
    uint64_t group = sim_shard_aba(0).n;
    struct kv *kv = host_kv(h, group);
    struct log_bounds bounds;
    struct kv_txn *txn;

    if (h->sim->plan.history == 0 || kv_begin(kv, false, &txn) != SG_OK) {
        return;
    }
    if (log_bounds(kv, txn, group, &bounds) == SG_OK &&
        bounds.last - bounds.first > 2 * h->sim->plan.trailing + INFLIGHT_ENTRIES_MAX) {
        h->has_long_log = h->life;
    }
    kv_abort(kv, txn);
}

void history_make(struct sim *s)
{
    uint64_t index = 0;
    uint64_t term = 0;
    unsigned tries = 0;
    struct bytes *commands;

    if (s->plan.history == 0) {
        return;
    }
    while (!is_level(s, &index, &term)) {
        CHECK(++tries < TRIES_MAX);
        sim_run_until(s, s->now_us + TRY_US);
    }
    commands = commands_make(s);
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        for (unsigned k = 0; k < s->hosts[i].lanes_count; k++) {
            mem_kv_flush(s->hosts[i].lanes[k].disk);
        }
        host_kill(&s->hosts[i]);
    }
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        log_fill(&s->hosts[i], commands, index, term);
    }
    for (unsigned i = 0; i < s->plan.history; i++) {
        bytes_release(&commands[i]);
    }
    mem_free(commands);
    sim_trace(s, NULL, "# entries have always been in the log of shard 0, from # on", s->plan.history,
              index + 1);
}
