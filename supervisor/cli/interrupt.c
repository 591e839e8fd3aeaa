#include "supervisor/cli/interrupt.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "supervisor/cli/verbs.h"

/* Signals belong to the process, so this does. */
static struct {
    const struct cli *cli; /* NULL: not begun. */
    pthread_t thread;
    sigset_t before;
    atomic_bool over;
    atomic_bool changes; /* A request that changes something has left. */
} watch;

static sigset_t signals(void)
{
    sigset_t set;
    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGINT);
    (void)sigaddset(&set, SIGTERM);
    (void)sigaddset(&set, SIGHUP);
    return set;
}

static void end_by(int number)
{
    sigset_t set;
    (void)signal(number, SIG_DFL);
    (void)sigemptyset(&set);
    (void)sigaddset(&set, number);
    (void)pthread_sigmask(SIG_UNBLOCK, &set, NULL);
    (void)raise(number);
}

/* _exit(): other threads are still in the midst of it. */
static _Noreturn void end_unknown(void)
{
    const struct cli *c = watch.cli;
    char look[CLI_LOOK_SIZE];
    (void)cli_fail(c, CLI_UNKNOWN,
                   "interrupted: it may have been done, or the cluster may still do it: it begins nothing "
                   "after %.1f s from now, when the time of this command is over: %s",
                   (double)cli_left_ms(c) / 1000, cli_look(c, look));
    (void)fflush(stdout);
    _exit(CLI_UNKNOWN);
}

static void *wait_for_signals(void *arg)
{
    sigset_t set = signals();
    int number;

    (void)arg;
    while (sigwait(&set, &number) == 0 && !atomic_load(&watch.over)) {
        if (atomic_load(&watch.changes)) {
            end_unknown();
        }
        end_by(number);
    }
    return NULL;
}

void interrupt_begin(const struct cli *c)
{
    sigset_t set = signals();

    if (watch.cli != NULL) {
        return;
    }
    watch.cli = c;
    atomic_store(&watch.over, false);
    atomic_store(&watch.changes, false);
    CHECK(pthread_sigmask(SIG_BLOCK, &set, &watch.before) == 0);
    if (pthread_create(&watch.thread, NULL, wait_for_signals, NULL) != 0) {
        (void)pthread_sigmask(SIG_SETMASK, &watch.before, NULL); /* Then they end the tool as any other. */
        watch.cli = NULL;
    }
}

void interrupt_asked(const struct request *r)
{
    if (cli_is_change(r)) {
        atomic_store(&watch.changes, true);
    }
}

void interrupt_end(void)
{
    if (watch.cli == NULL) {
        return;
    }
    atomic_store(&watch.over, true);
    /* The watching thread waits for it in sigwait(); nothing else takes it. */
    int err =
        pthread_kill(watch.thread, SIGTERM); /* NOLINT(bugprone-bad-signal-to-kill-thread,cert-pos44-c) */
    CHECK(err == 0);
    CHECK(pthread_join(watch.thread, NULL) == 0);
    (void)pthread_sigmask(SIG_SETMASK, &watch.before, NULL);
    watch.cli = NULL;
}
