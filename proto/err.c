#include "proto/err.h"

#include <stddef.h>

struct err_row {
    const char *text;
    bool retry;
};

#define ERR_ROW(name, text, retry) [name] = {text, retry},
static const struct err_row err_rows[SG_ERRS] = {SG_ERR_TABLE(ERR_ROW)};
#undef ERR_ROW

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
    return err_is_known(err) ? err_rows[err].text : "unknown error";
}

const char *sg_err_name(enum sg_err err)
{
    return err_is_known(err) ? err_names[err] : "unknown error";
}

bool sg_err_retry(enum sg_err err)
{
    return err_is_known(err) && err_rows[err].retry;
}
