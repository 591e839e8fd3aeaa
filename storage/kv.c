#include "storage/kv.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "proto/base/fault.h"
#include "proto/base/hash.h"
#include "proto/base/limits.h"
#include "proto/base/logger.h"
#include "proto/base/mem.h"

/* A stored value is the caller's value followed by its checksum. */
#define CHECKSUM_SIZE 8
#define SMALL_VALUE_SIZE 4096 /* Sealed on the stack up to this. */
#define DAMAGE_TEXT_SIZE (2 * (KEY_SIZE_MAX_BYTES + 1) + 256)

static _Thread_local char damage_text[DAMAGE_TEXT_SIZE];
static _Thread_local enum kv_table damage_table = KV_TABLES;

static const char *const table_names[KV_TABLES] = {
    [KV_META] = "meta",
    [KV_LOG] = "log",
    [KV_STATE] = "state",
};

const char *kv_table_name(enum kv_table table)
{
    CHECK(table < KV_TABLES);
    return table_names[table];
}

enum sg_err kv_corrupt(struct kv *kv, enum kv_table table, struct span key, const char *why)
{
    char hex[2 * (KEY_SIZE_MAX_BYTES + 1) + 1];
    struct span shown = span_of(key.p, key.n <= KEY_SIZE_MAX_BYTES ? key.n : KEY_SIZE_MAX_BYTES);
    (void)snprintf(damage_text, sizeof(damage_text), "store=%s table=%s key=%s reason=\"%s\"", kv->name,
                   kv_table_name(table), hex_text(shown, hex), why);
    damage_table = table;
    logger_line(LOG_ERROR, NULL, "store.damaged_record", "%s", damage_text);
    return SG_CORRUPT;
}

enum sg_err kv_newer(const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(damage_text, sizeof(damage_text), fmt, args);
    va_end(args);
    logger_line(LOG_ERROR, NULL, "store.newer_record", "why=%s", LOG_TEXT(damage_text));
    return SG_UNSUPPORTED;
}

const char *kv_damage(void)
{
    return damage_text;
}

enum kv_table kv_damage_table(void)
{
    return damage_table;
}

void kv_fail(struct kv *kv)
{
    if (!atomic_exchange(&kv->failed, true)) {
        logger_line(LOG_ERROR, NULL, "store.writes_refused", "store=%s", kv->name);
    }
}

bool kv_is_failed(struct kv *kv)
{
    return atomic_load(&kv->failed);
}

/* I-11: an error of a write is final, whatever the store would say next time. */
static enum sg_err write_result(struct kv *kv, enum sg_err err)
{
    if (err != SG_OK) {
        kv_fail(kv);
    }
    return err;
}

enum sg_err kv_begin(struct kv *kv, bool write, struct kv_txn **txn)
{
    if (!write) {
        return kv->ops->begin(kv->impl, false, txn);
    }
    if (kv_is_failed(kv)) {
        return SG_IO;
    }
    return write_result(kv, kv->ops->begin(kv->impl, true, txn));
}

enum sg_err kv_commit(struct kv *kv, struct kv_txn *txn)
{
    if (kv_is_failed(kv)) {
        kv->ops->abort(kv->impl, txn);
        return SG_IO;
    }
    return write_result(kv, kv->ops->commit(kv->impl, txn));
}

void kv_abort(struct kv *kv, struct kv_txn *txn)
{
    kv->ops->abort(kv->impl, txn);
}

void kv_close(struct kv *kv)
{
    kv->ops->close(kv->impl);
    memset(kv, 0, sizeof(*kv));
}

static uint64_t record_checksum(enum kv_table table, struct span key, struct span value)
{
    uint8_t number = (uint8_t)table;
    return checksum_of(span_of(&number, sizeof(number)), key, value);
}

/* The caller's value of a stored one. */
static enum sg_err unseal(struct kv *kv, enum kv_table table, struct span key, struct span stored,
                          struct span *value)
{
    if (stored.n < CHECKSUM_SIZE) {
        return kv_corrupt(kv, table, key, "too short");
    }
    struct span content = span_of(stored.p, stored.n - CHECKSUM_SIZE);
    if (be64_get(stored.p + content.n) != record_checksum(table, key, content) &&
        !FAULT_BUG("checksum-ignored")) {
        return kv_corrupt(kv, table, key, "checksum");
    }
    *value = content;
    return SG_OK;
}

static enum sg_err read_result(struct kv *kv, enum kv_table table, struct span key, enum sg_err err)
{
    return err == SG_CORRUPT ? kv_corrupt(kv, table, key, "page of the store") : err;
}

enum sg_err kv_get(struct kv *kv, struct kv_txn *txn, enum kv_table table, struct span key,
                   struct span *value)
{
    CHECK(key.n > 0);
    CHECK(key.n <= KEY_SIZE_MAX_BYTES);
    struct span stored = SPAN_NONE;
    enum sg_err err = kv->ops->get(kv->impl, txn, table, key, &stored);
    if (err != SG_OK) {
        return read_result(kv, table, key, err);
    }
    return unseal(kv, table, key, stored, value);
}

