#include "tests/support/state_script.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- Arguments ------------------------------------------------------------------ */

void script_split(char *line, struct script_args *args)
{
    char *save = NULL;
    args->count = 0;
    for (char *word = strtok_r(line, " ", &save); word != NULL; word = strtok_r(NULL, " ", &save)) {
        char *value = strchr(word, '=');
        assert_true(args->count < SCRIPT_ARGS_MAX);
        if (value != NULL) {
            *value++ = 0;
        }
        args->name[args->count] = word;
        args->value[args->count++] = value;
    }
}

const char *script_arg_from(const struct script_args *args, size_t from, const char *name)
{
    for (size_t i = from; i < args->count && strcmp(args->name[i], "/") != 0; i++) {
        if (strcmp(args->name[i], name) == 0) {
            return args->value[i] == NULL ? "" : args->value[i];
        }
    }
    return NULL;
}

const char *script_arg(const struct script *s, const char *name)
{
    return script_arg_from(&s->args, 1, name);
}

uint64_t script_number(const struct script *s, const char *name, uint64_t absent)
{
    const char *value = script_arg(s, name);
    return value == NULL ? absent : strtoull(value, NULL, 10);
}

struct span script_text(const char *value)
{
    return value == NULL ? SPAN_NONE : span_str(value);
}

struct day script_day(const char *value)
{
    struct day day = DAY_NONE;
    if (value != NULL) {
        assert_int_equal(day_parse(span_str(value), &day), SG_OK);
    }
    return day;
}

struct window_id script_window_named(const struct script *s, const char *name)
{
    struct window_id id = {.day = DAY_NONE};
    const char *value = script_arg(s, name);
    assert_non_null(value);
    const char *slash = strchr(value, '/');
    assert_non_null(slash);
    if (slash != value) {
        assert_int_equal(day_parse(span_of(value, (size_t)(slash - value)), &id.day), SG_OK);
    }
    (void)snprintf(id.name, sizeof(id.name), "%s", slash + 1);
    return id;
}

struct window_id script_window(const struct script *s)
{
    return script_window_named(s, "window");
}

/* --- Output ------------------------------------------------------------------------ */

void script_print_result(struct script *s, const struct command_result *r)
{
    char text[1024];
    bytes_printf(&s->out, "%llu %s", (unsigned long long)r->index,
                 r->err == SG_OK ? "ok" : sg_err_name(r->err));
    if (r->file != 0) {
        bytes_printf(&s->out, " file=%llu", (unsigned long long)r->file);
    }
    if (r->reason.n > 0) {
        bytes_printf(&s->out, ": %s", span_cstr(r->reason, text, sizeof(text)));
    }
    bytes_printf(&s->out, "\n");
    for (size_t i = 0; i < r->results_count; i++) {
        const struct submit_result *one = &r->results[i];
        bytes_printf(&s->out, "  %s", span_cstr(one->id, text, sizeof(text)));
        bytes_printf(&s->out, " %s", outcome_name(one->outcome));
        if (one->index != 0) {
            bytes_printf(&s->out, " at %llu", (unsigned long long)one->index);
        }
        if (one->reason.n > 0) {
            bytes_printf(&s->out, ": %s", span_cstr(one->reason, text, sizeof(text)));
        }
        bytes_printf(&s->out, "\n");
    }
}

void script_apply(struct script *s, struct command *c)
{
    const char *node = script_arg(s, "node");
    c->node = script_text(node);
    struct command_result r = state_rig_apply(&s->rig, c);
    script_print_result(s, &r);
}
