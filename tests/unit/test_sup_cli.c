/* Runs of the tool against a node that answers what the test says: exit statuses,
 * what is asked, what is printed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/cli_run.h"

#define ROWS(array) (sizeof(array) / sizeof((array)[0]))

static void assert_prints(const struct cli_run *f, const char *wanted)
{
    if (strstr(f->output, wanted) == NULL) {
        fail_msg("\"%s\" is not in \"%s\"", wanted, f->output);
    }
}

/* --- Exit statuses ------------------------------------------------------------------- */

static void errors_have_statuses(void **state)
{
    static const struct {
        enum sg_err err;
        enum cli_exit status;
    } rows[] = {
        {SG_OK, CLI_DONE},
        {SG_NOTFOUND, CLI_FAILED},
        {SG_IO, CLI_FAILED},
        {SG_INVALID, CLI_FAILED},
        {SG_UNAVAILABLE, CLI_UNREACHED},
        {SG_NOTLEADER, CLI_UNREACHED},
        {SG_REFUSED, CLI_REFUSED},
        {SG_CONFLICT, CLI_REFUSED},
        {SG_UNKNOWN, CLI_UNKNOWN},
        {SG_TIMEOUT, CLI_UNKNOWN},
        {SG_CORRUPT, CLI_CORRUPT},
        {SG_STOPPED, CLI_UNREACHED},
        {SG_UNSUPPORTED, CLI_FAILED},
        {SG_BUSY, CLI_UNREACHED},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(cli_exit_of(rows[i].err), rows[i].status);
    }
}

static const struct {
    const char *reason;
    enum request_kind kind;
    enum sg_err err;
    const char *json;
    const char *line[CLI_RUN_WORDS];
    enum cli_exit status;
} answers[] = {
    {"done", REQUEST_NODES_LIST, SG_OK, NULL, {"nodes", "list", NULL}, CLI_DONE},
    {"nobody leads it",
     REQUEST_LEADER_SHOW,
     SG_OK,
     "{\"leader\":null}",
     {"leader", "show", "231380104", NULL},
     CLI_UNREACHED},
    {"no leader",
     REQUEST_SHARDS_SHOW,
     SG_UNAVAILABLE,
     NULL,
     {"shards", "show", "231380104", "--timeout", "200ms", NULL},
     CLI_UNREACHED},
    {"damage", REQUEST_EVENTS, SG_CORRUPT, NULL, {"events", "231380104", NULL}, CLI_CORRUPT},
    {"too late",
     REQUEST_FILES_CANCEL,
     SG_REFUSED,
     NULL,
     {"files", "cancel", "1", "--shard", "231380104", NULL},
     CLI_REFUSED},
    {"an answer that is no JSON", REQUEST_NODES_LIST, SG_OK, "nix", {"nodes", "list", NULL}, CLI_FAILED},
    {"healthy", REQUEST_STATUS, SG_OK, "{\"health\":\"healthy\"}", {"status", "--check", NULL}, CLI_DONE},
    {"degraded",
     REQUEST_STATUS,
     SG_OK,
     "{\"health\":\"degraded\"}",
     {"status", "--check", NULL},
     CLI_DEGRADED},
    {"degraded, and nobody wants to know",
     REQUEST_STATUS,
     SG_OK,
     "{\"health\":\"degraded\"}",
     {"status", NULL},
     CLI_DONE},
    {"no quorum",
     REQUEST_STATUS,
     SG_OK,
     "{\"health\":\"unavailable\"}",
     {"status", "--check", NULL},
     CLI_UNREACHED},
    {"moved",
     REQUEST_LEADER_TRANSFER,
     SG_OK,
     "{\"outcome\":\"TRANSFERRED\"}",
     {"leader", "transfer", "231380104", NULL},
     CLI_DONE},
    {"there already",
     REQUEST_LEADER_TRANSFER,
     SG_OK,
     "{\"outcome\":\"ALREADY_LEADER\"}",
     {"leader", "transfer", "231380104", "--to", "n1", NULL},
     CLI_DONE},
    {"too far behind",
     REQUEST_LEADER_TRANSFER,
     SG_OK,
     "{\"outcome\":\"LAG_TOO_HIGH\"}",
     {"leader", "transfer", "231380104", NULL},
     CLI_FAILED},
    {"too near to a cut-off",
     REQUEST_LEADER_TRANSFER,
     SG_OK,
     "{\"outcome\":\"REFUSED_NEAR_CUTOFF\"}",
     {"leader", "transfer", "231380104", NULL},
     CLI_REFUSED},
    {"nobody knows",
     REQUEST_LEADER_TRANSFER,
     SG_OK,
     "{\"outcome\":\"TIMED_OUT\"}",
     {"leader", "transfer", "231380104", NULL},
     CLI_UNKNOWN},
    {"the file is as sealed",
     REQUEST_FILES_VERIFY,
     SG_OK,
     "{\"ok\":true}",
     {"files", "verify", "1", "--shard", "231380104", NULL},
     CLI_DONE},
    {"the file is not as sealed",
     REQUEST_FILES_VERIFY,
     SG_OK,
     "{\"ok\":false}",
     {"files", "verify", "1", "--shard", "231380104", NULL},
     CLI_CORRUPT},
};