enum sg_err kv_put(struct kv *kv, struct kv_txn *txn, enum kv_table table, struct span key, struct span value)
{
    CHECK(key.n > 0);
    CHECK(key.n <= KEY_SIZE_MAX_BYTES);
    CHECK(value.n <= RECORD_SIZE_MAX_BYTES);
    if (kv_is_failed(kv)) {
        return SG_IO;
    }
    uint8_t small[SMALL_VALUE_SIZE];
    size_t size = value.n + CHECKSUM_SIZE;
    uint8_t *sealed = size <= sizeof(small) ? small : mem_alloc(size);
    if (value.n > 0) {
        memcpy(sealed, value.p, value.n);
    }
    be64_put(sealed + value.n, record_checksum(table, key, value));
    enum sg_err err = kv->ops->put(kv->impl, txn, table, key, span_of(sealed, size));
    if (sealed != small) {
        mem_free(sealed);
    }
    return write_result(kv, err);
}

enum sg_err kv_del(struct kv *kv, struct kv_txn *txn, enum kv_table table, struct span key)
{
    CHECK(key.n > 0);
    CHECK(key.n <= KEY_SIZE_MAX_BYTES);
    if (kv_is_failed(kv)) {
        return SG_IO;
    }
    return write_result(kv, kv->ops->del(kv->impl, txn, table, key));
}

void kv_cursor_init(struct kv_cursor *c, struct kv *kv, struct kv_txn *txn, enum kv_table table,
                    struct span prefix)
{
    CHECK(prefix.n <= KEY_SIZE_MAX_BYTES);
    memset(c, 0, sizeof(*c));
    c->kv = kv;
    c->txn = txn;
    c->table = table;
    bytes_append_span(&c->prefix, prefix);
}

static bool has_prefix(struct span key, struct span prefix)
{
    return key.n >= prefix.n && span_eq(span_of(key.p, prefix.n), prefix);
}

void kv_cursor_from(struct kv_cursor *c, struct span from)
{
    CHECK(!c->started);
    CHECK(from.n <= KEY_SIZE_MAX_BYTES);
    CHECK(has_prefix(from, span_bytes(&c->prefix)));
    bytes_set(&c->at, from);
}

void kv_cursor_backwards(struct kv_cursor *c)
{
    CHECK(!c->started);
    c->backwards = true;
}

/* The greatest key there can be that begins with what b holds. */
static void pad_to_greatest(struct bytes *b)
{
    if (b->n < KEY_SIZE_MAX_BYTES) {
        size_t room = KEY_SIZE_MAX_BYTES - b->n;
        memset(bytes_extend(b, room), 0xff, room);
    }
}

/* Keys of bounded length are ordered like numbers, so each has a neighbour:
 * above it the same with a zero byte more, below it the same without its last
 * zero byte or, lacking one, with its last byte less one and then all ones. */
static bool step_at(struct kv_cursor *c)
{
    bytes_set(&c->at, span_bytes(&c->key_copy));
    if (!c->backwards) {
        bytes_append(&c->at, "", 1);
        return true;
    }
    uint8_t last = c->at.p[c->at.n - 1];
    c->at.n--;
    if (last > 0) {
        last--;
        bytes_append(&c->at, &last, 1);
        pad_to_greatest(&c->at);
    }
    return c->at.n > 0;
}

static void start_at(struct kv_cursor *c)
{
    if (c->at.n > 0) {
        return;
    }
    bytes_set(&c->at, span_bytes(&c->prefix));
    if (c->backwards) {
        pad_to_greatest(&c->at);
    }
}

enum sg_err kv_next(struct kv_cursor *c)
{
    c->key = SPAN_NONE;
    c->value = SPAN_NONE;
    if (c->ended) {
        return SG_NOTFOUND;
    }
    if (!c->started) {
        start_at(c);
    } else if (!step_at(c)) {
        return SG_NOTFOUND;
    }
    struct span found = SPAN_NONE;
    struct span stored = SPAN_NONE;
    enum sg_err err =
        c->kv->ops->seek(c->kv->impl, c->txn, c->table, span_bytes(&c->at), c->backwards, &found, &stored);
    if (err != SG_OK) {
        c->ended = err == SG_CORRUPT;
        return read_result(c->kv, c->table, span_bytes(&c->at), err);
    }
    if (!has_prefix(found, span_bytes(&c->prefix))) {
        return SG_NOTFOUND;
    }
    c->started = true;
    bytes_set(&c->key_copy, found);
    c->key = span_bytes(&c->key_copy);
    struct span value = SPAN_NONE;
    err = unseal(c->kv, c->table, c->key, stored, &value);
    if (err == SG_OK) {
        bytes_set(&c->value_copy, value);
        c->value = span_bytes(&c->value_copy);
    }
    return err;
}

void kv_cursor_release(struct kv_cursor *c)
{
    bytes_release(&c->prefix);
    bytes_release(&c->at);
    bytes_release(&c->key_copy);
    bytes_release(&c->value_copy);
    memset(c, 0, sizeof(*c));
}
