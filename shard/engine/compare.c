/* Are the rows of the replicas equal? (I-17)
 *
 * Raft makes the logs equal and apply makes equal rows of equal logs, on machines
 * that keep what was written. On one that does not, a row may be read as never
 * written, and from there on this replica answers, seals and uploads by itself
 * alone. So before a leader acts on what its rows say it asks the others for
 * their state (the chained digest and the set hash) at an index behind that
 * decision, and goes on when a majority, itself included, has the same there.
 *
 * Equal states at an index mean equal rows there and at every index before, as
 * the digest is a chain. States that differ once differ for ever: so the replicas
 * that still agree at or behind an index at which another differs are right about
 * it if they are a majority, and that other one is odd.
 *
 * A question tells a follower also that its index is committed: it comes from the
 * leader of its term and names the entry's term, so by log matching the follower's
 * entries up to there are the leader's, which are committed. Without that every
 * round would take a heartbeat. */
#include <inttypes.h>

#include "proto/base/fault.h"
#include "shard/engine/engine.h"
#include "shard/engine/trail.h"

/* --- What is known of the own states ------------------------------------------------ */

uint64_t compare_state(const struct digest *digest, uint64_t set)
{
    uint8_t number[8];
    be64_put(number, set);
    return checksum_of(span_of(digest->b, DIGEST_SIZE), span_of(number, sizeof(number)), SPAN_NONE);
}

static const struct state_at *state_of(const struct group *g, uint64_t index)
{
    const struct state_at *s = &g->compare.states[index % STATES_KEPT];
    return index > 0 && s->index == index ? s : NULL;
}

static void send(struct group *g, uint64_t to, enum compare_kind kind, const struct state_at *s)
{
    struct message m = {.kind = MESSAGE_COMPARE, .group = g->o.id};
    m.compare = (struct message_compare){.kind = kind,
                                         .term = g->raft.current_term,
                                         .index = s->index,
                                         .index_term = trail_term(&g->raft, s->index),
                                         .state = kind == COMPARE_QUESTION ? 0 : s->state};
    send_hold(g, to, &m);
    group_later(g);
}

/* At index, or at the newest when that one is not known any more. */
static void answer(struct group *g, uint64_t to, uint64_t index)
{
    const struct state_at *s = state_of(g, index);
    s = s != NULL ? s : state_of(g, g->ran);
    if (s != NULL) {
        send(g, to, COMPARE_ANSWER, s);
    }
}

void compare_note(struct group *g, uint64_t index, uint64_t state)
{
    struct compare *c = &g->compare;
    c->states[index % STATES_KEPT] = (struct state_at){index, state};
    if (c->question.index != 0 && index == c->question.index) {
        uint64_t to = c->question.from;
        c->question.index = 0;
        if (c->question.term == g->raft.current_term) {
            send(g, to, COMPARE_ANSWER, state_of(g, index));
        }
    }
}

void compare_forget(struct group *g)
{
    for (size_t i = 0; i < STATES_KEPT; i++) {
        g->compare.states[i] = (struct state_at){0};
    }
    g->compare.question.index = 0;
}

static void odd(struct group *g, uint64_t index)
{
    group_rows_lost(g, "its rows differ from those of the majority (index %" PRIu64 ")", index);
}

/* --- The follower --------------------------------------------------------------------- */

static bool learn_commit(struct group *g, const struct message_compare *q)
{
    if (q->index <= g->commit || q->index > g->last_index || g->installing != NULL ||
        g->raft.snapshot.installing || trail_term(&g->raft, q->index) != q->index_term) {
        return false;
    }
    g->commit = q->index;
    return true;
}

static bool recv_question(struct group *g, uint64_t from, const struct message_compare *q)
{
    if (g->rebuild.is_on) {
        return false;
    }
    if (q->index <= g->ran) {
        answer(g, from, q->index);
        return false;
    }
    g->compare.question.from = from;
    g->compare.question.term = q->term;
    g->compare.question.index = q->index;
    return learn_commit(g, q);
}

