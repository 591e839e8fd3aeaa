#include "supervisor/verbs/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void call_document(struct call *c, json_t *document)
{
    char *text;

    CHECK(document != NULL);
    text = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    CHECK(text != NULL);
    call_json(c, span_str(text));
    free(text); /* jansson's own allocator. */
}

static const char *view_node_name(void *impl, uint64_t id)
{
    const struct founder *f = node_founder(impl, id);
    return f == NULL ? NULL : f->name;
}

bool call_view_begin(struct call *c, struct call_view *v, struct lane *lane, uint64_t group)
{
    uint64_t limit;
    enum sg_err err;

    if (!call_number(c, "limit", LIST_ROWS_DEFAULT, &limit)) {
        return false;
    }
    if (limit < 1 || limit > LIST_ROWS_MAX) {
        call_fail(c, SG_INVALID, "limit: %llu rows; 1 to %d are allowed", (unsigned long long)limit,
                  LIST_ROWS_MAX);
        return false;
    }
    memset(v, 0, sizeof *v);
    v->lane = lane;
    err = kv_begin(lane->kv, false, &v->txn);
    if (err != SG_OK) {
        call_fail(c, err, "the store of this node cannot be read: ask another node");
        return false;
    }
    rows_init(&v->rows, lane->kv, v->txn, group);
    v->view = (struct view){.rows = &v->rows,
                            .routing_number = c->request.routing_number,
                            .reveal = call_flag(c, "reveal"),
                            .limit = limit,
                            .node = c->node->self->name,
                            .now_ms = loop_wall_ms(lane->loop),
                            .node_name = view_node_name,
                            .impl = c->node};
    return true;
}

void call_view_end(struct call_view *v)
{
    rows_release(&v->rows);
    kv_abort(v->lane->kv, v->txn);
}

bool call_number(struct call *c, const char *name, uint64_t fallback, uint64_t *out)
{
    struct span text = request_arg(&c->request, name);
    char digits[21];
    char *end;

    *out = fallback;
    if (text.n == 0) {
        return true;
    }
    *out = strtoull(span_cstr(text, digits, sizeof digits), &end, 10);
    if (text.n >= sizeof digits || digits[0] < '0' || digits[0] > '9' || *end != '\0') {
        call_fail(c, SG_INVALID, "%s: %s is not a number", name, digits);
        return false;
    }
    return true;
}

bool call_flag(const struct call *c, const char *name)
{
    return span_is(request_arg(&c->request, name), "true");
}
