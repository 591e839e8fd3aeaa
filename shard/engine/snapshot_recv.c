#include "shard/engine/snapshot.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "shard/engine/guards.h"
#include "shard/engine/trail.h"

/* Chunks gather here until all are there; only then libraft hears of it. */
struct snapshot_stage {
    uint64_t from, transfer_id, term;
    struct snapshot_head head;
    struct spool *spool;
    struct digester digester;
    uint64_t received;
};

/* Replaces everything the group has in the store. */
struct install_job {
    struct group_job base;
    struct snapshot_head head;
    struct spool *spool;
    struct log_hard_state hard_state;
    struct raft_snapshot_metadata metadata; /* libraft's, to be handed back. */
    struct digest digest;
    uint64_t set; /* By the applied row, if has_set. */
    bool has_set;
    bool rows_only;   /* The log and its mark stay (rebuild.c). */
    struct bytes row; /* One row while it is copied. */
    bool is_submitted;
    bool is_durable; /* And not yet told to libraft. */
};

/* --- The stage -------------------------------------------------------------------- */

static void stage_free(struct snapshot_stage *stage)
{
    if (stage->spool != NULL) {
        spool_free(stage->spool);
    }
    bytes_release(&stage->head.conf);
    mem_free(stage);
}

void snapshot_recv_stop(struct group *g)
{
    if (g->stage != NULL) {
        stage_free(g->stage);
        g->stage = NULL;
    }
}

static void send_ack(struct group *g, uint64_t to, const struct message_snapshot_chunk *c, uint64_t received)
{
    struct message m = {.kind = MESSAGE_SNAPSHOT_ACK, .group = g->o.id};
    m.snapshot_ack = (struct message_snapshot_ack){
        .term = g->raft.current_term, .transfer_id = c->transfer_id, .received = received};
    send_hold(g, to, &m);
    group_later(g);
}

static bool chunk_is_sane(const struct message_snapshot_chunk *c)
{
    if (c->version != SNAPSHOT_VERSION || c->term == 0 || c->last_index == 0 || c->last_term == 0 ||
        c->last_term > c->term || c->conf_index == 0 || c->conf_index > c->last_index) {
        return false;
    }
    if (c->total_size == 0 || c->total_size > SNAPSHOT_SIZE_MAX_BYTES || c->offset > c->total_size ||
        c->data.n == 0 || c->data.n > c->total_size - c->offset) {
        return false;
    }
    return guard_g11_configuration(c->conf);
}

static void stage_new(struct group *g, uint64_t from, const struct message_snapshot_chunk *c)
{
    snapshot_recv_stop(g);
    struct snapshot_stage *stage = mem_zalloc(1, sizeof(*stage));
    stage->from = from;
    stage->transfer_id = c->transfer_id;
    stage->term = c->term;
    stage->head = (struct snapshot_head){.index = c->last_index,
                                         .term = c->last_term,
                                         .conf_index = c->conf_index,
                                         .total_size = c->total_size,
                                         .checksum = c->checksum};
    bytes_set(&stage->head.conf, c->conf);
    stage->spool = spool_new(g->o.spool_dir);
    digester_init(&stage->digester);
    g->stage = stage;
}

static bool is_same(const struct snapshot_stage *stage, uint64_t from, const struct message_snapshot_chunk *c)
{
    return stage != NULL && stage->from == from && stage->transfer_id == c->transfer_id &&
           stage->term == c->term && stage->head.index == c->last_index &&
           stage->head.total_size == c->total_size && stage->head.checksum == c->checksum;
}

void snapshot_recv_message(struct group *g, struct raft_message *rm)
{
    const struct snapshot_stage *stage = g->stage;
    rm->type = RAFT_INSTALL_SNAPSHOT;
    rm->server_id = stage->from;
    rm->install_snapshot = (struct raft_install_snapshot){
        .version = 0,
        .term = stage->term,
        .last_index = stage->head.index,
        .last_term = stage->head.term,
        .conf_index = stage->head.conf_index,
    };
    conf_decode(span_bytes(&stage->head.conf), &rm->install_snapshot.conf);
}

/* Like libraft's own test: nothing to do then but say so. */
static bool has_all(const struct group *g, const struct message_snapshot_chunk *c)
{
    return trail_snapshot_index(&g->raft) >= c->last_index ||
           trail_term(&g->raft, c->last_index) == c->last_term;
}

