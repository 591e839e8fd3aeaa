#include "supervisor/node/members.h"

#include <stdio.h>
#include <string.h>

#include "shardgate/version.h"
#include "supervisor/node/node_impl.h"

/* Silent for this long and linked or not: not counted on. */
#define MEMBER_SILENT_MS (4ull * NODE_HEARTBEAT_MS)

/* By whom we refused a moment ago (it asks again and again). */
#define MEMBER_REFUSED_MS 5000

bool member_is_alive(const struct node *n, uint64_t id)
{
    const struct node_member *m;

    if (id == n->self->id) {
        return n->state == NODE_RUNNING;
    }
    m = &n->members[id - 1];
    return m->is_linked && m->heard_ms != 0 && loop_now_ms(n->lanes[0].loop) - m->heard_ms < MEMBER_SILENT_MS;
}

const char *member_state_name(const struct node *n, uint64_t id)
{
    const struct node_member *m = &n->members[id - 1];
    uint64_t now = loop_now_ms(n->lanes[0].loop);

    if (id == n->self->id) {
        return n->state == NODE_RUNNING ? "up" : node_state_name(n->state);
    }
    if (m->is_linked && m->refusal_sent_ms != 0 && now - m->refusal_sent_ms < MEMBER_REFUSED_MS) {
        return "refused";
    }
    if (!member_is_alive(n, id)) {
        return "down";
    }
    return !m->has_status ? "starting" : m->status.leaving ? "leaving" : "up";
}

/* What a process said of itself ends with its connection. */
void members_peer_down(struct node *n, uint64_t peer)
{
    struct node_member *m = &n->members[peer - 1];
    m->is_linked = false;
    m->is_usable = false;
    m->has_status = false;
    m->status = (struct message_node_status){.version = SPAN_NONE};
    m->version[0] = '\0';
    m->formats = (struct member_formats){.level_min = 0};
}

void members_own_counts(const struct node *n, struct message_node_status *status)
{
    for (size_t i = 0; i < n->options.lanes_count; i++) {
        status->leaders += atomic_load(&n->lanes[i].leaders);
        status->replicas += atomic_load(&n->lanes[i].replicas);
        status->stopped_groups += atomic_load(&n->lanes[i].stopped);
        uint64_t missing = status->files_missing + atomic_load(&n->lanes[i].files_missing);
        status->files_missing = missing < UINT32_MAX ? (uint32_t)missing : UINT32_MAX;
        uint32_t lowest = atomic_load(&n->lanes[i].level_lowest);
        if (lowest != 0 && (status->level_lowest == 0 || lowest < status->level_lowest)) {
            status->level_lowest = lowest;
        }
    }
}

void members_own_formats(const struct node *n, struct message_formats *out)
{
    *out = (struct message_formats){
        .level_min = LEVEL_MIN,
        .level_max = node_level_max(n),
        .program = span_str(SHARDGATE_VERSION_TEXT),
    };
    if (!digest_is_none(&n->options.build)) {
        out->build = span_of(n->options.build.b, DIGEST_SIZE);
    }
    if (n->model != NULL && n->model->version != 0) {
        out->catalog_version = n->model->version;
        out->catalog = span_of(n->catalog_digest.b, DIGEST_SIZE);
    }
}

void member_says(const struct node *n, struct node_member *m, const struct message_formats *f)
{
    bool is_behind = f->catalog.n > 0 && n->model != NULL && f->catalog_version < n->model->version;
    struct member_formats now = {.level_min = LEVEL_MIN, .level_max = LEVEL_MIN};
    if (f->program.n > 0) { /* Else of a program that knows of no levels. */
        (void)node_clean_text(span_cstr(f->program, now.program, sizeof now.program));
        now.level_min = f->level_min;
        now.level_max = f->level_max;
        now.has_build = f->build.n == DIGEST_SIZE;
        now.has_catalog = f->catalog.n == DIGEST_SIZE;
        now.catalog_version = f->catalog_version;
        if (now.has_build) {
            memcpy(now.build.b, f->build.p, DIGEST_SIZE);
        }
        if (now.has_catalog) {
            memcpy(now.catalog.b, f->catalog.p, DIGEST_SIZE);
        }
    }
    if (is_behind) {
        uint64_t since_ms = m->formats.catalog_behind_ms;
        now.catalog_behind_ms = since_ms != 0 ? since_ms : loop_now_ms(n->lanes[0].loop);
    }
    m->formats = now;
}

void member_usable(struct node *n, struct node_member *m)
{
    if (m->is_linked && !m->is_usable) {
        m->is_usable = true;
        node_lanes_tell(n, m->founder->id, lane_peer_up);
    }
}

/* What this node says of itself, to one other or (0) to all. */
static void tell(struct node *n, uint64_t to)
{
    struct message m = {.kind = MESSAGE_NODE_STATUS};

    if (n->state != NODE_RUNNING && n->state != NODE_LEAVING) {
        return;
    }
    m.node_status.started_ms = n->started_wall_ms;
    m.node_status.leaving = n->state == NODE_LEAVING;
    m.node_status.version = span_str(SHARDGATE_VERSION_TEXT);
    members_own_formats(n, &m.node_status.formats);
    members_own_counts(n, &m.node_status);
    for (size_t i = 0; i < n->options.founders_count; i++) {
        if (n->members[i].founder != n->self && (to == 0 || to == i + 1)) {
            transport_send(&n->lanes[0].transport, i + 1, &m);
        }
    }
}

void members_tick(struct node *n)
{
    tell(n, 0);
}

void members_greet(struct node *n, uint64_t peer)
{
    tell(n, peer);
}

void members_status(struct node *n, uint64_t from, const struct message_node_status *status)
{
    struct node_member *m = &n->members[from - 1];
    if (!m->has_status) {
        tell(n, from); /* It has just become a member, and what was said before passed it by. */
    }
    if (status->leaving && !(m->has_status && m->status.leaving)) {
        node_lanes_tell(n, from, lane_peer_leaving);
    }
    m->status = *status;
    (void)node_clean_text(span_cstr(status->version, m->version, sizeof m->version));
    m->status.version = span_str(m->version);
    m->status.formats = (struct message_formats){.level_min = 0}; /* It points into the frame. */
    member_says(n, m, &status->formats);
    m->has_status = true;
    member_usable(n, m);
}
