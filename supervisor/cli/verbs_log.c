/* events, once or as they come. */
#include <inttypes.h>
#include <stdio.h>

#include "supervisor/cli/verbs.h"

#define FOLLOW_MS 250

static bool has_rows(const json_t *document)
{
    return json_array_size(json_object_get(document, "events")) > 0;
}

/* What came after the cursor; moves it. */
static enum cli_exit look(struct cli *c, struct aba shard, uint64_t *cursor, json_t **out)
{
    char from[24];
    struct request r;
    const json_t *next;
    enum cli_exit status;

    (void)snprintf(from, sizeof from, "%" PRIu64, *cursor);
    c->args.option[OPTION_FROM] = from;
    r = cli_request(c, REQUEST_EVENTS, shard);
    status = cli_fetch(c, &r, out);
    c->args.option[OPTION_FROM] = NULL;
    if (status != CLI_DONE) {
        return *cursor == 0 ? status : cli_fail(c, status, "go on with --from %" PRIu64, *cursor);
    }
    next = json_object_get(*out, "next");
    if (json_is_integer(next) && json_integer_value(next) > 0) {
        *cursor = (uint64_t)json_integer_value(next);
    }
    return CLI_DONE;
}

static enum cli_exit follow(struct cli *c, struct aba shard, uint64_t cursor)
{
    bool more = true;
    enum cli_exit status = CLI_DONE;

    while (status == CLI_DONE && (more || cli_wait(FOLLOW_MS))) {
        json_t *document;
        cli_begin_time(c);
        status = look(c, shard, &cursor, &document);
        more = status == CLI_DONE && has_rows(document);
        if (more) {
            cli_show(c, document);
            (void)fflush(stdout);
            c->is_continued = true;
        }
        json_decref(document);
        arena_reset(&c->arena);
    }
    return status;
}

enum cli_exit run_events(struct cli *c)
{
    const char *from = c->args.option[OPTION_FROM];
    struct aba shard;
    uint64_t cursor = 0;

    if (c->args.option[OPTION_FOLLOW] == NULL) {
        return run_plain(c);
    }
    if (c->args.option[OPTION_DATA_DIR] != NULL) {
        return cli_fail(c, CLI_USAGE, "--follow needs a running node: use --connect");
    }
    if (c->args.output == OUTPUT_JSON) {
        return cli_fail(c, CLI_USAGE, "--follow never ends, so it is no one document: use -o jsonl");
    }
    if (from != NULL && !args_number(from, &cursor)) {
        return cli_fail(c, CLI_USAGE, "--from %s: a cursor is a number", from);
    }
    return cli_aba(c, c->args.words[0], &shard) ? follow(c, shard, cursor) : CLI_USAGE;
}
