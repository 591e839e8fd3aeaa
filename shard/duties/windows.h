/* Closing windows at their time. Private to shard/.
 *
 * As ready leader: for each configured window of a day that has windows, once
 * its time has come, one command: CLOSE, or what the policy for missed windows
 * says. A window that has a row is done, whoever made it, so a second leader, a
 * clock that is set back or a hand that was quicker never closes it twice.
 *
 *   closed within WINDOW_GRACE_MS of its time      CLOSE
 *   later, upload_late_until, before that minute   CLOSE (late)
 *   later, upload_late_until, after it             MISSED (its transfers go to the next)
 *   later, next_window                             MISSED
 *   later, hold                                    CLOSE (late, hold)
 *
 * Never before the shard's settings came into force, and no more than
 * MISSED_WINDOW_DAYS_MAX days back. The wall clock may jump: it is read again
 * at least every WINDOW_LOOK_MS. */
#ifndef SHARD_DUTIES_WINDOWS_H
#define SHARD_DUTIES_WINDOWS_H

#include "shard/ach/window.h"
#include "shard/duties/duty.h"

struct windows {
    struct duty_env *env;
    struct task timer;
    bool busy;         /* A command is under way. */
    bool is_caught_up; /* Nothing is overdue: new settings may come in. */
    bool has_next;
    struct window_time next;
    int64_t since_ms; /* When the settings came into force: windows until then are not theirs. */
    bool has_since;
    int64_t checked_ms;    /* All windows until then have rows. */
    int64_t offset_ms;     /* Wall clock less monotonic, at the last look. */
    uint32_t tries;        /* Failures in a row. */
    struct day manual_day; /* Names "M<n>" given on that day: */
    unsigned manual_count;
};

void windows_init(struct windows *w, struct duty_env *env);
/* Leadership began: forget what was known. */
void windows_start(struct windows *w);
void windows_stop(struct windows *w);
/* Do what is due and arm the timer for what is next. */
void windows_look(struct windows *w);

/* Every window whose time has come has its row: new settings may come into
 * force without a window of the old ones being lost. */
bool windows_none_overdue(struct windows *w);
/* New settings came into force. Follow with windows_look(). */
void windows_settings_changed(struct windows *w);

/* A person's CLOSE: set window (its day is today) and the other fields of c.
 * name is a configured window, or empty: then the window is called "M<n>" and
 * has no upload_by.
 * SG_NOTFOUND: no window of that name; SG_UNAVAILABLE: no settings yet;
 * SG_CORRUPT, SG_IO. why says which. */
MUST_USE enum sg_err windows_manual(struct windows *w, struct command *c, char *why, size_t why_size);

/* What to do with a window whose time has come; separate for its test. */
enum window_action { WINDOW_CLOSE = 1, WINDOW_CLOSE_LATE, WINDOW_CLOSE_HELD, WINDOW_LEAVE };
enum window_action window_due_action(const struct shard_settings *s, const struct zone *zone,
                                     const struct window_time *due, int64_t now_ms);

#endif
