#include "storage/mem_kv.h"

#include <string.h>

#include "proto/base/limits.h"
#include "proto/base/mem.h"
#include "storage/mem_tree.h"

struct snapshot {
    struct mem_tree table[KV_TABLES];
};

struct mem_kv {
    char *name;
    struct snapshot committed;
    struct snapshot flushed;
    struct snapshot *unflushed; /* After each commit since the last flush. */
    size_t unflushed_count, unflushed_cap;
    bool manual_flush;
    uint64_t generation; /* Of the handle that is alive. */
    struct kv_txn *writer;
    size_t handles_count;
    size_t txns_count; /* Of processes that live. */
    uint64_t commits_count;
    uint64_t free_bytes;
    bool is_lost;
    mem_kv_fault fault;
    void *fault_impl;
};

struct handle {
    struct mem_kv *disk;
    uint64_t generation;
    bool looks_on; /* Of an onlooker, not of the process. */
};

struct kv_txn {
    struct snapshot snapshot;
    uint64_t generation;
    bool write;
    bool changed;
};

static struct snapshot snapshot_ref(const struct snapshot *s)
{
    struct snapshot copy;
    for (int i = 0; i < KV_TABLES; i++) {
        copy.table[i] = mem_tree_ref(&s->table[i]);
    }
    return copy;
}

static void snapshot_release(struct snapshot *s)
{
    for (int i = 0; i < KV_TABLES; i++) {
        mem_tree_release(&s->table[i]);
    }
}

static void snapshot_replace(struct snapshot *s, const struct snapshot *with)
{
    struct snapshot old = *s;
    *s = snapshot_ref(with);
    snapshot_release(&old);
}

static enum sg_err ask_fault(struct mem_kv *disk, enum mem_kv_op op)
{
    return disk->fault == NULL ? SG_OK : disk->fault(disk->fault_impl, op);
}

static bool is_dead(const struct handle *h, const struct kv_txn *txn)
{
    return h->generation != h->disk->generation || txn->generation != h->generation;
}

static enum sg_err ask_fault_of(const struct handle *h, enum mem_kv_op op)
{
    return h->looks_on ? SG_OK : ask_fault(h->disk, op);
}

static void txn_end(struct mem_kv *disk, struct kv_txn *txn)
{
    if (disk->writer == txn) {
        disk->writer = NULL;
    }
    if (txn->generation == disk->generation) {
        disk->txns_count--;
    }
    snapshot_release(&txn->snapshot);
    mem_free(txn);
}

static enum sg_err mem_begin(void *impl, bool write, struct kv_txn **out)
{
    struct handle *h = impl;
    struct mem_kv *disk = h->disk;
    if (h->generation != disk->generation) {
        return SG_IO;
    }
    CHECK_IMPLIES(write, disk->writer == NULL);
    enum sg_err err = ask_fault(disk, write ? MEM_KV_BEGIN_WRITE : MEM_KV_BEGIN_READ);
    if (err != SG_OK) {
        return err;
    }
    struct kv_txn *txn = mem_zalloc(1, sizeof(*txn));
    txn->snapshot = snapshot_ref(&disk->committed);
    txn->generation = h->generation;
    txn->write = write;
    disk->txns_count++;
    if (write) {
        disk->writer = txn;
    }
    *out = txn;
    return SG_OK;
}

static void mem_abort(void *impl, struct kv_txn *txn)
{
    struct handle *h = impl;
    txn_end(h->disk, txn);
}

static void unflushed_add(struct mem_kv *disk)
{
    if (disk->unflushed_count == disk->unflushed_cap) {
        disk->unflushed_cap = disk->unflushed_cap == 0 ? 4 : 2 * disk->unflushed_cap;
        disk->unflushed = mem_realloc(disk->unflushed, disk->unflushed_cap * sizeof(disk->unflushed[0]));
    }
    disk->unflushed[disk->unflushed_count++] = snapshot_ref(&disk->committed);
}

static void unflushed_clear(struct mem_kv *disk)
{
    while (disk->unflushed_count > 0) {
        snapshot_release(&disk->unflushed[--disk->unflushed_count]);
    }
}

static enum sg_err mem_commit(void *impl, struct kv_txn *txn)
{
    struct handle *h = impl;
    struct mem_kv *disk = h->disk;
    enum sg_err err = is_dead(h, txn) ? SG_IO : ask_fault(disk, MEM_KV_COMMIT);
    if (err == SG_OK && txn->changed) {
        snapshot_replace(&disk->committed, &txn->snapshot);
        disk->commits_count++;
        unflushed_add(disk);
        if (!disk->manual_flush) {
            mem_kv_flush(disk);
        }
        err = ask_fault(disk, MEM_KV_COMMITTED);
    }
    txn_end(disk, txn);
    return err;
}

