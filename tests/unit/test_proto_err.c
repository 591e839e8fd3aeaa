#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include "proto/base/err.h"

#define NAME(name, text) #name,
static const char *const names[SG_ERRS] = {SG_ERR_TABLE(NAME)};
#undef NAME

static void lower(const char *from, char *to)
{
    for (; *from != '\0'; from++) {
        *to++ = *from >= 'A' && *from <= 'Z' ? (char)(*from - 'A' + 'a') : *from;
    }
    *to = '\0';
}

static void test_names(void **state)
{
    (void)state;
    for (unsigned i = 0; i < SG_ERRS; i++) {
        char name[64];
        lower(names[i] + strlen("SG_"), name);
        assert_string_equal(sg_err_name((enum sg_err)i), name);
        assert_true(strlen(sg_err_text((enum sg_err)i)) > 0);
    }
}

static void test_foreign_number(void **state)
{
    (void)state;
    enum sg_err foreign = SG_ERRS;
    assert_string_equal(sg_err_text(foreign), "unknown error");
    assert_string_equal(sg_err_name(foreign), "unknown error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_foreign_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
