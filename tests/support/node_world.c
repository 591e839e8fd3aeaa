#include <stdio.h>

#include "proto/base/mem.h"
#include "supervisor/verbs/table.h"
#include "tests/support/node_world_impl.h"

/* A killed process's memory is gone in reality; here it must stay reachable. */
static struct world_process *dead_processes;

static const struct zone utc;

static const struct zone *world_zone(void *impl, struct span name)
{
    (void)impl;
    return span_is(name, "Nowhere/Atall") ? NULL : &utc;
}

/* --- Link -------------------------------------------------------------------------- */

static void packet_push(struct node_world *w, size_t from, size_t to, struct bytes *frame)
{
    struct packet *k = mem_zalloc(1, sizeof *k);
    *k = (struct packet){
        .from = from, .to = to, .due_ms = w->now_ms + 1, .epoch = w->epochs[from][to], .frame = *frame};
    *frame = BYTES_NONE;
    *w->packets_tail = k;
    w->packets_tail = &k->next;
}

static void seam_link_send(void *impl, uint64_t node, struct bytes *frame)
{
    struct world_process *p = impl;
    struct node_world *w = p->w;
    size_t to = (size_t)node - 1;
    bool goes = to < w->count && w->linked[p->index][to] &&
                (w->filter == NULL || w->filter(w->filter_arg, p->index, to, span_bytes(frame)));
    if (goes) {
        packet_push(w, p->index, to, frame);
    } else {
        bytes_release(frame);
    }
}

static size_t seam_link_pending(void *impl, uint64_t node)
{
    (void)impl;
    (void)node;
    return 0;
}

static const struct link_ops link_ops = {.send = seam_link_send, .pending_bytes = seam_link_pending};

void node_world_inject(struct node_world *w, size_t to, struct span frame)
{
    struct bytes copy = BYTES_NONE;
    bytes_append_span(&copy, frame);
    packet_push(w, to, to, &copy);
}

static bool runs(const struct node_world *w, size_t node)
{
    const struct world_process *p = w->machines[node].p;
    return p != NULL && !p->fatal;
}

/* Connections come and go as the processes and cuts say. */
static void links_update(struct node_world *w)
{
    for (size_t a = 0; a < w->count; a++) {
        for (size_t b = 0; b < w->count; b++) {
            bool should = a != b && runs(w, a) && runs(w, b) && !w->cut[a][b];
            if (w->linked[a][b] == should) {
                continue;
            }
            w->linked[a][b] = should;
            w->epochs[a][b]++;
            if (runs(w, a)) {
                (should ? node_peer_up : node_peer_down)(w->machines[a].p->node, b + 1);
            }
        }
    }
}

static void packets_deliver(struct node_world *w)
{
    struct packet *due = w->packets;
    w->packets = NULL;
    w->packets_tail = &w->packets;
    while (due != NULL) {
        struct packet *k = due;
        due = k->next;
        k->next = NULL;
        if (k->due_ms > w->now_ms) {
            *w->packets_tail = k;
            w->packets_tail = &k->next;
            continue;
        }
        if (runs(w, k->to) && w->epochs[k->from][k->to] == k->epoch) {
            node_frame(w->machines[k->to].p->node, &k->frame);
        }
        bytes_release(&k->frame);
        mem_free(k);
    }
}

/* --- Processes --------------------------------------------------------------------- */

static void on_fatal(void *impl, enum sg_err err, const char *why)
{
    struct world_process *p = impl;
    (void)err;
    (void)snprintf(p->w->why, sizeof p->w->why, "%s", why);
    p->fatal = true;
}

static void on_left(void *impl)
{
    struct world_process *p = impl;
    p->left = true;
}

struct node_world *node_world_new(size_t count, size_t lanes)
{
    struct node_world *w = mem_zalloc(1, sizeof *w);
    CHECK(count <= NODES_MAX);
    w->count = count;
    w->lanes = lanes;
    w->packets_tail = &w->packets;
    for (size_t i = 0; i < count; i++) {
        for (size_t k = 0; k < lanes; k++) {
            w->machines[i].disks[k] = mem_kv_new("lane");
        }
    }
    return w;
}

void node_world_set_level(struct node_world *w, size_t node, uint32_t level_max)
{
    w->machines[node].level_max = level_max;
}

