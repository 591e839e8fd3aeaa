/* Hashes, all by libsodium. hash_init() once per process before the others. */
#ifndef PROTO_BASE_HASH_H
#define PROTO_BASE_HASH_H

#include "proto/base/bytes.h"

#define SHA256_SIZE 32
#define DIGEST_SIZE 32

struct sha256 {
    uint8_t b[SHA256_SIZE];
};

/* BLAKE2b-256: state digests, content hashes. */
struct digest {
    uint8_t b[DIGEST_SIZE];
};

/* Zeros: no digest of anything. */
static inline bool digest_is_none(const struct digest *d)
{
    uint8_t any = 0;
    for (size_t i = 0; i < DIGEST_SIZE; i++) {
        any |= d->b[i];
    }
    return any == 0;
}

void hash_init(void);
struct sha256 sha256_of(struct span data);
struct digest digest_of(struct span data);

#define DIGESTER_ALIGN 64

/* Streaming form of digest_of(). It finds its own place for what libsodium wants at
 * a multiple of 64, so it may lie anywhere, the heap included; and stays there: it
 * must not be copied. */
struct digester {
    uint8_t room[384 + DIGESTER_ALIGN - 1];
};
void digester_init(struct digester *d);
void digester_add(struct digester *d, struct span data);
struct digest digester_end(struct digester *d);

/* SipHash-2-4 with a fixed key over up to three parts, each preceded by its
 * length: the checksum on every stored record. It finds damage, not malice. */
uint64_t checksum_of(struct span a, struct span b, struct span c);

/* Lower-case hexadecimal with a final zero; out has 2 * n + 1 bytes. Returns out. */
char *hex_text(struct span data, char *out);

#endif
