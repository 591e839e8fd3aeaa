#include "supervisor/base/net_err.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <nng/nng.h>

#include "proto/base/check.h"

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

static bool is_port(const char *text)
{
    size_t n = strspn(text, "0123456789");
    unsigned long port = strtoul(text, NULL, 10);
    return n > 0 && n <= 5 && text[n] == '\0' && port >= 1 && port <= 65535;
}

enum sg_err net_address_check(const char *what, const char *address, char *why, size_t why_size)
{
    static const char tcp[] = "tcp://";
    static const char ipc[] = "ipc://";
    bool good = false;
    if (strncmp(address, tcp, sizeof(tcp) - 1) == 0) {
        const char *host = address + sizeof(tcp) - 1;
        const char *colon = strrchr(host, ':');
        good = colon != NULL && colon != host && is_port(colon + 1);
    } else if (strncmp(address, ipc, sizeof(ipc) - 1) == 0) {
        good = address[sizeof(ipc) - 1] != '\0';
    }
    return good ? SG_OK : net_err(NNG_EADDRINVAL, what, address, why, why_size);
}
