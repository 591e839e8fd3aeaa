/* The loop: a child for each occasion, and what became of them. */
#include "tests/sim/anomaly/anomaly.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "proto/base/hash.h"
#include "proto/base/logger.h"
#include "supervisor/base/memory.h"

#define CHILD_LIMIT_S 120
#define JOBS_MAX 16

static const char usage[] = "sim_anomaly memory|store [--first N] [--stride N] [--jobs N]\n"
                            "            [--seed N] [--scenario FILE] [--at N] [--verbose]\n"
                            "\n"
                            "Runs a fixed scenario once for each allocation or operation of a store, which\n"
                            "fails: all up to --first, then each --stride-th (1: all of them).\n"
                            "  --at N     the N-th alone, in this process\n"
                            "  --verbose  with --at: every event and every log line\n";

enum which { LOOP_MEMORY, LOOP_STORE };

static struct {
    enum which loop;
    uint64_t first, stride, at, seed, jobs;
    const char *scenario;
    bool verbose;
} options = {.first = 1, .stride = 1, .seed = 1, .jobs = 2};

static const char *const ending_texts[ENDINGS] = {
    [ENDING_WENT_ON] = "went on",
    [ENDING_BROKEN] = "broken",
    [ENDING_USAGE] = "misused",
    [ENDING_POLICY] = "nodes ended for want of memory",
    [ENDING_FATAL] = "nodes ended over their store",
    [ENDING_STOPPED] = "groups stopped",
    [ENDING_REFUSED] = "nodes did not start",
};

static uint64_t occasions;
static bool is_child; /* Its failure has happened: it goes on to the end. */
static enum ending ending = ENDING_WENT_ON;

static struct child {
    pid_t pid;
    uint64_t at;
    const char *how;
} children[JOBS_MAX];
static const char *const loop_names[] = {"memory", "store"};
static uint64_t running;
static uint64_t ended[ENDINGS];

/* --- Children ----------------------------------------------------------------------------- */

static void child_repeat(const struct child *c)
{
    (void)fprintf(stderr,
                  "the failure: %s\nrepeat with: scripts/anomaly %s --at %" PRIu64 " --seed %" PRIu64 "\n",
                  c->how, loop_names[options.loop], c->at, options.seed);
}

static struct child *child_wait(void)
{
    int status = 0;
    pid_t pid = wait(&status);
    struct child *c = children;

    CHECK(pid > 0);
    while (c->pid != pid) {
        c++;
    }
    c->pid = 0;
    running--;
    if (WIFEXITED(status) && WEXITSTATUS(status) < ENDINGS && WEXITSTATUS(status) != ENDING_BROKEN &&
        WEXITSTATUS(status) != ENDING_USAGE) {
        ended[WEXITSTATUS(status)]++;
        return c;
    }
    if (WIFSIGNALED(status)) {
        (void)fprintf(stderr, "signal %d\n", WTERMSIG(status));
    }
    ended[ENDING_BROKEN]++;
    child_repeat(c);
    return c;
}

static struct child *child_slot(void)
{
    if (running == options.jobs) {
        return child_wait();
    }
    for (struct child *c = children;; c++) {
        if (c->pid == 0) {
            return c;
        }
    }
}

/* true in the child. */
static bool child_start(const char *how)
{
    struct child *c = child_slot();
    pid_t pid = fork();

    CHECK(pid >= 0);
    if (pid == 0) {
        is_child = true;
        (void)alarm(CHILD_LIMIT_S);
        return true;
    }
    c->pid = pid;
    c->at = occasions;
    c->how = how;
    running++;
    return false;
}

bool anomaly_now(const char *how)
{
    if (is_child) {
        return false;
    }
    occasions++;
    if (options.at > 0) {
        is_child = occasions == options.at;
        return is_child;
    }
    if ((occasions > options.first && occasions % options.stride != 0) || ended[ENDING_BROKEN] > 0) {
        return false;
    }
    return child_start(how);
}

void anomaly_ended(enum ending how)
{
    ending = how;
}

/* --- Leaks ------------------------------------------------------------------------------------ */

#ifdef SHARDGATE_SANITIZED

int __lsan_do_recoverable_leak_check(void);
const char *__lsan_default_suppressions(void);
const char *__lsan_default_options(void);

