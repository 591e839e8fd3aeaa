/* ACH files, of banks and of ours: the reader, the tree and the strict check.
 * What the strict check accepts, the forgiving parser reads with equal totals. */
#include "shard/ach/parse.h"
#include "shard/ach/verify.h"
#include "tests/fuzz/fuzz.h"

static void read_all(struct span file)
{
    struct ach_reader r;
    struct ach_record record;
    char why[256];
    enum sg_err err;

    ach_reader_init(&r, file);
    do {
        err = ach_reader_next(&r, &record, why, sizeof why);
    } while (err == SG_OK);
    CHECK(err == SG_NOTFOUND || err == SG_INVALID);
}

static int64_t cents_of(const struct ach_parsed *p)
{
    int64_t sum = 0;
    for (size_t b = 0; b < p->batches_count; b++) {
        for (size_t i = 0; i < p->batches[b].entries_count; i++) {
            sum += p->batches[b].entries[i].amount.n;
        }
    }
    return sum;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span file = span_of(data, size);
    struct arena a = ARENA_INIT;
    struct ach_parsed parsed;
    struct ach_totals totals;
    char why[256] = "";
    enum sg_err judged;
    enum sg_err read;

    fuzz_begin();
    read_all(file);
    judged = ach_verify(file, false, &totals, why, sizeof why);
    read = ach_parse(file, &a, &parsed, why, sizeof why);
    CHECK_IMPLIES(judged == SG_OK, read == SG_OK);
    CHECK_IMPLIES(judged == SG_OK, cents_of(&parsed) == totals.debit.n + totals.credit.n);
    CHECK_IMPLIES(judged != SG_OK || read != SG_OK, why[0] != '\0');
    arena_release(&a);
    return 0;
}
