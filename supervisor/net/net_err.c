#include "supervisor/net/net_err.h"

#include <stdio.h>

#include <nng/nng.h>

#include "proto/check.h"

#define ADDRESS_HINT \
    " (write it as tcp://host:port or ipc:///path; to listen, it must be one of this machine)"

struct net_err_row {
    int rv;
    enum sg_err err;
    const char *hint;
};

static const struct net_err_row rows[] = {
    {NNG_EADDRINVAL, SG_INVALID, ADDRESS_HINT},
    {NNG_EINVAL, SG_INVALID, ADDRESS_HINT},
    {NNG_ENOTSUP, SG_INVALID, ADDRESS_HINT},
    {NNG_EADDRINUSE, SG_EXISTS, " (does another process listen there?)"},
    {NNG_ETIMEDOUT, SG_TIMEOUT, ""},
    {NNG_ECLOSED, SG_STOPPED, ""},
};

enum sg_err net_err(int rv, const char *what, const char *address, char *why, size_t why_size)
{
    CHECK(rv != 0);
    enum sg_err err = SG_IO;
    const char *hint = "";
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (rows[i].rv == rv) {
            err = rows[i].err;
            hint = rows[i].hint;
        }
    }
    (void)snprintf(why, why_size, "%s %s: %s%s", what, address, nng_strerror(rv), hint);
    return err;
}
