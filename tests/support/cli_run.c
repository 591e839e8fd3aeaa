#include "tests/support/cli_run.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SHARDS "{\"v\":1,\"shards\":[{\"routing_number\":\"121042882\"},{\"routing_number\":\"231380104\"}]}"

static void note(struct cli_run *f, const struct request *r)
{
    struct bytes line = BYTES_NONE;
    bytes_printf(&line, "%s %u", request_kind_name(r->kind), r->routing_number.n);
    for (size_t i = 0; i < r->args_count; i++) {
        bytes_printf(&line, " %.*s=%.*s", (int)r->args[i].name.n, (const char *)r->args[i].name.p,
                     (int)r->args[i].value.n, (const char *)r->args[i].value.p);
    }
    (void)span_cstr(span_bytes(&line), f->asked, sizeof f->asked);
    bytes_release(&line);
}

/* Transfers with an even amount are accepted, with an odd one rejected. 2000
 * folds, and was cancelled; those of 1000 and more have a note. */
static void answer_submit(const struct request *request, struct reply *reply, struct arena *a)
{
    reply->results = arena_array(a, request->transfers_count, sizeof *reply->results);
    reply->results_count = request->transfers_count;
    for (size_t i = 0; i < request->transfers_count; i++) {
        const struct transfer *t = &request->transfers[i];
        bool even = t->amount.n % 2 == 0;
        reply->results[i] = (struct submit_result){.id = t->id,
                                                   .shard = t->routing_number,
                                                   .outcome = even ? OUTCOME_ACCEPTED : OUTCOME_REJECTED,
                                                   .index = even ? (uint64_t)t->amount.n : 0,
                                                   .reason = even ? SPAN_NONE : span_str("odd")};
        if (t->amount.n == 2000) {
            reply->results[i].outcome = OUTCOME_FOLDED;
            reply->results[i].state = SUBMIT_STATE_CANCELLED;
            reply->results[i].reason = span_str("not paid");
        }
        reply->results[i].note = t->amount.n >= 1000 ? span_str("large") : SPAN_NONE;
    }
}

static unsigned argument(const struct request *r, const char *name, unsigned fallback)
{
    char text[24];
    struct span value = request_arg(r, name);
    return value.n == 0 ? fallback : (unsigned)strtoul(span_cstr(value, text, sizeof text), NULL, 10);
}

/* As a node does: `next` is the last row given. */
static struct span page(struct cli_run *f, const struct request *r, struct arena *a)
{
    unsigned from = argument(r, "from", 0);
    unsigned limit = argument(r, "limit", LIST_ROWS_DEFAULT);
    unsigned count = f->rows_total - from < f->rows_page ? f->rows_total - from : f->rows_page;
    struct bytes json = BYTES_NONE;
    struct span text;

    f->pages_asked++;
    count = count < limit ? count : limit;
    bytes_printf(&json, "{\"v\":1,\"%s\":[", r->kind == REQUEST_FILES_LIST ? "files" : "transfers");
    for (unsigned i = 1; i <= count; i++) {
        bytes_printf(&json, "%s{\"id\":\"row%u\",\"seq\":%u}", i > 1 ? "," : "", from + i, from + i);
    }
    bytes_printf(&json, "],\"next\":%u,\"more\":%s}", from + count,
                 from + count < f->rows_total ? "true" : "false");
    text = arena_dup(a, span_bytes(&json));
    bytes_release(&json);
    return text;
}

