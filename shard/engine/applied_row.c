#include <string.h>

#include "shard/engine/engine.h"

/* Version, index, term, configuration's index, digest, and since version 2 the set
 * hash; then the configuration. */
#define APPLIED_VERSION 2
#define APPLIED_VERSION_WITHOUT_SET 1
#define APPLIED_SET_AT (1 + 8 + 8 + 8 + DIGEST_SIZE)
#define APPLIED_HEAD_SIZE (APPLIED_SET_AT + 8)
#define APPLIED_KEY_SIZE 9

/* group(8) 0x00: before all rows of the machine. */
static struct span applied_key(uint64_t group, uint8_t *key)
{
    be64_put(key, group);
    key[8] = 0;
    return span_of(key, APPLIED_KEY_SIZE);
}

enum sg_err applied_row_put(struct kv *kv, struct kv_txn *txn, uint64_t group, const struct applied_row *row)
{
    uint8_t key[APPLIED_KEY_SIZE];
    struct bytes value = BYTES_NONE;
    uint8_t *p = bytes_extend(&value, row->has_set ? APPLIED_HEAD_SIZE : APPLIED_SET_AT);
    p[0] = row->has_set ? APPLIED_VERSION : APPLIED_VERSION_WITHOUT_SET;
    be64_put(p + 1, row->index);
    be64_put(p + 9, row->term);
    be64_put(p + 17, row->conf_index);
    memcpy(p + 25, row->digest.b, DIGEST_SIZE);
    if (row->has_set) {
        be64_put(p + APPLIED_SET_AT, row->set);
    }
    bytes_append_span(&value, row->conf);
    enum sg_err err = kv_put(kv, txn, KV_STATE, applied_key(group, key), span_bytes(&value));
    bytes_release(&value);
    return err;
}

enum sg_err applied_row_decode(struct span data, struct applied_row *out)
{
    if (data.n == 0 || (data.p[0] != APPLIED_VERSION && data.p[0] != APPLIED_VERSION_WITHOUT_SET)) {
        return SG_CORRUPT;
    }
    out->has_set = data.p[0] == APPLIED_VERSION;
    size_t head = out->has_set ? APPLIED_HEAD_SIZE : APPLIED_SET_AT;
    if (data.n < head) {
        return SG_CORRUPT;
    }
    out->set = out->has_set ? be64_get(data.p + APPLIED_SET_AT) : 0;
    out->index = be64_get(data.p + 1);
    out->term = be64_get(data.p + 9);
    out->conf_index = be64_get(data.p + 17);
    memcpy(out->digest.b, data.p + 25, DIGEST_SIZE);
    out->conf = span_of(data.p + head, data.n - head);
    if (out->index == 0 || out->term == 0 || out->conf_index == 0 || out->conf_index > out->index) {
        return SG_CORRUPT;
    }
    return SG_OK;
}

enum sg_err applied_row_get(struct rows *r, struct applied_row *out)
{
    uint8_t key[APPLIED_KEY_SIZE];
    struct span value;
    enum sg_err err = kv_get(r->kv, r->txn, KV_STATE, applied_key(r->group, key), &value);
    if (err != SG_OK) {
        return err;
    }
    if (applied_row_decode(value, out) != SG_OK) {
        return kv_corrupt(r->kv, KV_STATE, applied_key(r->group, key), "applied row cannot be read");
    }
    return SG_OK;
}
