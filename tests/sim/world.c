#include <inttypes.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/base/mem.h"
#include "tests/sim/sim.h"

#define EVENTS_A_SECOND_MAX 300000u
#define FOLD_LINES 40
#define TURN_END (1ull << 63) /* In an event's order: after the rest of its moment. */

/* --- Random: splitmix64, small and good enough to choose faults ------------------------- */

uint64_t sim_random(struct sim *s)
{
    uint64_t z = (s->rng += 0x9e3779b97f4a7c15ull);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

uint64_t sim_below(struct sim *s, uint64_t n)
{
    CHECK(n > 0);
    return sim_random(s) % n;
}

bool sim_chance(struct sim *s, uint32_t per_million)
{
    return per_million > 0 && sim_below(s, 1000000) < per_million;
}

uint64_t sim_skewed(struct sim *s, uint64_t low, uint64_t high)
{
    uint64_t range = high > low ? high - low : 0;
    uint64_t a = sim_below(s, range + 1);
    uint64_t b = sim_below(s, range + 1);
    uint64_t c = sim_below(s, range + 1);
    a = a < b ? a : b;
    return low + (a < c ? a : c);
}

uint64_t sim_gap_us(struct sim *s, uint64_t every_ms)
{
    return 1000 * (every_ms / 4) + sim_below(s, 1500 * every_ms + 1);
}

/* --- The heap ----------------------------------------------------------------------------- */

static bool earlier(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_us < b->at_us || (a->at_us == b->at_us && a->order < b->order);
}

static void place(struct sim *s, size_t slot, struct sim_event *e)
{
    s->heap[slot] = e;
    e->slot = slot;
}

static void sift_up(struct sim *s, size_t slot)
{
    struct sim_event *e = s->heap[slot];
    while (slot > 0 && earlier(e, s->heap[(slot - 1) / 2])) {
        place(s, slot, s->heap[(slot - 1) / 2]);
        slot = (slot - 1) / 2;
    }
    place(s, slot, e);
}

static void sift_down(struct sim *s, size_t slot)
{
    struct sim_event *e = s->heap[slot];
    for (;;) {
        size_t child = 2 * slot + 1;
        if (child >= s->heap_count) {
            break;
        }
        if (child + 1 < s->heap_count && earlier(s->heap[child + 1], s->heap[child])) {
            child++;
        }
        if (!earlier(s->heap[child], e)) {
            break;
        }
        place(s, slot, s->heap[child]);
        slot = child;
    }
    place(s, slot, e);
}

static void heap_add(struct sim *s, struct sim_event *e)
{
    if (s->heap_count == s->heap_cap) {
        s->heap_cap = s->heap_cap == 0 ? 1024 : 2 * s->heap_cap;
        s->heap = mem_realloc(s->heap, s->heap_cap * sizeof s->heap[0]);
    }
    s->heap[s->heap_count] = e;
    sift_up(s, s->heap_count++);
}

static void heap_remove(struct sim *s, struct sim_event *e)
{
    size_t slot = e->slot;
    struct sim_event *last = s->heap[--s->heap_count];
    e->slot = SIZE_MAX;
    if (last == e) {
        return;
    }
    place(s, slot, last);
    sift_down(s, slot);
    sift_up(s, last->slot);
}

/* Events come and go by the million: they are kept for reuse. */
static struct sim_event *event_new(struct sim *s)
{
    struct sim_event *e = s->unused;
    if (e == NULL) {
        return mem_zalloc(1, sizeof *e);
    }
    s->unused = e->arg;
    memset(e, 0, sizeof *e);
    return e;
}

static void event_free(struct sim *s, struct sim_event *e)
{
    e->arg = s->unused;
    s->unused = e;
}

static struct sim_event *add(struct sim *s, struct sim_host *host, struct sim_lane *lane, uint64_t delay_us,
                             uint64_t order, void (*run)(void *arg), void *arg)
{
    struct sim_event *e = event_new(s);
    e->at_us = s->now_us + delay_us;
    e->order = order;
    e->host = host;
    e->lane = lane;
    e->life = host == NULL ? 0 : host->life;
    e->run = run;
    e->arg = arg;
    heap_add(s, e);
    return e;
}

struct sim_event *sim_at(struct sim *s, struct sim_host *host, uint64_t delay_us, void (*run)(void *arg),
                         void *arg)
{
    return add(s, host, host == NULL ? NULL : &host->lanes[0], delay_us, s->order++, run, arg);
}

struct sim_event *sim_at_lane(struct sim_lane *lane, uint64_t delay_us, void (*run)(void *arg), void *arg)
{
    struct sim *s = lane->host->sim;
    return add(s, lane->host, lane, delay_us, s->order++, run, arg);
}

struct sim_event *sim_at_thread(struct sim_host *host, uint64_t delay_us, void (*run)(void *arg), void *arg)
{
    return add(host->sim, host, NULL, delay_us, host->sim->order++, run, arg);
}

struct sim_event *sim_at_turn_end(struct sim_lane *lane, void (*run)(void *arg), void *arg)
{
    struct sim *s = lane->host->sim;
    return add(s, lane->host, lane, 0, TURN_END | s->order++, run, arg);
}

void sim_cancel(struct sim *s, struct sim_event *e)
{
    if (e->slot != SIZE_MAX) {
        heap_remove(s, e);
        event_free(s, e);
        return;
    }
    /* Held while its host is paused, or running now: it must do nothing. */
    e->run = NULL;
}

static void mix(struct sim *s, uint64_t v)
{
    s->trace_hash = (s->trace_hash ^ v) * 0x100000001b3ull;
    s->trace_hash ^= s->trace_hash >> 29;
}

/* Timers that are always due would go on for ever at one moment. */
static void busy_look(struct sim *s)
{
    if (s->now_us / 1000000 != s->second) {
        s->second = s->now_us / 1000000;
        s->second_events = 0;
    }
    if (++s->second_events > EVENTS_A_SECOND_MAX) {
        sim_fail(s, "L-2", "more than %u events in one second: something runs in circles",
                 EVENTS_A_SECOND_MAX);
    }
}

const struct sim_hooks *sim_hooks;

void sim_enter(struct sim_host *h, void (*run)(void *arg), void *arg)
{
    struct sim *s;
    struct sim_lane *l;
    if (h == NULL) {
        run(arg);
        return;
    }
    s = h->sim;
    s->running = h;
    l = s->running_lane == NULL ? &h->lanes[0] : s->running_lane;
    struct stamp from = {l->loop_ops, l->loop_ops};
    if (sim_hooks == NULL) {
        run(arg);
    } else {
        sim_hooks->enter(h, run, arg);
    }
    s->running = NULL;
    (void)meter_lap(&l->turns, from, (struct stamp){l->loop_ops, l->loop_ops});
}

void sim_stopped(struct sim_host *h, enum sg_err err, const char *why)
{
    if (sim_hooks != NULL) {
        sim_hooks->stopped(h, err, why);
    }
}

void sim_buried(void *p)
{
    if (sim_hooks != NULL) {
        sim_hooks->buried(p);
    }
}

void sim_drop(const struct sim_event *e)
{
    if (e->drop != NULL) {
        e->drop(e->arg);
    } else if (e->run != NULL) { /* Else it was cancelled while it was held. */
        sim_buried(e->arg);
    }
}

bool sim_step(struct sim *s)
{
    struct sim_event *e;
    struct sim_host *h;

    if (s->heap_count == 0) {
        return false;
    }
    e = s->heap[0];
    heap_remove(s, e);
    CHECK(e->at_us >= s->now_us);
    s->now_us = e->at_us;
    s->stats.events++;
    busy_look(s);
    mix(s, e->at_us ^ e->order << 20);
    h = e->host;
    if (h != NULL && h->life == e->life && (h->paused || (e->lane != NULL && e->lane->stalled))) {
        host_hold(e);
        return true;
    }
    if (h != NULL && h->life != e->life) {
        sim_drop(e);
    } else if (e->run != NULL) {
        s->running_lane = e->lane;
        sim_enter(h, e->run, e->arg);
        s->running_lane = NULL;
        if (h != NULL && h->life == e->life && h->up) {
            check_host(h);
        }
    }
    event_free(s, e);
    return true;
}

void sim_run_until(struct sim *s, uint64_t at_us)
{
    while (s->heap_count > 0 && s->heap[0]->at_us <= at_us) {
        (void)sim_step(s);
    }
    s->now_us = at_us;
}

/* --- The trace ------------------------------------------------------------------------------ */

static void mix_text(struct sim *s, const char *text)
{
    for (const char *c = text; *c != '\0'; c++) {
        mix(s, (uint64_t)(unsigned char)*c);
    }
}

static void put_text(char **at, const char *end, const char *text)
{
    while (*text != '\0' && *at < end) {
        *(*at)++ = *text++;
    }
}

static void line_text(const struct sim_line *l, char *out, size_t size)
{
    const char *end = out + size - 1;
    const char *const *word = l->words;
    const uint64_t *n = l->numbers;
    char number[24];

    for (const char *c = l->what; *c != '\0' && out < end; c++) {
        if (*c == '#') {
            (void)snprintf(number, sizeof number, "%" PRIu64, *n++);
            put_text(&out, end, number);
        } else if (*c == '$') {
            put_text(&out, end, *word++);
        } else {
            *out++ = *c;
        }
    }
    *out = '\0';
}

static void line_print(FILE *out, const struct sim_line *l)
{
    char who[16] = "";
    char text[256];
    if (l->host >= 0) {
        (void)snprintf(who, sizeof who, "n%d", l->host + 1);
    }
    line_text(l, text, sizeof text);
    (void)fprintf(out, "  %12.6f s  %-3s %s", (double)l->at_us / 1e6, who, text);
    if (l->repeats > 0) {
        (void)fprintf(out, " (%" PRIu64 " times more until %.6f s)", l->repeats, (double)l->last_us / 1e6);
    }
    (void)fputc('\n', out);
}

static bool is_same(const struct sim_line *a, const struct sim_line *b)
{
    return a->what == b->what && a->host == b->host && memcmp(a->words, b->words, sizeof a->words) == 0 &&
           memcmp(a->numbers, b->numbers, sizeof a->numbers) == 0;
}

/* Answers (those with words) repeat for ever in a cluster that is stuck: one that is
 * among the last lines is only counted. Of what happens the order matters. */
static bool line_fold(struct sim *s, const struct sim_line *l)
{
    uint64_t lines = l->words[0][0] == '\0' ? 1 : FOLD_LINES;
    for (uint64_t back = 1; back <= lines && back <= s->lines_count; back++) {
        struct sim_line *old = &s->lines[(s->lines_count - back) % SIM_TRACE_LINES];
        if (is_same(old, l)) {
            old->repeats++;
            old->last_us = l->at_us;
            return true;
        }
    }
    return false;
}

void sim_trace_words(struct sim *s, const struct sim_host *host, const char *what, const char *word,
                     const char *word2, uint64_t a, uint64_t b)
{
    struct sim_line l = {.at_us = s->now_us,
                         .numbers = {a, b},
                         .host = host == NULL ? -1 : (int)host->index,
                         .what = what,
                         .words = {word, word2}};
    if (!line_fold(s, &l)) {
        s->lines[s->lines_count++ % SIM_TRACE_LINES] = l;
    }
    mix(s, s->now_us);
    mix_text(s, what);
    mix_text(s, word);
    mix_text(s, word2);
    mix(s, a);
    mix(s, b);
    if (s->verbose) {
        line_print(stderr, &l);
    }
}

void sim_trace(struct sim *s, const struct sim_host *host, const char *what, uint64_t a, uint64_t b)
{
    sim_trace_words(s, host, what, "", "", a, b);
}

static const char *invariant_words(const char *number)
{
    static const char *const words[][2] = {
        {"I-1", "what a message tells of is durable"},
        {"I-2", "applied index, rows and digest change together"},
        {"I-3", "an equal applied index is an equal digest"},
        {"I-4", "only what a majority has stored is committed and accepted"},
        {"I-5", "an id gets one answer for ever"},
        {"I-6", "a transfer is in at most one sealed file, which never changes"},
        {"I-7", "a file reaches the bank once and whole, and UPLOADED says so"},
        {"I-8", "only a leader with an entry of its term applied asks a bank"},
        {"I-9", "cents in are cents out"},
        {"I-10", "everything has a limit"},
        {"I-11", "nothing is written after a failed write"},
        {"I-12", "a file is on hold only where its evidence does not decide"},
        {"I-13", "an answer can be read and is about what was asked"},
        {"I-14", "a replica stops only over damage of its own disk"},
        {"I-15", "a window closes once"},
        {"I-18", "a lane uses its own loop, store and ways out only"},
        {"I-19", "what a client is told was not done was not done"},
        {"I-16", "a window whose time has come is closed or missed as its policy says"},
        {"R-1", "one leader for a term and group"},
        {"R-2", "equal index and term is an equal entry"},
        {"R-3", "a leader has every committed entry"},
        {"R-4", "a committed entry never changes"},
        {"R-5", "a replica's voters are those of the newest change in its log"},
        {"R-6", "an answer shows what was told before the question"},
        {"L-1", "when all faults have healed everything due goes out"},
        {"L-4", "a call of the client library ends when its time is over"},
        {"L-3", "no loop turn asks more of the store, however much is in it"},
        {"L-2", "a cluster nobody asks for anything is quiet"},
    };
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        if (strcmp(words[i][0], number) == 0) {
            return words[i][1];
        }
    }
    return "?";
}

