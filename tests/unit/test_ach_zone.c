#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

#include <stdlib.h>
#include <time.h>

#include "proto/base/mem.h"
#include "shard/ach/zone.h"
#include "tests/support/test_mutate.h"

/* A zone of the system's database; tests that need one it lacks are skipped. */
static struct bytes zone_file(const char *name)
{
    char path[256];
    struct bytes out = BYTES_NONE;
    (void)snprintf(path, sizeof path, "/usr/share/zoneinfo/%s", name);
    FILE *file = fopen(path, "rb");
    if (file == NULL) {
        print_message("%s is not installed\n", path);
        skip();
    }
    uint8_t buffer[4096];
    for (size_t n = 0; (n = fread(buffer, 1, sizeof buffer, file)) > 0;) {
        bytes_append(&out, buffer, n);
    }
    (void)fclose(file);
    return out;
}

static struct zone zone_load(const char *name, struct arena *a)
{
    struct zone zone;
    struct bytes file = zone_file(name);
    assert_int_equal(zone_parse(span_bytes(&file), a, &zone), SG_OK);
    bytes_release(&file);
    return zone;
}

/* What libc says the local time is. */
static void assert_like_libc(const struct zone *zone, const char *name, int64_t t)
{
    struct tm tm;
    time_t seconds = (time_t)t;
    assert_non_null(localtime_r(&seconds, &tm));
    struct zone_time local = zone_local(zone, t * 1000 + 999);
    int64_t day = (t + tm.tm_gmtoff) / 86400 - ((t + tm.tm_gmtoff) % 86400 < 0 ? 1 : 0);
    if (local.offset_s != tm.tm_gmtoff || local.minute != tm.tm_hour * 60 + tm.tm_min || local.day.n != day) {
        fail_msg("%s at %lld: offset %d, libc %ld", name, (long long)t, local.offset_s, tm.tm_gmtoff);
    }
}

/* libc is the dumb implementation here: every zone of the list, every 11 hours
 * over two centuries, past the end of the tables. */
static void test_against_libc(void **state)
{
    (void)state;
    static const char *const names[] = {
        "America/New_York", "America/Chicago",   "America/Los_Angeles", "America/Phoenix",
        "Pacific/Honolulu", "Europe/London",     "Asia/Kolkata",        "Australia/Lord_Howe",
        "America/St_Johns", "Africa/Casablanca", "America/Santiago",    "UTC",
        "Pacific/Apia",     "Europe/Dublin",     "Antarctica/Troll",
    };
    const char *before = getenv("TZ");
    char *saved = before != NULL ? mem_strdup(before) : NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct arena a = ARENA_INIT;
        struct zone zone = zone_load(names[i], &a);
        assert_int_equal(setenv("TZ", names[i], 1), 0);
        tzset();
        for (int64_t t = -2208988800; t < 4102444800 + 1000; t += 39600 * 3 + 7) { /* 1900 to 2100 */
            assert_like_libc(&zone, names[i], t);
        }
        for (size_t j = 0; j < zone.count; j++) {
            if (zone.transitions[j] > -2208988800) {
                assert_like_libc(&zone, names[i], zone.transitions[j] - 1);
                assert_like_libc(&zone, names[i], zone.transitions[j]);
            }
        }
        arena_release(&a);
    }
    (void)(saved != NULL ? setenv("TZ", saved, 1) : unsetenv("TZ"));
    tzset();
    mem_free(saved);
}

