/* transfers submit: outcomes, their order, and what is not known is not claimed. */
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

#define TRANSFER(id, shard, amount)                                                                       \
    "{\"id\":\"" id "\",\"routing_number\":\"" shard "\",\"amount\":" amount ",\"originator\":\"acme\","  \
    "\"sec\":\"PPD\",\"entry_description\":\"SALARY\",\"side\":\"credit\",\"account_type\":\"checking\"," \
    "\"rdfi\":\"091000019\",\"account\":\"12345\",\"name\":\"JANE DOE\"}\n"

static json_t *submit(struct cli_run *f, const char *text, enum cli_exit wanted)
{
    const char *const line[] = {"transfers", "submit", f->path, "-o", "json", "--timeout", "300ms", NULL};
    json_t *o;
    cli_run_input(f, text);
    assert_int_equal(cli_run(f, line), wanted);
    o = json_loads(f->output, 0, NULL);
    assert_non_null(o);
    return o;
}

static void assert_result(const json_t *o, size_t i, const char *id, const char *outcome, int index)
{
    const json_t *r = json_array_get(json_object_get(o, "results"), i);
    assert_string_equal(json_string_value(json_object_get(r, "id")), id);
    assert_string_equal(json_string_value(json_object_get(r, "outcome")), outcome);
    assert_int_equal(json_integer_value(json_object_get(r, "index")), index);
    assert_int_equal(json_object_get(r, "reason") != NULL, index == 0);
    assert_in_range(json_integer_value(json_object_get(r, "line")), 1, 100);
}

static void results_come_in_the_order_of_the_input(void **state)
{
    struct cli_run *f = *state;
    json_t *o = submit(f,
                       TRANSFER("a", "231380104", "2")
                           TRANSFER("b", "121042882", "4") "nonsense\n" TRANSFER("c", "231380104", "7")
                               TRANSFER("d", "121042882", "8"),
                       CLI_FAILED);
    assert_int_equal(json_integer_value(json_object_get(o, "accepted")), 3);
    assert_int_equal(json_integer_value(json_object_get(o, "rejected")), 2);
    assert_result(o, 0, "a", "accepted", 2);
    assert_result(o, 1, "b", "accepted", 4);
    assert_result(o, 2, "", "rejected", 0);
    assert_result(o, 3, "c", "rejected", 0);
    assert_result(o, 4, "d", "accepted", 8);
    assert_int_equal(f->node.requests, 2); /* One a shard. */
    json_decref(o);
}

static void all_accepted_is_done(void **state)
{
    struct cli_run *f = *state;
    json_decref(submit(f, TRANSFER("a", "231380104", "2"), CLI_DONE));
}

static void a_byte_order_mark_is_passed_over(void **state)
{
    json_t *o = submit(*state, "\xef\xbb\xbf" TRANSFER("a", "231380104", "2"), CLI_DONE);
    assert_result(o, 0, "a", "accepted", 2);
    json_decref(o);
    o = submit(*state, "\xef\xbb" TRANSFER("a", "231380104", "2"), CLI_FAILED); /* Not one. */
    assert_result(o, 0, "", "rejected", 0);
    json_decref(o);
}

static void a_refused_request_rejects_one_by_one(void **state)
{
    struct cli_run *f = *state;
    json_t *o;
    f->err[REQUEST_SUBMIT] = SG_NOTFOUND; /* No such routing number. */
    o = submit(f, TRANSFER("a", "231380104", "2") TRANSFER("b", "231380104", "4"), CLI_FAILED);
    assert_result(o, 0, "a", "rejected", 0);
    assert_result(o, 1, "b", "rejected", 0);
    json_decref(o);
}

