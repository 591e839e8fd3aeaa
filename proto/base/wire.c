#include "proto/base/wire.h"

#include <string.h>

#define VARINT_SIZE_MAX 10
#define FORM_VARINT 0u
#define FORM_BYTES 2u

/* --- Numbers -------------------------------------------------------------- */

static size_t put_varint(uint64_t v, uint8_t *p)
{
    size_t n = 0;
    for (; v >= 0x80; v >>= 7) {
        p[n++] = (uint8_t)(v | 0x80);
    }
    p[n++] = (uint8_t)v;
    return n;
}

/* Only the shortest form: a longer one would be a second encoding. */
static bool take_varint(struct span *data, uint64_t *out)
{
    uint64_t v = 0;
    for (size_t i = 0; i < data->n && i < VARINT_SIZE_MAX; i++) {
        uint64_t part = data->p[i] & 0x7fu;
        if (i == VARINT_SIZE_MAX - 1 && part > 1) {
            return false;
        }
        v |= part << (7 * i);
        if ((data->p[i] & 0x80u) == 0) {
            if (part == 0 && i > 0) {
                return false;
            }
            *data = span_of(data->p + i + 1, data->n - i - 1);
            *out = v;
            return true;
        }
    }
    return false;
}

static void append_number(uint8_t number, uint64_t v, struct bytes *out)
{
    uint8_t buffer[2 + VARINT_SIZE_MAX];
    size_t n = put_varint((uint64_t)number << 3 | FORM_VARINT, buffer);
    n += put_varint(v, buffer + n);
    bytes_append(out, buffer, n);
}

void wire_put(uint8_t number, struct span value, struct bytes *out)
{
    uint8_t head[2 + VARINT_SIZE_MAX];
    size_t n = put_varint((uint64_t)number << 3 | FORM_BYTES, head);
    n += put_varint(value.n, head + n);
    bytes_append(out, head, n);
    bytes_append_span(out, value);
}

void wire_put_version(uint8_t version, struct bytes *out)
{
    append_number(1, version, out);
}

bool wire_take_version(struct span *data, uint8_t version)
{
    uint64_t head = 0;
    uint64_t found = 0;
    return take_varint(data, &head) && head == (1u << 3 | FORM_VARINT) && take_varint(data, &found) &&
           found == version;
}

static bool take_bytes(struct span *data, struct span *value)
{
    uint64_t size = 0;
    if (!take_varint(data, &size) || size > data->n) {
        return false;
    }
    *value = span_of(data->p, (size_t)size);
    *data = span_of(data->p + size, data->n - (size_t)size);
    return true;
}

/* --- Members of structs ---------------------------------------------------- */

static uint64_t day_number(struct day d)
{
    if (day_is_none(d)) {
        return 0;
    }
    CHECK(d.n >= 0);
    return (uint64_t)d.n + 1;
}

static uint64_t load_number(enum wire_type type, const uint8_t *p)
{
    union {
        uint64_t u64;
        uint32_t u32;
        uint16_t u16;
        int64_t i64;
        struct day day;
        bool flag;
    } v;
    switch (type) {
    case WIRE_U64:
        memcpy(&v.u64, p, sizeof(v.u64));
        return v.u64;
    case WIRE_I64:
        memcpy(&v.i64, p, sizeof(v.i64));
        CHECK(v.i64 >= 0);
        return (uint64_t)v.i64;
    case WIRE_U32:
    case WIRE_ENUM:
        memcpy(&v.u32, p, sizeof(v.u32));
        return v.u32;
    case WIRE_U16:
        memcpy(&v.u16, p, sizeof(v.u16));
        return v.u16;
    case WIRE_CHAR:
        return *p;
    case WIRE_BOOL:
        memcpy(&v.flag, p, sizeof(v.flag));
        return v.flag ? 1 : 0;
    case WIRE_DAY:
        memcpy(&v.day, p, sizeof(v.day));
        return day_number(v.day);
    case WIRE_SPAN:
    case WIRE_NAME:
    case WIRE_FIXED:
        break;
    }
    check_failed(__FILE__, __LINE__, "a number");
}

/* In range already. */
static void store_number(enum wire_type type, uint64_t n, uint8_t *p)
{
    uint32_t u32 = (uint32_t)n;
    uint16_t u16 = (uint16_t)n;
    bool flag = n != 0;
    struct day day = n == 0 ? DAY_NONE : (struct day){(int32_t)(n - 1)};
    switch (type) {
    case WIRE_U64:
    case WIRE_I64:
        memcpy(p, &n, sizeof(n));
        return;
    case WIRE_U32:
    case WIRE_ENUM:
        memcpy(p, &u32, sizeof(u32));
        return;
    case WIRE_U16:
        memcpy(p, &u16, sizeof(u16));
        return;
    case WIRE_CHAR:
        *p = (uint8_t)n;
        return;
    case WIRE_BOOL:
        memcpy(p, &flag, sizeof(flag));
        return;
    case WIRE_DAY:
        memcpy(p, &day, sizeof(day));
        return;
    case WIRE_SPAN:
    case WIRE_NAME:
    case WIRE_FIXED:
        break;
    }
    check_failed(__FILE__, __LINE__, "a number");
}

static bool is_bytes(enum wire_type type)
{
    return type == WIRE_SPAN || type == WIRE_NAME || type == WIRE_FIXED;
}

static struct span load_bytes(const struct wire_field *f, const uint8_t *p)
{
    struct span s = SPAN_NONE;
    if (f->type == WIRE_SPAN) {
        memcpy(&s, p, sizeof(s));
        return s;
    }
    return f->type == WIRE_FIXED ? span_of(p, (size_t)f->max) : span_str((const char *)p);
}

