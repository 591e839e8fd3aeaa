/* Submissions of many clients into few log entries. Private to shard/.
 *
 *   client 1: [a b c]  \                 entry 1: a b c d      under way
 *   client 2: [d]       > queue  ------> entry 2: e f ...      under way
 *   client 3: [e f ...]/                 the rest waits for the next entry
 *
 * Everything that arrives while SUBMIT_ENTRIES_MAX entries are under way goes
 * into the next one. A transfer that can be refused without the log is
 * answered here and never proposed. One submission may span several entries;
 * its answers keep its order. */
#ifndef SHARD_DUTIES_SUBMIT_H
#define SHARD_DUTIES_SUBMIT_H

#include "shard/duties/duty.h"
#include "shard/duties/submission.h"
#include "shard/duties/twins.h"

struct entry; /* One log entry that is filled or under way. */

struct submitter {
    struct duty_env *env;
    bool leads;                       /* This replica leads, ready or not yet: the queue is open. */
    struct shard_submit *head, *tail; /* Not wholly proposed, in order of arrival. */
    size_t queue_bytes;               /* Of transfers in the queue. */
    struct entry *stalled;            /* Filled, and the engine was busy. */
    unsigned entries_count;           /* Under way. */
    struct shard_submit *ended;       /* Answered, done() is due. */
    struct shard_submit **ended_tail;
    struct twins twins;
    struct task end; /* Calls done() from a turn of its own. */
};

void submitter_init(struct submitter *q, struct duty_env *env);
/* See shard_submit() in shard/shard.h. done() is never called from within. */
void submitter_add(struct submitter *q, struct shard_submit *s);
/* Fill entries from the queue while there is room. */
void submitter_pump(struct submitter *q);
/* leads false: what was not proposed yet ends with SG_NOTLEADER (or SG_UNKNOWN
 * if part of the same submission is under way). */
void submitter_role(struct submitter *q, bool leads);
bool submitter_is_idle(const struct submitter *q);

#endif
