#include <stdio.h>

#include "proto/base/fault.h"
#include "shard/upload/steps.h"

/* --- 5: F, then T: both there, twice, means that F is somebody else's ------------------------------ */

static void look_final_enter(struct upload *u)
{
    if (FAULT_BUG("delete-staged")) {
        upload_send(u, upload_request(u, BANK_REMOVE, ".part"), NULL);
        return;
    }
    upload_stat(u, NULL);
}

static void look_final_answered(struct upload *u, const struct bank_request *r)
{
    if (r->answer != BANK_OK && r->answer != BANK_ABSENT) {
        upload_unclear(u, UPLOAD_LOOK_FINAL, r);
        return;
    }
    u->is_final_there = r->answer == BANK_OK;
    u->were_both_there = u->were_both_there && u->is_final_there;
    upload_move(u, UPLOAD_LOOK_STAGED);
}

static void look_staged_enter(struct upload *u)
{
    if (FAULT_BUG("tombstone")) {
        struct bytes text = BYTES_NONE;
        bytes_printf(&text, "tombstone\n");
        upload_create(u, ".part", &text);
        return;
    }
    upload_stat(u, ".part");
}

static void look_staged_answered(struct upload *u, const struct bank_request *r)
{
    bool is_there = r->answer == BANK_OK || (FAULT_BUG("tombstone") && r->answer == BANK_EXISTS);
    if (!is_there && r->answer != BANK_ABSENT) {
        upload_unclear(u, UPLOAD_LOOK_STAGED, r);
    } else if (!is_there) {
        upload_move(u, UPLOAD_SYNC); /* Somebody moved it: nothing to rename, all to prove. */
    } else if (u->is_final_there && !u->were_both_there) {
        /* A server that lost its power between the two looks has undone a rename. */
        u->were_both_there = true;
        upload_move(u, UPLOAD_LOOK_FINAL);
    } else if (u->is_final_there) {
        (void)snprintf(u->reason, sizeof u->reason,
                       "another file stands at the bank under the name %s: the staged copy was not moved",
                       u->name);
        upload_move(u, UPLOAD_HOLD);
    } else {
        upload_move(u, UPLOAD_RENAME);
    }
}

/* --- 6 or D: move the token; 7: make it last ------------------------------------------------- */

static void rename_enter(struct upload *u)
{
    FAULT_POINT("upload.before-rename");
    struct bank_request *r = upload_request(u, BANK_RENAME, ".part");
    if (u->cancel) {
        r->to_place = BANK_STAGING;
        upload_name(u->uploads->env, u->attempt, ".dead", r->to_name);
    } else {
        r->to_place = BANK_DROP;
        (void)snprintf(r->to_name, sizeof r->to_name, "%s", u->name);
    }
    upload_send(u, r, NULL);
}

static void rename_answered(struct upload *u, const struct bank_request *r)
{
    FAULT_POINT("upload.renamed");
    if (FAULT_BUG("uploaded-on-rename-answer") && (r->answer == BANK_OK || r->answer == BANK_ABSENT)) {
        upload_move(u, UPLOAD_UPLOADED);
        return;
    }
    upload_move(u, UPLOAD_SYNC); /* The answer decides nothing. */
}

static void sync_enter(struct upload *u)
{
    upload_send(u, upload_request(u, BANK_SYNC, ".part"), NULL);
}

static void sync_answered(struct upload *u, const struct bank_request *r)
{
    if (r->answer != BANK_OK) {
        upload_unclear(u, UPLOAD_SYNC, r);
        return;
    }
    FAULT_POINT("upload.synced");
    upload_move(u, UPLOAD_CHECK_STAGED);
}

/* --- 8, 9, 10: the evidence, W strictly last ---------------------------------------------------- */

static void check_staged_enter(struct upload *u)
{
    upload_stat(u, ".part");
}

static void check_staged_answered(struct upload *u, const struct bank_request *r)
{
    if (r->answer == BANK_ABSENT) {
        upload_move(u, UPLOAD_CHECK_DEAD);
    } else if (r->answer == BANK_OK) {
        upload_retry(u, UPLOAD_START, "the staged copy is still in its place after the rename");
    } else {
        upload_unclear(u, UPLOAD_CHECK_STAGED, r);
    }
}

static void check_dead_enter(struct upload *u)
{
    upload_stat(u, ".dead");
}

static void check_dead_answered(struct upload *u, const struct bank_request *r)
{
    if (r->answer == BANK_OK) {
        upload_move(u, UPLOAD_ABANDONED);
    } else if (r->answer == BANK_ABSENT) {
        upload_move(u, UPLOAD_CHECK_WITNESS);
    } else {
        upload_unclear(u, UPLOAD_CHECK_DEAD, r);
    }
}

static void check_witness_enter(struct upload *u)
{
    upload_stat(u, ".wit");
}

static void check_witness_answered(struct upload *u, const struct bank_request *r)
{
    if (r->answer == BANK_OK) {
        upload_move(u, UPLOAD_UPLOADED);
    } else if (r->answer == BANK_ABSENT || FAULT_BUG("doubt-is-absence")) {
        (void)snprintf(u->reason, sizeof u->reason,
                       "staging lost or wrong server: neither the staged copy nor its witness is there");
        upload_move(u, UPLOAD_HOLD);
    } else {
        upload_unclear(u, UPLOAD_CHECK_WITNESS, r);
    }
}

/* --- The end, in the log --------------------------------------------------------------------------- */

static void uploaded_enter(struct upload *u)
{
    FAULT_POINT("upload.before-uploaded");
    upload_commit_attempt(u, COMMAND_UPLOADED);
}

static void uploaded_applied(struct upload *u, const struct command_result *result)
{
    (void)result;
    FAULT_POINT("upload.uploaded");
    upload_move(u, UPLOAD_START);
}

static void abandoned_enter(struct upload *u)
{
    upload_commit_attempt(u, COMMAND_ABANDONED);
}

static void hold_enter(struct upload *u)
{
    upload_commit_attempt(u, COMMAND_HOLD);
}

const struct upload_step_ops upload_look_final_ops = {.enter = look_final_enter,
                                                      .answered = look_final_answered};
const struct upload_step_ops upload_look_staged_ops = {.enter = look_staged_enter,
                                                       .answered = look_staged_answered};
const struct upload_step_ops upload_rename_ops = {.enter = rename_enter, .answered = rename_answered};
const struct upload_step_ops upload_sync_ops = {.enter = sync_enter, .answered = sync_answered};
const struct upload_step_ops upload_check_staged_ops = {.enter = check_staged_enter,
                                                        .answered = check_staged_answered};
const struct upload_step_ops upload_check_dead_ops = {.enter = check_dead_enter,
                                                      .answered = check_dead_answered};
const struct upload_step_ops upload_check_witness_ops = {.enter = check_witness_enter,
                                                         .answered = check_witness_answered};
const struct upload_step_ops upload_uploaded_ops = {.enter = uploaded_enter, .applied = uploaded_applied};
const struct upload_step_ops upload_abandoned_ops = {.enter = abandoned_enter,
                                                     .applied = upload_back_to_start};
const struct upload_step_ops upload_hold_ops = {.enter = hold_enter, .applied = upload_back_to_start};
