#include <stdalign.h>
#include <stddef.h>

#include "proto/base/wire_schema.h"

#define FORM_BYTES 2u
#define VARINT_SIZE_MAX 10
#define SCRATCH_BYTES 2048 /* What a small message takes while it is encoded. */

/* --- Into protobuf-c's struct ---------------------------------------------------- */

static inline void number_put(const ProtobufCFieldDescriptor *s, uint64_t n, uint8_t *pb)
{
    uint32_t narrow = (uint32_t)n;
    CHECK(is_number(s));
    if (is_wide(s)) {
        memcpy(pb + s->offset, &n, sizeof(n));
    } else { /* Enums and protobuf-c's booleans are ints. */
        memcpy(pb + s->offset, &narrow, sizeof(narrow));
    }
}

static inline void bytes_put(const ProtobufCFieldDescriptor *s, struct span value, uint8_t *pb)
{
    /* Borrowed for packing; protobuf-c does not write to it. */
    ProtobufCBinaryData b = {value.n, (uint8_t *)(uintptr_t)value.p};
    CHECK(s->type == PROTOBUF_C_TYPE_BYTES);
    memcpy(pb + s->offset, &b, sizeof(b));
}

static void pointer_put(const ProtobufCFieldDescriptor *s, const void *p, uint8_t *pb)
{
    memcpy(pb + s->offset, &p, sizeof(p));
}

static void count_put(const ProtobufCFieldDescriptor *s, size_t n, uint8_t *pb)
{
    CHECK(s->label == PROTOBUF_C_LABEL_REPEATED);
    memcpy(pb + s->quantifier_offset, &n, sizeof(n));
}

/* --- Out of ours -------------------------------------------------------------------- */

static inline uint64_t member_number(unsigned type, const uint8_t *p)
{
    union {
        uint64_t u64;
        uint32_t u32;
        uint16_t u16;
        struct day day;
        int minute;
        bool flag;
    } v;
    switch (type) {
    case WIRE_U64:
    case WIRE_I64:
    case WIRE_SIGNED:
        memcpy(&v.u64, p, sizeof(v.u64));
        return v.u64;
    case WIRE_U32:
    case WIRE_ENUM:
        memcpy(&v.u32, p, sizeof(v.u32));
        return v.u32;
    case WIRE_U16:
        memcpy(&v.u16, p, sizeof(v.u16));
        return v.u16;
    case WIRE_U8:
    case WIRE_CHAR:
        return *p;
    case WIRE_BOOL:
        memcpy(&v.flag, p, sizeof(v.flag));
        return v.flag ? 1 : 0;
    case WIRE_DAY:
        memcpy(&v.day, p, sizeof(v.day));
        if (day_is_none(v.day)) {
            return 0;
        }
        return v.day.n < 0 ? UINT32_MAX : (uint64_t)v.day.n + 1;
    case WIRE_MINUTE:
        memcpy(&v.minute, p, sizeof(v.minute));
        CHECK(v.minute >= -1);
        return (uint64_t)v.minute + 1;
    default:
        check_failed(__FILE__, __LINE__, "a number");
    }
}

static struct span member_bytes(const struct wire_field *f, const uint8_t *p)
{
    struct span s = SPAN_NONE;
    enum sg_err err = SG_OK;
    switch (f->type) {
    case WIRE_SPAN:
        memcpy(&s, p, sizeof(s));
        return s;
    case WIRE_NAME:
        return span_str((const char *)p);
    case WIRE_FIXED:
        return span_of(p, (size_t)f->max);
    case WIRE_ERR:
        memcpy(&err, p, sizeof(err));
        return err == SG_OK ? SPAN_NONE : span_str(sg_err_name(err));
    default:
        check_failed(__FILE__, __LINE__, "bytes");
    }
}

static size_t beside_count(const struct wire_field *f, const uint8_t *in)
{
    size_t n = 0;
    memcpy(&n, in + f->beside, sizeof(n));
    return n;
}

/* --- Encoding ---------------------------------------------------------------------- */

static ProtobufCMessage *build(const struct wire_message *m, const uint8_t *in, struct arena *a);

static bool is_there(const struct wire_field *f, const uint8_t *in)
{
    struct span key = SPAN_NONE;
    if (f->type == WIRE_BODY) {
        unsigned n = beside_enum(f, in);
        return n >= f->min && n <= f->max;
    }
    memcpy(&key, in + f->beside, sizeof(key));
    return f->min > 0 || key.n > 0;
}

static void build_list(bool is_input, const struct wire_field *f, const ProtobufCFieldDescriptor *s,
                       const uint8_t *in, struct arena *a, uint8_t *pb)
{
    size_t count = beside_count(f, in);
    const uint8_t *list = in + f->offset;
    CHECK(is_input || (count >= f->min && count <= f->max));
    count_put(s, count, pb);
    if (count == 0) {
        return;
    }
    if (!f->in_place) {
        memcpy(&list, in + f->offset, sizeof(list));
    }
    if (f->type == WIRE_U64S) {
        CHECK(s->type == PROTOBUF_C_TYPE_UINT64);
        pointer_put(s, list, pb);
    } else if (f->type == WIRE_DAYS) {
        uint32_t *days = arena_array(a, count, sizeof(*days));
        CHECK(s->type == PROTOBUF_C_TYPE_UINT32);
        for (size_t i = 0; i < count; i++) {
            CHECK(((const struct day *)(const void *)list)[i].n >= 0);
            days[i] = (uint32_t)((const struct day *)(const void *)list)[i].n;
        }
        pointer_put(s, days, pb);
    } else if (f->type == WIRE_SPANS) {
        ProtobufCBinaryData *spans = arena_array(a, count, sizeof(*spans));
        CHECK(s->type == PROTOBUF_C_TYPE_BYTES);
        for (size_t i = 0; i < count; i++) {
            struct span one = ((const struct span *)(const void *)list)[i];
            spans[i] = (ProtobufCBinaryData){one.n, (uint8_t *)(uintptr_t)one.p};
        }
        pointer_put(s, spans, pb);
    } else {
        ProtobufCMessage **messages = arena_array(a, count, sizeof(*messages));
        CHECK(s->type == PROTOBUF_C_TYPE_MESSAGE && s->descriptor == f->of->schema);
        for (size_t i = 0; i < count; i++) {
            messages[i] = build(f->of, list + i * f->of->size, a);
        }
        pointer_put(s, messages, pb);
    }
}

