/* Judging an ACH file we made, from its bytes alone. */
#ifndef SHARD_ACH_VERIFY_H
#define SHARD_ACH_VERIFY_H

#include "shard/ach/file.h"

/* Does file hold everything that a receiving operator tests (Nacha Operating
 * Rules, appendix 2)? Order of records, characters, line ends all alike, counts,
 * entry hashes, totals, blocks and filler, check digits, transaction codes
 * against SEC, side and amount, service class against entries, headers against
 * controls, trace numbers ascending with the ODFI's prefix, batch numbers from
 * 1, addenda numbering, mandatory fields, effective dates on banking days and not
 * before the creation date, capitals in the descriptions that the rules define.
 *
 * Strict: for forward files of PPD, CCD, CTX, WEB and TEL as this program
 * writes them. For files of others use ach_parse(). It shares the field table
 * with the builder and no arithmetic.
 *
 * open_on_holidays: an effective date may be a holiday of the Federal Reserve,
 * because the shard's calendar says "holidays: none". Closed days of its own can't
 * be seen in a file.
 *
 * SG_OK: found has the totals, counted anew from the entries.
 * SG_INVALID: why (why_size bytes, may be NULL) is one sentence that names the
 * line; found is zero. */
MUST_USE enum sg_err ach_verify(struct span file, bool open_on_holidays, struct ach_totals *found, char *why,
                                size_t why_size);

#endif
