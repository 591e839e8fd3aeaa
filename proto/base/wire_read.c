#include "proto/base/limits.h"
#include "proto/base/wire_schema.h"

/* --- Out of protobuf-c's struct --------------------------------------------------- */

static inline uint64_t number_get(const ProtobufCFieldDescriptor *s, const uint8_t *pb)
{
    uint64_t wide = 0;
    uint32_t narrow = 0;
    CHECK(is_number(s));
    if (is_wide(s)) {
        memcpy(&wide, pb + s->offset, sizeof(wide));
        return wide;
    }
    memcpy(&narrow, pb + s->offset, sizeof(narrow));
    return narrow;
}

static inline struct span bytes_get(const ProtobufCFieldDescriptor *s, const uint8_t *pb)
{
    ProtobufCBinaryData b;
    CHECK(s->type == PROTOBUF_C_TYPE_BYTES);
    memcpy(&b, pb + s->offset, sizeof(b));
    return span_of(b.data, b.len);
}

static inline void *pointer_get(const ProtobufCFieldDescriptor *s, const uint8_t *pb)
{
    void *p = NULL;
    memcpy(&p, pb + s->offset, sizeof(p));
    return p;
}

static size_t count_get(const ProtobufCFieldDescriptor *s, const uint8_t *pb)
{
    size_t n = 0;
    CHECK(s->label == PROTOBUF_C_LABEL_REPEATED);
    memcpy(&n, pb + s->quantifier_offset, sizeof(n));
    return n;
}

/* Which field of a oneof is set. */
static uint32_t oneof_get(const ProtobufCFieldDescriptor *s, const uint8_t *pb)
{
    uint32_t number = 0;
    memcpy(&number, pb + s->quantifier_offset, sizeof(number));
    return number;
}

/* --- Into ours ------------------------------------------------------------------------ */

/* In range already. */
static inline void member_set_number(unsigned type, uint64_t n, uint8_t *p)
{
    uint32_t u32 = (uint32_t)n;
    uint16_t u16 = (uint16_t)n;
    bool flag = n != 0;
    int minute = (int)u32 - 1;
    struct day day = n == 0 ? DAY_NONE : (struct day){(int32_t)(n - 1)};
    switch (type) {
    case WIRE_U64:
    case WIRE_I64:
    case WIRE_SIGNED:
        memcpy(p, &n, sizeof(n));
        return;
    case WIRE_U32:
    case WIRE_ENUM:
        memcpy(p, &u32, sizeof(u32));
        return;
    case WIRE_U16:
        memcpy(p, &u16, sizeof(u16));
        return;
    case WIRE_U8:
    case WIRE_CHAR:
        *p = (uint8_t)n;
        return;
    case WIRE_BOOL:
        memcpy(p, &flag, sizeof(flag));
        return;
    case WIRE_DAY:
        memcpy(p, &day, sizeof(day));
        return;
    case WIRE_MINUTE:
        memcpy(p, &minute, sizeof(minute));
        return;
    default:
        check_failed(__FILE__, __LINE__, "a number");
    }
}

static bool member_set_err(struct span name, uint8_t *p)
{
    enum sg_err err = SG_OK;
    for (unsigned i = 1; i < SG_ERRS && name.n > 0 && err == SG_OK; i++) {
        err = span_is(name, sg_err_name((enum sg_err)i)) ? (enum sg_err)i : SG_OK;
    }
    memcpy(p, &err, sizeof(err));
    return name.n == 0 || err != SG_OK;
}

static bool member_set_bytes(const struct wire_field *f, struct span value, uint8_t *p)
{
    if (f->type == WIRE_ERR) {
        return member_set_err(value, p);
    }
    if (value.n < f->min || value.n > f->max) {
        return false;
    }
    if (f->type == WIRE_SPAN) {
        memcpy(p, &value, sizeof(value));
        return true;
    }
    if (f->type == WIRE_NAME && value.n > 0 && memchr(value.p, 0, value.n) != NULL) {
        return false;
    }
    if (value.n > 0) {
        memcpy(p, value.p, value.n);
    }
    memset(p + value.n, 0, f->type == WIRE_NAME ? (size_t)f->max + 1 - value.n : 0);
    return true;
}

/* --- Decoding ------------------------------------------------------------------------ */

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

