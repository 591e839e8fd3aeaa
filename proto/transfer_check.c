/* One function a key, in the order of the keys in the user's documentation.
 * The rule numbers in comments are the operator's return codes: what the bank
 * would send back days later if we let it through. */
#include "proto/transfer.h"

#include <stdarg.h>
#include <stdio.h>
#include <strings.h>

#include "proto/base/limits.h"
#include "proto/level.h"

struct why {
    char *text;
    size_t size;
    uint32_t level; /* Rules of a later one ask for it. */
};

/* Always false, so that a check can return it. */
static bool PRINTF_LIKE(2, 3) refuse(struct why *w, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(w->text, w->size, fmt, args);
    va_end(args);
    return false;
}

static bool is_printable(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < 0x20 || s.p[i] > 0x7e) {
            return false;
        }
    }
    return true;
}

static bool has_only(struct span s, char c)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] != (uint8_t)c) {
            return false;
        }
    }
    return true;
}

/* Values are not shown here: names and account numbers do not belong in logs. */
static bool check_text(const char *key, struct span s, size_t size_max, struct why *w)
{
    if (s.n > size_max) {
        return refuse(w, "%s has %zu characters; at most %zu fit", key, s.n, size_max);
    }
    if (!is_printable(s)) {
        return refuse(w, "%s has a character that is not printable ASCII", key);
    }
    return true;
}

static bool check_required_text(const char *key, struct span s, size_t size_max, struct why *w)
{
    if (s.n == 0) {
        return refuse(w, "%s is missing", key);
    }
    if (!check_text(key, s, size_max, w)) {
        return false;
    }
    if (has_only(s, ' ')) {
        return refuse(w, "%s is blank", key);
    }
    return true;
}

static bool check_aba(const char *key, struct aba a, struct why *w)
{
    char text[ABA_TEXT_SIZE];
    const char *fault = "";
    struct aba parsed;
    if (a.n == 0) {
        return refuse(w, "%s is missing", key);
    }
    if (a.n > ABA_MAX) {
        return refuse(w, "%s has more than nine digits", key);
    }
    if (aba_parse(span_str(aba_text(a, text)), &parsed, &fault) != SG_OK) {
        return refuse(w, "%s %s: %s", key, text, fault);
    }
    return true;
}

static bool check_id(const struct transfer *t, struct why *w)
{
    return check_required_text("id", t->id, TRANSFER_ID_SIZE_MAX, w);
}

static bool check_routing_number(const struct transfer *t, struct why *w)
{
    return check_aba("routing_number", t->routing_number, w);
}

static bool check_originator(const struct transfer *t, struct why *w)
{
    return check_required_text("originator", t->originator, NAME_SIZE_MAX, w);
}

static bool check_sec(const struct transfer *t, struct why *w)
{
    if (sec_name(t->sec)[0] == '\0') {
        return refuse(w, "sec is missing or not one of PPD, CCD, CTX, WEB, TEL");
    }
    return true;
}

static bool text_is(struct span s, const char *name, bool *same_case)
{
    while (s.n > 0 && s.p[s.n - 1] == ' ') {
        s.n--;
    }
    char text[ENTRY_DESCRIPTION_SIZE_MAX + 1];
    (void)span_cstr(s, text, sizeof(text));
    *same_case = span_is(s, name);
    return strcasecmp(text, name) == 0;
}

/* Descriptions to which the rules give a meaning must be in upper case. */
static bool check_reserved_description(struct span s, struct why *w)
{
    static const char *const reserved[] = {
        "REVERSAL",   "RECLAIM",  "NONSETTLED", "RETURN FEE", "AUTOENROLL",
        "REDEPCHECK", "NO CHECK", "PAYROLL",    "PURCHASE",
    };
    bool same_case = false;
    for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++) {
        if (text_is(s, reserved[i], &same_case) && !same_case) {
            return refuse(w, "entry_description must be written %s, in upper case", reserved[i]);
        }
    }
    if (text_is(s, "REVERSAL", &same_case)) {
        return refuse(w, "entry_description REVERSAL is for reversals, which are not supported yet in "
                         "this version");
    }
    return true;
}

