#include "shard/ach/parse.h"

#include <stdio.h>
#include <string.h>

void ach_reader_init(struct ach_reader *r, struct span file)
{
    *r = (struct ach_reader){.rest = file};
}

/* The next line without its end (LF, CRLF, or the end of the file). False: there
 * is none. */
static bool take_line(struct ach_reader *r, struct span *line)
{
    if (r->rest.n == 0) {
        return false;
    }
    const uint8_t *end = memchr(r->rest.p, '\n', r->rest.n);
    size_t n = end != NULL ? (size_t)(end - r->rest.p) : r->rest.n;
    size_t taken = end != NULL ? n + 1 : n;
    *line = span_of(r->rest.p, n > 0 && r->rest.p[n - 1] == '\r' ? n - 1 : n);
    r->rest = span_of(r->rest.p + taken, r->rest.n - taken);
    r->line++;
    return true;
}

static bool is_all(struct span s, uint8_t c)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != c) {
            return false;
        }
    }
    return true;
}

/* column: 1-based. */
static enum sg_err fail(const struct ach_reader *r, size_t column, char *why, size_t why_size,
                        const char *text)
{
    (void)snprintf(why, why_size, "line %zu, column %zu: %s", r->line, column, text);
    return SG_INVALID;
}

/* The line, blank filled, becomes the reader's text. A blank too many is refused as
 * any other character: what made it may have shifted a field. NULL, or what is
 * wrong with it, and where. */
static const char *fill(struct ach_reader *r, struct span line, size_t *column)
{
    *column = ACH_RECORD_SIZE + 1;
    if (line.n > ACH_RECORD_SIZE) {
        return "more than 94 characters";
    }
    memset(r->text, ' ', sizeof r->text);
    for (size_t i = 0; i < line.n; i++) {
        if (line.p[i] < ' ') {
            *column = i + 1;
            return "a control character";
        }
        r->text[i] = line.p[i];
    }
    return NULL;
}

static enum ach_record_kind addenda_kind(const uint8_t *text)
{
    if (memcmp(text + AD_CODE_AT, "05", AD_CODE_SIZE) == 0) {
        return ACH_ADDENDA_05;
    }
    if (memcmp(text + AD_CODE_AT, "98", AD_CODE_SIZE) == 0) {
        return ACH_ADDENDA_98;
    }
    return memcmp(text + AD_CODE_AT, "99", AD_CODE_SIZE) == 0 ? ACH_ADDENDA_99 : ACH_RECORD_KINDS;
}

static enum ach_record_kind kind_of(const struct ach_reader *r)
{
    switch (r->text[0]) {
    case '1':
        return ACH_FILE_HEADER;
    case '5':
        return ACH_BATCH_HEADER;
    case '6':
        return r->in_ctx ? ACH_ENTRY_CTX : ACH_ENTRY;
    case '7':
        return addenda_kind(r->text);
    case '8':
        return ACH_BATCH_CONTROL;
    case '9':
        return ACH_FILE_CONTROL;
    default:
        return ACH_RECORD_KINDS;
    }
}

static bool is_ctx(const uint8_t *text)
{
    return memcmp(text + BH_SEC_AT, "CTX", BH_SEC_SIZE) == 0 ||
           memcmp(text + BH_SEC_AT, "ctx", BH_SEC_SIZE) == 0;
}

/* Behind the file control there is filler or nothing. */
static enum sg_err finish(struct ach_reader *r, char *why, size_t why_size)
{
    struct span line;
    while (take_line(r, &line)) {
        if (!is_all(line, '9') && !is_all(line, ' ')) {
            return fail(r, 1, why, why_size, "something stands behind the file control");
        }
        if (line.n > ACH_RECORD_SIZE) {
            return fail(r, ACH_RECORD_SIZE + 1, why, why_size, "more than 94 characters");
        }
    }
    return SG_NOTFOUND;
}

enum sg_err ach_reader_next(struct ach_reader *r, struct ach_record *out, char *why, size_t why_size)
{
    struct span line;
    if (r->done) {
        return finish(r, why, why_size);
    }
    if (!take_line(r, &line)) {
        r->line++;
        return fail(r, 1, why, why_size, "the file ends without its control record");
    }
    size_t column;
    const char *fault = fill(r, line, &column);
    if (fault != NULL) {
        return fail(r, column, why, why_size, fault);
    }
    if (line.n > 0 && is_all(line, '9')) {
        return fail(r, 1, why, why_size, "filler, where the file control must come first");
    }
    enum ach_record_kind kind = kind_of(r);
    if (kind == ACH_RECORD_KINDS) {
        return fail(r, r->text[0] == '7' ? AD_CODE_AT + 1 : 1, why, why_size,
                    "an unknown record or addenda type");
    }
    if ((kind == ACH_FILE_HEADER) != (r->line == 1)) {
        return fail(r, 1, why, why_size, "a file begins with its header, and has one");
    }
    if (kind == ACH_BATCH_HEADER) {
        r->in_ctx = is_ctx(r->text);
    }
    r->done = kind == ACH_FILE_CONTROL;
    *out = (struct ach_record){.kind = kind, .line = r->line, .text = r->text};
    return SG_OK;
}
