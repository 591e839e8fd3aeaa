#include "shard/machine.h"

#define GROUP_SIZE 8

enum row_change { ROW_PUT = 1, ROW_DEL = 2 };

void rows_init(struct rows *r, struct kv *kv, struct kv_txn *txn, uint64_t group)
{
    *r = (struct rows){.kv = kv, .txn = txn, .group = group, .level_max = LEVEL_MAX, .level = LEVEL_MAX};
}

void rows_release(struct rows *r)
{
    bytes_release(&r->key_buffer);
}

static struct span full_key(struct rows *r, struct span key)
{
    /* The engine's own row is not the machine's to see. */
    CHECK(key.n > 0);
    CHECK(key.p[0] != 0);
    bytes_clear(&r->key_buffer);
    be64_put(bytes_extend(&r->key_buffer, GROUP_SIZE), r->group);
    bytes_append_span(&r->key_buffer, key);
    return span_bytes(&r->key_buffer);
}

enum sg_err rows_get(struct rows *r, struct span key, struct span *value)
{
    return kv_get(r->kv, r->txn, KV_STATE, full_key(r, key), value);
}

/* Lengths go in too, so that no two different writes look the same. */
static void digest_change(struct rows *r, enum row_change change, struct span key, struct span value)
{
    CHECK(r->digester != NULL);
    uint8_t head[9];
    head[0] = (uint8_t)change;
    be32_put(head + 1, (uint32_t)key.n);
    be32_put(head + 5, (uint32_t)value.n);
    digester_add(r->digester, span_of(head, sizeof(head)));
    digester_add(r->digester, key);
    digester_add(r->digester, value);
}

/* The group goes in, so that equal rows of two groups don't have equal parts. */
uint64_t row_hash(uint64_t group, struct span key, struct span value)
{
    uint8_t number[GROUP_SIZE];
    be64_put(number, group);
    return checksum_of(span_of(number, sizeof(number)), key, value);
}

static void change_set(struct rows *r, struct span key, uint64_t delta)
{
    r->set += delta;
    if (r->changes != NULL) {
        uint8_t *p = bytes_extend(r->changes, 10);
        be64_put(p, delta);
        be16_put(p + 8, (uint16_t)key.n);
        bytes_append_span(r->changes, key);
    }
}

enum sg_err rows_put(struct rows *r, struct span key, struct span value)
{
    struct span full = full_key(r, key);
    struct span old;
    enum sg_err err = kv_get(r->kv, r->txn, KV_STATE, full, &old);
    if (err != SG_OK && err != SG_NOTFOUND) {
        return err;
    }
    uint64_t before = err == SG_OK ? row_hash(r->group, key, old) : 0;
    digest_change(r, ROW_PUT, key, value);
    change_set(r, key, row_hash(r->group, key, value) - before);
    return kv_put(r->kv, r->txn, KV_STATE, full, value);
}

enum sg_err rows_del(struct rows *r, struct span key)
{
    struct span full = full_key(r, key);
    struct span old;
    enum sg_err err = kv_get(r->kv, r->txn, KV_STATE, full, &old);
    if (err == SG_NOTFOUND) {
        return kv_corrupt(r->kv, KV_STATE, full, "missing row");
    }
    if (err != SG_OK) {
        return err;
    }
    uint64_t before = row_hash(r->group, key, old);
    digest_change(r, ROW_DEL, key, SPAN_NONE);
    change_set(r, key, 0 - before);
    return kv_del(r->kv, r->txn, KV_STATE, full);
}

void rows_cursor(struct rows *r, struct kv_cursor *c, struct span prefix)
{
    bytes_clear(&r->key_buffer);
    be64_put(bytes_extend(&r->key_buffer, GROUP_SIZE), r->group);
    bytes_append_span(&r->key_buffer, prefix);
    kv_cursor_init(c, r->kv, r->txn, KV_STATE, span_bytes(&r->key_buffer));
    if (prefix.n == 0) {
        rows_cursor_from(c, span_of("\x01", 1));
    }
}

void rows_cursor_from(struct kv_cursor *c, struct span from)
{
    struct bytes key = BYTES_NONE;
    CHECK(c->prefix.n >= GROUP_SIZE);
    bytes_append(&key, c->prefix.p, GROUP_SIZE);
    bytes_append_span(&key, from);
    kv_cursor_from(c, span_bytes(&key));
    bytes_release(&key);
}

struct span rows_key(const struct kv_cursor *c)
{
    CHECK(c->key.n > GROUP_SIZE);
    return span_of(c->key.p + GROUP_SIZE, c->key.n - GROUP_SIZE);
}

enum sg_err rows_set_of(struct rows *r, uint64_t *set)
{
    struct kv_cursor c;
    enum sg_err err;
    *set = 0;
    rows_cursor(r, &c, SPAN_NONE);
    while ((err = kv_next(&c)) == SG_OK) {
        *set += row_hash(r->group, rows_key(&c), c.value);
    }
    kv_cursor_release(&c);
    return err == SG_NOTFOUND ? SG_OK : err;
}
