/* Which pending transfers belong to a closed window.
 *
 * A member is a transfer accepted before the window closed that may go out on
 * the window's processing day and that fits the settings of the window. One
 * that does not stays pending: it waits for a later window, for its originator to
 * come back into the settings, or for a cancel. So who is a member is decided by
 * the close, whenever its file is made; which date it has there, by the sealing. */
#ifndef SHARD_STATE_MEMBER_H
#define SHARD_STATE_MEMBER_H

#include "shard/ach/effective.h"
#include "shard/state/state.h"

/* When a file of the window is made, by what its SEAL says and the SEAL's level. */
struct processing member_processing(const struct window_row *w, const struct command_seal *seal,
                                    uint32_t level);

/* Judge one transfer (a row in state PENDING) for a file that is made then; NULL:
 * only whether it is a member. true: out is filled, its transfer in the arena. The
 * error is SG_CORRUPT (the row's transfer). */
MUST_USE enum sg_err member_judge(struct rows *r, const struct window_row *w, const struct settings *settings,
                                  const struct processing *p, const struct transfer_row *row, struct arena *a,
                                  struct member *out, bool *is_member);

/* Is any of the first visits_max pending transfers a member of the window? */
MUST_USE enum sg_err member_any(struct rows *r, const struct window_row *w, const struct settings *settings,
                                size_t visits_max, bool *any);

#endif
