#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>

#include "proto/settings.h"
#include "tests/support/test_mutate.h"

#define TEXT(literal)                                   \
    {                                                   \
        (const uint8_t *)(literal), sizeof(literal) - 1 \
    }

static const char long_text[] = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

static struct day extra_days[] = {{20811}, {20812}};
static struct span originator_names[] = {TEXT("acme"), TEXT("northwind")};
static struct originator_settings originators[2];

static struct shard_settings good_shard(void)
{
    return (struct shard_settings){
        .routing_number = {231380104},
        .endpoint = TEXT("bank-a"),
        .originators = originator_names,
        .originators_count = 2,
        .destination_name = TEXT("FEDERAL RESERVE BANK"),
        .origin = TEXT("121042882"),
        .origin_name = TEXT("FIRST EXAMPLE BANK"),
        .odfi = TEXT("12104288"),
        .replicas = {TEXT("n1"), TEXT("n2"), TEXT("n3")},
        .replicas_count = 3,
        .preferred = TEXT("n1"),
        .zone = TEXT("America/New_York"),
        .calendar = TEXT("fed"),
        .every_day = true,
        .windows = {{TEXT("SD1"), 615, 630}, {TEXT("ND"), 0, -1}},
        .windows_count = 2,
        .missed = MISSED_UPLOAD_LATE_UNTIL,
        .late_until_minute = 1020,
        .file_name = TEXT("ACH-{routing_number}-{modifier}.ach"),
        .line_ends = LINE_ENDS_CRLF,
        .max_lines = 10000,
        .max_file_cents = {999999999999},
        .same_day_max = {100000000},
        .same_day_deadline_minute = 1439,
        .keep_case = true,
        .balanced = true,
    };
}

static struct settings good(void)
{
    originators[0] = (struct originator_settings){
        .name = TEXT("acme"), .company_name = TEXT("ACME CORP"), .company_id = TEXT("1234567890")};
    originators[1] = (struct originator_settings){.name = TEXT("northwind"),
                                                  .company_name = TEXT("NORTHWIND LLC"),
                                                  .company_id = TEXT("1987654321"),
                                                  .discretionary = TEXT("DATA")};
    return (struct settings){
        .version = 77,
        .cluster = TEXT("demo"),
        .shard = good_shard(),
        .endpoint = {.name = TEXT("bank-a"),
                     .kind = ENDPOINT_DIRECTORY,
                     .drop_dir = TEXT("var/bank/a/inbox"),
                     .staging_dir = TEXT("var/bank/a/staging"),
                     .rate_limit_bytes = 262144,
                     .confirm = CONFIRM_HASH,
                     .verify_window_ms = VERIFY_WINDOW_MS,
                     .settle_ms = 60000},
        .originators = originators,
        .originators_count = 2,
        .calendar = {.name = TEXT("fed"), .federal_reserve = true, .extra = extra_days, .extra_count = 2},
    };
}

static void assert_span_equal(struct span a, struct span b)
{
    assert_true(span_eq(a, b));
}

static void assert_spans_equal(const struct span *a, const struct span *b, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        assert_span_equal(a[i], b[i]);
    }
}

static void assert_windows_equal(const struct shard_settings *a, const struct shard_settings *b)
{
    assert_int_equal(a->windows_count, b->windows_count);
    for (size_t i = 0; i < a->windows_count; i++) {
        assert_span_equal(a->windows[i].name, b->windows[i].name);
        assert_int_equal(a->windows[i].close_minute, b->windows[i].close_minute);
        assert_int_equal(a->windows[i].upload_by_minute, b->windows[i].upload_by_minute);
    }
}