static void what_may_come_again_is_not_rejected(void **state)
{
    static const struct {
        const char *why;
        enum sg_err err;
    } rows[] = {
        {"there is no leader", SG_UNAVAILABLE}, {"the leader's disk is nearly full", SG_REFUSED},
        {"too much is under way", SG_BUSY},     {"the leader is going", SG_STOPPED},
        {"it leads no more", SG_NOTLEADER},
    };
    struct cli_run *f = *state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        json_t *o;
        print_message("%s\n", rows[i].why);
        f->err[REQUEST_SUBMIT] = rows[i].err;
        o = submit(f, TRANSFER("a", "231380104", "2"), CLI_UNREACHED);
        assert_result(o, 0, "a", "unavailable", 0);
        assert_int_equal(json_integer_value(json_object_get(o, "rejected")), 0);
        assert_int_equal(json_integer_value(json_object_get(o, "unavailable")), 1);
        json_decref(o);
    }
}

static void unknown_is_not_a_rejection(void **state)
{
    static const enum sg_err errs[] = {SG_UNKNOWN, SG_CORRUPT, SG_IO};
    struct cli_run *f = *state;
    for (size_t i = 0; i < ROWS(errs); i++) {
        json_t *o;
        f->err[REQUEST_SUBMIT] = errs[i];
        o = submit(f, TRANSFER("a", "231380104", "2"), CLI_UNKNOWN);
        assert_result(o, 0, "a", "unknown", 0);
        json_decref(o);
    }
}

/* More than a request may hold, in bytes and in number. */
static void a_large_file_goes_in_parts(void **state)
{
    enum { COUNT = REQUEST_TRANSFERS_MAX + 1 };
    struct cli_run *f = *state;
    const char *const line[] = {"transfers", "submit", f->path, "-o", "json", NULL};
    FILE *file = fopen(f->path, "w");
    assert_non_null(file);
    for (int i = 0; i < COUNT; i++) {
        (void)fprintf(file,
                      "{\"id\":\"t%d\",\"routing_number\":\"231380104\",\"amount\":2,\"originator\":\"acme\","
                      "\"sec\":\"PPD\",\"entry_description\":\"SALARY\",\"side\":\"credit\","
                      "\"account_type\":\"checking\",\"rdfi\":\"091000019\",\"account\":\"1\",\"name\":\"A\","
                      "\"metadata\":\"%0900d\"}\n",
                      i, i);
    }
    assert_int_equal(fclose(file), 0);
    assert_int_equal(cli_run(f, line), CLI_DONE);
    assert_int_equal(f->node.requests, 2); /* 4.9 MB of 4 MiB; by number alone 2, too. */
}

/* It was rejected for its length, and it was the client's: JSON has it whole. */
static void a_long_id_does_not_widen_the_table(void **state)
{
    char id[301];
    char text[1024];
    struct cli_run *f = *state;
    memset(id, 'x', sizeof id - 1);
    id[sizeof id - 1] = '\0';
    (void)snprintf(text, sizeof text, "{\"id\":\"%s\",\"routing_number\":\"231380104\"}\n", id);
    json_t *o = submit(f, text, CLI_FAILED);
    assert_result(o, 0, id, "rejected", 0);
    json_decref(o);
    assert_int_equal(cli_run(f, (const char *const[]){"transfers", "submit", f->path, NULL}), CLI_FAILED);
    assert_int_equal(strspn(strchr(f->output, '\n') + 1, "x"), TRANSFER_ID_SIZE_MAX - 3);
}

static void assert_line(const struct cli_run *f, const char *rest)
{
    char wanted[512];
    (void)snprintf(wanted, sizeof wanted, "\n%s:%s\n", f->path, rest);
    if (strstr(f->output, wanted) == NULL) {
        fail_msg("no \"%s\" in %s", wanted + 1, f->output);
    }
}

/* Of a transfer that was cancelled nobody believes that it is paid; a note changes
 * nothing. */
