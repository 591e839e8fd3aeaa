#include "supervisor/cli/offline.h"

#include <dirent.h>
#include <errno.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/logger.h"
#include "proto/base/mem.h"
#include "supervisor/cli/args.h"
#include "supervisor/cli/table.h"

#define LAST_WORDS_SIZE 1024
#define PATH_SIZE 4096

struct lanes {
    const char *dir;
    unsigned numbers[LANES_MAX];
    size_t count;
};

static enum sg_err fail(struct arena *a, struct reply *out, enum sg_err err, const char *text)
{
    *out = (struct reply){.err = err, .text = arena_dup(a, span_str(text))};
    return err;
}

/* --- The child -------------------------------------------------------------------------- */

/* Shared with the parent: the last log line, such as LMDB's reason to abort. */
static void remember(void *impl, enum log_level level, const char *line)
{
    if (level >= LOG_WARN) {
        (void)snprintf(impl, LAST_WORDS_SIZE, "%s", line);
    }
}

/* A fault ends the child at once, whatever handlers its parent had. */
static void default_signals(void)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++) {
        (void)signal(faults[i], SIG_DFL);
    }
}

static _Noreturn void child(const char *lane_dir, const struct request *r, int fd, char *last_words)
{
    const struct rlimit no_core = {0, 0};
    const struct rlimit cpu = {OFFLINE_CPU_MAX_S, OFFLINE_CPU_MAX_S};
    struct bytes reply = BYTES_NONE;
    enum lane_found found;
    size_t at = 0;

    (void)setrlimit(RLIMIT_CORE, &no_core);
    (void)setrlimit(RLIMIT_CPU, &cpu);
    default_signals();
    logger_set_sink(remember, last_words, NULL);
    found = offline_read(lane_dir, r, &reply);
    while (at < reply.n) {
        ssize_t n = write(fd, reply.p + at, reply.n - at);
        if (n < 0 && errno != EINTR) {
            _exit(EXIT_FAILURE);
        }
        at += n > 0 ? (size_t)n : 0;
    }
    _exit((int)found);
}

/* --- The parent -------------------------------------------------------------------------- */

static void read_to_end(int fd, struct bytes *out)
{
    static const size_t piece = 64u << 10;
    ssize_t n;

    do {
        uint8_t *room = bytes_extend(out, piece);
        n = read(fd, room, piece);
        out->n -= n > 0 ? piece - (size_t)n : piece;
    } while (n > 0 || (n < 0 && errno == EINTR));
}

static int wait_for(pid_t pid)
{
    int status = 0;
    while (waitpid(pid, &status, 0) < 0) {
        CHECK(errno == EINTR);
    }
    return status;
}

static enum sg_err died(const char *lane_dir, int status, const char *last_words, struct arena *a,
                        struct reply *out)
{
    int signo = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    return fail(a, out, SG_CORRUPT,
                arena_printf(a, "%s: reading it ended with %s%s%s: the file is damaged or cut short",
                             lane_dir, signo == 0 ? "a failure" : strsignal(signo),
                             last_words[0] == '\0' ? "" : " after ", last_words));
}

static enum lane_found end_of_child(pid_t pid, const char *lane_dir, struct span data, const char *last_words,
                                    struct arena *a, struct reply *out)
{
    int status = wait_for(pid);
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;

    if (code == LANE_HAS_NOT) {
        return LANE_HAS_NOT;
    }
    if (code != LANE_ANSWERED && code != LANE_UNREADABLE) {
        (void)died(lane_dir, status, last_words, a, out);
        return LANE_UNREADABLE;
    }
    if (reply_decode(arena_dup(a, data), a, out) != SG_OK) {
        (void)fail(a, out, SG_CORRUPT, arena_printf(a, "%s: what was read makes no sense", lane_dir));
        return LANE_UNREADABLE;
    }
    return (enum lane_found)code;
}

