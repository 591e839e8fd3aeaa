#include "shard/upload/bank.h"

const char *bank_answer_name(enum bank_answer a)
{
    switch (a) {
    case BANK_OK:
        return "ok";
    case BANK_ABSENT:
        return "absent";
    case BANK_EXISTS:
        return "exists";
    case BANK_FAILED:
        return "failed";
    case BANK_DOUBT:
        return "doubt";
    default:
        return "none";
    }
}
