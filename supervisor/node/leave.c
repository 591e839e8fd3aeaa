/* The orderly end of a node.
 *
 * Each lane leaves on its own loop (lane_leave.c). Once all have left, a note goes
 * to every lane and back behind whatever was posted before, so that nothing is on
 * its way between loops when the owner hears that the node has left. */
#include "proto/base/mem.h"
#include "supervisor/node/node_impl.h"

/* On lane 0. */
static void drained_run(struct task *t)
{
    struct node *n = CONTAINER_OF(t, struct left_note, task)->node;
    struct log_scope scope = node_scope(n);

    if (++n->lanes_drained < n->options.lanes_count) {
        return;
    }
    logger_line(LOG_INFO, &scope, "node.left", " ");
    n->options.on_left(n->options.impl);
}

/* On its lane. */
static void drain_run(struct task *t)
{
    struct left_note *note = CONTAINER_OF(t, struct left_note, task);

    lane_halt(note->lane);
    note->task.run = drained_run;
    loop_post(note->node->lanes[0].loop, &note->task);
}

/* On lane 0. */
static void left_run(struct task *t)
{
    struct node *n = CONTAINER_OF(t, struct left_note, task)->node;

    if (++n->lanes_left < n->options.lanes_count) {
        return;
    }
    n->state = NODE_LEFT;
    loop_cancel(n->lanes[0].loop, &n->heartbeat);
    for (size_t i = 0; i < n->options.lanes_count; i++) {
        n->left_notes[i].task.run = drain_run;
        loop_post(n->lanes[i].loop, &n->left_notes[i].task);
    }
}

void node_lane_left(void *impl, struct lane *l)
{
    struct node *n = impl;

    n->left_notes[l->number].task.run = left_run;
    loop_post(n->lanes[0].loop, &n->left_notes[l->number].task);
}

/* On its lane. */
static void leave_run(struct task *t)
{
    lane_leave(CONTAINER_OF(t, struct left_note, task)->lane);
}

void node_leave(struct node *n)
{
    struct log_scope scope = node_scope(n);

    if (n->state == NODE_LEAVING || n->state == NODE_LEFT) {
        return;
    }
    logger_line(LOG_INFO, &scope, "node.leaving", "state=%s", node_state_name(n->state));
    n->state = NODE_LEAVING;
    members_tick(n); /* So that nobody hands leadership to this node meanwhile. */
    for (size_t i = 0; i < n->options.lanes_count; i++) {
        n->left_notes[i] = (struct left_note){.node = n, .lane = &n->lanes[i]};
        n->left_notes[i].task.run = leave_run;
        loop_post(n->lanes[i].loop, &n->left_notes[i].task);
    }
}

void node_free(struct node *n)
{
    if (n->catalog != NULL) {
        group_free(n->catalog);
    }
    for (size_t i = 0; i < n->options.lanes_count; i++) {
        lane_release(&n->lanes[i]);
    }
    catalog_model_free(n->model);
    arena_release(&n->frame_arena);
    mem_free(n);
}
