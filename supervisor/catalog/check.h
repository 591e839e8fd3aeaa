/* What catalog_check() is made of. Private. */
#ifndef SUPERVISOR_CATALOG_CHECK_H
#define SUPERVISOR_CATALOG_CHECK_H

#include "supervisor/catalog/catalog.h"

/* Objects of one kind by their names. */
struct catalog_index {
    struct catalog_index_entry {
        struct span name;
        size_t at;
    } * entries; /* Ascending by name. */
    size_t count;
};

struct judge {
    uint32_t level;
    const struct cluster_settings *c;
    const struct node_settings *nodes;
    size_t nodes_count;
    struct arena *a; /* Until the judgement. */
    struct catalog_index endpoints, originators, calendars;
    uint32_t line; /* Of the object that is judged; 0: unknown. */
    char *why;
    size_t why_size;
};

/* Notes the reason, "line 7: ..." when the line is known; always SG_INVALID. */
enum sg_err judge_refuse(struct judge *j, const char *fmt, ...) PRINTF_LIKE(2, 3);
/* SIZE_MAX: there is none. */
size_t catalog_index_find(const struct catalog_index *index, struct span name);

/* What objects that are good each for itself may not have in common. Shards'
 * names have been resolved. */
MUST_USE enum sg_err check_shared(struct judge *j);

#endif
