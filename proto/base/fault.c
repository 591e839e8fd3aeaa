#include "proto/base/fault.h"

#ifdef SHARDGATE_FAULTS

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/limits.h"
#include "proto/base/mem.h"

struct fault {
    const char *name;
    int signal;
    _Atomic long left; /* Passages until it strikes. */
};

static struct fault faults[FAULTS_MAX];
static size_t faults_count;
static const char *fault_bugs;
static pthread_once_t fault_once = PTHREAD_ONCE_INIT;

static pthread_mutex_t fault_lock = PTHREAD_MUTEX_INITIALIZER;
static void (*fault_handler)(void *impl, const char *name);
static void *fault_impl;

/* A misspelt fault would let a test pass that tests nothing. */
static _Noreturn void fault_bad_spec(const char *spec)
{
    (void)fprintf(stderr, "SHARDGATE_FAULT: cannot read '%s'\n", spec);
    abort();
}

/* "name=kill" or "name=stop:3"; spec is cut up and kept. */
static void fault_parse(char *spec)
{
    char *action = strchr(spec, '=');
    if (action == NULL || action == spec || faults_count == FAULTS_MAX) {
        fault_bad_spec(spec);
    }
    *action++ = '\0';
    struct fault *f = &faults[faults_count++];
    f->name = spec;
    f->signal = strncmp(action, "stop", 4) == 0 ? SIGSTOP : SIGKILL;
    if (f->signal == SIGKILL && strncmp(action, "kill", 4) != 0) {
        fault_bad_spec(action);
    }
    char *end = NULL;
    long left = action[4] == ':' ? strtol(action + 5, &end, 10) : 1;
    if (left < 1 || (end == NULL ? action[4] != '\0' : *end != '\0' || end == action + 5)) {
        fault_bad_spec(action);
    }
    atomic_store(&f->left, left);
}

static void fault_read_environment(void)
{
    const char *specs = getenv("SHARDGATE_FAULT");
    const char *bugs = getenv("SHARDGATE_BUG");
    fault_bugs = bugs == NULL ? "" : mem_strdup(bugs);
    if (specs == NULL || specs[0] == '\0') {
        return;
    }
    char *rest = mem_strdup(specs); /* Lives as long as the process. */
    for (char *spec = NULL; (spec = strsep(&rest, ",")) != NULL;) {
        fault_parse(spec);
    }
}

static void fault_strike(const struct fault *f)
{
    (void)fprintf(stderr, "fault %s: signal %d\n", f->name, f->signal);
    /* raise() signals this thread, so nothing after the point runs before the
     * signal does; kill() may pick another thread and let this one run on. */
    (void)raise(f->signal);
}

static void fault_by_environment(const char *name)
{
    (void)pthread_once(&fault_once, fault_read_environment);
    for (size_t i = 0; i < faults_count; i++) {
        struct fault *f = &faults[i];
        if (strcmp(f->name, name) == 0 && atomic_fetch_sub(&f->left, 1) == 1) {
            fault_strike(f);
        }
    }
}

void fault_point(const char *name)
{
    (void)pthread_mutex_lock(&fault_lock);
    void (*handler)(void *impl, const char *name) = fault_handler;
    void *impl = fault_impl;
    (void)pthread_mutex_unlock(&fault_lock);
    if (handler != NULL) {
        handler(impl, name);
    } else {
        fault_by_environment(name);
    }
}

void fault_set_handler(void (*handler)(void *impl, const char *name), void *impl)
{
    (void)pthread_mutex_lock(&fault_lock);
    fault_handler = handler;
    fault_impl = impl;
    (void)pthread_mutex_unlock(&fault_lock);
}

void fault_set_bugs(const char *names)
{
    (void)pthread_once(&fault_once, fault_read_environment);
    fault_bugs = names;
}

int64_t fault_clock_ns(void)
{
    struct timespec now = {0, 0};
    (void)clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

bool fault_bug(const char *name)
{
    (void)pthread_once(&fault_once, fault_read_environment);
    size_t n = strlen(name);
    for (const char *p = fault_bugs; *p != '\0'; p += strcspn(p, ",")) {
        p += *p == ',' ? 1 : 0;
        if (strncmp(p, name, n) == 0 && (p[n] == ',' || p[n] == '\0')) {
            return true;
        }
    }
    return false;
}

#else

/* ISO C wants a declaration in every file. */
typedef int fault_points_are_off;

#endif
