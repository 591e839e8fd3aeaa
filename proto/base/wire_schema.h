/* How a table and the schema it is about fit together. Private to wire_write.c and
 * wire_read.c: it shows protobuf-c's types. */
#ifndef PROTO_BASE_WIRE_SCHEMA_H
#define PROTO_BASE_WIRE_SCHEMA_H

#include <protobuf-c/protobuf-c.h>
#include <string.h>

#include "proto/base/wire.h"

/* Both ascend, and a table leaves no field of its schema out, since what it left out
 * would be read and lost. at is where the last look-up ended. */
static inline const ProtobufCFieldDescriptor *schema_field(const ProtobufCMessageDescriptor *d,
                                                           uint8_t number, unsigned *at)
{
    const ProtobufCFieldDescriptor *s = &d->fields[*at];
    if (s->id < number) {
        ++*at;
        s++;
        CHECK(*at < d->n_fields);
    }
    CHECK(s->id == number);
    return s;
}

/* protobuf-c generates code for these only from our schemas; anything else is a
 * table that is wrong about its schema. */
#define WIDE_TYPES \
    (1u << PROTOBUF_C_TYPE_UINT64 | 1u << PROTOBUF_C_TYPE_INT64 | 1u << PROTOBUF_C_TYPE_FIXED64)
#define NUMBER_TYPES \
    (WIDE_TYPES | 1u << PROTOBUF_C_TYPE_UINT32 | 1u << PROTOBUF_C_TYPE_ENUM | 1u << PROTOBUF_C_TYPE_BOOL)

static inline bool is_number(const ProtobufCFieldDescriptor *s)
{
    return (NUMBER_TYPES >> s->type & 1) != 0;
}

static inline bool is_wide(const ProtobufCFieldDescriptor *s)
{
    return (WIDE_TYPES >> s->type & 1) != 0;
}

static inline bool is_oneof(const ProtobufCFieldDescriptor *s)
{
    return (s->flags & PROTOBUF_C_FIELD_FLAG_ONEOF) != 0;
}

/* The enum that chooses a WIRE_BODY. */
static inline unsigned beside_enum(const struct wire_field *f, const uint8_t *in)
{
    unsigned n = 0;
    memcpy(&n, in + f->beside, sizeof(n));
    return n;
}

#endif
