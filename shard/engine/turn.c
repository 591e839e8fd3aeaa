/* A group's turn: the one place where libraft is stepped, and where what its steps
 * ask for is carried out.
 *
 *   turn_step()  an event -> raft_step() -> gather()    as often as events come
 *   turn_run()   what fell due here -> store -> send -> apply -> tell    once, as
 *                the loop's turn ends
 *
 * A message, a proposal, a wish of the owner is an event of the moment, for it is
 * borrowed and wants an answer. What the writer and the clock have for libraft waits
 * in the struct for the turn's end. Why nothing can go wrong between the two:
 *
 * - Nothing steps inside a step. gather() writes down what a step wants and calls
 *   nobody: no writer, no transport, no owner.
 * - What a step gives lies in memory that the next one overwrites, or that its
 *   sender takes back: gather() copies all of it.
 * - A crash before the turn's end is a crash before the event came: nothing of it
 *   has left the memory.
 * - I-1: terms and votes are stored before anything is sent, and the gate lets a
 *   message pass when those that were gathered before it are durable. The order of
 *   messages stays.
 * - A leader sends entries that it is still writing itself: it counts its own vote
 *   for them when PERSISTED_ENTRIES has told it to (G5: it is never alone).
 * - Entries are read as a message leaves. One that was gathered before the log
 *   changed under it is dropped (send.c), which messages may be at any time.
 * - I-2, and a follower that commits what it is still writing: rows stand behind
 *   the entries in the writer's one queue. */
#include <inttypes.h>

#include "proto/base/fault.h"
#include "shard/engine/engine.h"
#include "shard/engine/guards.h"

/* --- What a step means for the role --------------------------------------------- */

static void follow_role(struct group *g, unsigned state, const struct role *before)
{
    uint64_t now_ms = loop_now_ms(g->o.loop);
    bool is_new_term = before->term != g->raft.current_term;
    bool led = state == RAFT_LEADER;
    bool leads = g->raft.state == RAFT_LEADER;
    if (led && (!leads || is_new_term)) {
        g->scope.term = before->term;
        logger_line(LOG_INFO, &g->scope, "leader.lost", "new_term=%llu", g->raft.current_term);
        g->ready_index = 0;
        while (g->waiting.head != NULL) {
            proposal_push(&g->lost, proposal_pop(&g->waiting));
        }
        snapshot_send_stop_all(g);
    }
    if (leads && (!led || is_new_term)) {
        /* The first entry of the own term is the barrier of libraft, or ours, or the
         * first proposal; whichever, it is at the log's end. */
        const struct cache_entry *last = cache_get(&g->cache, g->last_index);
        g->ready_index = last != NULL && last->term == g->raft.current_term ? g->last_index : 0;
        g->elections++;
        g->scope.term = g->raft.current_term;
        if (g->lost_ms == 0) {
            logger_line(LOG_INFO, &g->scope, "leader.elected", "index=%" PRIu64, g->last_index);
        } else {
            logger_line(LOG_INFO, &g->scope, "leader.elected", "index=%" PRIu64 " lost_ms=%" PRIu64,
                        g->last_index, now_ms - g->lost_ms);
        }
    }
    if (now_ms < g->stragglers_until_ms) {
        timer_ignore_straggler(g);
    }
    if (is_new_term) {
        snapshot_recv_stop(g); /* Its sender leads no more. */
    }
    if (role_leader(g) != 0) {
        g->lost_ms = 0;
        g->hurry_until_ms = 0;
    } else if (before->leader != 0 && g->lost_ms == 0) {
        g->lost_ms = now_ms;
    }
}

/* --- A step ---------------------------------------------------------------------- */

/* Copy what the step wants: in the order in which the turn's end carries it out. */
static void gather(struct group *g, struct event *e, const struct raft_update *u)
{
    persist_gather(g, e, u);
    if ((u->flags & (RAFT_UPDATE_SNAPSHOT)) != 0) {
        snapshot_recv_gather(g, u);
    }
    for (unsigned i = 0; (u->flags & (RAFT_UPDATE_MESSAGES)) != 0 && i < u->messages.n; i++) {
        struct raft_message *rm = &u->messages.batch[i];
        if (rm->server_id == 0 || rm->server_id == g->o.node) {
            continue; /* A reply to nobody: the leader is not known any more. */
        }
        if (e->is_stale) {
            guard_g1_patch_reply(rm);
        }
        guard_g8_pre_vote_result(&g->raft, rm);
        if (!send_gather(g, rm)) {
            snapshot_send_start(g, rm->server_id);
        }
    }
    if ((u->flags & (RAFT_UPDATE_COMMIT_INDEX)) != 0 && raft_commit_index(&g->raft) > g->commit) {
        g->commit = raft_commit_index(&g->raft);
    }
}

