/* Keys, integers big-endian, so that the entries of a group lie together and
 * in order:
 *
 *   KV_LOG   group(8) index(8)  ->  term(8) type(1) data
 *   KV_META  'h' group(8)       ->  term(8) voted_for(8)
 *   KV_META  'm' group(8)       ->  index(8) term(8) conf_index(8) conf
 *   KV_META  'd' group(8)       ->  applied(8) why
 *   KV_META  'n' name           ->  value
 *   KV_META  'f' ...            see kept.c
 */
#include "storage/log.h"

#include <string.h>

#include "proto/base/limits.h"

#define ENTRY_KEY_SIZE 16
#define ENTRY_HEAD_SIZE 9
#define META_KEY_SIZE 9
#define HARD_STATE_SIZE 16
#define MARK_HEAD_SIZE 24

CHECK_STATIC(ENTRY_HEAD_SIZE + ENTRY_SIZE_MAX_BYTES <= RECORD_SIZE_MAX_BYTES,
             "an entry and its head are one record");
CHECK_STATIC(1 + NAME_SIZE_MAX <= KEY_SIZE_MAX_BYTES, "a name is a key");

static struct span entry_key(uint8_t buffer[ENTRY_KEY_SIZE], uint64_t group, uint64_t index)
{
    be64_put(buffer, group);
    be64_put(buffer + 8, index);
    return span_of(buffer, ENTRY_KEY_SIZE);
}

static struct span meta_key(uint8_t buffer[META_KEY_SIZE], char kind, uint64_t group)
{
    buffer[0] = (uint8_t)kind;
    be64_put(buffer + 1, group);
    return span_of(buffer, META_KEY_SIZE);
}

static enum sg_err append_one(struct kv *kv, struct kv_txn *txn, uint64_t group,
                              const struct log_entry *entry, struct bytes *value)
{
    CHECK(entry->index > 0);
    CHECK(entry->data.n <= RECORD_SIZE_MAX_BYTES - ENTRY_HEAD_SIZE);
    uint8_t key[ENTRY_KEY_SIZE];
    bytes_clear(value);
    uint8_t *head = bytes_extend(value, ENTRY_HEAD_SIZE);
    be64_put(head, entry->term);
    head[8] = entry->type;
    bytes_append_span(value, entry->data);
    return kv_put(kv, txn, KV_LOG, entry_key(key, group, entry->index), span_bytes(value));
}

#ifdef SHARDGATE_FAULTS
static enum sg_err check_follows(struct kv *kv, struct kv_txn *txn, uint64_t group, uint64_t index)
{
    struct log_bounds bounds = {1, 0};
    enum sg_err err = log_bounds(kv, txn, group, &bounds);
    if (err == SG_OK && index != bounds.last + 1) {
        uint8_t key[ENTRY_KEY_SIZE];
        return kv_corrupt(kv, KV_LOG, entry_key(key, group, bounds.last + 1),
                          "the log ends before what follows");
    }
    return err;
}
#endif

enum sg_err log_append(struct kv *kv, struct kv_txn *txn, uint64_t group, const struct log_entry *entries,
                       size_t entries_count)
{
    enum sg_err err = SG_OK;
    if (entries_count == 0) {
        return SG_OK;
    }
#ifdef SHARDGATE_FAULTS
    err = check_follows(kv, txn, group, entries[0].index);
#endif
    struct bytes value = BYTES_NONE;
    for (size_t i = 0; i < entries_count && err == SG_OK; i++) {
        CHECK(entries[i].index == entries[0].index + i);
        err = append_one(kv, txn, group, &entries[i], &value);
    }
    bytes_release(&value);
    return err;
}

static enum sg_err delete_range(struct kv *kv, struct kv_txn *txn, uint64_t group, uint64_t first,
                                uint64_t last)
{
    for (uint64_t index = first; index <= last; index++) {
        uint8_t key[ENTRY_KEY_SIZE];
        enum sg_err err = kv_del(kv, txn, KV_LOG, entry_key(key, group, index));
        if (err != SG_OK) {
            return err;
        }
    }
    return SG_OK;
}

enum sg_err log_truncate(struct kv *kv, struct kv_txn *txn, uint64_t group, uint64_t from)
{
    CHECK(from > 0);
    struct log_bounds bounds = {1, 0};
    enum sg_err err = log_bounds(kv, txn, group, &bounds);
    if (err != SG_OK) {
        return err;
    }
    return delete_range(kv, txn, group, from > bounds.first ? from : bounds.first, bounds.last);
}

/* How far the state rows go; 0 without a mark. */
static enum sg_err mark_index(struct kv *kv, struct kv_txn *txn, uint64_t group, uint64_t *index)
{
    struct log_mark mark = {0};
    enum sg_err err = log_mark_get(kv, txn, group, &mark);
    *index = mark.index;
    return err == SG_NOTFOUND ? SG_OK : err;
}

