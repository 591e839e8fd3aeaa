/* ping, apply, export. */
#include <stdio.h>
#include <string.h>

#include "supervisor/cli/verbs.h"
#include "supervisor/client/client.h"
#include "supervisor/config/cluster_yaml.h"

#define PING_TIMEOUT_MS 2000
#define NO_SHARD ((struct aba){0})

/* --- ping -------------------------------------------------------------------------------- */

static void ping_show(const struct cli *c, bool up, json_t *document, struct span why)
{
    const char *cluster = json_string_value(json_object_get(document, "cluster"));
    const char *node = json_string_value(json_object_get(document, "node"));
    struct bytes line = BYTES_NONE;

    if (c->args.output != OUTPUT_TEXT) {
        json_t *o = json_pack("{s:i,s:b,s:s,s:s?,s:s?,s:o}", "v", 1, "up", up, "address", c->args.words[0],
                              "cluster", cluster, "node", node, "why", table_json(why));
        if (o != NULL) { /* NULL: the address is not UTF-8; the status says it. */
            cli_show(c, o);
            json_decref(o);
        }
        return;
    }
    bytes_printf(&line, "%s ", up ? "UP" : "DOWN");
    if (cluster != NULL && node != NULL) {
        table_clean(span_str(cluster), &line);
        bytes_append(&line, "/", 1);
        table_clean(span_str(node), &line);
    } else {
        bytes_append(&line, "-", 1);
    }
    if (!up) {
        bytes_append(&line, " ", 1);
        table_clean(why, &line);
    }
    bytes_append(&line, "\n", 1);
    cli_write(span_bytes(&line));
    bytes_release(&line);
}

static enum cli_exit ping_answer(struct cli *c, const struct reply *reply)
{
    json_t *document = cli_document(c, reply);
    const char *why = json_string_value(json_object_get(document, "why"));
    const char *state = json_string_value(json_object_get(document, "state"));
    bool up = json_is_true(json_object_get(document, "up"));

    if (document == NULL) {
        return CLI_FAILED;
    }
    why = why != NULL && why[0] != '\0' ? why : state == NULL ? "not running" : state;
    ping_show(c, up, document, span_str(up ? "" : why));
    json_decref(document);
    return up ? CLI_DONE : CLI_FAILED;
}

enum cli_exit run_ping(struct cli *c)
{
    const char *address = c->args.words[0];
    struct request r = {.kind = REQUEST_PING, .timeout_ms = c->args.timeout_ms};
    struct reply reply;
    char why[512];

    if (strchr(address, ',') != NULL) {
        return cli_fail(c, CLI_USAGE, "one address at a time");
    }
    if (client_new(address, &c->client, why, sizeof why) != SG_OK) {
        return cli_fail(c, CLI_USAGE, "%s", why);
    }
    if (r.timeout_ms == 0) {
        r.timeout_ms = PING_TIMEOUT_MS;
    }
    if (client_call(c->client, &r, &c->arena, &reply) != SG_OK) {
        struct span text = span_str(arena_printf(&c->arena, "%s: %.*s", address, (int)reply.text.n,
                                                 reply.text.n == 0 ? "" : (const char *)reply.text.p));
        ping_show(c, false, NULL, text);
        return CLI_FAILED;
    }
    return ping_answer(c, &reply);
}

/* --- apply and export ------------------------------------------------------------------------- */

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
    if (status == CLI_DONE && !text) {
        cli_show(c, done == NULL ? plan : done);
    } else if (status == CLI_DONE && done == NULL) {
        (void)puts(json_array_size(changes) == 0 ? "no changes" : "nothing was changed (--dry-run)");
    } else if (status == CLI_DONE) {
        if (!json_equal(changes, json_object_get(done, "changes"))) {
            (void)puts("somebody else changed the configuration at the same time; what was done is:");
            changes_show(json_object_get(done, "changes"));
        }
        (void)puts("applied");
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

/* Each line made printable by itself: the text has lines. */
static void lines_clean(struct span text, struct bytes *out)
{
    size_t from = 0;

    for (size_t i = 0; i < text.n; i++) {
        if (text.p[i] == '\n') {
            table_clean(span_of(text.p + from, i - from), out);
            bytes_append(out, "\n", 1);
            from = i + 1;
        }
    }
    if (from < text.n) {
        table_clean(span_of(text.p + from, text.n - from), out);
    }
}

enum cli_exit run_export(struct cli *c)
{
    struct request r = cli_request(c, REQUEST_EXPORT, NO_SHARD);
    struct bytes yaml = BYTES_NONE;
    struct reply reply;
    enum sg_err err = cli_ask(c, &r, &reply);

    if (err != SG_OK) {
        return cli_fail_err(c, err, reply.text);
    }
    lines_clean(reply.data, &yaml);
    if (c->args.output == OUTPUT_TEXT) {
        cli_write(span_bytes(&yaml));
    } else {
        json_t *o = json_pack("{s:i,s:o}", "v", 1, "yaml",
                              json_stringn(yaml.n == 0 ? "" : (const char *)yaml.p, yaml.n));
        CHECK(o != NULL);
        cli_show(c, o);
        json_decref(o);
    }
    bytes_release(&yaml);
    return CLI_DONE;
}
