/* events: the newest, those behind a cursor, or as they come. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "supervisor/cli/pages.h"
#include "supervisor/cli/verbs.h"

#define FOLLOW_MS 250
#define TAIL_DEFAULT 100
#define PAGE_ROWS 1000
#define SINCE_SIZE 32

/* Which events are wanted. */
struct wanted {
    struct aba shard;
    const char *kind;       /* "file.hold", or "file" for all of its family; NULL: all. */
    char since[SINCE_SIZE]; /* In UTC, as events have it, or the first part of that; "": always. */
    uint64_t tail;
};

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text == NULL ? "" : text;
}

static bool is_early(const struct wanted *w, const json_t *row)
{
    return w->since[0] != '\0' && strcmp(text_of(row, "time"), w->since) < 0;
}

static bool is_wanted(const struct wanted *w, const json_t *row)
{
    const char *kind = text_of(row, "kind");
    size_t n = w->kind == NULL ? 0 : strlen(w->kind);
    return !is_early(w, row) &&
           (n == 0 || (strncmp(kind, w->kind, n) == 0 && (kind[n] == '\0' || kind[n] == '.')));
}

/* Up to limit events behind a cursor. */
static enum cli_exit fetch(struct cli *c, struct aba shard, uint64_t from, uint64_t limit, json_t **out)
{
    struct request r = {.kind = REQUEST_EVENTS, .routing_number = shard};

    cli_argument(c, &r, "from", arena_printf(&c->arena, "%" PRIu64, from));
    cli_argument(c, &r, "limit", arena_printf(&c->arena, "%" PRIu64, limit));
    return cli_fetch(c, &r, out);
}

static uint64_t number_of(const json_t *document, const char *key)
{
    json_int_t n = json_integer_value(json_object_get(document, key));
    return n > 0 ? (uint64_t)n : 0;
}

/* All events behind from, up to end, in one document: a node may answer in parts. */
static enum cli_exit fetch_all(struct cli *c, struct aba shard, uint64_t from, uint64_t end, json_t **out)
{
    enum cli_exit status = fetch(c, shard, from, end - from, out);
    uint64_t at = number_of(*out, "next");

    while (status == CLI_DONE && at > from && at < end) {
        json_t *part;
        status = fetch(c, shard, at, end - at, &part);
        if (status == CLI_DONE) {
            from = at;
            at = number_of(part, "next");
            CHECK(json_array_extend(json_object_get(*out, "events"), json_object_get(part, "events")) == 0);
        }
        json_decref(part);
    }
    return status;
}

/* Takes document; shows what of it is wanted. */
static void show(struct cli *c, const struct wanted *w, json_t *document)
{
    json_t *rows = json_object_get(document, "events");

    for (size_t i = json_array_size(rows); i > 0; i--) {
        if (!is_wanted(w, json_array_get(rows, i - 1))) {
            (void)json_array_remove(rows, i - 1);
        }
    }
    if (!c->is_continued || json_array_size(rows) > 0) {
        cli_show(c, document);
        (void)fflush(stdout);
        c->is_continued = true;
    }
    json_decref(document);
}

/* --- The newest -------------------------------------------------------------------------- */

/* The wanted ones of a page, in front of those that were found before. Returns
 * whether the page reaches back far enough. */
static bool prepend(const struct wanted *w, const json_t *page, json_t *found)
{
    const json_t *rows = json_object_get(page, "events");

    for (size_t i = json_array_size(rows); i > 0; i--) {
        json_t *row = json_array_get(rows, i - 1);
        if (is_early(w, row) || json_array_size(found) == w->tail) {
            return true;
        }
        if (is_wanted(w, row)) {
            CHECK(json_array_insert(found, 0, row) == 0);
        }
    }
    return json_array_size(found) == w->tail;
}

/* Cursors have no gaps, so the newest are found by counting back, a page at a time. */
static enum cli_exit tail(struct cli *c, const struct wanted *w, uint64_t *last)
{
    json_t *found = json_array();
    json_t *document = NULL;
    enum cli_exit status = fetch(c, w->shard, 0, 1, &document);
    uint64_t end = number_of(document, "last");
    bool enough = w->tail == 0;
    uint64_t page = w->tail < PAGE_ROWS && w->kind == NULL && w->since[0] == '\0' ? w->tail : PAGE_ROWS;

    json_decref(document);
    *last = end;
    while (status == CLI_DONE && end > 0 && !enough) {
        uint64_t from = end > page ? end - page : 0;
        status = fetch_all(c, w->shard, from, end, &document);
        if (status == CLI_DONE) {
            enough = prepend(w, document, found);
            end = from;
        }
        json_decref(document);
    }
    if (status == CLI_DONE) {
        document = json_pack("{s:i,s:O,s:I,s:I}", "v", 1, "events", found, "next", (json_int_t)*last, "last",
                             (json_int_t)*last);
        CHECK(document != NULL);
        show(c, w, document);
    }
    if (status == CLI_DONE && c->args.output == OUTPUT_TEXT && json_array_size(found) == w->tail && end > 0) {
        (void)fprintf(stderr, "the newest %" PRIu64 "; --tail N shows more, --since TIME those since then\n",
                      w->tail);
    }
    json_decref(found);
    return status;
}

