/* The columns of the table that need nothing of a node. */
#include "supervisor/verbs/table.h"

#define FACTS_ROW(kind, where, repeat, right, run, done_before, view) [kind] = {kind, where, repeat, right},
static const struct verb_facts facts[REQUEST_KINDS] = {VERB_TABLE(FACTS_ROW)};
#undef FACTS_ROW

const struct verb_facts *verb_facts(enum request_kind kind)
{
    return &facts[(unsigned)kind < REQUEST_KINDS ? kind : REQUEST_NONE];
}