static void an_answer_is_an_exit_status(void **state)
{
    struct cli_run *f = *state;
    for (size_t i = 0; i < ROWS(answers); i++) {
        f->json[REQUEST_NODES_LIST] = "{\"nodes\":[{\"name\":\"n1\"}]}";
        f->err[answers[i].kind] = answers[i].err;
        f->json[answers[i].kind] = answers[i].json;
        if (cli_run(f, answers[i].line) != answers[i].status) {
            fail_msg("%s: another exit status", answers[i].reason);
        }
        f->err[answers[i].kind] = SG_OK;
        f->json[answers[i].kind] = NULL;
    }
}

#define FIFTY "12345678901234567890123456789012345678901234567890"
#define LONG_REASON FIFTY FIFTY FIFTY FIFTY FIFTY "1234567" /* 257 */

static void a_bad_command_line_asks_nobody(void **state)
{
    static const char *const lines[][CLI_RUN_WORDS] = {
        {NULL},
        {"frobnicate", NULL},
        {"fsck", "--all", NULL},
        {"shards", "show", NULL},
        {"status", "--connect", "nix", NULL},  /* No address. */
        {"shards", "show", "231380105", NULL}, /* Check digit. */
        {"shards", "show", "231380104", "more", NULL},
        {"shards", "list", "--limit", "5", NULL}, /* Not an option of this verb. */
        {"transfers", "list", "231380104", "--limit", "0", NULL},
        {"transfers", "list", "231380104", "--limit", "many", NULL},
        {"transfers", "list", "231380104", "--from", "-1", NULL},
        {"transfers", "list", "231380104", "--from", "99999999999999999999", NULL},
        {"transfers", "list", "231380104", "--state", "sold", NULL},
        {"log", "dump", "231380104", "--to", "x", NULL},
        {"shards", "list", "--node", "n1", "--data-dir", "x", NULL},
        {"transfers", "cancel", "a", "--reason", LONG_REASON, NULL},
        {"transfers", "show", "a", "--shard", "1", NULL},
        {"files", "resolve", "1", "--reason", "x", NULL}, /* As what? */
        {"files", "resolve", "1", "--as", "lost", "--reason", "x", NULL},
        {"files", "resolve", "1", "--as", "uploaded", NULL},
        {"hash", NULL},
        {"hash", "231380104", "--all", NULL},
        {"apply", NULL},
        {"events", "231380104", "--follow", "-o", "json", NULL},
        {"status", "--data-dir", "x", NULL},
        {"shards", "list", "--data-dir", "x", "--connect", "y", NULL},
        {"completion", "fish", NULL},
        {"help", "frobnicate", NULL},
    };
    struct cli_run *f = *state;
    for (size_t i = 0; i < ROWS(lines); i++) {
        if (cli_run(f, lines[i]) != CLI_USAGE) {
            fail_msg("row %zu (%s ...): not a usage error", i, lines[i][0] == NULL ? "" : lines[i][0]);
        }
    }
    assert_int_equal(f->node.requests, 0);
}

/* A node that is none is a slip, not an empty list. */
static void a_node_of_nobody_is_a_usage_error(void **state)
{
    static const char *const lines[][CLI_RUN_WORDS] = {
        {"shards", "list", "--node", "n9", NULL},
        {"leader", "transfer", "231380104", "--to", "n9", NULL},
    };
    struct cli_run *f = *state;
    f->json[REQUEST_NODES_LIST] = "{\"nodes\":[{\"name\":\"n1\"},{\"name\":\"n2\"}]}";
    for (size_t i = 0; i < ROWS(lines); i++) {
        assert_int_equal(cli_run(f, lines[i]), CLI_USAGE);
        assert_non_null(strstr(f->errors, "there is no node n9 (did you mean n"));
        assert_string_equal(f->asked, "nodes list 0"); /* And nothing else. */
    }
}

