/* Which shard an item belongs to, when nobody said. */
#include "supervisor/cli/each.h"
#include <string.h>

#include "supervisor/cli/verbs.h"
#include "supervisor/config/words.h"

static void take_shards(struct cli *c, const json_t *document, struct aba **out, size_t *count)
{
    const json_t *rows = json_object_get(document, "shards");
    size_t i;
    json_t *row;

    *out = arena_array(&c->arena, json_array_size(rows) + 1, sizeof **out);
    json_array_foreach(rows, i, row)
    {
        const char *text = json_string_value(json_object_get(row, "routing_number"));
        if (text != NULL && aba_parse(span_str(text), &(*out)[*count], NULL) == SG_OK) {
            (*count)++;
        }
    }
}

enum cli_exit cli_shards(struct cli *c, struct aba **out, size_t *count)
{
    struct request r = {.kind = REQUEST_SHARDS_LIST};
    struct reply reply;
    json_t *document;
    enum sg_err err = cli_ask(c, &r, &reply);
    enum cli_exit status = err == SG_OK ? CLI_DONE : cli_fail_err(c, err, reply.text);

    *count = 0;
    if (err != SG_OK && reply.json.n == 0) {
        return status;
    }
    document = cli_document(c, &reply);
    if (document == NULL) {
        return CLI_FAILED;
    }
    take_shards(c, document, out, count);
    json_decref(document);
    return status;
}

struct search {
    struct aba found[2];
    size_t found_count;
    struct aba failed; /* The first that could not answer. */
    struct reply failure;
};

static void search_note(struct search *s, const struct question *q)
{
    enum sg_err err = q->reply.err;

    if (err == SG_OK && s->found_count < 2) {
        s->found[s->found_count++] = q->request.routing_number;
    } else if (err != SG_OK && err != SG_NOTFOUND && s->failed.n == 0) {
        s->failed = q->request.routing_number;
        s->failure = q->reply;
    }
}

static enum cli_exit search_end(struct cli *c, const struct search *s, size_t shards_count, const char *value,
                                struct aba *out)
{
    char one[ABA_TEXT_SIZE];
    char two[ABA_TEXT_SIZE];
    char text[512];

    if (s->found_count > 1) {
        return cli_fail(c, CLI_USAGE, "%s is in shard %s and in %s: say which with --shard", value,
                        aba_text(s->found[0], one), aba_text(s->found[1], two));
    }
    /* It might have one of the same name: changing the other would be a guess. */
    if (s->failed.n != 0 && (s->found_count == 0 || c->verb->where == VERB_ONLINE)) {
        return cli_fail(c, cli_exit_of(s->failure.err),
                        "shard %s could not be asked for %s: %s; if you know the shard, say it with --shard",
                        aba_text(s->failed, one), value, span_cstr(s->failure.text, text, sizeof text));
    }
    if (s->found_count == 0) {
        return cli_fail(c, CLI_FAILED, "none of the %zu shards has %s", shards_count, value);
    }
    *out = s->found[0];
    return CLI_DONE;
}

enum cli_exit cli_find(struct cli *c, enum request_kind kind, const char *name, const char *value,
                       struct aba *out)
{
    const char *shard = c->args.option[OPTION_SHARD];
    struct search s = {.found_count = 0};
    struct question *questions;
    struct aba *all;
    size_t count = 0;
    enum cli_exit status;

    if (shard != NULL) {
        return cli_aba(c, shard, out) ? CLI_DONE : CLI_USAGE;
    }
    status = cli_shards(c, &all, &count);
    questions = arena_array(&c->arena, count, sizeof *questions);
    for (size_t i = 0; i < count; i++) {
        questions[i] =
            (struct question){.request = {.kind = kind, .routing_number = all[i]}, .arena = ARENA_INIT};
        cli_argument(c, &questions[i].request, name, value);
    }
    questions_ask(c, questions, count);
    for (size_t i = 0; i < count; i++) {
        search_note(&s, &questions[i]);
    }
    if (status == CLI_DONE || s.found_count > 0) {
        status = search_end(c, &s, count, value, out);
    }
    questions_release(questions, count);
    return status;
}

enum cli_exit cli_node(struct cli *c, const char *name)
{
    struct request r = {.kind = REQUEST_NODES_LIST};
    const char *known[NODES_MAX];
    const char *near;
    size_t count = 0;
    size_t i;
    json_t *document;
    json_t *row;
    enum cli_exit status = cli_fetch(c, &r, &document);

    if (status != CLI_DONE) {
        return status;
    }
    json_array_foreach(json_object_get(document, "nodes"), i, row)
    {
        const char *one = json_string_value(json_object_get(row, "name"));
        if (one != NULL && count < NODES_MAX) {
            known[count++] = one;
        }
    }
    for (i = 0; i < count && strcmp(known[i], name) != 0; i++) {
    }
    if (i == count) {
        near = words_nearest(name, known, count);
        status = cli_fail(c, CLI_USAGE, "there is no node %.64s%s%s%s: 'shardgate nodes list' shows them",
                          name, near == NULL ? "" : " (did you mean ", near == NULL ? "" : near,
                          near == NULL ? "" : "?)");
    }
    json_decref(document);
    return status;
}