static enum sg_err mem_get(void *impl, struct kv_txn *txn, enum kv_table table, struct span key,
                           struct span *value)
{
    struct handle *h = impl;
    enum sg_err err = is_dead(h, txn) ? SG_IO : ask_fault_of(h, MEM_KV_GET);
    if (err != SG_OK) {
        return err;
    }
    const struct mem_cell *cell = mem_tree_find(&txn->snapshot.table[table], key);
    if (cell == NULL) {
        return SG_NOTFOUND;
    }
    *value = mem_cell_value(cell);
    return SG_OK;
}

static enum sg_err mem_put(void *impl, struct kv_txn *txn, enum kv_table table, struct span key,
                           struct span value)
{
    struct handle *h = impl;
    CHECK(txn->write);
    enum sg_err err = is_dead(h, txn) ? SG_IO : ask_fault(h->disk, MEM_KV_PUT);
    if (err == SG_OK) {
        mem_tree_put(&txn->snapshot.table[table], key, value);
        txn->changed = true;
    }
    return err;
}

static enum sg_err mem_del(void *impl, struct kv_txn *txn, enum kv_table table, struct span key)
{
    struct handle *h = impl;
    CHECK(txn->write);
    enum sg_err err = is_dead(h, txn) ? SG_IO : ask_fault(h->disk, MEM_KV_DEL);
    if (err == SG_OK && mem_tree_del(&txn->snapshot.table[table], key)) {
        txn->changed = true;
    }
    return err;
}

static enum sg_err mem_seek(void *impl, struct kv_txn *txn, enum kv_table table, struct span key,
                            bool backwards, struct span *found, struct span *value)
{
    struct handle *h = impl;
    enum sg_err err = is_dead(h, txn) ? SG_IO : ask_fault_of(h, MEM_KV_SEEK);
    if (err != SG_OK) {
        return err;
    }
    const struct mem_cell *cell = mem_tree_seek(&txn->snapshot.table[table], key, backwards);
    if (cell == NULL) {
        return SG_NOTFOUND;
    }
    *found = mem_cell_key(cell);
    *value = mem_cell_value(cell);
    return SG_OK;
}

static uint64_t mem_free_bytes(void *impl)
{
    struct handle *h = impl;
    return h->disk->free_bytes;
}

static bool mem_is_in_place(void *impl)
{
    const struct handle *h = impl;
    return !h->disk->is_lost;
}

static uint64_t mem_used_bytes(void *impl)
{
    struct handle *h = impl;
    uint64_t total = 0;
    for (int i = 0; i < KV_TABLES; i++) {
        total += h->disk->committed.table[i].size_bytes;
    }
    return total;
}

static void mem_close(void *impl)
{
    struct handle *h = impl;
    h->disk->handles_count--;
    mem_free(h);
}

static const struct kv_ops mem_ops = {
    .begin = mem_begin,
    .commit = mem_commit,
    .abort = mem_abort,
    .get = mem_get,
    .put = mem_put,
    .del = mem_del,
    .seek = mem_seek,
    .free_bytes = mem_free_bytes,
    .is_in_place = mem_is_in_place,
    .used_bytes = mem_used_bytes,
    .close = mem_close,
};

struct mem_kv *mem_kv_new(const char *name)
{
    struct mem_kv *disk = mem_zalloc(1, sizeof(*disk));
    disk->name = mem_strdup(name);
    disk->free_bytes = 1ull << 40;
    return disk;
}

void mem_kv_free(struct mem_kv *disk)
{
    CHECK(disk->txns_count == 0);
    CHECK(disk->handles_count == 0);
    snapshot_release(&disk->committed);
    snapshot_release(&disk->flushed);
    unflushed_clear(disk);
    mem_free(disk->unflushed);
    mem_free(disk->name);
    mem_free(disk);
}

static struct handle *handle_new(struct mem_kv *disk, struct kv *out)
{
    struct handle *h = mem_alloc(sizeof(*h));
    *h = (struct handle){.disk = disk, .generation = disk->generation};
    disk->handles_count++;
    memset(out, 0, sizeof(*out));
    out->ops = &mem_ops;
    out->impl = h;
    out->name = disk->name;
    return h;
}

void mem_kv_open(struct mem_kv *disk, struct kv *out)
{
    mem_kv_crash(disk, MEM_KV_KEEP_VISIBLE);
    (void)handle_new(disk, out);
}

struct kv_txn *mem_kv_begin_durable(struct mem_kv *disk, struct kv *out)
{
    struct handle *h = handle_new(disk, out);
    struct kv_txn *txn = mem_zalloc(1, sizeof(*txn));
    h->looks_on = true;
    txn->snapshot = snapshot_ref(&disk->flushed);
    txn->generation = disk->generation;
    disk->txns_count++;
    return txn;
}

void mem_kv_set_manual_flush(struct mem_kv *disk, bool manual)
{
    disk->manual_flush = manual;
}

void mem_kv_flush(struct mem_kv *disk)
{
    snapshot_replace(&disk->flushed, &disk->committed);
    unflushed_clear(disk);
}

