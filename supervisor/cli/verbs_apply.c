/* apply. */
#include <stdio.h>
#include <string.h>

#include "supervisor/cli/each.h"
#include "supervisor/cli/verbs.h"
#include "supervisor/config/cluster_yaml.h"

#define NO_SHARD ((struct aba){0})
#define ROUND_MS 50 /* Between two looks whether every leader has it. */

static void changes_show(const json_t *changes)
{
    struct bytes out = BYTES_NONE;
    size_t i;
    json_t *line;

    json_array_foreach(changes, i, line)
    {
        table_cell(line, CELL_TEXT, &out);
        bytes_append(&out, "\n", 1);
    }
    cli_write(span_bytes(&out));
    bytes_release(&out);
}

static enum cli_exit apply_ask(struct cli *c, const char *yaml, const char *source, bool dry_run,
                               json_t **out)
{
    struct request r = cli_request(c, REQUEST_APPLY, NO_SHARD);

    cli_argument(c, &r, "yaml", yaml);
    cli_argument(c, &r, "source", source);
    if (dry_run) {
        cli_argument(c, &r, "dry_run", "true");
    }
    return cli_fetch(c, &r, out);
}

/* --- Waiting until it is in force --------------------------------------------------------- */

/* A shard's leader has the settings when its state has: they go through its log. */
static bool is_in_force(const struct cli *c, const struct question *q, json_int_t base)
{
    json_t *document = q->reply.err == SG_OK ? cli_document(c, &q->reply) : NULL;
    bool yes = json_integer_value(json_object_get(document, "settings_version")) > base;

    json_decref(document);
    return yes;
}

/* Asks those that had it not yet, and keeps those that still have not. */
static size_t ask_round(struct cli *c, struct aba *shards, size_t count, json_int_t base)
{
    struct question *questions = arena_array(&c->arena, count, sizeof *questions);
    size_t left = 0;

    for (size_t i = 0; i < count; i++) {
        questions[i] = (struct question){
            .request = {.kind = REQUEST_SHARDS_SHOW, .routing_number = shards[i]}, .arena = ARENA_INIT};
    }
    questions_ask(c, questions, count);
    for (size_t i = 0; i < count; i++) {
        if (!is_in_force(c, &questions[i], base)) {
            shards[left++] = shards[i];
        }
    }
    questions_release(questions, count);
    return left;
}

static enum cli_exit wait_in_force(struct cli *c, const json_t *done, json_int_t base)
{
    const json_t *list = json_object_get(done, "shards");
    struct aba *shards = arena_array(&c->arena, json_array_size(list), sizeof *shards);
    size_t total = 0;
    size_t left;
    char aba[ABA_TEXT_SIZE];
    size_t i;
    json_t *name;

    json_array_foreach(list, i, name)
    {
        const char *text = json_string_value(name);
        if (text != NULL && aba_parse(span_str(text), &shards[total], NULL) == SG_OK) {
            total++;
        }
    }
    for (left = total; left > 0 && cli_left_ms(c) > 0;) {
        left = ask_round(c, shards, left, base);
        if (left > 0 && !cli_wait(ROUND_MS)) {
            break;
        }
    }
    if (left == 0) {
        return CLI_DONE;
    }
    return cli_fail(
        c, CLI_UNKNOWN,
        "applied, and not yet in force on %zu of %zu shards, which will follow by themselves when "
        "they have a leader: look with 'shardgate shards show %s'",
        left, total, aba_text(shards[0], aba));
}

/* --- apply ---------------------------------------------------------------------------------- */

static void say_done(const json_t *changes, const json_t *done)
{
    if (!json_equal(changes, json_object_get(done, "changes"))) {
        (void)puts("somebody else changed the configuration at the same time; what was done is:");
        changes_show(json_object_get(done, "changes"));
    }
    (void)puts("applied");
}

/* The plan is printed before anything is changed. */
static enum cli_exit apply(struct cli *c, const char *yaml, const char *source)
{
    bool text = c->args.output == OUTPUT_TEXT;
    bool only_plan = c->args.option[OPTION_DRY_RUN] != NULL;
    json_t *plan;
    json_t *done = NULL;
    const json_t *changes;
    enum cli_exit status = apply_ask(c, yaml, source, true, &plan);

    if (status != CLI_DONE) {
        return status;
    }
    changes = json_object_get(plan, "changes");
    if (text) {
        changes_show(changes);
        (void)fflush(stdout);
    }
    if (!only_plan && json_array_size(changes) > 0) {
        status = apply_ask(c, yaml, source, false, &done);
    }
    if (done != NULL && c->args.option[OPTION_NO_WAIT] == NULL) {
        status = wait_in_force(c, done, json_integer_value(json_object_get(plan, "version")));
    }
    if (!text && (status == CLI_DONE || done != NULL)) {
        cli_show(c, done == NULL ? plan : done);
    } else if (status == CLI_DONE && done == NULL) {
        (void)puts(json_array_size(changes) == 0 ? "no changes" : "nothing was changed (--dry-run)");
    } else if (done != NULL) {
        say_done(changes, done);
    }
    json_decref(plan);
    json_decref(done);
    return status;
}

enum cli_exit run_apply(struct cli *c)
{
    const char *path = c->args.option[OPTION_FILE];
    struct cluster_settings settings;
    struct bytes yaml = BYTES_NONE;
    const char *source;
    char why[640];
    enum cli_exit status;

    if (path == NULL) {
        return cli_fail(c, CLI_USAGE, "which file? give it with -f FILE, or -f - for standard input");
    }
    source = strcmp(path, "-") == 0 ? "standard input" : path;
    status = cli_read(c, path, CONFIG_SIZE_MAX_BYTES, &yaml);
    if (status == CLI_DONE && memchr(yaml.n == 0 ? (const uint8_t *)"" : yaml.p, '\0', yaml.n) != NULL) {
        status = cli_fail(c, CLI_FAILED, "%s: this is not text", source);
    }
    /* Here first: a bad file needs no cluster to say so. */
    if (status == CLI_DONE &&
        cluster_yaml_parse(span_bytes(&yaml), source, &c->arena, &settings, why, sizeof why) != SG_OK) {
        status = cli_fail(c, CLI_FAILED, "%s", why);
    }
    if (status == CLI_DONE) {
        status = apply(c, arena_cstr(&c->arena, span_bytes(&yaml)), source);
    }
    bytes_release(&yaml);
    return status;
}
