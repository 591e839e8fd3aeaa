/* JSON rows as text: alignment, money, times, and nothing that plays tricks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "supervisor/cli/table.h"

#define ROWS(array) (sizeof(array) / sizeof((array)[0]))

static json_t *load(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);
    assert_non_null(value);
    return value;
}

static void assert_text(struct bytes *out, const char *reason, const char *wanted)
{
    bytes_append(out, "", 1);
    if (strcmp((const char *)out->p, wanted) != 0) {
        fail_msg("%s: \"%s\" instead of \"%s\"", reason, (const char *)out->p, wanted);
    }
    bytes_release(out);
}

#define TEN "0123456789"
#define SIXTY TEN TEN TEN TEN TEN TEN

static void cells(void **state)
{
    static const struct {
        const char *reason;
        const char *json;
        enum cell_kind kind;
        const char *text;
    } rows[] = {
        {"plain text", "\"n1\"", CELL_TEXT, "n1"},
        {"nothing is a dash", "null", CELL_NUMBER, "-"},
        {"an empty text is a dash", "\"\"", CELL_TEXT, "-"},
        {"an escape sequence does not get through", "\"a\\u001b[31mb\"", CELL_TEXT, "a?[31mb"},
        {"nor a line end", "\"a\\nb\"", CELL_TEXT, "a?b"},
        {"nor the other control characters", "\"\\u009b\\u007f\"", CELL_TEXT, "???"},
        {"a number", "-12", CELL_NUMBER, "-12"},
        {"no cents", "0", CELL_CENTS, "0.00"},
        {"a few cents", "7", CELL_CENTS, "0.07"},
        {"dollars and cents", "123456", CELL_CENTS, "1234.56"},
        {"less than nothing", "-5", CELL_CENTS, "-0.05"},
        {"the least there is", "-9223372036854775808", CELL_CENTS, "-92233720368547758.08"},
        {"money that is no number is shown as it is", "\"much\"", CELL_CENTS, "much"},
        {"yes", "true", CELL_TEXT, "yes"},
        {"no", "false", CELL_TEXT, "no"},
        {"summer time", "\"2026-07-01T12:00:00.000Z\"", CELL_TIME, "2026-07-01T08:00:00-04:00"},
        {"winter time, with milliseconds", "\"2026-11-23T15:00:00.250Z\"", CELL_TIME,
         "2026-11-23T10:00:00.250-05:00"},
        {"a time that is none", "\"2026-13-01T12:00:00.000Z\"", CELL_TIME, "2026-13-01T12:00:00.000Z"},
        {"the longest id there can be", "\"" SIXTY "abcd\"", CELL_ID, SIXTY "abcd"},
        {"an id that can't be one", "\"" SIXTY "abcd" SIXTY "\"", CELL_ID, SIXTY "a..."},
        {"a tame id", "\"a\\u001bb\"", CELL_ID, "a?b"},
        {"other texts are whole", "\"" SIXTY SIXTY "\"", CELL_TEXT, SIXTY SIXTY},
        {"an array", "[1,\"a\"]", CELL_TEXT, "[1,\"a\"]"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct bytes out = BYTES_NONE;
        json_t *value = load(rows[i].json);
        table_cell(value, rows[i].kind, &out);
        json_decref(value);
        assert_text(&out, rows[i].reason, rows[i].text);
    }
}

static void columns_are_aligned(void **state)
{
    static const struct column columns[] = {
        {"NAME", "name", CELL_TEXT}, {"DEBIT", "sum.debit_cents", CELL_CENTS}, {"WHY", "why", CELL_TEXT}};
    json_t *rows = load("[{\"name\":\"a\",\"sum\":{\"debit_cents\":123456},\"why\":\"x\"},"
                        "{\"name\":\"longer\",\"sum\":{\"debit_cents\":5}}]");
    struct bytes out = BYTES_NONE;
    (void)state;
    table_render(columns, ROWS(columns), rows, true, 0, &out);
    assert_text(&out, "with heads",
                "NAME      DEBIT  WHY\n"
                "a       1234.56  x\n"
                "longer     0.05  -\n");
    table_render(columns, ROWS(columns), rows, false, 0, &out);
    assert_text(&out, "the same widths without heads",
                "a       1234.56  x\n"
                "longer     0.05  -\n");
    json_decref(rows);
}

static void no_rows_are_the_heads_alone(void **state)
{
    static const struct column columns[] = {{"A", "a", CELL_TEXT}, {"B", "b", CELL_NUMBER}};
    json_t *rows = json_array();
    struct bytes out = BYTES_NONE;
    (void)state;
    table_render(columns, ROWS(columns), rows, true, 0, &out);
    assert_text(&out, "heads", "A  B\n");
    json_decref(rows);
}

static void a_record_shows_its_fields(void **state)
{
    json_t *object =
        load("{\"v\":1,\"id\":\"a\",\"pending\":{\"debit_cents\":150,\"entries\":2},\"amount\":99,"
             "\"at\":\"2026-11-23T15:00:00.000Z\",\"steps\":[{\"a\":1}],\"none\":[],"
             "\"addenda\":[\"x\"],\"metadata\":{\"amount\":5}}");
    struct bytes out = BYTES_NONE;
    (void)state;
    table_record(object, &out);
    assert_text(&out, "record",
                "id               a\n"
                "pending.debit    1.50\n"
                "pending.entries  2\n"
                "amount           0.99\n"
                "at               2026-11-23T10:00:00-05:00\n"
                "addenda          [\"x\"]\n"
                "metadata         {\"amount\":5}\n"); /* The client's 5 is not our cents. */
    json_decref(object);
}

