#include "storage/lmdb_store.h"
#include "storage/lmdb_trap.h"

#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>

#include <lmdb.h>

#include "proto/base/limits.h"
#include "proto/base/logger.h"
#include "proto/base/limits.h"
#include "proto/base/mem.h"

#define FREE_PAGES_DBI 0 /* LMDB keeps its free pages in a table of its own. */

#define READER_CHECK_BEGINS 1024
#define CHECKSUM_ROOM 8 /* kv.c puts it behind a value. */
#define IDLE_READERS 16 /* Kept at most. */

struct table_cursor {
    MDB_cursor *cursor; /* NULL: not open. */
    bool is_stale;      /* Of an earlier use of this read transaction. */
    bool is_placed;     /* Stands on the pair it last handed out. */
};

struct kv_txn {
    MDB_txn *txn;
    bool write;
    struct table_cursor cursors[KV_TABLES];
    struct kv_txn *next_idle;
};

/* Reset read transactions, which keep their reader slots. */
struct lmdb_readers {
    pthread_mutex_t mutex;
    struct kv_txn *idle;
    unsigned idle_count;
};

/* LMDB's damage answers, of which only a read may say SG_CORRUPT: a write that
 * ran into them is as final as any other failed write. */
static enum sg_err read_error(struct lmdb_store *s, const char *op, int rc)
{
    if (rc == MDB_NOTFOUND) {
        return SG_NOTFOUND;
    }
    logger_line(LOG_ERROR, NULL, "store.failed", "store=%s op=%s error=%s", s->name, op,
                LOG_TEXT(mdb_strerror(rc)));
    return rc == MDB_CORRUPTED || rc == MDB_PAGE_NOTFOUND ? SG_CORRUPT : SG_IO;
}

static enum sg_err write_error(struct lmdb_store *s, const char *op, int rc)
{
    logger_line(LOG_ERROR, NULL, "store.failed", "store=%s op=%s error=%s", s->name, op,
                LOG_TEXT(mdb_strerror(rc)));
    return SG_IO;
}

static MDB_val val_of(struct span s)
{
    /* LMDB does not write through a key or value that it is given. */
    return (MDB_val){.mv_size = s.n, .mv_data = (void *)(uintptr_t)s.p};
}

static struct span span_of_val(MDB_val v)
{
    return span_of(v.mv_data, v.mv_size);
}

/* A damaged page may tell of any size and place: too much is damage, and what leads
 * out of the store traps here rather than in the reader. */
static bool is_whole(MDB_val v)
{
    if (v.mv_size > RECORD_SIZE_MAX_BYTES + CHECKSUM_ROOM) {
        return false;
    }
    const volatile uint8_t *bytes = v.mv_data;
    if (v.mv_size > 0) {
        (void)bytes[0];
        (void)bytes[v.mv_size - 1];
    }
    return true;
}

/* A killed reader keeps its slot, and with it every page freed since. */
static void check_readers(struct lmdb_store *s)
{
    int dead = 0;
    int rc = mdb_reader_check(s->env, &dead);
    if (rc != 0) {
        logger_line(LOG_WARN, NULL, "store.reader_check_failed", "store=%s error=%s", s->name,
                    LOG_TEXT(mdb_strerror(rc)));
    } else if (dead > 0) {
        logger_line(LOG_INFO, NULL, "store.dead_readers_cleared", "store=%s count=%d", s->name, dead);
    }
}

static enum sg_err begin_write(struct lmdb_store *s, struct kv_txn **out)
{
    CHECK(!atomic_exchange(&s->is_writing, true));
    if (s->begins_count++ % READER_CHECK_BEGINS == 0) {
        check_readers(s);
    }
    struct kv_txn *txn = mem_zalloc(1, sizeof(*txn));
    txn->write = true;
    lmdb_trap_begin(s->name, "begin", KV_TABLES, SPAN_NONE);
    int rc = mdb_txn_begin(s->env, NULL, 0, &txn->txn);
    lmdb_trap_end();
    if (rc != 0) {
        mem_free(txn);
        atomic_store(&s->is_writing, false);
        return write_error(s, "begin", rc);
    }
    atomic_fetch_add(&s->open_count, 1);
    *out = txn;
    return SG_OK;
}

