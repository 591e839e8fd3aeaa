/* hash: do all replicas have the same state?
 *
 * The digest belongs to an applied index, and replicas apply at their own pace,
 * so each is asked by itself until all stand at the same index. */
#include <string.h>

#include "supervisor/cli/verbs.h"
#include "supervisor/client/client.h"

#define ROUNDS 10
#define ROUND_MS (HEARTBEAT_MS / 2) /* A follower hears of the last commit with the next heartbeat. */
#define REPLICA_TIMEOUT_MS 3000     /* A node that is down is no reason to wait long. */

#define REPLICAS_COUNT ((size_t)REPLICAS_MAX * 2) /* A change of members under way. */

struct replica {
    const char *node;
    const char *address; /* Of the client port; NULL: unknown. */
    struct client *client;
    bool answered;
    uint64_t index;
    const char *digest;
    const char *why; /* Why there is no answer. */
};

struct comparison {
    struct cli *cli;
    struct aba shard;
    struct replica replicas[REPLICAS_COUNT];
    size_t count;
};

/* --- Asking one replica ------------------------------------------------------------------- */

/* False: another node's answer; this one passed the question on. */
static bool take_answer(struct comparison *m, struct replica *r, const struct reply *reply)
{
    json_t *document = cli_document(m->cli, reply);
    const char *node = json_string_value(json_object_get(document, "node"));
    const char *digest = json_string_value(json_object_get(document, "digest"));
    const json_t *index = json_object_get(document, "applied_index");
    bool is_its_own = node == NULL || strcmp(node, r->node) == 0;

    r->why = "its answer makes no sense";
    if (is_its_own && node != NULL && digest != NULL && json_is_integer(index)) {
        r->answered = true;
        r->index = (uint64_t)json_integer_value(index);
        r->digest = arena_cstr(&m->cli->arena, span_str(digest));
        r->why = "";
    }
    json_decref(document);
    return is_its_own;
}

/* What the node says of its own replica; NULL: nothing. */
static const char *stopped_why(struct comparison *m, const json_t *document)
{
    char aba[ABA_TEXT_SIZE];
    size_t i;
    json_t *row;

    (void)aba_text(m->shard, aba);
    json_array_foreach(json_object_get(document, "shards"), i, row)
    {
        const char *name = json_string_value(json_object_get(row, "routing_number"));
        const char *state = json_string_value(json_object_get(row, "state"));
        const char *why = json_string_value(json_object_get(row, "why"));
        if (name != NULL && strcmp(name, aba) == 0 && state != NULL && strcmp(state, "stopped") == 0) {
            return arena_cstr(&m->cli->arena, span_str(why == NULL || why[0] == '\0' ? "stopped" : why));
        }
    }
    return NULL;
}

static void find_why(struct comparison *m, struct replica *r, uint32_t timeout_ms)
{
    struct request_arg unhealthy = {span_str("unhealthy"), span_str("true")};
    struct request request = {
        .kind = REQUEST_SHARDS_LIST, .timeout_ms = timeout_ms, .args = &unhealthy, .args_count = 1};
    struct reply reply;
    json_t *document = NULL;

    r->why = NULL;
    if (client_call(r->client, &request, &m->cli->arena, &reply) == SG_OK) {
        document = cli_document(m->cli, &reply);
        r->why = stopped_why(m, document);
        json_decref(document);
    }
    r->why = r->why == NULL ? "does not serve its replica" : r->why;
}

static void ask(struct comparison *m, struct replica *r)
{
    uint32_t timeout_ms = m->cli->args.timeout_ms == 0 ? REPLICA_TIMEOUT_MS : m->cli->args.timeout_ms;
    struct request request = {.kind = REQUEST_HASH, .routing_number = m->shard, .timeout_ms = timeout_ms};
    struct arena *a = &m->cli->arena;
    struct reply reply;
    char why[256];

    r->answered = false;
    if (r->address == NULL) {
        r->why = "its address is not known";
        return;
    }
    if (r->client == NULL && client_new(r->address, &r->client, why, sizeof why) != SG_OK) {
        r->why = arena_cstr(a, span_str(why));
        return;
    }
    if (client_call(r->client, &request, a, &reply) != SG_OK) {
        r->why = arena_cstr(a, reply.text);
        return;
    }
    if (!take_answer(m, r, &reply)) {
        find_why(m, r, timeout_ms);
    }
}

static bool same_index(const struct comparison *m)
{
    uint64_t index = 0;

    for (size_t i = 0; i < m->count; i++) {
        const struct replica *r = &m->replicas[i];
        if (r->answered && index != 0 && r->index != index) {
            return false;
        }
        index = r->answered ? r->index : index;
    }
    return true;
}

/* Those that lag behind the furthest are asked again. */
static void ask_all(struct comparison *m)
{
    uint64_t furthest = 0;

    for (unsigned round = 0; round < ROUNDS; round++) {
        for (size_t i = 0; i < m->count; i++) {
            struct replica *r = &m->replicas[i];
            if (round == 0 || (r->answered && r->index < furthest)) {
                ask(m, r);
            }
            furthest = r->answered && r->index > furthest ? r->index : furthest;
        }
        if (same_index(m) || !cli_wait(ROUND_MS)) {
            return;
        }
    }
}

/* --- Who has a replica ------------------------------------------------------------------------ */

static enum cli_exit find_replicas(struct comparison *m)
{
    struct request r = {
        .kind = REQUEST_SHARDS_SHOW, .routing_number = m->shard, .timeout_ms = m->cli->args.timeout_ms};
    json_t *document;
    size_t i;
    json_t *row;
    enum cli_exit status = cli_fetch(m->cli, &r, &document);

