#include "shard/ach/validate.h"

#include <stdio.h>

#include "proto/level.h"
#include "shard/ach/name.h"
#include "shard/ach/records.h"
#include "shard/ach/text.h"

static bool is_window_name(struct span name)
{
    for (size_t i = 0; i < name.n; i++) {
        uint8_t c = name.p[i];
        bool alnum = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
        if (!alnum && c != '-' && c != '_') {
            return false;
        }
    }
    return name.n >= 1 && name.n <= 16;
}

static enum sg_err windows_check(const struct shard_settings *s, char *why, size_t why_size)
{
    for (size_t i = 0; i < s->windows_count; i++) {
        const struct window_settings *w = &s->windows[i];
        if (!is_window_name(w->name)) {
            return text_fail(why, why_size, "windows: a name has 1 to 16 letters, digits, '-' or '_'");
        }
        if (w->close_minute < 0 || w->close_minute >= 1440 || w->upload_by_minute >= 1440) {
            return text_fail(why, why_size, "windows: close_at and upload_by are times from 00:00 to 23:59");
        }
        for (size_t j = 0; j < i; j++) {
            if (span_eq(w->name, s->windows[j].name)) {
                return text_fail(why, why_size, "windows: two have the same name");
            }
            if (w->close_minute == s->windows[j].close_minute) {
                return text_fail(why, why_size, "windows: two have the same close_at");
            }
        }
    }
    if (s->missed == MISSED_UPLOAD_LATE_UNTIL && (s->late_until_minute < 0 || s->late_until_minute >= 1440)) {
        return text_fail(why, why_size, "missed_window: upload_late_until needs a time from 00:00 to 23:59");
    }
    return SG_OK;
}

static enum sg_err limits_check(const struct shard_settings *s, char *why, size_t why_size)
{
    if (s->max_lines < ACH_BLOCKING_FACTOR || s->max_lines > FILE_LINES_MAX) {
        (void)snprintf(why, why_size, "limits.max_lines: from %d to %d", ACH_BLOCKING_FACTOR, FILE_LINES_MAX);
        return SG_INVALID;
    }
    if (s->max_file_cents.n < 1 || s->max_file_cents.n > FILE_CENTS_MAX) {
        (void)snprintf(why, why_size, "limits.max_file_cents: from 1 to %lld", FILE_CENTS_MAX);
        return SG_INVALID;
    }
    if (s->same_day_max.n < 0 || s->same_day_max.n > AMOUNT_MAX_CENTS) {
        (void)snprintf(why, why_size, "limits.same_day_max_cents: from 0 to %lld", AMOUNT_MAX_CENTS);
        return SG_INVALID;
    }
    return SG_OK;
}

static enum sg_err originators_check(const struct settings *s, char *why, size_t why_size)
{
    for (size_t i = 0; i < s->shard.originators_count; i++) {
        const struct originator_settings *o = settings_originator(s, s->shard.originators[i]);
        if (o == NULL) {
            char name[NAME_SIZE_MAX + 1];
            (void)snprintf(why, why_size, "originators: there is no originator %s",
                           span_cstr(s->shard.originators[i], name, sizeof name));
            return SG_INVALID;
        }
        const struct text_rule rules[] = {
            {"company_name", o->company_name, BH_COMPANY_NAME_SIZE, true},
            {"company_id", o->company_id, BH_COMPANY_ID_SIZE, true},
            {"discretionary", o->discretionary, BH_DISCRETIONARY_SIZE, false},
        };
        enum sg_err err = text_check_all(rules, sizeof rules / sizeof *rules, why, why_size);
        if (err != SG_OK) {
            return err;
        }
    }
    return SG_OK;
}

static enum sg_err header_check(const struct settings *settings, char *why, size_t why_size)
{
    const struct shard_settings *s = &settings->shard;
    bool is_zeros_origin = settings->level >= LEVEL_ORIGIN_ZEROS && text_is_digits(s->origin);
    const struct text_rule rules[] = {
        {"destination_name", s->destination_name, FH_DESTINATION_NAME_SIZE, false},
        {"origin_name", s->origin_name, FH_ORIGIN_NAME_SIZE, false},
        {"origin", s->origin, FH_ORIGIN_SIZE, !is_zeros_origin},
    };
    if (s->routing_number.n == 0 || s->routing_number.n > ABA_MAX ||
        aba_check_digit(s->routing_number.n / 10) != s->routing_number.n % 10) {
        return text_fail(why, why_size, "routing_number: the check digit is wrong");
    }
    if (s->odfi.n != 0 &&
        (s->odfi.n != BH_ODFI_SIZE || !text_is_digits(s->odfi) || text_is_blank_or_zero(s->odfi))) {
        return text_fail(why, why_size, "odfi: eight digits, not all zeros, or left out");
    }
    if (s->origin.n != FH_ORIGIN_SIZE && (s->origin.n != FH_ORIGIN_SIZE - 1 || !text_is_digits(s->origin))) {
        return text_fail(why, why_size, "origin: nine digits, or ten characters as the bank assigned them");
    }
    if (s->line_ends != LINE_ENDS_LF && s->line_ends != LINE_ENDS_CRLF) {
        return text_fail(why, why_size, "output.line_ends: lf or crlf");
    }
    if (s->balanced) {
        return text_fail(why, why_size,
                         "balanced: true is not supported; the bank must accept unbalanced files (it books "
                         "the offset itself)");
    }
    return text_check_all(rules, sizeof rules / sizeof *rules, why, why_size);
}

enum sg_err ach_settings_check(const struct settings *s, char *why, size_t why_size)
{
    CHECK(s->level >= LEVEL_MIN);
    enum sg_err err = header_check(s, why, why_size);
    if (err == SG_OK) {
        err = limits_check(&s->shard, why, why_size);
    }
    if (err == SG_OK) {
        err = windows_check(&s->shard, why, why_size);
    }
    if (err == SG_OK) {
        err = originators_check(s, why, why_size);
    }
    return err == SG_OK ? name_check(&s->shard, why, why_size) : err;
}
