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

bool call_view_init(struct call *c, struct call_view *v, struct lane *lane, uint64_t group)
{
    uint64_t limit;

    if (!call_number(c, "limit", LIST_ROWS_DEFAULT, &limit)) {
        return false;
    }
    if (limit < 1 || limit > LIST_ROWS_MAX) {
        call_fail(c, SG_INVALID, "limit: %llu rows; 1 to %d are allowed", (unsigned long long)limit,
                  LIST_ROWS_MAX);
        return false;
    }
    memset(v, 0, sizeof *v);
    v->kv = lane->kv;
    v->rows.group = group;
    v->view = (struct view){.routing_number = c->request.routing_number,
                            .reveal = call_flag(c, "reveal"),
                            .limit = limit,
                            .node = c->node->self->name,
                            .now_ms = loop_wall_ms(lane->loop),
                            .node_name = view_node_name,
                            .impl = c->node};
    return true;
}

enum sg_err call_view_begin(struct call_view *v)
{
    enum sg_err err = kv_begin(v->kv, false, &v->txn);

    if (err != SG_OK) {
        v->view.err = err;
        (void)snprintf(v->view.why, sizeof v->view.why,
                       "the store of this node cannot be read: ask another node");
        return err;
    }
    rows_init(&v->rows, v->kv, v->txn, v->rows.group);
    v->view.rows = &v->rows;
    return SG_OK;
}

void call_view_end(struct call_view *v)
{
    rows_release(&v->rows);
    kv_abort(v->kv, v->txn);
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