static const ProtobufCMessage *unpack(const ProtobufCMessageDescriptor *d, struct span data, struct arena *a)
{
    struct pb_memory memory = {
        .allocator = {.alloc = pb_alloc, .free = pb_free},
        .arena = a,
        .left = pb_memory_limit(data.n),
    };
    memory.allocator.allocator_data = &memory;
    return protobuf_c_message_unpack(d, &memory.allocator, data.n, data.p);
}

struct reader {
    enum wire_mode mode;
    struct arena *arena;
};

static enum wire_fault take(const struct reader *r, const struct wire_message *m,
                            const ProtobufCMessage *message, uint8_t *out, struct wire_why *why);

static enum wire_fault take_list(const struct reader *r, const struct wire_field *f,
                                 const ProtobufCFieldDescriptor *s, const uint8_t *pb, uint8_t *out,
                                 struct wire_why *why)
{
    size_t count = count_get(s, pb);
    const void *from = pointer_get(s, pb);
    size_t size = f->type == WIRE_MANY    ? f->of->size
                  : f->type == WIRE_SPANS ? sizeof(struct span)
                  : f->type == WIRE_U64S  ? sizeof(uint64_t)
                                          : sizeof(struct day);
    uint8_t *list = out + f->offset;
    if (count < f->min || count > f->max) {
        return WIRE_FAULT_COUNT;
    }
    if (!f->in_place) {
        list = count == 0 ? NULL : arena_array(r->arena, count, size);
        memcpy(out + f->offset, &list, sizeof(list));
    }
    memcpy(out + f->beside, &count, sizeof(count));
    for (size_t i = 0; i < count; i++) {
        uint8_t *to = list + i * size;
        if (f->type == WIRE_U64S) {
            memcpy(to, &((const uint64_t *)from)[i], sizeof(uint64_t));
        } else if (f->type == WIRE_DAYS) {
            uint32_t day = ((const uint32_t *)from)[i];
            if (day > DAY_MAX) {
                return WIRE_FAULT_VALUE;
            }
            memcpy(to, &(struct day){(int32_t)day}, sizeof(struct day));
        } else if (f->type == WIRE_SPANS) {
            ProtobufCBinaryData one = ((const ProtobufCBinaryData *)from)[i];
            memcpy(to, &(struct span){one.data, one.len}, sizeof(struct span));
        } else {
            enum wire_fault fault = take(r, f->of, ((ProtobufCMessage *const *)from)[i], to, NULL);
            if (fault != WIRE_FAULT_NONE) {
                why->is_inside = true;
                return fault;
            }
        }
    }
    return WIRE_FAULT_NONE;
}

static enum wire_fault take_message(const struct reader *r, const struct wire_field *f,
                                    const ProtobufCFieldDescriptor *s, const uint8_t *pb, uint8_t *out,
                                    struct wire_why *why)
{
    bool is_set = !is_oneof(s) || oneof_get(s, pb) == f->number;
    const ProtobufCMessage *one = is_set ? pointer_get(s, pb) : NULL;
    if (f->type == WIRE_BODY) {
        unsigned chosen = beside_enum(f, out);
        bool is_ours = chosen == 0 || (chosen >= f->min && chosen <= f->max);
        if (one == NULL || !is_ours) {
            /* Another row of the table may have this field for another number. */
            return one == NULL && chosen != 0 && is_ours ? WIRE_FAULT_VALUE : WIRE_FAULT_NONE;
        }
        unsigned kind = chosen == 0 ? (unsigned)f->min : chosen;
        memcpy(out + f->beside, &kind, sizeof(kind));
    } else if (one == NULL) {
        return f->min > 0 ? WIRE_FAULT_VALUE : WIRE_FAULT_NONE;
    }
    enum wire_fault fault = take(r, f->of, one, out + f->offset, NULL);
    why->is_inside = fault != WIRE_FAULT_NONE;
    return fault;
}

