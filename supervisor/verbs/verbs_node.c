/* Verbs that any node answers from what it knows itself. */
#include <stdio.h>
#include <string.h>

#include "proto/base/mem.h"
#include "shardgate/version.h"
#include "supervisor/config/cluster_yaml.h"
#include "supervisor/node/pace.h"
#include "supervisor/node/upgrade.h"
#include "supervisor/verbs/json.h"
#include "supervisor/verbs/summary.h"
#include "supervisor/verbs/verbs.h"

void verb_ping(struct call *c, struct lane_slot *slot)
{
    const struct node *n = c->node;
    (void)slot;
    call_document(c, json_pack("{s:i,s:s,s:s,s:s,s:s,s:b}", "v", 1, "cluster", n->cluster, "node",
                               n->self->name, "state", node_state_name(n->state), "why", n->refusal, "up",
                               n->state == NODE_RUNNING));
}

/* What it speaks and goes by: equal on all nodes, but while they are upgraded. */
static void member_formats_json(const struct node *n, size_t i, json_t *o)
{
    struct message_formats own;
    const struct member_formats *f = &n->members[i].formats;
    bool is_self = n->members[i].founder == n->self;
    char build[2 * DIGEST_SIZE + 1] = "", catalog[2 * DIGEST_SIZE + 1] = "";
    char difference[320];

    members_own_formats(n, &own);
    if (is_self) {
        (void)hex_text(own.build, build);
        (void)hex_text(own.catalog, catalog);
    } else if (f->level_max != 0) {
        (void)hex_text(span_of(f->build.b, f->has_build ? DIGEST_SIZE : 0), build);
        (void)hex_text(span_of(f->catalog.b, f->has_catalog ? DIGEST_SIZE : 0), catalog);
    }
    upgrade_difference(n, i + 1, difference, sizeof difference);
    view_add(o, "level_min", json_integer(is_self ? own.level_min : f->level_min));
    view_add(o, "level_max", json_integer(is_self ? own.level_max : f->level_max));
    view_add(o, "build", json_stringn(build, strlen(build) < 12 ? strlen(build) : 12));
    view_add(o, "catalog_version",
             json_integer((json_int_t)(is_self ? own.catalog_version : f->catalog_version)));
    view_add(o, "catalog", json_stringn(catalog, strlen(catalog) < 12 ? strlen(catalog) : 12));
    view_add(o, "differs", json_string(difference));
}

/* A figure of a node that says nothing (now, or yet) is not known. */
static json_t *figure(bool known, uint32_t value)
{
    return known ? json_integer((json_int_t)value) : json_null();
}

static json_t *member_json(const struct node *n, size_t i)
{
    const struct node_member *m = &n->members[i];
    struct message_node_status s = m->status;
    uint64_t now = loop_now_ms(n->lanes[0].loop);
    bool is_self = m->founder == n->self;
    bool known = is_self || (m->has_status && member_is_alive(n, i + 1));

    if (is_self) {
        s = (struct message_node_status){.started_ms = n->started_wall_ms};
        members_own_counts(n, &s);
    }
    json_t *o = json_pack("{s:s,s:s,s:o,s:o,s:o,s:s,s:s,s:s,s:o,s:o}", "name", m->founder->name, "state",
                          member_state_name(n, i + 1), "leaders", figure(known, s.leaders), "replicas",
                          figure(known, s.replicas), "stopped", figure(known, s.stopped_groups), "peer",
                          m->founder->peer, "client", m->founder->client, "version",
                          is_self ? SHARDGATE_VERSION_TEXT : m->version, "started",
                          view_time((int64_t)s.started_ms), "age_ms",
                          is_self            ? json_integer(0)
                          : m->heard_ms == 0 ? json_null()
                                             : json_integer((json_int_t)(now - m->heard_ms)));
    member_formats_json(n, i, o);
    return o;
}

static json_t *members_json(const struct node *n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n->options.founders_count; i++) {
        view_append(list, member_json(n, i));
    }
    return list;
}

void verb_nodes_list(struct call *c, struct lane_slot *slot)
{
    (void)slot;
    call_document(c, json_pack("{s:i,s:s,s:s,s:o}", "v", 1, "cluster", c->node->cluster, "answered_by",
                               c->node->self->name, "nodes", members_json(c->node)));
}

