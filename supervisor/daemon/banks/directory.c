#define _GNU_SOURCE /* renameat2(), strerrordesc_np() */
#include "supervisor/daemon/banks/directory.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/fault.h"
#include "supervisor/daemon/banks/directory_file.h"
#include "supervisor/daemon/banks/directory_place.h"

#define PROBE_BYTES 4096

/* One request at work. */
struct visit {
    struct bank_request *request;
    char staging_path[PATH_MAX];
    char drop_path[PATH_MAX];
    int staging, drop; /* Descriptors. */
    bool made_staging;
};

/* --- Answers --------------------------------------------------------------------- */

void directory_answer(struct bank_request *r, enum bank_answer answer, const char *text)
{
    r->answer = answer;
    (void)snprintf(r->text, sizeof r->text, "%s", text);
}

static const char *advice(int err)
{
    switch (err) {
    case ENOSPC:
    case EDQUOT:
        return "free space there";
    case EACCES:
    case EPERM:
        return "give this node's user the right to write there";
    case EROFS:
        return "mount it writable";
    case ENOENT:
    case ENOTDIR:
        return "create or mount it, or correct the endpoint";
    case EXDEV:
        return "put staging_dir on the file system of drop_dir";
    case EIO:
    case ESTALE:
    case ETIMEDOUT:
        return "look at the disk or mount";
    default:
        return "look at that place, then it goes on by itself";
    }
}

void directory_answer_errno(struct bank_request *r, enum bank_answer answer, int err, const char *what,
                            const char *where)
{
    const char *why = strerrordesc_np(err);
    r->answer = answer;
    (void)snprintf(r->text, sizeof r->text, "%s %.100s: %s: %s", what, where,
                   why != NULL ? why : "unknown error", advice(err));
}

/* The system refused before anything happened, except where the device or the
 * mount itself failed: then nobody knows. */
enum bank_answer directory_answer_for(int err)
{
    switch (err) {
    case EIO:
    case ESTALE:
    case ETIMEDOUT:
    case EINTR:
    case EREMOTEIO:
    case ENODEV:
    case ENXIO:
        return BANK_DOUBT;
    default:
        return BANK_FAILED;
    }
}

/* --- The two directories ------------------------------------------------------------ */

static int dir_of(const struct visit *v, enum bank_place place)
{
    return place == BANK_DROP ? v->drop : v->staging;
}

static const char *path_of(const struct visit *v, enum bank_place place)
{
    return place == BANK_DROP ? v->drop_path : v->staging_path;
}

static bool path_copy(struct bank_request *r, struct span path, const char *key, char *out)
{
    if (path.n == 0 || path.n >= PATH_MAX || memchr(path.p, 0, path.n) != NULL) {
        r->answer = BANK_FAILED;
        (void)snprintf(r->text, sizeof r->text,
                       "the endpoint's %s is missing or no path: correct the endpoint", key);
        return false;
    }
    (void)span_cstr(path, out, PATH_MAX);
    return true;
}

