#include "shard/ach/text.h"

#include <stdio.h>
#include <string.h>

static uint8_t upper_of(uint8_t c)
{
    return c >= 'a' && c <= 'z' ? (uint8_t)(c - 32) : c;
}

bool text_is_upper(struct span s, const char *upper)
{
    size_t n = strlen(upper);
    for (size_t i = 0; i < s.n && i < n; i++) {
        if (upper_of(s.p[i]) != (uint8_t)upper[i]) {
            return false;
        }
    }
    return s.n == n;
}

static struct span without_blanks_behind(struct span s)
{
    while (s.n > 0 && s.p[s.n - 1] == ' ') {
        s.n--;
    }
    return s;
}

int text_cmp_written(struct span a, struct span b, bool upper)
{
    a = without_blanks_behind(a);
    b = without_blanks_behind(b);
    for (size_t i = 0; i < a.n && i < b.n; i++) {
        int x = upper ? upper_of(a.p[i]) : a.p[i];
        int y = upper ? upper_of(b.p[i]) : b.p[i];
        if (x != y) {
            return x < y ? -1 : 1;
        }
    }
    return a.n < b.n ? -1 : (a.n > b.n ? 1 : 0);
}

bool text_is_blank_or_zero(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != ' ' && s.p[i] != '0') {
            return false;
        }
    }
    return true;
}

bool text_is_digits(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
    }
    return true;
}

bool text_is_printable(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < 0x20 || s.p[i] > 0x7E) {
            return false;
        }
    }
    return true;
}

static enum sg_err text_check(const struct text_rule *r, char *why, size_t why_size)
{
    if (r->text.n > r->size_max) {
        (void)snprintf(why, why_size, "%s: has %zu characters, the field takes %zu", r->key, r->text.n,
                       r->size_max);
        return SG_INVALID;
    }
    if (!text_is_printable(r->text)) {
        (void)snprintf(why, why_size, "%s: has a character outside of printable ASCII", r->key);
        return SG_INVALID;
    }
    if (r->text.n > 0 && r->text.p[0] == ' ') {
        (void)snprintf(why, why_size, "%s: begins with a blank", r->key);
        return SG_INVALID;
    }
    if (r->mandatory && text_is_blank_or_zero(r->text)) {
        (void)snprintf(why, why_size, "%s: must be neither empty nor all zeros", r->key);
        return SG_INVALID;
    }
    return SG_OK;
}

enum sg_err text_check_all(const struct text_rule *rules, size_t count, char *why, size_t why_size)
{
    enum sg_err err = SG_OK;
    for (size_t i = 0; i < count && err == SG_OK; i++) {
        err = text_check(&rules[i], why, why_size);
    }
    return err;
}

enum sg_err text_fail(char *why, size_t why_size, const char *text)
{
    (void)snprintf(why, why_size, "%s", text);
    return SG_INVALID;
}
