#include "supervisor/cli/table.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "proto/base/limits.h"
#include "proto/base/units.h"

#define GAP "  "
#define KEY_SIZE 128
#define TIME_SIZE 24 /* "2026-11-23T15:00:00.000Z" */

void table_clean(struct span s, struct bytes *out)
{
    for (size_t i = 0; i < s.n; i++) {
        bool plain = s.p[i] >= 0x20 && s.p[i] <= 0x7e;
        bytes_append(out, plain ? (const char *)&s.p[i] : "?", 1);
    }
}

json_t *table_json(struct span s)
{
    struct bytes clean = BYTES_NONE;
    json_t *text;

    table_clean(s, &clean);
    text = json_stringn(clean.n == 0 ? "" : (const char *)clean.p, clean.n);
    bytes_release(&clean);
    CHECK(text != NULL);
    return text;
}

/* --- Cells ------------------------------------------------------------------------- */

static void money(json_int_t cents, struct bytes *out)
{
    uint64_t n = cents < 0 ? 0 - (uint64_t)cents : (uint64_t)cents;
    bytes_printf(out, "%s%" PRIu64 ".%02" PRIu64, cents < 0 ? "-" : "", n / 100, n % 100);
}

static bool number_at(const char *text, size_t n, int *out)
{
    *out = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return false;
        }
        *out = *out * 10 + (text[i] - '0');
    }
    return true;
}

/* Seconds since 1970 of "2026-11-23T15:00:00.123Z". */
static bool time_parse(const char *text, size_t n, time_t *out, int *ms)
{
    struct day day;
    int hour, minute, second;

    if (n != TIME_SIZE || text[10] != 'T' || text[13] != ':' || text[16] != ':' || text[19] != '.' ||
        text[23] != 'Z' || day_parse(span_of(text, 10), &day) != SG_OK || !number_at(text + 11, 2, &hour) ||
        !number_at(text + 14, 2, &minute) || !number_at(text + 17, 2, &second) ||
        !number_at(text + 20, 3, ms)) {
        return false;
    }
    *out = (time_t)day.n * 86400 + (time_t)hour * 3600 + (time_t)minute * 60 + second;
    return true;
}

static bool is_time(const json_t *text)
{
    time_t at;
    int ms;
    return json_is_string(text) && time_parse(json_string_value(text), json_string_length(text), &at, &ms);
}

static void local_time(const json_t *text, struct bytes *out)
{
    char date[32];
    char zone[8];
    struct tm tm;
    time_t at;
    int ms;

    if (!time_parse(json_string_value(text), json_string_length(text), &at, &ms) ||
        localtime_r(&at, &tm) == NULL || strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &tm) == 0 ||
        strftime(zone, sizeof zone, "%z", &tm) != 5) {
        table_clean(span_of(json_string_value(text), json_string_length(text)), out);
        return;
    }
    bytes_printf(out, "%s", date);
    if (ms != 0) {
        bytes_printf(out, ".%03d", ms);
    }
    bytes_printf(out, "%.3s:%s", zone, zone + 3);
}

static void compact(const json_t *value, struct bytes *out)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
    CHECK(text != NULL);
    table_clean(span_str(text), out);
    free(text); /* jansson's own allocator. */
}

static void id(const json_t *text, struct bytes *out)
{
    static const char cut[] = "...";
    size_t n = json_string_length(text);
    bool fits = n <= TRANSFER_ID_SIZE_MAX;

    table_clean(span_of(json_string_value(text), fits ? n : TRANSFER_ID_SIZE_MAX - (sizeof cut - 1)), out);
    bytes_printf(out, "%s", fits ? "" : cut);
}

void table_cell(const json_t *value, enum cell_kind kind, struct bytes *out)
{
    if (value == NULL || json_is_null(value) || (json_is_string(value) && json_string_length(value) == 0)) {
        bytes_printf(out, "-");
    } else if (json_is_string(value) && kind == CELL_TIME) {
        local_time(value, out);
    } else if (json_is_string(value) && kind == CELL_ID) {
        id(value, out);
    } else if (json_is_string(value)) {
        table_clean(span_of(json_string_value(value), json_string_length(value)), out);
    } else if (json_is_integer(value) && kind == CELL_CENTS) {
        money(json_integer_value(value), out);
    } else if (json_is_boolean(value)) {
        bytes_printf(out, "%s", json_is_true(value) ? "yes" : "no");
    } else {
        compact(value, out);
    }
}

/* --- Tables ------------------------------------------------------------------------- */

static const json_t *value_at(const json_t *row, const char *key)
{
    const char *dot = strchr(key, '.');
    char first[KEY_SIZE];

    if (dot == NULL) {
        return json_object_get(row, key);
    }
    (void)span_cstr(span_of(key, (size_t)(dot - key)), first, sizeof first);
    return value_at(json_object_get(row, first), dot + 1);
}

static void pad(struct bytes *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        bytes_append(out, " ", 1);
    }
}

static void put(struct bytes *line, struct span text, size_t width, bool right)
{
    size_t rest = width > text.n ? width - text.n : 0;
    pad(line, right ? rest : 0);
    bytes_append_span(line, text);
    pad(line, right ? 0 : rest);
}

static void end_line(struct bytes *line, struct bytes *out)
{
    while (line->n > 0 && line->p[line->n - 1] == ' ') {
        line->n--;
    }
    bytes_append_span(out, span_bytes(line));
    bytes_append(out, "\n", 1);
    bytes_clear(line);
}

static size_t width_of(const struct column *c, const json_t *rows, struct bytes *scratch)
{
    size_t width = strlen(c->head);
    size_t i;
    json_t *row;

    json_array_foreach(rows, i, row)
    {
        bytes_clear(scratch);
        table_cell(value_at(row, c->key), c->kind, scratch);
        width = scratch->n > width ? scratch->n : width;
    }
    return width;
}

