#include "shard/ach/file.h"

bool ach_totals_eq(const struct ach_totals *a, const struct ach_totals *b)
{
    return a->batches == b->batches && a->entries == b->entries && a->addenda == b->addenda &&
           a->lines == b->lines && a->blocks == b->blocks && a->debit.n == b->debit.n &&
           a->credit.n == b->credit.n && a->hash == b->hash && a->trace_first == b->trace_first &&
           a->trace_last == b->trace_last;
}
