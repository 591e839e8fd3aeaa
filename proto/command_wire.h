/* Parts of commands inside other records. For codecs only. */
#ifndef PROTO_COMMAND_WIRE_H
#define PROTO_COMMAND_WIRE_H

#include "proto/base/wire.h"
#include "proto/command.h"

/* A file's row holds one, without members. */
extern const struct wire_message seal_message;
/* An answer to a client and the result of a SUBMIT hold these. */
extern const struct wire_message submit_result_message;

#endif
