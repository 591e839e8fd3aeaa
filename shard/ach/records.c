#include "shard/ach/records.h"

#define ACH_FIELD_ROW(record, field, start, size, kind, need) \
    {#field, record, ACH_##kind, ACH_##need, start, size},
const struct ach_field ach_fields[ACH_FIELDS_COUNT] = {ACH_FIELDS(ACH_FIELD_ROW)};
