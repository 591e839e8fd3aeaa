/* Transfers as people write them: forms of the text, keys, values, and that a bad
 * one does not take the others with it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "supervisor/cli/json_split.h"
#include "supervisor/cli/transfer_json.h"

#define ROWS(array) (sizeof(array) / sizeof((array)[0]))
#define SHARD 231380104u

/* Everything that is required but id and amount. */
#define REST                                                                                        \
    "\"originator\":\"acme\",\"sec\":\"PPD\",\"entry_description\":\"SALARY\",\"side\":\"credit\"," \
    "\"account_type\":\"checking\",\"rdfi\":\"091000019\",\"account\":\"12345\",\"name\":\"JANE DOE\""
#define GOOD(id) "{\"id\":\"" id "\",\"amount\":100," REST "}"
#define WITH(more) "{\"id\":\"a\",\"amount\":100," REST "," more "}"

struct parsed {
    struct arena arena;
    struct transfer_list list;
    char why[256];
};

static enum sg_err parse(struct parsed *p, const char *text, uint32_t shard)
{
    p->arena = ARENA_INIT;
    p->why[0] = '\0';
    return transfer_json_parse(span_str(text), (struct aba){shard}, &p->arena, &p->list, p->why,
                               sizeof p->why);
}

static void release(struct parsed *p)
{
    transfer_list_release(&p->list);
    arena_release(&p->arena);
}

static void assert_reason(const char *row, const struct transfer_item *item, const char *wanted)
{
    char reason[400];
    (void)span_cstr(item->reason, reason, sizeof reason);
    if (wanted[0] == '\0' ? reason[0] != '\0' : strstr(reason, wanted) == NULL) {
        fail_msg("%s: \"%s\" is not in \"%s\"", row, wanted, reason);
    }
}

/* The ids in order; one that is bad with a minus before it. */
static void assert_ids(const char *row, const struct transfer_list *l, const char *wanted)
{
    struct bytes ids = BYTES_NONE;
    for (size_t i = 0; i < l->count; i++) {
        bytes_printf(&ids, "%s%s", i == 0 ? "" : " ", l->items[i].reason.n > 0 ? "-" : "");
        bytes_append_span(&ids, l->items[i].transfer.id);
    }
    bytes_append(&ids, "", 1);
    if (strcmp((const char *)ids.p, wanted) != 0) {
        fail_msg("%s: \"%s\" instead of \"%s\"", row, (const char *)ids.p, wanted);
    }
    bytes_release(&ids);
}

static void forms(void **state)
{
    static const struct {
        const char *reason;
        const char *text;
        const char *ids;
    } rows[] = {
        {"one object", GOOD("a"), "a"},
        {"one object on several lines", "{\n\"id\":\"a\",\n\"amount\":100,\n" REST "\n}\n", "a"},
        {"one object a line, with blank lines", GOOD("a") "\n\n" GOOD("b") "\r\n", "a b"},
        {"an array", "[" GOOD("a") "," GOOD("b") "]", "a b"},
        {"an array on several lines", " [\n" GOOD("a") "\n,\n" GOOD("b") "\n]\n", "a b"},
        {"an empty array", "[]", ""},
        {"a bad line in the middle", GOOD("a") "\nnonsense\n" GOOD("c"), "a - c"},
        {"a line that lost its end", "{\"id\":\"a\",\n" GOOD("b") "\n", "- b"},
        {"a bad element in the middle", "[" GOOD("a") ",{\"id\":\"b\"},7," GOOD("d") "]", "a -b - d"},
        {"a bracket in a text is only a character", "[" WITH("\"individual_id\":\"]},{[\"") "," GOOD("b") "]",
         "a b"},
        {"a quote in a text is only a character", "[{\"id\":\"\\\"]\"," REST "},{\"id\":\"b\"}]", "-\"] -b"},
        {"an array that stops: what is before it counts", "[" GOOD("a") ",{\"id\":\"b\"", "a -"},
        {"an array without its bracket: the last one is not trusted", "[" GOOD("a") "," GOOD("b"), "a -b"},
        {"something behind the array", "[" GOOD("a") "] x", "-a"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct parsed p;
        if (parse(&p, rows[i].text, SHARD) != SG_OK) {
            fail_msg("%s: %s", rows[i].reason, p.why);
        }
        assert_ids(rows[i].reason, &p.list, rows[i].ids);
        release(&p);
    }
}

static void whole_texts_that_are_nothing(void **state)
{
    static const struct {
        const char *text;
        enum sg_err err;
    } rows[] = {{"", SG_INVALID},
                {" \n\t ", SG_INVALID},
                {"101 231380104 1210428822611201200A094101", SG_UNSUPPORTED}};
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct parsed p;
        assert_int_equal(parse(&p, rows[i].text, SHARD), rows[i].err);
        assert_int_equal(p.list.count, 0);
        assert_true(p.why[0] != '\0');
        release(&p);
    }
}