/* One lane, in a child. */
static enum lane_found ask_lane(const char *lane_dir, const struct request *r, struct arena *a,
                                struct reply *out)
{
    char *last_words = mmap(NULL, LAST_WORDS_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    struct bytes data = BYTES_NONE;
    int fds[2] = {-1, -1};
    enum lane_found found = LANE_UNREADABLE;
    pid_t pid;

    CHECK(last_words != MAP_FAILED);
    if (pipe(fds) != 0) {
        (void)fail(a, out, SG_IO, arena_printf(a, "%s: %s", lane_dir, strerror(errno)));
        goto out;
    }
    (void)fflush(NULL);
    pid = fork();
    if (pid == 0) {
        (void)close(fds[0]);
        child(lane_dir, r, fds[1], last_words);
    }
    (void)close(fds[1]);
    if (pid < 0) {
        (void)fail(a, out, SG_IO, arena_printf(a, "%s: %s", lane_dir, strerror(errno)));
    } else {
        read_to_end(fds[0], &data);
        found = end_of_child(pid, lane_dir, span_bytes(&data), last_words, a, out);
    }
    (void)close(fds[0]);
    bytes_release(&data);
out:
    (void)munmap(last_words, LAST_WORDS_SIZE);
    return found;
}

/* --- Lanes -------------------------------------------------------------------------------- */

static int by_number(const void *a, const void *b)
{
    const unsigned *x = a;
    const unsigned *y = b;
    return *x < *y ? -1 : *x > *y;
}

static void lane_note(struct lanes *l, const char *name)
{
    static const char prefix[] = "lane-";
    uint64_t number;

    if (strncmp(name, prefix, sizeof prefix - 1) == 0 && args_number(name + sizeof prefix - 1, &number) &&
        number < LANES_MAX && l->count < LANES_MAX) {
        l->numbers[l->count++] = (unsigned)number;
    }
}

static enum sg_err lanes_find(const char *dir, struct lanes *l, struct arena *a, struct reply *out)
{
    DIR *d = opendir(dir);
    struct dirent *entry;

    *l = (struct lanes){.dir = dir};
    if (d == NULL) {
        return fail(a, out, errno == ENOENT ? SG_NOTFOUND : SG_IO,
                    arena_printf(a, "%s: %s", dir, strerror(errno)));
    }
    while ((entry = readdir(d)) != NULL) {
        lane_note(l, entry->d_name);
    }
    (void)closedir(d);
    if (l->count == 0) {
        return fail(a, out, SG_NOTFOUND,
                    arena_printf(a, "%s holds no lane-0: it is no node's data directory (data_dir)", dir));
    }
    qsort(l->numbers, l->count, sizeof l->numbers[0], by_number);
    return SG_OK;
}

static void lane_path(const struct lanes *l, size_t i, char out[PATH_SIZE])
{
    (void)snprintf(out, PATH_SIZE, "%s/lane-%u", l->dir, l->numbers[i]);
}

/* --- One shard ------------------------------------------------------------------------------ */

/* A lane that cannot be read might be the one that holds it: that is the answer
 * unless another lane has the shard. */
static enum sg_err ask_shard(const struct lanes *l, const struct request *r, struct arena *a,
                             struct reply *out)
{
    struct reply damage = {.err = SG_OK};
    char aba[ABA_TEXT_SIZE];
    char path[PATH_SIZE];

