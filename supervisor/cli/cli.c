/* One run of the tool. */
#include "supervisor/cli/cli.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "proto/rows.h"
#include "supervisor/cli/interrupt.h"
#include "supervisor/cli/verbs.h"
#include "supervisor/client/client.h"
#include "supervisor/base/memory.h"

#define COMMON_OPTIONS                                                                     \
    (OPTION_BIT(OPTION_CONNECT) | OPTION_BIT(OPTION_TIMEOUT) | OPTION_BIT(OPTION_OUTPUT) | \
     OPTION_BIT(OPTION_HELP))

static enum cli_exit find_verb(struct cli *c)
{
    struct args *a = &c->args;
    struct bytes help = BYTES_NONE;
    char why[256];
    size_t used = 0;
    const struct cli_verb *v;

    if (a->words_count == 0) {
        bool wanted = a->option[OPTION_HELP] != NULL;
        help_text(NULL, &help);
        (void)fwrite(help.p, 1, help.n, wanted ? stdout : stderr);
        bytes_release(&help);
        return wanted ? CLI_DONE : CLI_USAGE;
    }
    v = verbs_find(a->words, a->words_count, &used);
    if (v == NULL) {
        verbs_explain(a->words, a->words_count, why, sizeof why);
        return cli_fail(c, CLI_USAGE, "%s", why);
    }
    a->words_count -= used;
    memmove(a->words, a->words + used, a->words_count * sizeof a->words[0]);
    c->verb = v;
    return CLI_DONE;
}

static enum cli_exit check_options(const struct cli *c)
{
    const struct cli_verb *v = c->verb;
    uint32_t allowed =
        v->options | COMMON_OPTIONS | (v->where == VERB_BOTH ? OPTION_BIT(OPTION_DATA_DIR) : 0);
    uint32_t foreign = args_given(&c->args) & ~allowed;

    if (foreign == OPTION_BIT(OPTION_DATA_DIR)) {
        return cli_fail(c, CLI_USAGE, "needs a running node: it cannot be done on a data directory");
    }
    for (unsigned i = 0; i < OPTIONS; i++) {
        if ((foreign & OPTION_BIT(i)) != 0) {
            return cli_fail(c, CLI_USAGE, "takes no --%s: see 'shardgate help %s'", args_options()[i].name,
                            v->name);
        }
    }
    if (c->args.option[OPTION_DATA_DIR] != NULL && c->args.option[OPTION_CONNECT] != NULL) {
        return cli_fail(c, CLI_USAGE, "either --connect or --data-dir, not both");
    }
    return CLI_DONE;
}

static enum cli_exit check_words(const struct cli *c)
{
    const struct cli_verb *v = c->verb;

    if (c->args.words_count >= v->words_min && c->args.words_count <= v->words_max) {
        return CLI_DONE;
    }
    if (c->args.words_count < v->words_min) {
        return cli_fail(c, CLI_USAGE, "something is missing: usage: shardgate %s %s: see 'shardgate help %s'",
                        v->name, v->words, v->name);
    }
    return cli_fail(c, CLI_USAGE, "%.64s is too much: usage: shardgate %s%s%s: see 'shardgate help %s'",
                    c->args.words[v->words_max], v->name, v->words[0] == '\0' ? "" : " ", v->words, v->name);
}

static enum cli_exit check_numbers(const struct cli *c)
{
    static const struct {
        enum cli_option option;
        uint64_t from, to;
    } numbers[] = {{OPTION_LIMIT, 1, INT64_MAX},
                   {OPTION_FROM, 0, INT64_MAX},
                   {OPTION_TO, 0, INT64_MAX},
                   {OPTION_TAIL, 0, LIST_ROWS_MAX}};

    for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        const char *text = c->args.option[numbers[i].option];
        uint64_t n;
        if (numbers[i].option == OPTION_TO && c->verb->kind == REQUEST_LEADER_TRANSFER) {
            continue; /* To a node. */
        }
        if (text != NULL && (!args_number(text, &n) || n < numbers[i].from || n > numbers[i].to)) {
            return cli_fail(c, CLI_USAGE, "--%s %.64s: a number from %llu to %llu is expected",
                            args_options()[numbers[i].option].name, text, (unsigned long long)numbers[i].from,
                            (unsigned long long)numbers[i].to);
        }
    }
    return CLI_DONE;
}

static enum cli_exit check_texts(const struct cli *c)
{
    const char *state = c->args.option[OPTION_STATE];
    const char *reason = c->args.option[OPTION_REASON];
    bool is_known = state == NULL;

    for (unsigned i = 1; i < TRANSFER_STATES && !is_known; i++) {
        is_known = strcmp(state, transfer_state_name((enum transfer_state)i)) == 0;
    }
    if (!is_known) {
        return cli_fail(c, CLI_USAGE, "--state %.64s: one of pending, in_file, cancelled is expected", state);
    }
    if (reason != NULL && strlen(reason) > REASON_SIZE_MAX) {
        return cli_fail(c, CLI_USAGE, "--reason: at most %d characters are kept", REASON_SIZE_MAX);
    }
    if (c->args.option[OPTION_NODE] != NULL && c->args.option[OPTION_DATA_DIR] != NULL) {
        return cli_fail(c, CLI_USAGE, "--node: who leads cannot be seen in a data directory");
    }
    return CLI_DONE;
}

static enum cli_exit check_cluster(const struct cli *c)
{
    if (c->verb->where == VERB_ALONE || c->args.option[OPTION_DATA_DIR] != NULL || cli_addresses(c) != NULL) {
        return CLI_DONE;
    }
    return cli_fail(c, CLI_USAGE,
                    "which cluster? name its nodes with --connect ADDR[,ADDR...] or SHARDGATE_CONNECT%s",
                    c->verb->where == VERB_BOTH ? ", or a data directory with --data-dir" : "");
}

static enum cli_exit run(struct cli *c)
{
    static enum cli_exit (*const checks[])(const struct cli *c) = {check_options, check_words, check_numbers,
                                                                   check_texts, check_cluster};
    struct bytes help = BYTES_NONE;
    enum cli_exit status = CLI_DONE;

    if (c->args.option[OPTION_HELP] != NULL) {
        help_text(c->verb, &help);
        cli_write(span_bytes(&help));
        bytes_release(&help);
        return CLI_DONE;
    }
    for (size_t i = 0; status == CLI_DONE && i < sizeof checks / sizeof checks[0]; i++) {
        status = checks[i](c);
    }
    return status == CLI_DONE ? c->verb->run(c) : status;
}

enum cli_exit cli_main(int argc, char **argv)
{
    struct cli c = {.arena = ARENA_INIT};
    char why[256];
    enum cli_exit status;

    memory_begin();
    tzset();
    if (argc == 2 && strcmp(argv[1], "--version") == 0) {
        argv[1] += strlen("--"); /* The verb, as people type it for any program. */
    }
    if (args_parse(argc, argv, &c.args, why, sizeof why) != SG_OK) {
        return cli_fail(&c, CLI_USAGE, "%s", why);
    }
    cli_begin_time(&c);
    status = find_verb(&c);
    if (c.verb != NULL) {
        status = run(&c);
    }
    client_free(c.client);
    interrupt_end();
    arena_release(&c.arena);
    if ((fflush(stdout) != 0 || ferror(stdout) != 0) && status == CLI_DONE) {
        status = cli_fail(&c, CLI_FAILED, "the output could not be written: %s", strerror(errno));
    }
    return status;
}
