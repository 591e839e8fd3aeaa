/* Ctrl-C (and SIGTERM, SIGHUP) while a command is under way.
 *
 * A command that only reads ends by the signal, as any program. One that has begun
 * to change something says what may still happen, and ends with CLI_UNKNOWN. */
#ifndef SUPERVISOR_CLI_INTERRUPT_H
#define SUPERVISOR_CLI_INTERRUPT_H

#include "supervisor/cli/cli.h"

/* From here on the signals are taken by a thread of their own. Before any other
 * thread begins, since threads inherit what is blocked; again is no harm. c is
 * borrowed until interrupt_end(). */
void interrupt_begin(const struct cli *c);
/* This request leaves now. Any thread. */
void interrupt_asked(const struct request *r);
/* Signals are as they were. Without interrupt_begin() nothing happens. */
void interrupt_end(void);

#endif