    json_array_foreach(json_object_get(document, "replicas"), i, row)
    {
        const char *node = json_string_value(json_object_get(row, "node"));
        if (node != NULL && m->count < REPLICAS_COUNT) {
            m->replicas[m->count++] =
                (struct replica){.node = arena_cstr(&m->cli->arena, span_str(node)), .why = ""};
        }
    }
    json_decref(document);
    return status;
}

static enum cli_exit find_addresses(struct comparison *m)
{
    struct request r = {.kind = REQUEST_NODES_LIST, .timeout_ms = m->cli->args.timeout_ms};
    json_t *document;
    size_t i;
    json_t *row;
    enum cli_exit status = cli_fetch(m->cli, &r, &document);

    json_array_foreach(json_object_get(document, "nodes"), i, row)
    {
        const char *name = json_string_value(json_object_get(row, "name"));
        const char *address = json_string_value(json_object_get(row, "client"));
        for (size_t k = 0; name != NULL && address != NULL && k < m->count; k++) {
            if (strcmp(m->replicas[k].node, name) == 0) {
                m->replicas[k].address = arena_cstr(&m->cli->arena, span_str(address));
            }
        }
    }
    json_decref(document);
    return status;
}

/* --- The answer ----------------------------------------------------------------------------------- */

/* Against the first replica that stands at the same index. */
static const char *result_of(const struct comparison *m, const struct replica *r)
{
    if (!r->answered) {
        return "no answer";
    }
    for (size_t i = 0; i < m->count; i++) {
        const struct replica *other = &m->replicas[i];
        if (other != r && other->answered && other->index == r->index) {
            return strcmp(other->digest, r->digest) == 0 ? "same" : "DIFFERS";
        }
    }
    return "not compared";
}

static enum cli_exit worse(enum cli_exit a, enum cli_exit b)
{
    return a == CLI_CORRUPT || b == CLI_DONE ? a : b;
}

/* A replica that differs from any other at its index is damaged state on one of
 * both; the message can not know which. */
static enum cli_exit show_replicas(const struct comparison *m, json_t *rows)
{
    char aba[ABA_TEXT_SIZE];
    enum cli_exit status = CLI_DONE;

    for (size_t i = 0; i < m->count; i++) {
        const struct replica *r = &m->replicas[i];
        const char *result = result_of(m, r);
        json_t *row = json_pack("{s:s,s:o,s:s,s:o,s:s?,s:o}", "routing_number", aba_text(m->shard, aba),
                                "node", table_json(span_str(r->node)), "result", result, "applied_index",
                                r->answered ? json_integer((json_int_t)r->index) : json_null(), "digest",
                                r->answered ? r->digest : NULL, "why", table_json(span_str(r->why)));
        CHECK(row != NULL);
        (void)json_array_append_new(rows, row);
        if (strcmp(result, "DIFFERS") == 0) {
            status = CLI_CORRUPT;
        } else if (strcmp(result, "same") != 0) {
            status = worse(status, CLI_FAILED);
        }
    }
    return status;
}

static enum cli_exit hash_online(struct cli *c, struct aba shard, json_t *rows)
{
    struct comparison m = {.cli = c, .shard = shard};
    enum cli_exit status = find_replicas(&m);

    if (status == CLI_DONE) {
        status = find_addresses(&m);
    }
    if (status == CLI_DONE) {
        ask_all(&m);
        status = show_replicas(&m, rows);
    }
    for (size_t i = 0; i < m.count; i++) {
        client_free(m.replicas[i].client);
    }
    return status;
}

/* One data directory is one replica: nothing to compare with here. */
static enum cli_exit hash_offline(struct cli *c, struct aba shard, json_t *rows)
{
    struct request r = {.kind = REQUEST_HASH, .routing_number = shard};
    json_t *row;
    enum cli_exit status = cli_fetch(c, &r, &row);

    if (status == CLI_DONE) {
        (void)json_object_del(row, "v");
        CHECK(json_object_set_new(row, "node", table_json(span_str(c->args.option[OPTION_DATA_DIR]))) == 0);
        CHECK(json_object_set_new(row, "result", json_string("read")) == 0);
        (void)json_array_append_new(rows, row);
    }
    return status;
}

enum cli_exit run_hash(struct cli *c)
{
    bool offline = c->args.option[OPTION_DATA_DIR] != NULL;
    bool all = c->args.option[OPTION_ALL] != NULL;
    struct aba one;
    struct aba *shards = &one;
    size_t count = 1;
    json_t *rows;
    json_t *document;
    enum cli_exit status = CLI_DONE;

    if (all == (c->args.words_count > 0)) {
        return cli_fail(c, CLI_USAGE, "give one routing number, or --all");
    }
    if (!all && !cli_aba(c, c->args.words[0], &one)) {
        return CLI_USAGE;
    }
    if (all) {
        status = cli_shards(c, &shards, &count);
    }
    if (status != CLI_DONE && count == 0) {
        return status;
    }
    rows = json_array();
    for (size_t i = 0; i < count; i++) {
        status = worse(status, offline ? hash_offline(c, shards[i], rows) : hash_online(c, shards[i], rows));
    }
    document = json_pack("{s:i,s:o}", "v", 1, "replicas", rows);
    CHECK(document != NULL);
    cli_show(c, document);
    json_decref(document);
    if (status == CLI_CORRUPT && !offline) {
        return cli_fail(
            c, status,
            "replicas have different state at the same index: stop and look before a file goes out");
    }
    return status;
}
