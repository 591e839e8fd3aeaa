/* Who replicates the group: one server at a time into it, up, down or out. */
#include "proto/base/mem.h"
#include "shard/engine/engine.h"
#include "shard/engine/guards.h"

enum sg_err group_join(struct kv *kv, struct kv_txn *txn, uint64_t id)
{
    struct log_hard_state hard_state;
    enum sg_err err = log_hard_state_get(kv, txn, id, &hard_state);
    if (err != SG_NOTFOUND) {
        return err == SG_OK ? SG_EXISTS : err;
    }
    err = log_hard_state_put(kv, txn, id, (struct log_hard_state){0});
    /* An empty mark tells one that began with nothing from one that lost its log. */
    return err == SG_OK ? log_mark_put(kv, txn, id, &(struct log_mark){0}) : err;
}

bool member_is_catching_up(const struct group *g)
{
    return g->raft.state == RAFT_LEADER && g->raft.leader_state.promotee_id != 0;
}

static const struct raft_server *server_of(const struct group *g, uint64_t node)
{
    for (unsigned i = 0; i < g->raft.configuration.n; i++) {
        if (g->raft.configuration.servers[i].id == node) {
            return &g->raft.configuration.servers[i];
        }
    }
    return NULL;
}

/* Is the node what the change is about? */
static bool fits(const struct group *g, enum group_change change, uint64_t node)
{
    const struct raft_server *server = server_of(g, node);
    switch (change) {
    case GROUP_ADD:
        return server == NULL && node != 0 && g->raft.configuration.n < PEERS_MAX;
    case GROUP_PROMOTE:
        return server != NULL && server->role == RAFT_STANDBY;
    case GROUP_DEMOTE:
        return server != NULL && server->role == RAFT_VOTER && node != g->o.node;
    case GROUP_REMOVE:
        return server != NULL && node != g->o.node;
    }
    return false;
}

static int role_after(enum group_change change, int role)
{
    switch (change) {
    case GROUP_PROMOTE:
        return RAFT_VOTER;
    case GROUP_DEMOTE:
        return guard_g10_demoted();
    case GROUP_ADD:
    case GROUP_REMOVE:
        break;
    }
    return role;
}

/* libraft's own configuration with that one change. Returns the voters in it. */
static size_t encode_changed(const struct group *g, enum group_change change, uint64_t node,
                             struct raft_buffer *out)
{
    struct raft_configuration conf;
    size_t voters = 0;
    raft_configuration_init(&conf);
    for (unsigned i = 0; i < g->raft.configuration.n; i++) {
        const struct raft_server *server = &g->raft.configuration.servers[i];
        int role = server->id == node ? role_after(change, server->role) : server->role;
        if (server->id != node || change != GROUP_REMOVE) {
            conf_add(&conf, server->id, role);
            voters += role == RAFT_VOTER ? 1 : 0;
        }
    }
    if (change == GROUP_ADD) {
        conf_add(&conf, node, RAFT_STANDBY);
    }
    CHECK(raft_configuration_encode(&conf, out) == 0);
    raft_configuration_close(&conf);
    return voters;
}

static enum sg_err submit_change(struct group *g, enum group_change change, uint64_t node)
{
    struct raft_buffer encoded;
    size_t voters = encode_changed(g, change, node, &encoded);
    enum sg_err err = SG_INVALID;
    if (guard_g5_voters(voters)) {
        struct span data = span_of(encoded.base, encoded.len);
        err = turn_submit(g, cache_entry_new(g->raft.current_term, RAFT_CHANGE, data)) == 0 ? SG_OK : SG_BUSY;
    }
    raft_free(encoded.base);
    return g->stopped ? SG_STOPPED : err;
}

static bool is_heard(struct group *g, uint64_t node)
{
    const struct peer *p = group_peer(g, node);
    return p != NULL && p->heard_ms != 0 && p->heard_ms + g->o.election_timeout_ms > loop_now_ms(g->o.loop);
}

/* libraft looks at nothing here: what must hold was asked for before. */
static void catch_up(struct group *g, uint64_t node)
{
    struct event e = {.raft.type = RAFT_CATCH_UP};
    e.raft.catch_up.server_id = node;
    (void)turn_step(g, &e);
}

enum sg_err group_change(struct group *g, enum group_change change, uint64_t node)
{
    if (g->stopped) {
        return SG_STOPPED;
    }
    if (g->raft.state != RAFT_LEADER) {
        return SG_NOTLEADER;
    }
    if (raft_transferee(&g->raft) != 0 || g->raft.configuration_uncommitted_index != 0 ||
        member_is_catching_up(g) || !guard_g4_may_change(&g->raft)) {
        return SG_BUSY;
    }
    if (!fits(g, change, node)) {
        return SG_INVALID;
    }
    if (change == GROUP_PROMOTE && !(is_heard(g, node) && guard_g9_may_promote(&g->raft, node))) {
        catch_up(g, node);
        return SG_BUSY;
    }
    return submit_change(g, change, node);
}
