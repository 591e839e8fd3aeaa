#include "proto/base/fault.h"
#include "shard/engine/engine.h"
#include "shard/engine/guards.h"

/* Refusals change nothing inside libraft. */
static bool is_refusal(const struct raft_event *event, int rv)
{
    if (event->type == RAFT_SUBMIT) {
        return rv == RAFT_NOTLEADER || rv == RAFT_CANTCHANGE || rv == RAFT_MALFORMED || rv == RAFT_NOSPACE;
    }
    return event->type == RAFT_TRANSFER && (rv == RAFT_NOTLEADER || rv == RAFT_BADID || rv == RAFT_NOTFOUND);
}

/* Committed entries never change: whoever wants that is damaged, or we are. */
static bool rewrites_committed(const struct group *g, const struct raft_update *u)
{
    return (u->flags & (RAFT_UPDATE_ENTRIES)) != 0 && u->entries.index <= g->commit;
}

static void advance_commit(struct group *g)
{
    uint64_t commit = raft_commit_index(&g->raft);
    if (commit > g->commit) {
        g->commit = commit;
    }
    conf_feed(g, commit);
    if (!g->stopped) {
        apply_start(g);
    }
}

/* A leader without an entry of its own term learns of no commit (Raft 5.4.2);
 * libraft appends one only when something is uncommitted. */
static bool needs_barrier(const struct group *g)
{
    return g->raft.state == RAFT_LEADER && g->ready_index == 0;
}

static void carry_out(struct group *g, struct step *s, struct raft_update *u, unsigned state,
                      const struct role *before)
{
    persist_update(g, s, u);
    if ((u->flags & (RAFT_UPDATE_SNAPSHOT)) != 0) {
        snapshot_recv_install(g, u);
    }
    role_after_step(g, state, before);
    if ((u->flags & (RAFT_UPDATE_MESSAGES)) != 0) {
        send_messages(g, s, u);
    }
    if (!g->stopped && (u->flags & (RAFT_UPDATE_COMMIT_INDEX)) != 0) {
        advance_commit(g);
    }
    if (!g->stopped && needs_barrier(g)) {
        propose_barrier(g);
    }
    if (!g->stopped) {
        timer_update(g);
    }
}

/* The one call of libraft, with the guards that must stand right around it. */
static int guarded_step(struct group *g, struct step *s, struct raft_update *u)
{
    struct guard_g9 g9;
    if (s->event.type != RAFT_RECEIVE) {
        return raft_step(&g->raft, &s->event, u);
    }
    s->is_stale = guard_g1_is_stale(&g->raft, s->event.receive.message);
    guard_g9_begin(&g->raft, s->event.receive.message, &g9);
    int rv = raft_step(&g->raft, &s->event, u);
    guard_g9_end(&g->raft, &g9);
    return rv;
}

int group_step(struct group *g, struct step *s)
{
    struct raft_update update;
    CHECK(!g->stopped);
    unsigned state = g->raft.state;
    struct role before = role_now(g);
    s->event.time = timer_clock_ms(g);
    int rv = guarded_step(g, s, &update);
    if (rv != 0 && is_refusal(&s->event, rv)) {
        return rv;
    }
    if (rv != 0 && !FAULT_BUG("guard-g11")) {
        CHECK(rv != RAFT_NOMEM);
        /* G11: libraft is half-changed now. */
        group_fail(g, SG_CONFLICT, "libraft refused event %d: %s", (int)s->event.type, raft_strerror(rv));
        return rv;
    }
    if (rewrites_committed(g, &update)) {
        void *block = s->submitted == NULL ? update.entries.batch[0].batch : NULL;
        group_fail(g, SG_CONFLICT, "entry %llu is committed and was to be replaced", update.entries.index);
        raft_free(block);
        return RAFT_SHUTDOWN;
    }
    carry_out(g, s, &update, state, &before);
    return 0;
}
