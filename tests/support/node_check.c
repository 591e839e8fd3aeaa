#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "tests/support/node_check.h"

void node_check_ok(const struct reply *r)
{
    assert_non_null(r);
    if (r->err != SG_OK) {
        fail_msg("%s: %.*s", sg_err_name(r->err), (int)r->text.n, (const char *)r->text.p);
    }
}

void node_check_refused(const struct reply *r, enum sg_err err, const char *part)
{
    char text[1024];
    assert_non_null(r);
    assert_string_equal(sg_err_name(r->err), sg_err_name(err));
    if (strstr(span_cstr(r->text, text, sizeof text), part) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", part, text);
    }
}

bool node_check_has(struct span data, const char *part)
{
    size_t n = strlen(part);
    for (size_t i = 0; i + n <= data.n; i++) {
        if (memcmp(data.p + i, part, n) == 0) {
            return true;
        }
    }
    return false;
}

struct node_world *node_check_formed(size_t count, size_t lanes)
{
    struct node_world *w = node_world_new(count, lanes);
    node_world_start_all(w);
    assert_true(node_world_formed(w, 3000));
    return w;
}

struct node_world *node_check_serving(size_t lanes)
{
    struct node_world *w = node_check_formed(3, lanes);
    node_check_ok(node_world_apply(w, 0, SHARDS_AB));
    assert_int_not_equal(node_world_leader(w, ABA_A, 3000), 3);
    assert_int_not_equal(node_world_leader(w, ABA_B, 3000), 3);
    return w;
}

const struct reply *node_check_submit(struct node_world *w, size_t node, const char *id, uint32_t aba)
{
    struct transfer t = node_world_transfer(id, aba);
    struct request r = {
        .kind = REQUEST_SUBMIT, .routing_number = {aba}, .transfers = &t, .transfers_count = 1};
    return node_world_ask(w, node, &r, REQUEST_TIMEOUT_MS + 1000);
}
