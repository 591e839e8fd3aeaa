/* The orderly end of a lane: leadership first, then writes, then the groups. */
#include "proto/base/mem.h"
#include "supervisor/node/lane.h"

#define LEAVE_HANDOVER_MS 3000 /* For leadership to move; then it stops anyway. */

/* Asks to move what this lane leads; returns how many groups it still waits for. One
 * that nobody who stays can take is not waited for: passed on between nodes that all
 * go down, it would keep each of them. */
static size_t hand_over(const struct lane *l, struct group *g)
{
    struct group_status status;
    uint64_t heir;
    group_status(g, &status);
    if (!status.is_leader || status.stopped) {
        return 0;
    }
    heir = lane_heir(l, &status);
    if (heir == 0) {
        return 0;
    }
    if (status.transferee == 0) {
        enum sg_err err = group_transfer(g, heir);
        /* Not the leader any more: seen next time. */
        (void)err;
    }
    return 1;
}

static size_t hand_over_all(struct lane *l)
{
    size_t led = 0;
    for (size_t i = 0; i < l->slots_count; i++) {
        if (l->slots[i]->shard != NULL) {
            led += hand_over(l, shard_group(l->slots[i]->shard));
        }
    }
    if (l->guest != NULL) {
        led += hand_over(l, l->guest);
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
    if (l->guest != NULL) {
        group_stop(l->guest);
    }
    bank_cancel(l->bank);
    l->events.stopped(l->impl, l);
    l->leaving_stopped = true;
}

static bool all_idle(const struct lane *l)
{
    for (size_t i = 0; i < l->slots_count; i++) {
        if (l->slots[i]->opening || (l->slots[i]->shard != NULL && !shard_is_idle(l->slots[i]->shard))) {
            return false;
        }
    }
    if (l->guest != NULL && !group_is_idle(l->guest)) {
        return false;
    }
    return writer_is_idle(l->writer) && l->events.is_idle(l->impl, l);
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
    l->events.left(l->impl, l);
}

void lane_halt(struct lane *l)
{
    loop_cancel(l->loop, &l->tick);
    loop_cancel(l->loop, &l->lost);
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