static void test_new_york(void **state)
{
    (void)state;
    static const struct {
        const char *reason;
        int year, month, day, hour, minute;
        int64_t unix_s;
    } rows[] = {
        {"winter: five hours", 2026, 11, 23, 10, 15, 1795446900},
        {"summer: four hours", 2026, 7, 1, 10, 15, 1782915300},
        {"the last minute before the gap", 2026, 3, 8, 1, 59, 1772953140},
        {"skipped: the moment of the change", 2026, 3, 8, 2, 0, 1772953200},
        {"skipped, in the middle: the same moment", 2026, 3, 8, 2, 30, 1772953200},
        {"the first minute after the gap: the same moment", 2026, 3, 8, 3, 0, 1772953200},
        {"comes twice: the first", 2026, 11, 1, 1, 30, 1793511000},
        {"after the overlap", 2026, 11, 1, 2, 0, 1793516400},
        {"far in the future, by the rule", 2150, 7, 1, 0, 0, 5695934400},
        {"before daylight saving of 2007's dates", 2006, 4, 2, 12, 0, 1143993600},
    };
    struct arena a = ARENA_INIT;
    struct zone zone = zone_load("America/New_York", &a);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct day day = day_of(rows[i].year, rows[i].month, rows[i].day);
        int64_t ms = zone_unix_ms(&zone, day, rows[i].hour * 60 + rows[i].minute);
        if (ms != rows[i].unix_s * 1000) {
            fail_msg("%s: %lld", rows[i].reason, (long long)ms);
        }
    }
    arena_release(&a);
}

/* There and back, wherever the local time exists. */
static void test_round_trip(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct zone zone = zone_load("America/New_York", &a);
    for (int32_t n = day_of(2026, 1, 1).n; n < day_of(2028, 1, 1).n; n++) {
        for (int minute = 0; minute < 1440; minute += 15) {
            int64_t ms = zone_unix_ms(&zone, (struct day){n}, minute);
            struct zone_time local = zone_local(&zone, ms);
            struct zone_time before = zone_local(&zone, ms - 1);
            bool exact = local.day.n == n && local.minute == minute;
            bool gap = local.day.n == n && local.minute > minute && local.offset_s > before.offset_s;
            assert_true(exact || gap);
            assert_true(before.day.n < n || before.minute < minute);
        }
    }
    arena_release(&a);
}

/* A version 2 file with no transitions and this footer. */
static enum sg_err parse_footer(const char *footer, struct arena *a, struct zone *zone)
{
    struct bytes file = BYTES_NONE;
    for (int i = 0; i < 2; i++) {
        uint8_t header[44] = "TZif2";
        static const uint8_t utc[6 + 4] = {0, 0, 0, 0, 0, 0, 'U', 'T', 'C', 0};
        header[39] = 1; /* One type. */
        header[43] = 4; /* "UTC" */
        bytes_append(&file, header, sizeof header);
        bytes_append(&file, utc, sizeof utc);
    }
    bytes_append_span(&file, span_str(footer));
    enum sg_err err = zone_parse(span_bytes(&file), a, zone);
    bytes_release(&file);
    return err;
}

