/* Payments that look like one made before. Private to shard/.
 *
 * The same receiver, side, amount and day under another id is often a mistake and
 * sometimes right, so it is told to the one who submits and refused never. The
 * leader keeps this in memory, for the transfers that it accepted itself and for
 * one day: the note is a service, no promise, and a new leader begins with none. */
#ifndef SHARD_DUTIES_TWINS_H
#define SHARD_DUTIES_TWINS_H

#include "proto/base/units.h"
#include "proto/transfer.h"

struct twin {
    uint64_t hash;  /* 0: free. */
    uint64_t index; /* Log index of the first one's acceptance. */
};

struct twins {
    struct twin *slots;
    size_t cap; /* A power of two; at most TWINS_MAX. */
    size_t count;
    struct day day;
    uint64_t met_count; /* Since this leader leads. */
};

/* Forget all, and give the memory back. */
void twins_clear(struct twins *w);
/* Of what makes two of them alike, the day of acceptance apart; never 0. */
uint64_t twins_hash(const struct transfer *t);
/* A transfer with this hash was accepted at index, on this local day. Returns the
 * index of the first one that is like it, 0: none that is known. */
uint64_t twins_meet(struct twins *w, struct day today, uint64_t hash, uint64_t index);

#endif
