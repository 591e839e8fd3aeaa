/* Frames between nodes: what decodes, encodes to something that decodes to the
 * same messages. */
#include "proto/frame.h"
#include "tests/fuzz/fuzz.h"

static void encode(const struct frame *f, struct bytes *out)
{
    frame_begin(f, out);
    for (size_t i = 0; i < f->messages_count; i++) {
        if (f->messages[i].kind != MESSAGE_NONE) {
            frame_add(&f->messages[i], out);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a = ARENA_INIT;
    struct bytes first = BYTES_NONE;
    struct bytes second = BYTES_NONE;
    struct frame f;

    fuzz_begin();
    if (frame_decode(span_of(data, size), &a, &f) == SG_OK) {
        encode(&f, &first);
        CHECK(frame_decode(span_bytes(&first), &a, &f) == SG_OK);
        encode(&f, &second);
        CHECK(span_eq(span_bytes(&first), span_bytes(&second)));
    }
    bytes_release(&first);
    bytes_release(&second);
    arena_release(&a);
    return 0;
}
