#include "proto/base/hash.h"

#include <sodium.h>
#include <string.h>

#define CHECKSUM_SMALL_BYTES 1024 /* Up to here the parts are hashed as one stack buffer. */

_Static_assert(SHA256_SIZE == crypto_hash_sha256_BYTES, "sha256");
_Static_assert(sizeof(crypto_generichash_state) + DIGESTER_ALIGN - 1 <= sizeof(struct digester), "digester");
_Static_assert(_Alignof(crypto_generichash_state) <= DIGESTER_ALIGN, "digester");

void hash_init(void)
{
    CHECK(sodium_init() >= 0);
}

struct sha256 sha256_of(struct span data)
{
    struct sha256 out;
    (void)crypto_hash_sha256(out.b, data.p, data.n);
    return out;
}

struct digest digest_of(struct span data)
{
    struct digest out;
    CHECK(crypto_generichash(out.b, sizeof(out.b), data.p, data.n, NULL, 0) == 0);
    return out;
}

static crypto_generichash_state *digester_state(struct digester *d)
{
    size_t over = (uintptr_t)d->room % DIGESTER_ALIGN;
    return (crypto_generichash_state *)(void *)(d->room + (over == 0 ? 0 : DIGESTER_ALIGN - over));
}

void digester_init(struct digester *d)
{
    CHECK(crypto_generichash_init(digester_state(d), NULL, 0, DIGEST_SIZE) == 0);
}

void digester_add(struct digester *d, struct span data)
{
    CHECK(crypto_generichash_update(digester_state(d), data.p, data.n) == 0);
}

struct digest digester_end(struct digester *d)
{
    struct digest out;
    CHECK(crypto_generichash_final(digester_state(d), out.b, sizeof(out.b)) == 0);
    return out;
}

static uint64_t siphash(const uint8_t *p, size_t n)
{
    static const uint8_t key[crypto_shorthash_KEYBYTES] = "shardgate record";
    uint8_t out[crypto_shorthash_BYTES];
    (void)crypto_shorthash(out, p, n, key);
    return be64_get(out);
}

static uint8_t *put_part(uint8_t *at, struct span s)
{
    be64_put(at, s.n);
    if (s.n > 0) {
        memcpy(at + 8, s.p, s.n);
    }
    return at + 8 + s.n;
}

static uint8_t *put_hashed_part(uint8_t *at, struct span s)
{
    be64_put(at, s.n);
    be64_put(at + 8, siphash(s.p, s.n));
    return at + 16;
}

/* Small records, nearly all of them, are copied together and hashed once.
 * Large ones are hashed where they lie, and then their hashes. Which of the two
 * is fixed by the sizes, so equal parts give equal sums. */
uint64_t checksum_of(struct span a, struct span b, struct span c)
{
    uint8_t buffer[3 * 8 + CHECKSUM_SMALL_BYTES];
    bool small = a.n <= CHECKSUM_SMALL_BYTES && b.n <= CHECKSUM_SMALL_BYTES - a.n &&
                 c.n <= CHECKSUM_SMALL_BYTES - a.n - b.n;
    uint8_t *(*put)(uint8_t * at, struct span s) = small ? put_part : put_hashed_part;
    uint8_t *end = put(put(put(buffer, a), b), c);
    return siphash(buffer, (size_t)(end - buffer));
}

char *hex_text(struct span data, char *out)
{
    static const char digits[] = "0123456789abcdef";
    for (size_t i = 0; i < data.n; i++) {
        out[2 * i] = digits[data.p[i] >> 4];
        out[2 * i + 1] = digits[data.p[i] & 15];
    }
    out[2 * data.n] = '\0';
    return out;
}