const char *__lsan_default_options(void)
{
    return "print_suppressions=0";
}

/* The world's own goes with the process; memory.c makes it. */
const char *__lsan_default_suppressions(void)
{
    return "leak:world_zalloc\nleak:world_realloc\n";
}

static bool leaks(void)
{
    return __lsan_do_recoverable_leak_check() != 0;
}

#else

static bool leaks(void)
{
    return false;
}

#endif

/* --- The scenario --------------------------------------------------------------------------- */

static void to_stderr(void *impl, enum log_level level, const char *line)
{
    (void)impl;
    (void)level;
    if (options.verbose) {
        (void)fprintf(stderr, "%s\n", line);
    }
}

static int64_t log_clock(void *impl)
{
    const struct sim *s = impl;
    return s->wall_start_ms + (int64_t)(s->now_us / 1000);
}

static bool scenario_run(void)
{
    static struct sim s;
    struct sim_plan plan;
    char why[256];

    plan_draw(&plan, options.seed);
    if (!plan_read(&plan, options.scenario, why, sizeof why)) {
        (void)fprintf(stderr, "sim_anomaly: %s\n", why);
        return false;
    }
    logger_set_sink(to_stderr, &s, log_clock);
    sim_hooks = options.loop == LOOP_MEMORY ? &memory_hooks : &store_hooks;
    sim_run(&s, &plan, options.verbose);
    if (is_child && options.loop == LOOP_STORE) {
        store_judge(&s);
    }
    return true;
}

static int report(void)
{
    uint64_t tried = 0;
    while (running > 0) {
        (void)child_wait();
    }
    for (int i = 0; i < ENDINGS; i++) {
        tried += ended[i];
    }
    (void)printf("occasions %" PRIu64 ", tried %" PRIu64, occasions, tried);
    for (int i = 0; i < ENDINGS; i++) {
        if (ended[i] > 0) {
            (void)printf(", %s %" PRIu64, ending_texts[i], ended[i]);
        }
    }
    (void)printf("\n");
    return tried == 0 || ended[ENDING_BROKEN] > 0;
}

/* --- Options ----------------------------------------------------------------------------------- */

static bool number(const char *text, uint64_t *out)
{
    char *end;
    errno = 0;
    *out = strtoull(text, &end, 10);
    return errno == 0 && end != text && *end == '\0' && *out > 0;
}

static bool option(const char *name, const char *value)
{
    static const struct {
        const char *name;
        uint64_t *value;
    } numbers[] = {{"--first", &options.first},
                   {"--stride", &options.stride},
                   {"--jobs", &options.jobs},
                   {"--seed", &options.seed},
                   {"--at", &options.at}};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        if (strcmp(name, numbers[i].name) == 0) {
            return number(value, numbers[i].value) && options.jobs <= JOBS_MAX;
        }
    }
    if (strcmp(name, "--scenario") == 0) {
        options.scenario = value;
        return true;
    }
    return false;
}

static bool loop_named(const char *name)
{
    for (unsigned i = 0; i < sizeof loop_names / sizeof loop_names[0]; i++) {
        if (strcmp(name, loop_names[i]) == 0) {
            options.loop = (enum which)i;
            return true;
        }
    }
    return false;
}

int main(int argc, char **argv)
{
    bool good = argc > 1 && loop_named(argv[1]);

    options.scenario = SHARDGATE_TEST_DIR "/sim/scenarios/anomaly";
    for (int i = 2; good && i < argc; i++) {
        if (strcmp(argv[i], "--verbose") == 0) {
            options.verbose = true;
        } else {
            good = i + 1 < argc && option(argv[i], argv[i + 1]);
            i++;
        }
    }
    if (!good) {
        (void)fputs(usage, stderr);
        return ENDING_USAGE;
    }
    hash_init();
    memory_begin();
    if (!scenario_run()) {
        return ENDING_USAGE;
    }
    if (is_child && leaks()) {
        ending = ENDING_BROKEN;
    }
    if (is_child) {
        (void)printf("%s%s", options.at > 0 ? ending_texts[ending] : "", options.at > 0 ? "\n" : "");
        (void)fflush(NULL);
        _Exit((int)ending);
    }
    return report();
}
