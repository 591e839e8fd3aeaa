#include "shard/duties/twins.h"

#include <string.h>

#include "proto/base/hash.h"
#include "proto/base/limits.h"
#include "proto/base/mem.h"

#define TWINS_MIN 256

CHECK_STATIC((TWINS_MAX & (TWINS_MAX - 1)) == 0, "a power of two");

void twins_clear(struct twins *w)
{
    mem_free(w->slots);
    *w = (struct twins){.day = DAY_NONE};
}

uint64_t twins_hash(const struct transfer *t)
{
    int64_t numbers[] = {t->rdfi.n, t->amount.n, t->side, t->effective_date.n};
    uint64_t hash = checksum_of(span_of(numbers, sizeof numbers), t->account, SPAN_NONE);
    return hash != 0 ? hash : 1;
}

static struct twin *slot_of(const struct twins *w, uint64_t hash)
{
    size_t i = hash & (w->cap - 1);
    while (w->slots[i].hash != 0 && w->slots[i].hash != hash) {
        i = (i + 1) & (w->cap - 1);
    }
    return &w->slots[i];
}

/* A full table begins anew: what it held stays unmentioned. */
static void grow(struct twins *w)
{
    struct twins old = *w;
    bool is_full = old.cap == TWINS_MAX;
    w->cap = old.cap == 0 ? TWINS_MIN : (is_full ? old.cap : old.cap * 2);
    w->slots = mem_zalloc(w->cap, sizeof *w->slots);
    w->count = 0;
    for (size_t i = 0; i < old.cap && !is_full; i++) {
        if (old.slots[i].hash != 0) {
            *slot_of(w, old.slots[i].hash) = old.slots[i];
            w->count++;
        }
    }
    mem_free(old.slots);
}

uint64_t twins_meet(struct twins *w, struct day today, uint64_t hash, uint64_t index)
{
    if (w->day.n != today.n) {
        uint64_t met_count = w->met_count;
        twins_clear(w);
        w->day = today;
        w->met_count = met_count;
    }
    if (w->cap > 0 && slot_of(w, hash)->hash != 0) {
        w->met_count++;
        return slot_of(w, hash)->index;
    }
    if (w->count * 2 >= w->cap) {
        grow(w);
    }
    *slot_of(w, hash) = (struct twin){hash, index};
    w->count++;
    return 0;
}
