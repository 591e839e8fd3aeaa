#include "proto/settings.h"

#include "proto/base/wire.h"
#include "settings.pb-c.h"

#define SETTINGS_VERSION 1
#define MINUTES_A_DAY 1440

#define SAME_NUMBER(a, b) _Static_assert((int)(a) == (int)(b), "the schema's number is the program's")
SAME_NUMBER(ENDPOINT_DIRECTORY, SHARDGATE__V1__ENDPOINT_KIND__ENDPOINT_KIND_DIRECTORY);
SAME_NUMBER(ENDPOINT_FTP, SHARDGATE__V1__ENDPOINT_KIND__ENDPOINT_KIND_FTP);
SAME_NUMBER(CONFIRM_SIZE, SHARDGATE__V1__CONFIRM__CONFIRM_BY_SIZE);
SAME_NUMBER(CONFIRM_NONE, SHARDGATE__V1__CONFIRM__CONFIRM_BY_NOTHING);
SAME_NUMBER(MISSED_NEXT_WINDOW, SHARDGATE__V1__MISSED_POLICY__MISSED_POLICY_NEXT_WINDOW);
SAME_NUMBER(MISSED_HOLD, SHARDGATE__V1__MISSED_POLICY__MISSED_POLICY_HOLD);
SAME_NUMBER(LINE_ENDS_CRLF, SHARDGATE__V1__LINE_ENDS__LINE_ENDS_OF_CRLF);

static bool is_text(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < 0x20 || s.p[i] == 0x7f) {
            return false;
        }
    }
    return true;
}

static bool is_name(struct span s)
{
    return s.n > 0 && s.n <= NAME_SIZE_MAX && is_text(s);
}

static bool are_names(const struct span *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!is_name(names[i])) {
            return false;
        }
    }
    return true;
}

/* --- Endpoint ------------------------------------------------------------ */

#define ENDPOINT_AT(member) offsetof(struct endpoint_settings, member)
static const struct wire_field endpoint_fields[] = {
    {2, WIRE_SPAN, ENDPOINT_AT(name), 1, NAME_SIZE_MAX},
    {3, WIRE_ENUM, ENDPOINT_AT(kind), ENDPOINT_NONE, ENDPOINT_FTP},
    {4, WIRE_SPAN, ENDPOINT_AT(drop_dir), 0, PATH_SIZE_MAX},
    {5, WIRE_SPAN, ENDPOINT_AT(staging_dir), 0, PATH_SIZE_MAX},
    {6, WIRE_U64, ENDPOINT_AT(rate_limit_bytes), 0, UINT64_MAX},
    {7, WIRE_ENUM, ENDPOINT_AT(confirm), CONFIRM_SIZE, CONFIRM_NONE},
    {8, WIRE_I64, ENDPOINT_AT(verify_window_ms), 0, DURATION_MAX_MS},
    {9, WIRE_I64, ENDPOINT_AT(settle_ms), 0, DURATION_MAX_MS},
};

static bool endpoint_is_valid(const void *in)
{
    const struct endpoint_settings *s = in;
    return is_text(s->name) && is_text(s->drop_dir) && is_text(s->staging_dir);
}

static const struct wire_message endpoint_message = {
    &shardgate__v1__endpoint_settings__descriptor,
    WIRE_TABLE(endpoint_fields),
    .size = sizeof(struct endpoint_settings),
    .version = SETTINGS_VERSION,
    .is_level = true,
    .is_input = true,
    .is_valid = endpoint_is_valid,
};

/* --- Originator ---------------------------------------------------------- */

#define ORIGINATOR_AT(member) offsetof(struct originator_settings, member)
static const struct wire_field originator_fields[] = {
    {2, WIRE_SPAN, ORIGINATOR_AT(name), 1, NAME_SIZE_MAX},
    {3, WIRE_SPAN, ORIGINATOR_AT(company_name), 0, COMPANY_NAME_SIZE_MAX},
    {4, WIRE_SPAN, ORIGINATOR_AT(company_id), 0, COMPANY_ID_SIZE_MAX},
    {5, WIRE_SPAN, ORIGINATOR_AT(discretionary), 0, COMPANY_DISCRETIONARY_SIZE_MAX},
};

static bool originator_is_valid(const void *in)
{
    const struct originator_settings *s = in;
    return is_text(s->name) && is_text(s->company_name) && is_text(s->company_id) &&
           is_text(s->discretionary);
}

static const struct wire_message originator_message = {
    &shardgate__v1__originator_settings__descriptor,
    WIRE_TABLE(originator_fields),
    .size = sizeof(struct originator_settings),
    .version = SETTINGS_VERSION,
    .is_level = true,
    .is_input = true,
    .is_valid = originator_is_valid,
};

