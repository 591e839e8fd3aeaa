/* The columns of the table that a node carries out. */
#include "supervisor/verbs/table.h"

#include "supervisor/verbs/verbs.h"

#define VERB_ROW(kind, where, repeat, right, run, done_before, view) \
    [kind] = {{kind, where, repeat, right}, run, done_before},
static const struct verb verbs[REQUEST_KINDS] = {VERB_TABLE(VERB_ROW)};
#undef VERB_ROW

const struct verb *verbs_table(void)
{
    return verbs;
}
