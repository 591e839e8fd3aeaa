#include "shard/ach/zone.h"

#include <string.h>

#include "shard/ach/zone_rule.h"

#define HEADER_SIZE 44
#define OFFSET_MAX_S 93599 /* RFC 8536, 3.2: -24:59:59 to 25:59:59. */
#define OFFSET_MIN_S (-89999)
#define DAY_S 86400

/* The six counts of a TZif header. */
struct counts {
    size_t isut, isstd, leap, time, type, chars;
};

/* One data block: where its parts begin. */
struct block {
    struct counts n;
    const uint8_t *times, *indexes, *types;
    size_t size; /* Header and data. */
};

/* Read the header at p, whose times take time_size bytes (4 in version 1, 8
 * later), and find the parts of the data behind it. */
static bool block_read(struct span data, size_t time_size, struct block *b)
{
    if (data.n < HEADER_SIZE || memcmp(data.p, "TZif", 4) != 0) {
        return false;
    }
    const uint8_t *p = data.p + 20;
    b->n = (struct counts){be32_get(p),      be32_get(p + 4),  be32_get(p + 8),
                           be32_get(p + 12), be32_get(p + 16), be32_get(p + 20)};
    size_t times_size = b->n.time * time_size;
    b->times = data.p + HEADER_SIZE;
    /* Counts have 32 bits, so nothing below overflows 64. */
    b->size = HEADER_SIZE + times_size + b->n.time + b->n.type * 6 + b->n.chars +
              b->n.leap * (time_size + 4) + b->n.isstd + b->n.isut;
    if (b->size > data.n || b->n.type == 0 || b->n.leap > 0) {
        return false;
    }
    b->indexes = b->times + times_size;
    b->types = b->indexes + b->n.time;
    return true;
}

static bool type_offset(const struct block *b, size_t type, int32_t *out)
{
    if (type >= b->n.type) {
        return false;
    }
    int32_t offset = (int32_t)be32_get(b->types + type * 6);
    *out = offset;
    return offset >= OFFSET_MIN_S && offset <= OFFSET_MAX_S;
}

static bool block_copy(const struct block *b, size_t time_size, struct arena *a, struct zone *out)
{
    int64_t *times = arena_array(a, b->n.time + 1, sizeof *times);
    int32_t *offsets = arena_array(a, b->n.time + 1, sizeof *offsets);
    if (!type_offset(b, 0, &out->first_s)) {
        return false;
    }
    for (size_t i = 0; i < b->n.time; i++) {
        times[i] = time_size == 4 ? (int32_t)be32_get(b->times + i * 4) : (int64_t)be64_get(b->times + i * 8);
        if ((i > 0 && times[i] <= times[i - 1]) || !type_offset(b, b->indexes[i], &offsets[i])) {
            return false;
        }
    }
    out->transitions = times;
    out->offsets = offsets;
    out->count = b->n.time;
    return true;
}

/* The footer is a line of its own: a rule between two newlines. */
static bool footer_read(struct span rest, struct zone_rule *out)
{
    if (rest.n < 2 || rest.p[0] != '\n') {
        return false;
    }
    const uint8_t *end = memchr(rest.p + 1, '\n', rest.n - 1);
    return end != NULL && zone_rule_parse(span_of(rest.p + 1, (size_t)(end - rest.p) - 1), out);
}

enum sg_err zone_parse(struct span tzif, struct arena *a, struct zone *zone)
{
    struct block b;
    struct zone out = {0};
    size_t time_size = 4;
    if (!block_read(tzif, time_size, &b)) {
        return SG_INVALID;
    }
    uint8_t version = tzif.p[4];
    if (version != 0 && (version < '2' || version > '4')) {
        return SG_INVALID;
    }
    if (version != 0) { /* The first block is for old readers. */
        struct span rest = span_of(tzif.p + b.size, tzif.n - b.size);
        time_size = 8;
        if (!block_read(rest, time_size, &b) ||
            !footer_read(span_of(rest.p + b.size, rest.n - b.size), &out.rule)) {
            return SG_INVALID;
        }
    }
    if (!block_copy(&b, time_size, a, &out)) {
        return SG_INVALID;
    }
    *zone = out;
    return SG_OK;
}

/* A stretch of time with one offset: up to, not including, end_s. */
struct stretch {
    int32_t offset_s;
    int64_t end_s;
};

/* How many transitions lie at or before t. */
static size_t transitions_before(const struct zone *zone, int64_t t)
{
    size_t low = 0;
    size_t high = zone->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (zone->transitions[middle] <= t) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

static struct stretch stretch_at(const struct zone *zone, int64_t t)
{
    size_t before = transitions_before(zone, t);
    if (before < zone->count) {
        return (struct stretch){before == 0 ? zone->first_s : zone->offsets[before - 1],
                                zone->transitions[before]};
    }
    if (zone->rule.present) {
        struct stretch s;
        s.offset_s = zone_rule_at(&zone->rule, t, &s.end_s);
        return s;
    }
    return (struct stretch){before == 0 ? zone->first_s : zone->offsets[before - 1], INT64_MAX};
}

static int64_t floor_div(int64_t a, int64_t b)
{
    return a / b - (a % b < 0 ? 1 : 0);
}

struct zone_time zone_local(const struct zone *zone, int64_t unix_ms)
{
    int64_t t = floor_div(unix_ms, 1000);
    int32_t offset_s = stretch_at(zone, t).offset_s;
    int64_t day = floor_div(t + offset_s, DAY_S);
    int64_t second = t + offset_s - day * DAY_S;
    return (struct zone_time){
        .day = {(int32_t)day},
        .minute = (int)(second / 60),
        .offset_s = offset_s,
    };
}

int64_t zone_unix_ms(const struct zone *zone, struct day day, int minute)
{
    CHECK(minute >= 0 && minute < 24 * 60);
    int64_t wanted = (int64_t)day.n * DAY_S + (int64_t)minute * 60;
    /* Here the local reading is still before the wanted one, whatever the
     * offset. From here on, the first stretch that reaches it has the answer:
     * inside of it, or at its very beginning when the change skipped it. */
    int64_t t = wanted - OFFSET_MAX_S - 1;
    for (;;) {
        struct stretch s = stretch_at(zone, t);
        int64_t candidate = wanted - s.offset_s > t ? wanted - s.offset_s : t;
        if (candidate < s.end_s) {
            return candidate * 1000;
        }
        CHECK(s.end_s > t);
        t = s.end_s;
    }
}
