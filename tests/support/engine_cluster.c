#include "tests/support/engine_cluster.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/mem.h"

#define NODES 5
#define WHY_SIZE 160

/* What dies with a process. */
struct process {
    struct cluster *c;
    size_t node;
    uint64_t incarnation;
    struct test_loop *loop;
    struct kv kv;
    struct writer *writer;
    struct group *group;
    struct transport transport;
    uint32_t snapshot_senders;
    uint64_t disk_due_ms;
    uint64_t open_proposals;
    bool told_leader;
    char failed[WHY_SIZE];
    struct process *next_dead;
};

struct node {
    struct mem_kv *disk;
    struct process *process; /* NULL: down. */
    bool paused;
};

struct packet {
    uint64_t due_ms, order;
    size_t to;
    struct bytes frame;
};

/* What is known of an index, the first time anybody applied it. */
struct fact {
    uint64_t term;
    struct digest content; /* Of the command. */
    struct digest state;   /* After it; zeros: not known. */
    bool has_content;
};

struct test_proposal {
    struct proposal p;
    struct process *process;
    struct digest content;
};

struct cluster {
    struct cluster_options o;
    struct node nodes[NODES];
    bool cut[NODES][NODES];
    uint64_t now_ms;
    uint64_t random_state;
    uint64_t order;
    uint64_t incarnations;
    uint64_t commands;
    struct packet *packets;
    size_t packets_count, packets_cap;
    struct fact *facts; /* By index. */
    size_t facts_count;
    uint64_t *leaders; /* Incarnation by term. */
    size_t leaders_count;
    uint64_t acked, unknown, highest_acked;
    bool (*filter)(void *arg, size_t from, size_t to, const struct message *m);
    void *filter_arg;
    char violation[WHY_SIZE];
};

/* A crashed process's memory is gone in reality; here it must stay reachable. */
static struct process *dead_processes;

