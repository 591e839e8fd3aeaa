/* Runs of the tool within the test's process, against a node that answers what the
 * test says. */
#ifndef TESTS_SUPPORT_CLI_RUN_H
#define TESTS_SUPPORT_CLI_RUN_H

#include "supervisor/cli/cli.h"
#include "tests/support/fake_node.h"
#include "tests/support/test_dir.h"

#define CLI_RUN_WORDS 12
#define CLI_RUN_OUTPUT_SIZE (512u << 10)

struct cli_run {
    struct fake_node node;
    struct test_dir dir;
    char path[TEST_DIR_SIZE + 16];    /* "input" in dir. */
    char output[CLI_RUN_OUTPUT_SIZE]; /* Of the last run. */
    char errors[CLI_RUN_OUTPUT_SIZE]; /* What it said on its standard error. */
    /* What the node answers, by kind: an error, or a document (NULL: an empty one).
     * Submit: an even amount is accepted with itself as index, an odd one rejected. */
    enum sg_err err[REQUEST_KINDS];
    const char *json[REQUEST_KINDS];
    /* The answer to events; NULL: as to others. */
    void (*events)(struct reply *reply, const struct request *request, struct arena *a);
    bool keep[REQUEST_KINDS]; /* These are not answered. */
    /* A list has this many rows, numbered from 1, and comes in pages of so many; 0: as above. */
    unsigned rows_total, rows_page;
    unsigned pages_asked;
    uint32_t only_shard; /* Others have no such item when they are asked to show it; 0: all have. */
    char asked[512];     /* Kind, shard and arguments of the last request. */
};

/* Group setup and teardown for cmocka: one node for all tests. */
int cli_run_open(void **state);
int cli_run_close(void **state);
/* Setup and teardown; *state is a struct cli_run without any answers yet, but for
 * shards list: 121042882 and 231380104. SHARDGATE_CONNECT names the node. */
int cli_run_make(void **state);
int cli_run_drop(void **state);

/* line ends with NULL and does not name the program. */
enum cli_exit cli_run(struct cli_run *f, const char *const *line);
void cli_run_input(const struct cli_run *f, const char *text);

#endif