static void assert_shard_equal(const struct shard_settings *a, const struct shard_settings *b)
{
    assert_int_equal(a->routing_number.n, b->routing_number.n);
    assert_span_equal(a->endpoint, b->endpoint);
    assert_int_equal(a->originators_count, b->originators_count);
    assert_spans_equal(a->originators, b->originators, a->originators_count);
    assert_span_equal(a->destination_name, b->destination_name);
    assert_span_equal(a->origin, b->origin);
    assert_span_equal(a->origin_name, b->origin_name);
    assert_span_equal(a->odfi, b->odfi);
    assert_int_equal(a->replicas_count, b->replicas_count);
    assert_spans_equal(a->replicas, b->replicas, a->replicas_count);
    assert_span_equal(a->preferred, b->preferred);
    assert_span_equal(a->zone, b->zone);
    assert_span_equal(a->calendar, b->calendar);
    assert_int_equal(a->every_day, b->every_day);
    assert_windows_equal(a, b);
    assert_int_equal(a->missed, b->missed);
    assert_int_equal(a->late_until_minute, b->late_until_minute);
    assert_span_equal(a->file_name, b->file_name);
    assert_int_equal(a->line_ends, b->line_ends);
    assert_int_equal(a->max_lines, b->max_lines);
    assert_true(a->max_file_cents.n == b->max_file_cents.n);
    assert_true(a->same_day_max.n == b->same_day_max.n);
    assert_int_equal(a->same_day_deadline_minute, b->same_day_deadline_minute);
    assert_int_equal(a->keep_case, b->keep_case);
    assert_int_equal(a->balanced, b->balanced);
}

static void assert_endpoint_equal(const struct endpoint_settings *a, const struct endpoint_settings *b)
{
    assert_span_equal(a->name, b->name);
    assert_int_equal(a->kind, b->kind);
    assert_span_equal(a->drop_dir, b->drop_dir);
    assert_span_equal(a->staging_dir, b->staging_dir);
    assert_true(a->rate_limit_bytes == b->rate_limit_bytes);
    assert_int_equal(a->confirm, b->confirm);
    assert_true(a->verify_window_ms == b->verify_window_ms);
    assert_true(a->settle_ms == b->settle_ms);
}

static void assert_originator_equal(const struct originator_settings *a, const struct originator_settings *b)
{
    assert_span_equal(a->name, b->name);
    assert_span_equal(a->company_name, b->company_name);
    assert_span_equal(a->company_id, b->company_id);
    assert_span_equal(a->discretionary, b->discretionary);
}

static void assert_calendar_equal(const struct calendar_settings *a, const struct calendar_settings *b)
{
    assert_span_equal(a->name, b->name);
    assert_int_equal(a->federal_reserve, b->federal_reserve);
    assert_int_equal(a->extra_count, b->extra_count);
    for (size_t i = 0; i < a->extra_count; i++) {
        assert_int_equal(a->extra[i].n, b->extra[i].n);
    }
}

static void assert_settings_equal(const struct settings *a, const struct settings *b)
{
    assert_true(a->version == b->version);
    assert_span_equal(a->cluster, b->cluster);
    assert_shard_equal(&a->shard, &b->shard);
    assert_endpoint_equal(&a->endpoint, &b->endpoint);
    assert_int_equal(a->originators_count, b->originators_count);
    for (size_t i = 0; i < a->originators_count; i++) {
        assert_originator_equal(&a->originators[i], &b->originators[i]);
    }
    assert_calendar_equal(&a->calendar, &b->calendar);
}

static void test_round_trip(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct bytes encoded = BYTES_NONE;
    struct settings s = good();
    struct settings decoded;
    settings_encode(&s, &encoded);
    assert_int_equal(settings_decode(span_bytes(&encoded), &a, &decoded), SG_OK);
    memset(encoded.p, 0xff, encoded.n); /* The header promises copies. */
    assert_settings_equal(&s, &decoded);
    assert_ptr_equal(settings_originator(&decoded, span_str("northwind")), &decoded.originators[1]);
    assert_null(settings_originator(&decoded, span_str("north")));
    bytes_release(&encoded);
    arena_release(&a);
}

static void test_round_trip_of_the_least(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct bytes encoded = BYTES_NONE;
    struct settings s = {.shard = {.routing_number = {231380104},
                                   .missed = MISSED_HOLD,
                                   .late_until_minute = -1,
                                   .line_ends = LINE_ENDS_LF,
                                   .max_lines = FILE_LINES_MIN,
                                   .max_file_cents = {1}}};
    struct settings decoded;
    settings_encode(&s, &encoded);
    assert_int_equal(settings_decode(span_bytes(&encoded), &a, &decoded), SG_OK);
    assert_settings_equal(&s, &decoded);
    bytes_release(&encoded);
    arena_release(&a);
}

