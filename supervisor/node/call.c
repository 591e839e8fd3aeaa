#include "supervisor/node/call.h"

#include <stdarg.h>
#include <stdio.h>

#include "proto/base/fault.h"
#include "proto/base/mem.h"
#include "supervisor/node/node_impl.h"

struct call *call_new(struct node *n, uint32_t hops, void (*reply)(void *token, struct bytes *reply),
                      void *token)
{
    struct call *c = mem_zalloc(1, sizeof *c);

    c->node = n;
    c->lane = &n->lanes[0];
    c->arena = ARENA_INIT;
    c->hops = hops;
    c->reply = reply;
    c->token = token;
    n->calls_count++;
    return c;
}

const char *call_name(const struct call *c)
{
    return request_kind_name(c->request.kind);
}

bool call_is_repeatable(const struct call *c)
{
    return verb_is_repeatable(&c->verb->facts, &c->request);
}

static void call_free(struct call *c)
{
    if (FAULT_BUG("call-leaked")) {
        return;
    }
    arena_release(&c->arena);
    arena_release(&c->exec.arena);
    bytes_release(&c->raw);
    bytes_release(&c->encoded_reply);
    mem_free(c);
}

static void call_answer(struct task *t)
{
    struct call *c = CONTAINER_OF(t, struct call, task);
    c->node->calls_count--;
    c->node->calls_bytes -= c->raw.n;
    c->reply(c->token, &c->encoded_reply);
    call_free(c);
}

/* encoded_reply is set: back to lane 0 with it. */
static void call_end(struct call *c)
{
    if (c->lane->number == 0 || FAULT_BUG("reply-on-lane")) {
        call_answer(&c->task);
        return;
    }
    c->task.run = call_answer;
    loop_post(c->node->lanes[0].loop, &c->task);
}

/* encoded_reply is set, whatever its size. */
static void call_end_within_limits(struct call *c)
{
    if (c->encoded_reply.n > REPLY_SIZE_MAX_BYTES) {
        struct reply big = {.err = SG_TOOBIG,
                            .text =
                                span_str("the answer is larger than one reply may be: ask for fewer rows")};
        bytes_clear(&c->encoded_reply);
        reply_encode(&big, &c->encoded_reply);
    }
    call_end(c);
}

void call_reply(struct call *c, const struct reply *r)
{
    bytes_clear(&c->encoded_reply);
    reply_encode(r, &c->encoded_reply);
    call_end_within_limits(c);
}

void call_reply_made(struct call *c, struct bytes *reply)
{
    bytes_release(&c->encoded_reply);
    c->encoded_reply = *reply;
    *reply = BYTES_NONE;
    call_end_within_limits(c);
}

void call_reply_encoded(struct call *c, struct span reply)
{
    bytes_set(&c->encoded_reply, reply);
    call_end(c);
}

void call_fail(struct call *c, enum sg_err err, const char *fmt, ...)
{
    char text[768];
    va_list args;
    struct reply r = {.err = err};

    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    r.text = span_str(text);
    call_reply(c, &r);
}

void call_json(struct call *c, struct span json)
{
    struct reply r = {.err = SG_OK, .json = json};
    call_reply(c, &r);
}

void call_retry(struct call *c, enum sg_err err, const char *text)
{
    c->last_err = err;
    (void)snprintf(c->last_text, sizeof c->last_text, "%s", text);
    if (err == SG_UNKNOWN && !call_is_repeatable(c)) {
        call_fail(c, SG_UNKNOWN, "%s: it may or may not have happened; look before you repeat it", text);
        return;
    }
    c->started = c->started || err == SG_UNKNOWN;
    route_park(c);
}

bool call_done_before(struct call *c, enum sg_err err, const char *text)
{
    return c->started && c->verb->done_before != NULL && c->verb->done_before(c, err, text);
}
