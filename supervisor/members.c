/* The other nodes: their heartbeats and what they say of themselves. */
#include <stdio.h>

#include "supervisor/parts.h"
#include "supervisor/version.h"

/* Silent for this long and linked or not: not counted on. */
#define MEMBER_SILENT_MS (4 * NODE_HEARTBEAT_MS)

bool member_is_alive(const struct node *n, uint64_t id)
{
    const struct node_member *m;

    if (id == n->self->id) {
        return n->state == NODE_RUNNING;
    }
    m = &n->members[id - 1];
    return m->is_linked && m->heard_ms != 0 && loop_now_ms(n->lanes[0].loop) - m->heard_ms < MEMBER_SILENT_MS;
}

void members_tick(struct node *n)
{
    struct message m = {.kind = MESSAGE_NODE_STATUS};

    if (n->state != NODE_RUNNING && n->state != NODE_LEAVING) {
        return;
    }
    m.node_status.started_ms = n->started_wall_ms;
    m.node_status.leaving = n->state == NODE_LEAVING;
    m.node_status.version = span_str(SHARDGATE_VERSION_TEXT);
    lane_counts(n, &m.node_status);
    for (size_t i = 0; i < n->options.founders_count; i++) {
        if (n->members[i].founder != n->self) {
            transport_send(&n->lanes[0].transport, i + 1, &m);
        }
    }
}

void members_status(struct node *n, uint64_t from, const struct message_node_status *status)
{
    struct node_member *m = &n->members[from - 1];
    m->status = *status;
    (void)span_cstr(status->version, m->version, sizeof m->version);
    m->status.version = span_str(m->version);
    m->has_status = true;
}