static void recv_differs(struct group *g, const struct message_compare *m)
{
    const struct state_at *own = state_of(g, m->index);
    if (own != NULL && own->state != m->state) {
        odd(g, m->index);
    }
}

/* --- The leader ------------------------------------------------------------------------- */

static bool leads(const struct group *g)
{
    return !g->stopped && !g->rebuild.is_on && g->raft.state == RAFT_LEADER;
}

/* What another term's leader found out is another leader's. */
static void renew(struct group *g)
{
    struct compare *c = &g->compare;
    if (c->term == g->raft.current_term) {
        return;
    }
    c->term = g->raft.current_term;
    c->confirmed = 0;
    c->wanted = 0;
    c->asked = 0;
    c->is_undecided = false;
    for (size_t i = 0; i < g->peers_count; i++) {
        g->peers[i].compared = (struct compared){0};
    }
}

static bool is_heard(const struct group *g, const struct peer *p)
{
    return p->heard_ms != 0 && p->heard_ms + g->o.election_timeout_ms > loop_now_ms(g->o.loop);
}

/* NULL: the server is this replica, or nothing was ever heard of it. */
static struct peer *peer_of(struct group *g, const struct raft_server *server)
{
    for (size_t i = 0; i < g->peers_count && server->id != g->o.node; i++) {
        if (g->peers[i].node == server->id) {
            return &g->peers[i];
        }
    }
    return NULL;
}

/* One that can answer and has not told of the newest applied index. */
static bool is_behind(const struct group *g, const struct peer *p)
{
    return is_heard(g, p) && p->compared.same_index < g->ran;
}

static void ask_all(struct group *g)
{
    const struct state_at *s = state_of(g, g->ran);
    const struct raft_configuration *conf = &g->raft.configuration;
    for (unsigned i = 0; i < conf->n && s != NULL && !g->stopped; i++) {
        struct peer *p = peer_of(g, &conf->servers[i]);
        if (p != NULL && is_behind(g, p)) {
            send(g, p->node, COMPARE_QUESTION, s);
        }
    }
    g->compare.asked = g->ran;
}

void compare_look(struct group *g)
{
    struct compare *c = &g->compare;
    if (!leads(g)) {
        return;
    }
    renew(g);
    bool any = false;
    for (size_t i = 0; i < g->peers_count && !any; i++) {
        any = is_behind(g, &g->peers[i]);
    }
    if (!any) {
        return;
    }
    bool is_urgent = c->wanted > c->confirmed;
    uint64_t at_ms = loop_now_ms(g->o.loop) + (is_urgent ? g->o.heartbeat_ms : COMPARE_EVERY_MS);
    if (!c->timer.armed || at_ms < c->timer_at_ms) {
        c->timer_at_ms = at_ms;
        loop_after(g->o.loop, &c->timer, at_ms - loop_now_ms(g->o.loop));
    }
}

void compare_timer_run(struct task *task)
{
    struct group *g = CONTAINER_OF(task, struct group, compare.timer);
    if (leads(g)) {
        renew(g);
        ask_all(g);
        compare_look(g);
    }
}

/* The voters with this property, this replica among them when it has it. */
static unsigned count_voters(struct group *g, bool self,
                             bool (*has)(const struct peer *p, const struct state_at *s),
                             const struct state_at *s)
{
    const struct raft_configuration *conf = &g->raft.configuration;
    unsigned n = 0;
    for (unsigned i = 0; i < conf->n; i++) {
        const struct raft_server *server = &conf->servers[i];
        const struct peer *p = peer_of(g, server);
        if (server->role == RAFT_VOTER) {
            n += p != NULL ? has(p, s) : server->id == g->o.node && self;
        }
    }
    return n;
}

static bool has_same(const struct peer *p, const struct state_at *s)
{
    return p->compared.same_index >= s->index;
}

static bool has_state(const struct peer *p, const struct state_at *s)
{
    return p->compared.told.index == s->index && p->compared.told.state == s->state;
}

