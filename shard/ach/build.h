/* Writing an ACH file. */
#ifndef SHARD_ACH_BUILD_H
#define SHARD_ACH_BUILD_H

#include "shard/ach/file.h"

/* Build one file from entries ordered by ach_order(). out's content is replaced,
 * totals filled. Entry i of the array gets the trace sequence
 * header->trace_start + i. Pure: the same arguments give the same bytes, on any
 * machine; what a later level writes otherwise asks s->level. Names and descriptions
 * are written in upper case, unless the settings keep theirs (before LEVEL_WRITTEN:
 * everything in upper case); spaces in account numbers are removed. Unbalanced: no
 * offset entries.
 *
 * Each transfer must have passed transfer_check() and ach_validate() with these
 * very settings; a text or amount that does not fit its field stops the program.
 * What comes out must still pass ach_verify() before anybody relies on it.
 *
 * Errors (out is then empty, totals zero):
 *   SG_INVALID      count is 0; or header is out of range; or the settings are
 *                   not fit for building (ach_settings_check() says why; balanced
 *                   files among that); or an originator is not in them.
 *   SG_TOOBIG       more than ach_fit() allows from this trace_start. */
MUST_USE enum sg_err ach_build(const struct settings *s, const struct ach_file_header *header,
                               const struct ach_entry *entries, size_t count, struct bytes *out,
                               struct ach_totals *totals);

#endif
