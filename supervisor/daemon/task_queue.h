/* Tasks waiting in a loop: a list in order of arrival and a heap by due time.
 * Both live in the tasks' private space; no allocation but the heap's array. */
#ifndef SUPERVISOR_DAEMON_TASK_QUEUE_H
#define SUPERVISOR_DAEMON_TASK_QUEUE_H

#include <stddef.h>

#include "proto/base/loop.h"

/* Words of task->priv in use here; the loop may use those from _FREE on. */
#define TASK_NEXT(t) ((t)->priv.ptr[0])
#define TASK_PREV(t) ((t)->priv.ptr[1])
#define TASK_DUE_MS(t) ((t)->priv.u64[2])
#define TASK_ORDER(t) ((t)->priv.u64[3])
#define TASK_AT(t) ((t)->priv.u64[4])
#define TASK_PRIV_FREE 5

struct task_list {
    struct task *head, *tail;
};

void task_list_push(struct task_list *l, struct task *task);
/* task must be in l. */
void task_list_remove(struct task_list *l, struct task *task);

/* The least TASK_DUE_MS first, of equal ones the least TASK_ORDER: v[0]. */
struct task_heap {
    struct task **v;
    size_t n, cap;
};

void task_heap_push(struct task_heap *h, struct task *task);
/* task must be in h. */
void task_heap_remove(struct task_heap *h, struct task *task);
void task_heap_release(struct task_heap *h);

#endif