static void print_repeat(FILE *out, const struct sim_plan *p)
{
    const char *bugs = getenv("SHARDGATE_BUG");
    (void)fprintf(out, "repeat with: %s%s%sscripts/sim --seed %" PRIu64 "%s%s%s\n",
                  bugs == NULL ? "" : "SHARDGATE_BUG=", bugs == NULL ? "" : bugs, bugs == NULL ? "" : " ",
                  p->seed, p->scenario[0] != '\0' ? " --scenario " : "", p->scenario, p->sets);
}

/* In one piece: other seeds may fail at the same time. */
static void report(struct sim *s, const char *what, const char *why)
{
    uint64_t first = s->lines_count > SIM_TRACE_LINES ? s->lines_count - SIM_TRACE_LINES : 0;
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    CHECK(out != NULL);
    (void)fprintf(out, "seed %" PRIu64 ", its last %" PRIu64 " lines of events:\n", s->plan.seed,
                  s->lines_count - first);
    for (uint64_t i = first; i < s->lines_count; i++) {
        line_print(out, &s->lines[i % SIM_TRACE_LINES]);
    }
    (void)fprintf(out, "seed %" PRIu64 " breaks %s\nafter %.6f s: %s\n", s->plan.seed, what,
                  (double)s->now_us / 1e6, why);
    print_repeat(out, &s->plan);
    (void)fclose(out);
    (void)fflush(stdout);
    (void)fwrite(text, 1, size, stderr);
    (void)fflush(stderr);
}

void sim_fail(struct sim *s, const char *invariant, const char *fmt, ...)
{
    char what[160];
    char why[1024];
    va_list args;

    (void)snprintf(what, sizeof what, "%s (%s)", invariant, invariant_words(invariant));
    va_start(args, fmt);
    (void)vsnprintf(why, sizeof why, fmt, args);
    va_end(args);
    report(s, what, why);
    _Exit(1);
}

/* --- The program's own checks -------------------------------------------------------------- */

static struct sim *running;

/* Everything may be broken, but what led here is still worth more than a core. */
static void on_signal(int number)
{
    (void)alarm(10); /* Should it hang, it ends by another signal. */
    (void)signal(number, SIG_DFL);
    report(running, "a CHECK of the program, or its memory", strsignal(number));
    _Exit(1);
}

void sim_catch_signals(struct sim *s)
{
    static const int numbers[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL};
    running = s;
    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        (void)signal(numbers[i], on_signal);
    }
}