/* --- Calendar ------------------------------------------------------------ */

#define CALENDAR_AT(member) offsetof(struct calendar_settings, member)
static const struct wire_field calendar_fields[] = {
    {2, WIRE_SPAN, CALENDAR_AT(name), 1, NAME_SIZE_MAX},
    {3, WIRE_BOOL, CALENDAR_AT(federal_reserve), 0, 1},
    {4, WIRE_DAYS, CALENDAR_AT(extra), 0, CALENDAR_EXTRA_MAX, .beside = CALENDAR_AT(extra_count)},
};

static bool calendar_is_valid(const void *in)
{
    const struct calendar_settings *s = in;
    for (size_t i = 1; i < s->extra_count; i++) {
        if (s->extra[i].n <= s->extra[i - 1].n) {
            return false;
        }
    }
    return is_text(s->name);
}

static const struct wire_message calendar_message = {
    &shardgate__v1__calendar_settings__descriptor,
    WIRE_TABLE(calendar_fields),
    .size = sizeof(struct calendar_settings),
    .version = SETTINGS_VERSION,
    .is_level = true,
    .is_input = true,
    .is_valid = calendar_is_valid,
};

/* --- Shard --------------------------------------------------------------- */

#define WINDOW_AT(member) offsetof(struct window_settings, member)
static const struct wire_field window_fields[] = {
    {1, WIRE_SPAN, WINDOW_AT(name), 1, WINDOW_NAME_SIZE_MAX},
    {2, WIRE_U32, WINDOW_AT(close_minute), 0, MINUTES_A_DAY - 1},
    {3, WIRE_MINUTE, WINDOW_AT(upload_by_minute), 0, MINUTES_A_DAY},
};

static bool window_is_valid(const void *in)
{
    const struct window_settings *window = in;
    for (size_t i = 0; i < window->name.n; i++) {
        uint8_t c = window->name.p[i];
        bool ok = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
                  c == '_';
        if (!ok) {
            return false;
        }
    }
    return true;
}

static const struct wire_message window_message = {
    &shardgate__v1__window_settings__descriptor,
    WIRE_TABLE(window_fields),
    .size = sizeof(struct window_settings),
    .is_input = true,
    .is_valid = window_is_valid,
};

#define SHARD_AT(member) offsetof(struct shard_settings, member)
static const struct wire_field shard_fields[] = {
    {2, WIRE_U32, SHARD_AT(routing_number), 1, ABA_MAX},
    {3, WIRE_SPAN, SHARD_AT(endpoint), 0, NAME_SIZE_MAX},
    {4, WIRE_SPANS, SHARD_AT(originators), 0, SHARD_ORIGINATORS_MAX, .beside = SHARD_AT(originators_count)},
    {5, WIRE_SPAN, SHARD_AT(destination_name), 0, BANK_NAME_SIZE_MAX},
    {6, WIRE_SPAN, SHARD_AT(origin), 0, ORIGIN_SIZE_MAX},
    {7, WIRE_SPAN, SHARD_AT(origin_name), 0, BANK_NAME_SIZE_MAX},
    {8, WIRE_SPAN, SHARD_AT(odfi), 0, ODFI_SIZE},
    {9, WIRE_SPANS, SHARD_AT(replicas), 0, REPLICAS_MAX, .beside = SHARD_AT(replicas_count),
     .in_place = true},
    {10, WIRE_SPAN, SHARD_AT(preferred), 0, NAME_SIZE_MAX},
    {11, WIRE_SPAN, SHARD_AT(zone), 0, NAME_SIZE_MAX},
    {12, WIRE_SPAN, SHARD_AT(calendar), 0, NAME_SIZE_MAX},
    {13, WIRE_BOOL, SHARD_AT(every_day), 0, 1},
    {14, WIRE_MANY, SHARD_AT(windows), 0, WINDOWS_MAX, &window_message, SHARD_AT(windows_count), true},
    {15, WIRE_ENUM, SHARD_AT(missed), MISSED_NEXT_WINDOW, MISSED_HOLD},
    {16, WIRE_MINUTE, SHARD_AT(late_until_minute), 0, MINUTES_A_DAY},
    {17, WIRE_SPAN, SHARD_AT(file_name), 0, FILE_NAME_SIZE_MAX},
    {18, WIRE_ENUM, SHARD_AT(line_ends), LINE_ENDS_LF, LINE_ENDS_CRLF},
    {19, WIRE_U32, SHARD_AT(max_lines), FILE_LINES_MIN, FILE_LINES_MAX},
    {20, WIRE_I64, SHARD_AT(max_file_cents), 1, FILE_CENTS_MAX},
    {21, WIRE_I64, SHARD_AT(same_day_max), 0, AMOUNT_MAX_CENTS},
    {22, WIRE_BOOL, SHARD_AT(balanced), 0, 1},
    {23, WIRE_U32, SHARD_AT(same_day_deadline_minute), 0, MINUTES_A_DAY - 1},
    {24, WIRE_BOOL, SHARD_AT(keep_case), 0, 1},
};

