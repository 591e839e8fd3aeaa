/* apply: the configuration file into the catalog. On lane 0, this node leads the
 * catalog.
 *
 * The changes go in as few commands as fit, in the order in which they refer to
 * each other; each is taken whole or not at all and only on the version the plan
 * was made from. */
#include <stdio.h>
#include <string.h>

#include "supervisor/config/cluster_yaml.h"
#include "supervisor/verbs/json.h"
#include "supervisor/verbs/verbs.h"

#define COMMAND_SIZE_BYTES (ENTRY_SIZE_MAX_BYTES / 2)

static void apply_answer(struct call *c, bool applied, uint64_t version)
{
    json_t *lines = json_array();
    for (size_t i = 0; i < c->exec.plan.lines_count; i++) {
        struct span line = c->exec.plan.lines[i];
        view_append(lines, view_text(line));
    }
    call_document(c, json_pack("{s:i,s:b,s:I,s:o}", "v", 1, "applied", applied, "version",
                               (json_int_t)version, "changes", lines));
}

static void propose_next(struct call *c, uint64_t base_version);

static void proposed(struct proposal *p, enum sg_err err)
{
    struct call *c = CONTAINER_OF(p, struct call, exec.proposal);
    struct catalog_result r;

    if (err == SG_OK && catalog_result_decode(p->result, &c->exec.arena, &r) != SG_OK) {
        call_fail(c, SG_UNKNOWN, "the catalog's answer could not be read: see 'shardgate export'");
        return;
    }
    if (err != SG_OK) {
        /* Repeating is safe: what was applied shows no difference any more. */
        call_retry(c, err == SG_STOPPED ? SG_UNKNOWN : err, sg_err_text(err));
    } else if (r.err == SG_CONFLICT) {
        call_retry(c, SG_UNAVAILABLE, "the configuration was changed by somebody else at the same time");
    } else if (r.err != SG_OK) {
        char reason[512];
        call_fail(c, r.err, "%s", span_cstr(r.reason, reason, sizeof reason));
    } else if (c->exec.plan_next < c->exec.plan.changes_count) {
        propose_next(c, r.version);
    } else {
        apply_answer(c, true, r.version); /* The model follows in a moment. */
    }
}

static void propose_next(struct call *c, uint64_t base_version)
{
    struct catalog_plan *plan = &c->exec.plan;
    struct catalog_command command = {.level = c->node->model->level.level,
                                      .time_ms = loop_wall_ms(c->lane->loop),
                                      .node = span_str(c->node->self->name),
                                      .base_version = base_version,
                                      .changes = &plan->changes[c->exec.plan_next]};
    struct bytes encoded = BYTES_NONE;
    size_t size = 0;
    enum sg_err err;

    while (c->exec.plan_next < plan->changes_count && command.changes_count < CATALOG_CHANGES_MAX &&
           (command.changes_count == 0 ||
            size + plan->changes[c->exec.plan_next].encoded.n < COMMAND_SIZE_BYTES)) {
        size += plan->changes[c->exec.plan_next].encoded.n;
        command.changes_count++;
        c->exec.plan_next++;
    }
    catalog_command_encode(&command, &encoded);
    memset(&c->exec.proposal, 0, sizeof c->exec.proposal);
    c->exec.proposal.command = span_bytes(&encoded);
    c->exec.proposal.done = proposed;
    err = group_propose(c->node->catalog, &c->exec.proposal);
    bytes_release(&encoded);
    if (err != SG_OK) {
        call_retry(c, err, sg_err_text(err));
    }
}

static bool zones_are_known(struct call *c, const struct cluster_settings *wanted)
{
    const struct node_options *o = &c->node->options;
    for (size_t i = 0; i < wanted->shards_count; i++) {
        char aba[ABA_TEXT_SIZE];
        char zone[64];
        if (o->zone(o->zone_impl, wanted->shards[i].zone) == NULL) {
            call_fail(c, SG_INVALID,
                      "shard %s: zone: %s is not a time zone of this system (try America/New_York)",
                      aba_text(wanted->shards[i].routing_number, aba),
                      span_cstr(wanted->shards[i].zone, zone, sizeof zone));
            return false;
        }
    }
    return true;
}

void verb_apply(struct call *c, struct lane_slot *slot)
{
    struct node *n = c->node;
    struct cluster_settings wanted;
    char source[128];
    char why[640];
    enum sg_err err;

    (void)slot;
    if (n->model->nodes_count == 0) {
        call_retry(c, SG_UNAVAILABLE, "the cluster was just formed and has not registered its nodes yet");
        return;
    }
    arena_reset(&c->exec.arena); /* It may be tried many times. */
    (void)span_cstr(request_arg(&c->request, "source"), source, sizeof source);
    err = cluster_yaml_parse(request_arg(&c->request, "yaml"), source, &c->exec.arena, &wanted, why,
                             sizeof why);
    if (err == SG_OK) {
        if (!zones_are_known(c, &wanted)) {
            return;
        }
        err = catalog_plan(n->model, &wanted, &c->exec.arena, &c->exec.plan, why, sizeof why);
        if (err != SG_OK) {
            call_fail(c, err, "%s: %s", source, why);
            return;
        }
    }
    if (err != SG_OK) {
        call_fail(c, err, "%s", why);
        return;
    }
    c->exec.plan_next = 0;
    if (c->exec.plan.changes_count == 0 || call_flag(c, "dry_run")) {
        apply_answer(c, false, n->model->version);
    } else {
        propose_next(c, n->model->version);
    }
}
