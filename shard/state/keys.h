/* Keys of a shard's rows. The first byte is the table; numbers are big-endian,
 * so that the order of keys is the order of numbers.
 *
 *   table  key                        value
 *   0x01   -                          counters_row: everything that counts
 *   0x02   version(8)                 settings_encode()
 *   0x03   seq(8)                     transfer_row
 *   0x04   transfer id                fold_row: the answer given for ever (I-5)
 *   0x05   seq(8)                     empty: the transfer is pending
 *   0x06   day(4) name                window_row
 *   0x07   index of CLOSE(8)          day(4) name: every window, in order of closing
 *   0x08   index of CLOSE(8)          day(4) name: closed, and sealing is unfinished
 *   0x09   file(8)                    file_row
 *   0x0a   file name                  file(8)
 *   0x0b   file(8)                    seq(8) of each member, in the file's order
 *   0x0c   file(8)                    empty: something is still to be done with it
 *   0x0d   file(8) attempt(8)         attempt row (attempts.c)
 *   0x0e   creation day(4)            bit mask(8) of the file ID modifiers used
 *   0x0f   cursor(8)                  event_row
 *
 * A day is its number with the top bit turned, which sorts days before 1970 first. */
#ifndef SHARD_STATE_KEYS_H
#define SHARD_STATE_KEYS_H

#include "proto/command.h"

enum state_table {
    TABLE_COUNTERS = 0x01,
    TABLE_SETTINGS,
    TABLE_TRANSFERS,
    TABLE_FOLDS,
    TABLE_PENDING,
    TABLE_WINDOWS,
    TABLE_WINDOW_ORDER,
    TABLE_WINDOW_WORK,
    TABLE_FILES,
    TABLE_FILE_NAMES,
    TABLE_MEMBERS,
    TABLE_FILE_WORK,
    TABLE_ATTEMPTS,
    TABLE_MODIFIERS,
    TABLE_EVENTS
};

#define STATE_KEY_SIZE (1 + FILE_NAME_SIZE_MAX)

struct state_key {
    uint8_t b[STATE_KEY_SIZE];
    size_t n;
};

static inline struct span key_span(const struct state_key *k)
{
    return span_of(k->b, k->n);
}

/* The table alone: COUNTERS, or the prefix of a walk. */
struct state_key key_table(enum state_table table);
/* A table with one number. */
struct state_key key_number(enum state_table table, uint64_t number);
/* FOLDS or FILE_NAMES. CHECKs that the text fits and is not empty. */
struct state_key key_text(enum state_table table, struct span text);
struct state_key key_window(const struct window_id *id);
/* attempt 0: the prefix of all of a file. */
struct state_key key_attempt(uint64_t file, uint64_t attempt);
struct state_key key_modifiers(struct day day);

/* The number in a key (or value) of a table with one number. false: it is none. */
MUST_USE bool key_number_of(struct span key, uint64_t *number);
/* A window's key without the table: what the indexes hold. */
struct span key_window_tail(const struct state_key *k);

#endif
