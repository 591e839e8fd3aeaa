#include "tests/support/engine_cluster_impl.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/mem.h"

/* A crashed process's memory is gone in reality; here it must stay reachable. */
static struct process *dead_processes;

/* --- The network ---------------------------------------------------------------------- */

static bool is_sooner(const struct packet *a, const struct packet *b)
{
    return a->due_ms < b->due_ms || (a->due_ms == b->due_ms && a->order < b->order);
}

static void heap_up(struct cluster *c, size_t i)
{
    for (; i > 0 && is_sooner(&c->packets[i], &c->packets[(i - 1) / 2]); i = (i - 1) / 2) {
        struct packet t = c->packets[i];
        c->packets[i] = c->packets[(i - 1) / 2];
        c->packets[(i - 1) / 2] = t;
    }
}

static struct packet heap_pop(struct cluster *c)
{
    struct packet top = c->packets[0];
    c->packets[0] = c->packets[--c->packets_count];
    for (size_t i = 0;;) {
        size_t least = i;
        for (size_t child = 2 * i + 1; child <= 2 * i + 2 && child < c->packets_count; child++) {
            least = is_sooner(&c->packets[child], &c->packets[least]) ? child : least;
        }
        if (least == i) {
            return top;
        }
        struct packet t = c->packets[i];
        c->packets[i] = c->packets[least];
        c->packets[least] = t;
        i = least;
    }
}

static void post(struct cluster *c, size_t from, size_t to, const struct message *m)
{
    struct packet p = {.order = c->order++, .to = to};
    struct frame header = {
        .version = FRAME_VERSION, .cluster = span_str("test"), .from = from + 1, .to = to + 1};
    uint64_t delay = c->o.delay_max_ms == 0 ? 1 : cluster_between(c, c->o.delay_min_ms, c->o.delay_max_ms);
    if (c->o.is_slow_at_times && cluster_random(c, 200) == 0) {
        delay += cluster_random(c, 3000);
    }
    p.due_ms = c->now_ms + (delay == 0 ? 1 : delay);
    frame_begin(&header, &p.frame);
    frame_add(m, &p.frame);
    if (c->packets_count == c->packets_cap) {
        c->packets_cap = c->packets_cap == 0 ? 64 : c->packets_cap * 2;
        c->packets = mem_realloc(c->packets, c->packets_cap * sizeof(*c->packets));
    }
    c->packets[c->packets_count++] = p;
    heap_up(c, c->packets_count - 1);
}

static void transport_send_op(void *impl, uint64_t node, const struct message *m)
{
    struct process *p = impl;
    struct cluster *c = p->c;
    size_t to = (size_t)node - 1;
    CHECK(to < c->o.nodes_count);
    if (c->filter != NULL && !c->filter(c->filter_arg, p->node, to, m)) {
        return;
    }
    if (c->cut[p->node][to] || cluster_random(c, 100) < c->o.loss_percent) {
        return;
    }
    post(c, p->node, to, m);
    if (cluster_random(c, 100) < c->o.repeat_percent) {
        post(c, p->node, to, m);
    }
}

static const struct transport_ops transport_ops = {.send = transport_send_op};

static void deliver(struct cluster *c, struct packet *packet)
{
    struct node *n = &c->nodes[packet->to];
    struct arena a = ARENA_INIT;
    struct frame frame;
    if (n->process != NULL) {
        CHECK(frame_decode(span_bytes(&packet->frame), &a, &frame) == SG_OK);
        for (size_t i = 0; i < frame.messages_count; i++) {
            group_receive(n->process->group, frame.from, &frame.messages[i]);
        }
    }
    arena_release(&a);
    bytes_release(&packet->frame);
}

