/* An answer, printed as --output says. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "supervisor/cli/verbs.h"

void cli_write(struct span text)
{
    if (text.n > 0) {
        (void)fwrite(text.p, 1, text.n, stdout); /* cli_main() looks at the stream's error in the end. */
    }
}

bool cli_wait(int ms)
{
    struct pollfd out = {.fd = STDOUT_FILENO, .events = 0};
    int n = poll(&out, 1, ms);
    return n == 0 || (n < 0 && errno == EINTR) || (out.revents & (POLLERR | POLLHUP | POLLNVAL)) == 0;
}

static void dump(const json_t *value, size_t flags)
{
    /* ASCII only: what the text says must not reach the terminal as it is. */
    char *text = json_dumps(value, flags | JSON_ENSURE_ASCII | JSON_ENCODE_ANY);
    CHECK(text != NULL);
    (void)puts(text);
    free(text); /* jansson's own allocator. */
}

static void show_lines(const struct layout *l, const json_t *document)
{
    const json_t *rows =
        l->is_record || l->lists_count == 0 ? NULL : json_object_get(document, l->lists[0].key);
    size_t i;
    json_t *row;

    if (!json_is_array(rows)) {
        dump(document, JSON_COMPACT);
        return;
    }
    json_array_foreach(rows, i, row)
    {
        dump(row, JSON_COMPACT);
    }
}

static void show_text(const struct layout *l, const json_t *document, bool heads, size_t width)
{
    struct bytes out = BYTES_NONE;

    if (l->is_record) {
        table_record(document, &out);
    }
    for (size_t i = 0; i < l->lists_count; i++) {
        const struct layout_list *list = &l->lists[i];
        const json_t *rows = json_object_get(document, list->key);
        /* What comes second is left out when there is nothing to say. */
        if (!json_is_array(rows) || (out.n > 0 && json_array_size(rows) == 0)) {
            continue;
        }
        if (out.n > 0) {
            bytes_printf(&out, "\n");
        }
        if (list->title != NULL) {
            bytes_printf(&out, "%s\n", list->title);
        }
        table_render(list->columns, list->columns_count, rows, heads, width, &out);
    }
    cli_write(span_bytes(&out));
    bytes_release(&out);
}

static bool show_sentence(const struct cli *c, const json_t *document)
{
    struct bytes out = BYTES_NONE;
    bool is_change = cli_sentence(c, document, &out);

    cli_write(span_bytes(&out));
    bytes_release(&out);
    return is_change;
}

void cli_show(const struct cli *c, const json_t *document)
{
    const struct layout *l = c->verb->layout == NULL ? &layout_record : c->verb->layout;

    switch (c->args.output) {
    case OUTPUT_JSON:
        dump(document, JSON_INDENT(2));
        break;
    case OUTPUT_JSONL:
        show_lines(l, document);
        break;
    case OUTPUT_TEXT:
        if (!show_sentence(c, document)) {
            show_text(l, document, !c->is_continued, c->args.is_wide ? 0 : TABLE_WIDTH);
        }
        break;
    }
}