static bool is_odfi(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
    }
    return s.n == ODFI_SIZE || s.n == 0;
}

static bool shard_is_valid(const void *in)
{
    const struct shard_settings *s = in;
    return is_text(s->endpoint) && is_text(s->destination_name) && is_text(s->origin) &&
           is_text(s->origin_name) && is_odfi(s->odfi) && is_text(s->preferred) && is_text(s->zone) &&
           is_text(s->calendar) && is_text(s->file_name) && are_names(s->originators, s->originators_count) &&
           are_names(s->replicas, s->replicas_count);
}

static const struct wire_message shard_message = {
    &shardgate__v1__shard_settings__descriptor,
    WIRE_TABLE(shard_fields),
    .size = sizeof(struct shard_settings),
    .version = SETTINGS_VERSION,
    .is_level = true,
    .is_input = true,
    .is_valid = shard_is_valid,
};

/* --- All of one shard ---------------------------------------------------- */

#define SETTINGS_AT(member) offsetof(struct settings, member)
static const struct wire_field settings_fields[] = {
    {2, WIRE_U64, SETTINGS_AT(version), 0, UINT64_MAX},
    {3, WIRE_SPAN, SETTINGS_AT(cluster), 0, NAME_SIZE_MAX},
    {4, WIRE_ONE, SETTINGS_AT(shard), 1, 1, &shard_message},
    {5, WIRE_ONE, SETTINGS_AT(endpoint), 0, 1, &endpoint_message, SETTINGS_AT(endpoint.name)},
    {6, WIRE_MANY, SETTINGS_AT(originators), 0, SHARD_ORIGINATORS_MAX, &originator_message,
     SETTINGS_AT(originators_count)},
    {7, WIRE_ONE, SETTINGS_AT(calendar), 0, 1, &calendar_message, SETTINGS_AT(calendar.name)},
};

static bool settings_are_valid(const void *in)
{
    const struct settings *s = in;
    return is_text(s->cluster);
}

static const struct wire_message settings_message = {
    &shardgate__v1__settings__descriptor,
    WIRE_TABLE(settings_fields),
    .size = sizeof(struct settings),
    .version = SETTINGS_VERSION,
    .is_level = true,
    .is_input = true,
    .is_valid = settings_are_valid,
};

void endpoint_settings_encode(const struct endpoint_settings *s, struct bytes *out)
{
    wire_encode(&endpoint_message, s, out);
}

enum sg_err endpoint_settings_decode(struct span data, struct arena *a, struct endpoint_settings *out)
{
    return wire_decode(&endpoint_message, data, WIRE_KNOWN, a, out, NULL);
}

void originator_settings_encode(const struct originator_settings *s, struct bytes *out)
{
    wire_encode(&originator_message, s, out);
}

enum sg_err originator_settings_decode(struct span data, struct arena *a, struct originator_settings *out)
{
    return wire_decode(&originator_message, data, WIRE_KNOWN, a, out, NULL);
}

void calendar_settings_encode(const struct calendar_settings *s, struct bytes *out)
{
    wire_encode(&calendar_message, s, out);
}

enum sg_err calendar_settings_decode(struct span data, struct arena *a, struct calendar_settings *out)
{
    return wire_decode(&calendar_message, data, WIRE_KNOWN, a, out, NULL);
}

void shard_settings_encode(const struct shard_settings *s, struct bytes *out)
{
    wire_encode(&shard_message, s, out);
}

enum sg_err shard_settings_decode(struct span data, struct arena *a, struct shard_settings *out)
{
    return wire_decode(&shard_message, data, WIRE_KNOWN, a, out, NULL);
}

void settings_encode(const struct settings *s, struct bytes *out)
{
    wire_encode(&settings_message, s, out);
}

enum sg_err settings_decode(struct span data, struct arena *a, struct settings *out)
{
    return data.n > SETTINGS_SIZE_MAX_BYTES ? SG_INVALID
                                            : wire_decode(&settings_message, data, WIRE_KNOWN, a, out, NULL);
}

const struct originator_settings *settings_originator(const struct settings *s, struct span name)
{
    for (size_t i = 0; i < s->originators_count; i++) {
        if (span_eq(s->originators[i].name, name)) {
            return &s->originators[i];
        }
    }
    return NULL;
}
