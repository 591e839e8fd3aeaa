/* NNG's errors in our words, for the few modules that use NNG. */
#ifndef SUPERVISOR_BASE_NET_ERR_H
#define SUPERVISOR_BASE_NET_ERR_H

#include <stddef.h>

#include "proto/base/check.h"
#include "proto/base/err.h"

/* rv is one of NNG's numbers, not 0: SG_INVALID (the address is none), SG_EXISTS
 * (in use), SG_TIMEOUT, SG_STOPPED (closed), SG_IO. why gets "<what> <address>:
 * <reason>". */
enum sg_err net_err(int rv, const char *what, const char *address, char *why, size_t why_size);

/* Could one connect to this address? "tcp://host:port" with a host and a port
 * from 1 to 65535, "ipc:///path". SG_INVALID otherwise, and why as above. */
MUST_USE enum sg_err net_address_check(const char *what, const char *address, char *why, size_t why_size);

#endif
