/* All duties of one shard's leader together. Private to shard/.
 *
 *   duties_init(); duties_role() at each change; duties_told() when a person's
 *   command was applied; duties_stop(), then duties_release() when
 *   duties_are_idle().
 *
 * What a duty finds out or does may be another duty's turn: duty_wake() collects
 * that, and each duty that was woken looks once at the end of the turn. */
#ifndef SHARD_DUTIES_H
#define SHARD_DUTIES_H

#include "shard/duties/configure.h"
#include "shard/duties/overdue.h"
#include "shard/duties/sealing.h"
#include "shard/duties/submit.h"
#include "shard/upload/upload.h"
#include "shard/duties/windows.h"

struct duties {
    struct duty_env env;
    struct task run;
    unsigned woken;
    struct task again;   /* Armed: the rows could not be read as this replica became ready; */
    uint64_t ready_term; /* in this term. 0: it is not so. */
    unsigned tries;
    struct submitter submitter;
    struct windows windows;
    struct configure configure;
    struct sealing sealing;
    struct uploads uploads;
    struct overdue overdue;
};

/* env's callbacks, names and seams are copied; its wake, impl of wake and state
 * are set here. */
void duties_init(struct duties *d, const struct duty_env *env);
/* leads: this replica is the group's leader; is_ready: and an entry of its own
 * term is applied. Duties start anew with every term. */
void duties_role(struct duties *d, bool leads, bool is_ready, uint64_t term);
/* A command of this kind that a person gave is applied. */
void duties_told(struct duties *d, enum command_kind kind);
/* A majority has the rows that were waited for (duty_env.confirm). */
void duties_confirmed(struct duties *d);
/* As losing leadership, for ever. */
void duties_stop(struct duties *d);
bool duties_are_idle(const struct duties *d);
void duties_release(struct duties *d);

#endif