static struct kv_txn *take_idle(struct lmdb_readers *r)
{
    (void)pthread_mutex_lock(&r->mutex);
    struct kv_txn *txn = r->idle;
    if (txn != NULL) {
        r->idle = txn->next_idle;
        r->idle_count--;
    }
    (void)pthread_mutex_unlock(&r->mutex);
    return txn;
}

static bool give_idle(struct lmdb_readers *r, struct kv_txn *txn)
{
    (void)pthread_mutex_lock(&r->mutex);
    bool room = r->idle_count < IDLE_READERS;
    if (room) {
        txn->next_idle = r->idle;
        r->idle = txn;
        r->idle_count++;
    }
    (void)pthread_mutex_unlock(&r->mutex);
    return room;
}

static void free_reader(struct kv_txn *txn)
{
    for (int i = 0; i < KV_TABLES; i++) {
        if (txn->cursors[i].cursor != NULL) {
            mdb_cursor_close(txn->cursors[i].cursor);
        }
    }
    mdb_txn_abort(txn->txn);
    mem_free(txn);
}

static enum sg_err begin_read(struct lmdb_store *s, struct kv_txn **out)
{
    struct kv_txn *txn = take_idle(s->readers);
    int rc;
    if (txn != NULL) {
        rc = mdb_txn_renew(txn->txn);
        if (rc != 0) {
            free_reader(txn);
        }
    } else {
        txn = mem_zalloc(1, sizeof(*txn));
        rc = mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn->txn);
        if (rc != 0) {
            mem_free(txn);
        }
    }
    if (rc != 0) {
        return rc == MDB_READERS_FULL ? SG_BUSY : read_error(s, "begin", rc);
    }
    atomic_fetch_add(&s->open_count, 1);
    *out = txn;
    return SG_OK;
}

static enum sg_err lmdb_begin(void *impl, bool write, struct kv_txn **out)
{
    return write ? begin_write(impl, out) : begin_read(impl, out);
}

static void end_read(struct lmdb_store *s, struct kv_txn *txn)
{
    for (int i = 0; i < KV_TABLES; i++) {
        txn->cursors[i].is_stale = true;
        txn->cursors[i].is_placed = false;
    }
    mdb_txn_reset(txn->txn);
    if (!give_idle(s->readers, txn)) {
        free_reader(txn);
    }
}

static void end_write(struct lmdb_store *s, struct kv_txn *txn)
{
    /* LMDB closed its cursors with the transaction. */
    mem_free(txn);
    atomic_store(&s->is_writing, false);
}

static void lmdb_abort(void *impl, struct kv_txn *txn)
{
    struct lmdb_store *s = impl;
    atomic_fetch_sub(&s->open_count, 1);
    if (txn->write) {
        mdb_txn_abort(txn->txn);
        end_write(s, txn);
    } else {
        end_read(s, txn);
    }
}

static bool lmdb_is_in_place(void *impl)
{
    const struct lmdb_store *s = impl;
    struct stat st;
    return stat(s->data_path, &st) == 0 && st.st_dev == s->device && st.st_ino == s->inode;
}

/* The system goes on writing to a file that has no name any more, and reports
 * success. So before anybody hears of a commit: it must be found again. */
static enum sg_err commit_result(struct lmdb_store *s)
{
    if (lmdb_is_in_place(s)) {
        return SG_OK;
    }
    logger_line(LOG_ERROR, NULL, "store.lost", "store=%s path=%s", s->name, LOG_TEXT(s->data_path));
    return SG_IO;
}

static enum sg_err lmdb_commit(void *impl, struct kv_txn *txn)
{
    struct lmdb_store *s = impl;
    CHECK(txn->write);
    atomic_fetch_sub(&s->open_count, 1);
    lmdb_trap_begin(s->name, "commit", KV_TABLES, SPAN_NONE);
    int rc = mdb_txn_commit(txn->txn);
    lmdb_trap_end();
    end_write(s, txn);
    return rc == 0 ? commit_result(s) : write_error(s, "commit", rc);
}

static enum sg_err lmdb_get(void *impl, struct kv_txn *txn, enum kv_table table, struct span key,
                            struct span *value)
{
    struct lmdb_store *s = impl;
    MDB_val k = val_of(key);
    MDB_val v;
    lmdb_trap_begin(s->name, "get", table, key);
    int rc = mdb_get(txn->txn, s->tables[table], &k, &v);
    rc = rc == 0 && !is_whole(v) ? MDB_CORRUPTED : rc;
    lmdb_trap_end();
    if (rc != 0) {
        return read_error(s, "get", rc);
    }
    *value = span_of_val(v);
    return SG_OK;
}