/* The one call of libraft, with the guards that must stand right around it. */
static int guarded_step(struct group *g, struct event *e, struct raft_update *u)
{
    struct raft *r = &g->raft;
    int rv;
    e->raft.time = timer_clock_ms(g);
    if (e->raft.type == RAFT_RECEIVE) {
        struct guard_g9 g9;
        e->is_stale = guard_g1_is_stale(r, e->raft.receive.message);
        guard_g9_begin(r, e->raft.receive.message, &g9);
        rv = raft_step(r, &e->raft, u);
        guard_g9_end(r, &g9);
    } else if (e->raft.type == RAFT_TIMEOUT) {
        struct guard_g13 g13;
        guard_g9_timeout(r);
        guard_g13_begin(r, e->raft.time, 5ull * g->o.heartbeat_ms / 2, &g13);
        rv = raft_step(r, &e->raft, u);
        guard_g13_end(r, &g13);
    } else {
        rv = raft_step(r, &e->raft, u);
    }
    return rv;
}

static int step(struct group *g, struct event *e)
{
    struct raft_update u;
    CHECK(!g->stopped);
    CHECK(!g->is_stepping);
    g->is_stepping = true;
    unsigned state = g->raft.state;
    struct role before = role_now(g);
    int rv = guarded_step(g, e, &u);
    bool is_refusal =
        (e->raft.type == RAFT_SUBMIT &&
         (rv == RAFT_NOTLEADER || rv == RAFT_CANTCHANGE || rv == RAFT_MALFORMED || rv == RAFT_NOSPACE)) ||
        (e->raft.type == RAFT_TRANSFER && (rv == RAFT_NOTLEADER || rv == RAFT_BADID || rv == RAFT_NOTFOUND));
    if (rv != 0 && !is_refusal && !FAULT_BUG("guard-g11")) {
        CHECK(rv != RAFT_NOMEM);
        /* G11: libraft is half-changed now. */
        group_fail(g, SG_CONFLICT, "libraft refused event %d: %s", (int)e->raft.type, raft_strerror(rv));
    } else if (rv == 0 && (u.flags & (RAFT_UPDATE_ENTRIES)) != 0 && u.entries.index <= g->commit) {
        /* Committed entries never change: who wants that is damaged, or we are. */
        void *block = e->submitted == NULL ? u.entries.batch[0].batch : NULL;
        group_fail(g, SG_CONFLICT, "entry %llu is committed and was to be replaced", u.entries.index);
        raft_free(block);
        rv = RAFT_SHUTDOWN;
    } else if (rv == 0) {
        gather(g, e, &u);
        follow_role(g, state, &before);
    }
    g->is_stepping = false;
    return rv;
}

void turn_tell_committed(struct group *g, uint64_t upto)
{
    while (!g->stopped && g->changes_count > 0 && g->changes[0].index <= upto) {
        struct event e = {.raft.type = RAFT_CONFIGURATION};
        e.raft.configuration.index = g->changes[0].index;
        conf_decode(span_bytes(&g->changes[0].data), &e.raft.configuration.conf);
        conf_drop_first(g);
        (void)step(g, &e);
    }
}

/* To the store, then out. */
static void store_and_send(struct group *g)
{
    if (g->writes != NULL) {
        persist_submit(g);
    }
    if (g->installing != NULL) {
        snapshot_recv_submit(g);
    }
    if (g->held_count > 0) {
        send_held(g);
    }
}

int turn_step(struct group *g, struct event *e)
{
    static const uint8_t zeros[8]; /* As libraft's own barriers. */
    /* So much came in this turn that what there is to send fills the queue. */
    if (!g->stopped && g->held_count + PEERS_MAX > HELD_MESSAGES_MAX && send_gate_is_open(g)) {
        store_and_send(g);
    }
    int rv = g->stopped ? RAFT_SHUTDOWN : step(g, e);
    /* By libraft's commit index and not by ours, which may be ahead after a restart:
     * else the change would stay undecided for ever. */
    turn_tell_committed(g, raft_commit_index(&g->raft));
    /* A leader without an entry of its own term learns of no commit (Raft 5.4.2);
     * libraft appends one only when something is uncommitted. */
    if (!g->stopped && g->raft.state == RAFT_LEADER && g->ready_index == 0) {
        struct span data = span_of(zeros, sizeof(zeros));
        g->ready_index = g->last_index + 1;
        if (turn_submit(g, cache_entry_new(g->raft.current_term, RAFT_BARRIER, data)) != 0) {
            g->ready_index = 0; /* A transfer is under way; tried again behind a later step. */
        }
    }
    group_later(g);
    return rv;
}

int turn_submit(struct group *g, struct cache_entry *entry)
{
    struct raft_entry raw = {.term = entry->term, .type = entry->type};
    struct event e = {.raft.type = RAFT_SUBMIT, .submitted = entry};
    raw.buf.base = entry->data;
    raw.buf.len = entry->size;
    raw.batch = entry; /* libraft wants one and never touches it. */
    e.raft.submit.entries = &raw;
    e.raft.submit.n = 1;
    int rv = turn_step(g, &e);
    if (e.submitted != NULL) {
        cache_entry_unref(e.submitted);
    }
    return rv;
}

/* --- The end of a turn -------------------------------------------------------------- */

/* What the writer and the clock have for libraft. Entries are told of before a mark
 * that covers them, or libraft would lose their terms; the clock comes last, for what
 * arrived in this turn may be what it waits for. Returns the index of a snapshot that
 * was installed, or 0. */
