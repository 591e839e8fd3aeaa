#include "shard/state/attempts.h"

#include <string.h>

#include "shard/state/store.h"

static enum sg_err decode(struct rows *r, const struct state_key *key, struct span value,
                          struct attempt_row *out)
{
    return store_decoded(r, key, "attempt row", attempt_row_decode(value, out));
}

enum sg_err attempt_put(struct rows *r, const struct attempt_row *row)
{
    struct state_key key = key_attempt(row->file, row->attempt);
    struct bytes value = BYTES_NONE;
    attempt_row_encode(row, &value);
    enum sg_err err = rows_put(r, key_span(&key), span_bytes(&value));
    bytes_release(&value);
    return err;
}

enum sg_err attempt_get(struct rows *r, uint64_t file, uint64_t attempt, struct attempt_row *out)
{
    if (attempt == 0) {
        return SG_NOTFOUND;
    }
    struct state_key key = key_attempt(file, attempt);
    struct span value;
    enum sg_err err = rows_get(r, key_span(&key), &value);
    return err == SG_OK ? decode(r, &key, value, out) : err;
}

enum sg_err attempts_of(struct rows *r, uint64_t file, struct arena *a, struct attempt_row **out,
                        size_t *count)
{
    struct state_key prefix = key_attempt(file, 0);
    struct bytes found = BYTES_NONE;
    struct kv_cursor c;
    enum sg_err err = SG_OK;
    rows_cursor(r, &c, key_span(&prefix));
    while (err == SG_OK && (err = kv_next(&c)) == SG_OK) {
        struct attempt_row row;
        err = decode(r, &prefix, c.value, &row);
        if (err == SG_OK) {
            bytes_append(&found, &row, sizeof(row));
        }
    }
    kv_cursor_release(&c);
    if (err == SG_NOTFOUND) {
        *count = found.n / sizeof(**out);
        *out = arena_array(a, *count, sizeof(**out));
        if (found.n > 0) {
            memcpy(*out, found.p, found.n);
        }
        err = SG_OK;
    }
    bytes_release(&found);
    return err;
}
