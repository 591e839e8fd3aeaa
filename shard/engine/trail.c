#include "shard/engine/trail.h"

/* The record of a term holds the index of its last entry. */
static uint64_t record_term(const struct raft_trail *t, uint64_t index)
{
    for (unsigned i = t->front; i != t->back; i = (i + 1) % t->size) {
        if (index <= t->records[i].index) {
            return t->records[i].term;
        }
    }
    return 0;
}

uint64_t trail_term(const struct raft *r, uint64_t index)
{
    const struct raft_trail *t = &r->trail;
    uint64_t term = index > t->offset ? record_term(t, index) : 0;
    if (term == 0 && index == t->snapshot.index) {
        return t->snapshot.term;
    }
    return term;
}
