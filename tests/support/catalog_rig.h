/* The catalog's state machine over a store in memory: commands in, a model out. */
#ifndef TESTS_SUPPORT_CATALOG_RIG_H
#define TESTS_SUPPORT_CATALOG_RIG_H

#include "storage/mem_kv.h"
#include "supervisor/catalog/catalog.h"

/* A catalog of one replica. */
struct catalog_rig {
    struct mem_kv *disk;
    struct kv kv;
    struct arena arena;
    uint64_t index;
    uint32_t level; /* Of commands; 0: LEVEL_MIN. */
    struct catalog_model *model;
    struct catalog_result last;
    char why[640];
};

/* With this many nodes registered: n1, n2, ... */
struct catalog_rig *catalog_rig_new(size_t nodes);
void catalog_rig_free(struct catalog_rig *r);

/* An encoded command through apply, at the next index; the error of its result, whose
 * reason is r->why. SG_UNSUPPORTED: a replica would stop here, r->why says over what. */
enum sg_err catalog_rig_apply_bytes(struct catalog_rig *r, struct span command);
enum sg_err catalog_rig_apply(struct catalog_rig *r, uint64_t base, struct catalog_change *changes,
                              size_t count);
/* A node under a key; in the rig's arena. */
struct catalog_change catalog_rig_node(struct catalog_rig *r, unsigned id, const char *key, const char *name,
                                       uint8_t identity);
/* Of a configuration, which must be readable: plan it; plan and apply it. */
enum sg_err catalog_rig_plan(struct catalog_rig *r, const char *yaml, struct catalog_plan *plan);
void catalog_rig_applied(struct catalog_rig *r, const char *yaml);
/* Everything that is stored, as one text. */
struct bytes catalog_rig_content(struct catalog_rig *r);

#endif
