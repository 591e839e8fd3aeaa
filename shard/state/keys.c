#include "shard/state/keys.h"

#include <string.h>

#define DAY_SIGN 0x80000000u

CHECK_STATIC(STATE_KEY_SIZE <= KEY_SIZE_MAX_BYTES - 8, "with the group a key fits the store");
CHECK_STATIC(STATE_KEY_SIZE >= 1 + TRANSFER_ID_SIZE_MAX, "an id is a key");

struct state_key key_table(enum state_table table)
{
    struct state_key k = {.n = 1};
    k.b[0] = (uint8_t)table;
    return k;
}

static void add_u64(struct state_key *k, uint64_t v)
{
    be64_put(k->b + k->n, v);
    k->n += 8;
}

static void add_day(struct state_key *k, struct day day)
{
    be32_put(k->b + k->n, (uint32_t)day.n ^ DAY_SIGN);
    k->n += 4;
}

static void add_text(struct state_key *k, struct span text)
{
    CHECK(text.n > 0);
    CHECK(text.n <= sizeof(k->b) - k->n);
    memcpy(k->b + k->n, text.p, text.n);
    k->n += text.n;
}

struct state_key key_number(enum state_table table, uint64_t number)
{
    struct state_key k = key_table(table);
    add_u64(&k, number);
    return k;
}

struct state_key key_text(enum state_table table, struct span text)
{
    struct state_key k = key_table(table);
    add_text(&k, text);
    return k;
}

struct state_key key_window(const struct window_id *id)
{
    struct state_key k = key_table(TABLE_WINDOWS);
    add_day(&k, id->day);
    add_text(&k, span_str(id->name));
    return k;
}

struct span key_window_tail(const struct state_key *k)
{
    return span_of(k->b + 1, k->n - 1);
}

struct state_key key_attempt(uint64_t file, uint64_t attempt)
{
    struct state_key k = key_number(TABLE_ATTEMPTS, file);
    if (attempt != 0) {
        add_u64(&k, attempt);
    }
    return k;
}

struct state_key key_modifiers(struct day day)
{
    struct state_key k = key_table(TABLE_MODIFIERS);
    add_day(&k, day);
    return k;
}

bool key_number_of(struct span key, uint64_t *number)
{
    if (key.n != 9) {
        return false;
    }
    *number = be64_get(key.p + 1);
    return true;
}
