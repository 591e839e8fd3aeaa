#include "shard/ach/name.h"

#include <stdio.h>
#include <string.h>

/* A name under construction. fault is set by the first thing that goes wrong. */
struct rendering {
    const struct shard_settings *settings;
    const struct ach_name *name;
    char *out; /* ACH_NAME_SIZE */
    size_t n;
    bool has_date, has_modifier;
    char *why;
    size_t why_size;
};

static enum sg_err put_char(struct rendering *r, uint8_t c)
{
    if (c <= 0x20 || c > 0x7E || c == '/' || c == '\\') {
        (void)snprintf(r->why, r->why_size, "file_name: a name has no character 0x%02X", (unsigned)c);
        return SG_INVALID;
    }
    if (r->n == 0 && c == '.') {
        (void)snprintf(r->why, r->why_size, "file_name: a name does not begin with '.'");
        return SG_INVALID;
    }
    if (r->n == FILE_NAME_SIZE_MAX) {
        (void)snprintf(r->why, r->why_size, "file_name: a name would have more than %d characters",
                       FILE_NAME_SIZE_MAX);
        return SG_INVALID;
    }
    r->out[r->n++] = (char)c;
    return SG_OK;
}

static enum sg_err put_span(struct rendering *r, struct span s)
{
    enum sg_err err = SG_OK;
    for (size_t i = 0; i < s.n && err == SG_OK; i++) {
        err = put_char(r, s.p[i]);
    }
    return err;
}

static enum sg_err put_number(struct rendering *r, int width, uint64_t n)
{
    char text[24];
    (void)snprintf(text, sizeof text, "%0*llu", width, (unsigned long long)n);
    return put_span(r, span_str(text));
}

static enum sg_err put_date_part(struct rendering *r, uint8_t letter)
{
    struct civil c = day_civil(r->name->day);
    int32_t day_of_year = r->name->day.n - day_of(c.year, 1, 1).n + 1;
    switch (letter) {
    case 'Y':
        return put_number(r, 4, (uint64_t)c.year);
    case 'y':
        return put_number(r, 2, (uint64_t)c.year % 100);
    case 'm':
        return put_number(r, 2, (uint64_t)c.month);
    case 'd':
        return put_number(r, 2, (uint64_t)c.day);
    case 'j':
        return put_number(r, 3, (uint64_t)day_of_year);
    default:
        (void)snprintf(r->why, r->why_size, "file_name: {date:...} knows %%Y %%y %%m %%d %%j, not %%%c",
                       letter > 0x20 && letter < 0x7F ? (char)letter : '?');
        return SG_INVALID;
    }
}

static enum sg_err put_date(struct rendering *r, struct span format)
{
    char seen[128] = {0};
    for (size_t i = 0; i < format.n; i++) {
        bool is_part = format.p[i] == '%' && i + 1 < format.n;
        i += is_part ? 1 : 0;
        enum sg_err err = is_part ? put_date_part(r, format.p[i]) : put_char(r, format.p[i]);
        if (err != SG_OK) {
            return err;
        }
        if (is_part) {
            seen[format.p[i]] = 1;
        }
    }
    if ((seen['Y'] || seen['y']) && (seen['j'] || (seen['m'] && seen['d']))) {
        r->has_date = true;
    }
    return SG_OK;
}

static enum sg_err put_modifier(struct rendering *r)
{
    char c = r->name->modifier;
    if (!((c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'))) {
        (void)snprintf(r->why, r->why_size, "a file ID modifier is A to Z or 0 to 9");
        return SG_INVALID;
    }
    r->has_modifier = true;
    return put_char(r, (uint8_t)c);
}

/* What stands between braces. */
static enum sg_err put_placeholder(struct rendering *r, struct span key)
{
    static const char date_prefix[] = "date:";
    size_t prefix_size = sizeof date_prefix - 1;
    if (span_is(key, "routing_number")) {
        return put_number(r, 9, r->settings->routing_number.n);
    }
    if (span_is(key, "origin")) {
        return put_span(r, r->settings->origin);
    }
    if (span_is(key, "window")) {
        return put_span(r, r->name->window);
    }
    if (span_is(key, "modifier")) {
        return put_modifier(r);
    }
    if (span_is(key, "sequence")) {
        return put_number(r, 1, r->name->sequence);
    }
    if (span_is(key, "date")) {
        return put_date(r, span_str("%Y%m%d"));
    }
    if (key.n > prefix_size && memcmp(key.p, date_prefix, prefix_size) == 0) {
        return put_date(r, span_of(key.p + prefix_size, key.n - prefix_size));
    }
    char text[40];
    (void)snprintf(
        r->why, r->why_size,
        "file_name: unknown placeholder {%s}; known are routing_number, origin, date, date:FORMAT, "
        "window, modifier, sequence",
        span_cstr(key, text, sizeof text));
    return SG_INVALID;
}

static enum sg_err put_template(struct rendering *r, struct span t)
{
    for (size_t i = 0; i < t.n; i++) {
        enum sg_err err = SG_OK;
        if (t.p[i] == '{') {
            const uint8_t *end = memchr(t.p + i, '}', t.n - i);
            if (end == NULL) {
                (void)snprintf(r->why, r->why_size, "file_name: '{' without '}'");
                return SG_INVALID;
            }
            size_t size = (size_t)(end - (t.p + i)) - 1;
            err = put_placeholder(r, span_of(t.p + i + 1, size));
            i += size + 1;
        } else if (t.p[i] == '}') {
            (void)snprintf(r->why, r->why_size, "file_name: '}' without '{'");
            return SG_INVALID;
        } else {
            err = put_char(r, t.p[i]);
        }
        if (err != SG_OK) {
            return err;
        }
    }
    return SG_OK;
}

enum sg_err name_render(const struct shard_settings *s, const struct ach_name *n, char out[ACH_NAME_SIZE],
                        char *why, size_t why_size)
{
    struct rendering r = {.settings = s, .name = n, .out = out, .why = why, .why_size = why_size};
    enum sg_err err = put_template(&r, s->file_name);
    if (err == SG_OK && !(r.has_date && r.has_modifier)) {
        (void)snprintf(
            why, why_size,
            "file_name: without a whole {date} (year, month and day) and {modifier} a name would come twice");
        err = SG_INVALID;
    }
    out[err == SG_OK ? r.n : 0] = '\0';
    return err;
}

enum sg_err name_check(const struct shard_settings *s, char *why, size_t why_size)
{
    char out[ACH_NAME_SIZE];
    static const char longest_window[] = "WWWWWWWWWWWWWWWW";
    struct ach_name longest = {
        .day = day_of(9999, 12, 31),
        .window = span_str(longest_window),
        .modifier = 'A',
        .sequence = UINT64_MAX,
    };
    return name_render(s, &longest, out, why, why_size);
}
