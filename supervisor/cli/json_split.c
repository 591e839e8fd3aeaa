#include "supervisor/cli/json_split.h"

#include <string.h>

static bool is_blank(uint8_t c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r';
}

static size_t skip_blanks(struct span text, size_t at)
{
    while (at < text.n && is_blank(text.p[at])) {
        at++;
    }
    return at;
}

/* Where the text that begins with a quote at at ends; 0: it does not. */
static size_t string_end(struct span text, size_t at)
{
    for (at++; at < text.n && text.p[at] != '\n'; at++) {
        if (text.p[at] == '\\') {
            at++;
        } else if (text.p[at] == '"') {
            return at + 1;
        }
    }
    return 0;
}

/* Where the value at at ends, by its brackets and quotes alone; 0: it does not. */
static size_t value_end(struct span text, size_t at)
{
    size_t depth = 0;

    while (at < text.n) {
        uint8_t c = text.p[at];
        if (c == '"') {
            at = string_end(text, at);
            if (at == 0) {
                return 0;
            }
            if (depth == 0) {
                return at;
            }
            continue;
        }
        if (depth == 0 && (c == ',' || c == ']' || c == '}' || is_blank(c))) {
            return at;
        }
        if (c == '{' || c == '[') {
            depth++;
        } else if ((c == '}' || c == ']') && --depth == 0) {
            return at + 1;
        }
        at++;
    }
    return depth == 0 ? at : 0;
}

static enum json_form form_of(struct span text)
{
    size_t at = skip_blanks(text, 0);
    const uint8_t *line_end;
    size_t end;

    if (at == text.n) {
        return JSON_FORM_EMPTY;
    }
    if (text.p[at] == '[') {
        return JSON_FORM_ARRAY;
    }
    end = value_end(text, at);
    line_end = memchr(text.p + at, '\n', text.n - at);
    /* Several lines, and one value to the end of them. */
    if (line_end != NULL && end > (size_t)(line_end - text.p) && skip_blanks(text, end) == text.n) {
        return JSON_FORM_ONE;
    }
    return JSON_FORM_LINES;
}

/* RFC 8259, 8.1: a parser may pass over it, and some editors write one. */
static struct span skip_mark(struct span text)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    bool has_one = text.n >= sizeof mark && memcmp(text.p, mark, sizeof mark) == 0;
    return has_one ? span_of(text.p + sizeof mark, text.n - sizeof mark) : text;
}

void json_split_init(struct json_split *s, struct span text)
{
    text = skip_mark(text);
    *s = (struct json_split){.text = text, .form = form_of(text), .line = 1};
    s->ended = s->form == JSON_FORM_EMPTY;
    if (s->form == JSON_FORM_ARRAY) {
        s->at = skip_blanks(text, 0) + 1;
        for (size_t i = 0; i < s->at; i++) {
            s->line += text.p[i] == '\n';
        }
    }
}

static void move_to(struct json_split *s, size_t at)
{
    for (size_t i = s->at; i < at; i++) {
        s->line += s->text.p[i] == '\n';
    }
    s->at = at;
}

static bool piece(struct json_split *s, size_t end, const char *fault, struct json_piece *out)
{
    *out = (struct json_piece){span_of(s->text.p + s->at, end - s->at), s->line, fault};
    while (out->text.n > 0 && is_blank(out->text.p[out->text.n - 1])) {
        out->text.n--;
    }
    s->ended = s->ended || fault != NULL;
    move_to(s, end);
    return true;
}

static bool next_line(struct json_split *s, struct json_piece *out)
{
    const uint8_t *line_end;

    move_to(s, skip_blanks(s->text, s->at));
    if (s->at == s->text.n) {
        return false;
    }
    line_end = memchr(s->text.p + s->at, '\n', s->text.n - s->at);
    return piece(s, line_end == NULL ? s->text.n : (size_t)(line_end - s->text.p), NULL, out);
}

/* Behind an element: a comma and another one, or the end. */
static const char *separator(struct json_split *s)
{
    size_t at = skip_blanks(s->text, s->at);

    if (at < s->text.n && s->text.p[at] == ',') {
        move_to(s, at + 1);
        return NULL;
    }
    s->ended = true;
    if (at == s->text.n || s->text.p[at] != ']') {
        return "a comma or ] is missing behind it";
    }
    return skip_blanks(s->text, at + 1) == s->text.n ? NULL : "something stands behind the array";
}

static bool next_element(struct json_split *s, struct json_piece *out)
{
    size_t end;

    move_to(s, skip_blanks(s->text, s->at));
    if (s->at < s->text.n && s->text.p[s->at] == ']') {
        bool alone = skip_blanks(s->text, s->at + 1) == s->text.n;
        s->ended = true;
        return alone ? false : piece(s, s->text.n, "something stands behind the array", out);
    }
    end = s->at < s->text.n ? value_end(s->text, s->at) : 0;
    if (end == 0 || end == s->at) {
        return piece(s, s->text.n, "the array ends in the middle", out);
    }
    (void)piece(s, end, NULL, out);
    out->fault = separator(s);
    s->ended = s->ended || out->fault != NULL;
    return true;
}

bool json_split_next(struct json_split *s, struct json_piece *out)
{
    if (s->ended) {
        return false;
    }
    if (s->form == JSON_FORM_LINES) {
        return next_line(s, out);
    }
    if (s->form == JSON_FORM_ARRAY) {
        return next_element(s, out);
    }
    s->ended = true;
    move_to(s, skip_blanks(s->text, 0));
    return piece(s, s->text.n, NULL, out);
}
