/* A founding member of the cluster, as every node's configuration names it. */
#ifndef SUPERVISOR_CONFIG_FOUNDER_H
#define SUPERVISOR_CONFIG_FOUNDER_H

#include <stdint.h>

#include "proto/base/limits.h"

struct founder {
    char name[NAME_SIZE_MAX + 1];
    char peer[ADDRESS_SIZE_MAX + 1];   /* Where it listens for the other nodes. */
    char client[ADDRESS_SIZE_MAX + 1]; /* And for clients. */
    uint64_t id;                       /* 1, 2, ... in the order of names: given by node_new(). */
};

#endif
