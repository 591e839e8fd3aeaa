/* sim: runs seeds, each in a process of its own, and adds up what they covered. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/hash.h"
#include "proto/base/logger.h"
#include "tests/sim/sim.h"

#define JOBS_MAX 64
#define SETS_MAX 4

struct options {
    uint64_t first, last;
    double minutes;
    const char *scenario;
    const char *sets[SETS_MAX];
    size_t sets_count;
    unsigned jobs;
    bool verbose, keep_going, each;
};

struct outcome_line {
    uint64_t seed, hash;
    struct sim_stats stats;
};

struct job {
    pid_t pid;
    int fd;
    uint64_t seed;
};

static const char usage[] = "sim [--seed N | --seeds A..B] [--minutes M] [--scenario FILE] [--set KEY=VALUE] "
                            "[--jobs N] [--each] [--keep-going] [--verbose]\n"
                            "\n"
                            "Runs whole clusters in one process, each under a seed. A seed that breaks an\n"
                            "invariant says which, shows the last events and how to repeat it; status 1.\n"
                            "  --set K=V      over what the seed and the scenario say, up to four times\n"
                            "  --minutes M    go on with further seeds for that long\n"
                            "  --each         a line for each seed, with the hash of its events\n"
                            "  --keep-going   do not stop at the first seed that fails\n"
                            "  --verbose      every event and log line (with --seed)\n";

static double seconds(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool number(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0';
}

static bool range(const char *text, struct options *o)
{
    char first[32];
    const char *dots = strstr(text, "..");
    size_t n = dots == NULL ? sizeof first : (size_t)(dots - text);
    if (n >= sizeof first) {
        return false;
    }
    memcpy(first, text, n);
    first[n] = '\0';
    return number(first, &o->first) && number(dots + 2, &o->last) && o->first <= o->last;
}

static bool option(struct options *o, const char *name, const char *value, bool *used)
{
    uint64_t n = 0;
    *used = false;
    if (strcmp(name, "--each") == 0) {
        o->each = true;
        return true;
    }
    if (strcmp(name, "--keep-going") == 0) {
        o->keep_going = true;
        return true;
    }
    if (strcmp(name, "--verbose") == 0) {
        o->verbose = true;
        return true;
    }
    *used = true;
    if (value == NULL) {
        return false;
    }
    if (strcmp(name, "--seed") == 0) {
        o->each = true;
        return number(value, &o->first) && number(value, &o->last);
    }
    if (strcmp(name, "--seeds") == 0) {
        return range(value, o);
    }
    if (strcmp(name, "--scenario") == 0) {
        o->scenario = value;
        return true;
    }
    if (strcmp(name, "--set") == 0 && o->sets_count < SETS_MAX) {
        o->sets[o->sets_count++] = value;
        return true;
    }
    if (strcmp(name, "--minutes") == 0) {
        o->minutes = strtod(value, NULL);
        return o->minutes > 0;
    }
    if (strcmp(name, "--jobs") == 0 && number(value, &n) && n >= 1 && n <= JOBS_MAX) {
        o->jobs = (unsigned)n;
        return true;
    }
    return false;
}

static void quiet(void *impl, enum log_level level, const char *line)
{
    (void)impl;
    (void)level;
    (void)line;
}

static int64_t log_clock(void *impl)
{
    const struct sim *s = impl;
    return sim_wall_begin_ms(s) + (int64_t)(s->now_us / 1000);
}

static void to_stderr(void *impl, enum log_level level, const char *line)
{
    (void)impl;
    (void)level;
    (void)fprintf(stderr, "%s\n", line);
}

static bool plan_make(const struct options *o, uint64_t seed, struct sim_plan *plan)
{
    char why[256];
    plan_draw(plan, seed);
    if (o->scenario != NULL && !plan_read(plan, o->scenario, why, sizeof why)) {
        (void)fprintf(stderr, "sim: %s\n", why);
        return false;
    }
    for (size_t i = 0; i < o->sets_count; i++) {
        if (!plan_set(plan, o->sets[i], why, sizeof why)) {
            (void)fprintf(stderr, "sim: %s\n", why);
            return false;
        }
    }
    return true;
}

#ifdef SHARDGATE_COVERAGE
void __gcov_dump(void);
#endif

_Noreturn static void end(int status)
{
#ifdef SHARDGATE_COVERAGE
    __gcov_dump(); /* scripts/coverage counts lines; _Exit() would lose the counts. */
#endif
    _Exit(status);
}

_Noreturn static void child(const struct options *o, uint64_t seed, int fd)
{
    static struct sim s;
    struct sim_plan plan;
    struct outcome_line line = {.seed = seed};

    CHECK(plan_make(o, seed, &plan));
    hash_init();
    logger_set_level(o->verbose ? LOG_INFO : LOG_ERROR);
    logger_set_sink(o->verbose ? to_stderr : quiet, &s, log_clock);
    sim_catch_signals(&s);
    memory_start(&s);
    sim_run(&s, &plan, o->verbose);
    line.hash = s.trace_hash;
    line.stats = s.stats;
    if (write(fd, &line, sizeof line) != (ssize_t)sizeof line) {
        end(2);
    }
    end(0);
}

static void job_start(const struct options *o, struct job *j, uint64_t seed)
{
    int fds[2];
    CHECK(pipe(fds) == 0);
    (void)fflush(NULL);
    j->pid = fork();
    CHECK(j->pid >= 0);
    if (j->pid == 0) {
        (void)close(fds[0]);
        child(o, seed, fds[1]);
    }
    (void)close(fds[1]);
    j->fd = fds[0];
    j->seed = seed;
}

