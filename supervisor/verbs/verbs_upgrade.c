/* Levels: where the cluster stands and where it may go, and taking it there. */
#include <stdio.h>
#include <string.h>

#include "supervisor/node/node_impl.h"
#include "supervisor/node/upgrade.h"
#include "supervisor/verbs/json.h"
#include "supervisor/verbs/verbs.h"

static json_t *node_json(const struct upgrade *u, const struct upgrade_node *n)
{
    return json_pack("{s:s,s:b,s:I,s:I,s:s,s:o,s:I,s:o}", "name", n->name, "heard", n->is_heard, "level_min",
                     (json_int_t)n->level_min, "level_max", (json_int_t)n->level_max, "program",
                     n->is_heard ? n->program : "", "started", view_time((int64_t)n->started_ms),
                     "files_missing", (json_int_t)n->files_missing, "shards",
                     n->level_lowest != 0 && n->level_lowest < u->level
                         ? json_sprintf("from level %u", n->level_lowest)
                         : json_string(""));
}

void verb_upgrade_status(struct call *c, struct lane_slot *slot)
{
    const struct node *n = c->node;
    json_t *list = json_array();
    struct upgrade u;

    (void)slot;
    upgrade_look(n, &u);
    for (size_t i = 0; i < u.nodes_count; i++) {
        view_append(list, node_json(&u, &u.nodes[i]));
    }
    call_document(c, json_pack("{s:i,s:s,s:I,s:I,s:s,s:o,s:s,s:o}", "v", 1, "answered_by", n->self->name,
                               "level", (json_int_t)u.level, "target", (json_int_t)u.target, "state",
                               u.target == u.level ? "done"
                               : u.may_finalize    ? "may be finalized"
                                                   : "waits",
                               "finalized_by_itself", view_time(u.due_ms), "waits_for",
                               u.target == u.level ? "" : u.waits_for, "nodes", list));
}

static void answer(struct call *c, uint32_t level, bool finalized)
{
    call_document(c, json_pack("{s:i,s:I,s:b}", "v", 1, "level", (json_int_t)level, "finalized", finalized));
}

static void proposed(struct proposal *p, enum sg_err err)
{
    struct call *c = CONTAINER_OF(p, struct call, exec.proposal);
    struct catalog_result r;

    if (err == SG_OK && catalog_result_decode(p->result, &c->exec.arena, &r) != SG_OK) {
        call_fail(c, SG_UNKNOWN, "the catalog's answer could not be read: see 'shardgate upgrade status'");
    } else if (err != SG_OK) {
        call_retry(c, err == SG_STOPPED ? SG_UNKNOWN : err, sg_err_text(err));
    } else if (r.err == SG_CONFLICT) {
        call_retry(c, SG_UNAVAILABLE, "the configuration was changed by somebody else at the same time");
    } else if (r.err != SG_OK) {
        char reason[512];
        call_fail(c, r.err, "%s", span_cstr(r.reason, reason, sizeof reason));
    } else {
        answer(c, (uint32_t)c->exec.number, true);
    }
}

void verb_upgrade_finalize(struct call *c, struct lane_slot *slot)
{
    struct node *n = c->node;
    struct bytes command = BYTES_NONE;
    struct upgrade u;

    (void)slot;
    upgrade_look(n, &u);
    if (u.target == u.level) {
        answer(c, u.level, false);
        return;
    }
    if (u.waits) {
        call_retry(c, SG_UNAVAILABLE, u.waits_for); /* Until its time is over. */
        return;
    }
    if (!u.may_finalize) {
        call_fail(c, SG_REFUSED, "%s", u.waits_for);
        return;
    }
    c->exec.number = u.target;
    upgrade_encode(n, u.target, &command);
    memset(&c->exec.proposal, 0, sizeof c->exec.proposal);
    c->exec.proposal.command = span_bytes(&command);
    c->exec.proposal.done = proposed;
    enum sg_err err = group_propose(n->catalog, &c->exec.proposal);
    bytes_release(&command);
    if (err != SG_OK) {
        call_retry(c, err, sg_err_text(err));
    }
}
