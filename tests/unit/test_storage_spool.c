/* Spools: the same bytes come back, from memory and from a file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>

#include "proto/base/limits.h"
#include "proto/base/mem.h"
#include "storage/spool.h"
#include "tests/support/test_dir.h"
#include "tests/support/test_random.h"

#define BLOCK ((size_t)1 << 20)

/* What stands at an offset; no two blocks are alike. */
static uint8_t byte_at(uint64_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 8) * 7 + (offset >> 20));
}

static void append(struct spool *s, size_t n)
{
    uint8_t *data = mem_alloc(n);
    uint64_t start = spool_size(s);
    for (size_t i = 0; i < n; i++) {
        data[i] = byte_at(start + i);
    }
    assert_int_equal(spool_append(s, span_of(data, n)), SG_OK);
    assert_int_equal(spool_size(s), start + n);
    mem_free(data);
}

static void expect(struct spool *s, uint64_t offset, size_t n)
{
    uint8_t *data = mem_alloc(n);
    assert_int_equal(spool_read(s, offset, data, n), SG_OK);
    for (size_t i = 0; i < n; i++) {
        assert_int_equal(data[i], byte_at(offset + i));
    }
    mem_free(data);
}

static size_t files_count(const char *path)
{
    size_t count = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir) != NULL) {
        count++;
    }
    (void)closedir(dir);
    return count - 2;
}

static const struct {
    const char *reason;
    bool has_dir;
    size_t appends[4];
} fills[] = {
    {"empty", true, {0, 0, 0, 0}},
    {"small pieces in memory", true, {1, 2, 300, 0}},
    {"just as much as memory may hold", true, {SPOOL_MEMORY_MAX_BYTES - 1, 1, 0, 0}},
    {"one byte more goes to a file", true, {SPOOL_MEMORY_MAX_BYTES, 1, 0, 0}},
    {"at once too much for memory", true, {SPOOL_MEMORY_MAX_BYTES + 5, 0, 70, 0}},
    {"further pieces behind the move", true, {5 * BLOCK, 5 * BLOCK, 3, BLOCK}},
    {"without a directory all stays in memory", false, {SPOOL_MEMORY_MAX_BYTES, BLOCK, 9, 0}},
};

static void test_what_was_appended_is_read(void **state)
{
    (void)state;
    struct test_dir dir;
    struct test_random r = {3};
    test_dir_make(&dir);
    for (size_t i = 0; i < sizeof(fills) / sizeof(fills[0]); i++) {
        print_message("%s\n", fills[i].reason);
        struct spool *s = spool_new(fills[i].has_dir ? dir.path : NULL);
        for (size_t k = 0; k < 4; k++) {
            append(s, fills[i].appends[k]);
        }
        uint64_t size = spool_size(s);
        expect(s, 0, (size_t)size);
        expect(s, size, 0);
        for (int k = 0; k < 20 && size > 0; k++) {
            uint64_t offset = test_random_below(&r, size);
            expect(s, offset, (size_t)test_random_below(&r, (size - offset) % 10000 + 1));
        }
        uint8_t byte = 0;
        assert_int_equal(spool_read(s, size, &byte, 1), SG_INVALID);
        assert_int_equal(spool_read(s, size + 1, &byte, 0), SG_INVALID);
        assert_int_equal(spool_read(s, UINT64_MAX, &byte, 1), SG_INVALID);
        assert_int_equal(files_count(dir.path), 0); /* Unlinked from the start. */
        spool_free(s);
    }
    test_dir_remove(&dir);
}

static void test_a_file_that_cannot_be_made_is_final(void **state)
{
    (void)state;
    struct test_dir dir;
    test_dir_make(&dir);
    struct spool *s = spool_new(dir.path);
    append(s, 10);
    test_dir_remove(&dir);
    uint8_t *block = mem_zalloc(1, SPOOL_MEMORY_MAX_BYTES);
    uint8_t byte;
    assert_int_equal(spool_append(s, span_of(block, SPOOL_MEMORY_MAX_BYTES)), SG_IO);
    assert_int_equal(spool_append(s, span_of(block, 1)), SG_IO);
    assert_int_equal(spool_read(s, 0, &byte, 1), SG_IO);
    mem_free(block);
    spool_free(s);
}

static void test_the_limit(void **state)
{
    (void)state;
    struct spool *s = spool_new(NULL);
    append(s, 10);
    /* The size is looked at before the bytes are. */
    uint8_t byte = 0;
    assert_int_equal(spool_append(s, span_of(&byte, (size_t)SNAPSHOT_SIZE_MAX_BYTES - 9)), SG_TOOBIG);
    assert_int_equal(spool_append(s, span_of(&byte, 1)), SG_IO);
    spool_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_was_appended_is_read),
        cmocka_unit_test(test_a_file_that_cannot_be_made_is_final),
        cmocka_unit_test(test_the_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
