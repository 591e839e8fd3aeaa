/* What is known of a verb without carrying it out: where it is answered, whether it
 * may be repeated, which right it needs. The one table of verbs is
 * supervisor/verbs/table.h. */
#ifndef SUPERVISOR_BASE_VERB_H
#define SUPERVISOR_BASE_VERB_H

#include "proto/client.h"

enum verb_where {
    VERB_ITSELF,  /* Any node, in any state: what it knows of itself. */
    VERB_NODE,    /* Any running node. */
    VERB_REPLICA, /* Any node that holds a replica of the shard. */
    VERB_LEADER,  /* The shard's leader. */
    VERB_CATALOG  /* The catalog's leader. */
};

/* May it be carried out a second time, when nobody knows what became of the first? */
enum verb_repeat {
    VERB_ONCE,  /* Never. */
    VERB_NAMED, /* When it names the window it is about: without a name each close is a new window. */
    VERB_AGAIN, /* The second time changes nothing. */
    VERB_FOLDS  /* As VERB_AGAIN, and what was done the first time is answered as it was then. */
};

/* What a caller must be allowed to. Nothing asks for it yet. */
enum verb_right {
    RIGHT_NONE, /* Of no verb. */
    RIGHT_SUBMIT,
    RIGHT_READ,
    RIGHT_REVEAL, /* Whole account numbers; asked for by an argument of a verb that reads. */
    RIGHT_OPERATE,
    RIGHT_RELEASE,
    RIGHT_CONFIGURE,
    RIGHT_AUDIT,
    RIGHT_ADMIN,
    RIGHTS
};
const char *verb_right_name(enum verb_right right); /* "submit" ... */

struct verb_facts {
    enum request_kind kind; /* REQUEST_NONE: there is no such verb. */
    enum verb_where where;
    enum verb_repeat repeat;
    enum verb_right right;
};

/* Does it take a routing number? */
bool verb_is_of_shard(const struct verb_facts *v);
/* Does it change anything? Then a lost answer leaves its outcome unknown. */
bool verb_is_change(const struct verb_facts *v);
bool verb_is_repeatable(const struct verb_facts *v, const struct request *r);

#endif
