/* Strict reading of a tree: keys, numbers, times. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/base/limits.h"
#include "supervisor/config/words.h"
#include "supervisor/config/yaml_tree.h"

#define WORD_SIZE 64

static void list_words(const char *const *words, char *out, size_t size)
{
    size_t used = 0;
    out[0] = '\0';
    for (size_t i = 0; words[i] != NULL && used < size; i++) {
        used += (size_t)snprintf(out + used, size - used, "%s%s", i == 0 ? "" : ", ", words[i]);
    }
}

bool yaml_keys(struct yaml_reader *r, const struct yaml_node *n, const char *what, const char *const *known)
{
    if (r->failed) {
        return false;
    }
    if (n->kind != YAML_MAP) {
        return yaml_fail(r, n->line, "%s: keys with values are expected here", what);
    }
    for (size_t i = 0; i < n->count; i++) {
        const char *const *k = known;
        char key[WORD_SIZE];
        (void)span_cstr(n->pairs[i].key, key, sizeof key);
        while (*k != NULL && !span_is(n->pairs[i].key, *k)) {
            k++;
        }
        if (*k == NULL) {
            const char *near = words_nearest(key, known, (size_t)(k - known));
            char all[256];
            list_words(known, all, sizeof all);
            return near != NULL
                       ? yaml_fail(r, n->pairs[i].line, "%s: unknown key %s: did you mean %s?", what, key,
                                   near)
                       : yaml_fail(r, n->pairs[i].line, "%s: unknown key %s: known are %s", what, key, all);
        }
        for (size_t j = 0; j < i; j++) {
            if (span_eq(n->pairs[j].key, n->pairs[i].key)) {
                return yaml_fail(r, n->pairs[i].line,
                                 "%s: key %s stands here for the second time (first in line %zu)", what, key,
                                 n->pairs[j].line);
            }
        }
    }
    return true;
}

const struct yaml_node *yaml_get(const struct yaml_node *map, const char *key)
{
    for (size_t i = 0; i < map->count; i++) {
        if (span_is(map->pairs[i].key, key)) {
            return map->pairs[i].value;
        }
    }
    return NULL;
}

/* The scalar under key; NULL and no error when it is absent and not required. */
static const struct yaml_node *scalar(struct yaml_reader *r, const struct yaml_node *map, const char *key,
                                      bool required)
{
    const struct yaml_node *n = r->failed ? NULL : yaml_get(map, key);

    if (r->failed) {
        return NULL;
    }
    if (n == NULL && required) {
        (void)yaml_fail(r, map->line, "the key %s is missing here", key);
    }
    if (n != NULL && n->kind != YAML_SCALAR) {
        (void)yaml_fail(r, n->line, "%s: a single value is expected", key);
        return NULL;
    }
    return n;
}

static bool is_printable(struct yaml_reader *r, const struct yaml_node *n, const char *key)
{
    for (size_t i = 0; i < n->text.n; i++) {
        if (n->text.p[i] < 0x20 || n->text.p[i] > 0x7e) {
            return yaml_fail(r, n->line, "%s: only printable ASCII characters are allowed", key);
        }
    }
    return true;
}

bool yaml_text(struct yaml_reader *r, const struct yaml_node *map, const char *key, bool required, size_t max,
               struct span *out)
{
    const struct yaml_node *n = scalar(r, map, key, required);
    if (n == NULL) {
        return !r->failed;
    }
    if (n->text.n == 0 || n->text.n > max) {
        return yaml_fail(r, n->line, "%s: %zu characters; 1 to %zu are allowed", key, n->text.n, max);
    }
    *out = n->text;
    return is_printable(r, n, key);
}

/* Digits at the front of text as a number; rest is what follows. */
static bool leading_number(struct span text, uint64_t *number, struct span *rest)
{
    size_t i = 0;
    *number = 0;
    while (i < text.n && i < 18 && text.p[i] >= '0' && text.p[i] <= '9') {
        *number = *number * 10 + (uint64_t)(text.p[i] - '0');
        i++;
    }
    *rest = i == 0 ? text : span_of(text.p + i, text.n - i); /* An empty value has no bytes to point to. */
    return i > 0;
}

bool yaml_number(struct yaml_reader *r, const struct yaml_node *map, const char *key, uint64_t min,
                 uint64_t max, uint64_t *out)
{
    const struct yaml_node *n = scalar(r, map, key, false);
    uint64_t number;
    struct span rest;

    if (n == NULL) {
        return !r->failed;
    }
    if (!leading_number(n->text, &number, &rest) || rest.n > 0 || number < min || number > max) {
        return yaml_fail(r, n->line, "%s: a number from %llu to %llu is expected", key,
                         (unsigned long long)min, (unsigned long long)max);
    }
    *out = number;
    return true;
}

bool yaml_bool(struct yaml_reader *r, const struct yaml_node *map, const char *key, bool *out)
{
    const struct yaml_node *n = scalar(r, map, key, false);
    if (n == NULL) {
        return !r->failed;
    }
    if (!span_is(n->text, "true") && !span_is(n->text, "false")) {
        return yaml_fail(r, n->line, "%s: true or false is expected", key);
    }
    *out = span_is(n->text, "true");
    return true;
}

static bool two_digits(const uint8_t *p, int max, int *out)
{
    if (p[0] < '0' || p[0] > '9' || p[1] < '0' || p[1] > '9') {
        return false;
    }
    *out = (p[0] - '0') * 10 + (p[1] - '0');
    return *out <= max;
}