/* true: that was the last one, and all is there. */
static bool stage_append(struct group *g, uint64_t from, const struct message_snapshot_chunk *c)
{
    struct snapshot_stage *stage = g->stage;
    if (spool_append(stage->spool, c->data) != SG_OK) {
        logger_line(LOG_WARN, &g->scope, "snapshot.refused", "from=%" PRIu64 " why=\"no room to stage it\"",
                    from);
        snapshot_recv_stop(g);
        send_ack(g, from, c, UINT64_MAX);
        return false;
    }
    digester_add(&stage->digester, c->data);
    stage->received += c->data.n;
    send_ack(g, from, c, stage->received);
    if (stage->received < stage->head.total_size) {
        return false;
    }
    if (snapshot_checksum(&stage->digester) != stage->head.checksum) {
        logger_line(LOG_WARN, &g->scope, "snapshot.damaged", "from=%" PRIu64 " index=%" PRIu64, stage->from,
                    stage->head.index);
        snapshot_recv_stop(g);
        return false;
    }
    return true;
}

static void rows_gather(struct group *g);

/* All is there for a replica whose rows are lost. true: libraft is not to hear of it:
 * they come under the log as it is, or are of no use. Ahead of the log they are a
 * snapshot like any other. */
static bool is_for_rows(struct group *g)
{
    const struct snapshot_head *head = &g->stage->head;
    if (!g->rebuild.is_on || head->index > g->last_index) {
        return false;
    }
    if (rebuild_fits(g, head->index, head->term)) {
        rows_gather(g);
    }
    snapshot_recv_stop(g);
    return true;
}

bool snapshot_recv_chunk(struct group *g, uint64_t from, const struct message_snapshot_chunk *c)
{
    if (!chunk_is_sane(c)) {
        logger_line(LOG_WARN, &g->scope, "message.malformed", "kind=snapshot_chunk from=%" PRIu64, from);
        return false;
    }
    if (!guard_g7_may_install(&g->raft) || g->rebuild.is_installing) {
        return false; /* The sender's timer, or libraft, comes back to it. */
    }
    if (c->term < g->raft.current_term || (c->term == g->raft.current_term && g->raft.state == RAFT_LEADER)) {
        send_ack(g, from, c, UINT64_MAX);
        return false;
    }
    /* A leader has sent entries that did not fit before it sends a snapshot, so it is
     * known. Nobody else fills our disk, whatever term is claimed. */
    if (!FAULT_BUG("snapshot-of-anybody") && (c->term != g->raft.current_term || role_leader(g) != from)) {
        return false;
    }
    if (!g->rebuild.is_on && has_all(g, c)) {
        send_ack(g, from, c, c->total_size);
        return false;
    }
    if (!is_same(g->stage, from, c)) {
        if (g->stage != NULL && g->stage->term > c->term) {
            return false;
        }
        if (c->offset != 0) {
            send_ack(g, from, c, 0);
            return false;
        }
        /* It is written twice, to the spool and then as rows. */
        if (g->o.kv->ops->free_bytes(g->o.kv->impl) / 2 < c->total_size) {
            logger_line(LOG_WARN, &g->scope, "snapshot.refused",
                        "from=%" PRIu64 " bytes=%" PRIu64 " why=\"no room for it\"", from, c->total_size);
            send_ack(g, from, c, UINT64_MAX);
            return false;
        }
        stage_new(g, from, c);
    }
    if (c->offset != g->stage->received) {
        send_ack(g, from, c, g->stage->received);
        return false;
    }
    return stage_append(g, from, c) && !is_for_rows(g);
}

/* --- The installation, on the writer ------------------------------------------------ */

static enum sg_err damaged(const struct install_job *job, struct kv *kv, const char *why)
{
    uint8_t key[8];
    be64_put(key, job->base.g->o.id);
    return kv_corrupt(kv, KV_STATE, span_of(key, sizeof(key)), why);
}

/* A walk that meets a rotted key goes on behind it, wherever that is. */
static enum sg_err delete_some(struct install_job *job, struct kv *kv, struct kv_txn *txn, size_t *count)
{
    struct kv_cursor c;
    uint8_t prefix[8];
    enum sg_err err;
    be64_put(prefix, job->base.g->o.id);
    kv_cursor_init(&c, kv, txn, KV_STATE, span_of(prefix, sizeof(prefix)));
    /* A damaged row goes like any other. */
    while ((err = kv_next(&c)) == SG_OK || (err == SG_CORRUPT && c.key.n > 0)) {
        err = kv_del(kv, txn, KV_STATE, c.key);
        if (err != SG_OK) {
            break;
        }
        ++*count;
    }
    kv_cursor_release(&c);
    return err == SG_NOTFOUND ? SG_OK : err;
}

static enum sg_err delete_rows(struct install_job *job, struct kv *kv, struct kv_txn *txn)
{
    enum sg_err err = SG_OK;
    for (size_t count = 1; err == SG_OK && count > 0;) {
        count = 0;
        err = delete_some(job, kv, txn, &count);
    }
    return err;
}

