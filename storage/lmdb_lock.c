#include "storage/lmdb_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/mem.h"

struct lmdb_lock {
    struct lmdb_lock *next;
    dev_t device;
    ino_t inode;
    pid_t pid; /* A forked child inherits the list, but has nothing open. */
    int fd;    /* -1: not exclusive. */
};

static pthread_mutex_t open_mutex = PTHREAD_MUTEX_INITIALIZER;
static struct lmdb_lock *open_list;

static void explain(char *why, size_t why_size, const char *path, int code)
{
    char text[128];
    if (strerror_r(code, text, sizeof(text)) != 0) {
        (void)snprintf(text, sizeof(text), "error %d", code);
    }
    (void)snprintf(why, why_size, "%s: %s", path, text);
}

static bool list_add(struct lmdb_lock *lock)
{
    bool found = false;
    (void)pthread_mutex_lock(&open_mutex);
    for (struct lmdb_lock *l = open_list; l != NULL; l = l->next) {
        found = found || (l->device == lock->device && l->inode == lock->inode && l->pid == lock->pid);
    }
    if (!found) {
        lock->next = open_list;
        open_list = lock;
    }
    (void)pthread_mutex_unlock(&open_mutex);
    return !found;
}

static void list_remove(struct lmdb_lock *lock)
{
    (void)pthread_mutex_lock(&open_mutex);
    struct lmdb_lock **at = &open_list;
    while (*at != lock) {
        at = &(*at)->next;
    }
    *at = lock->next;
    (void)pthread_mutex_unlock(&open_mutex);
}

static enum sg_err take_flock(const char *dir, const char *name, int *fd, char *why, size_t why_size)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/%s", dir, name);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        (void)snprintf(why, why_size, "%.80s...: the path is too long", dir);
        return SG_IO;
    }
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0) {
        explain(why, why_size, path, errno);
        return SG_IO;
    }
    if (flock(*fd, LOCK_EX | LOCK_NB) == 0) {
        return SG_OK;
    }
    enum sg_err err = SG_IO;
    if (errno == EWOULDBLOCK) {
        err = SG_BUSY;
        (void)snprintf(why, why_size, "%s: another process has the store open", path);
    } else {
        explain(why, why_size, path, errno);
    }
    (void)close(*fd);
    return err;
}

enum sg_err lmdb_lock_take(const char *dir, const char *name, bool exclusive, struct lmdb_lock **out,
                           char *why, size_t why_size)
{
    struct stat st;
    if (stat(dir, &st) != 0) {
        explain(why, why_size, dir, errno);
        return SG_IO;
    }
    struct lmdb_lock *lock = mem_zalloc(1, sizeof(*lock));
    lock->device = st.st_dev;
    lock->inode = st.st_ino;
    lock->pid = getpid();
    lock->fd = -1;
    enum sg_err err = SG_BUSY;
    if (!list_add(lock)) {
        (void)snprintf(why, why_size, "%s: this process has the store open already", dir);
        goto err_after_alloc;
    }
    if (exclusive) {
        err = take_flock(dir, name, &lock->fd, why, why_size);
        if (err != SG_OK) {
            goto err_after_list;
        }
    }
    *out = lock;
    return SG_OK;

err_after_list:
    list_remove(lock);
err_after_alloc:
    mem_free(lock);
    CHECK(err != SG_OK);
    return err;
}

void lmdb_lock_release(struct lmdb_lock *lock)
{
    list_remove(lock);
    if (lock->fd >= 0) {
        (void)close(lock->fd);
    }
    mem_free(lock);
}
