/* The lives of transfers, windows and files: which state may follow which.
 *
 *   transfer  PENDING -> SEALED -> CANCELLED (its file was abandoned)
 *             PENDING -> CANCELLED
 *   window    CLOSED -> SEALED;  MISSED
 *   file      SEALED -> CLAIMED -> STAGED -> UPLOADED
 *             SEALED, CLAIMED, STAGED -> HOLD -> UPLOADED or ABANDONED (an operator)
 *             HOLD -> STAGED (an operator decided: its staged copy is taken back first)
 *             SEALED, CLAIMED, STAGED -> ABANDONED (cancelled)
 *             STAGED -> SEALED (the attempt was abandoned, the file was not)
 *             CLAIMED -> CLAIMED (a new attempt)
 *
 * A move that is not in the table is a broken program (CHECK): commands are
 * refused before they come here. */
#ifndef SHARD_STATE_LIFE_H
#define SHARD_STATE_LIFE_H

#include "proto/rows.h"

void transfer_move(struct transfer_row *t, enum transfer_state next);
void window_move(struct window_row *w, enum window_state next);
/* Also CHECKs what must be true of a file in its new state. */
void file_move(struct file_row *f, enum file_state next);
bool file_can_move(const struct file_row *f, enum file_state next);

#endif