static void some_verbs_need_no_node(void **state)
{
    static const char *const lines[][CLI_RUN_WORDS] = {
        {"version", NULL},
        {"--version", NULL},
        {"help", NULL},
        {"--help", NULL},
        {"help", "files", "get", NULL},
        {"files", "get", "-h", NULL},
        {"completion", "bash", NULL},
    };
    struct cli_run *f = *state;
    assert_int_equal(unsetenv("SHARDGATE_CONNECT"), 0);
    for (size_t i = 0; i < ROWS(lines); i++) {
        assert_int_equal(cli_run(f, lines[i]), CLI_DONE);
        assert_true(f->output[0] != '\0');
    }
    assert_int_equal(cli_run(f, (const char *const[]){"status", NULL}), CLI_USAGE); /* Which cluster? */
}

/* --- What is asked ------------------------------------------------------------------------ */

static void options_become_arguments(void **state)
{
    static const struct {
        const char *line[CLI_RUN_WORDS];
        const char *asked;
    } rows[] = {
        {{"shards", "list", "--unhealthy", "--node", "n1", NULL}, "shards list 0 node=n1 unhealthy=true"},
        {{"transfers", "list", "231380104", "--from", "5", "--limit", "9", "--state", "pending", "--reveal",
          NULL},
         "transfers list 231380104 limit=9 from=5 state=pending reveal=true"},
        {{"leader", "transfer", "231380104", "--to", "n2", NULL}, "leader transfer 231380104 to=n2"},
        {{"leader", "transfer", "231380104", "--force", NULL}, "leader transfer 231380104 force=true"},
        {{"windows", "close", "231380104", "--window", "ND", "--reason", "x", NULL},
         "windows close 231380104 window=ND reason=x"},
        {{"log", "dump", "231380104", "--from", "2", "--to", "3", NULL}, "log dump 231380104 from=2 to=3"},
        {{"files", "resolve", "F", "--shard", "231380104", "--as", "uploaded", "--reason", "seen", NULL},
         "files resolve 231380104 reason=seen as=uploaded file=F"},
        {{"transfers", "cancel", "a", "--shard", "231380104", NULL}, "transfers cancel 231380104 id=a"},
    };
    struct cli_run *f = *state;
    char nodes[256];
    (void)snprintf(nodes, sizeof nodes,
                   "{\"nodes\":[{\"name\":\"n1\",\"client\":\"%s\"},{\"name\":\"n2\",\"client\":\"%s\"}]}",
                   f->node.address, f->node.address);
    f->json[REQUEST_NODES_LIST] = nodes;
    for (size_t i = 0; i < ROWS(rows); i++) {
        (void)cli_run(f, rows[i].line);
        assert_string_equal(f->asked, rows[i].asked);
    }
}

static const struct {
    const char *reason;
    const char *line[CLI_RUN_WORDS];
    unsigned total, page, pages;
    const char *first, *last, *not, *text;
} page_rows[] = {
    {"to the end", {"transfers", "list", "231380104", NULL}, 10, 3, 4, "row1 ", "row10 ", "row11 ", NULL},
    {"from a place",
     {"transfers", "list", "231380104", "--from", "4", NULL},
     10,
     3,
     2,
     "row5 ",
     "row10 ",
     "row4 ",
     NULL},
    {"to a limit between pages",
     {"transfers", "list", "231380104", "--limit", "5", NULL},
     10,
     3,
     2,
     "row1 ",
     "row5 ",
     "row6 ",
     NULL},
    {"one document",
     {"transfers", "list", "231380104", "-o", "json", NULL},
     7,
     2,
     4,
     "\"row1\"",
     "\"row7\"",
     "row8",
     "\"more\": false"},
    {"lines",
     {"transfers", "list", "231380104", "-o", "jsonl", NULL},
     7,
     7,
     1,
     "\"row1\"",
     "\"row7\"",
     "row8",
     NULL},
    {"newest first", {"files", "list", "231380104", "--limit", "4", NULL}, 9, 3, 2, "FILE", NULL, NULL, NULL},
};

