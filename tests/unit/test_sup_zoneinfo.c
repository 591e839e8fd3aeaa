/* The system's time zones, on many threads. */
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "proto/base/limits.h"
#include "supervisor/daemon/zoneinfo.h"

#define THREADS 4

static const struct zone *get(const char *name)
{
    return zoneinfo_get(NULL, span_str(name));
}

static void knows_the_systems_zones(void **state)
{
    /* 2026-11-23 15:00 UTC and 2026-07-01 15:00 UTC. */
    static const struct {
        const char *name;
        int32_t winter_s, summer_s;
    } rows[] = {
        {"UTC", 0, 0},
        {"America/New_York", -5 * 3600, -4 * 3600},
        {"America/Los_Angeles", -8 * 3600, -7 * 3600},
        {"America/Phoenix", -7 * 3600, -7 * 3600},
        {"America/Argentina/Buenos_Aires", -3 * 3600, -3 * 3600},
        {"Etc/GMT+5", -5 * 3600, -5 * 3600},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct zone *z = get(rows[i].name);
        if (z == NULL) {
            fail_msg("%s", rows[i].name);
        }
        assert_int_equal(zone_local(z, 1795446000000).offset_s, rows[i].winter_s);
        assert_int_equal(zone_local(z, 1782918000000).offset_s, rows[i].summer_s);
        assert_ptr_equal(get(rows[i].name), z);
    }
}

static void refuses_what_is_no_zone(void **state)
{
    static const struct {
        const char *what, *name;
    } rows[] = {
        {"no name", ""},
        {"no such zone", "America/Atlantis"},
        {"a directory", "America"},
        {"a directory, with a slash", "America/"},
        {"a table, no zone", "zone.tab"},
        {"an absolute path", "/etc/passwd"},
        {"a way out", "../../../etc/passwd"},
        {"a way round", "America/../UTC"},
        {"a blank", "America/New York"},
        {"leap seconds", "right/UTC"},
        {"too long", "America/New_YorkNew_YorkNew_YorkNew_YorkNew_YorkNew_YorkNew_York"},
        {"another case", "america/new_york"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (get(rows[i].name) != NULL) {
            fail_msg("%s", rows[i].what);
        }
    }
    assert_null(zoneinfo_get(NULL, span_of("UTC\0x", 5)));
}

static void *ask(void *arg)
{
    static const char *const names[] = {"Europe/Berlin", "Asia/Tokyo", "Asia/Kolkata", "Nowhere/Atall"};
    const struct zone **found = arg;
    for (int round = 0; round < 200; round++) {
        for (size_t i = 0; i < 4; i++) {
            found[i] = get(names[i]);
        }
    }
    return NULL;
}

static void gives_all_threads_the_same(void **state)
{
    pthread_t threads[THREADS];
    const struct zone *found[THREADS][4];
    (void)state;
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, ask, found[i]), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    for (size_t i = 0; i < THREADS; i++) {
        assert_non_null(found[i][0]);
        assert_ptr_equal(found[i][0], found[0][0]);
        assert_ptr_equal(found[i][2], found[0][2]);
        assert_null(found[i][3]);
    }
}

/* Whoever may apply a configuration may try names: memory has an end, and the
 * zones in use stay. */
static void remembers_only_so_many(void **state)
{
    const struct zone *before = get("America/New_York");
    char name[32];
    (void)state;
    for (unsigned i = 0; i < 3 * ZONES_MAX; i++) {
        (void)snprintf(name, sizeof name, "No/Such%u", i);
        assert_null(get(name));
    }
    assert_ptr_equal(get("America/New_York"), before);
    /* Wrong names do not use up the room of right ones. */
    assert_non_null(get("Europe/Paris"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(knows_the_systems_zones),
        cmocka_unit_test(refuses_what_is_no_zone),
        cmocka_unit_test(gives_all_threads_the_same),
        cmocka_unit_test(remembers_only_so_many),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