static unsigned majority(const struct group *g)
{
    unsigned voters = 0;
    for (unsigned i = 0; i < g->raft.configuration.n; i++) {
        voters += g->raft.configuration.servers[i].role == RAFT_VOTER;
    }
    return voters / 2 + 1;
}

/* The newest index at which a majority is known to be equal. */
static void update_confirmed(struct group *g)
{
    for (size_t i = 0; i < g->peers_count; i++) {
        const struct state_at s = {.index = g->peers[i].compared.same_index};
        if (s.index > g->compare.confirmed && count_voters(g, true, has_same, &s) >= majority(g)) {
            g->compare.confirmed = s.index;
            group_later(g);
        }
    }
}

static void judge(struct group *g, struct peer *p)
{
    const struct state_at *told = &p->compared.told;
    const struct state_at *own = state_of(g, told->index);
    if (count_voters(g, true, has_same, told) >= majority(g)) {
        send(g, p->node, COMPARE_DIFFERS, own);
    } else if (count_voters(g, false, has_state, told) >= majority(g)) {
        odd(g, told->index);
    } else {
        g->compare.is_undecided = true;
        send(g, p->node, COMPARE_UNDECIDED, own);
        scrub_want(g);
    }
}

static void recv_answer(struct group *g, uint64_t from, const struct message_compare *m)
{
    struct peer *p = group_peer(g, from);
    const struct state_at *own = state_of(g, m->index);
    if (p == NULL || own == NULL) {
        return; /* Too old, or newer than ours: the timer asks again. */
    }
    renew(g);
    struct compared *c = &p->compared;
    c->told = (struct state_at){m->index, m->state};
    if (own->state == m->state) {
        c->same_index = m->index > c->same_index ? m->index : c->same_index;
        c->differs = false;
        p->rebuilding = false;
        update_confirmed(g);
    } else {
        if (!c->differs) {
            logger_line(LOG_ERROR, &g->scope, "replica.differs", "node=%" PRIu64 " index=%" PRIu64, from,
                        m->index);
        }
        c->differs = true;
        judge(g, p);
    }
    for (size_t i = 0; i < g->peers_count && !g->stopped; i++) {
        if (&g->peers[i] != p && g->peers[i].compared.differs &&
            state_of(g, g->peers[i].compared.told.index) != NULL) {
            judge(g, &g->peers[i]); /* One more is known: it may decide. */
        }
    }
    if (!g->stopped) {
        compare_look(g);
    }
}

bool compare_receive(struct group *g, uint64_t from, const struct message_compare *m)
{
    if (m->term != g->raft.current_term) {
        return false;
    }
    bool is_leader = g->raft.state == RAFT_LEADER;
    bool is_of_leader = !is_leader && role_leader(g) == from;
    switch (m->kind) {
    case COMPARE_QUESTION:
        return is_of_leader && recv_question(g, from, m);
    case COMPARE_ANSWER:
        if (is_leader) {
            recv_answer(g, from, m);
        }
        break;
    case COMPARE_DIFFERS:
        if (is_of_leader) {
            recv_differs(g, m);
        }
        break;
    case COMPARE_UNDECIDED:
        if (is_of_leader) {
            scrub_want(g);
        }
        break;
    case COMPARE_ROWS_WANTED:
    case COMPARE_KINDS:
        break;
    }
    return false;
}

/* --- The owner ----------------------------------------------------------------------------- */

uint64_t group_ran(const struct group *g)
{
    return g->ran;
}

uint64_t group_confirm(struct group *g, uint64_t index)
{
    struct compare *c = &g->compare;
    if (!leads(g)) {
        return 0;
    }
    renew(g);
    if (index <= c->confirmed) {
        return c->confirmed;
    }
    CHECK(index <= g->ran);
    c->wanted = index > c->wanted ? index : c->wanted;
    if (c->asked < index) {
        ask_all(g);
    }
    compare_look(g);
    return c->confirmed;
}
