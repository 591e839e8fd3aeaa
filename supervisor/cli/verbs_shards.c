/* Verbs that are one request (for one routing number, or for each), and the
 * transfer of leadership. */
#include <string.h>

#include "supervisor/cli/each.h"
#include "supervisor/cli/pages.h"
#include "supervisor/cli/verbs.h"

/* The routing number that the first word is, or none. */
static bool word_aba(const struct cli *c, struct aba *out)
{
    *out = (struct aba){0};
    return c->args.words_count == 0 || cli_aba(c, c->args.words[0], out);
}

enum cli_exit run_plain(struct cli *c)
{
    struct request r;
    struct aba shard;
    json_t *document;
    enum cli_exit status;

    if (!word_aba(c, &shard)) {
        return CLI_USAGE;
    }
    if ((c->verb->options & OPTION_BIT(OPTION_LIMIT)) != 0) {
        return pages_show(c, shard);
    }
    r = cli_request(c, c->verb->kind, shard);
    status = cli_fetch(c, &r, &document);
    if (status == CLI_DONE) {
        cli_show(c, document);
    }
    json_decref(document);
    return status;
}

/* --- shards list ------------------------------------------------------------------------- */

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text == NULL ? "" : text;
}

/* The place of a shard's row, or of the first behind it. */
static size_t row_place(const json_t *rows, const char *aba)
{
    size_t low = 0;
    size_t high = json_array_size(rows);

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(text_of(json_array_get(rows, middle), "routing_number"), aba) < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

/* The leader of a shard knows when it closes and what is committed; a shard without a
 * replica on the first node comes from the others alone. */
static void take_rows(json_t *rows, const json_t *other)
{
    const char *node = text_of(other, "answered_by");
    size_t i;
    json_t *row;

    json_array_foreach(json_object_get(other, "shards"), i, row)
    {
        const char *aba = text_of(row, "routing_number");
        size_t at = row_place(rows, aba);
        bool is_there = at < json_array_size(rows) &&
                        strcmp(text_of(json_array_get(rows, at), "routing_number"), aba) == 0;
        if (!is_there) {
            CHECK(json_array_insert(rows, at, row) == 0);
        } else if (strcmp(text_of(row, "leader"), node) == 0) {
            CHECK(json_array_set(rows, at, row) == 0);
        }
    }
}

/* What each node says, by its leader where there is one. */
static enum cli_exit list_shards(struct cli *c)
{
    struct request r = cli_request(c, REQUEST_SHARDS_LIST, (struct aba){0});
    const struct request ask_nodes = {.kind = REQUEST_NODES_LIST};
    struct node_answer others[NODES_MAX];
    json_t *document;
    json_t *nodes = NULL;
    size_t count = 0;
    enum cli_exit status = cli_fetch(c, &r, &document);

    if (status == CLI_DONE) {
        status = cli_fetch(c, &ask_nodes, &nodes);
    }
    if (status == CLI_DONE) {
        count = nodes_ask(c, json_object_get(nodes, "nodes"), text_of(document, "answered_by"), &r, others);
        for (size_t i = 0; i < count; i++) {
            take_rows(json_object_get(document, "shards"), others[i].document);
            json_decref(others[i].document);
        }
        cli_show(c, document);
    }
    json_decref(document);
    json_decref(nodes);
    return status;
}

/* A node that nobody knows leads nothing, which is not what was asked. */
enum cli_exit run_shards_list(struct cli *c)
{
    const char *node = c->args.option[OPTION_NODE];
    enum cli_exit status = node == NULL ? CLI_DONE : cli_node(c, node);

    if (status != CLI_DONE) {
        return status;
    }
    return c->args.option[OPTION_DATA_DIR] != NULL ? run_plain(c) : list_shards(c);
}

/* --- leader show ------------------------------------------------------------------------- */

enum cli_exit run_leader_show(struct cli *c)
{
    struct request r;
    struct aba shard;
    json_t *document;
    enum cli_exit status;

    if (!word_aba(c, &shard)) {
        return CLI_USAGE;
    }
    r = cli_request(c, c->verb->kind, shard);
    status = cli_fetch(c, &r, &document);
    if (status == CLI_DONE) {
        cli_show(c, document);
        if (json_is_null(json_object_get(document, "leader"))) {
            status = cli_fail(c, CLI_UNREACHED,
                              "the shard has no leader: 'shardgate status' says what is missing");
        }
    }
    json_decref(document);
    return status;
}

/* --- Every shard ------------------------------------------------------------------------- */

/* The first page of this shard, and those behind it. */
static enum cli_exit add_shard(struct cli *c, const struct question *q, struct pages *p, json_t *all)
{
    char aba[ABA_TEXT_SIZE];
    json_t *document = cli_document(c, &q->reply);
    enum cli_exit status = document == NULL ? CLI_FAILED : pages_take(p, document);

    while (status == CLI_DONE) {
        size_t i;
        json_t *row;
        json_array_foreach(json_object_get(document, p->key), i, row)
        {
            json_t *with_shard = json_pack("{s:s}", "routing_number", aba_text(p->shard, aba));
            CHECK(with_shard != NULL);
            (void)json_object_update(with_shard, row);
            (void)json_array_append_new(all, with_shard);
        }
        json_decref(document);
        document = NULL;
        if (!pages_go_on(p)) {
            break;
        }
        status = pages_next(p, &document);
    }
    json_decref(document);
    return status;
}

/* One that cannot answer does not hide the others. */
static enum cli_exit each(struct cli *c, const struct aba *shards, size_t count)
{
    const char *key = c->verb->layout->lists[0].key;
    struct question *questions = arena_array(&c->arena, count, sizeof *questions);
    struct pages *pages = arena_array(&c->arena, count, sizeof *pages);
    json_t *all = json_array();
    json_t *document;
    enum cli_exit status;

    for (size_t i = 0; i < count; i++) {
        pages_init(&pages[i], c, shards[i]);
        questions[i] = (struct question){.request = pages_request(&pages[i]), .arena = ARENA_INIT};
    }
    questions_ask(c, questions, count);
    status = questions_fail(c, questions, count);
    for (size_t i = 0; i < count; i++) {
        if (questions[i].reply.err == SG_OK) {
            enum cli_exit this = add_shard(c, &questions[i], &pages[i], all);
            status = status == CLI_DONE ? this : status;
        }
    }
    document = json_pack("{s:i,s:o}", "v", 1, key, all);
    CHECK(document != NULL);
    if (status == CLI_DONE || count > 1) {
        cli_show(c, document);
    }
    if (count == 1 && status == CLI_DONE) {
        pages_say_more(&pages[0]);
    }
    json_decref(document);
    questions_release(questions, count);
    return status;
}

enum cli_exit run_each(struct cli *c)
{
    struct aba one;
    struct aba *shards = &one;
    size_t count = 1;
    struct reply reply;
    enum cli_exit status = CLI_DONE;
    enum cli_exit shown;

    if (!word_aba(c, &one)) {
        return CLI_USAGE;
    }
    if (one.n == 0) {
        status = cli_shards(c, &shards, &count);
    }
    if (status != CLI_DONE && count == 0) {
        return status;
    }
    if (c->args.option[OPTION_DATA_DIR] == NULL && cli_connect(c, &reply) != SG_OK) {
        return cli_fail_err(c, reply.err, reply.text);
    }
    shown = each(c, shards, count);
    return status == CLI_DONE ? shown : status;
}

/* --- leader transfer --------------------------------------------------------------------- */

static enum cli_exit exit_of_outcome(const char *outcome)
{
    if (outcome == NULL) {
        return CLI_FAILED;
    }
    if (strcmp(outcome, "TRANSFERRED") == 0 || strcmp(outcome, "ALREADY_LEADER") == 0) {
        return CLI_DONE;
    }
    if (strncmp(outcome, "REFUSED_", strlen("REFUSED_")) == 0) {
        return CLI_REFUSED;
    }
    return strcmp(outcome, "TIMED_OUT") == 0 ? CLI_UNKNOWN : CLI_FAILED;
}

enum cli_exit run_leader_transfer(struct cli *c)
{
    struct request r;
    struct aba shard;
    json_t *document;
    enum cli_exit status;

    if (!word_aba(c, &shard)) {
        return CLI_USAGE;
    }
    if (c->args.option[OPTION_TO] != NULL) {
        status = cli_node(c, c->args.option[OPTION_TO]);
        if (status != CLI_DONE) {
            return status;
        }
    }
    r = cli_request(c, REQUEST_LEADER_TRANSFER, shard);
    status = cli_fetch(c, &r, &document);
    if (status == CLI_DONE) {
        cli_show(c, document);
        status = exit_of_outcome(json_string_value(json_object_get(document, "outcome")));
    }
    json_decref(document);
    return status;
}
