#include <stdatomic.h>

#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "shard/engine/snapshot.h"

/* One to a peer: libraft asks for it again with every heartbeat. */
struct snapshot_sender {
    struct work work;
    struct task timer;
    struct group *g;
    uint64_t node;
    uint64_t term;
    uint64_t transfer_id;
    bool reading;   /* On WORKER_READ. */
    bool rows_only; /* For a replica that keeps its log: it has the index already. */
    bool ended;     /* Free it when the reading is over. */
    bool counted;   /* In *snapshot_senders. */
    struct spool *spool;
    enum sg_err err; /* Of the reading. */
    char *damage;
    struct snapshot_head head;
    uint64_t set; /* The applied row's, unless an old version wrote it. */
    bool has_set;
    uint64_t sent, acked;
    unsigned tries;
};

#define FOLDS_TABLE 0x04 /* Of a shard's rows; only a planted bug knows it. */

/* --- Reading, on WORKER_READ --------------------------------------------------- */

static enum sg_err append_row(struct snapshot_sender *s, struct digester *d, struct span key,
                              struct span value)
{
    uint8_t sizes[SNAPSHOT_ROW_HEAD_SIZE];
    be32_put(sizes, (uint32_t)key.n);
    be32_put(sizes + 4, (uint32_t)value.n);
    struct span parts[3] = {span_of(sizes, sizeof(sizes)), key, value};
    enum sg_err err = SG_OK;
    for (size_t i = 0; i < 3 && err == SG_OK; i++) {
        digester_add(d, parts[i]);
        err = spool_append(s->spool, parts[i]);
    }
    return err;
}

/* A snapshot must not hand a loss on: what the walk met is what the applied row
 * says there is, or this replica is damaged. */
static enum sg_err check_set(struct snapshot_sender *s, uint64_t set)
{
    uint8_t key[8];
    if (!s->has_set || set == s->set || FAULT_BUG("snapshot-without-folds")) {
        return SG_OK;
    }
    be64_put(key, s->g->o.id);
    return kv_corrupt(s->g->o.kv, KV_STATE, span_of(key, sizeof(key)), "rows are missing or too many");
}

static enum sg_err read_rows(struct snapshot_sender *s, struct kv_txn *txn)
{
    struct group *g = s->g;
    struct kv_cursor c;
    struct digester d;
    uint8_t prefix[8];
    enum sg_err err;
    uint64_t set = 0;
    be64_put(prefix, g->o.id);
    digester_init(&d);
    kv_cursor_init(&c, g->o.kv, txn, KV_STATE, span_of(prefix, sizeof(prefix)));
    while ((err = kv_next(&c)) == SG_OK) {
        if (FAULT_BUG("snapshot-without-folds") && rows_key(&c).p[0] == FOLDS_TABLE) {
            continue;
        }
        if (rows_key(&c).p[0] != 0) {
            set += row_hash(g->o.id, rows_key(&c), c.value);
        }
        err = append_row(s, &d, rows_key(&c), c.value);
        if (err != SG_OK) {
            break;
        }
    }
    kv_cursor_release(&c);
    s->head.total_size = spool_size(s->spool);
    s->head.checksum = snapshot_checksum(&d);
    return err == SG_NOTFOUND ? check_set(s, set) : err;
}

static enum sg_err read_head(struct snapshot_sender *s, struct kv_txn *txn)
{
    struct applied_row row;
    struct rows rows;
    rows_init(&rows, s->g->o.kv, txn, s->g->o.id);
    enum sg_err err = applied_row_get(&rows, &row);
    rows_release(&rows);
    if (err != SG_OK) {
        return err;
    }
    s->head.index = row.index;
    s->head.term = row.term;
    s->set = row.set;
    s->has_set = row.has_set;
    s->head.conf_index = row.conf_index;
    if (!FAULT_BUG("snapshot-without-conf")) {
        bytes_set(&s->head.conf, row.conf);
    }
    return SG_OK;
}

/* Head and rows from one read transaction: all of the same applied index. */
static void sender_read(struct work *work)
{
    struct snapshot_sender *s = CONTAINER_OF(work, struct snapshot_sender, work);
    struct kv_txn *txn;
    s->err = kv_begin(s->g->o.kv, false, &txn);
    if (s->err != SG_OK) {
        return;
    }
    s->err = read_head(s, txn);
    if (s->err == SG_OK) {
        s->err = read_rows(s, txn);
    }
    if (s->err == SG_CORRUPT) {
        s->damage = mem_strdup(kv_damage());
    }
    kv_abort(s->g->o.kv, txn);
}

