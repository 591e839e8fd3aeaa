#include "storage/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/limits.h"
#include "proto/base/mem.h"

struct spool {
    char *dir; /* NULL: never a file. */
    struct bytes memory;
    int fd; /* -1: all of it is in memory. */
    uint64_t size_bytes;
    bool is_useless;
};

struct spool *spool_new(const char *dir)
{
    struct spool *s = mem_zalloc(1, sizeof(*s));
    s->dir = dir == NULL ? NULL : mem_strdup(dir);
    s->fd = -1;
    return s;
}

static enum sg_err write_all(int fd, struct span data)
{
    for (size_t at = 0; at < data.n;) {
        ssize_t n = write(fd, data.p + at, data.n - at);
        if (n < 0 && errno != EINTR) {
            return SG_IO;
        }
        at += n > 0 ? (size_t)n : 0;
    }
    return SG_OK;
}

static enum sg_err open_unlinked(const char *dir, int *out)
{
    char path[PATH_MAX];
    int n = snprintf(path, sizeof(path), "%s/spool-XXXXXX", dir);
    if (n < 0 || (size_t)n >= sizeof(path)) {
        return SG_IO;
    }
    int fd = mkstemp(path);
    if (fd < 0) {
        return SG_IO;
    }
    if (unlink(path) != 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
        (void)close(fd);
        return SG_IO;
    }
    *out = fd;
    return SG_OK;
}

static enum sg_err move_to_file(struct spool *s)
{
    enum sg_err err = open_unlinked(s->dir, &s->fd);
    if (err == SG_OK) {
        err = write_all(s->fd, span_bytes(&s->memory));
        bytes_release(&s->memory);
    }
    return err;
}

static enum sg_err append(struct spool *s, struct span data)
{
    if (data.n > SNAPSHOT_SIZE_MAX_BYTES - s->size_bytes) {
        return SG_TOOBIG;
    }
    if (s->fd < 0 && s->dir != NULL && s->size_bytes + data.n > SPOOL_MEMORY_MAX_BYTES) {
        enum sg_err err = move_to_file(s);
        if (err != SG_OK) {
            return err;
        }
    }
    if (s->fd >= 0) {
        return write_all(s->fd, data);
    }
    bytes_append_span(&s->memory, data);
    return SG_OK;
}

enum sg_err spool_append(struct spool *s, struct span data)
{
    if (s->is_useless) {
        return SG_IO;
    }
    enum sg_err err = append(s, data);
    if (err != SG_OK) {
        s->is_useless = true;
        return err;
    }
    s->size_bytes += data.n;
    return SG_OK;
}

uint64_t spool_size(const struct spool *s)
{
    return s->size_bytes;
}

static enum sg_err read_all(int fd, uint64_t offset, uint8_t *out, size_t size)
{
    for (size_t at = 0; at < size;) {
        ssize_t n = pread(fd, out + at, size - at, (off_t)(offset + at));
        if (n == 0 || (n < 0 && errno != EINTR)) {
            return SG_IO; /* The end cannot come: as much was written. */
        }
        at += n > 0 ? (size_t)n : 0;
    }
    return SG_OK;
}

enum sg_err spool_read(struct spool *s, uint64_t offset, void *out, size_t n)
{
    if (s->is_useless) {
        return SG_IO;
    }
    if (offset > s->size_bytes || n > s->size_bytes - offset) {
        return SG_INVALID;
    }
    if (s->fd >= 0) {
        return read_all(s->fd, offset, out, n);
    }
    if (n > 0) {
        memcpy(out, s->memory.p + offset, n);
    }
    return SG_OK;
}

void spool_free(struct spool *s)
{
    if (s->fd >= 0) {
        (void)close(s->fd);
    }
    bytes_release(&s->memory);
    mem_free(s->dir);
    mem_free(s);
}
