#include "supervisor/config/yaml_tree.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "proto/base/limits.h"
#include "proto/base/mem.h"

/* Keys and values are quoted in messages, and may hold line ends or what a
 * terminal would obey. */
static void tame(char *text)
{
    for (; *text != '\0'; text++) {
        unsigned char c = (unsigned char)*text;
        if (c < 0x20 || c == 0x7f) {
            *text = '?';
        }
    }
}

bool yaml_fail(struct yaml_reader *r, size_t line, const char *fmt, ...)
{
    char text[384];
    va_list args;

    if (r->failed) {
        return false;
    }
    r->failed = true;
    va_start(args, fmt);
    (void)vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    tame(text);
    (void)snprintf(r->why, r->why_size, "%s:%zu: %s", r->source, line, text);
    return false;
}

/* --- Loading ------------------------------------------------------------------------------- */

struct loader {
    struct yaml_reader *r;
    yaml_parser_t parser;
    size_t nodes;
};

static struct yaml_node *load_value(struct loader *l, const yaml_event_t *first, unsigned depth);

static bool next_event(struct loader *l, yaml_event_t *event)
{
    if (yaml_parser_parse(&l->parser, event)) {
        return true;
    }
    mem_require(l->parser.error != YAML_MEMORY_ERROR);
    return yaml_fail(l->r, l->parser.problem_mark.line + 1, "this is not YAML: %s",
                     l->parser.problem == NULL ? "it cannot be parsed" : l->parser.problem);
}

static struct yaml_node *node_new(struct loader *l, enum yaml_kind kind, const yaml_event_t *event)
{
    struct yaml_node *n = arena_alloc(l->r->arena, sizeof *n);
    n->kind = kind;
    n->line = event->start_mark.line + 1;
    return n;
}

/* Room for one more in an array that doubles: the arena keeps the old ones. */
static void *grown(struct arena *a, void *old, size_t count, size_t size)
{
    void *all;
    if ((count & (count - 1)) != 0 && count != 0) {
        return old;
    }
    all = arena_array(a, count == 0 ? 1 : 2 * count, size);
    if (count > 0) {
        memcpy(all, old, count * size);
    }
    return all;
}

static struct yaml_node *load_list(struct loader *l, const yaml_event_t *first, unsigned depth)
{
    struct yaml_node *n = node_new(l, YAML_LIST, first);
    yaml_event_t event;

    while (next_event(l, &event)) {
        struct yaml_node *item;
        if (event.type == YAML_SEQUENCE_END_EVENT) {
            yaml_event_delete(&event);
            return n;
        }
        item = load_value(l, &event, depth);
        yaml_event_delete(&event);
        if (item == NULL) {
            return NULL;
        }
        n->items = grown(l->r->arena, n->items, n->count, sizeof *n->items);
        n->items[n->count++] = item;
    }
    return NULL;
}

static struct yaml_node *load_map(struct loader *l, const yaml_event_t *first, unsigned depth)
{
    struct yaml_node *n = node_new(l, YAML_MAP, first);
    yaml_event_t event;

    while (next_event(l, &event)) {
        struct yaml_pair pair = {.line = event.start_mark.line + 1};
        struct yaml_node *key;
        if (event.type == YAML_MAPPING_END_EVENT) {
            yaml_event_delete(&event);
            return n;
        }
        key = load_value(l, &event, depth);
        yaml_event_delete(&event);
        if (key == NULL || key->kind != YAML_SCALAR) {
            (void)yaml_fail(l->r, pair.line, "a key must be plain text");
            return NULL;
        }
        pair.key = key->text;
        if (!next_event(l, &event)) {
            return NULL;
        }
        pair.value = load_value(l, &event, depth);
        yaml_event_delete(&event);
        if (pair.value == NULL) {
            return NULL;
        }
        n->pairs = grown(l->r->arena, n->pairs, n->count, sizeof *n->pairs);
        n->pairs[n->count++] = pair;
    }
    return NULL;
}

static struct yaml_node *load_value(struct loader *l, const yaml_event_t *first, unsigned depth)
{
    size_t line = first->start_mark.line + 1;
    struct yaml_node *n;

    if (depth >= CONFIG_DEPTH_MAX || ++l->nodes > CONFIG_VALUES_MAX) {
        (void)yaml_fail(l->r, line, "the text is nested too deep or too large");
        return NULL;
    }
    if (first->type == YAML_SEQUENCE_START_EVENT) {
        return load_list(l, first, depth + 1);
    }
    if (first->type == YAML_MAPPING_START_EVENT) {
        return load_map(l, first, depth + 1);
    }
    if (first->type != YAML_SCALAR_EVENT) {
        (void)yaml_fail(l->r, line, "aliases are not allowed: write the value out");
        return NULL;
    }
    n = node_new(l, YAML_SCALAR, first);
    n->text = arena_dup(l->r->arena, span_of(first->data.scalar.value, first->data.scalar.length));
    return n;
}

static struct yaml_node *load_document(struct loader *l)
{
    struct yaml_node *root = NULL;
    bool ended = false;

    while (!ended) {
        yaml_event_t event;
        yaml_event_type_t type;
        if (!next_event(l, &event)) {
            return NULL;
        }
        type = event.type;
        if (type == YAML_SCALAR_EVENT || type == YAML_MAPPING_START_EVENT ||
            type == YAML_SEQUENCE_START_EVENT || type == YAML_ALIAS_EVENT) {
            if (root != NULL) {
                (void)yaml_fail(l->r, event.start_mark.line + 1, "only one document is allowed");
            } else {
                root = load_value(l, &event, 0);
            }
        }
        yaml_event_delete(&event);
        if (l->r->failed) {
            return NULL;
        }
        ended = type == YAML_STREAM_END_EVENT;
    }
    if (root == NULL) {
        root = arena_alloc(l->r->arena, sizeof *root);
        *root = (struct yaml_node){.kind = YAML_MAP, .line = 1};
    }
    return root;
}

struct yaml_node *yaml_load(struct yaml_reader *r, struct span text)
{
    struct loader l = {.r = r};
    struct yaml_node *root;

    if (text.n > CONFIG_SIZE_MAX_BYTES) {
        (void)yaml_fail(r, 1, "the file has %zu bytes; %u are allowed", text.n, CONFIG_SIZE_MAX_BYTES);
        return NULL;
    }
    mem_require(yaml_parser_initialize(&l.parser) != 0); /* It has no other reason to fail. */
    yaml_parser_set_input_string(&l.parser, text.p == NULL ? (const unsigned char *)"" : text.p, text.n);
    root = load_document(&l);
    yaml_parser_delete(&l.parser);
    return root;
}