/* However a node cuts a list, it is one list, to its end or to --limit. */
static void a_list_goes_on_by_itself(void **state)
{
    struct cli_run *f = *state;
    for (size_t i = 0; i < ROWS(page_rows); i++) {
        f->rows_total = page_rows[i].total;
        f->rows_page = page_rows[i].page;
        f->pages_asked = 0;
        assert_int_equal(cli_run(f, page_rows[i].line), CLI_DONE);
        if (strstr(f->output, page_rows[i].first) == NULL ||
            (page_rows[i].last != NULL && strstr(f->output, page_rows[i].last) == NULL) ||
            (page_rows[i].not != NULL && strstr(f->output, page_rows[i].not ) != NULL) ||
            (page_rows[i].text != NULL && strstr(f->output, page_rows[i].text) == NULL) ||
            f->pages_asked != page_rows[i].pages) {
            fail_msg("%s: %u pages: %s", page_rows[i].reason, f->pages_asked, f->output);
        }
    }
    f->rows_page = 0;
    f->json[REQUEST_TRANSFERS_LIST] = "{\"v\":1,\"transfers\":[],\"next\":7,\"more\":true}";
    assert_int_equal(cli_run(f, (const char *const[]){"transfers", "list", "231380104", NULL}), CLI_FAILED);
    /* An earlier version's answer, as many rows as asked for and a place to go on. */
    f->json[REQUEST_TRANSFERS_LIST] = "{\"v\":1,\"transfers\":[{\"id\":\"a\"}],\"next\":7}";
    assert_int_equal(
        cli_run(f, (const char *const[]){"transfers", "list", "231380104", "--limit", "1", NULL}), CLI_DONE);
}

/* Shards are asked side by side, so any of the two may come last. */
static bool last_was(const struct cli_run *f, const char *question, const char *arguments)
{
    for (size_t i = 0; i < 2; i++) {
        char wanted[128];
        (void)snprintf(wanted, sizeof wanted, "%s%s%s", question, i == 0 ? "121042882" : "231380104",
                       arguments);
        if (strcmp(f->asked, wanted) == 0) {
            return true;
        }
    }
    return false;
}

static void an_item_finds_its_shard(void **state)
{
    struct cli_run *f = *state;
    f->only_shard = 231380104;
    assert_int_equal(cli_run(f, (const char *const[]){"transfers", "cancel", "a", NULL}), CLI_DONE);
    assert_string_equal(f->asked, "transfers cancel 231380104 id=a");
    f->only_shard = 1; /* In none. */
    assert_int_equal(cli_run(f, (const char *const[]){"transfers", "cancel", "a", NULL}), CLI_FAILED);
    f->only_shard = 0; /* In both: which one is meant? */
    assert_int_equal(cli_run(f, (const char *const[]){"transfers", "cancel", "a", NULL}), CLI_USAGE);
    assert_true(last_was(f, "transfers show ", " id=a"));
}

static void a_shard_that_cannot_be_asked_stops_a_change(void **state)
{
    struct cli_run *f = *state;
    f->err[REQUEST_FILES_SHOW] = SG_CORRUPT;
    assert_int_equal(cli_run(f, (const char *const[]){"files", "cancel", "1", NULL}), CLI_CORRUPT);
    assert_true(last_was(f, "files show ", " file=1")); /* Nothing was cancelled. */
}

/* --- What is printed ------------------------------------------------------------------------- */

static void lists_of_every_shard(void **state)
{
    struct cli_run *f = *state;
    f->json[REQUEST_FILES_LIST] = "{\"v\":1,\"files\":[{\"id\":1,\"name\":\"F\",\"debit_cents\":150}]}";
    assert_int_equal(cli_run(f, (const char *const[]){"files", "list", "-o", "jsonl", NULL}), CLI_DONE);
    assert_string_equal(f->output,
                        "{\"routing_number\":\"121042882\",\"id\":1,\"name\":\"F\",\"debit_cents\":150}\n"
                        "{\"routing_number\":\"231380104\",\"id\":1,\"name\":\"F\",\"debit_cents\":150}\n");
    assert_int_equal(cli_run(f, (const char *const[]){"files", "list", "231380104", NULL}), CLI_DONE);
    assert_prints(f, "1.50");
    assert_null(strstr(f->output, "121042882"));
}

