#include "tests/support/test_dir.h"

#include <dirent.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "proto/base/check.h"

void test_dir_make(struct test_dir *d)
{
    const char *base = getenv("TMPDIR");
    int n = snprintf(d->path, sizeof(d->path), "%s/shardgate-test-XXXXXX", base != NULL ? base : "/tmp");
    CHECK(n > 0);
    CHECK((size_t)n < sizeof(d->path));
    CHECK(mkdtemp(d->path) != NULL);
}

static void remove_tree(const char *path)
{
    struct stat st;
    CHECK(lstat(path, &st) == 0);
    DIR *dir = S_ISDIR(st.st_mode) ? opendir(path) : NULL;
    for (struct dirent *entry; dir != NULL && (entry = readdir(dir)) != NULL;) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
            char below[PATH_MAX];
            int n = snprintf(below, sizeof(below), "%s/%s", path, entry->d_name);
            CHECK(n > 0);
            CHECK((size_t)n < sizeof(below));
            remove_tree(below);
        }
    }
    if (dir != NULL) {
        (void)closedir(dir);
    }
    CHECK(remove(path) == 0);
}

void test_dir_remove(struct test_dir *d)
{
    remove_tree(d->path);
}