struct totals {
    struct sim_stats sum;
    uint64_t seeds, failed;
    double busy_s; /* Of all processors. */
};

static void totals_add(struct totals *t, const struct sim_stats *s)
{
    const uint64_t *from = (const uint64_t *)(const void *)s;
    uint64_t *to = (uint64_t *)(void *)&t->sum;
    uint64_t calm_ms = s->calm_ms > t->sum.calm_ms ? s->calm_ms : t->sum.calm_ms;
    _Static_assert(sizeof *s % sizeof(uint64_t) == 0, "figures only");
    for (size_t i = 0; i < sizeof *s / sizeof(uint64_t); i++) {
        to[i] += from[i];
    }
    t->sum.calm_ms = calm_ms;
}

/* Waits for one job to end; its place in jobs. */
static size_t job_end(const struct options *o, struct job *jobs, size_t count, struct totals *t)
{
    int status = 0;
    struct rusage used;
    pid_t pid = wait4(-1, &status, 0, &used);
    size_t i = 0;
    struct outcome_line line;

    CHECK(pid > 0);
    while (i < count && jobs[i].pid != pid) {
        i++;
    }
    CHECK(i < count);
    t->seeds++;
    t->busy_s += (double)(used.ru_utime.tv_sec + used.ru_stime.tv_sec) +
                 (double)(used.ru_utime.tv_usec + used.ru_stime.tv_usec) / 1e6;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0 &&
        read(jobs[i].fd, &line, sizeof line) == (ssize_t)sizeof line) {
        totals_add(t, &line.stats);
        if (o->each) {
            (void)printf("seed %" PRIu64 " hash %016" PRIx64 " events %" PRIu64 " commits %" PRIu64
                         " virtual %" PRIu64 " ms, longest wait %" PRIu64 " ms\n",
                         line.seed, line.hash, line.stats.events, line.stats.commits, line.stats.virtual_ms,
                         line.stats.calm_ms);
        }
    } else {
        t->failed++;
        if (WIFSIGNALED(status)) {
            (void)fprintf(stderr, "seed %" PRIu64 " was ended by signal %d\n", jobs[i].seed,
                          WTERMSIG(status));
        }
    }
    (void)close(jobs[i].fd);
    jobs[i].pid = 0;
    return i;
}

static void print_totals(const struct totals *t, double took_s)
{
    const struct sim_stats *s = &t->sum;
    (void)printf("seeds %" PRIu64 ", failed %" PRIu64 "\n", t->seeds, t->failed);
    (void)printf("events %" PRIu64 ", frames %" PRIu64 ", calls %" PRIu64 ", commits %" PRIu64
                 ", elections %" PRIu64 ", installs %" PRIu64 "\n",
                 s->events, s->frames, s->calls, s->commits, s->elections, s->installs);
    (void)printf("accepted %" PRIu64 ", folded %" PRIu64 ", rejected %" PRIu64 ", cancelled %" PRIu64
                 ", uploads %" PRIu64 ", on hold %" PRIu64 ", windows missed %" PRIu64 "\n",
                 s->accepted, s->folded, s->rejected, s->cancelled, s->uploads, s->holds, s->missed);
    (void)printf("crashes %" PRIu64 ", pauses %" PRIu64 ", partitions %" PRIu64 ", disk errors %" PRIu64
                 ", changes of replicas %" PRIu64 "\n",
                 s->kills, s->pauses, s->partitions, s->io_errors, s->changes);
    (void)printf("longest wait after the faults %.1f s\n", (double)s->calm_ms / 1e3);
    double virtual_s = (double)s->virtual_ms / 1e3;
    (void)printf("virtual %.0f s in %.1f s: %.0f times real time; %.1f s of processors: %.0f times on one\n",
                 virtual_s, took_s, virtual_s / took_s, t->busy_s, t->busy_s > 0 ? virtual_s / t->busy_s : 0);
}

static int run_all(const struct options *o)
{
    struct job jobs[JOBS_MAX] = {{0, 0, 0}};
    struct totals totals = {.seeds = 0};
    double start_s = seconds();
    uint64_t seed = o->first;
    unsigned running = 0;

    for (;;) {
        bool more = seed <= o->last || (o->minutes > 0 && seconds() - start_s < 60 * o->minutes);
        more = more && (totals.failed == 0 || o->keep_going);
        if (!more && running == 0) {
            break;
        }
        if (more && running < o->jobs) {
            size_t i = 0;
            while (jobs[i].pid != 0) {
                i++;
            }
            job_start(o, &jobs[i], seed++);
            running++;
            continue;
        }
        (void)job_end(o, jobs, JOBS_MAX, &totals);
        running--;
    }
    print_totals(&totals, seconds() - start_s);
    return totals.failed == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct options o = {.first = 1, .last = 20, .jobs = 2};
    bool ranged = false;

    for (int i = 1; i < argc; i++) {
        bool used;
        if (!option(&o, argv[i], i + 1 < argc ? argv[i + 1] : NULL, &used)) {
            (void)fprintf(stderr, "sim: %s is not known, or its value does not fit\n\n%s", argv[i], usage);
            return 2;
        }
        ranged = ranged || strncmp(argv[i], "--seed", 6) == 0;
        i += used;
    }
    if (o.minutes > 0 && !ranged) {
        o.last = o.first;
    }
    if (o.verbose && o.first != o.last) {
        (void)fputs("sim: --verbose wants one seed: --seed N\n", stderr);
        return 2;
    }
    struct sim_plan plan;
    if (!plan_make(&o, o.first, &plan)) {
        return 2;
    }
    return run_all(&o);
}
