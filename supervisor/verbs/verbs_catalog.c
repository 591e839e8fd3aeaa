/* apply: the configuration file into the catalog. On lane 0, this node leads the
 * catalog.
 *
 * All changes go in as one command: taken whole or not at all, and only on the
 * version the plan was made from. */
#include <stdio.h>
#include <string.h>

#include "supervisor/config/cluster_yaml.h"
#include "supervisor/verbs/json.h"
#include "supervisor/verbs/verbs.h"

/* The shards whose settings become others; the tool waits for them. */
static json_t *shards_json(const struct catalog_plan *plan)
{
    json_t *list = json_array();
    char aba[ABA_TEXT_SIZE];

    for (size_t i = 0; i < plan->shards_count; i++) {
        view_append(list, json_string(aba_text(plan->shards[i], aba)));
    }
    return list;
}

static void apply_answer(struct call *c, bool applied, uint64_t version)
{
    json_t *lines = json_array();
    for (size_t i = 0; i < c->exec.plan.lines_count; i++) {
        struct span line = c->exec.plan.lines[i];
        view_append(lines, view_text(line));
    }
    call_document(c, json_pack("{s:i,s:b,s:I,s:o,s:o}", "v", 1, "applied", applied, "version",
                               (json_int_t)version, "changes", lines, "shards", shards_json(&c->exec.plan)));
}

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
    } else {
        apply_answer(c, true, r.version); /* The model follows in a moment. */
    }
}

static void propose(struct call *c)
{
    struct catalog_plan *plan = &c->exec.plan;
    const struct catalog_command command = {.level = c->node->model->level.level,
                                            .time_ms = loop_wall_ms(c->lane->loop),
                                            .node = span_str(c->node->self->name),
                                            .base_version = c->node->model->version,
                                            .changes = plan->changes,
                                            .changes_count = plan->changes_count};
    struct bytes encoded = BYTES_NONE;
    enum sg_err err;

    if (plan->changes_count <= CATALOG_CHANGES_MAX) {
        catalog_command_encode(&command, &encoded);
    }
    if (plan->changes_count > CATALOG_CHANGES_MAX || encoded.n > ENTRY_SIZE_MAX_BYTES) {
        call_fail(
            c, SG_TOOBIG,
            "%zu changes are more than goes in as a whole (%d, or %u bytes): apply the file in parts, what "
            "others refer to first; nothing was changed",
            plan->changes_count, CATALOG_CHANGES_MAX, ENTRY_SIZE_MAX_BYTES);
        bytes_release(&encoded);
        return;
    }
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
    if (c->exec.plan.changes_count == 0 || call_flag(c, "dry_run")) {
        apply_answer(c, false, n->model->version);
    } else {
        propose(c);
    }
}