/* A cursor need not be carried over a change: LMDB would have to move it, and
 * a search costs less than finding out whether it always does so right. */
static void drop_cursor(struct kv_txn *txn, enum kv_table table)
{
    struct table_cursor *c = &txn->cursors[table];
    if (c->cursor != NULL) {
        mdb_cursor_close(c->cursor);
        *c = (struct table_cursor){0};
    }
}

static enum sg_err lmdb_put(void *impl, struct kv_txn *txn, enum kv_table table, struct span key,
                            struct span value)
{
    struct lmdb_store *s = impl;
    CHECK(txn->write);
    drop_cursor(txn, table);
    MDB_val k = val_of(key);
    MDB_val v = val_of(value);
    lmdb_trap_begin(s->name, "put", table, key);
    int rc = mdb_put(txn->txn, s->tables[table], &k, &v, 0);
    lmdb_trap_end();
    return rc == 0 ? SG_OK : write_error(s, "put", rc);
}

/* A pair whose key rotted stands in the wrong place, where a search by that key does
 * not look: only the walk that has just met it can take it away. */
static bool del_here(struct kv_txn *txn, enum kv_table table, struct span key)
{
    struct table_cursor *c = &txn->cursors[table];
    MDB_val at;
    return c->is_placed && mdb_cursor_get(c->cursor, &at, NULL, MDB_GET_CURRENT) == 0 &&
           span_eq(span_of_val(at), key) && mdb_cursor_del(c->cursor, 0) == 0;
}

static enum sg_err lmdb_del(void *impl, struct kv_txn *txn, enum kv_table table, struct span key)
{
    struct lmdb_store *s = impl;
    CHECK(txn->write);
    lmdb_trap_begin(s->name, "del", table, key);
    bool is_gone = del_here(txn, table, key);
    drop_cursor(txn, table);
    MDB_val k = val_of(key);
    int rc = is_gone ? 0 : mdb_del(txn->txn, s->tables[table], &k, NULL);
    lmdb_trap_end();
    return rc == 0 || rc == MDB_NOTFOUND ? SG_OK : write_error(s, "del", rc);
}

static int ready_cursor(struct lmdb_store *s, struct kv_txn *txn, enum kv_table table)
{
    struct table_cursor *c = &txn->cursors[table];
    int rc = 0;
    if (c->cursor == NULL) {
        rc = mdb_cursor_open(txn->txn, s->tables[table], &c->cursor);
    } else if (c->is_stale) {
        rc = mdb_cursor_renew(txn->txn, c->cursor);
    }
    c->is_stale = rc != 0;
    return rc;
}

/* Does key follow at once on the pair where the cursor stands? Walks ask so. */
static bool is_next(struct table_cursor *c, struct span key)
{
    MDB_val at;
    if (!c->is_placed || mdb_cursor_get(c->cursor, &at, NULL, MDB_GET_CURRENT) != 0) {
        return false;
    }
    return key.n == at.mv_size + 1 && key.p[at.mv_size] == 0 && memcmp(key.p, at.mv_data, at.mv_size) == 0;
}

static int seek_forwards(struct table_cursor *c, struct span key, MDB_val *k, MDB_val *v)
{
    if (key.n == 0) {
        return mdb_cursor_get(c->cursor, k, v, MDB_FIRST);
    }
    if (is_next(c, key)) {
        return mdb_cursor_get(c->cursor, k, v, MDB_NEXT);
    }
    *k = val_of(key);
    return mdb_cursor_get(c->cursor, k, v, MDB_SET_RANGE);
}

static int seek_backwards(struct table_cursor *c, struct span key, MDB_val *k, MDB_val *v)
{
    if (key.n == 0) {
        return MDB_NOTFOUND;
    }
    *k = val_of(key);
    int rc = mdb_cursor_get(c->cursor, k, v, MDB_SET_RANGE);
    if (rc == MDB_NOTFOUND) {
        return mdb_cursor_get(c->cursor, k, v, MDB_LAST);
    }
    if (rc != 0 || span_eq(span_of_val(*k), key)) {
        return rc;
    }
    return mdb_cursor_get(c->cursor, k, v, MDB_PREV);
}

