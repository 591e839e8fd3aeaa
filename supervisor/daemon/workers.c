#define _GNU_SOURCE /* pthread_setname_np() */

#include "supervisor/daemon/workers.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/check.h"

#define WORK_NEXT(w) ((w)->priv.ptr[0])

void works_push(struct work_list *l, struct work *work)
{
    WORK_NEXT(work) = NULL;
    if (l->tail != NULL) {
        WORK_NEXT(l->tail) = work;
    } else {
        l->head = work;
    }
    l->tail = work;
    l->n++;
}

struct work *works_pop(struct work_list *l)
{
    struct work *work = l->head;
    CHECK(work != NULL);
    l->head = WORK_NEXT(work);
    if (l->head == NULL) {
        l->tail = NULL;
    }
    l->n--;
    return work;
}

static void *worker_main(void *arg)
{
    struct workers *w = arg;
    (void)pthread_setname_np(pthread_self(), w->name);
    (void)pthread_mutex_lock(&w->lock);
    for (;;) {
        while (w->waiting.head == NULL && !w->closing) {
            w->idle_count++;
            (void)pthread_cond_wait(&w->wake, &w->lock);
            w->idle_count--;
        }
        if (w->waiting.head == NULL) {
            break;
        }
        struct work *work = works_pop(&w->waiting);
        (void)pthread_mutex_unlock(&w->lock);
        work->run(work);
        w->finished(w->impl, work);
        (void)pthread_mutex_lock(&w->lock);
    }
    (void)pthread_mutex_unlock(&w->lock);
    return NULL;
}

void workers_open(struct workers *w, unsigned threads_max, const char *name, const char *suffix,
                  void (*finished)(void *impl, struct work *work), void *impl)
{
    CHECK(threads_max > 0);
    CHECK(threads_max <= WORKERS_THREADS_MAX);
    memset(w, 0, sizeof(*w));
    w->threads_max = threads_max;
    w->finished = finished;
    w->impl = impl;
    (void)snprintf(w->name, sizeof(w->name), "%.10s%.5s", name, suffix);
    CHECK(pthread_mutex_init(&w->lock, NULL) == 0);
    CHECK(pthread_cond_init(&w->wake, NULL) == 0);
}

void workers_push(struct workers *w, struct work *work)
{
    (void)pthread_mutex_lock(&w->lock);
    works_push(&w->waiting, work);
    if (w->waiting.n > w->idle_count && w->threads_count < w->threads_max) {
        workers_thread(&w->threads[w->threads_count++], worker_main, w);
    }
    (void)pthread_cond_signal(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
}

void workers_close(struct workers *w)
{
    (void)pthread_mutex_lock(&w->lock);
    w->closing = true;
    (void)pthread_cond_broadcast(&w->wake);
    (void)pthread_mutex_unlock(&w->lock);
    for (unsigned i = 0; i < w->threads_count; i++) {
        CHECK(pthread_join(w->threads[i], NULL) == 0);
    }
    (void)pthread_cond_destroy(&w->wake);
    (void)pthread_mutex_destroy(&w->lock);
}

void workers_thread(pthread_t *thread, void *(*fn)(void *arg), void *arg)
{
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    CHECK(pthread_create(thread, NULL, fn, arg) == 0);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

void workers_name_thread(const char *name, const char *suffix)
{
    char text[WORKERS_NAME_SIZE];
    (void)snprintf(text, sizeof(text), "%.10s%.5s", name, suffix);
    (void)pthread_setname_np(pthread_self(), text);
}
