#define _GNU_SOURCE /* qsort_r() */
#include "shard/ach/order.h"

#include <stdlib.h>
#include <string.h>

#include "proto/base/mem.h"
#include "proto/level.h"
#include "shard/ach/text.h"

/* Most windows have few batches and many entries. So: give each distinct batch
 * key, as it came, a number (hash table), sort the keys, and scatter the entries by
 * the rank of their key; keys that are written alike have the same rank. Linear in
 * the entries, which come in order of seq already. */
struct keys {
    struct ach_entry *firsts; /* An entry with the key, by number of the key. */
    size_t count;
    size_t cap;
    uint32_t *slots; /* Number of a key + 1; 0: free. slots_count is a power of two. */
    size_t slots_count;
};

#define SLOTS_MIN 64

static int compare_numbers(int64_t a, int64_t b)
{
    return a < b ? -1 : (a > b ? 1 : 0);
}

static int key_compare(const struct ach_entry *a, const struct ach_entry *b)
{
    const struct transfer *s = a->transfer;
    const struct transfer *t = b->transfer;
    int order = span_cmp(s->originator, t->originator);
    order = order != 0 ? order : compare_numbers(s->sec, t->sec);
    order = order != 0 ? order : span_cmp(s->entry_description, t->entry_description);
    order = order != 0 ? order : compare_numbers(s->side, t->side);
    order = order != 0 ? order : compare_numbers(a->effective.n, b->effective.n);
    return order != 0 ? order : compare_numbers(a->same_day, b->same_day);
}

static uint64_t mix(uint64_t hash, const uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        hash = (hash ^ p[i]) * 1099511628211u; /* FNV-1a */
    }
    return hash;
}

static uint64_t key_hash(const struct ach_entry *e)
{
    const struct transfer *t = e->transfer;
    uint64_t rest = ((uint64_t)(uint32_t)e->effective.n << 16) ^ ((uint64_t)t->sec << 8) ^
                    ((uint64_t)t->side << 1) ^ (e->same_day ? 1u : 0u);
    uint64_t hash = mix(14695981039346656037u, t->originator.p, t->originator.n);
    hash = mix(hash, t->entry_description.p, t->entry_description.n);
    hash = (hash ^ rest) * 0x9E3779B97F4A7C15u;
    return hash ^ hash >> 32;
}

/* The slot that holds the key of e, or the free one where it belongs. */
static size_t keys_slot(const struct keys *k, const struct ach_entry *e)
{
    size_t i = key_hash(e) & (k->slots_count - 1);
    while (k->slots[i] != 0 && key_compare(&k->firsts[k->slots[i] - 1], e) != 0) {
        i = (i + 1) & (k->slots_count - 1);
    }
    return i;
}

static void keys_grow(struct keys *k)
{
    k->slots_count = k->slots_count == 0 ? SLOTS_MIN : k->slots_count * 2;
    k->cap = k->slots_count / 2;
    mem_free(k->slots);
    k->slots = mem_zalloc(k->slots_count, sizeof *k->slots);
    k->firsts = mem_realloc(k->firsts, k->cap * sizeof *k->firsts);
    for (size_t i = 0; i < k->count; i++) {
        k->slots[keys_slot(k, &k->firsts[i])] = (uint32_t)i + 1;
    }
}

/* The number of e's key, given when it is new. */
static uint32_t keys_number(struct keys *k, const struct ach_entry *e)
{
    if (k->count == k->cap) {
        keys_grow(k);
    }
    size_t slot = keys_slot(k, e);
    if (k->slots[slot] == 0) {
        k->firsts[k->count] = *e;
        k->firsts[k->count].batch = (uint32_t)k->count;
        k->count++;
        k->slots[slot] = (uint32_t)k->count;
    }
    return k->slots[slot] - 1;
}

static int by_key(const void *a, const void *b, void *unused)
{
    (void)unused;
    return key_compare(a, b);
}

/* What the batch header will say, text by text. */
static int by_header(const void *a, const void *b, void *settings)
{
    static const struct originator_settings nobody;
    const struct settings *s = settings;
    const struct ach_entry *x = a;
    const struct ach_entry *y = b;
    const struct originator_settings *p = settings_originator(s, x->transfer->originator);
    const struct originator_settings *q = settings_originator(s, y->transfer->originator);
    bool upper = !s->shard.keep_case;
    p = p == NULL ? &nobody : p;
    q = q == NULL ? &nobody : q;
    int order = text_cmp_written(p->company_name, q->company_name, upper);
    order = order != 0 ? order : text_cmp_written(p->company_id, q->company_id, false);
    order = order != 0 ? order : text_cmp_written(p->discretionary, q->discretionary, false);
    order = order != 0 ? order : compare_numbers(x->transfer->sec, y->transfer->sec);
    order = order != 0
                ? order
                : text_cmp_written(x->transfer->entry_description, y->transfer->entry_description, upper);
    order = order != 0 ? order : compare_numbers(x->transfer->side, y->transfer->side);
    order = order != 0 ? order : compare_numbers(x->effective.n, y->effective.n);
    return order != 0 ? order : compare_numbers(x->same_day, y->same_day);
}

