/* Every encoding of the program: protobuf-c driven by tables.
 *
 * A table says which member of our struct is which field of a .proto schema, and
 * what values it may have. The generated descriptor of the schema says the rest
 * (the field's type and its place in protobuf-c's struct), so that a table can't
 * contradict the schema: wire_encode() and wire_decode() CHECK that it fits.
 *
 * Fields leave in ascending order, zeros are left out, varints are short: equal
 * content gives equal bytes. How much a reader insists on is its wire_mode. */
#ifndef PROTO_BASE_WIRE_H
#define PROTO_BASE_WIRE_H

#include "proto/base/arena.h"
#include "proto/base/err.h"
#include "proto/base/units.h"

struct ProtobufCMessageDescriptor;

/* The C type of a member and how it travels. */
enum wire_type {
    WIRE_U64,    /* uint64_t */
    WIRE_U32,    /* uint32_t, struct aba */
    WIRE_U16,    /* uint16_t */
    WIRE_U8,     /* uint8_t */
    WIRE_I64,    /* int64_t or struct cents, 0 to max. */
    WIRE_SIGNED, /* int64_t or struct cents of any value: input that is judged later. */
    WIRE_ENUM,   /* enum without negative numbers */
    WIRE_CHAR,   /* char: its ASCII code */
    WIRE_BOOL,   /* bool */
    WIRE_DAY,    /* struct day from 1970-01-01 or none: the day plus one, none is 0. Any other
                  * day is sent as one that no reader takes. */
    WIRE_MINUTE, /* int, minute of a day or -1: the minute plus one. */
    WIRE_ERR,    /* enum sg_err: its name, SG_OK is empty. The table of errors may be reordered. */
    WIRE_SPAN,   /* struct span: bytes; min and max are sizes. */
    WIRE_NAME,   /* char[max + 1] with a final zero: bytes */
    WIRE_FIXED,  /* uint8_t[max], a hash: bytes of exactly this size, present even when zero */
    WIRE_ONE,    /* A struct of the table `of` within ours. min 0: it is absent when the struct
                  * span at `beside` is empty. */
    WIRE_BODY,   /* The same in a union: there when the enum at `beside` is min to max. A reader
                  * that has no other field for that enum sets it to min. */
    WIRE_MANY,   /* Array of structs of the table `of`, their number (size_t, min to max) at
                  * `beside`; a pointer, or, with in_place, the array itself. */
    WIRE_SPANS,  /* The same of struct span. */
    WIRE_U64S,   /* uint64_t *, the number at `beside`. */
    WIRE_DAYS,   /* struct day * from 1970-01-01: the days' numbers; the number at `beside`. */
    WIRE_TYPES
};

/* One member of a struct. Numbers ascend in a table. */
struct wire_field {
    uint8_t number;
    uint8_t type;    /* enum wire_type */
    uint16_t offset; /* offsetof(). */
    uint64_t min;    /* Smallest number, size or count that is valid. */
    uint64_t max;    /* Greatest. */
    const struct wire_message *of;
    uint16_t beside; /* offsetof() of the member that belongs to it. */
    bool in_place;
};

/* 9999-12-31 as WIRE_DAY sends it. */
#define WIRE_DAY_MAX ((uint64_t)DAY_MAX + 1)

struct wire_message {
    const struct ProtobufCMessageDescriptor *schema;
    const struct wire_field *fields;
    size_t fields_count;
    size_t size;     /* Of our struct. */
    uint8_t version; /* What stands in field 1, `version`; 0: the table has it or there is none. */
    /* version is a level (proto/level.h), and the highest that this program knows: of a
     * higher one wire_decode() says SG_UNSUPPORTED, whatever follows it. */
    bool is_level;
    /* With is_level, NULL or: last[v] is the highest field that level v has. What is written
     * says the lowest level that has all its fields, so that a record with nothing new in
     * it stays to the byte what it was. */
    const uint8_t *last;
    /* Encoded whatever its values are: people's input, which the reader judges.
     * Otherwise wire_encode() CHECKs the ranges, because what could not be read
     * again must not get into a log. */
    bool is_input;
    /* What ranges can't say; NULL: nothing. Of the struct that was read. */
    bool (*is_valid)(const void *in);
};

#define WIRE_TABLE(fields) (fields), sizeof(fields) / sizeof((fields)[0])

/* Append the encoding of *in. */
void wire_encode(const struct wire_message *m, const void *in, struct bytes *out);
/* The same as field `number` of a message that is being built by appending, which
 * is protobuf's own way to merge. */
void wire_append(uint8_t number, const struct wire_message *m, const void *in, struct bytes *out);

enum wire_mode {
    /* What a later version added is passed over: frames and answers, so that
     * versions can run side by side. */
    WIRE_LENIENT,
    /* An unknown field is a fault: half a request is another request. */
    WIRE_KNOWN,
    /* And so is any encoding but the one that wire_encode() makes: logs. */
    WIRE_EXACT
};

/* Why something was refused. */
enum wire_fault {
    WIRE_FAULT_NONE,
    WIRE_FAULT_UNREADABLE, /* Not the wire format, or more memory than PB_MEMORY_* allow. */
    WIRE_FAULT_VERSION,    /* Field 1 of the message itself. */
    WIRE_FAULT_UNKNOWN,    /* A field that has no place in the schema. */
    WIRE_FAULT_COUNT,      /* Too many or too few of a list. */
    WIRE_FAULT_VALUE,      /* Out of range, or is_valid() refused it. */
    WIRE_FAULT_ENCODING    /* Not the one encoding of its content. */
};
struct wire_why {
    enum wire_fault fault;
    uint8_t number; /* Of the field of the message itself that it was in; 0: none. */
    bool is_inside; /* In a message within that field. */
};

/* Fill *out from data; arrays and texts come from the arena and nothing points into data.
 * why may be NULL. SG_INVALID, SG_UNSUPPORTED (is_level): out is undefined. */
MUST_USE enum sg_err wire_decode(const struct wire_message *m, struct span data, enum wire_mode mode,
                                 struct arena *a, void *out, struct wire_why *why);

/* What field 1, `version`, says at the front of data, before anything else is read; 0:
 * there is none. UINT32_MAX: that or more. */
uint32_t wire_version(struct span data);
/* The version that wire_encode() writes. */
uint8_t wire_version_of(const struct wire_message *m, const void *in);

#endif
