/* libraft's heap, counted for each process: at the end every block must belong to
 * something that is there. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/mem.h"
#include "supervisor/node/node_impl.h"
#include "tests/sim/check.h"

struct block {
    struct sim_host *host;
    uint64_t life;
    max_align_t data[];
};

static struct sim *heap_of; /* libraft knows one heap for all. */

static void count(const struct block *b, int64_t by)
{
    if (b->host != NULL && b->host->life == b->life) {
        b->host->raft_blocks += by;
    }
}

static void *heap_malloc(void *data, size_t size)
{
    struct block *b = mem_alloc(sizeof *b + size);
    (void)data;
    b->host = heap_of->running;
    b->life = b->host == NULL ? 0 : b->host->life;
    count(b, 1);
    return b->data;
}

static void heap_free(void *data, void *p)
{
    (void)data;
    if (p != NULL) {
        struct block *b = CONTAINER_OF(p, struct block, data);
        count(b, -1);
        mem_free(b);
    }
}

static void *heap_calloc(void *data, size_t n, size_t size)
{
    void *p = heap_malloc(data, n * size);
    memset(p, 0, n * size);
    return p;
}

static void *heap_realloc(void *data, void *p, size_t size)
{
    if (p == NULL) {
        return heap_malloc(data, size);
    }
    struct block *b = CONTAINER_OF(p, struct block, data);
    b = mem_realloc(b, sizeof *b + size);
    return b->data;
}

static struct raft_heap heap = {
    .malloc = heap_malloc, .free = heap_free, .calloc = heap_calloc, .realloc = heap_realloc};

void heap_start(struct sim *s)
{
    heap_of = s;
    raft_heap_set(&heap);
}

static int64_t of_configuration(const struct raft_configuration *c)
{
    return c->servers == NULL ? 0 : 1 + (int64_t)c->n;
}

static int64_t of_state(const struct raft *r)
{
    switch (r->state) {
    case RAFT_FOLLOWER:
        return r->follower_state.current_leader.address != NULL;
    case RAFT_CANDIDATE:
        return r->candidate_state.votes != NULL;
    case RAFT_LEADER:
        return r->leader_state.progress != NULL;
    default:
        return 0;
    }
}

static int64_t of_group(const struct group *g)
{
    const struct raft *r = &g->raft;
    return (r->address != NULL) + (r->messages != NULL) + (r->trail.records != NULL) +
           of_configuration(&r->configuration) + of_configuration(&r->configuration_committed) + of_state(r);
}

void heap_check(struct sim_host *h)
{
    int64_t wanted = 0;

    if (!h->up || h->rotted > 0 || h->node == NULL || h->node->catalog == NULL) {
        return; /* A damaged group is still there and not in its slot, or the other way round. */
    }
    wanted = of_group(h->node->catalog);
    for (unsigned k = 0; k < h->lanes_count; k++) {
        const struct lane *l = &h->node->lanes[k];
        for (size_t i = 0; i < l->slots_count; i++) {
            wanted += l->slots[i]->shard == NULL ? 0 : of_group(shard_group(l->slots[i]->shard));
        }
    }
    if (h->raft_blocks != wanted) {
        sim_fail(h->sim, "I-10", "%s: libraft holds %" PRId64 " blocks, and its groups know of %" PRId64,
                 h->name, h->raft_blocks, wanted);
    }
}
