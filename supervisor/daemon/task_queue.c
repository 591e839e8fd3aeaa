#include "supervisor/daemon/task_queue.h"

#include "proto/base/check.h"
#include "proto/base/mem.h"

#define HEAP_CAP_MIN 64

void task_list_push(struct task_list *l, struct task *task)
{
    TASK_NEXT(task) = NULL;
    TASK_PREV(task) = l->tail;
    if (l->tail != NULL) {
        TASK_NEXT(l->tail) = task;
    } else {
        l->head = task;
    }
    l->tail = task;
}

void task_list_remove(struct task_list *l, struct task *task)
{
    struct task *next = TASK_NEXT(task);
    struct task *prev = TASK_PREV(task);
    if (next != NULL) {
        TASK_PREV(next) = prev;
    } else {
        l->tail = prev;
    }
    if (prev != NULL) {
        TASK_NEXT(prev) = next;
    } else {
        l->head = next;
    }
}

static bool is_before(struct task *a, struct task *b)
{
    if (TASK_DUE_MS(a) != TASK_DUE_MS(b)) {
        return TASK_DUE_MS(a) < TASK_DUE_MS(b);
    }
    return TASK_ORDER(a) < TASK_ORDER(b);
}

static void heap_put(struct task_heap *h, size_t at, struct task *task)
{
    h->v[at] = task;
    TASK_AT(task) = at;
}

static void heap_up(struct task_heap *h, size_t at, struct task *task)
{
    while (at > 0 && is_before(task, h->v[(at - 1) / 2])) {
        heap_put(h, at, h->v[(at - 1) / 2]);
        at = (at - 1) / 2;
    }
    heap_put(h, at, task);
}

static void heap_down(struct task_heap *h, size_t at, struct task *task)
{
    for (;;) {
        size_t child = 2 * at + 1;
        if (child + 1 < h->n && is_before(h->v[child + 1], h->v[child])) {
            child++;
        }
        if (child >= h->n || !is_before(h->v[child], task)) {
            break;
        }
        heap_put(h, at, h->v[child]);
        at = child;
    }
    heap_put(h, at, task);
}

void task_heap_push(struct task_heap *h, struct task *task)
{
    if (h->n == h->cap) {
        h->cap = h->cap == 0 ? HEAP_CAP_MIN : h->cap * 2;
        h->v = mem_realloc(h->v, h->cap * sizeof(struct task *));
    }
    h->n++;
    heap_up(h, h->n - 1, task);
}

void task_heap_remove(struct task_heap *h, struct task *task)
{
    size_t at = (size_t)TASK_AT(task);
    CHECK(at < h->n);
    CHECK(h->v[at] == task);
    struct task *last = h->v[--h->n];
    if (last == task) {
        return;
    }
    /* The last one may belong above or below the gap. */
    if (at > 0 && is_before(last, h->v[(at - 1) / 2])) {
        heap_up(h, at, last);
    } else {
        heap_down(h, at, last);
    }
}

void task_heap_release(struct task_heap *h)
{
    mem_free(h->v);
    *h = (struct task_heap){NULL, 0, 0};
}