bool yaml_clock_text(struct span text, int *minute_of_day)
{
    int hour;
    int minute;

    if (text.n != 5 || text.p[2] != ':' || !two_digits(text.p, 23, &hour) ||
        !two_digits(text.p + 3, 59, &minute)) {
        return false;
    }
    *minute_of_day = hour * 60 + minute;
    return true;
}

bool yaml_clock(struct yaml_reader *r, const struct yaml_node *map, const char *key, bool required, int *out)
{
    const struct yaml_node *n = scalar(r, map, key, required);

    if (n == NULL) {
        return !r->failed;
    }
    if (!yaml_clock_text(n->text, out)) {
        return yaml_fail(r, n->line, "%s: a local time as \"HH:MM\" is expected (in quotes)", key);
    }
    return true;
}

struct unit {
    const char *name;
    uint64_t factor;
};

/* A number with a unit; false without an error when it is not one. */
static bool with_unit(struct span text, const struct unit *units, uint64_t *out)
{
    struct span rest;
    uint64_t number;
    if (!leading_number(text, &number, &rest)) {
        return false;
    }
    for (; units->name != NULL; units++) {
        if (span_is(rest, units->name)) {
            return !__builtin_mul_overflow(number, units->factor, out) && *out <= INT64_MAX;
        }
    }
    return false;
}

bool yaml_duration(struct yaml_reader *r, const struct yaml_node *map, const char *key, int64_t *out_ms)
{
    static const struct unit units[] = {{"ms", 1}, {"s", 1000}, {"m", 60000}, {"h", 3600000}, {NULL, 0}};
    const struct yaml_node *n = scalar(r, map, key, false);
    uint64_t ms;

    if (n == NULL) {
        return !r->failed;
    }
    if (!with_unit(n->text, units, &ms)) {
        return yaml_fail(r, n->line, "%s: a time such as 250ms, 2s, 5m or 24h is expected", key);
    }
    if (ms > DURATION_MAX_MS) {
        return yaml_fail(r, n->line, "%s: at most 366 days (8784h)", key);
    }
    *out_ms = (int64_t)ms;
    return true;
}

bool yaml_rate(struct yaml_reader *r, const struct yaml_node *map, const char *key, uint64_t *out_bytes)
{
    static const struct unit units[] = {{"B/s", 1},     {"KiB/s", 1024},   {"MiB/s", 1048576},
                                        {"KB/s", 1000}, {"MB/s", 1000000}, {NULL, 0}};
    const struct yaml_node *n = scalar(r, map, key, false);

    if (n == NULL) {
        return !r->failed;
    }
    if (span_is(n->text, "none")) {
        *out_bytes = 0;
        return true;
    }
    if (!with_unit(n->text, units, out_bytes)) {
        return yaml_fail(r, n->line, "%s: a rate such as 256KiB/s, 1MiB/s or none is expected", key);
    }
    if (*out_bytes == 0) { /* As a number it means none: the opposite of what was written. */
        return yaml_fail(r, n->line,
                         "%s: 0 would let nothing through: write none for no limit, or at least %dB/s", key,
                         RATE_LIMIT_MIN_BYTES);
    }
    return true;
}

bool yaml_size(struct yaml_reader *r, const struct yaml_node *map, const char *key, uint64_t *out_bytes)
{
    static const struct unit units[] = {
        {"B", 1}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}, {NULL, 0}};
    const struct yaml_node *n = scalar(r, map, key, false);

    if (n == NULL) {
        return !r->failed;
    }
    return with_unit(n->text, units, out_bytes) ||
           yaml_fail(r, n->line, "%s: a size such as 64GiB or 512MiB is expected", key);
}

bool yaml_choice(struct yaml_reader *r, const struct yaml_node *map, const char *key,
                 const char *const *words, int *out)
{
    const struct yaml_node *n = scalar(r, map, key, false);
    char all[256];

    if (n == NULL) {
        return !r->failed;
    }
    for (int i = 0; words[i] != NULL; i++) {
        if (span_is(n->text, words[i])) {
            *out = i + 1;
            return true;
        }
    }
    list_words(words, all, sizeof all);
    return yaml_fail(r, n->line, "%s: one of %s is expected", key, all);
}

bool yaml_texts(struct yaml_reader *r, const struct yaml_node *map, const char *key, size_t max,
                size_t max_chars, struct span **out, size_t *count)
{
    const struct yaml_node *n = r->failed ? NULL : yaml_get(map, key);

    if (n == NULL) {
        return !r->failed;
    }
    if (n->kind == YAML_SCALAR) {
        *out = arena_array(r->arena, 1, sizeof **out);
        *count = 1;
        return yaml_text(r, map, key, true, max_chars, *out);
    }
    if (n->kind != YAML_LIST || n->count > max) {
        return yaml_fail(r, n->line, "%s: a list of at most %zu is expected", key, max);
    }
    *out = arena_array(r->arena, n->count, sizeof **out);
    for (size_t i = 0; i < n->count; i++) {
        if (n->items[i]->kind != YAML_SCALAR || n->items[i]->text.n == 0 || n->items[i]->text.n > max_chars) {
            return yaml_fail(r, n->items[i]->line, "%s: a text of 1 to %zu characters is expected", key,
                             max_chars);
        }
        if (!is_printable(r, n->items[i], key)) {
            return false;
        }
        (*out)[i] = n->items[i]->text;
    }
    *count = n->count;
    return true;
}