static enum fake_answer answer(struct fake_node *n, const struct request *request, struct reply *reply,
                               struct arena *a)
{
    struct cli_run *f = n->impl;
    bool is_item = request->kind == REQUEST_TRANSFERS_SHOW || request->kind == REQUEST_FILES_SHOW;
    note(f, request);
    if (f->keep[request->kind]) {
        return ANSWER_KEEP;
    }
    reply->err = f->err[request->kind];
    if (is_item && f->only_shard != 0 && request->routing_number.n != f->only_shard) {
        reply->err = SG_NOTFOUND;
    }
    if (reply->err != SG_OK) {
        reply->text = span_str("because\x1b[0m");
    } else if (request->kind == REQUEST_SUBMIT) {
        answer_submit(request, reply, a);
    } else if (request->kind == REQUEST_EVENTS && f->events != NULL) {
        f->events(reply, request, a);
    } else if (request->kind == REQUEST_FILES_GET) {
        reply->data = span_str("101 bytes\n\x01");
    } else if (f->rows_page > 0 &&
               (request->kind == REQUEST_TRANSFERS_LIST || request->kind == REQUEST_FILES_LIST)) {
        reply->json = page(f, request, a);
    } else {
        const char *json = f->json[request->kind];
        reply->json = span_str(json == NULL ? "{\"v\":1}" : json);
    }
    return ANSWER;
}

static struct cli_run the_run;

int cli_run_open(void **state)
{
    (void)state;
    the_run.node.answer = answer;
    the_run.node.impl = &the_run;
    fake_node_open(&the_run.node, NULL);
    return 0;
}

int cli_run_close(void **state)
{
    (void)state;
    fake_node_close(&the_run.node);
    return 0;
}

int cli_run_make(void **state)
{
    struct cli_run *f = &the_run;
    memset(f->err, 0, sizeof f->err);
    memset(f->json, 0, sizeof f->json);
    memset(f->keep, 0, sizeof f->keep);
    f->json[REQUEST_SHARDS_LIST] = SHARDS;
    f->only_shard = 0;
    f->rows_page = 0;
    f->events = NULL;
    f->node.requests = 0;
    test_dir_make(&f->dir);
    (void)snprintf(f->path, sizeof f->path, "%.*s/input", TEST_DIR_SIZE, f->dir.path);
    CHECK(setenv("SHARDGATE_CONNECT", f->node.address, 1) == 0);
    *state = f;
    return 0;
}

int cli_run_drop(void **state)
{
    struct cli_run *f = *state;
    test_dir_remove(&f->dir);
    return 0;
}

/* A stream of the process that goes into a file meanwhile. */
struct diverted {
    int number, saved, fd;
};

static struct diverted divert(const struct cli_run *f, int number, const char *name)
{
    struct diverted d = {.number = number};
    char path[TEST_DIR_SIZE + 16];

    (void)snprintf(path, sizeof path, "%.*s/%s", TEST_DIR_SIZE, f->dir.path, name);
    d.saved = dup(number);
    d.fd = open(path, O_RDWR | O_CREAT | O_TRUNC, 0600);
    CHECK(d.saved >= 0 && d.fd >= 0);
    CHECK(dup2(d.fd, number) >= 0);
    return d;
}

static void restore(const struct diverted *d, char *out, size_t size)
{
    ssize_t n;

    CHECK(dup2(d->saved, d->number) >= 0);
    n = pread(d->fd, out, size - 1, 0);
    CHECK(n >= 0);
    out[n] = '\0';
    (void)close(d->fd);
    (void)close(d->saved);
}

/* One run; what it prints goes to f->output and f->errors. */
enum cli_exit cli_run(struct cli_run *f, const char *const *line)
{
    char *argv[CLI_RUN_WORDS + 1] = {(char *)(uintptr_t) "shardgate"};
    struct diverted output, errors;
    int argc = 1;
    enum cli_exit status;

    for (; line[argc - 1] != NULL; argc++) {
        argv[argc] = (char *)(uintptr_t)line[argc - 1];
    }
    (void)fflush(stdout);
    output = divert(f, STDOUT_FILENO, "output");
    errors = divert(f, STDERR_FILENO, "errors");
    status = cli_main(argc, argv);
    restore(&output, f->output, sizeof f->output);
    restore(&errors, f->errors, sizeof f->errors);
    return status;
}

void cli_run_input(const struct cli_run *f, const char *text)
{
    FILE *file = fopen(f->path, "w");
    CHECK(file != NULL);
    CHECK(fputs(text, file) >= 0);
    CHECK(fclose(file) == 0);
}
