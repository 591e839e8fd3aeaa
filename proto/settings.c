#include "proto/settings.h"

#include "proto/base/arena_pb.h"
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

static bool is_text(struct span s, size_t size_max)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < 0x20 || s.p[i] == 0x7f) {
            return false;
        }
    }
    return s.n <= size_max;
}

static bool is_name(struct span s)
{
    return s.n > 0 && is_text(s, NAME_SIZE_MAX);
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

static bool is_between(int64_t n, int64_t min, int64_t max)
{
    return n >= min && n <= max;
}

/* --- Endpoint ------------------------------------------------------------ */

static void endpoint_to_pb(const struct endpoint_settings *s, Shardgate__V1__EndpointSettings *out)
{
    shardgate__v1__endpoint_settings__init(out);
    out->version = SETTINGS_VERSION;
    out->name = pb_of_span(s->name);
    out->kind = (Shardgate__V1__EndpointKind)s->kind;
    out->drop_dir = pb_of_span(s->drop_dir);
    out->staging_dir = pb_of_span(s->staging_dir);
    out->rate_limit_bytes = s->rate_limit_bytes;
    out->confirm = (Shardgate__V1__Confirm)s->confirm;
    out->verify_window_ms = s->verify_window_ms;
    out->settle_ms = s->settle_ms;
}

static bool endpoint_is_valid(const struct endpoint_settings *s)
{
    return is_name(s->name) && is_between(s->kind, ENDPOINT_NONE, ENDPOINT_FTP) &&
           is_text(s->drop_dir, PATH_SIZE_MAX) && is_text(s->staging_dir, PATH_SIZE_MAX) &&
           is_between(s->confirm, CONFIRM_SIZE, CONFIRM_NONE) &&
           is_between(s->verify_window_ms, 0, DURATION_MAX_MS) &&
           is_between(s->settle_ms, 0, DURATION_MAX_MS);
}

static enum sg_err endpoint_of_pb(const Shardgate__V1__EndpointSettings *pb, struct endpoint_settings *out)
{
    *out = (struct endpoint_settings){
        .name = pb_span(pb->name),
        .kind = (enum endpoint_kind)pb->kind,
        .drop_dir = pb_span(pb->drop_dir),
        .staging_dir = pb_span(pb->staging_dir),
        .rate_limit_bytes = pb->rate_limit_bytes,
        .confirm = (enum confirm_kind)pb->confirm,
        .verify_window_ms = pb->verify_window_ms,
        .settle_ms = pb->settle_ms,
    };
    bool ok = pb_is_known(&pb->base) && pb->version == SETTINGS_VERSION && endpoint_is_valid(out);
    return ok ? SG_OK : SG_INVALID;
}

void endpoint_settings_encode(const struct endpoint_settings *s, struct bytes *out)
{
    Shardgate__V1__EndpointSettings pb;
    endpoint_to_pb(s, &pb);
    pb_append(&pb.base, out);
}

enum sg_err endpoint_settings_decode(struct span data, struct arena *a, struct endpoint_settings *out)
{
    const void *pb = pb_unpack(&shardgate__v1__endpoint_settings__descriptor, data, a);
    return pb == NULL ? SG_INVALID : endpoint_of_pb(pb, out);
}

/* --- Originator ---------------------------------------------------------- */

static void originator_to_pb(const struct originator_settings *s, Shardgate__V1__OriginatorSettings *out)
{
    shardgate__v1__originator_settings__init(out);
    out->version = SETTINGS_VERSION;
    out->name = pb_of_span(s->name);
    out->company_name = pb_of_span(s->company_name);
    out->company_id = pb_of_span(s->company_id);
    out->discretionary = pb_of_span(s->discretionary);
}

static enum sg_err originator_of_pb(const Shardgate__V1__OriginatorSettings *pb,
                                    struct originator_settings *out)
{
    *out = (struct originator_settings){
        .name = pb_span(pb->name),
        .company_name = pb_span(pb->company_name),
        .company_id = pb_span(pb->company_id),
        .discretionary = pb_span(pb->discretionary),
    };
    bool ok = pb_is_known(&pb->base) && pb->version == SETTINGS_VERSION && is_name(out->name) &&
              is_text(out->company_name, COMPANY_NAME_SIZE_MAX) &&
              is_text(out->company_id, COMPANY_ID_SIZE_MAX) &&
              is_text(out->discretionary, COMPANY_DISCRETIONARY_SIZE_MAX);
    return ok ? SG_OK : SG_INVALID;
}

void originator_settings_encode(const struct originator_settings *s, struct bytes *out)
{
    Shardgate__V1__OriginatorSettings pb;
    originator_to_pb(s, &pb);
    pb_append(&pb.base, out);
}

enum sg_err originator_settings_decode(struct span data, struct arena *a, struct originator_settings *out)
{
    const void *pb = pb_unpack(&shardgate__v1__originator_settings__descriptor, data, a);
    return pb == NULL ? SG_INVALID : originator_of_pb(pb, out);
}

/* --- Calendar ------------------------------------------------------------ */

static void calendar_to_pb(const struct calendar_settings *s, struct arena *a,
                           Shardgate__V1__CalendarSettings *out)
{
    shardgate__v1__calendar_settings__init(out);
    out->version = SETTINGS_VERSION;
    out->name = pb_of_span(s->name);
    out->federal_reserve = s->federal_reserve;
    out->n_extra_days = s->extra_count;
    out->extra_days = arena_array(a, s->extra_count, sizeof(*out->extra_days));
    for (size_t i = 0; i < s->extra_count; i++) {
        CHECK(s->extra[i].n >= 0);
        out->extra_days[i] = (uint32_t)s->extra[i].n;
    }
}

static enum sg_err calendar_of_pb(const Shardgate__V1__CalendarSettings *pb, struct arena *a,
                                  struct calendar_settings *out)
{
    if (!pb_is_known(&pb->base) || pb->version != SETTINGS_VERSION || !is_name(pb_span(pb->name)) ||
        pb->n_extra_days > CALENDAR_EXTRA_MAX) {
        return SG_INVALID;
    }
    *out = (struct calendar_settings){
        .name = pb_span(pb->name),
        .federal_reserve = pb->federal_reserve != 0,
        .extra_count = pb->n_extra_days,
    };
    if (out->extra_count == 0) {
        return SG_OK;
    }
    out->extra = arena_array(a, out->extra_count, sizeof(*out->extra));
    for (size_t i = 0; i < out->extra_count; i++) {
        uint32_t day = pb->extra_days[i];
        if (day > DAY_MAX || (i > 0 && day <= pb->extra_days[i - 1])) {
            return SG_INVALID;
        }
        out->extra[i] = (struct day){(int32_t)day};
    }
    return SG_OK;
}

void calendar_settings_encode(const struct calendar_settings *s, struct bytes *out)
{
    struct arena a = ARENA_INIT;
    Shardgate__V1__CalendarSettings pb;
    calendar_to_pb(s, &a, &pb);
    pb_append(&pb.base, out);
    arena_release(&a);
}

enum sg_err calendar_settings_decode(struct span data, struct arena *a, struct calendar_settings *out)
{
    const void *pb = pb_unpack(&shardgate__v1__calendar_settings__descriptor, data, a);
    return pb == NULL ? SG_INVALID : calendar_of_pb(pb, a, out);
}

/* --- Shard --------------------------------------------------------------- */

/* A minute of the day that may be missing (-1), as 0 or one more. */
static uint32_t minute_to_pb(int minute)
{
    CHECK(minute >= -1);
    CHECK(minute < MINUTES_A_DAY);
    return (uint32_t)(minute + 1);
}

static int minute_of_pb(uint32_t value)
{
    return value > MINUTES_A_DAY ? MINUTES_A_DAY : (int)value - 1; /* MINUTES_A_DAY is out of range. */
}

static void windows_to_pb(const struct shard_settings *s, struct arena *a, Shardgate__V1__ShardSettings *out)
{
    CHECK(s->windows_count <= WINDOWS_MAX);
    out->n_windows = s->windows_count;
    out->windows = arena_array(a, WINDOWS_MAX, sizeof(Shardgate__V1__WindowSettings *));
    for (size_t i = 0; i < s->windows_count; i++) {
        Shardgate__V1__WindowSettings *window = arena_alloc(a, sizeof(*window));
        shardgate__v1__window_settings__init(window);
        window->name = pb_of_span(s->windows[i].name);
        window->close_minute = (uint32_t)s->windows[i].close_minute;
        window->upload_by_minute = minute_to_pb(s->windows[i].upload_by_minute);
        out->windows[i] = window;
    }
}

static void shard_to_pb(const struct shard_settings *s, struct arena *a, Shardgate__V1__ShardSettings *out)
{
    CHECK(s->replicas_count <= REPLICAS_MAX);
    shardgate__v1__shard_settings__init(out);
    out->version = SETTINGS_VERSION;
    out->routing_number = s->routing_number.n;
    out->endpoint = pb_of_span(s->endpoint);
    out->n_originators = s->originators_count;
    out->originators = pb_of_spans(s->originators, s->originators_count, a);
    out->destination_name = pb_of_span(s->destination_name);
    out->origin = pb_of_span(s->origin);
    out->origin_name = pb_of_span(s->origin_name);
    out->odfi = pb_of_span(s->odfi);
    out->n_replicas = s->replicas_count;
    out->replicas = pb_of_spans(s->replicas, s->replicas_count, a);
    out->preferred = pb_of_span(s->preferred);
    out->zone = pb_of_span(s->zone);
    out->calendar = pb_of_span(s->calendar);
    out->every_day = s->every_day;
    windows_to_pb(s, a, out);
    out->missed = (Shardgate__V1__MissedPolicy)s->missed;
    out->late_until_minute = minute_to_pb(s->late_until_minute);
    out->file_name = pb_of_span(s->file_name);
    out->line_ends = (Shardgate__V1__LineEnds)s->line_ends;
    out->max_lines = s->max_lines;
    out->max_file_cents = s->max_file_cents.n;
    out->same_day_max_cents = s->same_day_max.n;
    out->balanced = s->balanced;
}

static bool window_is_valid(const struct window_settings *window)
{
    for (size_t i = 0; i < window->name.n; i++) {
        uint8_t c = window->name.p[i];
        bool ok = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
                  c == '_';
        if (!ok) {
            return false;
        }
    }
    return is_between((int64_t)window->name.n, 1, WINDOW_NAME_SIZE_MAX) &&
           is_between(window->close_minute, 0, MINUTES_A_DAY - 1) &&
           is_between(window->upload_by_minute, -1, MINUTES_A_DAY - 1);
}

static bool is_odfi(struct span s)
{
    for (size_t i = 0; i < s.n; i++) {
        if (s.p[i] < '0' || s.p[i] > '9') {
            return false;
        }
    }
    return s.n == ODFI_SIZE || s.n == 0;
}

static bool shard_has_valid_texts(const struct shard_settings *s)
{
    return is_text(s->endpoint, NAME_SIZE_MAX) && is_text(s->destination_name, BANK_NAME_SIZE_MAX) &&
           is_text(s->origin, ORIGIN_SIZE_MAX) && is_text(s->origin_name, BANK_NAME_SIZE_MAX) &&
           is_odfi(s->odfi) && is_text(s->preferred, NAME_SIZE_MAX) && is_text(s->zone, NAME_SIZE_MAX) &&
           is_text(s->calendar, NAME_SIZE_MAX) && is_text(s->file_name, FILE_NAME_SIZE_MAX);
}

static bool shard_is_valid(const struct shard_settings *s)
{
    for (size_t i = 0; i < s->windows_count; i++) {
        if (!window_is_valid(&s->windows[i])) {
            return false;
        }
    }
    return is_between(s->routing_number.n, 1, ABA_MAX) && shard_has_valid_texts(s) &&
           are_names(s->originators, s->originators_count) && are_names(s->replicas, s->replicas_count) &&
           is_between(s->missed, MISSED_NEXT_WINDOW, MISSED_HOLD) &&
           is_between(s->late_until_minute, -1, MINUTES_A_DAY - 1) &&
           is_between(s->line_ends, LINE_ENDS_LF, LINE_ENDS_CRLF) &&
           is_between(s->max_lines, FILE_LINES_MIN, FILE_LINES_MAX) &&
           is_between(s->max_file_cents.n, 1, FILE_CENTS_MAX) &&
           is_between(s->same_day_max.n, 0, AMOUNT_MAX_CENTS);
}

static bool shard_has_valid_counts(const Shardgate__V1__ShardSettings *pb)
{
    return pb_is_known(&pb->base) && pb->version == SETTINGS_VERSION &&
           pb->n_originators <= SHARD_ORIGINATORS_MAX && pb->n_replicas <= REPLICAS_MAX &&
           pb->n_windows <= WINDOWS_MAX;
}

static enum sg_err windows_of_pb(const Shardgate__V1__ShardSettings *pb, struct shard_settings *out)
{
    for (size_t i = 0; i < pb->n_windows; i++) {
        const Shardgate__V1__WindowSettings *window = pb->windows[i];
        if (!pb_is_known(&window->base) || window->close_minute >= MINUTES_A_DAY) {
            return SG_INVALID;
        }
        out->windows[i] = (struct window_settings){
            .name = pb_span(window->name),
            .close_minute = (int)window->close_minute,
            .upload_by_minute = minute_of_pb(window->upload_by_minute),
        };
    }
    out->windows_count = pb->n_windows;
    return SG_OK;
}

static void shard_fields_of_pb(const Shardgate__V1__ShardSettings *pb, struct arena *a,
                               struct shard_settings *out)
{
    *out = (struct shard_settings){
        .routing_number = {pb->routing_number},
        .endpoint = pb_span(pb->endpoint),
        .originators = pb_spans(pb->originators, pb->n_originators, a),
        .originators_count = pb->n_originators,
        .destination_name = pb_span(pb->destination_name),
        .origin = pb_span(pb->origin),
        .origin_name = pb_span(pb->origin_name),
        .odfi = pb_span(pb->odfi),
        .replicas_count = pb->n_replicas,
        .preferred = pb_span(pb->preferred),
        .zone = pb_span(pb->zone),
        .calendar = pb_span(pb->calendar),
        .every_day = pb->every_day != 0,
        .missed = (enum missed_policy)pb->missed,
        .late_until_minute = minute_of_pb(pb->late_until_minute),
        .file_name = pb_span(pb->file_name),
        .line_ends = (enum line_ends)pb->line_ends,
        .max_lines = pb->max_lines,
        .max_file_cents = {pb->max_file_cents},
        .same_day_max = {pb->same_day_max_cents},
        .balanced = pb->balanced != 0,
    };
    for (size_t i = 0; i < pb->n_replicas; i++) {
        out->replicas[i] = pb_span(pb->replicas[i]);
    }
}

static enum sg_err shard_of_pb(const Shardgate__V1__ShardSettings *pb, struct arena *a,
                               struct shard_settings *out)
{
    if (!shard_has_valid_counts(pb)) {
        return SG_INVALID;
    }
    shard_fields_of_pb(pb, a, out);
    enum sg_err err = windows_of_pb(pb, out);
    if (err != SG_OK) {
        return err;
    }
    return shard_is_valid(out) ? SG_OK : SG_INVALID;
}

void shard_settings_encode(const struct shard_settings *s, struct bytes *out)
{
    struct arena a = ARENA_INIT;
    Shardgate__V1__ShardSettings pb;
    shard_to_pb(s, &a, &pb);
    pb_append(&pb.base, out);
    arena_release(&a);
}

enum sg_err shard_settings_decode(struct span data, struct arena *a, struct shard_settings *out)
{
    const void *pb = pb_unpack(&shardgate__v1__shard_settings__descriptor, data, a);
    return pb == NULL ? SG_INVALID : shard_of_pb(pb, a, out);
}

/* --- All of one shard ---------------------------------------------------- */

static void originators_to_pb(const struct settings *s, struct arena *a, Shardgate__V1__Settings *out)
{
    out->n_originators = s->originators_count;
    out->originators = arena_array(a, s->originators_count, sizeof(Shardgate__V1__OriginatorSettings *));
    for (size_t i = 0; i < s->originators_count; i++) {
        out->originators[i] = arena_alloc(a, sizeof(*out->originators[i]));
        originator_to_pb(&s->originators[i], out->originators[i]);
    }
}

void settings_encode(const struct settings *s, struct bytes *out)
{
    struct arena a = ARENA_INIT;
    Shardgate__V1__Settings pb = SHARDGATE__V1__SETTINGS__INIT;
    Shardgate__V1__ShardSettings shard;
    Shardgate__V1__EndpointSettings endpoint;
    Shardgate__V1__CalendarSettings calendar;
    pb.version = SETTINGS_VERSION;
    pb.catalog_index = s->version;
    pb.cluster = pb_of_span(s->cluster);
    shard_to_pb(&s->shard, &a, &shard);
    pb.shard = &shard;
    if (s->endpoint.name.n > 0) {
        endpoint_to_pb(&s->endpoint, &endpoint);
        pb.endpoint = &endpoint;
    }
    originators_to_pb(s, &a, &pb);
    if (s->calendar.name.n > 0) {
        calendar_to_pb(&s->calendar, &a, &calendar);
        pb.calendar = &calendar;
    }
    pb_append(&pb.base, out);
    arena_release(&a);
}

static enum sg_err originators_of_pb(const Shardgate__V1__Settings *pb, struct arena *a, struct settings *out)
{
    if (pb->n_originators > SHARD_ORIGINATORS_MAX) {
        return SG_INVALID;
    }
    out->originators_count = pb->n_originators;
    out->originators = arena_array(a, pb->n_originators, sizeof(*out->originators));
    for (size_t i = 0; i < pb->n_originators; i++) {
        enum sg_err err = originator_of_pb(pb->originators[i], &out->originators[i]);
        if (err != SG_OK) {
            return err;
        }
    }
    return SG_OK;
}

static enum sg_err settings_of_pb(const Shardgate__V1__Settings *pb, struct arena *a, struct settings *out)
{
    if (!pb_is_known(&pb->base) || pb->version != SETTINGS_VERSION || pb->shard == NULL ||
        !is_text(pb_span(pb->cluster), NAME_SIZE_MAX)) {
        return SG_INVALID;
    }
    *out = (struct settings){.version = pb->catalog_index, .cluster = pb_span(pb->cluster)};
    enum sg_err err = shard_of_pb(pb->shard, a, &out->shard);
    if (err == SG_OK && pb->endpoint != NULL) {
        err = endpoint_of_pb(pb->endpoint, &out->endpoint);
    }
    if (err == SG_OK) {
        err = originators_of_pb(pb, a, out);
    }
    if (err == SG_OK && pb->calendar != NULL) {
        err = calendar_of_pb(pb->calendar, a, &out->calendar);
    }
    return err;
}

enum sg_err settings_decode(struct span data, struct arena *a, struct settings *out)
{
    if (data.n > SETTINGS_SIZE_MAX_BYTES) {
        return SG_INVALID;
    }
    const void *pb = pb_unpack(&shardgate__v1__settings__descriptor, data, a);
    return pb == NULL ? SG_INVALID : settings_of_pb(pb, a, out);
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