/* --- As they come ------------------------------------------------------------------------ */

static enum cli_exit follow(struct cli *c, const struct wanted *w, uint64_t cursor)
{
    bool more = true;
    enum cli_exit status = CLI_DONE;

    while (status == CLI_DONE && (more || cli_wait(FOLLOW_MS))) {
        json_t *document;
        cli_begin_time(c);
        status = fetch(c, w->shard, cursor, PAGE_ROWS, &document);
        if (status != CLI_DONE) {
            return cursor == 0 ? status : cli_fail(c, status, "go on with --from %" PRIu64, cursor);
        }
        more = json_array_size(json_object_get(document, "events")) > 0;
        cursor = number_of(document, "next") > cursor ? number_of(document, "next") : cursor;
        if (more) {
            show(c, w, document);
        } else {
            json_decref(document);
        }
        arena_reset(&c->arena);
    }
    return status;
}

/* --- events ------------------------------------------------------------------------------ */

/* "2h" back from now, or a time in UTC: "2026-11-30", "2026-11-30T10:00Z". */
static bool since_parse(const char *text, char out[SINCE_SIZE])
{
    size_t n = strlen(text);
    struct day day;
    uint32_t back_ms;
    struct tm tm;
    time_t at;

    if (args_duration(text, &back_ms)) {
        at = time(NULL) - (time_t)(back_ms / 1000);
        return gmtime_r(&at, &tm) != NULL && strftime(out, SINCE_SIZE, "%Y-%m-%dT%H:%M:%S", &tm) > 0;
    }
    if (n < 10 || n >= SINCE_SIZE || day_parse(span_of(text, 10), &day) != SG_OK ||
        (n > 10 && (text[10] != 'T' || text[n - 1] != 'Z'))) {
        return false;
    }
    (void)snprintf(out, SINCE_SIZE, "%.*s", (int)(n > 10 ? n - 1 : n), text);
    return true;
}

static enum cli_exit check_follow(const struct cli *c)
{
    if (c->args.option[OPTION_DATA_DIR] != NULL) {
        return cli_fail(c, CLI_USAGE, "--follow needs a running node: use --connect");
    }
    if (c->args.output == OUTPUT_JSON) {
        return cli_fail(c, CLI_USAGE, "--follow never ends, so it is no one document: use -o jsonl");
    }
    return CLI_DONE;
}

enum cli_exit run_events(struct cli *c)
{
    const char *const *o = c->args.option;
    struct wanted w = {.kind = o[OPTION_KIND], .since = "", .tail = TAIL_DEFAULT};
    uint64_t cursor = 0;
    enum cli_exit status = o[OPTION_FOLLOW] == NULL ? CLI_DONE : check_follow(c);

    if (status != CLI_DONE || !cli_aba(c, c->args.words[0], &w.shard)) {
        return CLI_USAGE;
    }
    if (o[OPTION_FROM] != NULL &&
        (o[OPTION_TAIL] != NULL || o[OPTION_KIND] != NULL || o[OPTION_SINCE] != NULL)) {
        return cli_fail(c, CLI_USAGE,
                        "--from goes forward from a cursor; --tail, --kind and --since look back "
                        "from the newest");
    }
    if (o[OPTION_LIMIT] != NULL && o[OPTION_FROM] == NULL) {
        return cli_fail(c, CLI_USAGE, "--limit goes with --from; --tail says how many of the newest");
    }
    if (o[OPTION_SINCE] != NULL && !since_parse(o[OPTION_SINCE], w.since)) {
        return cli_fail(c, CLI_USAGE,
                        "--since %.40s: write it like 30m, 2h, 2026-11-30 or 2026-11-30T10:00Z (UTC)",
                        o[OPTION_SINCE]);
    }
    if (o[OPTION_TAIL] != NULL) {
        CHECK(args_number(o[OPTION_TAIL], &w.tail)); /* cli.c has looked. */
    } else if (o[OPTION_SINCE] != NULL) {
        w.tail = LIST_ROWS_MAX;
    }
    if (o[OPTION_FROM] == NULL) {
        status = tail(c, &w, &cursor);
    } else {
        CHECK(args_number(o[OPTION_FROM], &cursor));
        if (o[OPTION_FOLLOW] == NULL) {
            return pages_show(c, w.shard);
        }
    }
    return status == CLI_DONE && o[OPTION_FOLLOW] != NULL ? follow(c, &w, cursor) : status;
}
