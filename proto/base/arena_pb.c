#include "proto/base/arena_pb.h"

#include "proto/base/limits.h"

struct pb_memory {
    ProtobufCAllocator allocator;
    struct arena *arena;
    size_t left;
};

static void *pb_alloc(void *data, size_t size)
{
    struct pb_memory *memory = data;
    if (size > memory->left) {
        return NULL; /* Unpacking gives up. */
    }
    memory->left -= size;
    return arena_room(memory->arena, size);
}

static void pb_free(void *data, void *p)
{
    (void)data; /* The arena's owner releases everything at once. */
    (void)p;
}

static size_t pb_memory_limit(size_t input_size)
{
    if (input_size > (PB_MEMORY_MAX_BYTES - PB_MEMORY_MIN_BYTES) / PB_MEMORY_FACTOR) {
        return PB_MEMORY_MAX_BYTES;
    }
    return PB_MEMORY_MIN_BYTES + input_size * PB_MEMORY_FACTOR;
}

ProtobufCMessage *pb_unpack(const ProtobufCMessageDescriptor *descriptor, struct span data, struct arena *a)
{
    struct pb_memory memory = {
        .allocator = {.alloc = pb_alloc, .free = pb_free},
        .arena = a,
        .left = pb_memory_limit(data.n),
    };
    memory.allocator.allocator_data = &memory;
    return protobuf_c_message_unpack(descriptor, &memory.allocator, data.n, data.p);
}

void pb_append(const ProtobufCMessage *m, struct bytes *out)
{
    size_t size = protobuf_c_message_get_packed_size(m);
    if (size > 0) {
        size_t packed = protobuf_c_message_pack(m, bytes_extend(out, size));
        CHECK(packed == size);
    }
}

ProtobufCBinaryData *pb_of_spans(const struct span *spans, size_t count, struct arena *a)
{
    if (count == 0) {
        return NULL;
    }
    ProtobufCBinaryData *list = arena_array(a, count, sizeof(*list));
    for (size_t i = 0; i < count; i++) {
        list[i] = pb_of_span(spans[i]);
    }
    return list;
}

struct span *pb_spans(const ProtobufCBinaryData *list, size_t count, struct arena *a)
{
    if (count == 0) {
        return NULL;
    }
    struct span *spans = arena_array(a, count, sizeof(*spans));
    for (size_t i = 0; i < count; i++) {
        spans[i] = pb_span(list[i]);
    }
    return spans;
}
