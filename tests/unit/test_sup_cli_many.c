/* Runs of the tool that ask many times: events by pages, shards at once, in the time
 * of one command. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "supervisor/client/monitor.h"
#include "tests/support/cli_run.h"

#define ROWS(array) (sizeof(array) / sizeof((array)[0]))

/* --- events ------------------------------------------------------------------------------ */

/* 2,500 of them, as a node answers: what stands behind the cursor "from", up to "limit". */
static void answer_events(struct reply *reply, const struct request *request, struct arena *a)
{
    char digits[24];
    uint64_t from = 0, limit = 0;
    struct bytes out = BYTES_NONE;
    assert_true(args_number(span_cstr(request_arg(request, "from"), digits, sizeof digits), &from));
    assert_true(args_number(span_cstr(request_arg(request, "limit"), digits, sizeof digits), &limit));
    bytes_printf(&out, "{\"v\":1,\"last\":2500,\"events\":[");
    uint64_t at = from;
    for (; at < 2500 && at < from + limit && at < from + 700; at++) { /* In parts. */
        bytes_printf(
            &out,
            "%s{\"cursor\":%u,\"time\":\"2026-11-%02uT10:00:00.000Z\",\"kind\":\"%s\",\"text\":\"e%u\"}",
            at == from ? "" : ",", (unsigned)at + 1, (unsigned)(at / 100) + 1,
            at % 100 == 7 ? "file.hold" : "transfer.accepted", (unsigned)at + 1);
    }
    bytes_printf(&out, "],\"next\":%u,\"more\":%s}", (unsigned)at, at < 2500 ? "true" : "false");
    reply->json = arena_dup(a, span_bytes(&out));
    bytes_release(&out);
}

static size_t lines_of(const char *text)
{
    size_t n = 0;
    for (; *text != '\0'; text++) {
        n += *text == '\n';
    }
    return n;
}

static const struct {
    const char *reason;
    const char *line[CLI_RUN_WORDS];
    size_t lines;
    const char *first, *last;
} tails[] = {
    {"by default", {"events", "231380104", "-o", "jsonl", NULL}, 100, "\"cursor\":2401,", "\"cursor\":2500,"},
    {"a few",
     {"events", "231380104", "-o", "jsonl", "--tail", "3", NULL},
     3,
     "\"cursor\":2498,",
     "\"cursor\":2500,"},
    {"more than a page",
     {"events", "231380104", "-o", "jsonl", "--tail", "1200", NULL},
     1200,
     "\"cursor\":1301,",
     "\"cursor\":2500,"},
    {"all there are",
     {"events", "231380104", "-o", "jsonl", "--tail", "10000", NULL},
     2500,
     "\"cursor\":1,",
     "\"cursor\":2500,"},
    {"of a kind, however far back",
     {"events", "231380104", "-o", "jsonl", "--kind", "file.hold", NULL},
     25,
     "\"cursor\":8,",
     "\"cursor\":2408,"},
    {"of a family",
     {"events", "231380104", "-o", "jsonl", "--kind", "file", "--tail", "2", NULL},
     2,
     "\"cursor\":2308,",
     "\"cursor\":2408,"},
    {"since a day",
     {"events", "231380104", "-o", "jsonl", "--since", "2026-11-24", NULL},
     200,
     "\"cursor\":2301,",
     "\"cursor\":2500,"},
    {"since a moment",
     {"events", "231380104", "-o", "jsonl", "--since", "2026-11-24T10:00:01Z", NULL},
     100,
     "\"cursor\":2401,",
     "\"cursor\":2500,"},
    {"forward from a cursor",
     {"events", "231380104", "-o", "jsonl", "--from", "10", "--limit", "5", NULL},
     5,
     "\"cursor\":11,",
     "\"cursor\":15,"},
};