enum sg_err log_trim(struct kv *kv, struct kv_txn *txn, uint64_t group, uint64_t upto, size_t max,
                     size_t *removed)
{
    struct log_bounds bounds = {1, 0};
    uint64_t mark = 0;
    enum sg_err err = log_bounds(kv, txn, group, &bounds);
    if (err == SG_OK) {
        err = mark_index(kv, txn, group, &mark);
    }
    if (err != SG_OK) {
        return err;
    }
    CHECK(upto <= mark);
    uint64_t last = upto < bounds.last ? upto : bounds.last;
    uint64_t count = last >= bounds.first ? last - bounds.first + 1 : 0;
    count = count < max ? count : max;
    if (removed != NULL) {
        *removed = (size_t)count;
    }
    return delete_range(kv, txn, group, bounds.first, bounds.first + count - 1);
}

enum sg_err log_get(struct kv *kv, struct kv_txn *txn, uint64_t group, uint64_t index, struct log_entry *out)
{
    uint8_t buffer[ENTRY_KEY_SIZE];
    struct span key = entry_key(buffer, group, index);
    struct span value = SPAN_NONE;
    enum sg_err err = kv_get(kv, txn, KV_LOG, key, &value);
    if (err != SG_OK) {
        return err;
    }
    if (value.n < ENTRY_HEAD_SIZE) {
        return kv_corrupt(kv, KV_LOG, key, "no entry's size");
    }
    out->index = index;
    out->term = be64_get(value.p);
    out->type = value.p[8];
    out->data = span_of(value.p + ENTRY_HEAD_SIZE, value.n - ENTRY_HEAD_SIZE);
    return SG_OK;
}

/* The first or last index that has an entry. SG_NOTFOUND: none has. */
static enum sg_err end_index(struct kv *kv, struct kv_txn *txn, uint64_t group, bool last, uint64_t *index)
{
    uint8_t prefix[8];
    be64_put(prefix, group);
    struct kv_cursor c;
    kv_cursor_init(&c, kv, txn, KV_LOG, span_of(prefix, sizeof(prefix)));
    if (last) {
        kv_cursor_backwards(&c);
    }
    enum sg_err err = kv_next(&c);
    if (err == SG_OK && c.key.n != ENTRY_KEY_SIZE) {
        err = kv_corrupt(kv, KV_LOG, c.key, "no entry's key");
    } else if (err == SG_OK) {
        *index = be64_get(c.key.p + 8);
        CHECK(*index > 0); /* As it was when it was put; its checksum is right. */
    }
    kv_cursor_release(&c);
    return err;
}

enum sg_err log_bounds(struct kv *kv, struct kv_txn *txn, uint64_t group, struct log_bounds *out)
{
    enum sg_err err = end_index(kv, txn, group, false, &out->first);
    if (err == SG_OK) {
        return end_index(kv, txn, group, true, &out->last);
    }
    if (err != SG_NOTFOUND) {
        return err;
    }
    err = mark_index(kv, txn, group, &out->last);
    out->first = out->last + 1;
    return err;
}

/* A group that has anything here has a term and vote here: without them it
 * would vote twice. */
static enum sg_err check_never_stored(struct kv *kv, struct kv_txn *txn, uint64_t group, struct span key)
{
    uint64_t first;
    struct log_mark mark;
    enum sg_err err = end_index(kv, txn, group, false, &first);
    if (err == SG_NOTFOUND) {
        err = log_mark_get(kv, txn, group, &mark);
    }
    return err == SG_OK ? kv_corrupt(kv, KV_META, key, "missing beside a log") : err;
}

enum sg_err log_hard_state_get(struct kv *kv, struct kv_txn *txn, uint64_t group, struct log_hard_state *out)
{
    uint8_t buffer[META_KEY_SIZE];
    struct span key = meta_key(buffer, 'h', group);
    struct span value = SPAN_NONE;
    enum sg_err err = kv_get(kv, txn, KV_META, key, &value);
    if (err != SG_OK) {
        return err == SG_NOTFOUND ? check_never_stored(kv, txn, group, key) : err;
    }
    if (value.n != HARD_STATE_SIZE) {
        return kv_corrupt(kv, KV_META, key, "no term and vote's size");
    }
    *out = (struct log_hard_state){.term = be64_get(value.p), .voted_for = be64_get(value.p + 8)};
    return SG_OK;
}

enum sg_err log_hard_state_put(struct kv *kv, struct kv_txn *txn, uint64_t group, struct log_hard_state hs)
{
    uint8_t key[META_KEY_SIZE];
    uint8_t value[HARD_STATE_SIZE];
    be64_put(value, hs.term);
    be64_put(value + 8, hs.voted_for);
    return kv_put(kv, txn, KV_META, meta_key(key, 'h', group), span_of(value, sizeof(value)));
}

