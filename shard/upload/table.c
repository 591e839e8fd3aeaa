#include "proto/base/fault.h"
#include "shard/upload/steps.h"

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

static const struct {
    const char *name;
    const struct upload_step_ops *ops;
} steps[UPLOAD_STEPS] = {
    [UPLOAD_START] = {"start", &upload_start_ops},
    [UPLOAD_PROBE] = {"probe", &upload_probe_ops},
    [UPLOAD_REBUILD] = {"rebuild", &upload_rebuild_ops},
    [UPLOAD_CLAIM] = {"claim", &upload_claim_ops},
    [UPLOAD_WITNESS] = {"witness", &upload_witness_ops},
    [UPLOAD_PUT] = {"put", &upload_put_ops},
    [UPLOAD_RECORD] = {"record", &upload_record_ops},
    [UPLOAD_LOOK_FINAL] = {"look_final", &upload_look_final_ops},
    [UPLOAD_LOOK_STAGED] = {"look_staged", &upload_look_staged_ops},
    [UPLOAD_RENAME] = {"rename", &upload_rename_ops},
    [UPLOAD_SYNC] = {"sync", &upload_sync_ops},
    [UPLOAD_CHECK_STAGED] = {"check_staged", &upload_check_staged_ops},
    [UPLOAD_CHECK_DEAD] = {"check_dead", &upload_check_dead_ops},
    [UPLOAD_CHECK_WITNESS] = {"check_witness", &upload_check_witness_ops},
    [UPLOAD_UPLOADED] = {"uploaded", &upload_uploaded_ops},
    [UPLOAD_ABANDONED] = {"abandoned", &upload_abandoned_ops},
    [UPLOAD_HOLD] = {"hold", &upload_hold_ops},
    [UPLOAD_CLEAN] = {"clean", &upload_clean_ops},
    [UPLOAD_VERIFY] = {"verify", &upload_verify_ops},
    [UPLOAD_VERIFIED] = {"verified", &upload_verified_ops},
    [UPLOAD_ENDED] = {"ended", &upload_ended_ops},
};

const char *upload_step_name(enum upload_step s)
{
    return steps[s].name;
}

const struct upload_step_ops *upload_step_ops(enum upload_step s)
{
    return steps[s].ops;
}

bool upload_may_follow(enum upload_step from, enum upload_step to)
{
    if (FAULT_BUG("uploaded-on-rename-answer") && from == UPLOAD_RENAME && to == UPLOAD_UPLOADED) {
        return true;
    }
    return to == UPLOAD_START || (upload_next[from] & BIT(to)) != 0;
}

void upload_unclear(struct upload *u, enum upload_step next, const struct bank_request *r)
{
    upload_retry(u, next, r->text[0] != '\0' ? r->text : bank_answer_name(r->answer));
}

void upload_stat(struct upload *u, const char *suffix)
{
    upload_send(u, upload_request(u, BANK_STAT, suffix), NULL);
}

void upload_create(struct upload *u, const char *suffix, struct bytes *data)
{
    struct bank_request *r = upload_request(u, BANK_CREATE, suffix);
    r->sha256 = sha256_of(span_bytes(data));
    upload_send(u, r, data);
}

void upload_commit_attempt(struct upload *u, enum command_kind kind)
{
    struct command c = {.kind = kind};
    c.file.attempt = u->attempt;
    if (kind == COMMAND_HOLD) {
        c.file.reason = span_str(u->reason);
        c.file.resolving = u->is_resolving;
    }
    upload_commit(u, &c);
}

void upload_back_to_start(struct upload *u, const struct command_result *result)
{
    (void)result;
    upload_move(u, UPLOAD_START);
}
