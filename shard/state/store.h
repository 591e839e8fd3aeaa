/* Rows of a shard by their keys: get, put, and walks. For shard/state only.
 *
 * Get: what is read is copied into the arena (where there is one), so that
 * spans live on after a write. SG_NOTFOUND; SG_CORRUPT, also for a record that
 * cannot be what its key says; SG_IO. Put: SG_IO. */
#ifndef SHARD_STATE_STORE_H
#define SHARD_STATE_STORE_H

#include "shard/state/keys.h"
#include "shard/state/state.h"

/* A damaged record, reported by key. SG_CORRUPT. */
enum sg_err store_corrupt(struct rows *r, const struct state_key *key, const char *why);
/* Something of a level that this program does not speak, or (level 0) of some such
 * level; program: the first that does, when known. SG_UNSUPPORTED, with kv_damage(). */
enum sg_err state_newer(const struct rows *r, const char *what, uint32_t level, struct span program);
/* What decoding the value under key gave. A record of a level that this program
 * does not speak is no damage: SG_UNSUPPORTED, with kv_damage() naming the level. */
MUST_USE enum sg_err store_decoded(struct rows *r, const struct state_key *key, const char *what,
                                   enum sg_err err);
/* A row that another row promises: SG_NOTFOUND becomes SG_CORRUPT. */
MUST_USE enum sg_err store_must(struct rows *r, const struct state_key *key, enum sg_err err);

/* Counters of a shard that has none yet start at 1. */
MUST_USE enum sg_err store_get_counters(struct rows *r, struct counters_row *out);
MUST_USE enum sg_err store_put_counters(struct rows *r, const struct counters_row *c);

/* The settings under which a window was closed, which are always there. */
MUST_USE enum sg_err store_get_window_settings(struct rows *r, const struct window_row *w, uint32_t level,
                                               struct arena *a, struct settings *out);

MUST_USE enum sg_err store_get_transfer(struct rows *r, uint64_t seq, struct arena *a,
                                        struct transfer_row *out);
MUST_USE enum sg_err store_put_transfer(struct rows *r, const struct transfer_row *row,
                                        struct bytes *scratch);
/* The transfer that a row holds. */
MUST_USE enum sg_err store_content(struct rows *r, const struct transfer_row *row, struct arena *a,
                                   struct transfer *out);
/* id of any size. */
MUST_USE enum sg_err store_get_fold(struct rows *r, struct span id, struct fold_row *out);
MUST_USE enum sg_err store_put_fold(struct rows *r, struct span id, const struct fold_row *row);

MUST_USE enum sg_err store_get_window(struct rows *r, const struct window_id *id, struct window_row *out);
MUST_USE enum sg_err store_put_window(struct rows *r, const struct window_row *row);

MUST_USE enum sg_err store_get_file(struct rows *r, uint64_t file, struct arena *a, struct file_row *out);
MUST_USE enum sg_err store_put_file(struct rows *r, const struct file_row *row);
MUST_USE enum sg_err store_get_members(struct rows *r, uint64_t file, struct arena *a, uint64_t **out,
                                       size_t *count);
MUST_USE enum sg_err store_put_members(struct rows *r, uint64_t file, const uint64_t *members, size_t count);

MUST_USE enum sg_err store_get_modifiers(struct rows *r, struct day day, uint64_t *mask);
MUST_USE enum sg_err store_put_modifiers(struct rows *r, struct day day, uint64_t mask);

/* An index entry: a key with an empty value, or one that repeats another key. */
MUST_USE enum sg_err store_mark(struct rows *r, struct state_key key, struct span value);
MUST_USE enum sg_err store_unmark(struct rows *r, struct state_key key);
MUST_USE enum sg_err store_has(struct rows *r, struct state_key key, bool *found);

/* A walk over one table of numbers, from after + 1 on. Release also after an error. */
struct store_walk {
    struct rows *rows;
    struct kv_cursor cursor;
};
void store_walk(struct store_walk *w, struct rows *r, enum state_table table, uint64_t after);
/* Backwards, from before - 1 on; 0: from the end. */
void store_walk_backwards(struct store_walk *w, struct rows *r, enum state_table table, uint64_t before);
/* SG_NOTFOUND at the end. value is valid until the next. */
MUST_USE enum sg_err store_walk_next(struct store_walk *w, uint64_t *number, struct span *value);
void store_walk_release(struct store_walk *w);

/* Decode a row that a walk found, copied into the arena. */
MUST_USE enum sg_err store_event_of(struct rows *r, uint64_t cursor, struct span value, struct arena *a,
                                    struct event_row *out);
MUST_USE enum sg_err store_file_of(struct rows *r, uint64_t file, struct span value, struct arena *a,
                                   struct file_row *out);
MUST_USE enum sg_err store_transfer_of(struct rows *r, uint64_t seq, struct span value, struct arena *a,
                                       struct transfer_row *out);
/* The window that an index entry names. */
MUST_USE enum sg_err store_window_of(struct rows *r, struct span tail, struct window_row *out);

#endif
