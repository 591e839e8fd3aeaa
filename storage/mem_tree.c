#include "storage/mem_tree.h"

#include <string.h>

#include "proto/base/mem.h"

#define HEAD_BYTES 16u

/* A key's first bytes as numbers that compare as the bytes do, zeros behind a
 * short one: nearly every comparison ends here, without a look at the cell. */
struct head {
    uint64_t high, low;
};

struct mem_node {
    struct head head;
    size_t refs_count;
    uint64_t priority;
    struct mem_node *left;
    struct mem_node *right;
    struct mem_cell *cell;
};

static struct mem_cell *cell_new(struct span key, struct span value)
{
    struct mem_cell *c = mem_alloc(sizeof(*c) + key.n + value.n);
    c->refs_count = 1;
    c->key_n = key.n;
    c->value_n = value.n;
    if (key.n > 0) {
        memcpy(c->data, key.p, key.n);
    }
    if (value.n > 0) {
        memcpy(c->data + key.n, value.p, value.n);
    }
    return c;
}

static struct mem_cell *cell_ref(struct mem_cell *c)
{
    c->refs_count++;
    return c;
}

static void cell_unref(struct mem_cell *c)
{
    if (--c->refs_count == 0) {
        mem_free(c);
    }
}

static struct mem_node *node_ref(struct mem_node *n)
{
    if (n != NULL) {
        n->refs_count++;
    }
    return n;
}

/* Depth is that of the tree: a few times the logarithm of its size. */
static void node_unref(struct mem_node *n)
{
    if (n == NULL || --n->refs_count > 0) {
        return;
    }
    node_unref(n->left);
    node_unref(n->right);
    cell_unref(n->cell);
    mem_free(n);
}

/* FNV-1a, then a finish that spreads keys which differ in the last byte only. */
static uint64_t priority_of(struct span key)
{
    uint64_t h = 0xcbf29ce484222325u;
    for (size_t i = 0; i < key.n; i++) {
        h = (h ^ key.p[i]) * 0x100000001b3u;
    }
    h = (h ^ (h >> 30)) * 0xbf58476d1ce4e5b9u;
    h = (h ^ (h >> 27)) * 0x94d049bb133111ebu;
    return h ^ (h >> 31);
}

static struct head head_of(struct span key)
{
    uint8_t first[HEAD_BYTES] = {0};
    if (key.n > 0) {
        memcpy(first, key.p, key.n < sizeof(first) ? key.n : sizeof(first));
    }
    return (struct head){be64_get(first), be64_get(first + 8)};
}

/* As span_cmp() of the two keys. */
static inline int compare(struct head head, struct span key, const struct mem_node *n)
{
    if (head.high != n->head.high) {
        return head.high < n->head.high ? -1 : 1;
    }
    if (head.low != n->head.low) {
        return head.low < n->head.low ? -1 : 1;
    }
    return span_cmp(key, mem_cell_key(n->cell));
}

/* Takes cell. */
static struct mem_node *node_new(struct head head, struct mem_cell *cell)
{
    struct mem_node *n = mem_alloc(sizeof(*n));
    *n = (struct mem_node){
        .head = head, .refs_count = 1, .priority = priority_of(mem_cell_key(cell)), .cell = cell};
    return n;
}

/* Make *at a node that this tree alone holds. */
static struct mem_node *node_own(struct mem_node **at)
{
    struct mem_node *old = *at;
    CHECK(old != NULL);
    if (old->refs_count == 1) {
        return old;
    }
    struct mem_node *n = mem_alloc(sizeof(*n));
    *n = *old;
    n->refs_count = 1;
    (void)node_ref(n->left);
    (void)node_ref(n->right);
    (void)cell_ref(n->cell);
    node_unref(old);
    *at = n;
    return n;
}

static void rotate_right(struct mem_node **at)
{
    struct mem_node *n = *at;
    struct mem_node *child = n->left;
    n->left = child->right;
    child->right = n;
    *at = child;
}