static json_t *pace_json(const struct lane *l, enum pace_of of, const char *since,
                         const struct meter_figures *f)
{
    return json_pack("{s:i,s:s,s:s,s:I,s:I,s:I,s:I,s:I,s:I}", "lane", (int)l->number, "what", pace_name(of),
                     "since", since, "count", (json_int_t)f->count, "p50_us", (json_int_t)f->p50_us, "p99_us",
                     (json_int_t)f->p99_us, "max_us", (json_int_t)f->max_us, "cpu_p99_us",
                     (json_int_t)f->cpu_p99_us, "cpu_max_us", (json_int_t)f->cpu_max_us);
}

/* This node, and how long its loops and writers take. */
void verb_nodes_show(struct call *c, struct lane_slot *slot)
{
    const struct node *n = c->node;
    json_t *o = member_json(n, (size_t)(n->self->id - 1));
    json_t *list = json_array();

    (void)slot;
    for (size_t i = 0; i < n->options.lanes_count; i++) {
        const struct lane *l = &n->lanes[i];
        struct stamp now = loop_stamp(n->lanes[0].loop);
        for (enum pace_of of = PACE_TURN; of < PACE_KINDS; of++) {
            struct meter_figures all = meter_all(pace_meter(l, of));
            struct meter_figures recent = meter_recent(pace_meter(l, of), now);
            view_append(list, pace_json(l, of, "start", &all));
            view_append(list, pace_json(l, of, "minute", &recent));
        }
    }
    view_add(o, "v", json_integer(1));
    view_add(o, "cluster", json_string(n->cluster));
    view_add(o, "lanes", json_integer((json_int_t)n->options.lanes_count));
    view_add(o, "pace", list);
    call_document(c, o);
}

/* The configuration as a file: the same form that apply takes. */
void verb_export(struct call *c, struct lane_slot *slot)
{
    struct bytes yaml = BYTES_NONE;
    struct reply r = {.err = SG_OK};

    (void)slot;
    cluster_yaml_print(&c->node->model->cluster, &yaml);
    r.data = span_bytes(&yaml);
    call_reply(c, &r);
    bytes_release(&yaml);
}

#define LEADERLESS_NAMED 3 /* More shards without a leader are one row. */

/* --- status ------------------------------------------------------------------------- */

static void attention(json_t *list, const char *kind, const char *subject, const char *text)
{
    view_append(list, json_pack("{s:s,s:s,s:o}", "kind", kind, "subject", subject, "text",
                                view_text(span_str(text))));
}

static void attention_disk(const struct node *n, json_t *list)
{
    for (size_t i = 0; i < n->options.lanes_count; i++) {
        const struct kv *kv = n->options.lanes[i].kv;
        uint64_t free_bytes = kv->ops->free_bytes(kv->impl);
        if (free_bytes < STORE_FREE_SPACE_MIN_BYTES) {
            char text[256];
            (void)snprintf(text, sizeof text,
                           "the disk of %s has %llu MiB left: it takes no payments until it has %llu: free "
                           "space there, or 'shardgate leader transfer ABA' for what it leads",
                           kv->name, (unsigned long long)(free_bytes >> 20),
                           (unsigned long long)(STORE_FREE_SPACE_MIN_BYTES >> 20));
            attention(list, "disk", n->self->name, text);
        }
    }
}

static void attention_pace(const struct node *n, json_t *list)
{
    struct stamp now = loop_stamp(n->lanes[0].loop);
    for (size_t i = 0; i < n->options.lanes_count; i++) {
        for (enum pace_of of = PACE_TURN; of < PACE_KINDS; of++) {
            struct meter_figures recent = meter_recent(pace_meter(&n->lanes[i], of), now);
            char text[320];
            if (pace_is_slow(of, &recent)) {
                (void)snprintf(text, sizeof text,
                               "a %s of lane %zu used %llu ms of CPU within the last two minutes, and all "
                               "shards of the lane waited: 'shardgate nodes show %s' has the figures",
                               pace_name(of), i, (unsigned long long)(recent.cpu_max_us / 1000),
                               n->self->name);
                attention(list, "pace", n->self->name, text);
            }
        }
    }
}

