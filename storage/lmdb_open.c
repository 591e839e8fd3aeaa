#include "storage/lmdb_kv.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lmdb.h>

#include "proto/base/limits.h"
#include "proto/base/logger.h"
#include "proto/base/mem.h"
#include "storage/lmdb_store.h"
#include "storage/lmdb_trap.h"

#define LOCK_NAME "writer.lock"
#define DATA_NAME "data.mdb" /* LMDB's. */

/* The names carry the format: a store of another one has other tables. */
static const char *const table_names[KV_TABLES] = {
    [KV_META] = "meta.1",
    [KV_LOG] = "log.1",
    [KV_STATE] = "state.1",
};

static void store_free(struct lmdb_store *s)
{
    mem_free(s->data_path);
    mem_free(s->name);
    mem_free(s->dir);
    mem_free(s);
}

void lmdb_store_close(void *impl)
{
    struct lmdb_store *s = impl;
    CHECK(atomic_load(&s->open_count) == 0);
    lmdb_readers_free(s->readers);
    mdb_env_close(s->env);
    lmdb_lock_release(s->lock);
    store_free(s);
}

static void on_assert(MDB_env *env, const char *message)
{
    struct lmdb_store *s = mdb_env_get_userctx(env);
    logger_line(LOG_ERROR, NULL, "store.damaged", "store=%s dir=%s assertion=%s", s->name, LOG_TEXT(s->dir),
                LOG_TEXT(message));
}

struct why {
    char *text;
    size_t size;
};

static enum sg_err explain(struct why why, const char *dir, const char *what, const char *reason,
                           enum sg_err err)
{
    (void)snprintf(why.text, why.size, "%s%s%s: %s", dir, what[0] == '\0' ? "" : "/", what, reason);
    return err;
}

static enum sg_err explain_mdb(struct why why, const char *dir, int rc)
{
    bool foreign = rc == MDB_INVALID || rc == MDB_VERSION_MISMATCH || rc == MDB_CORRUPTED ||
                   rc == MDB_PAGE_NOTFOUND || rc == MDB_INCOMPATIBLE;
    return explain(why, dir, DATA_NAME, mdb_strerror(rc), foreign ? SG_CORRUPT : SG_IO);
}

static bool join_path(char out[PATH_MAX], const char *dir, const char *name)
{
    int n = snprintf(out, PATH_MAX, "%s/%s", dir, name);
    return n > 0 && n < PATH_MAX;
}

static enum sg_err prepare_dir(const struct lmdb_options *options, struct why why)
{
    if (!options->read_only) {
        if (mkdir(options->dir, 0700) != 0 && errno != EEXIST) {
            return explain(why, options->dir, "", mdb_strerror(errno), SG_IO);
        }
        return SG_OK;
    }
    char path[PATH_MAX];
    struct stat st;
    if (!join_path(path, options->dir, DATA_NAME)) {
        return explain(why, options->dir, DATA_NAME, mdb_strerror(ENAMETOOLONG), SG_IO);
    }
    if (stat(path, &st) != 0) {
        bool absent = errno == ENOENT || errno == ENOTDIR;
        return explain(why, options->dir, DATA_NAME, mdb_strerror(errno), absent ? SG_NOTFOUND : SG_IO);
    }
    return st.st_size > 0 ? SG_OK : explain(why, options->dir, DATA_NAME, "empty", SG_NOTFOUND);
}

static int open_env(struct lmdb_store *s, const struct lmdb_options *options)
{
    size_t map_size = options->map_size_bytes != 0 ? options->map_size_bytes : STORE_MAP_SIZE_BYTES;
    int rc = mdb_env_set_userctx(s->env, s);
    rc = rc != 0 ? rc : mdb_env_set_assert(s->env, on_assert);
    rc = rc != 0 ? rc : mdb_env_set_maxreaders(s->env, STORE_READERS_MAX);
    rc = rc != 0 ? rc : mdb_env_set_maxdbs(s->env, KV_TABLES);
    rc = rc != 0 ? rc : mdb_env_set_mapsize(s->env, map_size);
    unsigned flags = MDB_NOTLS | (options->read_only ? (unsigned)MDB_RDONLY : 0);
    lmdb_trap_begin(s->name, "open", KV_TABLES, SPAN_NONE);
    rc = rc != 0 ? rc : mdb_env_open(s->env, options->dir, flags, 0600);
    lmdb_trap_end();
    return rc;
}

static int extend_short_file(struct lmdb_store *s)
{
    int fd;
    struct stat st;
    int rc = mdb_env_get_fd(s->env, &fd);
    if (rc != 0) {
        return rc;
    }
    off_t size = (off_t)lmdb_store_used_bytes(s);
    if (fstat(fd, &st) != 0) {
        return errno;
    }
    if (st.st_size >= size) {
        return 0;
    }
    /* Also so, and harmless, when the last pages were freed before they were written. */
    logger_line(LOG_WARN, NULL, "store.short_file", "store=%s size_bytes=%lld expected_bytes=%lld", s->name,
                (long long)st.st_size, (long long)size);
    return ftruncate(fd, size) == 0 ? 0 : errno;
}