/* The rows of the catalog, one kind after the other. */
static void test_round_trip_of_objects(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct bytes encoded = BYTES_NONE;
    struct settings s = good();
    struct settings d;

    shard_settings_encode(&s.shard, &encoded);
    assert_int_equal(shard_settings_decode(span_bytes(&encoded), &a, &d.shard), SG_OK);
    assert_shard_equal(&s.shard, &d.shard);
    bytes_clear(&encoded);
    endpoint_settings_encode(&s.endpoint, &encoded);
    assert_int_equal(endpoint_settings_decode(span_bytes(&encoded), &a, &d.endpoint), SG_OK);
    assert_endpoint_equal(&s.endpoint, &d.endpoint);
    bytes_clear(&encoded);
    originator_settings_encode(&s.originators[1], &encoded);
    struct originator_settings originator;
    assert_int_equal(originator_settings_decode(span_bytes(&encoded), &a, &originator), SG_OK);
    assert_originator_equal(&s.originators[1], &originator);
    bytes_clear(&encoded);
    calendar_settings_encode(&s.calendar, &encoded);
    assert_int_equal(calendar_settings_decode(span_bytes(&encoded), &a, &d.calendar), SG_OK);
    assert_calendar_equal(&s.calendar, &d.calendar);
    bytes_release(&encoded);
    arena_release(&a);
}

#define CHANGE(name, code)               \
    static void name(struct settings *s) \
    {                                    \
        code;                            \
    }

CHANGE(no_aba, s->shard.routing_number.n = 0)
CHANGE(ten_digits, s->shard.routing_number.n = 1000000000)
CHANGE(odfi_short, s->shard.odfi = span_str("1210428"))
CHANGE(odfi_letters, s->shard.odfi = span_str("1210428A"))
CHANGE(origin_long, s->shard.origin = span_of(long_text, 11))
CHANGE(bank_name_long, s->shard.destination_name = span_of(long_text, 24))
CHANGE(window_name_empty, s->shard.windows[0].name = SPAN_NONE)
CHANGE(window_name_long, s->shard.windows[0].name = span_of(long_text, 17))
CHANGE(window_name_slash, s->shard.windows[0].name = span_str("a/b"))
CHANGE(close_minute, s->shard.windows[1].close_minute = 1440)
CHANGE(close_minute_negative, s->shard.windows[1].close_minute = -1)
CHANGE(no_missed_policy, s->shard.missed = (enum missed_policy)0)
CHANGE(foreign_missed_policy, s->shard.missed = (enum missed_policy)4)
CHANGE(no_line_ends, s->shard.line_ends = (enum line_ends)0)
CHANGE(foreign_line_ends, s->shard.line_ends = (enum line_ends)3)
CHANGE(few_lines, s->shard.max_lines = 9)
CHANGE(many_lines, s->shard.max_lines = FILE_LINES_MAX + 1)
CHANGE(no_cents, s->shard.max_file_cents.n = 0)
CHANGE(many_cents, s->shard.max_file_cents.n = FILE_CENTS_MAX + 1)
CHANGE(same_day_negative, s->shard.same_day_max.n = -1)
CHANGE(deadline_negative, s->shard.same_day_deadline_minute = -1)
CHANGE(deadline_minute, s->shard.same_day_deadline_minute = 1440)
CHANGE(file_name_newline, s->shard.file_name = span_str("a\nb"))
CHANGE(replica_empty, s->shard.replicas[1] = SPAN_NONE)
CHANGE(originator_name_empty, s->shard.originators[0] = SPAN_NONE)
CHANGE(foreign_kind, s->endpoint.kind = (enum endpoint_kind)4)
CHANGE(no_confirm, s->endpoint.confirm = (enum confirm_kind)0)
CHANGE(foreign_confirm, s->endpoint.confirm = (enum confirm_kind)5)
CHANGE(settle_negative, s->endpoint.settle_ms = -1)
CHANGE(verify_endless, s->endpoint.verify_window_ms = INT64_MAX)
CHANGE(company_name_long, s->originators[0].company_name = span_of(long_text, 17))
CHANGE(company_id_long, s->originators[0].company_id = span_of(long_text, 11))
CHANGE(originator_nameless, s->originators[0].name = SPAN_NONE)
CHANGE(days_twice, s->calendar.extra[1] = s->calendar.extra[0])
CHANGE(days_descending, s->calendar.extra[1].n = 1)
CHANGE(day_too_late, s->calendar.extra[1].n = DAY_MAX + 1)
CHANGE(cluster_long, s->cluster = span_of(long_text, 64))

