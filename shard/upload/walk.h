/* What the steps of the upload protocol stand on: moving on, waiting, and what takes
 * time. Private to shard/upload/. */
#ifndef SHARD_UPLOAD_WALK_H
#define SHARD_UPLOAD_WALK_H

#include "shard/upload/upload.h"

/* One step: enter() begins what takes time, exactly one of the others gets its
 * outcome. enter() may also move on at once. */
struct upload_step_ops {
    void (*enter)(struct upload *u);
    void (*answered)(struct upload *u, const struct bank_request *r);
    void (*applied)(struct upload *u, const struct command_result *result); /* Not when refused. */
    void (*rebuilt)(struct upload *u, enum sg_err err, const char *why);
};

/* steps: by enum upload_step; borrowed for ever. uploads_init() gives all of them. */
void uploads_init_with(struct uploads *us, struct duty_env *env, const struct upload_step_ops *const *steps);
/* CHECKs the table of successors. The next step runs when nothing is under way. */
void upload_move(struct upload *u, enum upload_step next);
/* It did not work: go to next (or stay) after a wait that grows; alert people
 * when it is time. */
void upload_retry(struct upload *u, enum upload_step next, const char *why);
/* A request about one name of the current attempt: suffix ".part", ".wit" or
 * ".dead" in staging; NULL: the final name in the drop directory. */
struct bank_request *upload_request(struct upload *u, enum bank_op op, const char *suffix);
/* Sends it; the step's answered() comes. data (may be NULL) is taken over. */
void upload_send(struct upload *u, struct bank_request *r, struct bytes *data);
/* The step's applied() comes; a refusal or failure leads to start. */
void upload_commit(struct upload *u, struct command *c);
/* The step's rebuilt() comes, with data set when SG_OK. */
void upload_rebuild(struct upload *u);
/* u's requests go to the endpoint of this version's settings; 0: to that of the
 * newest, as far as nothing is known of an attempt's own. */
MUST_USE enum sg_err upload_take_settings(struct upload *u, struct duty_read *r, uint64_t version);
/* The settings name other directories than when u left start, and it is at a
 * step that looks at them: it must begin anew. */
bool upload_is_elsewhere(const struct upload *u);
/* The endpoint must prove itself before the next claim. */
void uploads_need_probe(struct uploads *us);
/* The name of an attempt at the bank, unique for ever. */
void upload_name(const struct duty_env *e, uint64_t attempt, const char *suffix, char out[BANK_NAME_SIZE]);

/* --- Made of these (walk.c) --------------------------------------------------- */

/* An answer that does not answer the question: ask again later, at next. */
void upload_unclear(struct upload *u, enum upload_step next, const struct bank_request *r);
void upload_stat(struct upload *u, const char *suffix);
/* CREATE with these bytes, taken over, to be confirmed by their hash. */
void upload_create(struct upload *u, const char *suffix, struct bytes *data);
/* A command about the current attempt; HOLD with u->reason and u->is_resolving. */
void upload_commit_attempt(struct upload *u, enum command_kind kind);
void upload_back_to_start(struct upload *u, const struct command_result *result);

#endif