static void deliver_due(struct cluster *c)
{
    for (size_t left = c->packets_count; left > 0 && c->packets_count > 0; left--) {
        if (c->packets[0].due_ms > c->now_ms) {
            return;
        }
        struct packet p = heap_pop(c);
        if (c->nodes[p.to].paused) {
            p.due_ms = c->now_ms + 1;
            c->packets[c->packets_count++] = p;
            heap_up(c, c->packets_count - 1);
        } else {
            deliver(c, &p);
        }
    }
}

/* --- Processes --------------------------------------------------------------------------- */

enum sg_err cluster_start(struct cluster *c, size_t node)
{
    struct node *n = &c->nodes[node];
    char why[WHY_SIZE];
    CHECK(n->process == NULL);
    struct process *p = process_new(c, node, &transport_ops);
    struct group_options options = {
        .id = CLUSTER_GROUP,
        .node = node + 1,
        .node_name = "test",
        .loop = test_loop_seam(p->loop),
        .kv = &p->kv,
        .writer = p->writer,
        .transport = &p->transport,
        .machine = {&cluster_machine_ops, p},
        .trailing_entries = c->o.trailing_entries == 0 ? TRAILING_ENTRIES_MIN : c->o.trailing_entries,
        .election_timeout_ms = ELECTION_TIMEOUT_MS,
        .heartbeat_ms = HEARTBEAT_MS,
        .snapshot_senders = &p->snapshot_senders,
    };
    enum sg_err err = group_open(&options, &p->group, why, sizeof(why));
    if (err != SG_OK) {
        process_free(p);
        return err;
    }
    n->process = p;
    return SG_OK;
}

void cluster_crash(struct cluster *c, size_t node, bool notice)
{
    struct node *n = &c->nodes[node];
    CHECK(n->process != NULL);
    struct process *p = n->process;
    mem_kv_crash(n->disk, cluster_random(c, 2) == 0 ? MEM_KV_DROP_UNFLUSHED : MEM_KV_KEEP_COMMITTED);
    kv_close(&p->kv);
    n->process = NULL;
    n->paused = false;
    p->next_dead = dead_processes;
    dead_processes = p;
    bool likeliest = true;
    for (size_t i = 0; notice && i < c->o.nodes_count; i++) {
        if (cluster_is_up(c, i)) {
            group_peer_lost(c->nodes[i].process->group, node + 1, likeliest);
            likeliest = false;
        }
    }
}

void cluster_stop(struct cluster *c, size_t node)
{
    struct process *p = c->nodes[node].process;
    CHECK(p != NULL);
    c->nodes[node].process = NULL;
    c->nodes[node].paused = false;
    group_stop(p->group);
    for (int i = 0; i < 1000 && !(group_is_idle(p->group) && writer_is_idle(p->writer)); i++) {
        test_loop_advance(p->loop, 1);
        process_finish_commit(p);
        (void)test_loop_run(p->loop);
    }
    group_free(p->group);
    process_free(p);
}

/* --- The cluster --------------------------------------------------------------------------- */

static void bootstrap(struct cluster *c, size_t node)
{
    uint64_t ids[NODES];
    struct kv kv;
    struct kv_txn *txn;
    size_t founders = c->o.nodes_count - c->o.joiners_count;
    /* Every founder lists the others in another order. */
    for (size_t i = 0; i < founders; i++) {
        ids[i] = (i + node) % founders + 1;
    }
    mem_kv_open(c->nodes[node].disk, &kv);
    CHECK(kv_begin(&kv, true, &txn) == SG_OK);
    if (node < founders) {
        CHECK(group_bootstrap(&kv, txn, CLUSTER_GROUP, ids, founders) == SG_OK);
    } else {
        CHECK(group_join(&kv, txn, CLUSTER_GROUP) == SG_OK);
    }
    CHECK(kv_commit(&kv, txn) == SG_OK);
    mem_kv_flush(c->nodes[node].disk);
    kv_close(&kv);
}