static enum wire_fault take_field(const struct reader *r, const struct wire_field *f,
                                  const ProtobufCFieldDescriptor *s, const uint8_t *pb, uint8_t *out,
                                  struct wire_why *why)
{
    uint8_t *p = out + f->offset;
    switch (f->type) {
    case WIRE_ONE:
    case WIRE_BODY:
        return take_message(r, f, s, pb, out, why);
    case WIRE_MANY:
    case WIRE_SPANS:
    case WIRE_U64S:
    case WIRE_DAYS:
        return take_list(r, f, s, pb, out, why);
    case WIRE_SPAN:
    case WIRE_NAME:
    case WIRE_FIXED:
    case WIRE_ERR:
        return member_set_bytes(f, bytes_get(s, pb), p) ? WIRE_FAULT_NONE : WIRE_FAULT_VALUE;
    default: {
        uint64_t n = number_get(s, pb);
        if (f->type != WIRE_SIGNED && (n < f->min || n > f->max)) {
            return WIRE_FAULT_VALUE;
        }
        member_set_number(f->type, n, p);
        return WIRE_FAULT_NONE;
    }
    }
}

/* A message of the wire into *out, which is zero before. why is NULL inside another one. */
static enum wire_fault take(const struct reader *r, const struct wire_message *m,
                            const ProtobufCMessage *message, uint8_t *out, struct wire_why *why)
{
    const uint8_t *pb = (const uint8_t *)message;
    struct wire_why inner = {WIRE_FAULT_NONE, 0, false};
    unsigned at = 0;
    uint64_t version = m->version;
    why = why == NULL ? &inner : why;
    if (m->version != 0) {
        version = number_get(schema_field(m->schema, 1, &at), pb);
        if (m->last == NULL ? version != m->version : version == 0 || version > m->version) {
            return WIRE_FAULT_VERSION;
        }
    }
    if (r->mode != WIRE_LENIENT && message->n_unknown_fields > 0) {
        return WIRE_FAULT_UNKNOWN;
    }
    for (size_t i = 0; i < m->fields_count; i++) {
        const struct wire_field *f = &m->fields[i];
        enum wire_fault fault = take_field(r, f, schema_field(m->schema, f->number, &at), pb, out, why);
        if (fault != WIRE_FAULT_NONE) {
            why->number = f->number;
            return fault;
        }
    }
    CHECK(at + 1 == m->schema->n_fields);
    if (version != wire_version_of(m, out)) {
        return WIRE_FAULT_ENCODING; /* A second one of the same content. */
    }
    return m->is_valid != NULL && !m->is_valid(out) ? WIRE_FAULT_VALUE : WIRE_FAULT_NONE;
}

/* Fields in another order, twice, or longer than they need be are a second
 * encoding of the same content. */
static bool is_exact(const ProtobufCMessage *message, struct span data)
{
    struct bytes again = BYTES_NONE;
    size_t size = protobuf_c_message_get_packed_size(message);
    if (size != data.n || size == 0) {
        return size == data.n;
    }
    CHECK(protobuf_c_message_pack(message, bytes_extend(&again, size)) == size);
    bool same = span_eq(span_bytes(&again), data);
    bytes_release(&again);
    return same;
}

uint32_t wire_version(struct span data)
{
    uint64_t version = 0;
    if (data.n < 2 || data.p[0] != (1u << 3)) { /* Field 1, a number. */
        return 0;
    }
    for (size_t i = 1; i < data.n && i <= 5; i++) {
        version |= (uint64_t)(data.p[i] & 0x7fu) << 7 * (i - 1);
        if ((data.p[i] & 0x80u) == 0) {
            return version < UINT32_MAX ? (uint32_t)version : UINT32_MAX;
        }
    }
    return UINT32_MAX;
}

enum sg_err wire_decode(const struct wire_message *m, struct span data, enum wire_mode mode, struct arena *a,
                        void *out, struct wire_why *why)
{
    struct reader r = {mode, a};
    struct wire_why unused;
    why = why == NULL ? &unused : why;
    *why = (struct wire_why){WIRE_FAULT_VERSION, 0, false};
    if (m->is_level && wire_version(data) > m->version) {
        return SG_UNSUPPORTED;
    }
    *why = (struct wire_why){WIRE_FAULT_UNREADABLE, 0, false};
    const ProtobufCMessage *message = unpack(m->schema, data, a);
    if (message == NULL) {
        return SG_INVALID;
    }
    memset(out, 0, m->size);
    why->fault = take(&r, m, message, out, why);
    if (why->fault == WIRE_FAULT_NONE && mode == WIRE_EXACT && !is_exact(message, data)) {
        why->fault = WIRE_FAULT_ENCODING;
    }
    return why->fault == WIRE_FAULT_NONE ? SG_OK : SG_INVALID;
}