static void violate(struct cluster *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void violate(struct cluster *c, const char *fmt, ...)
{
    va_list args;
    if (c->violation[0] != '\0') {
        return;
    }
    va_start(args, fmt);
    (void)vsnprintf(c->violation, sizeof(c->violation), fmt, args);
    va_end(args);
}

uint64_t cluster_random(struct cluster *c, uint64_t below)
{
    uint64_t z = c->random_state += 0x9e3779b97f4a7c15u;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return below == 0 ? 0 : (z ^ (z >> 31)) % below;
}

static uint64_t between(struct cluster *c, uint64_t min, uint64_t max)
{
    return min + cluster_random(c, max - min + 1);
}

/* --- Facts ------------------------------------------------------------------------ */

static struct fact *fact_at(struct cluster *c, uint64_t index)
{
    CHECK(index < 10000000);
    while (c->facts_count <= index) {
        size_t n = c->facts_count == 0 ? 256 : c->facts_count * 2;
        c->facts = mem_realloc(c->facts, n * sizeof(*c->facts));
        memset(c->facts + c->facts_count, 0, (n - c->facts_count) * sizeof(*c->facts));
        c->facts_count = n;
    }
    return &c->facts[index];
}

static bool is_zero(const struct digest *d)
{
    static const struct digest zero;
    return memcmp(d, &zero, sizeof(zero)) == 0;
}

static void check_leader(struct cluster *c, const struct process *p)
{
    struct group_status s;
    group_status(p->group, &s);
    if (!s.is_leader) {
        return;
    }
    CHECK(s.term < 1000000);
    while (c->leaders_count <= s.term) {
        size_t n = c->leaders_count == 0 ? 64 : c->leaders_count * 2;
        c->leaders = mem_realloc(c->leaders, n * sizeof(*c->leaders));
        memset(c->leaders + c->leaders_count, 0, (n - c->leaders_count) * sizeof(*c->leaders));
        c->leaders_count = n;
    }
    if (c->leaders[s.term] == 0) {
        c->leaders[s.term] = p->incarnation;
    } else if (c->leaders[s.term] != p->incarnation) {
        violate(c, "two leaders in term %llu", (unsigned long long)s.term);
    }
}

/* --- The machine ------------------------------------------------------------------- */

static enum sg_err check_order(struct process *p, struct rows *rows, uint64_t index)
{
    uint8_t number[8];
    struct span value;
    enum sg_err err = rows_get(rows, span_str("\x02last"), &value);
    if (err == SG_OK && be64_get(value.p) >= index) {
        violate(p->c, "entry %llu was applied twice", (unsigned long long)index);
    }
    if (err != SG_OK && err != SG_NOTFOUND) {
        return err;
    }
    be64_put(number, index);
    return rows_put(rows, span_str("\x02last"), span_of(number, sizeof(number)));
}

static enum sg_err machine_apply(void *impl, struct rows *rows, uint64_t index, uint64_t term,
                                 struct span command, struct bytes *result)
{
    struct process *p = impl;
    struct fact *fact = fact_at(p->c, index);
    struct digest content = digest_of(command);
    if (fact->has_content && (fact->term != term || memcmp(&fact->content, &content, sizeof(content)) != 0)) {
        violate(p->c, "committed entry %llu changed", (unsigned long long)index);
    }
    fact->has_content = true;
    fact->term = term;
    fact->content = content;
    uint8_t key[2] = {0x01, command.n > 0 ? command.p[command.n - 1] : 0};
    enum sg_err err = check_order(p, rows, index);
    if (err == SG_OK) {
        err = rows_put(rows, span_of(key, sizeof(key)), command);
    }
    bytes_append(result, content.b, sizeof(content.b));
    return err;
}

static void machine_applied(void *impl, uint64_t index)
{
    struct process *p = impl;
    struct group_status s;
    group_status(p->group, &s);
    struct fact *fact = fact_at(p->c, index);
    if (s.applied_index != index) {
        violate(p->c, "applied(%llu) was told at %llu", (unsigned long long)index,
                (unsigned long long)s.applied_index);
    }
    if (is_zero(&fact->state)) {
        fact->state = s.digest;
    } else if (memcmp(&fact->state, &s.digest, sizeof(s.digest)) != 0) {
        violate(p->c, "digests differ at %llu", (unsigned long long)index);
    }
}

static void machine_installed(void *impl, uint64_t index)
{
    (void)impl;
    (void)index;
}

static void machine_role(void *impl, bool is_leader, uint64_t term, uint64_t leader)
{
    struct process *p = impl;
    (void)term;
    (void)leader;
    p->told_leader = is_leader;
}

static void machine_failed(void *impl, enum sg_err err, const char *why)
{
    struct process *p = impl;
    (void)snprintf(p->failed, sizeof(p->failed), "%s: %s", sg_err_name(err), why);
}

static const struct machine_ops machine_ops = {
    .apply = machine_apply,
    .applied = machine_applied,
    .installed = machine_installed,
    .role = machine_role,
    .failed = machine_failed,
};

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
    uint64_t delay = c->o.delay_max_ms == 0 ? 1 : between(c, c->o.delay_min_ms, c->o.delay_max_ms);
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

static void on_store_failure(void *impl, enum sg_err err)
{
    struct process *p = impl;
    violate(p->c, "the store failed: %s", sg_err_name(err));
}

static struct process *process_new(struct cluster *c, size_t node)
{
    struct process *p = mem_zalloc(1, sizeof(*p));
    p->c = c;
    p->node = node;
    p->incarnation = ++c->incarnations;
    p->loop = test_loop_new(cluster_random(c, UINT64_MAX));
    test_loop_hold_done(p->loop, WORKER_STORE);
    mem_kv_open(c->nodes[node].disk, &p->kv);
    p->writer = writer_new(test_loop_seam(p->loop), &p->kv, on_store_failure, p);
    p->transport = (struct transport){&transport_ops, p};
    return p;
}

static void process_free(struct process *p)
{
    writer_free(p->writer);
    test_loop_free(p->loop);
    kv_close(&p->kv);
    mem_free(p);
}

/* Once what ran is on the disk its done() may come. */
static void finish_commit(struct process *p)
{
    mem_kv_flush(p->c->nodes[p->node].disk);
    test_loop_release(p->loop, WORKER_STORE);
    (void)test_loop_turn(p->loop);
    test_loop_hold_done(p->loop, WORKER_STORE);
    p->disk_due_ms = 0;
}

static void process_run(struct process *p, uint64_t ms)
{
    struct cluster *c = p->c;
    test_loop_advance(p->loop, ms);
    /* A disk without delay may finish many commits in a millisecond. */
    for (int i = 0; i < 20 && test_loop_ran(p->loop, WORKER_STORE) > 0; i++) {
        if (p->disk_due_ms == 0) {
            p->disk_due_ms = c->now_ms + between(c, c->o.disk_min_ms, c->o.disk_max_ms);
            if (c->o.is_slow_at_times && cluster_random(c, 300) == 0) {
                p->disk_due_ms += cluster_random(c, 800);
            }
        }
        if (p->disk_due_ms > c->now_ms) {
            return;
        }
        finish_commit(p);
        (void)test_loop_run(p->loop);
    }
}

enum sg_err cluster_start(struct cluster *c, size_t node)
{
    struct node *n = &c->nodes[node];
    char why[WHY_SIZE];
    CHECK(n->process == NULL);
    struct process *p = process_new(c, node);
    struct group_options options = {
        .id = CLUSTER_GROUP,
        .node = node + 1,
        .node_name = "test",
        .loop = test_loop_seam(p->loop),
        .kv = &p->kv,
        .writer = p->writer,
        .transport = &p->transport,
        .machine = {&machine_ops, p},
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
        (void)test_loop_run(p->loop);
        finish_commit(p);
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
    /* Every founder lists the others in another order. */
    for (size_t i = 0; i < c->o.nodes_count; i++) {
        ids[i] = (i + node) % c->o.nodes_count + 1;
    }
    mem_kv_open(c->nodes[node].disk, &kv);
    CHECK(kv_begin(&kv, true, &txn) == SG_OK);
    CHECK(group_bootstrap(&kv, txn, CLUSTER_GROUP, ids, c->o.nodes_count) == SG_OK);
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
            check_leader(c, c->nodes[i].process);
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
        struct fact *fact = fact_at(c, p->index);
        if (!fact->has_content || memcmp(&fact->content, &t->content, sizeof(t->content)) != 0) {
            violate(c, "proposal at %llu was acknowledged and not applied", (unsigned long long)p->index);
        } else if (!span_eq(p->result, span_of(t->content.b, sizeof(t->content.b)))) {
            violate(c, "proposal at %llu got another one's result", (unsigned long long)p->index);
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
