/* The steps of the upload protocol, by the files that hold them. Private to shard/upload/. */
#ifndef SHARD_UPLOAD_STEPS_H
#define SHARD_UPLOAD_STEPS_H

#include "shard/upload/walk.h"

const struct upload_step_ops *upload_step_ops(enum upload_step s);

/* 0 to 4: stage.c. 5 to 10: deliver.c. 11: after.c. */
extern const struct upload_step_ops upload_start_ops;
extern const struct upload_step_ops upload_probe_ops;
extern const struct upload_step_ops upload_rebuild_ops;
extern const struct upload_step_ops upload_claim_ops;
extern const struct upload_step_ops upload_witness_ops;
extern const struct upload_step_ops upload_put_ops;
extern const struct upload_step_ops upload_record_ops;
extern const struct upload_step_ops upload_look_final_ops;
extern const struct upload_step_ops upload_look_staged_ops;
extern const struct upload_step_ops upload_rename_ops;
extern const struct upload_step_ops upload_sync_ops;
extern const struct upload_step_ops upload_check_staged_ops;
extern const struct upload_step_ops upload_check_dead_ops;
extern const struct upload_step_ops upload_check_witness_ops;
extern const struct upload_step_ops upload_uploaded_ops;
extern const struct upload_step_ops upload_abandoned_ops;
extern const struct upload_step_ops upload_hold_ops;
extern const struct upload_step_ops upload_clean_ops;
extern const struct upload_step_ops upload_verify_ops;
extern const struct upload_step_ops upload_verified_ops;
extern const struct upload_step_ops upload_ended_ops;

#endif
