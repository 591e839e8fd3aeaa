#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <cmocka.h>

#include "proto/base/logger.h"

struct capture {
    char line[4096];
    enum log_level level;
    unsigned count;
};

static void capture_line(void *impl, enum log_level level, const char *line)
{
    struct capture *c = impl;
    (void)snprintf(c->line, sizeof(c->line), "%s", line);
    c->level = level;
    c->count++;
}

static int64_t fixed_clock_ms(void *impl)
{
    (void)impl;
    return 1795446000000;
}

static void test_line(void **state)
{
    struct capture *c = *state;
    struct log_scope scope = {.node = "n1", .group = 11000015, .has_group = 1, .term = 4};
    logger_line(LOG_INFO, &scope, "leader.elected", "took_ms=%d", 12);
    assert_string_equal(c->line, "2026-11-23T15:00:00.000Z info  leader.elected node=n1 aba=011000015 "
                                 "term=4 took_ms=12");
    logger_line(LOG_WARN, NULL, "disk.slow", "%s", "");
    assert_string_equal(c->line, "2026-11-23T15:00:00.000Z warn  disk.slow ");
    assert_int_equal(c->level, LOG_WARN);
}

static void test_empty_fields_are_left_out(void **state)
{
    struct capture *c = *state;
    struct log_scope catalog = {.has_group = 1};
    struct log_scope nothing = {0};
    static const char *const empty = "";
    logger_line(LOG_ERROR, &catalog, "x", "%s=1", "a");
    assert_string_equal(c->line, "2026-11-23T15:00:00.000Z error x group=catalog a=1");
    logger_line(LOG_INFO, &nothing, "y", "%s", empty);
    assert_string_equal(c->line, "2026-11-23T15:00:00.000Z info  y ");
}

static void test_level(void **state)
{
    struct capture *c = *state;
    logger_line(LOG_DEBUG, NULL, "hidden", "n=%d", 1);
    assert_int_equal(c->count, 0);
    logger_set_level(LOG_DEBUG);
    logger_line(LOG_DEBUG, NULL, "shown", "n=%d", 1);
    assert_int_equal(c->count, 1);
    logger_set_level(LOG_ERROR);
    logger_line(LOG_WARN, NULL, "hidden", "n=%d", 1);
    assert_int_equal(c->count, 1);
    logger_set_level(LOG_INFO);
}

static void test_texts(void **state)
{
    static const struct {
        const char *why, *text, *shown;
    } rows[] = {
        {"plain", "no room: /mnt/a b", "\"no room: /mnt/a b\""},
        {"nothing is a value, too", "", "\"\""},
        {"a quote would end it", "a \"b\" why=\"c", "\"a \\\"b\\\" why=\\\"c\""},
        {"a backslash would take the quote behind it", "dir\\", "\"dir\\\\\""},
        {"a line end would forge a line", "a\nb\r\n", "\"a\\nb\\x0d\\n\""},
        {"a terminal would obey", "\x1b[2J\x7f", "\"\\x1b[2J\\x7f\""},
        {"what is not ASCII depends on who reads it", "\xc3\xa9\x9b", "\"\\xc3\\xa9\\x9b\""},
    };
    struct capture *c = *state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char line[256];
        logger_line(LOG_INFO, NULL, "x", "why=%s n=1", LOG_TEXT(rows[i].text));
        (void)snprintf(line, sizeof line, "2026-11-23T15:00:00.000Z info  x why=%s n=1", rows[i].shown);
        if (strcmp(c->line, line) != 0) {
            fail_msg("%s: %s", rows[i].why, c->line);
        }
    }
}

/* Whatever is cut, the quotes close and no escape is cut in two. */
static void test_long_text_is_cut(void **state)
{
    static const char *const wholes[] = {"x", "\\\\", "\\x07"};
    static const char raw[] = {'x', '\\', '\a'};
    (void)state;
    for (size_t i = 0; i < sizeof raw; i++) {
        for (size_t n = LOG_TEXT_SIZE / 4 - 3; n < LOG_TEXT_SIZE + 2; n++) {
            char text[LOG_TEXT_SIZE + 2];
            size_t whole = strlen(wholes[i]);
            memset(text, raw[i], n);
            text[n] = '\0';
            const char *shown = LOG_TEXT(text);
            bool fits = n * whole + 2 + 3 < LOG_TEXT_SIZE;
            const char *end = fits ? "\"" : "...\"";
            size_t inner = strlen(shown) - 1 - strlen(end);
            assert_int_equal(shown[0], '"');
            assert_string_equal(shown + 1 + inner, end);
            assert_int_equal(inner % whole, 0);
            assert_int_equal(fits ? inner : 0, fits ? n * whole : 0);
            assert_memory_equal(shown + 1 + inner - whole, wholes[i], whole);
        }
    }
}

static void test_no_forged_lines(void **state)
{
    struct capture *c = *state;
    logger_line(LOG_INFO, NULL, "transfer.rejected", "id=%s", "a\n2026 info fake\x1b[2J\x7f");
    assert_null(strchr(c->line, '\n'));
    assert_non_null(strstr(c->line, "id=a?2026 info fake?[2J?"));
}

static void test_long_line_is_cut(void **state)
{
    struct capture *c = *state;
    char text[3000];
    memset(text, 'x', sizeof(text) - 1);
    text[sizeof(text) - 1] = '\0';
    logger_line(LOG_INFO, NULL, "long", "%s", text);
    assert_true(strlen(c->line) < 2100);
    assert_string_equal(c->line + strlen(c->line) - 5, "xx...");
}

/* Without a sink a line is one write to file descriptor 2, newline included. */
static void test_stderr(void **state)
{
    (void)state;
    int ends[2];
    char text[256] = {0};
    assert_int_equal(pipe(ends), 0);
    int saved = dup(STDERR_FILENO);
    assert_true(saved >= 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    logger_set_sink(NULL, NULL, fixed_clock_ms);
    logger_line(LOG_INFO, NULL, "to.stderr", "n=%d", 1);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    ssize_t n = read(ends[0], text, sizeof(text) - 1);
    assert_true(n > 0);
    assert_string_equal(text, "2026-11-23T15:00:00.000Z info  to.stderr n=1\n");
    (void)close(saved);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static int setup(void **state)
{
    static struct capture capture;
    memset(&capture, 0, sizeof(capture));
    *state = &capture;
    logger_set_sink(capture_line, &capture, fixed_clock_ms);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    logger_set_sink(NULL, NULL, NULL);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_line, setup, teardown),
        cmocka_unit_test_setup_teardown(test_empty_fields_are_left_out, setup, teardown),
        cmocka_unit_test_setup_teardown(test_level, setup, teardown),
        cmocka_unit_test_setup_teardown(test_texts, setup, teardown),
        cmocka_unit_test(test_long_text_is_cut),
        cmocka_unit_test_setup_teardown(test_no_forged_lines, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_line_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_stderr, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
