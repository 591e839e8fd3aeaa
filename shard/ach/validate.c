#include "shard/ach/validate.h"

#include <stdio.h>
#include <string.h>

#include "proto/level.h"
#include "shard/ach/records.h"
#include "shard/ach/text.h"

/* Header and control of the file and of one batch. */
#define FRAME_LINES 4
#define MICRO_ENTRY_MAX_CENTS 99

void ach_odfi(const struct shard_settings *s, char out[9])
{
    char routing_number[ABA_TEXT_SIZE];
    if (s->odfi.n == BH_ODFI_SIZE) {
        memcpy(out, s->odfi.p, BH_ODFI_SIZE);
    } else {
        memcpy(out, aba_text(s->routing_number, routing_number), BH_ODFI_SIZE);
    }
    out[BH_ODFI_SIZE] = '\0';
}

unsigned ach_transaction_code(const struct transfer *t)
{
    static const struct {
        uint8_t live, prenote;
    } codes[ACCOUNT_TYPES][SIDES] = {
        [ACCOUNT_CHECKING] = {[SIDE_CREDIT] = {22, 23}, [SIDE_DEBIT] = {27, 28}},
        [ACCOUNT_SAVINGS] = {[SIDE_CREDIT] = {32, 33}, [SIDE_DEBIT] = {37, 38}},
        [ACCOUNT_LEDGER] = {[SIDE_CREDIT] = {42, 43}, [SIDE_DEBIT] = {47, 48}},
        [ACCOUNT_LOAN] = {[SIDE_CREDIT] = {52, 53}, [SIDE_DEBIT] = {55, 0}},
    };
    if (t->account_type >= ACCOUNT_TYPES || t->side >= SIDES) {
        return 0;
    }
    return t->prenote ? codes[t->account_type][t->side].prenote : codes[t->account_type][t->side].live;
}

static bool is_shard_originator(const struct settings *s, struct span name)
{
    for (size_t i = 0; i < s->shard.originators_count; i++) {
        if (span_eq(s->shard.originators[i], name)) {
            return settings_originator(s, name) != NULL;
        }
    }
    return false;
}

static enum sg_err belongs_check(const struct settings *s, const struct transfer *t, char *why,
                                 size_t why_size)
{
    if (t->routing_number.n != s->shard.routing_number.n) {
        (void)snprintf(why, why_size, "routing_number: %09u is not this shard, %09u",
                       (unsigned)t->routing_number.n, (unsigned)s->shard.routing_number.n);
        return SG_INVALID;
    }
    if (!is_shard_originator(s, t->originator)) {
        char name[NAME_SIZE_MAX + 1];
        (void)snprintf(why, why_size, "originator: %s is not an originator of this routing number",
                       span_cstr(t->originator, name, sizeof name));
        return SG_INVALID;
    }
    return SG_OK;
}

/* What every entry needs, whatever its SEC code. */
static enum sg_err entry_check(const struct transfer *t, char *why, size_t why_size)
{
    bool is_reversal = text_is_upper(t->entry_description, "REVERSAL");
    if (t->rdfi.n == 0 || t->rdfi.n > ABA_MAX || aba_check_digit(t->rdfi.n / 10) != t->rdfi.n % 10) {
        return text_fail(why, why_size, "rdfi: the check digit is wrong");
    }
    if (ach_transaction_code(t) == 0) {
        return text_fail(
            why, why_size,
            "account_type, side: there is no transaction code for this (a loan takes no debit prenote)");
    }
    if (t->account_type == ACCOUNT_LOAN && t->side == SIDE_DEBIT && !is_reversal) {
        return text_fail(why, why_size, "account_type: a loan is debited by a REVERSAL only");
    }
    if (t->reverses.n > 0 && !is_reversal) {
        return text_fail(why, why_size, "entry_description: a transfer with reverses needs REVERSAL");
    }
    if (t->amount.n < 0 || t->amount.n > AMOUNT_MAX_CENTS || t->prenote != (t->amount.n == 0)) {
        return text_fail(why, why_size, "amount: from 1 to 9999999999 cents; 0 for a prenote and only then");
    }
    if (text_is_upper(t->entry_description, "ACCTVERIFY") && t->side == SIDE_CREDIT &&
        t->amount.n > MICRO_ENTRY_MAX_CENTS) {
        return text_fail(why, why_size, "amount: a credit with ACCTVERIFY (micro-entry) is under one dollar");
    }
    return SG_OK;
}

