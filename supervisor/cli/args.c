#include "supervisor/cli/args.h"

#include <getopt.h>
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

#define LONG_FIRST 256 /* What getopt_long() calls options by, beside letters. */

struct reader {
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

/* What getopt_long() returns or leaves in optopt, as an option; OPTIONS: none. */
static enum cli_option option_of(int found)
{
    for (unsigned i = 0; i < OPTIONS; i++) {
        if (found == LONG_FIRST + (int)i || (found != 0 && found == rows[i].letter)) {
            return (enum cli_option)i;
        }
    }
    return OPTIONS;
}

static bool needs_value(struct reader *r, enum cli_option o)
{
    (void)snprintf(r->why, r->why_size, "--%s needs a value: --%s %s", rows[o].name, rows[o].name,
                   rows[o].value);
    return false;
}

static bool option(struct reader *r, enum cli_option o, const char *value)
{
    if (r->out->option[o] != NULL) {
        (void)snprintf(r->why, r->why_size, "--%s is given twice", rows[o].name);
        return false;
    }
    if (rows[o].value != NULL && value[0] == '\0') {
        return needs_value(r, o);
    }
    r->out->option[o] = rows[o].value == NULL ? "true" : value;
    return true;
}

/* name: without its hyphens. */
static bool unknown(struct reader *r, const char *hyphens, const char *name)
{
    const char *known[OPTIONS];
    const char *near;

    for (size_t i = 0; i < OPTIONS; i++) {
        known[i] = rows[i].name;
    }
    near = words_nearest(name, known, OPTIONS);
    (void)snprintf(r->why, r->why_size, "unknown option %s%s%s%s%s", hyphens, name,
                   near == NULL ? "" : ": did you mean --", near == NULL ? "" : near,
                   near == NULL ? ": see 'shardgate help'" : "?");
    return false;
}

/* getopt_long() took this element for none of ours, or its option may have no value. */
static bool refuse(struct reader *r, const char *element)
{
    enum cli_option o = option_of(optopt);
    char name[64];

    if (o != OPTIONS) {
        (void)snprintf(r->why, r->why_size, "--%s takes no value", rows[o].name);
        return false;
    }
    if (optopt != 0) {
        (void)snprintf(name, sizeof name, "%c", optopt);
        return unknown(r, "-", name);
    }
    element += strlen("--");
    (void)snprintf(name, sizeof name, "%.*s", (int)strcspn(element, "="), element);
    return unknown(r, "--", name);
}

static bool take(struct reader *r, int found, const char *element)
{
    switch (found) {
    case 1:
        return word(r, optarg);
    case ':':
        return needs_value(r, option_of(optopt));
    case '?':
        return refuse(r, element);
    default:
        return option(r, option_of(found), optarg);
    }
}

static bool read_all(struct reader *r, int argc, char *const *argv)
{
    /* "-": words come in their places, as 1. ":": a missing value is told apart. */
    char letters[sizeof "-:" + (size_t)2 * OPTIONS] = "-:";
    struct option names[OPTIONS + 1] = {{NULL, 0, NULL, 0}};
    size_t n = strlen(letters);
    int found;

    for (unsigned i = 0; i < OPTIONS; i++) {
        bool has_value = rows[i].value != NULL;
        names[i] = (struct option){rows[i].name, has_value ? required_argument : no_argument, NULL,
                                   LONG_FIRST + (int)i};
        if (rows[i].letter != 0) {
            letters[n++] = rows[i].letter;
            letters[n] = ':';
            n += has_value;
        }
    }
    letters[n] = '\0';
    opterr = 0;
    optind = 0; /* glibc: begin anew. */
    while ((found = getopt_long(argc, argv, letters, names, NULL)) != -1) {
        if (!take(r, found, argv[optind - 1])) {
            return false;
        }
    }
    for (; optind < argc; optind++) { /* Behind "--". */
        if (!word(r, argv[optind])) {
            return false;
        }
    }
    return true;
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
    if (text != NULL && strcmp(text, "wide") == 0) {
        r->out->is_wide = true;
        return true;
    }
    if (text != NULL) {
        (void)snprintf(r->why, r->why_size, "--output %s: known are text, wide, json and jsonl", text);
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
    struct reader r = {.out = out, .why = why, .why_size = why_size};

    memset(out, 0, sizeof *out);
    return read_all(&r, argc, argv) && take_output(&r) && take_timeout(&r) ? SG_OK : SG_INVALID;
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
    } units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {"d", 86400000}, {"", 1000}};
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
