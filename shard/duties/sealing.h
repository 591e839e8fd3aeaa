/* Closed windows into sealed files. Private to shard/.
 *
 * For each closed window that is not done, oldest first: on WORKER_READ, in a
 * read transaction of its own, take as many members as fit one file, in the order of
 * acceptance and from where the last file ended, put them in the file's order, build it, read it back with the independent parser and compare;
 * on the loop, propose SEAL with everything that makes the bytes; again, until
 * no member is left: WINDOW_DONE. No members, no file.
 *
 * Creation day and minute come from the SEAL command's own time, modifier and
 * trace numbers from the rows. That time never lies before the window's close or
 * the last file's sealing: a clock that is behind by more than SEALING_BEHIND_MAX_MS
 * is told to people, once a leader. Effective dates are counted from the creation
 * day, and from the minute whether a same-day entry still goes the same day. A file that does not pass its check is never
 * sealed: its window is parked, people are alerted, the other windows go on.
 * People are also alerted of transfers that are due and that the window's settings
 * take no more (their originator was removed, a limit was lowered): these wait. */
#ifndef SHARD_DUTIES_SEALING_H
#define SHARD_DUTIES_SEALING_H

#include "shard/duties/duty.h"

struct sealing {
    struct duty_env *env;
    struct task timer;
    bool busy;                /* Work elsewhere or a command is under way. */
    uint32_t tries;           /* Failures in a row. */
    struct window_id *parked; /* Cannot be sealed for now; alerted. At most SEALING_PARKED_MAX. */
    size_t parked_count, parked_cap;
    bool is_clock_told;       /* That this node's clock is behind the log. */
    struct day used_up_day;   /* Creation day whose 36 modifiers are used; alerted. */
    struct window_id sealing; /* The window at work. */
    struct member_walk walk;  /* How far its pending transfers were judged; anew after a failure. */
};

void sealing_init(struct sealing *s, struct duty_env *env);
void sealing_start(struct sealing *s);
void sealing_stop(struct sealing *s);
/* Seal what can be sealed. */
void sealing_look(struct sealing *s);
/* A person changed something: try the parked windows again. */
void sealing_unpark(struct sealing *s);

/* --- One file; pure but for the read transaction. Separate for its test. ----- */

enum sealing_outcome {
    SEALING_NOTHING = 1, /* No window to work on. */
    SEALING_FILE,        /* command is a SEAL. */
    SEALING_WINDOW_DONE, /* command is a WINDOW_DONE. */
    SEALING_MORE,        /* No member so far; walk says where to go on. */
    SEALING_NO_MODIFIER, /* All of the creation day are used. */
    SEALING_BROKEN,      /* The file failed its check, or fits nowhere: why. */
    SEALING_ERROR        /* The rows could not be read: err. */
};

struct sealing_job {
    uint64_t group;
    struct kv *kv;
    uint32_t level;          /* That of the command, and so of the file. */
    int64_t now_ms;          /* This node's clock. */
    const struct zone *zone; /* The shard's; borrowed, nothing changes in it. */
    const char *node_name;
    const struct window_id *parked;
    size_t parked_count;
    /* The outcome. */
    enum sealing_outcome outcome;
    int64_t time_ms;         /* The command's time: now, but not before the close or the last file. */
    struct day creation_day; /* That time in the shard's zone. */
    enum sg_err err;
    struct window_id window;
    struct bytes command; /* Encoded; release it. */
    /* Of walk_window; in: what was judged before, out: what is judged when the command
     * is applied. Of another window it begins anew. */
    struct window_id walk_window;
    struct member_walk walk;
    char why[256];
};
void sealing_run(struct sealing_job *j);

#endif