static void rotate_left(struct mem_node **at)
{
    struct mem_node *n = *at;
    struct mem_node *child = n->right;
    n->right = child->left;
    child->left = n;
    *at = child;
}

/* Takes cell. Returns the cell it replaced, or NULL. The caller owns all of
 * the path below when it returns, so that the rotations may change it. */
static struct mem_cell *node_put(struct mem_node **at, struct head head, struct mem_cell *cell)
{
    if (*at == NULL) {
        *at = node_new(head, cell);
        return NULL;
    }
    struct mem_node *n = node_own(at);
    int order = compare(head, mem_cell_key(cell), n);
    if (order == 0) {
        struct mem_cell *old = n->cell;
        n->cell = cell;
        return old;
    }
    struct mem_cell *old = node_put(order < 0 ? &n->left : &n->right, head, cell);
    if (order < 0 && n->left->priority > n->priority) {
        rotate_right(at);
    } else if (order > 0 && n->right->priority > n->priority) {
        rotate_left(at);
    }
    return old;
}

/* Takes both; every key of a is below every key of b. */
static struct mem_node *merge(struct mem_node *a, struct mem_node *b)
{
    if (a == NULL || b == NULL) {
        return a == NULL ? b : a;
    }
    if (a->priority > b->priority) {
        struct mem_node *n = node_own(&a);
        n->right = merge(n->right, b);
        return n;
    }
    struct mem_node *n = node_own(&b);
    n->left = merge(a, n->left);
    return n;
}

struct mem_tree mem_tree_ref(const struct mem_tree *t)
{
    (void)node_ref(t->root);
    return *t;
}

void mem_tree_release(struct mem_tree *t)
{
    node_unref(t->root);
    *t = (struct mem_tree){NULL, 0, 0};
}

void mem_tree_put(struct mem_tree *t, struct span key, struct span value)
{
    struct mem_cell *old = node_put(&t->root, head_of(key), cell_new(key, value));
    t->size_bytes += key.n + value.n;
    if (old == NULL) {
        t->count++;
        return;
    }
    t->size_bytes -= old->key_n + old->value_n;
    cell_unref(old);
}

bool mem_tree_del(struct mem_tree *t, struct span key)
{
    /* Only a path that ends in a change may be copied. */
    if (mem_tree_find(t, key) == NULL) {
        return false;
    }
    struct head head = head_of(key);
    struct mem_node **at = &t->root;
    struct mem_node *n = node_own(at);
    for (int order; (order = compare(head, key, n)) != 0; n = node_own(at)) {
        at = order < 0 ? &n->left : &n->right;
    }
    t->count--;
    t->size_bytes -= n->cell->key_n + n->cell->value_n;
    *at = merge(n->left, n->right);
    n->left = NULL;
    n->right = NULL;
    node_unref(n);
    return true;
}

struct mem_cell *mem_tree_find(const struct mem_tree *t, struct span key)
{
    struct head head = head_of(key);
    for (struct mem_node *n = t->root; n != NULL;) {
        int order = compare(head, key, n);
        if (order == 0) {
            return n->cell;
        }
        n = order < 0 ? n->left : n->right;
    }
    return NULL;
}

struct mem_cell *mem_tree_seek(const struct mem_tree *t, struct span key, bool backwards)
{
    struct head head = head_of(key);
    struct mem_cell *best = NULL;
    for (struct mem_node *n = t->root; n != NULL;) {
        int order = compare(head, key, n);
        if (order == 0) {
            return n->cell;
        }
        if ((order < 0) != backwards) {
            best = n->cell;
        }
        n = order < 0 ? n->left : n->right;
    }
    return best;
}

static struct mem_cell *node_at(struct mem_node *node, size_t *left)
{
    if (node == NULL) {
        return NULL;
    }
    struct mem_cell *found = node_at(node->left, left);
    if (found != NULL) {
        return found;
    }
    if ((*left)-- == 0) {
        return node->cell;
    }
    return node_at(node->right, left);
}

struct mem_cell *mem_tree_at(const struct mem_tree *t, size_t n)
{
    return n < t->count ? node_at(t->root, &n) : NULL;
}