static void a_key_cannot_play_tricks(void **state)
{
    json_t *object = load("{\"a\\u001b[0m\":1}");
    struct bytes out = BYTES_NONE;
    (void)state;
    table_record(object, &out);
    assert_text(&out, "key", "a?[0m  1\n");
    json_decref(object);
}

static int set_zone(void **state)
{
    (void)state;
    if (setenv("TZ", "America/New_York", 1) != 0) {
        return -1;
    }
    tzset();
    return 0;
}

/* A line has its width: wide columns go, and a text goes on below its beginning. What
 * people paste stays whole. */
static void a_table_fits_its_width(void **state)
{
    static const struct column columns[] = {{"KIND", "kind", CELL_TEXT, false},
                                            {"ID", "id", CELL_TEXT, true},
                                            {"TEXT", "text", CELL_TEXT, false}};
    json_t *rows = json_loads("[{\"kind\":\"node\",\"id\":\"77\",\"text\":\"does not answer: try "
                              "'shardgate ping tcp://127.0.0.1:7431' there\"},"
                              "{\"kind\":\"a\",\"id\":\"1\",\"text\":\"short\"}]",
                              0, NULL);
    struct bytes out = BYTES_NONE;
    (void)state;
    table_render(columns, ROWS(columns), rows, true, 49, &out);
    bytes_append(&out, "", 1);
    assert_string_equal((const char *)out.p, "KIND  TEXT\n"
                                             "node  does not answer: try\n"
                                             "      'shardgate ping tcp://127.0.0.1:7431' there\n"
                                             "a     short\n");
    bytes_clear(&out);
    table_render(columns, ROWS(columns), rows, true, 0, &out);
    bytes_append(&out, "", 1);
    assert_non_null(strstr((const char *)out.p, "node  77  does not answer: try 'shardgate ping"));
    bytes_release(&out);
    json_decref(rows);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cells),
        cmocka_unit_test(columns_are_aligned),
        cmocka_unit_test(no_rows_are_the_heads_alone),
        cmocka_unit_test(a_record_shows_its_fields),
        cmocka_unit_test(a_key_cannot_play_tricks),
        cmocka_unit_test(a_table_fits_its_width),
    };
    return cmocka_run_group_tests(tests, set_zone, NULL);
}