static void test_footers(void **state)
{
    (void)state;
    static const struct {
        const char *reason, *footer;
        enum sg_err err;
        int64_t t;
        int32_t offset_s;
    } rows[] = {
        {"no rule: the last type for ever", "\n\n", SG_OK, 4102444800, 0},
        {"no daylight saving time", "\nIST-5:30\n", SG_OK, 4102444800, 19800},
        {"a quoted name", "\n<-03>3\n", SG_OK, 4102444800, -10800},
        {"north, winter", "\nEST5EDT,M3.2.0,M11.1.0\n", SG_OK, 1772953199, -18000},
        {"north, summer", "\nEST5EDT,M3.2.0,M11.1.0\n", SG_OK, 1772953200, -14400},
        {"south: over New Year", "\nAEST-10AEDT,M10.1.0,M4.1.0/3\n", SG_OK, 1798761600, 39600},
        {"south: in July", "\nAEST-10AEDT,M10.1.0,M4.1.0/3\n", SG_OK, 1782864000, 36000},
        {"hours before midnight", "\nIST-2IDT,M3.4.4/26,M10.5.0\n", SG_OK, 1774569600, 10800},
        {"days of the year", "\nAAA0BBB,J60/0,J61/0\n", SG_OK, 1709251200, 3600}, /* 2024-03-01 */
        {"J60 is 1 March in a leap year too", "\nAAA0BBB,J60/0,J61/0\n", SG_OK, 1709251199, 0},
        {"a day counted with 29 February", "\nAAA0BBB,59/0,60/0\n", SG_OK, 1709164800, 3600},
        {"daylight saving all year", "\nXXX3EDT4,0/0,J365/23\n", SG_OK, 1767225600, -14400},
        {"negative daylight saving", "\nIST-1GMT0,M10.5.0,M3.5.0/1\n", SG_OK, 1798761600, 0},
        {"no newline in front", "EST5\n", SG_INVALID, 0, 0},
        {"no newline behind", "\nEST5", SG_INVALID, 0, 0},
        {"no footer", "", SG_INVALID, 0, 0},
        {"a name of two letters", "\nES5\n", SG_INVALID, 0, 0},
        {"no offset", "\nEST\n", SG_INVALID, 0, 0},
        {"hours over 24", "\nEST25\n", SG_INVALID, 0, 0},
        {"minutes over 59", "\nEST5:60\n", SG_INVALID, 0, 0},
        {"no dates of daylight saving time", "\nEST5EDT\n", SG_INVALID, 0, 0},
        {"one date only", "\nEST5EDT,M3.2.0\n", SG_INVALID, 0, 0},
        {"month 13", "\nEST5EDT,M13.2.0,M11.1.0\n", SG_INVALID, 0, 0},
        {"week 0", "\nEST5EDT,M3.0.0,M11.1.0\n", SG_INVALID, 0, 0},
        {"weekday 7", "\nEST5EDT,M3.2.7,M11.1.0\n", SG_INVALID, 0, 0},
        {"J0", "\nEST5EDT,J0,J300\n", SG_INVALID, 0, 0},
        {"day 366", "\nEST5EDT,0,366\n", SG_INVALID, 0, 0},
        {"something behind", "\nEST5EDT,M3.2.0,M11.1.0x\n", SG_INVALID, 0, 0},
        {"a quote that does not end", "\n<EST5\n", SG_INVALID, 0, 0},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct arena a = ARENA_INIT;
        struct zone zone;
        if (parse_footer(rows[i].footer, &a, &zone) != rows[i].err) {
            fail_msg("%s: parse", rows[i].reason);
        }
        if (rows[i].err == SG_OK && zone_local(&zone, rows[i].t * 1000).offset_s != rows[i].offset_s) {
            fail_msg("%s: %d", rows[i].reason, zone_local(&zone, rows[i].t * 1000).offset_s);
        }
        arena_release(&a);
    }
}

/* Accepted means usable: no crash, no endless search. */
static void decode(struct span data, void *arg)
{
    struct arena a = ARENA_INIT;
    struct zone zone;
    unsigned *accepted = arg;
    if (zone_parse(data, &a, &zone) == SG_OK) {
        (*accepted)++;
        for (int32_t n = 0; n < 40000; n += 997) {
            int64_t ms = zone_unix_ms(&zone, (struct day){n}, 615);
            struct zone_time local = zone_local(&zone, ms);
            assert_true(local.day.n > n || (local.day.n == n && local.minute >= 615));
        }
    }
    arena_release(&a);
}

static void test_damaged_files(void **state)
{
    (void)state;
    unsigned accepted = 0;
    struct bytes file = zone_file("America/New_York");
    test_mutate(span_bytes(&file), decode, &accepted, 3000, 7);
    assert_true(accepted > 0);
    bytes_release(&file);
}

static void test_not_a_zone(void **state)
{
    (void)state;
    struct arena a = ARENA_INIT;
    struct zone zone;
    struct bytes file = zone_file("America/New_York");
    assert_int_equal(zone_parse(SPAN_NONE, &a, &zone), SG_INVALID);
    assert_int_equal(zone_parse(span_str("America/New_York"), &a, &zone), SG_INVALID);
    struct bytes other = BYTES_NONE;
    bytes_append(&other, file.p, 4);
    bytes_append(&other, "9", 1); /* A version not known. */
    bytes_append(&other, file.p + 5, file.n - 5);
    assert_int_equal(zone_parse(span_bytes(&other), &a, &zone), SG_INVALID);
    bytes_release(&other);
    bytes_release(&file);
    file = zone_file("right/America/New_York"); /* Has leap seconds. */
    assert_int_equal(zone_parse(span_bytes(&file), &a, &zone), SG_INVALID);
    bytes_release(&file);
    arena_release(&a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_against_libc),  cmocka_unit_test(test_new_york),
        cmocka_unit_test(test_round_trip),    cmocka_unit_test(test_footers),
        cmocka_unit_test(test_damaged_files), cmocka_unit_test(test_not_a_zone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
