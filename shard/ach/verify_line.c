#include <stdio.h>

#include "shard/ach/verify_part.h"

enum sg_err verify_fail(const struct verifier *v, const char *text)
{
    (void)snprintf(v->why, v->why_size, "line %zu: %s", v->line, text);
    return SG_INVALID;
}

static void bounds_init(struct verifier *v)
{
    for (size_t i = 0; i < ACH_FIELDS_COUNT; i++) {
        const struct ach_field *f = &ach_fields[i];
        struct bounds *b = &v->bounds[f->record];
        memset(b->low + f->start - 1, f->kind == ACH_NUMERIC ? '0' : ' ', f->size);
        memset(b->high + f->start - 1, f->kind == ACH_NUMERIC ? '9' : (f->kind == ACH_BLANK ? ' ' : '~'),
               f->size);
    }
}

static bool is_in_bounds(const struct bounds *b, const uint8_t *record)
{
    static const size_t places[] = {0, 16, 32, 48, 64, ACH_RECORD_SIZE - CHUNK_SIZE};
    chunk bad = {0};
    for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
        chunk text;
        chunk low;
        chunk high;
        memcpy(&text, record + places[i], CHUNK_SIZE);
        memcpy(&low, b->low + places[i], CHUNK_SIZE);
        memcpy(&high, b->high + places[i], CHUNK_SIZE);
        bad |= (chunk)(text < low) | (chunk)(text > high);
    }
    return chunk_is_zero(bad);
}

enum sg_err verify_lines_init(struct verifier *v)
{
    struct span file = v->file;
    bounds_init(v);
    bool is_crlf = file.n > ACH_RECORD_SIZE && file.p[ACH_RECORD_SIZE] == '\r';
    v->stride = ACH_RECORD_SIZE + (is_crlf ? 2 : 1);
    v->lines_count = file.n / v->stride;
    for (size_t i = 0; i < v->lines_count; i++) {
        const uint8_t *end = file.p + i * v->stride + ACH_RECORD_SIZE;
        v->line = i + 1;
        if (end[v->stride - ACH_RECORD_SIZE - 1] != '\n' || (is_crlf && end[0] != '\r')) {
            return verify_fail(v, "not exactly 94 characters and the line end of the first record");
        }
    }
    if (file.n == 0 || file.n % v->stride != 0) {
        return verify_fail(v, "the file does not end with a whole record and its line end");
    }
    v->line = 0;
    return SG_OK;
}

const uint8_t *verify_take(struct verifier *v, enum ach_record_kind kind, uint8_t type)
{
    uint8_t found = verify_peek(v);
    v->line++;
    if (found != type) {
        (void)snprintf(v->why, v->why_size, "line %zu: a record of type %c is wanted here", v->line, type);
        return NULL;
    }
    const uint8_t *record = v->file.p + (v->line - 1) * v->stride;
    if (!is_in_bounds(&v->bounds[kind], record)) {
        (void)verify_fail(v, "a character that its field does not take");
        return NULL;
    }
    return record;
}
