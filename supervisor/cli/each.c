#include "supervisor/cli/each.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/cli/verbs.h"
#include "supervisor/client/client.h"

#define SHARDS_NAMED 3 /* Of those that one cause kept from answering. */

struct crew {
    void (*job)(void *impl, size_t i);
    void *impl;
    size_t count;
    atomic_size_t next; /* The job that nobody has taken. */
};

static void *worker(void *arg)
{
    struct crew *w = arg;
    size_t i;

    while ((i = atomic_fetch_add(&w->next, 1)) < w->count) {
        w->job(w->impl, i);
    }
    return NULL;
}

void cli_each(const struct cli *c, size_t count, size_t inflight_max, void (*job)(void *impl, size_t i),
              void *impl)
{
    struct crew w = {.job = job, .impl = impl, .count = count};
    size_t most = c->args.option[OPTION_DATA_DIR] == NULL ? inflight_max : 1;
    pthread_t threads[CLI_QUESTIONS_INFLIGHT_MAX];
    size_t started = 0;

    CHECK(most <= CLI_QUESTIONS_INFLIGHT_MAX);
    /* This thread is one of them, and enough when no other can be had. */
    while (started + 1 < most && started + 1 < count &&
           pthread_create(&threads[started], NULL, worker, &w) == 0) {
        started++;
    }
    (void)worker(&w);
    for (size_t i = 0; i < started; i++) {
        CHECK(pthread_join(threads[i], NULL) == 0);
    }
}

/* --- Questions ------------------------------------------------------------------------ */

struct asking {
    struct cli *cli;
    struct question *questions;
};

static void ask_one(void *impl, size_t i)
{
    struct asking *a = impl;
    struct question *q = &a->questions[i];
    (void)cli_ask_in(a->cli, &q->request, &q->arena, &q->reply);
}

void questions_ask(struct cli *c, struct question *questions, size_t count)
{
    struct asking a = {c, questions};
    cli_each(c, count, CLI_QUESTIONS_INFLIGHT_MAX, ask_one, &a);
}

void questions_release(struct question *questions, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        arena_release(&questions[i].arena);
    }
}

/* A cause without the routing number in it: two shards may have the same. */
static void cause_text(const struct question *q, char *out, size_t size)
{
    char aba[ABA_TEXT_SIZE];
    char *at;

    (void)span_cstr(q->reply.text.n == 0 ? span_str(sg_err_text(q->reply.err)) : q->reply.text, out, size);
    (void)aba_text(q->request.routing_number, aba);
    while (q->request.routing_number.n != 0 && (at = strstr(out, aba)) != NULL) {
        memcpy(at, "it       ", ABA_TEXT_SIZE - 1);
        memmove(at + 2, at + ABA_TEXT_SIZE - 1, strlen(at + ABA_TEXT_SIZE - 1) + 1);
    }
}

/* What stands in brackets is how each shard came to it: no cause of its own. */
static bool same_cause(const struct question *a, const struct question *b)
{
    char x[512];
    char y[512];

    if (a->reply.err != b->reply.err) {
        return false;
    }
    cause_text(a, x, sizeof x);
    cause_text(b, y, sizeof y);
    size_t n = strcspn(x, "(");
    return n == strcspn(y, "(") && memcmp(x, y, n) == 0;
}

/* Those from first on that failed for the same reason. */
static void fail_together(const struct cli *c, const struct question *questions, size_t count, size_t first)
{
    char text[512];
    char aba[ABA_TEXT_SIZE];
    struct bytes names = BYTES_NONE;
    size_t n = 0;

    for (size_t i = first; i < count; i++) {
        if (questions[i].reply.err == SG_OK || !same_cause(&questions[first], &questions[i])) {
            continue;
        }
        if (n < SHARDS_NAMED) {
            bytes_printf(&names, "%s%s", n == 0 ? "" : ", ",
                         aba_text(questions[i].request.routing_number, aba));
        }
        n++;
    }
    bytes_append(&names, "", 1);
    cause_text(&questions[first], text, sizeof text);
    (void)cli_fail(c, CLI_FAILED, "%zu of %zu shards did not answer (%s%s): %s", n, count,
                   (const char *)names.p, n > SHARDS_NAMED ? ", ..." : "", text);
    bytes_release(&names);
}

static bool is_first_of_its_cause(const struct question *questions, size_t i)
{
    for (size_t k = 0; k < i; k++) {
        if (questions[k].reply.err != SG_OK && same_cause(&questions[k], &questions[i])) {
            return false;
        }
    }
    return true;
}

enum cli_exit questions_fail(const struct cli *c, const struct question *questions, size_t count)
{
    enum cli_exit status = CLI_DONE;

    for (size_t i = 0; i < count; i++) {
        if (questions[i].reply.err == SG_OK) {
            continue;
        }
        status = status == CLI_DONE ? cli_exit_of(questions[i].reply.err) : status;
        if (count == 1) {
            return cli_fail_err(c, questions[i].reply.err, questions[i].reply.text);
        }
        if (is_first_of_its_cause(questions, i)) {
            fail_together(c, questions, count, i);
        }
    }
    return status;
}

/* --- Each node by itself ------------------------------------------------------------------ */

struct nodes_asking {
    struct cli *cli;
    const struct request *request;
    struct node_answer *answers;
};

static void ask_node(void *impl, size_t i)
{
    struct nodes_asking *a = impl;
    struct node_answer *answer = &a->answers[i];
    struct request r = *a->request;
    uint32_t left_ms = cli_left_ms(a->cli);
    struct arena arena = ARENA_INIT;
    struct client *client;
    struct reply reply;
    char why[256];

    r.timeout_ms = left_ms < answer->wait_ms ? left_ms : answer->wait_ms;
    if (r.timeout_ms == 0 || client_new(answer->address, &client, why, sizeof why) != SG_OK) {
        return;
    }
    if (client_call(client, &r, &arena, &reply) == SG_OK) {
        answer->document =
            json_loadb(reply.json.n == 0 ? "" : (const char *)reply.json.p, reply.json.n, 0, NULL);
    }
    client_free(client);
    arena_release(&arena);
}

size_t nodes_ask(struct cli *c, const json_t *nodes, const char *except, const struct request *r,
                 struct node_answer out[NODES_MAX])
{
    struct nodes_asking a = {c, r, out};
    size_t count = 0;
    size_t i;
    json_t *row;

    json_array_foreach(nodes, i, row)
    {
        const char *name = json_string_value(json_object_get(row, "name"));
        const char *address = json_string_value(json_object_get(row, "client"));
        const char *state = json_string_value(json_object_get(row, "state"));
        bool is_down = state != NULL && strcmp(state, "down") == 0;
        if (name != NULL && address != NULL && strcmp(name, except) != 0 && count < NODES_MAX) {
            out[count++] = (struct node_answer){.address = address,
                                                .wait_ms = is_down ? NODE_DOWN_ANSWER_MS : NODE_ANSWER_MS};
        }
    }
    cli_each(c, count, NODES_MAX, ask_node, &a);
    return count;
}
