/* Structured log lines: time, level, event, then key=value pairs.
 *
 *   2026-11-23T15:00:00.000Z info  leader.elected node=n1 aba=231380104 term=4 ...
 *
 * One line a call, written at once; safe from any thread. The sink is stderr
 * unless another is set (tests, the simulator). Not for money's record: that
 * is the replicated event table. */
#ifndef PROTO_BASE_LOGGER_H
#define PROTO_BASE_LOGGER_H

#include <stdint.h>

#include "proto/base/check.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* Whose line it is. Zero fields are left out. */
struct log_scope {
    const char *node;  /* Name, or NULL. */
    uint32_t group;    /* Routing number as an integer; see has_group. */
    uint8_t has_group; /* The catalog is group 0, so 0 cannot mean none. */
    uint64_t term;
};

typedef void (*logger_sink)(void *impl, enum log_level level, const char *line);

/* A free text as a value, in quotes: why=%s with LOG_TEXT(why). Whoever cuts a
 * line into its values gets this one back whole, whatever is in it: quotes and
 * backslashes have a backslash before them, line ends are \n, and what is not
 * printable ASCII is \xNN. A text that is too long ends with ... in its quotes.
 * For all that may hold a blank or comes from outside; what is left are names
 * and numbers of our own. Valid until the end of the block. */
#define LOG_TEXT_SIZE 1024
#define LOG_TEXT(text) logger_text((text), (char[LOG_TEXT_SIZE]){0})
const char *logger_text(const char *text, char out[static LOG_TEXT_SIZE]);

/* event is a dotted name; fmt makes the key=value rest (may be ""). LOG_TEXT()
 * makes the quotes around values. scope may be NULL. */
void logger_line(enum log_level level, const struct log_scope *scope, const char *event, const char *fmt, ...)
    PRINTF_LIKE(4, 5);

/* Lines below level are dropped. Default LOG_INFO. */
void logger_set_level(enum log_level level);
/* Where lines go; sink NULL restores stderr. clock_ms NULL: the real clock. */
void logger_set_sink(logger_sink sink, void *impl, int64_t (*clock_ms)(void *impl));

#endif
