/* Reads that can be trusted: what this leader has committed is all there is.
 *
 * A leader may have been replaced without knowing: it was paused, or cut off. So
 * before it answers from its rows it asks the others, in a round of a number of its
 * own, whether its term is still theirs. A majority that says so after the question
 * came has elected nobody behind it before (its votes for a later term would have
 * changed its own); so whatever was answered to anybody before the question is within
 * this leader's commit index, and the rows show it once that is applied (Raft thesis
 * 6.4; the core has no part in it).
 *
 * A leader knows what is committed only by an entry of its own term, hence ready_index.
 * All that comes in a turn shares one round, and a later round answers for the earlier
 * ones. An answer tells of a term, so it stands behind the gate like a vote (I-1). */
#include "proto/base/fault.h"
#include "shard/engine/engine.h"

enum sg_err group_read(struct group *g, struct group_read *r)
{
    struct reads *q = &g->reads;
    if (g->stopped) {
        return SG_STOPPED;
    }
    if (g->raft.state != RAFT_LEADER || g->ready_index == 0 || g->rebuild.is_on) {
        return SG_NOTLEADER;
    }
    if (q->count >= READS_MAX) {
        return SG_BUSY;
    }
    q->is_new = true;
    r->next = NULL;
    r->term = g->raft.current_term;
    r->round = q->round + 1; /* Of this turn's end. */
    r->index = g->commit > g->ready_index ? g->commit : g->ready_index;
    *(q->tail == NULL ? &q->head : &q->tail->next) = r;
    q->tail = r;
    q->count++;
    group_later(g);
    return SG_OK;
}

/* The newest round to all other voters. */
static void ask(struct group *g)
{
    const struct raft_configuration *conf = &g->raft.configuration;
    for (unsigned i = 0; i < conf->n; i++) {
        struct message m = {.kind = MESSAGE_READ, .group = g->o.id};
        m.read = (struct message_read){.term = g->raft.current_term, .round = g->reads.round};
        if (conf->servers[i].role == RAFT_VOTER && conf->servers[i].id != g->o.node) {
            send_hold(g, conf->servers[i].id, &m);
        }
    }
    /* Question or answer may be lost. */
    loop_after(g->o.loop, &g->reads.timer, g->o.heartbeat_ms);
}

void read_ask(struct group *g)
{
    if (g->reads.is_new && g->raft.state == RAFT_LEADER) {
        g->reads.round++;
        ask(g);
    }
    g->reads.is_new = false;
}

void read_timer_run(struct task *task)
{
    struct group *g = CONTAINER_OF(task, struct group, reads.timer);
    if (!g->stopped && g->reads.head != NULL && g->raft.state == RAFT_LEADER) {
        ask(g);
        group_later(g);
    }
}

void read_receive(struct group *g, uint64_t from, const struct message_read *m)
{
    if (m->term != g->raft.current_term) {
        return; /* Who asks is replaced, or will be heard as a leader first. */
    }
    if (m->is_answer) {
        struct peer *p = group_peer(g, from);
        if (g->raft.state == RAFT_LEADER && p != NULL && m->round <= g->reads.round &&
            m->round > p->read_round) {
            p->read_round = m->round;
            group_later(g);
        }
    } else if (g->raft.state == RAFT_FOLLOWER) {
        struct message answer = {.kind = MESSAGE_READ, .group = g->o.id};
        answer.read = (struct message_read){.term = m->term, .round = m->round, .is_answer = true};
        send_hold(g, from, &answer);
        group_later(g);
    }
}

/* Does a majority of the voters, this replica included, answer for this round? */
static bool is_confirmed(struct group *g, uint64_t round)
{
    const struct raft_configuration *conf = &g->raft.configuration;
    unsigned voters = 0;
    unsigned have = 0;
    for (unsigned i = 0; i < conf->n; i++) {
        const struct raft_server *server = &conf->servers[i];
        if (server->role == RAFT_VOTER) {
            const struct peer *p = server->id == g->o.node ? NULL : group_peer(g, server->id);
            voters++;
            have += server->id == g->o.node || (p != NULL && p->read_round >= round) ? 1 : 0;
        }
    }
    return have > voters / 2 || FAULT_BUG("read-without-round");
}

void read_tell(struct group *g)
{
    struct reads *q = &g->reads;
    while (q->head != NULL) {
        struct group_read *r = q->head;
        enum sg_err err = SG_OK;
        if (g->stopped) {
            err = SG_STOPPED;
        } else if (g->raft.state != RAFT_LEADER || r->term != g->raft.current_term) {
            err = SG_NOTLEADER;
        } else if ((g->applied < r->index && !FAULT_BUG("read-before-applied")) ||
                   !is_confirmed(g, r->round)) {
            return;
        }
        q->head = r->next;
        if (q->head == NULL) {
            q->tail = NULL;
            loop_cancel(g->o.loop, &q->timer);
        }
        q->count--;
        r->done(r, err);
    }
}