struct cluster *cluster_new(const struct cluster_options *options)
{
    struct cluster *c = mem_zalloc(1, sizeof(*c));
    CHECK(options->nodes_count <= NODES);
    hash_init();
    c->o = *options;
    c->random_state = options->seed;
    c->now_ms = 1000000;
    for (size_t i = 0; i < c->o.nodes_count; i++) {
        char name[32];
        (void)snprintf(name, sizeof(name), "disk-%zu", i);
        c->nodes[i].disk = mem_kv_new(name);
        mem_kv_set_manual_flush(c->nodes[i].disk, true);
        bootstrap(c, i);
        CHECK(cluster_start(c, i) == SG_OK);
    }
    return c;
}

void cluster_set(struct cluster *c, const struct cluster_options *options)
{
    size_t nodes_count = c->o.nodes_count;
    c->o = *options;
    c->o.nodes_count = nodes_count;
}

void cluster_free(struct cluster *c)
{
    for (size_t i = 0; i < c->o.nodes_count; i++) {
        if (c->nodes[i].process != NULL) {
            cluster_stop(c, i);
        }
        mem_kv_free(c->nodes[i].disk);
    }
    for (size_t i = 0; i < c->packets_count; i++) {
        bytes_release(&c->packets[i].frame);
    }
    mem_free(c->packets);
    mem_free(c->facts);
    mem_free(c->leaders);
    mem_free(c);
}

static void advance_one(struct cluster *c)
{
    c->now_ms++;
    deliver_due(c);
    for (size_t i = 0; i < c->o.nodes_count; i++) {
        struct process *p = c->nodes[i].process;
        if (p != NULL && !c->nodes[i].paused) {
            process_run(p, 1);
        }
        if (c->nodes[i].process != NULL) {
            process_check_leader(c->nodes[i].process);
        }
    }
}

void cluster_advance(struct cluster *c, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i++) {
        advance_one(c);
    }
}

uint64_t cluster_now_ms(const struct cluster *c)
{
    return c->now_ms;
}

struct group *cluster_group(struct cluster *c, size_t node)
{
    return c->nodes[node].process == NULL ? NULL : c->nodes[node].process->group;
}

struct mem_kv *cluster_disk(struct cluster *c, size_t node)
{
    return c->nodes[node].disk;
}

struct test_loop *cluster_loop(struct cluster *c, size_t node)
{
    return c->nodes[node].process->loop;
}

bool cluster_is_up(const struct cluster *c, size_t node)
{
    return c->nodes[node].process != NULL;
}

void cluster_cut(struct cluster *c, size_t from, size_t to, bool cut)
{
    c->cut[from][to] = cut;
}

void cluster_heal(struct cluster *c)
{
    memset(c->cut, 0, sizeof(c->cut));
    for (size_t i = 0; i < NODES; i++) {
        c->nodes[i].paused = false;
    }
}

void cluster_pause(struct cluster *c, size_t node, bool paused)
{
    c->nodes[node].paused = paused;
}

struct group_status cluster_status(struct cluster *c, size_t node)
{
    struct group_status s;
    group_status(c->nodes[node].process->group, &s);
    return s;
}

bool cluster_told_leader(struct cluster *c, size_t node)
{
    return c->nodes[node].process != NULL && c->nodes[node].process->told_leader;
}

const char *cluster_failed(struct cluster *c, size_t node)
{
    struct process *p = c->nodes[node].process;
    return p == NULL || p->failed[0] == '\0' ? NULL : p->failed;
}

void cluster_set_filter(struct cluster *c,
                        bool (*filter)(void *arg, size_t from, size_t to, const struct message *m), void *arg)
{
    c->filter = filter;
    c->filter_arg = arg;
}

const char *cluster_violation(const struct cluster *c)
{
    return c->violation[0] == '\0' ? NULL : c->violation;
}

