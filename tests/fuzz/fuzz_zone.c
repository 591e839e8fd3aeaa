/* Time zone files, and local time by what they say. */
#include "shard/ach/zone.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const int64_t moments_ms[] = {
        INT64_C(-9000000000000), -1, 0, INT64_C(1772635800000), INT64_C(1795446000000),
        INT64_C(4102444800000)};
    struct arena a = ARENA_INIT;
    struct zone zone;

    fuzz_begin();
    if (zone_parse(span_of(data, size), &a, &zone) == SG_OK) {
        for (size_t i = 0; i < sizeof moments_ms / sizeof moments_ms[0]; i++) {
            struct zone_time t = zone_local(&zone, moments_ms[i]);
            CHECK(t.minute >= 0 && t.minute < 1440);
        }
    }
    arena_release(&a);
    return 0;
}
