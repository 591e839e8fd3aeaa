#include "supervisor/node/reconcile.h"

#include <stdio.h>

#include "proto/base/mem.h"
#include "supervisor/node/node_impl.h"
#include "supervisor/node/upgrade.h"

/* --- Making it true ------------------------------------------------------------------- */

static void order_shard(struct node *n, const struct catalog_shard *s)
{
    struct shard_order *order;
    bool is_ours = false;

    for (size_t i = 0; i < s->replicas_count; i++) {
        is_ours = is_ours || s->replicas[i] == n->self->id;
    }
    if (!is_ours) {
        return;
    }
    order = mem_zalloc(1, sizeof *order);
    order->group = s->settings.routing_number.n;
    order->lane = node_lane_of(n, order->group);
    for (size_t i = 0; i < s->replicas_count; i++) {
        order->replicas[i] = s->replicas[i];
    }
    order->replicas_count = s->replicas_count;
    order->preferred = s->preferred;
    order->settings_version = s->version;
    catalog_model_compose(n->model, s, n->cluster, &order->settings);
    lane_order(order);
}

static void model_refresh(struct node *n)
{
    struct lane *l = &n->lanes[0];
    uint64_t known = n->catalog_told;
    struct rows rows;
    struct kv_txn *txn;
    enum sg_err err = kv_begin(l->kv, false, &txn);

    if (err != SG_OK) {
        node_fatal(n, err, "the catalog cannot be read from the store");
        return;
    }
    rows_init(&rows, l->kv, txn, 0);
    rows.level_max = node_level_max(n);
    err = catalog_model_load(n->model, &rows);
    if (err == SG_OK) {
        err = catalog_digest(&rows, &n->catalog_digest);
    }
    rows_release(&rows);
    kv_abort(l->kv, txn);
    if (err == SG_CORRUPT || err == SG_UNSUPPORTED) {
        group_damaged(n->catalog, err, kv_damage()); /* Others know what this node can't read. */
        return;
    }
    if (err != SG_OK) {
        node_fatal(n, err, "the catalog cannot be read from the store");
        return;
    }
    if (n->model->version == known) {
        return;
    }
    /* What was read before something damaged stopped it is in the model, and no lane has
     * heard of it: so it is what was told that counts. */
    if (n->model->level.level != n->catalog_told_level) {
        for (size_t i = 0; i < n->options.lanes_count; i++) {
            lane_level(&n->lanes[i], &n->model->level);
        }
    }
    for (size_t i = 0; i < n->model->cluster.shards_count; i++) {
        if (n->model->shards[i].version > known) {
            order_shard(n, &n->model->shards[i]);
        }
    }
    n->catalog_told = n->model->version;
    n->catalog_told_level = n->model->level.level;
}

/* The first catalog begins at the highest level that all founders speak. So long its
 * leader waits for a founder of which it has not heard yet what it speaks. */
#define REGISTER_WAIT_MS 2000

/* --- Registering the founders ------------------------------------------------------------ */

struct registration {
    struct proposal proposal;
    struct node *node;
};

static void registered(struct proposal *p, enum sg_err err)
{
    struct registration *r = CONTAINER_OF(p, struct registration, proposal);
    struct log_scope scope = node_scope(r->node);

    /* A refusal (somebody else registered them first) shows in the model. */
    logger_line(LOG_INFO, &scope, "catalog.nodes_registered", "err=%s", sg_err_name(err));
    r->node->catalog_registering = false;
    mem_free(r);
}

