/* The directories of an endpoint, told apart by what they are and not by their names. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "proto/base/hash.h"
#include "supervisor/daemon/banks/directory.h"
#include "tests/support/test_dir.h"

#define PATH_SIZE (TEST_DIR_SIZE + 64)

static void make_dir(const struct test_dir *d, const char *name)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s", d->path, name);
    assert_int_equal(mkdir(path, 0700), 0);
}

static void make_file(const struct test_dir *d, const char *name)
{
    char path[PATH_SIZE];
    (void)snprintf(path, sizeof path, "%s/%s", d->path, name);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(close(fd), 0);
}

static struct bank_request ask(const struct endpoint_settings *e, enum bank_op op)
{
    struct bank_request r = {.op = op, .endpoint = e, .place = BANK_STAGING, .to_place = BANK_DROP};
    (void)snprintf(r.name, sizeof r.name, "T");
    r.data = span_str("0123456789");
    r.sha256 = sha256_of(r.data);
    return r;
}

static void test_places_are_told_apart_by_what_they_are(void **state)
{
    (void)state;
    static const struct {
        const char *staging, *drop, *text; /* NULL: sound. */
    } rows[] = {
        {"x/../inbox", "inbox", "is drop_dir under another name"},
        {"link", "inbox", "is drop_dir under another name"},
        {"inbox", "link", "is drop_dir under another name"},
        {"inbox/staging", "inbox", "lies inside drop_dir"},
        {"link/deep", "inbox", "lies inside drop_dir"},
        {"n1/staging", "inbox", "staging_dir lies in the data directory of a node"},
        {"x/../n1/a", "inbox", "staging_dir lies in the data directory of a node"},
        {"x/staging", "n1/a", "drop_dir lies in the data directory of a node"},
        {"x/staging", "n1", "drop_dir lies in the data directory of a node"},
        {"x/staging", "inbox", NULL},
        {"x", "x/inbox", NULL}, /* The other way round shows the bank nothing. */
    };
    static const char *const dirs[] = {"x", "x/inbox", "inbox", "n1", "n1/lane-0", "n1/a"};
    struct test_dir dir;
    char staging[PATH_SIZE];
    char drop[PATH_SIZE];

    hash_init();
    test_dir_make(&dir);
    for (size_t i = 0; i < sizeof dirs / sizeof dirs[0]; i++) {
        make_dir(&dir, dirs[i]);
    }
    make_file(&dir, "n1/lane-0/data.mdb");
    (void)snprintf(staging, sizeof staging, "%s/link", dir.path);
    (void)snprintf(drop, sizeof drop, "%s/inbox", dir.path);
    assert_int_equal(symlink(drop, staging), 0);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        static const enum bank_op ops[] = {BANK_PROBE, BANK_CREATE};
        (void)snprintf(staging, sizeof staging, "%s/%s", dir.path, rows[i].staging);
        (void)snprintf(drop, sizeof drop, "%s/%s", dir.path, rows[i].drop);
        const struct endpoint_settings e = {.kind = ENDPOINT_DIRECTORY,
                                            .staging_dir = span_str(staging),
                                            .drop_dir = span_str(drop),
                                            .confirm = CONFIRM_HASH};
        for (size_t k = 0; k < 2; k++) {
            struct bank_request r = ask(&e, ops[k]);
            directory_execute(&r);
            if (rows[i].text == NULL ? r.answer != BANK_OK
                                     : r.answer != BANK_FAILED || strstr(r.text, rows[i].text) == NULL) {
                fail_msg("staging %s, drop %s: %s \"%s\"", rows[i].staging, rows[i].drop,
                         bank_answer_name(r.answer), r.text);
            }
        }
    }
    /* Nothing was left where a bank looks. */
    (void)snprintf(drop, sizeof drop, "%s/inbox", dir.path);
    assert_int_equal(rmdir(drop), 0);
    test_dir_remove(&dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_places_are_told_apart_by_what_they_are),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
