/* What a node keeps in memory (I-10).
 *
 * While it works: no more than its requests, writes and cached entries explain.
 * When all is done: what a process keeps that just started on the same disk. */
#include <inttypes.h>

#include "shard/duties/twins.h"
#include "supervisor/node/node_impl.h"
#include "tests/sim/check.h"

/* Snapshots on their way, files being built or uploaded, answers, frames. */
#define WORKING_MAX_BYTES (16u << 20)
#define GROUP_MAX_BYTES (64u << 10)
#define DECODED_FACTOR 8 /* What requests and writes take in all their forms. */
/* A snapshot is in memory here, not in a file: those that are sent and one that comes. */
#define SPOOLS_MAX (SNAPSHOT_SENDERS_MAX + 1)
#define SPOOLED_RECORD_BYTES 300
/* Arenas and arrays keep the size that they once had. */
#define LEFT_MAX_BYTES (512u << 10)
#define LEFT_MAX_BLOCKS 40

/* By all groups' caches. */
static struct kept cached(struct sim_host *h)
{
    struct kept sum = {0, 0};
    for (unsigned number = 0; number <= h->sim->plan.shards; number++) {
        const struct group *g = check_group(h, number);
        sum.bytes += g == NULL ? 0 : g->cache.size_bytes;
        sum.blocks += g == NULL ? 0 : g->cache.count;
    }
    return sum;
}

void memory_look(struct sim_host *h)
{
    uint64_t most = WORKING_MAX_BYTES;

    if (h->memory <= most) {
        return;
    }
    most += 2 * cached(h).bytes + GROUP_MAX_BYTES +
            DECODED_FACTOR * (h->node->calls_bytes + h->node->shared_bytes);
    for (unsigned i = 0; i < h->lanes_count; i++) {
        const struct lane *l = &h->node->lanes[i];
        most += GROUP_MAX_BYTES * l->slots_count + DECODED_FACTOR * writer_pending_bytes(l->writer);
        most += (uint64_t)SPOOLS_MAX * SPOOLED_RECORD_BYTES * mem_kv_count(h->lanes[i].disk, KV_STATE);
    }
    if (h->memory > most) {
        sim_fail(h->sim, "I-10",
                 "%s holds %" PRIu64 " bytes; its requests, writes and cached entries explain %" PRIu64,
                 h->name, h->memory, most);
    }
}

/* Entries may be kept for a replica that is lost: they are limited by themselves. */
static struct kept kept_by(struct sim_host *h)
{
    struct kept c = cached(h);
    return (struct kept){.bytes = h->memory - c.bytes, .blocks = h->memory_blocks - c.blocks};
}

static bool is_whole(const struct sim_host *h)
{
    return h->up && !h->lost && h->rotted == 0;
}

void memory_note(struct sim *s)
{
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        if (is_whole(&s->hosts[i])) {
            s->checker->kept[i] = kept_by(&s->hosts[i]);
        }
    }
}

/* What a leader remembers of the payments it accepted in a day: limited by itself. */
static uint64_t remembered_max(const struct sim *s)
{
    uint64_t most = (uint64_t)s->plan.shards * TWINS_MAX;
    uint64_t slots = 4 * s->stats.accepted; /* A table is at least a quarter full after it grew. */
    return (slots < most ? slots : most) * sizeof(struct twin);
}

void memory_compare(struct sim *s)
{
    uint64_t left_max = LEFT_MAX_BYTES + remembered_max(s);
    for (unsigned i = 0; i < s->plan.nodes; i++) {
        struct sim_host *h = &s->hosts[i];
        struct kept before = s->checker->kept[i];
        struct kept now;
        if (!is_whole(h)) {
            continue;
        }
        now = kept_by(h);
        if (before.bytes > now.bytes + left_max ||
            before.blocks > now.blocks + LEFT_MAX_BLOCKS + s->plan.shards) {
            sim_fail(s, "I-10",
                     "%s kept %" PRIu64 " bytes in %" PRIu64
                     " blocks when all was done; started anew it has %" PRIu64 " in %" PRIu64,
                     h->name, before.bytes, before.blocks, now.bytes, now.blocks);
        }
    }
}
