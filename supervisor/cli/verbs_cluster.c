/* ping, export. */
#include <stdio.h>
#include <string.h>

#include "supervisor/cli/verbs.h"
#include "supervisor/client/client.h"

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

/* --- export ----------------------------------------------------------------------------------- */

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
