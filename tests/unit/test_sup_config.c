/* The files that people write: what is wrong is said with its line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "supervisor/config/cluster_yaml.h"
#include "supervisor/config/node_config.h"
#include "supervisor/config/yaml_tree.h"
#include "tests/support/test_dir.h"
#include "tests/support/test_mutate.h"

struct bad {
    const char *what;
    const char *yaml;
    unsigned line;
    const char *part;
};

static void assert_says(const struct bad *row, const char *why)
{
    char head[32];
    (void)snprintf(head, sizeof head, ":%u: ", row->line);
    if (strstr(why, head) == NULL || strstr(why, row->part) == NULL) {
        fail_msg("%s: \"%s\" in line %u is not in \"%s\"", row->what, row->part, row->line, why);
    }
}

/* --- The tree ---------------------------------------------------------------------- */

static void a_tree_has_lines(void **state)
{
    char why[256] = "";
    struct arena a = ARENA_INIT;
    struct yaml_reader r = {.source = "t", .arena = &a, .why = why, .why_size = sizeof why};
    const struct yaml_node *root =
        yaml_load(&r, span_str("# comment\na: 1\nb:\n  - x\n  - {c: 'y'}\n\"d e\": |\n  text\n"));
    (void)state;
    assert_non_null(root);
    assert_int_equal(root->kind, YAML_MAP);
    assert_int_equal(root->count, 3);
    assert_int_equal(yaml_get(root, "a")->line, 2);
    assert_int_equal(yaml_get(root, "b")->count, 2);
    assert_int_equal(yaml_get(root, "b")->items[1]->line, 5);
    assert_true(span_is(yaml_get(yaml_get(root, "b")->items[1], "c")->text, "y"));
    assert_true(span_is(yaml_get(root, "d e")->text, "text\n"));
    assert_null(yaml_get(root, "nope"));
    arena_release(&a);
}

static void an_empty_text_is_an_empty_map(void **state)
{
    static const char *const texts[] = {"", "\n", "# nothing\n", "---\n...\n"};
    (void)state;
    for (size_t i = 0; i < 3; i++) {
        char why[256] = "";
        struct arena a = ARENA_INIT;
        struct yaml_reader r = {.source = "t", .arena = &a, .why = why, .why_size = sizeof why};
        const struct yaml_node *root = yaml_load(&r, span_str(texts[i]));
        assert_non_null(root);
        assert_int_equal(root->kind, YAML_MAP);
        assert_int_equal(root->count, 0);
        arena_release(&a);
    }
}

