/* What the other files stand on: jobs, the end of a group, who leads. */
#include <stdarg.h>
#include <stdio.h>

#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "shard/engine/engine.h"

#define WHY_SIZE 256

void group_later(struct group *g)
{
    loop_defer(g->o.loop, &g->turn);
}

void group_fail(struct group *g, enum sg_err err, const char *fmt, ...)
{
    char why[WHY_SIZE];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);
    if (g->stopped) {
        return;
    }
    g->stopped = true;
    g->why = mem_strdup(why);
    g->failed = err;
    logger_line(LOG_ERROR, &g->scope, "group.failed", "err=%s why=%s", sg_err_name(err), LOG_TEXT(why));
    group_later(g);
}

void group_rows_lost(struct group *g, const char *fmt, ...)
{
    char why[WHY_SIZE];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(why, sizeof(why), fmt, args);
    va_end(args);
    if (g->stopped || g->rebuild.is_on) {
        return;
    }
    g->rebuild.is_on = true;
    g->rebuild.is_begun = false;
    g->rebuild.why = mem_strdup(why);
    group_later(g);
}

/* --- Jobs ------------------------------------------------------------------- */

void group_job_submit(struct group *g, struct group_job *job, size_t size_bytes)
{
    job->job.size_bytes = size_bytes;
    g->jobs_count++;
    writer_submit(g->o.writer, &job->job);
}

bool group_job_refused(struct group_job *job)
{
    job->refused = job->g->damaged || (job->needs_rows && job->g->rows_damaged);
    return job->refused;
}

enum sg_err group_job_result(struct group_job *job, enum sg_err err)
{
    struct group *g = job->g;
    if (err == SG_CORRUPT && job->needs_rows && kv_damage_table() == KV_STATE) {
        g->rows_damage = g->rows_damaged ? g->rows_damage : mem_strdup(kv_damage());
        g->rows_damaged = true;
        return err;
    }
    if ((err == SG_CORRUPT || err == SG_UNSUPPORTED) && !g->damaged) {
        g->damaged = true;
        g->damage_err = err;
        g->damage = mem_strdup(kv_damage());
    }
    return err;
}

bool group_job_ok(struct group_job *job, enum sg_err err)
{
    struct group *g = job->g;
    if (!g->stopped && (err != SG_OK || job->refused) && job->needs_rows && !g->damaged) {
        group_rows_lost(g, "%s", g->rows_damage == NULL ? sg_err_text(SG_CORRUPT) : g->rows_damage);
        return false;
    }
    if (!g->stopped && (err != SG_OK || job->refused)) {
        group_fail(g, g->damage == NULL ? SG_CORRUPT : g->damage_err, "%s",
                   g->damage == NULL ? sg_err_text(err) : g->damage);
    }
    return !g->stopped;
}

void group_job_end(struct group *g)
{
    CHECK(g->jobs_count > 0);
    g->jobs_count--;
}

/* --- Lists ------------------------------------------------------------------ */

struct peer *group_peer(struct group *g, uint64_t node)
{
    for (size_t i = 0; i < g->peers_count; i++) {
        if (g->peers[i].node == node) {
            return &g->peers[i];
        }
    }
    if (g->peers_count == PEERS_MAX) {
        return NULL;
    }
    struct peer *p = &g->peers[g->peers_count++];
    *p = (struct peer){.node = node};
    return p;
}

void proposal_push(struct proposal_list *list, struct proposal *p)
{
    p->next = NULL;
    if (list->tail == NULL) {
        list->head = p;
    } else {
        list->tail->next = p;
    }
    list->tail = p;
    list->count++;
}

struct proposal *proposal_pop(struct proposal_list *list)
{
    struct proposal *p = list->head;
    list->head = p->next;
    if (list->head == NULL) {
        list->tail = NULL;
    }
    list->count--;
    return p;
}

/* --- Who leads, and may this replica act (I-8) -------------------------------- */

uint64_t role_leader(const struct group *g)
{
    switch (g->raft.state) {
    case RAFT_LEADER:
        return g->o.node;
    case RAFT_FOLLOWER:
        return g->raft.follower_state.current_leader.id;
    default:
        return 0;
    }
}

bool role_is_ready(const struct group *g)
{
    return !g->stopped && !g->rebuild.is_on && g->raft.state == RAFT_LEADER && g->ready_index != 0 &&
           (g->applied >= g->ready_index || FAULT_BUG("ready-too-early"));
}

struct role role_now(const struct group *g)
{
    return (struct role){role_is_ready(g), g->raft.current_term, role_leader(g)};
}

uint64_t role_successor(struct group *g)
{
    uint64_t best = 0;
    uint64_t best_match = 0;
    uint64_t best_heard = 0;
    for (unsigned i = 0; i < g->raft.configuration.n; i++) {
        const struct raft_server *server = &g->raft.configuration.servers[i];
        raft_index match = 0;
        const struct peer *p = server->id == g->o.node ? NULL : group_peer(g, server->id);
        if (p == NULL || server->role != RAFT_VOTER || raft_match_index(&g->raft, server->id, &match) != 0) {
            continue;
        }
        if (best == 0 || match > best_match || (match == best_match && p->heard_ms > best_heard)) {
            best = server->id;
            best_match = match;
            best_heard = p->heard_ms;
        }
    }
    return best;
}