static struct node_options options_of(struct world_process *p, struct founder *founders, char *name)
{
    struct node_world *w = p->w;
    struct node_options o = {.cluster = "test",
                             .name = name,
                             .founders = founders,
                             .founders_count = w->count,
                             .lanes_count = w->lanes,
                             .link = &p->link,
                             .verbs = verbs_table(),
                             .zone = world_zone,
                             .trailing_entries = TRAILING_ENTRIES_DEFAULT,
                             .election_timeout_ms = ELECTION_TIMEOUT_MS,
                             .heartbeat_ms = HEARTBEAT_MS,
                             .level_max = w->machines[p->index].level_max,
                             .on_fatal = on_fatal,
                             .on_left = on_left,
                             .impl = p};
    (void)snprintf(name, NAME_SIZE_MAX + 1, "n%zu", p->index + 1);
    for (size_t i = 0; i < w->count; i++) {
        /* Not in the order of names: ids must not depend on it. */
        struct founder *f = &founders[w->count - 1 - i];
        *f = (struct founder){.id = 0};
        (void)snprintf(f->name, sizeof f->name, "n%zu", i + 1);
        (void)snprintf(f->peer, sizeof f->peer, "tcp://10.0.0.%zu:1", i + 1);
        (void)snprintf(f->client, sizeof f->client, "tcp://10.0.0.%zu:2", i + 1);
    }
    for (size_t i = 0; i < w->lanes; i++) {
        o.lanes[i] = (struct lane_seams){test_loop_seam(p->loop), &p->kvs[i], &p->bank};
    }
    return o;
}

enum sg_err node_world_start(struct node_world *w, size_t node)
{
    struct world_machine *m = &w->machines[node];
    struct world_process *p = mem_zalloc(1, sizeof *p);
    struct founder founders[NODES_MAX];
    char name[NAME_SIZE_MAX + 1];
    struct node_options o;
    enum sg_err err;

    CHECK(m->p == NULL);
    m->life++;
    p->w = w;
    p->index = node;
    p->loop = test_loop_new(1000 * (node + 1) + m->life);
    p->bank = (struct bank){&node_world_bank_ops, p};
    p->link = (struct link){&link_ops, p};
    for (size_t i = 0; i < w->lanes; i++) {
        mem_kv_open(m->disks[i], &p->kvs[i]);
    }
    o = options_of(p, founders, name);
    w->why[0] = '\0';
    err = node_new(&o, &p->node, w->why, sizeof w->why);
    if (err != SG_OK) {
        for (size_t i = 0; i < w->lanes; i++) {
            kv_close(&p->kvs[i]);
        }
        test_loop_free(p->loop);
        mem_free(p);
        return err;
    }
    m->p = p;
    node_start(p->node);
    return SG_OK;
}

void node_world_start_all(struct node_world *w)
{
    for (size_t i = 0; i < w->count; i++) {
        enum sg_err err = node_world_start(w, i);
        CHECK(err == SG_OK);
    }
}

const char *node_world_why(const struct node_world *w)
{
    return w->why;
}

void node_world_kill(struct node_world *w, size_t node)
{
    struct world_process *p = w->machines[node].p;
    CHECK(p != NULL);
    for (size_t i = 0; i < w->lanes; i++) {
        mem_kv_crash(w->machines[node].disks[i], MEM_KV_KEEP_COMMITTED);
        kv_close(&p->kvs[i]);
    }
    p->next_dead = dead_processes;
    dead_processes = p;
    w->machines[node].p = NULL;
    links_update(w);
}

bool node_world_leave(struct node_world *w, size_t node, uint64_t limit_ms)
{
    struct world_process *p = w->machines[node].p;
    node_leave(p->node);
    for (uint64_t i = 0; i < limit_ms && !p->left; i++) {
        node_world_advance(w, 1);
    }
    if (!p->left) {
        return false;
    }
    node_free(p->node);
    for (size_t i = 0; i < w->lanes; i++) {
        kv_close(&p->kvs[i]);
    }
    test_loop_free(p->loop);
    mem_free(p);
    w->machines[node].p = NULL;
    links_update(w);
    return true;
}

void node_world_wipe(struct node_world *w, size_t node)
{
    CHECK(w->machines[node].p == NULL);
    for (size_t i = 0; i < w->lanes; i++) {
        mem_kv_wipe(w->machines[node].disks[i]);
    }
}