static void events_are_the_newest(void **state)
{
    struct cli_run *f = *state;
    f->events = answer_events;
    for (size_t i = 0; i < ROWS(tails); i++) {
        if (cli_run(f, tails[i].line) != CLI_DONE || lines_of(f->output) != tails[i].lines) {
            fail_msg("%s: %zu lines: %s", tails[i].reason, lines_of(f->output), f->errors);
        }
        const char *last = strrchr(f->output, '{');
        if (strstr(f->output, tails[i].first) != f->output + 1 ||
            strncmp(last + 1, tails[i].last, strlen(tails[i].last)) != 0) {
            fail_msg("%s: from %.20s to %.20s", tails[i].reason, f->output, last);
        }
    }
    assert_int_equal(cli_run(f, (const char *const[]){"events", "231380104", "--since", "soon", NULL}),
                     CLI_USAGE);
    assert_int_equal(
        cli_run(f, (const char *const[]){"events", "231380104", "--from", "1", "--tail", "2", NULL}),
        CLI_USAGE);
}

/* --- Time ------------------------------------------------------------------------------------ */

#define MANY 40

static const char *many_shards(void)
{
    static char text[MANY * 40 + 32];
    char aba[ABA_TEXT_SIZE];
    size_t n = (size_t)snprintf(text, sizeof text, "{\"v\":1,\"shards\":[");
    for (uint32_t i = 0; i < MANY; i++) {
        struct aba shard = {(23138010 + i) * 10 + aba_check_digit(23138010 + i)};
        n += (size_t)snprintf(text + n, sizeof text - n, "%s{\"routing_number\":\"%s\"}", i == 0 ? "" : ",",
                              aba_text(shard, aba));
    }
    (void)snprintf(text + n, sizeof text - n, "]}");
    return text;
}

/* Forty shards that do not answer cost the time of one, and one line. */
static void the_time_is_that_of_the_command(void **state)
{
    static const char *const lines[][CLI_RUN_WORDS] = {
        {"files", "list", "--timeout", "600ms", NULL},
        {"transfers", "show", "a", "--timeout", "600ms", NULL},
        {"hash", "--all", "--timeout", "600ms", NULL},
    };
    struct cli_run *f = *state;
    f->json[REQUEST_SHARDS_LIST] = many_shards();
    f->json[REQUEST_NODES_LIST] = "{\"nodes\":[]}";
    f->keep[REQUEST_FILES_LIST] = f->keep[REQUEST_TRANSFERS_SHOW] = f->keep[REQUEST_SHARDS_SHOW] = true;
    for (size_t i = 0; i < ROWS(lines); i++) {
        uint64_t begun = monitor_now_ms();
        enum cli_exit status = cli_run(f, lines[i]);
        if (status != CLI_UNREACHED) {
            fail_msg("%s: status %d: %s", lines[i][0], (int)status, f->errors);
        }
        assert_in_range(monitor_now_ms() - begun, 300, 1200);
    }
    assert_int_equal(cli_run(f, lines[0]), CLI_UNREACHED); /* A read has no outcome that is unknown. */
    assert_non_null(
        strstr(f->errors, "40 of 40 shards did not answer (231380104, 231380117, 231380120, ...)"));
    assert_int_equal(strcspn(f->errors, "\n") + 1, strlen(f->errors)); /* One line. */
}

/* What some could not answer is said beside what the others did. */
static void causes_are_told_once(void **state)
{
    struct cli_run *f = *state;
    f->json[REQUEST_SHARDS_LIST] = many_shards();
    f->err[REQUEST_FILES_LIST] = SG_CORRUPT;
    assert_int_equal(cli_run(f, (const char *const[]){"files", "list", NULL}), CLI_CORRUPT);
    assert_non_null(strstr(f->errors, "40 of 40 shards"));
    assert_non_null(strstr(f->errors, "because"));
    assert_int_equal(strcspn(f->errors, "\n") + 1, strlen(f->errors));
}

/* --- What a change did -------------------------------------------------------------------- */

