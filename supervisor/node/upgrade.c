#include "supervisor/node/upgrade.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/mem.h"
#include "shardgate/version.h"
#include "supervisor/node/node_impl.h"

/* A catalog that is behind for longer than this is no matter of a moment. */
#define CATALOG_BEHIND_MS 10000

/* --- What may be done ----------------------------------------------------------------- */

static void PRINTF_LIKE(3, 4) wait_for(struct upgrade *u, bool comes, const char *fmt, ...)
{
    va_list args;
    if (u->waits_for[0] != '\0') {
        return; /* The first reason is told. */
    }
    va_start(args, fmt);
    (void)vsnprintf(u->waits_for, sizeof u->waits_for, fmt, args);
    va_end(args);
    u->waits = comes;
}

static void judge_node(struct upgrade *u, const struct upgrade_node *n)
{
    if (n->level_max < u->target) {
        wait_for(u, false, "node %s runs version %s, which speaks levels %u to %u: upgrade it first", n->name,
                 n->program, n->level_min, n->level_max);
    } else if (n->files_missing > 0) {
        wait_for(u, true,
                 "node %s has %u sealed files to build and store while this level's rules are in force",
                 n->name, n->files_missing);
    } else if (n->level_lowest != 0 && n->level_lowest < u->level) {
        wait_for(u, true, "shards led by node %s are on their way from level %u to %u", n->name,
                 n->level_lowest, u->level);
    }
}

void upgrade_judge(struct upgrade *u, int64_t finalize_after_ms, bool is_empty)
{
    uint32_t common = UINT32_MAX;
    uint64_t newest_ms = 0;
    u->target = u->level;
    for (size_t i = 0; i < u->nodes_count; i++) {
        const struct upgrade_node *n = &u->nodes[i];
        if (!n->is_heard) {
            wait_for(u, false, "node %s does not answer: what it runs is not known", n->name);
            continue;
        }
        common = n->level_max < common ? n->level_max : common;
        u->target = n->level_max > u->target ? n->level_max : u->target;
        newest_ms = n->started_ms > newest_ms ? n->started_ms : newest_ms;
    }
    /* As far as all go, if they go anywhere; else what somebody is held up for. */
    if (common != UINT32_MAX && common > u->level) {
        u->target = common;
    }
    for (size_t i = 0; i < u->nodes_count && u->target > u->level; i++) {
        if (u->nodes[i].is_heard) {
            judge_node(u, &u->nodes[i]);
        }
    }
    u->may_finalize = u->target > u->level && u->waits_for[0] == '\0';
    u->due_ms = u->may_finalize && !is_empty ? (int64_t)newest_ms + finalize_after_ms : 0;
}

void upgrade_look(const struct node *n, struct upgrade *u)
{
    *u = (struct upgrade){.level = n->model->level.level, .nodes_count = n->options.founders_count};
    for (size_t i = 0; i < u->nodes_count; i++) {
        const struct node_member *m = &n->members[i];
        struct message_node_status own = {.started_ms = n->started_wall_ms};
        bool is_self = m->founder == n->self;
        if (is_self) {
            members_own_counts(n, &own);
        }
        const struct message_node_status *s = is_self ? &own : &m->status;
        u->nodes[i] = (struct upgrade_node){
            .name = m->founder->name,
            .is_heard = is_self || (member_is_alive(n, i + 1) && m->formats.level_max != 0),
            .level_min = is_self ? LEVEL_MIN : m->formats.level_min,
            .level_max = is_self ? node_level_max(n) : m->formats.level_max,
            .program = is_self                         ? SHARDGATE_VERSION_TEXT
                       : m->formats.program[0] != '\0' ? m->formats.program
                                                       : m->version,
            .started_ms = s->started_ms,
            .files_missing = s->files_missing,
            .level_lowest = s->level_lowest,
        };
    }
    int64_t after_ms = n->model->cluster.finalize_after_ms;
    upgrade_judge(u, after_ms != 0 ? after_ms : FINALIZE_AFTER_MS, n->model->cluster.shards_count == 0);
}

/* --- Doing it -------------------------------------------------------------------------- */

struct upgrade_proposal {
    struct proposal proposal;
    struct node *node;
};

static void proposed(struct proposal *p, enum sg_err err)
{
    struct upgrade_proposal *u = CONTAINER_OF(p, struct upgrade_proposal, proposal);
    (void)err; /* What came of it shows in the model; the next tick looks again. */
    u->node->catalog_registering = false;
    mem_free(u);
}

static void propose(struct node *n, const struct bytes *command)
{
    struct upgrade_proposal *u = mem_zalloc(1, sizeof *u);
    u->node = n;
    u->proposal.command = span_bytes(command);
    u->proposal.done = proposed;
    n->catalog_registering = group_propose(n->catalog, &u->proposal) == SG_OK;
    if (!n->catalog_registering) {
        mem_free(u);
    }
}

