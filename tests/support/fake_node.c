#include "tests/support/fake_node.h"

#include <stddef.h>
#include <stdio.h>

#include "proto/base/mem.h"
#include "supervisor/daemon/server.h"
#include "supervisor/daemon/uv_loop.h"

#define SLOW_MS 20

struct late {
    struct task task;
    struct server_call *call;
    struct bytes reply;
};

static void on_late(struct task *task)
{
    struct late *late = CONTAINER_OF(task, struct late, task);
    server_reply(late->call, &late->reply);
    mem_free(late);
}

static void answer_later(struct fake_node *n, struct server_call *call, struct bytes reply)
{
    struct loop *loop = uvloop_seam(n->u);
    struct late *late = mem_zalloc(1, sizeof(*late));
    late->task.run = on_late;
    late->call = call;
    late->reply = reply;
    loop_after(loop, &late->task, loop_random(loop) % SLOW_MS);
}

enum fake_answer fake_node_echo(struct fake_node *n, const struct request *request, struct reply *reply,
                                struct arena *a)
{
    (void)n;
    reply->json = request_arg(request, "echo");
    reply->results = arena_array(a, request->transfers_count, sizeof(*reply->results));
    reply->results_count = request->transfers_count;
    for (size_t i = 0; i < request->transfers_count; i++) {
        const struct transfer *t = &request->transfers[i];
        reply->results[i] = (struct submit_result){
            .id = t->id,
            .shard = t->routing_number,
            .outcome = OUTCOME_ACCEPTED,
            .index = (uint64_t)t->amount.n,
        };
    }
    return ANSWER;
}

static void on_request(void *impl, struct server_call *call, struct span data)
{
    struct fake_node *n = impl;
    struct arena a = ARENA_INIT;
    struct request request;
    struct reply reply = {.err = SG_OK};
    struct bytes out = BYTES_NONE;
    const char *why = "";
    enum fake_answer answer = ANSWER;
    n->requests++;
    if (request_decode(data, &a, &request, &why) != SG_OK) {
        reply = (struct reply){.err = SG_INVALID, .text = span_str(why)};
    } else {
        answer = n->answer(n, &request, &reply, &a);
    }
    reply_encode(&reply, &out);
    arena_release(&a);
    if (answer == ANSWER) {
        server_reply(call, &out);
    } else if (answer == ANSWER_SLOWLY) {
        answer_later(n, call, out);
    } else {
        bytes_release(&out);
        CHECK(n->kept_count < FAKE_KEPT_MAX);
        n->kept[n->kept_count] = call;
        n->kept_count++;
    }
}

void fake_node_open(struct fake_node *n, const char *address)
{
    char why[200] = "";
    n->requests = 0;
    n->kept_count = 0;
    n->u = uvloop_new("node");
    if (n->answer == NULL) {
        n->answer = fake_node_echo;
    }
    if (address == NULL) {
        (void)test_free_address(n->address);
    } else if (address != n->address) {
        (void)snprintf(n->address, sizeof(n->address), "%s", address);
    }
    const char *const addresses[1] = {n->address};
    const struct server_options options = {
        .loop = uvloop_seam(n->u),
        .request = on_request,
        .impl = n,
        .addresses = addresses,
        .addresses_count = 1,
    };
    enum sg_err err = server_open(&options, &n->server, why, sizeof(why));
    if (err != SG_OK) {
        (void)fprintf(stderr, "%s\n", why);
    }
    CHECK(err == SG_OK);
    uvloop_start(n->u);
}

void fake_node_release(struct fake_node *n)
{
    while (n->kept_count > 0) {
        struct bytes out = BYTES_NONE;
        const struct reply reply = {.err = SG_OK};
        reply_encode(&reply, &out);
        n->kept_count--;
        server_reply(n->kept[n->kept_count], &out);
    }
}

void fake_node_close(struct fake_node *n)
{
    uvloop_stop(n->u);
    uvloop_join(n->u);
    server_close(n->server);
    uvloop_free(n->u);
}