static void json_is_one_document(void **state)
{
    struct cli_run *f = *state;
    json_t *o;
    f->json[REQUEST_LEADER_SHOW] =
        "{\"v\":1,\"routing_number\":\"231380104\",\"leader\":\"n\\u001b1\",\"term\":4}";
    assert_int_equal(cli_run(f, (const char *const[]){"leader", "show", "231380104", "-o", "json", NULL}),
                     CLI_DONE);
    o = json_loads(f->output, 0, NULL);
    assert_int_equal(json_integer_value(json_object_get(o, "term")), 4);
    assert_null(strchr(f->output, '\x1b'));
    json_decref(o);
    assert_int_equal(cli_run(f, (const char *const[]){"leader", "show", "231380104", NULL}), CLI_DONE);
    assert_prints(f, "n?1");
}

static void ping_is_one_line(void **state)
{
    struct cli_run *f = *state;
    const char *const line[] = {"ping", f->node.address, NULL};
    f->json[REQUEST_PING] =
        "{\"cluster\":\"demo\",\"node\":\"n1\",\"up\":true,\"state\":\"running\",\"why\":\"\"}";
    assert_int_equal(cli_run(f, line), CLI_DONE);
    assert_string_equal(f->output, "UP demo/n1\n");
    f->json[REQUEST_PING] =
        "{\"cluster\":\"demo\",\"node\":\"n1\",\"up\":false,\"state\":\"refused\",\"why\":\"disk\"}";
    assert_int_equal(cli_run(f, line), CLI_FAILED);
    assert_string_equal(f->output, "DOWN demo/n1 disk\n");
    assert_int_equal(cli_run(f, (const char *const[]){"ping", "127.0.0.1:1", "--timeout", "100ms", NULL}),
                     CLI_FAILED);
    assert_prints(f, "DOWN - 127.0.0.1:1: ");
}

static void a_file_goes_where_it_is_wanted(void **state)
{
    struct cli_run *f = *state;
    char read_back[32] = "";
    FILE *file;
    assert_int_equal(cli_run(f, (const char *const[]){"files", "get", "1", "--shard", "231380104", NULL}),
                     CLI_DONE);
    assert_string_equal(f->output, "101 bytes\n\x01"); /* Byte for byte. */
    assert_int_equal(cli_run(f, (const char *const[]){"files", "get", "1", "--shard", "231380104", "--out",
                                                      f->path, NULL}),
                     CLI_DONE);
    assert_string_equal(f->output, "");
    file = fopen(f->path, "r");
    assert_non_null(file);
    assert_int_equal(fread(read_back, 1, sizeof read_back, file), 11);
    (void)fclose(file);
    assert_string_equal(read_back, "101 bytes\n\x01");
    assert_int_equal(cli_run(f, (const char *const[]){"files", "get", "1", "--shard", "231380104", "--out",
                                                      "/nowhere/x", NULL}),
                     CLI_FAILED);
}

/* --- hash ---------------------------------------------------------------------------------- */

static void a_stopped_replica_has_no_digest_of_its_own(void **state)
{
    struct cli_run *f = *state;
    char nodes[256];
    const char *const line[] = {"hash", "231380104", "-o", "jsonl", NULL};
    (void)snprintf(nodes, sizeof nodes,
                   "{\"nodes\":[{\"name\":\"n1\",\"client\":\"%s\"},{\"name\":\"n2\",\"client\":\"%s\"}]}",
                   f->node.address, f->node.address);
    f->json[REQUEST_NODES_LIST] = nodes;
    f->json[REQUEST_SHARDS_SHOW] = "{\"replicas\":[{\"node\":\"n1\"},{\"node\":\"n2\"}]}";
    f->json[REQUEST_SHARDS_LIST] = "{\"shards\":[{\"routing_number\":\"231380104\",\"state\":\"stopped\","
                                   "\"why\":\"checksum\"}]}";
    /* n2 passed the question on to n1. */
    f->json[REQUEST_HASH] = "{\"node\":\"n1\",\"applied_index\":7,\"digest\":\"aa\"}";
    assert_int_equal(cli_run(f, line), CLI_FAILED);
    assert_null(strstr(f->output, "same"));
    assert_prints(f, "\"node\":\"n2\",\"result\":\"no answer\"");
    assert_prints(f, "checksum");
    f->json[REQUEST_SHARDS_LIST] = "{\"shards\":[]}"; /* It holds none. */
    assert_int_equal(cli_run(f, line), CLI_FAILED);
    assert_prints(f, "does not serve its replica");
    f->json[REQUEST_HASH] = "{\"applied_index\":7,\"digest\":\"aa\"}"; /* Whose is it? */
    assert_int_equal(cli_run(f, line), CLI_FAILED);
    assert_prints(f, "makes no sense");
}

