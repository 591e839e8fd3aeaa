#define _GNU_SOURCE
#include "supervisor/daemon/banks/directory_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/fault.h"
#include "proto/base/mem.h"

/* The bank's own process reads it, often by its group. */
#define FILE_MODE 0640

/* --- Pacing ------------------------------------------------------------------------ */

static uint64_t clock_ns(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000ull + (uint64_t)t.tv_nsec;
}

static void sleep_until(uint64_t at_ns)
{
    struct timespec t = {.tv_sec = (time_t)(at_ns / 1000000000ull), .tv_nsec = (long)(at_ns % 1000000000ull)};
    while (clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL) == EINTR) {
    }
}

/* A quarter of a second's worth under a limit, so that it is kept evenly. */
static size_t piece_bytes(uint64_t rate)
{
    uint64_t piece = rate / 4;
    if (rate == 0 || piece > BANK_PIECE_BYTES) {
        return BANK_PIECE_BYTES;
    }
    return piece > 0 ? (size_t)piece : 1;
}

/* --- Writing -------------------------------------------------------------------------- */

static int write_all(int fd, struct span data)
{
    while (data.n > 0) {
        ssize_t n = write(fd, data.p, data.n);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n <= 0) {
            errno = n == 0 ? EIO : errno;
            return -1;
        }
        data.p += n;
        data.n -= (size_t)n;
    }
    return 0;
}

/* The point where a test kills or stops the writer: half of the file is there.
 * A witness is too small to have a half. */
static void pass_middle(struct span data, size_t before, size_t after)
{
    if (data.n >= (size_t)ACH_BLOCKING_FACTOR * ACH_RECORD_SIZE && before < data.n / 2 &&
        after >= data.n / 2) {
        FAULT_POINT("upload.staging");
    }
}

static int write_paced(int fd, struct span data, uint64_t rate)
{
    uint64_t begun_ns = clock_ns();
    size_t max = piece_bytes(rate);
    max = data.n > 1 && max > data.n / 2 ? (data.n + 1) / 2 : max; /* At least two pieces. */
    for (size_t at = 0; at < data.n;) {
        size_t n = data.n - at < max ? data.n - at : max;
        if (write_all(fd, span_of(data.p + at, n)) != 0) {
            return -1;
        }
        pass_middle(data, at, at + n);
        at += n;
        if (rate > 0) {
            sleep_until(begun_ns + (uint64_t)((double)at * 1e9 / (double)rate));
        }
    }
    return 0;
}

/* --- Confirming ------------------------------------------------------------------------- */

static int read_all(int dir, const char *name, size_t size, struct bytes *out)
{
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) {
        return -1;
    }
    uint8_t *p = bytes_extend(out, size + 1); /* One more: a longer file is found out. */
    out->n = 0;
    while (out->n <= size) {
        ssize_t n = read(fd, p + out->n, size + 1 - out->n);
        if (n < 0 && errno == EINTR) {
            continue;
        }
        if (n < 0) {
            int err = errno;
            (void)close(fd);
            errno = err;
            return -1;
        }
        if (n == 0) {
            break;
        }
        out->n += (size_t)n;
    }
    (void)close(fd);
    return 0;
}

static bool is_content_right(struct bank_request *r, int dir, const char *path)
{
    struct bytes found = BYTES_NONE;
    bool right = false;
    if (read_all(dir, r->name, r->data.n, &found) != 0) {
        directory_answer_errno(r, BANK_DOUBT, errno, "reading back a file in", path);
    } else if (r->endpoint->confirm == CONFIRM_READBACK) {
        right = span_eq(span_bytes(&found), r->data);
    } else {
        struct sha256 sha = sha256_of(span_bytes(&found));
        right = memcmp(sha.b, r->sha256.b, sizeof sha.b) == 0;
    }
    if (!right && r->text[0] == '\0') {
        directory_answer(r, BANK_DOUBT,
                         "what was written and what is read back differ: look at the disk or mount");
    }
    bytes_release(&found);
    return right;
}

static bool is_confirmed(struct bank_request *r, int dir, const char *path)
{
    struct stat st;
    switch (r->endpoint->confirm) {
    case CONFIRM_NONE:
        return true;
    case CONFIRM_SIZE:
        if (fstatat(dir, r->name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
            directory_answer_errno(r, BANK_DOUBT, errno, "looking at a file in", path);
            return false;
        }
        if ((uint64_t)st.st_size != r->data.n) {
            directory_answer(r, BANK_DOUBT, "the size after writing differs: look at the disk or mount");
            return false;
        }
        return true;
    case CONFIRM_HASH:
    case CONFIRM_READBACK:
    default:
        return is_content_right(r, dir, path);
    }
}

/* --- One file ------------------------------------------------------------------------------ */

static int write_and_flush(int fd, const struct bank_request *r)
{
    int result = write_paced(fd, r->data, r->endpoint->rate_limit_bytes);
    if (result == 0) {
        result = fsync(fd);
    }
    int err = errno;
    if (close(fd) != 0 && result == 0) {
        return -1;
    }
    errno = err;
    return result;
}

/* The file is for whoever reads the drop directory, and staging may be of another
 * group. Without the right to give it away the mode alone has to do. */
static int give_group(int fd, gid_t group)
{
    struct stat st;
    if (fstat(fd, &st) != 0 || fchmod(fd, FILE_MODE) != 0) { /* Whatever the umask. */
        return -1;
    }
    if (st.st_gid != group && fchown(fd, (uid_t)-1, group) != 0 && errno != EPERM) {
        return -1;
    }
    return 0;
}

bool directory_file_create(struct bank_request *r, int dir, const char *path, gid_t group)
{
    int fd = openat(dir, r->name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        directory_answer_errno(r, errno == EEXIST ? BANK_EXISTS : directory_answer_for(errno), errno,
                               "creating a file in", path);
        return false;
    }
    if (give_group(fd, group) != 0) { /* Before the flush, which makes it last. */
        directory_answer_errno(r, BANK_DOUBT, errno, "giving the group of drop_dir to a file in", path);
        (void)close(fd);
        (void)unlinkat(dir, r->name, 0);
        return false;
    }
    if (write_and_flush(fd, r) != 0) {
        directory_answer_errno(r, BANK_DOUBT, errno, "writing a file in", path);
        /* Ours alone, and nobody was told that it is staged: a full disk must not
         * be filled further by what is left of each try. */
        (void)unlinkat(dir, r->name, 0);
        return false;
    }
    if (!is_confirmed(r, dir, path)) {
        return false;
    }
    r->answer = BANK_OK;
    return true;
}