    for (size_t i = 0; i < l->count; i++) {
        enum lane_found found;
        lane_path(l, i, path);
        found = ask_lane(path, r, a, out);
        if (found == LANE_ANSWERED) {
            return out->err;
        }
        if (found == LANE_UNREADABLE && damage.err == SG_OK) {
            damage = *out;
        }
    }
    if (damage.err != SG_OK) {
        *out = damage;
        return out->err;
    }
    return fail(
        a, out, SG_NOTFOUND,
        arena_printf(a, "%s holds no replica of %s: 'shardgate shards list --data-dir %s' shows what it does",
                     l->dir, aba_text(r->routing_number, aba), l->dir));
}

/* --- shards list ---------------------------------------------------------------------------- */

static int by_routing_number(const void *a, const void *b)
{
    json_t *const *x = a;
    json_t *const *y = b;
    const char *m = json_string_value(json_object_get(*x, "routing_number"));
    const char *n = json_string_value(json_object_get(*y, "routing_number"));
    return strcmp(m == NULL ? "" : m, n == NULL ? "" : n);
}

static json_t *sorted(json_t *rows)
{
    size_t count = json_array_size(rows);
    json_t **all = mem_zalloc(count, sizeof *all);
    json_t *out = json_array();

    for (size_t i = 0; i < count; i++) {
        all[i] = json_array_get(rows, i);
    }
    if (count > 0) {
        qsort(all, count, sizeof *all, by_routing_number);
    }
    for (size_t i = 0; i < count; i++) {
        (void)json_array_append(out, all[i]);
    }
    mem_free(all);
    json_decref(rows);
    return out;
}

static void note_damage(json_t *damaged, const char *lane, struct span text)
{
    CHECK(text.n > 0); /* fail() and the child always say why. */
    (void)json_array_append_new(damaged, json_pack("{s:s,s:o}", "lane", lane, "text", table_json(text)));
}

/* Adds the lane's shards, or its damage; returns the worst of its errors. */
static enum sg_err add_lane(const char *path, const struct request *r, struct arena *a, json_t *shards,
                            json_t *damaged)
{
    const char *lane = strrchr(path, '/') + 1;
    struct reply reply = {.err = SG_OK};
    json_t *document;

    (void)ask_lane(path, r, a, &reply); /* Of no shard in particular: it always has a reply. */
    if (reply.err == SG_OK || reply.json.n > 0) {
        document = json_loadb((const char *)reply.json.p, reply.json.n, 0, NULL);
        CHECK(document != NULL); /* Our own child made it. */
        (void)json_array_extend(shards, json_object_get(document, "shards"));
        json_decref(document);
    }
    if (reply.err != SG_OK) {
        note_damage(damaged, lane, reply.text);
    }
    return reply.err;
}

static enum sg_err list_shards(const struct lanes *l, const struct request *r, struct arena *a,
                               struct reply *out)
{
    json_t *shards = json_array();
    json_t *damaged = json_array();
    enum sg_err worst = SG_OK;
    char path[PATH_SIZE];
    json_t *document;
    char *text;

    for (size_t i = 0; i < l->count; i++) {
        enum sg_err err;
        lane_path(l, i, path);
        err = add_lane(path, r, a, shards, damaged);
        worst = err == SG_CORRUPT || worst == SG_OK ? err : worst;
    }
    document = json_pack("{s:i,s:s,s:o,s:o}", "v", 1, "answered_by", l->dir, "shards", sorted(shards),
                         "damaged", damaged);
    CHECK(document != NULL);
    text = json_dumps(document, JSON_COMPACT);
    CHECK(text != NULL);
    *out = (struct reply){.err = worst, .json = arena_dup(a, span_str(text))};
    if (worst != SG_OK) {
        const json_t *first = json_array_get(json_object_get(document, "damaged"), 0);
        out->text = span_str(arena_printf(a, "%s; only the rest could be read",
                                          json_string_value(json_object_get(first, "text"))));
    }
    free(text); /* jansson's own allocator. */
    json_decref(document);
    return worst;
}

enum sg_err offline_call(const char *dir, const struct request *r, struct arena *a, struct reply *out)
{
    struct lanes l;
    enum sg_err err = lanes_find(dir, &l, a, out);

    if (err != SG_OK) {
        return err;
    }
    return r->kind == REQUEST_SHARDS_LIST ? list_shards(&l, r, a, out) : ask_shard(&l, r, a, out);
}