static enum sg_err delete_log(struct install_job *job, struct kv *kv, struct kv_txn *txn)
{
    struct log_bounds bounds;
    enum sg_err err = log_bounds(kv, txn, job->base.g->o.id, &bounds);
    if (err != SG_OK || bounds.first > bounds.last) {
        return err;
    }
    return log_truncate(kv, txn, job->base.g->o.id, bounds.first);
}

/* The row at *at; moves *at behind it. */
static enum sg_err read_row(struct install_job *job, struct kv *kv, uint64_t *at, struct span *key,
                            struct span *value)
{
    uint8_t sizes[SNAPSHOT_ROW_HEAD_SIZE];
    if (spool_read(job->spool, *at, sizes, sizeof(sizes)) != SG_OK) {
        return damaged(job, kv, "snapshot ends within a row");
    }
    size_t key_size = be32_get(sizes);
    size_t value_size = be32_get(sizes + 4);
    if (key_size == 0 || key_size > KEY_SIZE_MAX_BYTES - 8 || value_size > RECORD_SIZE_MAX_BYTES) {
        return damaged(job, kv, "snapshot row over the limits");
    }
    bytes_clear(&job->row);
    be64_put(bytes_extend(&job->row, 8), job->base.g->o.id);
    uint8_t *p = bytes_extend(&job->row, key_size + value_size);
    if (spool_read(job->spool, *at + sizeof(sizes), p, key_size + value_size) != SG_OK) {
        return damaged(job, kv, "snapshot ends within a row");
    }
    *key = span_of(job->row.p, 8 + key_size);
    *value = span_of(job->row.p + 8 + key_size, value_size);
    *at += sizeof(sizes) + key_size + value_size;
    return SG_OK;
}

/* The first row is the applied row, and says what the head says. */
static enum sg_err check_applied(struct install_job *job, struct kv *kv, struct span key, struct span value)
{
    struct applied_row row;
    if (key.n != 9 || key.p[8] != 0 || applied_row_decode(value, &row) != SG_OK) {
        return damaged(job, kv, "snapshot without an applied row");
    }
    if (row.index != job->head.index || row.term != job->head.term ||
        row.conf_index != job->head.conf_index || !span_eq(row.conf, span_bytes(&job->head.conf))) {
        return damaged(job, kv, "snapshot is not what its head says");
    }
    job->digest = row.digest;
    job->set = row.set;
    job->has_set = row.has_set;
    return SG_OK;
}

static enum sg_err put_rows(struct install_job *job, struct kv *kv, struct kv_txn *txn)
{
    uint64_t at = 0;
    uint64_t set = 0;
    enum sg_err err = SG_OK;
    while (err == SG_OK && at < job->head.total_size) {
        bool is_first = at == 0;
        struct span key = SPAN_NONE;
        struct span value = SPAN_NONE;
        err = read_row(job, kv, &at, &key, &value);
        if (err == SG_OK && is_first) {
            err = check_applied(job, kv, key, value);
        } else if (err == SG_OK) {
            set += row_hash(job->base.g->o.id, span_of(key.p + 8, key.n - 8), value);
        }
        if (err == SG_OK) {
            err = kv_put(kv, txn, KV_STATE, key, value);
        }
    }
    if (err != SG_OK) {
        return err;
    }
    if (!job->has_set) { /* Of a level whose programs know none. */
        job->set = set;
        job->base.g->set_known_at = job->head.index;
        job->base.g->set_known = set;
        return SG_OK;
    }
    return set == job->set || FAULT_BUG("snapshot-without-folds")
               ? SG_OK
               : damaged(job, kv, "snapshot has not the rows that its set hash says");
}

static enum sg_err install_write(struct install_job *job, struct kv *kv, struct kv_txn *txn)
{
    struct log_mark mark = {job->head.index, job->head.term, job->head.conf_index,
                            span_bytes(&job->head.conf)};
    uint64_t group = job->base.g->o.id;
    enum sg_err err = delete_rows(job, kv, txn);
    if (err == SG_OK) {
        err = log_distrust_del(kv, txn, group);
    }
    if (err == SG_OK && job->rows_only) {
        return put_rows(job, kv, txn);
    }
    if (err == SG_OK) {
        err = delete_log(job, kv, txn);
    }
    if (err == SG_OK) {
        err = put_rows(job, kv, txn);
    }
    if (err == SG_OK) {
        err = log_mark_put(kv, txn, group, &mark);
    }
    if (err == SG_OK) {
        err = log_hard_state_put(kv, txn, group, job->hard_state);
    }
    return err;
}