void node_world_swap(struct node_world *w, size_t a, size_t b)
{
    CHECK(w->machines[a].p == NULL);
    CHECK(w->machines[b].p == NULL);
    for (size_t i = 0; i < w->lanes; i++) {
        struct mem_kv *disk = w->machines[a].disks[i];
        w->machines[a].disks[i] = w->machines[b].disks[i];
        w->machines[b].disks[i] = disk;
    }
}

void node_world_cut(struct node_world *w, size_t a, size_t b, bool cut)
{
    w->cut[a][b] = cut;
    w->cut[b][a] = cut;
    links_update(w);
}

void node_world_free(struct node_world *w)
{
    for (size_t i = 0; i < w->count; i++) {
        if (runs(w, i)) {
            bool left = node_world_leave(w, i, 20000);
            CHECK(left);
        } else if (w->machines[i].p != NULL) {
            node_world_kill(w, i);
        }
        for (size_t k = 0; k < w->lanes; k++) {
            mem_kv_free(w->machines[i].disks[k]);
        }
    }
    for (size_t i = 0; i < w->calls_count; i++) {
        bytes_release(&w->calls[i]->encoded);
        arena_release(&w->calls[i]->arena);
        mem_free(w->calls[i]);
    }
    while (w->packets != NULL) {
        struct packet *k = w->packets;
        w->packets = k->next;
        bytes_release(&k->frame);
        mem_free(k);
    }
    mem_free(w->calls);
    mem_free(w);
}

/* --- Time -------------------------------------------------------------------------- */

void node_world_advance(struct node_world *w, uint64_t ms)
{
    for (; ms > 0; ms--) {
        w->now_ms++;
        links_update(w);
        packets_deliver(w);
        for (size_t i = 0; i < w->count; i++) {
            if (runs(w, i)) {
                test_loop_advance(w->machines[i].p->loop, 1);
            }
        }
    }
}

bool node_world_until(struct node_world *w, bool (*done)(void *arg), void *arg, uint64_t limit_ms)
{
    for (; limit_ms > 0 && !done(arg); limit_ms--) {
        node_world_advance(w, 1);
    }
    return done(arg);
}

static bool is_formed(void *arg)
{
    struct node_world *w = arg;
    for (size_t i = 0; i < w->count; i++) {
        const struct node *n = node_world_node(w, i);
        if (n != NULL && (node_state(n) != NODE_RUNNING || n->model->nodes_count != w->count)) {
            return false;
        }
    }
    return true;
}

bool node_world_formed(struct node_world *w, uint64_t limit_ms)
{
    return node_world_until(w, is_formed, w, limit_ms);
}

static size_t leader_now(struct node_world *w, uint64_t group)
{
    for (size_t i = 0; i < w->count; i++) {
        struct node *n = node_world_node(w, i);
        if (n == NULL) {
            continue;
        }
        struct lane_slot *s = lane_slot(node_lane_of(n, group), group);
        if (group == 0 ? n->catalog_ready : s != NULL && s->led_since_ms != 0) {
            return i;
        }
    }
    return w->count;
}

size_t node_world_leader(struct node_world *w, uint64_t group, uint64_t limit_ms)
{
    for (; limit_ms > 0 && leader_now(w, group) == w->count; limit_ms--) {
        node_world_advance(w, 1);
    }
    return leader_now(w, group);
}

struct node *node_world_node(struct node_world *w, size_t node)
{
    return runs(w, node) ? w->machines[node].p->node : NULL;
}

struct lane_slot *node_world_slot(struct node_world *w, size_t node, uint64_t group)
{
    struct node *n = node_world_node(w, node);
    return n == NULL ? NULL : lane_slot(node_lane_of(n, group), group);
}

struct mem_kv *node_world_disk(struct node_world *w, size_t node, size_t lane)
{
    return w->machines[node].disks[lane];
}

void node_world_set_wall(struct node_world *w, int64_t unix_ms)
{
    for (size_t i = 0; i < w->count; i++) {
        if (w->machines[i].p != NULL) {
            test_loop_set_wall(w->machines[i].p->loop, unix_ms);
        }
    }
}

bool node_world_is_fatal(const struct node_world *w, size_t node)
{
    return w->machines[node].p != NULL && w->machines[node].p->fatal;
}

void node_world_set_filter(struct node_world *w,
                           bool (*filter)(void *arg, size_t from, size_t to, struct span frame), void *arg)
{
    w->filter = filter;
    w->filter_arg = arg;
}