static void encode_changes(const struct node *n, struct catalog_change *changes, size_t count,
                           struct bytes *out)
{
    struct catalog_command c = {.level = n->model->level.level,
                                .time_ms = loop_wall_ms(n->lanes[0].loop),
                                .node = span_str(n->self->name),
                                .base_version = n->model->version,
                                .changes = changes,
                                .changes_count = count};
    catalog_command_encode(&c, out);
}

void upgrade_change(uint32_t level, struct bytes *out)
{
    struct level_settings to = {.level = level, .program = span_str(level_program(level))};
    level_settings_encode(&to, out);
}

void upgrade_encode(const struct node *n, uint32_t level, struct bytes *out)
{
    struct bytes encoded = BYTES_NONE;
    upgrade_change(level, &encoded);
    struct catalog_change change = {.kind = CATALOG_LEVEL, .encoded = span_bytes(&encoded)};
    encode_changes(n, &change, 1, out);
    bytes_release(&encoded);
}

/* What nodes say of themselves into their objects, so that it is known of one that is down. */
static void note_nodes(struct node *n, const struct upgrade *u)
{
    struct catalog_change changes[NODES_MAX];
    struct bytes encoded[NODES_MAX] = {BYTES_NONE};
    struct bytes command = BYTES_NONE;
    size_t count = 0;
    for (size_t i = 0; i < n->model->nodes_count; i++) {
        struct node_settings s = n->model->nodes[i];
        const struct upgrade_node *now = &u->nodes[s.id - 1];
        if (s.id > u->nodes_count || !now->is_heard ||
            (s.level_min == now->level_min && s.level_max == now->level_max &&
             span_is(s.program, now->program))) {
            continue;
        }
        s.level_min = now->level_min;
        s.level_max = now->level_max;
        s.program = span_str(now->program);
        node_settings_encode(&s, &encoded[count]);
        changes[count] = (struct catalog_change){
            .kind = CATALOG_NODE, .name = s.name, .encoded = span_bytes(&encoded[count])};
        count++;
    }
    if (count > 0) {
        encode_changes(n, changes, count, &command);
        propose(n, &command);
    }
    bytes_release(&command);
    for (size_t i = 0; i < count; i++) {
        bytes_release(&encoded[i]);
    }
}

void upgrade_tick(struct node *n)
{
    struct upgrade u;
    if (!n->catalog_ready || n->catalog_registering || n->state != NODE_RUNNING ||
        n->model->nodes_count < n->options.founders_count) {
        return;
    }
    upgrade_look(n, &u);
    if (u.may_finalize && u.due_ms <= loop_wall_ms(n->lanes[0].loop)) {
        struct log_scope scope = node_scope(n);
        struct bytes command = BYTES_NONE;
        logger_line(LOG_INFO, &scope, "catalog.level", "from=%u to=%u", u.level, u.target);
        upgrade_encode(n, u.target, &command);
        propose(n, &command);
        bytes_release(&command);
    } else if (u.level >= LEVEL_CATALOG) {
        note_nodes(n, &u);
    }
}

/* --- For people --------------------------------------------------------------------------- */

void upgrade_difference(const struct node *n, uint64_t id, char *text, size_t text_size)
{
    const struct node_member *m = &n->members[id - 1];
    const struct member_formats *f = &m->formats;
    char own[2 * DIGEST_SIZE + 1], other[2 * DIGEST_SIZE + 1];
    text[0] = '\0';
    if (m->founder == n->self || !m->has_status || !member_is_alive(n, id)) {
        return;
    }
    if (strcmp(m->version, SHARDGATE_VERSION_TEXT) != 0) {
        (void)snprintf(text, text_size, "runs version %s, %s runs version %s: 'shardgate upgrade status'",
                       m->version, n->self->name, SHARDGATE_VERSION_TEXT);
    } else if (f->has_build && !digest_is_none(&n->options.build) &&
               memcmp(&f->build, &n->options.build, sizeof f->build) != 0) {
        (void)snprintf(text, text_size, "runs another build (%.12s) of version %s than %s (%.12s)",
                       hex_text(span_of(f->build.b, DIGEST_SIZE), other), m->version, n->self->name,
                       hex_text(span_of(n->options.build.b, DIGEST_SIZE), own));
    } else if (f->has_catalog && f->catalog_version == n->model->version &&
               memcmp(&f->catalog, &n->catalog_digest, sizeof f->catalog) != 0) {
        (void)snprintf(text, text_size,
                       "has another catalog than %s at version %llu: one of the two is damaged; compare "
                       "'shardgate --connect NODE export' of both",
                       n->self->name, (unsigned long long)f->catalog_version);
    } else if (f->catalog_behind_ms != 0 &&
               loop_now_ms(n->lanes[0].loop) - f->catalog_behind_ms > CATALOG_BEHIND_MS) {
        (void)snprintf(text, text_size, "goes by version %llu of the catalog, %s has version %llu",
                       (unsigned long long)f->catalog_version, n->self->name,
                       (unsigned long long)n->model->version);
    }
}