enum sg_err log_mark_get(struct kv *kv, struct kv_txn *txn, uint64_t group, struct log_mark *out)
{
    uint8_t buffer[META_KEY_SIZE];
    struct span key = meta_key(buffer, 'm', group);
    struct span value = SPAN_NONE;
    enum sg_err err = kv_get(kv, txn, KV_META, key, &value);
    if (err != SG_OK) {
        return err;
    }
    if (value.n < MARK_HEAD_SIZE) {
        return kv_corrupt(kv, KV_META, key, "no mark's size");
    }
    out->index = be64_get(value.p);
    out->term = be64_get(value.p + 8);
    out->conf_index = be64_get(value.p + 16);
    out->conf = span_of(value.p + MARK_HEAD_SIZE, value.n - MARK_HEAD_SIZE);
    return SG_OK;
}

enum sg_err log_mark_put(struct kv *kv, struct kv_txn *txn, uint64_t group, const struct log_mark *mark)
{
    CHECK(mark->conf_index <= mark->index);
    uint8_t key[META_KEY_SIZE];
    struct bytes value = BYTES_NONE;
    uint8_t *head = bytes_extend(&value, MARK_HEAD_SIZE);
    be64_put(head, mark->index);
    be64_put(head + 8, mark->term);
    be64_put(head + 16, mark->conf_index);
    bytes_append_span(&value, mark->conf);
    enum sg_err err = kv_put(kv, txn, KV_META, meta_key(key, 'm', group), span_bytes(&value));
    bytes_release(&value);
    return err;
}

enum sg_err log_distrust_get(struct kv *kv, struct kv_txn *txn, uint64_t group, uint64_t *applied,
                             struct span *why)
{
    uint8_t buffer[META_KEY_SIZE];
    struct span key = meta_key(buffer, 'd', group);
    struct span value = SPAN_NONE;
    enum sg_err err = kv_get(kv, txn, KV_META, key, &value);
    if (err != SG_OK) {
        return err;
    }
    if (value.n < 8) {
        return kv_corrupt(kv, KV_META, key, "no distrust's size");
    }
    *applied = be64_get(value.p);
    *why = span_of(value.p + 8, value.n - 8);
    return SG_OK;
}

enum sg_err log_distrust_put(struct kv *kv, struct kv_txn *txn, uint64_t group, uint64_t applied,
                             struct span why)
{
    uint8_t key[META_KEY_SIZE];
    struct bytes value = BYTES_NONE;
    be64_put(bytes_extend(&value, 8), applied);
    bytes_append_span(&value, why);
    enum sg_err err = kv_put(kv, txn, KV_META, meta_key(key, 'd', group), span_bytes(&value));
    bytes_release(&value);
    return err;
}

enum sg_err log_distrust_del(struct kv *kv, struct kv_txn *txn, uint64_t group)
{
    uint8_t key[META_KEY_SIZE];
    return kv_del(kv, txn, KV_META, meta_key(key, 'd', group));
}

enum sg_err log_groups(struct kv *kv, struct kv_txn *txn, struct bytes *out)
{
    struct kv_cursor c;
    kv_cursor_init(&c, kv, txn, KV_META, span_str("h"));
    enum sg_err err;
    while ((err = kv_next(&c)) == SG_OK || (err == SG_CORRUPT && c.key.n > 0)) {
        if (c.key.n != META_KEY_SIZE) {
            err = kv_corrupt(kv, KV_META, c.key, "no group's key");
            break;
        }
        uint64_t group = be64_get(c.key.p + 1);
        bytes_append(out, &group, sizeof(group));
    }
    kv_cursor_release(&c);
    return err == SG_NOTFOUND ? SG_OK : err;
}

static struct span name_key(uint8_t buffer[1 + NAME_SIZE_MAX], const char *name)
{
    struct span text = span_str(name);
    CHECK(text.n > 0);
    CHECK(text.n <= NAME_SIZE_MAX);
    buffer[0] = 'n';
    memcpy(buffer + 1, text.p, text.n);
    return span_of(buffer, 1 + text.n);
}

enum sg_err meta_get(struct kv *kv, struct kv_txn *txn, const char *name, struct span *value)
{
    uint8_t key[1 + NAME_SIZE_MAX];
    return kv_get(kv, txn, KV_META, name_key(key, name), value);
}

enum sg_err meta_put(struct kv *kv, struct kv_txn *txn, const char *name, struct span value)
{
    uint8_t key[1 + NAME_SIZE_MAX];
    return kv_put(kv, txn, KV_META, name_key(key, name), value);
}