/* Which file it is, to find out whether it is still the one under its name. */
static int note_place(struct lmdb_store *s)
{
    char path[PATH_MAX];
    int fd;
    struct stat st;
    int rc = mdb_env_get_fd(s->env, &fd);
    if (rc != 0) {
        return rc;
    }
    if (fstat(fd, &st) != 0) {
        return errno;
    }
    if (!join_path(path, s->dir, DATA_NAME)) {
        return ENAMETOOLONG;
    }
    s->data_path = mem_strdup(path);
    s->device = st.st_dev;
    s->inode = st.st_ino;
    return 0;
}

static int has_tables(MDB_txn *txn, bool *out)
{
    MDB_dbi unnamed;
    MDB_stat stat;
    int rc = mdb_dbi_open(txn, NULL, 0, &unnamed);
    rc = rc != 0 ? rc : mdb_stat(txn, unnamed, &stat);
    *out = rc == 0 && stat.ms_entries > 0;
    return rc;
}

/* Made only in an empty store: one that has tables has ours or is foreign. */
static enum sg_err open_tables(struct lmdb_store *s, bool read_only, const char *dir, struct why why)
{
    MDB_txn *txn;
    int rc = mdb_txn_begin(s->env, NULL, read_only ? MDB_RDONLY : 0, &txn);
    if (rc != 0) {
        return explain_mdb(why, dir, rc);
    }
    bool used = false;
    rc = has_tables(txn, &used);
    unsigned flags = used || read_only ? 0 : MDB_CREATE;
    for (int i = 0; rc == 0 && i < KV_TABLES; i++) {
        rc = mdb_dbi_open(txn, table_names[i], flags, &s->tables[i]);
    }
    if (rc != 0) {
        mdb_txn_abort(txn);
        if (rc != MDB_NOTFOUND) {
            return explain_mdb(why, dir, rc);
        }
        return used ? explain(why, dir, DATA_NAME, "a store of another program or format", SG_CORRUPT)
                    : explain(why, dir, DATA_NAME, "empty", SG_NOTFOUND);
    }
    rc = mdb_txn_commit(txn);
    return rc == 0 ? SG_OK : explain_mdb(why, dir, rc);
}

/* LMDB syncs its files but not the names under which they are found. */
static int sync_dir(const char *dir, const char *below)
{
    char path[PATH_MAX];
    if (!join_path(path, dir, below)) {
        return ENAMETOOLONG;
    }
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return errno;
    }
    int rc = fsync(fd) == 0 ? 0 : errno;
    (void)close(fd);
    return rc;
}

static int make_writable(struct lmdb_store *s)
{
    int rc = extend_short_file(s);
    rc = rc != 0 ? rc : sync_dir(s->dir, ".");
    return rc != 0 ? rc : sync_dir(s->dir, "..");
}

static struct lmdb_store *store_new(const struct lmdb_options *options)
{
    struct lmdb_store *s = mem_zalloc(1, sizeof(*s));
    s->readers = lmdb_readers_new();
    s->name = mem_strdup(options->name);
    s->dir = mem_strdup(options->dir);
    return s;
}

enum sg_err lmdb_kv_open(const struct lmdb_options *options, struct kv *out, char *why_text, size_t why_size)
{
    struct why why = {why_text, why_size};
    enum sg_err err = prepare_dir(options, why);
    if (err != SG_OK) {
        return err;
    }
    struct lmdb_store *s = store_new(options);
    err = lmdb_lock_take(options->dir, LOCK_NAME, !options->read_only, &s->lock, why_text, why_size);
    if (err != SG_OK) {
        goto err_after_new;
    }
    int rc = mdb_env_create(&s->env);
    if (rc != 0) {
        err = explain_mdb(why, s->dir, rc);
        goto err_after_lock;
    }
    rc = open_env(s, options);
    rc = rc != 0 ? rc : note_place(s);
    if (rc == 0 && !options->read_only) {
        rc = make_writable(s);
    }
    err = rc == 0 ? open_tables(s, options->read_only, s->dir, why) : explain_mdb(why, s->dir, rc);
    if (err != SG_OK) {
        goto err_after_env;
    }
    memset(out, 0, sizeof(*out));
    out->ops = &lmdb_store_ops;
    out->impl = s;
    out->name = s->name;
    return SG_OK;

err_after_env:
    mdb_env_close(s->env); /* Also required after a failed open. */
err_after_lock:
    lmdb_lock_release(s->lock);
err_after_new:
    lmdb_readers_free(s->readers);
    store_free(s);
    CHECK(err != SG_OK);
    return err;
}
