#include "shard/engine/trail.h"

/* The record of a term holds the index of its last entry. From the back, since
 * the last entries are what is asked for, and each election adds a record. */
static uint64_t record_term(const struct raft_trail *t, uint64_t index)
{
    uint64_t term = 0;
    for (unsigned i = t->back; i != t->front;) {
        i = (i == 0 ? t->size : i) - 1;
        if (t->records[i].index < index) {
            break;
        }
        term = t->records[i].term;
    }
    return term;
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
