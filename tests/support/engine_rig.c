#include "tests/support/engine_rig.h"

#include <stdio.h>
#include <string.h>

#include "proto/base/limits.h"
#include "proto/base/mem.h"

/* --- The machine: counts ------------------------------------------------------------ */

static enum sg_err machine_apply(void *impl, struct rows *rows, uint64_t index, uint64_t term,
                                 struct span command, struct bytes *result)
{
    uint8_t number[8];
    (void)impl;
    (void)term;
    (void)command;
    be64_put(number, index);
    bytes_append(result, number, sizeof(number));
    return rows_put(rows, span_str("\x01last"), span_of(number, sizeof(number)));
}

static void machine_applied(void *impl, uint64_t index)
{
    struct rig *r = impl;
    r->applied = index;
}

static void machine_installed(void *impl, uint64_t index)
{
    struct rig *r = impl;
    r->installed = index;
}

static void machine_role(void *impl, bool is_leader, uint64_t term, uint64_t leader)
{
    struct rig *r = impl;
    (void)term;
    r->told_leader = is_leader;
    r->told_leader_id = leader;
}

static void machine_failed(void *impl, enum sg_err err, const char *why)
{
    struct rig *r = impl;
    r->failed = err;
    (void)snprintf(r->why, sizeof(r->why), "%s", why);
}

static const struct machine_ops machine_ops = {
    .apply = machine_apply,
    .applied = machine_applied,
    .installed = machine_installed,
    .role = machine_role,
    .failed = machine_failed,
};

static void transport_send_op(void *impl, uint64_t node, const struct message *m)
{
    struct rig *r = impl;
    CHECK(r->sent_count < RIG_SENT_MAX);
    r->sent[r->sent_count++] = (struct rig_sent){.to = node, .m = *m};
}

static const struct transport_ops transport_ops = {.send = transport_send_op};

static void on_store_failure(void *impl, enum sg_err err)
{
    (void)impl;
    CHECK(err == SG_OK); /* It is not: no test here lets the store fail. */
}

/* --- Life ----------------------------------------------------------------------------- */

static struct kv_txn *begin(struct rig *r)
{
    struct kv_txn *txn;
    CHECK(kv_begin(&r->kv, true, &txn) == SG_OK);
    return txn;
}

struct rig *rig_new(size_t nodes_count)
{
    struct rig *r = mem_zalloc(1, sizeof(*r));
    uint64_t nodes[] = {1, 2, 3, 4, 5};
    hash_init();
    r->loop = test_loop_new(7);
    r->disk = mem_kv_new("lane-0");
    r->nodes_count = nodes_count;
    r->transport = (struct transport){&transport_ops, r};
    mem_kv_open(r->disk, &r->kv);
    r->writer = writer_new(test_loop_seam(r->loop), &r->kv, on_store_failure, r);
    if (nodes_count > 0) {
        struct kv_txn *txn = begin(r);
        CHECK(group_bootstrap(&r->kv, txn, RIG_GROUP, nodes, nodes_count) == SG_OK);
        CHECK(kv_commit(&r->kv, txn) == SG_OK);
    }
    return r;
}

enum sg_err rig_open(struct rig *r)
{
    struct group_options options = {
        .id = RIG_GROUP,
        .node = 1,
        .node_name = "rig",
        .loop = test_loop_seam(r->loop),
        .kv = &r->kv,
        .writer = r->writer,
        .transport = &r->transport,
        .machine = {&machine_ops, r},
        .trailing_entries = TRAILING_ENTRIES_MIN,
        .election_timeout_ms = ELECTION_TIMEOUT_MS,
        .heartbeat_ms = HEARTBEAT_MS,
        .snapshot_senders = &r->snapshot_senders,
    };
    return group_open(&options, &r->group, r->why, sizeof(r->why));
}

void rig_close(struct rig *r)
{
    if (r->group == NULL) {
        return;
    }
    group_stop(r->group);
    for (int w = 0; w < WORKERS; w++) {
        test_loop_release(r->loop, (enum worker)w);
    }
    rig_run(r);
    test_loop_advance(r->loop, WRITER_LAZY_MS);
    group_free(r->group);
    r->group = NULL;
}

void rig_free(struct rig *r)
{
    rig_close(r);
    writer_free(r->writer);
    kv_close(&r->kv);
    mem_kv_free(r->disk);
    test_loop_free(r->loop);
    mem_free(r);
}

void rig_store_entries(struct rig *r, uint64_t index, const uint64_t *terms, size_t count)
{
    struct kv_txn *txn = begin(r);
    for (size_t i = 0; i < count; i++) {
        struct log_entry e = {
            .index = index + i, .term = terms[i], .type = 1, .data = span_str("stored command")};
        CHECK(log_append(&r->kv, txn, RIG_GROUP, &e, 1) == SG_OK);
    }
    CHECK(kv_commit(&r->kv, txn) == SG_OK);
}

