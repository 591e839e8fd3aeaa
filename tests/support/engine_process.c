#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/mem.h"
#include "tests/support/engine_cluster_impl.h"

void cluster_violate(struct cluster *c, const char *fmt, ...)
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

uint64_t cluster_between(struct cluster *c, uint64_t min, uint64_t max)
{
    return min + cluster_random(c, max - min + 1);
}

/* --- Facts ------------------------------------------------------------------------ */

struct fact *cluster_fact(struct cluster *c, uint64_t index)
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

void process_check_leader(struct process *p)
{
    struct cluster *c = p->c;
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
        cluster_violate(c, "two leaders in term %llu", (unsigned long long)s.term);
    }
}

/* --- The machine ------------------------------------------------------------------- */

static enum sg_err check_order(struct process *p, struct rows *rows, uint64_t index)
{
    uint8_t number[8];
    struct span value;
    enum sg_err err = rows_get(rows, span_str("\x02last"), &value);
    if (err == SG_OK && be64_get(value.p) >= index) {
        cluster_violate(p->c, "entry %llu was applied twice", (unsigned long long)index);
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
    struct fact *fact = cluster_fact(p->c, index);
    struct digest content = digest_of(command);
    if (fact->has_content && (fact->term != term || memcmp(&fact->content, &content, sizeof(content)) != 0)) {
        cluster_violate(p->c, "committed entry %llu changed", (unsigned long long)index);
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
    struct fact *fact = cluster_fact(p->c, index);
    if (s.applied_index != index) {
        cluster_violate(p->c, "applied(%llu) was told at %llu", (unsigned long long)index,
                        (unsigned long long)s.applied_index);
    }
    if (is_zero(&fact->state)) {
        fact->state = s.digest;
    } else if (memcmp(&fact->state, &s.digest, sizeof(s.digest)) != 0) {
        cluster_violate(p->c, "digests differ at %llu", (unsigned long long)index);
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

const struct machine_ops cluster_machine_ops = {
    .apply = machine_apply,
    .applied = machine_applied,
    .installed = machine_installed,
    .role = machine_role,
    .failed = machine_failed,
};

/* --- Processes ----------------------------------------------------------------------------- */

static void on_store_failure(void *impl, enum sg_err err)
{
    struct process *p = impl;
    cluster_violate(p->c, "the store failed: %s", sg_err_name(err));
}

struct process *process_new(struct cluster *c, size_t node, const struct transport_ops *transport)
{
    struct process *p = mem_zalloc(1, sizeof(*p));
    p->c = c;
    p->node = node;
    p->incarnation = ++c->incarnations;
    p->loop = test_loop_new(cluster_random(c, UINT64_MAX));
    test_loop_hold_done(p->loop, WORKER_STORE);
    mem_kv_open(c->nodes[node].disk, &p->kv);
    p->writer = writer_new(test_loop_seam(p->loop), &p->kv, on_store_failure, p);
    p->transport = (struct transport){transport, p};
    return p;
}

void process_free(struct process *p)
{
    writer_free(p->writer);
    test_loop_free(p->loop);
    kv_close(&p->kv);
    mem_free(p);
}

/* Once what ran is on the disk its done() may come. */
void process_finish_commit(struct process *p)
{
    mem_kv_flush(p->c->nodes[p->node].disk);
    test_loop_release(p->loop, WORKER_STORE);
    (void)test_loop_turn(p->loop);
    test_loop_hold_done(p->loop, WORKER_STORE);
    p->disk_due_ms = 0;
}

void process_run(struct process *p, uint64_t ms)
{
    struct cluster *c = p->c;
    test_loop_advance(p->loop, ms);
    /* A disk without delay may finish many commits in a millisecond. */
    for (int i = 0; i < 20 && test_loop_ran(p->loop, WORKER_STORE) > 0; i++) {
        if (p->disk_due_ms == 0) {
            p->disk_due_ms = c->now_ms + cluster_between(c, c->o.disk_min_ms, c->o.disk_max_ms);
            if (c->o.is_slow_at_times && cluster_random(c, 300) == 0) {
                p->disk_due_ms += cluster_random(c, 800);
            }
        }
        if (p->disk_due_ms > c->now_ms) {
            return;
        }
        process_finish_commit(p);
        (void)test_loop_run(p->loop);
    }
}