size_t cluster_leader(struct cluster *c, bool ready)
{
    size_t best = c->o.nodes_count;
    uint64_t best_term = 0;
    for (size_t i = 0; i < c->o.nodes_count; i++) {
        if (!cluster_is_up(c, i)) {
            continue;
        }
        struct group_status s = cluster_status(c, i);
        if ((ready ? s.is_ready : s.is_leader) && s.term > best_term) {
            best = i;
            best_term = s.term;
        }
    }
    return best;
}

size_t cluster_wait_leader(struct cluster *c, uint64_t limit_ms)
{
    for (uint64_t i = 0; i < limit_ms; i++) {
        size_t leader = cluster_leader(c, true);
        if (leader != c->o.nodes_count) {
            return leader;
        }
        cluster_advance(c, 1);
    }
    return cluster_leader(c, true);
}

/* --- Proposals ------------------------------------------------------------------------------ */

static void proposal_done(struct proposal *p, enum sg_err err)
{
    struct test_proposal *t = CONTAINER_OF(p, struct test_proposal, p);
    struct cluster *c = t->process->c;
    t->process->open_proposals--;
    if (err == SG_OK) {
        struct fact *fact = cluster_fact(c, p->index);
        if (!fact->has_content || memcmp(&fact->content, &t->content, sizeof(t->content)) != 0) {
            cluster_violate(c, "proposal at %llu was acknowledged and not applied",
                            (unsigned long long)p->index);
        } else if (!span_eq(p->result, span_of(t->content.b, sizeof(t->content.b)))) {
            cluster_violate(c, "proposal at %llu got another one's result", (unsigned long long)p->index);
        }
        c->acked++;
        c->highest_acked = p->index > c->highest_acked ? p->index : c->highest_acked;
    } else {
        CHECK(err == SG_UNKNOWN || err == SG_STOPPED);
        c->unknown++;
    }
    mem_free(t);
}

bool cluster_propose(struct cluster *c, size_t node, size_t size)
{
    struct test_proposal *t = mem_zalloc(1, sizeof(*t));
    struct bytes command = BYTES_NONE;
    size = size < 16 ? 16 : size;
    uint8_t *p = bytes_extend(&command, size);
    memset(p, (int)cluster_random(c, 256), size);
    be64_put(p, ++c->commands);
    t->process = c->nodes[node].process;
    t->p.command = span_bytes(&command);
    t->p.done = proposal_done;
    t->p.is_early = cluster_random(c, 2) == 0;
    t->content = digest_of(t->p.command);
    enum sg_err err = group_propose(c->nodes[node].process->group, &t->p);
    bytes_release(&command);
    if (err != SG_OK) {
        mem_free(t);
        return false;
    }
    c->nodes[node].process->open_proposals++;
    return true;
}

uint64_t cluster_acked(const struct cluster *c)
{
    return c->acked;
}

uint64_t cluster_unknown(const struct cluster *c)
{
    return c->unknown;
}

uint64_t cluster_open_proposals(const struct cluster *c)
{
    uint64_t n = 0;
    for (size_t i = 0; i < c->o.nodes_count; i++) {
        n += c->nodes[i].process == NULL ? 0 : c->nodes[i].process->open_proposals;
    }
    return n;
}

static bool is_settled(struct cluster *c)
{
    uint64_t applied = 0;
    bool seen = false;
    if (cluster_leader(c, true) == c->o.nodes_count) {
        return false;
    }
    for (size_t i = 0; i < c->o.nodes_count; i++) {
        if (!cluster_is_up(c, i)) {
            continue;
        }
        struct group_status s = cluster_status(c, i);
        if (s.stopped || s.transferee != 0 || s.applied_index != s.last_index ||
            s.applied_index < c->highest_acked || (seen && s.applied_index != applied)) {
            return false;
        }
        applied = s.applied_index;
        seen = true;
    }
    return seen;
}

bool cluster_settle(struct cluster *c, uint64_t limit_ms)
{
    for (uint64_t i = 0; i < limit_ms && !is_settled(c); i++) {
        cluster_advance(c, 1);
    }
    return is_settled(c);
}