static bool check_entry_description(const struct transfer *t, struct why *w)
{
    if (!check_required_text("entry_description", t->entry_description, ENTRY_DESCRIPTION_SIZE_MAX, w)) {
        return false;
    }
    if (has_only(t->entry_description, '0')) {
        return refuse(w, "entry_description must not be all zeros");
    }
    return check_reserved_description(t->entry_description, w);
}

/* R35, R36. */
static bool check_side(const struct transfer *t, struct why *w)
{
    if (side_name(t->side)[0] == '\0') {
        return refuse(w, "side is missing or not one of credit, debit");
    }
    if (t->sec == SEC_TEL && t->side == SIDE_CREDIT) {
        return refuse(w, "side credit: TEL is for debits only");
    }
    return true;
}

static bool check_account_type(const struct transfer *t, struct why *w)
{
    if (account_type_name(t->account_type)[0] == '\0') {
        return refuse(w, "account_type is missing or not one of checking, savings, ledger, loan");
    }
    if (t->account_type == ACCOUNT_LOAN && t->side == SIDE_DEBIT) {
        return refuse(w, "account_type loan: a loan account is debited only by a reversal, which is not "
                         "supported yet in this version");
    }
    return true;
}

static bool check_rdfi(const struct transfer *t, struct why *w)
{
    return check_aba("rdfi", t->rdfi, w);
}

/* The rules say to drop what does not fit; that would pay somebody else. */
static bool check_account(const struct transfer *t, struct why *w)
{
    bool takes_blanks = w->level >= LEVEL_ACCOUNT_BLANKS;
    size_t n = 0;
    if (!check_required_text("account", t->account, takes_blanks ? ACCOUNT_TYPED_SIZE_MAX : ACCOUNT_SIZE_MAX,
                             w)) {
        return false;
    }
    for (size_t i = 0; i < t->account.n; i++) {
        n += t->account.p[i] != ' ' ? 1 : 0;
    }
    if (!takes_blanks && n < t->account.n) {
        return refuse(w, "account must not contain spaces");
    }
    return n <= ACCOUNT_SIZE_MAX ||
           refuse(w, "account has %zu characters, blanks not counted; at most %d fit", n, ACCOUNT_SIZE_MAX);
}

/* R19. */
static bool check_amount(const struct transfer *t, struct why *w)
{
    long long n = t->amount.n;
    if (t->prenote) {
        return n == 0 || refuse(w, "amount %lld: a prenote has the amount 0", n);
    }
    if (n == 0) {
        return refuse(w, "amount is 0 or missing; only a prenote has the amount 0");
    }
    if (n < 0) {
        return refuse(w, "amount %lld is negative; side says which way the money goes", n);
    }
    if (n > AMOUNT_MAX_CENTS) {
        return refuse(w, "amount %lld has more than ten digits; at most %lld cents fit one entry", n,
                      AMOUNT_MAX_CENTS);
    }
    return true;
}

/* R26. */
static bool check_name(const struct transfer *t, struct why *w)
{
    size_t size_max = t->sec == SEC_CTX ? RECEIVER_NAME_SIZE_MAX_CTX : RECEIVER_NAME_SIZE_MAX;
    if (!check_required_text("name", t->name, size_max, w)) {
        return false;
    }
    if (has_only(t->name, '0')) {
        return refuse(w, "name must not be all zeros");
    }
    return true;
}

static bool check_individual_id(const struct transfer *t, struct why *w)
{
    return check_text("individual_id", t->individual_id, INDIVIDUAL_ID_SIZE_MAX, w);
}

static bool has_payment_type(enum sec sec)
{
    return sec == SEC_WEB || sec == SEC_TEL;
}

