/* An ordered map of bytes to bytes whose copies are free: mem_kv's table.
 *
 * A treap with reference-counted nodes. mem_tree_ref() shares all of it; a
 * change copies the nodes on its path that are shared and changes the others
 * in place. A node's priority is a hash of its key, so the same content has
 * the same shape whatever its history. Not thread-safe. */
#ifndef STORAGE_MEM_TREE_H
#define STORAGE_MEM_TREE_H

#include "proto/base/bytes.h"

struct mem_node;

/* One pair. Shared by every tree that holds it. */
struct mem_cell {
    size_t refs_count;
    size_t key_n;
    size_t value_n;
    uint8_t data[]; /* Key, then value. */
};

static inline struct span mem_cell_key(const struct mem_cell *c)
{
    return span_of(c->data, c->key_n);
}
static inline struct span mem_cell_value(const struct mem_cell *c)
{
    return span_of(c->data + c->key_n, c->value_n);
}

/* All zero is an empty tree. */
struct mem_tree {
    struct mem_node *root;
    size_t count;
    uint64_t size_bytes; /* Of keys and values. */
};

/* Another tree with the same content. */
struct mem_tree mem_tree_ref(const struct mem_tree *t);
/* t is empty afterwards. */
void mem_tree_release(struct mem_tree *t);

/* Adds or replaces; key and value are copied and may lie in the tree. */
void mem_tree_put(struct mem_tree *t, struct span key, struct span value);
/* false: was not there. */
bool mem_tree_del(struct mem_tree *t, struct span key);

/* The cells belong to the tree and are valid until it changes. NULL: none. */
struct mem_cell *mem_tree_find(const struct mem_tree *t, struct span key);
/* The first with a key >= key or, backwards, the last with a key <= key. */
struct mem_cell *mem_tree_seek(const struct mem_tree *t, struct span key, bool backwards);
/* The n-th in order, from 0. Walks n cells. */
struct mem_cell *mem_tree_at(const struct mem_tree *t, size_t n);

#endif
