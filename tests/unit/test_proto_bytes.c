#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "proto/base/arena.h"
#include "proto/base/mem.h"

static void test_span_order(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        const char *a;
        const char *b;
        int order;
    } rows[] = {
        {"nothing equals nothing", "", "", 0},
        {"nothing comes first", "", "a", -1},
        {"a prefix comes first", "ab", "abc", -1},
        {"bytes count as unsigned", "\x7f", "\x80", -1},
        {"the first difference decides, not the length", "b", "abc", 1},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int order = span_cmp(span_str(rows[i].a), span_str(rows[i].b));
        if ((order > 0) - (order < 0) != rows[i].order) {
            fail_msg("%s: %d", rows[i].why, order);
        }
        assert_int_equal(span_eq(span_str(rows[i].a), span_str(rows[i].b)), rows[i].order == 0);
    }
    assert_true(span_eq(SPAN_NONE, span_str("")));
    assert_int_equal(span_cmp(SPAN_NONE, SPAN_NONE), 0);
    assert_true(span_is(span_of("abc", 3), "abc"));
    assert_false(span_is(span_of("a\0c", 3), "a"));
}

static void test_span_cstr_cuts_off(void **state)
{
    (void)state;
    char out[4];
    assert_string_equal(span_cstr(span_str("ab"), out, sizeof(out)), "ab");
    assert_string_equal(span_cstr(span_str("abc"), out, sizeof(out)), "abc");
    assert_string_equal(span_cstr(span_str("abcd"), out, sizeof(out)), "abc");
    assert_string_equal(span_cstr(SPAN_NONE, out, sizeof(out)), "");
}

static void test_bytes_grow(void **state)
{
    (void)state;
    struct bytes b = BYTES_NONE;
    for (unsigned i = 0; i < 1000; i++) {
        bytes_printf(&b, "%03u", i);
        bytes_append_span(&b, span_str(";"));
    }
    assert_int_equal(b.n, 4000);
    for (size_t i = 0; i < 1000; i++) {
        assert_int_equal(strtoul((const char *)b.p + 4 * i, NULL, 10), i);
    }
    bytes_set(&b, span_str("short"));
    assert_true(span_is(span_bytes(&b), "short"));
    memcpy(bytes_extend(&b, 3), "ish", 3);
    assert_true(span_is(span_bytes(&b), "shortish"));
    bytes_append(&b, NULL, 0);
    assert_int_equal(b.n, 8);
    bytes_release(&b);
    assert_null(b.p);
    assert_int_equal(b.cap, 0);
}

static void test_big_endian_order(void **state)
{
    (void)state;
    static const uint64_t numbers[] = {0,         1, 255, 256, 65535, 1ull << 31, 1ull << 32, UINT64_MAX - 1,
                                       UINT64_MAX};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        uint8_t a[8];
        uint8_t b[8];
        be64_put(a, numbers[i]);
        assert_true(be64_get(a) == numbers[i]);
        be32_put(b, (uint32_t)numbers[i]);
        assert_int_equal(be32_get(b), (uint32_t)numbers[i]);
        be16_put(b, (uint16_t)numbers[i]);
        assert_int_equal(be16_get(b), (uint16_t)numbers[i]);
        be64_put(b, numbers[i > 0 ? i - 1 : 0]);
        assert_true(memcmp(b, a, 8) < 0 || i == 0);
    }
    uint8_t p[4];
    be32_put(p, 0x01020304);
    assert_memory_equal(p, "\1\2\3\4", 4);
    be16_put(p, 0x0506);
    assert_memory_equal(p, "\5\6", 2);
}

static void test_arena(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    for (int round = 0; round < 3; round++) {
        for (size_t size = 0; size < 20000; size = size * 2 + 1) {
            uint8_t *p = arena_alloc(&a, size);
            assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
            for (size_t i = 0; i < size; i++) {
                assert_int_equal(p[i], 0); /* Also where the last round has written. */
            }
            memset(p, 0xaa, size);
        }
        assert_true(a.total_bytes > 20000);
        arena_reset(&a);
        assert_int_equal(a.total_bytes, 0);
    }
    struct span kept = arena_dup(&a, span_str("kept"));
    assert_string_equal(arena_printf(&a, "%d-%s", 7, "x"), "7-x");
    assert_string_equal(arena_cstr(&a, kept), "kept");
    assert_true(span_is(kept, "kept"));
    assert_int_equal(arena_dup(&a, SPAN_NONE).n, 0);
    arena_release(&a);
    arena_release(&a);
}

static void test_mem(void **state)
{
    (void)state;
    void *empty = mem_alloc(0);
    void *other = mem_alloc(0);
    assert_ptr_not_equal(empty, other);
    mem_free(empty);
    mem_free(other);
    mem_free(NULL);
    char *copy = mem_strdup("copy");
    copy = mem_realloc(copy, 100);
    assert_string_equal(copy, "copy");
    mem_free(copy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_span_order), cmocka_unit_test(test_span_cstr_cuts_off),
        cmocka_unit_test(test_bytes_grow), cmocka_unit_test(test_big_endian_order),
        cmocka_unit_test(test_arena),      cmocka_unit_test(test_mem),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