static void store_bytes(const struct wire_field *f, struct span value, uint8_t *p)
{
    if (f->type == WIRE_SPAN) {
        memcpy(p, &value, sizeof(value));
    } else {
        memcpy(p, value.p, value.n);
        memset(p + value.n, 0, f->type == WIRE_NAME ? (size_t)f->max + 1 - value.n : 0);
    }
}

/* --- Messages --------------------------------------------------------------- */

void wire_encode(const struct wire_message *m, const void *in, struct bytes *out)
{
    for (size_t i = 0; i < m->fields_count; i++) {
        const struct wire_field *f = &m->fields[i];
        const uint8_t *p = (const uint8_t *)in + f->offset;
        if (is_bytes(f->type)) {
            struct span s = load_bytes(f, p);
            CHECK(s.n >= f->min && s.n <= f->max);
            if (s.n > 0) {
                wire_put(f->number, s, out);
            }
        } else {
            uint64_t n = load_number(f->type, p);
            CHECK(n >= f->min && n <= f->max);
            if (n > 0) {
                append_number(f->number, n, out);
            }
        }
    }
}

/* The head of the next field, which stays in data when number is above last. */
static bool take_head(struct span *data, unsigned last, unsigned *number, unsigned *form)
{
    uint64_t head = 0;
    struct span ahead = *data;
    if (!take_varint(&ahead, &head) || head >> 3 == 0 || head >> 3 > 127) {
        return false;
    }
    *number = (unsigned)(head >> 3);
    *form = (unsigned)(head & 7);
    if (*number <= last) {
        *data = ahead;
    }
    return true;
}

static bool decode_bytes(const struct wire_field *f, struct span *data, uint8_t *p)
{
    struct span value = SPAN_NONE;
    if (!take_bytes(data, &value) || value.n == 0 || value.n < f->min || value.n > f->max) {
        return false;
    }
    if (f->type == WIRE_NAME && memchr(value.p, 0, value.n) != NULL) {
        return false;
    }
    store_bytes(f, value, p);
    return true;
}

static bool decode_number(const struct wire_field *f, struct span *data, uint8_t *p)
{
    uint64_t n = 0;
    if (!take_varint(data, &n) || n == 0 || n < f->min || n > f->max) {
        return false;
    }
    store_number(f->type, n, p);
    return true;
}

/* Every field in turn: in the data, or absent and allowed to be zero. */
enum sg_err wire_decode(const struct wire_message *m, struct span data, void *out, struct span *rest)
{
    unsigned last = m->fields[m->fields_count - 1].number;
    unsigned number = 0;
    unsigned form = 0;
    for (size_t i = 0; i < m->fields_count; i++) {
        const struct wire_field *f = &m->fields[i];
        uint8_t *p = (uint8_t *)out + f->offset;
        if (number == 0 && data.n > 0 && !take_head(&data, last, &number, &form)) {
            return SG_INVALID;
        }
        if (number != f->number) {
            if (f->min > 0) {
                return SG_INVALID;
            }
            if (f->type == WIRE_DAY) {
                store_number(WIRE_DAY, 0, p);
            }
            continue;
        }
        if (form != (is_bytes(f->type) ? FORM_BYTES : FORM_VARINT)) {
            return SG_INVALID;
        }
        if (!(is_bytes(f->type) ? decode_bytes(f, &data, p) : decode_number(f, &data, p))) {
            return SG_INVALID;
        }
        number = 0;
    }
    if ((number != 0 && number <= last) || (rest == NULL && data.n > 0)) {
        return SG_INVALID;
    }
    if (rest != NULL) {
        *rest = data;
    }
    return SG_OK;
}

enum sg_err wire_next(struct span *data, uint8_t number, struct span *value)
{
    uint64_t head = 0;
    struct span ahead = *data;
    if (data->n == 0) {
        return SG_NOTFOUND;
    }
    if (!take_varint(&ahead, &head)) {
        return SG_INVALID;
    }
    if (head != ((uint64_t)number << 3 | FORM_BYTES)) {
        return SG_NOTFOUND;
    }
    if (!take_bytes(&ahead, value)) {
        return SG_INVALID;
    }
    *data = ahead;
    return SG_OK;
}

size_t wire_count(struct span data, uint8_t number)
{
    size_t count = 0;
    struct span value;
    while (wire_next(&data, number, &value) == SG_OK) {
        count++;
    }
    return count;
}

void wire_pack(const uint64_t *numbers, size_t count, struct bytes *out)
{
    uint8_t buffer[VARINT_SIZE_MAX];
    for (size_t i = 0; i < count; i++) {
        bytes_append(out, buffer, put_varint(numbers[i], buffer));
    }
}

enum sg_err wire_unpack(struct span data, size_t max, struct arena *a, uint64_t **numbers, size_t *count)
{
    size_t n = 0;
    for (size_t i = 0; i < data.n; i++) {
        n += (data.p[i] & 0x80u) == 0 ? 1 : 0;
    }
    if (n > max) {
        return SG_TOOBIG;
    }
    uint64_t *list = arena_array(a, n, sizeof(*list));
    for (size_t i = 0; i < n; i++) {
        if (!take_varint(&data, &list[i])) {
            return SG_INVALID;
        }
    }
    if (data.n > 0) {
        return SG_INVALID;
    }
    *numbers = list;
    *count = n;
    return SG_OK;
}
