/* Several questions at once: the time a command may take is one, however many
 * shards it asks. */
#ifndef SUPERVISOR_CLI_EACH_H
#define SUPERVISOR_CLI_EACH_H

#include "supervisor/cli/cli.h"

/* Call job(impl, i) for each i below count, on up to inflight_max threads (at most
 * CLI_QUESTIONS_INFLIGHT_MAX), and wait for all. A job may call cli_ask_in() and print nothing. Offline
 * they run one after the other on this thread (offline.h forks). */
void cli_each(const struct cli *c, size_t count, size_t inflight_max, void (*job)(void *impl, size_t i),
              void *impl);

/* One question of many. */
struct question {
    struct request request;
    struct arena arena; /* The reply lives in it. */
    struct reply reply; /* reply.err says how it went. */
};

/* Ask all; questions have their requests. cli_connect() was called. */
void questions_ask(struct cli *c, struct question *questions, size_t count);
void questions_release(struct question *questions, size_t count);
/* Say why questions failed, each cause once, with the shards that it kept from
 * answering. Answers the status of the first, CLI_DONE when none failed. */
enum cli_exit questions_fail(const struct cli *c, const struct question *questions, size_t count);

/* Another node's own answer to a question. */
struct node_answer {
    const char *address;
    uint32_t wait_ms;
    json_t *document; /* NULL: none in time. */
};

/* Ask the nodes of a list ("nodes" of an answer) by their own addresses, all but the
 * one named except. Waits for NODE_ANSWER_MS at most; for one that the list calls down
 * for NODE_DOWN_ANSWER_MS, since it may be back. Answers how many are in out; nodes is
 * borrowed, the documents are the caller's. */
#define NODE_ANSWER_MS 500
#define NODE_DOWN_ANSWER_MS 100
size_t nodes_ask(struct cli *c, const json_t *nodes, const char *except, const struct request *r,
                 struct node_answer out[NODES_MAX]);

#endif
