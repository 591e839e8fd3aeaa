/* hash: do all replicas have the same state?
 *
 * The digest belongs to an applied index, and replicas apply at their own pace,
 * so each is asked by itself until all stand at the same index. Shards are compared
 * several at a time: what is said here of a comparison runs on a thread of its own
 * and prints nothing. */
#include <string.h>

#include "supervisor/cli/each.h"
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
    const json_t *nodes; /* Of nodes list: where each is. */
    struct aba shard;
    struct arena arena;
    struct replica replicas[REPLICAS_COUNT];
    size_t count;
    struct reply failure; /* Why nobody could be asked; err SG_OK: they were. */
};

/* The document of an answer; NULL: it is none. */
static json_t *document_of(const struct reply *r)
{
    return json_loadb(r->json.n == 0 ? "" : (const char *)r->json.p, r->json.n, 0, NULL);
}

/* --- Asking one replica ------------------------------------------------------------------- */

/* False: another node's answer; this one passed the question on. */
static bool take_answer(struct comparison *m, struct replica *r, const struct reply *reply)
{
    json_t *document = document_of(reply);
    const char *node = json_string_value(json_object_get(document, "node"));
    const char *digest = json_string_value(json_object_get(document, "digest"));
    const json_t *index = json_object_get(document, "applied_index");
    bool is_its_own = node == NULL || strcmp(node, r->node) == 0;

    r->why = "its answer makes no sense";
    if (is_its_own && node != NULL && digest != NULL && json_is_integer(index)) {
        r->answered = true;
        r->index = (uint64_t)json_integer_value(index);
        r->digest = arena_cstr(&m->arena, span_str(digest));
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
            return arena_cstr(&m->arena, span_str(why == NULL || why[0] == '\0' ? "stopped" : why));
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
    if (client_call(r->client, &request, &m->arena, &reply) == SG_OK) {
        document = document_of(&reply);
        r->why = stopped_why(m, document);
        json_decref(document);
    }
    r->why = r->why == NULL ? "does not serve its replica" : r->why;
}

static void ask(struct comparison *m, struct replica *r)
{
    uint32_t left_ms = cli_left_ms(m->cli);
    uint32_t timeout_ms = left_ms < REPLICA_TIMEOUT_MS ? left_ms : REPLICA_TIMEOUT_MS;
    struct request request = {.kind = REQUEST_HASH, .routing_number = m->shard, .timeout_ms = timeout_ms};
    struct arena *a = &m->arena;
    struct reply reply;
    char why[256];

    r->answered = false;
    if (timeout_ms == 0) {
        r->why = "the time was over before it was asked: give more with --timeout";
        return;
    }
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

static const char *address_of(const struct comparison *m, const char *node)
{
    size_t i;
    json_t *row;

    json_array_foreach(m->nodes, i, row)
    {
        const char *name = json_string_value(json_object_get(row, "name"));
        if (name != NULL && strcmp(name, node) == 0) {
            return json_string_value(json_object_get(row, "client"));
        }
    }
    return NULL;
}

static bool find_replicas(struct comparison *m)
{
    struct request r = {.kind = REQUEST_SHARDS_SHOW, .routing_number = m->shard};
    json_t *document;
    size_t i;
    json_t *row;

    if (cli_ask_in(m->cli, &r, &m->arena, &m->failure) != SG_OK) {
        return false;
    }
    document = document_of(&m->failure);
    json_array_foreach(json_object_get(document, "replicas"), i, row)
    {
        const char *node = json_string_value(json_object_get(row, "node"));
        if (node != NULL && m->count < REPLICAS_COUNT) {
            m->replicas[m->count++] = (struct replica){
                .node = arena_cstr(&m->arena, span_str(node)), .address = address_of(m, node), .why = ""};
        }
    }
    json_decref(document);
    return true;
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

static void compare(void *impl, size_t i)
{
    struct comparison *m = (struct comparison *)impl + i;

    if (find_replicas(m)) {
        ask_all(m);
    }
    for (size_t k = 0; k < m->count; k++) {
        client_free(m->replicas[k].client);
    }
}

static enum cli_exit show_comparison(const struct comparison *m, json_t *rows)
{
    char aba[ABA_TEXT_SIZE];
    char text[512];

    if (m->failure.err == SG_OK) {
        return show_replicas(m, rows);
    }
    return cli_fail(m->cli, cli_exit_of(m->failure.err), "%s: %s", aba_text(m->shard, aba),
                    span_cstr(m->failure.text, text, sizeof text));
}

static enum cli_exit hash_online(struct cli *c, const struct aba *shards, size_t count, json_t *rows)
{
    struct request r = {.kind = REQUEST_NODES_LIST};
    struct comparison *all = arena_array(&c->arena, count, sizeof *all);
    json_t *nodes;
    enum cli_exit status = cli_fetch(c, &r, &nodes);

    if (status != CLI_DONE) {
        return status;
    }
    for (size_t i = 0; i < count; i++) {
        all[i] = (struct comparison){
            .cli = c, .nodes = json_object_get(nodes, "nodes"), .shard = shards[i], .arena = ARENA_INIT};
    }
    cli_each(c, count, CLI_HASHES_INFLIGHT_MAX, compare, all);
    for (size_t i = 0; i < count; i++) {
        status = worse(status, show_comparison(&all[i], rows));
        arena_release(&all[i].arena);
    }
    json_decref(nodes);
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
    if (!offline) {
        status = worse(status, hash_online(c, shards, count, rows));
    }
    for (size_t i = 0; offline && i < count; i++) {
        status = worse(status, hash_offline(c, shards[i], rows));
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
