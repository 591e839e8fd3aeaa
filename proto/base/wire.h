/* The protocol buffers wire format straight between bytes and our structs, by a
 * table of fields. For codecs of what stands in logs and rows: nothing is
 * copied, and only one encoding of a content is accepted (fields in ascending
 * order, none twice, none unknown, zeros left out, shortest varints), so that
 * equal content is equal bytes in both directions.
 *
 * The tables repeat what a .proto schema says; a test holds them against the
 * generated descriptors. */
#ifndef PROTO_BASE_WIRE_H
#define PROTO_BASE_WIRE_H

#include "proto/base/arena.h"
#include "proto/base/err.h"
#include "proto/base/units.h"

/* The C type of a member and how it travels. */
enum wire_type {
    WIRE_U64,  /* uint64_t: varint */
    WIRE_U32,  /* uint32_t: varint */
    WIRE_U16,  /* uint16_t: varint */
    WIRE_I64,  /* int64_t or struct cents, 0 to max: varint */
    WIRE_ENUM, /* enum without negative numbers: varint */
    WIRE_CHAR, /* char: varint of its ASCII code */
    WIRE_BOOL, /* bool: varint 0 or 1 */
    WIRE_DAY,  /* struct day from 1970-01-01 or none: varint of the day plus one, none is 0 */
    WIRE_SPAN, /* struct span: bytes, max: its size. Borrowed from the input. */
    WIRE_NAME, /* char[max + 1] with a final zero: bytes */
    WIRE_FIXED /* uint8_t[max], a hash: bytes of exactly this size, present even when zero */
};

/* One member of a struct. Numbers are 1 to 127 and ascend in a table. */
struct wire_field {
    uint8_t number;
    uint8_t type;    /* enum wire_type */
    uint16_t offset; /* offsetof(). */
    uint64_t min;    /* Smallest number, or size, that is valid. */
    uint64_t max;    /* Greatest. */
};

/* 9999-12-31 as WIRE_DAY sends it. */
#define WIRE_DAY_MAX ((uint64_t)DAY_MAX + 1)

struct wire_message {
    const struct wire_field *fields;
    size_t fields_count;
};

#define WIRE_MESSAGE(fields)                           \
    {                                                  \
        (fields), sizeof(fields) / sizeof((fields)[0]) \
    }

/* Append the fields of *in, zeros left out. CHECKs that they are in range: what
 * could not be read again must not get into a log. */
void wire_encode(const struct wire_message *m, const void *in, struct bytes *out);

/* Fill *out (zero before) from data. rest NULL: the table is all there is.
 * Otherwise rest becomes what follows the table's fields, to be read with
 * wire_next(). SG_INVALID: not such an encoding; out is undefined. */
MUST_USE enum sg_err wire_decode(const struct wire_message *m, struct span data, void *out,
                                 struct span *rest);

/* Field 1 of everything that stands alone: which version of its schema. */
void wire_put_version(uint8_t version, struct bytes *out);
/* Takes it off the front of data. false: another version, or none. */
MUST_USE bool wire_take_version(struct span *data, uint8_t version);

/* Append a bytes field (also when empty): one of a repeated field, or a message. */
void wire_put(uint8_t number, struct span value, struct bytes *out);
/* Take a bytes field of this number off the front of data. SG_NOTFOUND: data is
 * empty or goes on with another field. SG_INVALID: malformed. */
MUST_USE enum sg_err wire_next(struct span *data, uint8_t number, struct span *value);
/* How many bytes fields of this number stand at the front of data. */
size_t wire_count(struct span data, uint8_t number);

/* Packed numbers, without a head. */
void wire_pack(const uint64_t *numbers, size_t count, struct bytes *out);
/* SG_INVALID: malformed. SG_TOOBIG: more than max. */
MUST_USE enum sg_err wire_unpack(struct span data, size_t max, struct arena *a, uint64_t **numbers,
                                 size_t *count);

#endif