static enum sg_err sec_check(const struct transfer *t, char *why, size_t why_size)
{
    static const size_t addenda_max[SECS] = {
        [SEC_PPD] = 1, [SEC_CCD] = 1, [SEC_CTX] = TRANSFER_ADDENDA_MAX, [SEC_WEB] = 1, [SEC_TEL] = 0,
    };
    bool has_type = t->payment_type == 'R' || t->payment_type == 'S';
    bool takes_type = t->sec == SEC_WEB || t->sec == SEC_TEL;
    if (t->sec <= SEC_NONE || t->sec >= SECS) {
        return text_fail(why, why_size, "sec: PPD, CCD, CTX, WEB or TEL");
    }
    if (t->addenda_count > addenda_max[t->sec]) {
        (void)snprintf(why, why_size, "addenda: %s takes at most %zu", sec_name(t->sec), addenda_max[t->sec]);
        return SG_INVALID;
    }
    if (t->sec == SEC_TEL && t->side == SIDE_CREDIT && !text_is_upper(t->entry_description, "REVERSAL")) {
        return text_fail(why, why_size, "side: a TEL credit is a REVERSAL only");
    }
    if ((t->sec == SEC_WEB && !has_type) || (t->payment_type != 0 && !(has_type && takes_type))) {
        return text_fail(why, why_size,
                         "payment_type: R or S, required for WEB, possible for TEL, and for no other");
    }
    if (takes_type && t->discretionary.n > 0) {
        return text_fail(why, why_size, "discretionary: for WEB and TEL its place holds the payment_type");
    }
    return SG_OK;
}

/* Spaces in account numbers are removed, so they do not count. */
static enum sg_err account_check(struct span account, char *why, size_t why_size)
{
    size_t n = 0;
    for (size_t i = 0; i < account.n; i++) {
        n += account.p[i] != ' ' ? 1 : 0;
    }
    if (n < 1 || n > ED_ACCOUNT_SIZE || !text_is_printable(account)) {
        return text_fail(why, why_size, "account: 1 to 17 printable characters, blanks not counted");
    }
    return SG_OK;
}

static enum sg_err fields_check(const struct transfer *t, char *why, size_t why_size)
{
    const struct text_rule rules[] = {
        {"entry_description", t->entry_description, BH_DESCRIPTION_SIZE, true},
        {"name", t->name, t->sec == SEC_CTX ? CX_NAME_SIZE : ED_NAME_SIZE, true},
        {"individual_id", t->individual_id, ED_INDIVIDUAL_ID_SIZE, false},
        {"discretionary", t->discretionary, ED_DISCRETIONARY_SIZE, false},
    };
    for (size_t i = 0; i < t->addenda_count; i++) {
        if (t->addenda[i].n > AD_TEXT_SIZE || !text_is_printable(t->addenda[i])) {
            return text_fail(why, why_size, "addenda: each has up to 80 printable ASCII characters");
        }
    }
    enum sg_err err = account_check(t->account, why, why_size);
    return err == SG_OK ? text_check_all(rules, sizeof rules / sizeof *rules, why, why_size) : err;
}

/* Alone in a file under this shard's limits. */
static enum sg_err size_check(const struct settings *s, const struct transfer *t, char *why, size_t why_size)
{
    size_t lines = FRAME_LINES + 1 + t->addenda_count;
    size_t filled = (lines + ACH_BLOCKING_FACTOR - 1) / ACH_BLOCKING_FACTOR * ACH_BLOCKING_FACTOR;
    if (filled > s->shard.max_lines) {
        (void)snprintf(why, why_size, "addenda: the file would have %zu lines, limits.max_lines is %u",
                       filled, (unsigned)s->shard.max_lines);
        return SG_INVALID;
    }
    if (t->amount.n > s->shard.max_file_cents.n) {
        return text_fail(why, why_size, "amount: over limits.max_file_cents of this routing number");
    }
    return SG_OK;
}

enum sg_err ach_validate(const struct settings *s, const struct transfer *t, char *why, size_t why_size)
{
    CHECK(s->level >= LEVEL_MIN);
    enum sg_err err = belongs_check(s, t, why, why_size);
    if (err == SG_OK) {
        err = sec_check(t, why, why_size);
    }
    if (err == SG_OK) {
        err = entry_check(t, why, why_size);
    }
    if (err == SG_OK) {
        err = fields_check(t, why, why_size);
    }
    return err == SG_OK ? size_check(s, t, why, why_size) : err;
}