static void refuses_what_is_no_plain_yaml(void **state)
{
    static const struct bad rows[] = {
        {"a list that does not end", "a: 1\nb: [1, 2\n", 3, "not YAML"},
        {"a tab", "a:\n\tb: 1\n", 2, "not YAML"},
        {"an alias", "a: &x 1\nb: *x\n", 2, "aliases are not allowed"},
        {"an alias as a key", "a: &x b\n*x : 2\n", 2, "aliases are not allowed"},
        {"a map as a key", "{a: 1}: 2\n", 1, "must be plain text"},
        {"two documents", "a: 1\n---\nb: 2\n", 3, "only one document"},
        {"not UTF-8", "a: \"\xff\xfe\"\n", 1, "not YAML"},
        {"deep nesting", "[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]\n", 1, "nested too deep"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char why[256] = "";
        struct arena a = ARENA_INIT;
        struct yaml_reader r = {.source = "t", .arena = &a, .why = why, .why_size = sizeof why};
        assert_null(yaml_load(&r, span_str(rows[i].yaml)));
        assert_says(&rows[i], why);
        arena_release(&a);
    }
}

static void refuses_what_is_too_large(void **state)
{
    char why[256] = "";
    struct arena a = ARENA_INIT;
    struct yaml_reader r = {.source = "t", .arena = &a, .why = why, .why_size = sizeof why};
    char *text = calloc(1, CONFIG_SIZE_MAX_BYTES + 1);
    (void)state;
    memset(text, ' ', CONFIG_SIZE_MAX_BYTES + 1);
    assert_null(yaml_load(&r, span_of(text, CONFIG_SIZE_MAX_BYTES + 1)));
    assert_non_null(strstr(why, "are allowed"));
    r.failed = false;
    assert_non_null(yaml_load(&r, span_of(text, CONFIG_SIZE_MAX_BYTES)));
    /* Many small values. */
    for (size_t i = 0; i + 1 < CONFIG_SIZE_MAX_BYTES; i += 2) {
        text[i] = i == 0 ? '[' : ',';
        text[i + 1] = '1';
    }
    assert_null(yaml_load(&r, span_of(text, CONFIG_SIZE_MAX_BYTES)));
    assert_non_null(strstr(why, "too large"));
    free(text);
    arena_release(&a);
}

/* --- A node's file ---------------------------------------------------------------------- */

#define NODE_HEAD "cluster: demo\nnode: n1\ndata_dir: var/n1\n"
#define NODE_PORTS "peer: tcp://127.0.0.1:7410\nclient: tcp://127.0.0.1:7411\n"
#define NODE_NODES                                                       \
    "nodes:\n"                                                           \
    "  n1: {peer: tcp://127.0.0.1:7410, client: tcp://127.0.0.1:7411}\n" \
    "  n2: {peer: tcp://127.0.0.1:7420, client: tcp://127.0.0.1:7421}\n"

static enum sg_err load_text(const char *yaml, struct node_config *out, char *why, size_t why_size)
{
    struct test_dir dir;
    char path[TEST_DIR_SIZE + 16];
    test_dir_make(&dir);
    (void)snprintf(path, sizeof path, "%s/node.yaml", dir.path);
    FILE *f = fopen(path, "wb");
    assert_non_null(f);
    assert_int_equal(fwrite(yaml, 1, strlen(yaml), f), strlen(yaml));
    assert_int_equal(fclose(f), 0);
    enum sg_err err = node_config_load(path, out, why, why_size);
    test_dir_remove(&dir);
    return err;
}

static void loads_a_node(void **state)
{
    struct node_config c;
    char why[640] = "";
    (void)state;
    assert_int_equal(load_text(NODE_HEAD NODE_PORTS NODE_NODES, &c, why, sizeof why), SG_OK);
    assert_string_equal(c.cluster, "demo");
    assert_string_equal(c.node, "n1");
    assert_string_equal(c.data_dir, "var/n1");
    assert_string_equal(c.secrets_dir, "");
    assert_int_equal(c.clients_count, 1);
    assert_int_equal(c.founders_count, 2);
    assert_string_equal(c.founders[1].client, "tcp://127.0.0.1:7421");
    assert_int_equal(c.lanes, 1);
    assert_int_equal(c.trailing_entries, TRAILING_ENTRIES_DEFAULT);
    assert_true(c.map_size_bytes == STORE_MAP_SIZE_BYTES);
    assert_int_equal(c.election_timeout_ms, ELECTION_TIMEOUT_MS);
    assert_int_equal(c.heartbeat_ms, HEARTBEAT_MS);
    assert_int_equal(load_text(NODE_HEAD
                               "peer: ipc:///tmp/p\nclient: [tcp://a:1, \"ipc:///tmp/c\"]\n" NODE_NODES
                               "lanes: 4\nsecrets_dir: s\ntrailing_entries: 300\nelection_timeout: "
                               "2s\nheartbeat: 250ms\nscrub_every: 5m\n"
                               "map_size: 128GiB\n",
                               &c, why, sizeof why),
                     SG_OK);
    assert_int_equal(c.clients_count, 2);
    assert_string_equal(c.clients[1], "ipc:///tmp/c");
    assert_int_equal(c.lanes, 4);
    assert_int_equal(c.trailing_entries, 300);
    assert_true(c.map_size_bytes == 128ull << 30);
    assert_int_equal(c.election_timeout_ms, 2000);
    assert_int_equal(c.scrub_every_ms, 300000);
    assert_int_equal(c.heartbeat_ms, 250);
    assert_string_equal(c.secrets_dir, "s");
}

static void says_what_is_wrong_with_a_node(void **state)
{
    static const struct bad rows[] = {
        {"an unknown key names the nearest", NODE_HEAD "per: tcp://a:1\n", 4,
         "unknown key per: did you mean peer?"},
        {"an unknown key with nothing near lists all", NODE_HEAD "zzzzzz: 1\n", 4, "known are cluster, node"},
        {"a key twice", NODE_HEAD "node: n2\n", 4, "second time (first in line 2)"},
        {"a missing key", "cluster: demo\n", 1, "the key node is missing"},
        {"an empty value", "cluster:\n" NODE_PORTS, 1, "cluster: 0 characters"},
        {"a cluster that is no name", "cluster: a/b\nnode: n1\n", 1, "cluster: a/b: a name has"},
        {"a node that is no name", "cluster: a\nnode: \"n 1\"\n", 2, "node: n 1: a name has"},
        {"letters that are not ASCII", "cluster: d\xc3\xa9mo\n", 1, "only printable ASCII"},
        {"no peer", NODE_HEAD "client: tcp://a:1\n", 1, "the key peer is missing"},
        {"an address without a scheme", NODE_HEAD "peer: 127.0.0.1:7410\n", 4, "tcp://HOST:PORT"},
        {"TLS", NODE_HEAD "peer: tls+tcp://127.0.0.1:7410\n", 4, "TLS is not available"},
        {"HTTP", NODE_HEAD NODE_PORTS "http: 127.0.0.1:7412\n", 6, "http: is not available"},
        {"no client", NODE_HEAD "peer: tcp://a:1\n" NODE_NODES, 1, "the key client is missing"},
        {"an empty list of clients", NODE_HEAD "peer: tcp://a:1\nclient: []\n" NODE_NODES, 5,
         "at least one address"},
        {"a client that is a map", NODE_HEAD "peer: tcp://a:1\nclient: {a: b}\n" NODE_NODES, 5,
         "a list of at most"},
        {"a client of another kind", NODE_HEAD "peer: tcp://a:1\nclient: [udp://a:1]\n" NODE_NODES, 5,
         "udp://a:1"},
        {"no nodes", NODE_HEAD NODE_PORTS, 1, "the key nodes is missing"},
        {"one node", NODE_HEAD NODE_PORTS "nodes:\n  n1: {peer: tcp://a:1, client: tcp://a:2}\n", 7,
         "2 to 5 nodes"},
        {"six nodes", NODE_HEAD NODE_PORTS "nodes: {a: {}, b: {}, c: {}, d: {}, e: {}, f: {}}\n", 6,
         "2 to 5 nodes"},
        {"a node without client",
         NODE_HEAD NODE_PORTS "nodes:\n  n1: {peer: tcp://a:1}\n  n2: {peer: tcp://a:1}\n", 7,
         "the key client is missing"},
        {"a node twice", NODE_HEAD NODE_PORTS NODE_NODES "  n1: {peer: tcp://a:1, client: tcp://a:2}\n", 9,
         "n1 stands here for the second time"},
        {"an address twice",
         NODE_HEAD NODE_PORTS NODE_NODES "  n3: {peer: \"tcp://127.0.0.1:7420\", client: tcp://a:2}\n", 9,
         "n2 and n3 have the same peer address"},
        {"a node's unknown key",
         NODE_HEAD NODE_PORTS "nodes:\n  n1: {peer: tcp://a:1, cliant: tcp://a:2}\n  n2: {}\n", 7,
         "did you mean client?"},
        {"not one of the nodes", "cluster: demo\nnode: n7\ndata_dir: v\n" NODE_PORTS NODE_NODES, 2,
         "n7 is not named under nodes"},
        {"no lane", NODE_HEAD NODE_PORTS NODE_NODES "lanes: 0\n", 9, "a number from 1 to 16"},
        {"too many lanes", NODE_HEAD NODE_PORTS NODE_NODES "lanes: 17\n", 9, "a number from 1 to 16"},
        {"lanes that are no number", NODE_HEAD NODE_PORTS NODE_NODES "lanes: 1x\n", 9, "a number from"},
        {"a number that overflows", NODE_HEAD NODE_PORTS NODE_NODES "lanes: 99999999999999999999999\n", 9,
         "a number from"},
        {"a map of no unit", NODE_HEAD NODE_PORTS NODE_NODES "map_size: 64\n", 9, "64GiB"},
        {"a map that is too small", NODE_HEAD NODE_PORTS NODE_NODES "map_size: 512MiB\n", 9, "from 1GiB"},
        {"too few trailing entries", NODE_HEAD NODE_PORTS NODE_NODES "trailing_entries: 10\n", 9, "from 256"},
        {"a time without a unit", NODE_HEAD NODE_PORTS NODE_NODES "heartbeat: 250\n", 9, "a time such as"},
        {"a time that overflows", NODE_HEAD NODE_PORTS NODE_NODES "heartbeat: 999999999999999999h\n", 9,
         "a time such as"},
        {"a time of ages", NODE_HEAD NODE_PORTS NODE_NODES "heartbeat: 9000h\n", 9, "at most 366 days"},
        {"an election before the heartbeats", NODE_HEAD NODE_PORTS NODE_NODES "election_timeout: 500ms\n", 9,
         "at least four times heartbeat"},
        {"a heartbeat beyond the election", NODE_HEAD NODE_PORTS NODE_NODES "heartbeat: 400ms\n", 9,
         "at least four times heartbeat"},
        {"a list instead of the file", "- a\n", 1, "keys with values are expected"},
        {"a text instead of the file", "hello\n", 1, "keys with values are expected"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct node_config c;
        char why[640] = "";
        if (load_text(rows[i].yaml, &c, why, sizeof why) != SG_INVALID) {
            fail_msg("%s: taken", rows[i].what);
        }
        assert_says(&rows[i], why);
    }
}

static void says_that_there_is_no_file(void **state)
{
    struct node_config c;
    char why[640] = "";
    (void)state;
    assert_int_equal(node_config_load("/nonexistent/node.yaml", &c, why, sizeof why), SG_NOTFOUND);
    assert_non_null(strstr(why, "/nonexistent/node.yaml"));
    assert_int_equal(node_config_load("/", &c, why, sizeof why), SG_IO);
    assert_string_not_equal(why, "");
}

/* --- The cluster's file --------------------------------------------------------------------- */

#define SHARD_HEAD                                                                                        \
    "shards:\n  \"231380104\":\n    endpoint: bank\n    destination_name: B\n    origin: \"121042882\"\n" \
    "    origin_name: A\n"
#define SHARD_WINDOWS "    windows: {zone: UTC}\n"

static enum sg_err parse(const char *yaml, struct arena *a, struct cluster_settings *out, char *why,
                         size_t why_size)
{
    return cluster_yaml_parse(span_str(yaml), "t", a, out, why, why_size);
}

static const struct bad bad_clusters[] = {
    {"an unknown section", "endpoint:\n  a: {}\n", 1, "did you mean endpoints?"},
    {"a section that is a list", "endpoints: [a]\n", 1, "names with their settings"},
    {"a section without content", "endpoints:\nshards: {}\n", 1, "names with their settings"},
    {"an endpoint without kind", "endpoints:\n  a: {drop_dir: x}\n", 2, "the key kind is missing"},
    {"an endpoint that is a text", "endpoints:\n  a: b\n", 2, "the key kind is missing"},
    {"an endpoint of a kind to come", "endpoints:\n  a:\n    kind: sftp\n    host: h\n", 3,
     "kind: sftp: only directory"},
    {"an endpoint of no kind", "endpoints:\n  a: {kind: tape}\n", 2, "one of directory, sftp, ftp"},
    {"an endpoint without directories", "endpoints:\n  a: {kind: directory}\n", 2,
     "the key drop_dir is missing"},
    {"an endpoint's unknown key", "endpoints:\n  a:\n    kind: directory\n    drop: x\n", 4,
     "endpoint: unknown key drop"},
    {"a name with a slash", "endpoints:\n  a/b: {kind: directory, drop_dir: x, staging_dir: y}\n", 2,
     "endpoint a/b: a name has"},
    {"a name in another script",
     "calendars:\n  f\xc3\xa9"
     "d: {}\n",
     2, "a name has"},
    {"a name twice", "calendars:\n  fed: {}\n  x: {}\n  fed: {}\n", 4, "second time (first in line 2)"},
    {"a rate without a value",
     "endpoints:\n  a: {kind: directory, drop_dir: x, staging_dir: y, rate_limit: }\n", 2, "a rate such as"},
    {"a line end in what a message quotes", "\"a\\nb\\x1b[2J\": 1\n", 1, "a?b?[2J"},
    {"a rate without a unit",
     "endpoints:\n  a: {kind: directory, drop_dir: x, staging_dir: y, rate_limit: 5}\n", 2, "a rate such as"},
    {"a rate of nothing, which would have meant no limit",
     "endpoints:\n  a:\n    kind: directory\n    drop_dir: x\n    staging_dir: y\n    rate_limit: 0KiB/s\n",
     6, "rate_limit: 0 would let nothing through: write none"},
    {"a confirmation of no kind",
     "endpoints:\n  a: {kind: directory, drop_dir: x, staging_dir: y, confirm: maybe}\n", 2,
     "one of size, hash, readback, none"},
    {"ages to verify",
     "endpoints:\n  a: {kind: directory, drop_dir: x, staging_dir: y, verify_window: 8785h}\n", 2,
     "at most 366 days"},
    {"an originator without id", "originators:\n  a: {company_name: A}\n", 2,
     "the key company_id is missing"},
    {"a company name too long", "originators:\n  a: {company_name: ABCDEFGHIJKLMNOPQ, company_id: \"1\"}\n",
     2, "17 characters; 1 to 16"},
    {"holidays of nowhere", "calendars:\n  a: {holidays: mars}\n", 2, "one of federal-reserve, none"},
    {"a day that is none", "calendars:\n  a:\n    extra: [2026-02-30]\n", 3, "days as YYYY-MM-DD"},
    {"a day before time", "calendars:\n  a: {extra: [1969-12-31]}\n", 2, "days as YYYY-MM-DD"},
    {"a day twice", "calendars:\n  a: {extra: [2026-12-24, 2026-12-23, 2026-12-24]}\n", 2,
     "2026-12-24 is there twice"},
    {"a wrong check digit", "shards:\n  \"231380105\": {}\n", 2, "shard 231380105:"},
    {"a shard that is no number", "shards:\n  bank-a: {}\n", 2, "shard bank-a:"},
    {"a shard without endpoint", "shards:\n  \"231380104\": {windows: {zone: UTC}}\n", 2,
     "the key endpoint is missing"},
    {"a shard without windows", SHARD_HEAD, 3, "the key windows is missing"},
    {"a typing mistake in a shard", SHARD_HEAD "    originator: [acme]\n", 7, "did you mean originators?"},
    {"too many replicas", SHARD_HEAD "    replicas: [a, b, c, d, e, f]\n", 7, "a list of at most 5"},
    {"a replica that is a list", SHARD_HEAD "    replicas: [[a]]\n" SHARD_WINDOWS, 7, "a text of 1 to 63"},
    {"windows without zone", SHARD_HEAD "    windows: {on: every-day}\n", 7, "the key zone is missing"},
    {"windows on no days", SHARD_HEAD "    windows: {zone: UTC, on: moondays}\n", 7,
     "banking-days, every-day"},
    {"a window without name",
     SHARD_HEAD "    windows:\n      zone: UTC\n      at:\n        - {close_at: \"10:15\"}\n", 10,
     "the key name is missing"},
    {"a window with the name of a close by hand",
     SHARD_HEAD "    windows:\n      zone: UTC\n      at:\n        - {close_at: \"10:15\", name: SD1}\n"
                "        - close_at: \"12:15\"\n          name: M2\n",
     12, "window M2: M and a number is the name of a close by hand"},
    {"the same with a long number",
     SHARD_HEAD "    windows: {zone: UTC, at: [{name: M12345, close_at: \"10:15\"}]}\n", 7, "window M12345:"},
    {"a window that is a text", SHARD_HEAD "    windows: {zone: UTC, at: [ND]}\n", 7, "keys with values"},
    {"a time that is none", SHARD_HEAD "    windows: {zone: UTC, at: [{name: A, close_at: \"24:00\"}]}\n", 7,
     "\"HH:MM\""},
    {"a time without quotes", SHARD_HEAD "    windows: {zone: UTC, at: [{name: A, close_at: 10}]}\n", 7,
     "\"HH:MM\""},
    {"a missed window's policy", SHARD_HEAD SHARD_WINDOWS "    missed_window: later\n", 8,
     "next_window, hold or"},
    {"a time with a sign", SHARD_HEAD SHARD_WINDOWS "    missed_window: upload_late_until +9:30\n", 8,
     "next_window, hold or"},
    {"a policy that is a list", SHARD_HEAD SHARD_WINDOWS "    missed_window: [hold]\n", 8,
     "next_window, hold or"},
    {"line ends", SHARD_HEAD SHARD_WINDOWS "    output: {line_ends: cr}\n", 8, "one of lf, crlf"},
    {"an encoding", SHARD_HEAD SHARD_WINDOWS "    output: {encoding: ebcdic}\n", 8, "one of none"},
    {"lines below a block", SHARD_HEAD SHARD_WINDOWS "    limits: {max_lines: 9}\n", 8, "from 10 to 10000"},
    {"no cents", SHARD_HEAD SHARD_WINDOWS "    limits: {max_file_cents: 0}\n", 8, "from 1 to"},
    {"neither true nor false", SHARD_HEAD SHARD_WINDOWS "    balanced: yes\n", 8, "true or false"},
    {"no deadline at midnight", SHARD_HEAD SHARD_WINDOWS "    same_day_deadline: \"00:00\"\n", 8,
     "from 00:01"},
    {"a deadline that is no time", SHARD_HEAD SHARD_WINDOWS "    same_day_deadline: noon\n", 8, "HH:MM"},
    {"a case", SHARD_HEAD SHARD_WINDOWS "    text: lower\n", 8, "one of upper, keep"},
    {"a policy for unknown numbers", "defaults: {unknown_routing_number: guess}\n", 1,
     "refuse, create, park"},
    {"a key of the defaults", "defaults: {unknown: refuse}\n", 1, "unknown key unknown"},
};

static void says_what_is_wrong_with_a_cluster(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof bad_clusters / sizeof bad_clusters[0]; i++) {
        struct arena a = ARENA_INIT;
        struct cluster_settings c;
        char why[640] = "";
        if (parse(bad_clusters[i].yaml, &a, &c, why, sizeof why) != SG_INVALID) {
            fail_msg("%s: taken", bad_clusters[i].what);
        }
        assert_says(&bad_clusters[i], why);
        arena_release(&a);
    }
}

/* A list of 17 windows. */
static void refuses_too_many_windows(void **state)
{
    struct arena a = ARENA_INIT;
    struct bytes yaml = BYTES_NONE;
    struct cluster_settings c;
    char why[640] = "";
    (void)state;
    bytes_printf(&yaml, SHARD_HEAD "    windows:\n      zone: UTC\n      at:\n");
    for (int i = 0; i <= WINDOWS_MAX; i++) {
        bytes_printf(&yaml, "        - {name: W%d, close_at: \"10:%02d\"}\n", i, i);
    }
    bytes_append(&yaml, "", 1);
    assert_int_equal(parse((const char *)yaml.p, &a, &c, why, sizeof why), SG_INVALID);
    assert_non_null(strstr(why, "at most 16 windows"));
    bytes_release(&yaml);
    arena_release(&a);
}

static const char full[] =
    "endpoints:\n"
    "  bank-a: {kind: directory, drop_dir: var/bank/a/inbox, staging_dir: var/bank/a/staging, rate_limit: "
    "256KiB/s}\n"
    "  bank-b:\n    kind: directory\n    drop_dir: \"with \\\"quotes\\\" and \\\\\"\n    staging_dir: s\n"
    "    confirm: readback\n    verify_window: 2h\n    settle: 250ms\n"
    "originators:\n  acme: {company_name: ACME CORP, company_id: \"1234567890\", discretionary: x}\n"
    "calendars:\n  fed: {holidays: federal-reserve, extra: [2026-12-24, 2026-12-23]}\n  none: {holidays: "
    "none}\n"
    "shards:\n"
    "  \"231380104\":\n"
    "    endpoint: bank-a\n    destination_name: FEDERAL RESERVE BANK\n    origin: \"121042882\"\n"
    "    origin_name: FIRST EXAMPLE BANK\n    odfi: \"12104288\"\n    originators: [acme]\n"
    "    replicas: [n1, n2, n3]\n    preferred: n1\n"
    "    windows: {zone: America/New_York, on: every-day, calendar: fed, at: [{name: SD1, close_at: "
    "\"10:15\", "
    "upload_by: \"10:30\"}, {name: M1A, close_at: \"16:15\"}]}\n"
    "    missed_window: upload_late_until 17:00\n"
    "    file_name: \"X-{routing_number}-{date}-{modifier}\"\n    output: {line_ends: crlf, encoding: none}\n"
    "    limits: {max_lines: 1000, max_file_cents: 999, same_day_max_cents: 0}\n    balanced: true\n"
    "    same_day_deadline: \"16:00\"\n    text: keep\n"
    "  \"121042882\": {endpoint: bank-b, destination_name: B, origin: \" 12104288X\", origin_name: A, "
    "windows: {zone: UTC}, missed_window: hold}\n"
    "defaults: {unknown_routing_number: refuse}\n";

static void reads_every_key(void **state)
{
    struct arena a = ARENA_INIT;
    struct cluster_settings c;
    char why[640] = "";
    (void)state;
    assert_int_equal(parse(full, &a, &c, why, sizeof why), SG_OK);
    assert_int_equal(c.endpoints_count, 2);
    assert_int_equal(c.endpoints[0].rate_limit_bytes, 256 * 1024);
    assert_int_equal(c.endpoints[0].confirm, CONFIRM_HASH);
    assert_int_equal(c.endpoints[0].verify_window_ms, VERIFY_WINDOW_MS);
    assert_int_equal(c.endpoints[1].confirm, CONFIRM_READBACK);
    assert_int_equal(c.endpoints[1].verify_window_ms, 7200000);
    assert_int_equal(c.endpoints[1].settle_ms, 250);
    assert_true(span_is(c.endpoints[1].drop_dir, "with \"quotes\" and \\"));
    assert_true(span_is(c.originators[0].discretionary, "x"));
    assert_true(c.calendars[0].federal_reserve);
    assert_int_equal(c.calendars[0].extra_count, 2);
    assert_true(c.calendars[0].extra[0].n < c.calendars[0].extra[1].n);
    assert_false(c.calendars[1].federal_reserve);
    const struct shard_settings *s = &c.shards[0];
    assert_int_equal(s->routing_number.n, 231380104);
    assert_int_equal(s->replicas_count, 3);
    assert_true(s->every_day);
    assert_int_equal(s->windows_count, 2);
    assert_int_equal(s->windows[0].close_minute, 10 * 60 + 15);
    assert_int_equal(s->windows[0].upload_by_minute, 10 * 60 + 30);
    assert_int_equal(s->windows[1].upload_by_minute, -1);
    assert_true(span_is(s->windows[1].name, "M1A"));
    assert_int_equal(s->missed, MISSED_UPLOAD_LATE_UNTIL);
    assert_int_equal(s->late_until_minute, 17 * 60);
    assert_int_equal(s->line_ends, LINE_ENDS_CRLF);
    assert_int_equal(s->max_lines, 1000);
    assert_int_equal(s->same_day_max.n, 0);
    assert_true(s->balanced);
    assert_int_equal(s->same_day_deadline_minute, 16 * 60);
    assert_true(s->keep_case);
    s = &c.shards[1];
    assert_int_equal(s->same_day_deadline_minute, 0);
    assert_false(s->keep_case);
    assert_int_equal(s->missed, MISSED_HOLD);
    assert_int_equal(s->max_lines, FILE_LINES_DEFAULT);
    assert_int_equal(s->max_file_cents.n, FILE_CENTS_MAX);
    assert_int_equal(s->same_day_max.n, SAME_DAY_MAX_CENTS);
    assert_int_equal(s->line_ends, LINE_ENDS_LF);
    assert_false(s->every_day);
    assert_int_equal(c.unknown_routing_number, UNKNOWN_REFUSE);
    arena_release(&a);
}

/* All objects by their encodings. */
static void encode_all(const struct cluster_settings *c, struct bytes *out)
{
    for (size_t i = 0; i < c->endpoints_count; i++) {
        endpoint_settings_encode(&c->endpoints[i], out);
    }
    for (size_t i = 0; i < c->originators_count; i++) {
        originator_settings_encode(&c->originators[i], out);
    }
    for (size_t i = 0; i < c->calendars_count; i++) {
        calendar_settings_encode(&c->calendars[i], out);
    }
    for (size_t i = 0; i < c->shards_count; i++) {
        shard_settings_encode(&c->shards[i], out);
    }
}

static void assert_prints_what_it_read(const struct cluster_settings *c)
{
    struct arena a = ARENA_INIT;
    struct cluster_settings again;
    struct bytes text = BYTES_NONE;
    struct bytes before = BYTES_NONE;
    struct bytes after = BYTES_NONE;
    char why[640] = "";

    cluster_yaml_print(c, &text);
    if (cluster_yaml_parse(span_bytes(&text), "printed", &a, &again, why, sizeof why) != SG_OK) {
        fail_msg("%s", why);
    }
    encode_all(c, &before);
    encode_all(&again, &after);
    assert_true(span_eq(span_bytes(&before), span_bytes(&after)));
    bytes_release(&text);
    bytes_release(&before);
    bytes_release(&after);
    arena_release(&a);
}

static void prints_what_it_read(void **state)
{
    struct arena a = ARENA_INIT;
    struct cluster_settings c;
    char why[640] = "";
    (void)state;
    assert_int_equal(parse(full, &a, &c, why, sizeof why), SG_OK);
    assert_prints_what_it_read(&c);
    assert_int_equal(parse("", &a, &c, why, sizeof why), SG_OK);
    assert_prints_what_it_read(&c);
    arena_release(&a);
}

static void read_damaged(struct span data, void *arg)
{
    struct arena a = ARENA_INIT;
    struct cluster_settings c;
    char why[640] = "";
    unsigned *taken = arg;
    if (cluster_yaml_parse(data, "t", &a, &c, why, sizeof why) == SG_OK) {
        ++*taken;
        assert_prints_what_it_read(&c);
    } else {
        assert_memory_equal(why, "t:", 2);
    }
    arena_release(&a);
}

static void survives_damage(void **state)
{
    unsigned taken = 0;
    (void)state;
    test_mutate(span_of(full, sizeof full - 1), read_damaged, &taken, 3000, 7);
    assert_int_not_equal(taken, 0);
}

/* A hundred thousand names: their order, not their square. */
static void reads_many_names(void **state)
{
    struct arena a = ARENA_INIT;
    struct bytes yaml = BYTES_NONE;
    struct cluster_settings c;
    char why[640] = "";
    (void)state;
    bytes_printf(&yaml, "calendars: {");
    for (unsigned i = 0; i < 80000; i++) {
        bytes_printf(&yaml, "%s%x: {}", i == 0 ? "" : ",", i);
    }
    bytes_printf(&yaml, "}\n");
    assert_int_equal(cluster_yaml_parse(span_bytes(&yaml), "t", &a, &c, why, sizeof why), SG_OK);
    assert_int_equal(c.calendars_count, 80000);
    bytes_release(&yaml);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_tree_has_lines),
        cmocka_unit_test(an_empty_text_is_an_empty_map),
        cmocka_unit_test(refuses_what_is_no_plain_yaml),
        cmocka_unit_test(refuses_what_is_too_large),
        cmocka_unit_test(loads_a_node),
        cmocka_unit_test(says_what_is_wrong_with_a_node),
        cmocka_unit_test(says_that_there_is_no_file),
        cmocka_unit_test(says_what_is_wrong_with_a_cluster),
        cmocka_unit_test(refuses_too_many_windows),
        cmocka_unit_test(reads_every_key),
        cmocka_unit_test(prints_what_it_read),
        cmocka_unit_test(survives_damage),
        cmocka_unit_test(reads_many_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
