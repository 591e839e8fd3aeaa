/* What shardgated --config reads (docs: files people write).
 *
 * Unknown keys are an error that names the line and the nearest known key. */
#ifndef SUPERVISOR_CONFIG_NODE_CONFIG_H
#define SUPERVISOR_CONFIG_NODE_CONFIG_H

#include <stddef.h>

#include "proto/base/check.h"
#include "proto/base/err.h"
#include "supervisor/config/founder.h"

struct node_config {
    char cluster[NAME_SIZE_MAX + 1];
    char node[NAME_SIZE_MAX + 1];
    char data_dir[ADDRESS_SIZE_MAX + 1];
    char secrets_dir[ADDRESS_SIZE_MAX + 1]; /* "" when absent. */
    char peer[ADDRESS_SIZE_MAX + 1];        /* Own listen address for nodes. */
    char clients[SERVER_ADDRESSES_MAX][ADDRESS_SIZE_MAX + 1];
    size_t clients_count;
    struct founder founders[NODES_MAX];
    size_t founders_count;
    size_t lanes;                 /* Default 1. */
    uint64_t trailing_entries;    /* Key trailing_entries; default TRAILING_ENTRIES_DEFAULT. */
    unsigned election_timeout_ms; /* Key election_timeout ("1200ms", "2s"); default in limits.h. */
    unsigned heartbeat_ms;        /* Key heartbeat. */
    uint64_t scrub_every_ms;      /* Key scrub_every. */
    uint64_t
        map_size_bytes; /* Key map_size ("64GiB"): what a lane's store may grow to; default in limits.h. */
};

/* SG_NOTFOUND, SG_IO (the file), SG_INVALID: why is one sentence with file and
 * line, what is wrong, what to do. tls+tcp:// and http: are refused with the
 * reason that this version does not have them. */
MUST_USE enum sg_err node_config_load(const char *path, struct node_config *out, char *why, size_t why_size);

#endif
