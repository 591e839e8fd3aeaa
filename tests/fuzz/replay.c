/* Runs a target once over each file named, or in a directory named: what
 * libFuzzer found stays found where there is no libFuzzer. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "tests/fuzz/fuzz.h"

static size_t files_count;

static void replay_file(const char *path)
{
    FILE *f = fopen(path, "rbe");
    struct bytes data = BYTES_NONE;
    uint8_t piece[4096];
    size_t n;

    if (f == NULL) {
        perror(path);
        exit(2);
    }
    while ((n = fread(piece, 1, sizeof piece, f)) > 0) {
        bytes_append(&data, piece, n);
    }
    (void)fclose(f);
    (void)LLVMFuzzerTestOneInput(data.p, data.n);
    bytes_release(&data);
    files_count++;
}

static void replay(const char *path)
{
    DIR *d = opendir(path);
    const struct dirent *e;

    if (d == NULL) {
        replay_file(path);
        return;
    }
    while ((e = readdir(d)) != NULL) {
        char child[1024];
        if (e->d_name[0] != '.') {
            (void)snprintf(child, sizeof child, "%s/%s", path, e->d_name);
            replay_file(child);
        }
    }
    (void)closedir(d);
}

int main(int argc, char **argv)
{
    (void)LLVMFuzzerTestOneInput(NULL, 0);
    for (int i = 1; i < argc; i++) {
        replay(argv[i]);
    }
    (void)printf("%zu inputs\n", files_count);
    return argc > 1 && files_count == 0 ? 1 : 0;
}
