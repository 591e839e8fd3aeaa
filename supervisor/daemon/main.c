/* shardgated --config FILE: runs one node. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "proto/base/hash.h"
#include "supervisor/daemon/daemon.h"
#include "shardgate/version.h"
#include "supervisor/base/memory.h"

#define EXIT_USAGE 2

static int usage(FILE *to, int status)
{
    (void)fprintf(to, "usage: shardgated --config FILE\n"
                      "       shardgated --version | --help\n\n"
                      "Runs one node of a Shardgate cluster in the foreground. Log lines go to stderr;\n"
                      "SIGTERM hands leadership over, finishes writes and ends it.\n");
    return status;
}

/* What it holds in memory, account numbers among it, goes into no file by a crash. */
static void leave_no_core(void)
{
    const struct rlimit none = {0, 0};
    (void)setrlimit(RLIMIT_CORE, &none);
}

/* Who may write the configuration decides where payments go. */
static bool config_is_ours(const char *path)
{
    struct stat st;
    if (stat(path, &st) != 0 || (st.st_mode & S_IWOTH) == 0) {
        return true; /* That it can't be read is said by who reads it. */
    }
    (void)fprintf(stderr,
                  "shardgated: %s: everybody may write to it: 'chmod o-w' it, and look at what it says\n",
                  path);
    return false;
}

int main(int argc, char **argv)
{
    struct node_config config;
    char why[640];

    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        (void)printf("shardgated %s\n", SHARDGATE_VERSION_TEXT);
        return EXIT_SUCCESS;
    }
    if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
        return usage(stdout, EXIT_SUCCESS);
    }
    if (argc != 3 || strcmp(argv[1], "--config") != 0) {
        return usage(stderr, EXIT_USAGE);
    }
    (void)signal(SIGPIPE, SIG_IGN);
    leave_no_core();
    memory_begin();
    hash_init();
    if (!config_is_ours(argv[2])) {
        return EXIT_USAGE;
    }
    if (node_config_load(argv[2], &config, why, sizeof why) != SG_OK) {
        (void)fprintf(stderr, "shardgated: %s\n", why);
        return EXIT_USAGE;
    }
    return daemon_run(&config);
}