static void test_decode_refuses_out_of_range(void **state)
{
    (void)state;
    static const struct {
        const char *why;
        void (*change)(struct settings *s);
    } bad[] = {
        {"no routing number", no_aba},
        {"ten digits", ten_digits},
        {"seven digits of odfi", odfi_short},
        {"odfi with a letter", odfi_letters},
        {"origin of eleven characters", origin_long},
        {"destination name of 24", bank_name_long},
        {"window without a name", window_name_empty},
        {"window name of 17", window_name_long},
        {"window names stand in file names", window_name_slash},
        {"24:00 is not a minute of the day", close_minute},
        {"nor is -1 to close at", close_minute_negative},
        {"missed policy not set", no_missed_policy},
        {"missed policy of a later version", foreign_missed_policy},
        {"line ends not set", no_line_ends},
        {"line ends of a later version", foreign_line_ends},
        {"a file has ten lines at least", few_lines},
        {"a seal must fit an entry", many_lines},
        {"a file without room for a cent", no_cents},
        {"twelve digits", many_cents},
        {"negative limit", same_day_negative},
        {"a deadline before midnight", deadline_negative},
        {"a deadline at 24:00", deadline_minute},
        {"control character in a file name", file_name_newline},
        {"replica without a name", replica_empty},
        {"originator reference without a name", originator_name_empty},
        {"endpoint of a later version", foreign_kind},
        {"confirm not set", no_confirm},
        {"confirm of a later version", foreign_confirm},
        {"negative time span", settle_negative},
        {"time span that overflows", verify_endless},
        {"company name of 17", company_name_long},
        {"company id of 11", company_id_long},
        {"originator without a name", originator_nameless},
        {"the same day twice", days_twice},
        {"days out of order", days_descending},
        {"a day of no calendar", day_too_late},
        {"cluster name of 64", cluster_long},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct arena a = ARENA_INIT;
        struct bytes encoded = BYTES_NONE;
        struct span names[] = {originator_names[0], originator_names[1]};
        struct day days[] = {extra_days[0], extra_days[1]};
        struct settings s = good();
        struct settings decoded;
        s.shard.originators = names;
        s.calendar.extra = days;
        bad[i].change(&s);
        settings_encode(&s, &encoded);
        if (settings_decode(span_bytes(&encoded), &a, &decoded) != SG_INVALID) {
            fail_msg("%s", bad[i].why);
        }
        bytes_release(&encoded);
        arena_release(&a);
    }
}

static void test_decode_refuses_other_versions(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct bytes encoded = BYTES_NONE;
    struct settings s = good();
    settings_encode(&s, &encoded);
    encoded.p[1] = 2;
    assert_int_equal(settings_decode(span_bytes(&encoded), &a, &s), SG_UNSUPPORTED);
    encoded.p[1] = 1;
    assert_int_equal(settings_decode(span_bytes(&encoded), &a, &s), SG_OK);
    bytes_append(&encoded, "\xf8\x01\x01", 3); /* Field 31, which nobody knows. */
    assert_int_equal(settings_decode(span_bytes(&encoded), &a, &s), SG_INVALID);
    assert_int_equal(settings_decode(SPAN_NONE, &a, &s), SG_INVALID);
    bytes_release(&encoded);
    arena_release(&a);
}

/* Accepted means usable: it encodes (with all its CHECKs), and to the same. */
static void decode_damaged(struct span data, void *arg)
{
    struct arena a = ARENA_INIT;
    struct settings s;
    unsigned *accepted = arg;
    if (settings_decode(data, &a, &s) == SG_OK) {
        struct bytes encoded = BYTES_NONE;
        struct settings again;
        settings_encode(&s, &encoded);
        assert_int_equal(settings_decode(span_bytes(&encoded), &a, &again), SG_OK);
        if (s.endpoint.name.n > 0 && s.calendar.name.n > 0) {
            assert_settings_equal(&s, &again);
        }
        bytes_release(&encoded);
        ++*accepted;
    }
    arena_release(&a);
}

static void test_damaged_encodings(void **state)
{
    (void)state;
    struct bytes encoded = BYTES_NONE;
    struct settings s = good();
    unsigned accepted = 0;
    settings_encode(&s, &encoded);
    test_mutate(span_bytes(&encoded), decode_damaged, &accepted, 30000, 815);
    assert_true(accepted > 0);
    bytes_release(&encoded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_round_trip_of_the_least),
        cmocka_unit_test(test_round_trip_of_objects),
        cmocka_unit_test(test_decode_refuses_out_of_range),
        cmocka_unit_test(test_decode_refuses_other_versions),
        cmocka_unit_test(test_damaged_encodings),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
