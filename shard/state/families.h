/* The families of commands, a file each. apply.c chooses.
 *
 * Each apply_<family>() judges first and writes after: a command is refused
 * before it has changed anything. It returns SG_CORRUPT, SG_IO or SG_UNSUPPORTED
 * from the rows, and SG_OK for all else, refusals included.
 *
 * What a later level does otherwise asks command->level, never the level in force:
 * an entry that was made before the level moved is applied as it was meant, on a
 * replica that applies it today and on one that applied it then. */
#ifndef SHARD_STATE_FAMILIES_H
#define SHARD_STATE_FAMILIES_H

#include "shard/state/effect.h"

MUST_USE enum sg_err apply_submit(struct apply *a);
MUST_USE enum sg_err apply_cancel(struct apply *a);
MUST_USE enum sg_err apply_settings(struct apply *a);
MUST_USE enum sg_err apply_level(struct apply *a);
MUST_USE enum sg_err apply_close(struct apply *a);
MUST_USE enum sg_err apply_missed(struct apply *a);
MUST_USE enum sg_err apply_seal(struct apply *a);
MUST_USE enum sg_err apply_window_done(struct apply *a);
MUST_USE enum sg_err apply_release(struct apply *a);
/* CLAIM to ALERT. */
MUST_USE enum sg_err apply_file(struct apply *a);

#endif