static void build_message(const struct wire_field *f, const ProtobufCFieldDescriptor *s, const uint8_t *in,
                          struct arena *a, uint8_t *pb)
{
    uint32_t number = f->number;
    if (!is_there(f, in)) {
        return;
    }
    CHECK(s->type == PROTOBUF_C_TYPE_MESSAGE && s->descriptor == f->of->schema);
    pointer_put(s, build(f->of, in + f->offset, a), pb);
    if (is_oneof(s)) {
        memcpy(pb + s->quantifier_offset, &number, sizeof(number));
    }
}

static bool is_set(const struct wire_field *f, const uint8_t *in)
{
    switch (f->type) {
    case WIRE_ONE:
    case WIRE_BODY:
        return is_there(f, in);
    case WIRE_MANY:
    case WIRE_SPANS:
    case WIRE_U64S:
    case WIRE_DAYS:
        return beside_count(f, in) > 0;
    case WIRE_SPAN:
    case WIRE_NAME:
    case WIRE_FIXED:
    case WIRE_ERR:
        return member_bytes(f, in + f->offset).n > 0;
    default:
        return member_number(f->type, in + f->offset) > 0;
    }
}

uint8_t wire_version_of(const struct wire_message *m, const void *in)
{
    uint8_t level = m->version;
    if (m->last != NULL) {
        level = 1;
        for (size_t i = m->fields_count; i > 0 && level < m->version; i--) {
            const struct wire_field *f = &m->fields[i - 1];
            if (f->number <= m->last[level]) {
                break;
            }
            while (level < m->version && f->number > m->last[level] && is_set(f, in)) {
                level++;
            }
        }
    }
    return level;
}

/* protobuf-c's struct with the content of ours; it borrows all texts. */
static ProtobufCMessage *build(const struct wire_message *m, const uint8_t *in, struct arena *a)
{
    ProtobufCMessage *message = arena_room(a, m->schema->sizeof_message);
    uint8_t *pb = (uint8_t *)message;
    unsigned at = 0;
    m->schema->message_init(message);
    if (m->version != 0) {
        number_put(schema_field(m->schema, 1, &at), wire_version_of(m, in), pb);
    }
    for (size_t i = 0; i < m->fields_count; i++) {
        const struct wire_field *f = &m->fields[i];
        const ProtobufCFieldDescriptor *s = schema_field(m->schema, f->number, &at);
        const uint8_t *p = in + f->offset;
        switch (f->type) {
        case WIRE_ONE:
        case WIRE_BODY:
            build_message(f, s, in, a, pb);
            break;
        case WIRE_MANY:
        case WIRE_SPANS:
        case WIRE_U64S:
        case WIRE_DAYS:
            build_list(m->is_input, f, s, in, a, pb);
            break;
        case WIRE_SPAN:
        case WIRE_NAME:
        case WIRE_FIXED:
        case WIRE_ERR: {
            struct span value = member_bytes(f, p);
            CHECK(m->is_input || f->type == WIRE_ERR || (value.n >= f->min && value.n <= f->max));
            bytes_put(s, value, pb);
            break;
        }
        default: {
            uint64_t n = member_number(f->type, p);
            CHECK(m->is_input || f->type == WIRE_SIGNED || (n >= f->min && n <= f->max));
            number_put(s, n, pb);
        }
        }
    }
    return message;
}

static void pack(const ProtobufCMessage *message, size_t size, struct bytes *out)
{
    if (size > 0) {
        CHECK(protobuf_c_message_pack(message, bytes_extend(out, size)) == size);
    }
}

void wire_encode(const struct wire_message *m, const void *in, struct bytes *out)
{
    alignas(max_align_t) uint8_t scratch[SCRATCH_BYTES];
    struct arena a = arena_over(scratch, sizeof(scratch));
    const ProtobufCMessage *message = build(m, in, &a);
    pack(message, protobuf_c_message_get_packed_size(message), out);
    arena_release(&a);
}

static size_t varint_put(uint8_t *p, size_t n)
{
    size_t size = 0;
    for (; n >= 0x80; n >>= 7) {
        p[size++] = (uint8_t)(n | 0x80);
    }
    p[size++] = (uint8_t)n;
    return size;
}

void wire_append(uint8_t number, const struct wire_message *m, const void *in, struct bytes *out)
{
    alignas(max_align_t) uint8_t scratch[SCRATCH_BYTES];
    struct arena a = arena_over(scratch, sizeof(scratch));
    uint8_t head[2 * VARINT_SIZE_MAX];
    const ProtobufCMessage *message = build(m, in, &a);
    size_t size = protobuf_c_message_get_packed_size(message);
    size_t head_size = varint_put(head, (size_t)number << 3 | FORM_BYTES);
    head_size += varint_put(head + head_size, size);
    bytes_append(out, head, head_size);
    pack(message, size, out);
    arena_release(&a);
}
