/* What verify.c, verify_line.c and verify_entry.c share. Each function answers
 * SG_OK, or SG_INVALID with the sentence in why. */
#ifndef SHARD_ACH_VERIFY_PART_H
#define SHARD_ACH_VERIFY_PART_H

#include <string.h>

#include "shard/ach/file.h"
#include "shard/ach/records.h"

/* The lowest and the highest character that each place of a record may hold. */
struct bounds {
    uint8_t low[ACH_RECORD_SIZE];
    uint8_t high[ACH_RECORD_SIZE];
};

/* What was counted since a batch header. */
struct batch_sums {
    uint64_t records; /* Entries and addenda. */
    uint64_t hash;
    int64_t debit, credit;
};

/* Sixteen characters at a time; the compilers make vector instructions of it. */
typedef uint8_t chunk __attribute__((vector_size(16)));
#define CHUNK_SIZE sizeof(chunk)

static inline bool chunk_is_zero(chunk c)
{
    uint64_t halves[2];
    memcpy(halves, &c, sizeof halves);
    return (halves[0] | halves[1]) == 0;
}

struct verifier {
    struct span file;
    size_t stride;      /* A record and its line end. */
    size_t line;        /* Lines taken so far: the number of the last one. */
    size_t lines_count; /* In the whole file. */
    struct bounds bounds[ACH_RECORD_KINDS];
    bool open_on_holidays;
    struct day creation;
    const uint8_t *header; /* Of the batch. */
    unsigned service_class;
    enum sec sec;
    bool is_reversal;
    struct batch_sums batch;
    uint64_t hash_sum;          /* Of the batches' hash fields. */
    const uint8_t *first_trace; /* The first entry's, or NULL. */
    const uint8_t *trace;       /* The last entry's. */
    struct ach_totals totals;
    char *why;
    size_t why_size;
};

/* SG_INVALID, and text with the current line in why. */
enum sg_err verify_fail(const struct verifier *v, const char *text);

/* Every line has 94 characters and the line end of the first one. */
MUST_USE enum sg_err verify_lines_init(struct verifier *v);

/* The next record, which must be of this kind, with every character in the
 * bounds of its field. NULL (and why) if it is not; the line is taken anyway. */
const uint8_t *verify_take(struct verifier *v, enum ach_record_kind kind, uint8_t type);

/* One entry and its addenda, of the batch whose header was read last. */
MUST_USE enum sg_err verify_entry(struct verifier *v);

/* Nine digits with their check digit, not all zeros. */
bool verify_routing_number(const uint8_t *d);

/* Are the Federal Reserve Banks closed, other than for a weekend? */
bool verify_is_holiday(struct day day);

/* Blanks and zeros only. */
bool verify_is_nothing(const uint8_t *p, size_t size);

/* The type of the next record; 0 at the end. */
static inline uint8_t verify_peek(const struct verifier *v)
{
    return v->line < v->lines_count ? v->file.p[v->line * v->stride] : 0;
}

/* The bounds have shown that these are digits. Four at a time: the chain of
 * dependent multiplications is what takes time. */
static inline uint64_t verify_number(const uint8_t *p, size_t size)
{
    const uint64_t zeros = '0' * 1111ull;
    uint64_t n = 0;
    for (; size >= 4; size -= 4, p += 4) {
        n = n * 10000 + (p[0] * 1000ull + p[1] * 100ull + p[2] * 10ull + p[3] - zeros);
    }
    for (; size > 0; size--, p++) {
        n = n * 10 + (uint64_t)(*p - '0');
    }
    return n;
}

#define NUMBER(record, field) verify_number((record) + field##_AT, field##_SIZE)
#define IS(record, field, text) (memcmp((record) + field##_AT, (text), field##_SIZE) == 0)
#define IS_NOTHING(record, field) verify_is_nothing((record) + field##_AT, field##_SIZE)

#endif
