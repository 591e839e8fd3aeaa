/* A SEAL inside another record (a file's row). For codecs only. */
#ifndef PROTO_COMMAND_WIRE_H
#define PROTO_COMMAND_WIRE_H

#include "proto/command.h"
#include "proto/base/wire.h"

/* Without members. */
void seal_encode(const struct command_seal *s, struct bytes *out);
/* out zero before; members stay as they are. SG_INVALID. */
MUST_USE enum sg_err seal_decode(struct span data, struct command_seal *out);

#endif
