/* shardgated --config FILE: runs one node. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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
    memory_begin();
    hash_init();
    if (node_config_load(argv[2], &config, why, sizeof why) != SG_OK) {
        (void)fprintf(stderr, "shardgated: %s\n", why);
        return EXIT_USAGE;
    }
    return daemon_run(&config);
}
