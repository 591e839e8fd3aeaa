#include "shard/engine/engine.h"

static enum sg_err may_propose(struct group *g, const struct proposal *p)
{
    if (g->stopped) {
        return SG_STOPPED;
    }
    if (g->raft.state != RAFT_LEADER || raft_transferee(&g->raft) != 0 || g->rebuild.is_on) {
        return SG_NOTLEADER;
    }
    if (p->command.n > ENTRY_SIZE_MAX_BYTES) {
        return SG_TOOBIG;
    }
    if (g->waiting.count >= PROPOSALS_MAX || writer_pending_bytes(g->o.writer) > WRITER_QUEUE_MAX_BYTES) {
        return SG_BUSY;
    }
    /* A full store fails for good: submissions are refused long before, so that
     * what closes windows and finishes uploads still finds room. */
    return p->is_early && g->o.kv->ops->free_bytes(g->o.kv->impl) < STORE_FREE_SPACE_MIN_BYTES ? SG_BUSY
                                                                                               : SG_OK;
}

enum sg_err group_propose(struct group *g, struct proposal *p)
{
    enum sg_err err = may_propose(g, p);
    if (err != SG_OK) {
        return err;
    }
    p->term = g->raft.current_term;
    p->index = g->last_index + 1;
    int rv = turn_submit(g, cache_entry_new(p->term, RAFT_COMMAND, p->command));
    if (rv != 0 && !g->stopped) {
        return SG_NOTLEADER;
    }
    if (g->stopped || g->raft.state != RAFT_LEADER || g->raft.current_term != p->term) {
        proposal_push(&g->lost, p);
        group_later(g);
    } else {
        proposal_push(&g->waiting, p);
    }
    return SG_OK;
}

enum sg_err group_transfer(struct group *g, uint64_t node)
{
    struct event e = {.raft.type = RAFT_TRANSFER};
    if (g->stopped) {
        return SG_STOPPED;
    }
    if (g->raft.state != RAFT_LEADER) {
        return SG_NOTLEADER;
    }
    if (raft_transferee(&g->raft) != 0) {
        return SG_BUSY;
    }
    node = node == 0 ? role_successor(g) : node;
    if (node == 0) {
        return SG_INVALID;
    }
    e.raft.transfer.server_id = node;
    int rv = turn_step(g, &e);
    if (rv == RAFT_NOTLEADER) {
        return SG_NOTLEADER;
    }
    return rv == 0 ? SG_OK : SG_INVALID;
}
