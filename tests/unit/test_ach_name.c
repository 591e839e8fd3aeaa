#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "shard/ach/name.h"
#include "tests/support/ach_sample.h"

static struct ach_name sample_name(void)
{
    return (struct ach_name){
        .day = day_of(2026, 3, 8), .window = span_str("SD1"), .modifier = 'B', .sequence = 42};
}

static void test_render(void **state)
{
    (void)state;
    static const struct {
        const char *file_name, *want;
    } rows[] = {
        {"ACH-{routing_number}-{date:%Y%m%d}-{window}-{modifier}.ach", "ACH-091000019-20260308-SD1-B.ach"},
        {"{date}{modifier}", "20260308B"},
        {"{date:%d.%m.%y}{modifier}", "08.03.26B"},
        {"{date:%Y%j}-{modifier}", "2026067-B"},
        {"{origin}_{sequence}_{date}_{modifier}", "122105278_42_20260308_B"},
        {"{date:%Y}/{modifier}", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct settings *s = ach_sample_settings();
        struct ach_name n = sample_name();
        char out[ACH_NAME_SIZE];
        char why[200] = "";
        s->shard.file_name = span_str(rows[i].file_name);
        enum sg_err err = name_render(&s->shard, &n, out, why, sizeof why);
        assert_int_equal(err, rows[i].want != NULL ? SG_OK : SG_INVALID);
        assert_string_equal(out, rows[i].want != NULL ? rows[i].want : "");
        assert_int_equal(name_check(&s->shard, why, sizeof why), err);
    }
}

static void test_refused_templates(void **state)
{
    (void)state;
    static const struct {
        const char *file_name, *why;
    } rows[] = {
        {"", "come twice"},
        {"ACH.txt", "come twice"},
        {"ACH-{date}.txt", "come twice"},
        {"ACH-{modifier}.txt", "come twice"},
        {"{date:%Y%m}{modifier}", "come twice"},
        {"{date:%m%d}{modifier}", "come twice"},
        {"{date:%d%j}{modifier}", "come twice"},
        {"{date}{modifier}{time}", "{time}"},
        {"{date}{modifier}{}", "{}"},
        {"{Date}{modifier}", "{Date}"},
        {"{date:%Y%m%d%H}{modifier}", "%H"},
        {"{date:%Y%m%d%%}{modifier}", "%%"},
        {"{date:}{modifier}", "{date:}"},
        {"{date}{modifier", "without '}'"},
        {"{date}modifier}", "without '{'"},
        {"in/{date}{modifier}", "0x2F"},
        {"..{date}{modifier}", "begin with '.'"},
        {"{date:../%Y%m%d}{modifier}", "begin with '.'"},
        {"a b{date}{modifier}", "0x20"},
        {"a\nb{date}{modifier}", "0x0A"},
        {"a\\{date}{modifier}", "0x5C"},
        {"\xC3\xA4{date}{modifier}", "0xC3"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct settings *s = ach_sample_settings();
        char why[200] = "";
        s->shard.file_name = span_str(rows[i].file_name);
        if (name_check(&s->shard, why, sizeof why) != SG_INVALID || strstr(why, rows[i].why) == NULL) {
            fail_msg("%s: %s", rows[i].file_name, why);
        }
    }
}

static void test_length(void **state)
{
    (void)state;
    struct settings *s = ach_sample_settings();
    struct ach_name n = sample_name();
    char file_name[200];
    char out[ACH_NAME_SIZE];
    char why[200];
    n.window = span_str("1234567890123456");
    /* 128 characters with the longest window, then 129. */
    for (int x = 103; x <= 104; x++) {
        (void)snprintf(file_name, sizeof file_name, "{date}{window}{modifier}%0*d", x, 0);
        s->shard.file_name = span_str(file_name);
        enum sg_err want = x == 103 ? SG_OK : SG_INVALID;
        assert_int_equal(name_check(&s->shard, why, sizeof why), want);
        assert_int_equal(name_render(&s->shard, &n, out, why, sizeof why), want);
        assert_int_equal(strlen(out), want == SG_OK ? FILE_NAME_SIZE_MAX : 0);
    }
}

/* What the settings or the log should never hold, and a name must not. */
static void test_refused_values(void **state)
{
    (void)state;
    struct settings *s = ach_sample_settings();
    struct ach_name n = sample_name();
    char out[ACH_NAME_SIZE];
    char why[200];
    n.modifier = '/';
    assert_int_equal(name_render(&s->shard, &n, out, why, sizeof why), SG_INVALID);
    n = sample_name();
    n.window = span_str("../x");
    assert_int_equal(name_render(&s->shard, &n, out, why, sizeof why), SG_INVALID);
    s->shard.file_name = span_str("{origin}{date}{modifier}");
    s->shard.origin = span_str("1234/67890");
    assert_int_equal(name_check(&s->shard, why, sizeof why), SG_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_render),
        cmocka_unit_test(test_refused_templates),
        cmocka_unit_test(test_length),
        cmocka_unit_test(test_refused_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