void reconcile_tick(struct node *n)
{
    struct registration *r;
    struct catalog_change changes[NODES_MAX + 1];
    struct bytes encoded[NODES_MAX + 1] = {BYTES_NONE};
    struct upgrade upgrade;
    struct bytes command = BYTES_NONE;
    struct catalog_command c = {.level = n->model->level.level,
                                .time_ms = loop_wall_ms(n->lanes[0].loop),
                                .node = span_str(n->self->name),
                                .base_version = n->model->version,
                                .changes = changes};
    enum sg_err err;

    if (!n->catalog_ready || n->catalog_registering || n->model->nodes_count >= n->options.founders_count) {
        return;
    }
    upgrade_look(n, &upgrade);
    if (!upgrade.may_finalize && upgrade.target > upgrade.level &&
        loop_now_ms(n->lanes[0].loop) - n->catalog_ready_ms < REGISTER_WAIT_MS) {
        return; /* Somebody was not heard yet. */
    }
    if (upgrade.may_finalize && n->model->nodes_count == 0) {
        struct bytes *level = &encoded[n->options.founders_count];
        c.level = upgrade.target;
        upgrade_change(upgrade.target, level);
        changes[c.changes_count++] =
            (struct catalog_change){.kind = CATALOG_LEVEL, .encoded = span_bytes(level)};
    }
    for (size_t i = 0; i < n->options.founders_count; i++) {
        const struct founder *f = &n->founders[i];
        struct node_settings s = {.id = f->id,
                                  .name = span_str(f->name),
                                  .peer = span_str(f->peer),
                                  .client = span_str(f->client),
                                  .identity = n->members[i].identity};
        if (c.level >= LEVEL_CATALOG) {
            s.level_min = upgrade.nodes[i].level_min;
            s.level_max = upgrade.nodes[i].level_max;
            s.program = span_str(upgrade.nodes[i].program);
        }
        node_settings_encode(&s, &encoded[i]);
        changes[c.changes_count++] =
            (struct catalog_change){.kind = CATALOG_NODE, .name = s.name, .encoded = span_bytes(&encoded[i])};
    }
    catalog_command_encode(&c, &command);
    r = mem_zalloc(1, sizeof *r);
    r->node = n;
    r->proposal.command = span_bytes(&command);
    r->proposal.done = registered;
    err = group_propose(n->catalog, &r->proposal);
    n->catalog_registering = err == SG_OK;
    if (err != SG_OK) {
        mem_free(r); /* Not taken: the next tick tries again. */
    }
    bytes_release(&command);
    for (size_t i = 0; i <= n->options.founders_count; i++) {
        bytes_release(&encoded[i]);
    }
}

/* --- The group's machine ---------------------------------------------------------------------- */

static enum sg_err machine_apply(void *impl, struct rows *rows, uint64_t index, uint64_t term,
                                 struct span command, struct bytes *result)
{
    rows->level_max = node_level_max(impl);
    return catalog_apply(rows, index, term, command, result);
}

static void machine_applied(void *impl, uint64_t index)
{
    (void)index;
    model_refresh(impl);
}

static void machine_role(void *impl, bool is_leader, uint64_t term, uint64_t leader)
{
    struct node *n = impl;
    (void)term;
    n->catalog_ready_ms =
        is_leader && !n->catalog_ready ? loop_now_ms(n->lanes[0].loop) : n->catalog_ready_ms;
    n->catalog_ready = is_leader;
    n->catalog_leader = leader;
    if (is_leader && n->heartbeat.run != NULL) {
        loop_after(n->lanes[0].loop, &n->heartbeat, 0); /* The founders may not be in it yet. */
    }
    route_wake(&n->routes[0]);
}

static void machine_failed(void *impl, enum sg_err err, const char *why)
{
    struct node *n = impl;
    struct log_scope scope = node_scope(n);
    n->catalog_ready = false;
    n->catalog_leader = 0;
    n->catalog_failed = true;
    (void)snprintf(n->catalog_why, sizeof n->catalog_why, "%s", why);
    logger_line(LOG_ERROR, &scope, "catalog.failed", "err=%s why=%s", sg_err_name(err), LOG_TEXT(why));
}

static const struct machine_ops catalog_machine = {
    .apply = machine_apply,
    .applied = machine_applied,
    .installed = machine_applied,
    .role = machine_role,
    .failed = machine_failed,
};

enum sg_err reconcile_open_catalog(struct node *n, char *why, size_t why_size)
{
    struct group_options o = lane_group_options(&n->lanes[0], 0);
    enum sg_err err;

    o.machine = (struct machine){.ops = &catalog_machine, .impl = n};
    err = group_open(&o, &n->catalog, why, why_size);
    if (err == SG_CORRUPT) {
        /* Damage stops the group it is in, and no other: each shard's log holds the
         * settings it needs. */
        n->catalog = NULL;
        machine_failed(n, err, why);
        return SG_OK;
    }
    if (err == SG_OK) {
        n->lanes[0].guest = n->catalog;
        model_refresh(n);
    }
    return err;
}
