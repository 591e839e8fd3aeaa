/* Rules about texts, shared by the checks of settings and of transfers. */
#ifndef SHARD_ACH_TEXT_H
#define SHARD_ACH_TEXT_H

#include "proto/base/bytes.h"
#include "proto/base/err.h"

/* Is s, written in upper case, this text? */
bool text_is_upper(struct span s, const char *upper);
/* Only blanks and zeros, or empty: as good as nothing in a mandatory field. */
bool text_is_blank_or_zero(struct span s);
/* Only 0-9; true for an empty text. */
bool text_is_digits(struct span s);
/* Only 0x20 to 0x7E; true for an empty text. */
bool text_is_printable(struct span s);

/* Compare two texts as they will stand in their field: without the blanks at their
 * ends, and in upper case if upper. */
int text_cmp_written(struct span a, struct span b, bool upper);

/* One text on its way into a field. */
struct text_rule {
    const char *key; /* As people write it. */
    struct span text;
    size_t size_max;
    bool mandatory;
};

/* SG_INVALID, with a sentence in why that names the key: too long, not
 * printable, begins with a blank, or mandatory and blank or zeros. */
MUST_USE enum sg_err text_check_all(const struct text_rule *rules, size_t count, char *why, size_t why_size);

/* SG_INVALID, with text in why. */
enum sg_err text_fail(char *why, size_t why_size, const char *text);

#endif
