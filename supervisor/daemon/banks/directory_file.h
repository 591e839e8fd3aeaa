/* Writing one file into a directory so that nothing about it is in doubt. For
 * directory.c only. */
#ifndef SUPERVISOR_DAEMON_BANKS_DIRECTORY_FILE_H
#define SUPERVISOR_DAEMON_BANKS_DIRECTORY_FILE_H

#include <sys/types.h>

#include "shard/upload/bank.h"

/* Create r->name in dir (path is for messages) with O_EXCL, give it the group if
 * this process may, write r->data in
 * pieces under the endpoint's rate limit, flush, confirm as the endpoint says,
 * close. true: BANK_OK, but for the flush of the directory. false: the request is
 * answered: BANK_EXISTS, BANK_FAILED (nothing was created) or BANK_DOUBT. */
bool directory_file_create(struct bank_request *r, int dir, const char *path, gid_t group);

/* Shared with directory.c. BANK_FAILED, or BANK_DOUBT where the device or mount
 * itself failed. */
enum bank_answer directory_answer_for(int err);
void directory_answer(struct bank_request *r, enum bank_answer answer, const char *text);
void directory_answer_errno(struct bank_request *r, enum bank_answer answer, int err, const char *what,
                            const char *where);

#endif