static int by_seq(const void *a, const void *b)
{
    uint64_t x = ((const struct ach_entry *)a)->seq;
    uint64_t y = ((const struct ach_entry *)b)->seq;
    return x < y ? -1 : (x > y ? 1 : 0);
}

static void sort_by_seq(struct ach_entry *entries, size_t count)
{
    for (size_t i = 1; i < count; i++) {
        if (entries[i].seq < entries[i - 1].seq) {
            qsort(entries, count, sizeof *entries, by_seq);
            return;
        }
    }
}

/* Stable: entries keep their order within a batch. */
static void scatter(struct ach_entry *entries, size_t count, size_t batches)
{
    size_t *next = mem_zalloc(batches + 1, sizeof *next);
    struct ach_entry *sorted = mem_zalloc(count, sizeof *sorted);
    for (size_t i = 0; i < count; i++) {
        next[entries[i].batch + 1]++;
    }
    for (size_t b = 1; b <= batches; b++) {
        next[b] += next[b - 1];
    }
    for (size_t i = 0; i < count; i++) {
        sorted[next[entries[i].batch]++] = entries[i];
    }
    memcpy(entries, sorted, count * sizeof *entries);
    mem_free(sorted);
    mem_free(next);
}

/* Ranks of the keys, which are numbered as they came; keys that compare equal
 * share one. Returns how many there are. */
static size_t rank(struct keys *k, const struct settings *s, uint32_t *ranks)
{
    int (*compare)(const void *, const void *, void *) = s->level < LEVEL_WRITTEN ? by_key : by_header;
    size_t count = 0;
    qsort_r(k->firsts, k->count, sizeof *k->firsts, compare, (void *)(uintptr_t)s);
    for (size_t i = 0; i < k->count; i++) {
        bool is_new = i == 0 || compare(&k->firsts[i - 1], &k->firsts[i], (void *)(uintptr_t)s) != 0;
        count += is_new ? 1 : 0;
        ranks[k->firsts[i].batch] = (uint32_t)count - 1;
    }
    return count;
}

void ach_order(const struct settings *s, struct ach_entry *entries, size_t count)
{
    struct keys k = {0};
    if (count == 0) {
        return;
    }
    CHECK(count < UINT32_MAX);
    sort_by_seq(entries, count);
    for (size_t i = 0; i < count; i++) {
        entries[i].batch = keys_number(&k, &entries[i]);
    }
    uint32_t *ranks = mem_zalloc(k.count, sizeof *ranks);
    size_t batches = rank(&k, s, ranks);
    for (size_t i = 0; i < count; i++) {
        entries[i].batch = ranks[entries[i].batch];
    }
    if (batches > 1) {
        scatter(entries, count, batches);
    }
    mem_free(ranks);
    mem_free(k.slots);
    mem_free(k.firsts);
}

/* Every count of a batch and of a file stays within its field when the lines do. */
CHECK_STATIC(FILE_LINES_MAX <= 999999, "entry/addenda count of a batch has six digits");
CHECK_STATIC(FILE_CENTS_MAX <= 999999999999ll, "totals have twelve digits");

size_t ach_fit(const struct settings *s, const struct ach_entry *entries, size_t count, uint32_t trace_start)
{
    size_t lines_max = s->shard.max_lines < FILE_LINES_MAX ? s->shard.max_lines : FILE_LINES_MAX;
    int64_t cents_max =
        s->shard.max_file_cents.n < FILE_CENTS_MAX ? s->shard.max_file_cents.n : FILE_CENTS_MAX;
    size_t traces_max = TRACE_SEQUENCE_MAX - (size_t)trace_start + 1;
    int64_t sums[SIDES] = {0};
    size_t lines = 2; /* Header and control of the file. */
    CHECK(trace_start >= 1);
    CHECK(trace_start <= TRACE_SEQUENCE_MAX);
    for (size_t i = 0; i < count; i++) {
        const struct transfer *t = entries[i].transfer;
        bool is_new_batch = i == 0 || entries[i].batch != entries[i - 1].batch;
        CHECK(t->side == SIDE_CREDIT || t->side == SIDE_DEBIT);
        lines += 1 + t->addenda_count + (is_new_batch ? 2 : 0);
        sums[t->side] += t->amount.n;
        size_t filled = (lines + ACH_BLOCKING_FACTOR - 1) / ACH_BLOCKING_FACTOR * ACH_BLOCKING_FACTOR;
        if (filled > lines_max || sums[t->side] > cents_max || i >= traces_max) {
            return i;
        }
    }
    return count;
}
