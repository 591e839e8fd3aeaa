#define _GNU_SOURCE
#include "supervisor/daemon/banks/directory_place.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEPTH_TOP 256 /* Of directories; deeper than any path can name. */

static bool is_same(const struct stat *a, const struct stat *b)
{
    return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* What a directory and those above it are. A parent that can't be opened ends the way. */
struct above {
    bool meets;   /* One of them is the wanted one. */
    bool is_data; /* One of them holds a node's store. */
};

static struct above look_above(int dir, const struct stat *wanted)
{
    struct above a = {false, false};
    struct stat store;
    struct stat here;
    int at = openat(dir, ".", O_PATH | O_DIRECTORY | O_CLOEXEC);

    for (unsigned depth = 0; at >= 0 && depth < DEPTH_TOP && fstat(at, &here) == 0; depth++) {
        struct stat up;
        int parent = openat(at, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        a.meets = a.meets || is_same(&here, wanted);
        a.is_data = a.is_data || fstatat(at, "lane-0/data.mdb", &store, AT_SYMLINK_NOFOLLOW) == 0;
        (void)close(at);
        at = parent;
        if (parent < 0 || fstat(parent, &up) != 0 || is_same(&here, &up)) {
            break; /* The root is its own parent. */
        }
    }
    if (at >= 0) {
        (void)close(at);
    }
    return a;
}

bool directory_places_are_sound(int staging, int drop, char *why, size_t why_size)
{
    struct stat s, d;
    struct above of_staging, of_drop;

    if (fstat(staging, &s) != 0 || fstat(drop, &d) != 0) {
        (void)snprintf(why, why_size, "its directories cannot be looked at");
        return false;
    }
    of_staging = look_above(staging, &d);
    of_drop = look_above(drop, &s);
    if (is_same(&s, &d)) {
        (void)snprintf(why, why_size,
                       "staging_dir is drop_dir under another name: the bank would take files that are half "
                       "written; give staging_dir a directory of its own");
    } else if (of_staging.meets) {
        (void)snprintf(
            why, why_size,
            "staging_dir lies inside drop_dir: the bank would see files that are half written; put "
            "it beside drop_dir");
    } else if (of_staging.is_data || of_drop.is_data) {
        (void)snprintf(why, why_size,
                       "%s lies in the data directory of a node: what the bank does there could take the "
                       "store with it; put it elsewhere",
                       of_drop.is_data ? "drop_dir" : "staging_dir");
    } else {
        return true;
    }
    return false;
}