static uint64_t step_what_is_due(struct group *g)
{
    uint64_t installed = 0;
    bool stored = g->persisted > g->raft.last_stored && !g->raft.snapshot.installing;
    if (stored) {
        struct event e = {.raft.type = RAFT_PERSISTED_ENTRIES};
        e.raft.persisted_entries.index = g->persisted;
        (void)turn_step(g, &e);
    }
    g->persisted = 0;
    if (!g->stopped && g->marking != NULL) {
        struct event e = {0};
        if (snapshot_take_event(g, &e)) {
            (void)turn_step(g, &e);
        }
        snapshot_take_end(g);
    }
    if (!g->stopped && snapshot_recv_rows(g)) {
        installed = g->applied;
    }
    if (!g->stopped && g->installing != NULL) {
        struct event e = {0};
        if (snapshot_recv_event(g, &e)) {
            installed = g->applied;
            (void)turn_step(g, &e);
            snapshot_recv_end(g);
        }
    }
    if (!g->stopped && timer_is_due(g, stored)) {
        struct event e = {.raft.type = RAFT_TIMEOUT};
        (void)turn_step(g, &e);
    }
    return installed;
}

static void lose_proposals(struct group *g)
{
    while (g->waiting.head != NULL) {
        proposal_push(&g->lost, proposal_pop(&g->waiting));
    }
}

/* A replica without rows that it believes: lets go of what used them, then asks for
 * the leader's, or gives leadership away. */
static void rebuild(struct group *g)
{
    if (!g->rebuild.is_begun) {
        rebuild_begin(g);
        lose_proposals(g);
        snapshot_send_stop_all(g);
    }
    if (!g->rebuild.is_due) {
        return;
    }
    g->rebuild.is_due = false;
    if (g->raft.state != RAFT_LEADER) {
        rebuild_ask(g);
    } else if (raft_transferee(&g->raft) == 0 && role_successor(g) != 0) {
        struct event e = {.raft.type = RAFT_TRANSFER};
        e.raft.transfer.server_id = role_successor(g);
        (void)turn_step(g, &e); /* Refused: the timer comes again. */
    }
}

/* The owner's callbacks: each may propose, which makes another turn, or stop the group. */
static void tell(struct group *g, uint64_t installed)
{
    const struct machine *m = &g->o.machine;
    if (installed != 0 && !g->stopped) {
        m->ops->installed(m->impl, installed);
    }
    if (installed != 0 && !g->stopped) {
        m->ops->applied(m->impl, installed);
    }
    while (g->lost.head != NULL) {
        struct proposal *p = proposal_pop(&g->lost);
        p->result = SPAN_NONE;
        p->done(p, g->stopped ? SG_STOPPED : SG_UNKNOWN);
    }
    if (g->reads.head != NULL) {
        read_tell(g);
    }
    struct role now = role_now(g);
    bool has_failed = g->failed != SG_OK && !g->failed_told;
    if ((!g->stopped || has_failed) &&
        (now.is_ready != g->told.is_ready || now.term != g->told.term || now.leader != g->told.leader)) {
        g->told = now;
        m->ops->role(m->impl, now.is_ready, now.term, now.leader);
    }
    if (!g->stopped && g->compare.confirmed != g->compare.confirmed_told) {
        g->compare.confirmed_told = g->compare.confirmed;
        if (m->ops->confirmed != NULL) {
            m->ops->confirmed(m->impl, g->compare.confirmed);
        }
    }
    if (!g->stopped && g->rebuild.helped != 0) {
        uint64_t node = g->rebuild.helped;
        g->rebuild.helped = 0;
        if (m->ops->helps != NULL) {
            m->ops->helps(m->impl, node);
        }
    }
    if (has_failed) {
        g->failed_told = true;
        m->ops->failed(m->impl, g->failed, g->why);
    }
}

void turn_stop(struct group *g)
{
    loop_cancel(g->o.loop, &g->timer);
    loop_cancel(g->o.loop, &g->compare.timer);
    loop_cancel(g->o.loop, &g->reads.timer);
    scrub_stop(g);
    rebuild_stop(g);
    send_drop(g);
    persist_drop(g);
    lose_proposals(g);
    snapshot_send_stop_all(g);
    snapshot_recv_drop(g);
    snapshot_take_end(g);
}

void turn_run(struct task *task)
{
    struct group *g = CONTAINER_OF(task, struct group, turn);
    uint64_t installed = 0;
    g->jobs_count++; /* A callback must not find the group idle and free it. */
    if (!g->stopped) {
        installed = step_what_is_due(g);
    }
    if (!g->stopped && g->rebuild.is_on) {
        rebuild(g);
    }
    if (!g->stopped) {
        read_ask(g);
        store_and_send(g);
    }
    if (!g->stopped) {
        apply_start(g);
        snapshot_take_maybe(g);
        snapshot_trim(g);
        timer_update(g);
    } else {
        turn_stop(g);
    }
    tell(g, installed);
    g->jobs_count--;
}