/* --- Sending, on the loop ------------------------------------------------------- */

static void release_spool(struct snapshot_sender *s)
{
    if (s->counted) {
        CHECK(atomic_fetch_sub(s->g->o.snapshot_senders, 1) > 0);
        s->counted = false;
    }
    if (s->spool != NULL) {
        spool_free(s->spool);
        s->spool = NULL;
    }
}

static void sender_free(struct snapshot_sender *s)
{
    release_spool(s);
    bytes_release(&s->head.conf);
    mem_free(s->damage);
    mem_free(s);
}

static void sender_end(struct snapshot_sender *s)
{
    group_peer(s->g, s->node)->sender = NULL;
    loop_cancel(s->g->o.loop, &s->timer);
    if (s->reading) {
        s->ended = true;
    } else {
        sender_free(s);
    }
}

static enum sg_err send_chunk(struct snapshot_sender *s, uint8_t *buffer, size_t n)
{
    struct message m = {.kind = MESSAGE_SNAPSHOT_CHUNK, .group = s->g->o.id};
    enum sg_err err = spool_read(s->spool, s->sent, buffer, n);
    if (err != SG_OK) {
        return err;
    }
    m.snapshot_chunk = (struct message_snapshot_chunk){
        .version = SNAPSHOT_VERSION,
        .term = s->term,
        .transfer_id = s->transfer_id,
        .last_index = s->head.index,
        .last_term = s->head.term,
        .conf_index = s->head.conf_index,
        .conf = span_bytes(&s->head.conf),
        .offset = s->sent,
        .total_size = s->head.total_size,
        .checksum = s->head.checksum,
        .data = span_of(buffer, n),
    };
    transport_send(s->g->o.transport, s->node, &m);
    s->sent += n;
    return SG_OK;
}

/* As much as may be under way. */
static void pump(struct snapshot_sender *s)
{
    size_t chunk = s->g->o.snapshot_chunk_bytes;
    uint64_t window = (uint64_t)SNAPSHOT_CHUNKS_INFLIGHT * chunk;
    uint8_t *buffer = mem_alloc(chunk);
    enum sg_err err = SG_OK;
    while (err == SG_OK && send_gate_is_open(s->g) && s->sent < s->head.total_size &&
           s->sent - s->acked < window) {
        uint64_t left = s->head.total_size - s->sent;
        err = send_chunk(s, buffer, left < chunk ? (size_t)left : chunk);
    }
    mem_free(buffer);
    if (err != SG_OK) {
        logger_line(LOG_WARN, &s->g->scope, "snapshot.abandoned", "to=%llu err=%s",
                    (unsigned long long)s->node, sg_err_name(err));
        sender_end(s);
        return;
    }
    loop_after(s->g->o.loop, &s->timer, SNAPSHOT_RETRY_MS);
}

static void sender_timer(struct task *task)
{
    struct snapshot_sender *s = CONTAINER_OF(task, struct snapshot_sender, timer);
    if (s->g->stopped) {
        return; /* The turn ends it. */
    }
    if (s->spool == NULL || ++s->tries > SNAPSHOT_TRIES_MAX) {
        logger_line(LOG_WARN, &s->g->scope, "snapshot.abandoned", "to=%llu err=timeout",
                    (unsigned long long)s->node);
        sender_end(s);
        return;
    }
    s->sent = s->acked;
    pump(s);
}

static void sender_read_done(struct work *work)
{
    struct snapshot_sender *s = CONTAINER_OF(work, struct snapshot_sender, work);
    struct group *g = s->g;
    s->reading = false;
    if (s->ended) {
        sender_free(s);
    } else if (g->stopped) {
        sender_end(s);
    } else if (s->err == SG_CORRUPT) {
        group_rows_lost(g, "%s", s->damage);
        sender_end(s);
    } else if (s->err != SG_OK) {
        logger_line(LOG_WARN, &g->scope, "snapshot.abandoned", "to=%llu err=%s", (unsigned long long)s->node,
                    sg_err_name(s->err));
        sender_end(s);
    } else {
        logger_line(LOG_INFO, &g->scope, "snapshot.sending", "to=%llu index=%llu bytes=%llu",
                    (unsigned long long)s->node, (unsigned long long)s->head.index,
                    (unsigned long long)s->head.total_size);
        pump(s);
    }
    group_job_end(g);
}

