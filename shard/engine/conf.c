#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/base/mem.h"
#include "shard/engine/engine.h"
#include "shard/engine/guards.h"

static int compare_nodes(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

void conf_add(struct raft_configuration *conf, uint64_t node, int role)
{
    char address[24];
    (void)snprintf(address, sizeof(address), "%" PRIu64, node);
    CHECK(raft_configuration_add(conf, node, address, role) == 0);
}

void conf_encode(const uint64_t *nodes, size_t nodes_count, struct bytes *out)
{
    uint64_t sorted[PEERS_MAX];
    struct raft_configuration conf;
    struct raft_buffer buffer;
    CHECK(nodes_count <= PEERS_MAX);
    for (size_t i = 0; i < nodes_count; i++) {
        sorted[i] = nodes[i];
    }
    qsort(sorted, nodes_count, sizeof(sorted[0]), compare_nodes);
    raft_configuration_init(&conf);
    for (size_t i = 0; i < nodes_count; i++) {
        conf_add(&conf, sorted[i], RAFT_VOTER);
    }
    CHECK(raft_configuration_encode(&conf, &buffer) == 0);
    bytes_append(out, buffer.base, buffer.len);
    raft_free(buffer.base);
    raft_configuration_close(&conf);
}

void conf_decode(struct span data, struct raft_configuration *out)
{
    /* libraft only reads from the buffer. */
    struct raft_buffer buffer = {.base = (void *)(uintptr_t)data.p, .len = data.n};
    CHECK(guard_g11_configuration(data));
    CHECK(raft_configuration_decode(&buffer, out) == 0);
}

void conf_note(struct group *g, uint64_t index, struct span data)
{
    CHECK(g->changes_count == 0 || g->changes[g->changes_count - 1].index < index);
    g->changes = mem_realloc(g->changes, (g->changes_count + 1) * sizeof(*g->changes));
    struct conf_change *change = &g->changes[g->changes_count++];
    *change = (struct conf_change){.index = index};
    bytes_set(&change->data, data);
}

void conf_truncate(struct group *g, uint64_t from)
{
    while (g->changes_count > 0 && g->changes[g->changes_count - 1].index >= from) {
        bytes_release(&g->changes[--g->changes_count].data);
    }
    if (g->changes_count == 0) {
        mem_free(g->changes);
        g->changes = NULL;
    }
}

void conf_drop_first(struct group *g)
{
    CHECK(g->changes_count > 0);
    bytes_release(&g->changes[0].data);
    for (size_t i = 1; i < g->changes_count; i++) {
        g->changes[i - 1] = g->changes[i];
    }
    g->changes_count--;
    conf_truncate(g, UINT64_MAX);
}
