/* Can two templates give one name?
 *
 * Everything but {window}, {sequence} and {origin} has a width of its own. So a
 * template has a fixed front, up to the first of those, and a fixed back, and
 * two of them can be laid one upon the other. */
#include <string.h>

#include "proto/base/limits.h"
#include "shard/ach/name.h"

#define CELLS_MAX ((size_t)2 * FILE_NAME_SIZE_MAX)
#define CELL_ANY 256     /* A character that is not always the same. */
#define CELL_ROUTING 257 /* The first digit of the routing number, then the second ... */
#define ROUTING_DIGITS 9

struct cells {
    uint16_t c[CELLS_MAX];
    size_t n;
    bool whole; /* There is nothing of another width behind them. */
};

static void put(struct cells *out, uint16_t cell)
{
    if (out->n < CELLS_MAX) {
        out->c[out->n++] = cell;
    }
}

static void put_any(struct cells *out, size_t count)
{
    while (count-- > 0) {
        put(out, CELL_ANY);
    }
}

static void put_date(struct cells *out, struct span format)
{
    for (size_t i = 0; i < format.n; i++) {
        if (format.p[i] != '%' || i + 1 == format.n) {
            put(out, format.p[i]);
            continue;
        }
        i++;
        put_any(out, format.p[i] == 'Y' ? 4 : format.p[i] == 'j' ? 3 : 2);
    }
}

/* false: its width is not always the same. */
static bool put_placeholder(struct cells *out, struct span key)
{
    static const char date_prefix[] = "date:";
    size_t prefix_size = sizeof date_prefix - 1;

    if (span_is(key, "routing_number")) {
        for (uint16_t i = 0; i < ROUTING_DIGITS; i++) {
            put(out, CELL_ROUTING + i);
        }
        return true;
    }
    if (span_is(key, "modifier")) {
        put_any(out, 1);
        return true;
    }
    if (span_is(key, "date")) {
        put_date(out, span_str("%Y%m%d"));
        return true;
    }
    if (key.n > prefix_size && memcmp(key.p, date_prefix, prefix_size) == 0) {
        put_date(out, span_of(key.p + prefix_size, key.n - prefix_size));
        return true;
    }
    return false;
}

/* The cells from position i up to where the width is not fixed; returns where. */
static size_t lay_out(struct span t, size_t i, struct cells *out)
{
    out->n = 0;
    out->whole = false;
    while (i < t.n) {
        const uint8_t *end = t.p[i] == '{' ? memchr(t.p + i, '}', t.n - i) : NULL;
        if (end == NULL) {
            put(out, t.p[i++]);
            continue;
        }
        size_t size = (size_t)(end - (t.p + i)) - 1;
        size_t next = i + size + 2;
        if (!put_placeholder(out, span_of(t.p + i + 1, size))) {
            return next;
        }
        i = next;
    }
    out->whole = true;
    return i;
}

static void front_of(struct span t, struct cells *out)
{
    (void)lay_out(t, 0, out);
}

/* What stands behind the last part without a fixed width. */
static void back_of(struct span t, struct cells *out)
{
    size_t at = 0;
    do {
        at = lay_out(t, at, out);
    } while (!out->whole);
}

/* From the front (or the back) on, is there a place at which the two always differ? */
static bool always_differ(const struct cells *a, const struct cells *b, bool from_back)
{
    size_t n = a->n < b->n ? a->n : b->n;
    for (size_t i = 0; i < n; i++) {
        uint16_t x = a->c[from_back ? a->n - 1 - i : i];
        uint16_t y = b->c[from_back ? b->n - 1 - i : i];
        /* Two shards have two routing numbers. */
        if ((x < CELL_ANY && y < CELL_ANY && x != y) || (x >= CELL_ROUTING && x == y)) {
            return true;
        }
    }
    return false;
}

bool name_may_clash(struct span a, struct span b)
{
    struct cells x;
    struct cells y;

    front_of(a, &x);
    front_of(b, &y);
    if (always_differ(&x, &y, false) || (x.whole && y.whole && x.n != y.n)) {
        return false;
    }
    back_of(a, &x);
    back_of(b, &y);
    return !always_differ(&x, &y, true);
}
