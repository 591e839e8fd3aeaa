/* Files that miss their time. Private to shard/.
 *
 * A window may have an upload_by; CLOSE writes it into the window's row. While
 * this replica is the ready leader, and once its wall clock has passed that
 * time, everything of the window that the bank does not have is told to people:
 * an alert in the replicated events and a log line, once for each file (or for
 * the window, while it is not all in files) and leader. Nothing else follows
 * from it: the upload goes on as before.
 *
 * The wall clock may jump: it is read again at least every WINDOW_LOOK_MS while
 * something is owed. */
#ifndef SHARD_DUTIES_OVERDUE_H
#define SHARD_DUTIES_OVERDUE_H

#include "shard/duties/duty.h"

struct overdue {
    struct duty_env *env;
    struct task timer;
    struct bytes told; /* struct overdue_told: what this leader has told of. */
};

void overdue_init(struct overdue *o, struct duty_env *env);
/* Forgets what was told. */
void overdue_stop(struct overdue *o);
/* Tell of what is late, and arm the timer for what is next. */
void overdue_look(struct overdue *o);

#endif
