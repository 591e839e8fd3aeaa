#include "supervisor/base/verb.h"

#include "proto/base/check.h"

const char *verb_right_name(enum verb_right right)
{
    static const char *const names[RIGHTS] = {
        [RIGHT_NONE] = "none",           [RIGHT_SUBMIT] = "submit",   [RIGHT_READ] = "read",
        [RIGHT_REVEAL] = "reveal",       [RIGHT_OPERATE] = "operate", [RIGHT_RELEASE] = "release",
        [RIGHT_CONFIGURE] = "configure", [RIGHT_AUDIT] = "audit",     [RIGHT_ADMIN] = "admin",
    };
    CHECK((unsigned)right < RIGHTS);
    return names[right];
}

bool verb_is_of_shard(const struct verb_facts *v)
{
    return v->where == VERB_REPLICA || v->where == VERB_LEADER;
}

bool verb_is_change(const struct verb_facts *v)
{
    switch (v->right) {
    case RIGHT_SUBMIT:
    case RIGHT_OPERATE:
    case RIGHT_RELEASE:
    case RIGHT_CONFIGURE:
    case RIGHT_ADMIN:
        return true;
    case RIGHT_NONE:
    case RIGHT_READ:
    case RIGHT_REVEAL:
    case RIGHT_AUDIT:
    case RIGHTS:
        break;
    }
    return false;
}

bool verb_is_repeatable(const struct verb_facts *v, const struct request *r)
{
    switch (v->repeat) {
    case VERB_NAMED:
        return request_arg(r, "window").n > 0;
    case VERB_AGAIN:
    case VERB_FOLDS:
        return true;
    case VERB_ONCE:
        break;
    }
    return false;
}
