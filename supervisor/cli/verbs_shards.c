/* Verbs that are one request (for one routing number, or for each), and the
 * transfer of leadership. */
#include <string.h>

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
    r = cli_request(c, c->verb->kind, shard);
    status = cli_fetch(c, &r, &document);
    if (status == CLI_DONE) {
        cli_show(c, document);
        cli_show_more(c, document);
    }
    json_decref(document);
    return status;
}

/* --- Every shard ------------------------------------------------------------------------- */

static enum cli_exit add_shard(struct cli *c, struct aba shard, const char *key, json_t *all)
{
    struct request r = cli_request(c, c->verb->kind, shard);
    char aba[ABA_TEXT_SIZE];
    json_t *document;
    size_t i;
    json_t *row;
    enum cli_exit status = cli_fetch(c, &r, &document);

    if (status != CLI_DONE) {
        return status;
    }
    json_array_foreach(json_object_get(document, key), i, row)
    {
        json_t *with_shard = json_pack("{s:s}", "routing_number", aba_text(shard, aba));
        CHECK(with_shard != NULL);
        (void)json_object_update(with_shard, row);
        (void)json_array_append_new(all, with_shard);
    }
    json_decref(document);
    return CLI_DONE;
}

enum cli_exit run_each(struct cli *c)
{
    const char *key = c->verb->layout->lists[0].key;
    struct aba one;
    struct aba *shards = &one;
    size_t count = 1;
    json_t *all;
    json_t *document;
    enum cli_exit status = CLI_DONE;

    if (!word_aba(c, &one)) {
        return CLI_USAGE;
    }
    if (one.n == 0) {
        status = cli_shards(c, &shards, &count);
    }
    if (status != CLI_DONE && count == 0) {
        return status;
    }
    all = json_array();
    for (size_t i = 0; i < count; i++) {
        /* One that cannot answer does not hide the others. */
        enum cli_exit this = add_shard(c, shards[i], key, all);
        status = status == CLI_DONE ? this : status;
    }
    document = json_pack("{s:i,s:o}", "v", 1, key, all);
    CHECK(document != NULL);
    if (status == CLI_DONE || count > 1) {
        cli_show(c, document);
    }
    if (count == 1) {
        cli_show_more(c, document);
    }
    json_decref(document);
    return status;
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
    r = cli_request(c, REQUEST_LEADER_TRANSFER, shard);
    status = cli_fetch(c, &r, &document);
    if (status == CLI_DONE) {
        cli_show(c, document);
        status = exit_of_outcome(json_string_value(json_object_get(document, "outcome")));
    }
    json_decref(document);
    return status;
}