static void all_keys(void **state)
{
    struct parsed p;
    const struct transfer *t;
    (void)state;
    assert_int_equal(
        parse(&p,
              WITH("\"routing_number\":\"121042882\",\"individual_id\":\"E1\",\"discretionary\":\"AB\","
                   "\"addenda\":[\"one\"],\"same_day\":true,\"prenote\":false,"
                   "\"effective_date\":\"2026-11-23\",\"metadata\":{\"b\":[1,2.5],\"a\":\"x\"}"),
              SHARD),
        SG_OK);
    assert_reason("all keys", &p.list.items[0], "");
    t = &p.list.items[0].transfer;
    assert_true(span_is(t->id, "a"));
    assert_int_equal(t->routing_number.n, 121042882); /* Its own, before the default. */
    assert_true(span_is(t->originator, "acme"));
    assert_int_equal(t->sec, SEC_PPD);
    assert_int_equal(t->side, SIDE_CREDIT);
    assert_int_equal(t->account_type, ACCOUNT_CHECKING);
    assert_int_equal(t->rdfi.n, 91000019);
    assert_int_equal(t->amount.n, 100);
    assert_true(span_is(t->name, "JANE DOE"));
    assert_true(span_is(t->individual_id, "E1"));
    assert_true(span_is(t->discretionary, "AB"));
    assert_int_equal(t->addenda_count, 1);
    assert_true(span_is(t->addenda[0], "one"));
    assert_true(t->same_day);
    assert_false(t->prenote);
    assert_int_equal(t->effective_date.n, day_of(2026, 11, 23).n);
    assert_true(span_is(t->metadata, "{\"b\":[1,2.5],\"a\":\"x\"}"));
    release(&p);
}

static void left_out_keys_have_defaults(void **state)
{
    struct parsed p;
    (void)state;
    assert_int_equal(parse(&p, GOOD("a"), SHARD), SG_OK);
    assert_reason("defaults", &p.list.items[0], "");
    assert_int_equal(p.list.items[0].transfer.routing_number.n, SHARD);
    assert_true(day_is_none(p.list.items[0].transfer.effective_date));
    release(&p);
}

