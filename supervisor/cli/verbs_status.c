/* status; nodes show.
 *
 * Each node knows what the others can not: how its own uploads go, how full its
 * disk is, that it reaches nobody. So all are asked, and what needs a person is
 * told together. */
#include <string.h>

#include "proto/base/limits.h"
#include "supervisor/cli/each.h"
#include "supervisor/cli/verbs.h"
#include "supervisor/client/client.h"

static const char *field(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text == NULL ? "" : text;
}

/* The row of this node in a status; NULL: none. */
static const json_t *node_row(const json_t *status, const char *name)
{
    size_t i;
    json_t *row;

    json_array_foreach(json_object_get(status, "nodes"), i, row)
    {
        if (strcmp(field(row, "name"), name) == 0) {
            return row;
        }
    }
    return NULL;
}

/* A node that is no member, or not yet, knows nothing of the cluster. */
static bool is_from_a_member(const json_t *status)
{
    return strcmp(field(node_row(status, field(status, "answered_by")), "state"), "up") == 0;
}

static bool is_listed(const json_t *list, const json_t *item)
{
    size_t i;
    json_t *other;

    json_array_foreach(list, i, other)
    {
        if (strcmp(field(other, "kind"), field(item, "kind")) == 0 &&
            strcmp(field(other, "subject"), field(item, "subject")) == 0 &&
            strcmp(field(other, "text"), field(item, "text")) == 0) {
            return true;
        }
    }
    return false;
}

/* What the other node says and base does not. How it sees nodes and leaders is
 * its own view of the network: said with its name. */
static void add_attention(const json_t *base, const json_t *other)
{
    json_t *list = json_object_get(base, "attention");
    size_t i;
    json_t *item;

    if (!json_is_array(list)) {
        return;
    }
    json_array_foreach(json_object_get(other, "attention"), i, item)
    {
        const char *kind = field(item, "kind");
        bool is_a_view = strcmp(kind, "upload") != 0 && strcmp(kind, "overdue") != 0 &&
                         strcmp(kind, "disk") != 0 && strcmp(kind, "pace") != 0 &&
                         strcmp(kind, "capacity") != 0;
        if (!json_is_object(item) || is_listed(list, item)) {
            continue;
        }
        json_t *copy = json_deep_copy(item);
        CHECK(copy != NULL);
        if (is_a_view) {
            json_t *text = json_sprintf("%s says: %s", field(other, "answered_by"), field(item, "text"));
            CHECK(text == NULL || json_object_set_new(copy, "text", text) == 0);
        }
        CHECK(json_array_append_new(list, copy) == 0);
    }
}

/* A node knows itself better and sooner than base does. */
static void take_own_row(json_t *base, const json_t *other)
{
    const char *name = field(other, "answered_by");
    const json_t *own = node_row(other, name);
    json_t *rows = json_object_get(base, "nodes");

    for (size_t i = 0; own != NULL && i < json_array_size(rows); i++) {
        if (strcmp(field(json_array_get(rows, i), "name"), name) == 0) {
            CHECK(json_array_set_new(rows, i, json_deep_copy(own)) == 0);
        }
    }
}

/* Asks the nodes that base names; takes it, answers what is to be shown. */
static json_t *ask_others(struct cli *c, json_t *base)
{
    const struct request r = {.kind = REQUEST_STATUS};
    struct node_answer others[NODES_MAX];
    size_t count = nodes_ask(c, json_object_get(base, "nodes"), field(base, "answered_by"), &r, others);
    size_t i;

    for (i = 0; i < count && !is_from_a_member(base); i++) {
        if (others[i].document != NULL) {
            json_t *better = others[i].document;
            others[i].document = base;
            base = better;
        }
    }
    for (i = 0; i < count; i++) {
        add_attention(base, others[i].document);
        take_own_row(base, others[i].document);
        json_decref(others[i].document);
    }
    if (json_array_size(json_object_get(base, "attention")) > 0 &&
        strcmp(field(base, "health"), "healthy") == 0) {
        CHECK(json_object_set_new(base, "health", json_string("degraded")) == 0);
    }
    return base;
}

enum cli_exit run_status(struct cli *c)
{
    struct request r = cli_request(c, REQUEST_STATUS, (struct aba){0});
    json_t *document;
    const char *health;
    enum cli_exit status = cli_fetch(c, &r, &document);

    if (status != CLI_DONE) {
        return status;
    }
    document = ask_others(c, document);
    cli_show(c, document);
    health = field(document, "health");
    if (c->args.option[OPTION_CHECK] != NULL && strcmp(health, "healthy") != 0) {
        status = strcmp(health, "unavailable") == 0 ? CLI_UNREACHED : CLI_DEGRADED;
    }
    json_decref(document);
    return status;
}

/* --- nodes show -------------------------------------------------------------------------------- */

/* Only the node itself knows: its own client address is asked. */
static enum cli_exit node_ask(struct cli *c, const json_t *row, json_t **out)
{
    struct request r = cli_request(c, REQUEST_NODES_SHOW, (struct aba){0});
    struct client *client;
    struct reply reply;
    char why[256];
    enum sg_err err;

    if (client_new(field(row, "client"), &client, why, sizeof why) != SG_OK) {
        return cli_fail(c, CLI_FAILED, "node %s: %s", c->args.words[0], why);
    }
    err = client_call(client, &r, &c->arena, &reply);
    client_free(client);
    if (err != SG_OK) {
        return cli_fail_err(c, err, reply.text);
    }
    *out = cli_document(c, &reply);
    return *out == NULL ? CLI_FAILED : CLI_DONE;
}

enum cli_exit run_node_show(struct cli *c)
{
    bool is_any = c->args.words_count == 0;
    struct request r = cli_request(c, is_any ? REQUEST_NODES_SHOW : REQUEST_NODES_LIST, (struct aba){0});
    json_t *document;
    enum cli_exit status = cli_fetch(c, &r, &document);

    if (status == CLI_DONE && !is_any) {
        json_t *list = document;
        const json_t *row = node_row(list, c->args.words[0]);
        document = NULL;
        status = row == NULL
                     ? cli_fail(c, cli_exit_of(SG_NOTFOUND),
                                "there is no node %s: 'shardgate nodes list' shows them", c->args.words[0])
                     : node_ask(c, row, &document);
        json_decref(list);
    }
    if (status == CLI_DONE) {
        cli_show(c, document);
    }
    json_decref(document);
    return status;
}
