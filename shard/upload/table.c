#include "proto/base/fault.h"
#include "shard/upload/upload.h"

#define BIT(step) (1u << (step))
CHECK_STATIC(UPLOAD_STEPS <= 32, "upload_next[] holds 32 bits");

/* Which steps may follow which. A look at the rows (start) may follow any. */
static const uint32_t upload_next[UPLOAD_STEPS] = {
    [UPLOAD_START] = BIT(UPLOAD_PROBE) | BIT(UPLOAD_LOOK_FINAL) | BIT(UPLOAD_RENAME) | BIT(UPLOAD_CLEAN) |
                     BIT(UPLOAD_ENDED),
    [UPLOAD_PROBE] = BIT(UPLOAD_REBUILD) | BIT(UPLOAD_ENDED),
    [UPLOAD_REBUILD] = BIT(UPLOAD_CLAIM),
    [UPLOAD_CLAIM] = BIT(UPLOAD_WITNESS),
    [UPLOAD_WITNESS] = BIT(UPLOAD_PUT), /* The witness is there before T. */
    [UPLOAD_PUT] = BIT(UPLOAD_RECORD),
    [UPLOAD_RECORD] = BIT(UPLOAD_LOOK_FINAL), /* Only with STAGED applied. */
    [UPLOAD_LOOK_FINAL] = BIT(UPLOAD_LOOK_STAGED),
    [UPLOAD_LOOK_STAGED] = BIT(UPLOAD_RENAME) | BIT(UPLOAD_SYNC) | BIT(UPLOAD_HOLD) | BIT(UPLOAD_LOOK_FINAL),
    [UPLOAD_RENAME] = BIT(UPLOAD_SYNC), /* Whatever the answer. */
    [UPLOAD_SYNC] = BIT(UPLOAD_CHECK_STAGED),
    [UPLOAD_CHECK_STAGED] = BIT(UPLOAD_CHECK_DEAD),
    [UPLOAD_CHECK_DEAD] = BIT(UPLOAD_ABANDONED) | BIT(UPLOAD_CHECK_WITNESS),
    [UPLOAD_CHECK_WITNESS] = BIT(UPLOAD_UPLOADED) | BIT(UPLOAD_HOLD),
    [UPLOAD_UPLOADED] = 0,
    [UPLOAD_ABANDONED] = 0,
    [UPLOAD_HOLD] = 0,
    [UPLOAD_CLEAN] = BIT(UPLOAD_CLEAN) | BIT(UPLOAD_VERIFY) | BIT(UPLOAD_VERIFIED),
    [UPLOAD_VERIFY] = BIT(UPLOAD_CLEAN),
    [UPLOAD_VERIFIED] = 0,
    [UPLOAD_ENDED] = 0,
};

static const char *const step_names[UPLOAD_STEPS] = {
    [UPLOAD_START] = "start",
    [UPLOAD_PROBE] = "probe",
    [UPLOAD_REBUILD] = "rebuild",
    [UPLOAD_CLAIM] = "claim",
    [UPLOAD_WITNESS] = "witness",
    [UPLOAD_PUT] = "put",
    [UPLOAD_RECORD] = "record",
    [UPLOAD_LOOK_FINAL] = "look_final",
    [UPLOAD_LOOK_STAGED] = "look_staged",
    [UPLOAD_RENAME] = "rename",
    [UPLOAD_SYNC] = "sync",
    [UPLOAD_CHECK_STAGED] = "check_staged",
    [UPLOAD_CHECK_DEAD] = "check_dead",
    [UPLOAD_CHECK_WITNESS] = "check_witness",
    [UPLOAD_UPLOADED] = "uploaded",
    [UPLOAD_ABANDONED] = "abandoned",
    [UPLOAD_HOLD] = "hold",
    [UPLOAD_CLEAN] = "clean",
    [UPLOAD_VERIFY] = "verify",
    [UPLOAD_VERIFIED] = "verified",
    [UPLOAD_ENDED] = "ended",
};

const char *upload_step_name(enum upload_step s)
{
    return step_names[s];
}

bool upload_may_follow(enum upload_step from, enum upload_step to)
{
    if (FAULT_BUG("uploaded-on-rename-answer") && from == UPLOAD_RENAME && to == UPLOAD_UPLOADED) {
        return true;
    }
    return to == UPLOAD_START || (upload_next[from] & BIT(to)) != 0;
}
