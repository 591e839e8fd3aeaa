/* The bank seam on local (or NFS) directories: one request, carried out at once.
 *
 * Both directories are opened anew for every request, so that one that was
 * mounted again or replaced is seen; both must be on one device, because the
 * rename from staging to drop is the one atomic step. A missing drop directory
 * is an answer, never created; a missing staging directory is made (0700) by
 * CREATE and PROBE when its parent exists, and by nothing else: a look into a
 * directory that is gone must not come out as "absent".
 *
 * Errors of the system become answers: what surely changed nothing is
 * BANK_FAILED, what may have is BANK_DOUBT. The text says what was tried, what
 * the system said and what to do. */
#ifndef SUPERVISOR_DAEMON_BANKS_DIRECTORY_H
#define SUPERVISOR_DAEMON_BANKS_DIRECTORY_H

#include "shard/upload/bank.h"

/* Any thread; blocks as long as the file system does, and with a rate limit as
 * long as that takes. Fills answer, size_bytes and text; done() is not called. */
void directory_execute(struct bank_request *r);

#endif