static void bad_transfers_say_why(void **state)
{
    static const struct {
        const char *reason;
        const char *text;
        const char *why;
    } rows[] = {
        {"a slip in a key", WITH("\"amuont\":5"), "unknown key amuont: did you mean amount?"},
        {"a key of nobody", WITH("\"colour\":\"red\""), "unknown key colour: leave it out"},
        {"a key twice", WITH("\"amount\":200"), "a key stands here twice"},
        {"a fraction of cents", "{\"id\":\"a\",\"amount\":1.5," REST "}", "whole cents"},
        {"an exponent", "{\"id\":\"a\",\"amount\":1e2," REST "}", "whole cents"},
        {"an amount in quotes", "{\"id\":\"a\",\"amount\":\"100\"," REST "}", "whole cents"},
        {"more than any integer", "{\"id\":\"a\",\"amount\":99999999999999999999," REST "}", "too large"},
        {"more than a file can say", "{\"id\":\"a\",\"amount\":10000000000," REST "}", "amount"},
        {"nothing", "{\"id\":\"a\",\"amount\":0," REST "}", "amount"},
        {"less than nothing", "{\"id\":\"a\",\"amount\":-1," REST "}", "amount"},
        {"no amount", "{\"id\":\"a\"," REST "}", "amount is missing"},
        {"no id", "{\"amount\":100," REST "}", "id is missing"},
        {"a number for a text", WITH("\"individual_id\":5"), "individual_id: a text in quotes"},
        {"nothing for a text", WITH("\"individual_id\":null"), "individual_id: a text in quotes"},
        {"a number for a routing number", WITH("\"routing_number\":231380104"), "nine digits in quotes"},
        {"a wrong check digit", WITH("\"routing_number\":\"231380105\""), "check digit"},
        {"a word for a flag", WITH("\"prenote\":\"yes\""), "true or false"},
        {"a day that is none", WITH("\"effective_date\":\"2026-02-30\""), "a day like"},
        {"one addendum without its list", WITH("\"addenda\":\"x\""), "a list"},
        {"an addendum that is no text", WITH("\"addenda\":[1]"), "addenda: a text"},
        {"another payment type", WITH("\"payment_type\":\"X\""), "R or S"},
        {"a zero within a text", WITH("\"individual_id\":\"a\\u0000b\""), "\\u0000 stands in a text (column"},
        {"a zero within a key", WITH("\"a\\u0000b\":1"), "\\u0000 stands in a text (column"},
        {"another encoding", WITH("\"individual_id\":\"M\xfcller\""), "a byte that is no UTF-8 (column"},
        {"an array in the array", "[[1]]", "an object in braces"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct parsed p;
        assert_int_equal(parse(&p, rows[i].text, SHARD), SG_OK);
        assert_int_equal(p.list.count, 1);
        assert_reason(rows[i].reason, &p.list.items[0], rows[i].why);
        release(&p);
    }
}

static void values_for_choices(void **state)
{
    static const struct {
        const char *key;
        const char *why;
    } rows[] = {{"sec", "PPD, CCD"}, {"side", "credit or debit"}, {"account_type", "checking, savings"}};
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct parsed p;
        char text[64];
        (void)snprintf(text, sizeof text, "{\"id\":\"a\",\"%s\":\"nix\"}", rows[i].key);
        assert_int_equal(parse(&p, text, SHARD), SG_OK);
        assert_reason(rows[i].key, &p.list.items[0], rows[i].why);
        assert_true(span_is(p.list.items[0].transfer.id, "a")); /* A bad one can still be named. */
        release(&p);
    }
}

static void a_routing_number_is_needed(void **state)
{
    struct parsed p;
    (void)state;
    assert_int_equal(parse(&p, GOOD("a"), 0), SG_OK);
    assert_reason("neither here nor --shard", &p.list.items[0], "routing_number is missing");
    release(&p);
}

static void lines_are_counted(void **state)
{
    struct parsed p;
    (void)state;
    assert_int_equal(parse(&p, "\n" GOOD("a") "\n\nx\n" GOOD("b"), SHARD), SG_OK);
    assert_int_equal(p.list.count, 3);
    assert_int_equal(p.list.items[0].line, 2);
    assert_int_equal(p.list.items[1].line, 4);
    assert_int_equal(p.list.items[2].line, 5);
    release(&p);
    assert_int_equal(parse(&p, "[\n" GOOD("a") ",\n\n" GOOD("b") "]", SHARD), SG_OK);
    assert_int_equal(p.list.items[0].line, 2);
    assert_int_equal(p.list.items[1].line, 4);
    release(&p);
}

/* Whatever is cut off or exchanged: an end is found, and what is good is whole. */
static void damaged_texts_end(void **state)
{
    static const char text[] = "[" GOOD("a") ",\n" GOOD("b") "]";
    (void)state;
    for (size_t cut = 0; cut < sizeof text; cut++) {
        for (size_t k = 0; k < 4; k++) {
            char copy[sizeof text];
            struct json_split split;
            struct json_piece piece;
            size_t count = 0;
            memcpy(copy, text, sizeof text);
            copy[cut] = "]}\"x"[k];
            json_split_init(&split, span_of(copy, cut + 1 + (k % 2 == 0 ? 0 : sizeof text - 1 - cut)));
            while (json_split_next(&split, &piece)) {
                count++;
                assert_true(piece.text.n <= sizeof text);
            }
            assert_true(count <= 8);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(forms),
        cmocka_unit_test(whole_texts_that_are_nothing),
        cmocka_unit_test(all_keys),
        cmocka_unit_test(left_out_keys_have_defaults),
        cmocka_unit_test(bad_transfers_say_why),
        cmocka_unit_test(values_for_choices),
        cmocka_unit_test(a_routing_number_is_needed),
        cmocka_unit_test(lines_are_counted),
        cmocka_unit_test(damaged_texts_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