static enum sg_err install_run(struct writer_job *writer_job, struct kv *kv, struct kv_txn *txn)
{
    struct install_job *job = (struct install_job *)(void *)writer_job;
    if (group_job_refused(&job->base)) {
        return SG_OK;
    }
    FAULT_POINT("engine.before-install");
    enum sg_err err = install_write(job, kv, txn);
    if (err == SG_OK) {
        struct group *g = job->base.g;
        g->rows_damaged = false;
        mem_free(g->rows_damage);
        g->rows_damage = NULL;
    }
    return group_job_result(&job->base, err);
}

static void install_job_free(struct install_job *job)
{
    spool_free(job->spool);
    bytes_release(&job->head.conf);
    bytes_release(&job->row);
    mem_free(job);
}

static void install_done(struct writer_job *writer_job, enum sg_err err)
{
    struct install_job *job = (struct install_job *)(void *)writer_job;
    struct group *g = job->base.g;
    CHECK(g->installing == job);
    if (group_job_ok(&job->base, err)) {
        job->is_durable = true;
        group_later(g);
    } else {
        g->installing = NULL;
        g->rebuild.is_installing = false;
        raft_configuration_close(&job->metadata.configuration);
        install_job_free(job);
    }
    group_job_end(g);
}

static struct install_job *install_job_new(struct group *g)
{
    struct snapshot_stage *stage = g->stage;
    struct install_job *job = mem_zalloc(1, sizeof(*job));
    CHECK(g->installing == NULL);
    job->base.g = g;
    job->base.job.run = install_run;
    job->base.job.done = install_done;
    job->head = stage->head;
    job->spool = stage->spool;
    stage->head.conf = BYTES_NONE;
    stage->spool = NULL;
    g->installing = job;
    return job;
}

static void rows_gather(struct group *g)
{
    install_job_new(g)->rows_only = true;
    g->rebuild.is_installing = true;
    group_later(g);
}

/* libraft's log is the snapshot from the step on, and so is what the group knows of its log. */
void snapshot_recv_gather(struct group *g, const struct raft_update *u)
{
    struct snapshot_stage *stage = g->stage;
    CHECK(stage != NULL);
    CHECK(u->snapshot.metadata.index == stage->head.index);
    struct install_job *job = install_job_new(g);
    job->metadata = u->snapshot.metadata;
    persist_forget(g);
    cache_clear(&g->cache);
    conf_truncate(g, 0);
    g->last_index = job->head.index;
}

void snapshot_recv_submit(struct group *g)
{
    struct install_job *job = g->installing;
    if (job != NULL && !job->is_submitted) {
        job->is_submitted = true;
        job->hard_state = (struct log_hard_state){g->raft.current_term, g->raft.voted_for};
        group_job_submit(g, &job->base, (size_t)job->head.total_size);
    }
}

/* The rows are those of the snapshot. */
static void take_rows(struct group *g, const struct install_job *job)
{
    g->applied = job->head.index;
    g->ran = g->applied;
    g->digest = job->digest;
    g->set = job->set;
    g->has_set = true;
    compare_forget(g);
    scrub_forget(g);
    compare_note(g, g->applied, compare_state(&job->digest, job->set));
    g->commit = g->commit < g->applied ? g->applied : g->commit;
    rebuild_end(g);
}

bool snapshot_recv_rows(struct group *g)
{
    struct install_job *job = g->installing;
    if (job == NULL || !job->rows_only || !job->is_durable) {
        return false;
    }
    take_rows(g, job);
    snapshot_recv_end(g);
    return true;
}

bool snapshot_recv_event(struct group *g, struct event *e)
{
    struct install_job *job = g->installing;
    if (job == NULL || !job->is_durable) {
        return false;
    }
    take_rows(g, job);
    g->mark_index = job->head.index;
    g->trimmed = job->head.index;
    g->log_bytes = 0;
    g->snapshots_installed++;
    logger_line(LOG_INFO, &g->scope, "snapshot.installed", "index=%" PRIu64 " bytes=%" PRIu64,
                job->head.index, job->head.total_size);
    e->raft.type = RAFT_PERSISTED_SNAPSHOT;
    e->raft.persisted_snapshot.metadata = job->metadata;
    e->raft.persisted_snapshot.last = true;
    return true;
}

void snapshot_recv_drop(struct group *g)
{
    struct install_job *job = g->installing;
    snapshot_recv_stop(g);
    if (job != NULL && (!job->is_submitted || job->is_durable)) {
        g->installing = NULL;
        raft_configuration_close(&job->metadata.configuration);
        install_job_free(job);
    }
}

void snapshot_recv_end(struct group *g)
{
    install_job_free(g->installing);
    g->installing = NULL;
}
