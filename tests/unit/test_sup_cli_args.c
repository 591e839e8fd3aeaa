/* The command line of the tool: options, words, verbs, "did you mean". */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "supervisor/cli/verbs.h"
#include "supervisor/config/words.h"

#define ARGC_MAX 8
#define ROWS(array) (sizeof(array) / sizeof((array)[0]))

static enum sg_err parse(const char *const *argv, struct args *out, char *why)
{
    char *copy[ARGC_MAX + 1] = {(char *)(uintptr_t) "shardgate"};
    int argc = 1;
    for (; argv[argc - 1] != NULL; argc++) {
        copy[argc] = (char *)(uintptr_t)argv[argc - 1];
    }
    why[0] = '\0';
    return args_parse(argc, copy, out, why, 256);
}

static void options_stand_anywhere(void **state)
{
    static const char *const lines[][ARGC_MAX] = {
        {"--limit", "7", "shards", "list", NULL}, {"shards", "--limit", "7", "list", NULL},
        {"shards", "list", "--limit=7", NULL},    {"shards", "--limit", "7", "--", "list", NULL},
        {"shards", "list", "--lim", "7", NULL}, /* Cut where it stays the only one. */
    };
    (void)state;
    for (size_t i = 0; i < ROWS(lines); i++) {
        struct args a;
        char why[256];
        assert_int_equal(parse(lines[i], &a, why), SG_OK);
        assert_int_equal(a.words_count, 2);
        assert_string_equal(a.words[0], "shards");
        assert_string_equal(a.words[1], "list");
        assert_string_equal(a.option[OPTION_LIMIT], "7");
        assert_int_equal(args_given(&a), OPTION_BIT(OPTION_LIMIT));
    }
}

static void values_are_read(void **state)
{
    static const char *const line[] = {"-ojsonl", "--timeout", "250ms", "--reveal", "-f", "-", "-", NULL};
    struct args a;
    char why[256];
    (void)state;
    assert_int_equal(parse(line, &a, why), SG_OK);
    assert_int_equal(a.output, OUTPUT_JSONL);
    assert_int_equal(a.timeout_ms, 250);
    assert_string_equal(a.option[OPTION_REVEAL], "true");
    assert_string_equal(a.option[OPTION_FILE], "-");
    assert_int_equal(a.words_count, 1); /* "-" alone is a word: standard input. */
}

