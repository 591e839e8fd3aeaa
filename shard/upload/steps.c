/* All steps together: what the walk through them (upload.c) is given. */
#include "shard/upload/steps.h"

static const struct upload_step_ops *const steps[UPLOAD_STEPS] = {
    [UPLOAD_START] = &upload_start_ops,
    [UPLOAD_PROBE] = &upload_probe_ops,
    [UPLOAD_REBUILD] = &upload_rebuild_ops,
    [UPLOAD_CLAIM] = &upload_claim_ops,
    [UPLOAD_WITNESS] = &upload_witness_ops,
    [UPLOAD_PUT] = &upload_put_ops,
    [UPLOAD_RECORD] = &upload_record_ops,
    [UPLOAD_LOOK_FINAL] = &upload_look_final_ops,
    [UPLOAD_LOOK_STAGED] = &upload_look_staged_ops,
    [UPLOAD_RENAME] = &upload_rename_ops,
    [UPLOAD_SYNC] = &upload_sync_ops,
    [UPLOAD_CHECK_STAGED] = &upload_check_staged_ops,
    [UPLOAD_CHECK_DEAD] = &upload_check_dead_ops,
    [UPLOAD_CHECK_WITNESS] = &upload_check_witness_ops,
    [UPLOAD_UPLOADED] = &upload_uploaded_ops,
    [UPLOAD_ABANDONED] = &upload_abandoned_ops,
    [UPLOAD_HOLD] = &upload_hold_ops,
    [UPLOAD_CLEAN] = &upload_clean_ops,
    [UPLOAD_VERIFY] = &upload_verify_ops,
    [UPLOAD_VERIFIED] = &upload_verified_ops,
    [UPLOAD_ENDED] = &upload_ended_ops,
};

const struct upload_step_ops *upload_step_ops(enum upload_step s)
{
    return steps[s];
}

void uploads_init(struct uploads *us, struct duty_env *env)
{
    uploads_init_with(us, env, steps);
}
