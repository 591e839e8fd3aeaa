/* Allocations that fail, of whatever calls malloc(): the product, libraft,
 * jansson, libyaml, LMDB, the C library.
 *
 * The program's own malloc() stands in front of the C library's. What the
 * simulated world allocates for itself (its files are compiled with other
 * names for proto/base/mem.h, see CMakeLists.txt) never fails: it is not a node. */
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/sim/anomaly/anomaly.h"

static bool open_season; /* Allocations are occasions now. */
static bool must_end;    /* One has failed. */
static jmp_buf *process; /* Where the process that ends is left. */

/* --- The product's policy, with a node in the place of the process ------------------------- */

/* Instead of proto/base/check.c's: a node's end is not this program's. */
_Noreturn void check_failed(const char *file, int line, const char *condition)
{
    static const char policy[] = "proto/base/mem.c";
    size_t n = strlen(file);
    char text[512];
    int size;

    open_season = false;
    if (must_end && process != NULL && n >= sizeof policy - 1 &&
        strcmp(file + n - (sizeof policy - 1), policy) == 0) {
        must_end = false;
        anomaly_ended(ENDING_POLICY);
        longjmp(*process, 1);
    }
    size = snprintf(text, sizeof text, "CHECK failed: %s:%d: %s\n", file, line, condition);
    (void)!write(STDERR_FILENO, text, size < 0 ? 0 : (size_t)size);
    abort();
}

static void enter(struct sim_host *h, void (*run)(void *arg), void *arg)
{
    jmp_buf here;
    jmp_buf *outer = process;
    bool was_open = open_season;

    process = &here;
    if (setjmp(here) == 0) {
        open_season = !h->sim->calm;
        run(arg);
    } else {
        host_kill(h);
    }
    process = outer;
    open_season = was_open;
}

static enum sg_err disk(struct sim_host *h, enum mem_kv_op op)
{
    (void)h;
    (void)op;
    return SG_OK;
}

static void stopped(struct sim_host *h, enum sg_err err, const char *why)
{
    sim_fail(h->sim, "I-14", "%s stops with %s: %s", h->name, sg_err_name(err), why);
}

static void buried(void *p)
{
    (void)p;
}

const struct sim_hooks memory_hooks = {.enter = enter, .disk = disk, .stopped = stopped, .buried = buried};

/* --- The allocator ------------------------------------------------------------------------------ */

#ifdef SHARDGATE_SANITIZED

bool memory_season_open(void)
{
    return false;
}

void memory_season_close(void)
{
}

int64_t memory_live(void)
{
    return 0;
}

#else

static int64_t live;

void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *p, size_t size);
void __libc_free(void *p);

bool memory_season_open(void)
{
    open_season = true;
    return true;
}

void memory_season_close(void)
{
    open_season = false;
}

int64_t memory_live(void)
{
    return live;
}

static bool fails(void)
{
    bool now;
    if (!open_season) {
        return false;
    }
    open_season = false; /* What is called from here is not the node's. */
    now = anomaly_now("an allocation");
    must_end = must_end || now;
    open_season = true;
    return now;
}

void *malloc(size_t size)
{
    void *p = fails() ? NULL : __libc_malloc(size);
    live += p != NULL;
    return p;
}

void *calloc(size_t count, size_t size)
{
    void *p = fails() ? NULL : __libc_calloc(count, size);
    live += p != NULL;
    return p;
}

void *realloc(void *p, size_t size)
{
    void *q = fails() ? NULL : __libc_realloc(p, size);
    live += p == NULL && q != NULL;
    return q;
}

void free(void *p)
{
    live -= p != NULL;
    __libc_free(p);
}

#endif

/* --- The world's own: proto/base/mem.h under other names ----------------------------------------------- */

void *world_alloc(size_t size);
void *world_zalloc(size_t count, size_t size);
void *world_realloc(void *p, size_t size);
char *world_strdup(const char *s);

static bool season_close(void)
{
    bool was_open = open_season;
    open_season = false;
    return was_open;
}

static void *season_reopen(bool was_open, void *p)
{
    open_season = was_open;
    if (p == NULL) {
        abort();
    }
    return p;
}

/* The compiler takes malloc() for a function that looks at nothing of ours;
 * through a pointer that it must read each time, it does not. */
static void *(*volatile plain_calloc)(size_t count, size_t size) = calloc;
static void *(*volatile plain_realloc)(void *p, size_t size) = realloc;

void *world_alloc(size_t size)
{
    return world_zalloc(1, size);
}

void *world_zalloc(size_t count, size_t size)
{
    bool was_open = season_close();
    return season_reopen(was_open, plain_calloc(count == 0 ? 1 : count, size == 0 ? 1 : size));
}

void *world_realloc(void *p, size_t size)
{
    bool was_open = season_close();
    return season_reopen(was_open, plain_realloc(p, size == 0 ? 1 : size));
}

char *world_strdup(const char *s)
{
    size_t size = strlen(s) + 1;
    return memcpy(world_alloc(size), s, size);
}
