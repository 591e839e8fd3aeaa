#include "proto/base/fault.h"
#include "shard/ach/validate.h"
#include "shard/state/families.h"
#include "shard/state/counters.h"

#define WHY_SIZE 256

/* What one SUBMIT has done so far. */
struct submission {
    struct settings settings;
    struct bytes encoded; /* Of the transfer at hand. */
    uint64_t count;
    struct cents debit, credit;
};

static void reject(struct apply *a, struct submit_result *result, const char *why)
{
    result->outcome = OUTCOME_REJECTED;
    result->reason = arena_dup(a->arena, span_str(why));
}

/* The first answer stands, but nobody should believe that it was paid. */
static void answer_unpaid(struct apply *a, struct submit_result *result, enum submit_state state)
{
    result->state = state;
    result->reason = span_str(arena_printf(
        a->arena,
        "this id was accepted at log index %llu and %s: it is not paid; give a new payment an id of its own",
        (unsigned long long)result->index,
        state == SUBMIT_STATE_CANCELLED ? "cancelled" : "its file was abandoned"));
}

/* What became of the first one, when that is not a payment. The transfers of a file
 * that was abandoned are cancelled, and still say which file it was. */
static enum sg_err answer_folded(struct apply *a, const struct fold_row *fold, struct submit_result *result)
{
    struct transfer_row row;
    struct state_key key = key_number(TABLE_TRANSFERS, fold->seq);
    result->outcome = OUTCOME_FOLDED;
    result->index = fold->index;
    enum sg_err err = store_must(a->rows, &key, store_get_transfer(a->rows, fold->seq, a->arena, &row));
    if (err == SG_OK && row.state == TRANSFER_CANCELLED && !FAULT_BUG("cancelled-is-paid")) {
        answer_unpaid(a, result, row.file != 0 ? SUBMIT_STATE_ABANDONED : SUBMIT_STATE_CANCELLED);
    }
    return err;
}

/* I-5: the first answer, or a refusal to give the id to something else. */
static enum sg_err answer_known(struct apply *a, const struct fold_row *fold, const struct digest *content,
                                struct submit_result *result)
{
    if (span_eq(span_of(&fold->content, DIGEST_SIZE), span_of(content, DIGEST_SIZE)) ||
        FAULT_BUG("fold-any-content")) {
        return answer_folded(a, fold, result);
    }
    reject(
        a, result,
        arena_printf(a->arena,
                     "id used with other content: it was accepted at log index %llu; give this transfer an "
                     "id of its own",
                     (unsigned long long)fold->index));
    return SG_OK;
}

/* Never trusts the proposer: what could not be built must not be accepted. */
static bool is_good(struct apply *a, const struct submission *s, const struct transfer *t,
                    struct submit_result *result)
{
    char why[WHY_SIZE] = "";
    if (transfer_check(s->settings.level, t, why, sizeof(why)) == SG_OK &&
        ach_validate(&s->settings, t, why, sizeof(why)) == SG_OK) {
        return true;
    }
    reject(a, result, why);
    return false;
}

static enum sg_err store_accepted(struct apply *a, const struct submission *s, const struct transfer *t,
                                  const struct digest *content)
{
    struct transfer_row row = {
        .seq = a->counters.next_seq,
        .index = a->index,
        .accepted_ms = a->command->time_ms,
        .state = TRANSFER_PENDING,
        .effective = DAY_NONE,
        .encoded = span_bytes(&s->encoded),
    };
    struct fold_row fold = {.seq = row.seq, .index = a->index, .content = *content};
    a->counters.next_seq++;
    enum sg_err err = store_put_transfer(a->rows, &row, &a->scratch);
    if (err == SG_OK) {
        err = store_put_fold(a->rows, t->id, &fold);
    }
    if (err == SG_OK) {
        err = store_mark(a->rows, key_number(TABLE_PENDING, row.seq), SPAN_NONE);
    }
    return err;
}

static enum sg_err accept(struct apply *a, struct submission *s, const struct transfer *t,
                          const struct digest *content, struct submit_result *result)
{
    struct cents *sum = t->side == SIDE_DEBIT ? &s->debit : &s->credit;
    if (!counters_accept(&a->counters, t->side, t->amount)) {
        reject(a, result, "amount: the shard's total of all time would be too large to count");
        return SG_OK;
    }
    s->count++;
    sum->n += t->amount.n; /* Less than what counters_accept() found to fit. */
    result->outcome = OUTCOME_ACCEPTED;
    result->index = a->index;
    return store_accepted(a, s, t, content);
}

static enum sg_err submit_one(struct apply *a, struct submission *s, const struct transfer *t,
                              struct submit_result *result)
{
    struct fold_row fold;
    bytes_clear(&s->encoded);
    transfer_encode(t, &s->encoded);
    struct digest content = digest_of(span_bytes(&s->encoded));

    *result = (struct submit_result){.id = t->id, .shard = t->routing_number};
    enum sg_err err = store_get_fold(a->rows, t->id, &fold);
    if (err == SG_OK) {
        return answer_known(a, &fold, &content, result);
    }
    if (err != SG_NOTFOUND) {
        return err;
    }
    return is_good(a, s, t, result) ? accept(a, s, t, &content, result) : SG_OK;
}

static enum sg_err submit_all(struct apply *a, struct submission *s)
{
    const struct command *c = a->command;
    size_t count = c->submit.transfers_count;
    struct submit_result *results = arena_array(a->arena, count, sizeof(*results));
    for (size_t i = 0; i < count; i++) {
        enum sg_err err = submit_one(a, s, &c->submit.transfers[i], &results[i]);
        if (err != SG_OK) {
            return err;
        }
    }
    a->result.results = results;
    a->result.results_count = count;
    if (s->count == 0) {
        return SG_OK;
    }
    return apply_event(a, "transfer.accepted", SPAN_NONE,
                       EVENT_FIELDS(event_number("count", s->count), event_cents("debit", s->debit),
                                    event_cents("credit", s->credit)));
}

enum sg_err apply_submit(struct apply *a)
{
    struct submission s = {.count = 0};
    enum sg_err err = state_settings(a->rows, a->command->level, a->arena, &s.settings);
    if (err == SG_NOTFOUND) {
        return apply_refuse(a, SG_UNAVAILABLE, "this routing number has no settings yet: try again");
    }
    if (err == SG_OK) {
        err = submit_all(a, &s);
    }
    bytes_release(&s.encoded);
    return err;
}