/* Its handle and its transactions are dead. */
static void process_end(struct mem_kv *disk)
{
    disk->generation++;
    disk->writer = NULL;
    disk->txns_count = 0;
}

void mem_kv_crash(struct mem_kv *disk, enum mem_kv_crash_how how)
{
    process_end(disk);
    if (how == MEM_KV_DROP_UNFLUSHED) {
        snapshot_replace(&disk->committed, &disk->flushed);
        unflushed_clear(disk);
    } else if (how == MEM_KV_KEEP_COMMITTED) {
        mem_kv_flush(disk);
    }
}

size_t mem_kv_unflushed(const struct mem_kv *disk)
{
    return disk->unflushed_count;
}

void mem_kv_crash_torn(struct mem_kv *disk, size_t keep)
{
    CHECK(keep <= disk->unflushed_count);
    process_end(disk);
    if (keep > 0) {
        snapshot_replace(&disk->flushed, &disk->unflushed[keep - 1]);
    }
    snapshot_replace(&disk->committed, &disk->flushed);
    unflushed_clear(disk);
}

void mem_kv_wipe(struct mem_kv *disk)
{
    mem_kv_crash(disk, MEM_KV_KEEP_COMMITTED);
    snapshot_release(&disk->committed);
    snapshot_release(&disk->flushed);
}

void mem_kv_set_fault(struct mem_kv *disk, mem_kv_fault fault, void *impl)
{
    disk->fault = fault;
    disk->fault_impl = impl;
}

void mem_kv_set_free_bytes(struct mem_kv *disk, uint64_t bytes)
{
    disk->free_bytes = bytes;
}

void mem_kv_lose(struct mem_kv *disk)
{
    disk->is_lost = true;
}

size_t mem_kv_count(const struct mem_kv *disk, enum kv_table table)
{
    return disk->committed.table[table].count;
}

/* In place: the cell is what every snapshot shares, as pages of a disk are. */
static bool flip(struct mem_cell *cell, uint64_t bit)
{
    if (cell == NULL || cell->value_n == 0) {
        return false;
    }
    bit %= cell->value_n * 8;
    cell->data[cell->key_n + bit / 8] ^= (uint8_t)(1u << (bit % 8));
    return true;
}

bool mem_kv_flip_bit(struct mem_kv *disk, enum kv_table table, struct span key, uint64_t bit)
{
    return flip(mem_tree_find(&disk->committed.table[table], key), bit);
}

bool mem_kv_flip_bit_at(struct mem_kv *disk, enum kv_table table, size_t n, uint64_t bit)
{
    return flip(mem_tree_at(&disk->committed.table[table], n), bit);
}

/* One record gone from whatever is or may become the disk's content; as, unless
 * NULL: what it is called from now on. */
static void take_away(struct mem_kv *disk, enum kv_table table, struct span key, const struct bytes *as)
{
    struct mem_tree *trees[3] = {&disk->committed.table[table], &disk->flushed.table[table],
                                 disk->writer == NULL ? NULL : &disk->writer->snapshot.table[table]};
    for (size_t i = 0; i < 3 + disk->unflushed_count; i++) {
        struct mem_tree *t = i < 3 ? trees[i] : &disk->unflushed[i - 3].table[table];
        struct mem_cell *cell = t == NULL ? NULL : mem_tree_find(t, key);
        if (cell != NULL && as != NULL) {
            mem_tree_put(t, span_bytes(as), mem_cell_value(cell));
        }
        if (cell != NULL) {
            (void)mem_tree_del(t, key);
        }
    }
}

bool mem_kv_vanish(struct mem_kv *disk, enum kv_table table, size_t n, size_t count)
{
    bool any = false;
    for (; count > 0; count--) {
        struct mem_cell *cell = mem_tree_at(&disk->committed.table[table], n);
        if (cell == NULL) {
            break;
        }
        struct bytes key = BYTES_NONE;
        bytes_set(&key, mem_cell_key(cell));
        take_away(disk, table, span_bytes(&key), NULL);
        bytes_release(&key);
        any = true;
    }
    return any;
}

bool mem_kv_rename(struct mem_kv *disk, enum kv_table table, size_t n, uint64_t bit)
{
    struct mem_cell *cell = mem_tree_at(&disk->committed.table[table], n);
    if (cell == NULL) {
        return false;
    }
    struct bytes key = BYTES_NONE;
    struct bytes as = BYTES_NONE;
    bytes_set(&key, mem_cell_key(cell));
    bytes_set(&as, mem_cell_key(cell));
    bit %= as.n * 8;
    as.p[bit / 8] ^= (uint8_t)(1u << (bit % 8));
    take_away(disk, table, span_bytes(&key), &as);
    bytes_release(&key);
    bytes_release(&as);
    return true;
}

uint64_t mem_kv_commits(const struct mem_kv *disk)
{
    return disk->commits_count;
}