/* One of the places for senders of this node, which its lanes share. */
static bool take_place(struct group *g)
{
    if (atomic_fetch_add(g->o.snapshot_senders, 1) < SNAPSHOT_SENDERS_MAX) {
        return true;
    }
    (void)atomic_fetch_sub(g->o.snapshot_senders, 1);
    return false;
}

static bool start(struct group *g, uint64_t node, bool rows_only)
{
    struct peer *p = group_peer(g, node);
    if (p == NULL || p->sender != NULL || g->rebuild.is_on || !take_place(g)) {
        return false; /* libraft, or the peer, asks again. */
    }
    struct snapshot_sender *s = mem_zalloc(1, sizeof(*s));
    s->g = g;
    s->node = node;
    s->rows_only = rows_only;
    s->term = g->raft.current_term;
    s->transfer_id = loop_random(g->o.loop);
    s->spool = spool_new(g->o.spool_dir);
    s->counted = true;
    s->reading = true;
    s->timer.run = sender_timer;
    s->work.run = sender_read;
    s->work.done = sender_read_done;
    p->sender = s;
    g->jobs_count++;
    loop_elsewhere(g->o.loop, WORKER_READ, &s->work);
    return true;
}

void snapshot_send_start(struct group *g, uint64_t node)
{
    (void)start(g, node, false);
}

void snapshot_send_rows(struct group *g, uint64_t node, uint64_t index)
{
    bool is_replica = false;
    for (unsigned i = 0; i < g->raft.configuration.n; i++) {
        is_replica = is_replica || g->raft.configuration.servers[i].id == node;
    }
    if (!is_replica || g->rebuild.is_on || group_peer(g, node) == NULL) {
        return;
    }
    group_peer(g, node)->rebuilding = true;
    if (g->applied >= index && start(g, node, true)) {
        g->rebuild.helped = node;
        group_later(g);
    }
}

static void delivered(struct snapshot_sender *s)
{
    struct group *g = s->g;
    g->snapshots_sent++;
    logger_line(LOG_INFO, &g->scope, "snapshot.sent", "to=%llu index=%llu", (unsigned long long)s->node,
                (unsigned long long)s->head.index);
    if (s->rows_only) {
        sender_end(s);
        return;
    }
    release_spool(s);
    /* Stays as a mark that the peer is busy with it. */
    loop_after(g->o.loop, &s->timer, SNAPSHOT_INSTALL_WAIT_MS);
}

void snapshot_send_ack(struct group *g, uint64_t from, const struct message_snapshot_ack *ack)
{
    struct peer *p = group_peer(g, from);
    struct snapshot_sender *s = p == NULL ? NULL : p->sender;
    if (s == NULL || s->reading || s->spool == NULL || ack->transfer_id != s->transfer_id) {
        return;
    }
    if (ack->received == UINT64_MAX) {
        sender_end(s);
        return;
    }
    if (ack->received > s->head.total_size) {
        return;
    }
    if (ack->received > s->acked) {
        s->acked = ack->received;
        s->sent = s->sent < s->acked ? s->acked : s->sent;
        s->tries = 0;
    } else if (ack->received == 0 && s->acked > 0) {
        s->acked = 0; /* The peer was restarted in between. */
        s->sent = 0;
    }
    if (s->acked == s->head.total_size) {
        delivered(s);
    } else {
        pump(s);
    }
}

void snapshot_send_heard(struct group *g, struct peer *p)
{
    raft_index match = 0;
    if (p->sender == NULL || p->sender->reading || p->sender->rows_only ||
        raft_match_index(&g->raft, p->node, &match) != 0) {
        return;
    }
    if (match >= p->sender->head.index) {
        sender_end(p->sender);
    }
}

void snapshot_send_stop_all(struct group *g)
{
    for (size_t i = 0; i < g->peers_count; i++) {
        if (g->peers[i].sender != NULL) {
            sender_end(g->peers[i].sender);
        }
    }
}