static bool is_right(const struct column *c)
{
    return c->kind == CELL_NUMBER || c->kind == CELL_CENTS;
}

#define COLUMNS_COUNT 32

/* Where the word at at ends: at a blank, but not one within quotes. */
static size_t word_end(struct span text, size_t at)
{
    bool quoted = false;
    for (; at < text.n && (quoted || text.p[at] != ' '); at++) {
        quoted = quoted != (text.p[at] == '\'');
    }
    return at;
}

/* text into line, which goes on below its own beginning where room columns are full.
 * A word that is longer stands alone. */
static void put_words(struct bytes *line, struct span text, size_t room, struct bytes *out)
{
    size_t indent = line->n;
    size_t used = 0;

    for (size_t at = 0; at < text.n;) {
        size_t end = word_end(text, at);
        if (used > 0 && used + 1 + (end - at) > room) {
            end_line(line, out);
            pad(line, indent);
            used = 0;
        }
        pad(line, used > 0 ? 1 : 0);
        bytes_append(line, text.p + at, end - at);
        used += (used > 0 ? 1 : 0) + (end - at);
        at = end < text.n ? end + 1 : end;
    }
}

#define LAST_WIDTH_MIN 24 /* A narrower last column would be a ribbon: it is wider than the line then. */

void table_render(const struct column *columns, size_t count, const json_t *rows, bool heads, size_t width,
                  struct bytes *out)
{
    const struct column *shown[COLUMNS_COUNT];
    size_t widths[COLUMNS_COUNT];
    size_t shown_count = 0;
    struct bytes line = BYTES_NONE;
    struct bytes cell = BYTES_NONE;
    size_t before = 0; /* Of the last column. */
    size_t i;
    json_t *row;

    CHECK(count <= COLUMNS_COUNT);
    for (size_t k = 0; k < count; k++) {
        if (width == 0 || !columns[k].is_wide) {
            shown[shown_count++] = &columns[k];
        }
    }
    for (size_t k = 0; k < shown_count; k++) {
        widths[k] = width_of(shown[k], rows, &cell);
        before += k + 1 < shown_count ? widths[k] + strlen(GAP) : 0;
        pad(&line, k == 0 ? 0 : strlen(GAP));
        put(&line, span_str(shown[k]->head), widths[k], is_right(shown[k]));
    }
    if (heads) {
        end_line(&line, out);
    }
    bytes_clear(&line);
    json_array_foreach(rows, i, row)
    {
        for (size_t k = 0; k < shown_count; k++) {
            bool wraps = width > 0 && k + 1 == shown_count && shown[k]->kind == CELL_TEXT;
            bytes_clear(&cell);
            table_cell(value_at(row, shown[k]->key), shown[k]->kind, &cell);
            pad(&line, k == 0 ? 0 : strlen(GAP));
            if (wraps && before + LAST_WIDTH_MIN <= width) {
                put_words(&line, span_bytes(&cell), width - before, out);
            } else {
                put(&line, span_bytes(&cell), widths[k], is_right(shown[k]));
            }
        }
        end_line(&line, out);
    }
    bytes_release(&line);
    bytes_release(&cell);
}

/* --- Records ------------------------------------------------------------------------- */

/* Walks the object twice: once for the width of the keys, once to print. */
struct record {
    struct bytes *out; /* NULL: only the width. */
    size_t width;
};

static bool ends_with(const char *text, const char *end)
{
    size_t n = strlen(text);
    size_t m = strlen(end);
    return n > m && strcmp(text + n - m, end) == 0;
}

static void record_line(struct record *r, char *key, const json_t *value)
{
    enum cell_kind kind = is_time(value) ? CELL_TIME : CELL_TEXT;

    if (json_is_integer(value) && ends_with(key, "_cents")) {
        key[strlen(key) - strlen("_cents")] = '\0';
        kind = CELL_CENTS;
    } else if (json_is_integer(value) && strcmp(key, "amount") == 0) {
        kind = CELL_CENTS;
    }
    if (r->out == NULL) {
        r->width = strlen(key) > r->width ? strlen(key) : r->width;
        return;
    }
    put(r->out, span_str(key), r->width, false);
    bytes_printf(r->out, GAP);
    table_cell(value, kind, r->out);
    bytes_append(r->out, "\n", 1);
}

static void record_walk(struct record *r, const char *prefix, const json_t *object)
{
    const char *name;
    json_t *value;

    json_object_foreach((json_t *)(uintptr_t)object, name, value)
    {
        struct bytes clean = BYTES_NONE;
        char key[KEY_SIZE];
        bool is_rows =
            json_is_array(value) && (json_array_size(value) == 0 || json_is_object(json_array_get(value, 0)));
        table_clean(span_str(name), &clean);
        (void)snprintf(key, sizeof key, "%s%s%.*s", prefix, prefix[0] == '\0' ? "" : ".",
                       (int)(clean.n < KEY_SIZE ? clean.n : KEY_SIZE), (const char *)clean.p);
        bytes_release(&clean);
        if (strcmp(key, "v") == 0 || is_rows) {
            continue;
        }
        /* Metadata is the client's: its keys mean nothing here. */
        if (json_is_object(value) && strcmp(key, "metadata") != 0) {
            record_walk(r, key, value);
        } else {
            record_line(r, key, value);
        }
    }
}

void table_record(const json_t *object, struct bytes *out)
{
    struct record r = {.out = NULL, .width = 0};
    record_walk(&r, "", object);
    r.out = out;
    record_walk(&r, "", object);
}
