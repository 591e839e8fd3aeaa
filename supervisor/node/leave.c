/* The orderly end of a node: leadership first, then writes, then the groups.
 *
 * Each lane goes through it on its own loop. Once all have left, a note goes to
 * every lane and back behind whatever was posted before, so that nothing is on
 * its way between loops when the owner hears that the node has left. */
#include "proto/base/mem.h"
#include "supervisor/node/parts.h"

#define LEAVE_HANDOVER_MS 3000 /* For leadership to move; then it stops anyway. */

/* Asks to move what this lane leads; returns how many groups it still leads. */
static size_t hand_over(struct group *g)
{
    struct group_status status;
    group_status(g, &status);
    if (!status.is_leader || status.stopped) {
        return 0;
    }
    if (status.transferee == 0) {
        enum sg_err err = group_transfer(g, 0);
        /* Not the leader any more or nobody to hand over to: seen next time. */
        (void)err;
    }
    return 1;
}

static size_t hand_over_all(struct lane *l)
{
    size_t led = 0;
    for (size_t i = 0; i < l->slots_count; i++) {
        if (l->slots[i]->shard != NULL) {
            led += hand_over(shard_group(l->slots[i]->shard));
        }
    }
    if (l->number == 0 && l->node->catalog != NULL) {
        led += hand_over(l->node->catalog);
    }
    return led;
}

static void stop_all(struct lane *l)
{
    for (size_t i = 0; i < l->slots_count; i++) {
        if (l->slots[i]->shard != NULL) {
            shard_stop(l->slots[i]->shard);
        }
    }
    if (l->number == 0 && l->node->catalog != NULL) {
        group_stop(l->node->catalog);
    }
    bank_cancel(l->bank);
    route_abandon(l);
    l->leaving_stopped = true;
}

static bool all_idle(const struct lane *l)
{
    for (size_t i = 0; i < l->slots_count; i++) {
        if (l->slots[i]->opening || (l->slots[i]->shard != NULL && !shard_is_idle(l->slots[i]->shard))) {
            return false;
        }
    }
    if (l->number == 0 && l->node->catalog != NULL && !group_is_idle(l->node->catalog)) {
        return false;
    }
    /* Lane 0 answers the calls of all lanes. */
    return writer_is_idle(l->writer) && (l->number != 0 || l->node->calls_count == 0);
}

/* On lane 0. */
static void drained_run(struct task *t)
{
    struct lane *l = CONTAINER_OF(t, struct lane, left_note);
    struct node *n = l->node;
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
    struct lane *l = CONTAINER_OF(t, struct lane, left_note);
    loop_cancel(l->loop, &l->tick);
    loop_cancel(l->loop, &l->lost);
    l->left_note.run = drained_run;
    loop_post(l->node->lanes[0].loop, &l->left_note);
}

/* On lane 0. */
static void left_run(struct task *t)
{
    struct lane *l = CONTAINER_OF(t, struct lane, left_note);
    struct node *n = l->node;

    if (++n->lanes_left < n->options.lanes_count) {
        return;
    }
    n->state = NODE_LEFT;
    loop_cancel(n->lanes[0].loop, &n->heartbeat);
    for (size_t i = 0; i < n->options.lanes_count; i++) {
        n->lanes[i].left_note.run = drain_run;
        loop_post(n->lanes[i].loop, &n->lanes[i].left_note);
    }
}

void lane_leave_step(struct lane *l)
{
    uint64_t now = loop_now_ms(l->loop);

    if (l->leave_deadline_ms == 0) {
        l->leave_deadline_ms = now + LEAVE_HANDOVER_MS;
    }
    if (!l->leaving_stopped && hand_over_all(l) > 0 && now < l->leave_deadline_ms) {
        return;
    }
    if (!l->leaving_stopped) {
        stop_all(l);
    }
    if (!all_idle(l)) {
        return;
    }
    l->left = true;
    l->left_note.run = left_run;
    loop_post(l->node->lanes[0].loop, &l->left_note);
}

struct leave_note {
    struct task task;
    struct lane *lane;
};

static void leave_run(struct task *t)
{
    struct leave_note *note = CONTAINER_OF(t, struct leave_note, task);
    struct lane *l = note->lane;

    mem_free(note);
    l->leaving = true;
    /* A node that never ran has no tick: this is its first. */
    l->tick.run = lane_tick;
    loop_after(l->loop, &l->tick, 0);
}

void node_leave(struct node *n)
{
    struct log_scope scope = node_scope(n);

    if (n->state == NODE_LEAVING || n->state == NODE_LEFT) {
        return;
    }
    logger_line(LOG_INFO, &scope, "node.leaving", "state=%s", node_state_name(n->state));
    n->state = NODE_LEAVING;
    for (size_t i = 0; i < n->options.lanes_count; i++) {
        struct leave_note *note = mem_zalloc(1, sizeof *note);
        note->lane = &n->lanes[i];
        note->task.run = leave_run;
        loop_post(n->lanes[i].loop, &note->task);
    }
}

void lane_release(struct lane *l)
{
    for (size_t i = 0; i < l->slots_count; i++) {
        if (l->slots[i]->shard != NULL) {
            shard_free(l->slots[i]->shard);
        }
        bytes_release(&l->slots[i]->settings);
        mem_free(l->slots[i]);
    }
    mem_free(l->slots);
    outbox_free(l->outbox);
    writer_free(l->writer);
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
