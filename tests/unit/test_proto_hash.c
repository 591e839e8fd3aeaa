#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "proto/base/hash.h"
#include "proto/base/mem.h"

/* Taken from the first version; see test_checksum_is_fixed(). */
#define CHECKSUM_SMALL 0xf1d1a022539b4e02ull
#define CHECKSUM_LARGE 0x06a363e798feccbeull

static void test_published_vectors(void **state)
{
    (void)state;
    char hex[2 * DIGEST_SIZE + 1];
    struct sha256 sha = sha256_of(span_str("abc"));
    assert_string_equal(hex_text(span_of(sha.b, sizeof(sha.b)), hex),
                        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    sha = sha256_of(SPAN_NONE);
    assert_string_equal(hex_text(span_of(sha.b, sizeof(sha.b)), hex),
                        "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    struct digest digest = digest_of(span_str("abc"));
    assert_string_equal(hex_text(span_of(digest.b, sizeof(digest.b)), hex),
                        "bddd813c634239723171ef3fee98579b94964e3bb1cb3e427262c8c068d52319");
    assert_string_equal(hex_text(SPAN_NONE, hex), "");
}

static void test_digester_equals_digest_of(void **state)
{
    (void)state;
    uint8_t data[1000];
    memset(data, 0x5a, sizeof(data));
    struct digest whole = digest_of(span_of(data, sizeof(data)));
    struct digester d;
    digester_init(&d);
    for (size_t at = 0; at < sizeof(data); at += 125) {
        digester_add(&d, span_of(data + at, 125));
        digester_add(&d, SPAN_NONE);
    }
    struct digest parts = digester_end(&d);
    assert_memory_equal(whole.b, parts.b, sizeof(whole.b));
}

/* Stored records live longer than this program: the sums must not change. */
static void test_checksum_is_fixed(void **state)
{
    (void)state;
    uint8_t large[2000];
    memset(large, 'x', sizeof(large));
    assert_true(checksum_of(span_str("key"), span_str("value"), SPAN_NONE) == CHECKSUM_SMALL);
    assert_true(checksum_of(span_str("key"), span_of(large, sizeof(large)), SPAN_NONE) == CHECKSUM_LARGE);
}

static void test_checksum_knows_its_parts(void **state)
{
    (void)state;
    uint64_t sum = checksum_of(span_str("ab"), span_str("c"), SPAN_NONE);
    assert_true(sum == checksum_of(span_str("ab"), span_str("c"), span_str("")));
    assert_true(sum != checksum_of(span_str("a"), span_str("bc"), SPAN_NONE));
    assert_true(sum != checksum_of(span_str("abc"), SPAN_NONE, SPAN_NONE));
    assert_true(sum != checksum_of(SPAN_NONE, span_str("ab"), span_str("c")));
}

/* Around the size where the way of hashing changes, every single bit counts. */
static void test_checksum_sees_every_bit(void **state)
{
    (void)state;
    for (size_t size = 1000; size <= 1050; size++) {
        uint8_t *data = mem_zalloc(1, size); /* Of this very size: ASan sees a byte too far. */
        struct span key = span_of(data, 8);
        struct span rest = span_of(data + 8, size - 8);
        uint64_t sum = checksum_of(key, rest, SPAN_NONE);
        for (size_t i = 0; i < size; i++) {
            data[i] = (uint8_t)(data[i] ^ 1u << i % 8);
            assert_true(checksum_of(key, rest, SPAN_NONE) != sum);
            data[i] = (uint8_t)(data[i] ^ 1u << i % 8);
        }
        assert_true(checksum_of(key, rest, SPAN_NONE) == sum);
        mem_free(data);
    }
}

/* malloc() promises a multiple of 16, libsodium wants one of 64. */
static void test_digester_lies_anywhere(void **state)
{
    (void)state;
    struct span data = span_str("data");
    struct digest want = digest_of(data);
    uint8_t *p = mem_alloc(sizeof(struct digester) + DIGESTER_ALIGN);
    for (size_t i = 0; i < DIGESTER_ALIGN; i++) {
        struct digester *d = (void *)(p + i);
        digester_init(d);
        digester_add(d, data);
        struct digest found = digester_end(d);
        assert_memory_equal(found.b, want.b, DIGEST_SIZE);
    }
    mem_free(p);
}

static int setup(void **state)
{
    (void)state;
    hash_init();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_published_vectors),        cmocka_unit_test(test_digester_equals_digest_of),
        cmocka_unit_test(test_digester_lies_anywhere),   cmocka_unit_test(test_checksum_is_fixed),
        cmocka_unit_test(test_checksum_knows_its_parts), cmocka_unit_test(test_checksum_sees_every_bit),
    };
    return cmocka_run_group_tests(tests, setup, NULL);
}
