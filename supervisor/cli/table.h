/* JSON rows as plain aligned columns, and the parts of that.
 *
 * Everything appended is printable ASCII and line ends: control characters and
 * all else that could play tricks on a terminal is replaced by '?'. */
#ifndef SUPERVISOR_CLI_TABLE_H
#define SUPERVISOR_CLI_TABLE_H

#include <jansson.h>

#include "proto/base/bytes.h"

/* NUMBER and CENTS stand to the right. CENTS is money, printed in dollars. TIME
 * is RFC 3339 in UTC, printed in the local zone. ID is a transfer's: one that is
 * longer than ids may be, since it was never accepted, is cut and ends with "...". */
enum cell_kind { CELL_TEXT, CELL_ID, CELL_NUMBER, CELL_CENTS, CELL_TIME };

struct column {
    const char *head;
    const char *key; /* Of the row; "a.b" reaches into an object. */
    enum cell_kind kind;
    bool is_wide; /* Only shown where there is no limit. */
};

#define TABLE_WIDTH 100 /* Of a terminal, and of a mail. */

/* A line of heads (if heads), then one for each object of rows. width: what a line
 * may have; 0: no limit. With a limit the columns that are wide are left out, and a
 * text in the last column goes on in further lines below its beginning, broken at
 * blanks, but never within '...', which people paste. */
void table_render(const struct column *columns, size_t count, const json_t *rows, bool heads, size_t width,
                  struct bytes *out);

/* An object as lines of "key  value", in its order; objects within it as "key.key",
 * arrays of objects left out (they are tables). A number is money when its key
 * ends with _cents (which is left out then) or is "amount"; a text is a time when
 * it looks like one. */
void table_record(const json_t *object, struct bytes *out);

/* One value. null, nothing and an empty text are "-". */
void table_cell(const json_t *value, enum cell_kind kind, struct bytes *out);

/* s with everything but printable ASCII replaced by '?'. */
void table_clean(struct span s, struct bytes *out);
/* The same as a JSON text (a new reference). */
json_t *table_json(struct span s);

#endif
