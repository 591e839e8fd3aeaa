/* A pool of threads that run works: first in, first out, each on whatever
 * thread is free. One thread makes it strictly one after the other.
 *
 * Threads start when they are first needed and stay until workers_close(). They
 * take no signals. */
#ifndef SUPERVISOR_DAEMON_WORKERS_H
#define SUPERVISOR_DAEMON_WORKERS_H

#include <pthread.h>

#include "proto/base/limits.h"
#include "proto/base/loop.h"

#define WORKERS_THREADS_MAX BANK_WORKERS
#define WORKERS_NAME_SIZE 16 /* Linux's limit for a thread's name, final zero included. */

/* Works in order; uses work->priv.ptr[0]. */
struct work_list {
    struct work *head, *tail;
    size_t n;
};

void works_push(struct work_list *l, struct work *work);
/* l must not be empty. */
struct work *works_pop(struct work_list *l);

struct workers {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    struct work_list waiting;
    unsigned threads_count, threads_max, idle_count;
    bool closing;
    char name[WORKERS_NAME_SIZE];
    void (*finished)(void *impl, struct work *work);
    void *impl;
    pthread_t threads[WORKERS_THREADS_MAX];
};

/* finished(impl, work) is called on the worker after run(); threads are named
 * name and suffix, cut. */
void workers_open(struct workers *w, unsigned threads_max, const char *name, const char *suffix,
                  void (*finished)(void *impl, struct work *work), void *impl);
/* Any thread. */
void workers_push(struct workers *w, struct work *work);
/* Runs what waits, then ends the threads and joins them. */
void workers_close(struct workers *w);

/* A thread that takes no signals, for any use. */
void workers_thread(pthread_t *thread, void *(*fn)(void *arg), void *arg);
/* Name the calling thread. */
void workers_name_thread(const char *name, const char *suffix);

#endif
