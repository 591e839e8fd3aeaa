/* Lists, page by page: a node answers a part and says where the next one begins; to
 * whoever reads the output it is one list. */
#include <inttypes.h>
#include <stdio.h>

#include "proto/base/limits.h"
#include "supervisor/cli/pages.h"
#include "supervisor/cli/verbs.h"

#define SHOWN_ROWS LIST_ROWS_DEFAULT /* A table's columns are as wide as so many rows need. */

static uint64_t number_of(const json_t *document, const char *key)
{
    const json_t *value = json_object_get(document, key);
    return json_is_integer(value) && json_integer_value(value) > 0 ? (uint64_t)json_integer_value(value) : 0;
}

/* Does the node say that there is more? One of an earlier version says so only by
 * `next`, and when it gave as many rows as it was asked for. */
static bool has_more(const json_t *document, size_t rows, uint64_t wanted)
{
    const json_t *more = json_object_get(document, "more");
    return json_is_boolean(more) ? json_is_true(more) : number_of(document, "next") > 0 && rows >= wanted;
}

/* Rows that the next request asks for. */
static uint64_t asked(const struct pages *p)
{
    uint64_t most = p->has_limit ? LIST_ROWS_MAX : LIST_ROWS_DEFAULT;
    return p->left < most ? p->left : most;
}

void pages_init(struct pages *p, struct cli *c, struct aba shard)
{
    const char *limit = c->args.option[OPTION_LIMIT];

    *p = (struct pages){.cli = c,
                        .shard = shard,
                        .key = c->verb->layout->lists[0].key,
                        .has_limit = limit != NULL,
                        .left = UINT64_MAX,
                        .more = true};
    if (limit != NULL) {
        bool is_number = args_number(limit, &p->left);
        CHECK(is_number); /* It was looked at with the command line. */
    }
}

struct request pages_request(const struct pages *p)
{
    struct cli *c = p->cli;
    const char *given_limit = c->args.option[OPTION_LIMIT];
    const char *given_from = c->args.option[OPTION_FROM];
    struct request r;

    if (p->has_limit) {
        c->args.option[OPTION_LIMIT] = arena_printf(&c->arena, "%" PRIu64, asked(p));
    }
    if (p->is_begun) {
        c->args.option[OPTION_FROM] = arena_printf(&c->arena, "%" PRIu64, p->next);
    }
    r = cli_request(c, c->verb->kind, p->shard);
    c->args.option[OPTION_LIMIT] = given_limit;
    c->args.option[OPTION_FROM] = given_from;
    return r;
}

enum cli_exit pages_take(struct pages *p, const json_t *page)
{
    uint64_t next = number_of(page, "next");
    size_t rows = json_array_size(json_object_get(page, p->key));

    p->more = has_more(page, rows, asked(p));
    if (p->more && p->is_begun && next == p->next) {
        return cli_fail(p->cli, CLI_FAILED, "the list does not go on behind %" PRIu64, next);
    }
    p->is_begun = true;
    p->next = next;
    p->left -= rows < p->left ? rows : p->left;
    return CLI_DONE;
}

enum cli_exit pages_next(struct pages *p, json_t **out)
{
    struct request r = pages_request(p);
    enum cli_exit status = cli_fetch(p->cli, &r, out);

    if (status != CLI_DONE) {
        return p->is_begun
                   ? cli_fail(p->cli, status, "the list is not complete: it ends before %" PRIu64, p->next)
                   : status;
    }
    status = pages_take(p, *out);
    if (status != CLI_DONE) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}

bool pages_go_on(const struct pages *p)
{
    return p->more && p->left > 0;
}

void pages_say_more(const struct pages *p)
{
    bool takes_from = (p->cli->verb->options & OPTION_BIT(OPTION_FROM)) != 0;

    if (p->more && takes_from) {
        (void)fprintf(stderr, "there may be more: --from %" PRIu64 "\n", p->next);
    } else if (p->more) {
        (void)fprintf(stderr, "there may be more: --limit is %s\n", p->cli->args.option[OPTION_LIMIT]);
    }
}

/* Appends page's rows to all's, and takes over how far it is. */
static void join(const char *key, json_t *all, const json_t *page)
{
    static const char *const place[] = {"next", "more", "last"};

    CHECK(json_array_extend(json_object_get(all, key), json_object_get(page, key)) == 0);
    for (size_t i = 0; i < sizeof place / sizeof place[0]; i++) {
        json_t *value = json_object_get(page, place[i]);
        if (value != NULL) {
            CHECK(json_object_set(all, place[i], value) == 0);
        }
    }
}

/* Enough for a table, or the end of the list. */
static enum cli_exit some_rows(struct pages *p, json_t **out)
{
    bool is_one_document = p->cli->args.output == OUTPUT_JSON;
    enum cli_exit status = pages_next(p, out);

    while (status == CLI_DONE && pages_go_on(p) && json_is_array(json_object_get(*out, p->key)) &&
           (is_one_document || json_array_size(json_object_get(*out, p->key)) < SHOWN_ROWS)) {
        json_t *page = NULL;
        arena_reset(&p->cli->arena); /* The pages before live in the document. */
        status = pages_next(p, &page);
        if (status == CLI_DONE) {
            join(p->key, *out, page);
        }
        json_decref(page);
    }
    return status;
}

enum cli_exit pages_show(struct cli *c, struct aba shard)
{
    struct pages p;
    enum cli_exit status = CLI_DONE;

    pages_init(&p, c, shard);
    while (status == CLI_DONE && pages_go_on(&p)) {
        json_t *document = NULL;
        status = some_rows(&p, &document);
        /* What came before a failure is shown, but never as a whole document. */
        if (document != NULL && (status == CLI_DONE || c->args.output != OUTPUT_JSON)) {
            cli_show(c, document);
            c->is_continued = true;
        }
        json_decref(document);
        arena_reset(&c->arena);
    }
    if (status == CLI_DONE) {
        pages_say_more(&p);
    }
    return status;
}
