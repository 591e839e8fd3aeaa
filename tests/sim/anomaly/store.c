/* Operations of a node's store that fail. What must follow (storage/kv.h,
 * storage/writer.h, I-11):
 *
 *   a write, a commit     the node ends, says why and writes nothing more
 *   a read, I/O error     whoever asked gets no answer, or the node ends
 *   a read, damage        the group stops and says why; others go on
 *   a disk without room   nobody stops; clients are told to come again
 *
 * Then the node starts anew on the same disk, on which everything is in order,
 * and has to come level with the others. */
#include <string.h>

#include "proto/base/mem.h"
#include "shard/engine/engine.h"
#include "supervisor/node/node_impl.h"
#include "tests/sim/anomaly/anomaly.h"

#define LOOK_AFTER_US 3000000
#define FULL_US 4000000

enum way { WAY_IO, WAY_BUSY, WAY_DAMAGE, WAY_FULL, WAYS };

static const struct {
    const char *name;
    enum sg_err err;
} ways[WAYS] = {
    [WAY_IO] = {"io", SG_IO},
    [WAY_BUSY] = {"busy", SG_BUSY},
    [WAY_DAMAGE] = {"damage", SG_CORRUPT},
    [WAY_FULL] = {"full", SG_OK},
};

/* Those which each operation has (struct kv_ops). */
static const bool has_way[MEM_KV_OPS][WAYS] = {
    [MEM_KV_BEGIN_READ] = {[WAY_IO] = true, [WAY_BUSY] = true},
    [MEM_KV_BEGIN_WRITE] = {[WAY_IO] = true},
    [MEM_KV_GET] = {[WAY_IO] = true, [WAY_DAMAGE] = true},
    [MEM_KV_SEEK] = {[WAY_IO] = true, [WAY_DAMAGE] = true},
    [MEM_KV_PUT] = {[WAY_IO] = true},
    [MEM_KV_DEL] = {[WAY_IO] = true},
    [MEM_KV_COMMIT] = {[WAY_IO] = true, [WAY_FULL] = true},
    [MEM_KV_COMMITTED] = {[WAY_IO] = true},
};

static const char *const op_names[MEM_KV_OPS] = {"begin read", "begin write", "get",    "seek",
                                                 "put",        "del",         "commit", "committed"};

static bool inside; /* A node's code runs, not the world's. */

static struct {
    bool happened, is_write, is_full;
    struct sim_host *host;
    unsigned stops;
} failure;

static void enter(struct sim_host *h, void (*run)(void *arg), void *arg)
{
    bool was_inside = inside;
    (void)h;
    inside = true;
    run(arg);
    inside = was_inside;
}

/* --- Afterwards -------------------------------------------------------------------------------- */

static bool lane_works(const struct lane *l)
{
    for (size_t i = 0; i < l->slots_count; i++) {
        const struct lane_slot *slot = l->slots[i];
        if (slot->shard == NULL ? !slot->opening : shard_group(slot->shard)->failed != SG_OK) {
            return false;
        }
    }
    return true;
}

static bool works(struct sim_host *h)
{
    if (!h->up || h->node->state != NODE_RUNNING || h->node->catalog_failed) {
        return false;
    }
    for (unsigned k = 0; k < h->lanes_count; k++) {
        if (!lane_works(&h->node->lanes[k])) {
            return false;
        }
    }
    return true;
}

/* An operator has read what it said, and found the disk in order. */
static void look_after(void *arg)
{
    struct sim_host *h = arg;
    bool good = works(h);

    h->rotted = 0;
    if (h->lost) {
        h->lost = false;
        host_start(h);
    } else if (!good && h->up) {
        host_kill(h);
    }
}

static void has_room(void *arg)
{
    host_set_disk_full(arg, false);
}

/* --- The failure --------------------------------------------------------------------------------- */

static enum sg_err fail(struct sim_host *h, enum mem_kv_op op, enum way way)
{
    struct sim *s = h->sim;
    bool is_read = op == MEM_KV_BEGIN_READ || op == MEM_KV_GET || op == MEM_KV_SEEK;

    sim_trace_words(s, h, "its store meets a failure: $, $", op_names[op], ways[way].name, 0, 0);
    failure.happened = true;
    failure.host = h;
    failure.is_full = way == WAY_FULL;
    failure.is_write = !is_read && !failure.is_full;
    if (failure.is_full) {
        host_set_disk_full(h, true);
        (void)sim_at(s, NULL, FULL_US, has_room, h);
        return SG_OK;
    }
    /* A node that does not start yet has nothing to end with. */
    if (is_read || h->node == NULL) {
        h->rotted = 1;
    }
    h->lanes[0].disk_failed = failure.is_write;
    (void)sim_at(s, NULL, LOOK_AFTER_US, look_after, h);
    return ways[way].err;
}

static enum sg_err disk(struct sim_host *h, enum mem_kv_op op)
{
    if (!inside || h->sim->calm) {
        return SG_OK;
    }
    for (int way = 0; way < WAYS; way++) {
        if (has_way[op][way] && anomaly_now(ways[way].name)) {
            return fail(h, op, (enum way)way);
        }
    }
    return SG_OK;
}

static void stopped(struct sim_host *h, enum sg_err err, const char *why)
{
    if (!failure.happened || h != failure.host || failure.is_full) {
        sim_fail(h->sim, "I-14", "%s stops without need with %s: %s", h->name, sg_err_name(err), why);
    }
    if (why[0] == '\0') {
        sim_fail(h->sim, "I-14", "%s stops and does not say why", h->name);
    }
    failure.stops++;
    anomaly_ended(h->node == NULL                 ? ENDING_REFUSED
                  : kv_is_failed(&h->lanes[0].kv) ? ENDING_FATAL
                                                  : ENDING_STOPPED);
}

/* Still pointed to, so that only what a living node has lost is a leak. */
static struct grave {
    void *p;
    struct grave *next;
} * graves;

static void buried(void *p)
{
    struct grave *g = mem_zalloc(1, sizeof *g);
    *g = (struct grave){p, graves};
    graves = g;
}

void store_judge(struct sim *s)
{
    if (failure.is_write && failure.stops == 0) {
        sim_fail(s, "I-11", "%s goes on after a failed write", failure.host->name);
    }
}

const struct sim_hooks store_hooks = {.enter = enter, .disk = disk, .stopped = stopped, .buried = buried};
