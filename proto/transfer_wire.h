/* Transfers inside other messages (requests, log commands). For codecs only. */
#ifndef PROTO_TRANSFER_WIRE_H
#define PROTO_TRANSFER_WIRE_H

#include "proto/base/wire.h"
#include "proto/transfer.h"

/* What a struct transfer can express: known fields and enums, nine-digit numbers, a
 * day of the calendar. Whether it makes a good transfer is for transfer_check(). */
extern const struct wire_message transfer_message;
/* The same, and all sizes and the amount are within limits.h. */
extern const struct wire_message transfer_bounded_message;

/* Are they? transfer_decode() demands it. */
bool transfer_is_bounded(const struct transfer *t);

#endif
