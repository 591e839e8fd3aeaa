/* Templates of shards that share a directory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "shard/ach/name.h"

#define RN "{routing_number}"

static void judges_pairs(void **state)
{
    static const struct {
        const char *what, *a, *b;
        bool clash;
    } rows[] = {
        {"the default with itself has the routing number at one place",
         "ACH-" RN "-{date:%Y%m%d}-{window}-{modifier}.ach",
         "ACH-" RN "-{date:%Y%m%d}-{window}-{modifier}.ach", false},
        {"without a routing number one template is two equal names", "{date}-{modifier}.ach",
         "{date}-{modifier}.ach", true},
        {"literals tell them apart", "A-{date}-{modifier}", "B-{date}-{modifier}", false},
        {"literals behind parts of a fixed width do as well", "{date}{modifier}-A", "{date}{modifier}-B",
         false},
        {"literals at the end do as well, whatever is in between", "{date}{window}{modifier}.a",
         "{date}{window}{modifier}.b", false},
        {"the routing number behind a date of fixed width", "{date:%y%j}-" RN "-{modifier}",
         "{date:%y%j}-" RN "-{modifier}", false},
        {"the routing number behind a window has no fixed place from the front, but from the back",
         "{date}{window}-" RN "{modifier}", "{date}{window}-" RN "{modifier}", false},
        {"between two windows it has none", "{window}" RN "{date}{window}{modifier}",
         "{window}" RN "{date}{window}{modifier}", true},
        {"two places of the routing number may meet by chance", RN "{date}{modifier}X",
         "{date}" RN "{modifier}X", true},
        {"a routing number against digits may meet", RN "-{date}{modifier}", "231380104-{date}{modifier}",
         true},
        {"a letter against any character may meet", "{modifier}-{date}", "A-{date}", true},
        {"fixed lengths that differ never meet", "{date}{modifier}", "{date}{modifier}x", false},
        {"another date's width", "{date:%y%m%d}{modifier}.ach", "{date:%Y%m%d}{modifier}.ach", false},
        {"a date's own literals count", "{date:%Y-%m-%d}{modifier}", "{date:%Y/%m/%d}{modifier}", false},
        {"an origin has nine or ten characters", "{origin}{date}{modifier}", "{origin}{date}{modifier}",
         true},
        {"the shorter front is all there is to compare", "A{window}{date}{modifier}Z", "AB{date}{modifier}Z",
         true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct span a = span_str(rows[i].a);
        struct span b = span_str(rows[i].b);
        if (name_may_clash(a, b) != rows[i].clash || name_may_clash(b, a) != rows[i].clash) {
            fail_msg("%s", rows[i].what);
        }
    }
}

/* Never read beyond a template, whatever it is. */
static void survives_any_template(void **state)
{
    static const char *const odd[] = {
        "", "{", "}", "{}", "{{", "{date:", "{date:}", "{date:%}", "{date:%", "%", "{x"};
    (void)state;
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        for (size_t k = 0; k < sizeof odd / sizeof odd[0]; k++) {
            bool one = name_may_clash(span_str(odd[i]), span_str(odd[k]));
            bool other = name_may_clash(span_str(odd[k]), span_str(odd[i]));
            assert_int_equal(one, other);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(judges_pairs),
        cmocka_unit_test(survives_any_template),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
