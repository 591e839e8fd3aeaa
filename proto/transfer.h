/* One payment instruction as the program holds it, and its encoding.
 *
 * Spans point into the arena or input it was decoded from. */
#ifndef PROTO_TRANSFER_H
#define PROTO_TRANSFER_H

#include "proto/base/arena.h"
#include "proto/base/hash.h"
#include "proto/base/units.h"

/* Numbers are stored and sent: append only. */
enum sec { SEC_NONE, SEC_PPD, SEC_CCD, SEC_CTX, SEC_WEB, SEC_TEL, SECS };
enum side { SIDE_NONE, SIDE_CREDIT, SIDE_DEBIT, SIDES };
enum account_type {
    ACCOUNT_NONE,
    ACCOUNT_CHECKING,
    ACCOUNT_SAVINGS,
    ACCOUNT_LEDGER,
    ACCOUNT_LOAN,
    ACCOUNT_TYPES
};

/* "PPD", "credit", "checking"; "" for NONE or a foreign number. */
const char *sec_name(enum sec sec);
const char *side_name(enum side side);
const char *account_type_name(enum account_type type);
/* NONE when the text is not one of them. Case counts. */
enum sec sec_parse(struct span text);
enum side side_parse(struct span text);
enum account_type account_type_parse(struct span text);

struct transfer {
    struct span id;            /* 1 to 64 printable ASCII characters. */
    struct aba routing_number; /* The shard: the bank our file goes to. */
    struct span originator;    /* Name in the configuration. */
    enum sec sec;
    struct span entry_description;
    enum side side; /* As seen from the receiver's account. */
    enum account_type account_type;
    struct aba rdfi;
    struct span account;
    struct cents amount;
    struct span name;
    struct span individual_id; /* The rest is optional. */
    struct span discretionary;
    char payment_type; /* 'R', 'S' or 0. */
    bool prenote;
    bool same_day;
    struct day effective_date; /* DAY_NONE: as soon as the rules allow. */
    struct span reverses;      /* Id of the transfer to reverse. */
    struct span metadata;      /* JSON text, never looked at. */
    struct span *addenda;
    size_t addenda_count;
};

/* Everything that can be judged from the transfer alone, by the rules of a level
 * (proto/level.h; LEVEL_MAX where no log is asked yet): required fields,
 * character sets, lengths, check digits, amounts (zero only for prenotes and
 * only then), addenda counts by SEC. SG_INVALID, and why (why_size bytes) is
 * one clear sentence naming the key, the value where harmless, and the rule. */
MUST_USE enum sg_err transfer_check(uint32_t level, const struct transfer *t, char *why, size_t why_size);

/* Deterministic: equal content gives equal bytes. Appends to out. "The same id
 * with the same content" is asked of digest_of() of these bytes, which stands in
 * the log's rows: the encoding must never change (test_encoding_is_fixed). */
void transfer_encode(const struct transfer *t, struct bytes *out);
/* SG_INVALID: not such an encoding, or a field out of its range. Copies into arena. */
MUST_USE enum sg_err transfer_decode(struct span data, struct arena *arena, struct transfer *out);

#endif
