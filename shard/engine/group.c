#include "shard/engine/group.h"

#include <inttypes.h>
#include <stdio.h>

#include "proto/base/mem.h"
#include "shard/engine/engine.h"
#include "shard/engine/guards.h"
#include "shard/engine/load.h"
#include "shard/engine/trail.h"

void group_stop(struct group *g)
{
    if (g->stopped) {
        return;
    }
    g->stopped = true;
    turn_stop(g);
    if (g->lost.head != NULL || g->reads.head != NULL) {
        group_later(g);
    }
}

void group_damaged(struct group *g, enum sg_err err, const char *why)
{
    if (err == SG_CORRUPT) {
        group_rows_lost(g, "%s", why);
    } else {
        group_fail(g, err, "%s", why);
    }
}

void group_distrust(struct group *g, const char *reason)
{
    group_rows_lost(g, "an operator distrusts its rows: %s", reason);
}

bool group_is_idle(const struct group *g)
{
    return g->jobs_count == 0 && !g->turn.armed;
}

void group_free(struct group *g)
{
    CHECK(g->stopped);
    CHECK(group_is_idle(g));
    CHECK(g->waiting.head == NULL);
    CHECK(g->lost.head == NULL);
    CHECK(g->reads.head == NULL);
    raft_close(&g->raft, NULL);
    conf_truncate(g, 0);
    cache_release(&g->cache);
    mem_free(g->why);
    mem_free(g->damage);
    mem_free(g->rows_damage);
    mem_free(g->rebuild.why);
    mem_free(g);
}

/* --- Opening ---------------------------------------------------------------- */

enum sg_err group_bootstrap(struct kv *kv, struct kv_txn *txn, uint64_t id, const uint64_t *nodes,
                            size_t nodes_count)
{
    struct log_hard_state hard_state;
    struct bytes conf = BYTES_NONE;
    for (size_t i = 0; i < nodes_count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (nodes[i] == nodes[j]) {
                return SG_INVALID;
            }
        }
        if (nodes[i] == 0) {
            return SG_INVALID;
        }
    }
    if (nodes_count > REPLICAS_MAX || !guard_g5_voters(nodes_count)) {
        return SG_INVALID;
    }
    enum sg_err err = log_hard_state_get(kv, txn, id, &hard_state);
    if (err != SG_NOTFOUND) {
        return err == SG_OK ? SG_EXISTS : err;
    }
    conf_encode(nodes, nodes_count, &conf);
    struct log_entry first = {.index = 1, .term = 1, .type = RAFT_CHANGE, .data = span_bytes(&conf)};
    err = log_hard_state_put(kv, txn, id, (struct log_hard_state){.term = 1, .voted_for = 0});
    if (err == SG_OK) {
        err = log_append(kv, txn, id, &first, 1);
    }
    bytes_release(&conf);
    return err;
}

static void init_raft(struct group *g)
{
    const struct group_options *o = &g->o;
    CHECK(raft_init(&g->raft, NULL, NULL, o->node, g->address) == 0);
    g->raft.tracer = NULL; /* The default one formats every trace, into memory shared by all threads. */
    raft_seed(&g->raft, (unsigned)loop_random(o->loop));
    raft_set_election_timeout(&g->raft, o->election_timeout_ms);
    raft_set_heartbeat_timeout(&g->raft, o->heartbeat_ms);
    raft_set_pre_vote(&g->raft, true);
    raft_set_max_inflight_entries(&g->raft, o->inflight_entries);
}

static struct group *group_new(const struct group_options *o)
{
    CHECK(o->node > 0);
    CHECK(o->heartbeat_ms < o->election_timeout_ms);
    struct group *g = mem_zalloc(1, sizeof(*g));
    g->o = *o;
    g->o.inflight_entries = o->inflight_entries == 0 ? INFLIGHT_ENTRIES_MAX : o->inflight_entries;
    CHECK(g->o.inflight_entries <= INFLIGHT_ENTRIES_MAX);
    g->o.snapshot_chunk_bytes = o->snapshot_chunk_bytes == 0 ? SNAPSHOT_CHUNK_BYTES : o->snapshot_chunk_bytes;
    CHECK(g->o.snapshot_chunk_bytes <= SNAPSHOT_CHUNK_BYTES);
    CHECK(o->trailing_entries >= g->o.inflight_entries);
    g->scope = (struct log_scope){.node = o->node_name, .group = (uint32_t)o->id, .has_group = 1};
    (void)snprintf(g->address, sizeof(g->address), "%" PRIu64, o->node);
    g->timer.run = timer_run;
    g->turn.run = turn_run;
    g->compare.timer.run = compare_timer_run;
    g->reads.timer.run = read_timer_run;
    init_raft(g);
    return g;
}