/* WEB and TEL have the payment type in the same two positions. */
static bool check_discretionary(const struct transfer *t, struct why *w)
{
    if (t->discretionary.n > 0 && has_payment_type(t->sec)) {
        return refuse(w, "discretionary is not possible with %s: payment_type stands in its place",
                      sec_name(t->sec));
    }
    return check_text("discretionary", t->discretionary, DISCRETIONARY_SIZE_MAX, w);
}

static bool check_payment_type(const struct transfer *t, struct why *w)
{
    if (t->payment_type == 0) {
        return t->sec != SEC_WEB || refuse(w, "payment_type is missing: WEB needs R or S");
    }
    if (!has_payment_type(t->sec)) {
        return refuse(w, "payment_type is for WEB and TEL only, not for %s", sec_name(t->sec));
    }
    if (t->payment_type != 'R' && t->payment_type != 'S') {
        return refuse(w, "payment_type is not one of R, S");
    }
    return true;
}

/* R18. Whether the day is too far away depends on the window, not on the transfer. */
static bool check_effective_date(const struct transfer *t, struct why *w)
{
    if (day_is_none(t->effective_date)) {
        return true;
    }
    if (t->effective_date.n >= 0 && t->effective_date.n <= DAY_MAX) {
        int year = day_civil(t->effective_date).year;
        if (year >= EFFECTIVE_YEAR_MIN && year <= EFFECTIVE_YEAR_MAX) {
            return true;
        }
    }
    return refuse(w, "effective_date is not between the years %d and %d", EFFECTIVE_YEAR_MIN,
                  EFFECTIVE_YEAR_MAX);
}

static bool check_reverses(const struct transfer *t, struct why *w)
{
    if (t->reverses.n > 0) {
        return refuse(w, "reverses: reversals are not supported yet in this version");
    }
    return true;
}

static bool check_metadata(const struct transfer *t, struct why *w)
{
    if (t->metadata.n > TRANSFER_METADATA_SIZE_MAX) {
        return refuse(w, "metadata has %zu bytes; at most %d are kept", t->metadata.n,
                      TRANSFER_METADATA_SIZE_MAX);
    }
    return true;
}

static size_t addenda_max(enum sec sec)
{
    switch (sec) {
    case SEC_PPD:
    case SEC_CCD:
    case SEC_WEB:
        return 1;
    case SEC_CTX:
        return TRANSFER_ADDENDA_MAX;
    case SEC_NONE:
    case SEC_TEL:
    case SECS:
        break;
    }
    return 0;
}

/* R25. */
static bool check_addenda(const struct transfer *t, struct why *w)
{
    size_t max = addenda_max(t->sec);
    if (t->addenda_count > max) {
        return refuse(w, "addenda has %zu texts; %s takes at most %zu", t->addenda_count, sec_name(t->sec),
                      max);
    }
    for (size_t i = 0; i < t->addenda_count; i++) {
        char key[32];
        (void)snprintf(key, sizeof(key), "addenda %zu", i + 1);
        if (!check_required_text(key, t->addenda[i], ADDENDA_TEXT_SIZE, w)) {
            return false;
        }
    }
    return true;
}

enum sg_err transfer_check(uint32_t level, const struct transfer *t, char *why, size_t why_size)
{
    /* sec and side come before the keys whose rules depend on them. */
    static bool (*const checks[])(const struct transfer *t, struct why *w) = {
        check_id,
        check_routing_number,
        check_originator,
        check_sec,
        check_entry_description,
        check_side,
        check_account_type,
        check_rdfi,
        check_account,
        check_amount,
        check_name,
        check_individual_id,
        check_discretionary,
        check_payment_type,
        check_effective_date,
        check_reverses,
        check_metadata,
        check_addenda,
    };
    struct why w = {why, why_size, level};
    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        if (!checks[i](t, &w)) {
            return SG_INVALID;
        }
    }
    return SG_OK;
}
