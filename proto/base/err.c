#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>

#define ERR_TEXT(name, text) [name] = (text),
static const char *const err_texts[SG_ERRS] = {SG_ERR_TABLE(ERR_TEXT)};
#undef ERR_TEXT

/* The preprocessor cannot lower the case; test_proto_err compares the two tables. */
static const char *const err_names[] = {
    [SG_OK] = "ok",
    [SG_INVALID] = "invalid",
    [SG_NOTFOUND] = "notfound",
    [SG_EXISTS] = "exists",
    [SG_CONFLICT] = "conflict",
    [SG_TOOBIG] = "toobig",
    [SG_IO] = "io",
    [SG_CORRUPT] = "corrupt",
    [SG_NOTLEADER] = "notleader",
    [SG_UNAVAILABLE] = "unavailable",
    [SG_REFUSED] = "refused",
    [SG_UNKNOWN] = "unknown",
    [SG_TIMEOUT] = "timeout",
    [SG_BUSY] = "busy",
    [SG_STOPPED] = "stopped",
    [SG_UNSUPPORTED] = "unsupported",
};
_Static_assert(sizeof(err_names) / sizeof(err_names[0]) == SG_ERRS, "a name for each error");

static bool err_is_known(enum sg_err err)
{
    return (unsigned)err < SG_ERRS;
}

const char *sg_err_text(enum sg_err err)
{
    return err_is_known(err) ? err_texts[err] : "unknown error";
}

const char *sg_err_name(enum sg_err err)
{
    return err_is_known(err) ? err_names[err] : "unknown error";
}
