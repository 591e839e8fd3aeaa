/* Keys, integers big-endian:
 *
 *   KV_META  'f' group(8)            ->  number(8): the mark
 *   KV_META  'f' group(8) number(8)  ->  the bytes
 */
#include "storage/kept.h"

#include "proto/base/limits.h"

#define KEPT_KEY_SIZE 17

CHECK_STATIC(FILE_LINES_MAX *(ACH_RECORD_SIZE + 2) <= RECORD_SIZE_MAX_BYTES, "a file is one record");

static struct span mark_key(uint8_t key[KEPT_KEY_SIZE], uint64_t group)
{
    key[0] = 'f';
    be64_put(key + 1, group);
    return span_of(key, 9);
}

static struct span file_key(uint8_t key[KEPT_KEY_SIZE], uint64_t group, uint64_t number)
{
    (void)mark_key(key, group);
    be64_put(key + 9, number);
    return span_of(key, KEPT_KEY_SIZE);
}

enum sg_err kept_get(struct kv *kv, struct kv_txn *txn, uint64_t group, uint64_t number, struct span *value)
{
    uint8_t key[KEPT_KEY_SIZE];
    return kv_get(kv, txn, KV_META, file_key(key, group, number), value);
}

enum sg_err kept_mark(struct kv *kv, struct kv_txn *txn, uint64_t group, uint64_t *number)
{
    uint8_t key[KEPT_KEY_SIZE];
    struct span value;
    enum sg_err err = kv_get(kv, txn, KV_META, mark_key(key, group), &value);
    *number = 0;
    if (err != SG_OK) {
        return err == SG_NOTFOUND ? SG_OK : err;
    }
    if (value.n != 8) {
        return kv_corrupt(kv, KV_META, mark_key(key, group), "no mark of kept files");
    }
    *number = be64_get(value.p);
    return SG_OK;
}

enum sg_err kept_put(struct kv *kv, struct kv_txn *txn, uint64_t group, uint64_t number, struct span value)
{
    uint8_t key[KEPT_KEY_SIZE];
    uint8_t mark[8];
    enum sg_err err = kv_put(kv, txn, KV_META, file_key(key, group, number), value);
    be64_put(mark, number);
    return err == SG_OK ? kv_put(kv, txn, KV_META, mark_key(key, group), span_of(mark, sizeof(mark))) : err;
}
