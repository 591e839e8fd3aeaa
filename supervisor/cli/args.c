#include "supervisor/cli/args.h"

#include <stdio.h>
#include <string.h>

#include "supervisor/config/words.h"

#define OPTION_ROW(id, name, letter, value, help) {name, letter, value, help},
static const struct option_row rows[OPTIONS] = {OPTION_TABLE(OPTION_ROW)};
#undef OPTION_ROW

const struct option_row *args_options(void)
{
    return rows;
}

struct reader {
    int argc;
    char *const *argv;
    int at;
    bool only_words;
    struct args *out;
    char *why;
    size_t why_size;
};

static bool word(struct reader *r, const char *text)
{
    if (r->out->words_count == COMMAND_WORDS_MAX) {
        (void)snprintf(r->why, r->why_size, "too many words, from %s on", text);
        return false;
    }
    r->out->words[r->out->words_count++] = text;
    return true;
}

/* inline_value: what stood behind "=" or the letter, or NULL. */
static bool option(struct reader *r, enum option o, const char *inline_value)
{
    const char *value = inline_value;

    if (r->out->option[o] != NULL) {
        (void)snprintf(r->why, r->why_size, "--%s is given twice", rows[o].name);
        return false;
    }
    if (rows[o].value == NULL) {
        if (inline_value != NULL) {
            (void)snprintf(r->why, r->why_size, "--%s takes no value", rows[o].name);
            return false;
        }
        r->out->option[o] = "true";
        return true;
    }
    if (value == NULL && r->at < r->argc) {
        value = r->argv[r->at++];
    }
    if (value == NULL || value[0] == '\0') {
        (void)snprintf(r->why, r->why_size, "--%s needs a value: --%s %s", rows[o].name, rows[o].name,
                       rows[o].value);
        return false;
    }
    r->out->option[o] = value;
    return true;
}

static bool unknown(struct reader *r, const char *text, const char *name)
{
    const char *known[OPTIONS];
    const char *near;

    for (size_t i = 0; i < OPTIONS; i++) {
        known[i] = rows[i].name;
    }
    near = words_nearest(name, known, OPTIONS);
    (void)snprintf(r->why, r->why_size, "unknown option %s%s%s%s", text,
                   near == NULL ? "" : ": did you mean --", near == NULL ? "" : near,
                   near == NULL ? ": see 'shardgate help'" : "?");
    return false;
}

static bool long_option(struct reader *r, const char *text)
{
    const char *equals = strchr(text, '=');
    size_t n = equals == NULL ? strlen(text) : (size_t)(equals - text);
    char name[64];

    for (unsigned i = 0; i < OPTIONS; i++) {
        if (strlen(rows[i].name) == n && memcmp(rows[i].name, text, n) == 0) {
            return option(r, (enum option)i, equals == NULL ? NULL : equals + 1);
        }
    }
    (void)snprintf(name, sizeof name, "%.*s", (int)(n < sizeof name ? n : sizeof name - 1), text);
    return unknown(r, text - 2, name);
}

static bool short_option(struct reader *r, const char *text)
{
    for (unsigned i = 0; i < OPTIONS; i++) {
        if (rows[i].letter != 0 && rows[i].letter == text[0]) {
            return option(r, (enum option)i, text[1] == '\0' ? NULL : text + 1);
        }
    }
    return unknown(r, text - 1, text);
}

static bool read_one(struct reader *r)
{
    const char *text = r->argv[r->at++];

    if (r->only_words || text[0] != '-' || text[1] == '\0') {
        return word(r, text);
    }
    if (strcmp(text, "--") == 0) {
        r->only_words = true;
        return true;
    }
    return text[1] == '-' ? long_option(r, text + 2) : short_option(r, text + 1);
}

static bool take_output(struct reader *r)
{
    static const char *const names[] = {"text", "json", "jsonl"};
    const char *text = r->out->option[OPTION_OUTPUT];

    for (unsigned i = 0; text != NULL && i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(text, names[i]) == 0) {
            r->out->output = (enum output)i;
            return true;
        }
    }
    if (text != NULL) {
        (void)snprintf(r->why, r->why_size, "--output %s: known are text, json and jsonl", text);
    }
    return text == NULL;
}

static bool take_timeout(struct reader *r)
{
    const char *text = r->out->option[OPTION_TIMEOUT];

    if (text != NULL && !args_duration(text, &r->out->timeout_ms)) {
        (void)snprintf(r->why, r->why_size, "--timeout %s: write it like 500ms, 10s or 2m", text);
        return false;
    }
    return true;
}

enum sg_err args_parse(int argc, char *const *argv, struct args *out, char *why, size_t why_size)
{
    struct reader r = {.argc = argc, .argv = argv, .at = 1, .out = out, .why = why, .why_size = why_size};

    memset(out, 0, sizeof *out);
    while (r.at < argc) {
        if (!read_one(&r)) {
            return SG_INVALID;
        }
    }
    return take_output(&r) && take_timeout(&r) ? SG_OK : SG_INVALID;
}

uint32_t args_given(const struct args *a)
{
    uint32_t set = 0;
    for (unsigned i = 0; i < OPTIONS; i++) {
        set |= a->option[i] != NULL ? OPTION_BIT(i) : 0;
    }
    return set;
}

/* Digits at the beginning of text; returns what follows, NULL when there are none or too many. */
static const char *digits(const char *text, uint64_t *out)
{
    size_t n = strspn(text, "0123456789");

    *out = 0;
    if (n == 0 || n > 19) {
        return NULL;
    }
    for (size_t i = 0; i < n; i++) {
        *out = *out * 10 + (uint64_t)(text[i] - '0');
    }
    return text + n;
}

bool args_number(const char *text, uint64_t *out)
{
    const char *rest = digits(text, out);
    return rest != NULL && *rest == '\0';
}

bool args_duration(const char *text, uint32_t *out_ms)
{
    static const struct {
        const char *unit;
        uint64_t ms;
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"", 1000}};
    uint64_t n;
    const char *rest = digits(text, &n);

    for (size_t i = 0; rest != NULL && i < sizeof units / sizeof units[0]; i++) {
        if (strcmp(rest, units[i].unit) == 0) {
            if (n == 0 || n > UINT32_MAX / units[i].ms) {
                return false;
            }
            *out_ms = (uint32_t)(n * units[i].ms);
            return true;
        }
    }
    return false;
}