static void bad_lines_are_refused(void **state)
{
    static const struct {
        const char *reason;
        const char *line[ARGC_MAX];
        const char *why; /* Part of the sentence. */
    } rows[] = {
        {"a slip names the option meant", {"--unhelthy", NULL}, "did you mean --unhealthy?"},
        {"a cut name that two begin with", {"--fo", NULL}, "unknown option --fo"},
        {"nothing near is no guess", {"--zzzzzzzzzzzz", NULL}, "unknown option --zzzzzzzzzzzz"},
        {"an unknown letter", {"-x", NULL}, "unknown option -x"},
        {"a value is missing", {"--limit", NULL}, "--limit needs a value: --limit ROWS"},
        {"an empty value is none", {"--limit=", NULL}, "--limit needs a value"},
        {"a flag has no value", {"--reveal=yes", NULL}, "--reveal takes no value"},
        {"twice is a contradiction", {"--limit", "1", "--limit", "2", NULL}, "--limit is given twice"},
        {"an output nobody knows", {"-o", "xml", NULL}, "known are text, wide, json and jsonl"},
        {"a time without meaning", {"--timeout", "soon", NULL}, "write it like 500ms"},
        {"no time at all", {"--timeout", "0s", NULL}, "write it like 500ms"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        struct args a;
        char why[256];
        if (parse(rows[i].line, &a, why) != SG_INVALID || strstr(why, rows[i].why) == NULL) {
            fail_msg("%s: \"%s\" is not in \"%s\"", rows[i].reason, rows[i].why, why);
        }
    }
}

static void durations(void **state)
{
    static const struct {
        const char *text;
        uint32_t ms; /* 0: refused. */
    } rows[] = {
        {"1ms", 1},
        {"10s", 10000},
        {"2m", 120000},
        {"3", 3000},
        {"0", 0},
        {"1.5s", 0},
        {"-1s", 0},
        {"", 0},
        {"99999999999999m", 0},
        {"71582m", 4294920000u},
        {"71583m", 0},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        uint32_t ms = 0;
        assert_int_equal(args_duration(rows[i].text, &ms), rows[i].ms != 0);
        assert_int_equal(ms, rows[i].ms);
    }
}

static void numbers(void **state)
{
    static const struct {
        const char *text;
        bool ok;
        uint64_t n;
    } rows[] = {
        {"0", true, 0},   {"9999999999999999999", true, 9999999999999999999u},
        {"", false, 0},   {"99999999999999999999", false, 0},
        {"1a", false, 0}, {" 1", false, 0},
        {"+1", false, 0}, {"007", true, 7},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        uint64_t n = 0;
        assert_int_equal(args_number(rows[i].text, &n), rows[i].ok);
        assert_true(!rows[i].ok || n == rows[i].n);
    }
}

static void distances(void **state)
{
    static const struct {
        const char *a, *b;
        size_t edits;
    } rows[] = {
        {"", "", 0},      {"abc", "abc", 0}, {"abc", "abd", 1}, {"abc", "acb", 1},
        {"abc", "ab", 1}, {"ab", "abc", 1},  {"", "abc", 3},    {"kitten", "sitting", 3},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        assert_int_equal(words_distance(rows[i].a, rows[i].b), rows[i].edits);
        assert_int_equal(words_distance(rows[i].b, rows[i].a), rows[i].edits);
    }
}

static void every_verb_is_found(void **state)
{
    (void)state;
    for (size_t i = 0; i < verbs_count; i++) {
        char first[64];
        const char *space = strchr(verbs[i].name, ' ');
        size_t n = space == NULL ? strlen(verbs[i].name) : (size_t)(space - verbs[i].name);
        const char *words[3] = {first, space == NULL ? "extra" : space + 1, "more"};
        size_t used = 0;
        (void)span_cstr(span_of(verbs[i].name, n), first, sizeof first);
        assert_ptr_equal(verbs_find(words, 3, &used), &verbs[i]);
        assert_int_equal(used, space == NULL ? 1 : 2);
        assert_true(verbs[i].words_min <= verbs[i].words_max);
        assert_true(verbs[i].run != NULL);
    }
}

static void other_verbs_are_explained(void **state)
{
    static const struct {
        const char *reason;
        const char *words[3];
        const char *why;
    } rows[] = {
        {"a slip in the first word", {"shrads", "list", NULL}, "did you mean 'shards list'?"},
        {"a slip in the second word", {"files", "veirfy", NULL}, "did you mean 'files verify'?"},
        {"a slip in a verb of one word", {"statsu", NULL, NULL}, "did you mean 'status'?"},
        {"a family without its verb", {"leader", NULL, NULL}, "followed by one of: show, transfer"},
        {"nothing like it", {"frobnicate", NULL, NULL}, "'shardgate help' lists them"},
        {"of a later version", {"fsck", "231380104", NULL}, "'fsck' is not available in this version"},
        {"of a later version, two words", {"replica", "move", NULL}, "'replica move' is not available"},
    };
    (void)state;
    for (size_t i = 0; i < ROWS(rows); i++) {
        size_t count = rows[i].words[1] == NULL ? 1 : 2;
        size_t used;
        char why[256];
        assert_null(verbs_find(rows[i].words, count, &used));
        verbs_explain(rows[i].words, count, why, sizeof why);
        if (strstr(why, rows[i].why) == NULL) {
            fail_msg("%s: \"%s\" is not in \"%s\"", rows[i].reason, rows[i].why, why);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(options_stand_anywhere),
        cmocka_unit_test(values_are_read),
        cmocka_unit_test(bad_lines_are_refused),
        cmocka_unit_test(durations),
        cmocka_unit_test(numbers),
        cmocka_unit_test(distances),
        cmocka_unit_test(every_verb_is_found),
        cmocka_unit_test(other_verbs_are_explained),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