static int open_dir(const char *path)
{
    return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static bool may_make_staging(const struct bank_request *r)
{
    return r->op == BANK_CREATE || r->op == BANK_PROBE;
}

static bool open_staging(struct visit *v)
{
    struct bank_request *r = v->request;
    v->staging = open_dir(v->staging_path);
    if (v->staging < 0 && errno == ENOENT && may_make_staging(r)) {
        if (mkdir(v->staging_path, 0700) != 0 && errno != EEXIST) {
            directory_answer_errno(r, BANK_FAILED, errno, "making staging_dir", v->staging_path);
            return false;
        }
        v->made_staging = true;
        v->staging = open_dir(v->staging_path);
    }
    if (v->staging < 0) {
        directory_answer_errno(r, BANK_FAILED, errno, "opening staging_dir", v->staging_path);
        return false;
    }
    return true;
}

static bool on_one_device(struct visit *v)
{
    struct stat staging, drop;
    if (fstat(v->staging, &staging) != 0 || fstat(v->drop, &drop) != 0) {
        directory_answer_errno(v->request, BANK_FAILED, errno, "looking at", v->drop_path);
        return false;
    }
    if (staging.st_dev != drop.st_dev) {
        directory_answer_errno(v->request, BANK_FAILED, EXDEV,
                               "staging_dir and drop_dir must share a file system:", v->staging_path);
        return false;
    }
    return true;
}

/* Names were compared when the settings were made; this is what they stand for now. */
static bool are_apart(struct visit *v)
{
    struct bank_request *r = v->request;
    if (directory_places_are_sound(v->staging, v->drop, r->text, sizeof r->text)) {
        return true;
    }
    r->answer = BANK_FAILED;
    if (v->made_staging) {
        (void)rmdir(v->staging_path);
    }
    return false;
}

static void visit_end(struct visit *v)
{
    if (v->staging >= 0) {
        (void)close(v->staging);
    }
    if (v->drop >= 0) {
        (void)close(v->drop);
    }
}

/* false: the request is answered. */
static bool visit_begin(struct visit *v)
{
    struct bank_request *r = v->request;
    if (!path_copy(r, r->endpoint->staging_dir, "staging_dir", v->staging_path) ||
        !path_copy(r, r->endpoint->drop_dir, "drop_dir", v->drop_path)) {
        return false;
    }
    v->drop = open_dir(v->drop_path);
    if (v->drop < 0) {
        directory_answer_errno(r, BANK_FAILED, errno, "opening drop_dir", v->drop_path);
        return false;
    }
    return open_staging(v) && are_apart(v) && on_one_device(v);
}

/* --- The requests --------------------------------------------------------------------- */

static void do_create(struct visit *v)
{
    struct bank_request *r = v->request;
    struct stat drop;
    if (fstat(v->drop, &drop) != 0) {
        directory_answer_errno(r, BANK_FAILED, errno, "looking at", v->drop_path);
        return;
    }
    if (!directory_file_create(r, dir_of(v, r->place), path_of(v, r->place), drop.st_gid)) {
        return;
    }
    if (fsync(dir_of(v, r->place)) != 0) {
        directory_answer_errno(r, BANK_DOUBT, errno, "flushing", path_of(v, r->place));
    }
}

static void do_stat(struct visit *v)
{
    struct bank_request *r = v->request;
    struct stat st;
    if (fstatat(dir_of(v, r->place), r->name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        r->size_bytes = (uint64_t)st.st_size;
        r->answer = BANK_OK;
    } else if (errno == ENOENT) {
        r->answer = BANK_ABSENT;
    } else {
        directory_answer_errno(r, directory_answer_for(errno), errno, "looking for a file in",
                               path_of(v, r->place));
    }
}

/* Where the file system knows no rename that refuses to replace. F was seen
 * absent just now, and names are unique: nobody of ours can make it meanwhile. */
static int rename_plain(const struct visit *v)
{
    const struct bank_request *r = v->request;
    struct stat st;
    if (fstatat(dir_of(v, r->to_place), r->to_name, &st, AT_SYMLINK_NOFOLLOW) == 0) {
        errno = EEXIST;
        return -1;
    }
    if (errno != ENOENT) {
        return -1;
    }
    return renameat(dir_of(v, r->place), r->name, dir_of(v, r->to_place), r->to_name);
}

/* What SFTP version 3 servers do, planted to show that tests find it. */
static int rename_in_two_steps(const struct visit *v)
{
    const struct bank_request *r = v->request;
    if (linkat(dir_of(v, r->place), r->name, dir_of(v, r->to_place), r->to_name, 0) != 0) {
        return -1;
    }
    FAULT_POINT("upload.between-link-and-unlink");
    return unlinkat(dir_of(v, r->place), r->name, 0);
}

static int rename_once(const struct visit *v)
{
    const struct bank_request *r = v->request;
    if (FAULT_BUG("v3-rename")) {
        return rename_in_two_steps(v);
    }
    int result =
        renameat2(dir_of(v, r->place), r->name, dir_of(v, r->to_place), r->to_name, RENAME_NOREPLACE);
    if (result != 0 && (errno == ENOSYS || errno == EINVAL || errno == EOPNOTSUPP)) {
        result = rename_plain(v);
    }
    return result;
}

static void do_rename(struct visit *v)
{
    struct bank_request *r = v->request;
    if (rename_once(v) == 0) {
        r->answer = BANK_OK;
    } else if (errno == EEXIST) {
        r->answer = BANK_EXISTS;
    } else if (errno == ENOENT) {
        r->answer = BANK_ABSENT;
    } else {
        directory_answer_errno(r, directory_answer_for(errno), errno, "renaming into",
                               path_of(v, r->to_place));
    }
}

static void do_sync(struct visit *v)
{
    struct bank_request *r = v->request;
    if (fsync(v->staging) != 0) {
        directory_answer_errno(r, BANK_DOUBT, errno, "flushing", v->staging_path);
    } else if (fsync(v->drop) != 0) {
        directory_answer_errno(r, BANK_DOUBT, errno, "flushing", v->drop_path);
    } else {
        r->answer = BANK_OK;
    }
}

static void do_remove(struct visit *v)
{
    struct bank_request *r = v->request;
    if (unlinkat(dir_of(v, r->place), r->name, 0) == 0) {
        r->answer = BANK_OK;
    } else if (errno == ENOENT) {
        r->answer = BANK_ABSENT;
    } else {
        directory_answer_errno(r, directory_answer_for(errno), errno, "removing a file in",
                               path_of(v, r->place));
    }
}

/* --- The probe --------------------------------------------------------------------------- */

static bool probe_create_twice(struct visit *v, const char *name)
{
    int flags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
    int fd = openat(v->staging, name, flags, 0600);
    if (fd < 0) {
        directory_answer_errno(v->request, BANK_FAILED, errno, "creating a file in", v->staging_path);
        return false;
    }
    static const uint8_t block[PROBE_BYTES];
    ssize_t written = write(fd, block, sizeof block); /* A full disk shows here, before any claim. */
    int result = written == (ssize_t)sizeof block ? fsync(fd) : -1;
    int err = written >= 0 && written < (ssize_t)sizeof block ? ENOSPC : errno;
    (void)close(fd);
    if (result != 0) {
        directory_answer_errno(v->request, BANK_FAILED, err, "writing a file in", v->staging_path);
        return false;
    }
    fd = openat(v->staging, name, flags, 0600);
    if (fd >= 0) {
        (void)close(fd);
        directory_answer(v->request, BANK_FAILED,
                         "staging_dir: a name can be created twice: this file system can't be used");
        return false;
    }
    return true;
}

static bool probe_is_there(const struct visit *v, const char *name)
{
    struct stat st;
    return fstatat(v->staging, name, &st, AT_SYMLINK_NOFOLLOW) == 0;
}

static bool probe_rename(struct visit *v, const char *from, const char *to)
{
    struct bank_request *r = v->request;
    (void)snprintf(r->to_name, sizeof r->to_name, "%s", to);
    r->to_place = BANK_STAGING;
    if (rename_once(v) != 0) {
        directory_answer_errno(r, BANK_FAILED, errno, "renaming in", v->staging_path);
        return false;
    }
    if (probe_is_there(v, from) || !probe_is_there(v, to)) {
        directory_answer(r, BANK_FAILED,
                         "staging_dir: a rename leaves the old name: this file system can't be used");
        return false;
    }
    return true;
}

static bool probe_drop(struct visit *v)
{
    if (faccessat(v->drop, ".", W_OK | X_OK, AT_EACCESS) != 0) {
        directory_answer_errno(v->request, BANK_FAILED, errno, "writing into drop_dir", v->drop_path);
        return false;
    }
    if (fsync(v->staging) != 0 || fsync(v->drop) != 0) {
        directory_answer_errno(v->request, BANK_FAILED, errno, "flushing the directory", v->drop_path);
        return false;
    }
    return true;
}

static void do_probe(struct visit *v)
{
    struct bank_request *r = v->request;
    char to[BANK_NAME_SIZE];
    r->place = BANK_STAGING;
    (void)snprintf(to, sizeof to, "%.*s.2", BANK_NAME_SIZE - 3, r->name);
    /* Left by a probe that died. */
    (void)unlinkat(v->staging, r->name, 0);
    (void)unlinkat(v->staging, to, 0);
    if (probe_create_twice(v, r->name) && probe_rename(v, r->name, to) && probe_drop(v)) {
        r->answer = BANK_OK;
    }
    (void)unlinkat(v->staging, r->name, 0);
    (void)unlinkat(v->staging, to, 0);
}

/* --- One request ----------------------------------------------------------------------------- */

static bool is_file_name(const char *name)
{
    return name[0] != '\0' && strchr(name, '/') == NULL && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static void act(struct visit *v)
{
    switch (v->request->op) {
    case BANK_CREATE:
        do_create(v);
        break;
    case BANK_STAT:
        do_stat(v);
        break;
    case BANK_RENAME:
        do_rename(v);
        break;
    case BANK_SYNC:
        do_sync(v);
        break;
    case BANK_REMOVE:
        do_remove(v);
        break;
    case BANK_PROBE:
        do_probe(v);
        break;
    case BANK_OPS:
        break;
    }
}

void directory_execute(struct bank_request *r)
{
    struct visit v = {.request = r, .staging = -1, .drop = -1};
    r->text[0] = '\0';
    r->size_bytes = 0;
    r->answer = BANK_DOUBT;
    CHECK(is_file_name(r->name));
    CHECK_IMPLIES(r->op == BANK_RENAME, is_file_name(r->to_name));
    if (visit_begin(&v)) {
        act(&v);
    }
    visit_end(&v);
}
