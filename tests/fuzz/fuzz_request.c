/* What clients send and get: requests, replies, and transfers judged. */
#include "proto/level.h"
#include "proto/client.h"
#include "tests/fuzz/fuzz.h"

static void request(struct span in)
{
    struct arena a = ARENA_INIT;
    struct bytes first = BYTES_NONE;
    struct bytes second = BYTES_NONE;
    struct request r;
    const char *why = "";

    if (request_decode(in, &a, &r, &why) == SG_OK) {
        char text[256];
        for (size_t i = 0; i < r.transfers_count; i++) {
            enum sg_err err = transfer_check(LEVEL_MAX, &r.transfers[i], text, sizeof text);
            CHECK(err == SG_OK || err == SG_INVALID);
        }
        request_encode(&r, &first);
        CHECK(request_decode(span_bytes(&first), &a, &r, &why) == SG_OK);
        request_encode(&r, &second);
        CHECK(span_eq(span_bytes(&first), span_bytes(&second)));
    } else {
        CHECK(why[0] != '\0');
    }
    bytes_release(&first);
    bytes_release(&second);
    arena_release(&a);
}

static void reply(struct span in)
{
    struct arena a = ARENA_INIT;
    struct bytes first = BYTES_NONE;
    struct bytes second = BYTES_NONE;
    struct reply r;

    if (reply_decode(in, &a, &r) == SG_OK) {
        reply_encode(&r, &first);
        CHECK(reply_decode(span_bytes(&first), &a, &r) == SG_OK);
        reply_encode(&r, &second);
        CHECK(span_eq(span_bytes(&first), span_bytes(&second)));
    }
    bytes_release(&first);
    bytes_release(&second);
    arena_release(&a);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct span in = span_of(data, size);
    fuzz_begin();
    switch (fuzz_choose(&in, 2)) {
    case 0:
        request(in);
        break;
    case 1:
        reply(in);
        break;
    default:
        break;
    }
    return 0;
}