/* One that does not answer, or is refused. quorum: the others are enough. */
static void attention_missing(const struct node *n, size_t i, bool quorum, json_t *list)
{
    const struct node_member *m = &n->members[i];
    char text[448];

    if (strcmp(member_state_name(n, i + 1), "refused") == 0) {
        (void)snprintf(text, sizeof text,
                       "has another data directory than the one it joined with, and is refused: see its log, "
                       "and start it with the directory it had");
    } else {
        (void)snprintf(
            text, sizeof text, "does not answer %s%s: start shardgated there, then 'shardgate ping %s'",
            n->self->name, quorum ? "; its shards go on with the other nodes" : "", m->founder->client);
    }
    attention(list, "node", m->founder->name, text);
}

/* Nodes that are here, and trouble with them. Returns how many are not. */
static size_t attention_nodes(const struct node *n, json_t *list)
{
    size_t down = n->state != NODE_RUNNING;

    if (n->state != NODE_RUNNING) {
        attention(list, "node", n->self->name,
                  n->refusal[0] != '\0' ? n->refusal : node_state_name(n->state));
    }
    for (size_t i = 0; i < n->options.founders_count; i++) {
        down += n->members[i].founder != n->self && !member_is_alive(n, i + 1);
    }
    for (size_t i = 0; i < n->options.founders_count; i++) {
        const struct node_member *m = &n->members[i];
        char text[448];
        if (m->founder != n->self && !member_is_alive(n, i + 1)) {
            attention_missing(n, i, down <= n->options.founders_count / 2, list);
        } else if (m->founder != n->self && !m->has_status) {
            (void)snprintf(text, sizeof text, "is starting: 'shardgate ping %s' says when it is up",
                           m->founder->client);
            attention(list, "node", m->founder->name, text);
        } else if (m->founder != n->self && m->status.stopped_groups > 0) {
            (void)snprintf(text, sizeof text,
                           "%u of its replicas are stopped: its log and 'shardgate --connect %s shards list' "
                           "say why",
                           (unsigned)m->status.stopped_groups, m->founder->client);
            attention(list, "node", m->founder->name, text);
        }
        char difference[320];
        upgrade_difference(n, i + 1, difference, sizeof difference);
        if (difference[0] != '\0') {
            attention(list, "differs", m->founder->name, difference);
        }
    }
    return down;
}

/* Without a majority nothing goes on anywhere, and this says it for every shard. */
static void attention_quorum(const struct node *n, size_t down, json_t *list)
{
    size_t nodes = n->options.founders_count;
    size_t needed = nodes / 2 + 1;
    char text[256];

    (void)snprintf(text, sizeof text,
                   "%zu of %zu nodes are here and %zu are needed: no payment is accepted and no file is sent "
                   "until %zu more run%s: see 'shardgate nodes list'",
                   nodes - down, nodes, needed, needed - (nodes - down),
                   needed - (nodes - down) == 1 ? "s" : "");
    attention(list, "quorum", n->cluster, text);
}

static void attention_shard(const struct shard_summary *s, json_t *list)
{
    char aba[ABA_TEXT_SIZE];
    (void)aba_text((struct aba){(uint32_t)s->group}, aba);
    if (s->why[0] != '\0') {
        attention(list, "shard", aba, s->why);
    }
    for (size_t i = 0; i < s->trouble_count && i < SUMMARY_TROUBLE_MAX; i++) {
        attention(list, s->trouble[i].kind, aba, s->trouble[i].text);
    }
    if (s->trouble_count > SUMMARY_TROUBLE_MAX) {
        char text[96];
        (void)snprintf(text, sizeof text, "%zu more of these: 'shardgate files list %s' shows them",
                       s->trouble_count - SUMMARY_TROUBLE_MAX, aba);
        attention(list, "upload", aba, text);
    }
}

/* Those that have no leader though there are nodes enough: each, or, of many, one row. */
static void attention_leaderless(const struct summary *s, size_t count, json_t *list)
{
    char aba[ABA_TEXT_SIZE];
    char text[160];

    for (size_t i = 0; i < s->shards_count; i++) {
        const struct shard_summary *one = &s->shards[i];
        if (one->leader != 0 || one->why[0] != '\0') {
            continue;
        }
        (void)aba_text((struct aba){(uint32_t)one->group}, aba);
        (void)snprintf(text, sizeof text, "has no leader that this node knows of: 'shardgate leader show %s'",
                       aba);
        if (count > LEADERLESS_NAMED) {
            (void)snprintf(
                text, sizeof text,
                "and %zu more shards have no leader that this node knows of: 'shardgate shards list "
                "--unhealthy' shows them",
                count - 1);
        }
        attention(list, "shard", aba, text);
        if (count > LEADERLESS_NAMED) {
            return;
        }
    }
}

