/* Money, days and routing numbers: single-field structs, so that they cannot
 * be mixed up or added to anything by accident. */
#ifndef PROTO_BASE_UNITS_H
#define PROTO_BASE_UNITS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/base/bytes.h"
#include "proto/base/err.h"

/* An amount of money in US cents. Never negative: debit or credit is carried
 * by the entry's side, not by the sign. */
struct cents {
    int64_t n;
};

/* SG_INVALID when the sum does not fit; sum is untouched then. */
MUST_USE enum sg_err cents_add(struct cents a, struct cents b, struct cents *sum);

/* A civil day: days since 1970-01-01 in the proleptic Gregorian calendar. */
struct day {
    int32_t n;
};
#define DAY_NONE ((struct day){INT32_MIN})
#define DAY_MAX 2932896 /* 9999-12-31 */

struct civil {
    int year;  /* 1970 to 9999 */
    int month; /* 1 to 12 */
    int day;   /* 1 to 31 */
};

static inline bool day_is_none(struct day d)
{
    return d.n == INT32_MIN;
}
struct civil day_civil(struct day d);
struct day day_of(int year, int month, int day);
/* 0 Sunday to 6 Saturday. */
int day_weekday(struct day d);
/* "YYYY-MM-DD" and nothing else; SG_INVALID when it is not such a day. */
MUST_USE enum sg_err day_parse(struct span text, struct day *out);
#define DAY_TEXT_SIZE 11
/* "2026-11-23"; "" for DAY_NONE. Returns out. */
char *day_text(struct day d, char out[DAY_TEXT_SIZE]);

/* A routing number of nine digits as an integer; 0 is none. Its value is also
 * the id of the Raft group (group 0 is the catalog). */
struct aba {
    uint32_t n;
};

/* Exactly nine ASCII digits with a right check digit (3-7-1 rule), a known
 * prefix (00-12, 21-32, 61-72, 80) and not all zero. why (may be NULL) gets a
 * static text that says which rule failed. */
MUST_USE enum sg_err aba_parse(struct span text, struct aba *out, const char **why);
#define ABA_TEXT_SIZE 10
#define ABA_MAX 999999999u /* Nine digits: what struct aba may hold, right or not. */
/* Nine digits with leading zeros. Returns out. */
char *aba_text(struct aba a, char out[ABA_TEXT_SIZE]);
/* The check digit (0 to 9) for eight leading digits given as a number. */
unsigned aba_check_digit(uint32_t first_eight);

/* RFC 3339 in UTC with milliseconds, "2026-11-23T15:00:00.000Z". Returns out. */
#define TIME_TEXT_SIZE 32
char *time_text(int64_t unix_ms, char out[TIME_TEXT_SIZE]);

#endif
