/* nftw() is of POSIX's XSI part. */
#define _XOPEN_SOURCE 700

#include "tests/support/test_dir.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>

#include "proto/check.h"

#define OPEN_DIRECTORIES 16

void test_dir_make(struct test_dir *d)
{
    const char *base = getenv("TMPDIR");
    int n = snprintf(d->path, sizeof(d->path), "%s/shardgate-test-XXXXXX", base != NULL ? base : "/tmp");
    CHECK(n > 0);
    CHECK((size_t)n < sizeof(d->path));
    CHECK(mkdtemp(d->path) != NULL);
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st;
    (void)kind;
    (void)at;
    return remove(path);
}

void test_dir_remove(struct test_dir *d)
{
    CHECK(nftw(d->path, remove_one, OPEN_DIRECTORIES, FTW_DEPTH | FTW_PHYS) == 0);
}