static void status_done(struct call *c, const struct summary *s)
{
    struct node *n = c->node;
    json_t *list = json_array();
    size_t without_leader = 0;
    size_t leaderless = 0; /* And not for a reason of its own. */
    const char *health;
    size_t down = attention_nodes(n, list);
    bool quorum = down <= n->options.founders_count / 2;

    if (!quorum && n->state == NODE_RUNNING) {
        attention_quorum(n, down, list);
    }
    attention_disk(n, list);
    attention_pace(n, list);
    for (size_t i = 0; i < s->shards_count; i++) {
        without_leader += s->shards[i].leader == 0;
        leaderless += s->shards[i].leader == 0 && s->shards[i].why[0] == '\0';
        attention_shard(&s->shards[i], list);
    }
    if (quorum) {
        attention_leaderless(s, leaderless, list);
    }
    if (n->catalog_failed) {
        char text[400];
        (void)snprintf(text, sizeof text, "its replica of the catalog has stopped, its shards go on: %s",
                       n->catalog_why);
        attention(list, "catalog", n->self->name, text);
    } else if (n->state == NODE_RUNNING && n->catalog_leader == 0 && quorum) {
        attention(list, "catalog", "catalog",
                  "has no leader: the configuration cannot be changed until it has: 'shardgate nodes list'");
    }
    health = !quorum || n->state != NODE_RUNNING ? "unavailable"
             : json_array_size(list) > 0         ? "degraded"
                                                 : "healthy";
    call_document(c, json_pack("{s:i,s:s,s:s,s:s,s:o,s:{s:I,s:I},s:o}", "v", 1, "cluster", n->cluster,
                               "answered_by", n->self->name, "health", health, "nodes", members_json(n),
                               "shards", "total", (json_int_t)s->shards_count, "without_leader",
                               (json_int_t)without_leader, "attention", list));
}

/* --- shards list ----------------------------------------------------------------------- */

static void shards_done(struct call *c, const struct summary *s)
{
    json_t *list = json_array();
    struct span node = request_arg(&c->request, "node");
    bool unhealthy = call_flag(c, "unhealthy");

    for (size_t i = 0; i < s->shards_count; i++) {
        const struct shard_summary *one = &s->shards[i];
        const struct founder *leader = node_founder(c->node, one->leader);
        char aba[ABA_TEXT_SIZE];
        bool healthy = one->why[0] == '\0' && one->leader != 0 && one->trouble_count == 0;
        if ((unhealthy && healthy) || (node.n > 0 && (leader == NULL || !span_is(node, leader->name)))) {
            continue;
        }
        view_append(list, json_pack("{s:s,s:s?,s:I,s:I,s:I,s:I,s:I,s:I,s:s,s:o,s:o}", "routing_number",
                                    aba_text((struct aba){(uint32_t)one->group}, aba), "leader",
                                    leader == NULL ? NULL : leader->name, "term", (json_int_t)one->term,
                                    "commit_index", (json_int_t)one->commit_index, "applied_index",
                                    (json_int_t)one->applied_index, "pending_entries",
                                    (json_int_t)one->pending_count, "pending_debit_cents",
                                    (json_int_t)one->pending_debit.n, "pending_credit_cents",
                                    (json_int_t)one->pending_credit.n, "state",
                                    one->is_rebuilding    ? "rebuilding"
                                    : one->why[0] != '\0' ? "stopped"
                                    : one->leader == 0    ? "no-leader"
                                                          : "ok",
                                    "why", view_text(span_str(one->why)), "next_close",
                                    view_time(one->next_close_ms)));
    }
    call_document(c, json_pack("{s:i,s:s,s:o}", "v", 1, "answered_by", c->node->self->name, "shards", list));
}

void verb_status(struct call *c, struct lane_slot *slot)
{
    (void)slot;
    summary_gather(c, status_done);
}

void verb_shards_list(struct call *c, struct lane_slot *slot)
{
    (void)slot;
    summary_gather(c, shards_done);
}