void rig_store_hard_state(struct rig *r, uint64_t term, uint64_t voted_for)
{
    struct kv_txn *txn = begin(r);
    CHECK(log_hard_state_put(&r->kv, txn, RIG_GROUP, (struct log_hard_state){term, voted_for}) == SG_OK);
    CHECK(kv_commit(&r->kv, txn) == SG_OK);
}

/* A writer that is not idle although nothing is held waits for company. */
void rig_run(struct rig *r)
{
    (void)test_loop_run(r->loop);
    for (int i = 0; i < 20 && !writer_is_idle(r->writer); i++) {
        if (test_loop_waiting(r->loop, WORKER_STORE) > 0 || test_loop_ran(r->loop, WORKER_STORE) > 0) {
            return;
        }
        test_loop_advance(r->loop, 1);
    }
}

void rig_advance(struct rig *r, uint64_t ms)
{
    test_loop_advance(r->loop, ms);
}

/* --- Messages ---------------------------------------------------------------------------- */

void rig_receive(struct rig *r, uint64_t from, const struct message *m)
{
    struct message copy = *m;
    copy.group = RIG_GROUP;
    group_receive(r->group, from, &copy);
}

void rig_append(struct rig *r, uint64_t from, uint64_t term, uint64_t prev_index, uint64_t prev_term,
                uint64_t commit, const uint64_t *terms, size_t count)
{
    struct message_entry entries[APPEND_ENTRIES_MAX];
    struct message m = {.kind = MESSAGE_APPEND_ENTRIES};
    for (size_t i = 0; i < count; i++) {
        entries[i] =
            (struct message_entry){.term = terms[i], .type = 1, .data = span_str("received command")};
    }
    m.append_entries = (struct message_append_entries){.term = term,
                                                       .prev_log_index = prev_index,
                                                       .prev_log_term = prev_term,
                                                       .leader_commit = commit,
                                                       .entries = entries,
                                                       .entries_count = count};
    rig_receive(r, from, &m);
}

void rig_ack(struct rig *r, uint64_t from, uint64_t term, uint64_t last_index)
{
    struct message m = {.kind = MESSAGE_APPEND_ENTRIES_RESULT};
    m.append_entries_result = (struct message_append_entries_result){
        .version = 1, .term = term, .last_log_index = last_index, .features = 1};
    rig_receive(r, from, &m);
}

const struct message *rig_take(struct rig *r, enum message_kind kind)
{
    for (size_t i = 0; i < r->sent_count; i++) {
        if (!r->sent[i].taken && r->sent[i].m.kind == kind) {
            r->sent[i].taken = true;
            return &r->sent[i].m;
        }
    }
    return NULL;
}

void rig_forget_sent(struct rig *r)
{
    r->sent_count = 0;
}

size_t rig_count_sent(const struct rig *r, enum message_kind kind)
{
    size_t n = 0;
    for (size_t i = 0; i < r->sent_count; i++) {
        n += r->sent[i].m.kind == kind ? 1 : 0;
    }
    return n;
}

static void grant(struct rig *r)
{
    const struct message *request = rig_take(r, MESSAGE_REQUEST_VOTE);
    while (request != NULL) {
        struct message m = {.kind = MESSAGE_REQUEST_VOTE_RESULT};
        m.request_vote_result =
            (struct message_request_vote_result){.version = 2,
                                                 .term = request->request_vote.term,
                                                 .vote_granted = true,
                                                 .pre_vote = request->request_vote.pre_vote};
        rig_receive(r, 2, &m);
        rig_run(r);
        request = rig_take(r, MESSAGE_REQUEST_VOTE);
    }
}

void rig_lead(struct rig *r)
{
    for (int i = 0; i < 200 && !rig_status(r).is_ready; i++) {
        rig_advance(r, 50);
        grant(r);
        struct group_status s = rig_status(r);
        if (s.is_leader) {
            rig_ack(r, 2, s.term, s.last_index);
            rig_run(r);
        }
    }
    CHECK(rig_status(r).is_ready);
    rig_forget_sent(r);
}

/* --- Proposals ----------------------------------------------------------------------------- */

struct rig_proposal {
    struct proposal p;
    struct rig *r;
};

static void proposal_done(struct proposal *p, enum sg_err err)
{
    struct rig_proposal *rp = CONTAINER_OF(p, struct rig_proposal, p);
    rp->r->answered++;
    rp->r->answered_ok += err == SG_OK ? 1 : 0;
    rp->r->last_answer = err;
    mem_free(rp);
}

bool rig_propose(struct rig *r)
{
    struct rig_proposal *rp = mem_zalloc(1, sizeof(*rp));
    rp->r = r;
    rp->p.command = span_str("proposed command");
    rp->p.done = proposal_done;
    if (group_propose(r->group, &rp->p) != SG_OK) {
        mem_free(rp);
        return false;
    }
    return true;
}

struct group_status rig_status(struct rig *r)
{
    struct group_status s;
    group_status(r->group, &s);
    return s;
}
