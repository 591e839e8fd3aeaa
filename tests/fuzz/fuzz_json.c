/* Transfers as people write them: every item is a transfer that keeps the
 * rules, or says why not. */
#include "proto/level.h"
#include "supervisor/cli/transfer_json.h"
#include "tests/fuzz/fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT;
    struct transfer_list list = {.count = 0};
    char why[512] = "";
    enum sg_err err;

    fuzz_begin();
    err = transfer_json_parse(span_of(data, size), (struct aba){231380104}, &a, &list, why, sizeof why);
    CHECK_IMPLIES(err != SG_OK, why[0] != '\0');
    for (size_t i = 0; i < list.count; i++) {
        CHECK(list.items[i].reason.n > 0 ||
              transfer_check(LEVEL_MAX, &list.items[i].transfer, why, sizeof why) == SG_OK);
    }
    transfer_list_release(&list);
    arena_release(&a);
    return 0;
}
