#include <string.h>

#include "proto/base/mem.h"
#include "tests/support/node_world_impl.h"

static void on_reply(void *token, struct bytes *reply)
{
    struct world_call *c = token;
    if (c->answers++ == 0) {
        enum sg_err err;
        c->encoded = *reply;
        *reply = BYTES_NONE;
        err = reply_decode(span_bytes(&c->encoded), &c->arena, &c->reply);
        CHECK(err == SG_OK);
    }
    bytes_release(reply);
}

size_t node_world_send_raw(struct node_world *w, size_t node, struct span request)
{
    struct world_call *c = mem_zalloc(1, sizeof *c);
    c->arena = ARENA_INIT;
    w->calls = mem_realloc(w->calls, (w->calls_count + 1) * sizeof w->calls[0]);
    w->calls[w->calls_count++] = c;
    node_request(node_world_node(w, node), request, on_reply, c);
    return w->calls_count - 1;
}

size_t node_world_send(struct node_world *w, size_t node, const struct request *request)
{
    struct bytes encoded = BYTES_NONE;
    size_t call;
    request_encode(request, &encoded);
    call = node_world_send_raw(w, node, span_bytes(&encoded));
    bytes_release(&encoded);
    return call;
}

const struct reply *node_world_answer(struct node_world *w, size_t call)
{
    return w->calls[call]->answers > 0 ? &w->calls[call]->reply : NULL;
}

unsigned node_world_answers(const struct node_world *w, size_t call)
{
    return w->calls[call]->answers;
}

const struct reply *node_world_ask(struct node_world *w, size_t node, const struct request *request,
                                   uint64_t limit_ms)
{
    size_t call = node_world_send(w, node, request);
    for (; limit_ms > 0 && node_world_answers(w, call) == 0; limit_ms--) {
        node_world_advance(w, 1);
    }
    return node_world_answer(w, call);
}

const struct reply *node_world_verb(struct node_world *w, size_t node, enum request_kind kind, uint32_t aba,
                                    const char *const *args)
{
    struct request_arg list[REQUEST_ARGS_MAX];
    struct request r = {.kind = kind, .routing_number = {aba}, .args = list};
    for (; args != NULL && args[0] != NULL; args += 2) {
        list[r.args_count++] = (struct request_arg){span_str(args[0]), span_str(args[1])};
    }
    return node_world_ask(w, node, &r, REQUEST_TIMEOUT_MS + 1000);
}

const struct reply *node_world_apply(struct node_world *w, size_t node, const char *shards)
{
    struct bytes yaml = BYTES_NONE;
    const struct reply *r;
    bytes_printf(&yaml, "endpoints:\n  bank: {kind: directory, drop_dir: in, staging_dir: staging}\n"
                        "originators:\n  acme: {company_name: ACME, company_id: \"1234567890\"}\n"
                        "shards:\n");
    for (const char *p = shards; *p != '\0'; p += strspn(p, " ")) {
        size_t n = strcspn(p, " ");
        bytes_printf(
            &yaml,
            "  \"%.*s\":\n    endpoint: bank\n    destination_name: BANK\n    origin: \"121042882\"\n"
            "    origin_name: ACME\n    originators: [acme]\n    windows: {zone: UTC, on: every-day, "
            "at: [{name: ND, close_at: \"23:30\"}]}\n",
            (int)n, p);
        p += n;
    }
    bytes_append(&yaml, "", 1);
    r = node_world_verb(w, node, REQUEST_APPLY, 0,
                        (const char *const[]){"yaml", (const char *)yaml.p, "source", "test.yaml", NULL});
    bytes_release(&yaml);
    return r;
}

struct transfer node_world_transfer(const char *id, uint32_t shard)
{
    return (struct transfer){.id = span_str(id),
                             .routing_number = {shard},
                             .originator = span_str("acme"),
                             .sec = SEC_PPD,
                             .entry_description = span_str("PAYROLL"),
                             .side = SIDE_CREDIT,
                             .account_type = ACCOUNT_CHECKING,
                             .rdfi = {121042882},
                             .account = span_str("123456789"),
                             .amount = {100},
                             .name = span_str("JANE DOE"),
                             .effective_date = DAY_NONE};
}
