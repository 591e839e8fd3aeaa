#include <stdarg.h>
#include <stdio.h>

#include "supervisor/verbs/view_parts.h"

void view_add(json_t *object, const char *key, json_t *value)
{
    int rv = json_object_set_new(object, key, value);
    CHECK(rv == 0); /* Only memory can fail here, and that stops the process. */
}

void view_append(json_t *list, json_t *value)
{
    int rv = json_array_append_new(list, value);
    CHECK(rv == 0);
}

json_t *view_text(struct span s)
{
    struct bytes clean = BYTES_NONE;
    json_t *text;

    bytes_append_span(&clean, s);
    for (size_t i = 0; i < clean.n; i++) {
        if (clean.p[i] < 0x20 || clean.p[i] > 0x7e) {
            clean.p[i] = '?';
        }
    }
    text = json_stringn(clean.n == 0 ? "" : (const char *)clean.p, clean.n);
    bytes_release(&clean);
    return text;
}

json_t *view_number(uint64_t n)
{
    return json_integer((json_int_t)n);
}

json_t *view_time(int64_t unix_ms)
{
    char text[TIME_TEXT_SIZE];
    return unix_ms == 0 ? json_null() : json_string(time_text(unix_ms, text));
}

size_t view_limit(const struct view *v)
{
    return v->limit == 0 ? LIST_ROWS_DEFAULT : v->limit;
}

json_t *view_page(const char *key, json_t *rows, uint64_t next, bool more)
{
    return json_pack("{s:i,s:o,s:I,s:b}", "v", 1, key, rows, "next", (json_int_t)next, "more", more);
}

bool view_fail(struct view *v, enum sg_err err, const char *fmt, ...)
{
    va_list args;
    CHECK(err != SG_OK);
    v->err = err;
    va_start(args, fmt);
    (void)vsnprintf(v->why, sizeof v->why, fmt, args);
    va_end(args);
    return false;
}

const char *view_node(const struct view *v, uint64_t id, char buffer[24])
{
    const char *name = v->node_name == NULL ? NULL : v->node_name(v->impl, id);
    if (name != NULL) {
        return name;
    }
    (void)snprintf(buffer, 24, "%llu", (unsigned long long)id);
    return buffer;
}