/* Feed START. */
static void start(struct group *g, struct stored *s)
{
    struct raft_snapshot_metadata metadata;
    struct event e = {.raft.type = RAFT_START};
    e.raft.start.term = s->hard_state.term;
    e.raft.start.voted_for = s->hard_state.voted_for;
    e.raft.start.start_index = s->bounds.first;
    e.raft.start.entries = s->entries_count == 0 ? NULL : s->entries;
    e.raft.start.n_entries = (unsigned)s->entries_count;
    if (s->mark.index != 0) {
        metadata = (struct raft_snapshot_metadata){
            .index = s->mark.index, .term = s->mark.term, .configuration_index = s->mark.conf_index};
        conf_decode(s->mark.conf, &metadata.configuration);
        e.raft.start.metadata = &metadata;
    }
    g->last_index = s->bounds.last;
    g->applied = s->applied;
    g->ran = s->applied;
    g->commit = s->applied;
    g->digest = s->digest;
    g->set = s->set;
    g->has_set = s->has_set;
    if (s->has_set) {
        compare_note(g, s->applied, compare_state(&s->digest, s->set));
    }
    g->mark_index = s->mark.index;
    g->trimmed = s->bounds.first - 1;
    if (turn_step(g, &e) != 0) {
        s->entries = NULL; /* libraft has freed it. */
        return;
    }
    CHECK(raft_last_index(&g->raft) == g->last_index);
}

enum sg_err group_open(const struct group_options *options, struct group **out, char *why, size_t why_size)
{
    struct stored stored;
    struct group *g = group_new(options);
    enum sg_err err = load_stored(g, &stored, why, why_size);
    if (err != SG_OK) {
        goto err_after_load;
    }
    start(g, &stored);
    if (g->stopped) {
        err = g->failed;
        (void)snprintf(why, why_size, "%s", g->why);
        goto err_after_load;
    }
    rebuild_open(g, stored.distrust);
    load_release(&stored);
    timer_open(g);
    scrub_open(g);
    *out = g;
    return SG_OK;

err_after_load:
    load_release(&stored);
    g->stopped = true;
    turn_stop(g);
    loop_cancel(g->o.loop, &g->turn);
    group_free(g);
    CHECK(err != SG_OK);
    return err;
}

/* --- For people -------------------------------------------------------------- */

static void status_replica(const struct group *g, const struct raft_server *server, struct group_replica *out)
{
    uint64_t now = loop_now_ms(g->o.loop);
    raft_index match = 0;
    bool leads = g->raft.state == RAFT_LEADER;
    out->node = server->id;
    out->is_voter = server->role == RAFT_VOTER;
    out->is_leader = server->id == role_leader(g);
    if (leads && raft_match_index(&g->raft, server->id, &match) == 0) {
        out->match_index = match;
    }
    if (leads && server->id == g->o.node) {
        out->is_recent = true;
    }
    for (size_t i = 0; i < g->peers_count; i++) {
        const struct peer *p = &g->peers[i];
        if (leads && p->node == server->id) {
            out->is_recent = p->heard_ms != 0 && p->heard_ms + g->o.election_timeout_ms > now;
            out->installing = p->sender != NULL;
            out->is_rebuilding = p->rebuilding;
        }
    }
}

void group_status(const struct group *g, struct group_status *out)
{
    *out = (struct group_status){
        .id = g->o.id,
        .term = g->raft.current_term,
        .voted_for = g->raft.voted_for,
        .leader = role_leader(g),
        .transferee = raft_transferee(&g->raft),
        .is_leader = !g->stopped && g->raft.state == RAFT_LEADER,
        .is_ready = role_is_ready(g),
        .is_changing = g->raft.configuration_uncommitted_index != 0 || member_is_catching_up(g),
        .stopped = g->stopped,
        .why = g->why != NULL           ? g->why
               : g->rebuild.why != NULL ? g->rebuild.why
                                        : "",
        .first_index = trail_first(&g->raft),
        .last_index = g->last_index,
        .commit_index = g->commit,
        .applied_index = g->applied,
        .ran_index = g->ran,
        .mark_index = g->mark_index,
        .digest = g->digest,
        .set = g->set,
        .elections = g->elections,
        .is_rebuilding = g->rebuild.is_on,
        .rebuilds = g->rebuild.count,
        .snapshots_sent = g->snapshots_sent,
        .snapshots_installed = g->snapshots_installed,
    };
    if (out->is_leader && g->compare.term == g->raft.current_term) {
        out->confirmed_index = g->compare.confirmed;
        out->is_undecided = g->compare.is_undecided;
    }
    for (unsigned i = 0; i < g->raft.configuration.n && i < PEERS_MAX; i++) {
        status_replica(g, &g->raft.configuration.servers[i], &out->replicas[out->replicas_count++]);
    }
}

const char *group_entry_type_name(uint8_t type)
{
    switch (type) {
    case RAFT_COMMAND:
        return "command";
    case RAFT_BARRIER:
        return "barrier";
    case RAFT_CHANGE:
        return "change";
    default:
        return "unknown";
    }
}