/* --- apply ---------------------------------------------------------------------------------- */

static void apply_shows_the_difference_first(void **state)
{
    struct cli_run *f = *state;
    const char *const dry[] = {"apply", "-f", f->path, "--dry-run", NULL};
    const char *const wet[] = {"apply", "-f", f->path, NULL};
    cli_run_input(f, "originators:\n  acme: {company_name: ACME, company_id: \"1234567890\"}\n");
    f->json[REQUEST_APPLY] = "{\"v\":1,\"applied\":true,\"changes\":[\"+ originator acme\"]}";
    assert_int_equal(cli_run(f, dry), CLI_DONE);
    assert_prints(f, "+ originator acme\n");
    assert_non_null(strstr(f->asked, "dry_run=true"));
    assert_int_equal(cli_run(f, wet), CLI_DONE);
    assert_string_equal(f->output, "+ originator acme\napplied\n");
    assert_null(strstr(f->asked, "dry_run"));
    f->json[REQUEST_APPLY] = "{\"v\":1,\"applied\":false,\"changes\":[]}";
    assert_int_equal(cli_run(f, wet), CLI_DONE);
    assert_string_equal(f->output, "no changes\n");
    assert_non_null(strstr(f->asked, "dry_run=true")); /* And nothing was sent after that. */
}

/* "applied" is said when every leader has it. */
static void apply_waits_until_it_is_in_force(void **state)
{
    struct cli_run *f = *state;
    const char *const line[] = {"apply", "-f", f->path, "--timeout", "400ms", NULL};
    const char *const at_once[] = {"apply", "-f", f->path, "--no-wait", NULL};
    cli_run_input(f, "originators:\n  acme: {company_name: ACME, company_id: \"1234567890\"}\n");
    f->json[REQUEST_APPLY] = "{\"v\":1,\"applied\":true,\"version\":7,\"changes\":[\"~ originator acme\"],"
                             "\"shards\":[\"231380104\"]}";
    f->json[REQUEST_SHARDS_SHOW] = "{\"settings_version\":8}";
    assert_int_equal(cli_run(f, line), CLI_DONE);
    assert_string_equal(f->output, "~ originator acme\napplied\n");
    assert_string_equal(f->asked, "shards show 231380104");
    f->json[REQUEST_SHARDS_SHOW] = "{\"settings_version\":7}"; /* What it had before. */
    assert_int_equal(cli_run(f, line), CLI_UNKNOWN);
    assert_non_null(strstr(f->errors, "not yet in force on 1 of 1 shards"));
    assert_non_null(strstr(f->errors, "'shardgate shards show 231380104'"));
    assert_int_equal(cli_run(f, at_once), CLI_DONE);
    assert_non_null(strstr(f->asked, "apply"));
    f->err[REQUEST_SHARDS_SHOW] = SG_UNAVAILABLE;
    assert_int_equal(cli_run(f, line), CLI_UNKNOWN);
}

static void apply_reads_a_bad_file_itself(void **state)
{
    struct cli_run *f = *state;
    const char *const line[] = {"apply", "-f", f->path, NULL};
    cli_run_input(f, "originators:\n  acme: {compny_name: ACME}\n");
    assert_int_equal(cli_run(f, line), CLI_FAILED);
    assert_int_equal(f->node.requests, 0);
    assert_int_equal(cli_run(f, (const char *const[]){"apply", "-f", "/nowhere/x", NULL}), CLI_FAILED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_have_statuses),
        cmocka_unit_test_setup_teardown(an_answer_is_an_exit_status, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(a_bad_command_line_asks_nobody, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(a_node_of_nobody_is_a_usage_error, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(some_verbs_need_no_node, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(options_become_arguments, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(a_list_goes_on_by_itself, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(an_item_finds_its_shard, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(a_shard_that_cannot_be_asked_stops_a_change, cli_run_make,
                                        cli_run_drop),
        cmocka_unit_test_setup_teardown(lists_of_every_shard, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(json_is_one_document, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(ping_is_one_line, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(a_file_goes_where_it_is_wanted, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(a_stopped_replica_has_no_digest_of_its_own, cli_run_make,
                                        cli_run_drop),
        cmocka_unit_test_setup_teardown(apply_shows_the_difference_first, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(apply_waits_until_it_is_in_force, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(apply_reads_a_bad_file_itself, cli_run_make, cli_run_drop),
    };
    return cmocka_run_group_tests(tests, cli_run_open, cli_run_close);
}