static enum sg_err lmdb_seek(void *impl, struct kv_txn *txn, enum kv_table table, struct span key,
                             bool backwards, struct span *found, struct span *value)
{
    struct lmdb_store *s = impl;
    struct table_cursor *c = &txn->cursors[table];
    MDB_val k;
    MDB_val v;
    lmdb_trap_begin(s->name, "seek", table, key);
    int rc = ready_cursor(s, txn, table);
    if (rc == 0) {
        rc = backwards ? seek_backwards(c, key, &k, &v) : seek_forwards(c, key, &k, &v);
    }
    if (rc == 0 && (!is_whole(k) || !is_whole(v))) {
        rc = MDB_CORRUPTED;
    }
    lmdb_trap_end();
    c->is_placed = rc == 0;
    if (rc != 0) {
        return read_error(s, "seek", rc);
    }
    *found = span_of_val(k);
    *value = span_of_val(v);
    return SG_OK;
}

uint64_t lmdb_store_used_bytes(void *impl)
{
    struct lmdb_store *s = impl;
    MDB_envinfo info;
    MDB_stat stat;
    if (mdb_env_info(s->env, &info) != 0 || mdb_env_stat(s->env, &stat) != 0) {
        return 0; /* Only for a NULL argument. */
    }
    return ((uint64_t)info.me_last_pgno + 1) * stat.ms_psize;
}

/* Pages within the file that nothing uses: LMDB writes there first, and gives none
 * back to the device. Of records of page numbers that begin with their count. */
static uint64_t reusable_bytes(struct lmdb_store *s)
{
    MDB_txn *txn;
    MDB_cursor *cursor;
    MDB_stat stat;
    MDB_val key, value;
    uint64_t pages = 0;
    if (mdb_env_stat(s->env, &stat) != 0 || mdb_txn_begin(s->env, NULL, MDB_RDONLY, &txn) != 0) {
        return 0;
    }
    if (mdb_cursor_open(txn, FREE_PAGES_DBI, &cursor) == 0) {
        while (mdb_cursor_get(cursor, &key, &value, MDB_NEXT) == 0) {
            size_t count = 0;
            memcpy(&count, value.mv_data, value.mv_size < sizeof count ? 0 : sizeof count);
            pages += count;
        }
        mdb_cursor_close(cursor);
    }
    mdb_txn_abort(txn);
    return pages * stat.ms_psize;
}

/* What the device or the map has left, whichever is less, and what is free within the
 * file (looked at only when that decides). An unreadable device has nothing left: new
 * work is refused, which is safe. */
static uint64_t lmdb_free_bytes(void *impl)
{
    struct lmdb_store *s = impl;
    struct statvfs device;
    MDB_envinfo info;
    if (statvfs(s->dir, &device) != 0 || mdb_env_info(s->env, &info) != 0) {
        return 0;
    }
    uint64_t on_device = (uint64_t)device.f_bavail * device.f_frsize;
    uint64_t used = lmdb_store_used_bytes(s);
    uint64_t in_map = info.me_mapsize > used ? info.me_mapsize - used : 0;
    uint64_t room = on_device < in_map ? on_device : in_map;
    return room < STORE_FREE_SPACE_MIN_BYTES ? room + reusable_bytes(s) : room;
}

struct lmdb_readers *lmdb_readers_new(void)
{
    struct lmdb_readers *r = mem_zalloc(1, sizeof(*r));
    CHECK(pthread_mutex_init(&r->mutex, NULL) == 0);
    return r;
}

void lmdb_readers_free(struct lmdb_readers *r)
{
    for (struct kv_txn *txn; (txn = take_idle(r)) != NULL;) {
        free_reader(txn);
    }
    (void)pthread_mutex_destroy(&r->mutex);
    mem_free(r);
}

const struct kv_ops lmdb_store_ops = {
    .begin = lmdb_begin,
    .commit = lmdb_commit,
    .abort = lmdb_abort,
    .get = lmdb_get,
    .put = lmdb_put,
    .del = lmdb_del,
    .seek = lmdb_seek,
    .free_bytes = lmdb_free_bytes,
    .is_in_place = lmdb_is_in_place,
    .used_bytes = lmdb_store_used_bytes,
    .close = lmdb_store_close,
};
