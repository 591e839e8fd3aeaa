#include "proto/base/logger.h"

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "proto/base/units.h"

#define LINE_SIZE 2048
#define LINE_CUT "..."
#define LOG_TEXT_CUT "...\""

struct logger_output {
    logger_sink sink; /* NULL: stderr. */
    void *impl;
    int64_t (*clock_ms)(void *impl);
};

static _Atomic int logger_level = LOG_INFO;
static pthread_mutex_t logger_lock = PTHREAD_MUTEX_INITIALIZER;
static struct logger_output logger_output;

/* One spare byte stays free for the newline. */
struct line {
    char text[LINE_SIZE + 1];
    size_t n;
};

static const char *level_text(enum log_level level)
{
    static const char *const texts[] = {"debug", "info ", "warn ", "error"};
    return (unsigned)level < sizeof(texts) / sizeof(texts[0]) ? texts[level] : "?    ";
}

static struct logger_output logger_get_output(void)
{
    (void)pthread_mutex_lock(&logger_lock);
    struct logger_output output = logger_output;
    (void)pthread_mutex_unlock(&logger_lock);
    return output;
}

static int64_t real_clock_ms(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void PRINTF_LIKE(2, 0) line_vadd(struct line *l, const char *fmt, va_list args)
{
    size_t room = LINE_SIZE - l->n;
    int n = vsnprintf(l->text + l->n, room, fmt, args);
    if (n < 0) {
        return;
    }
    if ((size_t)n < room) {
        l->n += (size_t)n;
        return;
    }
    l->n = LINE_SIZE - 1;
    memcpy(l->text + l->n - strlen(LINE_CUT), LINE_CUT, strlen(LINE_CUT));
}

static void PRINTF_LIKE(2, 3) line_add(struct line *l, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    line_vadd(l, fmt, args);
    va_end(args);
}

static void line_add_scope(struct line *l, const struct log_scope *scope)
{
    if (scope == NULL) {
        return;
    }
    if (scope->node != NULL) {
        line_add(l, " node=%s", scope->node);
    }
    if (scope->has_group && scope->group == 0) {
        line_add(l, " group=catalog");
    } else if (scope->has_group) {
        line_add(l, " aba=%09u", (unsigned)scope->group);
    }
    if (scope->term != 0) {
        line_add(l, " term=%llu", (unsigned long long)scope->term);
    }
}

/* The last net: whatever was handed over, it is one line. */
static void line_tame(struct line *l)
{
    for (size_t i = 0; i < l->n; i++) {
        unsigned char c = (unsigned char)l->text[i];
        if (c < 0x20 || c == 0x7f) {
            l->text[i] = '?';
        }
    }
    l->text[l->n] = '\0';
}

static void line_write(struct line *l)
{
    ssize_t written = 0;
    l->text[l->n] = '\n';
    do {
        written = write(STDERR_FILENO, l->text, l->n + 1);
    } while (written < 0 && errno == EINTR);
    /* There is no place left to report to when stderr is gone. */
}

/* How c stands within quotes; its length. */
static size_t escaped(unsigned char c, char out[5])
{
    if (c == '\n') {
        return (size_t)snprintf(out, 5, "\\n");
    }
    if (c == '"' || c == '\\') {
        return (size_t)snprintf(out, 5, "\\%c", c);
    }
    return (size_t)snprintf(out, 5, c < 0x20 || c > 0x7e ? "\\x%02x" : "%c", c);
}

const char *logger_text(const char *text, char out[static LOG_TEXT_SIZE])
{
    const size_t end = LOG_TEXT_SIZE - sizeof LOG_TEXT_CUT; /* What closes the text fits behind it. */
    char c[5];
    size_t at = 1;
    out[0] = '"';
    for (; *text != '\0'; text++) {
        size_t n = escaped((unsigned char)*text, c);
        if (at + n > end) {
            (void)snprintf(out + at, LOG_TEXT_SIZE - at, LOG_TEXT_CUT);
            return out;
        }
        memcpy(out + at, c, n);
        at += n;
    }
    (void)snprintf(out + at, LOG_TEXT_SIZE - at, "\"");
    return out;
}

void logger_line(enum log_level level, const struct log_scope *scope, const char *event, const char *fmt, ...)
{
    if ((int)level < atomic_load_explicit(&logger_level, memory_order_relaxed)) {
        return;
    }
    struct logger_output output = logger_get_output();
    int64_t now_ms = output.clock_ms != NULL ? output.clock_ms(output.impl) : real_clock_ms();
    char when[TIME_TEXT_SIZE];
    struct line l;
    l.n = 0;
    line_add(&l, "%s %s %s", time_text(now_ms, when), level_text(level), event);
    line_add_scope(&l, scope);
    if (fmt[0] != '\0') {
        line_add(&l, " ");
        va_list args;
        va_start(args, fmt);
        line_vadd(&l, fmt, args);
        va_end(args);
    }
    line_tame(&l);
    if (output.sink != NULL) {
        output.sink(output.impl, level, l.text);
    } else {
        line_write(&l);
    }
}

void logger_set_level(enum log_level level)
{
    atomic_store_explicit(&logger_level, (int)level, memory_order_relaxed);
}

void logger_set_sink(logger_sink sink, void *impl, int64_t (*clock_ms)(void *impl))
{
    (void)pthread_mutex_lock(&logger_lock);
    logger_output = (struct logger_output){sink, impl, clock_ms};
    (void)pthread_mutex_unlock(&logger_lock);
}
