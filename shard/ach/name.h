/* Names of files at the bank, from a template.
 *
 *   {routing_number}  nine digits
 *   {origin}          immediate origin
 *   {date}            creation day, YYYYMMDD; {date:%y%m%d} with %Y %y %m %d %j
 *   {window}          name of the window
 *   {modifier}        file ID modifier, A-Z 0-9
 *   {sequence}        number of the file in the shard
 *
 * A name must never come twice, so a template has a whole {date} (a year with
 * month and day, or with %j) and {modifier}: together they are unique for a
 * shard. */
#ifndef SHARD_ACH_NAME_H
#define SHARD_ACH_NAME_H

#include "proto/settings.h"

struct ach_name {
    struct day day;     /* Creation day. */
    struct span window; /* At most 16 characters. */
    char modifier;
    uint64_t sequence;
};

#define ACH_NAME_SIZE (FILE_NAME_SIZE_MAX + 1)

/* Can every name of this shard be rendered from its template (shard.file_name)?
 * Graphic ASCII without '/' and '\', no '.' in front, no name over
 * FILE_NAME_SIZE_MAX, even with the longest window name.
 * SG_INVALID: why (why_size bytes) names the fault (an unknown placeholder by
 * its name). */
MUST_USE enum sg_err name_check(const struct shard_settings *s, char *why, size_t why_size);

/* The name as a C string in out. Fails only where name_check() fails or n holds
 * what no log of ours holds; SG_INVALID and why then, out is empty. */
MUST_USE enum sg_err name_render(const struct shard_settings *s, const struct ach_name *n,
                                 char out[ACH_NAME_SIZE], char *why, size_t why_size);

/* Could two shards with these templates, both good by name_check(), ever give
 * their files the same name? false only when that is certain: there is a place
 * in the names, counted from the front or from the back, at which they always
 * differ, or their lengths do. A template clashes with itself unless the
 * routing number has such a place. */
bool name_may_clash(struct span a, struct span b);

#endif
