/* Transfers inside other messages (requests, log commands). For codecs only. */
#ifndef PROTO_TRANSFER_PB_H
#define PROTO_TRANSFER_PB_H

#include "proto/base/arena_pb.h"
#include "proto/transfer.h"
#include "transfer.pb-c.h"

/* out borrows t's texts; its addenda list comes from the arena. */
void transfer_to_pb(const struct transfer *t, struct arena *a, Shardgate__V1__Transfer *out);

/* The other way: out's texts are pb's. Only what a struct transfer can express
 * is checked (known fields and enums, nine-digit numbers, a day of the calendar),
 * not whether it makes a good transfer: that is for transfer_check(). SG_INVALID
 * leaves out undefined. */
MUST_USE enum sg_err transfer_of_pb(const Shardgate__V1__Transfer *pb, struct arena *a, struct transfer *out);

/* Are all sizes and the amount within limits.h? transfer_decode() demands it. */
bool transfer_is_bounded(const struct transfer *t);

#endif
