/* protobuf-c over our bytes and arenas. For the codecs only: it shows
 * protobuf-c's types, which no other part of the program sees. */
#ifndef PROTO_BASE_ARENA_PB_H
#define PROTO_BASE_ARENA_PB_H

#include <protobuf-c/protobuf-c.h>

#include "proto/base/arena.h"

/* Appends the encoding of m: fields by number, so equal content gives equal bytes. */
void pb_append(const ProtobufCMessage *m, struct bytes *out);

/* The message in data, or NULL when it is malformed or would take more memory
 * than PB_MEMORY_* in limits.h allow. It and all it points to live in the arena; there is
 * nothing to free. Enums and ranges are not checked. */
ProtobufCMessage *pb_unpack(const ProtobufCMessageDescriptor *descriptor, struct span data, struct arena *a);

/* Did every field of m (not of the messages in it) have a place in the schema? */
static inline bool pb_is_known(const ProtobufCMessage *m)
{
    return m->n_unknown_fields == 0;
}

/* Borrowed for packing; protobuf-c does not write to it. */
static inline ProtobufCBinaryData pb_of_span(struct span s)
{
    return (ProtobufCBinaryData){s.n, (uint8_t *)(uintptr_t)s.p};
}
static inline struct span pb_span(ProtobufCBinaryData b)
{
    return span_of(b.data, b.len);
}
/* A span list as protobuf-c wants it; NULL when count is 0. */
ProtobufCBinaryData *pb_of_spans(const struct span *spans, size_t count, struct arena *a);
/* And back; NULL when count is 0. */
struct span *pb_spans(const ProtobufCBinaryData *list, size_t count, struct arena *a);

#endif