static void a_change_is_told_in_a_sentence(void **state)
{
    static const struct {
        enum request_kind kind;
        const char *json;
        const char *line[CLI_RUN_WORDS];
        const char *said;
    } rows[] = {
        {REQUEST_WINDOWS_CLOSE,
         "{\"outcome\":\"done\",\"index\":9,\"file\":0,\"window\":\"M1\",\"text\":\"\"}",
         {"windows", "close", "231380104", NULL},
         "window M1 is closed: its files appear in 'shardgate files list 231380104'\n"},
        {REQUEST_WINDOWS_RELEASE,
         "{\"outcome\":\"done\",\"index\":9,\"file\":0,\"text\":\"\"}",
         {"windows", "release", "231380104", NULL},
         "all windows on hold are released: the files go to the bank, see 'shardgate files list "
         "231380104'\n"},
        {REQUEST_UPGRADE_FINALIZE,
         "{\"level\":2,\"finalized\":false}",
         {"upgrade", "finalize", NULL},
         "the cluster stands already at level 2: nothing was changed\n"},
        {REQUEST_UPGRADE_FINALIZE,
         "{\"level\":2,\"finalized\":true}",
         {"upgrade", "finalize", NULL},
         "the cluster goes to level 2: no node can go back to a version that does not speak it\n"},
        {REQUEST_CANCEL,
         "{\"outcome\":\"done\",\"index\":9,\"window\":\"\",\"text\":\"cancelled already, at log index 7\"}",
         {"transfers", "cancel", "a", "--shard", "231380104", NULL},
         "transfer a is cancelled: it goes into no file (cancelled already, at log index 7)\n"},
        {REQUEST_FILES_CANCEL,
         "{\"outcome\":\"done\",\"index\":9,\"file\":1,\"text\":\"\"}",
         {"files", "cancel", "1", "--shard", "231380104", NULL},
         "file 1 will not go to the bank; if a copy was staged it is taken back first: 'shardgate files show "
         "1 "
         "--shard 231380104'\n"},
        {REQUEST_FILES_RESOLVE,
         "{\"outcome\":\"done\",\"index\":9,\"file\":1,\"text\":\"\"}",
         {"files", "resolve", "1", "--shard", "231380104", "--as", "uploaded", "--reason", "seen", NULL},
         "the hold of file 1 ends as uploaded; if a copy was staged it is taken back first: 'shardgate files "
         "show 1 --shard 231380104'\n"},
        {REQUEST_LEADER_TRANSFER,
         "{\"leader\":\"n2\",\"term\":3,\"outcome\":\"TRANSFERRED\",\"took_ms\":2}",
         {"leader", "transfer", "231380104", NULL},
         "leadership of 231380104 moved to n2 (TRANSFERRED, term 3, 2 ms)\n"},
        {REQUEST_LEADER_TRANSFER,
         "{\"leader\":\"n1\",\"term\":3,\"outcome\":\"REFUSED_NEAR_CUTOFF\",\"took_ms\":0,\"why\":\"ND is "
         "near\"}",
         {"leader", "transfer", "231380104", NULL},
         "leadership of 231380104 stayed with n1 (REFUSED_NEAR_CUTOFF, term 3, 0 ms): ND is near\n"},
    };
    struct cli_run *f = *state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        f->json[rows[i].kind] = rows[i].json;
        (void)cli_run(f, rows[i].line);
        assert_string_equal(f->output, rows[i].said);
    }
    assert_int_equal(cli_run(f, (const char *const[]){"windows", "close", "231380104", "-o", "json", NULL}),
                     CLI_DONE);
    assert_non_null(strstr(f->output, "\"outcome\": \"done\"")); /* Scripts have the fields. */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(events_are_the_newest, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(a_change_is_told_in_a_sentence, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(the_time_is_that_of_the_command, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(causes_are_told_once, cli_run_make, cli_run_drop),
    };
    return cmocka_run_group_tests(tests, cli_run_open, cli_run_close);
}