static void cancelled_is_not_done(void **state)
{
    static const char again[] = TRANSFER("x", "231380104", "2000");
    struct cli_run *f = *state;
    json_t *o = submit(f, again, CLI_FAILED);
    const json_t *r = json_array_get(json_object_get(o, "results"), 0);
    assert_string_equal(json_string_value(json_object_get(r, "state")), "cancelled");
    json_decref(o);
    cli_run_input(f, again);
    assert_int_equal(cli_run(f, (const char *const[]){"transfers", "submit", f->path, NULL}), CLI_FAILED);
    assert_line(f, "1: cancelled: not paid");

    o = submit(f, TRANSFER("a", "231380104", "1000"), CLI_DONE);
    r = json_array_get(json_object_get(o, "results"), 0);
    assert_string_equal(json_string_value(json_object_get(r, "note")), "large");
    json_decref(o);
    cli_run_input(f, TRANSFER("a", "231380104", "1000") TRANSFER("b", "231380104", "1002"));
    assert_int_equal(cli_run(f, (const char *const[]){"transfers", "submit", f->path, NULL}), CLI_DONE);
    assert_line(f, "1: note: large (1 more: line 2)");
}

/* What is wrong stands once, with its place as editors take it, whether the tool
 * found it or the cluster. */
static void reasons_stand_once_with_their_places(void **state)
{
    struct cli_run *f = *state;
    cli_run_input(f, TRANSFER("a", "231380104", "7") TRANSFER("b", "231380104", "2")    /* 1, 2 */
                  "{\"id\":\"c\",\"amuont\":1}\n" TRANSFER("d", "231380104", "7")       /* 3, 4 */
                  TRANSFER("e", "121042882", "9") "[\n" TRANSFER("f", "231380104", "7") /* 5 to 7 */
                  TRANSFER("g", "231380104", "7") TRANSFER("h", "231380104", "7"));     /* 8, 9 */
    assert_int_equal(cli_run(f, (const char *const[]){"transfers", "submit", f->path, NULL}), CLI_FAILED);
    assert_line(f, "1: rejected: odd (5 more: lines 4, 5, 7, 8, 9)");
    assert_line(f, "3: rejected: unknown key amuont: did you mean amount?");
    assert_line(f, "6: rejected: it ends in the middle");
    assert_true(strstr(f->output, ":1: rejected") < strstr(f->output, ":3: rejected"));
    assert_non_null(strstr(f->output, "1 accepted, 0 folded, 8 rejected\n"));

    cli_run_input(f, TRANSFER("a", "231380104", "7") TRANSFER("b", "231380104", "7"));
    assert_int_equal(cli_run(f, (const char *const[]){"transfers", "submit", f->path, NULL}), CLI_FAILED);
    assert_line(f, "1: rejected: odd (1 more: line 2)");

    cli_run_input(f, TRANSFER("a", "231380104", "7") TRANSFER("b", "231380104", "7")
                         TRANSFER("c", "231380104", "7") TRANSFER("d", "231380104", "7")
                             TRANSFER("e", "231380104", "7") TRANSFER("f", "231380104", "7")
                                 TRANSFER("g", "231380104", "7"));
    assert_int_equal(cli_run(f, (const char *const[]){"transfers", "submit", f->path, NULL}), CLI_FAILED);
    assert_line(f, "1: rejected: odd (6 more: lines 2, 3, 4, 5, 6, ...)");
    f->err[REQUEST_SUBMIT] = SG_NOTFOUND;
    assert_int_equal(cli_run(f, (const char *const[]){"transfers", "submit", f->path, NULL}), CLI_FAILED);
    assert_line(f, "1: rejected: because?[0m (6 more: lines 2, 3, 4, 5, 6, ...)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(results_come_in_the_order_of_the_input, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(all_accepted_is_done, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(a_byte_order_mark_is_passed_over, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(a_refused_request_rejects_one_by_one, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(what_may_come_again_is_not_rejected, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(unknown_is_not_a_rejection, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(reasons_stand_once_with_their_places, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(cancelled_is_not_done, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(a_long_id_does_not_widen_the_table, cli_run_make, cli_run_drop),
        cmocka_unit_test_setup_teardown(a_large_file_goes_in_parts, cli_run_make, cli_run_drop),
    };
    return cmocka_run_group_tests(tests, cli_run_open, cli_run_close);
}
